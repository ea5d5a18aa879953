//! As much of WebDriver (W3C) as the browser test needs, over one socket a command.
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a page may take until it shows what is expected, and how often it is looked at.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(30);

/// A driver with one browser; both end with it.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: tempfile::TempDir,
}

impl Browser {
    /// None when there is no Chromium here; that is an error when `PALISADE_BROWSER` is `required`.
    pub fn start(options: &[&str], phone: bool) -> Option<Self> {
        let present = ["/usr/bin/chromium", "/usr/bin/chromedriver"]
            .iter()
            .all(|p| std::path::Path::new(p).exists());
        if !present {
            assert_ne!(
                std::env::var("PALISADE_BROWSER").as_deref(),
                Ok("required"),
                "Chromium and its driver are required: apt-get install chromium chromium-driver"
            );
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let mut driver = Command::new("/usr/bin/chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|l| {
                l.rsplit_once("started successfully on port ")?
                    .1
                    .trim_end_matches('.')
                    .parse()
                    .ok()
            })
            .unwrap();
        // a full pipe would stop the driver
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
            profile,
        };
        let mut arguments = vec![
            "--headless".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--window-size=1360,900".into(),
            format!("--user-data-dir={}", browser.profile.path().display()),
        ];
        arguments.extend(options.iter().map(|o| (*o).to_owned()));
        let mut chrome = json!({ "binary": "/usr/bin/chromium", "args": arguments });
        if phone {
            chrome["mobileEmulation"] = json!({ "deviceMetrics": { "width": 390, "height": 844, "pixelRatio": 2.0, "touch": true } });
        }
        let answer = browser.call(
            "POST",
            "/session",
            // an element that is not there yet is waited for
            &json!({ "capabilities": { "alwaysMatch": {
                "goog:chromeOptions": chrome,
                "timeouts": { "implicit": 1000 * PATIENCE.as_secs() },
            } } }),
        );
        browser.session = answer["sessionId"].as_str().unwrap().to_owned();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let mut socket = std::net::TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(socket, "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
        let mut reader = BufReader::new(socket);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer).unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{method} {path}: {value:#}");
        value
    }
    fn command(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}{path}", self.session), body)
    }
    /// Opens a page and waits until it is drawn; milliseconds that it took by its own clock.
    pub fn open(&self, url: &str) -> f64 {
        self.command("/url", &json!({ "url": "about:blank" }));
        self.command("/url", &json!({ "url": url }));
        self.wait("document.documentElement.dataset.ready");
        self.run("return Number(document.documentElement.dataset.ready)")
            .as_f64()
            .unwrap()
    }
    /// Runs a script and returns what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }
    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) {
        let script = format!("return !!({expression})");
        Self::until(
            || self.run(&script).as_bool().unwrap(),
            || {
                format!(
                    "`{expression}` did not become true; the page says: {}",
                    self.text("body")
                )
            },
        );
    }
    /// Waits until the text of the first element is this. What a click, a key or an address changes is drawn after
    /// the command that did it has returned, so that a page is never looked at only once.
    pub fn reads(&self, selector: &str, text: &str) {
        Self::until(
            || self.text(selector) == text,
            || format!("{selector} is not `{text}`: {}", self.text(selector)),
        );
    }
    /// Waits until the text of the first element contains this.
    pub fn says(&self, selector: &str, part: &str) {
        Self::until(
            || self.text(selector).contains(part),
            || format!("`{part}` is not in {selector}: {}", self.text(selector)),
        );
    }
    fn until(is_so: impl Fn() -> bool, why_not: impl Fn() -> String) {
        let end = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < end, "{}", why_not());
            std::thread::sleep(PAUSE);
        }
    }
    /// The text of the first element.
    pub fn text(&self, selector: &str) -> String {
        let script = format!(
            "const e = document.querySelector({selector:?}); return e ? (e.innerText ?? e.textContent) : ''"
        );
        self.run(&script).as_str().unwrap().to_owned()
    }
    fn element(&self, selector: &str) -> String {
        let found = self.command(
            "/element",
            &json!({ "using": "css selector", "value": selector }),
        );
        found
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .as_str()
            .unwrap()
            .to_owned()
    }
    /// Clicks as a user does: what is hidden or covered cannot be clicked.
    pub fn click(&self, selector: &str) {
        self.command(
            &format!("/element/{}/click", self.element(selector)),
            &json!({}),
        );
    }
    /// Types into an element.
    pub fn type_into(&self, selector: &str, text: &str) {
        self.command(
            &format!("/element/{}/value", self.element(selector)),
            &json!({ "text": text }),
        );
    }
    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|k| {
                [
                    json!({ "type": "keyDown", "value": k }),
                    json!({ "type": "keyUp", "value": k }),
                ]
            })
            .collect();
        self.command(
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keys", "actions": actions }] }),
        );
    }
    /// Prints to PDF; how many bytes in base64.
    pub fn print(&self) -> usize {
        self.command("/print", &json!({})).as_str().unwrap().len()
    }
    /// Saves a picture when `PALISADE_SCREENSHOTS` names a folder.
    pub fn picture(&self, name: &str) {
        use base64::Engine;
        let Some(folder) = std::env::var_os("PALISADE_SCREENSHOTS") else {
            return;
        };
        let picture = self.call(
            "GET",
            &format!("/session/{}/screenshot", self.session),
            &Value::Null,
        );
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture.as_str().unwrap())
            .unwrap();
        std::fs::write(
            std::path::Path::new(&folder).join(format!("{name}.png")),
            bytes,
        )
        .unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() && !std::thread::panicking() {
            self.call("DELETE", &format!("/session/{}", self.session), &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

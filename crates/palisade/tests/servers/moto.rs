//! A moto server on loopback for one test, and an endpoint that keeps the state of what moto lacks.
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the value.
pub struct Moto {
    server: Child,
    pub url: String,
}

impl Moto {
    /// Starts the server and waits until it listens.
    pub fn start(python: &Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Command::new(python.parent().unwrap().join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .envs([
                ("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"),
                ("MOTO_IAM_LOAD_MANAGED_POLICIES", "true"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "moto does not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Self {
            server,
            url: format!("http://127.0.0.1:{port}"),
        }
    }
}

/// `tests/live/kept.py`. Ends with the value.
pub struct Kept {
    server: Child,
    pub url: String,
}

impl Kept {
    pub fn start(python: &Path) -> Self {
        let folder = root().join("tests/live");
        let mut server = Command::new(python)
            .arg(folder.join("kept.py"))
            .arg(folder.join("kept_account.json"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut out = std::io::BufReader::new(server.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        let url = line.trim().to_owned();
        assert!(url.starts_with("http://"), "the endpoint does not start");
        Self { server, url }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// The virtual environment's Python, made when it is missing.
pub fn python() -> PathBuf {
    let made = Command::new("python3")
        .arg(root().join("tests/venv.py"))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "the virtual environment could not be made"
    );
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

/// What every client of the server needs.
pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "testing"),
    ("AWS_SECRET_ACCESS_KEY", "testing"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
];

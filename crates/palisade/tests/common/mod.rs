//! A moto server, a server on loopback that answers as it is told, and the binary without anybody's environment.
#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod accounts;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// moto, on a free port; ends with the test.
pub struct Moto {
    server: Child,
    pub url: String,
    python: PathBuf,
}

impl Moto {
    pub fn start() -> Self {
        let python = python();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = Command::new(python.parent().unwrap().join("moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .env("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "moto does not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Self {
            server,
            url: format!("http://127.0.0.1:{port}"),
            python,
        }
    }
    /// Runs Python with boto3 against it and gives what it prints.
    pub fn boto(&self, code: &str) -> serde_json::Value {
        let output = Command::new(&self.python)
            .args(["-c", &format!("import boto3, json\n{code}")])
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.url)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Python with what `requirements-test.txt` asks for.
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

pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "testing"),
    ("AWS_SECRET_ACCESS_KEY", "testing"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
];

/// The binary in a folder, without anybody's environment.
pub fn palisade(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let lower = name.to_lowercase();
        if name.starts_with("AWS_") || name.starts_with("PALISADE_") || lower.ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        // snapshots are kept there, not in anybody's home
        .env("XDG_DATA_HOME", folder.join("data"))
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What was asked: method and path, and the body.
pub type Asked = (String, String);

/// Answers with a status and a body, by the number of the request.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(answer: impl Fn(usize) -> (u16, String) + Send + Sync + 'static) -> Self {
        Self::with_headers("", answer)
    }
    /// The same with headers in every answer.
    pub fn with_headers(
        headers: &'static str,
        answer: impl Fn(usize) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), &log, headers, &answer);
            }
        });
        Self { url, asked }
    }
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request a connection.
fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    headers: &str,
    answer: &dyn Fn(usize) -> (u16, String),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let number = {
        let mut log = log.lock().unwrap();
        let path = first.trim_end_matches(" HTTP/1.1\r\n").to_owned();
        log.push((path, String::from_utf8(body).unwrap()));
        log.len() - 1
    };
    let (status, body) = answer(number);
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
        body.len()
    );
}

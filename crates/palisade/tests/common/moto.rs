//! A moto server on loopback for one test, and what its clients need.
#![allow(dead_code, reason = "each test file takes what it needs")]
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// moto, on a free port; ends with the value.
pub struct Moto {
    server: Child,
    pub url: String,
    pub python: PathBuf,
}

impl Moto {
    /// Starts the server and waits until it listens.
    pub fn start() -> Self {
        let python = python();
        let mut server = Command::new(python.parent().unwrap().join("moto_server"));
        server.args(["-H", "127.0.0.1", "-p"]).envs([
            ("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"),
            ("MOTO_IAM_LOAD_MANAGED_POLICIES", "true"),
        ]);
        Self::listening(python, server)
    }

    /// The same in an organisation, with what moto lacks of it.
    pub fn start_organization() -> Self {
        let python = python();
        let mut server = Command::new(&python);
        server.arg(root().join("tests/live/moto_organizations.py"));
        Self::listening(python, server)
    }

    /// A command that takes the port as its last argument.
    fn listening(python: PathBuf, mut server: Command) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let server = server
            .arg(port.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self {
            server,
            url: format!("http://127.0.0.1:{port}"),
            python,
        };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(120),
                "moto does not start"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        moto
    }

    /// Runs Python with boto3 against it and gives what it prints.
    pub fn boto(&self, code: &str) -> serde_json::Value {
        let printed = self.run(&["-c", &format!("import boto3, json\n{code}")]);
        serde_json::from_slice(&printed).unwrap_or(serde_json::Value::Null)
    }

    /// Runs Python with these arguments against it and gives what it prints.
    pub fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(&self.python)
            .args(arguments)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.url)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
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

/// What every client of the server needs.
pub const CREDENTIALS: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "testing"),
    ("AWS_SECRET_ACCESS_KEY", "testing"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_DEFAULT_REGION", "us-east-1"),
];

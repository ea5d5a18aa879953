//! A server on loopback that answers as it is told, and the binary without anybody's environment.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file takes what it needs"
)]

pub mod accounts;
pub mod moto;

pub use moto::{CREDENTIALS, Moto, python, root};

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

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

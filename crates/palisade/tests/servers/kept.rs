//! An endpoint on loopback that keeps the state of what moto lacks.
use crate::moto::{python, root};
use std::process::{Child, Command, Stdio};

/// `tests/live/kept.py`. Ends with the value.
pub struct Kept {
    server: Child,
    pub url: String,
}

impl Kept {
    pub fn start() -> Self {
        let folder = root().join("tests/live");
        let mut server = Command::new(python())
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

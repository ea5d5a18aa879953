//! Where a cluster is, and whether it is there.
use crate::error::ClusterError;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The port of a scheduler when none is given.
pub const SCHEDULER_PORT: u16 = 50050;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How often a scheduler without executors is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// The address of a scheduler: `ballista://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

impl std::str::FromStr for Address {
    type Err = ClusterError;
    fn from_str(url: &str) -> Result<Self, ClusterError> {
        let wrong = |reason: &str| ClusterError::Url {
            url: url.to_owned(),
            reason: reason.to_owned(),
        };
        let rest = url
            .strip_prefix("ballista://")
            .ok_or_else(|| wrong("give `ballista://HOST:PORT`"))?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() || rest.contains(['/', '?', '#', '@', ' ']) {
            return Err(wrong("give `ballista://HOST:PORT` and nothing more"));
        }
        let (host, port) = match rest.rsplit_once(':') {
            // the colons of an IPv6 address stand in brackets
            Some((host, port)) if !port.contains(']') => {
                let port = port
                    .parse::<u16>()
                    .ok()
                    .filter(|p| *p > 0)
                    .ok_or_else(|| wrong(&format!("`{port}` is no port")))?;
                (host, port)
            }
            _ => (rest, SCHEDULER_PORT),
        };
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if host.is_empty() || (host.contains(':') && !bracketed) {
            return Err(wrong("give `ballista://HOST:PORT`"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Address {
    /// For clients of Ballista.
    pub(crate) fn http(&self) -> String {
        format!("http://{self}")
    }

    /// Host and port; an IPv6 address in its brackets.
    pub(crate) fn parts(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// Asks whether a scheduler is there.
    ///
    /// # Errors
    /// When nothing answers, or something else.
    pub async fn answers(&self) -> Result<(), ClusterError> {
        self.executors().await.map(|_| ())
    }

    /// Waits until the scheduler has executors; gives their number.
    ///
    /// # Errors
    /// When nothing answers, something else answers, or no executor comes in time.
    pub async fn ready(&self, patience: Duration) -> Result<usize, ClusterError> {
        let until = tokio::time::Instant::now() + patience;
        loop {
            let executors = self.executors().await?;
            if executors > 0 {
                return Ok(executors);
            }
            if tokio::time::Instant::now() >= until {
                return Err(ClusterError::NoExecutor {
                    address: self.to_string(),
                });
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// How many executors the scheduler has.
    async fn executors(&self) -> Result<usize, ClusterError> {
        let unreachable = |reason: String| ClusterError::Unreachable {
            address: self.to_string(),
            reason,
        };
        let connecting = TcpStream::connect(self.to_string());
        let mut stream = match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(unreachable(e.to_string())),
            Err(_) => return Err(unreachable("it takes too long".to_owned())),
        };
        let asking = async {
            let request =
                format!("GET /readyz HTTP/1.1\r\nHost: {self}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = Vec::new();
            // as much as a scheduler says, and not what something else may pour out
            (&mut stream)
                .take(16 << 10)
                .read_to_end(&mut answer)
                .await?;
            std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = match tokio::time::timeout(ANSWER, asking).await {
            Ok(Ok(answer)) => answer,
            _ => String::new(),
        };
        alive(&answer).ok_or_else(|| ClusterError::NotAScheduler {
            address: self.to_string(),
        })
    }
}

/// The number of executors in a scheduler's answer: `ready: 2 executors registered` or `not ready: 0/1 executors …`.
fn alive(answer: &str) -> Option<usize> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_ballista = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .any(|(name, value)| {
            name.eq_ignore_ascii_case("server") && value.trim().starts_with("ballista/")
        });
    let (_, rest) = body.split_once("ready: ").filter(|_| is_ballista)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (url, shown) in [
            ("ballista://localhost:50050", "localhost:50050"),
            (
                "ballista://scheduler.default.svc/",
                "scheduler.default.svc:50050",
            ),
            ("ballista://[::1]:7000", "[::1]:7000"),
            ("ballista://[::1]", "[::1]:50050"),
        ] {
            assert_eq!(url.parse::<Address>().unwrap().to_string(), shown, "{url}");
        }
        for url in [
            "",
            "localhost:50050",
            "http://localhost:50050",
            "ballista://",
            "ballista://:50050",
            "ballista://host:port",
            "ballista://host:0",
            "ballista://host:70000",
            "ballista://host:1/path",
            "ballista://user@host:1",
            "ballista://::1:50050",
        ] {
            let error = url.parse::<Address>().unwrap_err();
            assert!(error.to_string().contains("is no engine"), "{url}: {error}");
        }
    }

    #[test]
    fn what_schedulers_answer() {
        let says = |body: &str| format!("HTTP/1.1 200 OK\r\nServer: ballista/55.0.0\r\n\r\n{body}");
        assert_eq!(alive(&says("ready: 12 executors registered\n")), Some(12));
        assert_eq!(
            alive(&says("not ready: 0/1 executors registered\n")),
            Some(0)
        );
        assert_eq!(
            alive("HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\nready: 1"),
            None
        );
        assert_eq!(alive("HTTP/1.1 404 Not Found\r\n\r\n"), None);
        assert_eq!(alive(""), None);
    }
}

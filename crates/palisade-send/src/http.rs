//! Requests to webhooks and to Jira: AWS's own HTTP client (one TLS stack in the binary), proxies from the
//! environment, retries with backoff.
use crate::secret::{Secret, is_loopback};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::dns::ResolveDnsError;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use aws_smithy_types::date_time::{DateTime, Format};
use std::time::Duration;

/// How patient a sender is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How often a request is tried, the first time included.
    pub attempts: u32,
    /// The first wait; it doubles from there.
    pub first: Duration,
    /// No wait of our own is longer.
    pub most: Duration,
    /// A server that asks for a longer wait (`Retry-After`) is not waited for.
    pub longest: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 5,
            first: Duration::from_millis(500),
            most: Duration::from_secs(20),
            longest: Duration::from_secs(120),
        }
    }
}

/// Sends requests.
#[derive(Debug)]
pub struct Http {
    direct: Connector,
    proxied: Connector,
    policy: Policy,
}

/// One request.
pub(crate) struct Outgoing<'r> {
    pub(crate) method: &'static str,
    pub(crate) url: &'r str,
    pub(crate) headers: Vec<(&'r str, &'r str)>,
    pub(crate) body: Vec<u8>,
    pub(crate) timeout: Duration,
    /// When nobody knows whether the server acted on it, it is not sent again.
    pub(crate) once: bool,
    /// What no message may show.
    pub(crate) secrets: Vec<&'r Secret>,
}

/// Why a request failed for good. No message has a URL or a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("the request cannot be written: {0}")]
    Request(String),
    #[error("no answer within {0:?}, {1} times")]
    Timeout(Duration, u32),
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("the server answered {status}{}", said(.message))]
    Refused { status: u16, message: String },
    #[error("the server asks to wait {0} seconds, which is too long")]
    Busy(u64),
}

impl HttpError {
    /// Whether every other request to the server would fail alike.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Timeout(..)
                | Self::Unreachable(_)
                | Self::Busy(_)
                | Self::Refused {
                    status: 401 | 403,
                    ..
                }
        )
    }
    /// Whether the server may have done what was asked all the same.
    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            Self::Timeout(..)
                | Self::Unreachable(_)
                | Self::Refused {
                    status: 408 | 500 | 502..=504,
                    ..
                }
        )
    }
}

fn said(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

/// What one attempt came to.
enum Attempt {
    Done(Vec<u8>),
    /// Failed; whether the server may have acted on it, and how long it asks to wait.
    Again {
        error: HttpError,
        acted: bool,
        wait: Option<Duration>,
    },
    Failed(HttpError),
}

impl Http {
    /// A sender with that much patience.
    pub fn new(policy: Policy) -> Self {
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(Duration::from_secs(5))
            .build();
        let connector = |proxy: ProxyConfig| {
            Connector::builder()
                .connector_settings(settings.clone())
                .sleep_impl(TokioSleep::new())
                .proxy_config(proxy)
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build()
        };
        Self {
            direct: connector(ProxyConfig::disabled()),
            proxied: connector(ProxyConfig::from_env()),
            policy,
        }
    }

    /// A wait before something is looked for that may just have been made.
    pub(crate) fn pause(&self) -> Duration {
        self.policy.first * 2
    }

    /// Sends until it succeeds, and gives the answer's body.
    pub(crate) async fn send(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, HttpError> {
        let mut backoff = self.policy.first;
        let mut tried = 0;
        loop {
            tried += 1;
            let (error, acted, wait) = match self.attempt(outgoing, tried).await {
                Attempt::Done(body) => return Ok(body),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again { error, acted, wait } => (error, acted, wait),
            };
            if tried >= self.policy.attempts || (acted && outgoing.once) {
                return Err(error);
            }
            let wait = match wait {
                Some(asked) if asked > self.policy.longest => {
                    return Err(HttpError::Busy(asked.as_secs()));
                }
                Some(asked) => asked,
                None => backoff,
            };
            tokio::time::sleep(wait).await;
            backoff = (backoff * 2).min(self.policy.most);
        }
    }

    async fn attempt(&self, outgoing: &Outgoing<'_>, tried: u32) -> Attempt {
        let request = match request(outgoing) {
            Ok(request) => request,
            Err(error) => return Attempt::Failed(HttpError::Request(outgoing.scrub(&error))),
        };
        let authority = outgoing.url.split('/').nth(2).unwrap_or_default();
        let connector = if is_loopback(authority) {
            &self.direct
        } else {
            &self.proxied
        };
        let exchange = async {
            let answer = connector.call(request).await;
            let mut response = answer.map_err(|e| (root_cause(&e), !is_connecting(&e)))?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let body = ByteStream::new(body).collect().await;
            // who begins to answer has read the request
            let body = body.map_err(|e| (root_cause(&e), true))?;
            Ok::<_, (String, bool)>((response, body.into_bytes().to_vec()))
        };
        let (response, body) = match tokio::time::timeout(outgoing.timeout, exchange).await {
            Err(_) => {
                return Attempt::Again {
                    error: HttpError::Timeout(outgoing.timeout, tried),
                    acted: true,
                    wait: None,
                };
            }
            Ok(Err((message, acted))) => {
                return Attempt::Again {
                    acted,
                    error: HttpError::Unreachable(outgoing.scrub(&message)),
                    wait: None,
                };
            }
            Ok(Ok(answer)) => answer,
        };
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Attempt::Done(body);
        }
        let text: String = String::from_utf8_lossy(&body).chars().take(500).collect();
        let message = palisade_report::printable(&outgoing.scrub(text.trim()));
        let error = HttpError::Refused {
            status,
            message: palisade_report::shorten(&message, 200).into_owned(),
        };
        match status {
            429 | 503 => Attempt::Again {
                error,
                // a gateway answers 503 also of a server that was asked
                acted: status == 503,
                wait: retry_after(
                    response.headers().get("retry-after"),
                    response.headers().get("date"),
                ),
            },
            408 | 500 | 502 | 504 => Attempt::Again {
                error,
                acted: true,
                wait: None,
            },
            _ => Attempt::Failed(error),
        }
    }
}

impl Outgoing<'_> {
    fn scrub(&self, text: &str) -> String {
        let clean = |text: String, secret: &&Secret| secret.scrub(&text);
        self.secrets.iter().fold(text.to_owned(), clean)
    }
}

fn request(outgoing: &Outgoing<'_>) -> Result<HttpRequest, String> {
    let mut request = HttpRequest::new(SdkBody::from(outgoing.body.clone()));
    request
        .set_method(outgoing.method)
        .map_err(|e| e.to_string())?;
    request.set_uri(outgoing.url).map_err(|e| e.to_string())?;
    let standard = [
        ("user-agent", "palisade"),
        ("content-type", "application/json"),
    ];
    let length = outgoing.body.len().to_string();
    let headers = standard
        .iter()
        .chain(&outgoing.headers)
        .copied()
        .chain([("content-length", length.as_str())]);
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        request
            .headers_mut()
            .try_insert(name.clone(), value.to_owned())
            .map_err(|_| format!("the header `{name}` has a value that no header may have"))?;
    }
    Ok(request)
}

/// `Retry-After` as a number of seconds, or as a time held against the server's own clock (RFC 9110, 10.2.3).
fn retry_after(value: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let value = value?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text: &str| DateTime::from_str(text, Format::HttpDate).ok();
    let wait = time(value)?.secs() - time(date?)?.secs();
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

/// Whether a request failed before there was a connection to send it on: the client says so in its own words
/// (`hyper_util::client::legacy::Error`), and of names that are not found.
fn is_connecting(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<ResolveDnsError>() || error.to_string() == "client error (Connect)" {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost message: the outer ones say `io error` and no more.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut messages = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        messages.push(error.to_string());
        cause = error.source();
    }
    let last = messages.len().saturating_sub(2);
    messages.split_off(last).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_was_sent_where_nobody_listens() {
        let http = Http::new(Policy::default());
        for url in ["http://127.0.0.1:9/x", "http://palisade.invalid/x"] {
            let outgoing = Outgoing {
                method: "POST",
                url,
                headers: Vec::new(),
                body: Vec::new(),
                timeout: Duration::from_secs(20),
                once: true,
                secrets: Vec::new(),
            };
            let attempt = http.attempt(&outgoing, 1).await;
            assert!(
                matches!(attempt, Attempt::Again { acted: false, .. }),
                "{url}"
            );
        }
    }

    #[test]
    fn how_long_to_wait() {
        let date = Some("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(retry_after(Some("7"), None), Some(Duration::from_secs(7)));
        let until = Some("Wed, 21 Oct 2026 07:28:30 GMT");
        assert_eq!(retry_after(until, date), Some(Duration::from_secs(30)));
        assert_eq!(retry_after(date, until), Some(Duration::ZERO));
        assert_eq!(retry_after(until, None), None);
        assert_eq!(retry_after(Some("soon"), date), None);
        assert_eq!(retry_after(None, date), None);
    }
}

//! What lies between us and AWS: where credentials come from, whether endpoints answer, the servers' clocks, proxies.
use crate::client::Client;
use crate::failure::CallFailure;
use crate::transport::root_cause;
use aws_credential_types::Credentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime::client::orchestrator::operation::Operation as Orchestrated;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::{Request, Response};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use palisade_core::CallErrorKind;
use serde_json::Map;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where credentials come from. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialFacts {
    /// As AWS's runtime calls it, for example `EnvironmentVariable`.
    pub source: String,
    /// The access key's id.
    pub access_key_id: String,
    /// Seconds since 1970 until which they hold; absent: they do not end.
    pub expires: Option<u64>,
}

impl CredentialFacts {
    pub(crate) fn of(credentials: &Credentials) -> Self {
        // the source is in the debug form only, which hides the secret
        let shown = format!("{credentials:?}");
        let source = shown
            .split("provider_name: \"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        Self {
            source: source.unwrap_or("an unknown source").to_owned(),
            access_key_id: credentials.access_key_id().to_owned(),
            expires: credentials.expiry().and_then(seconds).map(|d| d.as_secs()),
        }
    }
}

/// An endpoint that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The status of the answer to an unsigned request; any is an answer.
    pub status: u16,
    /// The server's `Date`, in seconds since 1970.
    pub date: Option<i64>,
}

/// The environment variables that name a proxy and are set, without what follows an `@`'s left side.
pub fn proxies() -> Vec<(String, String)> {
    const NAMES: &[&str] = &[
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ];
    let set = |name: &&str| {
        let value = std::env::var(name).ok().filter(|v| !v.is_empty())?;
        // a user and a password may stand before the host
        let shown = match (value.split_once("://"), value.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
            (None, Some((_, host))) => format!("***@{host}"),
            _ => value,
        };
        Some(((*name).to_owned(), shown))
    };
    NAMES.iter().filter_map(set).collect()
}

/// One pool of connections for everything. Proxies of the environment are used, but never for this machine and for
/// the link-local addresses that give credentials.
pub(crate) fn http_client() -> SharedHttpClient {
    let proxied = || {
        Builder::new().build_with_connector_fn(|settings, components| {
            let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
            builder.set_connector_settings(settings.cloned());
            builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
            builder
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build()
        })
    };
    SharedHttpClient::new(Choosing {
        plain: Builder::new().build_http(),
        secured: Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https(),
        proxied: (!proxies().is_empty()).then(proxied),
    })
}

/// Clients by what an address needs. That of TLS reads the machine's trusted authorities when it makes its first connector,
/// which takes ten milliseconds: one is made where a request needs it.
#[derive(Debug, Clone)]
struct Choosing {
    plain: SharedHttpClient,
    secured: SharedHttpClient,
    proxied: Option<SharedHttpClient>,
}

#[derive(Debug)]
struct Chosen {
    among: Choosing,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl Choosing {
    fn client(&self, url: &str) -> &SharedHttpClient {
        match &self.proxied {
            Some(proxied) if !is_near(url) => proxied,
            _ if url.starts_with("http://") => &self.plain,
            _ => &self.secured,
        }
    }
}

impl HttpClient for Choosing {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Chosen {
            among: self.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

impl HttpConnector for Chosen {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        // clients keep their connectors
        let client = self.among.client(request.uri());
        client
            .http_connector(&self.settings, &self.components)
            .call(request)
    }
}

/// Whether a URL is of this machine or of a link-local address.
fn is_near(url: &str) -> bool {
    let uri: Result<http::Uri, _> = url.parse();
    let host = uri.as_ref().ok().and_then(http::Uri::host);
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || match host.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
            Ok(std::net::IpAddr::V6(ip)) => ip.is_loopback() || host.starts_with("fd00:ec2"),
            Err(_) => false,
        }
}

#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct NoAnswer;

impl Client {
    /// Where the credentials come from: those that were found, before any role was assumed with them.
    pub fn credentials(&self) -> &CredentialFacts {
        self.found_credentials()
    }

    /// The endpoint of a service in the default region: scheme and host.
    ///
    /// # Errors
    /// When there is none for a request without parameters.
    pub fn endpoint(&self, service: &str) -> Result<String, CallFailure> {
        let target = self.target_of(service, &Map::new())?;
        let parts: Vec<&str> = target.splitn(4, '/').collect();
        match parts.as_slice() {
            [scheme, "", host, ..] => Ok(format!("{scheme}//{host}")),
            _ => Ok(target),
        }
    }

    /// Whether something answers there: one unsigned `GET /`, of which any answer is good.
    ///
    /// # Errors
    /// When there is no connection, or no answer within the time.
    pub async fn reach(&self, url: &str, within: Duration) -> Result<Reached, CallFailure> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(within)
            .read_timeout(within)
            .operation_timeout(within)
            .build();
        let reach = Orchestrated::builder()
            .service_name("palisade")
            .operation_name("Reach")
            .endpoint_url(url)
            .http_client(self.http())
            .no_auth()
            .no_retry()
            .timeout_config(timeouts)
            .serializer(|()| {
                let mut request = Request::new(SdkBody::empty());
                request.set_method("GET")?;
                request.set_uri("/")?;
                Ok(request)
            })
            .deserializer::<Reached, NoAnswer>(|response: &Response| {
                let date = response.headers().get("date");
                let date = date.and_then(|d| {
                    let format = aws_smithy_types::date_time::Format::HttpDate;
                    aws_smithy_types::DateTime::from_str(d, format).ok()
                });
                let reached = Reached {
                    status: response.status().as_u16(),
                    date: date.map(|d| d.secs()),
                };
                Ok::<_, OrchestratorError<NoAnswer>>(reached)
            })
            .build();
        reach.invoke(()).await.map_err(|error| match &error {
            SdkError::TimeoutError(_) => {
                let message = format!("no answer within {within:?}");
                CallFailure::local(CallErrorKind::Timeout, "Timeout", &message)
            }
            _ => CallFailure::local(
                CallErrorKind::Unreachable,
                "ConnectError",
                &root_cause(&error),
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near() {
        for url in [
            "http://127.0.0.1:5000/",
            "http://localhost/x",
            "http://[::1]:80/",
            "http://169.254.169.254/latest",
            "http://169.254.170.2/",
            "http://[fd00:ec2::254]/",
        ] {
            assert!(is_near(url), "{url}");
        }
        for url in [
            "https://sts.amazonaws.com/",
            "http://10.0.0.1/",
            "https://localhost.example.com/",
        ] {
            assert!(!is_near(url), "{url}");
        }
    }

    #[test]
    fn clients_by_address() {
        let client = || Builder::new().build_http();
        let mut among = Choosing {
            plain: client(),
            secured: client(),
            proxied: None,
        };
        let is = |a: &SharedHttpClient, b: &SharedHttpClient| std::ptr::eq(a, b);
        let (near, far) = ("http://127.0.0.1:5000/", "http://10.0.0.1/");
        let aws = "https://sts.amazonaws.com/";
        assert!(is(among.client(near), &among.plain) && is(among.client(far), &among.plain));
        assert!(is(among.client(aws), &among.secured));
        among.proxied = Some(client());
        let proxied = among.proxied.as_ref().unwrap();
        assert!(is(among.client(near), &among.plain));
        assert!(is(among.client("https://localhost/"), &among.secured));
        assert!(is(among.client(far), proxied) && is(among.client(aws), proxied));
    }

    #[test]
    fn credentials_say_where_they_are_from_and_no_secret() {
        let keys = Credentials::new("AKIDEXAMPLE", "very-secret", None, None, "Static");
        let facts = CredentialFacts::of(&keys);
        assert_eq!(
            (facts.source.as_str(), facts.access_key_id.as_str()),
            ("Static", "AKIDEXAMPLE")
        );
        assert!(!format!("{facts:?}").contains("very-secret"));
    }
}

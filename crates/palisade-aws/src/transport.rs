//! Around AWS's HTTP client, once an attempt: rate limit, concurrency, time limit, whole bodies only,
//! counts, and the recorder. Everything is released when the future is dropped.
use crate::failure::is_throttling;
use crate::limits::RateLimit;
use crate::service::Service;
use crate::statistics::Counters;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use palisade_core::CallErrorKind;
use palisade_replay::{Exchange, RecordedRequest, RecordedResponse};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Who receives the exchanges of a recording.
pub type Recorder = Arc<dyn Fn(Exchange) + Send + Sync>;

/// Connections that could not be made are tried this often: a name that does not resolve stays so.
const CONNECT_ATTEMPTS: u32 = 3;

/// What one call has in common over all its attempts.
pub(crate) struct Attempts {
    pub(crate) service: Arc<Service>,
    pub(crate) limit: Arc<RateLimit>,
    pub(crate) everywhere: Arc<Semaphore>,
    pub(crate) here: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) timeout: Duration,
    /// What a long request may take on top.
    pub(crate) upload: Duration,
    pub(crate) unconnected: AtomicU32,
    /// Attempts that the service failed, as opposed to throttled.
    pub(crate) failed: AtomicU32,
    /// What kept the last attempt from getting an answer.
    pub(crate) trouble: Mutex<Option<(CallErrorKind, String)>>,
}

impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempts")
            .field("service", &self.service.model.name)
            .finish_non_exhaustive()
    }
}

impl Attempts {
    fn note(&self, kind: CallErrorKind, message: &str) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((kind, message.to_owned()));
    }

    pub(crate) fn trouble(&self) -> Option<(CallErrorKind, String)> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Counts an answered attempt that failed. Classifiers cannot: they run more than once an attempt.
    pub(crate) fn count(&self, kind: CallErrorKind) {
        if matches!(
            kind,
            CallErrorKind::Server | CallErrorKind::Malformed | CallErrorKind::Timeout
        ) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn send(
        &self,
        client: SharedHttpConnector,
        request: HttpRequest,
    ) -> Result<HttpResponse, ConnectorError> {
        self.limit.acquire().await;
        let closed = |e: tokio::sync::AcquireError| ConnectorError::user(e.into());
        // First the narrow door: who waits here must not hold a place in the wide one.
        let _here = self.here.acquire().await.map_err(closed)?;
        let _everywhere = self.everywhere.acquire().await.map_err(closed)?;
        Counters::add(&self.counters.requests, 1);
        let sent = self.recorder.is_some().then(|| recorded_request(&request));
        let head = request.method() == "HEAD";
        let exchange = async {
            let mut response = client.call(request).await.map_err(|e| self.no_answer(e))?;
            let body = std::mem::replace(response.body_mut(), SdkBody::taken());
            let body = match ByteStream::new(body).collect().await {
                Ok(body) => body.into_bytes(),
                Err(error) => return Err(self.cut_off(&error.to_string())),
            };
            let promised = response
                .headers()
                .get("content-length")
                .and_then(|l| l.parse::<usize>().ok());
            if let Some(promised) = promised.filter(|l| *l != body.len() && !head) {
                return Err(self.cut_off(&format!("{} of {promised} bytes arrived", body.len())));
            }
            Ok((response, body))
        };
        let (mut response, body) =
            match tokio::time::timeout(self.timeout + self.upload, exchange).await {
                Ok(done) => done?,
                Err(elapsed) => {
                    self.note(
                        CallErrorKind::Timeout,
                        &format!("no answer within {:?}", self.timeout + self.upload),
                    );
                    return Err(ConnectorError::timeout(elapsed.into()));
                }
            };
        self.account(&response, &body);
        if let Some((recorder, request)) = self.recorder.as_ref().zip(sent) {
            recorder(Exchange {
                request,
                response: recorded_response(&response, &body),
            });
        }
        *response.body_mut() = SdkBody::from(body);
        Ok(response)
    }

    fn account(&self, response: &HttpResponse, body: &[u8]) {
        Counters::add(
            &self.counters.bytes,
            u64::try_from(body.len()).unwrap_or(u64::MAX),
        );
        let status = response.status().as_u16();
        let throttled = status >= 400
            && is_throttling(
                &self
                    .service
                    .decoder
                    .error(status, response.headers(), body)
                    .code,
                status,
            );
        if throttled {
            Counters::add(&self.counters.throttled, 1);
            self.limit.throttled();
        } else {
            self.limit.succeeded();
        }
    }

    fn no_answer(&self, error: ConnectorError) -> ConnectorError {
        let message = root_cause(&error);
        if error.is_timeout() {
            self.note(CallErrorKind::Timeout, &message);
            return error;
        }
        self.note(CallErrorKind::Unreachable, &message);
        if self.unconnected.fetch_add(1, Ordering::Relaxed) + 1 >= CONNECT_ATTEMPTS {
            // A user error is not tried again.
            return ConnectorError::user(error.into());
        }
        error
    }

    fn cut_off(&self, message: &str) -> ConnectorError {
        let message = format!("the answer was cut off: {message}");
        self.note(CallErrorKind::Malformed, &message);
        if self.failed.fetch_add(1, Ordering::Relaxed) + 1 >= crate::retry::SERVER_ATTEMPTS {
            return ConnectorError::user(message.into());
        }
        ConnectorError::io(message.into())
    }
}

/// The innermost message: the outer ones say `io error` and no more.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An HTTP client that is AWS's with [`Attempts`] around it.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    pub(crate) client: SharedHttpClient,
    pub(crate) attempts: Arc<Attempts>,
}

impl HttpClient for Transport {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector {
            inner: self.client.http_connector(settings, components),
            attempts: Arc::clone(&self.attempts),
        })
    }
}

#[derive(Debug)]
struct Connector {
    inner: SharedHttpConnector,
    attempts: Arc<Attempts>,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (inner, attempts) = (self.inner.clone(), Arc::clone(&self.attempts));
        HttpConnectorFuture::new(async move { attempts.send(inner, request).await })
    }
}

/// Headers that carry or prove credentials.
const SECRET_HEADERS: [&str; 3] = [
    "authorization",
    "x-amz-security-token",
    "x-amz-s3session-token",
];

/// `AWS4-HMAC-SHA256 Credential=-/date/region/service/aws4_request`: what a signature was made for, without the key's
/// id and without the signature (AWS General Reference, "Signature Version 4").
fn credential_scope(authorization: &str) -> Option<String> {
    let (algorithm, rest) = authorization.split_once(" Credential=")?;
    let credential = rest.split([',', ' ']).next()?;
    let mut from_right = credential.rsplitn(5, '/');
    let (end, service, region, date) = (
        from_right.next()?,
        from_right.next()?,
        from_right.next()?,
        from_right.next()?,
    );
    Some(format!(
        "{algorithm} Credential=-/{date}/{region}/{service}/{end}"
    ))
}

fn recorded_request(request: &HttpRequest) -> RecordedRequest {
    let uri = request.uri();
    let after_host = uri.split_once("://").map_or(uri, |(_, rest)| {
        rest.find('/').and_then(|i| rest.get(i..)).unwrap_or("/")
    });
    let kept = request
        .headers()
        .iter()
        .filter(|(name, _)| !SECRET_HEADERS.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    // Who was asked and where is known from the signature's scope alone; the signature stays behind.
    let scope = request
        .headers()
        .get("authorization")
        .and_then(credential_scope);
    let scope = scope.map(|scope| ("authorization".to_owned(), scope));
    RecordedRequest {
        method: request.method().to_owned(),
        path_and_query: after_host.to_owned(),
        headers: kept.chain(scope).collect(),
        body: request.body().bytes().unwrap_or_default().to_vec(),
    }
}

fn recorded_response(response: &HttpResponse, body: &[u8]) -> RecordedResponse {
    RecordedResponse {
        status: response.status().as_u16(),
        headers: response
            .headers()
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect(),
        body: body.to_vec(),
    }
}

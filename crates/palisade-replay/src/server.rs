//! The loopback endpoint.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

use crate::answer;
use crate::error::ReplayError;
use crate::exchange::RecordedResponse;
use crate::faults::{Buckets, Fault, Faults, stable_hash};
use crate::key::Key;
use crate::organization::{Organization, OrganizationAccount};
use crate::recording::Recording;
use crate::statistics::{Counters, Statistics};

/// No AWS request that a scan makes comes near this.
const LARGEST_REQUEST: usize = 16 * 1024 * 1024;
/// How long a truncated body waits between its last byte and the end of the connection, so that the byte gets out.
const TRUNCATION_PAUSE: Duration = Duration::from_millis(5);

/// A running endpoint. It has a thread and a runtime of its own, so it can be started from anywhere and costs the
/// client's runtime nothing; dropping it ends both.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    recording: Arc<Recording>,
    bodies: Vec<Bytes>,
    faults: Faults,
    counters: Mutex<Counters>,
    /// By account: each has its own limits.
    buckets: Mutex<BTreeMap<String, Buckets>>,
    organization: Option<Organization>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and answers from `recording`.
    ///
    /// # Errors
    /// When no port or no thread can be had.
    pub fn start(recording: Arc<Recording>, faults: Faults) -> Result<Self, ReplayError> {
        Self::listen(recording, faults, None)
    }

    /// As [`Server::start`], for an organisation: the recorded account is its management account, and `accounts` are the
    /// others, each with what was recorded as its own.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_organization(
        recording: Arc<Recording>,
        faults: Faults,
        accounts: Vec<OrganizationAccount>,
    ) -> Result<Self, ReplayError> {
        let organization = Organization::new(&recording.header().account, accounts);
        Self::listen(recording, faults, Some(organization))
    }

    fn listen(
        recording: Arc<Recording>,
        faults: Faults,
        organization: Option<Organization>,
    ) -> Result<Self, ReplayError> {
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(ReplayError::Start)?;
        listener.set_nonblocking(true).map_err(ReplayError::Start)?;
        let address = listener.local_addr().map_err(ReplayError::Start)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ReplayError::Start)?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener).map_err(ReplayError::Start)?
        };
        let bodies = (0..recording.len())
            .map(|at| {
                recording.at(at).map_or_else(Bytes::new, |response| {
                    Bytes::copy_from_slice(&response.body)
                })
            })
            .collect();
        let state = Arc::new(State {
            recording,
            bodies,
            faults,
            counters: Mutex::default(),
            buckets: Mutex::default(),
            organization,
        });
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("replay".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, served) => {}
                        // An error means that the server was dropped, which is the same wish.
                        _ = stopped => {}
                    }
                });
            })
            .map_err(ReplayError::Start)?;
        Ok(Self {
            address,
            state,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The endpoint's URL, `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The recording that it answers from.
    pub fn recording(&self) -> &Recording {
        &self.state.recording
    }

    /// Counts up to now.
    pub fn statistics(&self) -> Statistics {
        self.state.counters().statistics()
    }

    /// Ends all connections and frees the port; returns the last counts. Dropping does the same.
    pub fn shutdown(mut self) -> Statistics {
        self.end();
        self.statistics()
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A receiver that is gone has stopped already.
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

impl State {
    /// The counters; they stay usable after a panic elsewhere, being numbers only.
    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, mostly: wait for some to come back rather than spin.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        // Without it small answers wait for the client's delayed acknowledgement; failing only costs time.
        stream.set_nodelay(true).ok();
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let state = Arc::clone(&state);
                async move { Ok::<_, Infallible>(respond(&state, request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.keep_alive(true).header_read_timeout(None);
            // A connection that the client broke off, or that a fault ends on purpose, is nobody's error.
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await
                .ok();
        });
    }
}

/// Counts a request in flight for as long as it lives, also when the client goes away.
struct InFlight<'a>(&'a State);

impl<'a> InFlight<'a> {
    fn enter(state: &'a State) -> Self {
        state.counters().entered();
        Self(state)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counters().left();
    }
}

async fn respond(state: &State, request: Request<Incoming>) -> Response<Answer> {
    let _in_flight = InFlight::enter(state);
    let (head, body) = request.into_parts();
    let Ok(body) = http_body_util::Limited::new(body, LARGEST_REQUEST)
        .collect()
        .await
    else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let body = body.to_bytes();
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let header = |name: &str| {
        head.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let recorded = &state.recording.header().account;
    let account = state.organization.as_ref().map_or_else(
        || recorded.clone(),
        |organization| organization.account_of(header("authorization")),
    );
    let key = match &state.organization {
        Some(organization) if account != *recorded => {
            let path = organization.inward(&account, path_and_query.as_bytes());
            let path = String::from_utf8_lossy(&path);
            let body = organization.inward(&account, &body);
            Key::from_parts(head.method.as_str(), &path, header, &body)
        }
        _ => Key::from_parts(head.method.as_str(), path_and_query, header, &body),
    };
    let key = Arc::new(key);
    let operation = key.operation();
    let label = format!("{}:{operation}", key.service);
    let mut hash = stable_hash(&key);
    if account != *recorded {
        hash ^= account.parse::<u64>().unwrap_or_default();
    }
    let attempt = state.counters().arrived(&account, &key, &label);

    let wait = state.faults.wait(hash, attempt);
    let fault = {
        let mut buckets = state.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        state.faults.decide(
            &key,
            &operation,
            hash,
            attempt,
            buckets.entry(account.clone()).or_default(),
            Instant::now(),
        )
    };
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    let damage = match fault {
        Some(
            fault @ (Fault::Hang
            | Fault::RegionRefused
            | Fault::Denied
            | Fault::Throttled
            | Fault::ServerError),
        ) => {
            state.counters().fault(fault);
            let response = match fault {
                Fault::RegionRefused => answer::region_refused(&key),
                Fault::Denied => answer::denied(&key, &account),
                Fault::Throttled => answer::throttled(&key),
                Fault::ServerError => answer::server_error(&key),
                _ => std::future::pending().await,
            };
            let bytes = Bytes::from(response.body.clone());
            return build(state, &response, bytes, None);
        }
        other => other,
    };

    let made = state.organization.as_ref();
    if let Some(response) = made.and_then(|o| o.answer(&key, &account)) {
        if response.status < 400 {
            state.counters().succeeded(&account, &key);
        }
        let bytes = Bytes::from(response.body.clone());
        return build(state, &response, bytes, None);
    }
    let Some(at) = state.recording.position(&key) else {
        state.counters().missed(&label);
        let response = answer::not_recorded(&key);
        let bytes = Bytes::from(response.body.clone());
        return build(state, &response, bytes, None);
    };
    let (Some(response), Some(bytes)) = (state.recording.at(at), state.bodies.get(at)) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let rewritten = made.and_then(|o| o.outward(&account, &key, bytes));
    let bytes = rewritten.map_or_else(|| bytes.clone(), Bytes::from);
    // Nothing can be cut from an answer that has no body.
    let damage = damage.filter(|_| key.method != "HEAD");
    match damage {
        Some(fault) => state.counters().fault(fault),
        None if response.status < 500 => state.counters().succeeded(&account, &key),
        None => {}
    }
    build(state, response, bytes, damage)
}

fn plain(status: StatusCode) -> Response<Answer> {
    let mut response = Response::new(Answer::whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn build(
    state: &State,
    recorded: &RecordedResponse,
    bytes: Bytes,
    damage: Option<Fault>,
) -> Response<Answer> {
    let half = bytes.slice(..bytes.len() / 2);
    let mut announced = None;
    let body = match damage {
        Some(Fault::Truncated) => {
            // An empty body is announced as longer than it is, too.
            announced = Some(bytes.len().max(16));
            Answer::broken(half, announced)
        }
        Some(Fault::TruncatedChunked) => Answer::broken(half, None),
        // No XML, JSON or CBOR document ends like this.
        Some(Fault::Malformed) => {
            Answer::whole(Bytes::from([&half, b"\x00<&{\"".as_slice()].concat()))
        }
        _ => Answer::whole(bytes),
    };
    state.counters().sent(body.bytes.len());
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &recorded.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    if let Some(length) = announced {
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// A body that comes whole, or that breaks off after what it has.
struct Answer {
    bytes: Bytes,
    end: End,
}

enum End {
    Whole,
    Broken {
        announced: Option<usize>,
        pause: Option<Pin<Box<Sleep>>>,
    },
}

impl Answer {
    fn whole(bytes: Bytes) -> Self {
        Self {
            bytes,
            end: End::Whole,
        }
    }

    fn broken(bytes: Bytes, announced: Option<usize>) -> Self {
        Self {
            bytes,
            end: End::Broken {
                announced,
                pause: None,
            },
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.bytes.is_empty() {
            let bytes = std::mem::take(&mut self.bytes);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        match &mut self.end {
            End::Whole => Poll::Ready(None),
            End::Broken { pause, .. } => {
                let pause =
                    pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(TRUNCATION_PAUSE)));
                pause
                    .as_mut()
                    .poll(context)
                    .map(|()| Some(Err(std::io::Error::other("broken off on purpose"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Whole) && self.bytes.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match &self.end {
            End::Whole => hyper::body::SizeHint::with_exact(self.bytes.len() as u64),
            End::Broken {
                announced: Some(length),
                ..
            } => hyper::body::SizeHint::with_exact(*length as u64),
            End::Broken {
                announced: None, ..
            } => hyper::body::SizeHint::default(),
        }
    }
}

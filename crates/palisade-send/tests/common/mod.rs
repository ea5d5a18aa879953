//! An assessment, somebody who answers for AWS, and a server on loopback.
#![allow(dead_code, reason = "each test file takes what it needs")]

use palisade_core::{
    Assessment, Category, CheckSummary, Coverage, Finding, FixAvailability, MutedBy, Muting,
    Severity, Status,
};
use palisade_model::{
    Api, ApiError, CallFuture, CallRequest, Models, OperationStatistics, Page, Value,
};
use palisade_send::{Aws, Destination, Filter, Http, Kind, Policy, SendError, Sender, Sent, State};
use serde_json::{Map, Value as Json, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const ACCOUNT: &str = "123456789012";

pub fn finding(check: &str, status: Status, resource: &str) -> Finding {
    Finding {
        check: check.into(),
        status,
        severity: Severity::High,
        account_id: ACCOUNT.into(),
        region: "eu-west-1".into(),
        resource: resource.to_owned(),
        resource_id: resource.rsplit(':').next().unwrap_or_default().to_owned(),
        resource_type: "s3_bucket".into(),
        message: format!("it is {status}"),
        evidence: Map::new(),
        requirements: Arc::new([]),
        fix: FixAvailability::Guided,
        history: None,
        missing_permissions: Vec::new(),
        muted: None,
    }
}

/// A finding about resources that could not be listed.
pub fn unlisted(check: &str, region: &str) -> Finding {
    Finding {
        region: region.into(),
        resource_id: String::new(),
        ..finding(check, Status::Unknown, "")
    }
}

pub fn muted(finding: Finding) -> Finding {
    let mark = Muting {
        by: MutedBy::Mute,
        reason: "serves the public website".to_owned(),
        owner: "web team".to_owned(),
        expires: "2026-12-31".to_owned(),
    };
    Finding {
        muted: Some(Arc::new(mark)),
        ..finding
    }
}

/// An assessment of two checks, started so many hours after midnight.
pub fn assessment(hour: u8, mut findings: Vec<Finding>) -> Assessment {
    findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let check = |id: &str, service: &str| CheckSummary {
        id: id.to_owned(),
        title: format!("The title of {id}"),
        service: service.to_owned(),
        severity: Severity::High,
        category: Category::Data,
        why: String::new(),
        fix: "Do it right.".to_owned(),
        requirements: Vec::new(),
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    };
    Assessment {
        counted: palisade_core::Counted::default(),
        version: "0.1.0".to_owned(),
        started_at: format!("2026-03-01T{hour:02}:00:00Z").parse().unwrap(),
        accounts: vec![ACCOUNT.to_owned()],
        regions: vec!["eu-west-1".to_owned()],
        checks: vec![check("iam-x", "iam"), check("s3-x", "s3")],
        findings,
        coverage: Coverage::default(),
        frameworks: Vec::new(),
        last_scan: None,
        expired_mutes: Vec::new(),
    }
}

type Answerer = Box<dyn Fn(&str, &Json) -> Result<Json, ApiError> + Send + Sync>;

/// Answers by a function and remembers what it was asked: `service:Operation`, region, parameters.
pub struct Fake {
    answer: Answerer,
    pub calls: Mutex<Vec<(String, String, Json)>>,
}

impl Fake {
    pub fn new(
        answer: impl Fn(&str, &Json) -> Result<Json, ApiError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Box::new(answer),
            calls: Mutex::default(),
        }
    }
    /// What it would answer.
    pub fn answer_of(&self, name: &str, params: &Json) -> Result<Json, ApiError> {
        (self.answer)(name, params)
    }
    pub fn of(&self, operation: &str) -> Vec<Json> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|c| c.0 == operation)
            .map(|c| c.2.clone())
            .collect()
    }
}

impl Api for Fake {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        Box::pin(async move {
            let name = format!("{}:{}", request.service, request.operation);
            let params = Json::Object(request.params.clone());
            self.calls.lock().unwrap().push((
                name.clone(),
                request.region.to_owned(),
                params.clone(),
            ));
            let value = (self.answer)(&name, &params)?;
            // as the client does: the next page's parameters are these and the token
            let next = value.get("NextToken").map(|token| {
                let mut params = request.params.clone();
                params.insert("NextToken".to_owned(), token.clone());
                params
            });
            Ok(Page {
                value: Value::Json(Box::new(value)),
                next,
            })
        })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

pub fn http() -> Http {
    Http::new(Policy {
        attempts: 3,
        first: Duration::from_millis(5),
        most: Duration::from_millis(20),
        longest: Duration::from_secs(2),
    })
}

pub fn to(kind: Kind) -> Destination {
    Destination {
        name: "team".to_owned(),
        filter: Filter::default(),
        kind,
    }
}

/// Sends over HTTP.
pub fn send(
    assessment: &Assessment,
    destination: &Destination,
    before: &State,
    dry_run: bool,
) -> Result<Sent, SendError> {
    run(assessment, None, destination, before, dry_run)
}

/// Sends with somebody who answers for AWS.
pub fn send_aws(
    assessment: &Assessment,
    api: &Fake,
    destination: &Destination,
    before: &State,
    dry_run: bool,
) -> Result<Sent, SendError> {
    run(assessment, Some(api), destination, before, dry_run)
}

fn run(
    assessment: &Assessment,
    api: Option<&Fake>,
    destination: &Destination,
    before: &State,
    dry_run: bool,
) -> Result<Sent, SendError> {
    let models = Models::embedded();
    let http = http();
    let aws = api.map(|api| Aws {
        api,
        models: &models,
        region: "eu-west-1",
        account_id: ACCOUNT,
    });
    let sender = Sender {
        assessment,
        aws,
        http: &http,
        dry_run,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(sender.send(destination, before))
}

#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    pub after: Duration,
    /// The connection is closed after so many bytes of the answer.
    pub cut: Option<usize>,
}

pub fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.into(),
        after: Duration::ZERO,
        cut: None,
    }
}

/// A server on loopback: the function is given the number of the request, from 0.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn start(answer: impl Fn(usize, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let log = Arc::clone(&asked);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.unwrap(), &log, &*answer));
            }
        });
        Self { url, asked }
    }
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Asked>>,
    answer: &(dyn Fn(usize, &Asked) -> Reply + Send + Sync),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(n, _)| n == "content-length");
        let length = length.and_then(|(_, v)| v.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let asked = Asked {
            method,
            path,
            headers,
            body: String::from_utf8(body).unwrap(),
        };
        let number = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            log.len() - 1
        };
        let reply = answer(number, &asked);
        std::thread::sleep(reply.after);
        let mut text = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {}\r\n",
            reply.status,
            reply.body.len()
        );
        for (name, value) in &reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.push_str(&reply.body);
        if let Some(bytes) = reply.cut {
            stream.write_all(&text.as_bytes()[..bytes]).unwrap();
            return;
        }
        // who asked may have gone
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

pub fn failed(code: &str) -> ApiError {
    ApiError {
        kind: palisade_core::CallErrorKind::Other,
        code: code.to_owned(),
        message: "no".to_owned(),
    }
}

pub fn empty() -> Json {
    json!({})
}

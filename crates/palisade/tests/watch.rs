//! `palisade watch` as a process, against an account and a queue on loopback: what an event changes, and what is left of it
//! when the process is killed at any point.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{CREDENTIALS, err, palisade};
use palisade_core::{Finding, Status};
use palisade_store::{Options, Store};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An account with buckets, and a queue.
#[derive(Default)]
struct State {
    /// Bucket → the status of its versioning.
    buckets: BTreeMap<String, &'static str>,
    /// The list of buckets is refused.
    denied: bool,
    messages: Vec<Stored>,
    sent: usize,
    /// `operation bucket`, as they came.
    calls: Vec<String>,
}

struct Stored {
    id: String,
    body: String,
    /// Not delivered before.
    after: Instant,
}

#[derive(Clone)]
struct Aws {
    url: String,
    state: Arc<Mutex<State>>,
}

/// How long a message that was delivered stays hidden, whatever the reader asks for: the next process has it at once.
const HIDDEN: Duration = Duration::from_millis(400);

impl Aws {
    fn start(buckets: &[(&str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let buckets = buckets
            .iter()
            .map(|(name, status)| ((*name).to_owned(), *status));
        let state = State {
            buckets: buckets.collect(),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream.unwrap(), &state));
            }
        });
        Self { url, state }
    }

    fn set(&self, bucket: &str, status: &'static str) {
        self.state
            .lock()
            .unwrap()
            .buckets
            .insert(bucket.to_owned(), status);
    }

    fn put(&self, body: &str) {
        let mut state = self.state.lock().unwrap();
        state.sent += 1;
        let message = Stored {
            id: format!("m-{}", state.sent),
            body: body.to_owned(),
            after: Instant::now(),
        };
        state.messages.push(message);
    }

    /// An event about a bucket.
    fn event(&self, name: &str, bucket: &str) -> String {
        let number = {
            let mut state = self.state.lock().unwrap();
            state.sent += 1;
            state.sent
        };
        let event = json!({
            "version": "0", "id": format!("e-{number}"), "detail-type": "AWS API Call via CloudTrail",
            "source": "aws.s3", "account": "123456789012", "time": "2026-01-31T12:00:00Z", "region": "us-east-1",
            "resources": [],
            "detail": {
                "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
                "eventID": format!("e-{number}"), "readOnly": false, "recipientAccountId": "123456789012",
                "requestParameters": {"bucketName": bucket}, "responseElements": null,
            }
        });
        let body = event.to_string();
        self.put(&body);
        body
    }

    fn left(&self) -> usize {
        self.state.lock().unwrap().messages.len()
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    if reader.read_line(&mut first).unwrap_or(0) == 0 {
        return;
    }
    let (mut length, mut target) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
            break;
        }
        let lower = line.to_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if lower.starts_with("x-amz-target:") {
            target = line.rsplit('.').next().unwrap().trim().to_owned();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8(body).unwrap();
    let (status, kind, answer) = if !target.is_empty() {
        (
            200,
            "application/x-amz-json-1.0",
            queue(&target, &body, state),
        )
    } else if body.contains("Action=GetCallerIdentity") {
        (200, "text/xml", IDENTITY.to_owned())
    } else {
        let path = first.split(' ').nth(1).unwrap_or("/");
        let (status, answer) = bucket(path, state);
        (status, "application/xml", answer)
    };
    // a reader that was killed is nobody's problem
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

const IDENTITY: &str = r#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/watch</Arn><UserId>AIDAEXAMPLE</UserId><Account>123456789012</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"#;

fn bucket(path: &str, state: &Mutex<State>) -> (u16, String) {
    let mut state = state.lock().unwrap();
    let name = path
        .trim_start_matches('/')
        .split('?')
        .next()
        .unwrap_or_default()
        .trim_end_matches('/')
        .to_owned();
    if name.is_empty() {
        state.calls.push("ListBuckets".to_owned());
        if state.denied {
            return (
                403,
                "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".to_owned(),
            );
        }
        let one = |name: &String| {
            format!(
                "<Bucket><Name>{name}</Name><CreationDate>2026-01-01T00:00:00.000Z</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>"
            )
        };
        let all: String = state.buckets.keys().map(one).collect();
        return (
            200,
            format!("<ListAllMyBucketsResult><Buckets>{all}</Buckets></ListAllMyBucketsResult>"),
        );
    }
    state.calls.push(format!("GetBucketVersioning {name}"));
    match state.buckets.get(&name) {
        Some(status) => (
            200,
            format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>"),
        ),
        None => (
            404,
            "<Error><Code>NoSuchBucket</Code><Message>no</Message></Error>".to_owned(),
        ),
    }
}

fn queue(operation: &str, body: &str, state: &Mutex<State>) -> String {
    let body: Json = serde_json::from_str(body).unwrap();
    let entries = body["Entries"].as_array().cloned().unwrap_or_default();
    match operation {
        "ReceiveMessage" => {
            let wait = body["WaitTimeSeconds"].as_u64().unwrap_or(0);
            let until = Instant::now() + Duration::from_secs(wait);
            loop {
                let now = Instant::now();
                let mut held = state.lock().unwrap();
                let some: Vec<Json> = held
                    .messages
                    .iter_mut()
                    .filter(|m| m.after <= now)
                    .take(10)
                    .map(|m| {
                        m.after = now + HIDDEN;
                        json!({"MessageId": m.id, "ReceiptHandle": m.id, "Body": m.body})
                    })
                    .collect();
                drop(held);
                if !some.is_empty() || now >= until {
                    return json!({ "Messages": some }).to_string();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        "DeleteMessageBatch" => {
            let handles: BTreeSet<&str> = entries
                .iter()
                .map(|e| e["ReceiptHandle"].as_str().unwrap())
                .collect();
            state
                .lock()
                .unwrap()
                .messages
                .retain(|m| !handles.contains(m.id.as_str()));
            let done: Vec<Json> = entries.iter().map(|e| json!({"Id": e["Id"]})).collect();
            json!({"Successful": done, "Failed": []}).to_string()
        }
        "ChangeMessageVisibilityBatch" => {
            let done: Vec<Json> = entries.iter().map(|e| json!({"Id": e["Id"]})).collect();
            json!({"Successful": done, "Failed": []}).to_string()
        }
        other => panic!("{other} was not expected"),
    }
}

struct Watch {
    aws: Aws,
    folder: tempfile::TempDir,
}

impl Watch {
    fn new(buckets: &[(&str, &'static str)]) -> Self {
        let watch = Self {
            aws: Aws::start(buckets),
            folder: tempfile::tempdir().unwrap(),
        };
        let output = watch.command(&[]).arg("--once").output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        watch
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = palisade(self.folder.path());
        command
            .args([
                "watch",
                "--check",
                "s3-bucket-versioning",
                "--region",
                "us-east-1",
            ])
            .args([
                "--store",
                "store",
                "--changes",
                "changes.jsonl",
                "--debounce",
                "0s",
            ])
            .args(["--endpoint-url", &self.aws.url])
            .args(more)
            .envs(CREDENTIALS);
        command
    }

    fn queue(&self) -> Command {
        let url = format!("{}/123456789012/events", self.aws.url);
        self.command(&["--no-initial", "--queue", &url])
    }

    /// Works on what is in the queue.
    fn once(&self) -> Output {
        let output = self.queue().arg("--once").output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        output
    }

    /// `change bucket`, with ids that are all different.
    fn changes(&self) -> Vec<String> {
        let text =
            std::fs::read_to_string(self.folder.path().join("changes.jsonl")).unwrap_or_default();
        let mut ids = BTreeSet::new();
        let mut all = Vec::new();
        for line in text.lines() {
            let json: Json = serde_json::from_str(line).unwrap();
            assert!(
                ids.insert(json["id"].as_str().unwrap().to_owned()),
                "{line} is there twice"
            );
            let resource = json["finding"]["resource_id"].as_str().unwrap();
            all.push(format!("{} {resource}", json["change"].as_str().unwrap()));
        }
        all
    }

    fn store(&self) -> Store {
        let folder = self.folder.path().join("store");
        Store::open(folder.to_str().unwrap(), &Options::default()).unwrap()
    }

    /// The verdicts of the last snapshot, after everything in the store was found whole.
    fn findings(&self) -> Vec<Finding> {
        let store = self.store();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listing = store.list().await.unwrap();
            assert!(listing.damaged.is_empty(), "{:?}", listing.damaged);
            for manifest in &listing.manifests {
                let verified = store.verify(&store.of(manifest.clone())).await;
                assert!(verified.damaged.is_empty(), "{:?}", verified.damaged);
            }
            store
                .snapshot("latest")
                .await
                .unwrap()
                .all_findings()
                .await
                .unwrap()
        })
    }

    /// `bucket status`.
    fn stand(&self) -> Vec<String> {
        let findings = self.findings();
        findings
            .iter()
            .map(|f| format!("{} {}", f.resource_id, f.status))
            .collect()
    }

    fn snapshots(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("store/snapshots")).map_or(0, |all| {
            all.filter(|f| is_committed(&f.as_ref().unwrap().path()))
                .count()
        })
    }
}

fn is_committed(folder: &Path) -> bool {
    folder.join("manifest.json").is_file()
}

#[test]
fn an_event_changes_what_it_touched() {
    let watch = Watch::new(&[("a", "Enabled"), ("b", "Suspended")]);
    assert_eq!(watch.changes(), ["opened b"]);
    assert_eq!(watch.stand(), ["a pass", "b fail"]);
    watch.aws.calls();

    // one resource is read again, and nothing else
    watch.aws.set("a", "Suspended");
    let first = watch.aws.event("PutBucketVersioning", "a");
    watch.once();
    assert_eq!(watch.changes(), ["opened b", "opened a"]);
    assert_eq!(watch.stand(), ["a fail", "b fail"]);
    assert_eq!(watch.aws.calls(), ["ListBuckets", "GetBucketVersioning a"]);
    assert_eq!((watch.aws.left(), watch.snapshots()), (0, 2));

    // the same event again changes nothing, and reads nothing
    watch.aws.put(&first);
    watch.once();
    assert_eq!(
        (watch.aws.calls(), watch.aws.left(), watch.snapshots()),
        (vec![], 0, 2)
    );

    // an event that changed nothing makes no snapshot
    watch.aws.event("PutBucketTagging", "b");
    watch.once();
    assert_eq!((watch.aws.left(), watch.snapshots()), (0, 2));
    watch.aws.calls();

    // out of order, and several at once: what is there now counts
    watch.aws.set("a", "Enabled");
    watch.aws.set("c", "Suspended");
    watch.aws.state.lock().unwrap().buckets.remove("b");
    for (name, bucket) in [
        ("PutBucketVersioning", "a"),
        ("DeleteBucket", "b"),
        ("CreateBucket", "b"),
        ("CreateBucket", "c"),
    ] {
        watch.aws.event(name, bucket);
    }
    watch.once();
    assert_eq!(watch.changes()[2..], ["fixed a", "gone b", "opened c"]);
    assert_eq!(watch.stand(), ["a pass", "c fail"]);
    assert_eq!((watch.aws.left(), watch.snapshots()), (0, 3));
    watch.aws.calls();

    // a list that fails makes it unknown, not gone
    watch.aws.state.lock().unwrap().denied = true;
    watch.aws.event("PutBucketVersioning", "c");
    watch.once();
    assert_eq!(
        watch
            .stand()
            .iter()
            .filter(|s| s.starts_with("c "))
            .collect::<Vec<_>>(),
        ["c unknown"]
    );
    assert!(watch.stand().contains(&"a pass".to_owned()));
    assert!(
        !watch.changes().contains(&"gone c".to_owned()),
        "{:?}",
        watch.changes()
    );
    watch.aws.state.lock().unwrap().denied = false;
    watch.aws.event("PutBucketVersioning", "c");
    watch.once();
    assert_eq!(watch.stand(), ["a pass", "c fail"]);

    // what cannot be understood is said, and stays
    watch.aws.put("{\"no\": \"event\"}");
    watch.aws.event("PutBucketVersioning", "a");
    let output = watch.once();
    assert!(
        err(&output).contains("stays in the queue"),
        "{}",
        err(&output)
    );
    assert_eq!(watch.aws.left(), 1);
}

#[test]
fn events_from_a_file() {
    let watch = Watch::new(&[("a", "Enabled")]);
    watch.aws.set("a", "Suspended");
    let event = watch.aws.event("PutBucketVersioning", "a");
    let file = watch.folder.path().join("events.jsonl");
    std::fs::write(&file, format!("{event}\n\n{event}\n")).unwrap();
    let output = watch
        .command(&["--no-initial", "--events", "events.jsonl"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(watch.changes(), ["opened a"]);
    // a line that is no event is an error in the end, and the others count
    watch.aws.set("a", "Enabled");
    let event = watch.aws.event("PutBucketVersioning", "a");
    std::fs::write(&file, format!("nonsense\n{event}\n")).unwrap();
    let output = watch
        .command(&["--no-initial", "--events", "events.jsonl"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("line 1"), "{}", err(&output));
    assert_eq!(watch.changes(), ["opened a", "fixed a"]);
}

#[test]
fn usage() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (vec!["--store", "s"], "nothing to watch"),
        (vec!["--store", "s", "--every", "6"], "give a number"),
        (
            vec![
                "--store",
                "s",
                "--queue",
                "nonsense",
                "--endpoint-url",
                "http://127.0.0.1:9",
            ],
            "",
        ),
        (
            vec!["--store", "s", "--queue", "https://q", "--events", "f"],
            "cannot be used with",
        ),
        (
            vec!["--store", "s", "--demo", "--queue", "https://q"],
            "a recording",
        ),
    ] {
        let output = palisade(folder.path())
            .arg("watch")
            .args(&arguments)
            .envs(CREDENTIALS)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        assert!(
            err(&output).contains(expected),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

/// Ended where it hurts most: before and after every step. The next run loses nothing and tells nothing twice.
#[test]
fn a_crash_at_every_step() {
    for place in [
        "before-collect",
        "after-collect",
        "before-ledger",
        "before-commit",
        "after-commit",
        "after-told",
        "before-delete",
        "after-delete",
    ] {
        let watch = Watch::new(&[("a", "Enabled"), ("b", "Suspended")]);
        watch.aws.set("a", "Suspended");
        watch.aws.event("PutBucketVersioning", "a");
        let output = watch
            .queue()
            .arg("--once")
            .env("PALISADE_WATCH_FAULT", place)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), None, "{place}: {}", err(&output));
        let left = watch.aws.left();
        assert_eq!(left, usize::from(place != "after-delete"), "{place}");
        std::thread::sleep(HIDDEN);
        watch.once();
        assert_eq!(watch.changes(), ["opened b", "opened a"], "{place}");
        assert_eq!(watch.stand(), ["a fail", "b fail"], "{place}");
        assert_eq!(watch.aws.left(), 0, "{place}");
        assert_eq!(watch.snapshots(), 2, "{place}");
    }
}

/// Killed at random, again and again, while buckets change and events come; `PALISADE_KILLS` says how often.
#[test]
fn kills_at_random() {
    let kills: u32 = std::env::var("PALISADE_KILLS").map_or(12, |n| n.parse().unwrap());
    let watch = Watch::new(&[("a", "Enabled"), ("b", "Enabled")]);
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut status = BTreeMap::from([("a", "Enabled"), ("b", "Enabled")]);
    // how long one takes here, so that kills fall into its work
    let begun = Instant::now();
    watch.once();
    let whole = begun.elapsed().saturating_sub(Duration::from_secs(2)) + Duration::from_millis(500);
    for _ in 0..kills {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let bucket = if random & 1 == 0 { "a" } else { "b" };
        let now = if status[bucket] == "Enabled" {
            "Suspended"
        } else {
            "Enabled"
        };
        status.insert(bucket, now);
        watch.aws.set(bucket, now);
        watch.aws.event("PutBucketVersioning", bucket);
        let mut child = watch
            .queue()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(whole.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    while watch.aws.left() > 0 {
        std::thread::sleep(HIDDEN);
        watch.once();
    }
    for finding in watch.findings() {
        let expected = if status[&*finding.resource_id] == "Enabled" {
            Status::Pass
        } else {
            Status::Fail
        };
        assert_eq!(finding.status, expected, "{}", finding.resource_id);
    }
    assert_eq!(watch.findings().len(), 2);
    // told one by one, changes lead from the first state to the last
    let mut open: BTreeSet<String> = BTreeSet::new();
    for change in watch.changes() {
        let (kind, bucket) = change.split_once(' ').unwrap();
        match kind {
            "opened" => assert!(open.insert(bucket.to_owned()), "{bucket} was opened twice"),
            "fixed" => assert!(open.remove(bucket), "{bucket} was fixed and not open"),
            other => panic!("{other}"),
        }
    }
    let failed = status
        .iter()
        .filter(|(_, s)| **s == "Suspended")
        .map(|(b, _)| (*b).to_owned());
    assert_eq!(open, failed.collect());
}

/// A signal ends it after what it works on.
#[cfg(unix)]
#[test]
fn a_signal_ends_it() {
    let watch = Watch::new(&[("a", "Enabled")]);
    watch.aws.set("a", "Suspended");
    watch.aws.event("PutBucketVersioning", "a");
    let child = watch
        .queue()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while watch.changes().is_empty() {
        std::thread::sleep(Duration::from_millis(50));
    }
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(
        err(&output).contains("findings changed"),
        "{}",
        err(&output)
    );
    assert_eq!(
        (watch.changes(), watch.aws.left()),
        (vec!["opened a".to_owned()], 0)
    );
}

/// From the moment that an event is in the queue to the moment that its changed finding is in the file:
/// `cargo test --workspace --test watch -- --ignored --nocapture latency`.
#[test]
#[ignore = "a benchmark"]
fn latency() {
    for buckets in [1, 1000] {
        let names: Vec<String> = (0..buckets).map(|n| format!("b{n:04}")).collect();
        let all: Vec<(&str, &'static str)> =
            names.iter().map(|n| (n.as_str(), "Enabled")).collect();
        let watch = Watch::new(&all);
        let mut child = watch
            .queue()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut took = Vec::new();
        for (number, name) in names.iter().cycle().take(12).enumerate() {
            let now = if number % 2 == 0 || buckets > 1 {
                "Suspended"
            } else {
                "Enabled"
            };
            watch.aws.set(name, now);
            let begun = Instant::now();
            watch.aws.event("PutBucketVersioning", name);
            while watch.changes().len() <= number {
                std::thread::sleep(Duration::from_millis(5));
            }
            took.push(begun.elapsed());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // the first one waits for the process to start
        let mut rest = took.split_off(1);
        rest.sort();
        println!(
            "{buckets} buckets: first {:?} (with the start), then median {:?}, longest {:?}",
            took[0],
            rest[rest.len() / 2],
            rest[rest.len() - 1]
        );
    }
}

//! `palisade fix retire` on an endpoint that keeps state: disable, observe, schedule the deletion, call it off; every reason
//! to refuse.
use crate::account::text;
use crate::kept::Kept;
use crate::moto::CREDENTIALS;
use palisade_core::Timestamp;
use palisade_fix::{Plan, read_run, undo_hash};
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const KEY: &str = "11111111-2222-3333-4444-555555555555";
const DAY: i64 = 86_400_000_000;

struct Bench<'a> {
    kept: &'a Kept,
    folder: &'a Path,
}

fn ago(days: i64) -> Timestamp {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.unwrap().as_micros()).unwrap();
    Timestamp::from_micros(now - days * DAY)
}

impl Bench<'_> {
    fn palisade(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(arguments)
            .current_dir(self.folder)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.kept.url)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn http(&self, request: &str, body: &str) -> String {
        let host = self.kept.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn account(&self) -> Json {
        serde_json::from_str(&self.http("GET /_account", "")).unwrap()
    }

    fn calls(&self) -> Vec<String> {
        serde_json::from_str(&self.http("GET /_calls", "")).unwrap()
    }

    fn set(&self, name: &str, answer: &Json) {
        self.http("PUT /_set", &json!({name: answer}).to_string());
    }

    /// What CloudTrail knows of KMS.
    fn events(&self, events: &Json) {
        let all = json!([
            {"when": {"LookupAttributes": [{"AttributeKey": "EventSource", "AttributeValue": "kms.amazonaws.com"}]}, "answer": {"Events": events}},
            {"when": {}, "answer": {"Events": []}},
        ]);
        self.set("cloudtrail:LookupEvents", &all);
    }

    fn retire(&self, file: &str) -> Output {
        self.palisade(&["fix", "retire", "kms-key", KEY, "--output", file])
    }

    fn plan(&self, file: &str) -> Plan {
        Plan::parse(&std::fs::read_to_string(self.folder.join(file)).unwrap()).unwrap()
    }

    fn apply(&self, file: &str, more: &[&str]) -> Output {
        let hash = self.plan(file).hash;
        let mut arguments = vec!["fix", "apply", file, "--approve", &hash];
        arguments.extend(more);
        self.palisade(&arguments)
    }

    fn refused(&self, output: &Output, expected: &str) {
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{expected}: {said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }

    /// The journal of the only run, as if it were so many days older.
    fn age(&self, days: i64) {
        let run = read_run(&self.folder.join("palisade-runs"), "").unwrap();
        let lines = std::fs::read_to_string(&run.path).unwrap();
        let mut aged = String::new();
        for line in lines.lines() {
            let mut event: Json = serde_json::from_str(line).unwrap();
            event["time"] = json!(ago(days).to_string());
            aged.push_str(&format!("{event}\n"));
        }
        std::fs::write(&run.path, aged).unwrap();
    }
}

fn event(name: &str, at: Timestamp, detail: &Json) -> Json {
    json!({"EventId": "1", "EventName": name, "EventTime": at.to_string(), "EventSource": "kms.amazonaws.com", "Username": "app", "CloudTrailEvent": detail.to_string()})
}

#[test]
fn a_key_is_retired_step_by_step() {
    let kept = Kept::start();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench {
        kept: &kept,
        folder: folder.path(),
    };

    // first it is disabled: an ordinary plan
    let first = bench.retire("first.json");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let plan = bench.plan("first.json");
    assert_eq!(plan.items[0].steps[0].call.name(), "kms:DisableKey");
    assert_eq!(plan.retirement, None);
    let applied = bench.apply("first.json", &[]);
    // there is no check: changed, and the state says so
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    assert_eq!(bench.calls(), ["kms:DisableKey"]);
    // the endpoint's key says the same in two members
    let mut key = bench.account()["kms:DescribeKey"].clone();
    key["KeyMetadata"]["KeyState"] = json!("Disabled");
    bench.set("kms:DescribeKey", &key);

    // too early, and too short
    bench.refused(&bench.retire("last.json"), "use is observed for 30 days");
    let short = bench.palisade(&["fix", "retire", "kms-key", KEY, "--days", "1"]);
    bench.refused(&short, "7 to 90 days");
    bench.age(40);

    // somebody wanted it, also when it failed
    let mut decrypt = json!({"requestParameters": {"keyId": "alias/app"}, "errorCode": "DisabledException", "errorMessage": format!("arn:aws:kms:us-east-1:123456789012:key/{KEY} is disabled.")});
    bench.events(&json!([event("Decrypt", ago(3), &decrypt)]));
    bench.refused(&bench.retire("last.json"), "somebody still wants it");
    // it is not known whether somebody did
    bench.set(
        "cloudtrail:LookupEvents",
        &json!({"$error": "AccessDeniedException"}),
    );
    bench.refused(
        &bench.retire("last.json"),
        "it is not known whether the key is used",
    );
    // another key, and who only looks, do not count
    decrypt["errorMessage"] = json!("arn:aws:kms:us-east-1:123456789012:key/other is disabled.");
    let looked = json!({"requestParameters": {"keyId": KEY}});
    let quiet = json!([
        event("Decrypt", ago(3), &decrypt),
        event("DescribeKey", ago(2), &looked)
    ]);
    bench.events(&quiet);
    let last = bench.retire("last.json");
    assert!(last.status.success(), "{}", text(&last.stderr));
    let plan = bench.plan("last.json");
    assert_eq!(
        plan.items[0].steps[0].call.name(),
        "kms:ScheduleKeyDeletion"
    );
    assert_eq!(
        plan.items[0].steps[0].inverse.as_ref().unwrap().operation,
        "CancelKeyDeletion"
    );
    assert_eq!(plan.retirement.as_ref().unwrap().events, 2);

    // its own flag, and what was planned must hold still
    bench.refused(
        &bench.apply("last.json", &[]),
        "--retire says that this is meant",
    );
    bench.events(&json!([event("Encrypt", ago(0), &looked)]));
    bench.refused(
        &bench.apply("last.json", &["--retire"]),
        "somebody still wants it",
    );
    bench.events(&quiet);
    // nor does a plan written by hand do it
    let mut forged = plan.clone();
    forged.retirement = None;
    forged.hash = forged.content_hash();
    std::fs::write(folder.path().join("forged.json"), forged.to_json()).unwrap();
    bench.refused(&bench.apply("forged.json", &["--retire"]), "which destroys");
    assert_eq!(bench.calls(), ["kms:DisableKey"]);

    // the last step, and back
    let before = bench.account();
    let applied = bench.apply("last.json", &["--retire", "--runs", "last"]);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    assert_eq!(
        bench.account()["kms:DescribeKey"]["KeyMetadata"]["KeyState"],
        "PendingDeletion"
    );
    let run = read_run(&folder.path().join("last"), "").unwrap();
    let approve = undo_hash(&run, &[]);
    let undone = bench.palisade(&[
        "fix",
        "undo",
        &run.name,
        "--runs",
        "last",
        "--approve",
        &approve,
    ]);
    assert!(undone.status.success(), "{}", text(&undone.stderr));
    assert_eq!(bench.account(), before);
    assert_eq!(
        bench.calls(),
        [
            "kms:DisableKey",
            "kms:ScheduleKeyDeletion",
            "kms:CancelKeyDeletion"
        ]
    );
}

#[test]
fn an_access_key_is_never_deleted() {
    let kept = Kept::start();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench {
        kept: &kept,
        folder: folder.path(),
    };
    let key = "kept/AKIAKEPT000000000000";
    let retire = || bench.palisade(&["fix", "retire", "access-key", key, "--output", "plan.json"]);
    assert!(retire().status.success());
    assert!(bench.apply("plan.json", &[]).status.success());
    bench.refused(&retire(), "use is observed for 30 days");
    bench.age(31);
    bench.set("iam:GetAccessKeyLastUsed", &json!({"UserName": "kept", "AccessKeyLastUsed": {"LastUsedDate": ago(1).to_string(), "ServiceName": "s3", "Region": "us-east-1"}}));
    bench.refused(&retire(), "after it was disabled");
    bench.set(
        "iam:GetAccessKeyLastUsed",
        &json!({"UserName": "kept", "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}}),
    );
    let told = retire();
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert!(text(&told.stdout).contains("aws iam delete-access-key"));
    assert_eq!(bench.calls(), ["iam:UpdateAccessKey"]);
    let unknown = bench.palisade(&["fix", "retire", "access-key", "kept/AKIAOTHER"]);
    bench.refused(&unknown, "has no access key");
    let wrong = bench.palisade(&["fix", "retire", "kms-key", "alias/app"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
}

//! The whole account behind an endpoint, before and after: as boto3 describes it call by call, and as every table of
//! Palisade reads it, answer by answer.
use crate::moto::{CREDENTIALS, python, root};
use palisade_fix::{Plan, Step};
use palisade_replay::Recording;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Call → answer.
pub type Dump = BTreeMap<String, Json>;

/// Request → status and body, without what is another one each time.
pub type Recorded = BTreeMap<String, String>;

pub struct Account<'a> {
    pub name: &'static str,
    pub folder: PathBuf,
    url: &'a str,
}

/// What was seen of an account.
pub struct Seen<'a> {
    pub before: &'a Dump,
    pub after: &'a Dump,
    pub back: &'a Dump,
    pub recorded: &'a Recorded,
    pub recorded_back: &'a Recorded,
}

impl<'a> Account<'a> {
    pub fn new(name: &'static str, url: &'a str, folder: &Path) -> Self {
        Self {
            name,
            folder: folder.to_owned(),
            url,
        }
    }

    pub fn palisade(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(arguments)
            .current_dir(&self.folder)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", self.url)
            .output()
            .unwrap()
    }

    pub fn python(&self, script: &str) -> String {
        let output = Command::new(python())
            .arg(root().join("tests/live").join(script))
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", self.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// The state when resources that were made a moment ago are ready: moto moves on when it is asked.
    pub fn settled(&self) -> Dump {
        let mut last = self.dump();
        for _ in 0..5 {
            let now = self.dump();
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("the account does not come to rest");
    }

    pub fn dump(&self) -> Dump {
        if self.name == "kept" {
            return serde_json::from_str(&self.get("/_account")).unwrap();
        }
        serde_json::from_str(&self.python("dump.py")).unwrap()
    }

    fn get(&self, path: &str) -> String {
        let host = self.url.trim_start_matches("http://");
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    /// Every answer that any table of the catalogue is read from.
    pub fn record(&self) -> Recorded {
        let file = self.folder.join("account.rec");
        let _ = std::fs::remove_file(&file);
        let output = self.palisade(&[
            "scan",
            "--all-tables",
            "--region",
            "us-east-1",
            "--check",
            "s3-bucket-versioning",
            "--record",
            "account.rec",
            "--output",
            "json=/dev/null",
        ]);
        let recording =
            Recording::load(&file).unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
        let answers = recording.iter().map(|(key, answer)| {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            let asked = format!(
                "{} {} {} {:?} {}",
                key.service,
                key.operation(),
                key.path,
                key.query,
                String::from_utf8_lossy(&key.body)
            );
            (asked, format!("{} {}", answer.status, lasting(&body)))
        });
        answers.collect()
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Without ids of requests and without the time at which somebody looked: moto's `now`.
fn lasting(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    let mut rest = body;
    while let Some((before, after)) = rest.split_once("<RequestId>") {
        out.push_str(before);
        rest = after.split_once("</RequestId>").map_or("", |(_, r)| r);
    }
    out.push_str(rest);
    let mut kept = String::with_capacity(out.len());
    let mut number = String::new();
    // numbers and times, as one word each
    for c in out.chars().chain(['\n']) {
        if c.is_ascii_digit() || (matches!(c, '.' | ':' | '-' | 'T' | 'Z') && !number.is_empty()) {
            number.push(c);
            continue;
        }
        let is_epoch = number.len() >= 10
            && number.starts_with("17")
            && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let is_time = number.len() >= 19 && number.starts_with("20") && number.contains('T');
        kept.push_str(if is_epoch || is_time {
            "(time)"
        } else {
            &number
        });
        number.clear();
        kept.push(c);
    }
    kept
}

/// What is not as the plan says: changes of what it does not name, and what did not come back.
pub fn compare(plan: &Plan, seen: &Seen<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let ids: Vec<&str> = plan
        .items
        .iter()
        .flat_map(|i| [i.resource_id.as_str()].into_iter().chain(named(i)))
        .filter(|id| id.len() > 3)
        .collect();
    let of_account = [
        "iam:get_account",
        "s3control:",
        "ec2:get_",
        "ssm:get_service",
        "macie2:",
    ];
    // the endpoint that keeps state names its answers by the operation alone
    let steps = plan.items.iter().flat_map(|i| &i.steps);
    let reads: BTreeSet<String> = steps.map(|s| s.read.call.name()).collect();
    for (key, old, new) in changed(seen.before, seen.after) {
        let planned = ids
            .iter()
            .any(|id| key.contains(id) || old.contains(id) || new.contains(id))
            || reads.contains(&key)
            || is_element(plan, &old, &new)
            || of_account.iter().any(|p| key.starts_with(p));
        if !planned {
            wrong.push(format!(
                "changed without being planned: {key}: {old} -> {new}"
            ));
        }
    }
    // undo brings everything back but what the plan said it cannot
    let exact = |s: &Step| s.inverse.is_some() && s.attributes.iter().all(|a| a.back.is_none());
    let lossy: Vec<&str> = plan
        .items
        .iter()
        .filter(|i| !i.steps.iter().all(exact))
        .flat_map(|i| [i.resource_id.as_str()].into_iter().chain(named(i)))
        .collect();
    for (key, old, new) in changed(seen.before, seen.back) {
        if !lossy.iter().any(|id| key.contains(id) || old.contains(id)) {
            wrong.push(format!("not as before: {key}: {old} -> {new}"));
        }
    }
    let keys: BTreeSet<&String> = seen
        .recorded
        .keys()
        .chain(seen.recorded_back.keys())
        .collect();
    assert!(keys.len() > 100, "only {} answers", keys.len());
    for key in keys {
        let (old, new) = (seen.recorded.get(key), seen.recorded_back.get(key));
        let (Some(old), Some(new)) = (old, new) else {
            wrong.push(format!("asked only once: {key}"));
            continue;
        };
        if !is_same(old, new) && !lossy.iter().any(|id| key.contains(id) || old.contains(id)) {
            wrong.push(format!(
                "not as before, byte for byte: {key}:\n{old}\n{new}"
            ));
        }
    }
    wrong
}

/// Whether an element of a list becomes what the plan says: a permission of a security group does not name the group.
fn is_element(plan: &Plan, old: &str, new: &str) -> bool {
    let parsed = |text: &str| serde_json::from_str::<Json>(text).map(sorted).ok();
    let (Some(old), Some(new)) = (parsed(old), parsed(new)) else {
        return false;
    };
    let holds = |list: &Json, element: &Json| {
        let list = list.as_array();
        list.is_some_and(|l| l.iter().any(|e| sorted(e.clone()) == *element))
    };
    let mut attributes = plan
        .items
        .iter()
        .flat_map(|i| &i.steps)
        .flat_map(|s| &s.attributes);
    attributes.any(|a| holds(&a.before, &old) && holds(&a.after, &new))
}

fn sorted(value: Json) -> Json {
    match value {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.into_iter().map(sorted).collect();
            items.sort_by_key(|item| item.to_string());
            Json::Array(items)
        }
        Json::Object(map) => {
            let mut map: Vec<_> = map.into_iter().map(|(n, v)| (n, sorted(v))).collect();
            map.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(map.into_iter().collect())
        }
        other => other,
    }
}

/// Byte for byte, but for the order of elements: a member that was taken from a list and put back is its last.
fn is_same(old: &str, new: &str) -> bool {
    let parts = |text: &str| {
        let parts = text.split_inclusive(['<', ',', '{', '[', ']', '}']);
        let mut parts: Vec<String> = parts.map(str::to_owned).collect();
        parts.sort_unstable();
        parts
    };
    old == new || parts(old) == parts(new)
}

/// What the calls of an item name: a trail's fix may change a bucket.
fn named(item: &palisade_fix::Item) -> impl Iterator<Item = &str> {
    let steps = item.steps.iter();
    steps.flat_map(|s| s.read.call.params.values().filter_map(Json::as_str))
}

/// Elements that differ, each as the smallest element of a list, or whole answer, that holds the difference.
fn differences(a: &Json, b: &Json, out: &mut Vec<(String, String)>) {
    match (a, b) {
        (Json::Object(x), Json::Object(y)) => {
            let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            let mut deeper = Vec::new();
            for name in names {
                let (p, q) = (x.get(name), y.get(name));
                if p == q {
                    continue;
                }
                match (p, q) {
                    (Some(Json::Array(p)), Some(Json::Array(q)))
                        if p.len() == q.len() && p.iter().all(Json::is_object) =>
                    {
                        // lists are sorted: an element that changed may have moved
                        let only = |x: &[Json], y: &[Json]| -> Vec<Json> {
                            x.iter().filter(|e| !y.contains(e)).cloned().collect()
                        };
                        for (p, q) in only(p, q).iter().zip(&only(q, p)) {
                            differences(p, q, &mut deeper);
                        }
                    }
                    (Some(p @ Json::Object(_)), Some(q @ Json::Object(_))) => {
                        differences(p, q, &mut deeper);
                    }
                    _ => {
                        out.push((a.to_string(), b.to_string()));
                        return;
                    }
                }
            }
            out.extend(deeper);
        }
        _ => out.push((a.to_string(), b.to_string())),
    }
}

/// Call, before, after.
pub fn changed(a: &Dump, b: &Dump) -> Vec<(String, String, String)> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let null = Json::Null;
    let mut all = Vec::new();
    for key in keys {
        let (x, y) = (a.get(key).unwrap_or(&null), b.get(key).unwrap_or(&null));
        if x != y {
            let mut found = Vec::new();
            differences(x, y, &mut found);
            all.extend(found.into_iter().map(|(x, y)| (key.clone(), x, y)));
        }
    }
    all
}

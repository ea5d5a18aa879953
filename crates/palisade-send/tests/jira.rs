//! Jira, against a server on loopback that keeps issues as Jira does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use palisade_core::{Finding, Severity, Status};
use palisade_send::{Destination, Jira, JiraApi, Kind, Secret, State};
use serde_json::{Value as Json, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Clone, Default)]
struct Tracker(Arc<Mutex<Vec<Json>>>);

impl Tracker {
    fn issues(&self) -> Vec<Json> {
        self.0.lock().unwrap().clone()
    }
    fn serve(&self, api: JiraApi) -> Server {
        let issues = Arc::clone(&self.0);
        let (root, search) = match api {
            JiraApi::V2 => ("/jira/rest/api/2", "/search"),
            JiraApi::V3 => ("/jira/rest/api/3", "/search/jql"),
        };
        Server::start(move |_, asked| {
            let mut issues = issues.lock().unwrap();
            let path = asked
                .path
                .strip_prefix(root)
                .unwrap_or_else(|| panic!("{}", asked.path));
            if asked.method == "POST" && path == search {
                let body = asked.json();
                let jql = body["jql"].as_str().unwrap();
                let wanted = jql
                    .strip_prefix("project = \"SEC\" AND labels = \"palisade\" AND labels in (")
                    .and_then(|rest| rest.strip_suffix(") ORDER BY created ASC"))
                    .unwrap_or_else(|| panic!("{jql}"));
                let wanted: Vec<&str> = wanted.split(", ").map(|l| l.trim_matches('"')).collect();
                let is_found = |issue: &&Json| {
                    let labels = issue["fields"]["labels"].as_array().unwrap();
                    labels.iter().any(|l| wanted.contains(&l.as_str().unwrap()))
                };
                let found: Vec<&Json> = issues.iter().filter(is_found).collect();
                // one issue a page
                let at = match api {
                    JiraApi::V2 => body["startAt"].as_u64().unwrap_or(0),
                    JiraApi::V3 => body["nextPageToken"]
                        .as_str()
                        .map_or(0, |t| t.parse().unwrap()),
                };
                let page: Vec<&&Json> = found.iter().skip(at as usize).take(1).collect();
                let mut answer = json!({ "issues": page, "total": found.len() });
                if api == JiraApi::V3 && (at as usize) + 1 < found.len() {
                    answer["nextPageToken"] = (at + 1).to_string().into();
                }
                return reply(200, answer.to_string());
            }
            if asked.method == "POST" && path == "/issue" {
                let key = format!("SEC-{}", issues.len() + 1);
                let mut fields = asked.json()["fields"].clone();
                fields["status"] = json!({ "statusCategory": { "key": "new" } });
                issues.push(json!({ "key": key, "fields": fields, "comments": [] }));
                return reply(201, json!({ "key": key }).to_string());
            }
            let mut parts = path.split('/').skip(2);
            let key = parts.next().unwrap().to_owned();
            let issue = issues
                .iter_mut()
                .find(|i| i["key"] == key.as_str())
                .unwrap();
            match (asked.method.as_str(), parts.next()) {
                ("POST", Some("comment")) => {
                    issue["comments"].as_array_mut().unwrap().push(asked.json()["body"].clone());
                    reply(201, "{}")
                }
                ("GET", Some("transitions")) => reply(200, json!({ "transitions": [{ "id": "11", "name": "Start" }, { "id": "31", "name": "Done" }] }).to_string()),
                ("POST", Some("transitions")) => {
                    assert_eq!(asked.json()["transition"]["id"], "31");
                    issue["fields"]["status"] = json!({ "statusCategory": { "key": "done" } });
                    reply(204, "")
                }
                ("PUT", None) => {
                    let body = asked.json();
                    for (name, value) in body["fields"].as_object().into_iter().flatten() {
                        issue["fields"][name] = value.clone();
                    }
                    let labels = issue["fields"]["labels"].as_array_mut().unwrap();
                    for change in body["update"]["labels"].as_array().unwrap() {
                        if let Some(add) = change.get("add") {
                            labels.push(add.clone());
                        }
                        if let Some(remove) = change.get("remove") {
                            labels.retain(|l| l != remove);
                        }
                    }
                    reply(204, "")
                }
                other => panic!("{other:?}"),
            }
        })
    }
}

fn jira(server: &Server, api: JiraApi) -> Destination {
    to(Kind::Jira(Jira {
        url: format!("{}/jira/", server.url),
        api,
        project: "SEC".to_owned(),
        issue_type: "Task".to_owned(),
        user: (api == JiraApi::V3).then(|| Secret::new("me@example.com")),
        token: Secret::new("api-token"),
        close: Some("done".to_owned()),
        timeout: Duration::from_secs(2),
    }))
}

fn failing() -> Vec<Finding> {
    let mut all = vec![
        finding("s3-x", Status::Fail, "arn:aws:s3:::b0"),
        finding("s3-x", Status::Fail, "arn:aws:s3:::b1"),
        finding("iam-x", Status::Fail, "arn:aws:iam::123456789012:user/u"),
        finding("iam-x", Status::Pass, "arn:aws:iam::123456789012:user/v"),
    ];
    all[2].severity = Severity::Critical;
    all
}

fn changes(server: &Server) -> usize {
    let asked = server.asked();
    asked
        .iter()
        .filter(|a| a.method != "GET" && !a.path.contains("/search"))
        .count()
}

fn life(api: JiraApi) {
    let tracker = Tracker::default();
    let server = tracker.serve(api);
    let destination = jira(&server, api);
    let run = |hour: u8, findings: Vec<Finding>, dry: bool| {
        let sent = send(
            &assessment(hour, findings),
            &destination,
            &State::default(),
            dry,
        )
        .unwrap();
        assert!(sent.problems.is_empty(), "{:?}", sent.problems);
        (sent.told, sent.closed, sent.unchanged)
    };
    assert_eq!(run(1, failing(), true), (2, 0, 0));
    assert_eq!(changes(&server), 0);
    assert_eq!(run(1, failing(), false), (2, 0, 0));
    let issues = tracker.issues();
    assert_eq!(issues.len(), 2);
    // the worst first
    assert_eq!(
        issues[0]["fields"]["summary"],
        "[critical] The title of iam-x (account 123456789012)"
    );
    assert_eq!(issues[0]["fields"]["project"]["key"], "SEC");
    assert_eq!(issues[0]["fields"]["issuetype"]["name"], "Task");
    let labels = issues[1]["fields"]["labels"].to_string();
    assert!(labels.contains("palisade-in-eu-west-1"), "{labels}");
    // the same again: nothing
    let before = changes(&server);
    assert_eq!(run(2, failing(), false), (0, 0, 2));
    assert_eq!(changes(&server), before);
    // another resource fails: the same issue says so, once
    let mut more = failing();
    more.push(finding("s3-x", Status::Fail, "arn:aws:s3:::b2"));
    assert_eq!(run(3, more.clone(), false), (1, 0, 1));
    assert_eq!(run(4, more.clone(), false), (0, 0, 2));
    let issues = tracker.issues();
    assert_eq!(issues.len(), 2);
    assert_eq!(issues[1]["comments"].as_array().unwrap().len(), 1);
    assert!(
        issues[1]["fields"]["description"]
            .to_string()
            .contains("b2")
    );
    // one of them cannot be read: the others pass, and nobody says that it is over
    let mut unread = more.clone();
    unread
        .iter_mut()
        .filter(|f| *f.check == *"s3-x")
        .for_each(|f| f.status = Status::Pass);
    unread[0].status = Status::Unknown;
    assert_eq!(run(5, unread.clone(), false), (0, 0, 1));
    // a scan of another region says nothing about it either
    let mut elsewhere = assessment(5, vec![more[2].clone()]);
    elsewhere.regions = vec!["us-east-1".to_owned()];
    let sent = send(&elsewhere, &destination, &State::default(), false).unwrap();
    assert_eq!((sent.told, sent.closed, sent.unchanged), (0, 0, 1));
    // all of it passes: it is said and closed, once
    unread[0].status = Status::Pass;
    assert_eq!(run(6, unread.clone(), false), (0, 1, 1));
    assert_eq!(run(7, unread, false), (0, 0, 1));
    let issues = tracker.issues();
    assert_eq!(
        issues[1]["fields"]["status"]["statusCategory"]["key"],
        "done"
    );
    assert_eq!(issues[1]["comments"].as_array().unwrap().len(), 2);
    // it fails again: a new issue, and that one is kept from now on
    assert_eq!(run(8, failing(), false), (1, 0, 1));
    assert_eq!(run(9, failing(), false), (0, 0, 2));
    assert_eq!(tracker.issues().len(), 3);
    // what somebody closed stays closed as long as nothing changes
    tracker.0.lock().unwrap()[2]["fields"]["status"] =
        json!({ "statusCategory": { "key": "done" } });
    assert_eq!(run(10, failing(), false), (0, 0, 2));
    assert_eq!(tracker.issues().len(), 3);
}

#[test]
fn the_life_of_an_issue_in_cloud() {
    life(JiraApi::V3);
}

#[test]
fn the_life_of_an_issue_in_a_data_center() {
    life(JiraApi::V2);
}

#[test]
fn who_asks() {
    for (api, expected) in [
        (JiraApi::V3, "Basic bWVAZXhhbXBsZS5jb206YXBpLXRva2Vu"),
        (JiraApi::V2, "Bearer api-token"),
    ] {
        let server = Tracker::default().serve(api);
        send(
            &assessment(1, Vec::new()),
            &jira(&server, api),
            &State::default(),
            false,
        )
        .unwrap();
        assert_eq!(server.asked()[0].header("authorization"), Some(expected));
    }
}

#[test]
fn texts_from_the_account_are_no_markup() {
    let evil = "{code}[x|http://evil.example]\n* item ~admin";
    for api in [JiraApi::V2, JiraApi::V3] {
        let tracker = Tracker::default();
        let server = tracker.serve(api);
        let mut bad = finding("s3-x", Status::Fail, "arn:aws:s3:::b0");
        bad.resource_id = evil.to_owned();
        send(
            &assessment(1, vec![bad]),
            &jira(&server, api),
            &State::default(),
            false,
        )
        .unwrap();
        let description = tracker.issues()[0]["fields"]["description"].clone();
        match api {
            JiraApi::V2 => {
                let text = description.as_str().unwrap();
                assert!(
                    !text.contains('{') && !text.contains('[') && !text.contains('~'),
                    "{text}"
                );
                assert_eq!(text.lines().count(), 2, "{text}");
            }
            JiraApi::V3 => {
                let node = description
                    .pointer("/content/1/content/0/content/0/content/0")
                    .unwrap();
                assert_eq!(node["type"], "text");
                assert_eq!(node["text"], evil.replace('\n', "\u{fffd}"));
            }
        }
    }
}

#[test]
fn failures_are_told_for_each_issue_and_have_no_secret() {
    let server = Server::start(|_, asked| {
        if asked.path.contains("/search") {
            return reply(200, json!({ "issues": [] }).to_string());
        }
        if asked.body.contains("iam-x") {
            return reply(
                400,
                format!(
                    "{{\"errors\":\"no such type, {}\"}}",
                    asked.header("authorization").unwrap()
                ),
            );
        }
        // nobody knows whether it was made: it is looked for, and made again
        reply(500, "")
    });
    let sent = send(
        &assessment(1, failing()),
        &jira(&server, JiraApi::V3),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 0);
    assert_eq!(sent.problems.len(), 2, "{:?}", sent.problems);
    assert!(
        sent.problems[0].starts_with("`iam-x` in 123456789012: the server answered 400"),
        "{:?}",
        sent.problems
    );
    assert!(!sent.problems[0].contains("bWVA"), "{:?}", sent.problems);
    let asked = server.asked();
    let paths: Vec<&str> = asked
        .iter()
        .map(|a| a.path.rsplit("/3/").next().unwrap())
        .collect();
    assert_eq!(
        paths,
        [
            "search/jql",
            "issue",
            "issue",
            "search/jql",
            "issue",
            "search/jql",
            "issue"
        ]
    );
    let closed = Destination {
        kind: match jira(&server, JiraApi::V2).kind {
            Kind::Jira(j) => Kind::Jira(Jira {
                url: "http://127.0.0.1:9".to_owned(),
                ..j
            }),
            other => other,
        },
        ..jira(&server, JiraApi::V2)
    };
    let error = send(&assessment(1, failing()), &closed, &State::default(), false).unwrap_err();
    assert!(error.to_string().starts_with("no connection"), "{error}");
}

/// The server makes the issue and fails to say so.
#[test]
fn an_issue_is_not_made_twice() {
    let made = Arc::new(Mutex::new(Vec::<Json>::new()));
    let kept = Arc::clone(&made);
    let server = Server::start(move |_, asked| {
        let mut made = kept.lock().unwrap();
        if asked.path.contains("/search") {
            return reply(200, json!({ "issues": *made }).to_string());
        }
        let fields = asked.json()["fields"].clone();
        let key = format!("SEC-{}", made.len() + 1);
        made.push(json!({ "key": key, "fields": fields }));
        reply(504, "")
    });
    let sent = send(
        &assessment(1, failing()),
        &jira(&server, JiraApi::V3),
        &State::default(),
        false,
    )
    .unwrap();
    assert!(sent.problems.is_empty(), "{:?}", sent.problems);
    assert_eq!((sent.told, made.lock().unwrap().len()), (2, 2));
}

fn run(
    server: &Server,
    assessment: &palisade_core::Assessment,
    close: bool,
) -> palisade_send::Sent {
    let mut destination = jira(server, JiraApi::V3);
    if let Kind::Jira(jira) = &mut destination.kind
        && !close
    {
        jira.close = None;
    }
    send(assessment, &destination, &State::default(), false).unwrap()
}

/// The bucket that cannot be read may be the one that the issue is about.
#[test]
fn a_scan_that_did_not_read_all_rewrites_no_issue() {
    let tracker = Tracker::default();
    let server = tracker.serve(JiraApi::V3);
    run(&server, &assessment(1, failing()), true);
    let before = tracker.issues();
    let mut unread = failing();
    unread[0].status = Status::Unknown;
    let sent = run(&server, &assessment(2, unread.clone()), true);
    assert_eq!((sent.told, sent.closed, sent.unchanged), (0, 0, 2));
    assert_eq!(sent.problems.len(), 1, "{:?}", sent.problems);
    assert!(
        sent.problems[0].ends_with("stays as it is, because not all of it could be read"),
        "{:?}",
        sent.problems
    );
    let mut stopped = assessment(3, failing()[1..].to_vec());
    stopped.coverage.interrupted = true;
    let sent = run(&server, &stopped, true);
    assert_eq!((sent.told, sent.closed, sent.unchanged), (0, 0, 2));
    assert_eq!(tracker.issues(), before);
    // an issue that was made of a scan like this one is as it was
    let other = Tracker::default();
    let server = other.serve(JiraApi::V3);
    run(&server, &assessment(1, unread.clone()), true);
    let sent = run(&server, &assessment(2, unread), true);
    assert_eq!((sent.unchanged, sent.problems.len()), (2, 0));
}

#[test]
fn what_fails_in_another_region_is_added_to_the_issue() {
    let tracker = Tracker::default();
    let server = tracker.serve(JiraApi::V3);
    let regional = |region: &str, name: &str| Finding {
        region: region.into(),
        ..finding("s3-x", Status::Fail, &format!("arn:aws:s3:::{name}"))
    };
    run(
        &server,
        &assessment(1, vec![regional("eu-west-1", "b0")]),
        true,
    );
    let mut elsewhere = assessment(2, vec![regional("us-east-1", "b1")]);
    elsewhere.regions = vec!["us-east-1".to_owned()];
    let sent = run(&server, &elsewhere, true);
    assert_eq!((sent.told, sent.unchanged, sent.problems.len()), (1, 0, 0));
    let issue = tracker.issues().remove(0);
    let labels = issue["fields"]["labels"].to_string();
    assert!(
        labels.contains("palisade-in-eu-west-1") && labels.contains("palisade-in-us-east-1"),
        "{labels}"
    );
    let comments = issue["comments"].as_array().unwrap();
    assert_eq!(comments.len(), 1);
    assert!(comments[0].to_string().contains("b1"));
    assert!(issue["fields"]["description"].to_string().contains("b0"));
    // once
    let sent = run(&server, &elsewhere, true);
    assert_eq!((sent.told, sent.unchanged), (0, 1));
    assert_eq!(tracker.issues()[0]["comments"].as_array().unwrap().len(), 1);
    // a scan of one of the regions does not close it, one of both does
    let only = assessment(3, vec![]);
    assert_eq!(run(&server, &only, true).closed, 0);
    let mut both = assessment(4, vec![]);
    both.regions.push("us-east-1".to_owned());
    assert_eq!(run(&server, &both, true).closed, 1);
}

/// A tracker in front of which some requests are refused.
fn refusing(
    tracker: &Tracker,
    refuse: impl Fn(usize, &Asked) -> Option<u16> + Send + Sync + 'static,
) -> (Server, Server) {
    let inner = tracker.serve(JiraApi::V3);
    let address = inner.url.strip_prefix("http://").unwrap().to_owned();
    let outer = Server::start(move |n, asked| {
        if let Some(status) = refuse(n, asked) {
            return reply(status, "no");
        }
        forward(&address, asked)
    });
    (outer, inner)
}

fn forward(address: &str, asked: &Asked) -> Reply {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{} {} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{}",
        asked.method,
        asked.path,
        asked.body.len(),
        asked.body
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    reply(status, body)
}

#[test]
fn an_issue_that_cannot_be_written_gets_no_comments() {
    let tracker = Tracker::default();
    let (server, _inner) = refusing(&tracker, |_, asked| (asked.method == "PUT").then_some(400));
    run(&server, &assessment(1, failing()), true);
    let mut more = failing();
    more.push(finding("s3-x", Status::Fail, "arn:aws:s3:::b2"));
    for hour in [2, 3] {
        let sent = run(&server, &assessment(hour, more.clone()), true);
        assert_eq!((sent.told, sent.problems.len()), (0, 1));
    }
    for issue in tracker.issues() {
        assert!(issue["comments"].as_array().unwrap().is_empty());
    }
}

#[test]
fn an_issue_that_could_not_be_closed_is_closed_the_next_time() {
    let tracker = Tracker::default();
    let transitions = Mutex::new(0);
    let (server, _inner) = refusing(&tracker, move |_, asked| {
        if asked.method != "POST" || !asked.path.ends_with("/transitions") {
            return None;
        }
        let mut tried = transitions.lock().unwrap();
        *tried += 1;
        (*tried == 1).then_some(400)
    });
    let one = vec![finding("s3-x", Status::Fail, "arn:aws:s3:::b0")];
    run(&server, &assessment(1, one), true);
    let over = |hour| run(&server, &assessment(hour, Vec::new()), true);
    let first = over(2);
    assert_eq!((first.closed, first.problems.len()), (0, 1));
    let second = over(3);
    assert_eq!((second.closed, second.problems.len()), (1, 0));
    let issue = tracker.issues().remove(0);
    assert_eq!(issue["fields"]["status"]["statusCategory"]["key"], "done");
    assert_eq!(issue["comments"].as_array().unwrap().len(), 1);
    // without a transition it is told once
    let tracker = Tracker::default();
    let server = tracker.serve(JiraApi::V3);
    run(
        &server,
        &assessment(1, vec![finding("s3-x", Status::Fail, "arn:aws:s3:::b0")]),
        false,
    );
    for (hour, closed) in [(2, 1), (3, 0)] {
        let sent = run(&server, &assessment(hour, Vec::new()), false);
        assert_eq!((sent.closed, sent.problems.len()), (closed, 0));
    }
}

#[test]
fn a_server_that_takes_no_more_is_not_asked_for_every_check() {
    let tracker = Tracker::default();
    let (server, _inner) = refusing(&tracker, |_, asked| {
        asked.path.ends_with("/issue").then_some(401)
    });
    let sent = run(&server, &assessment(1, failing()), true);
    assert_eq!(changes(&server), 1);
    assert_eq!(sent.problems.len(), 2, "{:?}", sent.problems);
    assert_eq!(sent.problems[1], "1 more checks that fail were not told");
}

/// Jira takes 32,767 characters; in wiki markup every `-` is five.
#[test]
fn a_description_is_never_too_long() {
    for api in [JiraApi::V2, JiraApi::V3] {
        let tracker = Tracker::default();
        let server = tracker.serve(api);
        let all: Vec<Finding> = (10..60)
            .map(|n| Finding {
                resource_id: format!("{n}{}", "-".repeat(298)),
                message: "-".repeat(300),
                ..finding("s3-x", Status::Fail, &format!("arn:aws:s3:::b{n}"))
            })
            .collect();
        let sent = send(
            &assessment(1, all),
            &jira(&server, api),
            &State::default(),
            false,
        )
        .unwrap();
        assert!(sent.problems.is_empty(), "{:?}", sent.problems);
        let description = tracker.issues()[0]["fields"]["description"].clone();
        let text = match &description {
            Json::String(text) => text.clone(),
            document => document.to_string(),
        };
        assert!(text.chars().count() <= 32_767, "{}", text.chars().count());
        let listed = (10..60)
            .filter(|n| text.contains(&format!("{n}&#45;")) || text.contains(&format!("{n}--")))
            .count();
        assert!(listed > 5 && listed <= 50, "{listed}");
        if listed < 50 {
            assert!(
                text.contains(&format!("and {} more", 50 - listed)),
                "{text}"
            );
        } else {
            assert_eq!(api, JiraApi::V3);
        }
    }
}

#[test]
fn issues_of_other_accounts_are_not_read() {
    let tracker = Tracker::default();
    let server = tracker.serve(JiraApi::V3);
    let other = json!({ "fields": { "labels": ["palisade", "palisade-account-999999999999"], "status": {} }, "key": "SEC-1", "comments": [] });
    tracker.0.lock().unwrap().push(other);
    let destination = jira(&server, JiraApi::V3);
    send(
        &assessment(1, failing()),
        &destination,
        &State::default(),
        false,
    )
    .unwrap();
    let searches = server.asked();
    let searches = searches.iter().filter(|a| a.path.contains("/search"));
    // The page of the other account's issue is never asked for.
    assert_eq!(searches.count(), 1);
    let labels = tracker.issues()[1]["fields"]["labels"].to_string();
    assert!(labels.contains("palisade-account-123456789012"), "{labels}");
}

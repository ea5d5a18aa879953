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
                assert_eq!(
                    body["jql"],
                    "project = \"SEC\" AND labels = \"palisade\" ORDER BY created ASC"
                );
                // one issue a page
                let at = match api {
                    JiraApi::V2 => body["startAt"].as_u64().unwrap_or(0),
                    JiraApi::V3 => body["nextPageToken"]
                        .as_str()
                        .map_or(0, |t| t.parse().unwrap()),
                };
                let page: Vec<&Json> = issues.iter().skip(at as usize).take(1).collect();
                let mut answer = json!({ "issues": page, "total": issues.len() });
                if api == JiraApi::V3 && (at as usize) + 1 < issues.len() {
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

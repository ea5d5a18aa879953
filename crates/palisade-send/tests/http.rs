//! Slack and webhooks, against a server on loopback that is slow, refuses and fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use palisade_core::{Severity, Status};
use palisade_send::{Destination, Filter, Kind, Secret, Slack, State, Webhook, signature};
use serde_json::Value as Json;
use std::time::{Duration, Instant};

const PATH: &str = "/services/T000/B000/very-secret-token";

fn slack(server: &str) -> Destination {
    to(Kind::Slack(Slack {
        url: Secret::new(format!("{server}{PATH}")),
        findings: 3,
        timeout: Duration::from_millis(400),
    }))
}

fn webhook(server: &str) -> Destination {
    to(Kind::Webhook(Webhook {
        url: Secret::new(format!("{server}{PATH}")),
        headers: vec![(
            "Authorization".to_owned(),
            Secret::new("Bearer hidden-token"),
        )],
        key: Some(Secret::new("signing-key")),
        timeout: Duration::from_millis(400),
    }))
}

fn five() -> Vec<palisade_core::Finding> {
    let mut all: Vec<_> = (0..5)
        .map(|n| finding("s3-x", Status::Fail, &format!("arn:aws:s3:::b{n}")))
        .collect();
    all[4].severity = Severity::Critical;
    all.push(finding("s3-x", Status::Pass, "arn:aws:s3:::good"));
    all
}

#[test]
fn slack_gets_a_summary_and_the_worst_once() {
    let server = Server::start(|_, _| reply(200, "ok"));
    let all = assessment(1, five());
    let sent = send(&all, &slack(&server.url), &State::default(), false).unwrap();
    assert_eq!((sent.told, sent.closed, sent.unchanged), (5, 0, 0));
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].path.as_str()),
        ("POST", PATH)
    );
    assert_eq!(asked[0].header("content-type"), Some("application/json"));
    let body = asked[0].json();
    assert_eq!(body["text"], "Palisade: 5 new failed findings");
    let texts: Vec<&str> = body["blocks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|b| b["text"]["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts.len(), 6);
    assert!(texts[1].contains("New: 1 critical, 4 high"), "{texts:?}");
    assert!(
        texts[2].starts_with("*critical*") && texts[2].contains("`b4`"),
        "{texts:?}"
    );
    assert_eq!(texts[5], "and 2 more");
    // the second time there is nothing to say
    let again = send(&all, &slack(&server.url), &sent.state, false).unwrap();
    assert_eq!((again.told, again.closed, again.unchanged), (0, 0, 5));
    assert_eq!(again.state, sent.state);
    assert_eq!(server.asked().len(), 1);
    // one passes, one has no finding, one cannot be read: which may be why the other has none
    let mut later = five();
    later[0].status = Status::Pass;
    later.remove(1);
    later[1].status = Status::Unknown;
    let third = send(
        &assessment(2, later),
        &slack(&server.url),
        &sent.state,
        false,
    )
    .unwrap();
    assert_eq!((third.told, third.closed, third.unchanged), (0, 1, 2));
    let text = server.asked()[1].body.clone();
    assert!(
        text.contains("`arn:aws:s3:::b0` (`s3-x`): passed"),
        "{text}"
    );
    assert!(!text.contains("b1") && !text.contains("b2"), "{text}");
    assert_eq!(third.state.0.len(), 4);
    // all is read: it is gone
    let mut last = five();
    last.remove(1);
    last[0].status = Status::Pass;
    let fourth = send(
        &assessment(3, last),
        &slack(&server.url),
        &third.state,
        false,
    )
    .unwrap();
    assert_eq!((fourth.told, fourth.closed), (0, 1));
    let text = server.asked()[2].body.clone();
    assert!(text.contains("`arn:aws:s3:::b1` (`s3-x`): gone"), "{text}");
}

#[test]
fn what_was_not_looked_at_is_not_over() {
    let server = Server::start(|_, _| reply(200, "ok"));
    let before = send(
        &assessment(1, five()),
        &slack(&server.url),
        &State::default(),
        false,
    )
    .unwrap()
    .state;
    let closed = |all: &palisade_core::Assessment| {
        send(all, &slack(&server.url), &before, true)
            .unwrap()
            .closed
    };
    let gone = assessment(2, Vec::new());
    assert_eq!(closed(&gone), 5);
    // the check was not selected, the region not scanned, the account another, the scan stopped, the list not read
    let mut other = gone.clone();
    other.checks.pop();
    assert_eq!(closed(&other), 0);
    let mut other = gone.clone();
    other.regions = vec!["us-east-1".to_owned()];
    assert_eq!(closed(&other), 0);
    let mut other = gone.clone();
    other.accounts = vec!["999999999999".to_owned()];
    assert_eq!(closed(&other), 0);
    let mut other = gone.clone();
    other.coverage.interrupted = true;
    assert_eq!(closed(&other), 0);
    for region in ["eu-west-1", "us-east-1"] {
        assert_eq!(closed(&assessment(2, vec![unlisted("s3-x", region)])), 0);
    }
    // that another check or region could not be read is no matter
    assert_eq!(
        closed(&assessment(2, vec![unlisted("iam-x", "eu-west-1")])),
        5
    );
    assert_eq!(
        closed(&assessment(2, vec![unlisted("s3-x", "ap-south-1")])),
        5
    );
}

#[test]
fn texts_from_the_account_are_no_markup() {
    let server = Server::start(|_, _| reply(200, "ok"));
    let mut evil = finding("s3-x", Status::Fail, "x");
    evil.resource_id = "`<!channel> <https://evil.example|click> *bold*\n&\u{202e}".to_owned();
    evil.message = "</code>` <@U1>".to_owned();
    send(
        &assessment(1, vec![evil]),
        &slack(&server.url),
        &State::default(),
        false,
    )
    .unwrap();
    let body = server.asked()[0].json();
    let text = body["blocks"][2]["text"]["text"].as_str().unwrap();
    assert!(!text.contains(['<', '>', '\u{202e}']), "{text}");
    assert!(text.contains("&lt;!channel&gt;"), "{text}");
    // three spans on the first lines, one for the message, none broken up
    assert_eq!(text.matches('`').count(), 10, "{text}");
}

#[test]
fn a_webhook_is_signed_and_has_its_headers() {
    let server = Server::start(|_, _| reply(204, ""));
    let sent = send(
        &assessment(1, five()),
        &webhook(&server.url),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 5);
    let asked = &server.asked()[0];
    assert_eq!(asked.header("authorization"), Some("Bearer hidden-token"));
    let expected = signature(&Secret::new("signing-key"), asked.body.as_bytes());
    assert_eq!(
        asked.header("x-palisade-signature"),
        Some(expected.as_str())
    );
    assert_eq!(asked.header("idempotency-key").map(str::len), Some(32));
    let body = asked.json();
    assert_eq!(body["schema"], "palisade-message/1");
    assert_eq!((&body["part"], &body["parts"]), (&1.into(), &1.into()));
    assert_eq!(body["summary"]["failed"]["critical"], 1);
    assert_eq!(body["summary"]["passed"], 1);
    let findings = body["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 5);
    assert_eq!(findings[0]["severity"], "critical");
    assert_eq!(findings[0]["title"], "The title of s3-x");
    assert_eq!(findings[0]["id"].as_str().map(str::len), Some(32));
}

#[test]
fn many_findings_go_in_parts_and_none_is_lost() {
    let server = Server::start(|_, _| reply(200, ""));
    let all: Vec<_> = (0..4000)
        .map(|n| {
            finding(
                "s3-x",
                Status::Fail,
                &format!("arn:aws:s3:::bucket-with-a-longer-name-{n}"),
            )
        })
        .collect();
    let sent = send(
        &assessment(1, all),
        &webhook(&server.url),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 4000);
    let asked = server.asked();
    assert!(asked.len() > 1);
    let mut ids = std::collections::BTreeSet::new();
    for (number, part) in asked.iter().enumerate() {
        assert!(part.body.len() < 950_000, "{}", part.body.len());
        let body = part.json();
        assert_eq!(body["part"], number + 1);
        assert_eq!(body["parts"], asked.len());
        ids.extend(
            body["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|f| f["id"].to_string()),
        );
    }
    assert_eq!(ids.len(), 4000);
    assert_eq!(sent.state.0.len(), 4000);
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let server = Server::start(|n, _| match n {
        0 => common::Reply {
            headers: vec![("retry-after", "1".to_owned())],
            ..reply(429, "slow down")
        },
        1 => reply(500, "oops"),
        _ => reply(200, "ok"),
    });
    let started = Instant::now();
    let sent = send(
        &assessment(1, five()),
        &webhook(&server.url),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 5);
    assert!(
        started.elapsed() >= Duration::from_secs(1),
        "Retry-After counts"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|a| a.body == asked[0].body
        && a.header("idempotency-key") == asked[0].header("idempotency-key")));
}

/// Nobody knows what became of a message when the server closes the connection, or a gateway gives up.
#[test]
fn a_message_is_not_sent_twice() {
    let cut = |bytes: usize| common::Reply {
        cut: Some(bytes),
        ..reply(200, "a long answer")
    };
    for (answers, times, ambiguous) in [
        ([Some(0), None], 1, true),
        ([Some(50), None], 1, true),
        ([None, None], 2, false),
    ] {
        let server = Server::start(move |n, _| match answers[n] {
            Some(bytes) => cut(bytes),
            None if n == 0 => reply(429, ""),
            None => reply(200, "ok"),
        });
        let sent = send(
            &assessment(1, five()),
            &slack(&server.url),
            &State::default(),
            false,
        );
        assert_eq!(server.asked().len(), times, "{answers:?}: {sent:?}");
        match sent {
            Ok(sent) => assert!(!ambiguous && sent.told == 5),
            Err(palisade_send::SendError::Request { ambiguous: is, .. }) => {
                assert_eq!(is, ambiguous);
            }
            Err(other) => panic!("{other}"),
        }
    }
    let gateway = Server::start(|_, _| reply(503, ""));
    let sent = send(
        &assessment(1, five()),
        &slack(&gateway.url),
        &State::default(),
        false,
    );
    assert!(sent.is_err());
    assert_eq!(gateway.asked().len(), 1);
}

#[test]
fn a_server_that_asks_for_an_hour_is_not_waited_for() {
    let server = Server::start(|_, _| common::Reply {
        headers: vec![("retry-after", "3600".to_owned())],
        ..reply(503, "")
    });
    let error = send(
        &assessment(1, five()),
        &webhook(&server.url),
        &State::default(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server asks to wait 3600 seconds, which is too long"
    );
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn failures_end_and_show_no_secret() {
    let all = assessment(1, five());
    let storm = Server::start(|_, asked| {
        reply(
            500,
            format!(
                "cannot serve {} for {:?}\u{1b}[31m",
                asked.path,
                asked.header("authorization")
            ),
        )
    });
    let slow = Server::start(|_, _| common::Reply {
        after: Duration::from_secs(2),
        ..reply(200, "ok")
    });
    let refuses = Server::start(|_, _| reply(403, "invalid_token"));
    let closed = "http://127.0.0.1:9";
    for (url, times, part) in [
        (
            storm.url.as_str(),
            Some((&storm, 3)),
            "the server answered 500: cannot serve ***",
        ),
        (
            slow.url.as_str(),
            Some((&slow, 3)),
            "no answer within 400ms, 3 times",
        ),
        (
            refuses.url.as_str(),
            Some((&refuses, 1)),
            "the server answered 403: invalid_token",
        ),
        (closed, None, "no connection: "),
    ] {
        let error = send(&all, &webhook(url), &State::default(), false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
        for secret in ["very-secret-token", "hidden-token", "signing-key", "\u{1b}"] {
            assert!(!error.contains(secret), "{error}");
        }
        if let Some((server, times)) = times {
            assert_eq!(server.asked().len(), times, "{part}");
        }
    }
    assert_eq!(
        format!("{:?}", slack(&slow.url)).matches("secret").count(),
        0
    );
}

#[test]
fn a_dry_run_sends_nothing_and_shows_no_secret() {
    let server = Server::start(|_, _| reply(200, "ok"));
    for destination in [slack(&server.url), webhook(&server.url)] {
        let sent = send(
            &assessment(1, five()),
            &destination,
            &State::default(),
            true,
        )
        .unwrap();
        assert_eq!(sent.told, 5);
        assert_eq!(sent.requests.len(), 1);
        assert!(sent.requests[0]["body"].is_object());
        let text = Json::from(sent.requests).to_string();
        assert!(
            !text.contains("secret") && !text.contains("hidden"),
            "{text}"
        );
    }
    assert!(server.asked().is_empty());
}

#[test]
fn filters() {
    let server = Server::start(|_, _| reply(200, "ok"));
    let told = |filter: Filter| {
        let mut all = five();
        all.push(finding(
            "iam-x",
            Status::Unknown,
            "arn:aws:iam::123456789012:user/u",
        ));
        all.push(finding("s3-x@days=3", Status::Fail, "arn:aws:s3:::variant"));
        all.push(muted(finding(
            "iam-x",
            Status::Fail,
            "arn:aws:iam::123456789012:user/m",
        )));
        let destination = Destination {
            filter,
            ..slack(&server.url)
        };
        send(&assessment(1, all), &destination, &State::default(), true)
            .unwrap()
            .told
    };
    let all = Filter::default();
    assert_eq!(told(all.clone()), 6);
    assert_eq!(
        told(Filter {
            severity: Some(Severity::Critical),
            ..all.clone()
        }),
        1
    );
    assert_eq!(
        told(Filter {
            statuses: vec![Status::Unknown, Status::Pass],
            ..all.clone()
        }),
        2
    );
    assert_eq!(
        told(Filter {
            checks: vec!["iam-*".to_owned()],
            ..all.clone()
        }),
        0
    );
    assert_eq!(
        told(Filter {
            checks: vec!["s3-x".to_owned()],
            ..all.clone()
        }),
        6
    );
    assert_eq!(
        told(Filter {
            checks: vec!["s3-x@days=3".to_owned()],
            ..all.clone()
        }),
        1
    );
    assert_eq!(
        told(Filter {
            services: vec!["s3".to_owned()],
            ..all
        }),
        5
    );
}

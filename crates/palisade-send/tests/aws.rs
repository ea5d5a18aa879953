//! Security Hub, SNS and EventBridge, against somebody who answers for AWS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::*;
use palisade_core::{Assessment, Finding, Severity, Status};
use palisade_send::{EventBridge, Kind, SecurityHub, Sns, SnsMessage, State};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

type Records = Arc<Mutex<BTreeMap<String, Json>>>;

/// A hub: what people set stays, all else is as it was imported last.
fn hub(records: &Records) -> Fake {
    let records = Arc::clone(records);
    Fake::new(move |name, params| {
        let mut records = records.lock().unwrap();
        match name {
            "securityhub:GetFindings" => {
                Ok(json!({ "Findings": records.values().cloned().collect::<Vec<_>>() }))
            }
            "securityhub:BatchImportFindings" => {
                let findings = params["Findings"].as_array().unwrap();
                assert!(findings.len() <= 100);
                for finding in findings {
                    let id = finding["Id"].as_str().unwrap().to_owned();
                    let mut new = finding.clone();
                    if let Some(old) = records.get(&id) {
                        new["Workflow"] = old["Workflow"].clone();
                        assert!(
                            new["UpdatedAt"].as_str() > old["UpdatedAt"].as_str(),
                            "an update needs a later time"
                        );
                    }
                    // what the service adds
                    new["ProductFields"]["aws/securityhub/FindingId"] = "x".into();
                    new["Severity"]["Normalized"] = 70.into();
                    new["FindingProviderFields"] = json!({ "Severity": { "Label": finding["Severity"]["Label"], "Original": finding["Severity"]["Original"] }, "Types": finding["Types"] });
                    new["Region"] = "eu-west-1".into();
                    records.insert(id, new);
                }
                Ok(
                    json!({ "FailedCount": 0, "SuccessCount": findings.len(), "FailedFindings": [] }),
                )
            }
            "securityhub:BatchUpdateFindings" => {
                for id in params["FindingIdentifiers"].as_array().unwrap() {
                    let record = records.get_mut(id["Id"].as_str().unwrap()).unwrap();
                    record["Workflow"] = params["Workflow"].clone();
                }
                Ok(json!({ "ProcessedFindings": [], "UnprocessedFindings": [] }))
            }
            other => panic!("{other}"),
        }
    })
}

fn to_hub() -> palisade_send::Destination {
    to(Kind::SecurityHub(SecurityHub::default()))
}

fn buckets(n: usize, status: Status) -> Vec<Finding> {
    (0..n)
        .map(|i| finding("s3-x", status, &format!("arn:aws:s3:::b{i:03}")))
        .collect()
}

fn states(records: &Records) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for record in records.lock().unwrap().values() {
        *counts
            .entry(record["RecordState"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
    counts
}

#[test]
fn a_hub_gets_what_changed_and_archives_what_is_over() {
    let records = Records::default();
    let mut all = buckets(205, Status::Fail);
    all.extend((0..3).map(|i| finding("s3-x", Status::Pass, &format!("arn:aws:s3:::good{i}"))));
    let api = hub(&records);
    let first = assessment(1, all.clone());
    let dry = send_aws(&first, &api, &to_hub(), &State::default(), true).unwrap();
    assert_eq!((dry.told, dry.requests.len()), (205, 3));
    assert!(api.of("securityhub:BatchImportFindings").is_empty());
    let sent = send_aws(&first, &api, &to_hub(), &State::default(), false).unwrap();
    assert_eq!((sent.told, sent.closed, sent.unchanged), (205, 0, 0));
    assert!(sent.problems.is_empty(), "{:?}", sent.problems);
    let sizes: Vec<usize> = api
        .of("securityhub:BatchImportFindings")
        .iter()
        .map(|p| p["Findings"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [100, 100, 5]);
    // what passes and was never there is not sent
    assert_eq!(
        states(&records),
        BTreeMap::from([("ACTIVE".to_owned(), 205)])
    );

    // the same again, later: nothing
    let api = hub(&records);
    let again = send_aws(
        &assessment(2, all.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((again.told, again.closed, again.unchanged), (0, 0, 205));
    assert_eq!(api.of("securityhub:BatchImportFindings").len(), 0);

    // one passes, one says something else, one cannot be read, so that one without a finding may still be there
    all[0].status = Status::Pass;
    all[0].message = "it is pass".to_owned();
    all[2].status = Status::Unknown;
    all[3].message = "otherwise".to_owned();
    all.remove(1);
    let api = hub(&records);
    let third = send_aws(
        &assessment(3, all.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((third.told, third.closed, third.unchanged), (1, 1, 201));
    assert!(third.problems.is_empty(), "{:?}", third.problems);
    assert_eq!(
        states(&records),
        BTreeMap::from([("ACTIVE".to_owned(), 204), ("ARCHIVED".to_owned(), 1)])
    );
    let imported = &api.of("securityhub:BatchImportFindings")[0]["Findings"];
    let archived = imported
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["RecordState"] == "ARCHIVED")
        .unwrap();
    assert!(
        archived["ProductFields"]
            .get("aws/securityhub/FindingId")
            .is_none()
    );
    assert!(archived.get("FindingProviderFields").is_none() && archived.get("Region").is_none());
    assert_eq!(archived["CreatedAt"], "2026-03-01T01:00:00Z");
    assert_eq!(archived["UpdatedAt"], "2026-03-01T03:00:00Z");

    // all is read: it is gone
    all[1].status = Status::Fail;
    let fourth = send_aws(
        &assessment(4, all.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((fourth.told, fourth.closed), (0, 1));
    // what passes says so, what is gone keeps what was last known of it
    let imports = api.of("securityhub:BatchImportFindings");
    let mut statuses: Vec<(&str, &str)> = imports
        .iter()
        .flat_map(|i| i["Findings"].as_array().unwrap())
        .filter(|f| f["RecordState"] == "ARCHIVED")
        .map(|f| {
            let text = |path: &str| f.pointer(path).unwrap().as_str().unwrap();
            (text("/Compliance/Status"), text("/Description"))
        })
        .collect();
    statuses.sort_unstable();
    assert_eq!(
        statuses,
        [("FAILED", "it is fail"), ("PASSED", "it is pass")]
    );

    // an old report changes nothing of what a later one said
    let api = hub(&records);
    let old = send_aws(&first, &api, &to_hub(), &State::default(), false).unwrap();
    assert!(
        old.problems.iter().any(|p| p.contains("from a later scan")),
        "{:?}",
        old.problems
    );
    assert_eq!(old.closed, 0);
}

#[test]
fn what_people_and_mutes_say_is_kept_apart() {
    let records = Records::default();
    let api = hub(&records);
    let all = buckets(3, Status::Fail);
    send_aws(
        &assessment(1, all.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    // somebody suppresses the first in the hub
    let first = records
        .lock()
        .unwrap()
        .keys()
        .find(|k| k.ends_with(&palisade_report::uid(&all[0])))
        .cloned()
        .unwrap();
    records.lock().unwrap().get_mut(&first).unwrap()["Workflow"] =
        json!({ "Status": "SUPPRESSED" });
    // the second is muted here
    let mut later = all.clone();
    later[1] = muted(later[1].clone());
    let sent = send_aws(
        &assessment(2, later.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((sent.told, sent.closed, sent.unchanged), (1, 0, 2));
    let updates = api.of("securityhub:BatchUpdateFindings");
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["Workflow"]["Status"], "SUPPRESSED");
    assert_eq!(
        updates[0]["Note"]["Text"],
        "muted by web team: serves the public website"
    );
    // nothing more the next time
    let again = send_aws(
        &assessment(3, later),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((again.told, again.unchanged), (0, 3));
    assert_eq!(api.of("securityhub:BatchUpdateFindings").len(), 1);
    // the mute ends: ours is new again, what somebody suppressed stays so
    send_aws(
        &assessment(4, all),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    let updates = api.of("securityhub:BatchUpdateFindings");
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[1]["Workflow"]["Status"], "NEW");
    assert_eq!(
        records.lock().unwrap()[&first]["Workflow"]["Status"],
        "SUPPRESSED"
    );
    assert!(!updates[1].to_string().contains(&first));
    // somebody suppresses what was muted once: that is theirs
    let second = updates[1]["FindingIdentifiers"][0]["Id"].as_str().unwrap();
    records.lock().unwrap().get_mut(second).unwrap()["Workflow"] =
        json!({ "Status": "SUPPRESSED" });
    for hour in [5, 6] {
        let all = buckets(3, Status::Fail);
        let sent = send_aws(
            &assessment(hour, all),
            &api,
            &to_hub(),
            &State::default(),
            false,
        )
        .unwrap();
        assert_eq!((sent.told, sent.unchanged), (0, 3));
    }
    assert_eq!(api.of("securityhub:BatchUpdateFindings").len(), 2);
    assert_eq!(
        records.lock().unwrap()[second]["Workflow"]["Status"],
        "SUPPRESSED"
    );
}

/// The workflow could not be changed: the record is not written as if it was.
#[test]
fn a_mute_that_ended_is_told_again_when_it_failed() {
    let records = Records::default();
    let all = buckets(2, Status::Fail);
    let mut accepted = all.clone();
    accepted[1] = muted(accepted[1].clone());
    let scan = |hour, findings: &[Finding], api: &Fake| {
        send_aws(
            &assessment(hour, findings.to_vec()),
            api,
            &to_hub(),
            &State::default(),
            false,
        )
        .unwrap()
    };
    let api = hub(&records);
    scan(1, &all, &api);
    scan(2, &accepted, &api);
    let inner = hub(&records);
    let refuses = Fake::new(move |name, params| match name {
        "securityhub:BatchUpdateFindings" => Err(failed("InternalException")),
        _ => inner.answer_of(name, params),
    });
    let mut worse = all.clone();
    worse[0].message = "otherwise".to_owned();
    let sent = scan(3, &worse, &refuses);
    // the other finding is imported all the same
    assert_eq!((sent.told, sent.problems.len()), (1, 1));
    assert!(sent.problems[0].starts_with("1 findings were not updated: "));
    scan(4, &worse, &api);
    let updates = api.of("securityhub:BatchUpdateFindings");
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[1]["Workflow"]["Status"], "NEW");
}

/// A hub in pages; and one batch that fails does not keep the next from being sent, nor is the first forgotten.
#[test]
fn pages_and_batches() {
    let records = Records::default();
    let api = hub(&records);
    let all = buckets(205, Status::Fail);
    send_aws(
        &assessment(1, all.clone()),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    let kept: Vec<Json> = records.lock().unwrap().values().cloned().collect();
    let paged = Fake::new(move |name, params| match name {
        "securityhub:GetFindings" => {
            let at: usize = params["NextToken"]
                .as_str()
                .map_or(0, |t| t.parse().unwrap());
            let mut answer = json!({ "Findings": kept[at..(at + 50).min(kept.len())] });
            if at + 50 < kept.len() {
                answer["NextToken"] = (at + 50).to_string().into();
            }
            Ok(answer)
        }
        other => panic!("{other}"),
    });
    let again = send_aws(
        &assessment(2, all.clone()),
        &paged,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((again.told, again.unchanged), (0, 205));
    let calls = Mutex::new(0);
    let fails = Fake::new(move |name, params| {
        if name == "securityhub:GetFindings" {
            return Ok(json!({ "Findings": [] }));
        }
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        if *calls == 2 {
            return Err(failed("LimitExceededException"));
        }
        let count = params["Findings"].as_array().unwrap().len();
        Ok(json!({ "FailedCount": 0, "SuccessCount": count, "FailedFindings": [] }))
    });
    let sent = send_aws(
        &assessment(1, all),
        &fails,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!((sent.told, sent.problems.len()), (105, 1));
    assert!(
        sent.problems[0].starts_with("100 findings were not imported: "),
        "{:?}",
        sent.problems
    );
}

/// The last user is gone, and no finding is in the region where users are.
#[test]
fn the_hub_of_what_is_global_is_asked() {
    let api = Fake::new(|_, _| Ok(json!({ "Findings": [] })));
    send_aws(
        &assessment(1, buckets(1, Status::Pass)),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    let calls = api.calls.lock().unwrap();
    let regions: Vec<&str> = calls.iter().map(|c| c.1.as_str()).collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1"]);
}

/// The first attempt takes some of a batch, the second fails: what was taken is remembered.
#[test]
fn events_that_were_taken_are_remembered() {
    let tries = Mutex::new(0);
    let api = Fake::new(move |_, params| {
        let mut tries = tries.lock().unwrap();
        *tries += 1;
        if *tries == 2 {
            return Err(failed("InternalException"));
        }
        let count = params["Entries"].as_array().unwrap().len();
        let mut results = vec![json!({ "EventId": "1" }); count];
        results[0] = json!({ "ErrorCode": "InternalFailure" });
        Ok(json!({ "FailedEntryCount": 1, "Entries": results }))
    });
    let all = assessment(1, buckets(12, Status::Fail));
    let sent = send_aws(&all, &api, &events(), &State::default(), false).unwrap();
    assert_eq!((sent.told, sent.state.0.len()), (9, 9));
    assert_eq!(sent.problems.len(), 1);
    assert!(
        sent.problems[0].starts_with("3 events were not sent: "),
        "{:?}",
        sent.problems
    );
}

#[test]
fn refused_findings_are_told_one_by_one() {
    let api = Fake::new(|name, params| match name {
        "securityhub:GetFindings" => Ok(json!({ "Findings": [] })),
        _ => {
            let id = &params["Findings"][0]["Id"];
            Ok(
                json!({ "FailedCount": 2, "SuccessCount": 1, "FailedFindings": [{ "Id": id, "ErrorCode": "InvalidInput", "ErrorMessage": "too\u{1b}[31m old" }] }),
            )
        }
    });
    let sent = send_aws(
        &assessment(1, buckets(3, Status::Fail)),
        &api,
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 2);
    assert_eq!(sent.problems.len(), 2);
    assert!(
        sent.problems[0].contains("was refused with InvalidInput: too\u{fffd}[31m old"),
        "{:?}",
        sent.problems
    );
    assert!(
        sent.problems[1].contains("does not say which"),
        "{:?}",
        sent.problems
    );
}

#[test]
fn other_accounts_and_regions_without_a_hub() {
    let off = || {
        Fake::new(|name, _| match name {
            "securityhub:GetFindings" => Err(failed("InvalidAccessException")),
            other => panic!("{other}"),
        })
    };
    // nothing to say there: no matter
    let sent = send_aws(
        &assessment(1, Vec::new()),
        &off(),
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert!(sent.problems.is_empty());
    let error = send_aws(
        &assessment(1, buckets(1, Status::Fail)),
        &off(),
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "securityhub:GetFindings in eu-west-1 failed with InvalidAccessException: no"
    );
    let mut foreign = buckets(1, Status::Fail);
    foreign[0].account_id = "999999999999".into();
    let sent = send_aws(
        &assessment(1, foreign),
        &off(),
        &to_hub(),
        &State::default(),
        false,
    )
    .unwrap();
    assert!(
        sent.problems[0].starts_with("1 findings are of other accounts"),
        "{:?}",
        sent.problems
    );
    // one hub for all regions: the record is that hub's, the resource stays where it is
    let records = Records::default();
    let api = hub(&records);
    let one = to(Kind::SecurityHub(SecurityHub {
        region: Some("us-east-1".to_owned()),
        archive: true,
    }));
    send_aws(
        &assessment(1, buckets(1, Status::Fail)),
        &api,
        &one,
        &State::default(),
        false,
    )
    .unwrap();
    assert!(api.calls.lock().unwrap().iter().all(|c| c.1 == "us-east-1"));
    let record = records.lock().unwrap().values().next().unwrap().clone();
    assert_eq!(
        record["ProductArn"],
        "arn:aws:securityhub:us-east-1:123456789012:product/123456789012/default"
    );
    assert_eq!(record["Resources"][0]["Region"], "eu-west-1");
    let over = send_aws(
        &assessment(2, buckets(1, Status::Pass)),
        &api,
        &one,
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(over.closed, 1);
}

fn events() -> palisade_send::Destination {
    to(Kind::EventBridge(EventBridge {
        bus: "security".to_owned(),
        source: "palisade".to_owned(),
        region: None,
    }))
}

#[test]
fn events_that_failed_are_sent_again_and_only_these() {
    let tries = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&tries);
    let api = Fake::new(move |_, params| {
        let entries = params["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10);
        let mut tries = counted.lock().unwrap();
        *tries += 1;
        let results: Vec<Json> = entries
            .iter()
            .enumerate()
            .map(|(i, e)| {
                let never = e["Detail"].as_str().unwrap().contains("b007");
                if never || (*tries == 1 && i == 2) {
                    json!({ "ErrorCode": "ThrottlingException", "ErrorMessage": "slow down" })
                } else {
                    json!({ "EventId": "1" })
                }
            })
            .collect();
        let failed = results
            .iter()
            .filter(|r| r.get("ErrorCode").is_some())
            .count();
        Ok(json!({ "FailedEntryCount": failed, "Entries": results }))
    });
    let all = assessment(1, buckets(12, Status::Fail));
    let sent = send_aws(&all, &api, &events(), &State::default(), false).unwrap();
    assert_eq!(sent.told, 11);
    assert_eq!(
        sent.problems,
        ["`s3-x` of `arn:aws:s3:::b007`: ThrottlingException: slow down"]
    );
    let sizes: Vec<usize> = api
        .of("events:PutEvents")
        .iter()
        .map(|p| p["Entries"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [10, 2, 1, 1, 1, 2]);
    let entry = &api.of("events:PutEvents")[0]["Entries"][0];
    assert_eq!(entry["EventBusName"], "security");
    assert_eq!(entry["DetailType"], "Palisade Finding");
    assert_eq!(entry["Resources"], json!(["arn:aws:s3:::b000"]));
    let detail: Json = serde_json::from_str(entry["Detail"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&detail["change"], &detail["severity_rank"]),
        (&"open".into(), &3.into())
    );
    // the next time only what was not taken is sent
    let again = send_aws(&all, &api, &events(), &sent.state, true).unwrap();
    assert_eq!((again.told, again.unchanged), (1, 11));
}

#[test]
fn large_events_go_alone() {
    let api = Fake::new(|_, params| {
        let entries = params["Entries"].as_array().unwrap();
        let bytes: usize = entries
            .iter()
            .map(|e| e["Detail"].as_str().unwrap().len() + 60)
            .sum();
        assert!(bytes <= 256 * 1024);
        Ok(
            json!({ "FailedEntryCount": 0, "Entries": vec![json!({ "EventId": "1" }); entries.len()] }),
        )
    });
    let mut all = buckets(4, Status::Fail);
    for (i, finding) in all.iter_mut().enumerate() {
        finding.message = "x".repeat([300_000, 150_000, 150_000, 10][i]);
    }
    let sent = send_aws(
        &assessment(1, all),
        &api,
        &events(),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 3);
    assert_eq!(sent.problems.len(), 1);
    assert!(
        sent.problems[0].contains("too large for an event"),
        "{:?}",
        sent.problems
    );
    assert_eq!(api.of("events:PutEvents").len(), 2);
}

#[test]
fn a_topic_gets_json_or_a_summary() {
    let api = Fake::new(|_, _| Ok(json!({ "MessageId": "1" })));
    let topic = |message, name: &str| {
        to(Kind::Sns(Sns {
            topic_arn: format!("arn:aws:sns:eu-central-1:123456789012:{name}"),
            message,
        }))
    };
    let mut all = buckets(2000, Status::Fail);
    all[7].severity = Severity::Critical;
    all[7].resource_id = "evil\n\u{1b}[31mname".to_owned();
    let all: Assessment = assessment(1, all);
    let sent = send_aws(
        &all,
        &api,
        &topic(SnsMessage::Json, "t.fifo"),
        &State::default(),
        false,
    )
    .unwrap();
    assert_eq!(sent.told, 2000);
    let messages = api.of("sns:Publish");
    assert!(messages.len() > 2);
    let mut seen = 0;
    for message in &messages {
        assert!(message["Message"].as_str().unwrap().len() < 256 * 1024);
        assert_eq!(message["MessageGroupId"], "palisade");
        assert!(message["Subject"].as_str().unwrap().len() < 100);
        let body: Json = serde_json::from_str(message["Message"].as_str().unwrap()).unwrap();
        seen += body["findings"].as_array().unwrap().len();
    }
    assert_eq!(seen, 2000);
    assert_eq!(
        messages[0]["MessageAttributes"]["severity"]["StringValue"],
        "critical"
    );
    assert!(
        api.calls
            .lock()
            .unwrap()
            .iter()
            .all(|c| c.1 == "eu-central-1")
    );
    let api = Fake::new(|_, _| Ok(json!({ "MessageId": "1" })));
    send_aws(
        &all,
        &api,
        &topic(SnsMessage::Text, "t"),
        &State::default(),
        false,
    )
    .unwrap();
    let messages = api.of("sns:Publish");
    assert_eq!(messages.len(), 1);
    let text = messages[0]["Message"].as_str().unwrap();
    assert!(
        text.contains("evil\u{fffd}\u{fffd}[31mname in 123456789012 eu-west-1"),
        "{text}"
    );
    assert!(text.contains("and 1975 more"), "{text}");
    assert!(messages[0].get("MessageGroupId").is_none());
}

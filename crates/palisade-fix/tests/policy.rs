//! Adding a TLS-only statement to policies of real shapes changes nothing else that is allowed or denied: judged by the
//! policy engine, over requests of many kinds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_fix::policy::with_statements;
use palisade_iam::{Context, Decision, Policy, PolicySets, Principal, Request, Source, decide};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value as Json, json};

const TLS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"OnlyTls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::b","arn:aws:s3:::b/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;

const PRINCIPALS: &[&str] = &[
    "arn:aws:iam::123456789012:user/ann",
    "arn:aws:iam::123456789012:role/app",
    "arn:aws:sts::123456789012:assumed-role/app/session",
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:role/reader",
    "cloudtrail.amazonaws.com",
    "*",
];
const ACTIONS: &[&str] = &[
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucket",
    "s3:DeleteBucket",
    "s3:GetBucketAcl",
];
const RESOURCES: &[&str] = &[
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/logs/a",
    "arn:aws:s3:::b/x",
];

fn one_or_more(values: &'static [&'static str]) -> impl Strategy<Value = Json> {
    let many = subsequence(values, 1..=values.len()).prop_map(|v| json!(v));
    prop_oneof![select(values).prop_map(|v| json!(v)), many]
}

fn principal() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(json!("*")),
        Just(json!({"AWS": "*"})),
        Just(json!({"AWS": "111122223333"})),
        Just(
            json!({"AWS": ["arn:aws:iam::123456789012:user/ann", "arn:aws:iam::111122223333:role/reader"]})
        ),
        Just(json!({"AWS": "arn:aws:iam::123456789012:root"})),
        Just(json!({"Service": "cloudtrail.amazonaws.com"})),
        Just(
            json!({"Service": ["cloudtrail.amazonaws.com", "delivery.logs.amazonaws.com"], "AWS": "arn:aws:iam::123456789012:role/app"})
        ),
    ]
}

fn condition() -> impl Strategy<Value = Option<Json>> {
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(json!({"Bool": {"aws:SecureTransport": "true"}}))),
        1 => Just(Some(json!({"Bool": {"aws:SecureTransport": ["false"]}}))),
        1 => Just(Some(json!({"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}}))),
        1 => Just(Some(json!({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}))),
        1 => Just(Some(json!({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-1"}}))),
        1 => Just(Some(json!({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}))),
        1 => Just(Some(json!({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}, "Null": {"aws:SourceIp": "false"}}))),
    ]
}

fn statement() -> impl Strategy<Value = Json> {
    let sid = prop_oneof![Just(None), Just(Some("OnlyTls")), Just(Some("Read1"))];
    let actions: &'static [&'static str] =
        &["s3:*", "s3:GetObject", "s3:Put*", "*", "s3:ListBucket"];
    let resources: &'static [&'static str] = &[
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/logs/*",
        "*",
    ];
    (
        (sid, any::<bool>(), principal(), any::<bool>()),
        (one_or_more(actions), one_or_more(resources)),
        (condition(), proptest::bool::weighted(0.1)),
    )
        .prop_map(
            |((sid, deny, principal, not), (action, resource), (condition, not_action))| {
                let mut statement = serde_json::Map::new();
                if let Some(sid) = sid {
                    statement.insert("Sid".into(), json!(sid));
                }
                statement.insert("Effect".into(), json!(if deny { "Deny" } else { "Allow" }));
                let name = if not && deny && principal.is_object() {
                    "NotPrincipal"
                } else {
                    "Principal"
                };
                statement.insert(name.into(), principal);
                statement.insert(
                    if not_action { "NotAction" } else { "Action" }.into(),
                    action,
                );
                statement.insert("Resource".into(), resource);
                if let Some(condition) = condition {
                    statement.insert("Condition".into(), condition);
                }
                Json::Object(statement)
            },
        )
}

/// Policies as people and tools write them: lists and single statements, with and without a version, with spaces.
fn policy() -> impl Strategy<Value = String> {
    (
        proptest::collection::vec(statement(), 1..5),
        select(vec![None, Some("2012-10-17"), Some("2008-10-17")]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(statements, version, pretty, id)| {
            let mut policy = serde_json::Map::new();
            if let Some(version) = version {
                policy.insert("Version".into(), json!(version));
            }
            if id {
                policy.insert("Id".into(), json!("Policy1"));
            }
            let one = statements.len() == 1 && !pretty;
            let statements = if one {
                statements[0].clone()
            } else {
                json!(statements)
            };
            policy.insert("Statement".into(), statements);
            let policy = Json::Object(policy);
            if pretty {
                serde_json::to_string_pretty(&policy).unwrap()
            } else {
                policy.to_string()
            }
        })
}

fn contexts(tls: Option<&str>) -> Vec<Context> {
    let mut all = Vec::new();
    for ip in [None, Some("10.1.2.3"), Some("203.0.113.5")] {
        for more in [
            None,
            Some(("aws:SourceVpce", "vpce-1")),
            Some(("s3:x-amz-acl", "bucket-owner-full-control")),
        ] {
            let mut context = Context::closed();
            if let Some(tls) = tls {
                context.set("aws:SecureTransport", [tls]);
            }
            if let Some(ip) = ip {
                context.set("aws:SourceIp", [ip]);
            }
            if let Some((key, value)) = more {
                context.set(key, [value]);
            }
            all.push(context);
        }
    }
    all
}

fn decision(policy: &Policy, identity: &Policy, request: &Request) -> Decision {
    let own = request
        .principal
        .account()
        .is_some_and(|a| a == "123456789012");
    let sets = PolicySets {
        identity: if own {
            vec![Source {
                name: "own",
                policy: identity,
            }]
        } else {
            Vec::new()
        },
        resource: Some(Source {
            name: "bucket",
            policy,
        }),
        ..PolicySets::default()
    };
    decide(request, &sets)
}

/// What is wrong with a policy that TLS-only statements were added to, if anything.
fn wrong(text: &str, merged: &str, broad: bool) -> Option<String> {
    // every statement that was there is there, as it was
    let (old, new): (Json, Json) = (
        serde_json::from_str(text).unwrap(),
        serde_json::from_str(merged).unwrap(),
    );
    let list = |p: &Json| match &p["Statement"] {
        Json::Array(l) => l.clone(),
        one => vec![one.clone()],
    };
    let before = list(&old);
    if list(&new).get(..before.len()) != Some(&before[..]) {
        return Some("a statement is another one".to_owned());
    }
    if old.get("Version") != new.get("Version") || old.get("Id") != new.get("Id") {
        return Some("the version or the id is another one".to_owned());
    }
    differs(text, merged, broad)
}

/// A request that is decided otherwise than it should be.
fn differs(text: &str, merged: &str, broad: bool) -> Option<String> {
    let (before, after) = (Policy::parse(text).unwrap(), Policy::parse(merged).unwrap());
    let identity = if broad { "s3:*" } else { "s3:GetObject" };
    let identity = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": identity, "Resource": "*"}]});
    let identity = Policy::parse(&identity.to_string()).unwrap();
    for tls in [Some("true"), None, Some("false")] {
        for context in contexts(tls) {
            for who in PRINCIPALS {
                for action in ACTIONS {
                    for resource in RESOURCES {
                        let request = Request {
                            principal: Principal::new(who),
                            action: (*action).to_owned(),
                            resource: (*resource).to_owned(),
                            resource_account: Some("123456789012".to_owned()),
                            context: context.clone(),
                        };
                        let now = decision(&after, &identity, &request);
                        let good = if tls == Some("false") {
                            now != Decision::Allow
                        } else {
                            decision(&before, &identity, &request) == now
                        };
                        if !good {
                            return Some(format!(
                                "{who} {action} {resource} {tls:?}: {now:?}\n{merged}"
                            ));
                        }
                    }
                }
            }
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_else_changes(text in policy(), broad in any::<bool>()) {
        let merged = with_statements(Some(&text), TLS).unwrap();
        let merged = merged.unwrap_or_else(|| text.clone());
        // a second time changes nothing
        prop_assert_eq!(with_statements(Some(&merged), TLS), Ok(None));
        prop_assert_eq!(wrong(&text, &merged, broad), None);
    }
}

/// Does something to the statements of a policy.
type Edit = fn(&mut Vec<Json>);

/// Edits that lose something are seen: the property can fail. Over the same policies, each way of doing it wrong must be
/// found in some of them by the policy engine alone, without looking at the text.
#[test]
fn wrong_edits_are_found() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, TestRunner};
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let edits: [(&str, Edit); 4] = [
        ("the first statement is lost", |list| {
            list.remove(0);
        }),
        ("all but the new one are lost", |list| {
            list.drain(..list.len() - 1);
        }),
        ("the new one is missing", |list| {
            list.pop();
        }),
        ("a condition is lost", |list| {
            for statement in list.iter_mut() {
                statement.as_object_mut().unwrap().remove("Condition");
            }
        }),
    ];
    let mut found = [0; 4];
    for _ in 0..200 {
        let text = policy().new_tree(&mut runner).unwrap().current();
        let Some(merged) = with_statements(Some(&text), TLS).unwrap() else {
            continue;
        };
        for (index, (_, edit)) in edits.iter().enumerate() {
            let mut edited: Json = serde_json::from_str(&merged).unwrap();
            edit(edited["Statement"].as_array_mut().unwrap());
            found[index] += usize::from(differs(&text, &edited.to_string(), true).is_some());
        }
    }
    for ((what, _), found) in edits.iter().zip(found) {
        assert!(found > 20, "{what}: found in {found} of 200");
    }
}

//! Random policies and requests, decided by two evaluators; and properties that hold for every decision.
//!
//! The number of requests is 20,000, or what `PALISADE_IAM_REQUESTS` says (the nightly task sets a million).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

mod oracle;

use palisade_iam::{
    Context, Decision, Layer, Level, Policy, PolicySets, Principal, Request, Source, decide,
};
use serde_json::{Value, json};

/// A small generator of its own, so that a failure is repeated by its number alone (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }
}

struct Random {
    principal: String,
    action: &'static str,
    resource: String,
    owner: String,
    context: Vec<(String, Vec<String>)>,
    identity: Vec<Value>,
    resource_policy: Option<Value>,
    boundary: Option<Vec<Value>>,
    session: Option<Vec<Value>>,
    scp: Vec<Vec<Value>>,
    rcp: Vec<Vec<Value>>,
}

const ACCOUNT: &str = "111111111111";

fn condition(dice: &mut Dice) -> Value {
    let (name, key, values): (&str, &str, Value) = match dice.roll(14) {
        0 => (
            dice.pick(&[
                "StringEquals",
                "StringNotEquals",
                "StringEqualsIgnoreCase",
                "StringNotEqualsIgnoreCase",
            ]),
            "aws:PrincipalTag/team",
            json!(["blue", "RED"]),
        ),
        1 => (
            dice.pick(&["StringLike", "StringNotLike"]),
            "aws:PrincipalTag/team",
            json!("b*e"),
        ),
        2 => (
            dice.pick(&[
                "ForAllValues:StringEquals",
                "ForAnyValue:StringEquals",
                "ForAllValues:StringNotEquals",
            ]),
            "aws:TagKeys",
            json!(["a", "b"]),
        ),
        3 => (
            dice.pick(&["ForAnyValue:StringLike", "ForAllValues:StringLike"]),
            "aws:TagKeys",
            json!("?"),
        ),
        4 => (
            dice.pick(&["IpAddress", "NotIpAddress"]),
            "aws:SourceIp",
            json!(["10.0.0.0/8", "192.0.2.0/24"]),
        ),
        5 => (
            "Bool",
            "aws:SecureTransport",
            json!(dice.pick(&["true", "false"])),
        ),
        6 => (
            "Null",
            "aws:TokenIssueTime",
            json!(dice.pick(&["true", "false"])),
        ),
        7 => (
            dice.pick(&["NumericLessThan", "NumericGreaterThanEquals"]),
            "aws:MultiFactorAuthAge",
            json!("3600"),
        ),
        8 => (
            dice.pick(&["DateGreaterThan", "DateLessThanEquals"]),
            "aws:CurrentTime",
            json!("2026-03-01T00:00:00Z"),
        ),
        9 => (
            dice.pick(&["ArnLike", "ArnNotLike", "ArnEquals"]),
            "aws:SourceArn",
            json!("arn:aws:sns:*:111111111111:*"),
        ),
        10 => (
            "StringEquals",
            "aws:PrincipalTag/team",
            json!("${aws:username}"),
        ),
        11 => ("ForAnyValue:StringEquals", "AWS:tagkeys", json!(["c"])),
        12 => ("Null", "aws:TagKeys", json!("false")),
        _ => ("StringLike", "aws:SourceVpce", json!(["vpce-*"])),
    };
    let name = if name != "Null" && dice.chance(3) {
        format!("{name}IfExists")
    } else {
        name.to_owned()
    };
    json!({ name: { key: values } })
}

fn statement(dice: &mut Dice, allow_weight: usize, principals: Option<&[Value]>) -> Value {
    let mut out =
        json!({ "Effect": if dice.roll(allow_weight + 1) > 0 { "Allow" } else { "Deny" } });
    let actions = [
        "*",
        "s3:*",
        "s3:Get*",
        "s3:GetObject",
        "S3:getobject",
        "s3:Get?bject",
        "sqs:*",
        "sqs:SendMessage",
        "ec2:*",
    ];
    let resources = [
        "*",
        "arn:aws:s3:::data/*",
        "arn:aws:s3:::data/${aws:username}/*",
        "arn:aws:s3:::*",
        "arn:aws:sqs:*:*:orders",
        "arn:aws:s3:::data/reports/q?.csv",
        "arn:aws:s3",
        "arn:*:sqs:us-east-1:111111111111:o*s",
        "arn:aws:s3:::*:x",
    ];
    let texts = |from: &[&str], dice: &mut Dice| {
        let first = dice.pick(from).to_owned();
        if dice.chance(3) {
            json!([first, dice.pick(from)])
        } else {
            json!(first)
        }
    };
    let key = if dice.chance(8) {
        "NotAction"
    } else {
        "Action"
    };
    out[key] = texts(&actions, dice);
    let key = if dice.chance(8) {
        "NotResource"
    } else {
        "Resource"
    };
    out[key] = texts(&resources, dice);
    if dice.chance(3) {
        out["Condition"] = condition(dice);
    }
    if let Some(principals) = principals {
        out["Principal"] = principals[dice.roll(principals.len())].clone();
    }
    out
}

fn policy(dice: &mut Dice, allow_weight: usize, principals: Option<&[Value]>) -> Value {
    let statements: Vec<Value> = (0..=dice.roll(3))
        .map(|_| statement(dice, allow_weight, principals))
        .collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn full() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] })
}

fn random(seed: u64) -> Random {
    let dice = &mut Dice(seed);
    let principal = dice
        .pick(&[
            "arn:aws:iam::111111111111:user/alice",
            "arn:aws:iam::111111111111:role/app",
            "arn:aws:sts::111111111111:assumed-role/app/job1",
        ])
        .to_owned();
    let (action, resource) = match dice.roll(3) {
        0 => ("s3:GetObject", "arn:aws:s3:::data/reports/q1.csv"),
        1 => ("s3:GetObject", "arn:aws:s3:::data/alice/x"),
        _ => (
            "sqs:SendMessage",
            "arn:aws:sqs:us-east-1:111111111111:orders",
        ),
    };
    let owner = dice.pick(&[ACCOUNT, ACCOUNT, "222222222222"]).to_owned();
    let mut context = vec![("aws:PrincipalAccount".to_owned(), vec![ACCOUNT.to_owned()])];
    if principal.contains(":user/") {
        context.push(("aws:username".to_owned(), vec!["alice".to_owned()]));
    }
    for (key, values) in [
        (
            "aws:PrincipalTag/team",
            vec![dice.pick(&["blue", "red", "Blue", "alice"])],
        ),
        ("aws:TagKeys", vec!["a", dice.pick(&["b", "cc"])]),
        ("aws:SourceIp", vec![dice.pick(&["10.1.2.3", "8.8.8.8"])]),
        ("aws:SecureTransport", vec![dice.pick(&["true", "false"])]),
        ("aws:TokenIssueTime", vec!["2026-01-01T00:00:00Z"]),
        ("aws:MultiFactorAuthAge", vec![dice.pick(&["100", "3600"])]),
        (
            "aws:CurrentTime",
            vec![dice.pick(&["2026-02-01T00:00:00Z", "2026-06-01T00:00:00Z"])],
        ),
        (
            "aws:SourceArn",
            vec![dice.pick(&["arn:aws:sns:us-east-1:111111111111:t", "arn:aws:s3:::b"])],
        ),
        ("aws:SourceVpce", vec!["vpce-1"]),
    ] {
        if dice.chance(2) {
            context.push((
                key.to_owned(),
                values.into_iter().map(ToOwned::to_owned).collect(),
            ));
        }
    }
    let principals = [
        json!("*"),
        json!({ "AWS": "*" }),
        json!({ "AWS": "arn:aws:iam::111111111111:root" }),
        json!({ "AWS": ["222222222222", "111111111111"] }),
        json!({ "AWS": "arn:aws:iam::111111111111:user/alice" }),
        json!({ "AWS": "arn:aws:iam::111111111111:role/app" }),
        json!({ "AWS": "arn:aws:sts::111111111111:assumed-role/app/job1" }),
        json!({ "Service": "sns.amazonaws.com" }),
    ];
    let list = |dice: &mut Dice| -> Vec<Value> {
        (0..=dice.roll(2))
            .map(|_| {
                if dice.chance(4) {
                    full()
                } else {
                    policy(dice, 4, None)
                }
            })
            .collect()
    };
    let session = principal.contains(":assumed-role/") && dice.chance(2);
    Random {
        action,
        resource: resource.to_owned(),
        owner,
        identity: list(dice),
        resource_policy: (!dice.chance(3)).then(|| policy(dice, 5, Some(&principals))),
        boundary: dice.chance(3).then(|| list(dice)),
        session: session.then(|| list(dice)),
        scp: (0..dice.roll(3)).map(|_| list(dice)).collect(),
        rcp: (0..dice.roll(2))
            .map(|_| {
                vec![{
                    let mut p = policy(dice, 0, Some(&principals[..1]));
                    for s in p["Statement"].as_array_mut().unwrap() {
                        s["Effect"] = json!("Deny");
                    }
                    p
                }]
            })
            .collect(),
        context,
        principal,
    }
}

struct Parsed {
    identity: Vec<Policy>,
    resource: Option<Policy>,
    boundary: Option<Vec<Policy>>,
    session: Option<Vec<Policy>>,
    scp: Vec<Vec<Policy>>,
    rcp: Vec<Vec<Policy>>,
}

fn parse(value: &Value) -> Policy {
    Policy::parse(&value.to_string()).unwrap()
}

fn parse_all(values: &[Value]) -> Vec<Policy> {
    values.iter().map(parse).collect()
}

impl Parsed {
    fn new(case: &Random) -> Self {
        Self {
            identity: parse_all(&case.identity),
            resource: case.resource_policy.as_ref().map(parse),
            boundary: case.boundary.as_deref().map(parse_all),
            session: case.session.as_deref().map(parse_all),
            scp: case.scp.iter().map(|l| parse_all(l)).collect(),
            rcp: case.rcp.iter().map(|l| parse_all(l)).collect(),
        }
    }

    fn sets(&self) -> PolicySets<'_> {
        PolicySets {
            identity: source(&self.identity),
            resource: self.resource.as_ref().map(|policy| Source {
                name: "resource",
                policy,
            }),
            boundary: self.boundary.as_deref().map(source),
            session: self.session.as_deref().map(source),
            scp: self
                .scp
                .iter()
                .map(|l| Level {
                    name: "level",
                    policies: source(l),
                })
                .collect(),
            rcp: self
                .rcp
                .iter()
                .map(|l| Level {
                    name: "level",
                    policies: source(l),
                })
                .collect(),
            ..PolicySets::default()
        }
    }
}

fn source(policies: &[Policy]) -> Vec<Source<'_>> {
    policies
        .iter()
        .map(|policy| Source {
            name: "policy",
            policy,
        })
        .collect()
}

fn request(case: &Random) -> Request {
    let mut context = Context::closed();
    for (key, values) in &case.context {
        context.set(key, values);
    }
    Request {
        principal: Principal::new(&case.principal),
        action: case.action.to_owned(),
        resource: case.resource.clone(),
        resource_account: Some(case.owner.clone()),
        context,
    }
}

fn fast(case: &Random) -> Decision {
    decide(&request(case), &Parsed::new(case).sets())
}

fn requests() -> u64 {
    std::env::var("PALISADE_IAM_REQUESTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000)
}

#[test]
fn two_evaluators_agree() {
    compare(0..requests());
}

/// The nightly run: `cargo test -p palisade-iam --release --test differential -- --ignored`.
#[test]
#[ignore = "a million requests take minutes"]
fn two_evaluators_agree_on_a_million_requests() {
    compare(1_000_000..2_000_000);
}

fn compare(seeds: std::ops::Range<u64>) {
    let total = seeds.end - seeds.start;
    let mut counts = std::collections::BTreeMap::new();
    for seed in seeds {
        let case = random(seed);
        let want = oracle::decide(&oracle::Case {
            principal: &case.principal,
            action: case.action,
            resource: &case.resource,
            owner: &case.owner,
            context: &case.context,
            identity: &case.identity,
            resource_policy: case.resource_policy.as_ref(),
            boundary: case.boundary.as_deref(),
            session: case.session.as_deref(),
            scp: &case.scp,
            rcp: &case.rcp,
        });
        assert_eq!(fast(&case).as_str(), want, "seed {seed}");
        *counts.entry(want).or_insert(0_u64) += 1;
    }
    // A test in which one outcome never occurs proves little.
    assert!(
        counts.len() == 3 && counts.values().all(|n| *n > total / 50),
        "{counts:?}"
    );
}

fn rank(decision: Decision) -> u8 {
    u8::from(decision == Decision::Allow)
}

#[test]
fn properties_of_decisions() {
    for seed in 0..requests() / 10 {
        let case = random(seed);
        let before = fast(&case);
        let dice = &mut Dice(seed ^ 0xabcd);
        // An explicit deny always wins.
        let mut denied = random(seed);
        denied.identity.push(json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": "*", "Resource": "*" }] }));
        assert_eq!(fast(&denied), Decision::ExplicitDeny, "seed {seed}");
        // The order of policies and statements does not matter.
        let mut turned = random(seed);
        turned.identity.reverse();
        turned.scp.reverse();
        for policy in turned
            .identity
            .iter_mut()
            .chain(turned.resource_policy.as_mut())
        {
            policy["Statement"].as_array_mut().unwrap().reverse();
        }
        assert_eq!(fast(&turned), before, "seed {seed}");
        // A further deny never widens.
        let mut more = random(seed);
        let mut extra = policy(dice, 1, None);
        for s in extra["Statement"].as_array_mut().unwrap() {
            s["Effect"] = json!("Deny");
        }
        more.identity.push(extra);
        assert!(rank(fast(&more)) <= rank(before), "seed {seed}");
        // A further guardrail never widens.
        let mut guarded = random(seed);
        guarded.scp.push(vec![policy(dice, 3, None)]);
        assert!(rank(fast(&guarded)) <= rank(before), "seed {seed}");
        // Less knowledge never turns one certain answer into the other.
        let mut open = Context::open();
        let mut asked = request(&case);
        for (key, values) in case.context.iter().filter(|_| dice.chance(2)) {
            open.set(key, values);
        }
        asked.context = open;
        let parsed = Parsed::new(&case);
        let vague = decide(&asked, &parsed.sets());
        assert!(
            vague == Decision::DependsOn || rank(vague) == rank(before),
            "seed {seed}: {vague:?} {before:?}"
        );
        // Nor does a layer that could not be read.
        for layer in [
            Layer::Identity,
            Layer::Resource,
            Layer::Boundary,
            Layer::ServiceControl,
            Layer::ResourceControl,
        ] {
            let mut sets = parsed.sets();
            match layer {
                Layer::Identity => sets.identity.clear(),
                Layer::Resource => sets.resource = None,
                Layer::Boundary => sets.boundary = None,
                Layer::ServiceControl => sets.scp.clear(),
                _ => sets.rcp.clear(),
            }
            sets.unread.insert(layer);
            let blind = decide(&request(&case), &sets);
            assert!(
                blind == Decision::DependsOn || rank(blind) == rank(before),
                "seed {seed}, {layer:?} unread: {blind:?} {before:?}"
            );
        }
    }
}

//! Random policies and requests, from a seed or from the bytes of a fuzzer.
#![allow(dead_code, reason = "each test uses a part")]

use super::oracle;
use palisade_iam::{
    Context, Decision, Level, Policy, PolicySets, Principal, Request, Source, decide,
};
use serde_json::{Value, json};

/// Where choices come from.
pub enum Dice<'a> {
    /// A small generator of its own, so that a failure is repeated by its number alone (SplitMix64).
    Seed(u64),
    /// The bytes of a fuzzer: one a choice, then the first of each.
    Bytes(std::slice::Iter<'a, u8>),
}

impl Dice<'_> {
    pub fn roll(&mut self, sides: usize) -> usize {
        match self {
            Dice::Seed(state) => {
                *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut z = *state;
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                ((z ^ (z >> 31)) % sides as u64) as usize
            }
            Dice::Bytes(bytes) => bytes.next().map_or(0, |b| usize::from(*b)) % sides,
        }
    }

    pub fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.roll(from.len())]
    }

    pub fn chance(&mut self, one_in: usize) -> bool {
        self.roll(one_in) == 0
    }
}

/// A request with the policies of every layer.
pub struct Random {
    pub principal: String,
    pub action: &'static str,
    pub resource: String,
    pub owner: String,
    pub context: Vec<(String, Vec<String>)>,
    pub identity: Vec<Value>,
    pub resource_policy: Option<Value>,
    pub boundary: Option<Vec<Value>>,
    pub session: Option<Vec<Value>>,
    pub scp: Vec<Vec<Value>>,
    pub rcp: Vec<Vec<Value>>,
}

const ACCOUNT: &str = "111111111111";

fn condition(dice: &mut Dice<'_>) -> Value {
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

fn statement(dice: &mut Dice<'_>, allow_weight: usize, principals: Option<&[Value]>) -> Value {
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
    let texts = |from: &[&str], fragments: &[&str], dice: &mut Dice<'_>| {
        let one = |dice: &mut Dice<'_>| {
            if dice.chance(4) {
                (0..=dice.roll(6)).map(|_| dice.pick(fragments)).collect()
            } else {
                dice.pick(from).to_owned()
            }
        };
        let first = one(dice);
        if dice.chance(3) {
            json!([first, one(dice)])
        } else {
            json!(first)
        }
    };
    let key = if dice.chance(8) {
        "NotAction"
    } else {
        "Action"
    };
    out[key] = texts(
        &actions,
        &[
            "s3",
            ":",
            "*",
            "?",
            "Get",
            "get",
            "Object",
            "sqs:SendMessage",
        ],
        dice,
    );
    let key = if dice.chance(8) {
        "NotResource"
    } else {
        "Resource"
    };
    out[key] = texts(
        &resources,
        &[
            "arn:aws:s3:::data/",
            "arn:",
            "aws",
            ":",
            "::",
            "*",
            "?",
            "data",
            "/",
            "${aws:username}",
            "reports/q1.csv",
            "sqs",
            "alice",
            "x",
        ],
        dice,
    );
    if dice.chance(3) {
        out["Condition"] = condition(dice);
    }
    if let Some(principals) = principals {
        out["Principal"] = principals[dice.roll(principals.len())].clone();
    }
    out
}

pub fn policy(dice: &mut Dice<'_>, allow_weight: usize, principals: Option<&[Value]>) -> Value {
    let statements: Vec<Value> = (0..=dice.roll(3))
        .map(|_| statement(dice, allow_weight, principals))
        .collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn full() -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] })
}

pub fn random(dice: &mut Dice<'_>) -> Random {
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
    let list = |dice: &mut Dice<'_>| -> Vec<Value> {
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

pub struct Parsed {
    pub identity: Vec<Policy>,
    pub resource: Option<Policy>,
    pub boundary: Option<Vec<Policy>>,
    pub session: Option<Vec<Policy>>,
    pub scp: Vec<Vec<Policy>>,
    pub rcp: Vec<Vec<Policy>>,
}

fn parse(value: &Value) -> Policy {
    Policy::parse(&value.to_string()).unwrap()
}

fn parse_all(values: &[Value]) -> Vec<Policy> {
    values.iter().map(parse).collect()
}

impl Parsed {
    pub fn new(case: &Random) -> Self {
        Self {
            identity: parse_all(&case.identity),
            resource: case.resource_policy.as_ref().map(parse),
            boundary: case.boundary.as_deref().map(parse_all),
            session: case.session.as_deref().map(parse_all),
            scp: case.scp.iter().map(|l| parse_all(l)).collect(),
            rcp: case.rcp.iter().map(|l| parse_all(l)).collect(),
        }
    }

    pub fn sets(&self) -> PolicySets<'_> {
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

pub fn request(case: &Random) -> Request {
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

pub fn fast(case: &Random) -> Decision {
    decide(&request(case), &Parsed::new(case).sets())
}

/// What the slow evaluator says.
pub fn slow(case: &Random) -> &'static str {
    oracle::decide(&oracle::Case {
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
    })
}

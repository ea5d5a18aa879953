//! Crowds say what asking each caller by itself says.

use super::*;
use crate::account::is_of_caller;
use serde_json::{Value, json};

/// A small generator (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len() as u64) as usize].clone()
    }
}

fn condition(dice: &mut Dice) -> Value {
    match dice.roll(9) {
        0 => {
            json!({ "StringEquals": { "aws:PrincipalAccount": dice.pick(&["000000000001", "000000000002"]) } })
        }
        1 => json!({ "StringEquals": { "sts:ExternalId": "x" } }),
        2 => json!({ "StringEquals": { "aws:PrincipalTag/team": "red" } }),
        3 => json!({ "StringLike": { "aws:username": "a*" } }),
        4 => json!({ "Bool": { "aws:SecureTransport": "true" } }),
        5 => json!({ "Bool": { "aws:SecureTransport": "false" } }),
        6 => json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/b*" } }),
        7 => json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } }),
        _ => json!({ "StringEquals": { "aws:PrincipalType": "User" } }),
    }
}

fn with_condition(dice: &mut Dice, mut statement: Value) -> Value {
    if dice.roll(3) == 0 {
        statement["Condition"] = condition(dice);
    }
    statement
}

fn document(statements: Vec<Value>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn trust(dice: &mut Dice) -> Value {
    let statements = (0..=dice.roll(3) / 2).map(|_| {
        let mut statement = json!({
            "Effect": if dice.roll(6) == 0 { "Deny" } else { "Allow" },
            "Action": dice.pick(&["sts:AssumeRole", "sts:*"]),
        });
        let principal = match dice.roll(9) {
            0 => json!({ "AWS": "arn:aws:iam::000000000001:root" }),
            1 => json!({ "Service": "ec2.amazonaws.com" }),
            2 => json!({ "AWS": "arn:aws:iam::000000000002:user/a" }),
            _ => json!({ "AWS": "*" }),
        };
        let negated = statement["Effect"] == "Deny" && dice.roll(2) == 0;
        statement[if negated { "NotPrincipal" } else { "Principal" }] = principal;
        with_condition(dice, statement)
    });
    document(statements.collect())
}

fn permissions(dice: &mut Dice) -> Value {
    let statements = (0..=dice.roll(2)).map(|_| {
        let statement = json!({
            "Effect": if dice.roll(5) == 0 { "Deny" } else { "Allow" },
            "Action": dice.pick(&["sts:AssumeRole", "sts:*", "s3:*", "iam:PutUserPolicy", "iam:PassRole", "ec2:*", "*"]),
            "Resource": dice.pick(&[
                "*",
                "arn:aws:iam::*:role/b",
                "arn:aws:iam::000000000003:role/*",
                "arn:aws:iam::*:role/${aws:username}",
            ]),
        });
        with_condition(dice, statement)
    });
    document(statements.collect())
}

fn details(dice: &mut Dice, account: u64) -> Value {
    let arn = |kind: &str, name: &str| format!("arn:aws:iam::{account:012}:{kind}/{name}");
    let boundary = |dice: &mut Dice| match dice.roll(5) {
        0 => {
            json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn("policy", "limit") })
        }
        1 => {
            json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn("policy", "unread") })
        }
        _ => Value::Null,
    };
    let own = |dice: &mut Dice| match dice.roll(6) {
        // What cannot be understood may say anything.
        0 => {
            json!([{ "PolicyName": "p", "PolicyDocument": { "Statement": { "Effect": "Perhaps" } } }])
        }
        1 => json!([]),
        _ => json!([{ "PolicyName": "p", "PolicyDocument": permissions(dice) }]),
    };
    let tags = |dice: &mut Dice| match dice.roll(2) {
        0 => json!([{ "Key": "team", "Value": dice.pick(&["red", "blue"]) }]),
        _ => json!([]),
    };
    let user = |dice: &mut Dice, name: &str| {
        json!({
            "UserName": name, "UserId": format!("AIDA{account}{name}"), "Path": "/", "Arn": arn("user", name),
            "UserPolicyList": own(dice), "PermissionsBoundary": boundary(dice), "Tags": tags(dice),
        })
    };
    let role = |dice: &mut Dice, name: &str| {
        json!({
            "RoleName": name, "RoleId": format!("AROA{account}{name}"), "Path": "/", "Arn": arn("role", name),
            "AssumeRolePolicyDocument": trust(dice), "RolePolicyList": own(dice), "PermissionsBoundary": boundary(dice),
            "Tags": tags(dice),
        })
    };
    json!({
        "UserDetailList": [user(dice, "a"), user(dice, "b")],
        "GroupDetailList": [],
        "RoleDetailList": [role(dice, "a"), role(dice, "b"), role(dice, "c")],
        "Policies": [{
            "PolicyName": "limit", "Arn": arn("policy", "limit"),
            "PolicyVersionList": [{ "VersionId": "v1", "IsDefaultVersion": true, "Document": permissions(dice) }],
        }],
    })
}

fn model(seed: u64) -> Model {
    let dice = &mut Dice(seed);
    let mut model = Model::default();
    for account in 1..=4 {
        let details = details(dice, account).to_string();
        model.add_authorization_details(&details).unwrap();
    }
    let guardrails = |dice: &mut Dice| {
        let mut of = serde_json::Map::new();
        for account in ["*", "000000000001"] {
            if dice.roll(3) == 0 {
                let policy = |text: Value| json!({ "Name": "g", "Policies": [{ "Name": "p", "Document": text }] });
                let allow = document(vec![
                    json!({ "Effect": "Allow", "Action": "*", "Resource": "*" }),
                ]);
                let level = match dice.roll(2) {
                    0 => policy(allow),
                    _ => {
                        let deny = json!({ "Effect": "Deny", "Action": "sts:*", "Resource": "*" });
                        let deny = with_condition(dice, deny);
                        let allow = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
                        policy(document(vec![allow, deny]))
                    }
                };
                of.insert(account.to_owned(), json!([level]));
            }
        }
        Value::Object(of)
    };
    let surroundings = json!({
        "Compute": [],
        "ServiceControlPolicies": guardrails(dice),
        "ResourceControlPolicies": guardrails(dice),
    });
    model.add_file(&surroundings.to_string()).unwrap();
    model.sort();
    model
}

#[test]
fn a_crowd_gets_what_each_of_it_gets() {
    let rules = Rules::embedded().unwrap();
    let (mut in_crowds, mut found, mut by_crowds) = (0, 0, 0);
    for seed in 0..80 {
        let model = model(seed);
        let all = 0..model.entities.len();
        let alone = edges::Finder::one_by_one(&model, rules, attempt_context(0));
        let alone = Graph::search(&model, rules, &alone, all.clone());
        let graph = Graph::new(&model, rules, 0);
        assert_eq!(graph.all(), alone.all(), "seed {seed}");
        let short = |graph: &Graph<'_>| -> Vec<Escalation> {
            let all = graph.all().into_iter();
            all.map(|e| Escalation {
                reaches: Vec::new(),
                paths: BTreeSet::new(),
                ..e
            })
            .collect()
        };
        let told: Vec<Escalation> = graph.each(Detail::Shortest).collect();
        assert_eq!(told, short(&alone), "seed {seed}");
        for entity in &model.entities {
            let one = Graph::of_principal(&model, rules, 0, &entity.arn);
            let found = one.escalation(&entity.arn).unwrap();
            let told = alone.escalation(&entity.arn).unwrap();
            assert_eq!(found, told, "seed {seed}: {}", entity.arn);
            let mut reached = found.reaches.iter().map(|arn| model.entity(arn).unwrap());
            let gains = reached.any(|other| power::adds_power(entity, other));
            assert_eq!(
                found.escalates,
                found.to_admin.is_some() || gains,
                "seed {seed}: {}",
                entity.arn
            );
        }
        in_crowds += graph.crowd_of.iter().flatten().count();
        found += told.len();
        let next = graph.next.iter().flatten();
        by_crowds += next.filter(|n| n.is_crowds).count();
    }
    // The comparison says something only where there are crowds, ways, and ways through crowds.
    assert!(
        in_crowds > 100 && found > 100 && by_crowds > 20,
        "{in_crowds} {found} {by_crowds}"
    );
}

/// The steps of crowds grow with the roles that trust everyone, not with the callers.
#[test]
fn steps_do_not_grow_with_the_product() {
    let rules = Rules::embedded().unwrap();
    let count = |accounts: u64| {
        let mut model = Model::default();
        for account in 1..=accounts {
            let allow = json!({ "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*" });
            let own = json!([{ "PolicyName": "p", "PolicyDocument": document(vec![allow]) }]);
            let open = document(vec![
                json!({ "Effect": "Allow", "Principal": { "AWS": "*" }, "Action": "sts:AssumeRole" }),
            ]);
            let users = (0..5).map(|at| {
                json!({
                    "UserName": format!("u{at}"), "UserId": format!("AIDA{account}{at}"), "Path": "/",
                    "Arn": format!("arn:aws:iam::{account:012}:user/u{at}"), "UserPolicyList": own,
                })
            });
            let users: Vec<Value> = users.collect();
            let details = json!({
                "UserDetailList": users, "GroupDetailList": [], "Policies": [],
                "RoleDetailList": [{
                    "RoleName": "open", "RoleId": format!("AROA{account}"), "Path": "/",
                    "Arn": format!("arn:aws:iam::{account:012}:role/open"),
                    "AssumeRolePolicyDocument": open, "RolePolicyList": [],
                }],
            });
            model
                .add_authorization_details(&details.to_string())
                .unwrap();
        }
        model.sort();
        let graph = Graph::new(&model, rules, 0);
        let user = graph
            .escalation("arn:aws:iam::000000000001:user/u0")
            .unwrap();
        assert_eq!(user.reaches.len() as u64, accounts);
        graph.edge_count()
    };
    assert_eq!((count(10), count(40)), (60, 240));
}

/// What a user or role has a value of its own for is what [`Entity::context`] sets.
#[test]
fn the_keys_of_callers_are_those_of_their_context() {
    let model = (0..)
        .map(model)
        .find(|m| m.entities.iter().any(|e| !e.tags.is_empty()))
        .unwrap();
    let mut differ = BTreeSet::new();
    for a in &model.entities {
        for b in &model.entities {
            let (a, b) = (
                a.context(&attempt_context(0)),
                b.context(&attempt_context(0)),
            );
            let (a, b) = (a.to_map(), b.to_map());
            for key in a.keys().chain(b.keys()) {
                if a.get(key) != b.get(key) {
                    differ.insert((*key).to_owned());
                }
            }
        }
    }
    assert!(differ.iter().all(|key| is_of_caller(key)), "{differ:?}");
    assert!(differ.contains("aws:principaltag/team") && differ.contains("aws:userid"));
}

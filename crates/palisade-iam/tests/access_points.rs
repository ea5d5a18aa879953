//! Requests through access points of S3, Block Public Access and grants of accounts, and what is reachable from outside.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use palisade_iam::*;
use serde_json::{Value, json};

const OWNER: &str = "111111111111";
const POINT: &str = "arn:aws:s3:eu-west-1:111111111111:accesspoint/point";
const OBJECT: &str = "arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/a/b";
const USER: &str = "arn:aws:iam::111111111111:user/jane";
const OUTSIDER: &str = "arn:aws:iam::222222222222:role/reader";

fn allow(principal: Value, action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource })
}

fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn to_jane(resource: &str) -> Value {
    document(&[allow(json!({ "AWS": USER }), "s3:GetObject", resource)])
}

/// A bucket that leaves everything to the access points of its owner.
fn delegating() -> Value {
    let mut statement = allow(json!({ "AWS": "*" }), "*", "arn:aws:s3:::data/*");
    statement["Condition"] = json!({ "StringEquals": { "s3:DataAccessPointAccount": OWNER } });
    document(&[statement])
}

/// Users and roles with one policy each, and what surrounds them.
fn model(identities: &[(&str, Value)], surroundings: Value) -> Model {
    let list = |kind: &str, name: &str, inline: &str| -> Vec<Value> {
        let own = identities.iter().filter(|(arn, _)| arn.contains(kind));
        own.map(|(arn, policy)| {
            json!({ "Arn": arn, name: arn.rsplit('/').next(), inline: [{ "PolicyName": "p", "PolicyDocument": policy }] })
        })
        .collect()
    };
    let details = json!({
        "UserDetailList": list(":user/", "UserName", "UserPolicyList"),
        "RoleDetailList": list(":role/", "RoleName", "RolePolicyList"),
    });
    let mut model = Model::default();
    model.add_file(&details.to_string()).unwrap();
    model.add_file(&surroundings.to_string()).unwrap();
    let known = model.known.get_or_insert_default();
    known.scp.insert("*".to_owned());
    known.rcp.insert("*".to_owned());
    model
}

struct Case {
    point: Value,
    bucket: Value,
    identity: Value,
}

impl Case {
    fn model(&self, more: &[(&str, Value)]) -> Model {
        let mut entry = json!({ "Policy": self.point, "Bucket": "arn:aws:s3:::data" });
        for (key, value) in more {
            entry[*key] = value.clone();
        }
        let identity = match &self.identity {
            Value::Null => document(&[
                json!({ "Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*" }),
            ]),
            some => some.clone(),
        };
        model(
            &[(USER, identity)],
            json!({ "ResourcePolicies": {
                POINT: entry,
                "arn:aws:s3:::data": { "Owner": OWNER, "Policy": self.bucket },
            }}),
        )
    }

    fn decide(&self) -> Decision {
        self.model(&[])
            .can(USER, "s3:GetObject", OBJECT, &Context::closed())
            .decision
    }
}

fn own(resource: &str) -> Value {
    document(&[json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": resource })])
}

#[test]
fn access_point_and_bucket_must_both_permit() {
    let in_point = "arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/*";
    let in_bucket = "arn:aws:s3:::data/*";
    let both = document(&[json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" })]);
    for (what, point, bucket, identity, expected) in [
        (
            "both policies name her",
            to_jane(in_point),
            to_jane(in_bucket),
            Value::Null,
            Decision::Allow,
        ),
        (
            "the bucket delegates",
            to_jane(in_point),
            delegating(),
            Value::Null,
            Decision::Allow,
        ),
        (
            "the bucket says nothing",
            to_jane(in_point),
            Value::Null,
            Value::Null,
            Decision::ImplicitDeny,
        ),
        (
            "only the bucket names her",
            Value::Null,
            to_jane(in_bucket),
            Value::Null,
            Decision::ImplicitDeny,
        ),
        (
            "the bucket delegates and nobody grants",
            Value::Null,
            delegating(),
            Value::Null,
            Decision::ImplicitDeny,
        ),
        (
            "own permission on the access point, delegated",
            Value::Null,
            delegating(),
            own(in_point),
            Decision::Allow,
        ),
        (
            "own permission on the access point only",
            Value::Null,
            Value::Null,
            own(in_point),
            Decision::ImplicitDeny,
        ),
        (
            "own permission on the bucket only",
            Value::Null,
            Value::Null,
            own(in_bucket),
            Decision::ImplicitDeny,
        ),
        (
            "own permission on both",
            Value::Null,
            Value::Null,
            both.clone(),
            Decision::Allow,
        ),
        (
            "the bucket denies",
            to_jane(in_point),
            document(&[
                json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": in_bucket }),
            ]),
            both.clone(),
            Decision::ExplicitDeny,
        ),
        (
            "a bucket that takes requests through access points only",
            Value::Null,
            document(&[
                json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": in_bucket,
                "Condition": { "StringNotEquals": { "s3:DataAccessPointAccount": OWNER } } }),
            ]),
            both.clone(),
            Decision::Allow,
        ),
        (
            "an own deny on the bucket",
            to_jane(in_point),
            delegating(),
            document(&[json!({ "Effect": "Deny", "Action": "s3:*", "Resource": in_bucket })]),
            Decision::ExplicitDeny,
        ),
    ] {
        let case = Case {
            point,
            bucket,
            identity,
        };
        assert_eq!(case.decide(), expected, "{what}");
    }
}

#[test]
fn the_bucket_is_explained() {
    let case = Case {
        point: to_jane("arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/*"),
        bucket: Value::Null,
        identity: Value::Null,
    };
    let answer = case
        .model(&[])
        .can(USER, "s3:GetObject", OBJECT, &Context::closed());
    assert_eq!(answer.blocked_by, [Layer::Bucket]);
    let lines = answer.to_lines();
    assert!(
        lines.contains(&"bucket at arn:aws:s3:::data does not allow".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn an_access_point_of_a_vpc_takes_requests_from_there() {
    let case = Case {
        point: to_jane("arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/*"),
        bucket: delegating(),
        identity: Value::Null,
    };
    let model = case.model(&[("Vpc", json!("vpc-1"))]);
    let with = |vpc: &str| {
        let mut context = Context::closed();
        context.set("aws:SourceVpc", [vpc]);
        model.can(USER, "s3:GetObject", OBJECT, &context).decision
    };
    assert_eq!(with("vpc-1"), Decision::Allow);
    assert_eq!(with("vpc-2"), Decision::ImplicitDeny);
    let closed = model.can(USER, "s3:GetObject", OBJECT, &Context::closed());
    assert_eq!(closed.decision, Decision::ImplicitDeny);
    let open = model.can(USER, "s3:GetObject", OBJECT, &Context::open());
    assert_eq!(open.decision, Decision::DependsOn);
    assert_eq!(
        open.depends_on,
        ["aws:SourceVpc, which the access point wants to be vpc-1"]
    );
}

#[test]
fn who_comes_from_another_account_needs_all_three() {
    let in_point = "arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/*";
    let to_all = document(&[allow(json!("*"), "s3:GetObject", in_point)]);
    let build = |identity: Value, bucket: Value, more: Value| {
        let mut entry = json!({ "Policy": to_all, "Bucket": "arn:aws:s3:::data" });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        model(
            &[(OUTSIDER, identity)],
            json!({ "ResourcePolicies": {
                POINT: entry,
                "arn:aws:s3:::data": { "Owner": OWNER, "Policy": bucket },
            }}),
        )
    };
    let decide = |model: &Model| {
        model
            .can(OUTSIDER, "s3:GetObject", OBJECT, &Context::closed())
            .decision
    };
    assert_eq!(
        decide(&build(own(in_point), delegating(), json!({}))),
        Decision::Allow
    );
    assert_eq!(
        decide(&build(own("arn:aws:s3:::x"), delegating(), json!({}))),
        Decision::ImplicitDeny
    );
    assert_eq!(
        decide(&build(own(in_point), Value::Null, json!({}))),
        Decision::ImplicitDeny
    );
    // Block Public Access of the access point: its policy is public.
    let blocked = build(
        own(in_point),
        delegating(),
        json!({ "RestrictPublicBuckets": true }),
    );
    assert_eq!(decide(&blocked), Decision::ImplicitDeny);
    // A bucket of somebody else of which nothing is known.
    let foreign = build(
        own(in_point),
        delegating(),
        json!({ "Bucket": "arn:aws:s3:::theirs", "BucketOwner": "333333333333" }),
    );
    assert_eq!(decide(&foreign), Decision::DependsOn);
}

#[test]
fn public_access_block_of_a_bucket_counts() {
    let public = document(&[allow(json!("*"), "s3:GetObject", "arn:aws:s3:::data/*")]);
    for (restricts, expected) in [(false, Decision::Allow), (true, Decision::ImplicitDeny)] {
        let model = model(
            &[(USER, own("arn:aws:s3:::other/*"))],
            json!({ "ResourcePolicies": {
                "arn:aws:s3:::data": { "Owner": OWNER, "Policy": public, "RestrictPublicBuckets": restricts },
            }}),
        );
        let object = "arn:aws:s3:::data/x";
        let everyone = model.can("*", "s3:GetObject", object, &Context::closed());
        assert_eq!(everyone.decision, expected, "{restricts}");
        // Those of the account keep their access.
        let own = model.can(USER, "s3:GetObject", object, &Context::closed());
        assert_eq!(own.decision, Decision::Allow);
        assert_eq!(model.external().is_empty(), restricts);
    }
    let mut unread = model(
        &[(USER, own("*"))],
        json!({ "ResourcePolicies": { "arn:aws:s3:::data": { "Owner": OWNER, "Policy": public } } }),
    );
    let facts = S3Facts {
        restricts_public: Truth::Unknown,
        ..S3Facts::default()
    };
    unread.s3.insert("arn:aws:s3:::data".to_owned(), facts);
    let everyone = unread.can(
        "*",
        "s3:GetObject",
        "arn:aws:s3:::data/x",
        &Context::closed(),
    );
    assert_eq!(everyone.decision, Decision::DependsOn);
    assert_eq!(
        everyone.depends_on,
        ["Block Public Access of S3, which is not known"]
    );
    assert_eq!(unread.external().len(), 1);
}

#[test]
fn several_buckets_of_a_point_answer_for_one_another() {
    let point = "arn:aws:s3::111111111111:accesspoint/abc.mrap";
    let grant = document(&[allow(
        json!({ "AWS": USER }),
        "s3:GetObject",
        &format!("{point}/object/*"),
    )]);
    let mut model = model(
        &[(USER, own("arn:aws:s3:::other/*"))],
        json!({ "ResourcePolicies": {
            point: { "Policy": grant },
            "arn:aws:s3:::data": { "Owner": OWNER, "Policy": delegating() },
            "arn:aws:s3:::copy": { "Owner": OWNER, "Policy": null },
        }}),
    );
    let object = format!("{point}/object/k");
    let can = |model: &Model| model.can(USER, "s3:GetObject", &object, &Context::closed());
    // Nothing says which buckets there are.
    assert_eq!(can(&model).decision, Decision::DependsOn);
    let mut of = |buckets: &[&str]| {
        let buckets = buckets
            .iter()
            .map(|b| (format!("arn:aws:s3:::{b}"), OWNER.to_owned()));
        let access_point = AccessPoint {
            buckets: buckets.collect(),
            vpc: None,
        };
        let facts = S3Facts {
            access_point: Some(access_point),
            ..S3Facts::default()
        };
        model.s3.insert(point.to_owned(), facts);
        can(&model)
    };
    assert_eq!(of(&["data"]).decision, Decision::Allow);
    assert_eq!(of(&["copy"]).decision, Decision::ImplicitDeny);
    let either = of(&["data", "copy"]);
    assert_eq!(either.decision, Decision::DependsOn);
    assert!(
        either
            .depends_on
            .contains(&"which of the buckets answers".to_owned())
    );
}

#[test]
fn grants_of_keys_decide() {
    let key = "arn:aws:kms:eu-west-1:111111111111:key/k";
    let policy = document(&[allow(
        json!({ "AWS": "arn:aws:iam::111111111111:root" }),
        "kms:*",
        "*",
    )]);
    let model = model(
        &[(USER, own("*"))],
        json!({
            "ResourcePolicies": { key: { "Policy": policy } },
            "Grants": { key: [
                { "GranteePrincipal": USER, "Operations": ["Decrypt"] },
                { "GranteePrincipal": OUTSIDER, "Operations": ["Encrypt"] },
            ]},
        }),
    );
    let can = |action: &str| model.can(USER, action, key, &Context::closed()).decision;
    assert_eq!(can("kms:Decrypt"), Decision::Allow);
    assert_eq!(can("kms:Encrypt"), Decision::ImplicitDeny);
    let external = model.external();
    let found: Vec<(&str, &str)> = external
        .iter()
        .map(|e| (e.who.as_str(), e.through.as_str()))
        .collect();
    assert_eq!(found, [("222222222222", "grant")]);
}

#[test]
fn shares_are_reachable_from_outside() {
    let snapshot = "arn:aws:ec2:eu-west-1::snapshot/snap-1";
    let mut model = model(
        &[(USER, own("*"))],
        json!({
            "Organizations": { OWNER: "o-own", "444444444444": "o-own" },
            "Shares": [
                { "Resource": snapshot, "Owner": OWNER, "With": "all", "Through": "snapshot permission" },
                { "Resource": snapshot, "Owner": OWNER, "With": "222222222222", "Through": "snapshot permission" },
                { "Resource": snapshot, "Owner": OWNER, "With": OWNER },
                { "Resource": "image", "Owner": OWNER, "With": "444444444444" },
                { "Resource": "image", "Owner": OWNER, "With": "arn:aws:organizations::444444444444:organization/o-own" },
                { "Resource": "image", "Owner": OWNER, "With": "arn:aws:organizations::555555555555:ou/o-their/ou-1" },
                { "Resource": "share", "Owner": OWNER, "With": "arn:aws:iam::222222222222:role/r" },
                { "Resource": "list", "Owner": OWNER, "With": "canonical user 79a5" },
            ],
        }),
    );
    model.sort();
    let found: Vec<(String, &str, String)> = model
        .external()
        .into_iter()
        .map(|e| (e.resource, e.kind.as_str(), e.who))
        .collect();
    let text = |t: &str| t.to_owned();
    assert_eq!(
        found,
        [
            (text(snapshot), "public", text("*")),
            (text(snapshot), "cross_account", text("222222222222")),
            (
                text("image"),
                "cross_account",
                text("arn:aws:organizations::555555555555:ou/o-their/ou-1")
            ),
            (text("image"), "organization", text("444444444444")),
            (text("image"), "organization", text("o-own")),
            (text("list"), "cross_account", text("canonical user 79a5")),
            (text("share"), "cross_account", text("222222222222")),
        ]
    );
}

#[test]
fn an_access_point_lets_in_whom_its_bucket_lets_in() {
    let in_point = "arn:aws:s3:eu-west-1:111111111111:accesspoint/point/object/*";
    let to_all = document(&[allow(json!("*"), "s3:GetObject", in_point)]);
    for (bucket, more, expected) in [
        (delegating(), json!({}), 1),
        (Value::Null, json!({}), 0),
        (to_jane("arn:aws:s3:::data/*"), json!({}), 0),
        (delegating(), json!({ "RestrictPublicBuckets": true }), 0),
    ] {
        let mut entry = json!({ "Policy": to_all, "Bucket": "arn:aws:s3:::data" });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        let model = model(
            &[(USER, own("*"))],
            json!({ "ResourcePolicies": { POINT: entry, "arn:aws:s3:::data": { "Owner": OWNER, "Policy": bucket } } }),
        );
        assert_eq!(model.external().len(), expected, "{bucket} {more}");
    }
}

#[test]
fn bad_surroundings_are_told() {
    for (file, message) in [
        (
            json!({ "ResourcePolicies": { POINT: { "Policy": null, "Vpc": "vpc-1" } } }),
            "has no `Bucket`",
        ),
        (
            json!({ "ResourcePolicies": { POINT: { "Policy": null, "Buckets": "b" } } }),
            "unknown member `Buckets`",
        ),
        (
            json!({ "ResourcePolicies": { POINT: { "Policy": null, "RestrictPublicBuckets": "yes" } } }),
            "neither true nor false",
        ),
        (
            json!({ "Grants": { "key": [{}] } }),
            "has no `GranteePrincipal`",
        ),
        (
            json!({ "Shares": [{ "Resource": "r", "Owner": "o" }] }),
            "has no `With`",
        ),
    ] {
        let error = Model::default().add_file(&file.to_string()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}");
    }
}

//! What resource control policies take off the list of what can be reached from outside.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use palisade_iam::*;
use serde_json::{Value, json};

const BUCKET: &str = "arn:aws:s3:::b";
const OWN: &str = "111111111111";

/// A bucket with a statement, below a resource control policy with a statement.
fn model(allows: Value, rcp: Value) -> Model {
    let mut model = Model::default();
    let level = json!([{ "Level": "r-root", "Policies": [
        { "Name": "RCPFullAWSAccess", "Document": { "Statement": [{ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" }] } },
        { "Name": "own-people", "Document": { "Version": "2012-10-17", "Statement": [rcp] } },
    ] }]);
    let document = json!({
        "ServiceControlPolicies": { "*": [] },
        "ResourceControlPolicies": { OWN: level },
        "ResourcePolicies": { BUCKET: {
            "Owner": OWN,
            "Policy": { "Version": "2012-10-17", "Statement": [allows] },
        } },
    });
    model.add_file(&document.to_string()).unwrap();
    model
        .organizations
        .insert(OWN.to_owned(), "o-own".to_owned());
    model
}

fn blocked(model: &Model) -> Vec<String> {
    let found = model.external();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].blocked_by.clone()
}

fn allows(principal: Value) -> Value {
    json!({ "Effect": "Allow", "Principal": principal, "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": [BUCKET, format!("{BUCKET}/*")] })
}

/// AWS's example: nobody outside the organisation, but for services.
fn own_people() -> Value {
    json!({ "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {
        "StringNotEqualsIfExists": { "aws:PrincipalOrgID": "o-own" },
        "BoolIfExists": { "aws:PrincipalIsAWSService": "false" },
    } })
}

#[test]
fn what_the_organisation_denies_to_outsiders_is_blocked() {
    let outsiders = [json!("*")];
    for who in outsiders {
        assert_eq!(blocked(&model(allows(who), own_people())), ["own-people"]);
    }
    // whose account it is is known once the organisation's accounts are
    let mut other = model(allows(json!({ "AWS": "222222222222" })), own_people());
    assert_eq!(blocked(&other), [""; 0]);
    other
        .organizations
        .insert("333333333333".to_owned(), "o-own".to_owned());
    assert_eq!(blocked(&other), ["own-people"]);
    other
        .organizations
        .insert("222222222222".to_owned(), "o-own".to_owned());
    assert_eq!(blocked(&other), [""; 0]);
}

#[test]
fn what_is_left_or_not_sure_is_not_blocked() {
    let everyone = || allows(json!("*"));
    let change = |key: &str, value: Value| {
        let mut rcp = own_people();
        rcp[key] = value;
        rcp
    };
    for rcp in [
        // one action is left
        change("Action", json!("s3:GetObject")),
        // one bucket of another name
        change("Resource", json!("arn:aws:s3:::c*")),
        // depends on what a request says
        change(
            "Condition",
            json!({ "StringNotEquals": { "aws:PrincipalTag/team": "a" } }),
        ),
        change(
            "Condition",
            json!({ "NotIpAddress": { "aws:SourceIp": "10.0.0.0/8" } }),
        ),
        // callers without credentials have no such key
        change(
            "Condition",
            json!({ "Bool": { "aws:PrincipalIsAWSService": "false" } }),
        ),
    ] {
        assert_eq!(blocked(&model(everyone(), rcp.clone())), [""; 0], "{rcp}");
    }
}

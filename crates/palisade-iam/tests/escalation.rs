//! What is told of a way to administrator: whether all that it needs is known to exist, and what breaks it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use palisade_iam::{Escalation, Graph, Model, Rules};
use serde_json::{Value, json};

const ACCOUNT: &str = "111111111111";

fn document(statement: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statement })
}

/// A user with statements in an account with an instance whose role is an administrator's.
fn escalation(statements: &Value) -> Option<Escalation> {
    let mut model = Model::default();
    let role = format!("arn:aws:iam::{ACCOUNT}:role/machine");
    let all = document(&json!([{ "Effect": "Allow", "Action": "*", "Resource": "*" }]));
    let trust = document(
        &json!([{ "Effect": "Allow", "Principal": { "Service": "ec2.amazonaws.com" }, "Action": "sts:AssumeRole" }]),
    );
    let details = json!({
        "UserDetailList": [{
            "UserName": "ana", "UserId": "AIDAEXAMPLE", "Path": "/", "Arn": format!("arn:aws:iam::{ACCOUNT}:user/ana"),
            "UserPolicyList": [{ "PolicyName": "own", "PolicyDocument": document(statements) }],
        }],
        "GroupDetailList": [],
        "RoleDetailList": [{
            "RoleName": "machine", "RoleId": "AROAEXAMPLE", "Path": "/", "Arn": role,
            "AssumeRolePolicyDocument": trust,
            "RolePolicyList": [{ "PolicyName": "all", "PolicyDocument": all }],
        }],
        "Policies": [],
    });
    model
        .add_authorization_details(&details.to_string())
        .unwrap();
    let instance = format!("arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/i-1");
    let surroundings = json!({
        "Compute": [{ "Arn": instance, "Service": "ec2.amazonaws.com", "Role": role }],
        "ServiceControlPolicies": { "*": [] },
        "ResourceControlPolicies": { "*": [] },
    });
    model.add_file(&surroundings.to_string()).unwrap();
    model.sort();
    Graph::new(&model, Rules::embedded().unwrap(), 0)
        .all()
        .into_iter()
        .find(|e| e.principal.ends_with(":user/ana"))
}

fn allow(actions: &[&str]) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": "*" })
}

const DEPLOY: [&str; 3] = [
    "codedeploy:CreateDeployment",
    "codedeploy:RegisterApplicationRevision",
    "codedeploy:GetDeploymentConfig",
];

#[test]
fn a_deployment_group_that_nobody_saw_is_assumed() {
    let found = escalation(&json!([allow(&DEPLOY)])).unwrap();
    let steps = found.to_admin.unwrap();
    assert!(steps[0].assumed, "{steps:?}");
    let found = escalation(&json!([allow(&["ssm:StartSession"])])).unwrap();
    let steps = found.to_admin.unwrap();
    assert!(!steps[0].assumed && steps[0].resource.ends_with("instance/i-1"));
}

#[test]
fn a_longer_way_of_which_all_is_known_comes_first() {
    let trust = json!({ "Effect": "Allow", "Action": "ssm:StartSession", "Resource": "arn:aws:ec2:*:*:instance/i-1" });
    let found = escalation(&json!([allow(&DEPLOY), trust])).unwrap();
    let steps = found.to_admin.unwrap();
    assert!(steps.iter().all(|s| !s.assumed), "{steps:?}");
    assert_eq!(steps[0].actions, ["ssm:StartSession"]);
}

/// The change that is named takes the step away.
#[test]
fn what_breaks_a_step_breaks_it() {
    for actions in [
        &["iam:AttachUserPolicy"][..],
        &["iam:PutUserPolicy"],
        &["iam:PassRole", "ec2:RunInstances"],
        &["iam:UpdateAssumeRolePolicy"],
        &["ssm:SendCommand"],
        &[
            "ec2:ModifyInstanceAttribute",
            "ec2:StopInstances",
            "ec2:StartInstances",
        ],
        &DEPLOY,
    ] {
        let before = escalation(&json!([allow(actions)])).unwrap();
        let step = before.to_admin.unwrap().remove(0);
        let deny =
            json!({ "Effect": "Deny", "Action": step.actions[0], "Resource": step.resource });
        assert!(step.break_by.contains(&step.actions[0]) && step.break_by.contains(&step.resource));
        let after = escalation(&json!([allow(actions), deny]));
        let same = after
            .and_then(|e| e.to_admin)
            .is_some_and(|steps| steps[0].rule == step.rule && steps[0].resource == step.resource);
        assert!(!same, "{actions:?}: {}", step.break_by);
    }
}

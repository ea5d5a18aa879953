//! Permissions, asked of somebody who answers for IAM.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_core::CallErrorKind;
use palisade_doctor::{Caller, Examination, State, permissions};
use palisade_model::{
    Api, ApiError, CallFuture, CallRequest, Models, OperationStatistics, Page, Value,
};
use serde_json::{Map, Value as Json, json};
use std::sync::Mutex;

type Answer = Box<dyn Fn(&str, &Map<String, Json>) -> Result<Json, ApiError> + Send + Sync>;

struct Fake(Answer, Mutex<Vec<(String, Map<String, Json>)>>);

impl Api for Fake {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        let name = format!("{}:{}", request.service, request.operation);
        self.1
            .lock()
            .unwrap()
            .push((name.clone(), request.params.clone()));
        Box::pin(async move {
            let value = Value::Json(Box::new((self.0)(&name, request.params)?));
            Ok(Page { value, next: None })
        })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

fn denied() -> ApiError {
    ApiError {
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: String::new(),
    }
}

fn examine(arn: &str, actions: &[String], answer: Answer) -> (Examination, Fake) {
    let fake = Fake(answer, Mutex::default());
    let models = Models::embedded();
    let caller = Caller {
        api: &fake,
        models: &models,
        region: "eu-west-1",
        arn,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let found = runtime.block_on(permissions(&caller, actions));
    (found, fake)
}

fn results(params: &Map<String, Json>, decide: impl Fn(&str) -> Json) -> Json {
    let actions = params["ActionNames"].as_array().unwrap();
    assert!(actions.len() <= 100);
    let results: Vec<Json> = actions
        .iter()
        .map(|a| {
            let mut result = decide(a.as_str().unwrap());
            result["EvalActionName"] = a.clone();
            result
        })
        .collect();
    json!({ "EvaluationResults": results })
}

const ROLE: &str = "arn:aws:sts::123456789012:assumed-role/audit/session";

fn actions() -> Vec<String> {
    let mut actions: Vec<String> = (0..248).map(|i| format!("x:Get{i}")).collect();
    actions.extend(["s3:ListAllMyBuckets".to_owned(), "kms:ListKeys".to_owned()]);
    actions
}

#[test]
fn all_actions_are_simulated_for_the_role_of_a_session() {
    let (found, fake) = examine(
        ROLE,
        &actions(),
        Box::new(|name, params| match name {
            "iam:GetRole" => {
                Ok(json!({ "Role": { "Arn": "arn:aws:iam::123456789012:role/with/path/audit" } }))
            }
            "iam:SimulatePrincipalPolicy" => {
                Ok(results(params, |_| json!({ "EvalDecision": "allowed" })))
            }
            other => panic!("{other}"),
        }),
    );
    assert_eq!(
        (found.state, found.message.as_str()),
        (
            State::Fine,
            "all 250 actions of the selection are allowed, by simulation"
        )
    );
    let calls = fake.1.into_inner().unwrap();
    assert_eq!(calls.len(), 4);
    assert!(
        calls[1..]
            .iter()
            .all(|c| c.1["PolicySourceArn"] == "arn:aws:iam::123456789012:role/with/path/audit")
    );
}

#[test]
fn what_is_missing_is_named_with_its_reason() {
    let (found, _) = examine(
        ROLE,
        &actions(),
        Box::new(|name, params| match name {
            "iam:GetRole" => Err(denied()),
            _ => {
                assert_eq!(
                    params["PolicySourceArn"],
                    "arn:aws:iam::123456789012:role/audit"
                );
                Ok(
                    match results(params, |action| match action {
                        "x:Get1" => json!({ "EvalDecision": "implicitDeny" }),
                        "x:Get2" => json!({ "EvalDecision": "explicitDeny" }),
                        "x:Get3" => {
                            json!({ "EvalDecision": "implicitDeny", "OrganizationsDecisionDetail": { "AllowedByOrganizations": false } })
                        }
                        "x:Get4" => {
                            json!({ "EvalDecision": "implicitDeny", "PermissionsBoundaryDecisionDetail": { "AllowedByPermissionsBoundary": false } })
                        }
                        _ => json!({ "EvalDecision": "allowed" }),
                    }) {
                        // the last action is passed over in silence
                        Json::Object(mut all) => {
                            if let Some(Json::Array(list)) = all.get_mut("EvaluationResults") {
                                list.retain(|r| r["EvalActionName"] != "kms:ListKeys");
                            }
                            Json::Object(all)
                        }
                        other => other,
                    },
                )
            }
        }),
    );
    assert_eq!(found.state, State::Broken);
    assert_eq!(
        found.details,
        [
            "kms:ListKeys: the simulation says nothing about it",
            "x:Get1: no policy allows it",
            "x:Get2: denied by a policy",
            "x:Get3: denied by a policy of the organisation",
            "x:Get4: denied by the permissions boundary",
        ]
    );
}

#[test]
fn without_simulation_a_few_reads_are_tried() {
    let user = "arn:aws:iam::123456789012:user/me";
    let (found, fake) = examine(
        user,
        &actions(),
        Box::new(|name, _| match name {
            "iam:SimulatePrincipalPolicy" => Err(denied()),
            _ => Ok(json!({})),
        }),
    );
    assert_eq!(found.state, State::Warning);
    assert_eq!(
        found.message,
        "iam:SimulatePrincipalPolicy is denied; 2 calls that were tried instead are allowed, 248 actions were not examined"
    );
    assert_eq!(fake.1.into_inner().unwrap().len(), 3);
    let (found, _) = examine(
        user,
        &actions(),
        Box::new(|name, _| match name {
            "kms:ListKeys" | "iam:SimulatePrincipalPolicy" => Err(denied()),
            _ => Ok(json!({})),
        }),
    );
    assert_eq!(
        (found.state, found.details.as_slice()),
        (
            State::Broken,
            &["kms:ListKeys: AccessDenied".to_owned()][..]
        )
    );
    // a call that is throttled is no permission that is missing
    let (found, _) = examine(
        user,
        &actions(),
        Box::new(|name, _| match name {
            "kms:ListKeys" => Err(ApiError {
                kind: CallErrorKind::Other,
                code: "InternalFailure".to_owned(),
                message: String::new(),
            }),
            "iam:SimulatePrincipalPolicy" => Err(denied()),
            _ => Ok(json!({})),
        }),
    );
    assert_eq!(
        (found.state, found.details.as_slice()),
        (
            State::Warning,
            &["kms:ListKeys: InternalFailure".to_owned()][..]
        )
    );
    let (found, fake) = examine(
        "arn:aws:iam::123456789012:root",
        &actions(),
        Box::new(|name, _| panic!("{name}")),
    );
    assert_eq!(found.state, State::Fine);
    assert!(fake.1.into_inner().unwrap().is_empty());
}

//! Whether the credentials may make the calls of a selection: asked of IAM by simulation, where that is allowed, else
//! tried with a few real reads.
use crate::{Examination, State};
use palisade_core::CallErrorKind;
use palisade_model::{Api, ApiError, CallRequest, Models};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;

/// Actions of one call.
const ACTIONS: usize = 100;
const SIMULATE: &str = "iam:SimulatePrincipalPolicy";

/// Reads that cost nothing: action, service, operation.
const READS: &[(&str, &str, &str)] = &[
    ("iam:GetAccountSummary", "iam", "GetAccountSummary"),
    ("s3:ListAllMyBuckets", "s3", "ListBuckets"),
    ("ec2:DescribeVpcs", "ec2", "DescribeVpcs"),
    ("cloudtrail:DescribeTrails", "cloudtrail", "DescribeTrails"),
    ("kms:ListKeys", "kms", "ListKeys"),
    ("lambda:ListFunctions", "lambda", "ListFunctions"),
    ("rds:DescribeDBInstances", "rds", "DescribeDBInstances"),
    ("logs:DescribeLogGroups", "logs", "DescribeLogGroups"),
];

/// Who asks, and through whom.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Makes the calls.
    pub api: &'a dyn Api,
    /// What answers look like.
    pub models: &'a Models,
    /// The default region.
    pub region: &'a str,
    /// Who the credentials belong to.
    pub arn: &'a str,
}

impl std::fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller")
            .field("arn", &self.arn)
            .finish_non_exhaustive()
    }
}

impl Caller<'_> {
    async fn call(
        &self,
        service: &str,
        operation: &str,
        params: &Map<String, Json>,
    ) -> Result<(Json, Option<Map<String, Json>>), ApiError> {
        let request = CallRequest {
            service,
            operation,
            region: self.region,
            params,
        };
        let page = self.api.call(request).await?;
        let model = self.models.get(service).map_err(|e| ApiError {
            kind: CallErrorKind::Other,
            code: "UnknownService".to_owned(),
            message: e.to_string(),
        })?;
        Ok((page.value.to_json(&model), page.next))
    }

    /// The user or role whose policies count: of a role's session, the role.
    async fn principal(&self) -> Option<String> {
        let parts: Vec<&str> = self.arn.splitn(6, ':').collect();
        let [_, partition, service, _, account, name] = parts.as_slice() else {
            return None;
        };
        if *service == "iam" {
            return Some(self.arn.to_owned());
        }
        let role = name.strip_prefix("assumed-role/")?.split('/').next()?;
        let params = Map::from_iter([("RoleName".to_owned(), json!(role))]);
        // a role's path is not in its sessions' ARN
        if let Ok((answer, _)) = self.call("iam", "GetRole", &params).await
            && let Some(arn) = answer.pointer("/Role/Arn").and_then(Json::as_str)
        {
            return Some(arn.to_owned());
        }
        Some(format!("arn:{partition}:iam::{account}:role/{role}"))
    }

    /// The actions that a simulation does not allow, and why.
    async fn simulate(&self, principal: &str, actions: &[String]) -> Result<Vec<String>, ApiError> {
        let mut answered: BTreeSet<String> = BTreeSet::new();
        let mut missing = Vec::new();
        for batch in actions.chunks(ACTIONS) {
            let mut params = Map::new();
            params.insert("PolicySourceArn".to_owned(), principal.into());
            params.insert("ActionNames".to_owned(), batch.to_vec().into());
            let mut next = Some(params);
            while let Some(params) = next {
                let (answer, more) = self.call("iam", "SimulatePrincipalPolicy", &params).await?;
                let results = answer.get("EvaluationResults").and_then(Json::as_array);
                for result in results.into_iter().flatten() {
                    let text =
                        |name: &str| result.get(name).and_then(Json::as_str).unwrap_or_default();
                    let (action, decision) = (text("EvalActionName"), text("EvalDecision"));
                    answered.insert(action.to_lowercase());
                    if decision != "allowed" {
                        missing.push(format!("{action}: {}", explained(result, decision)));
                    }
                }
                next = more;
            }
        }
        // what nobody answered is not allowed
        let silent = actions
            .iter()
            .filter(|a| !answered.contains(&a.to_lowercase()));
        missing.extend(silent.map(|a| format!("{a}: the simulation says nothing about it")));
        missing.sort();
        Ok(missing)
    }

    /// Which of a few reads that the selection needs are denied, which failed otherwise, and how many were tried.
    async fn try_reads(&self, actions: &[String]) -> (usize, Vec<String>, Vec<String>) {
        let (mut tried, mut denied, mut failed) = (0, Vec::new(), Vec::new());
        for (action, service, operation) in READS {
            if !actions.iter().any(|a| a == action) {
                continue;
            }
            tried += 1;
            if let Err(error) = self.call(service, operation, &Map::new()).await {
                // a network that is down or a throttled call says nothing about permissions
                let list = match error.kind {
                    CallErrorKind::Denied => &mut denied,
                    _ => &mut failed,
                };
                list.push(format!("{action}: {}", error.code));
            }
        }
        (tried, denied, failed)
    }
}

fn explained(result: &Json, decision: &str) -> String {
    let flag = |path: &str| result.pointer(path).and_then(Json::as_bool);
    if flag("/OrganizationsDecisionDetail/AllowedByOrganizations") == Some(false) {
        return "denied by a policy of the organisation".to_owned();
    }
    if flag("/PermissionsBoundaryDecisionDetail/AllowedByPermissionsBoundary") == Some(false) {
        return "denied by the permissions boundary".to_owned();
    }
    match decision {
        "explicitDeny" => "denied by a policy".to_owned(),
        "implicitDeny" => "no policy allows it".to_owned(),
        other => other.to_owned(),
    }
}

/// Whether the caller may do all of these.
pub async fn permissions(caller: &Caller<'_>, actions: &[String]) -> Examination {
    const SUBJECT: &str = "permissions";
    let total = actions.len();
    if caller.arn.ends_with(":root") {
        let message = format!(
            "the root user may take all {total} actions, unless its organisation forbids some"
        );
        return Examination::new(SUBJECT, State::Fine, message);
    }
    let simulated = match caller.principal().await {
        Some(principal) => caller.simulate(&principal, actions).await,
        None => Err(ApiError {
            kind: CallErrorKind::Other,
            code: "NoPrincipal".to_owned(),
            message: "these credentials are of no user or role".to_owned(),
        }),
    };
    let error = match simulated {
        Ok(missing) if missing.is_empty() => {
            let message =
                format!("all {total} actions of the selection are allowed, by simulation");
            return Examination::new(SUBJECT, State::Fine, message);
        }
        Ok(missing) => {
            let message = format!(
                "{} of {total} actions of the selection are not allowed, by simulation",
                missing.len()
            );
            return Examination::new(SUBJECT, State::Broken, message)
                .hint("`palisade permissions` prints the policy that is needed")
                .details(missing);
        }
        Err(error) => error,
    };
    let why = if error.kind == CallErrorKind::Denied {
        format!("{SIMULATE} is denied")
    } else {
        format!("{SIMULATE} failed with {}", error.code)
    };
    let (tried, denied, failed) = caller.try_reads(actions).await;
    if !denied.is_empty() {
        let message = format!(
            "{why}; of {tried} calls that were tried instead, {} are denied",
            denied.len()
        );
        return Examination::new(SUBJECT, State::Broken, message)
            .hint("`palisade permissions` prints the policy that is needed")
            .details(denied);
    }
    if !failed.is_empty() {
        let message = format!(
            "{why}; of {tried} calls that were tried instead, {} failed for another reason than permissions",
            failed.len()
        );
        return Examination::new(SUBJECT, State::Warning, message).details(failed);
    }
    let message = match tried {
        0 => format!("{why}, and there is no call to try instead"),
        _ => format!(
            "{why}; {tried} calls that were tried instead are allowed, {} actions were not examined",
            total.saturating_sub(tried)
        ),
    };
    Examination::new(SUBJECT, State::Warning, message).hint(format!(
        "with {SIMULATE} and iam:GetRole all of them can be examined"
    ))
}

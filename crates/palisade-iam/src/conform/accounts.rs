//! Cases over accounts: privilege escalation and administrators.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Fields, ReadFile, Refusal, get, text};
use crate::account::{Compute, Entity, Group, Model, NamedPolicy, OwnedLevel};
use crate::capability::is_admin;
use crate::catalogue::Catalogue;
use crate::context::Context;
use crate::escalation::{Graph, Rules, policy_escalation_paths};
use crate::policy::Policy;
use crate::request::PrincipalKind;
use crate::time::parse_date;

/// The time of the question: the date of the catalogue, since a library has no clock.
fn now() -> i64 {
    Catalogue::embedded()
        .ok()
        .and_then(|c| parse_date(&c.header.date))
        .unwrap_or_default()
}

fn rules() -> Result<&'static Rules, Refusal> {
    Rules::embedded().map_err(|e| Refusal::Broken(e.to_string()))
}

fn identity(case: &Value) -> Result<Vec<Policy>, Refusal> {
    let documents = get(case, &["policies", "identity"])
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Ok(documents
        .map(|d| Policy::parse(&d.to_string()))
        .collect::<Result<_, _>>()?)
}

pub(super) fn privesc_policy(case: &Value) -> Fields {
    let policies = identity(case)?;
    let paths = policy_escalation_paths(&policies, rules()?, now());
    let admin = is_admin(&policies.iter().collect::<Vec<_>>());
    let mut out = Map::new();
    out.insert("escalates".to_owned(), json!(!paths.is_empty() || admin));
    out.insert("admin".to_owned(), json!(admin));
    out.insert("path_ids".to_owned(), json!(paths));
    Ok(out)
}

pub(super) fn policy_admin(case: &Value, read: ReadFile<'_>) -> Fields {
    let admin = match get(case, &["bundle_path"]) {
        Some(_) => {
            let model = bundle(case, read)?;
            let principal = text(case, &["request", "principal"])?;
            let entity = model
                .entity(principal)
                .ok_or_else(|| Refusal::Broken(format!("`{principal}` is not in the bundle")))?;
            model.is_admin(entity)
        }
        None => is_admin(&identity(case)?.iter().collect::<Vec<_>>()),
    };
    super::one("admin", admin)
}

pub(super) fn privesc_graph(case: &Value, read: ReadFile<'_>) -> Fields {
    let model = bundle(case, read)?;
    let rules = rules()?;
    let principal = text(case, &["request", "principal"])?;
    let graph = Graph::of_principal(&model, rules, now(), principal);
    let found = graph
        .escalation(principal)
        .ok_or_else(|| Refusal::Broken(format!("`{principal}` is not in the bundle")))?;
    let mut out = Map::new();
    // An administrator needs no way to become one; in this contract it counts as escalating.
    out.insert(
        "escalates".to_owned(),
        json!(found.escalates || found.is_admin),
    );
    out.insert("admin".to_owned(), json!(found.is_admin));
    out.insert("path_ids".to_owned(), json!(found.paths));
    let reaches = if found.to_admin.is_some() {
        Some("to-admin")
    } else if found.reaches.iter().any(|arn| reads_objects(&model, arn)) {
        Some("to-bucket")
    } else {
        None
    };
    if let Some(reaches) = reaches {
        out.insert("reaches".to_owned(), json!(reaches));
    }
    let steps = found.to_admin.iter().flatten().map(|s| json!({ "from": s.from, "to": s.to, "rule": s.path, "resource": s.resource, "assumed": s.assumed, "indirect": s.indirect, "conditional": s.conditional, "break_by": s.break_by }));
    out.insert("path".to_owned(), json!(steps.collect::<Vec<_>>()));
    Ok(out)
}

fn reads_objects(model: &Model, arn: &str) -> bool {
    model.entity(arn).is_some_and(|e| {
        model
            .some_resource(e, "s3:GetObject", "arn:*:s3:::*", &Context::open())
            .is_some()
    })
}

fn bundle(case: &Value, read: ReadFile<'_>) -> Result<Model, Refusal> {
    let path = text(case, &["bundle_path"])?;
    let json =
        read(path).ok_or_else(|| Refusal::Broken(format!("the bundle `{path}` cannot be read")))?;
    let value: Value = serde_json::from_str(&json).map_err(|e| Refusal::Broken(e.to_string()))?;
    let mut model = Model::default();
    match value.get("accounts") {
        Some(Value::Object(accounts)) => {
            for account in accounts.values() {
                let details = account.get("authorization_details").unwrap_or(account);
                model
                    .add_authorization_value(details)
                    .map_err(|e| Refusal::Broken(e.to_string()))?;
            }
            holders(&value, &mut model);
            resource_policies(&value, &mut model)?;
        }
        Some(Value::Array(_)) => principals(&value, &mut model)?,
        _ => return Err(Refusal::Broken("the bundle has no accounts".to_owned())),
    }
    guardrails(&value, &mut model)?;
    model.sort();
    Ok(model)
}

fn each<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// Resources that name a role hold it.
fn holders(value: &Value, model: &mut Model) {
    const SERVICES: &[(&str, &str)] = &[
        ("aws_lambda_function", "lambda.amazonaws.com"),
        ("aws_glue_dev_endpoint", "glue.amazonaws.com"),
        ("aws_glue_job", "glue.amazonaws.com"),
        ("aws_codebuild_project", "codebuild.amazonaws.com"),
        ("aws_cloudformation_stack", "cloudformation.amazonaws.com"),
        ("aws_instance", "ec2.amazonaws.com"),
        ("aws_sagemaker_notebook_instance", "sagemaker.amazonaws.com"),
        ("aws_apprunner_service", "tasks.apprunner.amazonaws.com"),
        ("aws_ecs_task_definition", "ecs-tasks.amazonaws.com"),
        ("aws_sfn_state_machine", "states.amazonaws.com"),
    ];
    for resource in each(value, "resources") {
        let service = resource
            .get("type")
            .and_then(Value::as_str)
            .and_then(|t| SERVICES.iter().find(|(name, _)| *name == t));
        let role = [
            "role",
            "role_arn",
            "service_role",
            "iam_role_arn",
            "task_role_arn",
            "instance_role_arn",
        ]
        .iter()
        .find_map(|key| get(resource, &["attrs", key]).and_then(Value::as_str));
        if let (Some((_, service)), Some(role), Some(arn)) =
            (service, role, resource.get("arn").and_then(Value::as_str))
        {
            model.compute.push(Compute {
                arn: arn.to_owned(),
                service: (*service).to_owned(),
                role: role.to_owned(),
            });
        }
    }
}

/// Policies of buckets and the like.
fn resource_policies(value: &Value, model: &mut Model) -> Result<(), Refusal> {
    for resource in each(value, "resources") {
        let policy = get(resource, &["policy"]).or(get(resource, &["attrs", "policy"]));
        if let (Some(policy), Some(arn)) = (policy, resource.get("arn").and_then(Value::as_str))
            && (policy.is_object()
                || policy
                    .as_str()
                    .is_some_and(|t| t.trim_start().starts_with('{')))
        {
            let text = policy
                .as_str()
                .map_or_else(|| policy.to_string(), ToOwned::to_owned);
            model.add_resource_policy(arn, &text)?;
        }
    }
    Ok(())
}

fn guardrails(value: &Value, model: &mut Model) -> Result<(), Refusal> {
    for (account, documents) in get(value, &["organization", "scps"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let texts: Vec<String> = documents
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect();
        model.add_scp_level(account, "organization", &texts)?;
    }
    Ok(())
}

/// The second form of bundle: principals with names of their policies.
fn principals(value: &Value, model: &mut Model) -> Result<(), Refusal> {
    for (arn, document) in value
        .get("managed_policies")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        model.add_managed_policy(arn, Policy::parse(&document.to_string())?);
    }
    for group in each(value, "groups") {
        let arn = text(group, &["arn"])?.to_owned();
        let (policies, attached, _) = named(group, &arn, model)?;
        let name = text(group, &["name"])?.to_owned();
        model.groups.insert(
            arn.clone(),
            Group {
                arn,
                name,
                policies,
                attached,
            },
        );
    }
    for item in each(value, "principals") {
        let arn = text(item, &["arn"])?.to_owned();
        let (mut policies, attached, unreadable) = named(item, &arn, model)?;
        let groups: Vec<String> = each(item, "groups")
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect();
        policies.extend(
            groups
                .iter()
                .filter_map(|g| model.groups.get(g))
                .flat_map(|g| g.policies.iter().cloned()),
        );
        let trust = match get(item, &["trust_policy"]) {
            Some(document) => Some(NamedPolicy {
                name: format!("{arn} trust"),
                policy: Arc::new(Policy::parse(&document.to_string())?),
            }),
            None => None,
        };
        let boundary = match get(item, &["permissions_boundary"]) {
            Some(Value::String(name)) => model
                .managed
                .get(name)
                .and_then(|m| m.default.clone())
                .map(|policy| NamedPolicy {
                    name: name.clone(),
                    policy,
                }),
            Some(document) => Some(NamedPolicy {
                name: format!("{arn} boundary"),
                policy: Arc::new(Policy::parse(&document.to_string())?),
            }),
            None => None,
        };
        model.entities.push(Entity {
            kind: if text(item, &["type"])? == "user" {
                PrincipalKind::User
            } else {
                PrincipalKind::Role
            },
            name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
            unique_id: None,
            account: text(item, &["account"])?.to_owned(),
            groups,
            attached,
            policies,
            boundary,
            trust,
            tags: BTreeMap::new(),
            unreadable,
            unread: crate::evaluate::Layers::default(),
            arn,
        });
    }
    for account in each(value, "accounts") {
        if let Some(levels) = get(account, &["scps"]).and_then(Value::as_array) {
            let id = text(account, &["id"])?.to_owned();
            let policies = levels
                .iter()
                .enumerate()
                .map(|(at, d)| {
                    Ok(NamedPolicy {
                        name: format!("scp {}", at + 1),
                        policy: Arc::new(Policy::parse(&d.to_string())?),
                    })
                })
                .collect::<Result<_, Refusal>>()?;
            model.scp.entry(id).or_default().push(OwnedLevel {
                name: "organization".to_owned(),
                policies,
            });
        }
    }
    Ok(())
}

type Named = (Vec<NamedPolicy>, Vec<String>, Vec<String>);

fn named(item: &Value, arn: &str, model: &Model) -> Result<Named, Refusal> {
    let (mut policies, mut attached, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for name in each(item, "managed_policies").filter_map(Value::as_str) {
        attached.push(name.to_owned());
        let known = model.managed.get(name).and_then(|m| m.default.clone());
        let policy = match (known, crate::account::known_managed_policy(name)) {
            (Some(policy), _) => policy,
            (None, Some(text)) => Arc::new(Policy::parse(text)?),
            (None, None) => {
                unreadable.push(name.to_owned());
                continue;
            }
        };
        policies.push(NamedPolicy {
            name: name.to_owned(),
            policy,
        });
    }
    for (at, document) in each(item, "inline_policies").enumerate() {
        let text = document.get("document").unwrap_or(document).to_string();
        policies.push(NamedPolicy {
            name: format!("{arn}/inline {}", at + 1),
            policy: Arc::new(Policy::parse(&text)?),
        });
    }
    Ok((policies, attached, unreadable))
}

//! Decisions.

use serde_json::{Map, Value, json};

use super::{Fields, Refusal, get, text};
use crate::context::Context;
use crate::evaluate::{Level, PolicySets, Source, explain};
use crate::policy::Policy;
use crate::request::{Principal, Request};

/// A named list of policies that owns its documents.
type Named = (String, Policy);

fn read(value: &Value, name: String) -> Result<Named, Refusal> {
    let (name, document) = match value.get("document").or(value.get("policy")) {
        Some(document) => (
            value
                .get("name")
                .and_then(Value::as_str)
                .map_or(name, ToOwned::to_owned),
            document,
        ),
        None => (name, value),
    };
    let text = document
        .as_str()
        .map_or_else(|| document.to_string(), ToOwned::to_owned);
    Ok((name, Policy::parse(&text)?))
}

/// One policy or a list of them; `null` is `None`.
fn list(case: &Value, layer: &str) -> Result<Option<Vec<Named>>, Refusal> {
    let Some(value) = get(case, &["policies", layer]) else {
        return Ok(None);
    };
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(at, v)| read(v, format!("{layer} policy {}", at + 1)))
            .collect::<Result<_, _>>()
            .map(Some),
        one => Ok(Some(vec![read(one, format!("{layer} policy"))?])),
    }
}

fn levels(case: &Value, layer: &str) -> Result<Vec<(String, Vec<Named>)>, Refusal> {
    let Some(Value::Array(items)) = get(case, &["policies", layer]) else {
        return Ok(Vec::new());
    };
    items
        .iter()
        .enumerate()
        .map(|(at, level)| {
            let name = get(level, &["level"])
                .and_then(Value::as_str)
                .map_or_else(|| format!("level {}", at + 1), ToOwned::to_owned);
            let policies = get(level, &["policies"])
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            let policies = policies
                .enumerate()
                .map(|(n, v)| read(v, format!("{layer} {} of {name}", n + 1)))
                .collect::<Result<_, _>>()?;
            Ok((name, policies))
        })
        .collect()
}

fn sources(policies: &[Named]) -> Vec<Source<'_>> {
    policies
        .iter()
        .map(|(name, policy)| Source { name, policy })
        .collect()
}

fn principal(case: &Value) -> Result<Principal, Refusal> {
    match get(case, &["request", "principal"]) {
        None => Ok(Principal::anonymous()),
        Some(Value::String(text)) => Ok(Principal::new(text)),
        Some(Value::Object(fields)) => {
            let value = |key: &str| fields.get(key).and_then(Value::as_str);
            match value("type") {
                Some("Anonymous") => Ok(Principal::anonymous()),
                _ => ["arn", "id", "service", "value", "provider"]
                    .iter()
                    .find_map(|key| value(key))
                    .map(Principal::new)
                    .ok_or_else(|| Refusal::Unsupported("this form of principal".to_owned())),
            }
        }
        Some(_) => Err(Refusal::Broken(
            "`request.principal` must be a string or an object".to_owned(),
        )),
    }
}

fn context(case: &Value) -> Context {
    let mut context = Context::closed();
    let scalar = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    for (key, value) in get(case, &["request", "context"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        match value {
            Value::Null => {}
            Value::Array(items) => context.set(key, items.iter().filter_map(scalar)),
            one => context.set(key, scalar(one)),
        }
    }
    context
}

pub(super) fn authorize(case: &Value) -> Fields {
    let request = Request {
        principal: principal(case)?,
        action: text(case, &["request", "action"])?.to_owned(),
        resource: get(case, &["request", "resource"])
            .and_then(Value::as_str)
            .unwrap_or("*")
            .to_owned(),
        resource_account: get(case, &["request", "resource_account"])
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
        context: context(case),
    };
    let (identity, resource) = (
        list(case, "identity")?.unwrap_or_default(),
        list(case, "resource")?,
    );
    let (boundary, session, endpoint) = (
        list(case, "boundary")?,
        list(case, "session")?,
        list(case, "endpoint")?,
    );
    let (scp, rcp) = (levels(case, "scp")?, levels(case, "rcp")?);
    let sets = PolicySets {
        identity: sources(&identity),
        resource: resource
            .as_deref()
            .and_then(|r| sources(r).into_iter().next()),
        boundary: boundary.as_deref().map(sources),
        session: session.as_deref().map(sources),
        endpoint: endpoint.as_deref().map(sources),
        scp: scp
            .iter()
            .map(|(name, policies)| Level {
                name,
                policies: sources(policies),
            })
            .collect(),
        rcp: rcp
            .iter()
            .map(|(name, policies)| Level {
                name,
                policies: sources(policies),
            })
            .collect(),
        implied_rcp_full_access: get(case, &["options", "implicit_rcp_full_access"])
            .and_then(Value::as_bool)
            .unwrap_or(true),
        ..PolicySets::default()
    };
    let answer = explain(&request, &sets);
    let mut out = Map::new();
    out.insert("decision".to_owned(), json!(answer.decision.as_str()));
    let blocked: Vec<&str> = answer.blocked_by.iter().map(|l| l.as_str()).collect();
    out.insert("blocked_by".to_owned(), json!(blocked));
    let layers: Vec<Value> = answer
        .layers
        .iter()
        .filter_map(|layer| {
            let by = layer.by.as_ref()?;
            Some(json!({ "layer": layer.layer.as_str(), "level": layer.level, "deny": layer.deny.is_true(), "policy": by.policy, "statement": by.statement }))
        })
        .collect();
    out.insert("layers".to_owned(), json!(layers));
    Ok(out)
}

//! Policy documents taken apart: one list element a statement, for checks that ask about single statements.
use super::scalar::{Answer, Function};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;
use palisade_iam as iam;
use serde_json::{Value, json};
use std::sync::Arc;

/// `policy_statements(document)`: the statements in order; elements that may be one value or a list are lists. Keys of
/// conditions are in lower case, because they ignore case.
pub(crate) fn policy_statements() -> ScalarUDF {
    Function::new(
        "policy_statements",
        vec![DataType::Utf8],
        list(statement_type()),
        |row| {
            let policy = iam::Policy::known(row.text(0))
                .map_err(|e| format!("the policy document cannot be read: {e}"))?;
            if let Some(condition) = unreadable(&policy) {
                return Err(format!("the condition on `{condition}` cannot be read"));
            }
            Ok(Answer::Structs(
                policy.statements.iter().map(statement).collect(),
            ))
        },
    )
    .remembers()
    .into_udf()
}

/// `wildcard_matches(pattern, text)`: whether a pattern of a policy (`*` any text, `?` one character) matches the whole
/// text, with case.
pub(crate) fn wildcard_matches() -> ScalarUDF {
    Function::new(
        "wildcard_matches",
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Boolean,
        |row| {
            let matches = iam::Pattern::new(row.text(0)).matches(row.text(1));
            Ok(Answer::Boolean(Some(matches)))
        },
    )
    .into_udf()
}

/// A condition of which the values are not texts, numbers or booleans: what it demands is not known.
fn unreadable(policy: &iam::Policy) -> Option<&str> {
    policy
        .statements
        .iter()
        .flat_map(|s| &s.conditions)
        .find(|c| !c.is_readable)
        .map(|c| &*c.key)
}

fn statement(s: &iam::Statement) -> Value {
    let principals = s.principal.as_ref().map(|p| {
        let entry = |e: &iam::PrincipalEntry| json!({ "type": kind(e), "value": e.text() });
        p.entries.iter().map(entry).collect::<Vec<_>>()
    });
    let condition = |c: &iam::Condition| json!({ "operator": &*c.operator_name, "key": &*c.key_lower, "values": c.values });
    json!({
        "sid": s.sid,
        "effect": match s.effect { iam::Effect::Allow => "Allow", iam::Effect::Deny => "Deny" },
        "principals": principals,
        "is_not_principal": s.principal.as_ref().is_some_and(|p| p.negated),
        "actions": s.action.texts,
        "is_not_action": s.action.negated,
        "resources": s.resource.as_ref().map(|r| &r.texts),
        "is_not_resource": s.resource.as_ref().is_some_and(|r| r.negated),
        "conditions": s.conditions.iter().map(condition).collect::<Vec<_>>(),
    })
}

fn kind(entry: &iam::PrincipalEntry) -> &'static str {
    match entry {
        iam::PrincipalEntry::Everyone
        | iam::PrincipalEntry::Account(_)
        | iam::PrincipalEntry::Arn(_)
        | iam::PrincipalEntry::UniqueId(_) => "AWS",
        iam::PrincipalEntry::Service(_) => "Service",
        iam::PrincipalEntry::Federated(_) => "Federated",
        iam::PrincipalEntry::CanonicalUser(_) => "CanonicalUser",
    }
}

fn statement_type() -> DataType {
    let texts = list(DataType::Utf8);
    let principal = record(vec![("type", DataType::Utf8), ("value", DataType::Utf8)]);
    let condition = record(vec![
        ("operator", DataType::Utf8),
        ("key", DataType::Utf8),
        ("values", texts.clone()),
    ]);
    record(vec![
        ("sid", DataType::Utf8),
        ("effect", DataType::Utf8),
        ("principals", list(principal)),
        ("is_not_principal", DataType::Boolean),
        ("actions", texts.clone()),
        ("is_not_action", DataType::Boolean),
        ("resources", texts),
        ("is_not_resource", DataType::Boolean),
        ("conditions", list(condition)),
    ])
}

fn record(fields: Vec<(&str, DataType)>) -> DataType {
    let fields: Fields = fields
        .into_iter()
        .map(|(name, ty)| Field::new(name, ty, true))
        .collect();
    DataType::Struct(fields)
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item, true)))
}

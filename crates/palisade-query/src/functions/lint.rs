//! The policy linter in SQL.
use super::scalar::{Answer, Function};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;
use palisade_iam as iam;
use serde_json::json;
use std::sync::Arc;

/// `policy_lint(document, kind, account_id)`: what is wrong with a policy. The kind is `identity`, `resource`, `trust`, `scp`
/// or `rcp`. A document that AWS would refuse has findings of the rule `grammar`.
pub(crate) fn policy_lint() -> ScalarUDF {
    Function::new(
        "policy_lint",
        vec![DataType::Utf8; 3],
        findings_type(),
        |row| {
            let kind = match row.text(1) {
                "identity" => iam::PolicyKind::Identity,
                "resource" => iam::PolicyKind::Resource,
                "trust" => iam::PolicyKind::Trust,
                "scp" => iam::PolicyKind::ServiceControl,
                "rcp" => iam::PolicyKind::ResourceControl,
                other => return Err(format!("there is no kind of policy `{other}`")),
            };
            let catalogue = iam::Catalogue::embedded().map_err(|e| e.to_string())?;
            let findings = iam::lint(row.text(0), kind, Some(row.text(2)), catalogue);
            let finding = |f: &iam::LintFinding| {
                json!({
                    "rule": f.rule.id,
                    "weight": f.rule.weight.as_str(),
                    "message": f.message,
                    "statement": f.statement,
                })
            };
            Ok(Answer::Structs(findings.iter().map(finding).collect()))
        },
    )
    .remembers()
    .into_udf()
}

fn findings_type() -> DataType {
    let fields: Fields = ["rule", "weight", "message", "statement"]
        .into_iter()
        .map(|name| Field::new(name, DataType::Utf8, true))
        .collect();
    DataType::List(Arc::new(Field::new("item", DataType::Struct(fields), true)))
}

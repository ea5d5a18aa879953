//! The conformance contract: one JSON line in, one out.
//!
//! A case that cannot be answered is `"status": "unsupported"`, one whose input is broken is
//! `"status": "error"`; neither ends the stream.

mod accounts;
mod authorize;
mod catalogue;
mod patterns;
mod policies;

use serde_json::{Map, Value, json};

/// Reads a file that a case names (`bundle_path`); `None` when it cannot be read.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a case has no answer.
#[derive(Debug)]
enum Refusal {
    /// The kind, or something that the case needs, is not supported.
    Unsupported(String),
    /// The input is broken.
    Broken(String),
}

impl From<crate::PolicyError> for Refusal {
    fn from(error: crate::PolicyError) -> Self {
        Refusal::Broken(error.to_string())
    }
}

type Fields = Result<Map<String, Value>, Refusal>;

/// Answers one case. `read` opens the bundles that cases name; the answer has no line break.
pub fn conform_line(line: &str, read: ReadFile<'_>) -> String {
    let case: Value = match serde_json::from_str(line) {
        Ok(case) => case,
        Err(error) => {
            return json!({ "case": null, "status": "error", "message": error.to_string() })
                .to_string();
        }
    };
    let mut out = Map::new();
    out.insert(
        "case".to_owned(),
        case.get("case").cloned().unwrap_or(Value::Null),
    );
    match answer(&case, read) {
        Ok(fields) => {
            out.insert("status".to_owned(), json!("ok"));
            out.extend(fields);
        }
        Err(Refusal::Unsupported(why)) => {
            out.insert("status".to_owned(), json!("unsupported"));
            out.insert("message".to_owned(), json!(why));
        }
        Err(Refusal::Broken(why)) => {
            out.insert("status".to_owned(), json!("error"));
            out.insert("message".to_owned(), json!(why));
        }
    }
    Value::Object(out).to_string()
}

fn answer(case: &Value, read: ReadFile<'_>) -> Fields {
    let kind = case.get("kind").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "authorize" => authorize::authorize(case),
        "grammar" => policies::grammar(case),
        "public-policy" => policies::public_policy(case),
        "public-principal" => policies::public_principal(case),
        "condition-restricts" => policies::condition_restricts(case),
        "trust-allows-service" => policies::trust_allows_service(case),
        "policy-full-service" => policies::full_service(case),
        "privesc-policy" => accounts::privesc_policy(case),
        "privesc-graph" => accounts::privesc_graph(case, read),
        "policy-admin" => accounts::policy_admin(case, read),
        "expand-action" => catalogue::expand_action(case),
        "lint" => policies::lint(case),
        "effective-actions" => catalogue::effective_actions(case),
        "glob-overlap" => patterns::glob_overlap(case),
        "arn-overlap" => patterns::arn_overlap(case),
        "arn-valid" => patterns::arn_valid(case),
        "resource-policy-match" => policies::resource_policy_match(case),
        other => Err(Refusal::Unsupported(format!("the kind `{other}`"))),
    }
}

/// A value by path; `null` counts as absent.
fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let mut at = value;
    for key in path {
        at = at.get(key)?;
    }
    (!at.is_null()).then_some(at)
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Result<&'a str, Refusal> {
    get(value, path)
        .and_then(Value::as_str)
        .ok_or_else(|| Refusal::Broken(format!("`{}` must be a string", path.join("."))))
}

fn flag(value: &Value, path: &[&str]) -> bool {
    get(value, path).and_then(Value::as_bool).unwrap_or(false)
}

fn texts(value: &Value, path: &[&str]) -> Vec<String> {
    match get(value, path) {
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_str)
            .map(ToOwned::to_owned)
            .collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    }
}

fn one(key: &str, value: impl Into<Value>) -> Fields {
    let mut out = Map::new();
    out.insert(key.to_owned(), value.into());
    Ok(out)
}

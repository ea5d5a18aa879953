//! From the steps of a playbook to what the engine of repairs plans.
use crate::commands::connect::Connection;
use palisade_catalog::{FixCall, Playbook, PlaybookStep};
use palisade_core::{Finding, FixAvailability, Status};
use palisade_fix::{Candidate, Decided};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The parameters of a response.
#[derive(Debug, Clone, Default)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    pub fn new(values: BTreeMap<String, String>) -> Self {
        Self(values)
    }
    pub fn insert(&mut self, name: String, value: String) {
        self.0.insert(name, value);
    }
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
    pub fn into_inner(self) -> BTreeMap<String, String> {
        self.0
    }
    /// The SQL with every `${param.name}` as a text literal.
    pub fn sql(&self, sql: &str) -> String {
        let mut sql = sql.to_owned();
        for (name, value) in &self.0 {
            let literal = format!("'{}'", value.replace('\'', "''"));
            sql = sql.replace(&format!("${{param.{name}}}"), &literal);
        }
        sql
    }
}

/// The rows of a step.
pub fn rows(lines: &str) -> Vec<Map<String, Json>> {
    let parsed = lines.lines().map(serde_json::from_str::<Map<String, Json>>);
    parsed.filter_map(Result::ok).collect()
}

/// What a call without rows concerns: whatever its parameters name.
pub fn one(connection: &Connection, values: &Values) -> Map<String, Json> {
    let subject = ["user_name", "role_name", "bucket", "instance_id"]
        .iter()
        .find_map(|name| values.0.get(*name));
    let id = subject.cloned().unwrap_or(connection.account_id.clone());
    let region = connection.home_region();
    Map::from_iter([
        (
            "account_id".to_owned(),
            Json::from(connection.account_id.as_str()),
        ),
        ("region".to_owned(), Json::from(region)),
        ("id".to_owned(), Json::from(id)),
    ])
}

/// A step for one row, as a finding that has to be repaired.
pub fn candidate(
    playbook: &Playbook,
    index: usize,
    step: &PlaybookStep,
    call: &FixCall,
    row: Map<String, Json>,
    values: &Values,
    connection: &Connection,
) -> Candidate {
    let text = |name: &str| match row.get(name) {
        Some(Json::String(text)) => text.clone(),
        None | Some(Json::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    let id = format!("{}-{}", playbook.id, index + 1);
    let account = text("account_id");
    let resource = match text("arn") {
        arn if arn.is_empty() => text("id"),
        arn => arn,
    };
    let finding = Finding {
        check: id.as_str().into(),
        status: Status::Fail,
        severity: playbook.severity,
        account_id: if account.is_empty() {
            connection.account_id.as_str().into()
        } else {
            account.as_str().into()
        },
        region: text("region").as_str().into(),
        resource,
        resource_id: text("id"),
        resource_type: "".into(),
        message: format!("step {} of `{}`", index + 1, playbook.id),
        evidence: Map::new(),
        requirements: Arc::from([]),
        fix: FixAvailability::Automatic,
        history: None,
        missing_permissions: Vec::new(),
        muted: None,
    };
    let decided = Decided {
        id,
        title: step.title.clone(),
        about: playbook.about.clone(),
        file: (playbook.file.clone(), step.line),
        call: call.clone(),
        params: values.0.clone(),
    };
    Candidate::decided(decided, finding, row)
}

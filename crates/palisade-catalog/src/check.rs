//! Check files. See `docs/specs/check.md`.
use palisade_core::{Category, Severity, Status};
use std::collections::BTreeMap;

/// One `catalog/checks/<service>/<id>.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The file's stem.
    pub id: String,
    /// The folder.
    pub service: String,
    /// The file, for messages.
    pub file: String,
    /// What is required.
    pub title: String,
    /// How bad a fail is.
    pub severity: Severity,
    /// The table whose rows are judged.
    pub resource: String,
    /// What part of security it belongs to.
    pub category: Category,
    /// Version that brought it.
    pub since: String,
    /// Other tools' ids.
    pub same_as: Equivalents,
    /// Verdict that unread rows cannot change (full queries).
    pub sufficient: Option<Sufficient>,
    /// By name.
    pub params: BTreeMap<String, Parameter>,
    /// Why it matters (Markdown).
    pub why: String,
    /// How to fix it (Markdown, without the `fix` block).
    pub fix: String,
    /// Calls that repair a row.
    pub fix_calls: Vec<FixCall>,
    /// `sql where`, with the line it begins at.
    pub applies: Option<(String, u32)>,
    /// Predicate or full query, with the line it begins at.
    pub sql: (String, u32),
    /// True when `sql` is a full query.
    pub is_query: bool,
    /// Template, with its line.
    pub pass_message: (String, u32),
    /// Template, with its line.
    pub fail_message: (String, u32),
    /// In order.
    pub fixtures: Vec<Fixture>,
}

/// Other tools' ids for the same requirement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Equivalents {
    /// Prowler's check ids.
    pub prowler: Vec<String>,
    /// Security Hub's control ids, `S3.14`.
    pub security_hub: Vec<String>,
    /// AWS Config's managed rules.
    pub config: Vec<String>,
}

/// A verdict that rows which could not be read cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sufficient {
    /// One good thing is enough.
    Pass,
    /// One bad thing is enough.
    Fail,
}

/// A value that users may set.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// When the user sets none.
    pub default: ParameterValue,
    /// What it means, with its unit.
    pub about: String,
}

/// A parameter's value.
#[derive(Debug, Clone, PartialEq)]
pub enum ParameterValue {
    /// Whole number.
    Integer(i64),
    /// Text.
    Text(String),
    /// true or false
    Boolean(bool),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Texts.
    Texts(Vec<String>),
}

/// One declared API call of a fix.
#[derive(Debug, Clone, PartialEq)]
pub struct FixCall {
    /// API model.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Parameters; strings may be templates.
    pub params: serde_json::Map<String, serde_json::Value>,
    /// Line in the file.
    pub line: u32,
}

/// What a fixture expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixtureStatus {
    /// Every finding has this status, and there is one.
    Finding(Status),
    /// No finding.
    None,
}

/// One example with its expected verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixture {
    /// What it expects.
    pub expect: FixtureStatus,
    /// A row, or table → rows. A cell or table that could not be read is `{"!error": "<Code>"}`.
    pub data: serde_json::Map<String, serde_json::Value>,
    /// Line in the file.
    pub line: u32,
}

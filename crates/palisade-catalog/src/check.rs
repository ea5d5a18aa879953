//! Check files. See `docs/specs/check.md`.
use crate::check_file;
use palisade_core::{Category, Severity, Status};
use std::collections::BTreeMap;
use std::sync::OnceLock;

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
    /// Parameters with which the check is another tool's requirement.
    pub variants: Vec<Variant>,
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
    pub fixtures: Fixtures,
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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

/// The examples of a check, in order. Those of pages that came with the binary are parsed when they are first asked for:
/// only tests want them.
#[derive(Debug, Clone)]
pub struct Fixtures(Examples);

#[derive(Debug, Clone)]
enum Examples {
    Parsed(Vec<Fixture>),
    Unread {
        page: &'static str,
        parsed: OnceLock<Vec<Fixture>>,
    },
}

impl Fixtures {
    /// Of a page in which nothing is wrong.
    pub(crate) fn later(page: &'static str) -> Self {
        let parsed = OnceLock::new();
        Self(Examples::Unread { page, parsed })
    }
}

impl From<Vec<Fixture>> for Fixtures {
    fn from(fixtures: Vec<Fixture>) -> Self {
        Self(Examples::Parsed(fixtures))
    }
}

impl std::ops::Deref for Fixtures {
    type Target = [Fixture];
    fn deref(&self) -> &[Fixture] {
        match &self.0 {
            Examples::Parsed(fixtures) => fixtures,
            Examples::Unread { page, parsed } => {
                parsed.get_or_init(|| check_file::fixtures_of(page))
            }
        }
    }
}

impl PartialEq for Fixtures {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
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

/// The parameters with which a check is exactly another tool's requirement.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// `tool:id`
    pub same_as: String,
    /// Parameters that differ from their defaults.
    pub params: BTreeMap<String, ParameterValue>,
}

impl Equivalents {
    /// Whether a tool's list has the id.
    pub fn has(&self, tool: &str, id: &str) -> bool {
        let list = match tool {
            "prowler" => &self.prowler,
            "security_hub" => &self.security_hub,
            "config" => &self.config,
            _ => return false,
        };
        list.iter().any(|i| i == id)
    }
}

impl ParameterValue {
    /// From JSON; `None` for what is no parameter's value. An empty list counts as texts.
    pub fn from_json(json: &serde_json::Value) -> Option<Self> {
        use serde_json::Value as Json;
        Some(match json {
            Json::Bool(b) => Self::Boolean(*b),
            Json::Number(n) => Self::Integer(n.as_i64()?),
            Json::String(text) => Self::Text(text.clone()),
            Json::Array(items) if !items.is_empty() && items.iter().all(Json::is_i64) => {
                Self::Integers(items.iter().filter_map(Json::as_i64).collect())
            }
            Json::Array(items) => Self::Texts(
                items
                    .iter()
                    .map(|i| i.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }
    /// Whether both are values of one type.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
    /// How messages call the type.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) => "a whole number",
            Self::Text(_) => "a text",
            Self::Boolean(_) => "true or false",
            Self::Integers(_) => "a list of whole numbers",
            Self::Texts(_) => "a list of texts",
        }
    }
    /// A value for a parameter that has this value as its default. An empty list has either type. `None` when the types
    /// differ.
    #[must_use]
    pub fn fitting(&self, json: &serde_json::Value) -> Option<Self> {
        let value = Self::from_json(json)?;
        match (self, value) {
            (Self::Integers(_), Self::Texts(texts)) if texts.is_empty() => {
                Some(Self::Integers(Vec::new()))
            }
            (default, value) => default.same_kind(&value).then_some(value),
        }
    }
    /// As JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Integer(n) => (*n).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Boolean(b) => (*b).into(),
            Self::Integers(list) => list.as_slice().into(),
            Self::Texts(list) => list.as_slice().into(),
        }
    }
}

/// As in TOML and JSON: `90`, `"text"`, `[22, 3389]`.
impl std::fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Integers(list) => {
                let items: Vec<String> = list.iter().map(i64::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
            Self::Texts(list) => {
                let items: Vec<String> = list
                    .iter()
                    .map(|t| serde_json::Value::from(t.as_str()).to_string())
                    .collect();
                write!(f, "[{}]", items.join(", "))
            }
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl Check {
    /// The check as another tool's requirement: under that tool's id, with the parameters that make it so.
    #[must_use]
    pub fn answering_as(&self, tool: &str, id: &str) -> Self {
        let mut check = self.clone();
        let name = format!("{tool}:{id}");
        if let Some(variant) = self.variants.iter().find(|v| v.same_as == name) {
            for (name, value) in &variant.params {
                if let Some(parameter) = check.params.get_mut(name) {
                    parameter.default = value.clone();
                }
            }
        }
        id.clone_into(&mut check.id);
        check
    }

    /// The check with other values for its parameters; names that it does not have are passed over.
    #[must_use]
    pub fn with_params(&self, values: &BTreeMap<String, ParameterValue>) -> Self {
        let mut check = self.clone();
        for (name, value) in values {
            if let Some(parameter) = check.params.get_mut(name) {
                parameter.default = value.clone();
            }
        }
        check
    }

    /// The values that its parameters have when nobody sets others.
    pub fn values(&self) -> BTreeMap<String, ParameterValue> {
        let value = |(name, p): (&String, &Parameter)| (name.clone(), p.default.clone());
        self.params.iter().map(value).collect()
    }
}

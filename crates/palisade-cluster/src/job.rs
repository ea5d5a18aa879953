//! What is sent to executors: what to do, and on which accounts.
use palisade_catalog::{Check, ParameterValue};
use palisade_core::{Severity, Timestamp};
use palisade_query::{Only, Options, Wanted};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all parts of the work share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// Who asks.
    pub origin: Origin,
    /// Where the data is.
    pub place: Place,
    /// The ids of the snapshots; one, unless rows of many are read.
    pub snapshots: Vec<String>,
    /// What to do with it.
    pub task: Task,
}

/// Executors refuse work of others than their own kind: another catalogue gives other verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// Palisade's version.
    pub version: String,
    /// The catalogue's fingerprint.
    pub catalog: String,
}

/// A store that all executors can read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A folder that is the same on every machine, or `s3://BUCKET/PREFIX`.
    pub location: String,
    /// The bucket's region, where the environment of the executors does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Another endpoint than AWS's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Task {
    /// Evaluate checks.
    Evaluate {
        /// Ages are counted from it.
        now: Timestamp,
        /// In the order of their ids.
        checks: Vec<CheckRef>,
        /// Findings that passed are wanted, too.
        passes: bool,
        /// Evidence for every finding.
        evidence: bool,
    },
    /// Read rows of a table.
    Rows {
        /// Its name.
        table: String,
        /// What need not be read, besides the accounts of other parts.
        only: Only,
    },
    /// Compare two snapshots, the earlier one first.
    Drift {
        /// Tables, or patterns; empty: all.
        tables: Vec<String>,
        /// Compare resources.
        resources: bool,
        /// Compare findings.
        findings: bool,
    },
    /// Compute a table.
    Computed {
        /// Ages are counted from it.
        now: Timestamp,
        /// Its name.
        table: String,
        /// What need not be computed.
        wanted: Wanted,
    },
}

/// A check of the catalogue, with what the user made of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CheckRef {
    /// Its id in the catalogue.
    pub own: String,
    /// The id that it carries.
    pub id: String,
    /// Its severity.
    pub severity: Severity,
    /// The values of its parameters.
    pub params: BTreeMap<String, Value>,
}

/// [`ParameterValue`] as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
    Boolean(bool),
    Integers(Vec<i64>),
    Texts(Vec<String>),
}

/// One part of the work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Which part it is.
    pub number: usize,
    /// The accounts whose rows are read.
    pub accounts: Vec<String>,
    /// Whether its checks stay within accounts.
    #[serde(default)]
    pub within: bool,
    /// Places of the checks in the task's list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<usize>,
}

impl From<&ParameterValue> for Value {
    fn from(value: &ParameterValue) -> Self {
        match value.clone() {
            ParameterValue::Integer(v) => Self::Integer(v),
            ParameterValue::Text(v) => Self::Text(v),
            ParameterValue::Boolean(v) => Self::Boolean(v),
            ParameterValue::Integers(v) => Self::Integers(v),
            ParameterValue::Texts(v) => Self::Texts(v),
        }
    }
}

impl From<&Value> for ParameterValue {
    fn from(value: &Value) -> Self {
        match value.clone() {
            Value::Integer(v) => Self::Integer(v),
            Value::Text(v) => Self::Text(v),
            Value::Boolean(v) => Self::Boolean(v),
            Value::Integers(v) => Self::Integers(v),
            Value::Texts(v) => Self::Texts(v),
        }
    }
}

impl CheckRef {
    /// The reference to a check of a catalogue.
    pub(crate) fn to(check: &Check, own: &str) -> Self {
        let values = check.values();
        Self {
            own: own.to_owned(),
            id: check.id.clone(),
            severity: check.severity,
            params: values.iter().map(|(n, v)| (n.clone(), v.into())).collect(),
        }
    }

    /// The check that was meant.
    pub(crate) fn resolve(&self, catalog: &palisade_catalog::Catalog) -> Option<Arc<Check>> {
        let check = catalog.checks.get(&self.own)?;
        let params = self.params.iter();
        let params: BTreeMap<String, ParameterValue> =
            params.map(|(n, v)| (n.clone(), v.into())).collect();
        let mut made = check.with_params(&params);
        made.id.clone_from(&self.id);
        made.severity = self.severity;
        Some(Arc::new(made))
    }
}

impl Task {
    pub(crate) fn options(&self) -> Options {
        match self {
            Self::Evaluate {
                passes, evidence, ..
            } => Options {
                passes: *passes,
                evidence: *evidence,
                whole: false,
            },
            Self::Rows { .. } | Self::Drift { .. } | Self::Computed { .. } => Options::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::Source;

    #[test]
    fn every_shipped_check_comes_back_as_it_was() {
        let catalog = palisade_catalog::load(&[Source::embedded()]).catalog;
        for (own, check) in &catalog.checks {
            let sent = serde_json::to_string(&CheckRef::to(check, own)).unwrap();
            let received: CheckRef = serde_json::from_str(&sent).unwrap();
            assert_eq!(received.resolve(&catalog).as_ref(), Some(check), "{own}");
        }
    }

    #[test]
    fn a_changed_check_comes_back_as_it_was_changed() {
        let catalog = palisade_catalog::load(&[Source::embedded()]).catalog;
        let (own, check) = catalog
            .checks
            .iter()
            .find(|(_, c)| {
                c.values()
                    .values()
                    .any(|v| matches!(v, ParameterValue::Integer(_)))
            })
            .unwrap();
        let mut values = check.values();
        for value in values.values_mut() {
            if let ParameterValue::Integer(n) = value {
                *n += 1;
            }
        }
        let mut changed = check.with_params(&values);
        changed.id = "another".to_owned();
        changed.severity = Severity::Critical;
        let received: CheckRef =
            serde_json::from_str(&serde_json::to_string(&CheckRef::to(&changed, own)).unwrap())
                .unwrap();
        assert_eq!(received.resolve(&catalog).as_deref(), Some(&changed));
    }
}

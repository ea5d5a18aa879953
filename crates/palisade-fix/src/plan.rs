//! The plan: a file that says everything that would be sent, and why.
use crate::hash::hash;
use crate::{FixError, Retirement, Tags};
use palisade_catalog::{Code, Risk};
use palisade_core::{Severity, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The format's version.
pub const FORMAT: u32 = 1;

/// What would be changed, and what would not and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`FORMAT`] of who made it.
    pub format: u32,
    /// Version of Palisade that made it.
    pub palisade: String,
    /// When it was made; states were read then.
    pub created: Timestamp,
    /// It is refused after this.
    pub expires: Timestamp,
    /// Accounts, sorted.
    pub accounts: Vec<String>,
    /// Regions that were read, sorted.
    pub regions: Vec<String>,
    /// Whose credentials read the states.
    pub planned_by: String,
    /// In the order in which they are applied: the least risk first.
    pub items: Vec<Item>,
    /// Failed, and for a person to repair.
    pub guided: Vec<Left>,
    /// Not known: never changed.
    pub unknown: Vec<Left>,
    /// Failed, and protected.
    pub protected: Vec<Left>,
    /// IAM actions that applying and taking back need, sorted.
    pub permissions: Vec<String>,
    /// What was observed, for the last step of retiring a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retirement: Option<Retirement>,
    /// SHA-256 over everything else.
    pub hash: String,
}

/// One resource's repair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// From 1.
    pub number: usize,
    /// What it repairs.
    pub checks: Vec<ItemCheck>,
    /// Account.
    pub account_id: String,
    /// Region of the calls.
    pub region: String,
    /// ARN, or the id where there is none.
    pub resource: String,
    /// Id within account and region.
    pub resource_id: String,
    /// Table.
    pub resource_type: String,
    /// Tags as they were read when the plan was made. Not known, where the plan does not say.
    #[serde(default)]
    pub tags: Tags,
    /// The worst of its steps.
    pub risk: Risk,
    /// What is known to use the resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// In order.
    pub steps: Vec<Step>,
    /// IAM actions, sorted.
    pub permissions: Vec<String>,
}

/// A check that an item repairs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemCheck {
    /// The id that the finding has.
    pub id: String,
    /// The check's id in the catalogue.
    pub check: String,
    /// What is required.
    pub title: String,
    /// How bad the finding is.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What it is about, where that is not the item's resource: a bucket, for an item that is about its trail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// The check's parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Json>,
}

/// The resource of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Region.
    pub region: String,
    /// ARN, or the id where there is none.
    pub resource: String,
    /// Id within account and region.
    pub resource_id: String,
}

/// One call, with what it changes and how it is taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What the operation does.
    pub about: String,
    /// What is sent.
    pub call: Call,
    /// The same for a shell.
    pub cli: String,
    /// Where Terraform and CloudFormation say it: a template that says otherwise takes the repair back.
    #[serde(default, skip_serializing_if = "Code::is_empty")]
    pub code: Code,
    /// How its state is described.
    pub read: Read,
    /// What changes; those that are sent along and stay as they are have the same value before and after.
    pub attributes: Vec<Attribute>,
    /// What takes it back.
    pub inverse: Option<Call>,
    /// What cannot be brought back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
    /// Seconds in which the described state follows.
    pub settle: u32,
}

/// An API call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// API model.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// Parameters.
    pub params: Map<String, Json>,
}

/// The call that describes a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// The call.
    pub call: Call,
    /// Path to the state in its answer.
    pub from: String,
    /// Error codes that mean that nothing is set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
}

/// One attribute of a state. Null is "not set".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// How it is shown.
    pub name: String,
    /// Path into the state.
    pub from: String,
    /// As it was read.
    pub before: Json,
    /// As it is wanted.
    pub after: Json,
    /// What the inverse makes of it, where that is not exactly what was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<Json>,
    /// Path into the state where a value waits that will hold later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<String>,
    /// True when `before` is what an earlier item will have made of it: AWS may describe more than was set.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chained: bool,
    /// True when it is not set at all, but must be as it is for the call to do what is planned and nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guard: bool,
}

/// A finding that the plan leaves alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The check.
    pub check: String,
    /// Account.
    pub account_id: String,
    /// Region.
    pub region: String,
    /// ARN, or the id where there is none.
    pub resource: String,
    /// Why.
    pub reason: String,
}

impl Call {
    /// `service:Operation`
    pub fn name(&self) -> String {
        format!("{}:{}", self.service, self.operation)
    }
}

impl Item {
    /// What a check of the item is about.
    pub fn about(&self, check: &ItemCheck) -> About {
        check.about.clone().unwrap_or_else(|| About {
            region: self.region.clone(),
            resource: self.resource.clone(),
            resource_id: self.resource_id.clone(),
        })
    }
    /// True when every step can be taken back.
    pub fn is_reversible(&self) -> bool {
        self.steps.iter().all(|s| s.inverse.is_some())
    }
    /// The ids of its checks.
    pub fn check_ids(&self) -> String {
        let ids: Vec<&str> = self.checks.iter().map(|c| c.id.as_str()).collect();
        ids.join(", ")
    }
}

impl Plan {
    /// The hash of the content.
    pub fn content_hash(&self) -> String {
        let mut value = serde_json::to_value(self).unwrap_or(Json::Null);
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("hash");
        }
        hash(&value)
    }

    /// As the text of a file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a plan and makes sure that it is as it was made.
    ///
    /// # Errors
    /// When the text is no plan, was made by a newer version, or was changed.
    pub fn parse(text: &str) -> Result<Self, FixError> {
        let value: Json =
            serde_json::from_str(text).map_err(|e| FixError::NotAPlan(e.to_string()))?;
        // Before its shape is looked at: a newer format may have another one.
        let format = value.get("format").and_then(Json::as_u64);
        let made_by = value.get("palisade").and_then(Json::as_str);
        match format {
            None => return Err(FixError::NotAPlan("it has no `format`".to_owned())),
            Some(format) if format > u64::from(FORMAT) => {
                return Err(FixError::Newer(made_by.unwrap_or("unknown").to_owned()));
            }
            Some(_) => {}
        }
        if let Some(version) = made_by
            && newer(version, env!("CARGO_PKG_VERSION"))
        {
            return Err(FixError::Newer(version.to_owned()));
        }
        let plan: Self =
            serde_json::from_value(value).map_err(|e| FixError::NotAPlan(e.to_string()))?;
        let found = plan.content_hash();
        if found != plan.hash {
            return Err(FixError::Tampered {
                said: plan.hash,
                found,
            });
        }
        Ok(plan)
    }
}

/// Whether a version is later than another: by its numbers.
fn newer(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split(['.', '-', '+'])
            .map_while(|n| n.parse().ok())
            .collect()
    };
    numbers(version) > numbers(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(newer("0.2.0", "0.1.9"));
        assert!(newer("1.0", "0.9.9"));
        assert!(!newer("0.1.0", "0.1.0"));
        assert!(!newer("0.1.0-dev", "0.1.0"));
    }
}

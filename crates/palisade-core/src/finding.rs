//! What a check says about one resource.
use crate::{Muting, Seen, Severity, Status};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whether Palisade can make the change that a finding asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FixAvailability {
    /// The check declares API calls that repair the resource.
    Automatic,
    /// The check explains what to do.
    Guided,
}

/// What a check says about one resource. Identity, stable across runs: (`check`, `account_id`, `region`, `resource`).
///
/// Texts that all findings of a check share (title, why, fix) are in [`crate::CheckSummary`], once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id.
    pub check: Arc<str>,
    /// What it says.
    pub status: Status,
    /// How bad a fail is.
    pub severity: Severity,
    /// The account that owns the resource.
    pub account_id: Arc<str>,
    /// The resource's region; a global resource has its partition's home region.
    pub region: Arc<str>,
    /// The ARN, or the resource id where AWS has no ARN.
    pub resource: String,
    /// The id within account and region, for example a bucket's name.
    pub resource_id: String,
    /// The table that the resource is a row of, for example `s3_bucket`.
    pub resource_type: Arc<str>,
    /// One sentence: the value found, or what could not be read and why.
    pub message: String,
    /// The values that decided the verdict, by column.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub evidence: serde_json::Map<String, serde_json::Value>,
    /// Frameworks' requirements that the check serves, as `framework/requirement`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub requirements: Arc<[String]>,
    /// Whether Palisade can repair it.
    pub fix: FixAvailability,
    /// IAM actions that would let the reader see it, when the status is `unknown` for want of permission.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_permissions: Vec<String>,
    /// Why it does not count, when somebody accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted: Option<Arc<Muting>>,
    /// Since when it fails, where earlier scans are known. No part of a snapshot: it follows from those before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<Box<Seen>>,
}

fn is_empty(list: &Arc<[String]>) -> bool {
    list.is_empty()
}

impl Finding {
    /// True when it failed and nobody accepted it.
    pub fn counts_as_failed(&self) -> bool {
        self.status == Status::Fail && self.muted.is_none()
    }
    /// True when it counts as failed and did not fail in the last scan, as far as that is known.
    pub fn is_new(&self) -> bool {
        let new = self.history.as_deref().and_then(|h| h.new);
        self.counts_as_failed() && new == Some(true)
    }
    /// The order in which findings are printed and stored: by check, account, region, resource.
    pub fn sort_key(&self) -> (&str, &str, &str, &str, &str) {
        (
            &self.check,
            &self.account_id,
            &self.region,
            &self.resource,
            &self.resource_id,
        )
    }
}

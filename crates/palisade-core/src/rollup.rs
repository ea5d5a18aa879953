//! How the requirements of a framework stand.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

crate::words! {
    /// How a requirement stands. Only what was seen, all of it, and found good has passed: what could not be read, was
    /// not asked, or does not exist is never shown as met.
    "requirement status" RequirementStatus {
        /// Everything that its checks judged is as required, or a person attests it.
        Passed = "passed",
        /// Something is not as required, or an attestation has expired.
        Failed = "failed",
        /// Something that decides it could not be read.
        Unknown = "unknown",
        /// Only a person can answer, and nobody has.
        Manual = "manual",
        /// None of its checks was part of the scan, or it has none.
        NotCovered = "not_covered",
        /// Its checks ran, and there is no resource that they judge.
        NotApplicable = "not_applicable",
        /// AWS answers for it, by the shared responsibility model.
        Aws = "aws",
    }
}

/// How one requirement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequirementSummary {
    /// The publisher's identifier.
    pub id: String,
    /// In our own words.
    pub title: String,
    /// Who answers for it: `automated`, `manual`, `aws`.
    pub kind: String,
    /// Where the framework has levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// How it stands.
    pub status: RequirementStatus,
    /// Why it stands so, in one sentence.
    pub reason: String,
    /// The checks that answered it, sorted: ids of [`crate::CheckSummary`].
    pub checks: Vec<String>,
    /// Checks that serve it and were not part of the scan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_run: Vec<String>,
    /// Findings that passed.
    pub passed: usize,
    /// Findings that failed.
    pub failed: usize,
    /// Findings that could not be decided.
    pub unknown: usize,
    /// Findings that only a person can answer.
    pub manual: usize,
}

/// How one framework stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameworkSummary {
    /// For example `cis-aws-5.0`.
    pub id: String,
    /// As its publisher writes it.
    pub title: String,
    /// How many requirements stand how; every status is present.
    pub counts: BTreeMap<RequirementStatus, usize>,
    /// In the framework's order.
    pub requirements: Vec<RequirementSummary>,
}

impl FrameworkSummary {
    /// Counts the requirements.
    pub fn new(id: String, title: String, requirements: Vec<RequirementSummary>) -> Self {
        let count = |status: &RequirementStatus| {
            let with = requirements.iter().filter(|r| r.status == *status);
            (*status, with.count())
        };
        Self {
            id,
            title,
            counts: RequirementStatus::ALL.iter().map(count).collect(),
            requirements,
        }
    }
    /// How many requirements stand so.
    pub fn count(&self, status: RequirementStatus) -> usize {
        self.counts.get(&status).copied().unwrap_or(0)
    }
}

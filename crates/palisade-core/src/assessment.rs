//! What a scan ends in: the findings, the checks that made them, and what could not be seen.
use crate::{
    CallError, Category, Counted, ExpiredMute, Finding, FrameworkSummary, LastScan, Severity,
    Timestamp,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Texts and counts of one check, once for all its findings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// The check's id.
    pub id: String,
    /// What is required, as a statement that is true when the check passes.
    pub title: String,
    /// The folder of the check, for example `s3`.
    pub service: String,
    /// How bad a fail is.
    pub severity: Severity,
    /// What part of security it belongs to.
    pub category: Category,
    /// Why it matters (Markdown).
    pub why: String,
    /// How to fix it (Markdown).
    pub fix: String,
    /// Requirements of frameworks that it serves, as `framework/requirement`.
    pub requirements: Vec<String>,
    /// Findings that passed.
    pub passed: usize,
    /// Findings that failed.
    pub failed: usize,
    /// Findings that could not be decided.
    pub unknown: usize,
    /// Findings that only a person can answer.
    pub manual: usize,
}

/// Calls of one operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStatistics {
    /// `service:Operation`.
    pub operation: String,
    /// Calls that had to be made (pages of one list count once).
    pub planned: usize,
    /// Calls that were answered, including answers that mean "there is none".
    pub succeeded: usize,
    /// Calls that failed for good.
    pub failed: usize,
    /// HTTP requests sent, retries and pages included.
    pub requests: usize,
    /// Answers that were throttling.
    pub throttled: usize,
}

/// A service in a region that was left out because it cannot exist there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SkippedScope {
    /// The API's name.
    pub service: String,
    /// The region.
    pub region: String,
    /// Why nothing was asked.
    pub reason: String,
}

/// An account of the organisation that was not read on purpose.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOutAccount {
    /// Twelve digits.
    pub account_id: String,
    /// The account's name.
    pub name: String,
    /// Why nothing was asked.
    pub reason: String,
}

/// What share of the planned calls succeeded, and what was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By operation, sorted.
    pub calls: Vec<CallStatistics>,
    /// Every failed call, sorted, each with how often it failed that way.
    pub failures: Vec<(CallError, usize)>,
    /// What was not asked because it cannot exist.
    pub skipped: Vec<SkippedScope>,
    /// Accounts of the organisation that were left out, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutAccount>,
    /// True when the scan was stopped before all planned calls were made.
    pub interrupted: bool,
}

impl Coverage {
    /// Of an account that could not be read at all: the one call that was to open it failed.
    pub fn of_unread(error: CallError) -> Self {
        Self {
            calls: vec![CallStatistics {
                operation: format!("{}:{}", error.service, error.operation),
                planned: 1,
                failed: 1,
                ..CallStatistics::default()
            }],
            failures: vec![(error, 1)],
            ..Self::default()
        }
    }
    /// Calls that had to be made.
    pub fn planned(&self) -> usize {
        self.calls.iter().map(|c| c.planned).sum()
    }
    /// Calls that were answered.
    pub fn succeeded(&self) -> usize {
        self.calls.iter().map(|c| c.succeeded).sum()
    }
    /// Adds what was and was not read elsewhere, for example in another account.
    pub fn add(&mut self, other: &Self) {
        let mut calls: BTreeMap<String, CallStatistics> = std::mem::take(&mut self.calls)
            .into_iter()
            .map(|c| (c.operation.clone(), c))
            .collect();
        for more in &other.calls {
            match calls.get_mut(&more.operation) {
                None => {
                    calls.insert(more.operation.clone(), more.clone());
                }
                Some(call) => {
                    call.planned += more.planned;
                    call.succeeded += more.succeeded;
                    call.failed += more.failed;
                    call.requests += more.requests;
                    call.throttled += more.throttled;
                }
            }
        }
        self.calls = calls.into_values().collect();
        let mut failures: BTreeMap<CallError, usize> =
            std::mem::take(&mut self.failures).into_iter().collect();
        for (error, times) in &other.failures {
            *failures.entry(error.clone()).or_default() += times;
        }
        self.failures = failures.into_iter().collect();
        let skipped: BTreeSet<SkippedScope> = std::mem::take(&mut self.skipped)
            .into_iter()
            .chain(other.skipped.iter().cloned())
            .collect();
        self.skipped = skipped.into_iter().collect();
        let left_out: BTreeSet<LeftOutAccount> = std::mem::take(&mut self.left_out)
            .into_iter()
            .chain(other.left_out.iter().cloned())
            .collect();
        self.left_out = left_out.into_iter().collect();
        self.interrupted |= other.interrupted;
    }
    /// True when everything that was planned was read.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && !self.interrupted
    }
}

impl Assessment {
    /// Accounts of which nothing could be read, although they were meant: calls that failed are all that is known of them.
    pub fn unread_accounts(&self) -> BTreeSet<&str> {
        let named = self.coverage.failures.iter();
        named
            .map(|(error, _)| error.account_id.as_str())
            .filter(|id| !id.is_empty() && !self.accounts.iter().any(|a| a == id))
            .collect()
    }
}

/// What a scan ends in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// Version of Palisade that made it.
    pub version: String,
    /// When the scan started; ages are counted from it.
    pub started_at: Timestamp,
    /// Accounts that were scanned, sorted.
    pub accounts: Vec<String>,
    /// Regions that were scanned, sorted.
    pub regions: Vec<String>,
    /// The checks that were selected, sorted by id.
    pub checks: Vec<CheckSummary>,
    /// The findings in the order of [`Finding::sort_key`]: all that are not in `counted`.
    pub findings: Vec<Finding>,
    /// Findings that are not listed; there are none unless somebody asked for less than all ([`crate::Listing`]).
    #[serde(skip)]
    pub counted: Counted,
    /// What was and was not read.
    pub coverage: Coverage,
    /// How the frameworks that were selected stand, requirement by requirement, in the order of their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frameworks: Vec<FrameworkSummary>,
    /// Mutes that no longer hold, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expired_mutes: Vec<ExpiredMute>,
    /// The last scan before this one that judged, where earlier scans are known: what is new is new since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_scan: Option<LastScan>,
}

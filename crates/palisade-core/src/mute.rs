//! Findings that somebody decided to live with.
use serde::{Deserialize, Serialize};

/// What a finding was muted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutedBy {
    /// An entry of the mutes file.
    Mute,
    /// It was there when the baseline was taken.
    Baseline,
}

/// Why a finding does not count. The finding keeps its status and stays in every output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Muting {
    /// What muted it.
    pub by: MutedBy,
    /// Why it is accepted.
    pub reason: String,
    /// Who answers for that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// The last day on which it is muted (`2026-12-31`, UTC); a baseline has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expires: String,
}

/// An entry of the mutes file of which the last day has passed: what it covered counts again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExpiredMute {
    /// The check or pattern of checks that it named.
    pub check: String,
    /// Why it was accepted.
    pub reason: String,
    /// Who answered for that.
    pub owner: String,
    /// Its last day.
    pub expires: String,
    /// Findings that it would have muted.
    pub findings: usize,
}

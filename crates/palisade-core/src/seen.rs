//! What earlier scans knew of a finding.
use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// The course of a finding that fails, over the snapshots of a store up to this scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When it failed for the first time.
    pub first_seen: Timestamp,
    /// When it was seen to fail last: this scan.
    pub last_seen: Timestamp,
    /// When its state, severity or message changed last.
    pub last_changed: Timestamp,
    /// Since when it fails without a break.
    pub open_since: Timestamp,
    /// Whole days since then.
    pub age_days: i64,
    /// How often it failed again after it had been fixed or gone.
    pub reopened: u32,
    /// It did not fail in the last scan. Nothing where that scan did not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<bool>,
}

/// The last scan before this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastScan {
    /// Its snapshot.
    pub snapshot: String,
    /// When it began.
    pub started_at: Timestamp,
}

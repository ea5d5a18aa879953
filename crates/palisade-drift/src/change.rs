//! What a comparison says.
use palisade_core::{Severity, Status, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// One of the two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The earlier one.
    Before,
    /// The later one.
    After,
    /// Both.
    Both,
}

impl Which {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Both => "both",
        }
    }
}

/// A state that was compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// The snapshot's id.
    pub id: String,
    /// When its collection began.
    pub started_at: Timestamp,
    /// Whether everything was read.
    pub complete: bool,
}

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResourceKind {
    /// It is only in the later state.
    Added,
    /// It is only in the earlier state.
    Removed,
    /// It is in both, and differs.
    Changed,
    /// It is in both, and something of it could not be read in one of them; the rest is the same.
    NotComparable,
}

impl ResourceKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::NotComparable => "not comparable",
        }
    }
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnChange {
    /// The column, and the way inside it: `tags.owner`, `ingress[].from_port`.
    pub path: String,
    /// Before; null where there was nothing.
    pub before: Json,
    /// After; null where there is nothing.
    pub after: Json,
}

/// A column that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blind {
    /// The column.
    pub column: String,
    /// In which state.
    pub in_state: Which,
    /// Why.
    pub reason: String,
}

/// What became of one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceChange {
    /// The table that it is a row of.
    pub table: String,
    /// Its account.
    pub account_id: String,
    /// Its region.
    pub region: String,
    /// The ARN, or the id where AWS has no ARN.
    pub resource: String,
    /// The id within account and region.
    pub resource_id: String,
    /// What became of it.
    pub kind: ResourceKind,
    /// The values that differ, by path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnChange>,
    /// The columns that could not be compared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_comparable: Vec<Blind>,
}

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// It fails, and did not before.
    Opened,
    /// It fails again: it failed in an earlier snapshot, and not in the one before.
    Reopened,
    /// It failed, was read, and passes.
    Fixed,
    /// It failed, and the resource is gone.
    Gone,
    /// It still fails, worse or less bad, or for another reason.
    Changed,
    /// It failed and counts no more: somebody accepted it.
    Muted,
    /// It was accepted, and counts again.
    Unmuted,
    /// It could be decided, and no longer can. Not fixed.
    BecameUnknown,
    /// It could not be decided, and now can.
    BecameReadable,
    /// What failed, or fails, cannot be compared: the other state did not look.
    NotComparable,
}

impl FindingKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Fixed => "fixed",
            Self::Gone => "gone",
            Self::Changed => "changed",
            Self::Muted => "muted",
            Self::Unmuted => "unmuted",
            Self::BecameUnknown => "became unknown",
            Self::BecameReadable => "became readable",
            Self::NotComparable => "not comparable",
        }
    }
}

/// A finding in one of the states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the check said.
    pub status: Status,
    /// How bad a fail is.
    pub severity: Severity,
    /// Why.
    pub message: String,
    /// Whether it was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
}

/// What became of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingChange {
    /// The check.
    pub check: String,
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The ARN or id.
    pub resource: String,
    /// The id within account and region.
    pub resource_id: String,
    /// The table.
    pub resource_type: String,
    /// What became of it.
    pub kind: FindingKind,
    /// Before, if it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Verdict>,
    /// After, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Verdict>,
}

/// A part that was left out of the comparison, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NotCompared {
    /// Nothing: all tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Nothing: all accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Nothing: all regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Nothing: the rows themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Checks that were not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
    /// The state that lacks it.
    pub lacking: Which,
    /// Why.
    pub reason: String,
    /// Resources of the other state that are concerned.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resources: usize,
}

impl NotCompared {
    /// Everything of a state.
    pub(crate) fn new(lacking: Which, reason: impl Into<String>) -> Self {
        Self {
            table: None,
            account_id: None,
            region: None,
            columns: Vec::new(),
            checks: Vec::new(),
            lacking,
            reason: reason.into(),
            resources: 0,
        }
    }
}

fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// How many rows became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In both, and equal in everything that is compared.
    pub same: usize,
    /// Only after.
    pub added: usize,
    /// Only before.
    pub removed: usize,
    /// In both, and different.
    pub changed: usize,
    /// In both, and not comparable in part.
    pub not_comparable: usize,
    /// Only before, where the later state did not look.
    pub unseen_after: usize,
    /// Only after, where the earlier state did not look.
    pub unseen_before: usize,
}

impl Counts {
    /// Adds those of another part.
    pub fn add(&mut self, other: &Self) {
        self.same += other.same;
        self.added += other.added;
        self.removed += other.removed;
        self.changed += other.changed;
        self.not_comparable += other.not_comparable;
        self.unseen_after += other.unseen_after;
        self.unseen_before += other.unseen_before;
    }
}

/// Everything that a comparison says, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The earlier state.
    pub before: Moment,
    /// The later state.
    pub after: Moment,
    /// Rows of all tables that were compared.
    pub counts: Counts,
    /// By table, account, region and resource.
    pub resources: Vec<ResourceChange>,
    /// By kind, check, account, region and resource.
    pub findings: Vec<FindingChange>,
    /// What was left out.
    pub not_compared: Vec<NotCompared>,
}

impl Diff {
    /// True when something is known to have changed. What could not be compared is no drift, and no proof of none.
    pub fn has_drift(&self) -> bool {
        self.resources
            .iter()
            .any(|r| r.kind != ResourceKind::NotComparable)
            || self.findings.iter().any(|f| {
                !matches!(
                    f.kind,
                    FindingKind::NotComparable
                        | FindingKind::BecameUnknown
                        | FindingKind::BecameReadable
                )
            })
    }
    /// Resources that became so.
    pub fn resources_of(&self, kind: ResourceKind) -> usize {
        self.resources.iter().filter(|r| r.kind == kind).count()
    }
    /// Findings that became so.
    pub fn findings_of(&self, kind: FindingKind) -> usize {
        self.findings.iter().filter(|f| f.kind == kind).count()
    }
}

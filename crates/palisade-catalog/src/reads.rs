//! What the shipped checks read, found by planning them when they were last changed (`docs/reference/reads.json`, which
//! a test keeps fresh): a scan can ask AWS for it at once, and plan while the answers are awaited.
use crate::{Catalog, Check};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Table → its columns, sorted.
pub type Reads = BTreeMap<String, Vec<String>>;

/// What is known of a shipped check without planning it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Known {
    /// What it reads.
    pub reads: Reads,
    /// Whether it may say something although its resource table has no rows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub without_rows: bool,
    /// Whether it reads a table that is computed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub computed: bool,
}

impl Catalog {
    /// The tables and columns that a check reads, when it is known without planning: the check, and everything that its
    /// SQL can name, is as it was shipped.
    pub fn reads_of(&self, check: &Arc<Check>) -> Option<&'static Reads> {
        self.known(check).map(|known| &known.reads)
    }

    /// What else is known of such a check.
    pub fn known(&self, check: &Arc<Check>) -> Option<&'static Known> {
        let unchanged = |shipped| Arc::ptr_eq(shipped, check);
        let shipped = self.is_shipped && self.checks.get(&check.id).is_some_and(unchanged);
        shipped.then(|| all().get(&check.id)).flatten()
    }
}

fn all() -> &'static BTreeMap<String, Known> {
    static ALL: OnceLock<BTreeMap<String, Known>> = OnceLock::new();
    const TEXT: &str = include_str!("../../../docs/reference/reads.json");
    // an unreadable file is a stale one: checks are planned first
    ALL.get_or_init(|| serde_json::from_str(TEXT).unwrap_or_default())
}

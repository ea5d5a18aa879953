//! What the shipped checks read, found by planning them when they were last changed (`docs/reference/reads.json`, which
//! a test keeps fresh): a scan can ask AWS for it at once, and plan while the answers are awaited.
use crate::{Catalog, Check};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Table → its columns, sorted.
pub type Reads = BTreeMap<String, Vec<String>>;

impl Catalog {
    /// The tables and columns that a check reads, when it is known without planning: the check, and everything that its
    /// SQL can name, is as it was shipped.
    pub fn reads_of(&self, check: &Arc<Check>) -> Option<&'static Reads> {
        let unchanged = |shipped| Arc::ptr_eq(shipped, check);
        let shipped = self.is_shipped && self.checks.get(&check.id).is_some_and(unchanged);
        shipped.then(|| all().get(&check.id)).flatten()
    }
}

fn all() -> &'static BTreeMap<String, Reads> {
    static ALL: OnceLock<BTreeMap<String, Reads>> = OnceLock::new();
    const TEXT: &str = include_str!("../../../docs/reference/reads.json");
    // an unreadable file is a stale one: checks are planned first
    ALL.get_or_init(|| serde_json::from_str(TEXT).unwrap_or_default())
}

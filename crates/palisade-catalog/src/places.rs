//! Where the parts of tables are written, for messages about them that need an API model.
use std::collections::BTreeMap;

/// Line and column of the parts of tables. Kept beside the specs so that those stay plain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    tables: BTreeMap<String, BTreeMap<String, (u32, u32)>>,
}

impl Places {
    pub(crate) fn insert(&mut self, table: &str, part: String, place: (u32, u32)) {
        self.tables
            .entry(table.to_owned())
            .or_default()
            .insert(part, place);
    }

    pub(crate) fn extend(&mut self, other: Places) {
        self.tables.extend(other.tables);
    }

    /// The place of a part (`call.0.from`), or of the nearest part that encloses it.
    pub(crate) fn find(&self, table: &str, part: &str) -> Option<(u32, u32)> {
        let parts = self.tables.get(table)?;
        let mut part = part;
        loop {
            if let Some(place) = parts.get(part) {
                return Some(*place);
            }
            part = part.rsplit_once('.')?.0;
        }
    }
}

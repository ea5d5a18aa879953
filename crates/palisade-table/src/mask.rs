//! Which cells of a batch could not be read.
use crate::{Batch, Failure};

impl Batch {
    /// The failed call of a source for a row.
    pub fn failure(&self, row: usize, source: usize) -> Option<&Failure> {
        let key = (source, row);
        let at = self
            .failures
            .binary_search_by(|f| (f.source, f.row).cmp(&key))
            .ok()?;
        self.failures.get(at)
    }

    /// Rows for which a source failed, in order.
    pub fn failures_of(&self, source: usize) -> &[Failure] {
        let start = self.failures.partition_point(|f| f.source < source);
        let end = self.failures.partition_point(|f| f.source <= source);
        self.failures.get(start..end).unwrap_or_default()
    }

    /// For each row, whether one of the sources failed. `None`: for no row.
    pub fn unread(&self, sources: &[usize]) -> Option<Vec<bool>> {
        let mut mask: Option<Vec<bool>> = None;
        for failure in sources.iter().flat_map(|s| self.failures_of(*s)) {
            let rows = mask.get_or_insert_with(|| vec![false; self.rows.num_rows()]);
            if let Some(row) = rows.get_mut(failure.row) {
                *row = true;
            }
        }
        mask
    }
}

/// The failed calls that make cells with these sources unknown in a row, in the order of the sources.
pub fn errors_for<'b>(batch: &'b Batch, row: usize, sources: &[usize]) -> Vec<&'b Failure> {
    sources
        .iter()
        .filter_map(|source| batch.failure(row, *source))
        .collect()
}

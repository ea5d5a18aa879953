//! Which cells of a batch could not be read.
use crate::{Batch, Failure, Table};
use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::filter_record_batch;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Table {
    /// Takes out the rows of which one of the sources could not be read; how many there were.
    pub fn drop_unread(&mut self, sources: &[usize]) -> usize {
        let mut dropped = 0;
        for batch in &mut self.batches {
            let Some(unread) = batch.unread(sources) else {
                continue;
            };
            let kept = BooleanArray::from_iter(unread.iter().map(|u| Some(!u)));
            // one length: it cannot fail; if it did, all of them would be taken out
            let rows =
                filter_record_batch(&batch.rows, &kept).unwrap_or_else(|_| batch.rows.slice(0, 0));
            dropped += batch.rows.num_rows() - rows.num_rows();
            let mut places = Vec::with_capacity(unread.len());
            let mut next = 0;
            for is_unread in &unread {
                places.push((!is_unread).then_some(next));
                next += usize::from(!is_unread);
            }
            let moved = |failure: Failure| {
                let row = places.get(failure.row).copied().flatten()?;
                Some(Failure { row, ..failure })
            };
            let failures = std::mem::take(&mut batch.failures);
            batch.failures = failures.into_iter().filter_map(moved).collect();
            batch.rows = rows;
        }
        dropped
    }

    /// Empties all columns but these, and those that say what a row is. What could not be read stays known.
    pub fn keep_columns(&mut self, columns: &BTreeSet<String>) {
        const ALWAYS: &[&str] = &["account_id", "region", "partition", "arn"];
        let kept = |name: &String| {
            columns.contains(name) || ALWAYS.contains(&name.as_str()) || *name == self.spec.id
        };
        for batch in &mut self.batches {
            let count = batch.rows.num_rows();
            let fields = self.schema.fields().iter().zip(batch.rows.columns());
            let columns = fields.map(|(field, column)| match kept(field.name()) {
                true => Arc::clone(column),
                false => new_null_array(field.data_type(), count),
            });
            let options = RecordBatchOptions::new().with_row_count(Some(count));
            let schema = Arc::clone(&self.schema);
            // of one length and of the schema's types: it cannot fail
            if let Ok(rows) = RecordBatch::try_new_with_options(schema, columns.collect(), &options)
            {
                batch.rows = rows;
            }
        }
    }
}

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

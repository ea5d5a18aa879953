//! Rows as Arrow batches, in an order that does not depend on when they came.
use super::state::Fill;
use super::view::{RowView, Unread};
use crate::plan::{Cell, Reader, TablePlan};
use crate::template::Lookup;
use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::error::ArrowError;
use palisade_core::CallError;
use palisade_model::Value;
use palisade_table::{Batch, ColumnBuilder, Failure};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Rows of one account's table.
#[derive(Debug, Default)]
pub(super) struct TableOutput {
    builders: Vec<ColumnBuilder>,
    chunks: Vec<RecordBatch>,
    /// Of each row: instance, page, row.
    keys: Vec<(usize, u32, u32)>,
    regions: Vec<Arc<str>>,
    failures: Vec<(usize, usize, Arc<CallError>)>,
    broken: Option<String>,
}

/// Rows in one chunk before it is closed.
const CHUNK: usize = 8192;

impl TableOutput {
    /// Appends a row. Gives the errors of answers that do not have the model's form.
    pub(super) fn append(&mut self, view: &RowView<'_>) -> Vec<Arc<CallError>> {
        let table = view.table;
        if self.builders.is_empty()
            && let Err(error) = self.open(table)
        {
            self.broken = Some(error);
            return Vec::new();
        }
        let mut failed: BTreeMap<usize, Arc<CallError>> = BTreeMap::new();
        for (slot, fill) in table.slots.iter().zip(&view.row.fills) {
            if let Fill::Failed(error) = fill {
                failed.insert(slot.number, Arc::clone(error));
            }
        }
        if let Some(error) = &view.row.lost {
            let sources = table
                .region_cells
                .iter()
                .filter_map(|c| table.cells.get(*c))
                .map(blamed);
            for source in sources {
                failed.entry(source).or_insert_with(|| Arc::clone(error));
            }
        }
        let mut malformed = Vec::new();
        let mut prepared: Vec<Option<Cow<'_, Value>>> = Vec::with_capacity(table.columns.len());
        for (index, builder) in table.columns.iter().zip(&self.builders) {
            let Some(cell) = table.cells.get(*index) else {
                continue;
            };
            let value = match view.raw(cell) {
                Ok(Cow::Borrowed(value)) => builder.prepare(value).map_err(Unread::Malformed),
                Ok(Cow::Owned(value)) => match builder.prepare(&value) {
                    Ok(value) => Ok(Cow::Owned(value.into_owned())),
                    Err(mismatch) => Err(Unread::Malformed(mismatch)),
                },
                Err(unread) => Err(unread),
            };
            prepared.push(match value {
                Ok(value) => Some(value),
                Err(unread) => {
                    let is_new = matches!(unread, Unread::Malformed(_));
                    let error = unread.into_error(|mismatch| view.malformed(mismatch, cell));
                    if is_new {
                        malformed.push(Arc::clone(&error));
                    }
                    // A cell that a failed call should have filled is marked by that call already.
                    if !cell.sources.iter().any(|s| failed.contains_key(s)) {
                        failed.insert(blamed(cell), error);
                    }
                    None
                }
            });
        }
        let columns = table.columns.iter().zip(&mut self.builders).zip(prepared);
        for ((index, builder), value) in columns {
            let cell = table.cells.get(*index);
            // Of a row that was listed, but not well, the identity stays where it can be read.
            let stays = |s: &usize| *s == 0 && cell.is_some_and(|c| is_identity(c, table));
            let lost = cell.is_some_and(|c| {
                !matches!(c.reader, Reader::Region)
                    && c.sources
                        .iter()
                        .any(|s| failed.contains_key(s) && !stays(s))
            });
            match value.filter(|_| !lost) {
                Some(value) => builder.append(&value),
                None => builder.append_null(),
            }
        }
        let row = self.keys.len();
        self.failures.extend(
            failed
                .into_iter()
                .map(|(source, error)| (source, row, error)),
        );
        self.keys
            .push((view.group.instance, view.group.page, view.row.number));
        self.regions.push(Arc::from(view.region()));
        if self.builders.first().is_some_and(|b| b.len() >= CHUNK)
            && let Err(error) = self.close_chunk(table)
        {
            self.broken = Some(error.to_string());
        }
        malformed
    }

    fn open(&mut self, table: &TablePlan) -> Result<(), String> {
        for cell in table.columns.iter().filter_map(|c| table.cells.get(*c)) {
            let builder = ColumnBuilder::new(&cell.ty, cell.of.clone(), cell.transform);
            self.builders
                .push(builder.map_err(|e| format!("column `{}`: {e}", cell.name))?);
        }
        Ok(())
    }

    fn close_chunk(&mut self, table: &TablePlan) -> Result<(), ArrowError> {
        if self.builders.first().is_none_or(ColumnBuilder::is_empty) {
            return Ok(());
        }
        let arrays: Result<Vec<ArrayRef>, ArrowError> = self
            .builders
            .iter_mut()
            .map(ColumnBuilder::finish)
            .collect();
        self.chunks
            .push(RecordBatch::try_new(Arc::clone(&table.arrow), arrays?)?);
        Ok(())
    }

    /// The instances that gave rows.
    pub(super) fn instances(&self) -> BTreeSet<usize> {
        self.keys.iter().map(|key| key.0).collect()
    }

    /// The rows by region and then in the order of the lists, one batch for each region.
    pub(super) fn finish(
        mut self,
        table: &TablePlan,
        orders: &HashMap<usize, Vec<u32>>,
    ) -> Result<Vec<Batch>, ArrowError> {
        if let Some(reason) = self.broken {
            return Err(ArrowError::SchemaError(reason));
        }
        self.close_chunk(table)?;
        self.builders = Vec::new();
        let all = match self.chunks.as_slice() {
            [] => return Ok(Vec::new()),
            [one] => one.clone(),
            chunks => concat_batches(&table.arrow, chunks)?,
        };
        self.chunks = Vec::new();
        let mut order: Vec<usize> = (0..self.keys.len()).collect();
        order.sort_by_key(|row| {
            let key = self.keys.get(*row).copied().unwrap_or_default();
            (self.regions.get(*row), orders.get(&key.0), key.1, key.2)
        });
        let sorted = if order.is_sorted() {
            all
        } else {
            let indexes: UInt32Array = order
                .iter()
                .map(|row| u32::try_from(*row).unwrap_or(u32::MAX))
                .collect();
            take_record_batch(&all, &indexes)?
        };
        let mut position = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            if let Some(place) = position.get_mut(*old) {
                *place = new;
            }
        }
        let mut failures: Vec<Failure> = Vec::with_capacity(self.failures.len());
        for (source, row, error) in self.failures {
            let row = position.get(row).copied().unwrap_or_default();
            failures.push(Failure { source, row, error });
        }
        failures.sort_by_key(|f| f.row);
        let mut batches = Vec::new();
        let mut start = 0;
        while start < order.len() {
            let region = |at: usize| order.get(at).and_then(|row| self.regions.get(*row));
            let mut end = start + 1;
            while end < order.len() && region(end) == region(start) {
                end += 1;
            }
            let from = failures.partition_point(|f| f.row < start);
            let to = failures.partition_point(|f| f.row < end);
            let own = failures.get(from..to).unwrap_or_default().iter();
            let mut own: Vec<Failure> = own
                .map(|f| Failure {
                    row: f.row - start,
                    ..f.clone()
                })
                .collect();
            own.sort_by_key(|f| (f.source, f.row));
            batches.push(Batch {
                rows: sorted.slice(start, end - start),
                failures: own,
            });
            start = end;
        }
        Ok(batches)
    }
}

/// The call that is to blame for a cell that cannot be read.
fn blamed(cell: &Cell) -> usize {
    match &cell.reader {
        Reader::Row(_) | Reader::Outer(_) | Reader::Csv(_) => 0,
        _ => cell.sources.last().copied().unwrap_or(0),
    }
}

fn is_identity(cell: &Cell, table: &TablePlan) -> bool {
    cell.name == "arn" || cell.name == table.spec.id
}

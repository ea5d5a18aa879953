//! Rows that were read again, in the place of those that were known.
use crate::WatchError;
use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use palisade_collect::{Narrowing, Rows};
use palisade_core::CallError;
use palisade_store::AccountPart;
use palisade_table::{Batch, Failure, Gap, TAGGING, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The same narrowing, but whole where what is known of a table has a hole: rows that were never listed are not found by
/// their ids.
#[must_use]
pub fn widened(narrowing: &Narrowing, known: &AccountPart) -> Narrowing {
    let mut wide = narrowing.clone();
    wide.retain(|table, rows| {
        let Some(part) = known.tables.get(table) else {
            return false;
        };
        if part
            .gaps
            .iter()
            .any(|(region, _)| rows.takes_region(region))
        {
            rows.ids = None;
        }
        true
    });
    wide
}

/// One region's rows of one side.
#[derive(Debug, Default)]
struct Side {
    batches: Vec<RecordBatch>,
    failures: Vec<Failure>,
    rows: usize,
}

impl Side {
    fn add(&mut self, batch: &Batch) {
        let at = self.rows;
        self.failures.extend(batch.failures.iter().map(|f| Failure {
            row: f.row + at,
            ..f.clone()
        }));
        self.rows += batch.rows.num_rows();
        self.batches.push(batch.rows.clone());
    }
}

/// A table of one account as it is now: what was known, with what was read again in its place. Rows that were wanted and
/// are not there any more go. Where the list failed, they stay, and are unknown.
///
/// Rows stand where they stood; new ones come last. What a whole list gave stands as the list gave it.
///
/// # Errors
/// When the two do not have the same columns.
pub fn merge(known: &Table, read: &Table, rows: &Rows) -> Result<Table, WatchError> {
    let failed = |message: String| WatchError::Merge {
        table: known.spec.name.clone(),
        message,
    };
    let fresh = fitting(read, &known.schema).map_err(failed)?;
    let mut regions: BTreeMap<Option<String>, (Side, Side)> = BTreeMap::new();
    let mut kept: BTreeMap<Option<String>, Vec<Batch>> = BTreeMap::new();
    for batch in known.batches.iter().filter(|b| b.rows.num_rows() > 0) {
        let region = region_of(batch);
        if rows.takes_region(region.as_deref().unwrap_or_default()) {
            regions.entry(region).or_default().0.add(batch);
        } else {
            kept.entry(region).or_default().push(batch.clone());
        }
    }
    for batch in fresh.iter().filter(|b| b.rows.num_rows() > 0) {
        regions.entry(region_of(batch)).or_default().1.add(batch);
    }
    let mut sources: Vec<usize> = (0..=known.spec.calls.len()).collect();
    sources.push(TAGGING);
    for (region, (old, new)) in &regions {
        // of a table that is not bound to regions, a gap anywhere may hide the row
        let lost = read
            .gaps
            .iter()
            .find(|g| rows.regions.is_none() || region.as_deref().is_none_or(|r| r == g.region));
        let lost = lost.map(|g| &g.error);
        let batch = join(known, old, new, rows, lost, &sources).map_err(failed)?;
        if batch.rows.num_rows() > 0 {
            kept.entry(region.clone()).or_default().push(batch);
        }
    }
    let mut gaps: Vec<Gap> = known
        .gaps
        .iter()
        .filter(|g| rows.ids.is_some() || !rows.takes_region(&g.region))
        .cloned()
        .collect();
    for gap in &read.gaps {
        if !gaps.contains(gap) {
            gaps.push(gap.clone());
        }
    }
    gaps.sort_by(|a, b| {
        let key = |g: &Gap| (g.account_id.clone(), g.region.clone(), (*g.error).clone());
        key(a).cmp(&key(b))
    });
    Ok(Table {
        spec: Arc::clone(&known.spec),
        schema: Arc::clone(&known.schema),
        batches: kept.into_values().flatten().collect(),
        gaps,
    })
}

/// What was read in the order of the columns that are known.
fn fitting(read: &Table, schema: &SchemaRef) -> Result<Vec<Batch>, String> {
    let mut fitting = Vec::with_capacity(read.batches.len());
    for batch in &read.batches {
        let columns: Option<Vec<_>> = schema
            .fields()
            .iter()
            .map(|f| batch.rows.column_by_name(f.name()).cloned())
            .collect();
        let columns = columns.ok_or_else(|| "what was read has fewer columns".to_owned())?;
        let rows = RecordBatch::try_new(Arc::clone(schema), columns);
        fitting.push(Batch {
            rows: rows.map_err(|e| format!("what was read does not fit: {e}"))?,
            failures: batch.failures.clone(),
        });
    }
    Ok(fitting)
}

/// The rows of one region.
fn join(
    table: &Table,
    old: &Side,
    new: &Side,
    wanted: &Rows,
    lost: Option<&Arc<CallError>>,
    sources: &[usize],
) -> Result<Batch, String> {
    let all: Vec<&RecordBatch> = old.batches.iter().chain(&new.batches).collect();
    let all = concat_batches(&table.schema, all).map_err(|e| e.to_string())?;
    let identity = Identity::of(&all, &table.spec.id)?;
    let mut fresh: BTreeMap<&str, usize> = BTreeMap::new();
    for row in old.rows..all.num_rows() {
        if let Some(key) = identity.key(row) {
            fresh.entry(key).or_insert(row);
        }
    }
    let mut order: Vec<usize> = Vec::with_capacity(all.num_rows());
    let mut unread: BTreeSet<usize> = BTreeSet::new();
    let mut placed: BTreeSet<usize> = BTreeSet::new();
    // a whole list stands as it is; rows that it could not give come after it
    if wanted.ids.is_none() {
        order.extend(old.rows..all.num_rows());
        placed.extend(old.rows..all.num_rows());
    }
    for row in 0..old.rows {
        let again = identity.key(row).and_then(|key| fresh.get(key)).copied();
        match again {
            Some(again) if placed.insert(again) => order.push(again),
            Some(_) => {}
            None if !identity.is_wanted(row, wanted) => order.push(row),
            None if lost.is_some() => {
                unread.insert(row);
                order.push(row);
            }
            None => {}
        }
    }
    order.extend((old.rows..all.num_rows()).filter(|row| !placed.contains(row)));
    let mut failures_of: BTreeMap<usize, Vec<(usize, &Arc<CallError>)>> = BTreeMap::new();
    let before = old.failures.iter().map(|f| (f.row, f));
    let after = new.failures.iter().map(|f| (f.row + old.rows, f));
    for (row, failure) in before.chain(after) {
        let of = failures_of.entry(row).or_default();
        of.push((failure.source, &failure.error));
    }
    let mut failures = Vec::new();
    let mut indexes = Vec::with_capacity(order.len());
    for (place, row) in order.iter().enumerate() {
        indexes.push(u32::try_from(*row).map_err(|e| e.to_string())?);
        let error = lost.filter(|_| unread.contains(row));
        match error {
            Some(error) => failures.extend(sources.iter().map(|source| Failure {
                source: *source,
                row: place,
                error: Arc::clone(error),
            })),
            None => {
                let of = failures_of.get(row).into_iter().flatten();
                failures.extend(of.map(|(source, error)| Failure {
                    source: *source,
                    row: place,
                    error: Arc::clone(error),
                }));
            }
        }
    }
    failures.sort_by_key(|f| (f.source, f.row));
    let rows = take_record_batch(&all, &UInt32Array::from(indexes)).map_err(|e| e.to_string())?;
    Ok(Batch { rows, failures })
}

/// What tells rows apart.
struct Identity<'b> {
    id: Option<&'b arrow::array::StringArray>,
    arn: Option<&'b arrow::array::StringArray>,
    /// Ids that are no texts, as texts.
    other: Option<Vec<String>>,
}

impl<'b> Identity<'b> {
    fn of(rows: &'b RecordBatch, id: &str) -> Result<Self, String> {
        let texts = |name: &str| {
            let column = rows.column_by_name(name);
            column.and_then(|c| c.as_string_opt::<i32>())
        };
        let column = rows.column_by_name(id);
        let column = column.ok_or_else(|| format!("there is no column `{id}`"))?;
        let other = match texts(id) {
            Some(_) => None,
            None => {
                let texts = (0..column.len())
                    .map(|row| arrow::util::display::array_value_to_string(column, row));
                Some(texts.collect::<Result<_, _>>().map_err(|e| e.to_string())?)
            }
        };
        Ok(Self {
            id: texts(id),
            arn: texts("arn"),
            other,
        })
    }

    fn id(&self, row: usize) -> Option<&str> {
        match (&self.id, &self.other) {
            (Some(id), _) => id.is_valid(row).then(|| id.value(row)),
            (None, Some(other)) => other.get(row).map(String::as_str),
            (None, None) => None,
        }
    }

    fn arn(&self, row: usize) -> Option<&str> {
        self.arn.filter(|a| a.is_valid(row)).map(|a| a.value(row))
    }

    /// The ARN, else the id: ids of some tables are unique within a parent only.
    fn key(&self, row: usize) -> Option<&str> {
        self.arn(row).or_else(|| self.id(row))
    }

    fn is_wanted(&self, row: usize, wanted: &Rows) -> bool {
        let Some(ids) = &wanted.ids else {
            return true;
        };
        let is = |text: Option<&str>| text.is_some_and(|t| ids.contains(t));
        is(self.id(row)) || is(self.arn(row))
    }
}

/// The region of a batch's rows.
pub(crate) fn region_of(batch: &Batch) -> Option<String> {
    let column = batch.rows.column_by_name("region")?;
    let column = column.as_string_opt::<i32>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0).to_owned())
}

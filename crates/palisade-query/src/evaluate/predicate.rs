//! All predicates of a table, batch by batch.
use super::block::{Block, Content, Verdicts};
use super::{CheckError, Reason, note, tell_gaps};
use crate::error::plain;
use crate::expr::{Compiled, Frame};
use crate::plan::{PlannedCheck, Predicate};
use crate::provider::column_index;
use crate::session::Planner;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use palisade_core::CallError;
use palisade_table::{Batch, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) fn evaluate_table(
    planner: &Planner,
    checks: &[&PlannedCheck],
    table: &Table,
    sink: &mut dyn FnMut(&Block<'_>),
    errors: &mut Vec<CheckError>,
) {
    // Where each check's columns are in the collected table.
    let mut ready = Vec::new();
    for planned in checks {
        let predicate = match planned.predicate(planner) {
            Some(Ok(predicate)) => predicate,
            Some(Err(message)) => {
                errors.push(CheckError {
                    check: planned.check.id.clone(),
                    message: message.to_owned(),
                });
                continue;
            }
            None => continue,
        };
        let find = |name: &String| {
            column_index(
                &table.spec.name,
                &table.schema,
                &predicate.frame.arrow,
                name,
            )
        };
        match predicate
            .frame
            .columns
            .iter()
            .map(find)
            .collect::<Result<Vec<usize>, _>>()
        {
            Ok(indices) => ready.push((*planned, predicate, indices)),
            Err(e) => errors.push(CheckError {
                check: planned.check.id.clone(),
                message: e.to_string(),
            }),
        }
    }
    for batch in &table.batches {
        for (planned, predicate, indices) in &ready {
            let Some(rows) = frame_rows(&predicate.frame, batch, indices) else {
                continue;
            };
            if rows.num_rows() == 0 {
                continue;
            }
            let verdicts = judge(planner, predicate, &rows, batch);
            sink(&Block {
                planner,
                planned,
                content: Content::Rows {
                    rows: &rows,
                    verdicts: &verdicts,
                },
            });
        }
    }
    for (planned, _, _) in &ready {
        tell_gaps(planner, planned, table, sink);
    }
}

fn frame_rows(frame: &Frame, batch: &Batch, indices: &[usize]) -> Option<RecordBatch> {
    let columns: Vec<ArrayRef> = indices
        .iter()
        .filter_map(|i| batch.rows.columns().get(*i))
        .cloned()
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(batch.rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(&frame.arrow), columns, &options).ok()
}

fn judge(planner: &Planner, predicate: &Predicate, rows: &RecordBatch, batch: &Batch) -> Verdicts {
    let mut unknown = BTreeMap::new();
    let failed = |sources: &BTreeSet<usize>| -> BTreeMap<usize, Reason> {
        let mut by_row: BTreeMap<usize, Vec<Arc<CallError>>> = BTreeMap::new();
        for failure in batch
            .failures
            .iter()
            .filter(|f| sources.contains(&f.source))
        {
            note(by_row.entry(failure.row).or_default(), &failure.error);
        }
        by_row
            .into_iter()
            .map(|(row, errors)| (row, Reason::Calls(errors)))
            .collect()
    };
    let concerned = predicate.applies.as_ref().map(|applies| {
        let (concerned, errors) = truths(planner, applies, &predicate.frame, rows);
        unknown.extend(
            errors
                .into_iter()
                .map(|(row, reason)| (row, Reason::Values(reason))),
        );
        unknown.extend(failed(&predicate.applies_sources));
        concerned
    });
    let (passed, errors) = truths(planner, &predicate.holds, &predicate.frame, rows);
    let mut undecided: BTreeMap<usize, Reason> = errors
        .into_iter()
        .map(|(row, reason)| (row, Reason::Values(reason)))
        .collect();
    undecided.extend(failed(&predicate.holds_sources));
    for (row, reason) in undecided {
        let is_concerned = concerned.as_ref().is_none_or(|c| c.value(row));
        // A row that is known not to be concerned stays so; one of which that is not known has its reason already.
        if row < rows.num_rows() && is_concerned {
            unknown.entry(row).or_insert(reason);
        }
    }
    Verdicts {
        concerned,
        passed,
        unknown,
    }
}

/// Which rows are TRUE, and the rows for which the expression fails, with why.
fn truths(
    planner: &Planner,
    expr: &Compiled,
    frame: &Frame,
    rows: &RecordBatch,
) -> (BooleanBuffer, BTreeMap<usize, String>) {
    if let Ok(array) = expr.evaluate(planner, frame, rows) {
        return (trues(&array), BTreeMap::new());
    }
    let mut out = vec![false; rows.num_rows()];
    let mut errors = BTreeMap::new();
    split(planner, expr, frame, rows, 0, &mut out, &mut errors);
    (BooleanBuffer::from(out), errors)
}

/// Halves what fails until single rows are left: a row that fails must not take others with it. Whether a row fails
/// is decided by the row alone, because `AND`, `OR` and `CASE` then skip what they need not compute.
fn split(
    planner: &Planner,
    expr: &Compiled,
    frame: &Frame,
    rows: &RecordBatch,
    offset: usize,
    out: &mut [bool],
    errors: &mut BTreeMap<usize, String>,
) {
    let count = rows.num_rows();
    match expr.evaluate(planner, frame, rows) {
        Ok(array) => {
            let trues = trues(&array);
            for (slot, value) in out.iter_mut().skip(offset).zip(trues.iter()) {
                *slot = value;
            }
        }
        Err(e) if count <= 1 => {
            errors.insert(offset, plain(&e));
        }
        Err(_) => {
            let half = count / 2;
            split(
                planner,
                expr,
                frame,
                &rows.slice(0, half),
                offset,
                out,
                errors,
            );
            split(
                planner,
                expr,
                frame,
                &rows.slice(half, count - half),
                offset + half,
                out,
                errors,
            );
        }
    }
}

/// TRUE and not NULL.
fn trues(array: &ArrayRef) -> BooleanBuffer {
    match array.data_type() {
        DataType::Boolean => {
            let booleans = array.as_boolean();
            match booleans.nulls() {
                Some(nulls) => booleans.values() & nulls.inner(),
                None => booleans.values().clone(),
            }
        }
        _ => BooleanBuffer::new_unset(array.len()),
    }
}

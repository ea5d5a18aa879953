//! What is newly seen.
use crate::{Diff, ResourceKind};
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use palisade_table::{Batch, Dataset, Failure};
use std::collections::BTreeSet;

/// Leaves those rows in a dataset that a comparison with it found to be added.
pub fn only_added(dataset: &mut Dataset, diff: &Diff) {
    let added: BTreeSet<(&str, &str, &str, &str)> = diff
        .resources
        .iter()
        .filter(|r| r.kind == ResourceKind::Added)
        .map(|r| {
            (
                r.table.as_str(),
                r.account_id.as_str(),
                r.resource.as_str(),
                r.resource_id.as_str(),
            )
        })
        .collect();
    for (name, table) in &mut dataset.tables {
        let id = table.spec.id.clone();
        let batches = std::mem::take(&mut table.batches);
        table.batches = batches
            .into_iter()
            .filter_map(|batch| {
                let keep = mask(name, &id, &batch, &added);
                filtered(&batch, &keep)
            })
            .collect();
    }
}

fn mask(
    table: &str,
    id: &str,
    batch: &Batch,
    added: &BTreeSet<(&str, &str, &str, &str)>,
) -> Vec<bool> {
    let text = |name: &str, row: usize| -> String {
        let Some(column) = batch.rows.column_by_name(name).filter(|c| c.is_valid(row)) else {
            return String::new();
        };
        match column.as_string_opt::<i32>() {
            Some(texts) => texts.value(row).to_owned(),
            None => crate::value::cell(column, row, crate::marks::Marks::none()).to_string(),
        }
    };
    (0..batch.rows.num_rows())
        .map(|row| {
            let (account, arn, id) = (text("account_id", row), text("arn", row), text(id, row));
            let resource = if arn.is_empty() { &id } else { &arn };
            added.contains(&(table, &account, resource, &id))
        })
        .collect()
}

fn filtered(batch: &Batch, keep: &[bool]) -> Option<Batch> {
    // where each kept row is afterwards
    let mut next = 0;
    let places: Vec<Option<usize>> = keep
        .iter()
        .map(|kept| {
            kept.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    if next == 0 {
        return None;
    }
    let rows = filter_record_batch(&batch.rows, &BooleanArray::from(keep.to_vec())).ok()?;
    let failures = batch.failures.iter().filter_map(|f| {
        Some(Failure {
            row: places.get(f.row).copied().flatten()?,
            ..f.clone()
        })
    });
    Some(Batch {
        rows,
        failures: failures.collect(),
    })
}

/// The accounts that have rows or gaps in a table.
pub fn accounts_of(table: &palisade_table::Table) -> BTreeSet<String> {
    let rows = table
        .batches
        .iter()
        .filter_map(|batch| crate::side::first(batch, "account_id").map(str::to_owned));
    rows.chain(table.gaps.iter().map(|g| g.account_id.clone()))
        .collect()
}

//! From a snapshot and what was read again to the next snapshot's account, which shares everything that is as it was.
use crate::WatchError;
use crate::merge::{merge, region_of};
use palisade_collect::{Collected, Narrowing, Request};
use palisade_core::{Coverage, Finding};
use palisade_store::{AccountPart, AccountResult, Snapshot, Wanted, Writer};
use palisade_table::{Batch, Dataset, Schemas, Table};
use std::collections::{BTreeMap, BTreeSet};

/// What must be read again so that it fits what is known: the touched tables with the columns that they have.
pub fn request_of(known: &AccountPart, narrowing: &Narrowing) -> Request {
    let mut request = Request::default();
    for table in narrowing.keys() {
        if let Some(part) = known.tables.get(table) {
            request.add(table, part.columns.keys().map(String::as_str));
        }
    }
    request
}

/// One account on its way from a snapshot to the next.
#[derive(Debug)]
pub struct Update<'s> {
    snapshot: &'s Snapshot,
    known: &'s AccountPart,
}

/// What came of it.
#[derive(Debug)]
pub struct Updated {
    /// The touched tables as they are now, whole.
    pub tables: BTreeMap<String, Table>,
    /// Those of them that are otherwise than before, with the regions that are.
    pub changed: BTreeMap<String, BTreeSet<Option<String>>>,
    coverage: Coverage,
}

impl<'s> Update<'s> {
    /// Of an account of a snapshot.
    pub fn new(snapshot: &'s Snapshot, known: &'s AccountPart) -> Self {
        Self { snapshot, known }
    }

    /// Puts what was read again in its place.
    ///
    /// # Errors
    /// When the snapshot is damaged, or does not have the tables.
    pub async fn with(
        &self,
        narrowing: &Narrowing,
        collected: &Collected,
        schemas: &dyn Schemas,
    ) -> Result<Updated, WatchError> {
        let mut tables = BTreeMap::new();
        let mut changed = BTreeMap::new();
        for (name, rows) in narrowing {
            let (Some(part), Some(read)) = (
                self.known.tables.get(name),
                collected.dataset.tables.get(name),
            ) else {
                continue;
            };
            let wanted = Wanted::from([(name.clone(), part.columns.keys().cloned().collect())]);
            let accounts = [self.known.account_id.clone()];
            let mut stored = self.snapshot.dataset(&accounts, &wanted, schemas).await?;
            let Some(old) = stored.tables.remove(name) else {
                continue;
            };
            let new = merge(&old, read, rows)?;
            let regions = differing(&old, &new);
            if !regions.is_empty() || old.gaps != new.gaps {
                changed.insert(name.clone(), regions);
            }
            tables.insert(name.clone(), new);
        }
        let mut coverage = self.known.coverage.clone();
        for failure in &collected.coverage.failures {
            let same = |known: &(palisade_core::CallError, usize)| {
                palisade_core::CallError {
                    message: String::new(),
                    ..known.0.clone()
                } == palisade_core::CallError {
                    message: String::new(),
                    ..failure.0.clone()
                }
            };
            if !coverage.failures.iter().any(same) {
                coverage.failures.push(failure.clone());
            }
        }
        coverage.failures.sort();
        Ok(Updated {
            tables,
            changed,
            coverage,
        })
    }

    /// Writes what is new of the account's tables. Files of regions and tables that are as they were are those of the
    /// earlier snapshot.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write(
        &self,
        updated: &Updated,
        writer: &Writer,
    ) -> Result<AccountPart, WatchError> {
        let mut dataset = Dataset::default();
        for (name, regions) in &updated.changed {
            let Some(table) = updated.tables.get(name) else {
                continue;
            };
            let mut only = table.clone();
            only.batches.retain(|b| regions.contains(&region_of(b)));
            dataset.tables.insert(name.clone(), only);
        }
        let fresh = writer
            .account_part(AccountResult {
                account_id: &self.known.account_id,
                dataset: &dataset,
                coverage: &updated.coverage,
                findings: None,
            })
            .await?;
        let mut part = self.known.clone();
        part.coverage = fresh.coverage;
        for (name, table) in fresh.tables {
            let regions = updated.changed.get(&name).cloned().unwrap_or_default();
            let known = part.tables.entry(name).or_default();
            known.files.retain(|f| !regions.contains(&f.region));
            known.files.extend(table.files);
            // in the order of the regions; within one, as they were written
            known.files.sort_by(|a, b| a.region.cmp(&b.region));
            known.gaps = table.gaps;
            known.columns = table.columns;
        }
        writer.account_document(&part).await?;
        Ok(part)
    }
}

/// Writes other verdicts on an account whose tables are in place.
///
/// # Errors
/// When the store cannot be written.
pub async fn write_findings(
    mut part: AccountPart,
    findings: &[Finding],
    writer: &Writer,
) -> Result<(), WatchError> {
    let fresh = writer
        .account_part(AccountResult {
            account_id: &part.account_id,
            dataset: &Dataset::default(),
            coverage: &part.coverage,
            findings: Some(findings),
        })
        .await?;
    part.findings = fresh.findings;
    part.counts = fresh.counts;
    Ok(writer.account_document(&part).await?)
}

/// Regions whose rows, or what could not be read of them, differ.
fn differing(old: &Table, new: &Table) -> BTreeSet<Option<String>> {
    let by_region = |table: &Table| {
        let mut regions: BTreeMap<Option<String>, Vec<Batch>> = BTreeMap::new();
        for batch in table.batches.iter().filter(|b| b.rows.num_rows() > 0) {
            let of = regions.entry(region_of(batch)).or_default();
            of.push(batch.clone());
        }
        regions
    };
    let (old, new) = (by_region(old), by_region(new));
    let mut regions: BTreeSet<&Option<String>> = old.keys().collect();
    regions.extend(new.keys());
    let regions = regions.into_iter().filter(|region| {
        let (was, is) = (old.get(*region), new.get(*region));
        match (was, is) {
            (Some(was), Some(is)) => !same(was, is),
            _ => true,
        }
    });
    regions.cloned().collect()
}

/// Whether two lists of batches hold the same rows in the same order.
fn same(was: &[Batch], is: &[Batch]) -> bool {
    let count = |all: &[Batch]| all.iter().map(|b| b.rows.num_rows()).sum::<usize>();
    if count(was) != count(is) {
        return false;
    }
    let failures = |all: &[Batch]| {
        let mut at = 0;
        let mut found = BTreeSet::new();
        for batch in all {
            for failure in &batch.failures {
                // which time it was is in the message, and does not count
                let error = palisade_core::CallError {
                    message: String::new(),
                    ..failure.error.as_ref().clone()
                };
                found.insert((failure.source, failure.row + at, error));
            }
            at += batch.rows.num_rows();
        }
        found
    };
    if failures(was) != failures(is) {
        return false;
    }
    let joined = |all: &[Batch]| {
        let schema = all.first().map(|b| b.rows.schema())?;
        arrow::compute::concat_batches(&schema, all.iter().map(|b| &b.rows)).ok()
    };
    match (joined(was), joined(is)) {
        (Some(was), Some(is)) => was == is,
        _ => false,
    }
}

impl Updated {
    /// True when nothing is otherwise than before.
    pub fn is_nothing(&self) -> bool {
        self.changed.is_empty()
    }
}

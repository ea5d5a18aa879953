//! `cargo xtask synth`: a store with a snapshot of an organisation that does not exist, of any size. It is written as
//! scans write theirs, account by account and file by file: memory follows from neither size.
//!
//! What the cells hold comes from the catalogue: the columns that shipped checks read, in the types of their tables,
//! filled from the fixtures of the checks. So checks pass, fail and cannot decide, and it goes on working when tables
//! change. The same arguments give the same bytes.
#![allow(
    clippy::indexing_slicing,
    reason = "numbers come from the lists that they are numbers of; a development tool stops at a mistake"
)]
mod rows;
mod shape;

use anyhow::Context;
use palisade_core::{CallError, CallStatistics, Coverage, Timestamp};
use palisade_store::{NewSnapshot, Options, Store, Writer};
use palisade_table::{CatalogSchemas, Gap, Table};
use rows::{Generator, Place};
use shape::Shape;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Rows that are made and written at once.
const AT_ONCE: u64 = 32_768;
/// When the first snapshot is taken; the second is taken a day later.
const TAKEN: &str = "2026-01-31T12:00:00Z";
const DAY: i64 = 86_400_000_000;
/// In accounts in which calls fail, one list in so many could not be read.
const GAPS: u64 = 20;

/// Options of `cargo xtask synth`.
#[derive(clap::Args, Clone)]
pub struct Arguments {
    /// Accounts of the organisation
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub accounts: u64,
    /// Resources of all accounts together
    #[arg(long)]
    pub resources: u64,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub store: PathBuf,
    /// Another seed, another organisation
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Also a second snapshot, taken a day later, in which so many percent of the resources are new, gone or changed
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(1..=100))]
    pub drift: Option<u64>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for (id, rows) in write(arguments)? {
        println!("{id}: {} accounts, {rows} resources", arguments.accounts);
    }
    Ok(())
}

/// Writes the snapshots; their ids, with their rows.
pub fn write(arguments: &Arguments) -> anyhow::Result<Vec<(String, u64)>> {
    let tables = CatalogSchemas::shipped();
    let location = arguments.store.to_str().context("the store's path")?;
    let store = Store::open(location, &Options::default())?;
    let now: Timestamp = TAKEN.parse()?;
    let generator = Generator::new(&tables, u64::from(arguments.seed), now)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let mut made = Vec::new();
    for (number, drift) in [Some(0), arguments.drift].into_iter().flatten().enumerate() {
        let later = i64::try_from(number)? * DAY;
        let started_at = Timestamp::from_micros(now.as_micros() + later);
        let writer = store.writer(NewSnapshot {
            nonce: format!("{:08x}", arguments.seed),
            started_at,
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: tables.catalog().fingerprint.clone(),
            regions: rows::REGIONS.iter().map(|r| (*r).to_owned()).collect(),
        });
        let mut rows = 0;
        for account in 0..arguments.accounts {
            let (n, all) = (arguments.accounts, arguments.resources);
            let resources = all / n + u64::from(account < all % n);
            let shape = Shape::of(&generator, account, resources)?;
            rows += runtime.block_on(write_account(&writer, &generator, &shape, drift))?;
        }
        let finished_at = Timestamp::from_micros(started_at.as_micros() + 60_000_000);
        runtime.block_on(writer.commit(finished_at, None))?;
        made.push((writer.id().to_owned(), rows));
    }
    Ok(made)
}

/// Writes one account; how many rows it has.
async fn write_account(
    writer: &Writer,
    generator: &Generator,
    shape: &Shape,
    drift: u64,
) -> anyhow::Result<u64> {
    let mut files = writer.account_files(&shape.account_id);
    let mut coverage = Failures::default();
    let mut written = 0;
    for (number, kind) in generator.kinds.iter().enumerate() {
        let table = Table {
            gaps: coverage.gaps(generator, shape, number),
            ..kind.table.clone()
        };
        files.table(&table);
        for (region, count) in shape.regions(number) {
            let place = Place {
                shape,
                table: number,
                region,
                drift,
            };
            let keep = place.rows(count);
            for chunk in keep.chunks(usize::try_from(AT_ONCE)?) {
                let batch = kind.batch(generator, &place, chunk)?;
                written += chunk.len() as u64;
                for failure in &batch.failures {
                    coverage.add(&failure.error);
                }
                files.rows(&table, &batch).await?;
            }
        }
        coverage.listed(kind, shape.regions(number).len());
    }
    let part = files.part(coverage.coverage());
    writer.account_document(&part).await?;
    Ok(written)
}

/// What could not be read, while it is counted.
#[derive(Default)]
struct Failures {
    calls: BTreeMap<String, CallStatistics>,
    failures: BTreeMap<CallError, usize>,
}

impl Failures {
    fn call(&mut self, operation: String) -> &mut CallStatistics {
        let call = self.calls.entry(operation.clone()).or_default();
        call.operation = operation;
        call
    }
    fn listed(&mut self, kind: &rows::Kind, times: usize) {
        let Some(list) = &kind.table.spec.list else {
            return;
        };
        let call = self.call(format!("{}:{}", kind.table.spec.model, list.call));
        call.planned += times;
        call.succeeded += times;
        call.requests += times;
    }
    fn add(&mut self, error: &CallError) {
        let call = self.call(format!("{}:{}", error.service, error.operation));
        call.planned += 1;
        call.failed += 1;
        call.requests += 1;
        match self.failures.get_mut(error) {
            Some(times) => *times += 1,
            None => {
                self.failures.insert(error.clone(), 1);
            }
        }
    }
    /// Lists that could not be read.
    fn gaps(&mut self, generator: &Generator, shape: &Shape, table: usize) -> Vec<Gap> {
        let kind = &generator.kinds[table];
        let mut gaps = Vec::new();
        for (region, _) in shape.regions(table) {
            let chance = generator.number(&[7, shape.number, kind.number, region as u64]);
            if let Some(error) = &kind.unlisted
                && shape.is_denied()
                && chance.is_multiple_of(GAPS)
            {
                let error = CallError {
                    account_id: shape.account_id.clone(),
                    region: rows::REGIONS[region].to_owned(),
                    ..error.clone()
                };
                self.add(&error);
                gaps.push(Gap {
                    account_id: shape.account_id.clone(),
                    region: rows::REGIONS[region].to_owned(),
                    error: Arc::new(error),
                });
            }
        }
        gaps
    }
    fn coverage(self) -> Coverage {
        Coverage {
            calls: self.calls.into_values().collect(),
            failures: self.failures.into_iter().collect(),
            ..Coverage::default()
        }
    }
}

#[cfg(test)]
mod tests;

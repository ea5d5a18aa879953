//! `palisade query`
use super::cluster::Engine;
use super::{connect, store};
use crate::Outcome;
use crate::cli::{Query, QueryFormat};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_scan::{QueryResult, Scanner};
use palisade_store::{Snapshot, StoreError};
use std::sync::Arc;

/// Characters of a cell before it is cut, in the table format.
const WIDEST: usize = 80;

/// Runs SQL over what it needs to be read.
pub fn run(
    args: &Query,
    catalog: Arc<Catalog>,
    facts: &str,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    if let Some(wanted) = &args.snapshot {
        return over_snapshots(args, wanted, &mut Scanner::new(catalog), facts, terminal);
    }
    let scanner = Arc::new(Scanner::new(Arc::clone(&catalog)));
    let request = scanner.columns_of(&args.sql)?;
    let (connection, collected) = connect::collect_all(
        &args.target,
        &args.organization,
        &scanner,
        &request,
        terminal,
    )?;
    let mut scanner = Scanner::new(catalog);
    scanner.set_now(connection.now);
    let rows = scanner.query(&args.sql, &collected.dataset)?;
    print(&rows, args.format)?;
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

fn over_snapshots(
    args: &Query,
    wanted: &str,
    scanner: &mut Scanner,
    facts: &str,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let (runtime, store) = store::offline(&args.store, &args.target, scanner.models())?;
    let snapshots: Vec<Snapshot> = if wanted == "all" {
        let listing = runtime.block_on(store.list())?;
        for damaged in &listing.damaged {
            terminal.warn(&format!("left out: {damaged}"));
        }
        let manifests = listing.manifests.into_iter();
        manifests.map(|m| store.of(m)).collect()
    } else {
        vec![runtime.block_on(store.snapshot(wanted))?]
    };
    let Some(latest) = snapshots.last() else {
        return Err(Failure::Store(StoreError::NoSnapshot {
            wanted: wanted.to_owned(),
            location: store.location().to_owned(),
        }));
    };
    scanner.set_now(latest.manifest().started_at);
    let (rows, lacking) = match &args.engine {
        None => {
            let memory = mebibytes(args.memory);
            scanner.query_snapshots(&args.sql, &snapshots, memory, runtime.handle())?
        }
        Some(url) => {
            let engine = Engine::new(url, &store, &args.target, scanner.catalog(), facts)?;
            let now = latest.manifest().started_at;
            runtime.block_on(engine.query_snapshots(&args.sql, &snapshots, now))?
        }
    };
    print(&rows, args.format)?;
    for (id, table, column) in &lacking {
        terminal.warn(&format!(
            "{id} is left out: `{column}` of `{table}` was not collected"
        ));
    }
    for snapshot in &snapshots {
        if !snapshot.manifest().is_complete() {
            let id = &snapshot.manifest().id;
            terminal.warn(&format!(
                "not everything could be read for {id}: `palisade snapshots show {id}`"
            ));
        }
    }
    Ok(Outcome::Done)
}

/// So many MiB in bytes.
pub fn mebibytes(number: u32) -> usize {
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    number.saturating_mul(1 << 20)
}

/// Prints rows.
pub fn print(rows: &QueryResult, format: QueryFormat) -> Result<(), Failure> {
    let text = match format {
        QueryFormat::Table => rows.to_table(WIDEST),
        QueryFormat::Jsonl => rows.to_json_lines(),
        QueryFormat::Csv => rows.to_csv(),
    };
    to_stdout(|out| out.write_all(text.as_bytes()))
}

//! `palisade check`
use super::cluster::Engine;
use super::connect::Connection;
use super::noise::Noise;
use super::query::mebibytes;
use super::report::{Holding, Judged, Outputs};
use super::scan::{self, Ready};
use super::send::Destinations;
use super::store;
use crate::Outcome;
use crate::cli::{CheckSnapshot, Global};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_core::Listing;
use palisade_scan::{LeftOut, Scanner};
use std::sync::Arc;

/// Judges a snapshot and reports.
pub fn run(
    args: CheckSnapshot,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    facts: &str,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let ready = Ready::new(args.scan, given, global, &catalog)?;
    let flags = &ready.args;
    let noise = Noise::read(&flags.noise, &catalog, terminal)?;
    if noise.needs_tags() {
        return Err(Failure::Usage {
            message:
                "mutes by tag need the account: a snapshot holds tags only where a check reads them"
                    .to_owned(),
            hint: Some("mute by resource, or scan".to_owned()),
        });
    }
    let outputs = Outputs::new(flags.format, &flags.output, flags.all)?;
    let destinations = Destinations::new(&flags.send, &ready.sends)?;
    let checks = match ready.drift.only {
        true => Vec::new(),
        false => ready.selection.resolve(&catalog)?,
    };
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    let (runtime, store) = store::offline(&flags.store, &flags.target, scanner.models())?;
    let snapshot = runtime.block_on(store.snapshot(&args.snapshot))?;
    let manifest = snapshot.manifest();
    scanner.set_now(manifest.started_at);
    scanner.set_memory(mebibytes(args.memory));
    terminal.note(&format!(
        "snapshot {} of {} ({} accounts, {} rows)",
        manifest.id,
        manifest.started_at,
        manifest.accounts.len(),
        manifest.rows()
    ));
    let options = palisade_query::Options {
        evidence: flags.evidence,
        ..palisade_query::Options::default()
    };
    let holding = match destinations.is_empty() {
        true => noise.holding(outputs.holding()),
        false => Holding::Listed(Listing::All),
    };
    let (assessment, apart, left_out) = match (&args.engine, holding) {
        (None, Holding::Apart) => {
            let asked = scanner.assess_snapshot_apart(&checks, &snapshot, options);
            let (assessment, spool, left_out) = runtime.block_on(asked)?;
            (assessment, Some(spool), left_out)
        }
        (None, Holding::Listed(listing)) => {
            let asked = scanner.assess_snapshot(&checks, &snapshot, options, listing);
            let (assessment, left_out) = runtime.block_on(asked)?;
            (assessment, None, left_out)
        }
        (Some(url), _) => {
            let engine = Engine::new(url, &store, &flags.target, &catalog, facts)?;
            let asked = engine.assess_snapshot(&scanner, &checks, &snapshot, options);
            let (assessment, left_out) = runtime.block_on(asked)?;
            (assessment, None, left_out)
        }
    };
    let mut judged = Judged { assessment, apart };
    if !checks.is_empty()
        && left_out.len() == checks.len()
        && let Some(first) = left_out.first()
    {
        return Err(Failure::Scan(palisade_scan::ScanError::NotCollected {
            snapshot: manifest.id.clone(),
            table: first.table.clone(),
            column: first.column.clone(),
        }));
    }
    tell(&left_out, terminal);
    if ready.drift.wanted {
        let schemas =
            palisade_query::CatalogSchemas::new(Arc::clone(&catalog), Arc::clone(scanner.models()));
        let now = super::drift::Now::Snapshot(&snapshot);
        let held = super::drift::hold(&store, now, &schemas, &mut judged.assessment);
        if !runtime.block_on(held)? && ready.drift.only {
            return Err(super::drift::nothing_pinned());
        }
        judged.collect()?;
    }
    let told = store::remember(
        &store,
        palisade_drift::Keep::Read,
        &mut judged,
        &scanner,
        terminal,
    );
    runtime.block_on(told)?;
    noise.apply_to(&mut judged, &super::noise::Tags::new(), terminal)?;
    ready.roll_up(&mut judged.assessment, &catalog);
    judged.list(outputs.listing())?;
    let assessment = &judged.assessment;
    let connection = if outputs.in_s3() || destinations.in_aws() {
        Some(Connection::open(&flags.target, scanner.models(), terminal)?)
    } else {
        None
    };
    match outputs.write(&judged, connection.as_ref(), terminal) {
        Err(failure) if failure.is_closed_pipe() => {}
        other => other?,
    }
    if !destinations.send(assessment, connection.as_ref(), false, terminal)? {
        return Ok(Outcome::Failed);
    }
    Ok(match scan::outcome(flags, assessment) {
        Outcome::Done if flags.strict && !left_out.is_empty() => Outcome::Incomplete,
        other => other,
    })
}

fn tell(left_out: &[LeftOut], terminal: &Terminal) {
    let Some(first) = left_out.first() else {
        return;
    };
    terminal.warn(&format!(
        "{} checks are left out: the snapshot was not collected for them (first `{}`: it reads `{}` of `{}`)",
        left_out.len(),
        first.check,
        first.column,
        first.table
    ));
}

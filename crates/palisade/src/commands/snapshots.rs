//! `palisade snapshots`
use super::connect::system_time;
use super::{journal, settings, store};
use crate::Outcome;
use crate::cli::{Global, ListFormat, Snapshots, StoreAt};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_core::Timestamp;
use palisade_model::Models;
use palisade_store::{Committed, Keep, Manifest, Removed, Snapshot, Store, StoreError};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Runs that were begun within this time may still go on: what they have written is left alone.
const UNDER_WAY: i64 = 24 * 3_600 * 1_000_000;

/// Lists, shows, verifies and clears away snapshots.
pub fn run(
    args: Snapshots,
    given: &Given,
    global: &Global,
    catalog: &Catalog,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let open = |mut at: StoreAt| -> Result<(Runtime, Store), Failure> {
        let effective = settings::connect(&mut at.target, given, global, catalog)?;
        let args = settings::store(&effective);
        store::offline(&args, &at.target, &Arc::new(Models::embedded()))
    };
    match args {
        Snapshots::List { at, format } => {
            let (runtime, store) = open(at)?;
            list(&runtime, &store, format, terminal)
        }
        Snapshots::Show {
            snapshot,
            at,
            format,
        } => {
            let (runtime, store) = open(at)?;
            let snapshot = runtime.block_on(store.snapshot(&snapshot))?;
            show(&runtime, &snapshot, format)
        }
        Snapshots::Verify { snapshots, at } => {
            let (runtime, store) = open(at)?;
            verify(&runtime, &store, &snapshots, terminal)
        }
        Snapshots::Remove { snapshots, at } => {
            let (runtime, store) = open(at)?;
            let mut ids = Vec::new();
            for wanted in &snapshots {
                ids.push(
                    runtime
                        .block_on(store.snapshot(wanted))?
                        .manifest()
                        .id
                        .clone(),
                );
            }
            let pinned = runtime.block_on(palisade_drift::pinned(&store))?;
            if let Some(pin) = pinned.filter(|pin| ids.contains(&pin.snapshot)) {
                return Err(Failure::Usage {
                    message: format!("{} is the pinned baseline", pin.snapshot),
                    hint: Some("`palisade drift unpin` lets go of it".to_owned()),
                });
            }
            let removed = runtime.block_on(store.remove(&ids))?;
            journal::forget(&store, &ids);
            terminal.note(&said("removed", ids.len(), &removed));
            Ok(Outcome::Done)
        }
        Snapshots::Prune {
            keep_last,
            keep_daily,
            keep_days,
            yes,
            at,
        } => {
            let (runtime, store) = open(at)?;
            let now = system_time();
            let keep = Keep {
                last: keep_last,
                daily: keep_daily,
                days: keep_days.map(|days| (days, now)),
                pinned: runtime
                    .block_on(palisade_drift::pinned(&store))?
                    .map(|pin| pin.snapshot)
                    .into_iter()
                    .collect(),
            };
            prune(&runtime, &store, &keep, yes, now, terminal)
        }
        Snapshots::Commit {
            run,
            incomplete,
            at,
        } => {
            let (runtime, store) = open(at)?;
            commit(&runtime, &store, &run, incomplete, terminal)
        }
        Snapshots::Compact { snapshots, at } => {
            let (runtime, store) = open(at)?;
            let mut joined = Removed::default();
            let chosen = chosen(&runtime, &store, &snapshots, terminal)?;
            for snapshot in &chosen {
                let more = runtime.block_on(store.compact(snapshot))?;
                joined.objects += more.objects;
            }
            let now = system_time();
            let before = Timestamp::from_micros(now.as_micros().saturating_sub(UNDER_WAY));
            runtime.block_on(store.sweep(before))?;
            terminal.note(&format!(
                "{} files were joined to others in {} snapshots",
                joined.objects,
                chosen.len()
            ));
            Ok(Outcome::Done)
        }
    }
}

/// Commits a run, whoever collected it.
fn commit(
    runtime: &Runtime,
    store: &Store,
    wanted: &str,
    incomplete: bool,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let run = runtime.block_on(store.find_run(wanted, None, &store::nonce()))?;
    if run.plan().judged && runtime.block_on(run.committed())?.is_none() {
        return Err(Failure::Usage {
            message: format!(
                "{} is a scan: its checks are not evaluated to the end",
                run.plan().snapshot
            ),
            hint: Some(format!(
                "`palisade scan --resume {}` with its other flags goes on",
                run.plan().snapshot
            )),
        });
    }
    let committed = runtime.block_on(run.commit(system_time(), None, incomplete))?;
    journal::forget(store, std::slice::from_ref(&run.plan().snapshot));
    let (text, manifest) = match committed {
        Committed::Now(manifest) => ("committed", manifest),
        Committed::Before(manifest) => ("was committed before", manifest),
    };
    let complete = match manifest.is_complete() {
        true => "",
        false => "; not all of it could be read",
    };
    terminal.note(&format!(
        "snapshot {} {text}: {} accounts{complete}",
        manifest.id,
        manifest.accounts.len()
    ));
    Ok(Outcome::Done)
}

/// What an interrupted run has done until now, and how to go on with it.
fn unfinished(
    runtime: &Runtime,
    store: &Store,
    ids: &[String],
    terminal: &Terminal,
) -> Result<(), Failure> {
    let (plans, damaged) = runtime.block_on(store.unfinished_runs())?;
    for damaged in &damaged {
        terminal.error(&damaged.to_string());
    }
    for plan in &plans {
        let run = runtime.block_on(store.find_run(&plan.run, None, &store::nonce()))?;
        let state = runtime.block_on(run.state())?;
        let named = match plan.run == plan.snapshot {
            true => String::new(),
            false => format!(" (run {}, {} shards)", plan.run, plan.shards),
        };
        let command = if plan.judged { "scan" } else { "collect" };
        terminal.note(&format!(
            "{}{named} is under way, or was interrupted: {} of {} accounts are written; `palisade {command} --resume {}` with its other flags goes on",
            plan.snapshot,
            state.written.len(),
            plan.accounts.len(),
            plan.snapshot,
        ));
    }
    let singles = runtime.block_on(journal::singles(store))?;
    for plan in &singles {
        let command = if plan.judged { "scan" } else { "collect" };
        terminal.note(&format!(
            "{} of the account {} is under way, or was interrupted; `palisade {command} --resume {}` with its other flags goes on",
            plan.snapshot,
            plan.accounts.join(", "),
            plan.snapshot,
        ));
    }
    for id in ids {
        if !plans.iter().chain(&singles).any(|p| p.snapshot == *id) {
            terminal.note(&format!(
                "{id} is under way, or was interrupted; `palisade snapshots prune --yes` clears away what is a day old"
            ));
        }
    }
    Ok(())
}

fn said(verb: &str, snapshots: usize, removed: &Removed) -> String {
    format!(
        "{verb} {snapshots} snapshots: {} objects, {:.1} MB",
        removed.objects,
        removed.bytes as f64 / 1e6
    )
}

/// The snapshots that are named; without a name all that can be read, and the others are told.
fn chosen(
    runtime: &Runtime,
    store: &Store,
    wanted: &[String],
    terminal: &Terminal,
) -> Result<Vec<Snapshot>, Failure> {
    if wanted.is_empty() {
        let listing = runtime.block_on(store.list())?;
        for damaged in &listing.damaged {
            terminal.error(&damaged.to_string());
        }
        return Ok(listing.manifests.into_iter().map(|m| store.of(m)).collect());
    }
    let found = wanted
        .iter()
        .map(|wanted| runtime.block_on(store.snapshot(wanted)));
    Ok(found.collect::<Result<_, StoreError>>()?)
}

fn list(
    runtime: &Runtime,
    store: &Store,
    format: ListFormat,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let listing = runtime.block_on(store.list())?;
    let text = match format {
        ListFormat::Json => listing
            .manifests
            .iter()
            .filter_map(|m| serde_json::to_string(m).ok())
            .map(|line| line + "\n")
            .collect(),
        ListFormat::Text => {
            let mut text = format!(
                "{:<26} {:>8} {:>9} {:>8} {:>8}\n",
                "SNAPSHOT", "ACCOUNTS", "ROWS", "FAILED", "UNKNOWN"
            );
            for manifest in &listing.manifests {
                text.push_str(&line(manifest));
            }
            text
        }
    };
    to_stdout(|out| out.write_all(text.as_bytes()))?;
    if listing.manifests.is_empty() {
        terminal.note(&format!(
            "no snapshots in {}; `palisade scan` and `palisade collect` make one",
            store.location()
        ));
    }
    unfinished(runtime, store, &listing.unfinished, terminal)?;
    for damaged in &listing.damaged {
        terminal.error(&damaged.to_string());
    }
    Ok(if listing.damaged.is_empty() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

fn line(manifest: &Manifest) -> String {
    let sum = |of: fn(&palisade_store::AccountEntry) -> usize| -> String {
        match manifest.checks {
            Some(_) => manifest.accounts.iter().map(of).sum::<usize>().to_string(),
            None => "-".to_owned(),
        }
    };
    format!(
        "{:<26} {:>8} {:>9} {:>8} {:>8}{}\n",
        manifest.id,
        manifest.accounts.len(),
        manifest.rows(),
        sum(|a| a.failed),
        sum(|a| a.unknown),
        if manifest.is_complete() {
            ""
        } else {
            "  incomplete"
        }
    )
}

fn show(runtime: &Runtime, snapshot: &Snapshot, format: ListFormat) -> Result<Outcome, Failure> {
    use std::fmt::Write;
    let manifest = snapshot.manifest();
    let mut accounts = Vec::new();
    for id in snapshot.everyone() {
        accounts.push(runtime.block_on(snapshot.account(&id))?);
    }
    if format == ListFormat::Json {
        let value = serde_json::json!({ "manifest": manifest, "accounts": accounts });
        to_stdout(|out| writeln!(out, "{value}"))?;
        return Ok(Outcome::Done);
    }
    let mut text = String::new();
    // writing to a string cannot fail
    let _ = writeln!(text, "snapshot   {}", manifest.id);
    let _ = writeln!(text, "started    {}", manifest.started_at);
    let _ = writeln!(text, "finished   {}", manifest.finished_at);
    let _ = writeln!(
        text,
        "palisade   {} ({})",
        manifest.palisade, manifest.catalog
    );
    let _ = writeln!(text, "regions    {}", manifest.regions.join(", "));
    for account in &accounts {
        let coverage = &account.coverage;
        let _ = writeln!(
            text,
            "\naccount {}: {} of {} calls answered{}",
            account.account_id,
            coverage.succeeded(),
            coverage.planned(),
            if coverage.interrupted {
                "; it was stopped before it was done"
            } else {
                ""
            }
        );
        for (error, times) in &coverage.failures {
            let _ = writeln!(
                text,
                "  not read: {error} in {} ({times} times)",
                error.region
            );
        }
        for (name, table) in &account.tables {
            let rows: usize = table.files.iter().map(|f| f.rows).sum();
            if rows > 0 || !table.gaps.is_empty() {
                let gaps = match table.gaps.len() {
                    0 => String::new(),
                    n => format!("  {n} lists not read"),
                };
                let _ = writeln!(text, "  {name:<44} {rows:>9}{gaps}");
            }
        }
    }
    to_stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Outcome::Done)
}

fn verify(
    runtime: &Runtime,
    store: &Store,
    wanted: &[String],
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let mut sound = wanted.is_empty() && runtime.block_on(store.list())?.damaged.is_empty();
    sound |= !wanted.is_empty();
    for snapshot in chosen(runtime, store, wanted, terminal)? {
        let verified = runtime.block_on(store.verify(&snapshot));
        let id = &snapshot.manifest().id;
        for damaged in &verified.damaged {
            sound = false;
            terminal.error(&format!("{id}: {damaged}"));
        }
        let (good, bad) = (verified.objects, verified.damaged.len());
        to_stdout(|out| writeln!(out, "{id}: {good} objects are sound, {bad} are damaged"))?;
    }
    Ok(if sound {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

fn prune(
    runtime: &Runtime,
    store: &Store,
    keep: &Keep,
    yes: bool,
    now: Timestamp,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let listing = runtime.block_on(store.list())?;
    if let Some(damaged) = listing.damaged.into_iter().next() {
        // what a damaged snapshot needs of others is not known
        return Err(damaged.into());
    }
    let drops = keep.drops(&listing.manifests);
    for id in &drops {
        to_stdout(|out| writeln!(out, "{id}"))?;
    }
    if !yes {
        terminal.note(&format!(
            "{} of {} snapshots would be removed; --yes removes them",
            drops.len(),
            listing.manifests.len()
        ));
        return Ok(Outcome::Done);
    }
    let mut removed = runtime.block_on(store.remove(&drops))?;
    journal::forget(store, &drops);
    journal::root(store)
        .iter()
        .for_each(|root| journal::clear(root));
    let before = Timestamp::from_micros(now.as_micros().saturating_sub(UNDER_WAY));
    let swept = runtime.block_on(store.sweep(before))?;
    removed.objects += swept.objects;
    removed.bytes += swept.bytes;
    terminal.note(&said("removed", drops.len(), &removed));
    Ok(Outcome::Done)
}

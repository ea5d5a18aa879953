//! `palisade diff`, `palisade drift`, and drift from the baseline in scans
use super::cluster::Engine;
use super::connect::{Connection, system_time};
use super::{settings, store};
use crate::Outcome;
use crate::cli::{Diff, DiffFormat, Drift, Global, Inventory, StoreAt, Target};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_core::{Assessment, Category, Severity, Timestamp};
use palisade_drift::{
    Collected, DRIFT_CHECK, Filter, Pin, Side, Which, diff, drift_findings, markdown, pin, pinned,
    reopened, text, unpin,
};
use palisade_model::Models;
use palisade_query::CatalogSchemas;
use palisade_scan::{Scanner, Selection};
use palisade_store::{Snapshot, Store, StoreError};
use palisade_table::Dataset;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A store that is open, and the catalogue that its tables are read with.
pub struct Opened {
    pub runtime: Runtime,
    pub store: Store,
    pub schemas: CatalogSchemas,
    /// How the store is reached.
    pub target: Target,
}

impl Opened {
    /// Opens the store that is meant.
    ///
    /// # Errors
    /// When the configuration or the location is wrong.
    pub fn new(
        mut at: StoreAt,
        given: &Given,
        global: &Global,
        catalog: &Arc<Catalog>,
    ) -> Result<Self, Failure> {
        let effective = settings::connect(&mut at.target, given, global, catalog)?;
        let args = settings::store(&effective);
        let models = Arc::new(Models::embedded());
        let (runtime, store) = store::offline(&args, &at.target, &models)?;
        Ok(Self {
            runtime,
            store,
            schemas: CatalogSchemas::new(Arc::clone(catalog), models),
            target: at.target,
        })
    }

    /// All snapshots that can be read, oldest first; the others are told.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub fn snapshots(&self, terminal: &Terminal) -> Result<Vec<Snapshot>, Failure> {
        let listing = self.runtime.block_on(self.store.list())?;
        for damaged in &listing.damaged {
            terminal.warn(&format!("left out: {damaged}"));
        }
        let manifests = listing.manifests.into_iter();
        Ok(manifests.map(|m| self.store.of(m)).collect())
    }

    /// The cluster that was named, if one was.
    fn engine(
        &self,
        url: Option<&str>,
        (catalog, facts): (&Arc<Catalog>, &str),
    ) -> Result<Option<Engine>, Failure> {
        let engine = |url| Engine::new(url, &self.store, &self.target, catalog, facts);
        url.map(engine).transpose()
    }

    /// What differs between two snapshots: found by the cluster, or here.
    async fn differ(
        &self,
        engine: &Option<Engine>,
        before: &Snapshot,
        after: &Snapshot,
        filter: &Filter,
    ) -> Result<palisade_drift::Diff, Failure> {
        match engine {
            Some(engine) => engine.diff(before, after, filter).await,
            None => {
                let (before, after) = (Side::Stored(before), Side::Stored(after));
                Ok(diff(before, after, &self.schemas, filter).await?)
            }
        }
    }
}

/// Compares two snapshots.
pub fn compare(
    args: Diff,
    given: &Given,
    global: &Global,
    (catalog, facts): (&Arc<Catalog>, &str),
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let opened = Opened::new(args.at, given, global, catalog)?;
    let all = opened.snapshots(terminal)?;
    let named = |wanted: &str| opened.runtime.block_on(opened.store.snapshot(wanted));
    let nth = |back: usize| {
        let found = all.iter().rev().nth(back).cloned();
        found.ok_or_else(|| few(all.len(), opened.store.location()))
    };
    let after = match &args.after {
        Some(wanted) => named(wanted)?,
        None => nth(0)?,
    };
    let before = match (&args.before, &args.since) {
        (Some(wanted), _) => named(wanted)?,
        (None, Some(age)) => older(&all, age)?,
        (None, None) => nth(1)?,
    };
    let filter = Filter {
        tables: args.table,
        accounts: args.account,
        resources: !args.findings,
        findings: !args.resources,
        ..Filter::default()
    };
    let engine = opened.engine(args.engine.as_deref(), (catalog, facts))?;
    let found = opened.runtime.block_on(async {
        let mut found = opened.differ(&engine, &before, &after, &filter).await?;
        let start = before.manifest().started_at;
        let earlier = all.iter().filter(|s| s.manifest().started_at < start);
        reopened(&mut found, &earlier.cloned().collect::<Vec<_>>()).await?;
        Ok::<_, Failure>(found)
    })?;
    tell(&found, args.format, args.fail)
}

/// The last snapshot that is so old.
fn older(all: &[Snapshot], age: &str) -> Result<Snapshot, Failure> {
    let end = before(age)?;
    let old = all.iter().rev().find(|s| s.manifest().started_at <= end);
    old.cloned().ok_or_else(|| Failure::Usage {
        message: format!("no snapshot is older than {age}"),
        hint: all
            .first()
            .map(|s| format!("the oldest is {}", s.manifest().id)),
    })
}

/// Leaves those resources that a snapshot does not have, and says what could not be compared with it.
///
/// # Errors
/// When there is no such snapshot, or it cannot be read.
pub fn only_new(
    since: &str,
    args: &Inventory,
    scanner: &Scanner,
    connection: &Connection,
    collected: &mut palisade_collect::Collected,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let (runtime, store) = store::offline(&args.store, &args.target, scanner.models())?;
    let snapshot = if before(since).is_ok() {
        let manifests = runtime.block_on(store.list())?.manifests.into_iter();
        let all: Vec<Snapshot> = manifests.map(|m| store.of(m)).collect();
        older(&all, since)?
    } else {
        runtime.block_on(store.snapshot(since))?
    };
    let accounts: BTreeSet<String> = collected
        .dataset
        .tables
        .values()
        .flat_map(palisade_drift::accounts_of)
        .collect();
    let accounts: Vec<String> = accounts.into_iter().collect();
    let schemas = CatalogSchemas::new(Arc::clone(scanner.catalog()), Arc::clone(scanner.models()));
    let after = Side::Collected(Collected {
        id: "now",
        started_at: connection.now,
        complete: collected.coverage.is_complete(),
        accounts: &accounts,
        regions: &connection.regions,
        dataset: &collected.dataset,
        findings: None,
    });
    let filter = Filter {
        findings: false,
        tables: collected.dataset.tables.keys().cloned().collect(),
        accounts: accounts.clone(),
        ..Filter::default()
    };
    let found = runtime.block_on(diff(Side::Stored(&snapshot), after, &schemas, &filter))?;
    let lost: Vec<_> = found
        .not_compared
        .iter()
        .filter(|l| l.lacking != Which::After && (l.resources > 0 || l.table.is_none()))
        .collect();
    let resources: usize = lost.iter().map(|l| l.resources).sum();
    if let Some(first) = lost.first() {
        terminal.warn(&format!(
            "{resources} resources are not counted: {} has nothing to compare them with (first: {}{})",
            snapshot.manifest().id,
            first.table.as_deref().map(|t| format!("{t}: ")).unwrap_or_default(),
            first.reason
        ));
    }
    palisade_drift::only_added(&mut collected.dataset, &found);
    Ok(())
}

fn few(found: usize, location: &str) -> Failure {
    Failure::Usage {
        message: format!("two snapshots are needed, and {location} has {found}"),
        hint: Some("`palisade scan` and `palisade collect` make one".to_owned()),
    }
}

/// Prints what differs; with `fail`, that something does is told by the exit code.
fn tell(found: &palisade_drift::Diff, format: DiffFormat, fail: bool) -> Result<Outcome, Failure> {
    print(found, format)?;
    Ok(match fail && found.has_drift() {
        true => Outcome::Findings,
        false => Outcome::Done,
    })
}

fn print(found: &palisade_drift::Diff, format: DiffFormat) -> Result<(), Failure> {
    let shown = match format {
        DiffFormat::Text => text(found),
        DiffFormat::Markdown => markdown(found),
        // as long as what changed: not once more as a text
        DiffFormat::Json => {
            return to_stdout(|out| {
                serde_json::to_writer_pretty(&mut *out, found)?;
                writeln!(out)
            });
        }
    };
    to_stdout(|out| out.write_all(shown.as_bytes()))
}

/// The time that is `7d`, `12h` or `2w` ago.
///
/// # Errors
/// When it is no age.
pub fn before(age: &str) -> Result<Timestamp, Failure> {
    let wrong = || Failure::Usage {
        message: format!("`{age}` is no age"),
        hint: Some("write `7d` for days, `12h` for hours, `2w` for weeks".to_owned()),
    };
    let unit: i64 = match age.chars().last() {
        Some('h') => 3_600,
        Some('d') => 86_400,
        Some('w') => 7 * 86_400,
        _ => return Err(wrong()),
    };
    let digits = age.get(..age.len().saturating_sub(1)).unwrap_or_default();
    let number = digits.parse::<u32>().map_err(|_| wrong())?;
    let micros = i64::from(number) * unit * 1_000_000;
    Ok(Timestamp::from_micros(system_time().as_micros() - micros))
}

/// The pinned baseline.
pub fn run(
    args: Drift,
    given: &Given,
    global: &Global,
    (catalog, facts): (&Arc<Catalog>, &str),
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    match args {
        Drift::Pin { snapshot, at } => {
            let opened = Opened::new(at, given, global, catalog)?;
            let runtime = &opened.runtime;
            let snapshot = runtime.block_on(opened.store.snapshot(&snapshot))?;
            let made = Pin {
                snapshot: snapshot.manifest().id.clone(),
                pinned_at: system_time(),
            };
            runtime.block_on(pin(&opened.store, &made))?;
            terminal.note(&format!("{} is the baseline", made.snapshot));
            if !snapshot.manifest().is_complete() {
                terminal.warn(
                    "not everything could be read for it: what was not read is not comparable",
                );
            }
            Ok(Outcome::Done)
        }
        Drift::Unpin { at } => {
            let opened = Opened::new(at, given, global, catalog)?;
            opened.runtime.block_on(unpin(&opened.store))?;
            terminal.note("there is no baseline");
            Ok(Outcome::Done)
        }
        Drift::Show {
            at,
            format,
            engine,
            fail,
        } => {
            let opened = Opened::new(at, given, global, catalog)?;
            let engine = opened.engine(engine.as_deref(), (catalog, facts))?;
            let runtime = &opened.runtime;
            let Some(made) = runtime.block_on(pinned(&opened.store))? else {
                return Err(nothing_pinned());
            };
            let baseline = runtime.block_on(opened.store.snapshot(&made.snapshot))?;
            let latest = runtime.block_on(opened.store.snapshot("latest"))?;
            terminal.note(&format!(
                "{} is the baseline since {}",
                made.snapshot, made.pinned_at
            ));
            let filter = Filter {
                findings: false,
                ..Filter::default()
            };
            let found = opened.differ(&engine, &baseline, &latest, &filter);
            tell(&runtime.block_on(found)?, format, fail)
        }
    }
}

pub(super) fn nothing_pinned() -> Failure {
    Failure::Usage {
        message: "nothing is pinned".to_owned(),
        hint: Some(
            "`palisade drift pin` declares the latest snapshot to be the baseline".to_owned(),
        ),
    }
}

/// Whether drift from the baseline is among the selected checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// It is.
    pub wanted: bool,
    /// It was asked for, and nothing else was.
    pub only: bool,
}

/// Takes the check, which is no SQL, out of a selection.
pub fn choose(selection: &mut Selection) -> Chosen {
    let means = |spec: &String| spec == DRIFT_CHECK || spec == "palisade-*";
    let named = selection.checks.iter().any(means);
    let excluded = selection.exclude.iter().any(means);
    selection.checks.retain(|spec| !means(spec));
    selection.exclude.retain(|spec| !means(spec));
    let open = selection.services.is_empty() && selection.frameworks.is_empty();
    let category =
        selection.categories.is_empty() || selection.categories.contains(&Category::Governance);
    let severe = selection
        .severity
        .is_none_or(|least| least <= Severity::Medium);
    let all = open && category && severe && selection.checks.is_empty();
    Chosen {
        wanted: !excluded && (named || all),
        only: named
            && !excluded
            && open
            && selection.categories.is_empty()
            && selection.checks.is_empty(),
    }
}

/// Adds a finding for each resource that is not as the pinned baseline has it. Without a baseline, nothing.
///
/// # Errors
/// When the baseline cannot be read: an assessment without it would look as if nothing had drifted.
pub async fn hold(
    store: &Store,
    now: Now<'_>,
    schemas: &CatalogSchemas,
    assessment: &mut Assessment,
) -> Result<bool, StoreError> {
    let Some(made) = pinned(store).await? else {
        return Ok(false);
    };
    let baseline = store.snapshot(&made.snapshot).await?;
    let accounts = assessment.accounts.clone();
    let regions = assessment.regions.clone();
    let filter = Filter {
        findings: false,
        accounts: accounts.clone(),
        ..Filter::default()
    };
    let after = match now {
        Now::Snapshot(snapshot) => Side::Stored(snapshot),
        Now::Collected(dataset) => Side::Collected(Collected {
            id: "now",
            started_at: assessment.started_at,
            complete: assessment.coverage.is_complete(),
            accounts: &accounts,
            regions: &regions,
            dataset,
            findings: None,
        }),
    };
    let found = diff(Side::Stored(&baseline), after, schemas, &filter).await?;
    let (summary, findings) = drift_findings(&found);
    assessment.checks.push(summary);
    assessment.checks.sort_by(|a, b| a.id.cmp(&b.id));
    assessment.findings.extend(findings);
    assessment
        .findings
        .sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    Ok(true)
}

/// What is held against the baseline.
#[derive(Debug, Clone, Copy)]
pub enum Now<'a> {
    /// What a scan has just read.
    Collected(&'a Dataset),
    /// A snapshot.
    Snapshot(&'a Snapshot),
}

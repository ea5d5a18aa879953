//! From events to a committed snapshot: read again, put in place, judge, commit, tell. Every step may be the last one
//! before a crash; what the next run does then is said where the steps are.
use super::outlet::Outlet;
use crate::commands::connect::{Connection, limits};
use crate::commands::noise::{Noise, Tags};
use crate::commands::scan::Ready;
use crate::commands::send::Destinations;
use crate::error::Failure;
use crate::output::Terminal;
use crate::progress::Bar;
use palisade_catalog::{Catalog, Check};
use palisade_collect::{Narrowing, Request, Silent};
use palisade_core::{Assessment, CheckSummary, Finding, Listing, Timestamp};
use palisade_query::CatalogSchemas;
use palisade_scan::Scanner;
use palisade_store::{
    AccountPart, AccountResult, NewSnapshot, Snapshot, Store, StoreError, Wanted, Writer,
};
use palisade_watch::{
    Event, Index, Ledger, Ledgers, Touch, Update, WatchError, changes, request_of, widened,
    write_findings,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::sync::watch;

/// Everything that work on events needs.
pub struct Work<'w> {
    pub terminal: &'w Terminal,
    pub connection: &'w Connection,
    pub catalog: Arc<Catalog>,
    pub scanner: Scanner,
    pub ready: &'w Ready,
    pub noise: &'w Noise,
    pub destinations: &'w Destinations,
    pub outlet: Outlet,
    pub store: Store,
    pub stop: watch::Receiver<bool>,
    checks: Vec<Arc<Check>>,
    /// The tables of each check.
    reads: Vec<BTreeSet<String>>,
    request: Request,
    schemas: CatalogSchemas,
    index: Index,
    ledgers: Ledgers,
    ledger: Ledger,
    /// Events that changed nothing, in this process.
    seen: BTreeSet<String>,
    /// A destination did not take everything.
    unsent: bool,
}

/// What work on a batch came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Events that led to reading.
    pub read: usize,
    /// Events that were known already.
    pub known: usize,
    /// Events of accounts that are not in the store, or that touch nothing.
    pub idle: usize,
    /// Findings that changed.
    pub changes: usize,
}

/// Parts of [`Work`] that the command line decides.
pub struct Parts<'w> {
    pub terminal: &'w Terminal,
    pub connection: &'w Connection,
    pub catalog: Arc<Catalog>,
    pub scanner: Scanner,
    pub ready: &'w Ready,
    pub noise: &'w Noise,
    pub destinations: &'w Destinations,
    pub outlet: Outlet,
    pub store: Store,
    pub stop: watch::Receiver<bool>,
    pub checks: Vec<Arc<Check>>,
}

/// Why nothing was committed.
enum Stopped {
    /// Somebody else committed a snapshot meanwhile: what was merged is old.
    Overtaken,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Where a crash is tried. Only builds with debug assertions look at `PALISADE_WATCH_FAULT=PLACE` (or `PLACE:N`, for the
/// Nth time that the place is reached).
pub fn fault(place: &str) {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let Ok(wanted) = std::env::var("PALISADE_WATCH_FAULT") else {
            return;
        };
        let (wanted, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if wanted == place && TIMES.fetch_add(1, Ordering::SeqCst) + 1 >= nth.parse().unwrap_or(1) {
            // as kill -9: nothing is written or closed any more
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = place;
}

impl<'w> Work<'w> {
    /// Finds out what the checks read, and what was done before.
    ///
    /// # Errors
    /// When a check is wrong, or the store cannot be read.
    pub fn new(parts: Parts<'w>) -> Result<Self, Failure> {
        let Parts {
            terminal,
            connection,
            catalog,
            scanner,
            ready,
            noise,
            destinations,
            outlet,
            store,
            stop,
            checks,
        } = parts;
        let mut request = scanner.request(&checks)?;
        noise.add_tags(&mut request, &scanner);
        let mut reads = Vec::with_capacity(checks.len());
        for check in &checks {
            let own = scanner.request(std::slice::from_ref(check))?;
            reads.push(own.tables.into_keys().collect());
        }
        let models = Arc::clone(scanner.models());
        let schemas = CatalogSchemas::new(Arc::clone(&catalog), Arc::clone(&models));
        let tables = request.tables.keys().cloned().collect();
        let index = Index::new(Arc::clone(&catalog), &models, &schemas, &tables);
        let ledgers = Ledgers::new(store.clone());
        let mut work = Self {
            terminal,
            connection,
            catalog,
            scanner,
            ready,
            noise,
            destinations,
            outlet,
            store,
            stop,
            checks,
            reads,
            request,
            schemas,
            index,
            ledgers,
            ledger: Ledger::default(),
            seen: BTreeSet::new(),
            unsent: false,
        };
        work.recover()?;
        Ok(work)
    }

    /// Goes on where an earlier run was ended: changes that were committed and perhaps not told are told.
    fn recover(&mut self) -> Result<(), Failure> {
        let manifests = self
            .connection
            .block_on(self.store.list())
            .map_err(stored)?
            .manifests;
        let ledger = self
            .connection
            .block_on(self.ledgers.latest(&manifests))
            .map_err(watched)?;
        let Some(ledger) = ledger else {
            return Ok(());
        };
        self.ledger = ledger;
        let told = self
            .connection
            .block_on(self.ledgers.told())
            .map_err(watched)?;
        if told.as_deref() != Some(&self.ledger.snapshot) {
            self.terminal.note(&format!(
                "{} changes of {} are told (again), because the last run was ended before it was sure of it",
                self.ledger.changes.len(),
                self.ledger.snapshot
            ));
            self.tell()?;
        }
        Ok(())
    }

    /// The youngest snapshot.
    fn latest(&self) -> Result<Option<Snapshot>, Failure> {
        let listing = self
            .connection
            .block_on(self.store.list())
            .map_err(stored)?;
        for damaged in &listing.damaged {
            self.terminal.warn(&damaged.to_string());
        }
        let last = listing.manifests.into_iter().next_back();
        Ok(last.map(|m| self.store.of(m)))
    }

    /// Why a snapshot cannot be brought up to date with what is selected now; nothing when it can.
    fn unfit(&self, base: &Snapshot) -> Option<&'static str> {
        let wanted: Wanted = self
            .request
            .tables
            .iter()
            .map(|(table, columns)| {
                let columns = match columns {
                    palisade_collect::ColumnSelection::Some(columns) => columns.clone(),
                    palisade_collect::ColumnSelection::All => BTreeSet::new(),
                };
                (table.clone(), columns)
            })
            .collect();
        if base.manifest().catalog != self.catalog.fingerprint {
            Some("it was made with another catalogue")
        } else if base.manifest().checks.is_none() {
            Some("no checks were evaluated")
        } else if !base.manifest().regions.iter().eq(&self.connection.regions) {
            Some("it is of other regions")
        } else if !base.lacks(&wanted, &self.schemas).is_empty() {
            Some("it lacks what the selected checks read")
        } else {
            None
        }
    }

    /// When everything was read the last time, if that can be built upon.
    pub fn whole_at(&self) -> Result<Option<Timestamp>, Failure> {
        let Some(base) = self.latest()? else {
            return Ok(None);
        };
        if let Some(why) = self.unfit(&base) {
            self.terminal.note(&format!(
                "the snapshot {} is not built upon: {why}",
                base.manifest().id
            ));
            return Ok(None);
        }
        // a scan that wrote it after the last watch read everything
        let own = self
            .ledger
            .whole
            .filter(|_| self.ledger.snapshot == base.manifest().id);
        Ok(Some(own.unwrap_or(base.manifest().started_at)))
    }

    /// A time after the last snapshot's: they are sorted by it.
    fn now(&mut self, base: Option<&Snapshot>) -> Timestamp {
        let mut now = match self.ready.args.target.is_recorded() {
            true => self.connection.now,
            false => crate::commands::connect::system_time(),
        };
        if let Some(base) = base {
            let after = base.manifest().started_at.as_micros().saturating_add(1);
            now = now.max(Timestamp::from_micros(after));
        }
        self.scanner.set_now(now);
        now
    }

    fn new_snapshot(&self, started_at: Timestamp) -> NewSnapshot {
        NewSnapshot {
            nonce: crate::commands::store::nonce(),
            started_at,
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog.fingerprint.clone(),
            regions: self.connection.regions.clone(),
        }
    }

    /// Reads everything, and tells what changed since the last snapshot. False when it was stopped.
    ///
    /// # Errors
    /// When a check or the store fails.
    pub fn whole(&mut self) -> Result<bool, Failure> {
        let base = self.latest()?;
        let now = self.now(base.as_ref());
        let targets = self.connection.targets(&self.connection.regions);
        let bar = Bar::new(self.terminal.progress());
        let limits = limits(&self.ready.args.target);
        let collected = self.connection.block_on(self.scanner.collect(
            &self.request,
            &targets,
            &limits,
            &bar,
            self.stop.clone(),
        ));
        bar.finish();
        let collected = collected?;
        if collected.coverage.interrupted {
            self.terminal
                .note("stopped before everything was read; nothing is stored of it");
            return Ok(false);
        }
        let writer = self.store.writer(self.new_snapshot(now));
        for account in &targets.accounts {
            let result = AccountResult {
                account_id: &account.account_id,
                dataset: &collected.dataset,
                coverage: &collected.coverage,
                findings: None,
            };
            self.connection
                .block_on(writer.account(result))
                .map_err(stored)?;
        }
        let checks = self.checks.clone();
        match self.conclude(base.as_ref(), &writer, &checks, &[], true) {
            Ok(_) => Ok(true),
            // whoever overtook it read everything, or less: the next time comes
            Err(Stopped::Overtaken) => Ok(true),
            Err(Stopped::Failed(failure)) => Err(failure),
        }
    }

    /// Works on events that arrived together.
    ///
    /// # Errors
    /// When the store or a check fails: the events were not worked on then.
    pub fn events(&mut self, events: &[Event]) -> Result<Done, Failure> {
        let mut done = Done::default();
        let known: BTreeSet<&str> = self.ledger.handled.iter().map(String::as_str).collect();
        let mut fresh: BTreeMap<&str, &Event> = BTreeMap::new();
        for event in events {
            let is_known = known.contains(event.id.as_str()) || self.seen.contains(&event.id);
            if is_known || fresh.insert(&event.id, event).is_some() {
                done.known += 1;
            }
        }
        let mut touched: BTreeMap<String, Narrowing> = BTreeMap::new();
        for event in fresh.values() {
            match self.index.touch(event) {
                Touch::Nothing(_) => done.idle += 1,
                rows => {
                    done.read += 1;
                    rows.add_to(touched.entry(event.account_id.clone()).or_default());
                }
            }
        }
        let ids: Vec<String> = fresh.keys().map(|id| (*id).to_owned()).collect();
        if !touched.is_empty() {
            for attempt in 0.. {
                match self.update(&touched, &ids, &mut done) {
                    Ok(changes) => {
                        done.changes = changes;
                        break;
                    }
                    Err(Stopped::Overtaken) if attempt < 5 => {}
                    Err(Stopped::Overtaken) => {
                        return Err(Failure::Usage {
                            message: "others write snapshots faster than this watch can follow"
                                .to_owned(),
                            hint: Some("one watch a store".to_owned()),
                        });
                    }
                    Err(Stopped::Failed(failure)) => return Err(failure),
                }
            }
        }
        self.remember(ids);
        Ok(done)
    }

    fn remember(&mut self, ids: Vec<String>) {
        // what is in a ledger is remembered there; more than this is not worth the memory
        if self.seen.len() > 100_000 {
            self.seen.clear();
        }
        self.seen.extend(ids);
    }

    /// Reads what was touched and commits what differs; gives the number of changed findings.
    fn update(
        &mut self,
        touched: &BTreeMap<String, Narrowing>,
        ids: &[String],
        done: &mut Done,
    ) -> Result<usize, Stopped> {
        let base = self.latest()?;
        let Some(base) = base.filter(|base| self.unfit(base).is_none()) else {
            // nothing to build upon: everything is read, and the events with it
            self.whole()?;
            return Ok(self.ledger.changes.len());
        };
        let now = self.now(Some(&base));
        let writer = self.store.writer(self.new_snapshot(now));
        let mut changed: BTreeSet<String> = BTreeSet::new();
        let mut parts: BTreeMap<String, AccountPart> = BTreeMap::new();
        for account_id in base.accounts() {
            let part = self
                .connection
                .block_on(base.account(&account_id))
                .map_err(stored)?;
            parts.insert(account_id, part);
        }
        for account_id in touched.keys().filter(|a| !parts.contains_key(*a)) {
            self.terminal.note(&format!(
                "an event of the account {account_id}, which is not watched"
            ));
            done.idle += 1;
        }
        let mut updates = Vec::new();
        for (account_id, narrowing) in touched {
            let Some(part) = parts.get(account_id) else {
                continue;
            };
            let narrowing = widened(narrowing, part);
            if narrowing.is_empty() {
                continue;
            }
            fault("before-collect");
            let mut targets = self.connection.targets(&self.connection.regions);
            targets.accounts.retain(|a| a.account_id == *account_id);
            // work on a batch is not interrupted: it is short, and a signal ends the watch after it
            let (_go_on, never) = watch::channel(false);
            let limits = limits(&self.ready.args.target);
            let request = request_of(part, &narrowing);
            let narrowed = self.connection.block_on(
                self.scanner
                    .collect_some(&request, &targets, &limits, &Silent, never, &narrowing),
            )?;
            fault("after-collect");
            let update = Update::new(&base, part);
            let updated = self
                .connection
                .block_on(update.with(&narrowing, &narrowed.collected, &self.schemas))
                .map_err(watched)?;
            changed.extend(updated.changed.keys().cloned());
            updates.push((account_id, update, updated));
        }
        updates.retain(|(_, _, updated)| !updated.is_nothing());
        if updates.is_empty() {
            return Ok(0);
        }
        for (account_id, part) in &parts {
            match updates.iter().find(|(of, ..)| *of == account_id) {
                Some((_, update, updated)) => {
                    self.connection
                        .block_on(update.write(updated, &writer))
                        .map_err(watched)?;
                }
                None => self
                    .connection
                    .block_on(writer.account_document(part))
                    .map_err(stored)?,
            }
        }
        drop(updates);
        let affected = self.checks.iter().zip(&self.reads);
        let affected = affected.filter(|(_, reads)| !reads.is_disjoint(&changed));
        let affected: Vec<Arc<Check>> = affected.map(|(check, _)| Arc::clone(check)).collect();
        self.conclude(Some(&base), &writer, &affected, ids, false)
    }

    /// Judges what was written with some checks, takes the other verdicts from the base, and commits.
    fn conclude(
        &mut self,
        base: Option<&Snapshot>,
        writer: &Writer,
        affected: &[Arc<Check>],
        ids: &[String],
        whole: bool,
    ) -> Result<usize, Stopped> {
        let now = crate::commands::connect::system_time();
        let draft = self
            .connection
            .block_on(writer.draft(now, None))
            .map_err(stored)?;
        let draft = self.store.of(draft);
        let assessment = self.judge(&draft, affected, whole)?;
        let judged: BTreeSet<&str> = affected.iter().map(|c| c.id.as_str()).collect();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for account_id in draft.accounts() {
            let known = base.filter(|b| b.manifest().account(&account_id).is_some());
            let old = match known {
                Some(base) => self
                    .connection
                    .block_on(base.findings(&account_id))
                    .map_err(stored)?,
                None => Vec::new(),
            };
            let kept = old.iter().filter(|f| !whole && !judged.contains(&*f.check));
            let mut new: Vec<Finding> = kept.cloned().collect();
            let own = assessment
                .findings
                .iter()
                .filter(|f| *f.account_id == *account_id);
            new.extend(own.cloned());
            new.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
            if whole || new != old {
                let part = self
                    .connection
                    .block_on(draft.account(&account_id))
                    .map_err(stored)?;
                self.connection
                    .block_on(write_findings(part, &new, writer))
                    .map_err(watched)?;
            }
            before.extend(old);
            after.extend(new);
        }
        let changes = changes(&before, &after, writer.id());
        let count = changes.len();
        let summaries = self.summaries(base, &assessment, whole)?;
        let mut ledger = self.ledger.next(writer.id(), ids, changes);
        if whole {
            ledger.whole = Some(self.scanner.now());
        }
        // ended here: nothing of it can be seen, and the messages come again
        fault("before-ledger");
        self.connection
            .block_on(self.ledgers.write(&ledger))
            .map_err(watched)?;
        fault("before-commit");
        let last = self.latest()?;
        let is_base = |s: &Snapshot| base.is_some_and(|b| b.manifest().id == s.manifest().id);
        if !last.as_ref().map_or(base.is_none(), is_base) && !whole {
            return Err(Stopped::Overtaken);
        }
        let finished = crate::commands::connect::system_time();
        let committed = match (&summaries, base) {
            (None, Some(base)) => {
                let checks = base.manifest().checks.clone();
                self.connection
                    .block_on(writer.commit_with(finished, checks))
            }
            (summaries, _) => {
                let checks = summaries.as_deref().unwrap_or_default();
                self.connection
                    .block_on(writer.commit(finished, Some(checks)))
            }
        };
        committed.map_err(stored)?;
        // ended here: the ledger counts now. The messages come again and are known; the changes are told at the start
        fault("after-commit");
        self.ledger = ledger;
        self.tell()?;
        Ok(count)
    }

    /// The checks with their counts; nothing when they are those of the base.
    fn summaries(
        &self,
        base: Option<&Snapshot>,
        assessment: &Assessment,
        whole: bool,
    ) -> Result<Option<Vec<CheckSummary>>, Failure> {
        let Some(base) = base.filter(|_| !whole) else {
            return Ok(Some(assessment.checks.clone()));
        };
        let mut all = self.connection.block_on(base.checks()).map_err(stored)?;
        let mut differ = false;
        for check in &assessment.checks {
            if let Some(known) = all.iter_mut().find(|c| c.id == check.id) {
                differ |= known != check;
                *known = check.clone();
            }
        }
        Ok(differ.then_some(all))
    }

    /// What some checks say of a snapshot, with what does not count marked.
    fn judge(
        &self,
        draft: &Snapshot,
        checks: &[Arc<Check>],
        whole: bool,
    ) -> Result<Assessment, Failure> {
        let options = palisade_query::Options {
            evidence: self.ready.args.evidence,
            ..palisade_query::Options::default()
        };
        let assessed = self
            .scanner
            .assess_snapshot(checks, draft, options, Listing::All);
        let (mut assessment, left_out) = self.connection.block_on(assessed)?;
        for left in &left_out {
            self.terminal.warn(&format!(
                "`{}` is not evaluated: `{}.{}` was not collected",
                left.check, left.table, left.column
            ));
        }
        let tags = self.tags(draft, checks)?;
        self.noise.apply(&mut assessment, &tags, self.terminal);
        if whole {
            self.ready.roll_up(&mut assessment, &self.catalog);
        }
        Ok(assessment)
    }

    /// The tags that mutes ask for, of the tables that the checks read.
    fn tags(&self, draft: &Snapshot, checks: &[Arc<Check>]) -> Result<Tags, Failure> {
        let request = self.scanner.request(checks)?;
        let mut wanted = Request::default();
        for table in request.tables.keys() {
            wanted.add(table, []);
        }
        let plain = wanted.clone();
        self.noise.add_tags(&mut wanted, &self.scanner);
        if wanted == plain {
            return Ok(Tags::new());
        }
        let columns: Wanted = wanted
            .tables
            .iter()
            .filter_map(|(table, columns)| match columns {
                palisade_collect::ColumnSelection::Some(c) if !c.is_empty() => {
                    Some((table.clone(), c.clone()))
                }
                _ => None,
            })
            .collect();
        let accounts = draft.accounts();
        let dataset = self
            .connection
            .block_on(draft.dataset(&accounts, &columns, &self.schemas))
            .map_err(stored)?;
        self.noise.tags(&wanted, &self.scanner, &dataset)
    }

    /// Tells what is in the ledger, and remembers that.
    fn tell(&mut self) -> Result<(), Failure> {
        if !self.ledger.changes.is_empty() {
            self.outlet.tell(&self.ledger)?;
        }
        // ended here: a file has it, and it is not written twice; stdout may have it, and it is told again with the same id
        fault("after-told");
        self.unsent = !self.ledger.changes.is_empty();
        self.send()?;
        self.connection
            .block_on(self.ledgers.tell(&self.ledger))
            .map_err(watched)
    }

    /// Sends the findings where they are to be sent, if something is to be said. What a destination did not take is sent
    /// the next time.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn send(&mut self) -> Result<(), Failure> {
        if !self.unsent || self.destinations.is_empty() {
            return Ok(());
        }
        let Some(last) = self.latest()? else {
            return Ok(());
        };
        let wait = |e| stored(e);
        let manifest = last.manifest();
        let assessment = Assessment {
            counted: palisade_core::Counted::default(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: manifest.started_at,
            accounts: last.accounts(),
            regions: manifest.regions.clone(),
            checks: self.connection.block_on(last.checks()).map_err(wait)?,
            findings: self
                .connection
                .block_on(last.all_findings())
                .map_err(wait)?,
            coverage: self.connection.block_on(last.coverage()).map_err(wait)?,
            frameworks: Vec::new(),
            expired_mutes: Vec::new(),
        };
        let well =
            self.destinations
                .send(&assessment, Some(self.connection), false, self.terminal)?;
        self.unsent = !well;
        Ok(())
    }
}

fn stored(error: StoreError) -> Failure {
    Failure::Store(error)
}

fn watched(error: WatchError) -> Failure {
    match error {
        WatchError::Store(error) => stored(error),
        other => Failure::Watch(other),
    }
}

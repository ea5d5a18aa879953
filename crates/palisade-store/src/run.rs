//! Runs: one snapshot that several workers make, or one worker in several attempts.
//!
//! What is to be read is written down first, once (`runs/<run>.json`): whoever comes first decides the snapshot's id, its
//! time and its accounts, and the others follow. An account is then written once, by whoever comes first, under names
//! that no other attempt has. The manifest is written last, once. So nothing that an attempt leaves behind, and nothing
//! that two attempts do at the same time, can be seen or change what is committed.
use crate::error::StoreError;
use crate::location::{AT_ONCE, Store, sha256};
use crate::manifest::{AccountPart, FORMAT, FilePart, Manifest, ObjectPart};
use crate::shard::Shard;
use crate::write::{
    AccountFiles, AccountResult, NewSnapshot, Writer, account_path, document, folder, parse,
};
use futures::StreamExt;
use palisade_core::{CallError, CallErrorKind, Coverage, LeftOutAccount, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a run reads, as its first worker decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// Of this document.
    pub format: u32,
    /// The run's name.
    pub run: String,
    /// The id of the snapshot that it makes.
    pub snapshot: String,
    /// When it began; ages are counted from it.
    pub started_at: Timestamp,
    /// The version of Palisade.
    pub palisade: String,
    /// Fingerprint of the catalogue.
    pub catalog: String,
    /// Regions that are scanned, sorted.
    pub regions: Vec<String>,
    /// How many workers share the accounts.
    pub shards: u32,
    /// What is read of which accounts, as a fingerprint: workers that were told something else do not belong to the run.
    pub asks: String,
    /// Whether checks are evaluated with it: `scan`, not `collect`.
    #[serde(default)]
    pub judged: bool,
    /// The accounts, sorted.
    pub accounts: Vec<String>,
    /// Accounts that are left out on purpose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOutAccount>,
}

/// A fingerprint of anything that has a text.
pub fn fingerprint(text: &str) -> String {
    sha256(text.as_bytes())
}

/// A run's name is part of a path.
///
/// # Errors
/// [`StoreError::RunName`]
pub fn check_run_name(name: &str) -> Result<(), StoreError> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let begins = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if begins && name.len() <= 128 && name.bytes().all(good) {
        Ok(())
    } else {
        Err(StoreError::RunName(name.to_owned()))
    }
}

impl RunPlan {
    /// The snapshot that the run makes.
    pub fn snapshot(&self) -> NewSnapshot {
        NewSnapshot {
            nonce: self
                .snapshot
                .rsplit('-')
                .next()
                .unwrap_or_default()
                .to_owned(),
            started_at: self.started_at,
            palisade: self.palisade.clone(),
            catalog: self.catalog.clone(),
            regions: self.regions.clone(),
        }
    }

    /// What two workers of one run must have in common and have not; nothing when they belong together.
    pub fn differs(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            (self.palisade != other.palisade, "version of Palisade"),
            (self.catalog != other.catalog, "catalogue"),
            (self.shards != other.shards, "number of shards"),
            (self.regions != other.regions, "regions"),
            (self.judged != other.judged, "command"),
            (
                self.asks != other.asks,
                "choice of accounts, tables or columns",
            ),
        ];
        differs.iter().find(|(is, _)| *is).map(|(_, what)| *what)
    }
}

/// An account that a worker could not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Unread {
    error: CallError,
    /// Trying again would not help: the account counts as done, with nothing read of it.
    settled: bool,
}

/// An account that is not written yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Twelve digits.
    pub account_id: String,
    /// The share that it is in.
    pub shard: u32,
    /// Why it could not be read, where somebody tried.
    pub error: Option<CallError>,
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunState {
    /// Accounts that are written whole, sorted.
    pub written: Vec<String>,
    /// Accounts that nobody may enter, sorted: they are in the snapshot as not read.
    pub refused: Vec<String>,
    /// Accounts that somebody has to read, sorted.
    pub missing: Vec<Missing>,
}

/// What a commit came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// By this call.
    Now(Manifest),
    /// Before, or by another worker at the same time.
    Before(Manifest),
}

/// A run in a store.
#[derive(Debug, Clone)]
pub struct Run {
    store: Store,
    plan: RunPlan,
    writer: Writer,
}

fn run_path(name: &str) -> String {
    format!("runs/{name}.json")
}

fn unread_path(id: &str, account_id: &str) -> String {
    format!("{}/unread/{account_id}.json", folder(id))
}

impl Store {
    /// Begins a run, or joins the one of the same name that somebody began: then its plan counts, not this one.
    /// `attempt` are eight hexadecimal digits that no other attempt has.
    ///
    /// # Errors
    /// [`StoreError::OtherRun`] when the run was begun with something else; otherwise when the store cannot be read or
    /// written.
    pub async fn begin_run(&self, plan: RunPlan, attempt: &str) -> Result<Run, StoreError> {
        check_run_name(&plan.run)?;
        let path = run_path(&plan.run);
        if self.create(&path, document(&path, &plan)?).await? {
            return Ok(self.run_of(plan, attempt));
        }
        let begun = self.run_plan(&plan.run).await?;
        match begun.differs(&plan) {
            None => Ok(self.run_of(begun, attempt)),
            Some(what) => Err(StoreError::OtherRun {
                run: plan.run,
                what,
            }),
        }
    }

    /// A run that was begun; nothing when it was not.
    ///
    /// # Errors
    /// When its document cannot be read.
    pub async fn run(&self, name: &str, attempt: &str) -> Result<Option<Run>, StoreError> {
        check_run_name(name)?;
        match self.run_plan(name).await {
            Ok(plan) => Ok(Some(self.run_of(plan, attempt))),
            Err(e) if e.is_missing() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The plans of all runs, oldest first, and what could not be understood of them.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn runs(&self) -> Result<(Vec<RunPlan>, Vec<StoreError>), StoreError> {
        let (mut plans, mut damaged) = (Vec::new(), Vec::new());
        for (path, ..) in self.objects_below("runs").await? {
            let name = path.strip_prefix("runs/");
            let Some(name) = name.and_then(|n| n.strip_suffix(".json")) else {
                continue;
            };
            match self.run_plan(name).await {
                Ok(plan) => plans.push(plan),
                // cleared away in the meantime
                Err(e) if e.is_missing() => {}
                Err(e @ StoreError::Storage { .. }) => return Err(e),
                Err(e) => damaged.push(e),
            }
        }
        plans.sort_by(|a, b| (a.started_at, &a.snapshot).cmp(&(b.started_at, &b.snapshot)));
        Ok((plans, damaged))
    }

    /// The plans of runs that are not committed, oldest first, and what could not be understood of any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn unfinished_runs(&self) -> Result<(Vec<RunPlan>, Vec<StoreError>), StoreError> {
        let mut open = Vec::new();
        let (plans, damaged) = self.runs().await?;
        for plan in plans {
            match self.manifest(&plan.snapshot).await {
                Err(e) if e.is_missing() => open.push(plan),
                Err(e @ StoreError::Storage { .. }) => return Err(e),
                // damaged or newer: it is there
                _ => {}
            }
        }
        Ok((open, damaged))
    }

    /// A run by its name, by the id of its snapshot or what that begins with, or as `last`: the latest that is not
    /// committed, where that matters of those that are judged or are not.
    ///
    /// # Errors
    /// When there is no such run, or more than one.
    pub async fn find_run(
        &self,
        wanted: &str,
        judged: Option<bool>,
        attempt: &str,
    ) -> Result<Run, StoreError> {
        let missing = || StoreError::NoRun {
            wanted: wanted.to_owned(),
            location: self.location().to_owned(),
        };
        if wanted == "last" {
            let mut plans = self.unfinished_runs().await?.0.into_iter().rev();
            let plan = plans.find(|p| judged.is_none_or(|judged| judged == p.judged));
            return Ok(self.run_of(plan.ok_or_else(missing)?, attempt));
        }
        if check_run_name(wanted).is_ok()
            && let Some(run) = self.run(wanted, attempt).await?
        {
            return Ok(run);
        }
        let mut found = self.runs().await?.0;
        found.retain(|p| !wanted.is_empty() && p.snapshot.starts_with(wanted));
        if found.len() > 1 {
            let ids: Vec<&str> = found.iter().map(|p| p.snapshot.as_str()).collect();
            return Err(StoreError::Ambiguous {
                wanted: wanted.to_owned(),
                candidates: ids.join(", "),
            });
        }
        let plan = found.pop().ok_or_else(missing)?;
        Ok(self.run_of(plan, attempt))
    }

    async fn run_plan(&self, name: &str) -> Result<RunPlan, StoreError> {
        let path = run_path(name);
        let bytes = self.read(&path).await?;
        let plan: RunPlan = parse(&path, &bytes)?;
        if plan.format > FORMAT {
            return Err(StoreError::Newer {
                path,
                found: plan.format,
                known: FORMAT,
            });
        }
        if plan.run != name || plan.snapshot().id() != plan.snapshot {
            return Err(StoreError::damaged(path, "its names do not fit"));
        }
        Ok(plan)
    }

    /// A run whose plan somebody keeps elsewhere: it is in no list of the store's, and nobody can join it.
    pub fn run_of(&self, plan: RunPlan, attempt: &str) -> Run {
        Run {
            store: self.clone(),
            writer: self.writer(plan.snapshot()).for_attempt(attempt),
            plan,
        }
    }

    /// Forgets runs, by their plan and when it was written: nobody goes on with them from then on.
    pub(crate) async fn forget_runs(
        &self,
        mut of: impl FnMut(&RunPlan, i64) -> bool,
    ) -> Result<(), StoreError> {
        for (path, _, written) in self.objects_below("runs").await? {
            let name = path.strip_prefix("runs/");
            let Some(name) = name.and_then(|n| n.strip_suffix(".json")) else {
                continue;
            };
            match self.run_plan(name).await {
                Ok(plan) => {
                    if of(&plan, written) {
                        self.delete(&path).await?;
                    }
                }
                // what could not be read may be the one that must not be left
                Err(e @ StoreError::Storage { .. }) if !e.is_missing() => return Err(e),
                // what is not understood is gone on with by nobody
                Err(_) => {}
            }
        }
        Ok(())
    }
}

impl Run {
    /// What is read.
    pub fn plan(&self) -> &RunPlan {
        &self.plan
    }

    /// Says that the run goes on, so that clearing away leaves it alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn touch(&self) -> Result<(), StoreError> {
        let path = run_path(&self.plan.run);
        self.store.write(&path, document(&path, &self.plan)?).await
    }

    /// The manifest, when it is committed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn committed(&self) -> Result<Option<Manifest>, StoreError> {
        match self.store.manifest(&self.plan.snapshot).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(e) if e.is_missing() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Writes an account, unless another attempt has: says whether it was written.
    ///
    /// # Errors
    /// When something cannot be written.
    pub async fn account(&self, result: AccountResult<'_>) -> Result<bool, StoreError> {
        let begun = self.account_files(result.account_id);
        self.account_begun(begun, result, &[]).await
    }

    /// For an account that is written piece by piece, under names that no other attempt has.
    pub fn account_files(&self, account_id: &str) -> AccountFiles {
        self.writer.account_files(account_id)
    }

    /// As [`Run::account`], of whose tables some are written already, with the regions in which it was read, sorted.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn account_begun(
        &self,
        begun: AccountFiles,
        result: AccountResult<'_>,
        regions: &[String],
    ) -> Result<bool, StoreError> {
        let mut part = self.writer.rest_of_account(begun, result).await?;
        part.regions = regions.to_vec();
        if self.document(&part).await? {
            return Ok(true);
        }
        // the other attempt's files are named by its document, these by nothing
        for file in files(&part) {
            self.store.delete(&file.object.path).await?;
        }
        Ok(false)
    }

    async fn document(&self, part: &AccountPart) -> Result<bool, StoreError> {
        let path = account_path(&self.plan.snapshot, &part.account_id);
        self.store.create(&path, document(&path, part)?).await
    }

    /// Notes that an account could not be read. One that is `settled` needs nobody to try again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn unread(&self, error: &CallError, settled: bool) -> Result<(), StoreError> {
        let path = unread_path(&self.plan.snapshot, &error.account_id);
        let note = Unread {
            error: error.clone(),
            settled,
        };
        self.store.write(&path, document(&path, &note)?).await
    }

    /// How far the run is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn state(&self) -> Result<RunState, StoreError> {
        Ok(self.look().await?.0)
    }

    async fn look(&self) -> Result<(RunState, BTreeMap<String, Unread>), StoreError> {
        let written: BTreeSet<String> = self.writer.written().await?.into_iter().collect();
        let below = format!("{}/unread", folder(&self.plan.snapshot));
        let mut notes = BTreeMap::new();
        for (path, ..) in self.store.objects_below(&below).await? {
            let bytes = match self.store.read(&path).await {
                Err(e) if e.is_missing() => continue,
                other => other?,
            };
            // a note that is cut short says nothing
            if let Ok(note) = parse::<Unread>(&path, &bytes) {
                notes.insert(note.error.account_id.clone(), note);
            }
        }
        let mut state = RunState::default();
        for account_id in &self.plan.accounts {
            let note = notes.get(account_id);
            if written.contains(account_id) {
                state.written.push(account_id.clone());
            } else if note.is_some_and(|n| n.settled) {
                state.refused.push(account_id.clone());
            } else {
                state.missing.push(Missing {
                    account_id: account_id.clone(),
                    shard: Shard::of_account(account_id, self.plan.shards),
                    error: note.map(|n| n.error.clone()),
                });
            }
        }
        Ok((state, notes))
    }

    /// Makes the snapshot visible: once, whoever asks and however often. Accounts that nobody may enter are in it as
    /// not read; with `incomplete` so are those that nobody has read yet.
    ///
    /// # Errors
    /// [`StoreError::Unfinished`] when accounts are missing, [`StoreError::NothingRead`] when none was read, and when the
    /// store cannot be read or written.
    pub async fn commit(
        &self,
        finished_at: Timestamp,
        checks: Option<ObjectPart>,
        incomplete: bool,
    ) -> Result<Committed, StoreError> {
        if let Some(manifest) = self.committed().await? {
            return Ok(Committed::Before(manifest));
        }
        let mut found = self.sound().await?;
        let (state, notes) = self.look().await?;
        if !state.missing.is_empty() && !incomplete {
            return Err(self.unfinished(state));
        }
        if state.written.is_empty() {
            let errors = notes.values().map(|n| &n.error);
            let why = errors.map(|e| format!("{}: {e} ({})", e.account_id, e.message));
            return Err(StoreError::NothingRead {
                run: self.plan.run.clone(),
                why: why.take(5).collect::<Vec<_>>().join("; "),
            });
        }
        if state.written.len() < self.plan.accounts.len() {
            let missing = state.missing.iter().map(|m| &m.account_id);
            for account_id in state.refused.iter().chain(missing) {
                let error = match notes.get(account_id) {
                    Some(note) => note.error.clone(),
                    None => self.not_begun(account_id),
                };
                // who has read it in the meantime was faster
                self.document(&not_read(account_id, error)).await?;
            }
        }
        // Every account has its document now: what none of them names will never be named. What was found before may lack
        // an account that somebody has written since, and its files must stay.
        if found.accounts < self.plan.accounts.len() {
            found = self.sound().await?;
            let (state, _) = self.look().await?;
            if state.written.len() < self.plan.accounts.len() {
                return Err(self.unfinished(state));
            }
        }
        self.clear(&found).await?;
        match self.writer.commit_with(finished_at, checks).await {
            Ok(manifest) => Ok(Committed::Now(manifest)),
            Err(StoreError::Committed(_)) => {
                let manifest = self.store.manifest(&self.plan.snapshot).await?;
                Ok(Committed::Before(manifest))
            }
            Err(e) => Err(e),
        }
    }

    fn unfinished(&self, state: RunState) -> StoreError {
        StoreError::Unfinished {
            run: self.plan.run.clone(),
            of: self.plan.accounts.len(),
            shards: self.plan.shards,
            missing: state.missing,
        }
    }

    /// As [`Run::commit`], with what the checks are; for a run that is judged.
    ///
    /// # Errors
    /// As [`Run::commit`].
    pub async fn commit_judged(
        &self,
        finished_at: Timestamp,
        checks: &[palisade_core::CheckSummary],
        incomplete: bool,
    ) -> Result<Committed, StoreError> {
        let checks = self.writer.checks(checks).await?;
        self.commit(finished_at, Some(checks), incomplete).await
    }

    /// What was written until now, as a snapshot that nobody else can see.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn draft(&self) -> Result<crate::Snapshot, StoreError> {
        let manifest = self.writer.draft(self.plan.started_at, None).await?;
        Ok(self.store.of(manifest))
    }

    /// Takes back accounts that are damaged, so that they are read again.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn heal(&self) -> Result<(), StoreError> {
        self.sound().await.map(|_| ())
    }

    /// Looks whether every account that is written has its files, in their length, and takes back the documents of
    /// those that have not (a machine that lost its power): they are read again.
    async fn sound(&self) -> Result<Sound, StoreError> {
        let id = &self.plan.snapshot;
        // Documents first: an account's files are there before its document is. Of one that another worker writes in
        // between, the files would not be among those that were found.
        let written = self.writer.written().await?;
        let below = self.store.objects_below(&folder(id)).await?;
        let there: BTreeMap<&str, u64> = below.iter().map(|(p, n, _)| (p.as_str(), *n)).collect();
        let documents = written.into_iter().map(|account_id| {
            let path = account_path(id, &account_id);
            async move {
                let bytes = match self.store.read(&path).await {
                    // another worker has taken it back
                    Err(e) if e.is_missing() => return Ok(None),
                    other => other?,
                };
                Ok::<_, StoreError>(Some((parse::<AccountPart>(&path, &bytes).ok(), path)))
            }
        });
        let mut documents = futures::stream::iter(documents).buffered(AT_ONCE);
        let (mut named, mut accounts) = (BTreeSet::new(), 0);
        while let Some(read) = documents.next().await {
            let Some((part, path)) = read? else { continue };
            let has = |f: &FilePart| there.get(f.object.path.as_str()) == Some(&f.object.bytes);
            match part {
                Some(part) if files(&part).all(has) => {
                    named.extend(files(&part).map(|f| f.object.path.clone()));
                    accounts += 1;
                }
                _ => self.store.delete(&path).await?,
            }
        }
        drop(documents);
        let there = below.into_iter().map(|(path, ..)| path).collect();
        Ok(Sound {
            accounts,
            named,
            there,
        })
    }

    /// Removes what attempts that did not come to their end have left, so that readers who list folders see each row
    /// once. Files that were made for anything else are left alone.
    async fn clear(&self, found: &Sound) -> Result<(), StoreError> {
        let notes = format!("{}/unread/", folder(&self.plan.snapshot));
        for path in &found.there {
            let name = path.rsplit('/').next().unwrap_or_default();
            let of_an_attempt = name.starts_with("part-") && name.ends_with(".parquet");
            let note = path.starts_with(&notes);
            if note || (of_an_attempt && !found.named.contains(path)) {
                self.store.delete(path).await?;
            }
        }
        Ok(())
    }

    fn not_begun(&self, account_id: &str) -> CallError {
        let shard = Shard::of_account(account_id, self.plan.shards);
        CallError {
            service: "sts".to_owned(),
            operation: "AssumeRole".to_owned(),
            account_id: account_id.to_owned(),
            region: self.plan.regions.first().cloned().unwrap_or_default(),
            kind: CallErrorKind::NotMade,
            code: "NotCollected".to_owned(),
            message: format!(
                "the run was committed before this account was read (shard {shard}/{})",
                self.plan.shards
            ),
            permissions: Vec::new(),
        }
    }
}

/// What was found of a run.
struct Sound {
    /// How many accounts are whole.
    accounts: usize,
    /// The files that these name.
    named: BTreeSet<String>,
    /// All objects.
    there: Vec<String>,
}

/// The document of an account of which nothing was read: no table is in it, so none looks empty.
fn not_read(account_id: &str, error: CallError) -> AccountPart {
    AccountPart {
        account_id: account_id.to_owned(),
        coverage: Coverage::of_unread(error),
        tables: BTreeMap::new(),
        findings: None,
        counts: BTreeMap::new(),
        regions: Vec::new(),
    }
}

fn files(account: &AccountPart) -> impl Iterator<Item = &FilePart> {
    let tables = account.tables.values().flat_map(|t| &t.files);
    tables.chain(&account.findings)
}

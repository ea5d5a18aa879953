//! Runs over many accounts: which share of them this worker reads, what of it an earlier attempt has read, and the one
//! commit of all.
use super::connect::{self, Connection};
use super::journal::{self, Journals};
use super::organization::Organization;
use super::store;
use crate::cli::{OrganizationArgs, ResumeArgs, RunArgs, Target};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::{Collected, ColumnSelection, Request};
use palisade_core::{CallErrorKind, CheckSummary, Coverage};
use palisade_scan::organization::{Discovered, Member};
use palisade_store::{
    AccountFiles, AccountResult, Committed, Manifest, NewSnapshot, Run, RunPlan, Shard, Snapshot,
    Store, StoreError, fingerprint,
};
use palisade_table::Schemas;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What the user said of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The run's name; without one, its snapshot's id is its name, and this worker is the only one.
    name: Option<String>,
    shard: Shard,
    resume: Option<String>,
    /// Answers are kept while accounts are read.
    journal: bool,
}

impl Asked {
    /// Puts flags and the job's environment together.
    ///
    /// # Errors
    /// When there is no such share, or nobody says which run it is of.
    pub fn new(
        args: &RunArgs,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut name = args.run.clone();
        let shard = match args.shard.as_deref() {
            None => Shard::whole(),
            Some("auto") => {
                let (shard, job) = of_job(environment)?;
                name = name.or(job);
                shard
            }
            Some(text) => {
                let parts = text
                    .split_once('/')
                    .and_then(|(i, n)| Shard::new(i.trim().parse().ok()?, n.trim().parse().ok()?));
                let wrong = || format!("`{text}` is no shard");
                parts.ok_or_else(|| usage(wrong(), "`2/3` is the second of three, or `auto`"))?
            }
        };
        if args.shard.is_some() && name.is_none() {
            return Err(usage(
                "`--shard` needs the name of the run that it is a share of".to_owned(),
                "give all workers the same `--run NAME`, and each run another one",
            ));
        }
        if let Some(name) = &name {
            palisade_store::check_run_name(name)?;
        }
        Ok(Self {
            name,
            shard,
            resume: args.resume.resume.clone(),
            journal: !args.resume.no_journal,
        })
    }

    /// A command that no other worker shares.
    pub fn alone(args: &ResumeArgs) -> Self {
        Self {
            name: None,
            shard: Shard::whole(),
            resume: args.resume.clone(),
            journal: !args.no_journal,
        }
    }

    /// A command that cannot be gone on with.
    pub fn once() -> Self {
        Self {
            name: None,
            shard: Shard::whole(),
            resume: None,
            journal: false,
        }
    }

    /// It is over many accounts, shared with others.
    pub fn is_named(&self) -> bool {
        self.name.is_some()
    }

    /// The run that is to be gone on with.
    pub fn resume(&self) -> Option<&str> {
        self.resume.as_deref()
    }

    /// Answers are kept while accounts are read.
    pub fn journal(&self) -> bool {
        self.journal
    }
}

/// The share of a Kubernetes indexed Job or of an AWS Batch array job, and the latter's id.
fn of_job(
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Shard, Option<String>), Failure> {
    let number = |name: &str| -> Result<Option<u32>, Failure> {
        let Some(text) = environment(name) else {
            return Ok(None);
        };
        let parsed = text.trim().parse().map(Some);
        parsed.map_err(|_| usage(format!("{name} is `{text}`, which is no number"), HINT))
    };
    const HINT: &str = "`--shard 2/3` says it without a job's environment";
    let said = number("PALISADE_SHARDS")?;
    let (index, of, job) = match number("AWS_BATCH_JOB_ARRAY_INDEX")? {
        Some(index) => {
            let of = number("AWS_BATCH_JOB_ARRAY_SIZE")?.or(said);
            // the id of a child is `ARRAY_JOB:INDEX`
            let job = environment("AWS_BATCH_JOB_ID");
            let job = job.and_then(|id| id.split(':').next().map(str::to_owned));
            (Some(index), of, job)
        }
        None => (number("JOB_COMPLETION_INDEX")?, said, None),
    };
    let Some(index) = index else {
        return Err(usage(
            "`--shard auto`: neither JOB_COMPLETION_INDEX nor AWS_BATCH_JOB_ARRAY_INDEX is set"
                .to_owned(),
            HINT,
        ));
    };
    let Some(of) = of else {
        return Err(usage(
            "`--shard auto`: PALISADE_SHARDS does not say how many workers there are".to_owned(),
            "set it to the Job's `completions`",
        ));
    };
    // jobs count from zero
    let shard = index.checked_add(1).and_then(|i| Shard::new(i, of));
    let shard =
        shard.ok_or_else(|| usage(format!("there is no worker {index} (from 0) of {of}"), HINT))?;
    Ok((shard, job))
}

fn usage(message: String, hint: &str) -> Failure {
    Failure::Usage {
        message,
        hint: Some(hint.to_owned()),
    }
}

/// What is read, of whom.
pub struct Wanted<'a> {
    pub target: &'a Target,
    pub organization: &'a OrganizationArgs,
    pub request: &'a Request,
    pub catalog: &'a Catalog,
    /// The checks that are evaluated with it, and how; nothing when none are.
    pub judged: Option<String>,
}

impl Wanted<'_> {
    /// A run of one worker that nobody has begun, over no account; its name is that of its snapshot.
    fn plan(&self, connection: &Connection, nonce: &str) -> RunPlan {
        let new = NewSnapshot {
            nonce: nonce.to_owned(),
            started_at: connection.now,
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog.fingerprint.clone(),
            regions: connection.regions.clone(),
        };
        RunPlan {
            format: palisade_store::FORMAT,
            run: new.id(),
            snapshot: new.id(),
            started_at: new.started_at,
            palisade: new.palisade,
            catalog: new.catalog,
            regions: new.regions,
            shards: 1,
            asks: self.asks(),
            judged: self.judged.is_some(),
            accounts: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// Where the answers of a run are kept; nothing where none are to be. That there can be none costs calls only, if the
    /// run is interrupted.
    fn journals(
        &self,
        connection: &Connection,
        asked: &Asked,
        store: &Store,
        plan: &RunPlan,
        attempt: &str,
        terminal: &Terminal,
    ) -> Option<Arc<Journals>> {
        // a recording has what AWS answered, and not what was answered before
        if !asked.journal || self.target.record.is_some() {
            return None;
        }
        let root = journal::root(store)?;
        let (_, models) = connection.client();
        match Journals::new(&root, &plan.snapshot, attempt, self.catalog, models) {
            Ok(journals) => Some(Arc::new(journals)),
            Err(e) => {
                let root = root.display();
                terminal.warn(&format!("answers are not kept in `{root}`: {e}"));
                None
            }
        }
    }

    /// What all workers of a run must have in common: tables, columns, checks, and the choice of accounts and regions.
    fn asks(&self) -> String {
        let mut text = String::new();
        for (table, columns) in &self.request.tables {
            text.push_str(table);
            match columns {
                ColumnSelection::All => text.push_str(" *"),
                ColumnSelection::Some(names) => {
                    for name in names {
                        text.push(' ');
                        text.push_str(name);
                    }
                }
            }
            text.push('\n');
        }
        let organization = self.organization;
        let mut accounts = organization.accounts.clone();
        accounts.sort();
        accounts.dedup();
        let every_region = self.target.region.iter().any(|r| r == "all");
        let chosen = (
            organization.organization,
            accounts,
            &organization.include_account,
            &organization.exclude_account,
            &organization.include_ou,
            &organization.exclude_ou,
            &organization.include_account_tag,
            &organization.exclude_account_tag,
            every_region,
            &self.judged,
        );
        text.push_str(&format!("{chosen:?}"));
        fingerprint(&text)
    }
}

/// The run that is meant, when somebody has begun it.
///
/// # Errors
/// When there is no run to go on with, or the store cannot be read.
pub fn known(
    connection: &Connection,
    store: &Store,
    asked: &Asked,
    judged: bool,
) -> Result<Option<Run>, StoreError> {
    let attempt = store::nonce();
    connection.wait(async {
        match (&asked.resume, &asked.name) {
            (Some(wanted), _) => {
                let found = store.find_run(wanted, Some(judged), &attempt);
                found.await.map(Some)
            }
            (None, Some(name)) => store.run(name, &attempt).await,
            (None, None) => Ok(None),
        }
    })
}

/// The run over one account that is meant.
///
/// # Errors
/// When there is none, or the store cannot be read.
pub fn known_single(
    connection: &Connection,
    store: &Store,
    asked: &Asked,
    judged: bool,
) -> Result<Option<RunPlan>, Failure> {
    let Some(wanted) = &asked.resume else {
        return Ok(None);
    };
    if !asked.journal {
        return Err(usage(
            "of one account, nothing is kept without a journal".to_owned(),
            "leave `--no-journal` out",
        ));
    }
    let found = journal::find_single(store, wanted, judged);
    Ok(Some(connection.wait(found)?))
}

/// What there is to do.
pub enum Begun {
    /// This worker's part.
    Open(Box<Session>),
    /// Somebody has committed it.
    Done(Box<Manifest>),
}

/// One worker's part in a run.
pub struct Session {
    store: Store,
    run: Run,
    shard: Shard,
    named: bool,
    /// Accounts that were written before.
    written: BTreeSet<String>,
    /// Answers of accounts that are not.
    journals: Option<Arc<Journals>>,
}

impl Session {
    /// Begins the run, or joins the one that is known, and leaves to the organisation the accounts that this worker has
    /// to read.
    ///
    /// # Errors
    /// When the run was begun with something else, or the store cannot be read or written.
    pub fn begin(
        connection: &Connection,
        store: Store,
        asked: &Asked,
        wanted: &Wanted<'_>,
        known: Option<&Run>,
        organization: &mut Organization<'_>,
        terminal: &Terminal,
    ) -> Result<Begun, StoreError> {
        let attempt = store::nonce();
        let shards = match (known, &asked.resume) {
            // who goes on with what several workers began does all that they have left
            (Some(run), Some(_)) => run.plan().shards,
            _ => asked.shard.of(),
        };
        let mut plan = RunPlan {
            shards,
            accounts: organization.ids(),
            left_out: organization.left_out().to_vec(),
            ..wanted.plan(connection, &attempt)
        };
        let name = known.map(|run| run.plan().run.clone());
        if let Some(name) = name.or_else(|| asked.name.clone()) {
            plan.run = name;
        }
        let (run, committed, state) = connection.wait(async {
            let run = store.begin_run(plan, &attempt).await?;
            let committed = run.committed().await?;
            if known.is_some() && committed.is_none() {
                run.touch().await?;
                if asked.resume.is_some() {
                    run.heal().await?;
                }
            }
            let state = run.state().await?;
            Ok::<_, StoreError>((run, committed, state))
        })?;
        if let Some(manifest) = committed {
            return Ok(Begun::Done(Box::new(manifest)));
        }
        let written: BTreeSet<String> = state.written.into_iter().collect();
        let shard = asked.shard;
        // the first worker's list counts, also for one that listed them at the same time
        organization.read_these(planned(run.plan()), |id| {
            shard.holds(id) && !written.contains(id)
        });
        if shard.of() > 1 || known.is_some() {
            let plan = run.plan();
            let own = plan.accounts.iter().filter(|id| shard.holds(id));
            terminal.note(&format!(
                "run {}, shard {shard}: {} of {} accounts, of which {} are written already",
                plan.run,
                own.clone().count(),
                plan.accounts.len(),
                own.filter(|id| written.contains(*id)).count(),
            ));
        }
        let named = run.plan().run != run.plan().snapshot;
        let journals = wanted.journals(connection, asked, &store, run.plan(), &attempt, terminal);
        if let Some(journals) = &journals {
            organization.keep_answers(Arc::clone(journals));
        }
        Ok(Begun::Open(Box::new(Self {
            store,
            run,
            shard,
            named: named && asked.resume.is_none(),
            written,
            journals,
        })))
    }

    /// Begins a run over the account of the credentials, or goes on with the one that is known; `new` is the snapshot that
    /// it makes. Nothing where no answers are kept: then there is nothing to go on with.
    ///
    /// # Errors
    /// When the run was begun with something else or by somebody of another account, or the store cannot be read.
    pub fn single(
        connection: &mut Connection,
        store: &Store,
        asked: &Asked,
        wanted: &Wanted<'_>,
        known: Option<RunPlan>,
        nonce: &str,
        terminal: &Terminal,
    ) -> Result<Option<Self>, Failure> {
        let own = RunPlan {
            accounts: vec![connection.account_id.clone()],
            ..wanted.plan(connection, nonce)
        };
        if let Some(known) = &known {
            if known.accounts != own.accounts {
                return Err(usage(
                    format!(
                        "the run {} is over the account {}, and these credentials are of {}",
                        known.snapshot,
                        known.accounts.join(", "),
                        connection.account_id
                    ),
                    "choose the credentials that it was begun with",
                ));
            }
            if let Some(what) = known.differs(&own) {
                let run = known.run.clone();
                return Err(StoreError::OtherRun { run, what }.into());
            }
        }
        let goes_on = known.is_some();
        let plan = known.unwrap_or(own);
        let attempt = store::nonce();
        let journals = wanted.journals(connection, asked, store, &plan, &attempt, terminal);
        let Some(journals) = journals else {
            return Ok(None);
        };
        if !goes_on && let Err(e) = journals.begin(&plan, store) {
            terminal.warn(&format!("the run cannot be gone on with: {e}"));
            return Ok(None);
        }
        let run = store.run_of(plan, &attempt);
        let written = match goes_on {
            false => BTreeSet::new(),
            true => connection
                .wait(async {
                    run.heal().await?;
                    run.state().await
                })?
                .written
                .into_iter()
                .collect(),
        };
        connection.keep_answers(&journals);
        Ok(Some(Self {
            store: store.clone(),
            run,
            shard: Shard::whole(),
            named: false,
            written,
            journals: Some(journals),
        }))
    }

    /// What an earlier attempt has read of an account, and in which regions.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn account_before(
        &self,
        snapshot: &Snapshot,
        account_id: &str,
        schemas: &dyn Schemas,
    ) -> Result<(Collected, Vec<String>), StoreError> {
        let part = snapshot.account(account_id).await?;
        let columns = part.tables.iter();
        let wanted = columns.map(|(name, t)| (name.clone(), t.columns.keys().cloned().collect()));
        let accounts = [account_id.to_owned()];
        let dataset = snapshot
            .dataset(&accounts, &wanted.collect(), schemas)
            .await?;
        let regions = match part.regions.is_empty() {
            // an attempt of an earlier version
            true => self.run.plan().regions.clone(),
            false => part.regions,
        };
        let coverage = part.coverage;
        Ok((Collected { dataset, coverage }, regions))
    }

    /// Whether an earlier attempt has written an account.
    pub fn has_written(&self, account_id: &str) -> bool {
        self.written.contains(account_id)
    }

    /// Accounts that an earlier attempt has written, and a snapshot that only this worker sees, which has them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn before(&self) -> Result<(&BTreeSet<String>, Snapshot), StoreError> {
        Ok((&self.written, self.run.draft().await?))
    }

    /// Keeps what was read of an account in some regions.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn account(
        &self,
        result: AccountResult<'_>,
        regions: &[String],
    ) -> Result<(), StoreError> {
        let begun = self.files(result.account_id);
        self.account_begun(begun, result, regions).await
    }

    /// For the tables of an account that are written while others are read.
    pub fn files(&self, account_id: &str) -> AccountFiles {
        self.run.account_files(account_id)
    }

    /// As [`Session::account`], of whose tables some are written already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn account_begun(
        &self,
        files: AccountFiles,
        result: AccountResult<'_>,
        regions: &[String],
    ) -> Result<(), StoreError> {
        // who was faster has read the same
        self.run.account_begun(files, result, regions).await?;
        if let Some(journals) = &self.journals {
            journals.done(result.account_id);
        }
        Ok(())
    }

    /// Notes the accounts that could not be entered. One that nobody lets in need not be tried again; anything else may
    /// go better the next time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn note_unread(
        &self,
        coverage: &Coverage,
        entered: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        for (error, _) in &coverage.failures {
            // a worker that was stopped says nothing of what it did not begin
            let begun = error.kind != CallErrorKind::NotMade;
            if begun && !error.account_id.is_empty() && !entered.contains(&error.account_id) {
                let settled = error.kind == CallErrorKind::Denied;
                self.run.unread(error, settled).await?;
            }
        }
        Ok(())
    }

    /// The end of this worker: commits if nothing is left for any other. Says whether this worker's part is done.
    ///
    /// # Errors
    /// When no account could be read, or the store cannot be read or written.
    pub fn end(
        &self,
        connection: &Connection,
        interrupted: bool,
        checks: Option<&[CheckSummary]>,
        terminal: &Terminal,
    ) -> Result<bool, StoreError> {
        // a worker that is alone has tried all: what it could not enter is in the snapshot as not read
        let incomplete = !self.named && !interrupted;
        if let Some(journals) = &self.journals {
            journals.tell(terminal);
        }
        let at = connect::system_time();
        let committed = connection.wait(async {
            match checks {
                None => self.run.commit(at, None, incomplete).await,
                Some(checks) => self.run.commit_judged(at, checks, incomplete).await,
            }
        });
        if let (Ok(_), Some(journals)) = (&committed, &self.journals) {
            journals.end();
        }
        match committed {
            Ok(Committed::Now(manifest)) => {
                let location = self.store.location();
                terminal.note(&format!("snapshot {} kept in {location}", manifest.id));
                Ok(true)
            }
            Ok(Committed::Before(manifest)) => {
                terminal.note(&format!(
                    "another worker has committed the snapshot {}",
                    manifest.id
                ));
                Ok(true)
            }
            Err(StoreError::NothingRead { .. }) if interrupted => {
                terminal.error(&format!("nothing was read; {}", self.go_on()));
                Ok(false)
            }
            Err(ref error @ StoreError::Unfinished { ref missing, .. }) => {
                let text = format!("the snapshot is not committed: {error}");
                let own = missing.iter().any(|m| self.shard.holds(&m.account_id));
                if own {
                    terminal.error(&format!("{text}\n{}", self.go_on()));
                } else {
                    if let Some(journals) = &self.journals {
                        journals.leave();
                    }
                    let shard = self.shard;
                    terminal.note(&format!(
                        "shard {shard} is done, and {text}; the last worker commits"
                    ));
                }
                Ok(!own)
            }
            Err(error) => Err(error),
        }
    }

    fn go_on(&self) -> String {
        let plan = self.run.plan();
        if self.named {
            format!(
                "the same command again (`--run {} --shard {}`) reads what is missing",
                plan.run, self.shard
            )
        } else {
            format!(
                "the same command with `--resume {}` reads what is missing",
                plan.snapshot
            )
        }
    }
}

/// The accounts of a plan, as if they had been listed now.
pub fn planned(plan: &RunPlan) -> Discovered {
    let members = plan.accounts.iter().map(|id| Member {
        id: id.clone(),
        ..Member::default()
    });
    Discovered {
        members: members.collect(),
        left_out: plan.left_out.clone(),
    }
}

//! Runs over many accounts: which share of them this worker reads, what of it an earlier attempt has read, and the one
//! commit of all.
use super::connect::{self, Connection};
use super::organization::Organization;
use super::store;
use crate::cli::{OrganizationArgs, ResumeArgs, RunArgs, Target};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::{ColumnSelection, Request};
use palisade_core::{CallError, CallErrorKind, CheckSummary, Coverage};
use palisade_scan::organization::{Discovered, Member};
use palisade_store::{
    AccountResult, Committed, Manifest, NewSnapshot, Run, RunPlan, RunState, Shard, Store,
    StoreError, fingerprint,
};
use std::collections::BTreeSet;

/// What the user said of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The run's name; without one, its snapshot's id is its name, and this worker is the only one.
    name: Option<String>,
    shard: Shard,
    resume: Option<String>,
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
        })
    }

    /// A command that no other worker shares.
    pub fn alone(args: &ResumeArgs) -> Self {
        Self {
            name: None,
            shard: Shard::whole(),
            resume: args.resume.clone(),
        }
    }

    /// Something was said that has a meaning for many accounts only.
    pub fn is_asked(&self) -> bool {
        self.name.is_some() || self.resume.is_some()
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
    /// Checks are evaluated with it.
    pub judged: bool,
}

impl Wanted<'_> {
    /// What all workers of a run must have in common: tables, columns, and the choice of accounts and regions.
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
        );
        text.push_str(&format!("{chosen:?}"));
        fingerprint(&text)
    }
}

/// What there is to do.
pub enum Opened<'c> {
    /// The run, and its accounts.
    Open(Box<Session<'c>>, Organization<'c>),
    /// Somebody has committed it.
    Done(Manifest),
}

/// One worker's part in a run.
pub struct Session<'c> {
    connection: &'c Connection,
    store: Store,
    run: Run,
    shard: Shard,
    named: bool,
}

impl<'c> Session<'c> {
    /// Begins the run, or joins it; gives the accounts that are left for this worker.
    ///
    /// # Errors
    /// When the accounts cannot be listed, there is no such run, or it was begun with something else.
    pub fn open(
        connection: &'c Connection,
        store: Store,
        asked: &Asked,
        wanted: &Wanted<'_>,
        terminal: &Terminal,
    ) -> Result<Opened<'c>, Failure> {
        let attempt = store::nonce();
        let known = connection.wait(async {
            match (&asked.resume, &asked.name) {
                (Some(wanted), _) => store.find_run(wanted, &attempt).await.map(Some),
                (None, Some(name)) => store.run(name, &attempt).await,
                (None, None) => Ok(None),
            }
        })?;
        let discovered = known.as_ref().map(|run| planned(run.plan()));
        let joined = known.is_some();
        let mut organization = Organization::with(
            connection,
            wanted.target,
            wanted.organization,
            discovered,
            terminal,
        )?;
        let new = NewSnapshot {
            nonce: attempt.clone(),
            started_at: connection.now,
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: wanted.catalog.fingerprint.clone(),
            regions: connection.regions.clone(),
        };
        let name = match &known {
            Some(run) => run.plan().run.clone(),
            None => asked.name.clone().unwrap_or_else(|| new.id()),
        };
        let shards = match (&known, &asked.resume) {
            // who goes on with what several workers began does all that they have left
            (Some(run), Some(_)) => run.plan().shards,
            _ => asked.shard.of(),
        };
        let plan = RunPlan {
            format: palisade_store::FORMAT,
            run: name,
            snapshot: new.id(),
            started_at: new.started_at,
            palisade: new.palisade,
            catalog: new.catalog,
            regions: new.regions,
            shards,
            asks: wanted.asks(),
            judged: wanted.judged,
            accounts: organization.ids(),
            left_out: organization.left_out().to_vec(),
        };
        let run = connection.wait(async {
            let run = store.begin_run(plan, &attempt).await?;
            if joined {
                run.touch().await?;
            }
            Ok::<_, StoreError>(run)
        })?;
        let named = run.plan().run != run.plan().snapshot;
        let session = Self {
            connection,
            store,
            run,
            shard: asked.shard,
            named: named && asked.resume.is_none(),
        };
        if let Some(manifest) = connection.wait(session.run.committed())? {
            return Ok(Opened::Done(manifest));
        }
        let state = session.state()?;
        let written: BTreeSet<&String> = state.written.iter().collect();
        // the first worker's list counts, also for one that listed them at the same time
        organization.read_these(planned(session.run.plan()), |id| {
            session.shard.holds(id) && !written.contains(&id.to_owned())
        });
        if session.shard.of() > 1 || joined {
            let own = session.own(&session.run.plan().accounts);
            let done = own.iter().filter(|id| written.contains(id)).count();
            terminal.note(&format!(
                "run {}, shard {}: {} of {} accounts, of which {done} are written already",
                session.run.plan().run,
                session.shard,
                own.len(),
                session.run.plan().accounts.len(),
            ));
        }
        Ok(Opened::Open(Box::new(session), organization))
    }

    fn own(&self, accounts: &[String]) -> Vec<String> {
        let own = accounts.iter().filter(|id| self.shard.holds(id));
        own.cloned().collect()
    }

    /// The run itself.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// How far it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self) -> Result<RunState, Failure> {
        Ok(self.connection.wait(self.run.state())?)
    }

    /// Keeps what was read of an account.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn account(&self, result: AccountResult<'_>) -> Result<(), Failure> {
        // who was faster has read the same
        self.connection.wait(self.run.account(result))?;
        Ok(())
    }

    /// Notes the accounts that could not be entered. One that nobody lets in need not be tried again; anything else may
    /// go better the next time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn note_unread(
        &self,
        coverage: &Coverage,
        entered: &BTreeSet<String>,
    ) -> Result<(), Failure> {
        let lost = coverage.failures.iter().map(|(error, _)| error);
        let lost = lost.filter(|e| is_of_an_account(e) && !entered.contains(&e.account_id));
        for error in lost {
            // a worker that was stopped says nothing of what it did not begin
            if error.kind == CallErrorKind::NotMade {
                continue;
            }
            let settled = error.kind == CallErrorKind::Denied;
            self.connection.wait(self.run.unread(error, settled))?;
        }
        Ok(())
    }

    /// The end of this worker: commits if nothing is left for any other. Says whether this worker's part is done.
    ///
    /// # Errors
    /// When no account could be read, or the store cannot be read or written.
    pub fn end(
        &self,
        interrupted: bool,
        checks: Option<&[CheckSummary]>,
        terminal: &Terminal,
    ) -> Result<bool, Failure> {
        // a worker that is alone has tried all: what it could not enter is in the snapshot as not read
        let incomplete = !self.named && !interrupted;
        let at = connect::system_time();
        let committed = self.connection.wait(async {
            match checks {
                None => self.run.commit(at, None, incomplete).await,
                Some(checks) => self.run.commit_judged(at, checks, incomplete).await,
            }
        });
        match committed {
            Ok(Committed::Now(manifest)) => {
                self.kept(&manifest, terminal);
                Ok(true)
            }
            Ok(Committed::Before(manifest)) => {
                terminal.note(&format!(
                    "another worker has committed the snapshot {}",
                    manifest.id
                ));
                Ok(true)
            }
            Err(error) => match error {
                StoreError::Unfinished { ref missing, .. } => {
                    let own = missing.iter().any(|m| self.shard.holds(&m.account_id));
                    let text = format!("the snapshot is not committed: {error}");
                    if own {
                        terminal.error(&format!("{text}\n{}", self.go_on()));
                    } else {
                        terminal.note(&format!(
                            "shard {} is done, and {text}; the last worker commits",
                            self.shard
                        ));
                    }
                    Ok(!own)
                }
                StoreError::NothingRead { .. } if interrupted => {
                    terminal.error(&format!("nothing was read\n{}", self.go_on()));
                    Ok(false)
                }
                other => Err(other.into()),
            },
        }
    }

    fn kept(&self, manifest: &Manifest, terminal: &Terminal) {
        let location = self.store.location();
        terminal.note(&format!("snapshot {} kept in {location}", manifest.id));
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

/// The error is that of an account that could not be entered or read.
fn is_of_an_account(error: &CallError) -> bool {
    !error.account_id.is_empty()
}

/// The accounts of a plan, as if they had been listed now.
fn planned(plan: &RunPlan) -> Discovered {
    let members = plan.accounts.iter().map(|id| Member {
        id: id.clone(),
        ..Member::default()
    });
    Discovered {
        members: members.collect(),
        left_out: plan.left_out.clone(),
    }
}

//! `palisade fix apply` and `palisade fix undo`
use super::recheck::Fresh;
use super::{protection, read_plan, settings};
use crate::Outcome;
use crate::cli::{FixApply, FixUndo, Global, Target};
use crate::commands::connect::{Connection, limits, system_time};
use crate::commands::organization::{Entered, enter};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::{Given, Settings};
use palisade_fix::{
    Access, Apply, Event, FixError, Journal, Limits, Plan, Protection, Undo, Who, check_limits,
    check_plan,
};
use palisade_model::Models;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Applies a plan, or shows what would be sent.
pub fn apply(
    args: FixApply,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let resumed = match &args.resume {
        Some(name) => Some(palisade_fix::read_run(&args.runs.folder, name)?),
        None => None,
    };
    let plan = match (&resumed, &args.plan) {
        (Some(run), _) => run.plan.clone(),
        (None, Some(path)) => read_plan(path)?,
        (None, None) => {
            return Err(Failure::Usage {
                message: "a plan is needed".to_owned(),
                hint: None,
            });
        }
    };
    let mut target = args.target;
    let settings = settings(&mut target, given, global, &catalog)?;
    let protection = protection(&args.protect, &settings);
    let limits = Limits {
        resources: args.max_resources,
        per_account: args.max_per_account,
        production: production(&args.production, &settings),
        allowed: args.allow,
        irreversible: args.allow_irreversible,
    };
    regions_of_the_plan(&mut target, &plan);
    let models = Arc::new(Models::embedded());
    let connection = Connection::open(&target, &models, terminal)?;
    let role = account_role(args.others.account_role.as_deref(), &settings);
    let accounts = accounts(&plan, &connection, role.as_deref());
    check_plan(&plan, &catalog, &accounts, connection.now)?;
    check_limits(&plan, &limits)?;
    if plan.items.is_empty() {
        terminal.note("the plan changes nothing");
        return Ok(Outcome::Done);
    }
    if plan.retirement.is_some() {
        if !args.retire {
            return Err(FixError::Retire(
                "the plan schedules the deletion of a key: --retire says that this is meant"
                    .to_owned(),
            )
            .into());
        }
        super::retire::still_holds(&plan, &connection, &models)?;
    }
    if args.approve.is_none() {
        let text = palisade_fix::plan_text(&plan);
        to_stdout(|out| out.write_all(text.as_bytes()))?;
    }
    let approve = args.approve.as_deref();
    if !approved(approve, &plan.hash, "apply this plan", terminal)? {
        terminal.note(&format!(
            "nothing was sent; to apply: --approve {}",
            plan.hash
        ));
        return Ok(Outcome::Done);
    }
    let others = entered(&plan, &connection, &target, role.as_deref(), &models)?;
    let who = who(&connection);
    let (mut journal, resumed) = match &resumed {
        Some(run) => {
            let mut journal = Journal::open(run)?;
            // it may have grown before it was locked
            let run = palisade_fix::read_run(&args.runs.folder, &run.name)?;
            journal.resume(&who, system_time())?;
            (journal, Some(run))
        }
        None => (
            Journal::begin(&args.runs.folder, &plan, &who, system_time())?,
            None,
        ),
    };
    terminal.note(&format!("run {}", journal.name()));
    let work = Work {
        connection: &connection,
        others: &others,
        catalog: &catalog,
        models: &models,
        target: &target,
        protection: &protection,
        keep_going: args.keep_going,
        settle: args.settle,
        plan: &plan,
        terminal,
    };
    let done =
        work.with(|apply| connection.block_on(apply.run(&plan, &mut journal, resumed.as_ref())))?;
    let name = journal.name().to_owned();
    drop(journal);
    let run = palisade_fix::read_run(&args.runs.folder, &name)?;
    let bad = plan
        .items
        .iter()
        .any(|item| run.outcome(item.number).is_none_or(|o| !o.is_wanted()));
    let way_back = if run.may_stand() {
        format!("`palisade fix undo {name}` takes it back")
    } else {
        "nothing was changed".to_owned()
    };
    terminal.note(&format!("journal: {}; {way_back}", run.path.display()));
    Ok(if done && !bad {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

/// Takes a run back, or shows what would be sent.
pub fn undo(
    args: FixUndo,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let run = palisade_fix::read_run(&args.runs.folder, &args.run)?;
    let plan = run.plan.clone();
    if let Some(wrong) = args
        .item
        .iter()
        .find(|n| plan.items.iter().all(|i| i.number != **n))
    {
        return Err(Failure::Usage {
            message: format!("the plan of the run has no item {wrong}"),
            hint: None,
        });
    }
    let mut target = args.target;
    let settings = settings(&mut target, given, global, &catalog)?;
    let protection = protection(&args.protect, &settings);
    let limits = Limits {
        resources: usize::MAX,
        per_account: usize::MAX,
        production: production(&args.production, &settings),
        allowed: args.allow,
        irreversible: true,
    };
    regions_of_the_plan(&mut target, &plan);
    let models = Arc::new(Models::embedded());
    let connection = Connection::open(&target, &models, terminal)?;
    check_limits(&plan, &limits)?;
    let role = account_role(args.others.account_role.as_deref(), &settings);
    let accounts = accounts(&plan, &connection, role.as_deref());
    if let Some(item) = plan
        .items
        .iter()
        .find(|i| !accounts.contains(&i.account_id))
    {
        return Err(FixError::OtherAccount {
            plan: item.account_id.clone(),
            here: connection.account_id.clone(),
        }
        .into());
    }
    let hash = palisade_fix::undo_hash(&run, &args.item);
    if args.approve.is_none() {
        let text = palisade_fix::undo_text(&run, &args.item);
        to_stdout(|out| out.write_all(text.as_bytes()))?;
    }
    let approve = args.approve.as_deref();
    if !approved(approve, &hash, "take this back", terminal)? {
        terminal.note(&format!(
            "nothing was sent; to take it back: --approve {hash}"
        ));
        return Ok(Outcome::Done);
    }
    let others = entered(&plan, &connection, &target, role.as_deref(), &models)?;
    let who = who(&connection);
    let mut journal = Journal::open(&run)?;
    // it may have grown before it was locked: what is sent is what was approved
    let run = palisade_fix::read_run(&args.runs.folder, &run.name)?;
    let now = palisade_fix::undo_hash(&run, &args.item);
    if now != hash {
        return Err(FixError::NotApproved {
            approved: hash,
            hash: now,
        }
        .into());
    }
    let work = Work {
        connection: &connection,
        others: &others,
        catalog: &catalog,
        models: &models,
        target: &target,
        protection: &protection,
        keep_going: true,
        settle: args.settle,
        plan: &plan,
        terminal,
    };
    let outcome = work.with(|apply| {
        let undo = Undo {
            apply,
            catalog: &catalog,
            items: &args.item,
        };
        connection.block_on(undo.run(&run, &who, &mut journal))
    })?;
    terminal.note(&format!(
        "{} taken back, {} left as they are; journal: {}",
        outcome.undone,
        outcome.left,
        run.path.display()
    ));
    Ok(if outcome.left == 0 {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

/// What both need.
struct Work<'a> {
    connection: &'a Connection,
    /// The accounts of the plan other than that of the credentials.
    others: &'a BTreeMap<String, Entered>,
    catalog: &'a Arc<Catalog>,
    models: &'a Arc<Models>,
    target: &'a Target,
    protection: &'a Protection,
    keep_going: bool,
    settle: u32,
    plan: &'a Plan,
    terminal: &'a Terminal,
}

impl Work<'_> {
    fn with<T>(&self, work: impl FnOnce(&Apply<'_>) -> Result<T, FixError>) -> Result<T, Failure> {
        let writer = self.connection.writer(self.models)?;
        let Some(reader) = self.connection.api() else {
            return Err(Failure::Connect {
                message: "there is no account".to_owned(),
                hint: None,
            });
        };
        let recheck = Fresh {
            connection: self.connection,
            others: self.others,
            catalog: self.catalog,
            limits: limits(self.target),
            regions: &self.plan.regions,
        };
        let stopped = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stopped);
        let waiter = self.connection.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                asked.store(true, Ordering::Relaxed);
            }
        });
        let stop = || stopped.load(Ordering::Relaxed);
        let notify = |event: &Event| self.tell(event);
        let here = self.connection.account_id.as_str();
        let access = |account: &str| match self.others.get(account) {
            Some(entered) => Some(Access {
                reader: entered.reader.as_ref(),
                writer: entered.writer.as_ref(),
            }),
            None => (account == here).then_some(Access {
                reader: reader.as_ref(),
                writer: writer.as_ref(),
            }),
        };
        let apply = Apply {
            access: &access,
            models: self.models,
            now: &system_time,
            recheck: &recheck,
            protection: self.protection,
            keep_going: self.keep_going,
            settle: self.settle,
            stop: &stop,
            notify: &notify,
        };
        let done = work(&apply);
        waiter.abort();
        Ok(done?)
    }

    fn tell(&self, event: &Event) {
        if let Event::Item {
            item,
            outcome,
            reason,
            ..
        } = event
        {
            let of = self.plan.items.iter().find(|i| i.number == *item);
            let resource = of.map(|i| i.resource.as_str()).unwrap_or_default();
            let reason = reason.as_deref().map(|r| format!(": {r}"));
            self.terminal.note(&format!(
                "{item}. {resource} {}{}",
                outcome.as_str(),
                reason.unwrap_or_default()
            ));
        }
    }
}

/// Whether somebody says yes to exactly what has this hash. Without a terminal and without --approve nobody does.
fn approved(
    given: Option<&str>,
    hash: &str,
    question: &str,
    terminal: &Terminal,
) -> Result<bool, Failure> {
    if let Some(given) = given {
        return if given == hash {
            Ok(true)
        } else {
            Err(FixError::NotApproved {
                approved: given.to_owned(),
                hash: hash.to_owned(),
            }
            .into())
        };
    }
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    terminal.warn(&format!("{question}? Type `yes` to go on"));
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && answer.trim() == "yes")
}

/// The role that changes in other accounts: the flag, else the file.
fn account_role(given: Option<&str>, settings: &Settings) -> Option<String> {
    let given = given.map(str::to_owned);
    given.or_else(|| settings.text("fix.account_role"))
}

/// The accounts for which there are credentials: that of the connection, and with a role those of the plan.
fn accounts(plan: &Plan, connection: &Connection, role: Option<&str>) -> Vec<String> {
    let mut accounts = vec![connection.account_id.clone()];
    if role.is_some() {
        accounts.extend(others(plan, connection));
    }
    accounts
}

fn others(plan: &Plan, connection: &Connection) -> BTreeSet<String> {
    let all = plan.items.iter().map(|item| &item.account_id);
    all.filter(|id| **id != connection.account_id)
        .cloned()
        .collect()
}

/// Enters the other accounts of the plan. They are entered before anything is sent.
fn entered(
    plan: &Plan,
    connection: &Connection,
    target: &Target,
    role: Option<&str>,
    models: &Arc<Models>,
) -> Result<BTreeMap<String, Entered>, Failure> {
    let Some(role) = role else {
        return Ok(BTreeMap::new());
    };
    let accounts: Vec<String> = others(plan, connection).into_iter().collect();
    enter(connection, target, role, &accounts, models)
}

fn who(connection: &Connection) -> Who {
    Who {
        arn: connection.caller.clone(),
        account_id: connection.account_id.clone(),
    }
}

fn production(given: &[String], settings: &Settings) -> Vec<String> {
    let mut all = settings.texts("fix.production");
    all.extend(given.iter().cloned());
    all
}

/// The regions that the plan read, unless the user says others.
fn regions_of_the_plan(target: &mut Target, plan: &Plan) {
    if target.region.is_empty() && !target.is_recorded() {
        target.region.clone_from(&plan.regions);
    }
}

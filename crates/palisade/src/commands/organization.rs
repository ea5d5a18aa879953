//! Many accounts: `--organization`, `--accounts`. Each is read, handed on and let go of; what was given is asked for
//! what is the same for all.
use super::connect::{self, Connection};
use super::journal::Journals;
use crate::cli::{OrganizationArgs, Target};
use crate::error::Failure;
use crate::output::Terminal;
use crate::progress::Accounts;
use palisade_aws::{CallFailure, Client, Role};
use palisade_collect::{AccountTarget, Collected, Limits, Request, Targets};
use palisade_core::{CallError, CallErrorKind, CallStatistics, Coverage, LeftOutAccount, Region};
use palisade_journal::Journaled;
use palisade_model::{Api, Models, OperationStatistics, Regions};
use palisade_scan::Scanner;
use palisade_scan::organization::{
    DiscoverError, Discovered, Filters, Member, MemberApi, Merge, SharedAnswers, discover,
    is_account_id, is_shared, merge_datasets,
};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// The accounts that are meant, and how to get into them.
pub struct Organization<'c> {
    connection: &'c Connection,
    members: Vec<Member>,
    left_out: Vec<LeftOutAccount>,
    shared: Option<Arc<SharedAnswers>>,
    /// Below what is shared: what keeps it for another attempt.
    kept: Option<Arc<Journaled>>,
    entry: Arc<Entry>,
    max_accounts: usize,
    /// What had been sent before anything was asked about the organisation.
    before: Vec<OperationStatistics>,
}

/// An account that was read.
pub struct Read {
    /// Twelve digits.
    pub account_id: String,
    /// The regions that were read, sorted.
    pub regions: Vec<String>,
    /// What was read of it.
    pub collected: Collected,
    /// Answers for it; nothing where it was read before.
    pub api: Option<Arc<dyn Api>>,
}

impl Read {
    /// What was read of the account of the credentials.
    ///
    /// # Errors
    /// When there is no account.
    pub fn of(connection: &Connection, collected: Collected) -> Result<Self, Failure> {
        let Some(api) = connection.api() else {
            return Err(usage("there is no account".to_owned(), None));
        };
        Ok(Self {
            account_id: connection.account_id.clone(),
            regions: connection.regions.clone(),
            collected,
            api: Some(api),
        })
    }
}

/// What every account needs to be read.
struct Entry {
    client: Client,
    own: AccountTarget,
    shared: Option<Arc<SharedAnswers>>,
    regions: Arc<Regions>,
    every_region: bool,
    role: RoleOf,
    /// Where answers are kept for another attempt.
    journals: OnceLock<Arc<Journals>>,
}

/// The role of the same name in every account, and how it is assumed.
struct RoleOf {
    partition: String,
    name: String,
    external_id: Option<String>,
    session_name: Option<String>,
    duration: Option<Duration>,
}

impl RoleOf {
    /// # Errors
    /// When the name is none.
    fn new(name: &str, partition: &str, target: &Target) -> Result<Self, Failure> {
        check_role(name)?;
        Ok(Self {
            partition: partition.to_owned(),
            name: name.trim_start_matches('/').to_owned(),
            external_id: target.external_id.clone(),
            session_name: target.session_name.clone(),
            duration: target
                .session_duration
                .map(|seconds| Duration::from_secs(seconds.into())),
        })
    }

    fn of(&self, account_id: &str) -> Role {
        Role {
            arn: format!(
                "arn:{}:iam::{account_id}:role/{}",
                self.partition, self.name
            ),
            external_id: self.external_id.clone(),
            session_name: self.session_name.clone(),
            duration: self.duration,
        }
    }
}

/// What came of an account.
enum Came {
    Read(Box<Read>),
    /// It could not be entered, or was not begun.
    Unread(CallError),
    /// The calls cannot be planned: a mistake of ours, the same for all.
    Broken(Failure),
}

impl<'c> Organization<'c> {
    /// Finds out which accounts are meant.
    ///
    /// # Errors
    /// When they cannot be listed, or the user named what is not there.
    pub fn open(
        connection: &'c Connection,
        target: &Target,
        args: &OrganizationArgs,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        Self::with(connection, target, args, (None, false), terminal)
    }

    /// The same, where somebody may have found out before. Where answers are kept (`keeps`), those about the organisation
    /// are, too.
    ///
    /// # Errors
    /// As [`Organization::open`].
    pub fn with(
        connection: &'c Connection,
        target: &Target,
        args: &OrganizationArgs,
        (known, keeps): (Option<Discovered>, bool),
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let filters = filters(args)?;
        check_ids(&args.accounts)?;
        let (client, models) = connection.client();
        let before = client.statistics();
        let (Some(own), regions) = connection.account() else {
            return Err(usage("there is no account".to_owned(), None));
        };
        let role = RoleOf::new(&args.organization_role, &own.partition, target)?;
        let asked = args.accounts.is_empty();
        let journaled =
            || Journaled::without(Arc::clone(&own.api), is_shared, connect::system_time);
        let kept = (asked && keeps).then(|| Arc::new(journaled()));
        let asked_of: Arc<dyn Api> = match &kept {
            Some(kept) => Arc::clone(kept) as Arc<dyn Api>,
            None => Arc::clone(&own.api),
        };
        let shared = asked.then(|| Arc::new(SharedAnswers::new(asked_of)));
        let known_before = known.is_some();
        let found = match (known, &shared) {
            (Some(known), _) => known,
            (None, Some(shared)) => {
                let found = discover(shared.as_ref(), models, &own.home_region, &filters);
                connection.wait(found).map_err(discovery)?
            }
            (None, None) => listed(&args.accounts, &filters)?,
        };
        let mut own = own.clone();
        if let Some(shared) = &shared {
            own.api = Arc::clone(shared) as Arc<dyn Api>;
        }
        let entry = Entry {
            client: client.clone(),
            own,
            shared: shared.clone(),
            regions: Arc::clone(regions),
            every_region: target.region.iter().any(|r| r == "all"),
            role,
            journals: OnceLock::new(),
        };
        if !known_before {
            tell(&found, terminal);
        }
        Ok(Self {
            connection,
            members: found.members,
            left_out: found.left_out,
            shared,
            kept,
            entry: Arc::new(entry),
            max_accounts: usize::from(args.max_accounts.max(1)),
            before,
        })
    }

    /// Keeps what is answered from here on, and what was answered about the organisation before; takes from there what was
    /// answered before. Once.
    pub fn keep_answers(&self, journals: Arc<Journals>) {
        if let Some(kept) = &self.kept
            && let Some(journal) = journals.of_organization(&self.entry.own.account_id)
        {
            kept.attach(journal);
        }
        // the first counts
        let _ = self.entry.journals.set(journals);
    }

    /// The ids of the accounts that are read, sorted.
    pub fn ids(&self) -> Vec<String> {
        self.members.iter().map(|m| m.id.clone()).collect()
    }

    /// The accounts that are not read, with why.
    pub fn left_out(&self) -> &[LeftOutAccount] {
        &self.left_out
    }

    /// Reads those of these accounts that are kept, in place of its own.
    pub fn read_these(&mut self, found: Discovered, keep: impl Fn(&str) -> bool) {
        self.members = found.members;
        self.members.retain(|m| keep(&m.id));
        self.left_out = found.left_out;
    }

    /// Reads the accounts, several at once, and hands each on as soon as it is read. What could not be read, and what is
    /// nobody's own, is in the merge. `wanted` says what an account is asked.
    ///
    /// # Errors
    /// What `each` says, and when the calls cannot be planned.
    pub fn read(
        &self,
        scanner: &Arc<Scanner>,
        wanted: impl Fn(&str) -> Arc<Request>,
        limits: &Limits,
        terminal: &Terminal,
        merge: &mut Merge,
        mut each: impl FnMut(&mut Merge, Read) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let progress = Arc::new(Accounts::new(terminal.progress(), self.members.len()));
        let (stop, stopped) = watch::channel(false);
        let interrupt = stop.clone();
        let waiter = self.connection.spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                // nobody listens any more when everything is read
                let _ = interrupt.send(true);
            }
        });
        let work = self.members.iter().map(|member| Work {
            account_id: member.id.clone(),
            request: wanted(&member.id),
            entry: Arc::clone(&self.entry),
            scanner: Arc::clone(scanner),
            limits: limits.clone(),
            progress: Arc::clone(&progress),
            stopped: stopped.clone(),
        });
        let (sender, mut came) = mpsc::channel(1);
        let driver = drive(work.collect(), self.max_accounts, stopped, sender);
        let driver = self.connection.spawn(driver);
        let mut own = Vec::new();
        let mut ended = Ok(());
        while let Some(next) = came.blocking_recv() {
            let done = match next {
                Came::Read(read) => {
                    if read.account_id == self.connection.account_id {
                        own.clone_from(&read.collected.coverage.calls);
                    }
                    each(merge, *read)
                }
                Came::Unread(error) => {
                    merge.add_failure(error);
                    Ok(())
                }
                Came::Broken(failure) => Err(failure),
            };
            progress.done();
            if done.is_err() {
                ended = done;
                break;
            }
        }
        driver.abort();
        waiter.abort();
        progress.finish();
        let interrupted = *stop.borrow();
        merge.add_coverage(Coverage {
            left_out: self.left_out.clone(),
            interrupted,
            ..Coverage::default()
        });
        merge.add_requests(&self.unowned(&own));
        if interrupted {
            terminal.warn("stopped; what was read until now is evaluated, the rest is unknown");
        }
        ended
    }

    /// Whether an account is the one that is asked for what belongs to the organisation: that of the credentials, else the
    /// first.
    pub fn speaks(&self, account_id: &str) -> bool {
        let own = &self.connection.account_id;
        let first = self.members.iter().find(|m| m.id == *own);
        first
            .or(self.members.first())
            .is_some_and(|m| m.id == account_id)
    }

    /// Whether the organisation is known; else only a list of accounts.
    pub fn is_known(&self) -> bool {
        self.shared.is_some()
    }

    /// The tables of all accounts as one, and what could not be read of them. Tables of the organisation are read once.
    ///
    /// # Errors
    /// As [`Organization::read`].
    pub fn collect(
        &self,
        scanner: &Arc<Scanner>,
        request: &Request,
        organization_tables: &[String],
        limits: &Limits,
        terminal: &Terminal,
    ) -> Result<Collected, Failure> {
        let whole = Arc::new(request.clone());
        let mut without = request.clone();
        if self.is_known() {
            let is_shared = |t: &String| organization_tables.contains(t);
            without.tables.retain(|table, _| !is_shared(table));
        }
        let without = Arc::new(without);
        let wanted = |account: &str| {
            Arc::clone(if self.speaks(account) {
                &whole
            } else {
                &without
            })
        };
        let mut parts = BTreeMap::new();
        let mut merge = Merge::default();
        self.read(
            scanner,
            wanted,
            limits,
            terminal,
            &mut merge,
            |merge, read| {
                merge.add_coverage(read.collected.coverage);
                parts.insert(read.account_id, read.collected.dataset);
                Ok(())
            },
        )?;
        let coverage = merge.coverage();
        some_account(parts.len(), &coverage)?;
        Ok(Collected {
            dataset: merge_datasets(parts.into_values()),
            coverage,
        })
    }

    /// What was sent with the given credentials and is in no account's coverage: for the list of accounts, for roles, and
    /// for what other accounts wanted to know of the organisation.
    fn unowned(&self, own: &[CallStatistics]) -> Vec<OperationStatistics> {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (client, _) = self.connection.client();
        let mut sent = client.statistics();
        for now in &mut sent {
            let same =
                |s: &&OperationStatistics| s.service == now.service && s.operation == now.operation;
            let before = self.before.iter().find(same).cloned().unwrap_or_default();
            let name = format!("{}:{}", now.service, now.operation);
            let counted = own.iter().find(|c| c.operation == name);
            let (requests, throttled) = counted.map_or((0, 0), |c| (c.requests, c.throttled));
            now.requests = now
                .requests
                .saturating_sub(before.requests + number(requests));
            now.throttled = now
                .throttled
                .saturating_sub(before.throttled + number(throttled));
        }
        sent
    }
}

/// An organisation of which no account could be read has no posture.
///
/// # Errors
/// When it is so.
pub fn some_account(read: usize, coverage: &Coverage) -> Result<(), Failure> {
    if read > 0 {
        return Ok(());
    }
    let why: Vec<String> = coverage
        .failures
        .iter()
        .take(5)
        .map(|(e, _)| format!("{}: {e} ({})", e.account_id, e.message))
        .collect();
    Err(Failure::Connect {
        message: format!("no account could be read: {}", why.join("; ")),
        hint: Some(
            "docs/organizations.md says which role each account needs, and --organization-role names it"
                .to_owned(),
        ),
    })
}

/// Enters accounts by a role of this name in each, to change something there; none is entered twice.
///
/// # Errors
/// When the name is none, or a role cannot be assumed: nothing was sent then.
pub fn enter(
    connection: &Connection,
    target: &Target,
    role: &str,
    accounts: &[String],
    models: &Arc<Models>,
) -> Result<BTreeMap<String, Entered>, Failure> {
    let (Some(own), _) = connection.account() else {
        return Err(usage("there is no account".to_owned(), None));
    };
    let role = RoleOf::new(role, &own.partition, target)?;
    let (reader, _) = connection.client();
    let writer = connection.once(models)?;
    let mut entered = BTreeMap::new();
    for account_id in accounts {
        let role = role.of(account_id);
        let arn = role.arn.clone();
        let assumed = connection.wait(async {
            let reads = reader.assume(role.clone()).await?;
            Ok::<_, CallFailure>((reads, writer.assume(role).await?))
        });
        let (reads, writes) = assumed.map_err(|failure| Failure::Connect {
            message: format!("`{arn}` cannot be assumed: {failure}"),
            hint: Some(
                "nothing was sent; docs/fix.md says what the role that changes needs".to_owned(),
            ),
        })?;
        let reader: Arc<dyn Api> = Arc::new(reads);
        entered.insert(
            account_id.clone(),
            Entered {
                target: AccountTarget {
                    account_id: account_id.clone(),
                    api: Arc::clone(&reader),
                    ..own.clone()
                },
                reader,
                writer: Arc::new(writes),
            },
        );
    }
    Ok(entered)
}

/// Somebody who reads and somebody who changes in an account.
pub struct Entered {
    /// The account as it is read.
    pub target: AccountTarget,
    /// Reads states.
    pub reader: Arc<dyn Api>,
    /// Makes every call once.
    pub writer: Arc<dyn Api>,
}

/// Which accounts are read, and which are not.
fn tell(found: &Discovered, terminal: &Terminal) {
    let suspended = found
        .left_out
        .iter()
        .filter(|l| l.reason.starts_with("its status"));
    for account in suspended {
        terminal.note(&format!(
            "left out: {} ({}): {}",
            account.account_id, account.name, account.reason
        ));
    }
    terminal.note(&format!(
        "{} accounts are read, {} are left out",
        found.members.len(),
        found.left_out.len()
    ));
}

struct Work {
    account_id: String,
    request: Arc<Request>,
    entry: Arc<Entry>,
    scanner: Arc<Scanner>,
    limits: Limits,
    progress: Arc<Accounts>,
    stopped: watch::Receiver<bool>,
}

/// Begins accounts in their order, as many at once as there may be. An account keeps its place until what it gave was
/// taken: so many, and one more, are in memory.
async fn drive(
    work: Vec<Work>,
    at_once: usize,
    mut stopped: watch::Receiver<bool>,
    sender: mpsc::Sender<Came>,
) {
    let places = Arc::new(Semaphore::new(at_once));
    let mut tasks = JoinSet::new();
    for account in work {
        while tasks.try_join_next().is_some() {}
        let place = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => None,
            place = Arc::clone(&places).acquire_owned() => place.ok(),
        };
        let Some(place) = place else {
            let error = account.entry.unread(&account.account_id, &not_begun());
            if sender.send(Came::Unread(error)).await.is_err() {
                return;
            }
            continue;
        };
        let sender = sender.clone();
        tasks.spawn(async move {
            let came = account.read().await;
            // whoever took the results has given up
            let _ = sender.send(came).await;
            drop(place);
        });
    }
    while tasks.join_next().await.is_some() {}
}

impl Work {
    async fn read(mut self) -> Came {
        let entered = tokio::select! {
            biased;
            _ = self.stopped.wait_for(|stop| *stop) => Err(self.entry.unread(&self.account_id, &not_begun())),
            entered = self.entry.enter(&self.account_id) => entered,
        };
        let target = match entered {
            Ok(target) => target,
            Err(error) => return Came::Unread(error),
        };
        let regions = target.regions.iter().map(ToString::to_string).collect();
        let api = Arc::clone(&target.api);
        let targets = Targets {
            accounts: vec![target],
            regions: Arc::clone(&self.entry.regions),
        };
        let progress = self.progress.part(&self.account_id);
        let collected = self
            .scanner
            .collect(
                &self.request,
                &targets,
                &self.limits,
                &progress,
                self.stopped,
            )
            .await;
        match collected {
            Ok(collected) => Came::Read(Box::new(Read {
                account_id: self.account_id,
                regions,
                collected,
                api: Some(api),
            })),
            Err(error) => Came::Broken(error.into()),
        }
    }
}

impl Entry {
    /// Somebody who answers for an account.
    async fn enter(&self, account_id: &str) -> Result<AccountTarget, CallError> {
        if account_id == self.own.account_id {
            let shared = self.shared.is_some();
            return Ok(match self.journals.get() {
                // what is shared is kept as that
                Some(journals) if shared => {
                    journals.account(self.own.clone(), |s, o| !is_shared(s, o))
                }
                Some(journals) => journals.account(self.own.clone(), |_, _| true),
                None => self.own.clone(),
            });
        }
        let client = self
            .client
            .assume(self.role.of(account_id))
            .await
            .map_err(|failure| self.unread(account_id, &failure))?;
        let regions: Vec<Region> = if self.every_region {
            client.enabled_regions().await.map_err(|e| CallError {
                service: "ec2".to_owned(),
                operation: "DescribeRegions".to_owned(),
                permissions: vec!["ec2:DescribeRegions".to_owned()],
                ..self.unread(account_id, &e)
            })?
        } else {
            self.own.regions.clone()
        };
        let mut own: Arc<dyn Api> = Arc::new(client);
        if let Some(journals) = self.journals.get()
            && let Some(journal) = journals.of_account(account_id)
        {
            own = journals.over(own, |_, _| true, journal);
        }
        let api: Arc<dyn Api> = match &self.shared {
            Some(shared) => Arc::new(MemberApi::new(own, Arc::clone(shared))),
            None => own,
        };
        Ok(AccountTarget {
            account_id: account_id.to_owned(),
            api,
            regions,
            ..self.own.clone()
        })
    }

    /// Why an account could not be entered.
    fn unread(&self, account_id: &str, failure: &CallFailure) -> CallError {
        CallError {
            service: "sts".to_owned(),
            operation: "AssumeRole".to_owned(),
            account_id: account_id.to_owned(),
            region: self.client.region().to_string(),
            kind: failure.kind,
            code: failure.code.clone(),
            message: failure.message.clone(),
            permissions: vec!["sts:AssumeRole".to_owned()],
        }
    }
}

fn not_begun() -> CallFailure {
    CallFailure {
        kind: CallErrorKind::NotMade,
        code: "Interrupted".to_owned(),
        message: "the scan was stopped before this account was begun".to_owned(),
        status: None,
        region: None,
    }
}

fn usage(message: String, hint: Option<&str>) -> Failure {
    Failure::Usage {
        message,
        hint: hint.map(str::to_owned),
    }
}

/// Accounts that the user listed.
fn listed(accounts: &[String], filters: &Filters) -> Result<Discovered, Failure> {
    if *filters != Filters::default() {
        return Err(usage(
            "`--accounts` lists the accounts: filters are for `--organization`".to_owned(),
            None,
        ));
    }
    let mut members: Vec<Member> = accounts
        .iter()
        .map(|id| Member {
            id: id.clone(),
            ..Member::default()
        })
        .collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    members.dedup_by(|a, b| a.id == b.id);
    Ok(Discovered {
        members,
        left_out: Vec::new(),
    })
}

fn filters(args: &OrganizationArgs) -> Result<Filters, Failure> {
    check_ids(&args.include_account)?;
    check_ids(&args.exclude_account)?;
    Ok(Filters {
        include_accounts: args.include_account.clone(),
        exclude_accounts: args.exclude_account.clone(),
        include_units: args.include_ou.clone(),
        exclude_units: args.exclude_ou.clone(),
        include_tags: tags(&args.include_account_tag)?,
        exclude_tags: tags(&args.exclude_account_tag)?,
    })
}

fn tags(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let pair = |text: &String| {
        let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
        pair.map(|(key, value)| (key.to_owned(), value.to_owned()))
            .ok_or_else(|| {
                let hint = "for example `--include-account-tag stage=prod`";
                usage(format!("`{text}` is not a tag with a value"), Some(hint))
            })
    };
    texts.iter().map(pair).collect()
}

fn check_ids(ids: &[String]) -> Result<(), Failure> {
    match ids.iter().find(|id| !is_account_id(id)) {
        None => Ok(()),
        Some(wrong) => Err(usage(
            format!("`{wrong}` is not the id of an account"),
            Some("an account's id has twelve digits"),
        )),
    }
}

/// A name with or without a path (IAM API Reference, "CreateRole").
fn check_role(name: &str) -> Result<(), Failure> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
    if !name.trim_start_matches('/').is_empty() && name.len() <= 576 && name.bytes().all(good) {
        return Ok(());
    }
    let hint = "--organization-role takes the role's name, which is the same in every account";
    Err(usage(
        format!("`{name}` is not the name of a role"),
        Some(hint),
    ))
}

fn discovery(error: DiscoverError) -> Failure {
    match &error {
        DiscoverError::Call { error: call, .. } => {
            let hint = match (call.kind, call.code.as_str()) {
                (_, "AWSOrganizationsNotInUseException") => {
                    "the account is in no organisation; `--accounts` takes a list of accounts"
                }
                (CallErrorKind::Denied, _) => {
                    "accounts can be listed from the management account or a delegated administrator; `--accounts` takes a list instead"
                }
                _ => "`--accounts` takes a list of accounts instead",
            };
            Failure::Connect {
                message: format!("the accounts of the organisation are not known: {error}"),
                hint: Some(hint.to_owned()),
            }
        }
        DiscoverError::NoSuch { what, .. } if what.starts_with("root") => usage(
            error.to_string(),
            Some("units are named by their id, or by their path from the root: `Root/Prod`"),
        ),
        _ => usage(error.to_string(), None),
    }
}

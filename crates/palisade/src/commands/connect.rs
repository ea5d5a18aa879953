//! From the command line's target to somebody who answers calls: credentials, account, regions, demo, recording,
//! Ctrl-C.
use super::organization::Organization;
use crate::cli::{Global, OrganizationArgs, Target};
use crate::error::Failure;
use crate::output::Terminal;
use crate::progress::Bar;
use palisade_aws::{Client, ClientConfig, ConnectError, Role, StaticCredentials};
use palisade_collect::{AccountTarget, Collected, Early, Limits, Request, Silent, Targets};
use palisade_core::{CallErrorKind, Coverage, Region, Timestamp};
use palisade_model::{Api, Models, Regions};
use palisade_replay::{Exchange, Faults, Header, Recording, Server};
use palisade_scan::Scanner;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The recorded account that `--demo` scans.
const DEMO: &[u8] = include_bytes!("../../../../catalog/demo/account.recording");

/// The recording that the target names, and what it is called; nothing when AWS itself is asked.
fn recording(target: &Target) -> Result<Option<(String, Recording)>, Failure> {
    if let Some(path) = &target.replay {
        let recording = Recording::load(path).map_err(|e| Failure::Usage {
            message: format!("cannot replay `{}`: {e}", path.display()),
            hint: Some("`palisade scan --record FILE` makes a recording".to_owned()),
        })?;
        return Ok(Some(("replay".to_owned(), recording)));
    }
    let demo = || Ok(("demo".to_owned(), Recording::from_bytes(DEMO)?));
    target.demo.then(demo).transpose()
}

/// A connection that is opened while the catalogue is loaded.
pub struct Connecting {
    target: Target,
    models: Arc<Models>,
    opening: JoinHandle<Result<(Connection, Option<String>), Failure>>,
}

impl Connecting {
    /// Begins to open a connection, where the flags and the environment alone say to whom: nothing where there is a
    /// configuration file, which is only read when the catalogue is there to hold it against.
    pub fn ahead(target: &Target, global: &Global) -> Option<Self> {
        if super::settings::is_configured(global) {
            return None;
        }
        let models = Arc::new(Models::embedded());
        let (asked, known) = (target.clone(), Arc::clone(&models));
        let opening = std::thread::spawn(move || Connection::opened(&asked, &known));
        Some(Self {
            target: target.clone(),
            models,
            opening,
        })
    }

    /// The API models that it uses.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }

    /// The connection; another one, if after all another target is meant.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub fn wait(self, target: &Target, terminal: &Terminal) -> Result<Connection, Failure> {
        if self.target == *target
            && let Ok(opened) = self.opening.join()
        {
            return Ok(Connection::told(opened?, terminal));
        }
        Connection::open(target, &self.models, terminal)
    }
}

/// An open connection to one account.
pub struct Connection {
    runtime: tokio::runtime::Runtime,
    client: Client,
    models: Arc<Models>,
    targets: Targets,
    /// The account's twelve digits.
    pub account_id: String,
    /// Who the credentials belong to.
    pub caller: String,
    /// As the connection was made, without a recorder.
    config: ClientConfig,
    /// The regions that are scanned, sorted.
    pub regions: Vec<String>,
    /// Ages are counted from here.
    pub now: Timestamp,
    recorded: Option<Arc<Mutex<Recording>>>,
    /// Answers until the connection is dropped.
    #[expect(dead_code, reason = "held for its end")]
    replayed: Option<Server>,
}

impl Connection {
    /// Connects, finds out whose credentials these are, and which regions are meant.
    ///
    /// # Errors
    /// When there is no connection, or a region does not exist.
    pub fn open(
        target: &Target,
        models: &Arc<Models>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        Ok(Self::told(Self::opened(target, models)?, terminal))
    }

    fn told((connection, note): (Self, Option<String>), terminal: &Terminal) -> Self {
        if let Some(note) = note {
            terminal.note(&note);
        }
        connection
    }

    /// Also what there is to tell of it.
    fn opened(target: &Target, models: &Arc<Models>) -> Result<(Self, Option<String>), Failure> {
        let runtime = runtime()?;
        let mut config = client_config(target);
        let mut now = system_time();
        let mut asked = target.region.clone();
        let (mut replayed, mut note) = (None, None);
        if let Some((name, recording)) = recording(target)? {
            let header = recording.header().clone();
            now = header.recorded_at.parse().unwrap_or(now);
            if asked.is_empty() || asked.iter().any(|r| r == "all") {
                asked.clone_from(&header.regions);
            }
            let server = Server::start(Arc::new(recording), Faults::none())?;
            config.endpoint_url = Some(server.url());
            config.region = header.regions.first().cloned();
            config.credentials = Some(StaticCredentials {
                access_key_id: "AKIDEXAMPLE".to_owned(),
                secret_access_key: "example".to_owned(),
                session_token: None,
            });
            note = Some(format!(
                "{name}: {} (recorded {}), replayed from {} inside this process",
                header.description,
                header.recorded_at,
                server.url()
            ));
            replayed = Some(server);
        }
        let recorded = target
            .record
            .as_ref()
            .map(|_| Arc::new(Mutex::new(Recording::new(Header::default()))));
        if let Some(recording) = &recorded {
            let recording = Arc::clone(recording);
            config.recorder = Some(Arc::new(move |exchange: Exchange| {
                recording
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(exchange);
            }));
        }
        let facts = models.regions().map_err(|e| Failure::Connect {
            message: e.to_string(),
            hint: None,
        })?;
        let plain = ClientConfig {
            recorder: None,
            ..config.clone()
        };
        let (client, identity, regions) = runtime.block_on(async {
            let client = Client::connect(config, Arc::clone(models))
                .await
                .map_err(connect_failure)?;
            let identity = client
                .identity()
                .await
                .map_err(|e| call_failure("who these credentials belong to", &e))?;
            let regions = regions(&client, &asked, identity.partition.as_str(), &facts).await?;
            Ok::<_, Failure>((client, identity, regions))
        })?;
        let partition = identity.partition;
        let account_id = identity.account_id.to_string();
        let names = regions.iter().map(ToString::to_string).collect();
        let made = client.clone();
        let account = AccountTarget {
            account_id: account_id.clone(),
            partition: partition.as_str().to_owned(),
            home_region: partition.home_region().to_owned(),
            api: Arc::new(client),
            regions,
        };
        let connection = Self {
            runtime,
            client: made,
            models: Arc::clone(models),
            targets: Targets {
                accounts: vec![account],
                regions: facts,
            },
            account_id,
            caller: identity.arn,
            config: plain,
            regions: names,
            now,
            recorded,
            replayed,
        };
        Ok((connection, note))
    }

    /// The client and what its answers look like.
    pub fn client(&self) -> (&Client, &Arc<Models>) {
        (&self.client, &self.models)
    }

    /// Where futures run.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// Waits for something that makes calls.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Collects with a progress display; Ctrl-C ends it with what was read until then.
    ///
    /// # Errors
    /// When the plan cannot be made.
    pub fn collect(
        &self,
        scanner: &Scanner,
        request: &Request,
        limits: &Limits,
        terminal: &Terminal,
    ) -> Result<Collected, Failure> {
        self.collect_telling(scanner, request, limits, terminal, &Silent)
    }

    /// The same; tables are handed over as soon as they are whole.
    ///
    /// # Errors
    /// As [`Connection::collect`].
    pub fn collect_telling(
        &self,
        scanner: &Scanner,
        request: &Request,
        limits: &Limits,
        terminal: &Terminal,
        early: &dyn Early,
    ) -> Result<Collected, Failure> {
        let bar = Bar::new(terminal.progress());
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let collected = self.runtime.block_on(async {
            let waiter = tokio::spawn(async move {
                if tokio::signal::ctrl_c().await.is_ok() {
                    // the receiver is gone when all is read: nothing is left to stop
                    let _ = stop.send(true);
                }
                std::future::pending::<()>().await;
            });
            let collected = scanner
                .collect_telling(request, &self.targets, limits, &bar, stopped, early)
                .await;
            waiter.abort();
            collected
        });
        bar.finish();
        let collected = collected?;
        if collected.coverage.interrupted {
            terminal.warn("stopped; what was read until now is evaluated, the rest is unknown");
        }
        Ok(collected)
    }

    /// The account as it is scanned, and what is known of regions.
    pub fn account(&self) -> (Option<&AccountTarget>, &Arc<Regions>) {
        (self.targets.accounts.first(), &self.targets.regions)
    }

    /// Answers for the account.
    pub fn api(&self) -> Option<Arc<dyn Api>> {
        self.targets.accounts.first().map(|a| Arc::clone(&a.api))
    }

    /// Keeps what the account answers, and takes from there what it has answered before.
    pub fn keep_answers(&mut self, journals: &super::journal::Journals) {
        for account in &mut self.targets.accounts {
            *account = journals.account(account.clone(), |_, _| true);
        }
    }

    /// Where global resources are asked and changed.
    pub fn home_region(&self) -> &str {
        let account = self.targets.accounts.first();
        account.map_or("us-east-1", |a| a.home_region.as_str())
    }

    /// The account, with only these regions.
    pub fn targets(&self, regions: &[String]) -> Targets {
        self.targets_of(self.targets.accounts.first(), regions)
    }

    /// An account, with only these regions.
    pub fn targets_of(&self, account: Option<&AccountTarget>, regions: &[String]) -> Targets {
        let regions: Vec<Region> = regions.iter().filter_map(|r| r.parse().ok()).collect();
        let narrowed = account.map(|account| AccountTarget {
            regions,
            ..account.clone()
        });
        Targets {
            accounts: narrowed.into_iter().collect(),
            regions: Arc::clone(&self.targets.regions),
        }
    }

    /// Somebody who makes every call once: what a call that fails has done is for the caller to find out.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn writer(&self, models: &Arc<Models>) -> Result<Arc<dyn Api>, Failure> {
        Ok(Arc::new(self.once(models)?))
    }

    /// A client that makes every call once.
    ///
    /// # Errors
    /// When there is no connection.
    pub fn once(&self, models: &Arc<Models>) -> Result<Client, Failure> {
        let config = ClientConfig {
            max_attempts: Some(1),
            ..self.config.clone()
        };
        self.block_on(Client::connect(config, Arc::clone(models)))
            .map_err(connect_failure)
    }

    /// Starts a future beside.
    pub fn spawn(
        &self,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        self.runtime.spawn(future)
    }

    /// Waits for a future on the connection's threads.
    pub fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Writes what was recorded, if that was asked for.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_recording(&self, path: Option<&Path>) -> Result<(), Failure> {
        let (Some(path), Some(recorded)) = (path, &self.recorded) else {
            return Ok(());
        };
        let mut recording = recorded.lock().unwrap_or_else(PoisonError::into_inner);
        recording.set_header(Header {
            recorded_at: self.now.to_string(),
            account: self.account_id.clone(),
            regions: self.regions.clone(),
            description: format!("account {}", self.account_id),
        });
        recording.save(path)?;
        Ok(())
    }
}

/// How to reach AWS, as the user said.
pub fn client_config(target: &Target) -> ClientConfig {
    ClientConfig {
        profile: target.profile.clone(),
        endpoint_url: target.endpoint_url.clone(),
        role: target.role_arn.clone().map(|arn| Role {
            arn,
            external_id: target.external_id.clone(),
            session_name: target.session_name.clone(),
            duration: target
                .session_duration
                .map(|s| Duration::from_secs(s.into())),
        }),
        region: target.region.iter().find(|r| *r != "all").cloned(),
        max_in_flight: usize::from(target.max_in_flight),
        ..ClientConfig::default()
    }
}

/// Threads for what waits for answers.
///
/// # Errors
/// When the system gives none.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| Failure::Output {
            what: "a thread".to_owned(),
            source,
        })
}

/// Collects for a command that only needs the tables.
///
/// # Errors
/// When there is no connection or no plan.
pub fn collect(
    target: &Target,
    scanner: &Scanner,
    request: &Request,
    terminal: &Terminal,
) -> Result<(Connection, Collected), Failure> {
    let connection = Connection::open(target, scanner.models(), terminal)?;
    let collected = connection.collect(scanner, request, &limits(target), terminal)?;
    connection.save_recording(target.record.as_deref())?;
    Ok((connection, collected))
}

/// The same from every account that is meant; what belongs to the organisation is read once.
///
/// # Errors
/// As [`collect`], and when the accounts are not known.
pub fn collect_all(
    target: &Target,
    organization: &OrganizationArgs,
    scanner: &Arc<Scanner>,
    request: &Request,
    terminal: &Terminal,
) -> Result<(Connection, Collected), Failure> {
    if !organization.is_asked() {
        return collect(target, scanner, request, terminal);
    }
    let connection = Connection::open(target, scanner.models(), terminal)?;
    let accounts = Organization::open(&connection, target, organization, terminal)?;
    let tables = scanner.tables_of("organizations");
    let collected = accounts.collect(scanner, request, &tables, &limits(target), terminal)?;
    Ok((connection, collected))
}

/// The user's limits.
pub fn limits(target: &Target) -> Limits {
    Limits {
        in_flight: usize::from(target.max_in_flight),
        ..Limits::default()
    }
}

/// Tells on stderr what could not be read.
pub fn report_gaps(coverage: &Coverage, terminal: &Terminal) {
    for (error, times) in &coverage.failures {
        terminal.warn(&format!(
            "{error} in {} ({times} times): {}",
            error.region, error.message
        ));
    }
}

/// The clock, for what ends at a time.
pub(super) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The only clock that a scan reads.
pub fn system_time() -> Timestamp {
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros());
    let second = 1_000_000;
    Timestamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX) / second * second)
}

async fn regions(
    client: &Client,
    asked: &[String],
    partition: &str,
    facts: &Regions,
) -> Result<Vec<Region>, Failure> {
    let mut regions = if asked.iter().any(|r| r == "all") {
        client
            .enabled_regions()
            .await
            .map_err(|e| call_failure("which regions are enabled", &e))?
    } else if asked.is_empty() {
        vec![client.region().clone()]
    } else {
        let known = facts.of_partition(partition);
        let mut regions = Vec::new();
        for name in asked {
            let region: Region = name
                .parse()
                .map_err(|e| usage(format!("{e}"), name, known))?;
            // a region younger than our facts must still be usable: only what looks like a slip is refused
            if !known.contains(name)
                && !palisade_catalog::similar(name, known.iter().map(String::as_str)).is_empty()
            {
                return Err(usage(format!("unknown region `{name}`"), name, known));
            }
            regions.push(region);
        }
        regions
    };
    regions.sort();
    regions.dedup();
    Ok(regions)
}

fn usage(message: String, name: &str, known: &[String]) -> Failure {
    let similar = palisade_catalog::similar(name, known.iter().map(String::as_str));
    let hint = match similar.as_slice() {
        [] => {
            "regions are named as `eu-central-1`; `--region all` takes every region that is enabled"
                .to_owned()
        }
        some => format!("did you mean `{}`?", some.join("` or `")),
    };
    Failure::Usage {
        message,
        hint: Some(hint),
    }
}

pub(super) fn connect_failure(error: ConnectError) -> Failure {
    let hint = match &error {
        ConnectError::NoCredentials => {
            Some("`palisade scan --demo` needs no credentials".to_owned())
        }
        ConnectError::NoRegion => {
            Some("`--region all` scans every region that is enabled in the account".to_owned())
        }
        _ => None,
    };
    Failure::Connect {
        message: error.to_string(),
        hint,
    }
}

fn call_failure(what: &str, error: &palisade_aws::CallFailure) -> Failure {
    let hint = match error.kind {
        CallErrorKind::Credentials => Some(
            "the credentials are wrong or have expired; sign in again, or choose others with --profile",
        ),
        CallErrorKind::Unreachable => Some(
            "is the network up, and are --endpoint-url, AWS_ENDPOINT_URL and the region right?",
        ),
        CallErrorKind::Denied => Some("a policy denies this call to these credentials"),
        _ => None,
    };
    Failure::Connect {
        message: format!("AWS does not say {what}: {error}"),
        hint: hint.map(str::to_owned),
    }
}

//! Where snapshots are, and keeping one of a scan.
use super::connect::{self, Connection, client_config};
use super::organization::Organization;
use super::report::Judged;
use super::run::{self, Asked, Begun, Session, Wanted};
use crate::cli::{Scan, StoreArgs, Target};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_aws::{Client, StaticCredentials};
use palisade_catalog::Catalog;
use palisade_collect::{Collected, Early};
use palisade_core::{Assessment, Status};
use palisade_drift::{Earlier, Keep};
use palisade_model::Models;
use palisade_store::{
    AccountFiles, AccountResult, Credentials, Keys, NewSnapshot, Options, RunPlan, Store,
    StoreError,
};
use palisade_table::{Dataset, Table};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Keys are asked for again when they end within this time.
const BEFORE_THE_END: Duration = Duration::from_secs(300);

/// The keys of a client, asked for once while they hold.
#[derive(Debug)]
struct Signer {
    client: Client,
    known: Mutex<Option<(StaticCredentials, Option<SystemTime>)>>,
}

#[async_trait::async_trait]
impl Credentials for Signer {
    async fn keys(&self) -> Result<Keys, String> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let soon = connect::wall_clock() + BEFORE_THE_END;
        let keys = match known {
            Some((keys, end)) if end.is_none_or(|end| end > soon) => keys,
            _ => {
                let fresh = self.client.keys().await?;
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.clone());
                fresh.0
            }
        };
        Ok(Keys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
        })
    }
}

/// The location that is meant: the given one, else a folder in the user's data folder.
///
/// # Errors
/// When none is given and the user has no data folder.
pub fn location(args: &StoreArgs) -> Result<String, Failure> {
    if let Some(location) = &args.store {
        return Ok(location.clone());
    }
    match data_folder() {
        Some(data) => Ok(data.to_string_lossy().into_owned()),
        None => Err(Failure::Usage {
            message: "there is no home folder to keep snapshots in".to_owned(),
            hint: Some("say where with --store, or scan with --no-snapshot".to_owned()),
        }),
    }
}

/// Where what is kept for the user is, if the user has a home.
pub fn data_folder() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
    let data = folder("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
        let home = folder("HOME").or_else(|| folder("USERPROFILE"))?;
        Some(PathBuf::from(home).join(".local/share"))
    });
    data.map(|data| data.join("palisade"))
}

/// Opens the store. `client` signs for a bucket.
fn open(location: &str, client: Option<Client>) -> Result<Store, Failure> {
    let environment = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let mut options = Options::default();
    if let Some(client) = client {
        options.region = Some(client.region().to_string());
        options.endpoint = client.endpoint_url().map(str::to_owned);
        options.credentials = Some(Arc::new(Signer {
            client,
            known: Mutex::default(),
        }));
    }
    options.endpoint = options
        .endpoint
        .or_else(|| environment("AWS_ENDPOINT_URL_S3"))
        .or_else(|| environment("AWS_ENDPOINT_URL"));
    Ok(Store::open(location, &options)?)
}

/// A store that is read without an account being asked: only a bucket needs credentials.
///
/// # Errors
/// When the location is wrong, or there are no credentials for a bucket.
pub fn offline(
    args: &StoreArgs,
    target: &Target,
    models: &Arc<Models>,
) -> Result<(tokio::runtime::Runtime, Store), Failure> {
    let runtime = connect::runtime()?;
    let location = location(args)?;
    let client = if location.starts_with("s3://") {
        let config = client_config(target);
        let connected = runtime.block_on(Client::connect(config, Arc::clone(models)));
        Some(connected.map_err(connect::connect_failure)?)
    } else {
        None
    };
    Ok((runtime, open(&location, client)?))
}

/// The store, for a command that has a connection.
///
/// # Errors
/// When it cannot be opened.
pub fn opened(
    args: &StoreArgs,
    target: &Target,
    connection: &Connection,
) -> Result<Store, Failure> {
    // who answers for a recording has no bucket
    let client = (!target.is_recorded()).then(|| connection.client().0.clone());
    open(&location(args)?, client)
}

/// Eight hexadecimal digits that no other snapshot of the same second has.
pub fn nonce() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.chars().take(8).collect()
}

/// Says of the findings since when they fail, from the snapshots before they were judged. A history that cannot be read
/// costs no report: nothing is said then, and why. Where some fails are only counted, how many are new is not known, and the
/// course of every finding of an organisation would be in memory for nothing.
///
/// # Errors
/// When findings that are kept apart cannot be.
pub async fn remember(
    store: &Store,
    keep: Keep,
    judged: &mut Judged,
    scanner: &palisade_scan::Scanner,
    terminal: &Terminal,
) -> Result<(), Failure> {
    if judged.assessment.counted.of(Status::Fail) > 0 {
        return Ok(());
    }
    let schemas = palisade_query::CatalogSchemas::new(
        Arc::clone(scanner.catalog()),
        Arc::clone(scanner.models()),
    );
    let now = judged.assessment.started_at;
    let accounts = judged.assessment.accounts.iter().cloned().collect();
    let found = async {
        let listing = store.list().await?;
        for damaged in &listing.damaged {
            terminal.warn(&format!("left out of the history: {damaged}"));
        }
        let manifests = listing.manifests.into_iter();
        let before: Vec<_> = manifests
            .filter(|m| m.started_at < now)
            .map(|m| store.of(m))
            .collect();
        Earlier::read(store, &before, &schemas, keep, now, &accounts).await
    };
    match found.await {
        Ok(Some(earlier)) => {
            judged.assessment.last_scan = Some(earlier.last_scan().clone());
            judged.change(|finding| earlier.tell(finding, &schemas))
        }
        Ok(None) => Ok(()),
        Err(e) => {
            terminal.warn(&format!("since when findings fail is not said: {e}"));
            Ok(())
        }
    }
}

/// Writes the tables of an account while others are read.
pub struct WriteAhead {
    tables: mpsc::Sender<Table>,
    writing: JoinHandle<Result<AccountFiles, StoreError>>,
}

impl WriteAhead {
    /// What was written, when no more tables come; nothing when the thread stopped without saying why: all is to be
    /// written then.
    fn wait(self) -> Result<Option<AccountFiles>, StoreError> {
        drop(self.tables);
        self.writing.join().ok().transpose()
    }
}

impl Early for WriteAhead {
    fn whole(&self, _: &str, table: Table) {
        // whoever stopped says why when it is waited for
        let _ = self.tables.send(table);
    }
}

/// A snapshot that is going to be kept.
pub struct Keeping {
    store: Store,
    new: NewSnapshot,
    /// Somebody said where: not being able to keep it is an error, not a warning.
    asked: bool,
    /// It was told that nothing is kept.
    given_up: AtomicBool,
    /// What can be gone on with.
    session: OnceLock<Session>,
}

impl Keeping {
    /// Whether and where a scan keeps what it reads. The demo and recordings are kept only where that is asked for.
    ///
    /// # Errors
    /// When the store that was asked for cannot be opened.
    pub fn open(
        args: &Scan,
        connection: &Connection,
        catalog: &Catalog,
        terminal: &Terminal,
    ) -> Result<Option<Self>, Failure> {
        let asked = args.store.store.is_some();
        if args.no_snapshot || (args.target.is_recorded() && !asked) {
            return Ok(None);
        }
        match Self::new(&args.store, &args.target, connection, catalog) {
            Ok(keeping) => Ok(Some(keeping)),
            Err(failure) if !asked => {
                terminal.warn(&format!("no snapshot is kept: {failure}"));
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// The snapshot that a command is about to make.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn new(
        args: &StoreArgs,
        target: &Target,
        connection: &Connection,
        catalog: &Catalog,
    ) -> Result<Self, Failure> {
        Ok(Self {
            store: opened(args, target, connection)?,
            new: NewSnapshot {
                nonce: nonce(),
                started_at: connection.now,
                palisade: env!("CARGO_PKG_VERSION").to_owned(),
                catalog: catalog.fingerprint.clone(),
                regions: connection.regions.clone(),
            },
            asked: args.store.is_some(),
            given_up: AtomicBool::new(false),
            session: OnceLock::new(),
        })
    }

    /// The run over many accounts that is to be gone on with, if that was asked for.
    ///
    /// # Errors
    /// When there is none.
    pub fn known_run(
        &self,
        connection: &Connection,
        asked: &Asked,
    ) -> Result<Option<palisade_store::Run>, Failure> {
        Ok(run::known(connection, &self.store, asked, true)?)
    }

    /// The run over one account that is to be gone on with, if that was asked for.
    ///
    /// # Errors
    /// When there is none.
    pub fn known_single(
        &self,
        connection: &Connection,
        asked: &Asked,
        judged: bool,
    ) -> Result<Option<RunPlan>, Failure> {
        run::known_single(connection, &self.store, asked, judged)
    }

    /// From here on the account's answers are kept until its snapshot is, so that the run can be gone on with.
    ///
    /// # Errors
    /// When the run was begun with something else, or its store cannot be used.
    pub fn begin_single(
        &self,
        connection: &mut Connection,
        asked: &Asked,
        wanted: &Wanted<'_>,
        known: Option<RunPlan>,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let nonce = &self.new.nonce;
        let session = Session::single(
            connection,
            &self.store,
            asked,
            wanted,
            known,
            nonce,
            terminal,
        )?;
        if let Some(session) = session {
            // begun once
            let _ = self.session.set(session);
        }
        Ok(())
    }

    /// What an earlier attempt has kept of the account of the credentials, as a whole, and in which regions it was read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn before(
        &self,
        connection: &Connection,
        scanner: &palisade_scan::Scanner,
    ) -> Result<Option<(Collected, Vec<String>)>, Failure> {
        let Some(session) = self.session.get() else {
            return Ok(None);
        };
        let schemas = palisade_query::CatalogSchemas::new(
            Arc::clone(scanner.catalog()),
            Arc::clone(scanner.models()),
        );
        let account_id = &connection.account_id;
        Ok(connection.wait(async {
            if !session.has_written(account_id) {
                return Ok(None);
            }
            let (_, snapshot) = session.before().await?;
            let before = session.account_before(&snapshot, account_id, &schemas);
            before.await.map(Some)
        })?)
    }

    /// From here on accounts are kept as those of a run that can be gone on with; leaves to the organisation those that
    /// have to be read.
    ///
    /// # Errors
    /// When the run was begun with something else, is committed, or the store cannot be used.
    pub fn begin(
        &self,
        connection: &Connection,
        asked: &Asked,
        wanted: &Wanted<'_>,
        known: Option<&palisade_store::Run>,
        organization: &mut Organization<'_>,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let begun = Session::begin(
            connection,
            self.store.clone(),
            asked,
            wanted,
            known,
            organization,
            terminal,
        );
        let begun = match known {
            Some(_) => Some(begun?),
            None => self.given(begun, terminal)?,
        };
        match begun {
            None => Ok(()),
            Some(Begun::Open(session)) => {
                // begun once
                let _ = self.session.set(*session);
                Ok(())
            }
            Some(Begun::Done(manifest)) => Err(Failure::Usage {
                message: format!("the snapshot {} is committed", manifest.id),
                hint: Some(format!(
                    "`palisade check --snapshot {}` judges it again",
                    manifest.id
                )),
            }),
        }
    }

    /// The run, when it can be gone on with.
    pub fn session(&self) -> Option<&Session> {
        self.session.get()
    }

    /// Adds what the pinned baseline holds to what is read.
    ///
    /// # Errors
    /// When nothing is pinned, or the baseline cannot be read.
    pub fn add_baseline(
        &self,
        connection: &Connection,
        request: &mut palisade_collect::Request,
    ) -> Result<(), Failure> {
        let found = connection.wait(async {
            match palisade_drift::pinned(&self.store).await? {
                None => Ok(None),
                Some(pin) => self.store.snapshot(&pin.snapshot).await.map(Some),
            }
        });
        let Some(baseline) = found? else {
            return Err(super::drift::nothing_pinned());
        };
        for (table, columns) in &baseline.manifest().tables {
            request.add(table, columns.keys().map(String::as_str));
        }
        Ok(())
    }

    /// Holds what was read against the pinned baseline, if there is one.
    ///
    /// # Errors
    /// When the baseline cannot be read.
    pub fn hold(
        &self,
        connection: &Connection,
        dataset: &Dataset,
        assessment: &mut Assessment,
        scanner: &palisade_scan::Scanner,
    ) -> Result<(), Failure> {
        let schemas = palisade_query::CatalogSchemas::new(
            Arc::clone(scanner.catalog()),
            Arc::clone(scanner.models()),
        );
        let now = super::drift::Now::Collected(dataset);
        let held = super::drift::hold(&self.store, now, &schemas, assessment);
        connection.wait(held)?;
        Ok(())
    }

    /// Says of the findings since when they fail, from the snapshots before this scan.
    ///
    /// # Errors
    /// As [`remember`].
    pub fn remember(
        &self,
        connection: &Connection,
        judged: &mut Judged,
        scanner: &palisade_scan::Scanner,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let told = remember(&self.store, Keep::Write, judged, scanner, terminal);
        connection.wait(told)
    }

    /// Begins to write the tables of the account of the credentials as they become whole. Nobody can see them before the
    /// commit.
    pub fn ahead(&self, connection: &Connection) -> WriteAhead {
        let (tables, whole) = mpsc::channel::<Table>();
        let mut files = self.files(&connection.account_id);
        let runtime = connection.runtime().clone();
        let writing = std::thread::spawn(move || {
            for table in whole {
                runtime.block_on(files.whole(&table))?;
            }
            Ok(files)
        });
        WriteAhead { tables, writing }
    }

    /// Where the tables of an account are written.
    fn files(&self, account_id: &str) -> AccountFiles {
        match self.session.get() {
            Some(session) => session.files(account_id),
            None => {
                let writer = self.store.writer(self.new.clone());
                writer.account_files(account_id)
            }
        }
    }

    /// Keeps what was read of an account and how it was judged, before anything is muted. Tables that were written ahead
    /// are not written again.
    ///
    /// # Errors
    /// When it cannot be written to where it was asked to be; otherwise that is a warning, once.
    pub fn account(
        &self,
        connection: &Connection,
        account_id: &str,
        dataset: &Dataset,
        assessment: &Assessment,
        ahead: Option<WriteAhead>,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        let begun = ahead.map(WriteAhead::wait).transpose();
        if self.given_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        let result = AccountResult {
            account_id,
            dataset,
            coverage: &assessment.coverage,
            findings: Some(&assessment.findings),
        };
        let written = connection.wait(async {
            let begun = begun?.flatten();
            let files = begun.unwrap_or_else(|| self.files(account_id));
            let regions = assessment.regions.as_slice();
            match self.session.get() {
                // what was stopped half way is read again, as a whole
                Some(_) if assessment.coverage.interrupted => files.discard().await,
                Some(session) => session.account_begun(files, result, regions).await,
                None => {
                    let writer = self.store.writer(self.new.clone());
                    writer.account_begun(files, result).await
                }
            }
        });
        self.given(written, terminal)?;
        Ok(())
    }

    /// Makes the snapshot visible. Accounts that could not be entered are in it, with why.
    ///
    /// # Errors
    /// As [`Keeping::account`].
    pub fn commit(
        &self,
        connection: &Connection,
        assessment: &Assessment,
        terminal: &Terminal,
    ) -> Result<(), Failure> {
        if self.given_up.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(session) = self.session.get() {
            let entered: BTreeSet<String> = assessment.accounts.iter().cloned().collect();
            let coverage = &assessment.coverage;
            let noted = connection.wait(session.note_unread(coverage, &entered));
            let ended = noted.and_then(|()| {
                let checks = Some(assessment.checks.as_slice());
                session.end(connection, coverage.interrupted, checks, terminal)
            });
            // a scan that was stopped says so itself
            self.given(ended, terminal)?;
            return Ok(());
        }
        let writer = self.store.writer(self.new.clone());
        let finished_at = connect::system_time();
        let committed = connection.wait(writer.commit(finished_at, Some(&assessment.checks)));
        if let Some(manifest) = self.given(committed, terminal)? {
            let location = self.store.location();
            terminal.note(&format!("snapshot {} kept in {location}", manifest.id));
        }
        Ok(())
    }

    /// Keeps what was read; of a run that can be gone on with, what was read to its end. Says whether it is kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_tables(
        &self,
        connection: &Connection,
        collected: &Collected,
        terminal: &Terminal,
    ) -> Result<bool, Failure> {
        if let Some(session) = self.session.get() {
            let interrupted = collected.coverage.interrupted;
            if !interrupted {
                let result = AccountResult {
                    account_id: &connection.account_id,
                    dataset: &collected.dataset,
                    coverage: &collected.coverage,
                    findings: None,
                };
                connection.wait(session.account(result, &connection.regions))?;
            }
            return Ok(session.end(connection, interrupted, None, terminal)?);
        }
        let writer = self.store.writer(self.new.clone());
        let written = connection.wait(async {
            let result = AccountResult {
                account_id: &connection.account_id,
                dataset: &collected.dataset,
                coverage: &collected.coverage,
                findings: None,
            };
            writer.account(result).await?;
            writer.commit(connect::system_time(), None).await
        });
        let manifest = written?;
        let location = self.store.location();
        terminal.note(&format!("snapshot {} kept in {location}", manifest.id));
        Ok(true)
    }

    /// What was written; nothing, and a warning, when nobody said where to write.
    fn given<T>(
        &self,
        written: Result<T, palisade_store::StoreError>,
        terminal: &Terminal,
    ) -> Result<Option<T>, Failure> {
        match written {
            Ok(written) => Ok(Some(written)),
            Err(e) if self.asked => Err(e.into()),
            Err(e) => {
                self.given_up.store(true, Ordering::Relaxed);
                terminal.warn(&format!("no snapshot is kept: {e}"));
                Ok(None)
            }
        }
    }
}

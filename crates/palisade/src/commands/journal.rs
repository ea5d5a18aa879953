//! Answers that are kept on this machine's disk while a run is under way, so that going on with it asks only for the rest.
//! Runs over one account are known here only.
use super::connect;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::AccountTarget;
use palisade_journal::{About, HOLDS, Journal, Journaled, Part, Rules};
use palisade_model::{Api, Models};
use palisade_store::{RunPlan, Store, StoreError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Where runs over one account say what they read.
const PLAN: &str = "run.json";

/// What is kept of the answers that an account gives itself.
const ACCOUNT: &str = "account";
/// And of those that are the same for all accounts.
const ORGANIZATION: &str = "organization";

/// Where the journals of a store are: in its folder; those of a bucket in the user's data folder, if there is one. Answers
/// are as AWS gives them, so they are not for a bucket that others read.
pub fn root(store: &Store) -> Option<PathBuf> {
    match store.folder() {
        Some(folder) => Some(folder.join("journals")),
        None => super::store::data_folder().map(|data| data.join("journals")),
    }
}

/// The journals of one run.
pub struct Journals {
    /// The run's own.
    folder: PathBuf,
    run: String,
    attempt: String,
    catalog: String,
    rules: Rules,
    open: Mutex<Vec<Arc<Journal>>>,
    troubles: Mutex<BTreeSet<String>>,
}

impl Journals {
    /// Of the run that makes a snapshot. What runs that are long gone have left is removed.
    ///
    /// # Errors
    /// When there can be no folder.
    pub fn new(
        root: &Path,
        run: &str,
        attempt: &str,
        catalog: &Catalog,
        models: &Arc<Models>,
    ) -> std::io::Result<Self> {
        clear(root);
        let folder = root.join(run);
        // somebody else may just remove the empty folder above
        make_folder(&folder).or_else(|_| make_folder(&folder))?;
        let waits = catalog.tables.values().filter_map(|table| {
            let before = table.list.as_ref()?.before.as_ref()?;
            Some((table.model.clone(), before.call.clone()))
        });
        let mut absent: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
        for table in catalog.tables.values() {
            let lists = table.list.iter().map(|list| (&list.call, &list.absent));
            let calls = table.calls.iter().map(|call| (&call.call, &call.absent));
            for (call, codes) in lists.chain(calls).filter(|(_, codes)| !codes.is_empty()) {
                let known = absent.entry((table.model.clone(), call.clone()));
                known.or_default().extend(codes.iter().cloned());
            }
        }
        Ok(Self {
            folder,
            run: run.to_owned(),
            attempt: attempt.to_owned(),
            catalog: catalog.fingerprint.clone(),
            rules: Rules {
                models: Arc::clone(models),
                asked_again: Arc::new(waits.collect()),
                absent: Arc::new(absent),
                clock: connect::system_time,
            },
            open: Mutex::default(),
            troubles: Mutex::default(),
        })
    }

    /// The journal of what an account answers of itself.
    pub fn of_account(&self, account_id: &str) -> Option<Arc<Journal>> {
        self.journal(account_id, ACCOUNT)
    }

    /// The journal of what is the same for all accounts and this one answers.
    pub fn of_organization(&self, account_id: &str) -> Option<Arc<Journal>> {
        self.journal(account_id, ORGANIZATION)
    }

    fn journal(&self, account_id: &str, part: &str) -> Option<Arc<Journal>> {
        let about = About {
            run: self.run.clone(),
            account_id: account_id.to_owned(),
            part: part.to_owned(),
            palisade: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: self.catalog.clone(),
        };
        let opened = Journal::open(&self.folder, &self.attempt, about, self.rules.clone());
        let (journal, troubles) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.trouble(format!("answers are not kept: {error}"));
                return None;
            }
        };
        for trouble in troubles {
            self.trouble(trouble.to_string());
        }
        let journal = Arc::new(journal);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(Arc::clone(&journal));
        Some(journal)
    }

    /// An account that answers from its journal what that has.
    pub fn account(&self, target: AccountTarget, part: Part) -> AccountTarget {
        match self.of_account(&target.account_id) {
            Some(journal) => AccountTarget {
                api: self.over(target.api, part, journal),
                ..target
            },
            None => target,
        }
    }

    /// The same for somebody who answers.
    pub fn over(&self, api: Arc<dyn Api>, part: Part, journal: Arc<Journal>) -> Arc<dyn Api> {
        Arc::new(Journaled::new(api, part, journal))
    }

    /// The account is kept: its answers are of no more use.
    pub fn done(&self, account_id: &str) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for journal in open.iter() {
            let about = journal.about();
            if about.account_id == account_id && about.part == ACCOUNT {
                journal.remove();
            }
        }
    }

    /// The snapshot is committed: nothing of the run is of any more use.
    pub fn end(&self) {
        // another process may be at it, too
        let _ = std::fs::remove_dir_all(&self.folder);
        self.leave();
    }

    /// This worker has done its part: what it has kept is of no more use, and others may still be at theirs.
    pub fn leave(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().for_each(|journal| journal.remove());
        // where a bucket's journals are, nothing else need be; what is not empty stays
        for folder in self.folder.ancestors().take(3) {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// Tells what went wrong with journals, and how many calls they have saved.
    pub fn tell(&self, terminal: &Terminal) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let later = open.iter().filter_map(|journal| journal.trouble());
        troubles.extend(later.map(|trouble| format!("answers are no longer kept: {trouble}")));
        for trouble in std::mem::take(&mut *troubles) {
            terminal.warn(&trouble);
        }
        let answered: u64 = open.iter().map(|journal| journal.answered()).sum();
        if answered > 0 {
            terminal.note(&format!(
                "{answered} calls were not made again: they were answered before"
            ));
        }
    }

    fn trouble(&self, text: String) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.insert(text);
    }

    /// Writes down what a run over one account reads, so that it can be gone on with.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(&self, plan: &RunPlan, store: &Store) -> std::io::Result<()> {
        let single = Single {
            store: store.location().to_owned(),
            plan: plan.clone(),
        };
        let text = serde_json::to_vec(&single)?;
        let path = self.folder.join(PLAN);
        // whole or not at all
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&text)?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(())
    }
}

/// A run over one account.
#[derive(Serialize, Deserialize)]
struct Single {
    /// The store that its snapshot is for.
    store: String,
    plan: RunPlan,
}

/// The plans of runs over one account whose snapshot is for this store and is not committed, oldest first.
///
/// # Errors
/// When the store cannot be read.
pub async fn singles(store: &Store) -> Result<Vec<RunPlan>, StoreError> {
    let mut plans = Vec::new();
    for folder in root(store).iter().flat_map(|root| folders(root)) {
        let Ok(text) = std::fs::read(folder.join(PLAN)) else {
            continue;
        };
        // one that is not understood is gone on with by nobody
        let Ok(single) = serde_json::from_slice::<Single>(&text) else {
            continue;
        };
        let is_named = folder
            .file_name()
            .is_some_and(|n| *n == *single.plan.snapshot);
        // those of a folder are in it; those of all buckets are in one place
        let is_here = store.folder().is_some() || single.store == store.location();
        if !is_named || !is_here {
            continue;
        }
        match store.manifest(&single.plan.snapshot).await {
            Err(e) if e.is_missing() => plans.push(single.plan),
            Err(e @ StoreError::Storage { .. }) => return Err(e),
            _ => {}
        }
    }
    plans.sort_by(|a, b| (a.started_at, &a.snapshot).cmp(&(b.started_at, &b.snapshot)));
    Ok(plans)
}

/// The run over one account that is meant, by its snapshot's id or what that begins with, or as `last`.
///
/// # Errors
/// When there is none, or more than one.
pub async fn find_single(store: &Store, wanted: &str, judged: bool) -> Result<RunPlan, StoreError> {
    let mut plans = singles(store).await?;
    if wanted == "last" {
        plans.retain(|plan| plan.judged == judged);
    } else {
        plans.retain(|plan| !wanted.is_empty() && plan.snapshot.starts_with(wanted));
        if plans.len() > 1 {
            let ids: Vec<&str> = plans.iter().map(|p| p.snapshot.as_str()).collect();
            return Err(StoreError::Ambiguous {
                wanted: wanted.to_owned(),
                candidates: ids.join(", "),
            });
        }
    }
    plans.pop().ok_or_else(|| StoreError::NoRun {
        wanted: wanted.to_owned(),
        location: store.location().to_owned(),
    })
}

/// Removes the journals whose answers are too old to be used.
pub fn clear(root: &Path) {
    for folder in folders(root) {
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let times = files.filter_map(|file| file.metadata().ok()?.modified().ok());
        let own = std::fs::metadata(&folder).and_then(|m| m.modified()).ok();
        let old = Duration::from_micros(HOLDS.unsigned_abs());
        let is_old = |time: SystemTime| time.elapsed().is_ok_and(|age| age > old);
        if times.chain(own).max().is_some_and(is_old) {
            // somebody else may clear away, too
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Removes the journals of snapshots.
pub fn forget(store: &Store, ids: &[String]) {
    let name = |folder: &Path| folder.file_name().map(|n| n.to_string_lossy().into_owned());
    for folder in root(store).iter().flat_map(|root| folders(root)) {
        if name(&folder).is_some_and(|name| ids.contains(&name)) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

/// Answers may hold what is secret: a folder for its owner alone.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

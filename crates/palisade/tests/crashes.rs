//! Processes that are killed (SIGKILL) at random points: collecting alone and with others, scanning, committing, joining
//! files and clearing away, over a store on the disk. Whatever a process was doing, no snapshot is damaged, what can be
//! seen is right, and going on gives what an undisturbed run gives. `PALISADE_CRASHES` says how often (6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::accounts::{collect_for, command, findings_of, offline, organization, run, snapshots};
use common::{err, out, palisade};
use palisade_query::CatalogSchemas;
use palisade_replay::{Faults, Refusal, Server};
use palisade_store::{AccountResult, NewSnapshot, Options, Store};
use palisade_table::Batch;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A few services: a process should spend its time on writing.
const CHECKS: [&str; 4] = [
    "--service",
    "kms,guardduty",
    "--check",
    "s3-bucket-versioning,s3-bucket-access-logging",
];

fn collect<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    collect_for(&CHECKS, store, more)
}

fn findings(folder: &Path, store: &str, snapshot: &str) -> Vec<Value> {
    findings_of(&CHECKS, folder, store, snapshot)
}

/// Numbers that are the same each time.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// How long a process takes, and how many files it adds or takes away.
struct Whole {
    time: Duration,
    files: usize,
}

struct Lake<'f> {
    folder: &'f Path,
    server: Server,
    random: Random,
    /// What the checks say of the organisation.
    expected: Vec<Value>,
    /// What happened: killed while it worked, or done before.
    killed: usize,
    done: usize,
}

impl Lake<'_> {
    fn lake(&self) -> PathBuf {
        self.folder.join("lake")
    }

    fn measure(&self, mut command: Command) -> Whole {
        let (before, begun) = (files(&self.lake()).len(), Instant::now());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        Whole {
            time: begun.elapsed(),
            files: files(&self.lake()).len().abs_diff(before),
        }
    }

    /// Starts a process and kills it: after some part of the time that it takes, or when it has made (or removed) some part
    /// of its files.
    fn kill(&mut self, mut command: Command, whole: &Whole) {
        let at = self.random.part();
        let by_files = self.random.part() < 0.6;
        let before = files(&self.lake()).len();
        let begun = Instant::now();
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let changes = (whole.files as f64 * at) as usize;
        loop {
            let reached = match by_files {
                true => files(&self.lake()).len().abs_diff(before) > changes,
                false => begun.elapsed() >= whole.time.mul_f64(at),
            };
            if reached {
                break;
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        match child.try_wait().unwrap() {
            Some(_) => self.done += 1,
            None => self.killed += 1,
        }
        // one that has ended cannot be killed
        let _ = child.kill();
        child.wait().unwrap();
        self.is_sound();
    }

    /// No snapshot that can be seen is damaged; gives their ids, and what is said of others.
    fn is_sound(&self) -> (Vec<String>, String) {
        let (said, _) = offline(self.folder, &["snapshots", "verify", "--store", "lake"], 0);
        assert!(
            said.lines().all(|l| l.ends_with(", 0 are damaged")),
            "{said}"
        );
        let (manifests, notes) = snapshots(self.folder, "lake");
        let ids: Vec<String> = manifests
            .iter()
            .map(|m| m["id"].as_str().unwrap().to_owned())
            .collect();
        // another worker may have committed in between
        assert!(said.lines().count() <= ids.len(), "{said}");
        (ids, notes)
    }

    fn collect(&self, more: &[&str]) -> Command {
        command(self.folder, &self.server, &collect("lake", more))
    }

    fn scan(&self, more: &[&str]) -> Command {
        let mut arguments = vec!["scan", "--organization", "--store", "lake", "-f", "jsonl"];
        arguments.extend(CHECKS);
        arguments.extend(more);
        command(self.folder, &self.server, &arguments)
    }

    fn offline(&self, arguments: &[&str]) -> Command {
        let mut command = palisade(self.folder);
        command.args(arguments).args(["--store", "lake"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn good(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        out(&output)
    }

    /// The latest snapshot says what it should, and each of its files is named once and none is left over.
    fn is_whole(&self, id: &str) {
        let (ids, notes) = self.is_sound();
        assert_eq!(ids.last().map(String::as_str), Some(id));
        assert!(!notes.contains("under way"), "{notes}");
        let found = findings(self.folder, "lake", id);
        let lacks = |all: &[Value], others: &[Value]| {
            let other = all.iter().find(|finding| !others.contains(finding));
            other.map(ToString::to_string)
        };
        assert!(
            found == self.expected,
            "{id}: lacks {:?}, has {:?}",
            lacks(&self.expected, &found),
            lacks(&found, &self.expected)
        );
        let snapshot = self.lake().join("snapshots").join(id);
        let mut named = Vec::new();
        // what a killed process had not yet given its name is no object of the store, and goes when it is old
        let documents = files(&snapshot.join("accounts"));
        let is_document = |f: &PathBuf| f.extension().is_some_and(|e| e == "json");
        for file in documents.into_iter().filter(is_document) {
            let account: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let tables = account["tables"].as_object().unwrap().values();
            let parts = tables.flat_map(|t| t["files"].as_array().unwrap());
            let all = parts.chain(account.get("findings").filter(|f| !f.is_null()));
            named.extend(all.map(|f| self.lake().join(f["path"].as_str().unwrap())));
        }
        let there: BTreeSet<PathBuf> = files(&snapshot)
            .into_iter()
            .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
            .collect();
        assert_eq!(named.len(), there.len());
        assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), there);
    }

    /// The id of the run that is not committed.
    fn open_run(&self) -> Option<String> {
        let notes = self.is_sound().1;
        let id = notes.split("--resume ").nth(1)?;
        Some(id.split('`').next().unwrap().to_owned())
    }

    fn clear(&self) {
        let _ = std::fs::remove_dir_all(self.lake());
    }

    /// Collecting alone: killed and gone on with until it is through.
    fn collecting(&mut self, kills: usize) {
        self.clear();
        let whole = self.measure(self.collect(&[]));
        self.clear();
        for _ in 0..kills {
            let more: &[&str] = match self.open_run() {
                Some(_) => &["--resume", "last"],
                None => &[],
            };
            self.kill(self.collect(more), &whole);
            if self.random.part() < 0.4 {
                self.go_on();
            }
        }
        self.go_on();
    }

    fn go_on(&mut self) {
        let Some(id) = self.open_run() else {
            // it came to its end before it was killed, or had not begun
            if let Some(id) = self.is_sound().0.last() {
                self.is_whole(id);
            }
            self.clear();
            return;
        };
        self.good(self.collect(&["--resume", "last"]));
        self.is_whole(&id);
        self.clear();
    }

    /// Three workers, of which some are killed; the same commands again make it whole, by whoever is last.
    fn sharing(&mut self, kills: usize) {
        let shards = ["1/3", "2/3", "3/3"];
        let mut whole = Whole {
            time: Duration::ZERO,
            files: 0,
        };
        for shard in shards {
            let one = self.measure(self.collect(&["--run", "measured", "--shard", shard]));
            whole.time = whole.time.max(one.time);
            whole.files = whole.files.max(one.files);
        }
        self.clear();
        for round in 0..kills {
            let name = format!("round-{round}");
            let victim = shards[round % shards.len()];
            let others: Vec<_> = shards
                .iter()
                .filter(|s| **s != victim)
                .map(|shard| {
                    self.collect(&["--run", &name, "--shard", shard])
                        .spawn()
                        .unwrap()
                })
                .collect();
            self.kill(self.collect(&["--run", &name, "--shard", victim]), &whole);
            // a second of the same shard at the same time, as when a job is moved to another machine
            let twins: Vec<_> = (0..2)
                .map(|_| {
                    self.collect(&["--run", &name, "--shard", victim])
                        .spawn()
                        .unwrap()
                })
                .collect();
            for worker in others.into_iter().chain(twins) {
                let output = worker.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", err(&output));
            }
            let (ids, _) = self.is_sound();
            assert_eq!(ids.len(), 1, "{ids:?}");
            self.is_whole(&ids[0]);
            self.clear();
        }
    }

    /// The commit alone, of a run of which everything is written, with leftovers of attempts that did not end.
    fn committing(&mut self, kills: usize) {
        self.clear();
        self.good(self.collect(&["--run", "all"]));
        let id = self.is_sound().0.remove(0);
        let manifest = self
            .lake()
            .join("snapshots")
            .join(&id)
            .join("manifest.json");
        let take_back = |lake: &Self| {
            std::fs::remove_file(&manifest).unwrap();
            let all = files(&lake.lake().join("snapshots"));
            for file in all
                .iter()
                .filter(|f| f.extension().is_some_and(|e| e == "parquet"))
            {
                std::fs::copy(file, file.with_file_name("part-0000dead-0.parquet")).unwrap();
            }
        };
        take_back(self);
        let whole = self.measure(self.offline(&["snapshots", "commit", "all"]));
        for _ in 0..kills {
            take_back(self);
            self.kill(self.offline(&["snapshots", "commit", "all"]), &whole);
            self.good(self.offline(&["snapshots", "commit", "all"]));
            self.is_whole(&id);
        }
        self.clear();
    }

    /// A scan: killed, gone on with, and its report is the undisturbed one.
    fn scanning(&mut self, kills: usize) {
        self.clear();
        let report = self.good(self.scan(&[]));
        self.clear();
        let whole = self.measure(self.scan(&[]));
        for _ in 0..kills {
            self.clear();
            self.kill(self.scan(&[]), &whole);
            if let Some(id) = self.open_run() {
                self.kill(self.scan(&["--resume", &id]), &whole);
                if self.open_run().is_some() {
                    assert!(self.good(self.scan(&["--resume", &id])) == report);
                }
                self.is_whole(&id);
            }
        }
        self.clear();
    }

    /// Joining files: what was there before stays until the new ones can be seen.
    fn compacting(&mut self, kills: usize) {
        self.clear();
        self.good(self.collect(&["--run", "all"]));
        let id = scattered(&self.lake());
        let kept = self.folder.join("kept");
        copy(&self.lake(), &kept);
        let whole = self.measure(self.offline(&["snapshots", "compact", &id]));
        let expected = self.expected.clone();
        for _ in 0..kills {
            self.clear();
            copy(&kept, &self.lake());
            self.kill(self.offline(&["snapshots", "compact", &id]), &whole);
            assert!(findings(self.folder, "lake", &id) == expected);
            self.good(self.offline(&["snapshots", "compact", &id]));
            assert_eq!(self.is_sound().0.len(), 2);
            assert!(findings(self.folder, "lake", &id) == expected);
        }
        self.clear();
        std::fs::remove_dir_all(kept).unwrap();
    }

    /// Clearing away: what goes is gone as a whole, what stays is whole, and nothing goes on with what is half gone.
    fn pruning(&mut self, kills: usize) {
        self.clear();
        self.good(self.collect(&["--run", "old"]));
        let old = self.is_sound().0.remove(0);
        std::thread::sleep(Duration::from_millis(1_100));
        self.good(self.collect(&["--run", "new"]));
        let new = self.is_sound().0.pop().unwrap();
        let kept = self.folder.join("kept");
        copy(&self.lake(), &kept);
        let prune = ["snapshots", "prune", "--keep-last", "1", "--yes"];
        let whole = self.measure(self.offline(&prune));
        for _ in 0..kills {
            self.clear();
            copy(&kept, &self.lake());
            self.kill(self.offline(&prune), &whole);
            let (ids, notes) = self.is_sound();
            assert_eq!(ids.last(), Some(&new));
            if !ids.contains(&old) {
                assert!(!notes.contains("--resume"), "{notes}");
                let commit = self
                    .offline(&["snapshots", "commit", "old"])
                    .output()
                    .unwrap();
                assert_eq!(commit.status.code(), Some(2), "{}", err(&commit));
            }
            assert!(findings(self.folder, "lake", &new) == self.expected);
            self.good(self.offline(&prune));
            assert_eq!(self.is_sound().0, [new.as_str()]);
        }
        self.clear();
        std::fs::remove_dir_all(kept).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(file, target).unwrap();
    }
}

/// A second snapshot of the same rows, each in a file of its own; gives its id.
fn scattered(lake: &Path) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let catalog = palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog;
    let models = palisade_model::Models::embedded();
    let schemas = CatalogSchemas::new(Arc::new(catalog), Arc::new(models));
    runtime.block_on(async {
        let store = Store::open(lake.to_str().unwrap(), &Options::default()).unwrap();
        let snapshot = store.snapshot("latest").await.unwrap();
        let manifest = snapshot.manifest();
        let writer = store.writer(NewSnapshot {
            nonce: "00000002".to_owned(),
            started_at: manifest.started_at,
            palisade: manifest.palisade.clone(),
            catalog: manifest.catalog.clone(),
            regions: manifest.regions.clone(),
        });
        for id in snapshot.accounts() {
            let part = snapshot.account(&id).await.unwrap();
            let columns = part.tables.iter();
            let wanted = columns
                .map(|(name, t)| (name.clone(), t.columns.keys().cloned().collect()))
                .collect();
            let accounts = [id.clone()];
            let mut dataset = snapshot
                .dataset(&accounts, &wanted, &schemas)
                .await
                .unwrap();
            for table in dataset.tables.values_mut() {
                table.batches = table.batches.iter().flat_map(single_rows).collect();
            }
            let result = AccountResult {
                account_id: &id,
                dataset: &dataset,
                coverage: &part.coverage,
                findings: None,
            };
            writer.account(result).await.unwrap();
        }
        writer.commit(manifest.finished_at, None).await.unwrap().id
    })
}

fn single_rows(batch: &Batch) -> Vec<Batch> {
    let rows = 0..batch.rows.num_rows();
    rows.map(|row| Batch {
        rows: batch.rows.slice(row, 1),
        failures: batch
            .failures
            .iter()
            .filter(|f| f.row == row)
            .map(|f| palisade_table::Failure {
                row: 0,
                ..f.clone()
            })
            .collect(),
    })
    .collect()
}

#[test]
fn nothing_that_is_killed_spoils_a_store() {
    let kills: usize = std::env::var("PALISADE_CRASHES").map_or(6, |n| n.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(Some(Refusal::Denied), Faults::none());
    let undisturbed = run(folder, &server, &collect("alone", &[]));
    assert!(undisturbed.status.success(), "{}", err(&undisturbed));
    let expected = findings(folder, "alone", "latest");
    assert!(expected.len() > 100);
    let mut lake = Lake {
        folder,
        server,
        random: Random(0x2545_f491_4f6c_dd1d),
        expected,
        killed: 0,
        done: 0,
    };
    // six kinds; a scan is killed twice a round
    let share = |n: usize| kills / 6 + usize::from(n < kills % 6);
    lake.collecting(share(0));
    lake.sharing(share(1));
    lake.committing(share(2));
    lake.scanning(share(3).div_ceil(2));
    lake.compacting(share(4));
    lake.pruning(share(5));
    println!(
        "{} were killed, {} had ended before",
        lake.killed, lake.done
    );
    assert!(lake.killed > 0, "nothing was killed while it worked");
}

//! A scheduler, an executor, and questions to them, without the rest of Palisade: for tests and for images that only work.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program talks to its user"
)]

use palisade_catalog::{Catalog, Source};
use palisade_cluster::{Cluster, ClusterError, ExecutorConfig, Place, SchedulerConfig, Site};
use palisade_query::Options;
use palisade_store::Snapshot;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

const USAGE: &str = "\
palisade-cluster scheduler [--bind ADDRESS] [--silence SECONDS]
palisade-cluster executor --scheduler HOST:PORT [--bind ADDRESS] [--advertise HOST] [--work-dir FOLDER]
                          [--concurrent-tasks N] [--catalog FOLDER]
palisade-cluster findings --engine ballista://HOST:PORT --store STORE [--snapshot ID] [--catalog FOLDER]
palisade-cluster sql      --engine ballista://HOST:PORT --store STORE [--snapshot ID] [--catalog FOLDER] SQL

Log messages go to the standard error; PALISADE_CLUSTER_LOG=warn|info|debug asks for more of them.";

struct Arguments {
    named: BTreeMap<String, String>,
    free: Vec<String>,
}

impl Arguments {
    fn read(known: &[&str]) -> Result<Self, String> {
        let (mut named, mut free) = (BTreeMap::new(), Vec::new());
        let mut rest = std::env::args().skip(2);
        while let Some(argument) = rest.next() {
            match argument.strip_prefix("--") {
                Some(name) if known.contains(&name) => {
                    let value = rest.next().ok_or(format!("--{name} needs a value"))?;
                    named.insert(name.to_owned(), value);
                }
                Some(_) => return Err(format!("unknown option `{argument}`")),
                None => free.push(argument),
            }
        }
        Ok(Self { named, free })
    }
    fn get(&self, name: &str) -> Option<&String> {
        self.named.get(name)
    }
    fn need(&self, name: &str) -> Result<String, String> {
        self.get(name)
            .cloned()
            .ok_or(format!("--{name} is missing"))
    }
    fn parsed<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("--{name}: `{text}` is not possible")),
        }
    }
    fn catalog(&self) -> Result<Arc<Catalog>, String> {
        let mut sources = vec![Source::embedded()];
        if let Some(folder) = self.get("catalog") {
            sources.push(Source::directory(folder).map_err(|e| e.to_string())?);
        }
        let loaded = palisade_catalog::load(&sources);
        match loaded.diagnostics.iter().find(|d| d.is_error()) {
            Some(problem) => Err(problem.to_string()),
            None => Ok(Arc::new(loaded.catalog)),
        }
    }
    /// The store, and its snapshot.
    fn snapshot(&self, runtime: &Runtime) -> Result<(Place, Snapshot), String> {
        let place = Place::new(&self.need("store")?).map_err(|e| e.to_string())?;
        let store = place.open().map_err(|e| e.to_string())?;
        let wanted = self.get("snapshot").map_or("latest", |s| s);
        let snapshot = runtime.block_on(store.snapshot(wanted));
        Ok((place, snapshot.map_err(|e| e.to_string())?))
    }
    fn cluster(&self) -> Result<Cluster, String> {
        let cluster = Cluster::new(&self.need("engine")?, self.catalog()?);
        let patience = self.parsed("patience", 30)?;
        let cluster = cluster.map_err(|e| e.to_string())?;
        Ok(cluster.with_patience(Duration::from_secs(patience)))
    }
}

fn main() -> ExitCode {
    stop_with_parent();
    palisade_cluster::log_to_stderr(std::env::var("PALISADE_CLUSTER_LOG").ok().as_deref());
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

/// With `PALISADE_CLUSTER_LEASH` set the process ends with its standard input: a test that dies leaves nothing behind.
fn stop_with_parent() {
    if std::env::var_os("PALISADE_CLUSTER_LEASH").is_some() {
        std::thread::spawn(|| {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            std::process::abort();
        });
    }
}

fn run() -> Result<(), String> {
    let command = std::env::args().nth(1).unwrap_or_default();
    let runtime = palisade_cluster::runtime().map_err(|e| e.to_string())?;
    let told = |e: ClusterError| e.to_string();
    match command.as_str() {
        "scheduler" => {
            let arguments = Arguments::read(&["bind", "silence"])?;
            let bind = SocketAddr::from(([127, 0, 0, 1], palisade_cluster::SCHEDULER_PORT));
            let mut config = SchedulerConfig::new(arguments.parsed("bind", bind)?);
            config.executor_silence = arguments.parsed("silence", config.executor_silence)?;
            let ready = |address| eprintln!("scheduler on {address}");
            runtime
                .block_on(palisade_cluster::scheduler(config, ready))
                .map_err(told)
        }
        "executor" => {
            let arguments = Arguments::read(&[
                "scheduler",
                "bind",
                "advertise",
                "work-dir",
                "concurrent-tasks",
                "catalog",
            ])?;
            let config = ExecutorConfig {
                scheduler: arguments.need("scheduler")?,
                bind: arguments.parsed("bind", SocketAddr::from(([127, 0, 0, 1], 0)))?,
                advertise: arguments.get("advertise").cloned(),
                work_dir: arguments.get("work-dir").map(PathBuf::from),
                concurrent_tasks: arguments.parsed("concurrent-tasks", 0)?,
            };
            let hold = std::env::var_os("PALISADE_CLUSTER_HOLD").map(PathBuf::from);
            let site = Arc::new(Site::new(arguments.catalog()?).holding(hold));
            let ready = |address| eprintln!("executor on {address}");
            runtime
                .block_on(palisade_cluster::executor(config, site, ready))
                .map_err(told)
        }
        "findings" => {
            let arguments =
                Arguments::read(&["engine", "store", "snapshot", "catalog", "patience"])?;
            let (catalog, cluster) = (arguments.catalog()?, arguments.cluster()?);
            let (place, snapshot) = arguments.snapshot(&runtime)?;
            let checks: Vec<_> = catalog.checks.values().cloned().collect();
            let now = snapshot.manifest().started_at;
            let asked = cluster.findings(&place, &snapshot, &checks, now, Options::default());
            let found = runtime.block_on(asked).map_err(told)?;
            for finding in &found.findings {
                println!(
                    "{}",
                    serde_json::to_string(finding).map_err(|e| e.to_string())?
                );
            }
            for error in &found.errors {
                eprintln!("{error}");
            }
            Ok(())
        }
        "sql" => {
            let arguments =
                Arguments::read(&["engine", "store", "snapshot", "catalog", "patience"])?;
            let [sql] = arguments.free.as_slice() else {
                return Err("give one piece of SQL".to_owned());
            };
            let cluster = arguments.cluster()?;
            let (place, snapshot) = arguments.snapshot(&runtime)?;
            let now = snapshot.manifest().started_at;
            let snapshots = [snapshot];
            let asked = cluster.sql(&place, &snapshots, sql, now);
            let (rows, _) = runtime.block_on(asked).map_err(told)?;
            print!("{}", rows.to_json_lines());
            Ok(())
        }
        _ => Err(format!("what to do?\n\n{USAGE}")),
    }
}

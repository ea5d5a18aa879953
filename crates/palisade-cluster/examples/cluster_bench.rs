//! One machine against Ballista with one and with two executors, in one run, over an organisation made of the demo
//! account, or over the latest snapshot of a store (`cargo xtask synth` writes one of any size):
//!
//! `cargo build --release -p palisade-cluster --bin palisade-cluster --example cluster_bench`
//! `target/release/examples/cluster_bench [ACCOUNTS] [COPIES OF EACH RESOURCE]`
//! `target/release/examples/cluster_bench STORE`
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark talks, and fails by panicking"
)]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/common/processes.rs"]
mod processes;

use palisade_catalog::Catalog;
use palisade_cluster::{Cluster, Place};
use palisade_query::Options;
use palisade_scan::Scanner;
use processes::Running;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const QUERY: &str = "SELECT v.account_id, count(s.group_id) AS groups, sum(cardinality(array_filter(s.ip_permissions, p -> array_any_match(p['ip_ranges'], r -> cidr_is_public(r['cidr_ip']))))) AS open FROM ec2_vpc v LEFT JOIN ec2_security_group s ON s.account_id = v.account_id AND s.vpc_id = v.vpc_id GROUP BY v.account_id ORDER BY v.account_id";

/// The most memory that a process has had, in MB.
fn peak(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM"));
    let kb = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<u64>().ok());
    kb.unwrap_or(0) / 1024
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// The latest snapshot of a store.
fn latest(store: &Path) -> common::Taken {
    let place = Place::new(store.to_str().unwrap()).unwrap();
    let opened = place.open().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let snapshot = runtime.block_on(opened.snapshot("latest")).unwrap();
    common::Taken { place, snapshot }
}

/// An organisation made of the demo account.
fn copies(folder: &Path, catalog: &Arc<Catalog>, accounts: usize, times: usize) -> common::Taken {
    let demo = common::demo(catalog);
    let members = common::members(accounts).into_iter().enumerate();
    let members = members.map(|(number, account)| {
        let dataset = common::member(&demo, &account, number, times);
        (account, dataset)
    });
    common::snapshot(&folder.join("store"), "00000001", &demo, members)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = tempfile::tempdir().unwrap();
    let catalog = common::catalog(None);
    let taken = match arguments.first() {
        Some(store) if Path::new(store).is_dir() => latest(Path::new(store)),
        _ => {
            let number = |at: usize, default| {
                let given = arguments.get(at);
                given.map_or(default, |a| a.parse::<usize>().unwrap())
            };
            copies(folder.path(), &catalog, number(0, 40), number(1, 20))
        }
    };
    let (place, snapshot, now) = (&taken.place, &taken.snapshot, taken.now());
    let checks = common::checks(&catalog);
    println!(
        "{} accounts, {} resources, {} checks",
        snapshot.accounts().len(),
        snapshot.manifest().rows(),
        checks.len()
    );
    println!("| engine | checks | SQL | peak memory of an executor |\n|---|---:|---:|---:|");

    let begun = Instant::now();
    let embedded = common::Embedded::new(&catalog, &checks, now);
    let here = embedded.says(&taken, Options::default());
    let checked = begun.elapsed();
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    scanner.set_now(now);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let all = std::slice::from_ref(snapshot);
    let begun = Instant::now();
    let asked = scanner.query_snapshots(QUERY, all, 1 << 30, runtime.handle());
    let rows = asked.unwrap().0.to_json_lines();
    println!(
        "| embedded | {} | {} | |",
        seconds(checked),
        seconds(begun.elapsed())
    );
    for executors in [1, 2] {
        let work = folder.path().join(format!("cluster-{executors}"));
        std::fs::create_dir(&work).unwrap();
        let running = Running::start(&work, executors, None, &[]);
        let cluster = Cluster::new(&running.url(), Arc::clone(&catalog)).unwrap();
        let mut times = Vec::new();
        for _ in 0..2 {
            let begun = Instant::now();
            let asked = cluster.findings(place, snapshot, &checks, now, Options::default());
            let there = runtime.block_on(asked).unwrap();
            times.push(begun.elapsed());
            common::assert_same(&there, &here);
        }
        let begun = Instant::now();
        let asked = cluster.sql(place, all, QUERY, now);
        let (there, _) = runtime.block_on(asked).unwrap();
        let asked = begun.elapsed();
        assert_eq!(there.to_json_lines(), rows, "the rows differ");
        let memory = running.executors.iter().map(|e| peak(&e.id().to_string()));
        println!(
            "| Ballista, {executors} executor(s) | {}, again {} | {} | {} MB |",
            seconds(times[0]),
            seconds(times[1]),
            seconds(asked),
            memory.max().unwrap_or(0)
        );
    }
    println!(
        "{} findings, equal in all; this process: {} MB",
        here.findings.len(),
        peak("self")
    );
}

//! `cargo xtask bench --scale`: made-up organisations judged, queried and compared, with the memory that it takes.
use crate::bench::{Run, mib, timed};
use crate::synth;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Memory that queries may take, in MiB.
const MEMORY: &str = "1024";
/// Resources of each account where the number of accounts grows.
const EACH: u64 = 1000;
/// Accounts of the large lake.
const ACCOUNTS: u64 = 10;
/// Percent of the large lake's resources that are not as they were in the snapshot before.
const DRIFT: u64 = 10;

/// More groups than rows that fit, sorted, and a join: what goes on in temporary files.
const QUERIES: [(&str, &str); 3] = [
    (
        "count by account and type",
        "SELECT account_id, interface_type, count(*) AS n FROM ec2_network_interface GROUP BY account_id, interface_type ORDER BY n DESC",
    ),
    (
        "sort of every role",
        "SELECT max(n) AS n FROM (SELECT row_number() OVER (ORDER BY arn DESC) AS n FROM iam_role)",
    ),
    (
        "join of two large tables",
        "SELECT count(*) AS n FROM ec2_security_group s JOIN ec2_network_interface i ON i.account_id = s.account_id AND i.region = s.region AND i.vpc_id = s.vpc_id WHERE i.network_interface_id > s.group_id AND s.group_id LIKE '%7'",
    ),
];

fn run_of(binary: &Path, store: &Path, arguments: &[&str]) -> anyhow::Result<Run> {
    let mut command = Command::new(binary);
    command.args(arguments).arg("--quiet");
    command.arg("--store").arg(store);
    timed(&mut command)
}

/// A store with what was asked for; one that is there is taken as it is.
fn store(accounts: u64, resources: u64, drift: Option<u64>) -> anyhow::Result<PathBuf> {
    let name = format!("synth-{accounts}-{resources}-{}", drift.unwrap_or(0));
    let folder = crate::paths::target().join("bench-scale").join(name);
    let done = folder.join("done");
    if !done.is_file() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        synth::write(&synth::Arguments {
            accounts,
            resources,
            store: folder.clone(),
            seed: 1,
            drift,
        })?;
        std::fs::write(done, "")?;
    }
    Ok(folder)
}

/// Runs all of it: organisations of up to `accounts` accounts, and lakes of `resources` resources.
pub fn run(binary: &Path, resources: u64, accounts: u64) -> anyhow::Result<()> {
    by_accounts(binary, accounts)?;
    one_account(binary, resources)?;
    lake(binary, resources)
}

/// All checks over ever more accounts of the same size: the cost of one must stay the same, and the memory, too.
fn by_accounts(binary: &Path, most: u64) -> anyhow::Result<()> {
    let mut before = None;
    let mut accounts = 10;
    while accounts <= most {
        let store = store(accounts, accounts * EACH, None)?;
        let run = run_of(binary, &store, &["check", "--snapshot", "latest"])?;
        let each = run.cpu.as_secs_f64() * 1000.0 / as_float(accounts);
        println!(
            "check, {accounts:>5} accounts of {EACH}: {:>8.1} s   {:>7.1} CPU-ms an account   {:>6.0} MiB{}",
            run.wall.as_secs_f64(),
            each,
            mib(run.peak_kib),
            match before {
                None => String::new(),
                Some((cost, peak)) => format!(
                    "   cost {:.2}, memory {:.2} of that of a tenth (aim: 1.0)",
                    each / cost,
                    mib(run.peak_kib) / peak
                ),
            }
        );
        before = Some((each, mib(run.peak_kib)));
        accounts *= 10;
    }
    Ok(())
}

/// All checks over one account that does not fit.
fn one_account(binary: &Path, resources: u64) -> anyhow::Result<()> {
    let store = store(1, resources, None)?;
    let run = run_of(binary, &store, &["check", "--snapshot", "latest"])?;
    tell(
        "check, one account",
        resources,
        &run,
        "(aim: under 1024 MiB)",
    );
    Ok(())
}

/// All checks, queries and a comparison over a lake.
fn lake(binary: &Path, resources: u64) -> anyhow::Result<()> {
    let store = store(ACCOUNTS, resources, Some(DRIFT))?;
    let run = run_of(binary, &store, &["check", "--snapshot", "latest"])?;
    let name = format!("check, {ACCOUNTS} accounts");
    tell(&name, resources, &run, "(aim: under 1024 MiB)");
    for (name, sql) in QUERIES {
        let arguments = ["query", sql, "--snapshot", "latest", "--memory", MEMORY];
        let run = run_of(binary, &store, &arguments)?;
        tell(name, resources, &run, "(aim: under 1024 MiB)");
    }
    let run = run_of(binary, &store, &["diff", "--format", "json"])?;
    let name = format!("diff, {DRIFT} % changed");
    tell(&name, resources, &run, "");
    Ok(())
}

fn tell(name: &str, resources: u64, run: &Run, aim: &str) {
    println!(
        "{name}, {resources} resources: {:>8.1} s   {:>9.0} resources/s   {:>6.0} MiB   {:.1} CPU-s {aim}",
        run.wall.as_secs_f64(),
        as_float(resources) / run.wall.as_secs_f64(),
        mib(run.peak_kib),
        run.cpu.as_secs_f64()
    );
}

#[expect(clippy::cast_precision_loss, reason = "figures for reading")]
fn as_float(number: u64) -> f64 {
    number as f64
}

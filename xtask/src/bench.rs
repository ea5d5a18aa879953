//! `cargo xtask bench`: the release binary against the replay endpoint at AWS-like latency. Prints ratios and
//! bounds beside seconds. A benchmark, not a test: nothing here fails on a slow machine.
use crate::paths;
use anyhow::{Context, ensure};
use palisade_replay::{Faults, OrganizationAccount, Recording, Server, Statistics};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// The palisade binary; default: the release build
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Recording that is replayed
    #[arg(long)]
    recording: Option<PathBuf>,
    /// Latency of every answer, in milliseconds
    #[arg(long, default_value_t = 60)]
    latency: u64,
    /// Calls in flight at once
    #[arg(long, default_value_t = 64)]
    in_flight: u64,
    /// Only the scan of the recording, so many times
    #[arg(long, value_name = "TIMES")]
    scans: Option<u32>,
    /// Only the plan of 10,000 repairs
    #[arg(long)]
    fix: bool,
    /// Also time a clean release build (takes minutes)
    #[arg(long)]
    build: bool,
    /// Only an organisation scan of so many replayed accounts, and of a tenth and of half of them
    #[arg(long, value_name = "ACCOUNTS")]
    organization: Option<u32>,
    /// Accounts that are read at once, with --organization
    #[arg(long, default_value_t = 8)]
    max_accounts: u32,
    /// Share of answers that are throttling, with --organization
    #[arg(long, default_value_t = 0.02)]
    throttled: f64,
    /// Only made-up organisations: lakes of so many resources judged, queried and compared, and how cost grows with
    /// accounts
    #[arg(long, value_name = "RESOURCES")]
    scale: Option<u64>,
    /// Accounts of the largest organisation, with --scale
    #[arg(long, default_value_t = 1000)]
    scale_accounts: u64,
    /// What else the scans are given, with --organization, for example `--service=s3`
    #[arg(last = true)]
    more: Vec<String>,
}

/// What one run of the binary took.
pub struct Run {
    pub wall: Duration,
    pub peak_kib: u64,
    pub cpu: Duration,
}

/// Runs all benchmarks.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = paths::root();
    if arguments.build {
        clean_build(&root)?;
    }
    let binary = arguments
        .binary
        .clone()
        .unwrap_or_else(|| paths::target().join("release/palisade"));
    ensure!(
        binary.is_file(),
        "no binary `{}`: run `cargo build --release` first",
        binary.display()
    );
    if let Some(resources) = arguments.scale {
        return crate::bench_scale::run(&binary, resources, arguments.scale_accounts);
    }
    let recording = arguments
        .recording
        .clone()
        .unwrap_or_else(|| root.join("catalog/demo/account.recording"));
    let recording = Arc::new(
        Recording::load(&recording)
            .with_context(|| format!("cannot load `{}`", recording.display()))?,
    );

    if let Some(accounts) = arguments.organization {
        return organization(&binary, &recording, accounts, arguments);
    }
    let latency = Duration::from_millis(arguments.latency);
    if arguments.fix {
        return crate::bench_fix::run(&binary, &recording, latency, arguments.in_flight);
    }
    // kept to the end: ext4 looks long for a place for new files where many were removed a moment ago
    let stores = tempfile::tempdir()?;
    let scan = |latency, in_flight| scan(&binary, &recording, stores.path(), latency, in_flight);
    if let Some(times) = arguments.scans {
        for _ in 0..times {
            let (run, statistics) = scan(latency, arguments.in_flight)?;
            let bound = by_limit(latency, &statistics, arguments.in_flight);
            println!(
                "scan, {:>3} ms a call     {:>8.1} ms   {:>6.1} MiB   {:.2} CPU-s, {} requests, ratio to the limit {:.2}",
                arguments.latency,
                millis(run.wall),
                mib(run.peak_kib),
                run.cpu.as_secs_f64(),
                statistics.total,
                run.wall.as_secs_f64() / bound.as_secs_f64()
            );
        }
        return Ok(());
    }
    let list = best(&binary, &["checks", "list", "--quiet"], 10)?;
    println!(
        "checks list             {:>8.1} ms   {:>6.1} MiB   (aim: under 50 ms)",
        millis(list.wall),
        mib(list.peak_kib)
    );
    let idle = best(&binary, &["permissions", "--quiet"], 5)?;
    println!(
        "plan of all checks      {:>8.1} ms   {:>6.1} MiB   (load, plan, print the policy)",
        millis(idle.wall),
        mib(idle.peak_kib)
    );

    let (none, without) = scan(Duration::ZERO, arguments.in_flight)?;
    println!(
        "scan, no latency        {:>8.1} ms   {:>6.1} MiB   {:.2} CPU-s, {} requests",
        millis(none.wall),
        mib(none.peak_kib),
        none.cpu.as_secs_f64(),
        without.total
    );
    let (run, statistics) = scan(latency, arguments.in_flight)?;
    let chain = chain(scan)?;
    let by_chain = latency.mul_f64(chain);
    let by_limit = by_limit(latency, &statistics, arguments.in_flight);
    let bound = by_limit.max(by_chain);
    println!(
        "scan, {:>3} ms a call     {:>8.1} ms   {:>6.1} MiB   {:.2} CPU-s (aim: under 150 MiB)",
        arguments.latency,
        millis(run.wall),
        mib(run.peak_kib),
        run.cpu.as_secs_f64()
    );
    println!(
        "  requests {}, most in flight {}, given twice {}",
        statistics.total,
        statistics.max_in_flight,
        statistics.duplicates.len()
    );
    for duplicate in statistics.duplicates.iter().take(10) {
        println!("    {} times: {:?}", duplicate.times, duplicate.key);
    }
    println!(
        "  lower bound {:.1} ms (chain of {chain:.1} answers {:.1} ms; the first answer, then {} at a time {:.1} ms): ratio {:.2} (aim: at most 1.30)",
        millis(bound),
        millis(by_chain),
        arguments.in_flight,
        millis(by_limit),
        run.wall.as_secs_f64() / bound.as_secs_f64()
    );
    crate::bench_fix::run(&binary, &recording, latency, arguments.in_flight)?;
    // of the whole workspace: a single package would be built with other features of its dependencies
    let examples = ["bench_plan", "bench_predicates", "decode_speed"];
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked", "--workspace"]);
    for example in examples {
        build.args(["--example", example]);
    }
    let status = build.current_dir(&root).status()?;
    ensure!(status.success(), "the examples do not build");
    for example in examples {
        println!("\n{example}");
        let status = Command::new(paths::target().join("release/examples").join(example))
            .current_dir(&root)
            .status()?;
        ensure!(status.success(), "{example} failed");
    }
    Ok(())
}

/// Scans of organisations of growing size: memory must not grow with them, apart from the findings, and the wall time must
/// be that of the calls.
fn organization(
    binary: &Path,
    recording: &Arc<Recording>,
    accounts: u32,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let latency = Duration::from_millis(arguments.latency);
    let region = recording.header().regions.first().cloned();
    let region = region.context("the recording has no region")?;
    let mut sizes = vec![accounts.div_ceil(10), accounts.div_ceil(2), accounts];
    sizes.dedup();
    for size in sizes {
        let faults = Faults::none()
            .latency(latency)
            .throttle("*", arguments.throttled);
        // the recorded account is one of them
        let others = (1..size).map(|n| OrganizationAccount::new(&format!("5{n:011}")));
        let server = Server::start_organization(Arc::clone(recording), faults, others.collect())?;
        let mut command = Command::new(binary);
        command
            .args(["scan", "--organization", "--quiet", "--region", &region])
            .args(["--endpoint-url", &server.url()])
            .args(["--max-in-flight", &arguments.in_flight.to_string()])
            .args(["--max-accounts", &arguments.max_accounts.to_string()])
            .args(&arguments.more)
            .envs([
                ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "example"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ]);
        let run = timed(&mut command)?;
        let statistics = server.shutdown();
        let bound = by_limit(latency, &statistics, arguments.in_flight);
        println!(
            "organisation of {size:>4} accounts, {} ms a call: {:>8.1} s   {:>6.1} MiB   {:.1} CPU-s (aim: under 400 MiB, the same for every size)",
            arguments.latency,
            run.wall.as_secs_f64(),
            mib(run.peak_kib),
            run.cpu.as_secs_f64(),
        );
        println!(
            "  requests {}, throttled {}, most in flight {}, given twice {}",
            statistics.total,
            statistics.throttled,
            statistics.max_in_flight,
            statistics.duplicates.len()
        );
        println!(
            "  lower bound {:.1} s ({} in flight): ratio {:.2} (aim: at most 1.30)",
            bound.as_secs_f64(),
            arguments.in_flight,
            run.wall.as_secs_f64() / bound.as_secs_f64()
        );
    }
    Ok(())
}

fn scan(
    binary: &Path,
    recording: &Arc<Recording>,
    stores: &Path,
    latency: Duration,
    in_flight: u64,
) -> anyhow::Result<(Run, Statistics)> {
    let server = Server::start(Arc::clone(recording), Faults::none().latency(latency))?;
    let regions = recording.header().regions.join(",");
    // a scan keeps a snapshot, and so does this one: elsewhere than in the user's own store
    let store = tempfile::tempdir_in(stores)?.keep();
    let mut command = Command::new(binary);
    command
        .args([
            "scan",
            "--quiet",
            "--format",
            "json",
            "--region",
            &regions,
            "--endpoint-url",
            &server.url(),
        ])
        .args(["--max-in-flight", &in_flight.to_string()])
        .arg("--store")
        .arg(store)
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
    let run = timed(&mut command)?;
    Ok((run, server.shutdown()))
}

/// How long the answers take when the limit on calls in flight binds. Everything waits for the first: in which partition
/// calls are made, and for which account, is what AWS says of the credentials.
fn by_limit(latency: Duration, statistics: &Statistics, in_flight: u64) -> Duration {
    let others = statistics.total.saturating_sub(1);
    latency.mul_f64(to_f64(1 + others.div_ceil(in_flight)))
}

/// How many answers the longest chain of calls waits for, one after another: what a slower answer costs the whole scan
/// when no limit binds. What the processor does is the same in both runs and falls out.
fn chain(scan: impl Fn(Duration, u64) -> anyhow::Result<(Run, Statistics)>) -> anyhow::Result<f64> {
    let [short, long] = [Duration::from_millis(750), Duration::from_millis(1500)];
    let (fast, _) = scan(short, 1024)?;
    let (slow, _) = scan(long, 1024)?;
    let more = slow.wall.saturating_sub(fast.wall);
    Ok(more.as_secs_f64() / (long - short).as_secs_f64())
}

fn best(binary: &Path, arguments: &[&str], times: usize) -> anyhow::Result<Run> {
    let mut runs = Vec::new();
    for _ in 0..times {
        runs.push(timed(Command::new(binary).args(arguments))?);
    }
    runs.into_iter().min_by_key(|r| r.wall).context("no run")
}

/// Runs a command to its end. Its peak memory is what the kernel last showed of it.
pub fn timed(command: &mut Command) -> anyhow::Result<Run> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let folder = PathBuf::from(format!("/proc/{}", child.id()));
    let (running, ended) = std::sync::mpsc::channel::<()>();
    let (status, wall, (peak_kib, cpu)) = std::thread::scope(|scope| {
        let watching = scope.spawn(move || watch(&folder, &ended));
        let status = child.wait();
        let wall = start.elapsed();
        drop(running);
        let seen = watching.join().unwrap_or_default();
        (status, wall, seen)
    });
    let status = status?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Run {
        wall,
        peak_kib,
        cpu,
    })
}

/// The peak memory and the processor time of a process until it ends. Looked at now and then: looking takes time from it.
fn watch(folder: &Path, ended: &Receiver<()>) -> (u64, Duration) {
    const PAUSE: Duration = Duration::from_millis(5);
    let (mut peak_kib, mut cpu) = (0, Duration::ZERO);
    loop {
        peak_kib = high_water(&folder.join("status"))
            .unwrap_or(peak_kib)
            .max(peak_kib);
        cpu = cpu_time(&folder.join("stat")).unwrap_or(cpu).max(cpu);
        if ended.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
            return (peak_kib, cpu);
        }
    }
}

fn high_water(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    text.lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

/// User and system time, from clock ticks of 10 ms (Linux, proc(5)).
fn cpu_time(stat: &Path) -> Option<Duration> {
    let text = std::fs::read_to_string(stat).ok()?;
    let mut fields = text.rsplit(')').next()?.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

fn clean_build(root: &Path) -> anyhow::Result<()> {
    let target = paths::target().join("bench-build");
    if target.exists() {
        std::fs::remove_dir_all(&target)?;
    }
    let start = Instant::now();
    let status = Command::new("cargo")
        .args(["build", "--release", "--locked", "--package", "palisade"])
        .env("CARGO_TARGET_DIR", &target)
        .current_dir(root)
        .status()?;
    ensure!(status.success(), "the release build failed");
    let cores = std::thread::available_parallelism()?;
    println!(
        "clean release build     {:>8.1} s on {cores} cores (aim: under 900 s on 2)",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}

pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "figures for reading")]
fn to_f64(number: u64) -> f64 {
    number as f64
}

pub fn mib(kib: u64) -> f64 {
    to_f64(kib) / 1024.0
}

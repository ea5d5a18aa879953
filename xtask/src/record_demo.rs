//! `cargo xtask record-demo`: the demo account from a seeded moto server into `catalog/demo/account.recording`.
//!
//! Every call that any table of the catalogue can make is recorded. What is written was replayed once: a call that
//! the recording does not answer, or answers otherwise, is an error.
use crate::paths;
use anyhow::{Context, bail, ensure};
use palisade_aws::{Client, ClientConfig, StaticCredentials};
use palisade_catalog::{Catalog, Source, load};
use palisade_collect::{
    AccountTarget, Collected, Limits, Request, Silent, Targets, plan, run as collect,
};
use palisade_core::Region;
use palisade_model::Models;
use palisade_replay::{Exchange, Faults, Header, Recording, Server};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Arguments {
    /// Where to write
    #[arg(long)]
    output: Option<PathBuf>,
    /// Seed script to run against `demo/server.py`
    #[arg(long, default_value = "demo/seed.py")]
    seed: PathBuf,
    /// One line about the account
    #[arg(
        long,
        default_value = "the account of Tidewater, a fictional shop, in three regions"
    )]
    description: String,
    /// Write the recording although moto failed to answer some calls
    #[arg(long)]
    keep_failures: bool,
}

/// What the seed prints when it is done.
#[derive(serde::Deserialize)]
struct Seeded {
    account: String,
    now: String,
    regions: Vec<String>,
}

/// What the server did beside moto.
#[derive(serde::Deserialize)]
struct Report {
    /// Corrections that were never given.
    unused: Vec<String>,
    /// Services that answered with empty lists.
    assumed_empty: Vec<String>,
}

/// When the demo account's history begins; the seed moves the server's clock on from here.
const START: &str = "2022-06-14T08:30:00Z";

/// Seeds, records, replays, writes.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = paths::root();
    let loaded = load(&[Source::embedded()]);
    ensure!(
        !loaded.has_errors(),
        "the catalogue has errors: run `cargo xtask lint`"
    );
    let models = Arc::new(Models::embedded());

    let python = python(&root)?;
    let server = Moto::start(&python, &root)?;
    let seeded = seed(&python, &root.join(&arguments.seed), &server.url())?;

    let recording = Arc::new(Mutex::new(Recording::default()));
    let recorder = {
        let recording = Arc::clone(&recording);
        move |exchange: Exchange| {
            recording
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(with_scope(exchange))
        }
    };
    let config = ClientConfig {
        recorder: Some(Arc::new(recorder)),
        ..client(&server.url(), &seeded)
    };
    let recorded = scan(config, &models, &loaded.catalog, &seeded)?;
    let report: Report = serde_json::from_str(&server.get("/palisade/report")?)?;
    drop(server);
    let mut recording = Arc::into_inner(recording)
        .context("the recorder is still in use")?
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    recording.set_header(Header {
        recorded_at: seeded.now.clone(),
        account: seeded.account.clone(),
        regions: seeded.regions.clone(),
        description: arguments.description.clone(),
    });
    summary(&recorded, &recording);
    eprintln!(
        "taken to be empty, as moto lacks them: {}",
        report.assumed_empty.join(", ")
    );
    for rule in &report.unused {
        eprintln!("a correction that no call asked for: {rule}");
    }
    let failures = unanswered(&recording);
    ensure!(
        failures.is_empty() || arguments.keep_failures,
        "moto did not answer these; correct them in `demo/corrections.py`:\n  {}",
        failures.join("\n  ")
    );

    let output = arguments
        .output
        .clone()
        .unwrap_or_else(|| root.join("catalog/demo/account.recording"));
    let bytes = recording.to_bytes()?;
    replay(&bytes, &models, &loaded.catalog, &seeded, &recorded)?;
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    recording.save(&output)?;
    eprintln!(
        "{}: {} exchanges, {} KiB",
        output.display(),
        recording.len(),
        bytes.len() / 1024
    );
    Ok(())
}

/// The exchange with what its request was signed for, which the client leaves out with the signature: the server of
/// the demo account tells in a header of the answer.
fn with_scope(mut exchange: Exchange) -> Exchange {
    let (scope, headers): (Vec<_>, Vec<_>) = exchange
        .response
        .headers
        .into_iter()
        .partition(|(name, _)| name.eq_ignore_ascii_case("x-palisade-scope"));
    exchange.response.headers = headers;
    let signed = exchange
        .request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some((_, scope)) = scope.into_iter().next()
        && !signed
    {
        exchange.request.headers.push((
            "authorization".to_owned(),
            format!("Credential=AKIDEXAMPLE/{scope}/aws4_request"),
        ));
    }
    exchange
}

/// The virtual environment's Python, made when it is not there.
fn python(root: &Path) -> anyhow::Result<PathBuf> {
    let done = Command::new("python3")
        .arg(root.join("tests/venv.py"))
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run `python3`")?;
    ensure!(done.status.success(), "`tests/venv.py` failed");
    Ok(PathBuf::from(String::from_utf8(done.stdout)?.trim()))
}

fn seed(python: &Path, script: &Path, url: &str) -> anyhow::Result<Seeded> {
    let done = Command::new(python)
        .arg(script)
        .env("AWS_ENDPOINT_URL", url)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{}`", script.display()))?;
    ensure!(done.status.success(), "`{}` failed", script.display());
    serde_json::from_slice(&done.stdout)
        .context("the seed printed something else than account, now and regions")
}

fn client(url: &str, seeded: &Seeded) -> ClientConfig {
    ClientConfig {
        endpoint_url: Some(url.to_owned()),
        region: seeded.regions.first().cloned(),
        credentials: Some(StaticCredentials {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "example".to_owned(),
            session_token: None,
        }),
        // moto answers one request at a time, and slowly where it stands on its clock
        max_in_flight: 4,
        // what moto does not answer at once it never answers
        max_attempts: Some(2),
        attempt_timeout: Duration::from_secs(300),
        read_timeout: Duration::from_secs(300),
        ..ClientConfig::default()
    }
}

/// Collects all columns of all tables.
fn scan(
    config: ClientConfig,
    models: &Arc<Models>,
    catalog: &Catalog,
    seeded: &Seeded,
) -> anyhow::Result<Collected> {
    let mut request = Request::default();
    for table in catalog.tables.keys() {
        request.add_all(table);
    }
    let plan = plan(catalog, models, &request)?;
    let facts = models.regions()?;
    let limits = Limits {
        in_flight: config.max_in_flight,
        ..Limits::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = Client::connect(config, Arc::clone(models)).await?;
        let identity = client.identity().await?;
        let account = AccountTarget {
            account_id: identity.account_id.to_string(),
            partition: identity.partition.as_str().to_owned(),
            home_region: identity.partition.home_region().to_owned(),
            api: Arc::new(client),
            regions: seeded
                .regions
                .iter()
                .map(|name| name.parse::<Region>())
                .collect::<Result<_, _>>()?,
        };
        let targets = Targets {
            accounts: vec![account],
            regions: facts,
        };
        let (_stop, cancel) = tokio::sync::watch::channel(false);
        Ok(collect(&plan, &targets, &limits, &Silent, cancel).await)
    })
}

/// Scans the recording as it will be shipped: the same answers, nothing missing.
fn replay(
    bytes: &[u8],
    models: &Arc<Models>,
    catalog: &Catalog,
    seeded: &Seeded,
    recorded: &Collected,
) -> anyhow::Result<()> {
    let server = Server::start(Arc::new(Recording::from_bytes(bytes)?), Faults::none())?;
    let config = ClientConfig {
        max_in_flight: 64,
        ..client(&server.url(), seeded)
    };
    let started = Instant::now();
    let replayed = scan(config, models, catalog, seeded)?;
    let statistics = server.shutdown();
    eprintln!(
        "replayed: {} requests in {:.1} s, {} of them twice",
        statistics.total,
        started.elapsed().as_secs_f64(),
        statistics.duplicates.len()
    );
    for (operation, times) in &statistics.not_recorded {
        eprintln!("  not recorded: {operation} ({times} times)");
    }
    ensure!(
        statistics.not_recorded.is_empty(),
        "the recording does not answer its own scan"
    );
    ensure!(
        failures(&replayed) == failures(recorded),
        "replayed failures differ:\n  recorded {:?}\n  replayed {:?}",
        failures(recorded),
        failures(&replayed)
    );
    Ok(())
}

/// Failures by operation, region and code.
fn failures(collected: &Collected) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (error, times) in &collected.coverage.failures {
        *found
            .entry(format!(
                "{}:{} in {}: {}",
                error.service, error.operation, error.region, error.code
            ))
            .or_default() += times;
    }
    found
}

/// Answers that AWS would not have given: failures of moto, and its way of saying that it has no such operation.
fn unanswered(recording: &Recording) -> Vec<String> {
    let mut found = BTreeMap::<String, usize>::new();
    for (key, response) in recording.iter() {
        let body = String::from_utf8_lossy(&response.body);
        let missing = response.status >= 400
            && (body.contains("<!doctype html")
                || body.contains("<!DOCTYPE HTML")
                || body.contains("Not yet implemented")
                || body.contains("has not been implemented"));
        if response.status >= 500 || missing {
            *found
                .entry(format!(
                    "{}:{} in {} ({})",
                    key.service,
                    key.operation(),
                    key.region,
                    response.status
                ))
                .or_default() += 1;
        }
    }
    found
        .into_iter()
        .map(|(what, times)| format!("{what}, {times} times"))
        .collect()
}

fn summary(collected: &Collected, recording: &Recording) {
    let coverage = &collected.coverage;
    let rows: usize = collected
        .dataset
        .tables
        .values()
        .flat_map(|table| &table.batches)
        .map(|batch| batch.rows.num_rows())
        .sum();
    eprintln!(
        "recorded: {} of {} calls succeeded, {} exchanges, {rows} rows",
        coverage.succeeded(),
        coverage.planned(),
        recording.len()
    );
    for (error, times) in &coverage.failures {
        eprintln!(
            "  {} in {}: {} ({times} times)",
            error, error.region, error.message
        );
    }
}

/// A moto server that ends with this value.
struct Moto {
    process: Child,
    port: u16,
}

impl Moto {
    fn start(python: &Path, root: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let process = Command::new(python)
            .arg(root.join("demo/server.py"))
            .args([&port.to_string(), START])
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(paths::target().join("moto.log"))?)
            .spawn()
            .context("cannot start `demo/server.py`")?;
        let mut server = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(90);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = server.process.try_wait()? {
                bail!(
                    "`demo/server.py` ended with {status}; see `{}`",
                    paths::target().join("moto.log").display()
                );
            }
            ensure!(
                Instant::now() < deadline,
                "`demo/server.py` does not listen after 90 s"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(server)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The body of a page of the server.
    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let (_, body) = text
            .split_once("\r\n\r\n")
            .context("the server's answer has no body")?;
        Ok(body.to_owned())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

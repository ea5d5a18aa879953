//! `cargo xtask conformance`: runs the posture scenarios of `../shared/conformance/posture` against the release
//! binary and prints the share that agrees, for the checks that exist.
use crate::paths;
use anyhow::{Context, bail, ensure};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder with `replay.py` and `scenarios.jsonl.gz`
    #[arg(long)]
    scenarios: Option<PathBuf>,
    /// The palisade binary; default: the release build
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Catalogue folder given to the binary
    #[arg(long)]
    catalog: Option<PathBuf>,
    /// Only scenarios of these checks (regular expression over the scenarios' check ids)
    #[arg(long)]
    only: Vec<String>,
    /// Processes at once
    #[arg(long, default_value_t = 2)]
    shards: usize,
    /// Fail below this share of agreement, in percent
    #[arg(long, default_value_t = 0.0)]
    least: f64,
}

/// Runs all scenarios of the checks that the catalogue has.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let root = paths::root();
    let folder = arguments
        .scenarios
        .clone()
        .unwrap_or_else(|| root.join("../shared/conformance/posture"));
    if !folder.join("replay.py").is_file() {
        bail!("no scenarios in `{}`", folder.display());
    }
    let binary = arguments
        .binary
        .clone()
        .unwrap_or_else(|| root.join("target/release/palisade"));
    ensure!(
        binary.is_file(),
        "no binary `{}`: run `cargo build --release` first",
        binary.display()
    );
    let python = venv(&root)?;
    let mut palisade = vec![binary.display().to_string(), "--quiet".to_owned()];
    if let Some(catalog) = &arguments.catalog {
        palisade.extend(["--catalog".to_owned(), catalog.display().to_string()]);
    }
    let catalog = arguments
        .catalog
        .clone()
        .unwrap_or_else(|| root.join("catalog"));
    let map = map(&palisade, &folder, &python)?;
    let work = root.join("target/conformance");
    std::fs::create_dir_all(&work)?;
    let map_file = work.join("map.json");
    std::fs::write(&map_file, serde_json::to_string_pretty(&map)?)?;
    let covered = map.values().filter(|v| !v.is_null()).count();
    println!(
        "{covered} of {} check ids of the scenarios are answered",
        map.len()
    );

    let mut running = Vec::new();
    for shard in 0..arguments.shards {
        let report = work.join(format!("report-{shard}.jsonl"));
        let mut command = Command::new(&python);
        command
            .arg(folder.join("replay.py"))
            .args(["--quiet", "--map"])
            .arg(&map_file);
        command
            .args([
                "--shard",
                &format!("{shard}/{}", arguments.shards),
                "--report",
            ])
            .arg(&report);
        for only in &arguments.only {
            command.args(["--only", only]);
        }
        // The wrapper turns the scenario's thresholds into parameters.
        command
            .arg("--")
            .arg(&python)
            .arg(root.join("tests/posture.py"))
            .arg(&catalog);
        command.args(&palisade).args([
            "scan",
            "--check",
            "prowler:{check}",
            "--region",
            "{regions}",
            "--format",
            "jsonl",
        ]);
        running.push((
            report,
            command
                .stdout(Stdio::null())
                .spawn()
                .context("cannot start the replay")?,
        ));
    }
    let mut verdicts: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (report, mut child) in running {
        child.wait()?;
        for line in std::fs::read_to_string(&report)?.lines() {
            let line: serde_json::Value = serde_json::from_str(line)?;
            let text = |key: &str| {
                line.get(key)
                    .and_then(|v| v.as_str())
                    .unwrap_or("")
                    .to_owned()
            };
            verdicts
                .entry(text("verdict"))
                .or_default()
                .push((text("check"), text("id")));
        }
    }
    summary(&verdicts, arguments.least)
}

fn summary(verdicts: &BTreeMap<String, Vec<(String, String)>>, least: f64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut scored = 0;
    for (verdict, list) in verdicts {
        writeln!(out, "{verdict:<14} {}", list.len())?;
        if verdict != "unmapped" && verdict != "setup_error" {
            scored += list.len();
        }
    }
    for (verdict, list) in verdicts
        .iter()
        .filter(|(v, _)| !matches!(v.as_str(), "ok" | "unmapped"))
    {
        let mut list = list.clone();
        list.sort();
        for (check, id) in list {
            writeln!(out, "  {verdict:<14} {id}  {check}")?;
        }
    }
    let agreed = verdicts.get("ok").map_or(0, Vec::len);
    #[expect(clippy::cast_precision_loss, reason = "a share for reading")]
    let share = if scored == 0 {
        0.0
    } else {
        agreed as f64 * 100.0 / scored as f64
    };
    writeln!(out, "agreement: {agreed} of {scored} ({share:.1} %)")?;
    ensure!(share >= least, "agreement is below {least} %");
    Ok(())
}

/// Scenario check id → `prowler:ID` where a check answers for it, else null.
fn map(
    palisade: &[String],
    folder: &Path,
    python: &Path,
) -> anyhow::Result<BTreeMap<String, serde_json::Value>> {
    let [program, rest @ ..] = palisade else {
        bail!("no program")
    };
    let list = Command::new(program)
        .args(rest)
        .args(["checks", "list", "--format", "json"])
        .output()?;
    ensure!(
        list.status.success(),
        "`palisade checks list` failed: {}",
        String::from_utf8_lossy(&list.stderr)
    );
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&list.stdout)?;
    let mut answered = std::collections::BTreeSet::new();
    for check in &checks {
        for id in check
            .pointer("/same_as/prowler")
            .and_then(|v| v.as_array())
            .into_iter()
            .flatten()
        {
            answered.extend(id.as_str().map(str::to_owned));
        }
    }
    let listed = Command::new(python)
        .arg(folder.join("replay.py"))
        .arg("--list")
        .output()?;
    ensure!(
        listed.status.success(),
        "`replay.py --list` failed: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let text = String::from_utf8(listed.stdout)?;
    let ids = text
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    Ok(ids
        .map(|id| {
            // the answer carries the id that was asked for, without the tool's prefix
            let ours = if answered.contains(id) {
                serde_json::json!(id)
            } else {
                serde_json::Value::Null
            };
            (id.to_owned(), ours)
        })
        .collect())
}

/// The Python of the shared virtual environment.
pub fn venv(root: &Path) -> anyhow::Result<PathBuf> {
    let made = Command::new("python3")
        .arg(root.join("tests/venv.py"))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(
        made.status.success(),
        "the virtual environment could not be made"
    );
    Ok(PathBuf::from(String::from_utf8(made.stdout)?.trim()))
}

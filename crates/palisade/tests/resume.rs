//! Going on with what was interrupted: what AWS has answered is not asked again. Against the replay endpoint, which counts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::accounts::{MANAGEMENT, command, findings_of, offline, organization, run, snapshots};
use common::{Moto, err, out, palisade};
use palisade_replay::{Faults, Server, Statistics};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Without Amazon S3: a bucket of another region is asked twice.
const CHECKS: [&str; 2] = ["--service", "kms,guardduty,sns,sqs,lambda,dynamodb"];
/// Calls that are under way when a process is stopped have no answer.
const IN_FLIGHT: &str = "4";
/// What every attempt asks anew: who the credentials are, and what is answered with something that AWS's models mark as
/// sensitive (credentials of roles, environments of functions, addresses of accounts), which is not kept.
const ASKED_ANEW: [&str; 4] = [
    "AssumeRole",
    "GetCallerIdentity",
    "DescribeOrganization",
    "GET /2015-03-31/functions",
];

fn arguments<'a>(verb: &'a str, store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![verb, "--store", store, "--max-in-flight", IN_FLIGHT];
    if verb == "scan" {
        arguments.extend(["-f", "jsonl"]);
    }
    arguments.extend(CHECKS);
    arguments.extend(more);
    arguments
}

/// An endpoint where an account takes some seconds.
fn slow() -> Server {
    organization(None, Faults::none().latency(Duration::from_millis(20)))
}

fn fast() -> Server {
    organization(None, Faults::none())
}

/// Starts a command and waits until so much was asked.
fn begin(folder: &Path, server: &Server, arguments: &[&str], asked: u64) -> Child {
    begun(command(folder, server, arguments), server, asked)
}

fn begun(mut command: Command, server: &Server, asked: u64) -> Child {
    let child = command.spawn().unwrap();
    let (started, before) = (Instant::now(), server.statistics().total);
    while server.statistics().total - before < asked {
        let patience = Duration::from_secs(120);
        assert!(started.elapsed() < patience, "{:?}", server.statistics());
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

fn killed(folder: &Path, server: &Server, arguments: &[&str], asked: u64) {
    kill(begin(folder, server, arguments, asked));
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "it had ended");
}

#[cfg(unix)]
fn stopped(folder: &Path, server: &Server, arguments: &[&str], asked: u64) -> Output {
    let child = begin(folder, server, arguments, asked);
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(sent.success());
    child.wait_with_output().unwrap()
}

fn good(output: Output) -> Output {
    assert!(output.status.success(), "{}", err(&output));
    output
}

/// Findings as they are printed, without what follows from earlier snapshots of the store.
fn findings(output: &Output) -> Vec<Value> {
    let text = out(output);
    let lines = text
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let without = lines.map(|mut finding| {
        finding.as_object_mut().unwrap().remove("history");
        finding
    });
    without.collect()
}

/// How many calls a run says that it did not make again.
fn saved(output: &Output) -> u64 {
    let said = err(output);
    let line = said.lines().find(|l| l.contains("were not made again"));
    let number = line.and_then(|l| l.split_whitespace().next());
    number.map_or(0, |n| n.parse().unwrap())
}

fn journals(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let folders = std::fs::read_dir(folder.join("lake/journals"));
    for run in folders.into_iter().flatten().flatten() {
        let files = std::fs::read_dir(run.path()).unwrap();
        found.extend(files.map(|f| f.unwrap().path()));
    }
    found.sort();
    found
}

fn answers(folder: &Path) -> Vec<PathBuf> {
    let mut files = journals(folder);
    files.retain(|f| f.extension().is_some_and(|e| e == "answers"));
    files
}

/// Of all that is kept, what was answered more than once: what was under way, and what failed.
fn asked_again(statistics: &Statistics) -> Vec<String> {
    let again = statistics.duplicates.iter();
    let again = again.filter(|d| !ASKED_ANEW.contains(&d.key.operation().as_str()));
    again
        .map(|d| format!("{} {} {:?}", d.times, d.key.operation(), d.key))
        .collect()
}

/// A scan that nobody disturbs: what it says, and how often it asks.
fn undisturbed(verb: &str) -> (Vec<Value>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let server = fast();
    let output = good(run(folder.path(), &server, &arguments(verb, "lake", &[])));
    assert!(journals(folder.path()).is_empty());
    let found = match verb {
        "scan" => findings(&output),
        _ => findings_of(&CHECKS, folder.path(), "lake", "latest"),
    };
    assert!(found.len() > 100, "{}", found.len());
    (found, server.shutdown().total)
}

#[test]
fn a_scan_that_was_killed_goes_on_where_it_was() {
    let (expected, whole) = undisturbed("scan");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = slow();
    killed(folder, &server, &arguments("scan", "lake", &[]), whole / 3);
    let first = server.statistics().total;
    let (manifests, notes) = snapshots(folder, "lake");
    assert!(manifests.is_empty());
    let id = notes.split("`palisade scan --resume ").nth(1).unwrap();
    let id = id.split('`').next().unwrap().to_owned();
    // of another command, of other flags, of another account
    let role = "arn:aws:iam::222200000001:role/palisade-read";
    for (more, says) in [
        (
            arguments("collect", "lake", &["--resume", &id]),
            "begun with another command",
        ),
        (
            arguments("collect", "lake", &["--resume", "last"]),
            "no run `last`",
        ),
        (
            arguments(
                "scan",
                "lake",
                &["--resume", &id, "--check", "s3-bucket-versioning"],
            ),
            "begun with another choice",
        ),
        (
            arguments("scan", "lake", &["--resume", &id, "--role-arn", role]),
            "is over the account 123456789012",
        ),
        (
            arguments("scan", "lake", &["--resume", &id, "--no-journal"]),
            "without a journal",
        ),
        (
            arguments("scan", "lake", &["--resume", &id, "--no-snapshot"]),
            "whose snapshot is kept",
        ),
    ] {
        let other = run(folder, &fast(), &more);
        assert_eq!(other.status.code(), Some(2), "{more:?}: {}", err(&other));
        assert!(err(&other).contains(says), "{more:?}: {}", err(&other));
    }
    // killed once more, then to its end
    let resume = arguments("scan", "lake", &["--resume", "last"]);
    killed(folder, &server, &resume, whole / 3);
    let resumed = good(run(folder, &server, &resume));
    assert!(findings(&resumed) == expected);
    let statistics = server.shutdown();
    let again = asked_again(&statistics);
    let in_flight: usize = 2 * IN_FLIGHT.parse::<usize>().unwrap();
    let anew = 2 * ASKED_ANEW.len() as u64;
    assert!(
        again.len() <= in_flight,
        "{} of {first}: {again:#?}",
        again.len()
    );
    assert!(
        statistics.total <= whole + anew + in_flight as u64,
        "{whole}: {statistics:?}"
    );
    // what is answered by a journal is no request: two thirds were asked before, and all of that but what was under way and
    // what is not kept was answered
    let least = 2 * (whole / 3) - anew - in_flight as u64;
    assert!(saved(&resumed) >= least, "{whole}: {}", err(&resumed));
    let (manifests, notes) = snapshots(folder, "lake");
    assert_eq!(
        (manifests.len(), &manifests[0]["id"]),
        (1, &Value::from(id))
    );
    assert!(!notes.contains("under way"), "{notes}");
    assert!(journals(folder).is_empty());
    offline(folder, &["snapshots", "verify", "--store", "lake"], 0);
    assert!(findings_of(&CHECKS, folder, "lake", "latest") == expected);
    let nothing = run(folder, &fast(), &resume);
    assert_eq!(nothing.status.code(), Some(2), "{}", err(&nothing));
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_answers_that_count() {
    use std::os::unix::fs::PermissionsExt;
    let (expected, whole) = undisturbed("collect");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = slow();
    let collect = arguments("collect", "lake", &[]);
    let output = stopped(folder, &server, &collect, whole / 2);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let said = err(&output);
    assert!(
        said.contains("not committed") && said.contains("`--resume "),
        "{said}"
    );
    assert!(snapshots(folder, "lake").0.is_empty());
    let first = server.shutdown().total;
    // answers are for nobody else
    let files = journals(folder);
    assert_eq!(files.len(), 2, "{files:?}");
    for file in &files {
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
    let server = fast();
    let resumed = run(
        folder,
        &server,
        &arguments("collect", "lake", &["--resume", "last"]),
    );
    let resumed = good(resumed);
    let second = server.shutdown().total;
    // every call is made once, or answered by the journal; two tell who the credentials are
    assert_eq!(second + saved(&resumed), whole, "{}", err(&resumed));
    assert!(
        saved(&resumed) + 4 + 20 >= first,
        "{first}: {}",
        err(&resumed)
    );
    assert!(findings_of(&CHECKS, folder, "lake", "latest") == expected);
    // and the coverage says what was asked
    let (shown, _) = offline(
        folder,
        &["snapshots", "show", "--store", "lake", "-f", "json"],
        0,
    );
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let calls = shown["accounts"][0]["coverage"]["calls"]
        .as_array()
        .unwrap();
    let sum = |name: &str| calls.iter().map(|c| c[name].as_u64().unwrap()).sum::<u64>();
    assert!(
        sum("planned") > 50 && sum("requests") < second,
        "{}",
        sum("requests")
    );
    assert!(sum("requests") + 2 * saved(&resumed) > sum("planned"));
    assert!(journals(folder).is_empty());
}

/// The calls of an organisation: what is the same for all accounts, what was answered in accounts that were begun.
#[test]
fn accounts_that_were_begun_are_not_begun_anew() {
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let server = fast();
        let more = ["--organization"];
        good(run(
            folder.path(),
            &server,
            &arguments("collect", "lake", &more),
        ));
        server.shutdown().total
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = slow();
    let more = ["--organization", "--max-accounts", "2"];
    killed(
        folder,
        &server,
        &arguments("collect", "lake", &more),
        whole / 2,
    );
    let kept = answers(folder);
    let name = format!("{MANAGEMENT}-organization-");
    let is_shared = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with(&name);
    assert!(kept.iter().any(is_shared) && kept.len() <= 4, "{kept:?}");
    let resume = ["--organization", "--max-accounts", "2", "--resume", "last"];
    let resumed = good(run(folder, &server, &arguments("collect", "lake", &resume)));
    assert!(saved(&resumed) > 20, "{}", err(&resumed));
    let again = asked_again(&server.shutdown());
    assert!(again.len() <= IN_FLIGHT.parse().unwrap(), "{again:#?}");
    let expected = {
        let server = fast();
        let more = ["--organization"];
        good(run(folder, &server, &arguments("collect", "alone", &more)));
        findings_of(&CHECKS, folder, "alone", "latest")
    };
    assert!(findings_of(&CHECKS, folder, "lake", "latest") == expected);
    assert!(journals(folder).is_empty());
}

/// A bucket is read by others: answers of a run whose snapshot is for it are in the user's data folder.
#[test]
fn a_run_for_a_bucket_goes_on_from_this_machine() {
    let (expected, whole) = undisturbed("collect");
    let moto = Moto::start();
    moto.boto("boto3.client('s3').create_bucket(Bucket='lake')");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = slow();
    let (url, store) = (server.url(), "s3://lake/palisade");
    let in_bucket = |arguments: &[&str]| {
        let mut command = palisade(folder);
        command
            .args(arguments)
            .envs(common::CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &url)
            .env("AWS_ENDPOINT_URL_S3", &moto.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    };
    kill(begun(
        in_bucket(&arguments("collect", store, &[])),
        &server,
        whole / 2,
    ));
    let first = server.statistics().total;
    let keys = "s3 = boto3.client('s3')
print(json.dumps([o['Key'] for o in s3.list_objects_v2(Bucket='lake').get('Contents', [])]))";
    let in_lake = |wanted: &str| {
        let keys: Vec<String> = serde_json::from_value(moto.boto(keys)).unwrap();
        keys.into_iter().any(|key| key.contains(wanted))
    };
    assert!(!in_lake("manifest") && !in_lake("journals"));
    let kept = folder.join("data/palisade/journals");
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1);
    let resume = arguments("collect", store, &["--resume", "last"]);
    let resumed = good(in_bucket(&resume).output().unwrap());
    let statistics = server.shutdown();
    let most = whole + ASKED_ANEW.len() as u64 + IN_FLIGHT.parse::<u64>().unwrap();
    assert!(statistics.total <= most, "{whole}: {statistics:?}");
    assert!(saved(&resumed) + 20 >= first, "{first}: {}", err(&resumed));
    assert!(in_lake("manifest") && !in_lake("journals"));
    assert!(!kept.exists());
    // nobody but the bucket answers any more
    let check = [
        "check",
        "--store",
        store,
        "--snapshot",
        "latest",
        "-f",
        "jsonl",
        "--quiet",
    ];
    let judged = good(in_bucket(&[&check[..], &CHECKS].concat()).output().unwrap());
    assert!(findings(&judged) == expected);
}

#[test]
fn a_journal_that_cannot_be_used_costs_calls_only() {
    let (expected, whole) = undisturbed("collect");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    killed(
        folder,
        &slow(),
        &arguments("collect", "lake", &[]),
        whole / 2,
    );
    let kept = folder.join("kept");
    let file = answers(folder).pop().unwrap();
    std::fs::copy(&file, &kept).unwrap();
    let bytes = std::fs::read(&file).unwrap();
    let plan = file.with_file_name("run.json");
    let plan_text = std::fs::read(&plan).unwrap();
    let foreign = {
        // of the same run, by another account
        let other = tempfile::tempdir().unwrap();
        let role = ["--role-arn", "arn:aws:iam::222200000001:role/palisade-read"];
        killed(
            other.path(),
            &slow(),
            &arguments("collect", "lake", &role),
            whole / 2,
        );
        std::fs::read(answers(other.path()).pop().unwrap()).unwrap()
    };
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    let cut = bytes[..bytes.len() - 5].to_vec();
    for (what, bytes, says) in [
        ("cut off", cut, None),
        ("damaged", damaged, Some("is damaged at byte")),
        (
            "of another account",
            foreign,
            Some("it is of another account"),
        ),
        (
            "something else",
            b"nothing of ours".to_vec(),
            Some("it is no journal"),
        ),
        ("empty", Vec::new(), None),
    ] {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&plan, &plan_text).unwrap();
        std::fs::write(&file, bytes).unwrap();
        let server = fast();
        let resume = arguments("collect", "lake", &["--resume", "last"]);
        let resumed = good(run(folder, &server, &resume));
        let said = err(&resumed);
        match says {
            Some(says) => {
                let warning = said.lines().find(|l| l.contains(says)).unwrap_or_default();
                let name = file.file_name().unwrap().to_string_lossy();
                assert!(
                    warning.starts_with("warning: ") && warning.contains(&*name),
                    "{said}"
                );
            }
            None => assert!(!said.contains("warning: `"), "{what}: {said}"),
        }
        let used = matches!(what, "cut off" | "damaged");
        assert_eq!(saved(&resumed) > 0, used, "{what}: {said}");
        assert_eq!(
            server.shutdown().total + saved(&resumed),
            whole,
            "{what}: {said}"
        );
        assert!(
            findings_of(&CHECKS, folder, "lake", "latest") == expected,
            "{what}"
        );
        assert!(journals(folder).is_empty());
        // as if it had not been
        let (manifests, _) = snapshots(folder, "lake");
        let id = manifests[0]["id"].as_str().unwrap();
        std::fs::remove_dir_all(folder.join("lake/snapshots").join(id)).unwrap();
    }
}

#[test]
fn nothing_is_kept_without_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = slow();
    let collect = arguments("collect", "lake", &["--no-journal"]);
    killed(folder, &server, &collect, 30);
    assert!(journals(folder).is_empty());
    let output = run(
        folder,
        &server,
        &arguments("collect", "lake", &["--resume", "last"]),
    );
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("no run `last`"), "{}", err(&output));
}

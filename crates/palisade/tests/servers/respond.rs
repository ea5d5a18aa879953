//! `palisade respond`: drills against the demo account, and one response on a moto server from evidence to undo.
use crate::account::text;
use crate::moto::{CREDENTIALS, Moto};
use palisade_catalog::{Source, StepKind, load};
use palisade_fix::{Plan, read_run, sha256, undo_hash};
use serde_json::Value as Json;
use std::path::Path;
use std::process::{Command, Output};

fn palisade(arguments: &[&str], folder: &Path, endpoint: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command
        .args(arguments)
        .current_dir(folder)
        .envs(CREDENTIALS);
    if let Some(endpoint) = endpoint {
        command.env("AWS_ENDPOINT_URL", endpoint);
    }
    command.output().unwrap()
}

fn good(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn every_playbook_can_be_drilled() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = load(&[Source::embedded()]).catalog;
    assert!(catalog.playbooks.len() >= 8);
    let list = text(&palisade(&["respond", "list"], folder.path(), None).stdout);
    for (id, playbook) in &catalog.playbooks {
        assert!(list.contains(id.as_str()));
        good(&palisade(&["respond", "show", id], folder.path(), None));
        let output = palisade(
            &["respond", "drill", id, "--output", id],
            folder.path(),
            None,
        );
        good(&output);
        let incident = folder.path().join(id);
        let report = std::fs::read_to_string(incident.join("report.md")).unwrap();
        assert!(report.starts_with(&format!("# Drill: {}", playbook.title)));
        for part in [
            "## Roles",
            "## Evidence",
            "## Classify",
            "## Contain",
            "## Communicate",
            "## Timeline",
            "## After the incident",
        ] {
            assert!(report.contains(part), "{id} has no `{part}`");
        }
        for (index, step) in playbook.steps.iter().enumerate() {
            assert!(
                report.contains(&format!("**{}. {}**", index + 1, step.title)),
                "{id}"
            );
        }
        // a change says which resource it is of, so that protection by ARN holds
        let plan = std::fs::read_to_string(incident.join("plan.json")).unwrap();
        for item in Plan::parse(&plan).unwrap().items {
            let step = item.checks[0].id.rsplit('-').next().unwrap();
            let step = &playbook.steps[step.parse::<usize>().unwrap() - 1];
            let with_rows = matches!(&step.kind, StepKind::Change { rows: Some(_), .. });
            let named = item.resource.starts_with("arn:") || item.resource == item.account_id;
            assert!(!with_rows || named, "{id}: {}", item.resource);
        }
        // evidence is what its hash says
        let record: Json =
            serde_json::from_str(&std::fs::read_to_string(incident.join("incident.json")).unwrap())
                .unwrap();
        let steps = record["steps"].as_array().unwrap();
        let mut rows = 0;
        for step in steps.iter().filter(|s| s["kind"] == "evidence") {
            let bytes = std::fs::read(incident.join(step["file"].as_str().unwrap())).unwrap();
            assert_eq!(step["sha256"], sha256(&bytes));
            assert!(report.contains(&sha256(&bytes)));
            rows += step["rows"].as_u64().unwrap();
        }
        assert!(rows > 0, "{id} finds no evidence in the demo account");
        // every change is planned, or the plan says why not
        let plan =
            Plan::parse(&std::fs::read_to_string(incident.join("plan.json")).unwrap()).unwrap();
        for (index, step) in playbook.steps.iter().enumerate() {
            if let StepKind::Change { .. } = step.kind {
                let id = format!("{id}-{}", index + 1);
                let targets = steps[index]["targets"].as_u64().unwrap();
                let planned = plan
                    .items
                    .iter()
                    .flat_map(|i| &i.checks)
                    .filter(|c| c.id == id)
                    .count();
                let left = plan
                    .guided
                    .iter()
                    .chain(&plan.protected)
                    .filter(|l| l.check == id)
                    .count();
                assert_eq!(u64::try_from(planned + left).unwrap(), targets, "{id}");
            }
        }
        // a second time it must not be overwritten
        let again = palisade(
            &["respond", "drill", id, "--output", id],
            folder.path(),
            None,
        );
        assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    }
    let unknown = palisade(&["respond", "run", "leaked-acces-key"], folder.path(), None);
    assert!(
        text(&unknown.stderr).contains("did you mean `leaked-access-key`"),
        "{}",
        text(&unknown.stderr)
    );
    let missing = palisade(
        &["respond", "run", "leaked-access-key", "--demo"],
        folder.path(),
        None,
    );
    assert!(
        text(&missing.stderr).contains("--param"),
        "{}",
        text(&missing.stderr)
    );
}

#[test]
fn a_leaked_key_is_deactivated_and_given_back() {
    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let boto = |code: &str| {
        let output = Command::new(&moto.python)
            .args([
                "-c",
                &format!("import boto3\niam = boto3.client('iam')\n{code}"),
            ])
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &moto.url)
            .output()
            .unwrap();
        good(&output);
        text(&output.stdout).trim().to_owned()
    };
    let key = boto(
        "iam.create_user(UserName='build')\nprint(iam.create_access_key(UserName='build')['AccessKey']['AccessKeyId'])",
    );
    let status = || {
        boto(
            "print([k['Status'] for k in iam.list_access_keys(UserName='build')['AccessKeyMetadata']], iam.list_user_policies(UserName='build')['PolicyNames'])",
        )
    };
    assert_eq!(status(), "['Active'] []");
    let run = |arguments: &[&str]| palisade(arguments, folder.path(), Some(&moto.url));
    good(&run(&[
        "respond",
        "run",
        "leaked-access-key",
        "--param",
        "user_name=build",
        "--param",
        &format!("access_key_id={key}"),
        "--output",
        "incident",
    ]));
    assert_eq!(
        status(),
        "['Active'] []",
        "a response changes nothing by itself"
    );
    let plan = std::fs::read_to_string(folder.path().join("incident/plan.json")).unwrap();
    let plan = Plan::parse(&plan).unwrap();
    assert_eq!(plan.items.len(), 2, "{:?}", plan.guided);
    let applied = run(&[
        "fix",
        "apply",
        "incident/plan.json",
        "--runs",
        "incident/runs",
        "--approve",
        &plan.hash,
    ]);
    good(&applied);
    assert_eq!(status(), "['Inactive'] ['palisade-revoke-older-sessions']");
    let report = run(&["respond", "report", "incident"]);
    good(&report);
    let report = text(&report.stdout);
    assert!(report.contains("item 1: iam:"), "{report}");
    assert!(report.contains("build: changed, no check"), "{report}");
    let journal = read_run(&folder.path().join("incident/runs"), "").unwrap();
    good(&run(&[
        "fix",
        "undo",
        &journal.name,
        "--runs",
        "incident/runs",
        "--approve",
        &undo_hash(&journal, &[]),
    ]));
    assert_eq!(status(), "['Active'] []");
}

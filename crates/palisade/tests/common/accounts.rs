//! The replay endpoint as an organisation, the binary that collects it, and what is in a store.
use super::{err, out, palisade};
use palisade_replay::{Faults, OrganizationAccount, Recording, Refusal, Server};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

pub const MANAGEMENT: &str = "123456789012";
/// One of them is in each shard of three at least.
pub const MEMBERS: [&str; 5] = [
    "222200000001",
    "222200000002",
    "222200000003",
    "222200000005",
    "222200000006",
];
pub const REFUSING: &str = "222200000004";

pub fn organization(refusal: Option<Refusal>, faults: Faults) -> Server {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/demo/account.recording");
    let recording = Arc::new(Recording::load(path).unwrap());
    let mut accounts: Vec<_> = MEMBERS
        .iter()
        .map(|id| OrganizationAccount::new(id))
        .collect();
    accounts.push(OrganizationAccount {
        refusal,
        ..OrganizationAccount::new(REFUSING)
    });
    Server::start_organization(recording, faults, accounts).unwrap()
}

pub const CHECKS: [&str; 4] = [
    "--service",
    "s3,organizations,kms,securityhub,guardduty",
    "--check",
    "iam-principal-no-privilege-escalation",
];

pub fn command(folder: &Path, server: &Server, arguments: &[&str]) -> Command {
    let mut command = palisade(folder);
    command
        .args(arguments)
        .args(["--endpoint-url", &server.url()])
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_REGION", "us-east-1"),
            // whoever is throttled forever is given up soon
            ("AWS_MAX_ATTEMPTS", "2"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

pub fn collect<'a>(store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    collect_for(&CHECKS, store, more)
}

pub fn collect_for<'a>(checks: &[&'a str], store: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["collect", "--organization", "--store", store];
    arguments.extend(checks);
    arguments.extend(more);
    arguments
}

pub fn run(folder: &Path, server: &Server, arguments: &[&str]) -> Output {
    command(folder, server, arguments).output().unwrap()
}

pub fn offline(folder: &Path, arguments: &[&str], code: i32) -> (String, String) {
    let output = palisade(folder).args(arguments).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}: {}",
        err(&output)
    );
    (out(&output), err(&output))
}

/// What the checks say about a snapshot.
pub fn findings(folder: &Path, store: &str, snapshot: &str) -> Vec<Value> {
    findings_of(&CHECKS, folder, store, snapshot)
}

pub fn findings_of(checks: &[&str], folder: &Path, store: &str, snapshot: &str) -> Vec<Value> {
    let arguments = [
        "check",
        "--store",
        store,
        "--snapshot",
        snapshot,
        "-f",
        "jsonl",
        "--quiet",
    ];
    let (text, _) = offline(folder, &[&arguments[..], checks].concat(), 0);
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
    lines.collect()
}

pub fn snapshots(folder: &Path, store: &str) -> (Vec<Value>, String) {
    let (text, notes) = offline(
        folder,
        &["snapshots", "list", "--store", store, "-f", "json"],
        0,
    );
    let lines = text.lines().map(|l| serde_json::from_str(l).unwrap());
    (lines.collect(), notes)
}

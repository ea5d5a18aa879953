//! `palisade doctor`: against moto, without credentials, at a wrong endpoint, with a clock that is off.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::{CREDENTIALS, Moto, Server, err, out, palisade};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

fn doctor(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = palisade(folder);
    command
        .args(["doctor", "--service", "s3", "--service", "kms"])
        .args(arguments);
    command
}

/// The report, and whether the command said that all is fine.
fn report(command: &mut Command) -> (Json, bool) {
    let output = command.args(["--format", "json"]).output().unwrap();
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{}", err(&output));
    let report: Json =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", err(&output)));
    assert_eq!(report["fine"], code == Some(0));
    (report, code == Some(0))
}

fn of<'r>(report: &'r Json, subject: &str) -> &'r Json {
    let all = report["examinations"].as_array().unwrap();
    all.iter()
        .find(|e| e["subject"] == subject)
        .unwrap_or_else(|| panic!("no {subject} in {report}"))
}

#[test]
fn an_account_that_answers() {
    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let (report, _) =
        report(doctor(folder.path(), &["--endpoint-url", &moto.url]).envs(CREDENTIALS));
    for subject in [
        "version",
        "catalogue",
        "configuration",
        "region",
        "credentials",
        "clock",
        "endpoints",
    ] {
        assert_eq!(of(&report, subject)["state"], "fine", "{report}");
    }
    assert!(
        of(&report, "version")["message"]
            .as_str()
            .unwrap()
            .contains("botocore 1.")
    );
    assert!(
        of(&report, "credentials")["message"]
            .as_str()
            .unwrap()
            .starts_with("testing from EnvironmentVariable")
    );
    assert!(
        of(&report, "identity")["message"]
            .as_str()
            .unwrap()
            .contains("123456789012")
    );
    // moto cannot simulate: a few reads are tried
    let permissions = of(&report, "permissions");
    assert_eq!(permissions["state"], "warning", "{report}");
    let message = permissions["message"].as_str().unwrap();
    assert!(
        message.contains("iam:SimulatePrincipalPolicy")
            && message.contains("tried instead are allowed"),
        "{message}"
    );
    let output = doctor(folder.path(), &["--endpoint-url", &moto.url])
        .envs(CREDENTIALS)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let text = out(&output);
    assert!(
        text.contains("fine          endpoints      1 endpoints answer in us-east-1"),
        "{text}"
    );
    assert!(
        !text.contains('\u{1b}') && !text.contains("AWS_SECRET"),
        "{text}"
    );
}

#[test]
fn without_credentials_the_rest_is_not_examined() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("palisade.toml"),
        "[select]\nchecks = [\"no-such-check-here\"]\n",
    )
    .unwrap();
    let (report, fine) = report(doctor(folder.path(), &[]).env("AWS_REGION", "eu-west-1"));
    assert!(!fine);
    assert_eq!(of(&report, "credentials")["state"], "broken");
    assert!(
        of(&report, "credentials")["message"]
            .as_str()
            .unwrap()
            .contains("no AWS credentials found")
    );
    for subject in ["identity", "clock", "endpoints", "permissions"] {
        assert_eq!(of(&report, subject)["state"], "not_examined", "{subject}");
    }
    // what is wrong with the configuration is told as well, and ends nothing
    let configuration = of(&report, "configuration");
    assert_eq!(configuration["state"], "broken");
    assert!(
        configuration["details"][0]
            .as_str()
            .unwrap()
            .contains("palisade.toml:2:11"),
        "{configuration}"
    );
}

#[test]
fn a_wrong_endpoint_and_a_broken_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let checks = folder.path().join("mine/checks/s3");
    std::fs::create_dir_all(&checks).unwrap();
    std::fs::write(checks.join("s3-broken.md"), "no front matter").unwrap();
    // nothing listens there
    let arguments = ["--endpoint-url", "http://127.0.0.1:9", "--catalog", "mine"];
    let (report, fine) = report(doctor(folder.path(), &arguments).envs(CREDENTIALS));
    assert!(!fine);
    assert_eq!(of(&report, "catalogue")["state"], "broken");
    assert!(
        of(&report, "catalogue")["details"][0]
            .as_str()
            .unwrap()
            .contains("s3-broken.md")
    );
    assert_eq!(of(&report, "credentials")["state"], "fine");
    assert_eq!(of(&report, "identity")["state"], "broken");
    let endpoints = of(&report, "endpoints");
    assert_eq!(endpoints["state"], "broken");
    assert!(
        endpoints["details"][0]
            .as_str()
            .unwrap()
            .contains("(http://127.0.0.1:9)"),
        "{endpoints}"
    );
    assert!(
        endpoints["details"][0]
            .as_str()
            .unwrap()
            .contains("refused"),
        "{endpoints}"
    );
    assert_eq!(of(&report, "clock")["state"], "not_examined");
    assert_eq!(of(&report, "permissions")["state"], "not_examined");
}

const IDENTITY: &str = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:root</Arn><UserId>X</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

#[test]
fn a_clock_that_is_off_and_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    // the server's day is long over
    let server = Server::with_headers("date: Wed, 21 Oct 2020 07:28:00 GMT\r\n", |_| {
        (200, IDENTITY.to_owned())
    });
    let (found, fine) =
        report(doctor(folder.path(), &["--endpoint-url", &server.url]).envs(CREDENTIALS));
    assert!(!fine);
    let clock = of(&found, "clock");
    assert_eq!(clock["state"], "broken");
    assert!(
        clock["message"]
            .as_str()
            .unwrap()
            .contains("seconds ahead of the servers' clocks"),
        "{clock}"
    );
    assert_eq!(of(&found, "identity")["state"], "warning", "the root user");

    // a proxy of the environment gets what is not on this machine, and its password is not shown
    let proxy = Server::start(|_| (200, IDENTITY.to_owned()));
    let address = proxy.url.trim_start_matches("http://");
    let (found, _) = report(
        doctor(
            folder.path(),
            &["--endpoint-url", "http://aws.example.test"],
        )
        .envs(CREDENTIALS)
        .env("http_proxy", format!("http://user:very-secret@{address}")),
    );
    assert_eq!(
        of(&found, "proxy")["message"],
        format!("http_proxy=http://***@{address}")
    );
    assert_eq!(of(&found, "endpoints")["state"], "fine", "{found}");
    assert!(
        proxy
            .asked()
            .iter()
            .all(|(path, _)| path.contains("http://aws.example.test/")),
        "{:?}",
        proxy.asked()
    );
    assert!(!found.to_string().contains("very-secret"));
}

//! The command as its users run it: exit codes, messages, pipes, wrong input. Nothing here leaves the machine.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn palisade() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    // nobody's files, nobody's metadata service
    command
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials");
    command
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env_remove("PALISADE_CATALOG")
        .env("COLUMNS", "100");
    command
}

fn run(arguments: &[&str]) -> Output {
    palisade().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Exit code, what stderr must say, and that stdout stays empty.
fn refused(arguments: &[&str], code: i32, says: &[&str]) {
    let output = run(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    for part in says {
        assert!(
            message.contains(part),
            "{arguments:?} does not say `{part}`:\n{message}"
        );
    }
    assert!(!message.contains("panicked"), "{message}");
    assert_eq!(stdout(&output), "", "{arguments:?} printed data");
}

#[test]
fn a_slip_in_a_name_is_a_usage_error_with_a_hint() {
    refused(
        &["scan", "--check", "s3-bucket-versionin"],
        2,
        &[
            "unknown check `s3-bucket-versionin`",
            "did you mean `s3-bucket-versioning`",
        ],
    );
    refused(
        &["scan", "--check", "prowler:s3_bucket_object_versionin"],
        2,
        &["did you mean `prowler:s3_bucket_object_versioning`"],
    );
    refused(
        &["scan", "--service", "s33"],
        2,
        &["unknown service `s33`", "`s3`"],
    );
    refused(
        &["scan", "--framework", "cis-aws-5"],
        2,
        &["unknown framework `cis-aws-5`"],
    );
    refused(
        &["tables", "s3_buckets"],
        2,
        &["unknown table `s3_buckets`", "`s3_bucket`"],
    );
    refused(&["scan", "--severity", "urgent"], 2, &["severity"]);
    refused(
        &["scan", "--demo", "--region", "eu-wset-1"],
        2,
        &["unknown region `eu-wset-1`", "eu-west-1"],
    );
    refused(
        &["scan", "--demo", "--region", "Frankfurt"],
        2,
        &["`Frankfurt`"],
    );
    refused(&["nonsense"], 2, &["nonsense"]);
}

#[test]
fn a_value_that_aws_would_refuse_is_a_usage_error() {
    let plan = |check: &str, param: &str, says: &[&str]| {
        let arguments = ["fix", "plan", "--demo", "--check", check, "--param", param];
        refused(&arguments, 2, says);
    };
    plan(
        "iam-password-policy-length",
        "iam-password-policy-length.length=200",
        &[
            "iam-password-policy-length",
            "`length` is 200",
            "takes 6 to 128 for `MinimumPasswordLength`",
            "`--param iam-password-policy-length.length=VALUE`",
        ],
    );
    plan(
        "lambda-function-environment-kms-key",
        "lambda-function-environment-kms-key.key=my key",
        &["`key` is \"my key\"", "takes a text that matches `"],
    );
    let run = ["respond", "run", "leaked-access-key", "--param"];
    let values = ["user_name=build", "--param", "access_key_id=AKIA!"];
    refused(
        &[&run[..], &values[..]].concat(),
        2,
        &[
            "`access_key_id` is \"AKIA!\"",
            "takes 16 to 128 characters for `AccessKeyId`",
        ],
    );
}

#[test]
fn a_selection_without_checks_is_refused() {
    refused(
        &[
            "scan",
            "--demo",
            "--check",
            "s3-bucket-versioning",
            "--exclude",
            "s3-*",
        ],
        2,
        &["leaves no check"],
    );
}

#[test]
fn wrong_sql_names_what_exists() {
    refused(
        &["query", "--demo", "SELECT nmae FROM s3_bucket"],
        2,
        &["nmae", "name"],
    );
    refused(
        &["query", "--demo", "SELECT name FROM s3_bukcet"],
        2,
        &["s3_bukcet"],
    );
    refused(&["query", "--demo", "SELECT FROM WHERE"], 2, &[]);
}

#[test]
fn no_credentials_and_no_region_are_told_apart() {
    refused(
        &["scan", "--region", "eu-west-1"],
        1,
        &["no AWS credentials found", "--demo"],
    );
    let output = palisade()
        .args(["scan"])
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no AWS region"),
        "{}",
        stderr(&output)
    );
    refused(
        &["scan", "--profile", "nobody", "--region", "eu-west-1"],
        1,
        &["nobody"],
    );
}

#[test]
fn an_endpoint_that_does_not_answer_is_one_clear_message() {
    // a port that was free a moment ago
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let output = palisade()
        .args([
            "scan",
            "--region",
            "eu-west-1",
            "--endpoint-url",
            &format!("http://127.0.0.1:{port}"),
        ])
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "very-secret-example"),
        ])
        .output()
        .unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("who these credentials belong to") && message.contains("refused"),
        "{message}"
    );
    assert!(!message.contains("very-secret-example"), "{message}");
}

/// Once a panic: a setting that is there and empty.
#[test]
fn an_endpoint_that_is_no_url_is_one_clear_message() {
    for endpoint in ["", "nowhere", "http://"] {
        let output = palisade()
            .args(["query", "SELECT user_name FROM iam_user"])
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "example")
            .env("AWS_REGION", "eu-central-1")
            .output()
            .unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{endpoint}: {said}");
        assert!(
            said.contains("is not an endpoint URL"),
            "{endpoint}: {said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = palisade()
        .args(["checks", "list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains("error"), "{}", stderr(&output));
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told() {
    for arguments in [&["checks", "list"][..], &["permissions"]] {
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = palisade().args(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("cannot write to stdout"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn the_catalogue_is_listed_and_explained() {
    let output = run(&["checks", "list", "--service", "s3", "--quiet"]);
    assert!(output.status.success());
    assert!(
        stdout(&output)
            .lines()
            .any(|l| l.starts_with("s3-bucket-versioning"))
    );
    let output = run(&["explain", "s3-bucket-versioning"]);
    let page = stdout(&output);
    for part in [
        "Why it matters",
        "How to fix",
        "s3:GetBucketVersioning",
        "s3:ListAllMyBuckets",
        "versioning",
    ] {
        assert!(page.contains(part), "`{part}` is missing in:\n{page}");
    }
    assert!(!page.contains('\u{1b}'), "colour in a pipe");
}

#[test]
fn a_selection_needs_exactly_its_permissions() {
    let output = run(&["permissions", "--check", "s3-bucket-versioning", "--quiet"]);
    let policy: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let actions: Vec<&str> = policy["Statement"][0]["Action"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a.as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "s3:GetBucketVersioning",
            "s3:ListAllMyBuckets",
            "sts:GetCallerIdentity"
        ]
    );
}

#[test]
fn a_broken_catalogue_file_is_reported_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let check = folder.path().join("checks/s3");
    std::fs::create_dir_all(&check).unwrap();
    std::fs::write(
        check.join("s3-bucket-broken.md"),
        "+++\ntitle = \"x\"\nseverty = \"low\"\n+++\n",
    )
    .unwrap();
    let arguments = [
        "--catalog",
        folder.path().to_str().unwrap(),
        "checks",
        "list",
    ];
    refused(
        &arguments,
        1,
        &[
            "s3-bucket-broken.md:3:",
            "severty",
            "the catalogue has errors",
        ],
    );
    refused(
        &["--catalog", "/nonexistent/catalogue", "checks", "list"],
        2,
        &["/nonexistent/catalogue"],
    );
}

#[test]
fn a_check_of_the_users_own_runs_without_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../catalog/checks/s3/s3-bucket-versioning.md");
    let page = std::fs::read_to_string(shipped).unwrap();
    let own: String = page
        .lines()
        .filter(|l| !l.starts_with("same_as"))
        .map(|l| format!("{l}\n"))
        .collect();
    let checks = folder.path().join("checks/s3");
    std::fs::create_dir_all(&checks).unwrap();
    std::fs::write(checks.join("s3-bucket-own.md"), own).unwrap();
    let output = run(&[
        "--catalog",
        folder.path().to_str().unwrap(),
        "checks",
        "test",
        "--check",
        "s3-bucket-own",
    ]);
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
}

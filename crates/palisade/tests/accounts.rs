//! Scans of many accounts, against the replay endpoint as an organisation: the demo account is its management account,
//! and every other account holds the same under its own id.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_replay::{Faults, OrganizationAccount, Recording, Refusal, Server};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

const MANAGEMENT: &str = "123456789012";
const DENIED: &str = "222200000002";
const THROTTLED: &str = "222200000003";
const SUSPENDED: &str = "222200000004";
const SHOP: &str = "222200000001";
const TEST: &str = "222200000005";

fn recording() -> Arc<Recording> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog/demo/account.recording");
    Arc::new(Recording::load(path).unwrap())
}

fn account(id: &str, units: &[&str]) -> OrganizationAccount {
    OrganizationAccount {
        units: units.iter().map(|u| (*u).to_owned()).collect(),
        ..OrganizationAccount::new(id)
    }
}

/// A management account, two accounts that can be read, one that refuses, one that throttles, one that is suspended.
fn organization(faults: Faults) -> Server {
    let accounts = vec![
        OrganizationAccount {
            tags: vec![("stage".to_owned(), "prod".to_owned())],
            ..account(SHOP, &["Root", "Prod", "Shop"])
        },
        OrganizationAccount {
            refusal: Some(Refusal::Denied),
            ..account(DENIED, &["Root", "Prod"])
        },
        OrganizationAccount {
            refusal: Some(Refusal::Throttled),
            ..account(THROTTLED, &["Root", "Prod"])
        },
        OrganizationAccount {
            status: "SUSPENDED".to_owned(),
            ..account(SUSPENDED, &["Root"])
        },
        account(TEST, &["Root", "Test"]),
    ];
    Server::start_organization(recording(), faults, accounts).unwrap()
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    command
        .env_clear()
        .args(arguments)
        .args(["--endpoint-url", &server.url()])
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("AWS_REGION", "us-east-1"),
            // whoever is throttled forever is given up soon
            ("AWS_MAX_ATTEMPTS", "2"),
        ])
        .current_dir(std::env::temp_dir());
    command
}

fn run(server: &Server, arguments: &[&str]) -> Output {
    command(server, arguments).output().unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Without the clock, which these scans read.
fn report(output: &Output) -> Value {
    let mut report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(output)));
    report["started_at"] = Value::Null;
    report
}

const CHECKS: &[&str] = &[
    "--service",
    "s3,organizations,kms,securityhub,guardduty",
    "--check",
    "iam-principal-no-privilege-escalation",
    "--format",
    "json",
];

fn scan<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["scan"];
    arguments.extend(CHECKS);
    arguments.extend(more);
    arguments
}

/// Check, region, resource and its id.
type Key = (String, String, String, String);

fn key(finding: &Value) -> Key {
    let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    (
        text("check"),
        text("region"),
        text("resource"),
        text("resource_id"),
    )
}

#[test]
fn every_account_is_read_and_what_cannot_be_is_named() {
    let server = organization(Faults::none());
    let output = run(&server, &scan(&["--organization", "--strict"]));
    assert_eq!(output.status.code(), Some(4), "{}", err(&output));
    let report = report(&output);
    assert_eq!(
        report["accounts"],
        serde_json::json!([MANAGEMENT, SHOP, TEST])
    );
    let failures: Vec<(&str, &str, &str)> = report["coverage"]["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f[0])
        .filter(|f| f["operation"] == "AssumeRole")
        .map(|f| {
            assert_eq!(f["permissions"], serde_json::json!(["sts:AssumeRole"]));
            let text = |name: &str| f[name].as_str().unwrap();
            (text("account_id"), text("kind"), text("code"))
        })
        .collect();
    assert_eq!(
        failures,
        [
            (DENIED, "denied", "AccessDenied"),
            (THROTTLED, "throttled", "Throttling")
        ]
    );
    assert_eq!(report["coverage"]["left_out"][0]["account_id"], SUSPENDED);
    assert!(err(&output).contains(&format!("left out: {SUSPENDED}")));
    // nothing twice: neither in an account, nor of the organisation for each account
    let statistics = server.shutdown();
    assert!(
        statistics.duplicates.is_empty(),
        "{:?}",
        statistics.duplicates
    );
    let asked = |operation: &str| statistics.requests.get(operation).copied();
    assert_eq!(asked("organizations:ListAccounts"), Some(1));
    assert_eq!(asked("organizations:DescribeOrganization"), Some(1));
    // what is told to have been sent was sent
    let sent = report["coverage"]["calls"].as_array().unwrap().iter();
    let sent: u64 = sent.map(|c| c["requests"].as_u64().unwrap()).sum();
    // one more asked whose credentials these are
    assert_eq!(sent + 1, statistics.total);
}

/// What a missing account may not become: a requirement that is met, or an account that was looked at.
#[test]
fn an_account_that_could_not_be_entered_counts_as_unknown_everywhere() {
    let server = organization(Faults::none());
    let store = tempfile::tempdir().unwrap();
    let store = store.path().to_str().unwrap();
    let framework = ["--framework", "cis-aws-5.0", "--store", store];
    let mut arguments = scan(&["--organization"]);
    arguments.extend(framework);
    let statuses = |report: &Value| -> Vec<(String, String)> {
        let all = report["frameworks"][0]["requirements"].as_array().unwrap();
        let text = |r: &Value, name: &str| r[name].as_str().unwrap().to_owned();
        all.iter()
            .map(|r| (text(r, "status"), text(r, "reason")))
            .collect()
    };
    let scanned = report(&run(&server, &arguments));
    let met = statuses(&scanned);
    assert!(met.iter().all(|(status, _)| status != "passed"), "{met:?}");
    let lost = (
        "unknown".to_owned(),
        "2 accounts could not be read".to_owned(),
    );
    assert!(met.contains(&lost), "{met:?}");

    let check = |more: &[&str]| {
        let mut arguments = vec!["check", "--snapshot", "latest", "--store", store];
        arguments.extend(CHECKS);
        arguments.extend(more);
        report(&run(&server, &arguments))
    };
    let checked = check(&["--framework", "cis-aws-5.0"]);
    assert_eq!(checked["accounts"], scanned["accounts"]);
    assert_eq!(
        checked["coverage"]["failures"],
        scanned["coverage"]["failures"]
    );
    assert!(statuses(&checked).contains(&lost));
    // a check that stays within accounts says nothing of one that was not entered; one that looks at all of them at once
    // has to say that it did not see these
    let of = |report: &Value, account: &str| -> Vec<(String, String)> {
        let all = report["findings"].as_array().unwrap().iter();
        let own = all.filter(|f| f["account_id"] == account);
        let text = |f: &Value, name: &str| f[name].as_str().unwrap().to_owned();
        own.map(|f| (text(f, "check"), text(f, "status"))).collect()
    };
    assert_eq!(of(&scanned, DENIED), []);
    let said = of(&checked, DENIED);
    assert!(
        said.iter().all(|(_, status)| status == "unknown"),
        "{said:?}"
    );
    let escalation = "iam-principal-no-privilege-escalation";
    assert!(
        said.iter().any(|(check, _)| check == escalation),
        "{said:?}"
    );
    assert!(
        said.iter().all(|(check, _)| !check.starts_with("s3-")),
        "{said:?}"
    );
}

#[test]
fn the_order_in_which_accounts_answer_does_not_show() {
    let reports: Vec<Value> = [
        (Faults::none(), "8"),
        (
            Faults::none().seed(7).jitter(Duration::from_millis(40)),
            "2",
        ),
    ]
    .into_iter()
    .map(|(faults, at_once)| {
        let server = organization(faults);
        let more = ["--organization", "--max-accounts", at_once];
        report(&run(&server, &scan(&more)))
    })
    .collect();
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn an_account_stands_as_it_does_when_it_is_scanned_alone() {
    let server = organization(Faults::none());
    let all = report(&run(&server, &scan(&["--organization"])));
    for id in [SHOP, TEST] {
        let role = format!("arn:aws:iam::{id}:role/palisade-read");
        let alone = report(&run(&server, &scan(&["--role-arn", &role])));
        let by_key = |list: &Value| -> BTreeMap<Key, Value> {
            let list = list["findings"].as_array().unwrap().iter();
            let own = list.filter(|f| f["account_id"] == id);
            own.map(|f| (key(f), f.clone())).collect()
        };
        let (within, alone) = (by_key(&all), by_key(&alone));
        assert!(within.len() > 100, "{}", within.len());
        let unknown = |f: &Value| f["status"] == "unknown";
        let mut decided = 0;
        for (key, finding) in &alone {
            if within.get(key) != Some(finding) {
                // only the organisation's account could say; where it says that there is nothing to judge, nothing is left
                assert!(unknown(finding), "{finding} {:?}", within.get(key));
                assert!(within.get(key).is_none_or(|f| !unknown(f)), "{finding}");
                decided += 1;
            }
        }
        for (key, finding) in within.iter().filter(|(key, _)| !alone.contains_key(*key)) {
            let open = alone.iter().any(|(k, f)| k.0 == key.0 && unknown(f));
            assert!(open, "{finding}");
        }
        assert!(decided > 0, "nothing was known of the organisation");
    }
}

#[test]
fn filters_choose_accounts() {
    let server = organization(Faults::none());
    let accounts = |more: &[&str]| {
        let mut arguments = vec![
            "scan",
            "--check",
            "s3-bucket-versioning",
            "--format",
            "json",
        ];
        arguments.push("--organization");
        arguments.extend(more);
        let output = run(&server, &arguments);
        report(&output)["accounts"].clone()
    };
    for (filter, expected) in [
        (&["--include-ou", "Root/Prod/Shop"][..], vec![SHOP]),
        (&["--exclude-ou", "Root/Prod"], vec![MANAGEMENT, TEST]),
        (&["--include-account-tag", "stage=prod"], vec![SHOP]),
        (
            &[
                "--exclude-account-tag",
                "stage=prod",
                "--exclude-account",
                "222200000002,222200000003",
            ],
            vec![MANAGEMENT, TEST],
        ),
        (&["--include-account", TEST], vec![TEST]),
    ] {
        assert_eq!(accounts(filter), serde_json::json!(expected), "{filter:?}");
    }
    for (arguments, code, says) in [
        (
            &["--organization", "--include-ou", "Root/Nowhere"][..],
            2,
            "no root or organisational unit `Root/Nowhere`",
        ),
        (
            &["--organization", "--exclude-account", "999999999999"],
            2,
            "no account `999999999999`",
        ),
        (
            &["--organization", "--exclude-ou", "Root"],
            2,
            "leave none of the 6 accounts",
        ),
        (
            &["--organization", "--include-account", "12"],
            2,
            "`12` is not the id of an account",
        ),
        (
            &["--organization", "--include-account-tag", "x"],
            2,
            "`x` is not a tag with a value",
        ),
        (
            &["--organization", "--organization-role", "a role"],
            2,
            "is not the name of a role",
        ),
        (&["--organization", "--demo"], 2, "cannot be used with"),
        (&["--external-id", "x"], 2, "required"),
        (
            &["--accounts", DENIED],
            1,
            "no account could be read: 222200000002: sts:AssumeRole failed with AccessDenied",
        ),
        (
            &[
                "--organization",
                "--role-arn",
                "arn:aws:iam::222200000001:role/palisade-read",
            ],
            1,
            "the accounts of the organisation are not known",
        ),
    ] {
        let mut whole = vec!["scan", "--check", "s3-bucket-versioning"];
        whole.extend(arguments);
        let output = run(&server, &whole);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {}",
            err(&output)
        );
        assert!(
            err(&output).contains(says),
            "{arguments:?}: {}",
            err(&output)
        );
    }
}

#[test]
fn a_list_of_accounts_asks_no_organisation() {
    let server = organization(Faults::none());
    let output = run(
        &server,
        &[
            "scan",
            "--check",
            "s3-bucket-versioning",
            "--accounts",
            "222200000005,222200000001,222200000002",
            "--external-id",
            "secret-1",
            "--session-duration",
            "900",
        ],
    );
    assert!(output.status.success(), "{}", err(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("2 accounts"), "{text}");
    assert!(
        text.contains("sts:AssumeRole failed once with AccessDenied"),
        "{text}"
    );
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        flat.contains(&format!("Nothing was read of: {DENIED}.")),
        "{text}"
    );
    let asked = server.shutdown().requests;
    assert!(!asked.keys().any(|o| o.starts_with("organizations:")));
    assert_eq!(asked.get("sts:AssumeRole"), Some(&3));
}

#[test]
fn a_query_reads_all_accounts_and_the_organisation_once() {
    let server = organization(Faults::none());
    let rows = |sql: &str| {
        let output = run(
            &server,
            &["query", "--organization", "--format", "jsonl", sql],
        );
        assert!(output.status.success(), "{}", err(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let buckets = rows(
        "SELECT account_id, count(*) AS n FROM s3_bucket GROUP BY account_id ORDER BY account_id",
    );
    let accounts: Vec<Value> = buckets
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["account_id"].clone())
        .collect();
    assert_eq!(accounts, [MANAGEMENT, SHOP, TEST]);
    let scps = rows("SELECT DISTINCT account_id FROM organizations_account");
    assert_eq!(scps.trim(), format!("{{\"account_id\":\"{MANAGEMENT}\"}}"));
    let inventory = run(
        &server,
        &[
            "inventory",
            "--organization",
            "--service",
            "s3",
            "--by",
            "account",
            "--format",
            "csv",
        ],
    );
    let lines = String::from_utf8(inventory.stdout).unwrap();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    assert!(lines.starts_with("account_id,resources"), "{lines}");
}

#[cfg(unix)]
#[test]
fn an_interrupted_scan_names_what_was_not_begun() {
    use std::process::Stdio;
    let server = organization(Faults::none().latency(Duration::from_millis(1500)));
    let child = command(&server, &scan(&["--organization", "--max-accounts", "1"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // until the first account is being read
    while !server
        .statistics()
        .requests
        .keys()
        .any(|o| o.starts_with("kms:"))
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let report = report(&output);
    assert_eq!(report["coverage"]["interrupted"], true);
    let failures = report["coverage"]["failures"].as_array().unwrap().iter();
    let unbegun: Vec<&str> = failures
        .filter(|f| f[0]["operation"] == "AssumeRole")
        .map(|f| f[0]["account_id"].as_str().unwrap())
        .collect();
    assert_eq!(unbegun, [SHOP, DENIED, THROTTLED, TEST]);
}

#[test]
fn the_file_says_which_accounts() {
    let server = organization(Faults::none());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("palisade.toml");
    let text = "[organization]\nenabled = true\nrole = \"palisade-read\"\ninclude_ous = [\"Root/Test\"]\nmax_accounts = 2\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let scan = [
        "scan",
        "--check",
        "s3-bucket-versioning",
        "--format",
        "json",
        "--config",
        file,
    ];
    let from_file = report(&run(&server, &scan));
    assert_eq!(from_file["accounts"], serde_json::json!([TEST]));
    // a list that is given stands in the place of the organisation, and has no units
    let mut list = scan.to_vec();
    list.extend(["--accounts", SHOP]);
    let output = run(&server, &list);
    assert_eq!(output.status.code(), Some(2), "{}", err(&output));
    assert!(err(&output).contains("filters are for `--organization`"));
}

//! `palisade.toml`, `palisade config`, `--param`, and frameworks that demand values: as users run them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command in a folder of its own, without anybody's environment.
fn palisade(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("AWS_") || name.starts_with("PALISADE_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder)
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("palisade.toml"), config).unwrap();
    folder
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let folder = folder(
        r#"[select]
checks = ["s3-bucket-versionin"]
servces = ["s3"]
severity = "hgh"
frameworks = ["cis-aws-3.1"]

[target]
regions = "eu-west-1"
max_in_flight = 0

[params."iam-access-key-rotated"]
dayz = 60

[params."logs-group-retention"]
days = "long"

[params."no-such-check-at-all"]
days = 1

[severities]
"s3-bucket-versioning" = "bad"

[review]
posture = "often"
"#,
    );
    let output = palisade(folder.path())
        .args(["config", "check"])
        .output()
        .unwrap();
    let text = err(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    for part in [
        "palisade.toml:2:11: error: unknown check `s3-bucket-versionin`",
        "did you mean `s3-bucket-versioning`",
        "palisade.toml:3:1: error: unknown key `servces`",
        "did you mean `services`?",
        "palisade.toml:4:12: error: unknown severity `hgh`",
        "palisade.toml:5:15: error: unknown framework `cis-aws-3.1`",
        "palisade.toml:8:11: error: `target.regions` must be a list of texts, not a text",
        "palisade.toml:9:17: error: `target.max_in_flight` must be from 1 to 1024",
        "palisade.toml:12:1: error: `iam-access-key-rotated` has no parameter `dayz`",
        "did you mean `days`?",
        "palisade.toml:15:8: error: `days` of `logs-group-retention` must be a whole number, not a text",
        "palisade.toml:17:9: error: unknown check `no-such-check-at-all`",
        "palisade.toml:21:26: error: unknown severity `bad`",
        "palisade.toml:24:11: error: `often` does not say how often",
        "`palisade.toml` has 11 errors",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    // a scan refuses the same file before it connects
    let output = palisade(folder.path())
        .args(["scan", "--demo"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(out(&output), "");
}

#[test]
fn what_is_not_toml_or_not_there_is_an_error() {
    let broken = folder("[select\n");
    let output = palisade(broken.path())
        .args(["config", "check"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("palisade.toml:1:"),
        "{}",
        err(&output)
    );
    for arguments in [
        &["config", "check", "absent.toml"][..],
        &["--config", "absent.toml", "scan", "--demo"],
    ] {
        let output = palisade(broken.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            err(&output).contains("cannot read `absent.toml`"),
            "{}",
            err(&output)
        );
    }
    let empty = tempfile::tempdir().unwrap();
    let output = palisade(empty.path())
        .args(["config", "check"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("no `palisade.toml`"));
}

#[test]
fn every_value_says_where_it_comes_from() {
    let folder = folder(
        "[select]\nservices = [\"s3\"]\n[exit]\nfail_on = \"high\"\n[target]\nexternal_id = \"hush\"\nrole_arn = \"arn:aws:iam::123456789012:role/r\"\n[params.\"iam-access-key-rotated\"]\ndays = 60\n[params.\"*-trusted-accounts\"]\ntrusted = [\"111122223333\"]\n",
    );
    let output = palisade(folder.path())
        .args(["config", "show", "--json", "--severity", "low"])
        .args(["--param", "logs-group-retention.days=30"])
        .env("PALISADE_FAIL_ON", "critical")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    let all: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let of = |key: &str| {
        let found = all.iter().find(|s| s["key"] == key);
        let found = found.unwrap_or_else(|| panic!("`{key}` is not shown"));
        (
            found["value"].clone(),
            found["origin"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(
        of("select.services"),
        (serde_json::json!(["s3"]), "palisade.toml:2".into())
    );
    assert_eq!(
        of("select.severity"),
        ("low".into(), "flag --severity".into())
    );
    assert_eq!(
        of("exit.fail_on"),
        ("critical".into(), "environment, PALISADE_FAIL_ON".into())
    );
    assert_eq!(of("target.max_in_flight"), (64.into(), "default".into()));
    assert_eq!(
        of("params.\"iam-access-key-rotated\".days"),
        (60.into(), "palisade.toml:9".into())
    );
    assert_eq!(
        of("params.\"logs-group-retention\".days"),
        (30.into(), "flag --param".into())
    );
    // a pattern reaches every check that has the parameter
    assert_eq!(
        of("params.\"kms-key-trusted-accounts\".trusted").1,
        "palisade.toml:11"
    );
    assert_eq!(
        of("params.\"iam-role-trusted-accounts\".trusted").1,
        "palisade.toml:11"
    );
    assert!(!out(&output).contains("hush"));
}

#[test]
fn a_wrong_param_is_a_usage_error() {
    let folder = folder("");
    for (param, says) in [
        ("nonsense", "is not of the form CHECK.NAME=VALUE"),
        (
            "iam-access-key-rotatd.days=1",
            "did you mean `iam-access-key-rotated`",
        ),
        ("iam-access-key-rotated.day=1", "did you mean `days`?"),
        (
            "iam-access-key-rotated.days=soon",
            "must be a whole number, not `soon`",
        ),
        ("iam-*.days=1", "is a pattern"),
        ("s3-bucket-versioning.days=1", "has no parameter"),
    ] {
        let output = palisade(folder.path())
            .args(["scan", "--demo", "--param", param])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{param}");
        assert!(err(&output).contains(says), "{param}: {}", err(&output));
        assert!(!err(&output).contains("panicked"));
    }
}

/// Findings of one check in the demo, as status → count.
fn demo(folder: &Path, arguments: &[&str]) -> Value {
    let output = palisade(folder)
        .args(["--quiet", "scan", "--demo", "--format", "json"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_parameter_changes_the_verdict() {
    let folder = folder("");
    let check = ["--check", "iam-access-key-rotated"];
    let failed = |days: &str| {
        let param = format!("iam-access-key-rotated.days={days}");
        let report = demo(folder.path(), &[check[0], check[1], "--param", &param]);
        report["checks"][0]["failed"].as_u64().unwrap()
    };
    // nothing is older than 27,000 years, and everything is older than -1 days
    assert_eq!(failed("9999999"), 0);
    assert!(failed("-1") > 0);
}

#[test]
fn the_file_selects_and_a_flag_selects_something_else() {
    let folder = folder(
        "[select]\nservices = [\"kms\"]\nseverity = \"informational\"\n[severities]\n\"s3-bucket-versioning\" = \"critical\"\n",
    );
    let by_file = demo(folder.path(), &[]);
    let services = |report: &Value| {
        let checks = report["checks"].as_array().unwrap();
        let mut names: Vec<String> = checks
            .iter()
            .map(|c| c["service"].as_str().unwrap().to_owned())
            .collect();
        names.dedup();
        names
    };
    assert_eq!(services(&by_file), ["kms"]);
    let by_flag = demo(folder.path(), &["--check", "s3-bucket-versioning"]);
    assert_eq!(services(&by_flag), ["s3"]);
    assert_eq!(by_flag["checks"][0]["severity"], "critical");
    assert!(
        by_flag["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|f| f["severity"] == "critical")
    );
}

#[test]
fn the_file_says_where_reports_go() {
    let folder = folder(
        "[select]\nchecks = [\"s3-bucket-versioning\"]\n[report]\noutput = [\"json=report.json\", \"csv=report.csv\"]\n",
    );
    let output = palisade(folder.path())
        .args(["--quiet", "scan", "--demo"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(out(&output), "", "the report went to files");
    let json = std::fs::read(folder.path().join("report.json")).unwrap();
    let report: Value = serde_json::from_slice(&json).unwrap();
    let findings = report["findings"].as_array().unwrap().len();
    let csv = std::fs::read_to_string(folder.path().join("report.csv")).unwrap();
    assert!(findings > 0 && csv.lines().count() > findings);
    // a flag takes the place of the whole list
    let output = palisade(folder.path())
        .args(["--quiet", "scan", "--demo", "--output", "other.txt"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert!(folder.path().join("other.txt").is_file());
}

#[test]
fn mutes_and_baseline_lie_beside_the_file_that_names_them() {
    for key in ["file", "baseline"] {
        let folder = folder("");
        let beside = folder.path().join("conf");
        std::fs::create_dir(&beside).unwrap();
        let text = format!("[mute]\n{key} = \"absent.file\"\n");
        std::fs::write(beside.join("p.toml"), text).unwrap();
        let output = palisade(folder.path())
            .args(["--config", "conf/p.toml", "scan", "--demo"])
            .args(["--check", "s3-bucket-versioning"])
            .output()
            .unwrap();
        assert!(
            !output.status.success(),
            "{key}: a missing file is an error"
        );
        assert!(
            err(&output).contains("conf/absent.file"),
            "{}",
            err(&output)
        );
    }
}

/// A catalogue with two frameworks that want different things of one check.
fn frameworks(folder: &Path, second_days: &str) {
    std::fs::create_dir_all(folder.join("cat/frameworks")).unwrap();
    for (name, days) in [("strict", "30"), ("lax", second_days)] {
        let text = format!(
            "name = \"{name}\"\nversion = \"1\"\ntitle = \"T\"\nsource = \"https://example.com\"\n\n[[requirement]]\nid = \"1\"\ntitle = \"Keys\"\nkind = \"automated\"\nchecks = [\"iam-access-key-rotated\"]\nparams = {{ \"iam-access-key-rotated\" = {{ days = {days} }} }}\n"
        );
        std::fs::write(folder.join(format!("cat/frameworks/{name}-1.toml")), text).unwrap();
    }
}

#[test]
fn a_framework_states_the_value_that_it_demands() {
    let folder = folder("[params.\"iam-access-key-rotated\"]\ndays = 60\n");
    frameworks(folder.path(), "9999999");
    let catalog = ["--catalog", "cat"];
    let one = demo(
        folder.path(),
        &["--framework", "strict-1", catalog[0], catalog[1]],
    );
    assert_eq!(one["checks"][0]["id"], "iam-access-key-rotated");
    let serves = |entry: &Value| {
        let all = entry["requirements"].as_array().unwrap();
        let has = |name: &str| all.iter().any(|r| r == name);
        (has("strict-1/1"), has("lax-1/1"))
    };
    assert_eq!(serves(&one["checks"][0]), (true, false));
    // both: one finding for each demand, with the requirement that it answers
    let both = demo(
        folder.path(),
        &["--framework", "strict-1,lax-1", catalog[0], catalog[1]],
    );
    let ids: Vec<&str> = both["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        [
            "iam-access-key-rotated@days=30",
            "iam-access-key-rotated@days=9999999"
        ]
    );
    for finding in both["findings"].as_array().unwrap() {
        let strict = finding["check"] == "iam-access-key-rotated@days=30";
        assert_eq!(serves(finding), (strict, !strict), "{finding}");
        assert!(strict || finding["status"] != "fail", "{finding}");
    }
    let of = |id: &str| {
        let all = both["frameworks"].as_array().unwrap();
        all.iter().find(|f| f["id"] == id).unwrap()["requirements"][0].clone()
    };
    assert_eq!(of("lax-1")["status"], "passed");
    assert_eq!(of("lax-1")["failed"], 0);
    assert_eq!(
        of("strict-1")["checks"],
        serde_json::json!(["iam-access-key-rotated@days=30"])
    );
    // a plain scan judges by 60 days: it does not claim to answer who demands 30
    let plain = demo(
        folder.path(),
        &["--check", "iam-access-key-rotated", catalog[0], catalog[1]],
    );
    assert_eq!(serves(&plain["checks"][0]), (false, false));
}

#[test]
fn a_framework_cannot_demand_what_does_not_exist() {
    for (params, says) in [
        (
            "{ \"iam-access-key-rotated\" = { day = 1 } }",
            "has no parameter `day`",
        ),
        (
            "{ \"iam-access-key-rotated\" = { days = \"x\" } }",
            "must be a whole number, not a text",
        ),
        (
            "{ \"iam-root-mfa\" = { days = 1 } }",
            "is not among the requirement's checks",
        ),
        (
            "{ \"iam-access-key-rotated\" = {} }",
            "nothing is demanded of",
        ),
        ("3", "must be a table"),
    ] {
        let folder = folder("");
        frameworks(folder.path(), "1");
        let file = folder.path().join("cat/frameworks/lax-1.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let head = text.split("params =").next().unwrap();
        std::fs::write(&file, format!("{head}params = {params}\n")).unwrap();
        let output = palisade(folder.path())
            .args(["--catalog", "cat", "frameworks", "list"])
            .output()
            .unwrap();
        let text = err(&output);
        assert!(!output.status.success(), "{params}");
        assert!(
            text.contains("lax-1.toml:11:") && text.contains(says),
            "{params}: {text}"
        );
    }
}

#[test]
fn a_requirement_without_evidence_is_not_met() {
    let folder = folder("");
    std::fs::create_dir_all(folder.path().join("cat/frameworks")).unwrap();
    let requirement = |id: &str, kind: &str, checks: &str| {
        format!(
            "\n[[requirement]]\nid = \"{id}\"\ntitle = \"T\"\nkind = \"{kind}\"\nchecks = [{checks}]\n"
        )
    };
    let text = format!(
        "name = \"f\"\nversion = \"1\"\ntitle = \"T\"\nsource = \"https://example.com\"\n{}{}{}{}",
        requirement(
            "both",
            "automated",
            "\"s3-bucket-versioning\", \"iam-root-mfa\""
        ),
        requirement("gone", "automated", "\"iam-root-mfa\""),
        requirement("person", "manual", ""),
        requirement("aws", "aws", ""),
    );
    std::fs::write(folder.path().join("cat/frameworks/f-1.toml"), text).unwrap();
    let report = demo(
        folder.path(),
        &[
            "--catalog",
            "cat",
            "--framework",
            "f-1",
            "--exclude",
            "iam-root-mfa",
        ],
    );
    let framework = &report["frameworks"][0];
    let status: Vec<&str> = framework["requirements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["status"].as_str().unwrap())
        .collect();
    assert_ne!(status[0], "passed");
    assert_eq!(status[1..], ["not_covered", "manual", "aws"]);
    assert_eq!(framework["counts"]["not_covered"], 1);
    assert_eq!(framework["counts"]["passed"], 0);
    let output = palisade(folder.path())
        .args([
            "--quiet",
            "scan",
            "--demo",
            "--catalog",
            "cat",
            "--framework",
            "f-1",
        ])
        .args(["--exclude", "iam-root-mfa"])
        .output()
        .unwrap();
    let text = out(&output);
    for part in [
        "1 not covered",
        "none of its checks was part of the scan",
        "1 manual",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

fn import(text: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut child = palisade(folder.path())
        .args(["config", "import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn another_scanners_thresholds_become_ours() {
    let output = import(
        "aws:\n  max_unused_access_keys_days: 30\n  log_group_retention_days: 180\n  trusted_account_ids: [111122223333, \"001122223333\"]\n  eks_cluster_oldest_version_supported: \"1.28\"\n  shodan_api_key: null\n  mute_non_default_regions: False\nazure:\n  x: 1\n",
    );
    assert!(output.status.success(), "{}", err(&output));
    let text = out(&output);
    let toml: toml::Table = text.parse().unwrap();
    assert_eq!(
        toml["params"]["iam-access-key-used"]["days"].as_integer(),
        Some(30)
    );
    assert_eq!(
        toml["params"]["logs-group-retention"]["days"].as_integer(),
        Some(180)
    );
    assert_eq!(
        toml["params"]["eks-cluster-version-supported"]["oldest"].as_str(),
        Some("1.28")
    );
    let trusted = toml["params"]["kms-key-trusted-accounts"]["trusted"]
        .as_array()
        .unwrap();
    let trusted: Vec<&str> = trusted.iter().map(|t| t.as_str().unwrap()).collect();
    assert_eq!(trusted, ["111122223333", "001122223333"]);
    for key in ["shodan_api_key", "mute_non_default_regions", "azure.*"] {
        assert!(
            err(&output).contains(&format!("`{key}` is not taken over")),
            "{}",
            err(&output)
        );
    }
    // what comes out is a configuration
    let written = folder(&text);
    let check = palisade(written.path())
        .args(["config", "check"])
        .output()
        .unwrap();
    assert!(check.status.success(), "{}", err(&check));
    // JSON is YAML
    let json = import("{\"max_console_access_days\": 20}");
    assert!(
        out(&json).contains("[params.\"iam-user-console-used\"]\ndays = 20"),
        "{}",
        out(&json)
    );
}

#[test]
fn what_cannot_be_imported_is_an_error() {
    for (text, says) in [
        ("", "is empty"),
        ("- 1\n- 2\n", "no keys"),
        ("a: [", "not YAML"),
        ("1: 2", "not a text"),
    ] {
        let output = import(text);
        assert_eq!(output.status.code(), Some(2), "{text}: {}", err(&output));
        assert!(err(&output).contains(says), "{text}: {}", err(&output));
        assert_eq!(out(&output), "");
    }
    let output = import("max_unused_access_keys_days: many\n");
    assert!(
        err(&output).contains("`iam-access-key-used` takes a whole number"),
        "{}",
        err(&output)
    );
    assert_eq!(out(&output), "");
}

#[test]
fn the_schema_names_every_setting_and_parameter() {
    let folder = folder("");
    let output = palisade(folder.path())
        .args(["config", "schema"])
        .output()
        .unwrap();
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let properties = &schema["properties"];
    assert_eq!(
        properties["exit"]["properties"]["fail_on"]["enum"][4],
        "critical"
    );
    assert_eq!(
        properties["params"]["properties"]["iam-access-key-rotated"]["properties"]["days"]["default"],
        90
    );
}

/// Every combination of what two checks found, whether the scan ended, who attests, and for whom: a requirement has
/// passed only when all of its evidence is there and good.
#[test]
fn no_combination_of_evidence_meets_a_requirement_that_lacks_some() {
    use palisade_core::{
        Assessment, Attestation, Category, CheckSummary, Coverage, RequirementStatus, Severity,
    };
    let checks = ["s3-bucket-versioning", "iam-root-mfa"];
    let requirement = |id: &str, kind: &str, checks: &[&str]| {
        format!(
            "[[requirement]]\nid = \"{id}\"\ntitle = \"T\"\nkind = \"{kind}\"\nchecks = {checks:?}\n"
        )
    };
    let text = format!(
        "name = \"f\"\nversion = \"1\"\ntitle = \"T\"\nsource = \"https://example.com\"\n{}{}{}",
        requirement("auto", "automated", &checks),
        requirement("person", "manual", &checks),
        requirement("alone", "manual", &[]),
    );
    let own = palisade_catalog::Source::from_texts([("frameworks/f-1.toml".to_owned(), text)]);
    let catalog = palisade_catalog::load(&[palisade_catalog::Source::embedded(), own]).catalog;
    assert!(catalog.frameworks.contains_key("f-1"));

    // what a check found: passed, failed, unknown, manual; nothing at all; it answers other values than are
    // demanded; it was not part of the scan
    let found = [
        Some(([1, 0, 0, 0], true)),
        Some(([3, 1, 0, 0], true)),
        Some(([3, 0, 1, 0], true)),
        Some(([3, 0, 0, 1], true)),
        Some(([0, 0, 1, 0], true)),
        Some(([0, 0, 0, 0], true)),
        Some(([1, 0, 0, 0], false)),
        None,
    ];
    let accounts = ["111122223333", "444455556666"];
    // until when, from when, for which accounts
    let attested: [Option<(&str, &str, &[&str])>; 5] = [
        None,
        Some(("2026-12-31", "2026-01-01", &[])),
        Some(("2026-12-31", "2026-01-01", &accounts[..1])),
        Some(("2026-01-14", "2025-01-01", &[])),
        Some(("2027-12-31", "2026-06-01", &[])),
    ];
    let mut met = 0;
    for (first, second) in found.iter().flat_map(|a| found.iter().map(move |b| (a, b))) {
        for (interrupted, attest) in [false, true]
            .into_iter()
            .flat_map(|i| attested.iter().map(move |a| (i, a)))
        {
            let summary = |id: &str, (counts, names): ([usize; 4], bool)| CheckSummary {
                id: id.to_owned(),
                title: String::new(),
                service: String::new(),
                severity: Severity::Low,
                category: Category::Data,
                why: String::new(),
                fix: String::new(),
                requirements: if names {
                    vec!["f-1/auto".to_owned(), "f-1/person".to_owned()]
                } else {
                    Vec::new()
                },
                passed: counts[0],
                failed: counts[1],
                unknown: counts[2],
                manual: counts[3],
            };
            let ran = checks.iter().zip([first, second]);
            let mut assessment = Assessment {
                counted: palisade_core::Counted::default(),
                version: String::new(),
                started_at: "2026-01-15T00:00:00Z".parse().unwrap(),
                accounts: accounts.map(ToOwned::to_owned).into(),
                regions: vec!["eu-west-1".to_owned()],
                checks: ran.filter_map(|(id, f)| Some(summary(id, (*f)?))).collect(),
                findings: Vec::new(),
                coverage: Coverage {
                    interrupted,
                    ..Coverage::default()
                },
                frameworks: Vec::new(),
                last_scan: None,
                expired_mutes: Vec::new(),
            };
            let attestations: Vec<Attestation> = attest
                .iter()
                .map(|(until, on, of)| Attestation {
                    requirements: vec!["f-1/person".to_owned(), "f-1/alone".to_owned()],
                    control: None,
                    accounts: of.iter().map(|a| (*a).to_owned()).collect(),
                    by: "A. Person".to_owned(),
                    on: on.parse().unwrap(),
                    valid_until: until.parse().unwrap(),
                    evidence: "https://example.com".to_owned(),
                    statement: "It is so.".to_owned(),
                })
                .collect();
            palisade_scan::roll_up(
                &mut assessment,
                &catalog,
                &["f-1".to_owned()],
                &attestations,
            );
            let status: Vec<RequirementStatus> = assessment.frameworks[0]
                .requirements
                .iter()
                .map(|r| r.status)
                .collect();
            let complete = |f: &Option<([usize; 4], bool)>| {
                f.is_some_and(|(counts, names)| names && counts[1..] == [0, 0, 0])
            };
            let judged =
                |f: &Option<([usize; 4], bool)>| f.is_some_and(|(counts, _)| counts[0] > 0);
            let evidence = complete(first) && complete(second) && !interrupted;
            // a valid attestation for every account
            let signed = matches!(attest, Some(("2026-12-31", _, of)) if of.is_empty());
            let wanted = [
                evidence && (judged(first) || judged(second)),
                evidence && signed,
                !interrupted && signed,
            ];
            let passed: Vec<bool> = status
                .iter()
                .map(|s| *s == RequirementStatus::Passed)
                .collect();
            assert_eq!(
                passed, wanted,
                "{first:?} {second:?} {interrupted} {attest:?}: {status:?}"
            );
            met += passed.iter().filter(|p| **p).count();
        }
    }
    assert!(met > 0);
}

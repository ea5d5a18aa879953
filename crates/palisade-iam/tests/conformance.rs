//! Runs the shared conformance cases when they are there.
//!
//! The folder is `../shared/conformance/iam` beside the workspace, or `$PALISADE_SHARED/conformance/iam`. Every kind
//! has the exact list of cases in which we disagree; `docs/conformance-iam.md` says why. A case that starts to pass
//! must leave its list, so the counts are a floor that only rises.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use palisade_iam::conform_line;
use serde_json::{Value, json};

fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let shared =
        std::env::var_os("PALISADE_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder = shared.join("conformance/iam");
    folder.join("cases.jsonl").exists().then_some(folder)
}

fn cases(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("cases.jsonl")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

/// The bundle of a case with its patch worked in, under a name that the answer's reader resolves.
fn bundle(folder: &Path, case: &Value) -> Option<String> {
    let name = case.get("bundle")?.as_str()?;
    let file = name.rsplit('/').next().unwrap();
    let mut bundle: Value = serde_json::from_str(
        &std::fs::read_to_string(folder.join("bundles").join(format!("{file}.json"))).unwrap(),
    )
    .unwrap();
    let Some(patch) = case.get("bundle_patch").filter(|p| !p.is_null()) else {
        return Some(bundle.to_string());
    };
    if let Some(scp) = patch.get("scp") {
        let statement = |effect: &str, action: &Value| json!({ "Version": "2012-10-17", "Statement": [{ "Effect": effect, "Action": action, "Resource": "*" }] });
        bundle["organization"] = json!({ "scps": { scp["account"].as_str().unwrap(): [statement("Allow", &json!("*")), statement("Deny", &scp["deny"])] } });
    }
    for account in bundle["accounts"].as_object_mut().unwrap().values_mut() {
        let details = &mut account["authorization_details"];
        let mut boundaries = Vec::new();
        for (list, inline) in [
            ("UserDetailList", "UserPolicyList"),
            ("RoleDetailList", "RolePolicyList"),
        ] {
            for entity in details[list].as_array_mut().unwrap() {
                if let Some(deny) = patch
                    .get("deny")
                    .filter(|d| d["principal"] == entity["Arn"])
                {
                    entity[inline].as_array_mut().unwrap().push(json!({ "PolicyName": "patched-deny", "PolicyDocument": { "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": deny["actions"], "Resource": "*" }] } }));
                }
                if let Some(boundary) = patch
                    .get("boundary")
                    .filter(|b| b["principal"] == entity["Arn"])
                {
                    let account = entity["Arn"]
                        .as_str()
                        .unwrap()
                        .split(':')
                        .nth(4)
                        .unwrap()
                        .to_owned();
                    let arn = format!("arn:aws:iam::{account}:policy/patched-boundary");
                    entity["PermissionsBoundary"] = json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn });
                    boundaries.push(json!({ "PolicyName": "patched-boundary", "Arn": arn, "DefaultVersionId": "v1", "PolicyVersionList": [{ "VersionId": "v1", "IsDefaultVersion": true, "Document": { "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": boundary["allow"], "Resource": "*" }] } }] }));
                }
            }
        }
        details["Policies"]
            .as_array_mut()
            .unwrap()
            .extend(boundaries);
    }
    Some(bundle.to_string())
}

/// Whether an answer is what a case expects, as the shared runner compares them.
fn passes(case: &Value, answer: &Value) -> bool {
    if answer["status"] != "ok" {
        return false;
    }
    let expected = &case["expected"];
    let same = |field: &str| answer.get(field) == expected.get(field);
    match case["kind"].as_str().unwrap() {
        "authorize" => same("decision"),
        "privesc-policy" | "privesc-graph" => {
            let ids: BTreeSet<&str> = answer["path_ids"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let list = |field: &str| {
                expected[field]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect::<Vec<_>>()
            };
            ["escalates", "admin", "reaches"]
                .iter()
                .all(|f| expected.get(f).is_none() || answer.get(f).is_none() || same(f))
                && list("path_ids_include").iter().all(|id| ids.contains(id))
                && !list("path_ids_exclude").iter().any(|id| ids.contains(id))
        }
        "public-policy" | "public-principal" => same("public"),
        "policy-admin" => same("admin"),
        "condition-restricts" => same("restricts"),
        "grammar" => same("valid"),
        "glob-overlap" | "arn-overlap" | "arn-valid" => same("match"),
        "trust-allows-service" => same("trusts"),
        "policy-full-service" => same("full"),
        _ => expected.as_object().unwrap().keys().all(|f| same(f)),
    }
}

/// Cases in which we disagree, by kind, with the part of the name after `::`. The reasons are in `docs/conformance-iam.md`.
const DISAGREEMENTS: &[(&str, &[&str])] = &[
    (
        "privesc-graph",
        &[
            "privesc-AssumeRole-start-user",
            "single-account/privesc-self-escalation/to-bucket/iam-005-iam-putrolepolicy",
            "single-account/privesc-self-escalation/to-bucket/iam-005-iam-putrolepolicy [Deny required]",
        ],
    ),
    ("privesc-policy", &["PassExistingRoleToNewDataPipeline"]),
    (
        "public-policy",
        &[
            "test_is_policy_public_kms_via_service_without_account_restriction",
            "test_mapping_and_sequence_policy_document[1]",
            "test_statement_internet_accessible[24]",
            "test_statement_internet_accessible[25]",
            "test_statement_internet_accessible[33]",
            "test_statement_internet_accessible[8]",
        ],
    ),
    ("expand-action", &["test_expand_all", "test_expand_all[1]"]),
    (
        "effective-actions",
        &["test_get_effective_actions_with_wildcards"],
    ),
];

/// Kinds that another tool's rule names would be needed for.
const NOT_COMPARED: &[&str] = &["lint"];

#[test]
fn shared_cases() {
    let Some(folder) = folder() else {
        eprintln!("SKIPPED: the shared conformance cases are not there (set PALISADE_SHARED)");
        return;
    };
    let known: BTreeMap<&str, BTreeSet<&str>> = DISAGREEMENTS
        .iter()
        .map(|(k, names)| (*k, names.iter().copied().collect()))
        .collect();
    let mut passed: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in cases(&folder) {
        let kind = case["kind"].as_str().unwrap().to_owned();
        if NOT_COMPARED.contains(&kind.as_str()) {
            continue;
        }
        let text = bundle(&folder, &case);
        let mut line = case.clone();
        let fields = line.as_object_mut().unwrap();
        fields.remove("expected");
        if text.is_some() {
            fields.insert("bundle_path".to_owned(), json!("bundle"));
        }
        let answer: Value =
            serde_json::from_str(&conform_line(&line.to_string(), &|_| text.clone())).unwrap();
        let name = case["case"]
            .as_str()
            .unwrap()
            .split_once("::")
            .unwrap()
            .1
            .to_owned();
        let expected_to_pass = !known
            .get(kind.as_str())
            .is_some_and(|names| names.contains(name.as_str()));
        let ok = passes(&case, &answer);
        let count = passed.entry(kind.clone()).or_default();
        count.0 += usize::from(ok);
        count.1 += 1;
        if ok != expected_to_pass {
            wrong.push(format!(
                "{kind} {name}: {} but listed otherwise; answer {answer}",
                if ok { "passes" } else { "fails" }
            ));
        }
    }
    for (kind, (passed, all)) in &passed {
        eprintln!("{kind}: {passed} of {all}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn broken_lines_do_not_end_the_stream() {
    for line in [
        "",
        "{",
        "[]",
        "{\"case\":\"x\"}",
        "{\"case\":\"x\",\"kind\":\"authorize\"}",
        "{\"case\":\"x\",\"kind\":\"privesc-graph\",\"bundle_path\":\"none\"}",
    ] {
        let answer: Value = serde_json::from_str(&conform_line(line, &|_| None)).unwrap();
        assert!(
            ["error", "unsupported"].contains(&answer["status"].as_str().unwrap()),
            "{line}"
        );
    }
}

//! `palisade iam …` over files and over the demo account: answers, exit codes, and what is said of bad input.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

const ACCOUNT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/iam_fixtures/account.json"
);
const SURROUNDINGS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/iam_fixtures/surroundings.json"
);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn iam(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let output = command.arg("iam").args(arguments).output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// With everything that there is to know.
fn whole(arguments: &[&str]) -> Ran {
    iam(&[arguments, &["--from", ACCOUNT, SURROUNDINGS]].concat())
}

fn json(arguments: &[&str]) -> Value {
    let ran = whole(&[arguments, &["--format", "json"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path: PathBuf = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn can_allows_and_names_the_statement() {
    let ran = whole(&[
        "can",
        "alice",
        "s3:GetObject",
        "arn:aws:s3:::data/x",
        "--expect",
        "allow",
    ]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("allow\n"), "{}", ran.out);
    assert!(ran.out.contains("ReadData"), "{}", ran.out);
}

#[test]
fn what_is_not_known_is_neither_allow_nor_deny() {
    let ask = [
        "can",
        "alice",
        "s3:GetObject",
        "arn:aws:s3:::data/x",
        "--from",
        ACCOUNT,
    ];
    let ran = iam(&ask);
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("depends on"), "{}", ran.out);
    assert!(ran.out.contains("service control policies"), "{}", ran.out);
    assert_eq!(iam(&[&ask[..], &["--expect", "allow"]].concat()).code, 3);
    assert_eq!(iam(&[&ask[..], &["--expect", "deny"]].concat()).code, 3);
    let sure = iam(&[&ask[..], &["--assume-complete", "--expect", "allow"]].concat());
    assert_eq!(sure.code, 0, "{}", sure.out);
    // A deny that holds whatever else there is needs nothing more.
    let deny = iam(&[
        "can",
        "alice",
        "ec2:DescribeInstances",
        "*",
        "--from",
        ACCOUNT,
        "--expect",
        "deny",
    ]);
    assert_eq!(deny.code, 0, "{}", deny.out);
}

#[test]
fn explain_goes_layer_by_layer() {
    let boundary = whole(&["explain", "bob", "s3:PutObject", "arn:aws:s3:::private/x"]);
    assert_eq!(boundary.code, 0);
    for part in [
        "permissions boundary: does not allow",
        "blocked by the permissions boundary",
        "AdministratorAccess",
        "deny (nothing allows it)",
    ] {
        assert!(boundary.out.contains(part), "{part}\n{}", boundary.out);
    }
    let guardrail = json(&[
        "explain",
        "role/admin",
        "s3:DeleteBucket",
        "arn:aws:s3:::private",
    ]);
    assert_eq!(guardrail["decision"], "explicit_deny");
    assert_eq!(guardrail["blocked_by"][0], "scp");
    let scp = guardrail["layers"]
        .as_array()
        .unwrap()
        .iter()
        .find(|l| l["layer"] == "scp")
        .unwrap();
    assert_eq!(scp["statement"]["id"], "KeepBuckets");
    assert_eq!(scp["level"], "Root");
    assert!(
        boundary.out.lines().all(|l| l.chars().count() <= 80),
        "{}",
        boundary.out
    );
}

#[test]
fn conditions_and_context() {
    let ask = [
        "can",
        "alice",
        "sqs:SendMessage",
        "arn:aws:sqs:eu-west-1:111111111111:orders",
    ];
    let open = whole(&ask);
    assert!(open.out.starts_with("depends on"), "{}", open.out);
    assert!(
        open.out.to_lowercase().contains("aws:sourceip"),
        "{}",
        open.out
    );
    let inside = whole(
        &[
            &ask[..],
            &["--context", "aws:SourceIp=192.0.2.7", "--expect", "allow"],
        ]
        .concat(),
    );
    assert_eq!(inside.code, 0, "{}", inside.out);
    let outside = whole(
        &[
            &ask[..],
            &["--context", "aws:SourceIp=198.51.100.7", "--expect", "deny"],
        ]
        .concat(),
    );
    assert_eq!(outside.code, 0, "{}", outside.out);
    let bad = whole(&[&ask[..], &["--context", "nonsense"]].concat());
    assert_eq!(bad.code, 2, "{}", bad.err);
}

#[test]
fn session_and_endpoint_policies_limit() {
    let folder = tempfile::tempdir().unwrap();
    let only = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"{action}","Resource":"*"}}]}}"#
        )
    };
    let session = file(
        &folder,
        "session.json",
        &only("s3:*").replace(r#""Principal":"*","#, ""),
    );
    let endpoint = file(&folder, "endpoint.json", &only("sqs:*"));
    let ask = |principal: &str, more: &[&str]| {
        let ask = ["explain", principal, "lambda:InvokeFunction"];
        let on = ["arn:aws:lambda:eu-west-1:111111111111:function:f"];
        whole(&[&ask[..], &on, &["--assume-complete"], more].concat())
    };
    assert!(ask("role/deployer", &["--expect", "allow"]).code == 0);
    for limit in [
        ["--session-policy", &session],
        ["--endpoint-policy", &endpoint],
    ] {
        let ran = ask(
            "role/deployer",
            &[&limit[..], &["--expect", "deny"]].concat(),
        );
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert!(ran.out.contains("blocked by the "), "{}", ran.out);
    }
    // A user has no session to pass a policy to.
    assert_eq!(ask("user/alice", &["--session-policy", &session]).code, 2);
}

/// Resources in others: what decides is the policy of the other.
#[test]
fn policies_of_what_a_resource_lies_in() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |action: &str| {
        format!(
            r#"{{"Owner":"111111111111","Policy":{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"{action}","Resource":"*"}}]}}}}"#
        )
    };
    let surroundings = format!(
        r#"{{"ServiceControlPolicies":{{"*":[]}},"ResourceControlPolicies":{{"*":[]}},"ResourcePolicies":{{
            "arn:aws:apigateway:eu-west-1::/restapis/abc": {},
            "arn:aws:glue:eu-west-1:111111111111:catalog": {},
            "arn:aws:es:eu-west-1:111111111111:domain/d": {},
            "arn:aws:s3:eu-west-1:111111111111:accesspoint/p": {}
        }}}}"#,
        policy("execute-api:*"),
        policy("glue:*"),
        policy("es:*"),
        policy("s3:*")
    );
    let surroundings = file(&folder, "surroundings.json", &surroundings);
    let can = |action: &str, resource: &str| {
        let ran = iam(&[
            "can",
            "role/admin",
            action,
            resource,
            "--format",
            "json",
            "--from",
            ACCOUNT,
            &surroundings,
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        answer["decision"].as_str().unwrap().to_owned()
    };
    for (action, resource) in [
        (
            "execute-api:Invoke",
            "arn:aws:execute-api:eu-west-1:111111111111:abc/prod/GET/x",
        ),
        (
            "glue:GetTable",
            "arn:aws:glue:eu-west-1:111111111111:table/d/t",
        ),
        (
            "es:ESHttpGet",
            "arn:aws:es:eu-west-1:111111111111:domain/d/_search",
        ),
        (
            "s3:GetObject",
            "arn:aws:s3:eu-west-1:111111111111:accesspoint/p/object/k",
        ),
    ] {
        assert_eq!(can(action, resource), "explicit_deny", "{action}");
    }
    // The policy of an access point that nobody read, and that of the bucket behind, may say anything.
    let other = "arn:aws:s3:eu-west-1:111111111111:accesspoint/other/object/k";
    assert_eq!(can("s3:GetObject", other), "depends_on");
}

#[test]
fn a_boundary_that_allows_everything_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut account: Value =
        serde_json::from_str(&std::fs::read_to_string(ACCOUNT).unwrap()).unwrap();
    let arn = "arn:aws:iam::aws:policy/AdministratorAccess";
    account["UserDetailList"][0]["PermissionsBoundary"] =
        serde_json::json!({ "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn });
    let account = file(&folder, "account.json", &account.to_string());
    let lint = |account: &str| iam(&["lint", "--account", "--from", account, SURROUNDINGS]);
    assert!(!lint(ACCOUNT).out.contains("[unused-boundary]"));
    let ran = lint(&account);
    assert!(ran.out.contains("as the boundary of `arn:aws:iam::111111111111:user/alice` it limits nothing [unused-boundary]"), "{}", ran.out);
}

#[test]
fn the_action_catalogue_can_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("iam")).unwrap();
    let own = r#"{"source":"own","date":"2026-02-03","resource_control":[]}
{"p":"acme","n":"Acme","k":[],"r":[],"a":[{"n":"Do","l":"W"}]}
"#;
    std::fs::write(folder.path().join("iam/actions.jsonl"), own).unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"acme:Do","Resource":"*"}]}"#;
    let policy = file(&folder, "policy.json", policy);
    let shipped = palisade(&["iam", "lint", &policy]);
    assert!(shipped.out.contains("[unknown-service]"), "{}", shipped.out);
    let replaced = palisade(&[
        "--catalog",
        folder.path().to_str().unwrap(),
        "iam",
        "lint",
        &policy,
    ]);
    assert!(!replaced.out.contains("[unknown-"), "{}", replaced.out);
}

#[test]
fn outsiders_and_everyone() {
    let everyone = whole(&[
        "can",
        "*",
        "s3:GetObject",
        "arn:aws:s3:::data/public/x",
        "--expect",
        "allow",
    ]);
    assert_eq!(everyone.code, 0, "{}{}", everyone.out, everyone.err);
    let private = whole(&[
        "can",
        "*",
        "s3:GetObject",
        "arn:aws:s3:::private/x",
        "--expect",
        "deny",
    ]);
    assert_eq!(private.code, 0, "{}{}", private.out, private.err);
    // Nothing is known of the policies of somebody in another account.
    let foreign = json(&[
        "can",
        "arn:aws:iam::222222222222:role/x",
        "sts:AssumeRole",
        "arn:aws:iam::111111111111:role/deployer",
    ]);
    assert_eq!(foreign["decision"], "depends_on");
    let session = whole(&[
        "can",
        "arn:aws:sts::111111111111:assumed-role/admin/me",
        "ec2:DescribeInstances",
        "*",
        "--expect",
        "allow",
    ]);
    assert_eq!(session.code, 0, "{}{}", session.out, session.err);
}

#[test]
fn lists() {
    let who = json(&["who-can", "s3:GetObject", "arn:aws:s3:::data/x"]);
    assert_eq!(
        who["can"],
        serde_json::json!([
            "arn:aws:iam::111111111111:role/admin",
            "arn:aws:iam::111111111111:role/function-admin",
            "arn:aws:iam::111111111111:user/alice",
            "arn:aws:iam::111111111111:user/bob"
        ])
    );
    let admins = json(&["admins"]);
    assert_eq!(
        admins["admins"],
        serde_json::json!([
            "arn:aws:iam::111111111111:role/admin",
            "arn:aws:iam::111111111111:role/function-admin"
        ])
    );
    let what = json(&["what-can", "alice"]);
    let actions: Vec<&str> = what["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["s3:GetObject", "sqs:SendMessage"]);
    assert_eq!(what["actions"][1]["depends"], true);
    let external = json(&["external"]);
    let found: Vec<(&str, &str)> = external["external"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["resource"].as_str().unwrap(), e["from"].as_str().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("arn:aws:iam::111111111111:role/ci", "federation"),
            ("arn:aws:iam::111111111111:role/deployer", "cross_account"),
            ("arn:aws:s3:::data", "public"),
        ]
    );
    assert_eq!(external["external"][2]["through"], "policy");
    assert_eq!(external["external"][1]["through"], "trust policy");
    for command in [
        &["who-can", "s3:GetObject", "arn:aws:s3:::data/x"][..],
        &["what-can", "alice", "--all"],
        &["admins"],
        &["external"],
    ] {
        let ran = whole(command);
        assert_eq!(
            (ran.code, ran.out.is_empty()),
            (0, false),
            "{command:?} {}",
            ran.err
        );
    }
}

#[test]
fn admins_depend_on_guardrails_that_are_not_known() {
    let ran = iam(&["admins", "--from", ACCOUNT, "--format", "json"]);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["admins"].as_array().unwrap().len(), 0);
    assert_eq!(answer["depends"].as_array().unwrap().len(), 2);
    assert!(
        answer["not_known"]
            .to_string()
            .contains("service control policies of 111111111111")
    );
}

#[test]
fn escalation_tells_the_way_and_what_breaks_it() {
    let found = json(&["escalation", "deployer"]);
    let steps = found["principals"][0]["to_admin"].as_array().unwrap();
    assert_eq!(steps.len(), 1);
    assert_eq!(
        steps[0]["to"],
        "arn:aws:iam::111111111111:role/function-admin"
    );
    assert!(
        steps[0]["break_by"]
            .as_str()
            .unwrap()
            .starts_with("deny iam:PassRole")
    );
    let all = json(&["escalation"]);
    let who: Vec<&str> = all["principals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["principal"].as_str().unwrap())
        .collect();
    assert_eq!(who, ["arn:aws:iam::111111111111:role/deployer"]);
    let text = whole(&["escalation", "alice"]);
    assert!(text.out.contains("cannot gain permissions"), "{}", text.out);
}

#[test]
fn unused_credentials_and_services() {
    let folder = tempfile::tempdir().unwrap();
    let report = file(
        &folder,
        "report.csv",
        "user,arn,user_creation_time,password_enabled,password_last_used,password_last_changed,access_key_1_active,access_key_1_last_used_date,access_key_1_last_rotated,access_key_2_active\n\
         alice,arn:aws:iam::111111111111:user/alice,2024-01-01T00:00:00+00:00,true,2024-03-01T00:00:00+00:00,2024-01-01T00:00:00+00:00,true,N/A,2024-01-05T00:00:00+00:00,false\n",
    );
    let found = json(&["unused", "--credential-report", &report]);
    let list: Vec<(&str, &str)> = found["unused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| {
            (
                i["what"].as_str().unwrap(),
                i["principal"].as_str().unwrap().rsplit('/').next().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        list,
        [
            ("access key 1", "alice"),
            ("password", "alice"),
            ("role", "admin"),
            ("role", "ci"),
            ("role", "deployer"),
            ("role", "function-admin")
        ]
    );
    let accessed = file(
        &folder,
        "accessed.json",
        r#"{"IsTruncated": false, "ServicesLastAccessed": [{"ServiceNamespace": "s3", "LastAuthenticated": "2026-01-01T00:00:00Z"}, {"ServiceNamespace": "sqs"}]}"#,
    );
    let services = json(&["unused", "alice", "--last-accessed", &accessed]);
    assert_eq!(services["unused"], serde_json::json!(["sqs"]));
}

#[test]
fn diff_shows_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
        )
    };
    let (a, b) = (
        file(&folder, "a.json", &policy("s3:GetObject")),
        file(&folder, "b.json", &policy("s3:Get*")),
    );
    let wider = iam(&["diff", &a, &b]);
    assert_eq!(wider.code, 3, "{}", wider.err);
    assert!(
        wider.out.contains("B allows what A does not"),
        "{}",
        wider.out
    );
    assert_eq!(iam(&["diff", &b, &a]).code, 0);
    assert_eq!(iam(&["diff", &a, &a, "--format", "json"]).code, 0);
    let broken = file(&folder, "broken.json", "{\n  \"Version\": x");
    let ran = iam(&["diff", &a, &broken]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("line 2"), "{}", ran.err);
}

#[test]
fn lint_in_three_formats() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        &folder,
        "p.json",
        "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\n    \"Effect\": \"Allow\", \"Action\": \"s3:GetObjekt\", \"Resource\": \"*\" }]\n}\n",
    );
    let text = iam(&["lint", &path]);
    assert_eq!(text.code, 0, "{}", text.err);
    assert!(
        text.out.contains("p.json:3:") || text.out.contains("p.json:4:"),
        "{}",
        text.out
    );
    assert!(text.out.contains("[unknown-action]"), "{}", text.out);
    assert_eq!(iam(&["lint", &path, "--fail-on", "warning"]).code, 3);
    assert_eq!(iam(&["lint", &path, "--fail-on", "error"]).code, 0);
    let sarif: Value =
        serde_json::from_str(&iam(&["lint", &path, "--format", "sarif"]).out).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "unknown-action");
    let json: Value = serde_json::from_str(&iam(&["lint", &path, "--format", "json"]).out).unwrap();
    assert_eq!(json["findings"][0]["rule"], "unknown-action");
    let account = whole(&["lint", "--account"]);
    assert!(
        account.out.contains("[missing-external-id]"),
        "{}",
        account.out
    );
    assert!(
        iam(&["lint", "--rules"])
            .out
            .contains("pass-role-any (error)")
    );
    assert_eq!(iam(&["lint"]).code, 2);
}

#[test]
fn least_privilege_from_logs() {
    let folder = tempfile::tempdir().unwrap();
    let event = |name: &str| {
        format!(
            r#"{{"eventSource":"s3.amazonaws.com","eventName":"{name}","requestParameters":{{"bucketName":"data","key":"a"}},"userIdentity":{{"arn":"arn:aws:iam::111111111111:user/alice"}}}}"#
        )
    };
    file(
        &folder,
        "one.json",
        &format!("{{\"Records\":[{}]}}", event("GetObject")),
    );
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed
        .write_all(format!("{{\"Records\":[{}]}}", event("PutObject")).as_bytes())
        .unwrap();
    std::fs::write(folder.path().join("two.json.gz"), packed.finish().unwrap()).unwrap();
    let ran = iam(&[
        "least-privilege",
        folder.path().to_str().unwrap(),
        "--principal",
        "arn:aws:iam::111111111111:user/alice",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let policy: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        policy["Statement"][0]["Action"],
        serde_json::json!(["s3:GetObject", "s3:PutObject"])
    );
    assert_eq!(
        policy["Statement"][0]["Resource"],
        serde_json::json!(["arn:aws:s3:::data/*"])
    );
    assert!(ran.err.contains("2 events in 2 files"), "{}", ran.err);
    let accessed = file(
        &folder,
        "accessed.txt",
        r#"{"ServicesLastAccessed": [{"ServiceNamespace": "s3", "LastAuthenticated": "2026-01-01T00:00:00Z", "TrackedActionsLastAccessed": [{"ActionName": "PutObject", "LastAccessedTime": "2026-01-01T00:00:00Z"}]}]}"#,
    );
    let ran = iam(&["least-privilege", &accessed]);
    assert!(ran.out.contains("s3:PutObject"), "{}", ran.out);
}

#[test]
fn bad_input_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let near = whole(&["can", "alise", "s3:GetObject", "arn:aws:s3:::data/x"]);
    assert_eq!(near.code, 2);
    assert!(
        near.err.contains("no user or role `alise`") && near.err.contains("`alice`"),
        "{}",
        near.err
    );
    let action = whole(&["can", "alice", "s3:GetObjct", "arn:aws:s3:::data/x"]);
    assert_eq!(action.code, 0);
    assert!(action.err.contains("s3:GetObject"), "{}", action.err);
    assert_eq!(whole(&["can", "alice", "s3", "*"]).code, 2);
    assert_eq!(whole(&["can", "alice", "s3:GetObject", "data/x"]).code, 2);
    let missing = iam(&["admins", "--from", "/nonexistent/file.json"]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.err.contains("cannot read `/nonexistent/file.json`"),
        "{}",
        missing.err
    );
    let broken = file(&folder, "broken.json", "{\n  nonsense");
    let ran = iam(&["admins", "--from", &broken]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("line 2 column 3"), "{}", ran.err);
    let other = file(&folder, "other.json", "{\"a\": 1}");
    assert_eq!(iam(&["admins", "--from", &other]).code, 1);
    let typo = file(
        &folder,
        "typo.json",
        "{\"Compute\": [], \"ServiceControlPolicy\": {}}",
    );
    let ran = iam(&["admins", "--from", &typo]);
    assert!(
        ran.err.contains("unknown member `ServiceControlPolicy`"),
        "{}",
        ran.err
    );
    // Files and a connection exclude each other.
    assert_eq!(iam(&["admins", "--from", ACCOUNT, "--demo"]).code, 2);
}

#[test]
fn demo_account() {
    let ran = iam(&["admins", "--demo", "--quiet", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert!(
        answer["admins"].as_array().unwrap().len() + answer["depends"].as_array().unwrap().len()
            > 0,
        "{answer}"
    );
    for command in [
        &["external"][..],
        &["escalation"],
        &["unused"],
        &["lint", "--account"],
    ] {
        let ran = iam(&[command, &["--demo", "--quiet"]].concat());
        assert_eq!(
            (ran.code, ran.out.is_empty()),
            (0, false),
            "{command:?}: {}",
            ran.err
        );
    }
}

/// Snapshots, images, documents and access lists are shared without a policy, and listed all the same.
#[test]
fn what_is_shared_without_a_policy_is_reachable_from_outside() {
    let ran = iam(&["external", "--demo", "--quiet", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let mut found: Vec<(&str, &str)> = answer["external"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["from"].as_str().unwrap(), e["through"].as_str().unwrap()))
        .filter(|(_, through)| !through.contains("policy"))
        .collect();
    found.dedup();
    found.sort_unstable();
    found.dedup();
    assert_eq!(
        found,
        [
            ("cross_account", "restore attribute"),
            ("cross_account", "snapshot permission"),
            ("public", "access list"),
            ("public", "document permission"),
            ("public", "launch permission"),
            ("public", "restore attribute"),
            ("public", "snapshot permission"),
        ]
    );
    // What could not be read is told: the bucket of which nothing may be.
    let unknown = answer["not_known"].to_string();
    for what in [
        "the access list of arn:aws:s3:::tidewater-board",
        "Block Public Access of arn:aws:s3:::tidewater-board",
    ] {
        assert!(unknown.contains(what), "{unknown}");
    }
    assert!(!unknown.contains("NotRecorded"), "{unknown}");
}

fn palisade(arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let output = command.args(arguments).output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn computed_tables_answer_sql() {
    let ran = palisade(&[
        "query",
        "--demo",
        "--quiet",
        "--format",
        "jsonl",
        "SELECT kind, count(*) AS n FROM iam_external_access GROUP BY kind ORDER BY kind",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let kinds: Vec<String> = ran
        .out
        .lines()
        .map(|l| {
            serde_json::from_str::<Value>(l).unwrap()["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        kinds,
        ["cross_account", "federation", "organization", "public"]
    );
    // The table is made from calls of which one was refused, and that is said.
    assert!(ran.err.contains("s3:GetBucketPolicy"), "{}", ran.err);
    let listed = palisade(&["tables", "iam_escalation_path"]);
    assert!(listed.out.contains("made from: ") && listed.out.contains("iam_role"));
    let wrong = palisade(&["query", "--demo", "SELECT * FROM iam_escalation_paths"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("`iam_escalation_path`"), "{}", wrong.err);
}

/// A query for one principal or action computes no others, and has the same rows.
#[test]
fn permissions_are_computed_for_those_who_are_asked_for() {
    let ask = |filter: &str| {
        let sql = format!(
            "SELECT arn, action, conditional FROM iam_principal_permission WHERE {filter} ORDER BY arn, action"
        );
        let ran = palisade(&["query", "--demo", "--quiet", "--format", "jsonl", &sql]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let rows: Vec<Value> = ran
            .out
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        rows
    };
    // `lower` keeps the filter from being understood, so that all actions of the role are looked at.
    let arn = "arn:aws:iam::123456789012:role/checkout-task";
    let all = ask(&format!("arn = '{arn}' AND lower(action) LIKE '%s%'"));
    assert!(all.len() > 1, "{all:?}");
    let own: Vec<Value> = all
        .iter()
        .filter(|r| r["action"] == "sqs:SendMessage" || r["action"] == "logs:PutLogEvents")
        .cloned()
        .collect();
    let actions = "action IN ('sqs:SendMessage', 'logs:PutLogEvents')";
    assert_eq!(own.len(), 2);
    assert_eq!(ask(&format!("arn = '{arn}' AND {actions}")), own);
    // The same for everyone, administrators with all their actions included.
    let everyone = ask(actions);
    assert!(everyone.len() > own.len());
    assert!(own.iter().all(|row| everyone.contains(row)));
    assert_eq!(ask("action = 'S3:GetObject'"), Vec::<Value>::new());
}

/// A check over a computed table is unknown where that table could not be made from everything.
#[test]
fn checks_over_computed_tables_know_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let checks = folder.path().join("checks/iam");
    std::fs::create_dir_all(&checks).unwrap();
    let page = |id: &str, table: &str, column: &str, without_guardrails: &str| {
        let text = format!(
            r#"+++
title = "Role is not named"
severity = "low"
resource = "iam_role"
category = "identity"
since = "0.1.0"
+++
A page for a test of what computed tables tell to those who read them.

## Fix
Nothing.

## Check
```sql
SELECT r.account_id, r.region, r.arn, r.role_name AS id, d.{column} IS NULL AS pass
FROM iam_role r LEFT JOIN (SELECT DISTINCT arn AS named, 'x' AS {column} FROM {table}) d ON d.named = r.arn
```
pass: `not named`
fail: `named`

## Fixtures
```rows
pass    {{ "iam_role": [{{ "role_name": "a", "path": "/", "assume_role_policy_document": "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"123456789012\"}},\"Action\":\"sts:AssumeRole\"}}]}}" }}] }}
fail    {{ "iam_role": [{{ "role_name": "b", "path": "/", "assume_role_policy_document": "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"222222222222\"}},\"Action\":\"sts:AssumeRole\"}}]}}", "role_policy_list": [{{ "policy_name": "p", "policy_document": "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"iam:PutRolePolicy\",\"Resource\":\"*\"}}]}}" }}] }}] }}
{without_guardrails}    {{ "organizations_rcp": !AccessDenied, "iam_role": [{{ "role_name": "b", "path": "/", "assume_role_policy_document": "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\"222222222222\"}},\"Action\":\"sts:AssumeRole\"}}]}}", "role_policy_list": [{{ "policy_name": "p", "policy_document": "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",\"Action\":\"iam:PutRolePolicy\",\"Resource\":\"*\"}}]}}" }}] }}] }}
unknown {{ "iam_role": !AccessDenied }}
```
"#
        );
        std::fs::write(checks.join(format!("{id}.md")), text).unwrap();
    };
    // what members of an organisation cannot list keeps nobody from being told who is let in
    page("iam-test-external", "iam_external_access", "mark", "fail");
    // whoever asks what guardrails leave has to know them
    let open = "iam_external_access WHERE blocked_by IS NULL OR cardinality(blocked_by) = 0";
    page("iam-test-open", open, "mark", "unknown");
    page(
        "iam-test-escalation",
        "iam_escalation_path",
        "mark",
        "unknown",
    );
    let scan = |check: &str| {
        let catalog = folder.path().to_str().unwrap();
        let ran = palisade(&[
            "--catalog",
            catalog,
            "scan",
            "--demo",
            "--quiet",
            "--check",
            check,
            "--format",
            "jsonl",
        ]);
        let statuses: Vec<String> = ran
            .out
            .lines()
            .map(|l| {
                serde_json::from_str::<Value>(l).unwrap()["status"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert!(!statuses.is_empty(), "{}", ran.err);
        statuses
    };
    let catalog = folder.path().to_str().unwrap();
    let own = palisade(&[
        "--catalog",
        catalog,
        "--quiet",
        "checks",
        "test",
        "--check",
        "iam-test-*",
    ]);
    assert_eq!(own.code, 0, "{}{}", own.out, own.err);
    // One bucket policy of the demo account is refused: who is let in by it is not known.
    assert!(scan("iam-test-external").iter().all(|s| s == "unknown"));
    // Everything that ways to more permissions are made from was read.
    let ways = scan("iam-test-escalation");
    assert!(
        ways.iter().any(|s| s == "pass") && ways.iter().any(|s| s == "fail"),
        "{ways:?}"
    );
    assert!(!ways.iter().any(|s| s == "unknown"), "{ways:?}");
}

/// A snapshot answers as the account did; what it lacks is said, and is never an answer.
#[test]
fn questions_about_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let store = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let collect = |tables: &str, store: &str| {
        let collected = Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(["collect", "--demo", "--quiet", "--table", tables])
            .args(["--store", store])
            .output()
            .unwrap();
        assert!(collected.status.success());
    };
    let all = store("all");
    collect("all", &all);
    for question in [
        &["admins"][..],
        &["external"],
        &["escalation"],
        &["unused"],
        &["lint", "--account"],
        &["who-can", "s3:GetObject", "arn:aws:s3:::shop-logs/x"],
        &["what-can", "workforce-auditor"],
    ] {
        let with = |more: &[&str]| {
            let arguments = [question, more, &["--format", "json"]].concat();
            let ran = iam(&arguments);
            assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.err);
            ran.out
        };
        let kept = with(&["--snapshot", "latest", "--store", &all]);
        assert_eq!(kept, with(&["--demo"]), "{question:?}");
        assert!(kept.len() > 50, "{question:?}: {kept}");
    }
    // policies of buckets were not kept: whoever may be let in by one is not known
    let some = store("some");
    collect("iam_user,iam_role,iam_group,iam_policy", &some);
    let asked = [
        "external",
        "--snapshot",
        "latest",
        "--store",
        &some,
        "--format",
        "json",
    ];
    let answer: Value = serde_json::from_str(&iam(&asked).out).unwrap();
    let unknown = answer["not_known"].to_string();
    assert!(
        unknown.contains("`s3_bucket`: the snapshot does not have"),
        "{unknown}"
    );
    // no users, no answer
    let none = store("none");
    collect("s3_bucket", &none);
    let refused = iam(&["admins", "--snapshot", "latest", "--store", &none]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("of `iam_"), "{}", refused.err);
    let both = iam(&["admins", "--snapshot", "latest", "--demo"]);
    assert_eq!(both.code, 2, "{}", both.err);
    let missing = iam(&["admins", "--snapshot", "2020", "--store", &none]);
    assert_eq!(missing.code, 2, "{}", missing.err);
}

//! One plan for several accounts, on a moto server: planned through a role in each, applied and taken back through
//! another.
use crate::account::text;
use crate::moto::{CREDENTIALS, Moto};
use palisade_fix::{Plan, read_run, undo_hash};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const OWN: &str = "123456789012";
const OTHER: &str = "222233334444";
const CHECK: &str = "s3-bucket-block-public-access";

/// A bucket that blocks nothing in each account; with `show` the state of both.
const SEED: &str = r#"
import boto3, sys
url, other = sys.argv[1:3]
own = dict(endpoint_url=url, region_name="us-east-1")
keys = boto3.client("sts", **own).assume_role(RoleArn=f"arn:aws:iam::{other}:role/seed", RoleSessionName="seed")["Credentials"]
theirs = dict(own, aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])
for name, where in (("shop-own", own), ("shop-other", theirs)):
    s3 = boto3.client("s3", **where)
    if sys.argv[3:] != ["show"]:
        s3.create_bucket(Bucket=name)
    try:
        block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
        print(name, "all" if all(block.values()) else block)
    except s3.exceptions.ClientError as e:
        print(name, e.response["Error"]["Code"])
"#;

struct Bench<'a> {
    url: &'a str,
    python: &'a Path,
    folder: &'a Path,
}

impl Bench<'_> {
    fn palisade(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_palisade"))
            .args(arguments)
            .current_dir(self.folder)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", self.url)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn buckets(&self, more: &[&str]) -> String {
        let shown = Command::new(self.python)
            .args(["-c", SEED, self.url, OTHER])
            .args(more)
            .envs(CREDENTIALS)
            .output()
            .unwrap();
        assert!(shown.status.success(), "{}", text(&shown.stderr));
        text(&shown.stdout)
    }
}

#[test]
fn a_plan_of_two_accounts_is_applied_and_taken_back() {
    let moto = Moto::start();
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench {
        url: &moto.url,
        python: &moto.python,
        folder: folder.path(),
    };
    let before = bench.buckets(&[]);
    assert_eq!(
        before,
        "shop-own NoSuchPublicAccessBlockConfiguration\nshop-other NoSuchPublicAccessBlockConfiguration\n"
    );

    let both = format!("{OWN},{OTHER}");
    let planned = bench.palisade(&[
        "fix",
        "plan",
        "--accounts",
        &both,
        "--check",
        CHECK,
        "--output",
        "plan.json",
    ]);
    assert!(planned.status.success(), "{}", text(&planned.stderr));
    let json = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    let plan = Plan::parse(&json).unwrap();
    assert_eq!(plan.accounts, [OWN, OTHER]);
    let mut of: Vec<(&str, &str)> = plan
        .items
        .iter()
        .map(|item| (item.account_id.as_str(), item.resource_id.as_str()))
        .collect();
    of.sort_unstable();
    assert_eq!(of, [(OWN, "shop-own"), (OTHER, "shop-other")]);

    // without a role for the other account nothing is sent to any
    let apply = ["fix", "apply", "plan.json", "--approve", &plan.hash];
    let refused = bench.palisade(&apply);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains(OTHER) && said.contains("--account-role"),
        "{said}"
    );
    let wrong = bench.palisade(&[&apply[..], &["--account-role", "no such role"]].concat());
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    assert_eq!(bench.buckets(&["show"]), before);

    // the limit counts in each account
    let one = [
        &apply[..],
        &["--account-role", "palisade-fix", "--max-per-account", "1"],
    ]
    .concat();
    let applied = bench.palisade(&one);
    assert!(applied.status.success(), "{}", text(&applied.stderr));
    let after = bench.buckets(&["show"]);
    assert_eq!(after, "shop-own all\nshop-other all\n");

    let run = read_run(&folder.path().join("palisade-runs"), "").unwrap();
    let hash = undo_hash(&run, &[]);
    let undo = ["fix", "undo", &run.name, "--approve", &hash];
    let refused = bench.palisade(&undo);
    assert!(text(&refused.stderr).contains("--account-role"));
    assert_eq!(bench.buckets(&["show"]), after);
    let undone = bench.palisade(&[&undo[..], &["--account-role", "palisade-fix"]].concat());
    assert!(undone.status.success(), "{}", text(&undone.stderr));
    assert_eq!(bench.buckets(&["show"]), before);
}

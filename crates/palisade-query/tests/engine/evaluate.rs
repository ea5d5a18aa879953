//! Verdicts: what passes, what fails, and above all what stays unknown.

use crate::common::{catalog, dataset, denied, engine, page, plan};
use palisade_core::{Finding, Status};
use palisade_query::{Engine, Evaluation, Options, Plan};
use palisade_table::{Dataset, Gap};
use serde_json::{Value, json};
use std::sync::Arc;

fn predicate(applies: Option<&str>, sql: &str, pass: &str, fail: &str) -> String {
    let applies = applies
        .map(|a| format!("```sql where\n{a}\n```\n"))
        .unwrap_or_default();
    page(
        "resource = \"s3_bucket\"",
        &format!("{applies}```sql\n{sql}\n```\npass: `{pass}`\nfail: `{fail}`"),
    )
}

fn query(front: &str, sql: &str) -> String {
    page(
        front,
        &format!("```sql\n{sql}\n```\npass: `good`\nfail: `bad ${{n}}`"),
    )
}

/// (resource id, status, message), in order.
fn run(page: String, service: &str, tables: Value) -> Vec<(String, Status, String)> {
    let catalog = catalog(&[(&format!("{service}/{service}-test"), page)]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let data = dataset(&catalog, tables);
    let evaluation = engine.evaluate(&plan, &data, Options::default());
    assert_eq!(evaluation.errors, []);
    for early in 0..=data.tables.len() {
        assert_eq!(
            piecemeal(&engine, &plan, &data, early),
            evaluation,
            "{early}"
        );
    }
    evaluation
        .findings
        .into_iter()
        .map(|f| (f.resource_id, f.status, f.message))
        .collect()
}

/// The same, with this many tables judged as they come.
fn piecemeal(engine: &Engine, plan: &Plan, data: &Dataset, early: usize) -> Evaluation {
    let (sender, tables) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let judged = scope.spawn(move || engine.evaluate_early(plan, tables, Options::default()));
        for table in data.tables.values().rev().take(early) {
            sender.send(table.clone()).unwrap();
            // so that it has a chance to be looked at alone
            std::thread::yield_now();
        }
        drop(sender);
        let judged = judged.join().unwrap();
        engine.evaluate_rest(plan, data, Options::default(), judged)
    })
}

fn ids(found: &[(String, Status, String)]) -> Vec<(&str, Status)> {
    found
        .iter()
        .map(|(id, status, _)| (id.as_str(), *status))
        .collect()
}

#[test]
fn null_is_not_a_pass_and_failed_cells_are_unknown() {
    let page = predicate(
        None,
        "versioning.status = 'Enabled'",
        "on",
        "it is ${coalesce(versioning.status, 'off')}",
    );
    let found = run(
        page,
        "s3",
        json!({"s3_bucket": [
            {"name": "a", "versioning": {"status": "Enabled"}},
            {"name": "b", "versioning": {"status": "Suspended"}},
            {"name": "c", "versioning": null},
            {"name": "d", "versioning": "!AccessDenied"},
            {"name": "e", "versioning": {"status": "Enabled"}, "policy": "!AccessDenied"},
        ]}),
    );
    assert_eq!(
        ids(&found),
        [
            ("a", Status::Pass),
            ("b", Status::Fail),
            ("c", Status::Fail),
            ("d", Status::Unknown),
            ("e", Status::Pass),
        ]
    );
    assert_eq!(found[1].2, "it is Suspended");
    assert_eq!(found[2].2, "it is off");
    assert_eq!(
        found[3].2,
        "could not be read: s3:GetBucketVersioning failed with AccessDenied; needs s3:GetBucketVersioning"
    );
}

#[test]
fn what_does_not_apply_gives_no_finding() {
    let tables = json!({"s3_bucket": [
        {"name": "a", "policy": "x", "versioning": {"status": "Enabled"}},
        {"name": "b", "policy": null},
        {"name": "c", "policy": "!AccessDenied", "versioning": {"status": "Enabled"}},
        {"name": "d", "policy": null, "versioning": "!AccessDenied"},
        {"name": "e", "policy": "y", "versioning": "!AccessDenied"},
    ]});
    let page = predicate(
        Some("policy IS NOT NULL"),
        "versioning['status'] = 'Enabled'",
        "p",
        "f",
    );
    let found = run(page, "s3", tables);
    // `d` is known not to be concerned, whatever its versioning is; of `c` that is not known.
    assert_eq!(
        ids(&found),
        [
            ("a", Status::Pass),
            ("c", Status::Unknown),
            ("e", Status::Unknown)
        ]
    );
    assert!(found[1].2.contains("GetBucketPolicy"), "{}", found[1].2);
}

#[test]
fn a_row_that_cannot_be_computed_takes_no_other_with_it() {
    let mut rows: Vec<Value> = (0..100)
        .map(|i| json!({"name": format!("b{i:03}"), "policy": null}))
        .collect();
    rows[17]["policy"] = json!("{");
    rows[40]["policy"] = json!(
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}"#
    );
    rows[99]["policy"] = json!("nonsense");
    let page = predicate(
        None,
        "policy IS NULL OR NOT policy_is_public(policy, account_id)",
        "p",
        "f",
    );
    let found = run(page, "s3", json!({ "s3_bucket": rows }));
    assert_eq!(found.len(), 100);
    for (i, (id, status, message)) in found.iter().enumerate() {
        let expected = match i {
            17 | 99 => Status::Unknown,
            40 => Status::Fail,
            _ => Status::Pass,
        };
        assert_eq!(*status, expected, "{id}: {message}");
    }
    assert!(
        found[17].2.starts_with(
            "could not be decided: policy_is_public: the policy document cannot be read"
        ),
        "{}",
        found[17].2
    );
}

#[test]
fn an_error_in_a_branch_that_is_not_needed_does_no_harm() {
    let page = predicate(None, "name <> 'a' AND CAST(name AS BIGINT) > 5", "p", "f");
    let found = run(
        page,
        "s3",
        json!({"s3_bucket": [{"name": "a"}, {"name": "7"}, {"name": "x"}, {"name": "3"}]}),
    );
    assert_eq!(
        ids(&found),
        [
            ("3", Status::Fail),
            ("7", Status::Pass),
            ("a", Status::Fail),
            ("x", Status::Unknown)
        ]
    );
}

#[test]
fn gaps_are_unknown_once_a_place() {
    let catalog = catalog(&[
        ("s3/s3-test", predicate(None, "name = 'a'", "p", "f")),
        (
            "guardduty/guardduty-test",
            query(
                "resource = \"guardduty_detector\"",
                "SELECT account_id, region, arn, detector_id AS id, status = 'ENABLED' AS pass, 1 AS n FROM guardduty_detector",
            ),
        ),
    ]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let mut data = dataset(
        &catalog,
        json!({"s3_bucket": "!AccessDenied", "guardduty_detector": [
            {"detector_id": "d", "status": "ENABLED", "region": "eu-west-1"}
        ]}),
    );
    let error = Arc::new(denied("ListDetectors", "guardduty:ListDetectors"));
    for _ in 0..2 {
        let gap = Gap {
            account_id: "123456789012".into(),
            region: "eu-west-2".into(),
            error: Arc::clone(&error),
        };
        data.tables
            .get_mut("guardduty_detector")
            .unwrap()
            .gaps
            .push(gap);
    }
    let evaluation = engine.evaluate(&plan, &data, Options::default());
    assert_eq!(evaluation.errors, []);
    let shown = |f: &Finding| {
        (
            f.check.to_string(),
            f.status,
            f.region.to_string(),
            f.resource_id.clone(),
        )
    };
    let found: Vec<_> = evaluation.findings.iter().map(shown).collect();
    assert_eq!(
        found,
        [
            (
                "guardduty-test".to_owned(),
                Status::Pass,
                "eu-west-1".to_owned(),
                "d".to_owned()
            ),
            (
                "guardduty-test".to_owned(),
                Status::Unknown,
                "eu-west-2".to_owned(),
                String::new()
            ),
            (
                "s3-test".to_owned(),
                Status::Unknown,
                "us-east-1".to_owned(),
                String::new()
            ),
        ]
    );
    assert_eq!(
        evaluation.findings[1].missing_permissions,
        ["guardduty:ListDetectors"]
    );
    assert_eq!(
        evaluation.findings[2].missing_permissions,
        ["s3:ListAllMyBuckets", "s3:ListBuckets"]
            .iter()
            .filter(|p| evaluation.findings[2]
                .missing_permissions
                .contains(&(**p).to_owned()))
            .map(|p| (*p).to_owned())
            .collect::<Vec<_>>()
    );
    assert!(!evaluation.findings[2].missing_permissions.is_empty());
    assert_eq!(evaluation.counts["guardduty-test"].unknown, 1);
}

const VPC_QUERY: &str = "SELECT v.account_id, v.region, v.arn, v.vpc_id AS id, coalesce(g.n, 0) AS n, coalesce(g.n, 0) > 0 AS pass
FROM ec2_vpc v LEFT JOIN (SELECT account_id, region, vpc_id, count(*) AS n FROM ec2_security_group GROUP BY account_id, region, vpc_id) g
  ON g.account_id = v.account_id AND g.region = v.region AND g.vpc_id = v.vpc_id";

#[test]
fn another_tables_gap_makes_the_place_unknown_unless_the_verdict_is_sufficient() {
    for (sufficient, in_gap) in [
        ("", [Status::Unknown, Status::Unknown]),
        ("sufficient = \"pass\"", [Status::Pass, Status::Unknown]),
        ("sufficient = \"fail\"", [Status::Unknown, Status::Fail]),
    ] {
        let catalog = catalog(&[(
            "ec2/ec2-test",
            query(&format!("resource = \"ec2_vpc\"\n{sufficient}"), VPC_QUERY),
        )]);
        let engine = engine(&catalog);
        let plan = plan(&engine, &catalog);
        let mut data = dataset(
            &catalog,
            json!({
                "ec2_vpc": [
                    {"vpc_id": "v1", "region": "eu-west-1"}, {"vpc_id": "v2", "region": "eu-west-1"},
                    {"vpc_id": "v3", "region": "eu-west-2"}, {"vpc_id": "v4", "region": "eu-west-2"},
                ],
                "ec2_security_group": [
                    {"group_id": "g1", "vpc_id": "v1", "region": "eu-west-1"}, {"group_id": "g3", "vpc_id": "v3", "region": "eu-west-2"},
                ],
            }),
        );
        let error = Arc::new(denied(
            "DescribeSecurityGroups",
            "ec2:DescribeSecurityGroups",
        ));
        let gap = Gap {
            account_id: "123456789012".into(),
            region: "eu-west-2".into(),
            error,
        };
        data.tables
            .get_mut("ec2_security_group")
            .unwrap()
            .gaps
            .push(gap);
        let found = engine.evaluate(&plan, &data, Options::default()).findings;
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.resource_id.as_str(), f.status))
            .collect();
        assert_eq!(
            found,
            [
                ("v1", Status::Pass),
                ("v2", Status::Fail),
                ("v3", in_gap[0]),
                ("v4", in_gap[1])
            ],
            "{sufficient}"
        );
    }
}

#[test]
fn failed_cells_in_queries() {
    let sql = "SELECT account_id, region, arn, name AS id, 1 AS n, versioning['status'] = 'Enabled' AS pass FROM s3_bucket WHERE versioning['status'] IS NOT NULL";
    let found = run(
        query("resource = \"s3_bucket\"", sql),
        "s3",
        json!({"s3_bucket": [
            {"name": "a", "versioning": {"status": "Enabled"}},
            {"name": "b", "versioning": "!AccessDenied"},
            {"name": "c", "versioning": null},
            {"name": "d", "versioning": {"status": "Suspended"}, "policy": "!AccessDenied"},
        ]}),
    );
    // The query filters `b` out because of what could not be read: it must not get lost.
    assert_eq!(
        ids(&found),
        [
            ("a", Status::Pass),
            ("b", Status::Unknown),
            ("d", Status::Fail)
        ]
    );
    assert_eq!(found[2].2, "bad 1");
}

#[test]
fn an_aggregate_over_the_resource_table_is_unknown_when_a_row_is() {
    let sql = "SELECT account_id, 'us-east-1' AS region, NULL AS arn, account_id AS id, count(*) AS n, bool_or(versioning['status'] = 'Enabled') AS pass FROM s3_bucket GROUP BY account_id";
    let rows = json!({"s3_bucket": [
        {"name": "a", "versioning": {"status": "Suspended"}},
        {"name": "b", "versioning": "!AccessDenied"},
        {"name": "c", "versioning": {"status": "Enabled"}, "account_id": "210987654321"},
    ]});
    let found = run(query("resource = \"s3_bucket\"", sql), "s3", rows.clone());
    assert_eq!(
        ids(&found),
        [
            // The row speaks for `b` too.
            ("123456789012", Status::Unknown),
            ("210987654321", Status::Pass)
        ]
    );
    let mut with_good = rows;
    with_good["s3_bucket"][0]["versioning"]["status"] = json!("Enabled");
    let found = run(
        query("resource = \"s3_bucket\"\nsufficient = \"pass\"", sql),
        "s3",
        with_good,
    );
    assert_eq!(found[0].1, Status::Pass);
}

#[test]
fn a_query_that_fails_on_one_row_loses_only_that_row() {
    let sql = "SELECT account_id, region, arn, name AS id, 1 AS n, NOT policy_grants_admin(policy) AS pass FROM s3_bucket WHERE policy IS NOT NULL";
    let good = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"*"}]}"#;
    let mut rows: Vec<Value> = (0..40)
        .map(|i| json!({"name": format!("b{i:02}"), "policy": good}))
        .collect();
    rows[7]["policy"] = json!("{");
    rows[8]["policy"] = json!(null);
    let found = run(
        query("resource = \"s3_bucket\"", sql),
        "s3",
        json!({ "s3_bucket": rows }),
    );
    assert_eq!(found.len(), 39);
    let unknown: Vec<_> = found.iter().filter(|f| f.1 != Status::Pass).collect();
    assert_eq!(unknown.len(), 1);
    assert_eq!(
        (unknown[0].0.as_str(), unknown[0].1),
        ("b07", Status::Unknown)
    );
    assert!(unknown[0].2.contains("cannot be read"), "{}", unknown[0].2);
}

/// AWS's lists are read page by page while they change: something may be in them twice.
#[test]
fn two_rows_for_a_resource_are_one_answer_or_none() {
    let sql = "SELECT account_id, region, arn, name AS id, n, n = 1 AS pass FROM s3_bucket CROSS JOIN (VALUES (1), (1)) AS t (n)
               UNION ALL SELECT account_id, region, arn, name, 2, name = 'a' FROM s3_bucket WHERE name <> 'c'
               UNION ALL SELECT account_id, region, arn, name, 0, true FROM s3_bucket WHERE name = 'b'";
    let found = run(
        query("resource = \"s3_bucket\"", sql),
        "s3",
        json!({ "s3_bucket": [{ "name": "a" }, { "name": "b" }, { "name": "c" }] }),
    );
    let said: Vec<_> = found.iter().map(|f| (f.0.as_str(), f.1)).collect();
    let expected = [
        ("a", Status::Pass),
        ("b", Status::Unknown),
        ("c", Status::Pass),
    ];
    assert_eq!(said, expected);
    let why = &found[1].2;
    assert!(why.contains("more than one answer"), "{why}");
}

/// Nobody could look for it, and nothing else is lost.
#[test]
fn a_resource_without_a_name_is_unknown() {
    let sql = "SELECT account_id, region, CASE WHEN name <> 'a' THEN arn END AS arn, CASE WHEN name <> 'a' THEN name END AS id, 1 AS n, true AS pass FROM s3_bucket";
    let found = run(
        query("resource = \"s3_bucket\"", sql),
        "s3",
        json!({ "s3_bucket": [{ "name": "a" }, { "name": "b" }] }),
    );
    let said: Vec<_> = found.iter().map(|f| (f.0.as_str(), f.1)).collect();
    let nameless = ("(without a name)", Status::Unknown);
    assert_eq!(said, [nameless, ("b", Status::Pass)]);
    let why = &found[0].2;
    assert!(why.contains("neither an ARN nor an id"), "{why}");
}

/// Nobody knows which resource it speaks of: no other may take its place as the whole answer.
#[test]
fn a_row_without_a_place_makes_its_check_unknown_wherever_it_looks() {
    let sql = "SELECT CASE WHEN name <> 'a' THEN account_id END AS account_id, region, arn, name AS id, 1 AS n, true AS pass FROM s3_bucket";
    let elsewhere = "210987654321";
    let found = run(
        query("resource = \"s3_bucket\"", sql),
        "s3",
        json!({ "s3_bucket": [{ "name": "a" }, { "name": "b" }, { "name": "c", "account_id": elsewhere }] }),
    );
    let mut said: Vec<_> = found.iter().map(|f| (f.0.as_str(), f.1)).collect();
    said.sort();
    let lost = ("", Status::Unknown);
    assert_eq!(said, [lost, lost, ("b", Status::Pass), ("c", Status::Pass)]);
    let why = found.iter().filter(|f| f.1 == Status::Unknown);
    for (_, _, why) in why {
        assert!(why.contains("no account_id or region"), "{why}");
    }
}

/// There is no row of its resource that it could be said of.
#[test]
fn a_query_that_fails_where_there_is_no_resource_is_unknown() {
    let sql = "SELECT account_id, region, NULL AS arn, account_id AS id, 1 AS n, policy_grants_admin(policy) AS pass FROM s3_bucket";
    let found = run(
        query("resource = \"ec2_vpc\"", sql),
        "s3",
        json!({ "ec2_vpc": [], "s3_bucket": [{ "name": "a", "policy": "{" }] }),
    );
    let said: Vec<_> = found.iter().map(|f| (f.0.as_str(), f.1)).collect();
    assert_eq!(said, [("", Status::Unknown)]);
    assert!(found[0].2.contains("cannot be read"), "{}", found[0].2);
}

/// A row that could not be decided says why, in whichever order the rows come.
#[test]
fn of_two_rows_the_one_that_is_unknown_says_why() {
    for order in [
        "'pass', 'fail', 'unknown'",
        "'unknown', 'pass', 'fail'",
        "'pass', 'unknown', 'fail'",
        "'fail', 'unknown', 'unknown'",
    ] {
        let sql = format!(
            "SELECT account_id, region, arn, name AS id, 1 AS n, unnest([{order}]) AS status, 'the reason' AS reason FROM s3_bucket"
        );
        let check = query("resource = \"s3_bucket\"", &sql);
        let found = run(check, "s3", json!({ "s3_bucket": [{ "name": "a" }] }));
        let expected = ("a".to_owned(), Status::Unknown, "the reason".to_owned());
        assert_eq!(found, [expected], "{order}");
    }
}

#[test]
fn statuses_of_queries() {
    let sql = "SELECT account_id, region, arn, name AS id, 1 AS n, tags['s'] AS status, tags['r'] AS reason FROM s3_bucket";
    let rows = json!({"s3_bucket": [
        {"name": "a", "tags": {"s": "pass"}}, {"name": "b", "tags": {"s": "manual", "r": "who?"}},
        {"name": "c", "tags": {"s": "not_applicable"}}, {"name": "d", "tags": {"s": "unknown"}},
        {"name": "e"},
    ]});
    let found = run(query("resource = \"s3_bucket\"", sql), "s3", rows);
    assert_eq!(
        ids(&found),
        [
            ("a", Status::Pass),
            ("b", Status::Manual),
            ("c", Status::NotApplicable),
            ("d", Status::Unknown),
            ("e", Status::Unknown),
        ]
    );
    assert_eq!(found[1].2, "who?");
    let rows = json!({"s3_bucket": [{"name": "a", "tags": {"s": "PASS"}}, {"name": "b", "tags": {"s": "fail"}}]});
    let found = run(query("resource = \"s3_bucket\"", sql), "s3", rows);
    assert_eq!(ids(&found), [("a", Status::Unknown), ("b", Status::Fail)]);
    assert!(found[0].2.contains("`PASS`"), "{}", found[0].2);
}

#[test]
fn evidence_holds_what_was_read_and_is_short() {
    let long = "x".repeat(2000);
    let page = predicate(
        None,
        "policy IS NULL AND versioning['status'] = 'Enabled' AND account_id <> ''",
        "p",
        "f ${versioning} ${tags}",
    );
    let catalog = catalog(&[("s3/s3-test", page)]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let data = dataset(
        &catalog,
        json!({"s3_bucket": [{"name": "a", "policy": long, "versioning": {"status": "Suspended"}, "tags": {"k": "v"}}]}),
    );
    let found = engine.evaluate(&plan, &data, Options::default()).findings;
    assert_eq!(found[0].message, "f {status: Suspended} {k: v}");
    assert_eq!(
        found[0].evidence.keys().collect::<Vec<_>>(),
        ["versioning", "policy"]
    );
    assert_eq!(
        found[0].evidence["policy"]
            .as_str()
            .unwrap()
            .chars()
            .count(),
        501
    );
    assert_eq!(
        found[0].evidence["versioning"],
        json!({"status": "Suspended"})
    );
    assert_eq!(found[0].resource, "arn:aws:s3:::a");
}

#[test]
fn passes_can_be_counted_without_being_built() {
    let catalog = catalog(&[("s3/s3-test", predicate(None, "name <> 'b'", "p", "f"))]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let data = dataset(
        &catalog,
        json!({"s3_bucket": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}),
    );
    let evaluation = engine.evaluate(
        &plan,
        &data,
        Options {
            passes: false,
            evidence: false,
            whole: false,
        },
    );
    assert_eq!(evaluation.findings.len(), 1);
    assert_eq!(
        (
            evaluation.counts["s3-test"].pass,
            evaluation.counts["s3-test"].fail
        ),
        (2, 1)
    );
    let mut statuses = Vec::new();
    engine.evaluate_blocks(&plan, &data, |block| statuses.extend(block.statuses()));
    assert_eq!(
        statuses,
        [Some(Status::Pass), Some(Status::Fail), Some(Status::Pass)]
    );
}

#[test]
fn a_table_that_was_not_collected_is_an_error() {
    let catalog = catalog(&[("s3/s3-test", predicate(None, "name <> 'b'", "p", "f"))]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let evaluation = engine.evaluate(&plan, &Default::default(), Options::default());
    assert_eq!(
        evaluation.errors[0].message,
        "the table `s3_bucket` was not collected"
    );
}

#[test]
fn the_same_in_every_run_and_in_any_order_of_rows() {
    let catalog = catalog(&[
        (
            "s3/s3-one",
            predicate(
                None,
                "versioning['status'] = 'Enabled'",
                "p ${name}",
                "f ${tags}",
            ),
        ),
        ("ec2/ec2-test", query("resource = \"ec2_vpc\"", VPC_QUERY)),
    ]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let mut buckets: Vec<Value> = (0..30)
        .map(|i| json!({"name": format!("b{i}"), "versioning": {"status": if i % 3 == 0 {"Enabled"} else {"Suspended"}}, "tags": {"a": "1", "b": "2"}}))
        .collect();
    let mut vpcs: Vec<Value> = (0..30)
        .map(|i| json!({"vpc_id": format!("v{i}")}))
        .collect();
    let run = |buckets: &[Value], vpcs: &[Value]| {
        let data = dataset(
            &catalog,
            json!({"s3_bucket": buckets, "ec2_vpc": vpcs, "ec2_security_group": []}),
        );
        engine.evaluate(&plan, &data, Options::default()).findings
    };
    let first = run(&buckets, &vpcs);
    assert_eq!(first.len(), 60);
    assert_eq!(first, run(&buckets, &vpcs));
    buckets.reverse();
    vpcs.reverse();
    assert_eq!(first, run(&buckets, &vpcs));
}

/// One row an account over a regional table, and a region that could not be listed.
#[test]
fn an_accounts_verdict_depends_on_all_its_regions_unless_it_is_sufficient() {
    let account = "SELECT account_id, 'us-east-1' AS region, NULL AS arn, account_id AS id, count(*) AS n, bool_or(status = 'ENABLED') AS pass FROM guardduty_detector GROUP BY account_id";
    let region = account
        .replace("'us-east-1' AS region", "region")
        .replace("GROUP BY account_id", "GROUP BY account_id, region")
        .replace("account_id AS id", "region AS id");
    for (sql, sufficient, expected) in [
        (account, "", vec![("123456789012", Status::Unknown)]),
        (
            account,
            "sufficient = \"pass\"",
            vec![("123456789012", Status::Pass)],
        ),
        // Rows that stand for regions do not depend on other regions.
        (
            &region,
            "",
            vec![("eu-west-1", Status::Pass), ("", Status::Unknown)],
        ),
    ] {
        let front = format!("resource = \"guardduty_detector\"\n{sufficient}");
        let catalog = catalog(&[("guardduty/guardduty-test", query(&front, sql))]);
        let engine = engine(&catalog);
        let plan = plan(&engine, &catalog);
        let rows = json!({"guardduty_detector": [{"detector_id": "d", "status": "ENABLED", "region": "eu-west-1"}]});
        let mut data = dataset(&catalog, rows);
        let error = Arc::new(denied("ListDetectors", "guardduty:ListDetectors"));
        let gap = Gap {
            account_id: "123456789012".into(),
            region: "eu-west-2".into(),
            error,
        };
        data.tables
            .get_mut("guardduty_detector")
            .unwrap()
            .gaps
            .push(gap);
        let found = engine.evaluate(&plan, &data, Options::default());
        assert_eq!(found.errors, []);
        let found: Vec<_> = found
            .findings
            .iter()
            .map(|f| (f.resource_id.as_str(), f.status))
            .collect();
        assert_eq!(found, expected, "{sufficient} {sql}");
    }
}

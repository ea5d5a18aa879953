//! What planning refuses, where, and which columns it finds.

use crate::common::{catalog, dataset, engine, page, plan};
use palisade_query::{Needs, QueryError};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

fn problem(front: &str, check: &str) -> String {
    let service = if front.contains("ec2") { "ec2" } else { "s3" };
    let catalog = catalog(&[(&format!("{service}/{service}-test"), page(front, check))]);
    let engine = engine(&catalog);
    let checks: Vec<_> = catalog.checks.values().cloned().collect();
    let (plan, problems) = engine.plan(&checks);
    assert!(plan.checks.is_empty(), "planned: {check}");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

fn predicate(sql: &str) -> String {
    problem(
        "resource = \"s3_bucket\"",
        &format!("```sql\n{sql}\n```\npass: `p`\nfail: `f`"),
    )
}

fn query(sql: &str) -> String {
    problem(
        "resource = \"s3_bucket\"",
        &format!("```sql\n{sql}\n```\npass: `p`\nfail: `f`"),
    )
}

/// Line of the first line of SQL in `page`.
const LINE: u32 = 15;

#[test]
fn wrong_predicates() {
    let text = predicate("name = 'a'\n  AND verzioning = 'b'");
    assert_eq!(
        text,
        format!(
            "checks/s3/s3-test.md:{}:7: error: no column `verzioning`\n  hint: did you mean `versioning`?",
            LINE + 1
        )
    );
    let text = predicate("versioning['state'] = 'x'");
    assert!(
        text.contains(&format!(":{LINE}:")) && text.contains("state"),
        "{text}"
    );
    let text = predicate("versioning = 'x'");
    assert!(
        text.contains("structure") || text.contains("Struct"),
        "{text}"
    );
    assert!(
        predicate("name").contains("must be true or false, it is text"),
        "{}",
        predicate("name")
    );
    assert!(
        predicate("upper(versioning) = 'X'").contains("upper"),
        "{}",
        predicate("upper(versioning) = 'X'")
    );
    let listed = "length(map_keys(tags)) > 1";
    assert!(
        predicate(listed).contains("`character_length` is for text"),
        "{}",
        predicate(listed)
    );
    let text = predicate("nam_length(name) > 1");
    assert!(
        text.contains("`nam_length`") && text.contains(&format!(":{LINE}:1:")),
        "{text}"
    );
    let text = predicate("name IN (SELECT 1)");
    assert!(
        text.contains("a predicate cannot look into other tables"),
        "{text}"
    );
    assert!(
        predicate("age_days(name, name) > 1").contains("takes 1 argument"),
        "{}",
        predicate("age_days(name, name) > 1")
    );
    assert!(
        predicate("name = = 'a'").contains(&format!(":{LINE}:8: error: this is not SQL")),
        "{}",
        predicate("name = = 'a'")
    );
}

#[test]
fn wrong_queries() {
    for (sql, part) in [
        (
            "SELECT account_id, region, arn, name AS id FROM s3_bucket",
            "neither `pass` nor `status`",
        ),
        (
            "SELECT account_id, arn, name AS id, true AS pass FROM s3_bucket",
            "does not return `region`",
        ),
        (
            "SELECT account_id, region, arn, name AS id, 1 AS pass FROM s3_bucket",
            "`pass` must be true or false, it is integer",
        ),
        (
            "SELECT account_id, region, arn, name AS id, true AS status FROM s3_bucket",
            "`status` must be text",
        ),
        (
            "SELECT account_id, region, arn, 1 AS id, true AS pass FROM s3_bucket",
            "`id` must be text",
        ),
        (
            "SELECT *, name AS id, true AS pass FROM s3_bucket",
            "`*` is not possible",
        ),
        (
            "SELECT account_id, region, arn, name AS id, true AS pass FROM s3_buckets",
            "no table `s3_buckets`",
        ),
        (
            "SELECT account_id, region, arn, nam AS id, true AS pass FROM s3_bucket",
            "no column `nam`",
        ),
    ] {
        let text = query(sql);
        assert!(text.contains(part), "{sql}\n{text}");
        assert!(text.contains(&format!(":{LINE}:")), "{text}");
    }
    let text = query(
        "SELECT account_id, region, arn, name AS id, EXISTS (SELECT 1 FROM ec2_vpc v WHERE v.vpc_id = name) AS pass FROM s3_bucket",
    );
    assert!(text.contains("is possible in WHERE only"), "{text}");
    let text = query("SELECT account_id, region, arn, name AS id,\n true AS pass\nFROM s3_buckets");
    assert!(
        text.contains(&format!(":{}:6:", LINE + 2)) && text.contains("did you mean `s3_bucket`?"),
        "{text}"
    );
}

#[test]
fn wrong_messages() {
    let text = problem(
        "resource = \"s3_bucket\"",
        "```sql\nname = 'a'\n```\npass: `p`\nfail: `it is ${verzioning}`",
    );
    assert_eq!(
        text,
        format!(
            "checks/s3/s3-test.md:{}:16: error: no column `verzioning`\n  hint: did you mean `versioning`?",
            LINE + 3
        )
    );
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn needs_of_predicates_and_queries() {
    let catalog = catalog(&[
        (
            "s3/s3-test",
            page(
                "resource = \"s3_bucket\"",
                "```sql where\ncreation_date IS NOT NULL\n```\n```sql\narray_has(map_keys(tags), name)\n```\npass: `p ${versioning.status}`\nfail: `f`",
            ),
        ),
        (
            "ec2/ec2-test",
            page(
                "resource = \"ec2_vpc\"",
                "```sql\nSELECT v.account_id, v.region, v.arn, v.vpc_id AS id, r.n IS NULL AS pass\nFROM ec2_vpc v LEFT JOIN (SELECT account_id, count(*) AS n FROM ec2_rule WHERE from_port = 22 GROUP BY account_id) r ON r.account_id = v.account_id\n```\npass: `p`\nfail: `f`",
            ),
        ),
    ]);
    let engine = engine(&catalog);
    let plan = plan(&engine, &catalog);
    let expected = Needs::from([
        (
            "s3_bucket".to_owned(),
            set(&[
                "account_id",
                "region",
                "arn",
                "name",
                "creation_date",
                "tags",
                "versioning",
            ]),
        ),
        (
            "ec2_vpc".to_owned(),
            set(&["account_id", "region", "arn", "vpc_id"]),
        ),
        // Through the view, and only what is used of it.
        (
            "ec2_security_group".to_owned(),
            set(&["account_id", "ip_permissions"]),
        ),
    ]);
    assert_eq!(plan.needs(), expected);
    let needs = engine.columns_of_sql("SELECT count(*) FROM s3_bucket WHERE EXISTS (SELECT 1 FROM ec2_vpc WHERE vpc_id = name)").unwrap();
    assert_eq!(
        needs,
        Needs::from([
            ("s3_bucket".to_owned(), set(&["name"])),
            ("ec2_vpc".to_owned(), set(&["vpc_id"]))
        ])
    );
    let all = engine.columns_of_sql("SELECT * FROM ec2_rule").unwrap();
    assert_eq!(
        all["ec2_security_group"],
        set(&["account_id", "region", "group_id", "ip_permissions"])
    );
}

#[test]
fn users_queries() {
    let catalog = catalog(&[]);
    let engine = engine(&catalog);
    let data = dataset(
        &catalog,
        json!({"s3_bucket": [
            {"name": "a", "tags": {"Owner": "x"}, "creation_date": "2025-01-01T00:00:00Z"}, {"name": "b"}
        ]}),
    );
    let result = engine.sql("SELECT name, tags, tags.Owner AS owner, age_days(creation_date) AS age, $now AS now FROM s3_bucket ORDER BY name", &data).unwrap();
    assert_eq!(result.rows(), 2);
    assert_eq!(
        result.to_json_lines(),
        "{\"name\":\"a\",\"tags\":{\"Owner\":\"x\"},\"owner\":\"x\",\"age\":379,\"now\":\"2026-01-15T00:00:00Z\"}\n{\"name\":\"b\",\"tags\":null,\"owner\":null,\"age\":null,\"now\":\"2026-01-15T00:00:00Z\"}\n"
    );
    assert_eq!(
        engine
            .sql("SELECT name FROM s3_bucket WHERE name = 'z'", &data)
            .unwrap()
            .to_csv(),
        "name\r\n"
    );
    for bad in [
        "DROP TABLE s3_bucket",
        "SELECT now()",
        "CREATE TABLE x (a INT)",
        "COPY s3_bucket TO '/tmp/x'",
        "SET a = 1",
        "SELECT * FROM '/etc/passwd'",
    ] {
        assert!(
            matches!(engine.sql(bad, &data), Err(QueryError::Sql(_))),
            "{bad}"
        );
    }
    let missing = engine
        .sql("SELECT group_id FROM ec2_security_group", &data)
        .unwrap_err();
    assert_eq!(
        missing,
        QueryError::TableMissing("ec2_security_group".into())
    );
    let failing = engine
        .sql("SELECT CAST(name AS BIGINT) FROM s3_bucket", &data)
        .unwrap_err();
    assert!(matches!(failing, QueryError::Run(_)), "{failing:?}");
    // Also inside a runtime of the caller.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(
            engine
                .sql("SELECT 1 UNION ALL SELECT 2", &data)
                .unwrap()
                .rows(),
            2
        )
    });
    let _ = Arc::clone(&catalog);
}

/// Pieces of SQL in any order: an error or a result, never a panic.
#[test]
fn no_sql_makes_the_engine_panic() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let catalog = catalog(&[]);
    let engine = engine(&catalog);
    let data = dataset(
        &catalog,
        json!({"s3_bucket": [{"name": "a", "tags": {"k": "v"}}, {"name": "b"}]}),
    );
    let words = prop::sample::select(vec![
        "SELECT",
        "FROM s3_bucket",
        "WHERE",
        "name",
        "tags",
        "tags['k']",
        "versioning.status",
        "(",
        ")",
        ",",
        "=",
        "AND",
        "NOT",
        "NULL",
        "1",
        "'a'",
        "count(*)",
        "GROUP BY",
        "ORDER BY",
        "unnest(",
        "map_keys(tags)",
        "array_any_match(",
        "x ->",
        "x",
        "IN",
        "IS",
        "[",
        "]",
        "LEFT JOIN s3_bucket b ON",
        "b.name",
        "$now",
        "-",
        "/ 0",
        "CASE WHEN",
        "THEN",
        "END",
        "policy_is_public(name, name)",
        "age_days(creation_date)",
        "EXISTS (SELECT 1)",
        "*",
        "AS y",
        "WITH",
        "UNION ALL",
        "9223372036854775807 + 1",
        "json_text(name, '$')",
        "cidr_is_public(name)",
        "LIMIT -1",
        "::int",
        "interval '1 day'",
    ]);
    // the short ones have a chance to be SQL
    let short = prop::collection::vec(words.clone(), 1..3);
    let words = prop_oneof![short, prop::collection::vec(words, 1..14)];
    let sql = words.prop_map(|w| format!("SELECT {}", w.join(" ")));
    let mut runner = TestRunner::new(Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    });
    let ran = std::cell::Cell::new(0);
    runner
        .run(&sql, |sql| {
            match engine.sql(&sql, &data) {
                Ok(_) => ran.set(ran.get() + 1),
                Err(QueryError::Start(e)) => prop_assert!(false, "{sql}: {e}"),
                Err(_) => {}
            }
            Ok(())
        })
        .unwrap();
    assert!(ran.get() > 20, "too few of them are SQL: {ran:?}");
    let long = format!(
        "SELECT {} true AS x FROM s3_bucket",
        "name = 'a' AND ".repeat(200)
    );
    assert_eq!(engine.sql(&long, &data).unwrap().rows(), 2);
}

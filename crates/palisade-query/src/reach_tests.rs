//! Which queries stay within accounts.
use super::{Reach, is_shared, reach};
use crate::engine::Engine;
use crate::{FIXTURE_NOW, Params};
use palisade_catalog::{Catalog, Check, Source};
use palisade_model::Models;
use std::sync::{Arc, LazyLock};

static SHIPPED: LazyLock<Arc<Catalog>> =
    LazyLock::new(|| Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog));

fn engine() -> Engine {
    let models = Arc::new(Models::embedded());
    Engine::new(Arc::clone(&SHIPPED), models, FIXTURE_NOW, Params::new()).unwrap()
}

/// What a query over the shipped tables must see.
fn of(engine: &Engine, sql: &str) -> Reach {
    let some = SHIPPED.checks.values().find(|c| c.is_query).unwrap();
    let mut check = Check::clone(some);
    check.resource = "s3_bucket".to_owned();
    check.sql = (sql.to_owned(), 1);
    check.applies = None;
    check.params.clear();
    check.pass_message = ("fine".to_owned(), 1);
    check.fail_message = ("not fine".to_owned(), 1);
    let (plan, problems) = engine.plan(&[Arc::new(check)]);
    assert!(problems.is_empty(), "{sql}\n{problems:?}");
    reach(&engine.planner, &plan.checks[0])
}

const ROW: &str = "SELECT b.account_id, b.region, b.arn, b.name AS id,";

#[test]
fn queries_that_stay_within_accounts() {
    let engine = engine();
    for rest in [
        "true AS pass FROM s3_bucket b",
        "b.name > 'a' AS pass FROM s3_bucket b WHERE region = 'us-east-1' ORDER BY name",
        "v.n > 1 AS pass FROM s3_bucket b LEFT JOIN (SELECT account_id, count(*) AS n FROM ec2_vpc GROUP BY account_id) v ON v.account_id = b.account_id",
        "v.n > 1 AS pass FROM s3_bucket b JOIN (SELECT region, account_id AS a, count(*) AS n FROM ec2_vpc GROUP BY region, account_id) v ON b.account_id = v.a AND v.region = b.region",
        "true AS pass FROM s3_bucket b, ec2_vpc v WHERE v.account_id = b.account_id AND v.vpc_id = b.name",
        "true AS pass FROM s3_bucket b WHERE EXISTS (SELECT 1 FROM ec2_vpc v WHERE v.account_id = b.account_id)",
        "count(s.group_id) OVER (PARTITION BY b.account_id) > 0 AS pass FROM s3_bucket b LEFT JOIN ec2_vpc v ON v.account_id = b.account_id LEFT JOIN ec2_security_group s ON s.account_id = v.account_id AND s.vpc_id = v.vpc_id",
        "true AS pass FROM s3_bucket b LEFT JOIN ec2_vpc v ON v.account_id = b.account_id AND false",
        "true AS pass FROM s3_bucket b LEFT JOIN ec2_vpc v ON false",
        "true AS pass FROM s3_bucket b WHERE NOT EXISTS (SELECT 1 FROM ec2_vpc v WHERE v.account_id = b.account_id AND v.vpc_id = b.name)",
        "(SELECT count(*) FROM ec2_vpc v WHERE v.account_id = b.account_id) > 0 AS pass FROM s3_bucket b",
        "row_number() OVER (PARTITION BY b.account_id ORDER BY b.name) = 1 AS pass FROM s3_bucket b",
        "o.n > 0 AS pass FROM s3_bucket b LEFT JOIN (SELECT count(*) AS n FROM organizations_organization) o ON true",
        "o.organization_arn IS NOT NULL AS pass FROM s3_bucket b LEFT JOIN organizations_organization o ON o.account_id = b.account_id",
    ] {
        assert_eq!(
            of(&engine, &format!("{ROW} {rest}")),
            Reach::Account,
            "{rest}"
        );
    }
    for whole in [
        "SELECT account_id, min(region) AS region, CAST(NULL AS text) AS arn, account_id AS id, count(*) > 0 AS pass FROM s3_bucket GROUP BY account_id",
        "SELECT DISTINCT account_id, region, CAST(NULL AS text) AS arn, region AS id, true AS pass FROM s3_bucket",
        "SELECT account_id, region, arn, name AS id, true AS pass FROM s3_bucket UNION ALL SELECT account_id, region, arn, vpc_id, false FROM ec2_vpc",
        "SELECT account_id, region, CAST(NULL AS text) AS arn, CAST(p['from_port'] AS text) AS id, true AS pass FROM (SELECT account_id, region, unnest(ip_permissions) AS p FROM ec2_security_group)",
    ] {
        assert_eq!(of(&engine, whole), Reach::Account, "{whole}");
    }
}

#[test]
fn queries_that_look_at_other_accounts() {
    let engine = engine();
    for rest in [
        "v.n = 1 AS pass FROM s3_bucket b JOIN (SELECT name, count(*) AS n FROM s3_bucket GROUP BY name) v ON v.name = b.name",
        "true AS pass FROM s3_bucket b JOIN ec2_vpc v ON v.vpc_id = b.name",
        "true AS pass FROM s3_bucket b WHERE EXISTS (SELECT 1 FROM ec2_vpc v WHERE v.vpc_id = b.name)",
        "true AS pass FROM s3_bucket b WHERE b.name NOT IN (SELECT name FROM s3_bucket WHERE region = 'us-east-1')",
        "(SELECT count(*) FROM ec2_vpc) > 0 AS pass FROM s3_bucket b",
        "row_number() OVER (ORDER BY b.name) = 1 AS pass FROM s3_bucket b",
        "count(*) OVER (PARTITION BY b.name) = 1 AS pass FROM s3_bucket b",
        "true AS pass FROM s3_bucket b ORDER BY name LIMIT 5",
        "count(*) OVER () > 5 AND row_number() OVER (PARTITION BY b.account_id ORDER BY b.name) = 1 AS pass FROM s3_bucket b",
        "e.who IS NULL AS pass FROM s3_bucket b LEFT JOIN iam_external_access e ON e.account_id = b.account_id",
        // without a network, a bucket's NULL is another account's NULL
        "true AS pass FROM s3_bucket b LEFT JOIN ec2_vpc v ON v.account_id = b.account_id LEFT JOIN (SELECT i.account_id FROM ec2_vpc w LEFT JOIN ec2_security_group i ON i.account_id = w.account_id) s ON s.account_id IS NOT DISTINCT FROM v.account_id",
        "n.n > 1 AS pass FROM s3_bucket b JOIN (SELECT v.account_id AS a, count(*) AS n FROM s3_bucket c LEFT JOIN ec2_vpc v ON v.account_id = c.account_id GROUP BY v.account_id) n ON n.a = b.account_id",
        "true AS pass FROM s3_bucket b FULL JOIN ec2_vpc v ON v.account_id = b.account_id",
    ] {
        assert_eq!(
            of(&engine, &format!("{ROW} {rest}")),
            Reach::Everything,
            "{rest}"
        );
    }
    for whole in [
        // the account of the result is another one's
        "SELECT v.vpc_id AS account_id, b.region, b.arn, b.name AS id, true AS pass FROM s3_bucket b JOIN ec2_vpc v ON v.account_id = b.account_id",
        "SELECT max(account_id) AS account_id, min(region) AS region, CAST(NULL AS text) AS arn, name AS id, true AS pass FROM s3_bucket GROUP BY name",
        // rows of the organisation would appear in every part
        "SELECT o.account_id, b.region, b.arn, o.organization_arn AS id, true AS pass FROM organizations_organization o LEFT JOIN s3_bucket b ON b.account_id = o.account_id",
        "SELECT account_id, region, arn, organization_arn AS id, true AS pass FROM organizations_organization",
        "SELECT DISTINCT 'x' AS account_id, region, CAST(NULL AS text) AS arn, region AS id, true AS pass FROM s3_bucket",
        "SELECT account_id, region, arn, name AS id, true AS pass FROM s3_bucket UNION ALL SELECT account_id, region, arn, organization_arn, false FROM organizations_organization",
        "SELECT account_id, region, arn, name AS id, true AS pass FROM s3_bucket INTERSECT SELECT logging['target_bucket'], region, arn, name, true FROM s3_bucket",
    ] {
        assert_eq!(of(&engine, whole), Reach::Everything, "{whole}");
    }
}

/// Work on a cluster is dealt out by accounts: what cannot be is done by one machine for all, and should stay rare.
#[test]
fn few_shipped_checks_need_everything() {
    let engine = engine();
    let checks: Vec<Arc<Check>> = SHIPPED.checks.values().cloned().collect();
    let (plan, problems) = engine.plan(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    let wide: Vec<&str> = plan
        .checks
        .iter()
        .filter(|planned| reach(&engine.planner, planned) == Reach::Everything)
        .filter(|planned| !is_shared(&planned.check.resource))
        .map(|planned| planned.check.id.as_str())
        .collect();
    // those over computed tables
    let plain: Vec<&&str> = wide.iter().filter(|id| !id.starts_with("iam-")).collect();
    assert!(plain.is_empty(), "{plain:?}");
    assert!(wide.len() * 20 < plan.checks.len(), "{wide:?}");
}

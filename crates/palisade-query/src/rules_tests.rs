//! Leaving out what has nothing to do changes no plan.
use super::{Parts, Rules};
use crate::engine::Engine;
use crate::evaluate::on_deep_stack;
use crate::{FIXTURE_NOW, Params};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::Optimizer;
use palisade_catalog::Source;
use palisade_model::Models;
use std::sync::Arc;

fn engine() -> Engine {
    let catalog = palisade_catalog::load_lazily(&[Source::embedded()]).catalog;
    let models = Arc::new(Models::embedded());
    Engine::new(Arc::new(catalog), models, FIXTURE_NOW, Params::new()).unwrap()
}

/// All but the two rules that are left out of every plan.
fn all_rules(engine: &Engine) -> Optimizer {
    let rules = engine.planner.state.optimizer().rules.iter();
    let all = rules.filter(|rule| !rule.name().contains("leaf")).cloned();
    Optimizer::with_rules(all.collect())
}

fn same_plan(engine: &Engine, all: &Optimizer, pruned: LogicalPlan, what: &str) {
    let state = &engine.planner.state;
    let with_all = all.optimize(pruned.clone(), state, |_, _| {}).unwrap();
    let with_some = engine.planner.optimize(pruned).unwrap();
    let (with_some, with_all) = (shown(&with_some), shown(&with_all));
    let differs = with_some
        .lines()
        .zip(with_all.lines())
        .find(|(a, b)| a != b);
    assert!(
        differs.is_none() && with_some.len() == with_all.len(),
        "{what}: {differs:?}"
    );
}

/// A plan with its schemas; what DataFusion has numbered is numbered from the first on.
fn shown(plan: &LogicalPlan) -> String {
    let mut text = plan.display_indent_schema().to_string();
    for name in ["__common_expr_", "__correlated_sq_", "__scalar_sq_"] {
        let mut numbers: Vec<String> = Vec::new();
        let mut parts = text.split(name);
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let number: String = part.chars().take_while(char::is_ascii_digit).collect();
            let rest = &part[number.len()..];
            let known = numbers.iter().position(|n| *n == number);
            let place = known.unwrap_or_else(|| {
                numbers.push(number);
                numbers.len() - 1
            });
            out.push_str(&format!("{name}{place}{rest}"));
        }
        text = out;
    }
    text
}

#[test]
fn shipped_queries_are_planned_as_with_all_rules() {
    let engine = engine();
    let all = all_rules(&engine);
    let checks: Vec<_> = engine.catalog.checks.values().cloned().collect();
    let (plan, problems) = engine.plan_as_needed(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    let compared = on_deep_stack(|| {
        let mut compared = 0;
        for check in &plan.checks {
            if let Some(Ok(query)) = check.query(&engine.planner) {
                same_plan(&engine, &all, query.plan.clone(), &check.check.id);
                compared += 1;
            }
        }
        compared
    });
    assert!(compared.unwrap() > 150);
}

#[test]
fn what_users_ask_is_planned_as_with_all_rules() {
    let engine = engine();
    let all = all_rules(&engine);
    for sql in [
        "SELECT 1 AS n",
        "SELECT DISTINCT region FROM s3_bucket ORDER BY region LIMIT 3",
        "SELECT count(DISTINCT name), region FROM s3_bucket GROUP BY region, 1 + 1 HAVING count(*) > 2",
        "SELECT name FROM s3_bucket UNION SELECT vpc_id FROM ec2_vpc UNION ALL SELECT name FROM s3_bucket WHERE false",
        "SELECT b.name FROM s3_bucket b, ec2_vpc v WHERE v.region = b.region AND (v.vpc_id = b.name OR v.vpc_id = 'a' AND b.name = 'a')",
        "SELECT b.name, v.vpc_id FROM s3_bucket b LEFT JOIN ec2_vpc v ON v.region = b.region WHERE v.vpc_id > 'a'",
        "SELECT name FROM s3_bucket b WHERE EXISTS (SELECT 1 FROM ec2_vpc v WHERE v.region = b.region AND v.vpc_id > 'a')",
        "SELECT name FROM s3_bucket WHERE region NOT IN (SELECT region FROM ec2_vpc WHERE vpc_id IS NOT NULL)",
        "SELECT name, (SELECT count(*) FROM ec2_vpc v WHERE v.region = b.region) FROM s3_bucket b",
        "SELECT name FROM s3_bucket WHERE name = (SELECT max(vpc_id) FROM ec2_vpc)",
        "SELECT name FROM s3_bucket WHERE name > ALL (SELECT vpc_id FROM ec2_vpc)",
        "SELECT name, row_number() OVER (PARTITION BY region ORDER BY name) FROM s3_bucket OFFSET 2",
        "SELECT name FROM (SELECT name FROM s3_bucket LIMIT 0) WHERE name LIKE 'a%'",
    ] {
        let plan = engine
            .resolved(sql)
            .unwrap_or_else(|e| panic!("{sql}: {e}"));
        let pruned = engine.planner.prune(plan);
        let pruned = pruned.unwrap_or_else(|e| panic!("{sql}: {e}"));
        same_plan(&engine, &all, pruned, sql);
    }
}

/// A rule that DataFusion calls something else from some day on would not be left out any more, and be seen here.
#[test]
fn rules_are_known_by_their_names() {
    let engine = engine();
    let rules = Rules::new(&engine.planner.state.optimizer().rules);
    let none = Parts::default();
    let needed: Vec<&str> = rules.all.iter().map(|rule| rule.name()).collect();
    let needed: Vec<&str> = needed.into_iter().filter(|n| none.need(n)).collect();
    let expected = [
        "simplify_expressions",
        "propagate_empty_relation",
        "push_down_filter",
        "common_sub_expression_eliminate",
        "optimize_projections",
    ];
    assert_eq!(needed, expected);
}

//! Leaving out what has nothing to do changes no plan.
use super::{Parts, Rules};
use crate::engine::Engine;
use crate::evaluate::{self, block_on, on_deep_stack};
use crate::sql::{Values, parse_query};
use crate::{FIXTURE_NOW, Params};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::physical_expr::Distribution;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
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

fn same_plan(engine: &Engine, all: &Optimizer, plan: LogicalPlan, what: &str) {
    let planner = &engine.planner;
    let analyzed = planner.analyze(plan.clone()).unwrap();
    let with_all = all.optimize(analyzed, &planner.state, |_, _| {}).unwrap();
    let with_some = planner.optimize(plan);
    let with_some = with_some.unwrap_or_else(|e| panic!("{what}: {e}"));
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

/// The shipped queries, names resolved.
fn shipped(engine: &Engine) -> Vec<(String, LogicalPlan)> {
    let checks = engine.catalog.checks.values().filter(|c| c.is_query);
    let resolved = checks.map(|check| {
        let params = engine.params_of(check);
        let values = Values {
            now: engine.now(),
            params: &params,
        };
        let query = parse_query(&check.sql.0, values).unwrap();
        (check.id.clone(), engine.planner.query(query).unwrap())
    });
    let resolved: Vec<_> = resolved.collect();
    assert!(resolved.len() > 150);
    resolved
}

#[test]
fn shipped_queries_are_planned_as_with_all_rules() {
    on_deep_stack(|| {
        let engine = engine();
        let all = all_rules(&engine);
        for (id, plan) in shipped(&engine) {
            same_plan(&engine, &all, plan, &id);
        }
    })
    .unwrap();
}

/// Whether each node's inputs come as it needs them: in one stream, in an order. How many nodes need either.
fn is_as_needed(plan: &Arc<dyn ExecutionPlan>, what: &str) -> usize {
    let mut needing = 0;
    plan.apply(|node| {
        let streams = node.input_distribution_requirements().into_per_child();
        let orders = node.required_input_ordering();
        for (input, (streams, order)) in node.children().iter().zip(streams.iter().zip(orders)) {
            let count = input.output_partitioning().partition_count();
            let anyhow = matches!(streams, Distribution::UnspecifiedDistribution);
            assert!(count == 1 || anyhow, "{what}: streams of {}", node.name());
            if let Some(order) = order {
                let known = input.equivalence_properties();
                let is_sorted = known.ordering_satisfy_requirement(order.into_single());
                assert!(is_sorted.unwrap(), "{what}: order of {}", node.name());
                needing += 1;
            }
        }
        needing += usize::from(node.name() == "UnionExec");
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    assert_eq!(plan.output_partitioning().partition_count(), 1, "{what}");
    needing
}

#[test]
fn what_runs_a_shipped_query_gets_rows_as_it_needs_them() {
    let engine = engine();
    let needing = block_on(async {
        let mut needing = 0;
        for (id, plan) in shipped(&engine) {
            let plan = engine.planner.optimize(plan).unwrap();
            let runs = evaluate::executable(&engine.planner.state, &plan).await;
            needing += is_as_needed(&runs.unwrap(), &id);
        }
        needing
    });
    assert!(needing.unwrap() > 40);
}

#[test]
fn what_users_ask_is_run_in_order_and_as_one_stream() {
    let engine = engine();
    for (sql, least) in [
        (
            "SELECT name FROM s3_bucket UNION ALL SELECT vpc_id FROM ec2_vpc",
            1,
        ),
        (
            "SELECT name FROM (SELECT name FROM s3_bucket UNION ALL SELECT vpc_id FROM ec2_vpc) ORDER BY name LIMIT 2",
            1,
        ),
        (
            "SELECT array_agg(name ORDER BY region DESC) FROM s3_bucket",
            1,
        ),
        (
            "SELECT name, row_number() OVER (PARTITION BY region ORDER BY name) FROM s3_bucket",
            1,
        ),
        (
            "SELECT name, sum(1) OVER (ORDER BY name), max(region) OVER (PARTITION BY name ORDER BY region DESC) FROM (SELECT name, region FROM s3_bucket ORDER BY region)",
            2,
        ),
        (
            "SELECT first_value(name ORDER BY region), region FROM (SELECT * FROM s3_bucket UNION ALL SELECT * FROM s3_bucket) GROUP BY region",
            1,
        ),
        (
            "SELECT b.name FROM s3_bucket b JOIN (SELECT region FROM ec2_vpc UNION ALL SELECT region FROM s3_bucket) v ON v.region = b.region",
            1,
        ),
    ] {
        let plan = engine.logical(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let runs = block_on(evaluate::executable(&engine.planner.state, &plan));
        let runs = runs.unwrap().unwrap_or_else(|e| panic!("{sql}: {e}"));
        assert!(is_as_needed(&runs, sql) >= least, "{sql}");
    }
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
        same_plan(&engine, &all, plan, sql);
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

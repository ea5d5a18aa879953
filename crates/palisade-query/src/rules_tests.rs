//! Leaving out what has nothing to do changes no plan.
use super::{Parts, Rules};
use crate::engine::Engine;
use crate::evaluate::{self, block_here, gives_no_row, on_deep_stack};
use crate::plan::{PlannedCheck, Query};
use crate::{FIXTURE_NOW, Params};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::Optimizer;
use datafusion::physical_expr::Distribution;
use datafusion::physical_plan::ExecutionPlanProperties;
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

/// Both plans of every shipped query: looked at whole, and as a scan plans it.
fn shipped() -> (Engine, Vec<(Arc<PlannedCheck>, Arc<PlannedCheck>)>) {
    let engine = engine();
    let checks: Vec<_> = engine.catalog.checks.values().cloned().collect();
    let (whole, problems) = engine.plan(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    let (as_needed, problems) = engine.plan_as_needed(&checks);
    assert!(problems.is_empty(), "{problems:?}");
    let both = whole.checks.into_iter().zip(as_needed.checks).collect();
    (engine, both)
}

#[test]
fn shipped_queries_are_planned_as_with_all_rules() {
    let (engine, checks) = shipped();
    let all = all_rules(&engine);
    let compared = on_deep_stack(|| {
        let mut compared = 0;
        for (check, _) in &checks {
            if let Some(query) = check.query(&engine.planner) {
                same_plan(&engine, &all, query.unwrap().plan.clone(), &check.check.id);
                compared += 1;
            }
        }
        compared
    });
    assert!(compared.unwrap() > 150);
}

/// What decides verdicts is asked of plans that are pruned, and of plans that are optimised: it does not differ.
#[test]
fn what_is_asked_of_a_shipped_query_is_the_same_when_it_is_optimised() {
    let (engine, checks) = shipped();
    let compared = on_deep_stack(|| {
        let mut compared = 0;
        for (whole, as_needed) in &checks {
            let id = &whole.check.id;
            let Some(pruned) = whole.query(&engine.planner) else {
                continue;
            };
            let (pruned, optimised) = (pruned.unwrap(), as_needed.query(&engine.planner));
            let optimised = optimised.unwrap().unwrap();
            assert_eq!(pruned.scans, optimised.scans, "{id}");
            assert_eq!(pruned.row_wise, optimised.row_wise, "{id}");
            assert_eq!(pruned.region_bound, optimised.region_bound, "{id}");
            assert_eq!(pruned.verdict, optimised.verdict, "{id}");
            assert_eq!(pruned.evidence, optimised.evidence, "{id}");
            assert_eq!(pruned.frame.columns, optimised.frame.columns, "{id}");
            // what is known to give no row of one plan is known of the other
            for empty in pruned.scans.keys() {
                let is_silent = |query: &Query| gives_no_row(&query.plan, &|table| table == empty);
                assert_eq!(is_silent(pruned), is_silent(optimised), "{id}: {empty}");
            }
            compared += 1;
        }
        compared
    });
    assert!(compared.unwrap() > 150);
}

/// A union is the only thing that comes in several streams: what runs any shipped query gives one, and so does each of its
/// parts that need that.
#[test]
fn what_runs_a_shipped_query_is_one_stream() {
    let (engine, checks) = shipped();
    let looked = on_deep_stack(|| {
        block_here(async {
            let mut unions = 0;
            for (_, check) in &checks {
                let Some(query) = check.query(&engine.planner) else {
                    continue;
                };
                let plan = query.unwrap().optimise(&engine.planner).unwrap();
                let state = &engine.planner.state;
                let runs = evaluate::executable(state, &plan).await.unwrap();
                runs.apply(|node| {
                    let needs = node.input_distribution_requirements();
                    let children = node.children();
                    for (child, needed) in children.iter().zip(needs.into_per_child()) {
                        let count = child.output_partitioning().partition_count();
                        let anyhow = matches!(needed, Distribution::UnspecifiedDistribution);
                        assert!(count == 1 || anyhow, "{}: {}", check.check.id, node.name());
                    }
                    unions += usize::from(node.name() == "UnionExec");
                    Ok(TreeNodeRecursion::Continue)
                })
                .unwrap();
                assert_eq!(runs.output_partitioning().partition_count(), 1);
            }
            unions
        })
    });
    assert!(looked.unwrap().unwrap() > 10);
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

//! The shipped catalogue: every check can be planned, and every fixture gives what it says.
use crate::common::{MODELS, dataset, engine};
use palisade_catalog::{Check, Source};
use palisade_core::Finding;
use palisade_query::{Engine, Options, Plan};
use serde_json::json;
use std::sync::Arc;

#[test]
fn every_check_plans_and_every_fixture_holds() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    assert!(catalog.checks.len() > 100, "{}", catalog.checks.len());
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let wrong = in_halves(&checks, |checks| {
        let engine: Engine = engine(&catalog);
        let (problems, failures) = engine.test_fixtures(checks).unwrap();
        let problems = problems.iter().map(ToString::to_string);
        problems
            .chain(failures.iter().map(ToString::to_string))
            .collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with some checks: half of them are looked at on each of two threads.
fn in_halves(
    checks: &[Arc<Check>],
    run: impl Fn(&[Arc<Check>]) -> Vec<String> + Sync,
) -> Vec<String> {
    let (left, right) = checks.split_at(checks.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(right));
        let mut wrong = run(left);
        wrong.extend(other.join().unwrap());
        wrong
    })
}

/// One plan judges account after account, and some at the same time: nothing of one is left for another.
#[test]
fn a_plan_serves_many_accounts() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let queries = catalog.checks.values().filter(|check| check.is_query);
    let some: Vec<Arc<Check>> = queries.step_by(4).cloned().collect();
    assert!(some.len() > 40, "{}", some.len());
    let engine = engine(&catalog);
    let says = |plan: &Plan| -> Vec<Result<Vec<Finding>, String>> {
        let each = plan.checks.iter().flat_map(|planned| {
            let fixtures = planned.check.fixtures.iter();
            fixtures.map(|fixture| engine.fixture_findings(planned, fixture))
        });
        each.collect()
    };
    let expected: Vec<_> = {
        // a plan of its own for every fixture
        let fresh = some.iter().flat_map(|check| {
            check.fixtures.iter().map(|fixture| {
                let (plan, _) = engine.plan(std::slice::from_ref(check));
                engine.fixture_findings(&plan.checks[0], fixture)
            })
        });
        fresh.collect()
    };
    let (plan, problems) = engine.plan(&some);
    assert!(problems.is_empty(), "{problems:?}");
    let mut rounds = vec![says(&plan)];
    rounds.extend(std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| says(&plan))).collect();
        both.into_iter()
            .map(|t| t.join().unwrap())
            .collect::<Vec<_>>()
    }));
    // planned when the first rows are there
    let (plan, problems) = engine.plan_as_needed(&some);
    assert!(problems.is_empty(), "{problems:?}");
    rounds.push(says(&plan));
    for round in rounds {
        assert!(round == expected);
    }
}

/// What is known of shipped checks without planning is what planning finds.
#[test]
fn what_is_planned_as_needed_is_the_same() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let engine = engine(&catalog);
    let (now, _) = engine.plan(&checks);
    let (later, _) = engine.plan_as_needed(&checks);
    assert_eq!(now.checks.len(), later.checks.len());
    for (now, later) in now.checks.iter().zip(&later.checks) {
        assert_eq!(now.check.id, later.check.id);
        assert_eq!(now.needs, later.needs, "{}", now.check.id);
        assert_eq!(now.without_rows, later.without_rows, "{}", now.check.id);
        assert_eq!(now.computed, later.computed, "{}", now.check.id);
    }
}

/// What comes with the binary says of every fixture, to the last word, what planning says.
#[test]
fn what_comes_with_the_binary_says_what_planning_says() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let wrong = in_halves(&checks, |checks| {
        let engine = engine(&catalog);
        let [now, later] = [engine.plan(checks), engine.plan_as_needed(checks)];
        let pairs = now.0.checks.iter().zip(&later.0.checks);
        let mut differ = Vec::new();
        for (now, later) in pairs {
            for fixture in now.check.fixtures.iter() {
                let [now, later] = [now, later].map(|p| engine.fixture_findings(p, fixture));
                if now != later {
                    differ.push(format!("{now:?}\n{later:?}"));
                }
            }
        }
        differ
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A check that was changed and reads what `reads.json` does not know of gives no verdict: what it reads was not asked for.
#[test]
fn a_check_that_reads_more_than_is_known_is_an_error() {
    let mut catalog = palisade_catalog::load(&[Source::embedded()]).catalog;
    let mut check = Check::clone(&catalog.checks["s3-bucket-versioning"]);
    check.sql.0 = "region = 'x' AND creation_date IS NOT NULL".to_owned();
    let check = Arc::new(check);
    catalog.checks.insert(check.id.clone(), Arc::clone(&check));
    let catalog = Arc::new(catalog);
    let engine = engine(&catalog);
    let (plan, problems) = engine.plan_as_needed(&[Arc::clone(&check)]);
    assert!(problems.is_empty(), "{problems:?}");
    let rows = json!({ "s3_bucket": [{ "name": "b" }] });
    let evaluation = engine.evaluate(&plan, &dataset(&catalog, rows), Options::default());
    assert!(evaluation.findings.is_empty());
    let message = &evaluation.errors[0].message;
    assert!(message.contains("reads.json"), "{message}");
}

#[test]
fn every_view_plans() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let engine = engine(&catalog);
    for name in catalog.views.keys() {
        let needs = engine.columns_of_sql(&format!("SELECT * FROM {name}"));
        assert!(needs.is_ok(), "{name}: {needs:?}");
    }
    let _ = Arc::clone(&MODELS);
}

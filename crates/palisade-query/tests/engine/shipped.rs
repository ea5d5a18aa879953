//! The shipped catalogue: every check can be planned, and every fixture gives what it says.
use crate::common::{MODELS, engine};
use palisade_catalog::{Check, Source};
use palisade_query::Engine;
use std::sync::Arc;

#[test]
fn every_check_plans_and_every_fixture_holds() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    assert!(catalog.checks.len() > 100, "{}", catalog.checks.len());
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    // Half of the checks on each of two threads.
    let (left, right) = checks.split_at(checks.len() / 2);
    let run = |checks: &[Arc<Check>]| {
        let engine: Engine = engine(&catalog);
        let (problems, failures) = engine.test_fixtures(checks).unwrap();
        let problems = problems.iter().map(ToString::to_string);
        problems
            .chain(failures.iter().map(ToString::to_string))
            .collect::<Vec<String>>()
    };
    let wrong = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(right));
        let mut wrong = run(left);
        wrong.extend(other.join().unwrap());
        wrong
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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

//! Evidence that is lost never makes a pass: every full query of the catalogue, with one table less at a time.
use crate::common::engine;
use palisade_catalog::{Check, Fixture, FixtureStatus, Source, Sufficient};
use palisade_core::Status;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What no check of the catalogue may do when a table could not be listed.
#[test]
fn a_table_that_could_not_be_listed_never_makes_a_pass() {
    let catalog = Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog);
    let queries: Vec<Arc<Check>> = catalog
        .checks
        .values()
        .filter(|check| check.is_query)
        .cloned()
        .collect();
    let (left, right) = queries.split_at(queries.len() / 2);
    let run = |checks: &[Arc<Check>]| {
        let engine = engine(&catalog);
        let (plan, problems) = engine.plan(checks);
        assert!(problems.is_empty(), "{problems:?}");
        let mut wrong = Vec::new();
        let mut tried = 0;
        for planned in &plan.checks {
            let sufficient = planned.check.sufficient == Some(Sufficient::Pass);
            let mut kinds = BTreeSet::new();
            for fixture in planned.check.fixtures.iter() {
                // one that fails and, where all the evidence is needed for it, one that passes
                let wanted = match fixture.expect {
                    FixtureStatus::Finding(Status::Fail) => true,
                    FixtureStatus::Finding(Status::Pass) => !sufficient,
                    _ => false,
                };
                let lost_already = fixture
                    .data
                    .values()
                    .any(|rows| rows.get("!error").is_some());
                if !wanted || lost_already || !kinds.insert(format!("{:?}", fixture.expect)) {
                    continue;
                }
                for table in planned.needs.keys() {
                    let mut less = Fixture { ..fixture.clone() };
                    less.data
                        .insert(table.clone(), json!({ "!error": "AccessDenied" }));
                    tried += 1;
                    match engine.fixture_findings(planned, &less) {
                        Ok(findings) => wrong.extend(
                            findings
                                .iter()
                                .filter(|f| {
                                    f.status == Status::Pass && f.region.as_ref() == "us-east-1"
                                })
                                .map(|f| {
                                    let (file, line) = (&planned.check.file, fixture.line);
                                    format!("{file}:{line}: without `{table}`: pass: {}", f.message)
                                }),
                        ),
                        Err(problem) => wrong.push(format!("{}: {problem}", planned.check.file)),
                    }
                }
            }
        }
        (wrong, tried)
    };
    let ((mut wrong, some), (more, others)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| run(right));
        let first = run(left);
        (first, other.join().unwrap())
    });
    wrong.extend(more);
    assert!(some + others > 700, "{}", some + others);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

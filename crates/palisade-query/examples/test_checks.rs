//! Plans all checks of a catalogue folder (default: the shipped one), runs their fixtures and prints what is wrong.
//! `cargo run -p palisade-query --example test_checks -- [FOLDER] [ID-PREFIX]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example prints"
)]
use palisade_catalog::Source;
use palisade_model::Models;
use palisade_query::{Engine, FIXTURE_NOW, Params};
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let source = arguments.next().map_or_else(Source::embedded, |folder| {
        Source::directory(folder).unwrap()
    });
    let prefix = arguments.next().unwrap_or_default();
    let start = Instant::now();
    let loaded = palisade_catalog::load(&[source]);
    let errors = loaded.diagnostics.iter().filter(|d| d.is_error());
    errors.for_each(|d| println!("{d}"));
    println!("# load: {:?}", start.elapsed());
    let catalog = Arc::new(loaded.catalog);
    let start = Instant::now();
    let engine = Engine::new(
        Arc::clone(&catalog),
        Arc::new(Models::embedded()),
        FIXTURE_NOW,
        Params::new(),
    )
    .unwrap();
    println!("# engine: {:?}", start.elapsed());
    let checks: Vec<_> = catalog
        .checks
        .values()
        .filter(|c| c.id.starts_with(&prefix))
        .cloned()
        .collect();
    for turn in ["first", "again"] {
        let start = Instant::now();
        let (plan, diagnostics) = engine.plan(&checks);
        println!(
            "# plan {turn}: {} of {} checks, {} problems, {:?}",
            plan.checks.len(),
            checks.len(),
            diagnostics.len(),
            start.elapsed()
        );
    }
    for queries in [false, true] {
        let part: Vec<_> = checks
            .iter()
            .filter(|c| c.is_query == queries)
            .cloned()
            .collect();
        let start = Instant::now();
        engine.plan(&part);
        let kind = if queries { "queries" } else { "predicates" };
        println!("# plan {} {kind}: {:?}", part.len(), start.elapsed());
    }
    let start = Instant::now();
    let (diagnostics, failures) = engine.test_fixtures(&checks).unwrap();
    diagnostics.iter().for_each(|d| println!("{d}"));
    failures.iter().for_each(|f| println!("{f}"));
    let fixtures: usize = checks.iter().map(|c| c.fixtures.len()).sum();
    println!(
        "# {fixtures} fixtures, {} failed, {:?}",
        failures.len(),
        start.elapsed()
    );
}

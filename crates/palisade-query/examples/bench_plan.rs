//! How long the shipped catalogue takes to load, and its checks to be planned.
//! `cargo run --release -p palisade-query --example bench_plan`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an example prints"
)]
use palisade_catalog::Source;
use palisade_model::Models;
use palisade_query::{Engine, FIXTURE_NOW, Params};
use std::sync::Arc;
use std::time::{Duration, Instant};

const TIMES: usize = 9;

/// The first time, as a command has it, and the median of some times.
fn timed<T>(run: impl Fn() -> T) -> (T, Duration, Duration) {
    let mut times = Vec::new();
    let mut last = None;
    for _ in 0..TIMES {
        let begun = Instant::now();
        last = Some(run());
        times.push(begun.elapsed());
    }
    let first = times[0];
    times.sort();
    (last.unwrap(), first, times[TIMES / 2])
}

fn say(what: &str, first: Duration, median: Duration, aim: &str) {
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{what}: first {:.1} ms, median {:.1} ms (aim: {aim})",
        ms(first),
        ms(median)
    );
}

fn main() {
    let (loaded, first, median) = timed(|| palisade_catalog::load(&[Source::embedded()]));
    let catalog = Arc::new(loaded.catalog);
    let checks: Vec<_> = catalog.checks.values().cloned().collect();
    let what = format!("load of {} checks", checks.len());
    say(&what, first, median, "under 20 ms");
    let (_, first, median) = timed(|| palisade_catalog::load_lazily(&[Source::embedded()]));
    say("the same as commands do", first, median, "under 20 ms");
    let models = Arc::new(Models::embedded());
    let (planned, first, median) = timed(|| {
        let (catalog, models) = (Arc::clone(&catalog), Arc::clone(&models));
        let now = FIXTURE_NOW;
        let engine = Engine::new(catalog, models, now, Params::default()).unwrap();
        let (plan, diagnostics) = engine.plan(&checks);
        assert!(diagnostics.is_empty(), "{diagnostics:?}");
        plan.checks.len()
    });
    let what = format!("plan of the SQL of {planned} checks");
    say(&what, first, median, "under 150 ms");
    let (_, first, median) = timed(|| {
        let (catalog, models) = (Arc::clone(&catalog), Arc::clone(&models));
        let engine = Engine::new(catalog, models, FIXTURE_NOW, Params::default()).unwrap();
        engine.plan_as_needed(&checks).0.checks.len()
    });
    say(
        "the same as scans do, before there are rows",
        first,
        median,
        "under 150 ms",
    );
}

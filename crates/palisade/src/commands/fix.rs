//! `palisade fix`
mod apply;
mod plan;
mod recheck;
mod retire;
mod rows;
mod uses;

use crate::Outcome;
use crate::cli::{self, Fix, Global, Target};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::{Given, Settings};
use palisade_fix::{Plan, Protection};
use std::path::Path;
use std::sync::Arc;

/// Runs one of the commands.
pub fn run(
    command: Fix,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    match command {
        Fix::Plan(args) => plan::run(*args, given, global, catalog, terminal),
        Fix::Apply(args) => apply::apply(*args, given, global, catalog, terminal),
        Fix::Undo(args) => apply::undo(*args, given, global, catalog, terminal),
        Fix::Retire(args) => retire::run(*args, given, global, catalog, terminal),
        Fix::List { runs } => {
            let runs = palisade_fix::list_runs(&runs.folder)?;
            print(&palisade_fix::runs_text(&runs))
        }
        Fix::Show { what, runs, json } => show(&what, &runs.folder, json),
    }
}

fn print(text: &str) -> Result<Outcome, Failure> {
    to_stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Outcome::Done)
}

fn show(what: &str, folder: &Path, json: bool) -> Result<Outcome, Failure> {
    let file = Path::new(what);
    if file.is_file() {
        let plan = read_plan(file)?;
        return print(&if json {
            plan.to_json()
        } else {
            palisade_fix::plan_text(&plan)
        });
    }
    let run = palisade_fix::read_run(folder, what)?;
    if json {
        let text = serde_json::to_string_pretty(&run.events).unwrap_or_default();
        return print(&format!("{text}\n"));
    }
    print(&palisade_fix::run_text(&run))
}

pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|source| Failure::Input {
        path: path.to_owned(),
        source,
    })?;
    Plan::parse(&text).map_err(|e| Failure::Content {
        path: path.to_owned(),
        message: e.to_string(),
    })
}

/// What is in effect for a command that changes: the role for fixes in place of the one for scans.
fn settings(
    target: &mut Target,
    given: &Given,
    global: &Global,
    catalog: &Catalog,
) -> Result<Settings, Failure> {
    let config = super::settings::config(global, catalog)?;
    super::settings::connect(target, given, global, catalog)?;
    let settings = Settings::merge(given, config.as_ref(), target.is_recorded(), &[]);
    if let Some(role) = settings.text("fix.role_arn") {
        target.role_arn = Some(role);
    }
    Ok(settings)
}

/// What the flags and the file protect: both count.
pub fn protection(args: &cli::Protect, settings: &Settings) -> Protection {
    let both = |given: &[String], key: &str| {
        let mut all = settings.texts(key);
        all.extend(given.iter().cloned());
        all.sort();
        all.dedup();
        all
    };
    Protection {
        resources: both(&args.protect, "fix.protect"),
        tags: both(&args.protect_tag, "fix.protect_tags"),
    }
}

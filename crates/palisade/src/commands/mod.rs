//! One file a command.
mod check;
mod checks;
mod cluster;
mod collect;
mod completions;
mod config;
mod connect;
mod doctor;
mod drift;
mod fix;
mod frameworks;
mod history;
mod iam;
mod inventory;
mod journal;
mod man;
mod noise;
mod organization;
mod permissions;
mod query;
mod reference;
mod report;
mod respond;
mod review;
mod run;
mod scan;
mod send;
mod settings;
mod snapshots;
mod store;
mod tables;
mod watch;

use crate::Outcome;
use crate::cli::{Checks, Cli, Command, Config, Frameworks, Global, ListFormat, Selection};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::{Catalog, DiagnosticLevel, Source};
use palisade_config::Given;
use std::sync::Arc;

/// Runs one command.
///
/// # Errors
/// When the command could not do what was asked.
pub fn run(cli: Cli, given: &Given, terminal: &Terminal) -> Result<Outcome, Failure> {
    let global = cli.global;
    let facts = iam_facts(&global)?;
    match cli.command {
        Command::Completions { shell } => completions::run(shell),
        Command::Man { output } => man::run(&output, terminal),
        Command::Scan(args) => {
            let connecting = connect::Connecting::ahead(&args.scan.target, &global);
            let catalog = catalog(&global, terminal)?;
            scan::run(*args, given, &global, (catalog, connecting), terminal)
        }
        Command::Check(args) => check::run(
            *args,
            given,
            &global,
            catalog(&global, terminal)?,
            &facts,
            terminal,
        ),
        Command::Collect(args) => {
            collect::run(*args, given, &global, catalog(&global, terminal)?, terminal)
        }
        Command::Snapshots(args) => {
            let catalog = catalog(&global, terminal)?;
            snapshots::run(args, given, &global, &catalog, terminal)
        }
        Command::Diff(args) => {
            let catalog = catalog(&global, terminal)?;
            drift::compare(*args, given, &global, (&catalog, &facts), terminal)
        }
        Command::Drift(args) => {
            let catalog = catalog(&global, terminal)?;
            drift::run(args, given, &global, (&catalog, &facts), terminal)
        }
        Command::History(args) => {
            let catalog = catalog(&global, terminal)?;
            history::run(*args, given, &global, &catalog, terminal)
        }
        Command::Doctor(args) => doctor::run(*args, given, &global, terminal),
        Command::Send(args) => send::run(
            *args,
            given,
            &global,
            &catalog(&global, terminal)?,
            terminal,
        ),
        Command::Baseline(args) => {
            noise::baseline(*args, given, &global, catalog(&global, terminal)?, terminal)
        }
        Command::Mutes(args) => noise::mutes(&args, catalog(&global, terminal)?.as_ref(), terminal),
        Command::Checks(Checks::List { selection, format }) => {
            let catalog = if format == ListFormat::Text && selection.framework.is_empty() {
                catalog_of(Source::embedded().without_frameworks(), &global, terminal)?
            } else {
                catalog(&global, terminal)?
            };
            checks::list(&selection, format, &catalog, terminal)
        }
        Command::Checks(Checks::Show(ids)) | Command::Explain(ids) => {
            checks::show(&ids.ids, &global, catalog(&global, terminal)?)
        }
        Command::Checks(Checks::Test { selection }) => {
            checks::test(&selection, catalog(&global, terminal)?, terminal)
        }
        Command::Frameworks(Frameworks::List) => {
            frameworks::list(catalog(&global, terminal)?.as_ref())
        }
        Command::Frameworks(Frameworks::Show { name }) => {
            frameworks::show(&name, catalog(&global, terminal)?.as_ref())
        }
        Command::Tables(args) => tables::run(&args, catalog(&global, terminal)?.as_ref()),
        Command::Query(mut args) => {
            let catalog = catalog(&global, terminal)?;
            let found = settings::connect(&mut args.target, given, &global, &catalog)?;
            settings::organization(&found, &mut args.organization);
            args.store = settings::store(&found);
            query::run(&args, catalog, &facts, terminal)
        }
        Command::Permissions(args) => {
            permissions::run(&args, catalog(&global, terminal)?, terminal)
        }
        Command::Inventory(mut args) => {
            let catalog = catalog(&global, terminal)?;
            let found = settings::connect(&mut args.target, given, &global, &catalog)?;
            settings::organization(&found, &mut args.organization);
            args.store = settings::store(&found);
            inventory::run(&args, catalog, terminal)
        }
        Command::Config(Config::Check { file }) => config::check(
            file.as_deref(),
            &global,
            catalog(&global, terminal)?.as_ref(),
            terminal,
        ),
        Command::Config(Config::Show { scan, json, params }) => {
            let catalog = catalog(&global, terminal)?;
            config::show(&scan, json, params, given, &global, &catalog)
        }
        Command::Config(Config::Schema) => config::schema(catalog(&global, terminal)?.as_ref()),
        Command::Config(Config::Import { file }) => {
            config::import(&file, catalog(&global, terminal)?.as_ref(), terminal)
        }
        Command::Reference(args) => reference::run(&args, catalog(&global, terminal)?, terminal),
        Command::Review(args) => {
            let catalog = catalog(&global, terminal)?;
            review::run(&args, given, &global, &catalog, terminal)
        }
        Command::Cluster(args) => {
            cluster::run(args, || catalog(&global, terminal), &facts, terminal)
        }
        Command::Iam(args) => iam::run(args, given, &global, terminal),
        Command::Respond(args) => {
            let catalog = catalog(&global, terminal)?;
            respond::run(args, given, &global, catalog, terminal)
        }
        Command::Watch(args) => {
            watch::run(*args, given, &global, catalog(&global, terminal)?, terminal)
        }
        Command::Fix(args) => {
            let catalog = catalog(&global, terminal)?;
            fix::run(args, given, &global, catalog, terminal)
        }
    }
}

/// Puts what the user's folders say about IAM in the place of what is shipped; the last folder counts. Gives what other
/// machines must have as well: nothing when all of it is shipped.
fn iam_facts(global: &Global) -> Result<String, Failure> {
    let mut facts = String::new();
    for folder in global.catalog.iter().rev() {
        for name in ["actions.jsonl", "actions.jsonl.zst", "escalation.toml"] {
            let path = folder.join("iam").join(name);
            let bytes = match std::fs::read(&path) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Failure::Input { path, source }),
            };
            facts.push_str(&format!("{name} {}\n", String::from_utf8_lossy(&bytes)));
            if name == "escalation.toml" {
                palisade_iam::Rules::install(String::from_utf8_lossy(&bytes).into_owned());
            } else {
                palisade_iam::Catalogue::install(bytes);
            }
        }
    }
    Ok(facts)
}

/// The shipped catalogue with the user's folders over it. A broken file is an error: a check that silently
/// disappears is worse than a scan that does not start.
fn catalog(global: &Global, terminal: &Terminal) -> Result<Arc<Catalog>, Failure> {
    catalog_of(Source::embedded(), global, terminal)
}

fn catalog_of(
    shipped: Source,
    global: &Global,
    terminal: &Terminal,
) -> Result<Arc<Catalog>, Failure> {
    let loaded = palisade_catalog::load_lazily(&sources(shipped, global)?);
    let (errors, warnings): (Vec<_>, Vec<_>) = loaded
        .diagnostics
        .into_iter()
        .partition(|d| d.level == DiagnosticLevel::Error);
    // what the shipped files could do better is `cargo xtask lint`'s to tell
    if !global.catalog.is_empty() {
        for warning in warnings {
            terminal.note(&warning.to_string());
        }
    }
    if errors.is_empty() {
        Ok(Arc::new(loaded.catalog))
    } else {
        Err(Failure::Catalog {
            diagnostics: errors,
        })
    }
}

/// The shipped files and the user's folders over them.
fn sources(shipped: Source, global: &Global) -> Result<Vec<Source>, Failure> {
    let mut sources = vec![shipped];
    for folder in &global.catalog {
        sources.push(Source::directory(folder).map_err(|e| {
            Failure::Usage {
                message: e.to_string(),
                hint: Some(
                    "--catalog takes a folder with `services`, `checks` or `frameworks` in it"
                        .to_owned(),
                ),
            }
        })?);
    }
    Ok(sources)
}

fn selection(args: &Selection) -> palisade_scan::Selection {
    palisade_scan::Selection {
        checks: args.check.clone(),
        services: args.service.clone(),
        frameworks: args.framework.clone(),
        categories: args.category.clone(),
        severity: args.severity,
        exclude: args.exclude.clone(),
        ..palisade_scan::Selection::default()
    }
}

//! `palisade collect`
use super::connect::{self, Connection, limits};
use super::store::Keeping;
use super::{selection, settings};
use crate::Outcome;
use crate::cli::{Collect, Global};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::Request;
use palisade_config::Given;
use palisade_scan::Scanner;
use std::sync::Arc;

/// Reads tables and keeps them as a snapshot.
pub fn run(
    mut args: Collect,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let config = settings::config(global, &catalog)?;
    let effective = settings::merged(&mut args.target, given, config.as_ref());
    args.store = settings::store(&effective);
    let scanner = Scanner::new(Arc::clone(&catalog));
    let request = request(&args, &effective, &scanner)?;
    let connection = Connection::open(&args.target, scanner.models(), terminal)?;
    let keeping = Keeping::new(&args.store, &args.target, &connection, &catalog)?;
    let collected = connection.collect(&scanner, &request, &limits(&args.target), terminal)?;
    connection.save_recording(args.target.record.as_deref())?;
    keeping.keep_tables(&connection, &collected, terminal)?;
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else if args.strict && !collected.coverage.is_complete() {
        Outcome::Incomplete
    } else {
        Outcome::Done
    })
}

/// What is read: the tables that are named, or what the selected checks need.
fn request(
    args: &Collect,
    settings: &palisade_config::Settings,
    scanner: &Scanner,
) -> Result<Request, Failure> {
    let catalog = scanner.catalog();
    let mut request = Request::default();
    for name in &args.table {
        if name == "all" {
            catalog.tables.keys().for_each(|t| request.add_all(t));
        } else if catalog.tables.contains_key(name) {
            request.add_all(name);
        } else {
            let names = catalog.tables.keys().map(String::as_str);
            let near = palisade_catalog::similar(name, names);
            return Err(Failure::Usage {
                message: format!("no table `{name}`"),
                hint: Some(match near.first() {
                    Some(near) => format!("did you mean `{near}`? `palisade tables` lists them"),
                    None => "`palisade tables` lists them".to_owned(),
                }),
            });
        }
    }
    if args.table.is_empty() {
        let mut selection = selection(&settings::selection(settings));
        selection.params = settings::params(settings);
        let checks = selection.resolve(catalog)?;
        request = scanner.request(&checks)?;
    }
    Ok(request)
}

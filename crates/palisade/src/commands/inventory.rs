//! `palisade inventory`
use super::connect;
use super::query::print;
use crate::Outcome;
use crate::cli::Inventory;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_scan::{Scanner, SelectionError};
use std::sync::Arc;

/// Counts or lists what exists, from every table that lists resources.
pub fn run(
    args: &Inventory,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    for service in &args.service {
        if !catalog.services.contains_key(service) {
            return Err(SelectionError {
                what: "service",
                name: service.clone(),
                suggestions: palisade_catalog::similar(
                    service,
                    catalog.services.keys().map(String::as_str),
                ),
            }
            .into());
        }
    }
    let scanner = Arc::new(Scanner::new(Arc::clone(&catalog)));
    let request = palisade_scan::inventory::request(&catalog, &args.service);
    let (_connection, collected) = connect::collect_all(
        &args.target,
        &args.organization,
        &scanner,
        &request,
        terminal,
    )?;
    let sql = palisade_scan::inventory::sql(&catalog, &args.service, args.list);
    let rows = scanner.query(&sql, &collected.dataset)?;
    print(&rows, args.format)?;
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

//! `palisade query`
use super::connect;
use crate::Outcome;
use crate::cli::{Query, QueryFormat};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_scan::{QueryResult, Scanner};
use std::sync::Arc;

/// Characters of a cell before it is cut, in the table format.
const WIDEST: usize = 80;

/// Runs SQL over what it needs to be read.
pub fn run(args: &Query, catalog: Arc<Catalog>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let scanner = Arc::new(Scanner::new(Arc::clone(&catalog)));
    let request = scanner.columns_of(&args.sql)?;
    let (connection, collected) = connect::collect_all(
        &args.target,
        &args.organization,
        &scanner,
        &request,
        terminal,
    )?;
    let mut scanner = Scanner::new(catalog);
    scanner.set_now(connection.now);
    let rows = scanner.query(&args.sql, &collected.dataset)?;
    print(&rows, args.format)?;
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

/// Prints rows.
pub fn print(rows: &QueryResult, format: QueryFormat) -> Result<(), Failure> {
    let text = match format {
        QueryFormat::Table => rows.to_table(WIDEST),
        QueryFormat::Jsonl => rows.to_json_lines(),
        QueryFormat::Csv => rows.to_csv(),
    };
    to_stdout(|out| out.write_all(text.as_bytes()))
}

//! `palisade inventory`
use super::connect;
use super::query::print;
use crate::Outcome;
use crate::cli::Inventory;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_scan::inventory::{Inventory as Resources, Options};
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
    let options = Options {
        services: args.service.clone(),
        list: args.list,
        by: args.by.clone(),
        untagged: args.untagged,
        required_tags: args.required_tag.clone(),
        unmanaged: args.unmanaged,
    };
    let inventory = Resources::new(&scanner, &catalog, options);
    let request = inventory.request();
    if request.tables.is_empty() {
        return Err(Failure::Usage {
            message: "no table of these services has resources with tags".to_owned(),
            hint: Some("`palisade tables NAME` shows the columns of a table".to_owned()),
        });
    }
    let (connection, mut collected) = connect::collect_all(
        &args.target,
        &args.organization,
        &scanner,
        &request,
        terminal,
    )?;
    if let Some(since) = &args.new_since {
        super::drift::only_new(since, args, &scanner, &connection, &mut collected, terminal)?;
    }
    let unread = inventory.drop_unread(&mut collected.dataset);
    let rows = scanner.query(&inventory.sql(), &collected.dataset)?;
    print(&rows, args.format)?;
    if inventory.without_tags() > 0 {
        terminal.note(&format!(
            "{} types of resources are not counted: their tags are not read",
            inventory.without_tags()
        ));
    }
    if args.unmanaged {
        terminal.note(
            "unmanaged: without the tag that CloudFormation gives to what it makes; what other tools manage counts as unmanaged",
        );
    }
    if unread > 0 {
        terminal.warn(&format!(
            "{unread} resources are not counted: their tags could not be read"
        ));
    }
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

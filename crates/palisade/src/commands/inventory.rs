//! `palisade inventory`
use super::query::print;
use super::{connect, store};
use crate::Outcome;
use crate::cli::Inventory;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::Request;
use palisade_core::{CallError, Coverage};
use palisade_scan::inventory::{Inventory as Resources, Options};
use palisade_scan::{Scanner, SelectionError};
use palisade_table::Dataset;
use std::collections::BTreeMap;
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
    let mut inventory = Resources::new(&scanner, &catalog, options);
    let request = inventory.request();
    if request.tables.is_empty() {
        return Err(Failure::Usage {
            message: "no table of these services has resources with tags".to_owned(),
            hint: Some("`palisade tables NAME` shows the columns of a table".to_owned()),
        });
    }
    let mut found = match &args.snapshot {
        Some(wanted) => stored(wanted, args, &scanner, &mut inventory, terminal)?,
        None => live(args, &scanner, &request, terminal)?,
    };
    let unread = inventory.drop_unread(&mut found.dataset);
    let rows = scanner.query(&inventory.sql(), &found.dataset)?;
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
    match &found.coverage {
        Some(coverage) => connect::report_gaps(coverage, terminal),
        None => lists_unread(&found.dataset, terminal),
    }
    let interrupted = found.coverage.is_some_and(|c| c.interrupted);
    Ok(match interrupted {
        true => Outcome::Failed,
        false => Outcome::Done,
    })
}

/// What there is.
struct Found {
    dataset: Dataset,
    /// Of the calls that were made for it.
    coverage: Option<Coverage>,
}

fn live(
    args: &Inventory,
    scanner: &Arc<Scanner>,
    request: &Request,
    terminal: &Terminal,
) -> Result<Found, Failure> {
    let (target, organization) = (&args.target, &args.organization);
    let asked = connect::collect_all(target, organization, scanner, request, terminal);
    let (connection, mut collected) = asked?;
    if let Some(since) = &args.new_since {
        super::drift::only_new(since, args, scanner, &connection, &mut collected, terminal)?;
    }
    Ok(Found {
        dataset: collected.dataset,
        coverage: Some(collected.coverage),
    })
}

/// The same of a snapshot. Types of resources that it was not collected for are left out and told.
fn stored(
    wanted: &str,
    args: &Inventory,
    scanner: &Scanner,
    inventory: &mut Resources,
    terminal: &Terminal,
) -> Result<Found, Failure> {
    if args.organization.is_asked() {
        return Err(Failure::Usage {
            message: "a snapshot has the accounts that it has".to_owned(),
            hint: Some("leave `--organization` and `--accounts` out".to_owned()),
        });
    }
    let (runtime, store) = store::offline(&args.store, &args.target, scanner.models())?;
    let snapshot = runtime.block_on(store.snapshot(wanted))?;
    let request = inventory.request();
    let asked = scanner.snapshot_tables(&snapshot, &request);
    let (dataset, lacking) = runtime.block_on(asked)?;
    if let Some((count, first)) = inventory.leave_out(&lacking) {
        if inventory.request().tables.is_empty() {
            return Err(Failure::Usage {
                message: format!(
                    "the snapshot {} has none of these types of resources: it was not collected for them",
                    snapshot.manifest().id
                ),
                hint: Some("`palisade collect --table all` collects everything".to_owned()),
            });
        }
        terminal.warn(&format!(
            "{count} types of resources are not counted: the snapshot was not collected for them (first: {first})"
        ));
    }
    Ok(Found {
        dataset,
        coverage: None,
    })
}

/// Tells which lists of a snapshot could not be read.
fn lists_unread(dataset: &Dataset, terminal: &Terminal) {
    let mut failed: BTreeMap<(&CallError, &str), usize> = BTreeMap::new();
    for gap in dataset.tables.values().flat_map(|t| &t.gaps) {
        *failed.entry((&*gap.error, &gap.region)).or_default() += 1;
    }
    for ((error, region), tables) in failed {
        terminal.warn(&format!(
            "{error} in {} {region} ({tables} tables): {}",
            error.account_id, error.message
        ));
    }
}

//! `palisade collect`
use super::connect::{self, Connection, limits};
use super::organization::{Organization, Read};
use super::run::{self, Asked, Begun, Session, Wanted};
use super::store::{self, Keeping};
use super::{selection, settings};
use crate::Outcome;
use crate::cli::{Collect, Global};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::Request;
use palisade_config::Given;
use palisade_scan::Scanner;
use palisade_scan::organization::Merge;
use palisade_store::AccountResult;
use std::collections::BTreeSet;
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
    settings::organization(&effective, &mut args.organization);
    args.store = settings::store(&effective);
    let environment = |name: &str| std::env::var(name).ok().filter(|v| !v.trim().is_empty());
    let asked = Asked::new(&args.run, &environment)?;
    if asked.is_named() && !args.organization.is_asked() {
        return Err(Failure::Usage {
            message: "a run is over many accounts, and only one is read".to_owned(),
            hint: Some("say which: `--organization`, or `--accounts`".to_owned()),
        });
    }
    let scanner = Scanner::new(Arc::clone(&catalog));
    let request = request(&args, &effective, &scanner)?;
    let mut connection = Connection::open(&args.target, scanner.models(), terminal)?;
    if args.organization.is_asked() {
        return accounts(
            &args,
            &asked,
            &Arc::new(scanner),
            request,
            &connection,
            terminal,
        );
    }
    let keeping = Keeping::new(&args.store, &args.target, &connection, &catalog)?;
    let known = keeping.known_single(&connection, &asked, false)?;
    let wanted = Wanted {
        target: &args.target,
        organization: &args.organization,
        request: &request,
        catalog: &catalog,
        judged: None,
    };
    keeping.begin_single(&mut connection, &asked, &wanted, known, terminal)?;
    let collected = match keeping.before(&connection, &scanner)? {
        Some((before, _)) => before,
        None => connection.collect(&scanner, &request, &limits(&args.target), terminal)?,
    };
    connection.save_recording(args.target.record.as_deref())?;
    let kept = keeping.keep_tables(&connection, &collected, terminal)?;
    connect::report_gaps(&collected.coverage, terminal);
    Ok(if collected.coverage.interrupted || !kept {
        Outcome::Failed
    } else if args.strict && !collected.coverage.is_complete() {
        Outcome::Incomplete
    } else {
        Outcome::Done
    })
}

/// Reads many accounts, or this worker's share of them. Each is kept as soon as it is read.
fn accounts(
    args: &Collect,
    asked: &Asked,
    scanner: &Arc<Scanner>,
    request: Request,
    connection: &Connection,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let store = store::opened(&args.store, &args.target, connection)?;
    let wanted = Wanted {
        target: &args.target,
        organization: &args.organization,
        request: &request,
        catalog: scanner.catalog(),
        judged: None,
    };
    let known = run::known(connection, &store, asked, false)?;
    let mut organization = Organization::with(
        connection,
        &args.target,
        &args.organization,
        (
            known.as_ref().map(|run| run::planned(run.plan())),
            asked.journal(),
        ),
        terminal,
    )?;
    let begun = Session::begin(
        connection,
        store,
        asked,
        &wanted,
        known.as_ref(),
        &mut organization,
        terminal,
    )?;
    let session = match begun {
        Begun::Open(session) => session,
        Begun::Done(manifest) => {
            terminal.note(&format!(
                "nothing is left to do: the snapshot {} is committed",
                manifest.id
            ));
            return Ok(Outcome::Done);
        }
    };
    let request = Arc::new(request);
    let mut merge = Merge::default();
    let mut entered = BTreeSet::new();
    let each = |merge: &mut Merge, read: Read| {
        let (account_id, collected) = (read.account_id, read.collected);
        // what was stopped half way is read again, as a whole
        if !collected.coverage.interrupted {
            let result = AccountResult {
                account_id: &account_id,
                dataset: &collected.dataset,
                coverage: &collected.coverage,
                findings: None,
            };
            connection.wait(session.account(result, &read.regions))?;
        }
        merge.add_coverage(collected.coverage);
        entered.insert(account_id);
        Ok(())
    };
    organization.read(
        scanner,
        |_| Arc::clone(&request),
        &limits(&args.target),
        terminal,
        &mut merge,
        each,
    )?;
    let coverage = merge.coverage();
    connection.wait(session.note_unread(&coverage, &entered))?;
    connect::report_gaps(&coverage, terminal);
    let done = session.end(connection, coverage.interrupted, None, terminal)?;
    Ok(if !done || coverage.interrupted {
        Outcome::Failed
    } else if args.strict && !coverage.is_complete() {
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

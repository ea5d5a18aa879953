//! `palisade scan`
use super::connect::{Connection, limits};
use super::report::Outputs;
use super::selection;
use crate::Outcome;
use crate::cli::Scan;
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_core::{Assessment, Status};
use palisade_scan::Scanner;
use std::sync::Arc;

/// Assesses an account and reports.
pub fn run(args: &Scan, catalog: Arc<Catalog>, terminal: &Terminal) -> Result<Outcome, Failure> {
    let checks = selection(&args.selection).resolve(&catalog)?;
    if checks.is_empty() {
        return Err(Failure::Usage {
            message: "the selection leaves no check".to_owned(),
            hint: Some(
                "`palisade checks list` with the same flags shows what a selection holds"
                    .to_owned(),
            ),
        });
    }
    let outputs = Outputs::new(args.format, &args.output, args.all)?;
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    let connection = Connection::open(&args.target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    // what is wrong with the SQL is told before anything is asked of AWS
    let planned = scanner.plan(&checks)?;
    let mut request = planned.request();
    if args.all_tables {
        catalog
            .tables
            .keys()
            .for_each(|table| request.add_all(table));
    }
    let collected = connection.collect(&scanner, &request, &limits(&args.target), terminal)?;
    connection.save_recording(args.target.record.as_deref())?;
    let assessment = scanner.assess(
        &planned,
        collected,
        palisade_scan::Scope {
            accounts: vec![connection.account_id.clone()],
            regions: connection.regions.clone(),
        },
        palisade_query::Options {
            evidence: args.evidence,
            ..palisade_query::Options::default()
        },
    )?;
    outputs.write(&assessment, terminal)?;
    Ok(outcome(args, &assessment))
}

fn outcome(args: &Scan, assessment: &Assessment) -> Outcome {
    let failed = |least| {
        assessment
            .findings
            .iter()
            .any(|f| f.counts_as_failed() && f.severity >= least)
    };
    let unknown = assessment
        .findings
        .iter()
        .any(|f| f.status == Status::Unknown);
    if assessment.coverage.interrupted {
        Outcome::Failed
    } else if args.fail_on.is_some_and(failed) {
        Outcome::Findings
    } else if args.strict && (unknown || !assessment.coverage.is_complete()) {
        Outcome::Incomplete
    } else {
        Outcome::Done
    }
}

//! `palisade scan`
use super::connect::{Connection, limits};
use super::noise::Noise;
use super::report::Outputs;
use super::{selection, settings};
use crate::Outcome;
use crate::cli::{Global, Scan};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_core::{Assessment, Status};
use palisade_scan::Scanner;
use std::sync::Arc;

/// A scan of which every setting is known: flags, environment and configuration file.
pub struct Ready {
    pub(super) args: Scan,
    attestations: palisade_config::Attestations,
    pub(super) selection: palisade_scan::Selection,
}

impl Ready {
    /// Puts the settings together.
    ///
    /// # Errors
    /// When the configuration file, a parameter or an attestation is wrong.
    pub fn new(
        mut args: Scan,
        given: &Given,
        global: &Global,
        catalog: &Catalog,
    ) -> Result<Self, Failure> {
        let config = settings::config(global, catalog)?;
        let effective = settings::effective(&args, given, config.as_ref(), catalog)?;
        settings::apply(&effective, &mut args);
        let attestations = settings::attestations(&effective, catalog)?;
        let mut selection = selection(&args.selection);
        selection.params = settings::params(&effective);
        selection.severities = settings::severities(&effective);
        Ok(Self {
            args,
            attestations,
            selection,
        })
    }
}

/// Assesses an account and reports.
pub fn run(
    args: Scan,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let ready = Ready::new(args, given, global, &catalog)?;
    let args = &ready.args;
    let noise = Noise::read(&args.noise, &catalog, terminal)?;
    let outputs = Outputs::new(args.format, &args.output, args.all)?;
    let assessment = assess(&ready, &noise, &catalog, terminal)?;
    outputs.write(&assessment, terminal)?;
    Ok(outcome(args, &assessment))
}

/// Assesses an account.
///
/// # Errors
/// When the selection leaves nothing, there is no connection, or a check is wrong.
pub fn assess(
    ready: &Ready,
    noise: &Noise,
    catalog: &Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Assessment, Failure> {
    let Ready {
        args,
        attestations,
        selection,
    } = ready;
    let checks = selection.resolve(catalog)?;
    if checks.is_empty() {
        return Err(Failure::Usage {
            message: "the selection leaves no check".to_owned(),
            hint: Some(
                "`palisade checks list` with the same flags shows what a selection holds"
                    .to_owned(),
            ),
        });
    }
    let mut scanner = Scanner::new(Arc::clone(catalog));
    let connection = Connection::open(&args.target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    // what is wrong with the SQL is told before anything is asked of AWS
    let planned = Arc::new(scanner.plan(&checks)?);
    let mut request = planned.request();
    if args.all_tables {
        catalog
            .tables
            .keys()
            .for_each(|table| request.add_all(table));
    }
    noise.add_tags(&mut request, &scanner);
    let ahead = Arc::clone(&planned);
    // not waited for: evaluation waits for what it needs
    std::thread::spawn(move || ahead.prepare());
    let collected = connection.collect(&scanner, &request, &limits(&args.target), terminal)?;
    connection.save_recording(args.target.record.as_deref())?;
    let tags = noise.tags(&request, &scanner, &collected.dataset)?;
    let mut assessment = scanner.assess(
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
    noise.apply(&mut assessment, &tags, terminal);
    palisade_scan::roll_up(
        &mut assessment,
        catalog,
        &selection.frameworks,
        &attestations.attestations,
    );
    Ok(assessment)
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

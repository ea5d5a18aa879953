//! `palisade scan`
use super::connect::{Connecting, Connection, limits};
use super::noise::{Noise, Tags};
use super::organization::{Organization, Read, some_account};
use super::report::{Holding, Judged, Outputs};
use super::run::{self, Asked, Wanted};
use super::send::Destinations;
use super::store::{Keeping, WriteAhead};
use super::{selection, settings};
use crate::Outcome;
use crate::cli::{Global, Scan, ScanAccounts};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_collect::Early;
use palisade_config::{Given, SendSettings};
use palisade_core::{Assessment, Listing, Status};
use palisade_scan::organization::Merge;
use palisade_scan::{PlanAhead, Planned, Scanner};
use palisade_table::Table;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A scan of which every setting is known: flags, environment and configuration file.
pub struct Ready {
    pub(super) args: Scan,
    pub(super) attestations: palisade_config::Attestations,
    pub(super) selection: palisade_scan::Selection,
    pub(super) sends: BTreeMap<String, SendSettings>,
    pub(super) drift: super::drift::Chosen,
    pub(super) asked: Asked,
}

impl Ready {
    /// Says how the requirements of the selected frameworks stand, with what people attest.
    pub fn roll_up(&self, assessment: &mut Assessment, catalog: &Catalog) {
        palisade_scan::roll_up(
            assessment,
            catalog,
            &self.selection.frameworks,
            &self.attestations.attestations,
        );
    }

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
        let drift = super::drift::choose(&mut selection);
        Ok(Self {
            args,
            attestations,
            selection,
            sends: effective.sends,
            drift,
            asked: Asked::once(),
        })
    }
}

/// Assesses an account and reports.
pub fn run(
    args: ScanAccounts,
    given: &Given,
    global: &Global,
    (catalog, connecting): (Arc<Catalog>, Option<Connecting>),
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let mut ready = Ready::new(args.scan, given, global, &catalog)?;
    ready.asked = Asked::alone(&args.resume);
    let args = &ready.args;
    let noise = Noise::read(&args.noise, &catalog, terminal)?;
    let outputs = Outputs::new(args.format, &args.output, args.all)?;
    let destinations = Destinations::new(&args.send, &ready.sends)?;
    let outputs = if args.dry_run {
        dry(args, outputs)?
    } else {
        outputs
    };
    if args.target.is_recorded() && (outputs.in_s3() || destinations.in_aws()) {
        return Err(Failure::Usage {
            message: "the account is a recording: nothing can be written to it".to_owned(),
            hint: Some("write to a file, or send to a destination outside of AWS".to_owned()),
        });
    }
    let holding = match destinations.is_empty() {
        true => noise.holding(outputs.holding()),
        false => Holding::Listed(Listing::All),
    };
    let Assessed {
        judged,
        connection,
        keeping,
    } = assess(
        &ready,
        &noise,
        Some((&outputs, holding)),
        &catalog,
        connecting,
        terminal,
    )?;
    let held = terminal.holding();
    let (written, kept) = std::thread::scope(|scope| {
        let commit = || match &keeping {
            Some(keeping) => keeping.commit(&connection, &judged.assessment, &held),
            None => Ok(()),
        };
        let committing = scope.spawn(commit);
        let written = outputs.write(&judged, Some(&connection), terminal);
        (written, committing.join())
    });
    held.release();
    let kept = kept.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    // what cannot be kept keeps nobody from reading it, and an output that fails nobody from being told
    let assessment = judged.assessment;
    let sent = destinations.send(&assessment, Some(&connection), args.dry_run, terminal);
    let mut failures: Vec<Failure> = kept.err().into_iter().collect();
    // the reader has gone: what was found counts all the same
    failures.extend(written.err().filter(|failure| !failure.is_closed_pipe()));
    let outcome = match sent {
        Ok(true) => outcome(args, &assessment),
        Ok(false) => Outcome::Failed,
        Err(failure) => {
            failures.push(failure);
            Outcome::Failed
        }
    };
    // whoever called tells the last
    if let Some(last) = failures.pop() {
        failures
            .iter()
            .for_each(|failure| terminal.failure(failure));
        return Err(last);
    }
    // the process ends: giving memory back piece by piece takes as long as writing the report
    std::mem::forget((assessment, connection));
    Ok(outcome)
}

/// The outputs of a dry run: files alone, as the requests are on stdout and nothing is written elsewhere.
fn dry(args: &Scan, outputs: Outputs) -> Result<Outputs, Failure> {
    let wrong = |message: &str, hint: &str| {
        Err(Failure::Usage {
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        })
    };
    if args.send.is_empty() {
        return wrong(
            "`--dry-run` shows what `--send` would send, and nothing is to be sent",
            "name a destination with `--send NAME`",
        );
    }
    if outputs.in_s3() {
        return wrong(
            "`--dry-run` changes nothing, and an output is an object in S3",
            "write the report to a file",
        );
    }
    if args.output.is_empty() {
        return Ok(Outputs::none());
    }
    if outputs.on_stdout() {
        return wrong(
            "`--dry-run` prints requests on stdout, and so does an output",
            "write the report to a file: `--output FORMAT=PATH`",
        );
    }
    Ok(outputs)
}

/// What was done with tables of an account while others were read.
#[derive(Default)]
struct Ahead {
    judged: Option<palisade_query::Early>,
    written: Option<WriteAhead>,
}

/// Tables are judged, and written where they are kept.
struct Both<'a>(&'a dyn Early, Option<&'a WriteAhead>);

impl Early for Both<'_> {
    fn whole(&self, account_id: &str, table: Table) {
        if let Some(writing) = self.1 {
            writing.whole(account_id, table.clone());
        }
        self.0.whole(account_id, table);
    }
}

/// An account, or many, after a scan.
pub struct Assessed {
    pub judged: Judged,
    pub connection: Connection,
    /// The snapshot that holds it, until it is committed seen by nobody.
    pub keeping: Option<Keeping>,
}

/// Assesses an account, to which a connection may be on its way. The findings of an organisation are held as the outputs
/// need them.
///
/// # Errors
/// When the selection leaves nothing, there is no connection, an output has no bucket, or a check is wrong.
pub fn assess(
    ready: &Ready,
    noise: &Noise,
    outputs: Option<(&Outputs, Holding)>,
    catalog: &Arc<Catalog>,
    connecting: Option<Connecting>,
    terminal: &Terminal,
) -> Result<Assessed, Failure> {
    let Ready {
        args,
        selection,
        drift,
        asked,
        ..
    } = ready;
    let checks = match drift.only {
        true => Vec::new(),
        false => selection.resolve(catalog)?,
    };
    if checks.is_empty() && !drift.only {
        return Err(Failure::Usage {
            message: "the selection leaves no check".to_owned(),
            hint: Some(
                "`palisade checks list` with the same flags shows what a selection holds"
                    .to_owned(),
            ),
        });
    }
    let mut scanner = match &connecting {
        Some(connecting) => {
            Scanner::with_models(Arc::clone(catalog), Arc::clone(connecting.models()))
        }
        None => Scanner::new(Arc::clone(catalog)),
    };
    // what is wrong with the SQL is told before anything is asked of the account
    let mut request = scanner.request(&checks)?;
    if args.all_tables {
        catalog
            .tables
            .keys()
            .for_each(|table| request.add_all(table));
    }
    noise.add_tags(&mut request, &scanner);
    // which calls to make is thought about while AWS says whose credentials these are
    let mut connection = std::thread::scope(|scope| {
        scope.spawn(|| scanner.think_ahead(&request));
        match connecting {
            Some(connecting) => connecting.wait(&args.target, terminal),
            None => Connection::open(&args.target, scanner.models(), terminal),
        }
    })?;
    if let Some((outputs, _)) = outputs {
        outputs.probe(&connection)?;
    }
    let keeping = Keeping::open(args, &connection, catalog, terminal)?;
    if keeping.is_none() && asked.resume().is_some() {
        return Err(nothing_to_resume());
    }
    let (mut known, mut single) = (None, None);
    if let Some(keeping) = &keeping {
        match args.organization.is_asked() {
            true => known = keeping.known_run(&connection, asked)?,
            false => single = keeping.known_single(&connection, asked, true)?,
        }
    }
    let plan = known.as_ref().map(palisade_store::Run::plan);
    if let Some(plan) = plan.or(single.as_ref()) {
        // ages are counted from when it began
        connection.now = plan.started_at;
    }
    scanner.set_now(connection.now);
    if drift.only {
        let Some(keeping) = &keeping else {
            return Err(super::drift::nothing_pinned());
        };
        keeping.add_baseline(&connection, &mut request)?;
        noise.add_tags(&mut request, &scanner);
    }
    let scanner = Arc::new(scanner);
    let options = palisade_query::Options {
        evidence: args.evidence,
        ..palisade_query::Options::default()
    };
    let wanted = Wanted {
        target: &args.target,
        organization: &args.organization,
        request: &request,
        catalog,
        judged: Some(format!("{selection:?} {} {}", args.evidence, drift.wanted)),
    };
    if let (Some(keeping), false) = (&keeping, args.organization.is_asked()) {
        keeping.begin_single(&mut connection, asked, &wanted, single, terminal)?;
    }
    let connection = connection;
    let one = |planned: &Planned, read: Read, is_new: bool, ahead: Ahead| {
        let tags = noise.tags(&request, &scanner, &read.collected.dataset)?;
        let account_id = read.account_id.clone();
        let kept = keeping.as_ref().map(|_| read.collected.dataset.clone());
        let scope = palisade_scan::Scope {
            accounts: vec![read.account_id],
            regions: read.regions,
        };
        let judged = ahead.judged;
        let mut assessment =
            scanner.assess_rest(planned, read.collected, scope, options, judged)?;
        if let (true, Some(keeping), Some(dataset)) = (drift.wanted, &keeping, &kept) {
            keeping.hold(&connection, dataset, &mut assessment, &scanner)?;
        }
        if let (true, Some(keeping), Some(dataset)) = (is_new, &keeping, &kept) {
            let written = ahead.written;
            keeping.account(
                &connection,
                &account_id,
                dataset,
                &assessment,
                written,
                terminal,
            )?;
        }
        Ok::<_, Failure>((assessment, tags))
    };
    let limits = limits(&args.target);
    let (mut judged, tags) = if args.organization.is_asked() {
        let mut organization = Organization::with(
            &connection,
            &args.target,
            &args.organization,
            (
                known.as_ref().map(|run| run::planned(run.plan())),
                asked.journal() && keeping.is_some(),
            ),
            terminal,
        )?;
        if let Some(keeping) = &keeping {
            let known = known.as_ref();
            keeping.begin(
                &connection,
                asked,
                &wanted,
                known,
                &mut organization,
                terminal,
            )?;
        }
        let wanted = Arc::new(request.clone());
        let planning = PlanAhead::start(Arc::clone(&scanner), checks);
        let mut merge = match outputs {
            Some((_, Holding::Apart)) => Merge::spooling(),
            Some((_, Holding::Listed(listing))) => Merge::listing(listing),
            None => Merge::default(),
        };
        let mut tags = Tags::new();
        let (mut planning, mut planned, mut read) = (Some(planning), None, 0);
        let schemas = palisade_query::CatalogSchemas::new(
            Arc::clone(scanner.catalog()),
            Arc::clone(scanner.models()),
        );
        let session = keeping.as_ref().and_then(Keeping::session);
        if let (Some(session), true) = (session, known.is_some()) {
            let (accounts, snapshot) = connection.wait(session.before())?;
            for account_id in accounts {
                if let Some(planning) = planning.take() {
                    planned = Some(planning.wait(&request)?);
                }
                let before = session.account_before(&snapshot, account_id, &schemas);
                let (collected, regions) = connection.wait(before)?;
                let account = Read {
                    account_id: account_id.clone(),
                    regions,
                    collected,
                    api: None,
                };
                if let Some(planned) = &planned {
                    let (part, more) = one(planned, account, false, Ahead::default())?;
                    merge.add(part)?;
                    tags.extend(more);
                    read += 1;
                }
            }
        }
        let each = |merge: &mut Merge, account| {
            if let Some(planning) = planning.take() {
                planned = Some(planning.wait(&request)?);
            }
            if let Some(planned) = &planned {
                let (part, more) = one(planned, account, true, Ahead::default())?;
                merge.add(part)?;
                tags.extend(more);
                read += 1;
            }
            Ok(())
        };
        organization.read(
            &scanner,
            |_| Arc::clone(&wanted),
            &limits,
            terminal,
            &mut merge,
            each,
        )?;
        let apart = merge.spool();
        let assessment = merge.finish(connection.now);
        some_account(read, &assessment.coverage)?;
        (Judged { assessment, apart }, tags)
    } else {
        let (planning, judging) = PlanAhead::judging(Arc::clone(&scanner), checks, options);
        let before = match &keeping {
            Some(keeping) => keeping.before(&connection, &scanner)?,
            None => None,
        };
        let is_new = before.is_none();
        let writing = keeping.as_ref().filter(|_| is_new);
        let writing = writing.map(|keeping| keeping.ahead(&connection));
        let (collected, regions) = match before {
            Some(before) => before,
            None => {
                let both = Both(judging.tables(), writing.as_ref());
                let collected =
                    connection.collect_telling(&scanner, &request, &limits, terminal, &both)?;
                (collected, connection.regions.clone())
            }
        };
        let planned = planning.wait(&request)?;
        connection.save_recording(args.target.record.as_deref())?;
        let read = Read {
            regions,
            ..Read::of(&connection, collected)?
        };
        let ahead = Ahead {
            judged: judging.wait(),
            written: writing,
        };
        let tables = read.collected.dataset.clone();
        let (assessment, tags) = one(&planned, read, is_new, ahead)?;
        // the process ends soon: giving hundreds of plans and tables back piece by piece takes longer than reporting
        std::mem::forget((planned, tables, Arc::clone(&scanner)));
        (Judged::whole(assessment), tags)
    };
    if let Some(keeping) = &keeping {
        keeping.remember(&connection, &mut judged, &scanner, terminal)?;
    }
    noise.apply_to(&mut judged, &tags, terminal)?;
    ready.roll_up(&mut judged.assessment, catalog);
    judged.list(outputs.map_or(Listing::All, |(outputs, _)| outputs.listing()))?;
    Ok(Assessed {
        judged,
        connection,
        keeping,
    })
}

fn nothing_to_resume() -> Failure {
    Failure::Usage {
        message: "`--resume` goes on with a scan whose snapshot is kept".to_owned(),
        hint: Some("give the flags that it was begun with, with `--store`".to_owned()),
    }
}

pub(super) fn outcome(args: &Scan, assessment: &Assessment) -> Outcome {
    let failed = |least| {
        let mut listed = assessment.findings.iter();
        let mut counted = assessment.counted.kinds();
        listed.any(|f| f.counts_as_failed() && f.severity >= least)
            || counted.any(|k| k.status == Status::Fail && k.severity >= least)
    };
    let mut listed = assessment.findings.iter();
    let unknown =
        assessment.counted.of(Status::Unknown) > 0 || listed.any(|f| f.status == Status::Unknown);
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

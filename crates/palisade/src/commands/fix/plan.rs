//! `palisade fix plan`
use super::rows::{Wanted, row_of};
use super::uses::Queries;
use crate::Outcome;
use crate::cli::{FixPlan, Format, Global, ListFormat, OrganizationArgs, Scan, StoreArgs};
use crate::commands::connect::{Connection, limits};
use crate::commands::noise::Noise;
use crate::commands::scan::Ready;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::{Catalog, Check, Risk};
use palisade_config::Given;
use palisade_core::{Finding, Status, Timestamp};
use palisade_fix::{Candidate, Options, Protection, Tags};
use palisade_scan::Scanner;
use std::sync::Arc;

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// Makes a plan.
pub fn run(
    args: FixPlan,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let most_risk: Risk = args.max_risk.parse().map_err(|()| Failure::Usage {
        message: format!("unknown risk `{}`", args.max_risk),
        hint: Some("`none`, `brief-interruption` or `may-break-access`".to_owned()),
    })?;
    FileOutput::probe(&args.output)?;
    let mut target = args.target;
    let config = super::super::settings::config(global, &catalog)?;
    let settings =
        palisade_config::Settings::merge(given, config.as_ref(), target.is_recorded(), &[]);
    let protection = super::protection(&args.protect, &settings);
    let scan = Scan {
        store: StoreArgs::default(),
        no_snapshot: true,
        selection: args.selection,
        target: std::mem::take(&mut target),
        organization: OrganizationArgs::default(),
        format: Format::Json,
        output: Vec::new(),
        all: false,
        evidence: true,
        param: args.param,
        attestations: None,
        noise: args.noise,
        fail_on: None,
        strict: false,
        send: Vec::new(),
        all_tables: false,
    };
    let ready = Ready::new(scan, given, global, &catalog)?;
    let noise = Noise::read(&ready.args.noise, &catalog, terminal)?;
    let checks = ready.selection.resolve(&catalog)?;
    if checks.is_empty() {
        return Err(Failure::Usage {
            message: "the selection leaves no check".to_owned(),
            hint: None,
        });
    }
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    let connection = Connection::open(&ready.args.target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    let planned = scanner.plan(&checks)?;
    let mut request = planned.request();
    let wanted = Wanted::of(&checks, &catalog, &scanner);
    wanted.add_to(&mut request);
    let uses = Queries::of(&checks, &catalog, &scanner)?;
    uses.add_to(&mut request);
    noise.add_tags(&mut request, &scanner);
    let collected =
        connection.collect(&scanner, &request, &limits(&ready.args.target), terminal)?;
    if collected.coverage.interrupted {
        return Err(Failure::Usage {
            message: "the scan was stopped before it ended; no plan was made".to_owned(),
            hint: None,
        });
    }
    let rows = wanted.read(&catalog, &scanner, &collected.dataset)?;
    let used = uses.read(&scanner, &collected.dataset)?;
    let tags = noise.tags(&request, &scanner, &collected.dataset)?;
    let mut assessment = scanner.assess(
        &planned,
        collected,
        palisade_scan::Scope {
            accounts: vec![connection.account_id.clone()],
            regions: connection.regions.clone(),
        },
        palisade_query::Options {
            evidence: true,
            ..palisade_query::Options::default()
        },
    )?;
    noise.apply(&mut assessment, &tags, terminal);
    let only = Protection {
        resources: args.resource.clone(),
        tags: Vec::new(),
    };
    let is_wanted = |f: &Finding| {
        args.resource.is_empty() || only.why(&f.resource, &f.resource_id, &Tags::None).is_some()
    };
    let mut candidates = Vec::new();
    let mut unknown = Vec::new();
    for finding in assessment.findings.into_iter().filter(is_wanted) {
        if finding.status == Status::Unknown && finding.muted.is_none() {
            unknown.push(finding);
        } else if finding.counts_as_failed()
            && let Some(check) = check_of(&finding, &checks)
        {
            let row = row_of(&finding, &rows, &wanted);
            candidates.push(Candidate {
                catalog_id: catalog_id(&check, &catalog),
                check,
                row: row.columns,
                tags: row.tags,
                uses: used.by(&finding),
                finding,
            });
        }
    }
    let valid = i64::from(args.valid) * MICROS_PER_HOUR;
    let options = Options {
        now: connection.now,
        expires: Timestamp::from_micros(connection.now.as_micros().saturating_add(valid)),
        accounts: vec![connection.account_id.clone()],
        regions: connection.regions.clone(),
        planned_by: connection.caller.clone(),
        protection,
        most_risk,
        retirement: None,
    };
    let Some(api) = connection.api() else {
        return Ok(Outcome::Failed);
    };
    let plan = connection.block_on(palisade_fix::plan(
        &candidates,
        &unknown,
        &catalog,
        scanner.models(),
        &|account| (account == connection.account_id).then(|| Arc::clone(&api)),
        &options,
    ))?;
    connection.save_recording(ready.args.target.record.as_deref())?;
    let json = plan.to_json();
    FileOutput::write(&args.output, |out| out.write_all(json.as_bytes()))?.persist()?;
    let shown = match args.format {
        ListFormat::Json => json,
        ListFormat::Text => palisade_fix::plan_text(&plan),
    };
    to_stdout(|out| out.write_all(shown.as_bytes()))?;
    if !plan.items.is_empty() {
        terminal.note(&format!(
            "nothing was changed; `palisade fix apply {}` shows what would be sent and asks",
            args.output.display()
        ));
    }
    Ok(Outcome::Done)
}

/// The check that a finding is of: several may answer to one foreign id.
fn check_of(finding: &Finding, checks: &[Arc<Check>]) -> Option<Arc<Check>> {
    let same = |c: &&Arc<Check>| c.id == finding.check.as_ref();
    let of_type = |c: &&Arc<Check>| c.resource == finding.resource_type.as_ref();
    checks
        .iter()
        .find(|c| same(c) && of_type(c))
        .or_else(|| checks.iter().find(same))
        .cloned()
}

/// A check that answers to another tool's id has that id; its page has its own.
fn catalog_id(check: &Check, catalog: &Catalog) -> String {
    let own = catalog.checks.values().find(|c| c.file == check.file);
    own.map_or_else(|| check.id.clone(), |c| c.id.clone())
}

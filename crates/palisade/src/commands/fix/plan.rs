//! `palisade fix plan`
use super::rows::{Rows, Wanted, row_of};
use super::uses::{Queries, Used};
use crate::Outcome;
use crate::cli::{FixPlan, Format, Global, ListFormat, Scan, StoreArgs};
use crate::commands::connect::{Connection, limits};
use crate::commands::noise::{Noise, Tags as AccountTags};
use crate::commands::organization::{Organization, Read, some_account};
use crate::commands::scan::Ready;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::{Catalog, Check, Risk};
use palisade_config::Given;
use palisade_core::{Finding, Status, Timestamp};
use palisade_fix::{Candidate, FixError, Options, Protection, Tags};
use palisade_model::{Api, Models};
use palisade_scan::Scanner;
use palisade_scan::organization::Merge;
use std::collections::BTreeMap;
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
    let config = super::super::settings::config(global, &catalog)?;
    let settings =
        palisade_config::Settings::merge(given, config.as_ref(), args.target.is_recorded(), &[]);
    let protection = super::protection(&args.protect, &settings);
    let scan = Scan {
        store: StoreArgs::default(),
        no_snapshot: true,
        dry_run: false,
        selection: args.selection,
        target: args.target,
        organization: args.organization,
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
    refuse_values(&checks, scanner.models())?;
    let connection = Connection::open(&ready.args.target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    let planned = scanner.plan(&checks)?;
    let mut request = planned.request();
    let wanted = Wanted::of(&checks, &catalog, &scanner);
    wanted.add_to(&mut request);
    let uses = Queries::of(&checks, &catalog, &scanner)?;
    uses.add_to(&mut request);
    noise.add_tags(&mut request, &scanner);
    let limits = limits(&ready.args.target);
    let scanner = Arc::new(scanner);
    let mut all = All::default();
    let mut merge = Merge::default();
    let mut add = |merge: &mut Merge, read: Read| {
        all.rows
            .extend(wanted.read(&catalog, &scanner, &read.collected.dataset)?);
        all.used
            .add(uses.read(&read.account_id, &scanner, &read.collected.dataset)?);
        all.tags
            .extend(noise.tags(&request, &scanner, &read.collected.dataset)?);
        let api = read.api.clone();
        all.apis
            .extend(api.map(|api| (read.account_id.clone(), api)));
        let scope = palisade_scan::Scope {
            accounts: vec![read.account_id],
            regions: read.regions,
        };
        let options = palisade_query::Options {
            evidence: true,
            // what a fix block names of it must not be cut
            whole: true,
            ..palisade_query::Options::default()
        };
        merge.add(scanner.assess(&planned, read.collected, scope, options)?)?;
        Ok::<_, Failure>(())
    };
    if ready.args.organization.is_asked() {
        let flags = &ready.args.organization;
        let accounts = Organization::open(&connection, &ready.args.target, flags, terminal)?;
        let wanted = Arc::new(request.clone());
        let ask = |_: &str| Arc::clone(&wanted);
        accounts.read(&scanner, ask, &limits, terminal, &mut merge, add)?;
    } else {
        let collected = connection.collect(&scanner, &request, &limits, terminal)?;
        add(&mut merge, Read::of(&connection, collected)?)?;
    }
    let mut assessment = merge.finish(connection.now);
    some_account(all.apis.len(), &assessment.coverage)?;
    if assessment.coverage.interrupted {
        return Err(Failure::Usage {
            message: "the scan was stopped before it ended; no plan was made".to_owned(),
            hint: None,
        });
    }
    for account in assessment.unread_accounts() {
        terminal.warn(&format!(
            "nothing could be read of account {account}: the plan says nothing about it"
        ));
    }
    noise.apply(&mut assessment, &all.tags, terminal);
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
            let row = row_of(&finding, &all.rows, &wanted);
            candidates.push(Candidate {
                catalog_id: catalog_id(&check, &catalog),
                check,
                row: row.columns,
                tags: row.tags,
                uses: all.used.by(&finding),
                finding,
            });
        }
    }
    let valid = i64::from(args.valid) * MICROS_PER_HOUR;
    let options = Options {
        now: connection.now,
        expires: Timestamp::from_micros(connection.now.as_micros().saturating_add(valid)),
        accounts: assessment.accounts,
        regions: assessment.regions,
        planned_by: connection.caller.clone(),
        protection,
        most_risk,
        retirement: None,
    };
    let plan = connection.block_on(palisade_fix::plan(
        &candidates,
        &unknown,
        &catalog,
        scanner.models(),
        &|account| all.apis.get(account).cloned(),
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

/// Refuses values of parameters that AWS would refuse, before anything is asked of it.
fn refuse_values(checks: &[Arc<Check>], models: &Models) -> Result<(), Failure> {
    let constraints = models.constraints().map_err(FixError::from)?;
    let mut refused = Vec::new();
    let mut first = None;
    for check in checks {
        for call in &check.fix_calls {
            let value = |name: &str| check.params.get(name).map(|p| p.default.to_json());
            for value in call.values_not_taken(&constraints, value) {
                let name = value.parameter.as_deref().unwrap_or_default();
                first.get_or_insert_with(|| format!("{}.{name}", check.id));
                refused.push(format!("parameter of `{}`: {value}", check.id));
            }
        }
    }
    let Some(first) = first else {
        return Ok(());
    };
    Err(Failure::Usage {
        message: refused.join("; "),
        hint: Some(format!(
            "`--param {first}=VALUE`, or its place in `palisade.toml`, says another one"
        )),
    })
}

/// What is known of all accounts.
#[derive(Default)]
struct All {
    rows: Rows,
    used: Used,
    tags: AccountTags,
    /// Answers for each account.
    apis: BTreeMap<String, Arc<dyn Api>>,
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

//! `palisade respond`
mod report;
mod steps;

use crate::Outcome;
use crate::cli::{Global, Respond, RespondRun};
use crate::commands::connect::{Connection, limits};
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::{Catalog, Playbook, Risk, StepKind};
use palisade_collect::{ColumnSelection, Request};
use palisade_config::{Given, Settings};
use palisade_core::Timestamp;
use palisade_fix::{FixError, Options};
use palisade_model::Models;
use palisade_scan::Scanner;
use report::{Incident, StepRecord};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use steps::Values;

/// Hours in which the plan of a response may be applied.
const VALID: i64 = 24;
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// Runs one of the commands.
pub fn run(
    command: Respond,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    match command {
        Respond::List => to_stdout(|out| {
            for playbook in catalog.playbooks.values() {
                writeln!(
                    out,
                    "{:26} {:9} {}",
                    playbook.id, playbook.severity, playbook.title
                )?;
            }
            Ok(())
        })
        .map(|()| Outcome::Done),
        Respond::Show { playbook } => {
            let text = report::page(find(&catalog, &playbook)?.as_ref());
            to_stdout(|out| out.write_all(text.as_bytes()))?;
            Ok(Outcome::Done)
        }
        Respond::Run(args) => respond(*args, false, given, global, &catalog, terminal),
        Respond::Drill(args) => respond(*args, true, given, global, &catalog, terminal),
        Respond::Report { folder } => {
            let incident = Incident::read(&folder)?;
            let text = write_report(&folder, &incident, &catalog)?;
            to_stdout(|out| out.write_all(text.as_bytes()))?;
            Ok(Outcome::Done)
        }
    }
}

fn find(catalog: &Catalog, id: &str) -> Result<Arc<Playbook>, Failure> {
    catalog.playbooks.get(id).cloned().ok_or_else(|| {
        let similar = palisade_catalog::similar(id, catalog.playbooks.keys().map(String::as_str));
        let list = "`palisade respond list` prints all playbooks";
        Failure::Usage {
            message: format!("unknown playbook `{id}`"),
            hint: Some(match similar.as_slice() {
                [] => list.to_owned(),
                some => format!("did you mean `{}`? {list}", some.join("` or `")),
            }),
        }
    })
}

/// Evidence, plan, report.
fn respond(
    args: RespondRun,
    drill: bool,
    given: &Given,
    global: &Global,
    catalog: &Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let playbook = find(catalog, &args.playbook)?;
    let mut target = args.target;
    let elsewhere =
        target.profile.is_some() || target.role_arn.is_some() || target.endpoint_url.is_some();
    target.demo |= drill && !elsewhere;
    let mut values = parameters(&playbook, &args.param, drill)?;
    refuse_values(&playbook, &values)?;
    let config = super::settings::config(global, catalog)?;
    super::settings::connect(&mut target, given, global, catalog)?;
    let settings = Settings::merge(given, config.as_ref(), target.demo, &[]);
    let protection = super::fix::protection(&args.protect, &settings);
    let mut scanner = Scanner::new(Arc::clone(catalog));
    // what is wrong with the SQL is told before anything is asked of AWS
    values.insert("now".to_owned(), "2026-01-01T00:00:00Z".to_owned());
    let request = request(&playbook, &values, &scanner)?;
    let connection = Connection::open(&target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    values.insert("now".to_owned(), connection.now.to_string());
    let folder = folder(args.output, &playbook.id, connection.now)?;
    let collected = connection.collect(&scanner, &request, &limits(&target), terminal)?;
    super::connect::report_gaps(&collected.coverage, terminal);

    let mut records = Vec::new();
    let mut candidates = Vec::new();
    for (index, step) in playbook.steps.iter().enumerate() {
        let record = match &step.kind {
            StepKind::Query(sql) => {
                let rows = scanner.query(&values.sql(sql), &collected.dataset)?;
                evidence(
                    &folder,
                    index,
                    &rows.to_json_lines(),
                    &collected.coverage.failures,
                )?
            }
            StepKind::Change { call, rows } => {
                let found = match rows {
                    Some(sql) => steps::rows(
                        &scanner
                            .query(&values.sql(sql), &collected.dataset)?
                            .to_json_lines(),
                    ),
                    None => vec![steps::one(&connection, &values)],
                };
                let count = found.len();
                candidates.extend(found.into_iter().map(|row| {
                    steps::candidate(&playbook, index, step, call, row, &values, &connection)
                }));
                StepRecord::Change { targets: count }
            }
            StepKind::Checklist(_) => StepRecord::Checklist,
        };
        records.push(record);
    }
    let options = Options {
        now: connection.now,
        expires: Timestamp::from_micros(connection.now.as_micros() + VALID * MICROS_PER_HOUR),
        accounts: vec![connection.account_id.clone()],
        regions: connection.regions.clone(),
        planned_by: connection.caller.clone(),
        protection,
        most_risk: Risk::MayBreakAccess,
        retirement: None,
    };
    let Some(api) = connection.api() else {
        return Ok(Outcome::Failed);
    };
    let plan = connection.block_on(palisade_fix::plan(
        &candidates,
        &[],
        catalog,
        scanner.models(),
        &|account| (account == connection.account_id).then(|| Arc::clone(&api)),
        &options,
    ))?;
    write(&folder.join("plan.json"), &plan.to_json())?;
    let incident = Incident {
        playbook: playbook.id.clone(),
        drill,
        begun: connection.now,
        account_id: connection.account_id.clone(),
        regions: connection.regions.clone(),
        who: connection.caller.clone(),
        params: values.into_inner(),
        steps: records,
        gaps: collected
            .coverage
            .failures
            .iter()
            .map(|(error, times)| format!("{error} in {} ({times} times)", error.region))
            .collect(),
    };
    incident.write(&folder)?;
    write_report(&folder, &incident, catalog)?;
    let shown = palisade_fix::plan_text(&plan);
    to_stdout(|out| out.write_all(shown.as_bytes()))?;
    let runs = folder.join("runs");
    terminal.note(&format!(
        "evidence, plan and report are in {0}; nothing was changed. To act: `palisade fix apply {0}/plan.json --runs {1}`, then `palisade respond report {0}`",
        folder.display(),
        runs.display()
    ));
    Ok(if collected.coverage.interrupted {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

/// What the steps read.
fn request(playbook: &Playbook, values: &Values, scanner: &Scanner) -> Result<Request, Failure> {
    let mut request = Request::default();
    for step in &playbook.steps {
        let sql = match &step.kind {
            StepKind::Query(sql) => Some(sql),
            StepKind::Change { rows, .. } => rows.as_ref(),
            StepKind::Checklist(_) => None,
        };
        if let Some(sql) = sql {
            for (table, columns) in &scanner.columns_of(&values.sql(sql))?.tables {
                match columns {
                    ColumnSelection::All => request.add_all(table),
                    ColumnSelection::Some(some) => {
                        request.add(table, some.iter().map(String::as_str));
                    }
                }
            }
        }
    }
    Ok(request)
}

/// What was given, and in a drill what the playbook says for what was not.
fn parameters(playbook: &Playbook, given: &[String], drill: bool) -> Result<Values, Failure> {
    let mut values = BTreeMap::new();
    for text in given {
        let known = text
            .split_once('=')
            .filter(|(name, value)| playbook.params.contains_key(*name) && !value.is_empty());
        let Some((name, value)) = known else {
            let names: Vec<&str> = playbook.params.keys().map(String::as_str).collect();
            return Err(Failure::Usage {
                message: format!("`{text}` is no parameter of `{}`", playbook.id),
                hint: Some(match names.as_slice() {
                    [] => "the playbook has no parameters".to_owned(),
                    some => format!("`--param NAME=VALUE` with `{}`", some.join("`, `")),
                }),
            });
        };
        values.insert(name.to_owned(), value.to_owned());
    }
    for (name, parameter) in &playbook.params {
        if values.contains_key(name) {
            continue;
        }
        if !drill {
            return Err(Failure::Usage {
                message: format!("`{}` needs `--param {name}=…`", playbook.id),
                hint: Some(parameter.about.clone()),
            });
        }
        if let Some(value) = parameter.default.to_json().as_str() {
            values.insert(name.clone(), value.to_owned());
        }
    }
    Ok(Values::new(values))
}

/// Refuses values that AWS would refuse, before anything is asked of it.
fn refuse_values(playbook: &Playbook, values: &Values) -> Result<(), Failure> {
    let constraints = Models::embedded().constraints().map_err(FixError::from)?;
    let value = |name: &str| values.get(name).map(Json::from);
    for step in &playbook.steps {
        let StepKind::Change { call, .. } = &step.kind else {
            continue;
        };
        if let Some(refused) = call.values_not_taken(&constraints, value).first() {
            let name = refused.parameter.as_deref().unwrap_or_default();
            return Err(Failure::Usage {
                message: format!("parameter of `{}`: {refused}", playbook.id),
                hint: playbook.params.get(name).map(|p| p.about.clone()),
            });
        }
    }
    Ok(())
}

fn folder(asked: Option<PathBuf>, id: &str, now: Timestamp) -> Result<PathBuf, Failure> {
    let stamp: String = now
        .to_string()
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    let path =
        asked.unwrap_or_else(|| Path::new("palisade-incidents").join(format!("{stamp}-{id}")));
    if path.exists() {
        return Err(Failure::Usage {
            message: format!("`{}` exists: evidence is not overwritten", path.display()),
            hint: Some("`--output DIR` takes a new folder".to_owned()),
        });
    }
    let evidence = path.join("evidence");
    std::fs::create_dir_all(&evidence).map_err(|source| Failure::Output {
        what: format!("`{}`", evidence.display()),
        source,
    })?;
    Ok(path)
}

/// Keeps rows, with their hash.
fn evidence(
    folder: &Path,
    index: usize,
    rows: &str,
    failures: &[(palisade_core::CallError, usize)],
) -> Result<StepRecord, Failure> {
    let file = format!("evidence/{:02}.jsonl", index + 1);
    write(&folder.join(&file), rows)?;
    Ok(StepRecord::Evidence {
        file,
        rows: rows.lines().count(),
        sha256: palisade_fix::sha256(rows.as_bytes()),
        complete: failures.is_empty(),
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    FileOutput::write(path, |out| out.write_all(text.as_bytes()))?.persist()
}

fn write_report(folder: &Path, incident: &Incident, catalog: &Catalog) -> Result<String, Failure> {
    let playbook = find(catalog, &incident.playbook)?;
    let plan = super::fix::read_plan(&folder.join("plan.json"))?;
    let mut runs = Vec::new();
    let mut damaged = Vec::new();
    for run in palisade_fix::list_runs(&folder.join("runs"))? {
        match run {
            Ok(run) => runs.push(run),
            Err(why) => damaged.push(why.to_string()),
        }
    }
    let text = report::render(&playbook, incident, &plan, &runs, &damaged);
    write(&folder.join("report.md"), &text)?;
    Ok(text)
}

//! `palisade doctor`
use super::connect::{client_config, runtime, system_time};
use super::{selection, settings, sources};
use crate::Outcome;
use crate::cli::{Doctor, Global, ListFormat};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_aws::{Client, ConnectError};
use palisade_catalog::{Catalog, DiagnosticLevel, Source};
use palisade_config::{Config, ConfigError, Given, Settings};
use palisade_doctor::{Answers, Caller, Examination, State};
use palisade_model::Models;
use palisade_scan::Scanner;
use serde_json::json;
use std::sync::Arc;

/// Where the models are from; the version of botocore has its day in it.
const MODELS: &str = include_str!("../../../../catalog/models/models.toml");
/// Lines of details that are printed; JSON has all.
const LISTED: usize = 12;

/// Examines one thing after the other; what depends on something broken is not examined.
pub fn run(
    mut args: Doctor,
    given: &Given,
    global: &Global,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    if args.target.is_recorded() {
        return Err(Failure::Usage {
            message: "the account is a recording: nothing about it can be broken".to_owned(),
            hint: None,
        });
    }
    let mut found = vec![versions()];
    let (catalog, examined) = catalogue(global)?;
    found.push(examined);
    let (config, examined) = configuration(global, &catalog);
    found.push(examined);
    found.extend(proxies());
    let effective = settings::merged(&mut args.target, given, config.as_ref());
    args.selection = settings::selection(&effective);
    let mut selection = selection(&args.selection);
    selection.params = settings::params(&effective);
    let checks = selection.resolve(&catalog)?;
    let scanner = Scanner::new(Arc::new(catalog));
    let (mut actions, mut apis) = (scanner.permissions(&checks)?, scanner.apis(&checks)?);
    for action in written(&effective) {
        apis.extend(action.split_once(':').map(|(api, _)| api.to_owned()));
        actions.push(action.to_owned());
    }
    for list in [&mut actions, &mut apis] {
        list.sort();
        list.dedup();
    }
    account(&args, &scanner, &actions, &apis, &mut found)?;
    let broken = found.iter().any(|e| e.state == State::Broken);
    match args.format {
        ListFormat::Json => to_stdout(|out| {
            let report = json!({ "fine": !broken, "examinations": found });
            serde_json::to_writer_pretty(&mut *out, &report)?;
            writeln!(out)
        })?,
        ListFormat::Text => to_stdout(|out| {
            for examination in &found {
                print(examination, out)?;
            }
            Ok(())
        })?,
    }
    let count = |state| found.iter().filter(|e| e.state == state).count();
    terminal.note(&format!(
        "{} examinations: {} broken, {} warnings",
        found.len(),
        count(State::Broken),
        count(State::Warning)
    ));
    Ok(if broken {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

fn print(examination: &Examination, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let Examination {
        subject,
        state,
        message,
        details,
        hint,
    } = examination;
    let printable = palisade_report::printable;
    writeln!(
        out,
        "{:<13} {subject:<14} {}",
        state.as_str(),
        printable(message)
    )?;
    let indent = " ".repeat(29);
    for line in details.iter().take(LISTED) {
        writeln!(out, "{indent}{}", printable(line))?;
    }
    if details.len() > LISTED {
        writeln!(
            out,
            "{indent}and {} more; --format json has all",
            details.len() - LISTED
        )?;
    }
    if let Some(hint) = hint {
        writeln!(out, "{indent}hint: {hint}")?;
    }
    Ok(())
}

/// The actions that the configured destinations and outputs take. (Their APIs have the actions' prefixes as names.)
fn written(settings: &Settings) -> Vec<&'static str> {
    let mut actions = Vec::new();
    for name in settings.texts("report.send") {
        let kind = settings.sends.get(&name).map_or(name.as_str(), |s| s.kind);
        actions.extend_from_slice(match kind {
            "securityhub" => &[
                "securityhub:BatchImportFindings",
                "securityhub:BatchUpdateFindings",
                "securityhub:GetFindings",
            ][..],
            "sns" => &["sns:Publish"],
            "eventbridge" => &["events:PutEvents"],
            _ => &[],
        });
    }
    let outputs = settings.texts("report.output");
    if outputs.iter().any(|o| o.contains("s3://")) {
        actions.push("s3:PutObject");
    }
    actions
}

fn versions() -> Examination {
    let botocore = MODELS
        .lines()
        .find_map(|l| l.strip_prefix("botocore = "))
        .map_or("unknown", |v| v.trim_matches('"'));
    let message = format!(
        "palisade {}, API models of botocore {botocore}",
        env!("CARGO_PKG_VERSION")
    );
    Examination::new("version", State::Fine, message)
}

/// The catalogue as far as it could be read.
fn catalogue(global: &Global) -> Result<(Catalog, Examination), Failure> {
    let loaded = palisade_catalog::load(&sources(Source::embedded(), global)?);
    let errors: Vec<String> = loaded
        .diagnostics
        .iter()
        .filter(|d| d.level == DiagnosticLevel::Error)
        .map(ToString::to_string)
        .collect();
    let catalog = loaded.catalog;
    let message = format!(
        "{} checks, {} tables, {} frameworks",
        catalog.checks.len(),
        catalog.tables.len(),
        catalog.frameworks.len()
    );
    let examined = if errors.is_empty() {
        Examination::new("catalogue", State::Fine, message)
    } else {
        let message = format!("{} errors; without what has them: {message}", errors.len());
        Examination::new("catalogue", State::Broken, message).details(errors)
    };
    Ok((catalog, examined))
}

fn configuration(global: &Global, catalog: &Catalog) -> (Option<Config>, Examination) {
    const SUBJECT: &str = "configuration";
    match settings::config(global, catalog) {
        Ok(Some(config)) => {
            let message = format!("{}: no errors", config.file);
            (
                Some(config),
                Examination::new(SUBJECT, State::Fine, message),
            )
        }
        Ok(None) => {
            let message = "no palisade.toml here: defaults";
            (None, Examination::new(SUBJECT, State::Fine, message))
        }
        Err(failure) => {
            let examined = Examination::new(SUBJECT, State::Broken, failure.to_string());
            let details = match &failure {
                Failure::Config(ConfigError::Wrong { diagnostics, .. }) => {
                    diagnostics.iter().map(ToString::to_string).collect()
                }
                _ => Vec::new(),
            };
            (None, examined.details(details))
        }
    }
}

fn proxies() -> Option<Examination> {
    let set = palisade_aws::proxies();
    let shown: Vec<String> = set.iter().map(|(n, url)| format!("{n}={url}")).collect();
    (!shown.is_empty()).then(|| Examination::new("proxy", State::Fine, shown.join(", ")))
}

/// What takes a connection.
fn account(
    args: &Doctor,
    scanner: &Scanner,
    actions: &[String],
    apis: &[String],
    found: &mut Vec<Examination>,
) -> Result<(), Failure> {
    let runtime = runtime()?;
    let models: &Arc<Models> = scanner.models();
    let connecting = Client::connect(client_config(&args.target), Arc::clone(models));
    let client = match runtime.block_on(connecting) {
        Ok(client) => client,
        Err(error) => {
            let subject = match error {
                ConnectError::NoRegion | ConnectError::InvalidRegion(_) => "region",
                _ => "credentials",
            };
            let hint = "`palisade scan --demo` needs no credentials";
            found.push(Examination::new(subject, State::Broken, error.to_string()).hint(hint));
            let rest = [
                "credentials",
                "identity",
                "clock",
                "endpoints",
                "permissions",
            ];
            for subject in rest.into_iter().filter(|s| *s != subject) {
                let message = "there is no connection";
                found.push(Examination::new(subject, State::NotExamined, message));
            }
            return Ok(());
        }
    };
    let now = || system_time().as_micros() / 1_000_000;
    let region = client.region().as_str();
    let of = match (&args.target.endpoint_url, args.target.region.is_empty()) {
        (Some(url), _) => format!("{region}, all calls go to {url}"),
        (None, true) => format!("{region}, of the environment or the profile"),
        (None, false) => args.target.region.join(", "),
    };
    found.push(Examination::new("region", State::Fine, of));
    found.push(palisade_doctor::credentials(client.credentials(), now()));
    let identity = runtime.block_on(client.identity());
    found.push(palisade_doctor::identity(&identity));
    let answers: Answers = runtime.block_on(palisade_doctor::reach(&client, apis, now));
    found.push(palisade_doctor::clock(answers.clock));
    found.push(palisade_doctor::endpoints(&answers, region));
    let Ok(identity) = identity else {
        let message = "nobody knows whose they would be";
        found.push(Examination::new("permissions", State::NotExamined, message));
        return Ok(());
    };
    let caller = Caller {
        api: &client,
        models,
        region,
        arn: &identity.arn,
    };
    found.push(runtime.block_on(palisade_doctor::permissions(&caller, actions)));
    Ok(())
}

//! From the configuration file, the environment and the flags to what a command uses.
use crate::cli::{self, Format, Global, Scan, Target};
use crate::error::Failure;
use clap::ValueEnum;
use palisade_catalog::Catalog;
use palisade_config::{Attestations, Config, Found, Given, Origin, ParamError, Settings};
use palisade_core::Severity;
use palisade_scan::Params;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The words that `report.format` may be.
pub fn formats() -> Vec<String> {
    let names = Format::value_variants()
        .iter()
        .filter_map(ValueEnum::to_possible_value);
    names.map(|v| v.get_name().to_owned()).collect()
}

/// The configuration file that is in effect.
///
/// # Errors
/// When it cannot be read, or with everything that is wrong with it.
pub fn config(global: &Global, catalog: &Catalog) -> Result<Option<Config>, Failure> {
    let found = palisade_config::find(global.config.as_deref(), Path::new("."));
    found
        .map(|found: Found| palisade_config::read(&found, catalog, &formats()))
        .transpose()
        .map_err(Failure::from)
}

/// Whether there is a configuration file.
pub fn is_configured(global: &Global) -> bool {
    palisade_config::find(global.config.as_deref(), Path::new(".")).is_some()
}

/// What is in effect: flags over environment over file over defaults.
///
/// # Errors
/// As [`config`], and when a `--param` is wrong.
pub fn effective(
    args: &Scan,
    given: &Given,
    config: Option<&Config>,
    catalog: &Catalog,
) -> Result<Settings, Failure> {
    let mut settings = Settings::merge(given, config, args.target.is_recorded(), &variables());
    for text in &args.param {
        let (check, name, value) = palisade_config::parse_param(catalog, text)
            .map_err(|ParamError { message, hint }| Failure::Usage { message, hint })?;
        settings.set_param(check, name, value, Origin::Flag("--param".to_owned()));
    }
    Ok(settings)
}

/// Puts what is in effect where a scan looks for it.
pub fn apply(settings: &Settings, args: &mut Scan) {
    args.selection = selection(settings);
    target(settings, &mut args.target);
    organization(settings, &mut args.organization);
    if let Some(format) = settings.text("report.format")
        && let Ok(format) = Format::from_str(&format, false)
    {
        args.format = format;
    }
    args.output = settings.texts("report.output");
    args.send = settings.texts("report.send");
    args.all = settings.boolean("report.all");
    args.evidence = settings.boolean("report.evidence");
    args.noise.mutes = path(settings, "mute.file");
    args.noise.baseline = path(settings, "mute.baseline");
    args.fail_on = severity(settings, "exit.fail_on");
    args.strict = settings.boolean("exit.strict");
    args.store = store(settings);
}

fn severity(settings: &Settings, path: &str) -> Option<Severity> {
    settings.text(path).and_then(|t| t.parse().ok())
}

/// Which checks are in effect.
pub fn selection(settings: &Settings) -> cli::Selection {
    cli::Selection {
        check: settings.texts("select.checks"),
        service: settings.texts("select.services"),
        framework: settings.texts("select.frameworks"),
        category: settings
            .texts("select.categories")
            .iter()
            .filter_map(|c| c.parse().ok())
            .collect(),
        severity: severity(settings, "select.severity"),
        exclude: settings.texts("select.exclude"),
    }
}

/// Where snapshots are kept.
pub fn store(settings: &Settings) -> cli::StoreArgs {
    cli::StoreArgs {
        store: settings.text("snapshots.store"),
    }
}

/// Which account and regions are in effect, whether or not the file could be read.
pub fn merged(args: &mut Target, given: &Given, config: Option<&Config>) -> Settings {
    let settings = Settings::merge(given, config, args.is_recorded(), &variables());
    target(&settings, args);
    settings
}

fn target(settings: &Settings, target: &mut Target) {
    target.profile = settings.text("target.profile");
    target.region = settings.texts("target.regions");
    target.role_arn = settings.text("target.role_arn");
    target.external_id = settings.text("target.external_id");
    target.session_name = settings.text("target.session_name");
    let duration = settings.integer("target.session_duration");
    target.session_duration = duration.and_then(|n| u32::try_from(n).ok());
    target.endpoint_url = settings.text("target.endpoint_url");
    let in_flight = settings.integer("target.max_in_flight");
    if let Some(n) = in_flight.and_then(|n| u16::try_from(n).ok()) {
        target.max_in_flight = n;
    }
}

/// Puts the accounts that are in effect where a command that reads many looks for them.
pub fn organization(settings: &Settings, args: &mut cli::OrganizationArgs) {
    args.organization = settings.boolean("organization.enabled");
    args.accounts = settings.texts("organization.accounts");
    if let Some(role) = settings.text("organization.role") {
        args.organization_role = role;
    }
    args.include_account = settings.texts("organization.include_accounts");
    args.exclude_account = settings.texts("organization.exclude_accounts");
    args.include_ou = settings.texts("organization.include_ous");
    args.exclude_ou = settings.texts("organization.exclude_ous");
    args.include_account_tag = settings.texts("organization.include_tags");
    args.exclude_account_tag = settings.texts("organization.exclude_tags");
    let accounts = settings.integer("organization.max_accounts");
    if let Some(n) = accounts.and_then(|n| u16::try_from(n).ok()) {
        args.max_accounts = n;
    }
}

/// Puts account and regions that are in effect where a command that connects looks for them.
///
/// # Errors
/// As [`config`].
pub fn connect(
    args: &mut Target,
    given: &Given,
    global: &Global,
    catalog: &Catalog,
) -> Result<Settings, Failure> {
    let config = config(global, catalog)?;
    Ok(merged(args, given, config.as_ref()))
}

/// AWS's own variables that count for more than the file.
fn variables() -> Vec<String> {
    ["AWS_PROFILE", "AWS_ENDPOINT_URL"]
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some())
        .map(str::to_owned)
        .collect()
}

/// The user's parameters, as a selection takes them.
pub fn params(settings: &Settings) -> Params {
    let values = settings.params.iter().map(|(check, values)| {
        let values = values.iter().map(|(n, (v, _))| (n.clone(), v.clone()));
        (check.clone(), values.collect())
    });
    values.collect()
}

/// The user's severities, as a selection takes them.
pub fn severities(settings: &Settings) -> BTreeMap<String, Severity> {
    let values = settings.severities.iter();
    values.map(|(check, (s, _))| (check.clone(), *s)).collect()
}

/// A file that is named: a configuration file names others from where it lies.
fn path(settings: &Settings, key: &str) -> Option<PathBuf> {
    let named = settings.text(key)?;
    Some(beside(&settings.origin(key), &named))
}

/// A path that is written somewhere: in a file, it begins where the file lies.
pub fn beside(origin: &Origin, named: &str) -> PathBuf {
    match origin {
        Origin::File { file, .. } => {
            let folder = Path::new(file).parent().unwrap_or(Path::new(""));
            folder.join(named)
        }
        _ => PathBuf::from(named),
    }
}

/// The attestations: of the file that was named, else of `attestations.toml` in the working directory when there is one.
///
/// # Errors
/// When a named file cannot be read, or with everything that is wrong with it.
pub fn attestations(settings: &Settings, catalog: &Catalog) -> Result<Attestations, Failure> {
    let default = Path::new("attestations.toml");
    let path = match path(settings, "attest.file") {
        Some(path) => path,
        None if default.is_file() => default.to_owned(),
        None => return Ok(Attestations::default()),
    };
    Ok(palisade_config::read_attestations(&path, catalog)?)
}

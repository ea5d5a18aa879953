//! `palisade.toml`. See `docs/specs/config.md`.
use crate::keys::{KEYS, Key, Kind, Names};
use crate::review::{Cadence, REVIEWS};
use crate::send::{self, SendSettings};
use crate::settings::Origin;
use crate::{ConfigError, review};
use palisade_catalog::reading::{self, Located, Reporter, Section, hint, json_of, kind_of};
use palisade_catalog::{Catalog, ParameterValue};
use palisade_core::Severity;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// What a configuration file says.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file, as the user knows it.
    pub file: String,
    /// `table.name` → value and place.
    pub(crate) values: BTreeMap<String, (Json, Origin)>,
    pub(crate) params: BTreeMap<String, BTreeMap<String, (ParameterValue, Origin)>>,
    pub(crate) severities: BTreeMap<String, (Severity, Origin)>,
    /// What patterns set: ids count for more.
    by_pattern: BTreeMap<String, BTreeMap<String, (ParameterValue, Origin)>>,
    /// Review → how often, and where that is written.
    pub reviews: BTreeMap<&'static str, (Cadence, Origin)>,
    /// Destinations by name.
    pub(crate) sends: BTreeMap<String, SendSettings>,
}

/// A configuration file that is to be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found(pub PathBuf);

/// The name that is looked for in the working directory.
const NAME: &str = "palisade.toml";

/// The file that was named, else `palisade.toml` in the folder when there is one.
pub fn find(named: Option<&Path>, folder: &Path) -> Option<Found> {
    if let Some(path) = named {
        return Some(Found(path.to_owned()));
    }
    let here = folder.join(NAME);
    // `./palisade.toml` is shown as users say it
    let shown = if folder == Path::new(".") {
        PathBuf::from(NAME)
    } else {
        here.clone()
    };
    here.is_file().then_some(Found(shown))
}

/// Reads and parses a file. `formats` are the words that `report.format` may be.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong with it.
pub fn read(found: &Found, catalog: &Catalog, formats: &[String]) -> Result<Config, ConfigError> {
    let path = &found.0;
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.clone(),
        source,
    })?;
    parse(&path.display().to_string(), &text, catalog, formats)
}

/// Parses the text of a file.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse(
    file: &str,
    text: &str,
    catalog: &Catalog,
    formats: &[String],
) -> Result<Config, ConfigError> {
    let reporter = Reporter::new(file, text);
    let config = contents(&reporter, text, catalog, formats);
    let mut diagnostics = reporter.into_diagnostics();
    diagnostics.sort();
    if diagnostics.is_empty() {
        Ok(config)
    } else {
        Err(ConfigError::Wrong {
            file: file.to_owned(),
            diagnostics,
        })
    }
}

fn contents(reporter: &Reporter<'_>, text: &str, catalog: &Catalog, formats: &[String]) -> Config {
    let mut config = Config {
        file: reporter.file.to_owned(),
        ..Config::default()
    };
    let Some(document) = reading::parse(reporter, text, 0) else {
        return config;
    };
    let top = Section::top(reporter, document.get_ref(), 0);
    let origin = |at: usize| Origin::File {
        file: reporter.file.to_owned(),
        line: reporter.line(at),
    };
    let mut sends_at = 0;
    let tables: BTreeSet<&'static str> = KEYS.iter().map(|k| k.table).collect();
    for table in tables {
        let Some(section) = top.section(table) else {
            continue;
        };
        for key in KEYS.iter().filter(|k| k.table == table) {
            let Some((value, at)) = section.value(key.name) else {
                continue;
            };
            if key.path() == "report.send" {
                sends_at = at;
            }
            if check_value(reporter, key, value, at, catalog, formats) {
                config
                    .values
                    .insert(key.path(), (json_of(value), origin(at)));
            }
        }
        section.finish();
    }
    for (id, section) in top.entries("params") {
        params(reporter, &id, &section, catalog, &mut config);
    }
    for (id, values) in std::mem::take(&mut config.by_pattern) {
        let of_check = config.params.entry(id).or_default();
        for (name, value) in values {
            of_check.entry(name).or_insert(value);
        }
    }
    if let Some(section) = top.section("severities") {
        for (id, value, at) in section.values() {
            if resolve(reporter, &id, catalog).is_empty() {
                continue;
            }
            let severity = value.as_str().map(str::parse::<Severity>);
            match severity {
                Some(Ok(severity)) => {
                    config.severities.insert(id.value, (severity, origin(at)));
                }
                Some(Err(_)) => reporter.error_hint(
                    at,
                    format!("unknown severity `{}`", value.as_str().unwrap_or_default()),
                    hint(
                        value.as_str().unwrap_or_default(),
                        Severity::ALL.iter().map(|s| s.as_str()),
                    ),
                ),
                None => reporter.error(
                    at,
                    format!(
                        "the severity of `{}` must be a text, not {}",
                        id.value,
                        kind_of(value)
                    ),
                ),
            }
        }
    }
    if let Some(section) = top.section("review") {
        for name in REVIEWS {
            let Some(text) = section.text(name) else {
                continue;
            };
            match text.value.parse::<Cadence>() {
                Ok(cadence) => {
                    config.reviews.insert(*name, (cadence, origin(text.at)));
                }
                Err(e) => reporter.error_hint(text.at, e.to_string(), review::FORMS.to_owned()),
            }
        }
        section.finish();
    }
    for (name, section) in top.entries("send") {
        if let Some(settings) = send::destination(reporter, &name, &section, catalog) {
            config.sends.insert(name.value, settings);
        }
    }
    let named = config.values.get("report.send").map(|(value, _)| value);
    let named = named.and_then(Json::as_array).into_iter().flatten();
    for name in named.filter_map(Json::as_str) {
        if !config.sends.contains_key(name) && name != "securityhub" {
            let known = config.sends.keys().map(String::as_str);
            reporter.error_hint(
                sends_at,
                format!("`report.send` names `{name}`, and there is no `[send.{name}]`"),
                hint(name, known),
            );
        }
    }
    top.finish();
    config
}

/// Whether a value is what its key takes; says so when it is not.
pub(crate) fn check_value(
    reporter: &Reporter<'_>,
    key: &Key,
    value: &DeValue<'_>,
    at: usize,
    catalog: &Catalog,
    formats: &[String],
) -> bool {
    let path = key.path();
    let wrong = |expected: &str| {
        reporter.error(
            at,
            format!("`{path}` must be {expected}, not {}", kind_of(value)),
        );
        false
    };
    let is_word = |text: &str, at: usize, words: &[&str]| {
        let known = words.contains(&text);
        if !known {
            let message = format!("unknown {} `{text}`", key.name);
            reporter.error_hint(at, message, hint(text, words.iter().copied()));
        }
        known
    };
    match (key.kind, value) {
        (Kind::Text, DeValue::String(text)) => {
            if text.trim().is_empty() {
                reporter.error(at, format!("`{path}` is empty"));
                return false;
            }
            let words: Vec<&str> = formats.iter().map(String::as_str).collect();
            path != "report.format" || is_word(text, at, &words)
        }
        (Kind::Text, _) => wrong("a text"),
        (Kind::Word(words), DeValue::String(text)) => is_word(text, at, words),
        (Kind::Word(_), _) => wrong("a text"),
        (Kind::Boolean, DeValue::Boolean(_)) => true,
        (Kind::Boolean, _) => wrong("true or false"),
        (Kind::Integer(from, to), DeValue::Integer(_)) => {
            let fits = reading::integer_of(value).is_some_and(|n| (from..=to).contains(&n));
            if !fits {
                reporter.error(at, format!("`{path}` must be from {from} to {to}"));
            }
            fits
        }
        (Kind::Integer(..), _) => wrong("a whole number"),
        (Kind::Texts | Kind::Words(_), DeValue::Array(items)) => {
            let mut good = true;
            for item in items.iter() {
                let at = item.span().start;
                let DeValue::String(text) = item.get_ref() else {
                    let found = kind_of(item.get_ref());
                    reporter.error(
                        at,
                        format!("`{path}` must be a list of texts, not of {found}"),
                    );
                    good = false;
                    continue;
                };
                good &= match key.kind {
                    Kind::Words(words) => is_word(text, at, words),
                    _ => is_name(reporter, key.names, text, at, catalog),
                };
            }
            good
        }
        (Kind::Texts | Kind::Words(_), _) => wrong("a list of texts"),
    }
}

/// Whether a text has the form of a region's name.
pub(crate) fn is_region(text: &str) -> bool {
    text.parse::<palisade_core::Region>().is_ok()
}

/// Whether the catalogue knows a name.
fn is_name(
    reporter: &Reporter<'_>,
    names: Names,
    text: &str,
    at: usize,
    catalog: &Catalog,
) -> bool {
    let unknown = |what: &str, known: &BTreeSet<&str>| {
        if known.contains(text) {
            return true;
        }
        let similar = palisade_catalog::similar(text, known.iter().copied());
        let hint =
            (!similar.is_empty()).then(|| format!("did you mean `{}`?", similar.join("` or `")));
        reporter.error_hint(at, format!("unknown {what} `{text}`"), hint);
        false
    };
    match names {
        Names::Anything => true,
        Names::Checks => {
            let id = Located {
                value: text.to_owned(),
                at,
            };
            !resolve(reporter, &id, catalog).is_empty()
        }
        Names::Services => {
            let services = catalog.services.keys().map(String::as_str);
            let checks = catalog.checks.values().map(|c| c.service.as_str());
            unknown("service", &services.chain(checks).collect())
        }
        Names::Frameworks => unknown(
            "framework",
            &catalog.frameworks.keys().map(String::as_str).collect(),
        ),
        Names::Accounts => {
            let good = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
            if !good {
                reporter.error(at, format!("`{text}` is not the id of an account"));
            }
            good
        }
        Names::Regions => {
            let good = text == "all" || is_region(text);
            if !good {
                let hint =
                    "regions are named as `eu-central-1`; `all` takes every region that is enabled";
                reporter.error_hint(at, format!("`{text}` is not a region"), hint.to_owned());
            }
            good
        }
    }
}

/// The checks that an id means; an unknown one is reported.
fn resolve(
    reporter: &Reporter<'_>,
    id: &Located<String>,
    catalog: &Catalog,
) -> Vec<std::sync::Arc<palisade_catalog::Check>> {
    match catalog.resolve_check(&id.value) {
        Ok(checks) => checks,
        Err(unknown) => {
            let some = unknown.suggestions;
            let hint =
                (!some.is_empty()).then(|| format!("did you mean `{}`?", some.join("` or `")));
            reporter.error_hint(id.at, format!("unknown check `{}`", id.value), hint);
            Vec::new()
        }
    }
}

/// `[params."check-id"]`; a pattern sets the parameter of every check that it matches and that has it, where no id says
/// otherwise.
fn params(
    reporter: &Reporter<'_>,
    id: &Located<String>,
    section: &Section<'_>,
    catalog: &Catalog,
    config: &mut Config,
) {
    let checks = resolve(reporter, id, catalog);
    let Some(first) = checks.first() else {
        return;
    };
    let is_pattern = id.value.contains(['*', '?']);
    for (name, value, at) in section.values() {
        let having: Vec<_> = checks
            .iter()
            .filter(|c| c.params.contains_key(&name.value))
            .collect();
        // for a check that has no such parameter, this says so
        let judged = having.first().copied().unwrap_or(first);
        let Some(parsed) = reading::parameter(reporter, judged, &name, value, at) else {
            continue;
        };
        let origin = Origin::File {
            file: reporter.file.to_owned(),
            line: reporter.line(name.at),
        };
        if !is_pattern {
            let of_check = config.params.entry(id.value.clone()).or_default();
            of_check.insert(name.value.clone(), (parsed, origin));
            continue;
        }
        for check in having {
            let fitting = check
                .params
                .get(&name.value)
                .and_then(|p| p.default.fitting(&json_of(value)));
            if let Some(fitting) = fitting {
                let pattern = config.by_pattern.entry(check.id.clone()).or_default();
                pattern.insert(name.value.clone(), (fitting, origin.clone()));
            }
        }
    }
}

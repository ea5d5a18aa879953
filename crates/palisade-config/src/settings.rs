//! Effective values: flags over environment over file over defaults, each with its origin.
use crate::file::Config;
use crate::keys::{KEYS, Key, Kind};
use crate::send::SendSettings;
use palisade_catalog::{Catalog, ParameterValue};
use palisade_core::Severity;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A place in a file.
    File {
        /// As the user knows it.
        file: String,
        /// From 1.
        line: u32,
    },
    /// A variable of the environment.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// `table.name`
    pub key: String,
    /// The value; null when there is none.
    pub value: Json,
    /// Where it came from.
    pub origin: Origin,
    /// Not for the eyes of bystanders.
    pub secret: bool,
}

/// What the command line and the environment gave, by the identifier of the argument.
#[derive(Debug, Clone, Default)]
pub struct Given {
    values: BTreeMap<String, (Vec<String>, Origin)>,
}

impl Given {
    /// Notes the texts that were given for an argument.
    pub fn note(&mut self, argument: &str, texts: Vec<String>, origin: Origin) {
        self.values.insert(argument.to_owned(), (texts, origin));
    }
    fn has(&self, argument: &str) -> bool {
        self.values.contains_key(argument)
    }
}

/// Settings that choose checks: when one of them is given, those of the file do not count, because they add up.
const CHOOSING: &[&str] = &["checks", "services", "frameworks", "categories"];
/// Settings that say whose account it is: given ones, and `--demo`, stand for all of them.
const CONNECTING: &[&str] = &[
    "profile",
    "role_arn",
    "external_id",
    "session_name",
    "session_duration",
    "endpoint_url",
];
/// Settings that say which accounts there are: a given one stands for both.
const WHOSE: &[&str] = &["organization", "accounts"];

/// All effective values.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
    /// Check id or `tool:id` → parameter → value and origin.
    pub params: BTreeMap<String, BTreeMap<String, (ParameterValue, Origin)>>,
    /// Check id or `tool:id` → severity and origin.
    pub severities: BTreeMap<String, (Severity, Origin)>,
    /// Destinations by name.
    pub sends: BTreeMap<String, SendSettings>,
}

impl Settings {
    /// Merges. `demo`: the demo account is meant, whatever the file says about accounts and regions. `variables`: names
    /// of AWS's own environment variables that are set (`AWS_PROFILE`, `AWS_ENDPOINT_URL`), which count for more than
    /// the file.
    pub fn merge(given: &Given, config: Option<&Config>, demo: bool, variables: &[String]) -> Self {
        let chosen = KEYS
            .iter()
            .any(|k| CHOOSING.contains(&k.name) && k.table == "select" && given.has(k.argument));
        let whose = WHOSE.iter().any(|argument| given.has(argument));
        let mut settings = Self::default();
        for key in KEYS {
            let from_file = config.and_then(|c| c.values.get(&key.path()));
            let ignored = (chosen && key.table == "select" && CHOOSING.contains(&key.name))
                || (whose && key.table == "organization" && WHOSE.contains(&key.argument))
                || (demo && key.table == "organization")
                || (demo
                    && key.table == "target"
                    && (key.name == "regions" || CONNECTING.contains(&key.name)))
                || (key.name == "profile" && variables.iter().any(|v| v == "AWS_PROFILE"))
                || (key.name == "endpoint_url"
                    && variables.iter().any(|v| v == "AWS_ENDPOINT_URL"));
            let (value, origin) = match (given.values.get(key.argument), from_file) {
                (Some((texts, origin)), _) => (value_of(key, texts), origin.clone()),
                (None, Some((value, origin))) if !ignored => (value.clone(), origin.clone()),
                _ => (default_of(key), Origin::Default),
            };
            let setting = Setting {
                key: key.path(),
                value,
                origin,
                secret: key.secret,
            };
            settings.values.insert(key.path(), setting);
        }
        if let Some(config) = config {
            settings.params.clone_from(&config.params);
            settings.severities.clone_from(&config.severities);
            settings.sends.clone_from(&config.sends);
        }
        settings
    }

    /// Sets a parameter of a check, over what the file says.
    pub fn set_param(
        &mut self,
        check: String,
        name: String,
        value: ParameterValue,
        origin: Origin,
    ) {
        self.params
            .entry(check)
            .or_default()
            .insert(name, (value, origin));
    }

    fn value(&self, path: &str) -> Option<&Json> {
        let found = self.values.get(path).filter(|s| !s.value.is_null());
        found.map(|s| &s.value)
    }
    /// A text.
    pub fn text(&self, path: &str) -> Option<String> {
        self.value(path).and_then(Json::as_str).map(str::to_owned)
    }
    /// A list of texts.
    pub fn texts(&self, path: &str) -> Vec<String> {
        let list = self.value(path).and_then(Json::as_array);
        let texts = list.into_iter().flatten().filter_map(Json::as_str);
        texts.map(str::to_owned).collect()
    }
    /// true or false
    pub fn boolean(&self, path: &str) -> bool {
        self.value(path).and_then(Json::as_bool).unwrap_or(false)
    }
    /// A whole number.
    pub fn integer(&self, path: &str) -> Option<i64> {
        self.value(path).and_then(Json::as_i64)
    }
    /// Where a value came from.
    pub fn origin(&self, path: &str) -> Origin {
        let found = self.values.get(path);
        found.map_or(Origin::Default, |s| s.origin.clone())
    }
    /// All settings in the order of [`KEYS`], then parameters (those that were set, and all others of the catalogue's
    /// checks when `all`) and severities.
    pub fn list(&self, catalog: &Catalog, all: bool) -> Vec<Setting> {
        let mut list: Vec<Setting> = KEYS
            .iter()
            .filter_map(|key| self.values.get(&key.path()).cloned())
            .collect();
        let mut params: BTreeMap<(String, String), (Json, Origin)> = BTreeMap::new();
        if all {
            for check in catalog.checks.values() {
                for (name, parameter) in &check.params {
                    let value = (parameter.default.to_json(), Origin::Default);
                    params.insert((check.id.clone(), name.clone()), value);
                }
            }
        }
        for (check, values) in &self.params {
            for (name, (value, origin)) in values {
                let value = (value.to_json(), origin.clone());
                params.insert((check.clone(), name.clone()), value);
            }
        }
        let named = |table: &str, check: &str| format!("{table}.{}", Json::from(check));
        list.extend(
            params
                .into_iter()
                .map(|((check, name), (value, origin))| Setting {
                    key: format!("{}.{name}", named("params", &check)),
                    value,
                    origin,
                    secret: false,
                }),
        );
        list.extend(
            self.severities
                .iter()
                .map(|(check, (severity, origin))| Setting {
                    key: named("severities", check),
                    value: severity.as_str().into(),
                    origin: origin.clone(),
                    secret: false,
                }),
        );
        for (name, send) in &self.sends {
            let table = named("send", name);
            let setting = |key: String, value: Json, origin: &Origin| Setting {
                key: format!("{table}.{key}"),
                value,
                origin: origin.clone(),
                secret: false,
            };
            list.push(setting("type".to_owned(), send.kind.into(), &send.origin));
            let values = send.values.iter();
            list.extend(values.map(|(key, (v, from))| setting((*key).to_owned(), v.clone(), from)));
            let headers = send.headers.iter();
            list.extend(headers.map(|(header, variable)| {
                setting(
                    format!("headers.{header}"),
                    variable.as_str().into(),
                    &send.origin,
                )
            }));
        }
        list
    }
}

/// The texts of the command line as the kind of value; clap has refused what does not fit.
fn value_of(key: &Key, texts: &[String]) -> Json {
    let first = texts.first().map(String::as_str);
    match key.kind {
        Kind::Texts | Kind::Words(_) => texts.iter().map(|t| Json::from(t.as_str())).collect(),
        Kind::Boolean => Json::from(first.is_none_or(|t| t != "false")),
        Kind::Integer(..) => {
            let number = first.and_then(|t| t.parse::<i64>().ok());
            number.map_or(Json::Null, Json::from)
        }
        Kind::Text | Kind::Word(_) => first.map_or(Json::Null, Json::from),
    }
}

fn default_of(key: &Key) -> Json {
    // defaults are written so that TOML and JSON read them alike
    serde_json::from_str(key.default).unwrap_or(Json::Null)
}

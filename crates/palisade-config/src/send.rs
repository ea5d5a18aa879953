//! `[send.NAME]`: where findings are sent. Secrets are not in the file: it names the environment variables that hold
//! them.
use crate::file::{check_value, is_region};
use crate::keys::{Key, Kind, Names, SEVERITIES, key};
use crate::settings::Origin;
use palisade_catalog::Catalog;
use palisade_catalog::reading::{Located, Reporter, Section, hint, json_of};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The types of destinations.
pub const SEND_TYPES: &[&str] = &[
    "securityhub",
    "sns",
    "eventbridge",
    "slack",
    "webhook",
    "jira",
];

/// A destination of the file, as it is written there.
#[derive(Debug, Clone, PartialEq)]
pub struct SendSettings {
    /// One of [`SEND_TYPES`].
    pub kind: &'static str,
    /// Key → value and place; what is not written has its default.
    pub values: BTreeMap<&'static str, (Json, Origin)>,
    /// Header → environment variable.
    pub headers: BTreeMap<String, String>,
    /// Where it is described.
    pub origin: Origin,
}

impl SendSettings {
    /// A destination of a type with nothing but defaults.
    pub fn new(kind: &'static str) -> Self {
        let defaults = keys_of(kind).filter_map(|k| {
            let value = serde_json::from_str(k.key.default).ok()?;
            Some((k.key.name, (value, Origin::Default)))
        });
        Self {
            kind,
            values: defaults.collect(),
            headers: BTreeMap::new(),
            origin: Origin::Default,
        }
    }
    fn value(&self, name: &str) -> Option<&Json> {
        self.values.get(name).map(|(value, _)| value)
    }
    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Json::as_str)
    }
    /// A list of texts.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.value(name).and_then(Json::as_array);
        let texts = list.into_iter().flatten().filter_map(Json::as_str);
        texts.map(str::to_owned).collect()
    }
    /// true or false
    pub fn boolean(&self, name: &str) -> bool {
        self.value(name).and_then(Json::as_bool).unwrap_or(false)
    }
    /// A whole number that is not negative.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name).and_then(Json::as_u64)
    }
}

/// A key of a destination.
pub(crate) struct SendKey {
    pub(crate) key: Key,
    /// The types that have it.
    pub(crate) kinds: &'static [&'static str],
    pub(crate) required: bool,
}

const STATUSES: &[&str] = &["pass", "fail", "unknown", "not_applicable", "manual"];
const ALL: &[&str] = SEND_TYPES;
const REMEMBERED: &[&str] = &["sns", "eventbridge", "slack", "webhook"];
const HTTP: &[&str] = &["slack", "webhook", "jira"];

const fn of(
    kinds: &'static [&'static str],
    name: &'static str,
    kind: Kind,
    about: &'static str,
) -> SendKey {
    SendKey {
        key: key("send", name, "", "", kind, about),
        kinds,
        required: false,
    }
}

impl SendKey {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    const fn or(mut self, default: &'static str) -> Self {
        self.key = self.key.or(default);
        self
    }
    const fn naming(mut self, names: Names) -> Self {
        self.key = self.key.naming(names);
        self
    }
}

const SEND_KEYS: &[SendKey] = &[
    of(
        ALL,
        "severity",
        Kind::Word(SEVERITIES),
        "Only findings of this severity or worse.",
    ),
    of(
        ALL,
        "statuses",
        Kind::Words(STATUSES),
        "Only findings of these statuses.",
    )
    .or("[\"fail\"]"),
    of(
        ALL,
        "checks",
        Kind::Texts,
        "Only findings of these checks: ids or patterns.",
    )
    .naming(Names::Checks),
    of(
        ALL,
        "services",
        Kind::Texts,
        "Only findings of checks of these services.",
    )
    .naming(Names::Services),
    of(
        &["securityhub", "eventbridge"],
        "region",
        Kind::Text,
        "Region of the hub or bus; a hub: default each finding's own.",
    ),
    of(
        &["securityhub"],
        "archive",
        Kind::Boolean,
        "Archive findings that are over.",
    )
    .or("true"),
    of(&["sns"], "topic_arn", Kind::Text, "The topic.").required(),
    of(
        &["sns"],
        "message",
        Kind::Word(&["json", "text"]),
        "What subscribers get: findings for programs, or a summary for people.",
    )
    .or("\"json\""),
    of(
        &["eventbridge"],
        "bus",
        Kind::Text,
        "Name or ARN of the bus.",
    )
    .or("\"default\""),
    of(
        &["eventbridge"],
        "source",
        Kind::Text,
        "The events' source.",
    )
    .or("\"palisade\""),
    of(
        &["slack", "webhook"],
        "url_env",
        Kind::Text,
        "Environment variable with the webhook's URL.",
    )
    .required(),
    of(
        &["slack"],
        "findings",
        Kind::Integer(0, 20),
        "How many findings a message shows.",
    )
    .or("10"),
    of(
        &["webhook"],
        "key_env",
        Kind::Text,
        "Environment variable with the key of the signature.",
    ),
    of(
        &["jira"],
        "url",
        Kind::Text,
        "The server, for example `https://example.atlassian.net`.",
    )
    .required(),
    of(
        &["jira"],
        "api",
        Kind::Integer(2, 3),
        "3 is Cloud, 2 is Data Center.",
    )
    .or("3"),
    of(&["jira"], "project", Kind::Text, "Key of the project.").required(),
    of(&["jira"], "issue_type", Kind::Text, "Type of the issues.").or("\"Task\""),
    of(
        &["jira"],
        "user_env",
        Kind::Text,
        "Environment variable with the user of the token (Cloud).",
    ),
    of(
        &["jira"],
        "token_env",
        Kind::Text,
        "Environment variable with the token.",
    )
    .required(),
    of(
        &["jira"],
        "close",
        Kind::Text,
        "Transition that closes an issue of which nothing fails any more.",
    ),
    of(
        HTTP,
        "timeout",
        Kind::Integer(1, 300),
        "Seconds that a request may take.",
    )
    .or("30"),
    of(
        REMEMBERED,
        "changed_only",
        Kind::Boolean,
        "Send only what was not sent before.",
    )
    .or("true"),
    of(
        REMEMBERED,
        "state",
        Kind::Text,
        "File that remembers what was sent; default `.palisade/sent-NAME.json`; relative to the file that names it.",
    ),
];

/// The keys of a type, without `type` and `headers`.
pub(crate) fn keys_of(kind: &str) -> impl Iterator<Item = &'static SendKey> {
    SEND_KEYS.iter().filter(move |k| k.kinds.contains(&kind))
}

/// Reads one `[send.NAME]`.
pub(crate) fn destination(
    reporter: &Reporter<'_>,
    name: &Located<String>,
    section: &Section<'_>,
    catalog: &Catalog,
) -> Option<SendSettings> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.value.is_empty() || name.value.len() > 64 || !name.value.chars().all(good) {
        let message = "a destination's name is made of letters, digits, `-` and `_`";
        reporter.error(name.at, message);
    }
    let kind = section.required("type");
    let Some(found) = kind
        .as_ref()
        .and_then(|k| SEND_TYPES.iter().find(|t| **t == k.value))
    else {
        if let Some(kind) = kind {
            let message = format!("unknown type `{}`", kind.value);
            reporter.error_hint(
                kind.at,
                message,
                hint(&kind.value, SEND_TYPES.iter().copied()),
            );
        }
        return None;
    };
    let mut settings = SendSettings::new(found);
    let origin = |at: usize| Origin::File {
        file: reporter.file.to_owned(),
        line: reporter.line(at),
    };
    settings.origin = origin(name.at);
    for SendKey { key, required, .. } in keys_of(found) {
        let Some((value, at)) = section.value(key.name) else {
            if *required {
                let message = format!("`{}` of send `{}` is missing", key.name, name.value);
                reporter.error_hint(name.at, message, key.about.to_owned());
            }
            continue;
        };
        if !check_value(reporter, key, value, at, catalog, &[]) {
            continue;
        }
        let text = value.as_str().unwrap_or_default();
        let wrong = match key.name {
            // the value may be the secret itself: it is not repeated
            k if k.ends_with("_env") && !is_variable(text) => {
                Some("must be the name of an environment variable, not a value".to_owned())
            }
            "region" if !is_region(text) => Some(format!("is not a region: `{text}`")),
            "topic_arn" if !is_topic(text) => Some(format!("is not the ARN of a topic: `{text}`")),
            _ => None,
        };
        match wrong {
            Some(wrong) => reporter.error(at, format!("`{}` {wrong}", key.name)),
            None => {
                settings
                    .values
                    .insert(key.name, (json_of(value), origin(at)));
            }
        }
    }
    if *found == "webhook"
        && let Some(headers) = section.section("headers")
    {
        for (header, value, at) in headers.values() {
            let token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
            if header.value.is_empty() || !header.value.chars().all(token) {
                reporter.error(
                    header.at,
                    "a header's name is made of letters, digits, `-` and `_`",
                );
            } else if !value.as_str().is_some_and(is_variable) {
                let message = format!(
                    "`{}` must be the name of an environment variable, not a value",
                    header.value
                );
                reporter.error(at, message);
            } else if let Some(variable) = value.as_str() {
                settings.headers.insert(header.value, variable.to_owned());
            }
        }
    }
    section.finish();
    Some(settings)
}

fn is_variable(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_topic(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.as_slice(), ["arn", _, "sns", region, account, name]
        if is_region(region) && account.len() == 12 && !name.is_empty())
}

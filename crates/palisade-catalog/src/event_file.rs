//! `catalog/events/<source>.toml`: what events touch where it does not follow from the API models. See
//! `docs/specs/events.md`.
use crate::Catalog;
use crate::link::Unusable;
use crate::load::table_hint;
use crate::section::{self, Located, Section};
use crate::text::Reporter;
use std::collections::BTreeMap;

/// One file: the events of a service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventSource {
    /// The file's stem: the first label of `eventSource`.
    pub name: String,
    /// The file, for messages.
    pub file: String,
    /// API models whose tables the events concern; empty: those whose endpoint or signing name is the source.
    pub models: Vec<String>,
    /// Member of a request or an answer → tables that have its value as their id.
    pub members: BTreeMap<String, Vec<String>>,
    /// All that name an event apply to it.
    pub rules: Vec<EventRule>,
}

/// What some events do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventRule {
    /// Names of events; `*` stands for any text.
    pub events: Vec<String>,
    /// They change nothing that a table holds.
    pub ignore: bool,
    /// Tables that are read whole, in the event's region.
    pub tables: Vec<String>,
    /// Nothing else is touched than `tables`.
    pub only: bool,
}

impl EventRule {
    /// Whether the rule is about an event.
    pub fn names(&self, event: &str) -> bool {
        self.events.iter().any(|pattern| matches(pattern, event))
    }
}

/// Whether a text matches a pattern with `*`.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    // every place where the rest may begin
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|rest| matches(after, rest)))
}

/// Parses one file; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(
    reporter: &Reporter<'_>,
    name: &str,
    text: &str,
    catalog: &Catalog,
    unusable: &Unusable,
) -> Option<EventSource> {
    let document = section::parse(reporter, text, 0)?;
    let top = Section::top(reporter, document.get_ref(), 0);
    let known = |table: &str, at: usize| {
        if !catalog.tables.contains_key(table) && unusable.reason(table).is_none() {
            let message = format!("unknown table `{table}`");
            reporter.error_hint(at, message, table_hint(table, catalog));
        }
    };
    let models = top.strings("models");
    let mut members = BTreeMap::new();
    for (member, tables) in top.lists("members") {
        tables.iter().for_each(|table| known(table, member.at));
        if tables.is_empty() {
            reporter.error(member.at, format!("`{}` names no table", member.value));
        }
        members.insert(member.value, tables);
    }
    let mut rules = Vec::new();
    for section in top.sections("rule") {
        let events = section.texts("events");
        let tables = section.texts("tables");
        let ignore = section.boolean("ignore").unwrap_or_default();
        let only = section.boolean("only").unwrap_or_default();
        if events.is_empty() {
            reporter.error(section.at, "`events` of `rule` is missing");
        }
        for Located { value, at } in &tables {
            known(value, *at);
        }
        match (ignore, tables.is_empty(), only) {
            (true, true, false) | (false, false, _) => {}
            (true, ..) => {
                let message = "a rule with `ignore` has neither `tables` nor `only`";
                reporter.error(section.at, message);
            }
            _ => {
                let message = "a rule has one of `tables` and `ignore = true`";
                reporter.error(section.at, message);
            }
        }
        section.finish();
        let plain = |texts: Vec<Located<String>>| texts.into_iter().map(|t| t.value).collect();
        rules.push(EventRule {
            events: plain(events),
            ignore,
            tables: plain(tables),
            only,
        });
    }
    top.finish();
    (!reporter.has_errors()).then_some(EventSource {
        name: name.to_owned(),
        file: reporter.file.to_owned(),
        models,
        members,
        rules,
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("Put*", "PutObject", true),
            ("Put*", "GetObject", false),
            ("*Policy", "PutBucketPolicy", true),
            ("*Policy", "PutBucketPolicyStatus", false),
            ("*", "", true),
            ("A*B*C", "AxBxBxC", true),
            ("A*B*C", "AxCxB", false),
            ("RunInstances", "RunInstances", true),
            ("RunInstances", "RunInstance", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}

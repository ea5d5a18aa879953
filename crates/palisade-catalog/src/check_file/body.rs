//! The sections of a check page.
use super::front::Front;
use crate::message::{MessagePart, parse_message};
use crate::page::{Item, Page, PageSection};
use crate::section::Located;
use crate::template::{TemplatePart, parse_template, texts_of};
use crate::text::Reporter;
use crate::{FixCall, Fixture, FixtureStatus, Parameter, fix_block, fixture, sql, suggest};
use palisade_core::Status;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Body {
    pub(super) why: String,
    pub(super) fix: String,
    pub(super) fix_calls: Vec<(usize, FixCall)>,
    pub(super) applies: Option<Sql>,
    pub(super) sql: Sql,
    pub(super) is_query: bool,
    pub(super) pass_message: (String, u32),
    pub(super) fail_message: (String, u32),
    pub(super) fixtures: Vec<Fixture>,
    /// Names that appear as `$name` or `${param.name}`.
    used: BTreeSet<String>,
}

/// A block of SQL and where it begins.
pub(super) struct Sql {
    pub(super) text: String,
    pub(super) line: u32,
    at: usize,
}

type Params = BTreeMap<String, Located<Parameter>>;

const SECTIONS: [&str; 3] = ["Fix", "Check", "Fixtures"];

pub(super) fn parse(reporter: &Reporter<'_>, page: &Page<'_>, params: &Params) -> Option<Body> {
    let mut found: BTreeMap<&str, &PageSection<'_>> = BTreeMap::new();
    let why = page.sections.first().map(|s| s.markdown(""));
    if why.as_ref().is_none_or(String::is_empty) {
        let at = page.sections.first().map_or(0, |s| s.at);
        reporter.error(at, "the page does not say why it matters, before `## Fix`");
    }
    for section in page.sections.iter().skip(1) {
        if !SECTIONS.contains(&section.title) {
            reporter.error_hint(
                section.at,
                format!("unknown section `## {}`", section.title),
                suggest::hint(section.title, SECTIONS),
            );
        } else if found.insert(section.title, section).is_some() {
            reporter.error(section.at, format!("`## {}` is there twice", section.title));
        }
    }
    for name in SECTIONS.iter().filter(|s| !found.contains_key(*s)) {
        reporter.error(0, format!("the section `## {name}` is missing"));
    }
    let mut used = BTreeSet::new();
    let fix = found.get("Fix").map(|s| fix(reporter, s));
    let check = found.get("Check").and_then(|s| check(reporter, s));
    // those of a page that is known to be good are parsed when somebody asks for them
    let mut fixtures = Some(Vec::new());
    if !reporter.is_known_good() {
        fixtures = found.get("Fixtures").map(|s| self::fixtures(reporter, s));
        for (_, call) in fix.iter().flat_map(|(_, calls)| calls) {
            fix_templates(reporter, call, params, &mut used);
        }
    }
    let check = check?;
    let is_query = sql::is_query(&check.sql.text);
    if !reporter.is_known_good() {
        sql_texts(reporter, &check, params, &mut used);
        if let Some(fixtures) = &fixtures {
            cells(reporter, fixtures, is_query);
        }
    }
    let (fix, fix_calls) = fix?;
    let placed = |(text, at): (String, usize)| (text, reporter.line(at));
    Some(Body {
        why: why?,
        fix,
        fix_calls,
        applies: check.applies,
        is_query,
        sql: check.sql,
        pass_message: placed(check.pass?),
        fail_message: placed(check.fail?),
        fixtures: fixtures?,
        used,
    })
}

/// What the SQL of the check and of its messages uses.
fn sql_texts(
    reporter: &Reporter<'_>,
    check: &CheckSection,
    params: &Params,
    used: &mut BTreeSet<String>,
) {
    for sql in [Some(&check.sql), check.applies.as_ref()]
        .into_iter()
        .flatten()
    {
        let text = [(sql.at, sql.text.as_str())];
        uses(reporter, &text, params, used);
    }
    for (message, at) in [&check.pass, &check.fail].into_iter().flatten() {
        let parts = parse_message(message).unwrap_or_default();
        let expressions: Vec<(usize, &str)> = parts
            .iter()
            .filter_map(|part| match part {
                MessagePart::Expr(text) => Some((at + message.find(text.as_str())?, text.as_str())),
                MessagePart::Text(_) => None,
            })
            .collect();
        uses(reporter, &expressions, params, used);
    }
}

/// Rules that need both the front matter and the body.
pub(super) fn check_together(reporter: &Reporter<'_>, front: &Front, body: &Body) {
    if reporter.is_known_good() {
        return;
    }
    for (name, param) in &front.params {
        if !body.used.contains(name) {
            reporter.error(
                param.at,
                format!("parameter `{name}` is not used: no `${name}` in the SQL"),
            );
        }
    }
    if let Some(sufficient) = &front.sufficient
        && !body.is_query
    {
        reporter.error(
            sufficient.at,
            "`sufficient` is for full queries; the SQL is a predicate",
        );
    }
    if let Some(applies) = &body.applies
        && body.is_query
    {
        reporter.error(
            applies.at,
            "`sql where` is for predicates; a full query has its own WHERE",
        );
    }
}

fn fix(reporter: &Reporter<'_>, section: &PageSection<'_>) -> (String, Vec<(usize, FixCall)>) {
    let text = section.markdown("fix");
    if text.is_empty() {
        reporter.error(section.at, "`## Fix` says nothing");
    }
    let mut calls = Vec::new();
    let mut blocks = 0;
    for item in &section.items {
        if let Item::Fence {
            info: "fix",
            body,
            body_at,
            at,
            ..
        } = item
        {
            blocks += 1;
            if blocks > 1 {
                reporter.error(*at, "there is more than one `fix` block");
            }
            if body.trim().is_empty() {
                reporter.error(*at, "the `fix` block is empty");
            }
            calls.extend(fix_block::parse(reporter, body, *body_at));
        }
    }
    (text, calls)
}

fn fix_templates(
    reporter: &Reporter<'_>,
    call: &FixCall,
    params: &Params,
    used: &mut BTreeSet<String>,
) {
    let mut texts = Vec::new();
    call.params.values().for_each(|v| texts_of(v, &mut texts));
    for text in texts {
        match parse_template(text) {
            Err(e) => reporter.error_on_line(call.line, e.to_string()),
            Ok(parts) => {
                for part in parts {
                    match part {
                        TemplatePart::Parent(name) => reporter.error_on_line(
                            call.line,
                            format!("`${{parent.{name}}}` is for service files"),
                        ),
                        TemplatePart::Parameter(name) => {
                            if !params.contains_key(&name) {
                                reporter.error_on_line(
                                    call.line,
                                    format!("`${{param.{name}}}` is not a declared parameter"),
                                );
                            }
                            used.insert(name);
                        }
                        TemplatePart::Column(_) | TemplatePart::Text(_) => {}
                    }
                }
            }
        }
    }
}

struct CheckSection {
    applies: Option<Sql>,
    sql: Sql,
    pass: Option<(String, usize)>,
    fail: Option<(String, usize)>,
}

fn check(reporter: &Reporter<'_>, section: &PageSection<'_>) -> Option<CheckSection> {
    let mut applies = None;
    let mut main = None;
    let mut pass = None;
    let mut fail = None;
    for item in &section.items {
        match item {
            Item::Line { text, at } if text.trim().is_empty() => {
                let _ = at;
            }
            Item::Line { text, at } => {
                let line = text.trim_end();
                let slot = match line.split_once(':').map(|(word, _)| word) {
                    Some("pass") => &mut pass,
                    Some("fail") => &mut fail,
                    _ => {
                        reporter.error(
                            *at,
                            "`## Check` holds `sql` blocks, `pass:` and `fail:`, nothing else",
                        );
                        continue;
                    }
                };
                let message = message(reporter, line, *at);
                if slot.is_some() {
                    reporter.error(*at, "this message is there twice");
                }
                *slot = message;
            }
            Item::Fence {
                info,
                body,
                body_at,
                at,
                ..
            } => {
                let slot = match *info {
                    "sql" => &mut main,
                    "sql where" => &mut applies,
                    other => {
                        reporter.error_hint(
                            *at,
                            format!("unknown block `{other}` in `## Check`"),
                            suggest::hint(other, ["sql", "sql where"]),
                        );
                        continue;
                    }
                };
                if slot.is_some() {
                    reporter.error(*at, format!("the block `{info}` is there twice"));
                }
                *slot = sql_block(reporter, body, *body_at, *at);
            }
        }
    }
    if main.is_none()
        && !section
            .items
            .iter()
            .any(|i| matches!(i, Item::Fence { info: "sql", .. }))
    {
        reporter.error(section.at, "`## Check` has no `sql` block");
    }
    let told = |name: &str| {
        let prefix = format!("{name}:");
        section
            .items
            .iter()
            .any(|i| matches!(i, Item::Line { text, .. } if text.starts_with(prefix.as_str())))
    };
    for name in ["pass", "fail"] {
        if !told(name) {
            reporter.error(section.at, format!("`## Check` has no `{name}:` message"));
        }
    }
    Some(CheckSection {
        applies,
        sql: main?,
        pass,
        fail,
    })
}

fn sql_block(reporter: &Reporter<'_>, body: &str, body_at: usize, at: usize) -> Option<Sql> {
    let trimmed = body.trim_start();
    if trimmed.is_empty() {
        reporter.error(at, "the block is empty");
        return None;
    }
    let start = body_at + (body.len() - trimmed.len());
    let text = trimmed.trim_end();
    if let Some(text) = text.strip_suffix(';') {
        reporter.error(start + text.len(), "SQL ends with `;`");
    }
    Some(Sql {
        text: text.to_owned(),
        line: reporter.line(start),
        at: start,
    })
}

/// `pass: \`…\`` → the text between the backticks and its place.
fn message(reporter: &Reporter<'_>, line: &str, at: usize) -> Option<(String, usize)> {
    let open = line.find('`');
    let inner = line
        .split_once(':')
        .map(|(_, m)| m.trim())
        .and_then(|m| m.strip_prefix('`'))
        .and_then(|m| m.strip_suffix('`'));
    let (Some(inner), Some(open)) = (inner, open) else {
        reporter.error(at, "a message stands between backticks: pass: `…`");
        return None;
    };
    let at = at + open + 1;
    if reporter.is_known_good() {
        return Some((inner.to_owned(), at));
    }
    match parse_message(inner) {
        Err(e) => reporter.error(at + e.offset, e.to_string()),
        Ok(parts) => {
            if inner.trim().is_empty() {
                reporter.error(at, "the message is empty");
            }
            if let Some(MessagePart::Text(last)) = parts.last()
                && last.ends_with('.')
            {
                reporter.error(at + inner.len() - 1, "the message ends with a period");
            }
            if let Some(MessagePart::Text(first)) = parts.first()
                && begins_a_sentence(first)
            {
                reporter.error(at, "the message begins with a capital");
            }
        }
    }
    Some((inner.to_owned(), at))
}

/// A first word like `Versioning`; `MFA`, `TLSv1` and `IPv6` are names.
fn begins_a_sentence(text: &str) -> bool {
    let word = text.split_whitespace().next().unwrap_or_default();
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_uppercase)
        && letters.next().is_none_or(|_| {
            !word
                .chars()
                .skip(1)
                .any(|c| c.is_uppercase() || c.is_ascii_digit())
        })
}

pub(super) fn fixtures(reporter: &Reporter<'_>, section: &PageSection<'_>) -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    let mut place = section.at;
    for item in &section.items {
        match item {
            Item::Line { text, .. } if text.trim().is_empty() => {}
            Item::Line { at, .. } => {
                reporter.error(*at, "`## Fixtures` holds one `rows` block, nothing else");
            }
            Item::Fence {
                info: "rows",
                body,
                body_at,
                at,
                ..
            } => {
                place = *at;
                fixtures.extend(fixture::parse(reporter, body, *body_at));
            }
            Item::Fence { info, at, .. } => reporter.error_hint(
                *at,
                format!("unknown block `{info}` in `## Fixtures`"),
                suggest::hint(info, ["rows"]),
            ),
        }
    }
    for status in [Status::Pass, Status::Fail, Status::Unknown] {
        let wanted = FixtureStatus::Finding(status);
        if !fixtures.iter().any(|f: &Fixture| f.expect == wanted) {
            reporter.error(place, format!("no fixture expects `{status}`"));
        }
    }
    fixtures
}

/// `!Code` stands for a whole cell, or for a whole table of a full query.
fn cells(reporter: &Reporter<'_>, fixtures: &[Fixture], is_query: bool) {
    for fixture in fixtures {
        let deep = |value: &Json| fixture::error_code(value).is_none() && holds_error(value);
        let row = |row: &serde_json::Map<String, Json>| row.values().any(deep);
        let wrong = if is_query {
            fixture.data.iter().any(|(table, value)| match value {
                Json::Array(rows) => rows.iter().any(|r| match r {
                    Json::Object(_) if fixture::error_code(r).is_some() => true,
                    Json::Object(cells) => row(cells),
                    _ => {
                        reporter.error_on_line(
                            fixture.line,
                            format!("a row of `{table}` is not an object"),
                        );
                        false
                    }
                }),
                value if fixture::error_code(value).is_some() => false,
                _ => {
                    reporter.error_on_line(
                        fixture.line,
                        format!("`{table}` must be a list of rows: a full query's fixture maps tables to rows"),
                    );
                    false
                }
            })
        } else {
            row(&fixture.data)
        };
        if wrong {
            reporter.error_on_line(
                fixture.line,
                "`!Code` stands for a whole cell, or for a whole table of a full query",
            );
        }
    }
}

fn holds_error(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.iter().any(holds_error),
        Json::Object(map) => fixture::error_code(value).is_some() || map.values().any(holds_error),
        _ => false,
    }
}

/// Collects the parameters of SQL texts, each given with its place, and reports what SQL must not use.
fn uses(
    reporter: &Reporter<'_>,
    texts: &[(usize, &str)],
    params: &Params,
    used: &mut BTreeSet<String>,
) {
    for (at, text) in texts {
        for (offset, name) in sql::parameters(text) {
            if name != "now" && !params.contains_key(name) {
                reporter.error_hint(
                    at + offset,
                    format!("`${name}` is not a declared parameter"),
                    suggest::hint(name, params.keys().map(String::as_str)),
                );
            }
            used.insert(name.to_owned());
        }
        if let Some((offset, word)) = sql::unsteady(text) {
            reporter.error_hint(
                at + offset,
                format!("`{word}` differs from run to run"),
                "the time of the scan is `$now`".to_owned(),
            );
        }
    }
}

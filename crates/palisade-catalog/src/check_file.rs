//! Parsing of `catalog/checks/<service>/<id>.md`.
mod body;
mod front;

use crate::page::{self, Page};
use crate::text::Reporter;
use crate::words::PLACEHOLDER;
use crate::{Check, Fixture, Fixtures, names, words};

/// Parses one page; its diagnostics are in the reporter. `None` when it cannot be used.
pub(crate) fn parse(reporter: &Reporter<'_>, service: &str, id: &str, text: &str) -> Option<Check> {
    check_id(reporter, service, id);
    let page = page::split(text);
    for at in &page.unclosed {
        let what = if *at == 0 && page.front.is_none() && text.starts_with("+++") {
            "the front matter is not closed with `+++`"
        } else {
            "the code fence is not closed"
        };
        reporter.error(*at, what);
    }
    if !reporter.is_known_good() {
        for (at, _) in text.match_indices(PLACEHOLDER) {
            reporter.error(at, "something is still to be written here");
        }
    }
    let front = front(reporter, &page, text);
    let no_params = Default::default();
    let params = front.as_ref().map(|f| &f.params);
    let body = body::parse(reporter, &page, params.unwrap_or(&no_params));
    if let (Some(front), Some(body)) = (&front, &body) {
        body::check_together(reporter, front, body);
    }
    let (front, body) = (front?, body?);
    (!reporter.has_errors()).then(|| Check {
        id: id.to_owned(),
        service: service.to_owned(),
        file: reporter.file.to_owned(),
        title: front.title,
        severity: front.severity,
        resource: front.resource,
        category: front.category,
        since: front.since,
        same_as: front.same_as,
        sufficient: front.sufficient.map(|s| s.value),
        params: front
            .params
            .into_iter()
            .map(|(n, p)| (n, p.value))
            .collect(),
        variants: front.variants,
        why: body.why,
        fix: body.fix,
        fix_calls: body.fix_calls.into_iter().map(|(_, call)| call).collect(),
        applies: body.applies.map(|a| (a.text, a.line)),
        is_query: body.is_query,
        sql: (body.sql.text, body.sql.line),
        pass_message: body.pass_message,
        fail_message: body.fail_message,
        fixtures: body.fixtures.into(),
    })
}

/// A page in which nothing is wrong, as far as it is needed to judge. `None` when something is wrong all the same.
pub(crate) fn parse_known_good(
    file: &str,
    service: &str,
    id: &str,
    text: &'static str,
) -> Option<Check> {
    let reporter = Reporter::known_good(file, text);
    let mut check = parse(&reporter, service, id, text)?;
    check.fixtures = Fixtures::later(text);
    Some(check)
}

/// The fixtures of a page in which nothing is wrong.
pub(crate) fn fixtures_of(text: &str) -> Vec<Fixture> {
    let reporter = Reporter::known_good("", text);
    let page = page::split(text);
    let mut sections = page.sections.iter();
    let section = sections.find(|s| s.title == "Fixtures");
    section.map_or_else(Vec::new, |s| body::fixtures(&reporter, s))
}

fn front(reporter: &Reporter<'_>, page: &Page<'_>, text: &str) -> Option<front::Front> {
    match page.front {
        Some((toml, base)) => front::parse(reporter, toml, base),
        None => {
            if !text.starts_with("+++") {
                reporter.error(
                    0,
                    "the page does not begin with front matter between `+++` lines",
                );
            }
            None
        }
    }
}

fn check_id(reporter: &Reporter<'_>, service: &str, id: &str) {
    if !names::is_kebab(id) {
        reporter.error(
            0,
            format!("the check's id `{id}` is not in kebab case, such as `s3-bucket-versioning`"),
        );
    }
    let rest = id.strip_prefix(service).and_then(|r| r.strip_prefix('-'));
    if rest.is_none_or(str::is_empty) {
        reporter.error(
            0,
            format!("the check's id `{id}` does not begin with its folder's name: `{service}-…` is expected"),
        );
    }
    if let Some(word) = words::banned(id) {
        reporter.error(
            0,
            format!("the check's id `{id}` uses `{word}`; an id names the required state"),
        );
    }
}

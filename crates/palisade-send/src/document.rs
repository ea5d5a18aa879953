//! What is told, in the forms that several destinations share.
use crate::changes::{Changes, Closed};
use crate::state::Known;
use palisade_core::{Assessment, Finding, Severity, Status};
use palisade_report::{printable, resource_name, shorten};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Texts of checks by id.
pub(crate) struct Titles<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Titles<'a> {
    pub(crate) fn of(assessment: &'a Assessment) -> Self {
        let checks = assessment.checks.iter();
        Self(checks.map(|c| (c.id.as_str(), c.title.as_str())).collect())
    }
    /// The title, or the id of a check that the assessment does not list.
    pub(crate) fn get(&self, check: &'a str) -> &'a str {
        self.0.get(check).copied().unwrap_or(check)
    }
}

/// A finding with its identity and its check's title (`docs/specs/finding.md`).
pub(crate) fn finding(id: &str, finding: &Finding, titles: &Titles<'_>) -> Json {
    let mut object = Map::new();
    object.insert("id".to_owned(), id.into());
    object.insert(
        "title".to_owned(),
        titles
            .0
            .get(&*finding.check)
            .map_or(Json::Null, |t| (*t).into()),
    );
    // a finding is texts, maps and lists: it cannot fail
    if let Ok(Json::Object(fields)) = serde_json::to_value(finding) {
        object.extend(fields);
    }
    Json::Object(object)
}

/// A finding that is over.
pub(crate) fn closed(id: &str, known: &Known, why: Closed) -> Json {
    json!({
        "id": id,
        "check": known.check,
        "account_id": known.account_id,
        "region": known.region,
        "resource": known.resource,
        "why": why.as_str(),
    })
}

/// What all parts of a delivery say of their scan.
pub(crate) fn head(assessment: &Assessment) -> Map<String, Json> {
    let count = |keep: &dyn Fn(&&Finding) -> bool| assessment.findings.iter().filter(keep).count();
    let mut failed = Map::new();
    for severity in Severity::ALL.iter().rev() {
        let of = count(&|f| f.counts_as_failed() && f.severity == *severity);
        failed.insert(severity.as_str().to_owned(), of.into());
    }
    let summary = json!({
        "failed": failed,
        "unknown": count(&|f| f.status == Status::Unknown),
        "passed": count(&|f| f.status == Status::Pass),
        "muted": count(&|f| f.muted.is_some()),
        "interrupted": assessment.coverage.interrupted,
    });
    let head = json!({
        "schema": "palisade-message/1",
        "version": assessment.version,
        "started_at": assessment.started_at.to_string(),
        "accounts": assessment.accounts,
        "regions": assessment.regions,
        "summary": summary,
    });
    match head {
        Json::Object(head) => head,
        _ => Map::new(),
    }
}

/// A part of a delivery: what it tells, and its text.
pub(crate) struct Part<'c, 'a> {
    pub(crate) open: &'c [(String, &'a Finding)],
    pub(crate) closed: &'c [(String, Known, Closed)],
    pub(crate) body: Vec<u8>,
}

/// Cuts changes into documents of at most so many bytes each (a single finding may be more).
pub(crate) fn parts<'c, 'a>(
    assessment: &'a Assessment,
    changes: &'c Changes<'a>,
    most: usize,
) -> Vec<Part<'c, 'a>> {
    let titles = Titles::of(assessment);
    let head = head(assessment);
    let room = most.saturating_sub(length(&Json::Object(head.clone())) + 100);
    let open: Vec<Json> = changes
        .open
        .iter()
        .map(|(id, f)| finding(id, f, &titles))
        .collect();
    let over: Vec<Json> = changes
        .closed
        .iter()
        .map(|(id, known, why)| closed(id, known, *why))
        .collect();
    // ends of parts, in the order: all that is open, then all that is over
    let (mut ends, mut used) = (Vec::new(), 0);
    for (at, item) in open.iter().chain(&over).enumerate() {
        let cost = length(item) + 1;
        if used > 0 && used + cost > room {
            ends.push(at);
            used = 0;
        }
        used += cost;
    }
    ends.push(open.len() + over.len());
    let (mut from, count) = (0, ends.len());
    let mut parts = Vec::new();
    for (number, end) in ends.into_iter().enumerate() {
        let opens = from.min(open.len())..end.min(open.len());
        let overs = from.max(open.len()) - open.len()..end.max(open.len()) - open.len();
        from = end;
        let mut document = head.clone();
        document.insert("part".to_owned(), (number + 1).into());
        document.insert("parts".to_owned(), count.into());
        let slice = |all: &[Json], range: std::ops::Range<usize>| {
            Json::from(all.get(range).unwrap_or_default())
        };
        document.insert("findings".to_owned(), slice(&open, opens.clone()));
        document.insert("closed".to_owned(), slice(&over, overs.clone()));
        parts.push(Part {
            open: changes.open.get(opens).unwrap_or_default(),
            closed: changes.closed.get(overs).unwrap_or_default(),
            body: palisade_report::to_json(&document),
        });
    }
    parts
}

/// Bytes of the text.
pub(crate) fn length(value: &Json) -> usize {
    palisade_report::to_json(value).len()
}

/// `3 new failed findings, 1 is over`, of words and numbers only.
pub(crate) fn headline(changes: &Changes<'_>) -> String {
    let many = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let failed = changes
        .open
        .iter()
        .filter(|(_, f)| f.status == Status::Fail)
        .count();
    let other = changes.open.len() - failed;
    let mut texts = Vec::new();
    if failed > 0 {
        texts.push(many(failed, "new failed finding"));
    }
    if other > 0 {
        texts.push(many(other, "other new finding"));
    }
    if !changes.closed.is_empty() {
        texts.push(format!("{} closed", changes.closed.len()));
    }
    if texts.is_empty() {
        texts.push("nothing new".to_owned());
    }
    texts.join(", ")
}

/// `2 critical, 1 high`: what is new, by severity.
pub(crate) fn severities(changes: &Changes<'_>) -> String {
    let count = |severity: &Severity| {
        let of = changes.open.iter().filter(|(_, f)| f.severity == *severity);
        (of.count(), *severity)
    };
    let counts = Severity::ALL.iter().rev().map(count);
    let texts = counts
        .filter(|(n, _)| *n > 0)
        .map(|(n, severity)| format!("{n} {severity}"));
    texts.collect::<Vec<_>>().join(", ")
}

/// A resource on one line, with nothing in it that a display would act on.
pub(crate) fn resource_line(finding: &Finding, most: usize) -> String {
    shorten(&printable(resource_name(finding)), most).into_owned()
}

/// A message on one line, with nothing in it that a display would act on.
pub(crate) fn message_line(finding: &Finding, most: usize) -> String {
    shorten(&printable(&finding.message), most).into_owned()
}

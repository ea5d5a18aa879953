//! Compliance as a table: one row for every requirement and finding of a check that serves it. Findings of checks
//! that serve no requirement are not in it.
//!
//! Of the frameworks that were selected every requirement is there: one that no finding serves has a row of its own,
//! and all rows say how the requirement stands, as every other report does.
use crate::shared::Checks;
use palisade_core::{Assessment, RequirementSummary};
use std::collections::BTreeMap;
use std::io::Write;

/// The header, in order.
pub const HEADER: &[&str] = &[
    "framework",
    "requirement",
    "status",
    "severity",
    "check",
    "title",
    "account_id",
    "region",
    "resource",
    "resource_id",
    "resource_type",
    "message",
    "muted",
    "requirement_title",
    "requirement_status",
    "requirement_reason",
];

/// Writes the rows, by framework and requirement, then in the order of the findings.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let checks = Checks::of(assessment);
    // positions, not findings: a finding serves many requirements
    let mut by_requirement: BTreeMap<(&str, Vec<Part<'_>>), Vec<u32>> = BTreeMap::new();
    for (position, finding) in (0u32..).zip(&assessment.findings) {
        for requirement in &*finding.requirements {
            let (framework, id) = requirement.split_once('/').unwrap_or(("", requirement));
            by_requirement
                .entry((framework, parts(id)))
                .or_default()
                .push(position);
        }
    }
    let mut judged: BTreeMap<(&str, Vec<Part<'_>>), &RequirementSummary> = BTreeMap::new();
    for framework in &assessment.frameworks {
        for requirement in &framework.requirements {
            let key = || (framework.id.as_str(), parts(&requirement.id));
            judged.insert(key(), requirement);
            by_requirement.entry(key()).or_default();
        }
    }
    let mut rows = ::csv::Writer::from_writer(out);
    rows.write_record(HEADER)?;
    for (requirement, positions) in &by_requirement {
        let summary = judged.get(requirement);
        let (framework, id) = requirement;
        let id: String = id.iter().map(|p| p.text).collect();
        let stands = [
            summary.map_or("", |s| s.title.as_str()),
            summary.map_or("", |s| s.status.as_str()),
            summary.map_or("", |s| s.reason.as_str()),
        ];
        let found = positions
            .iter()
            .filter_map(|p| assessment.findings.get(usize::try_from(*p).ok()?));
        for finding in found {
            let cells = [
                finding.status.as_str(),
                finding.severity.as_str(),
                &finding.check,
                checks.title(&finding.check),
                &finding.account_id,
                &finding.region,
                &finding.resource,
                &finding.resource_id,
                &finding.resource_type,
                &finding.message,
                finding.muted.as_deref().map_or("", |m| &m.reason),
            ];
            row(&mut rows, &[&[framework, &id], &cells[..], &stands])?;
        }
        if positions.is_empty() {
            row(&mut rows, &[&[framework, &id], &[""; 11], &stands])?;
        }
    }
    rows.flush()
}

fn row<W: Write>(rows: &mut ::csv::Writer<W>, cells: &[&[&str]]) -> std::io::Result<()> {
    for cell in cells.iter().copied().flatten() {
        rows.write_field(crate::csv::inert(cell).as_bytes())?;
    }
    Ok(rows.write_record(None::<&[u8]>)?)
}

/// A run of digits or of anything else: `1.10` comes after `1.9`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Part<'a> {
    number: Option<u64>,
    text: &'a str,
}

fn parts(id: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = id;
    while let Some(first) = rest.chars().next() {
        let digits = first.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digits)
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        parts.push(Part {
            number: text.parse().ok(),
            text,
        });
        rest = after;
    }
    parts
}

//! Compliance as a table: one row for every requirement and finding of a check that serves it. Findings of checks
//! that serve no requirement are not in it.
use crate::shared::Checks;
use palisade_core::Assessment;
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
    let mut rows = ::csv::Writer::from_writer(out);
    rows.write_record(HEADER)?;
    for ((framework, id), positions) in &by_requirement {
        let id: String = id.iter().map(|p| p.text).collect();
        let found = positions
            .iter()
            .filter_map(|p| assessment.findings.get(usize::try_from(*p).ok()?));
        for finding in found {
            let cells = [
                *framework,
                &id,
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
            for cell in cells {
                rows.write_field(crate::csv::inert(cell).as_bytes())?;
            }
            rows.write_record(None::<&[u8]>)?;
        }
    }
    rows.flush()
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

//! One finding a row, with the texts that a spreadsheet needs beside it.
use palisade_core::{Assessment, FixAvailability};
use std::collections::BTreeMap;
use std::io::Write;

/// The header, in order.
pub const HEADER: &[&str] = &[
    "check",
    "title",
    "status",
    "severity",
    "category",
    "service",
    "account_id",
    "region",
    "resource",
    "resource_id",
    "resource_type",
    "message",
    "evidence",
    "requirements",
    "missing_permissions",
    "fix",
];

/// Writes a header and one row a finding. Lists are joined by `; `, evidence is JSON. Text that a spreadsheet
/// would take for a formula is prefixed with an apostrophe.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let checks: BTreeMap<&str, _> = assessment
        .checks
        .iter()
        .map(|c| (c.id.as_str(), c))
        .collect();
    let mut rows = ::csv::Writer::from_writer(out);
    rows.write_record(HEADER)?;
    for finding in &assessment.findings {
        let check = checks.get(finding.check.as_ref());
        let evidence = if finding.evidence.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&finding.evidence)?
        };
        let fix = match finding.fix {
            FixAvailability::Automatic => "automatic",
            FixAvailability::Guided => "guided",
        };
        let cells = [
            finding.check.as_ref(),
            check.map_or("", |c| c.title.as_str()),
            finding.status.as_str(),
            finding.severity.as_str(),
            check.map_or("", |c| c.category.as_str()),
            check.map_or("", |c| c.service.as_str()),
            finding.account_id.as_ref(),
            finding.region.as_ref(),
            &finding.resource,
            &finding.resource_id,
            finding.resource_type.as_ref(),
            &finding.message,
            &evidence,
            &finding.requirements.join("; "),
            &finding.missing_permissions.join("; "),
            fix,
        ];
        rows.write_record(cells.iter().map(|cell| inert(cell).into_owned()))?;
    }
    rows.flush()
}

/// Names in an account are chosen by others: a cell that begins like a formula must stay text
/// (OWASP, "CSV Injection").
fn inert(cell: &str) -> std::borrow::Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

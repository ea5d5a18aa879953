//! One finding a row, with the texts that a spreadsheet needs beside it.
use crate::shared::fix_word;
use palisade_core::{Assessment, Finding, Findings, Seen};
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
    "muted",
    "first_seen",
    "last_changed",
    "age_days",
    "reopened",
    "new",
];

/// Writes a header and one row a finding. Lists are joined by `; `, evidence is JSON. Text that a spreadsheet
/// would take for a formula is prefixed with an apostrophe.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    write_from(assessment, &assessment.findings, out)
}

/// The same with findings that are elsewhere: those of the assessment are not looked at.
///
/// # Errors
/// When the writer fails, or the findings cannot be read.
pub fn write_from(
    assessment: &Assessment,
    findings: &dyn Findings,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let checks: BTreeMap<&str, _> = assessment
        .checks
        .iter()
        .map(|c| (c.id.as_str(), c))
        .collect();
    let mut rows = ::csv::Writer::from_writer(out);
    rows.write_record(HEADER)?;
    findings.each(&mut |finding| {
        let check = checks.get(finding.check.as_ref());
        let evidence = if finding.evidence.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&finding.evidence)?
        };
        let fix = fix_word(finding.fix);
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
            finding.muted.as_deref().map_or("", |m| m.reason.as_str()),
            &history(finding, |h| h.first_seen.to_string()),
            &history(finding, |h| h.last_changed.to_string()),
            &history(finding, |h| h.age_days.to_string()),
            &history(finding, |h| h.reopened.to_string()),
            &history(finding, |h| {
                h.new.map(|n| n.to_string()).unwrap_or_default()
            }),
        ];
        for cell in cells {
            rows.write_field(inert(cell).as_bytes())?;
        }
        Ok(rows.write_record(None::<&[u8]>)?)
    })?;
    rows.flush()
}

/// Empty where earlier scans are not known.
fn history(finding: &Finding, of: impl Fn(&Seen) -> String) -> String {
    finding.history.as_deref().map(of).unwrap_or_default()
}

/// Names in an account are chosen by others: a cell that begins like a formula must stay text (OWASP, "CSV
/// Injection"), and no cell may steer the terminal that shows it.
pub(crate) fn inert(cell: &str) -> std::borrow::Cow<'_, str> {
    const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let steers = |c: char| crate::json_text::steers(c) && !matches!(c, '\n' | '\r' | '\t');
    let quote = if cell.starts_with(FORMULA) { "'" } else { "" };
    if quote.is_empty() && !cell.contains(steers) {
        return cell.into();
    }
    let safe = cell.chars().map(|c| if steers(c) { '\u{fffd}' } else { c });
    quote.chars().chain(safe).collect::<String>().into()
}

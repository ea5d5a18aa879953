//! One finding a line.
use palisade_core::{Assessment, Findings};
use std::io::Write;

/// Writes each finding as one line of JSON, in the order of the assessment.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    write_from(&assessment.findings, out)
}

/// The same with findings that are elsewhere.
///
/// # Errors
/// When the writer fails, or the findings cannot be read.
pub fn write_from(findings: &dyn Findings, out: &mut dyn Write) -> std::io::Result<()> {
    findings.each(&mut |finding| {
        crate::json_text::compact(out, finding)?;
        writeln!(out)
    })
}

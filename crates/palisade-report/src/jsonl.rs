//! One finding a line.
use palisade_core::Assessment;
use std::io::Write;

/// Writes each finding as one line of JSON, in the order of the assessment.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    for finding in &assessment.findings {
        crate::json_text::compact(out, finding)?;
        writeln!(out)?;
    }
    Ok(())
}

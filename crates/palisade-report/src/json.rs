//! The whole assessment as one JSON document, and the version of its schema.
use palisade_core::Assessment;
use serde::Serialize;
use std::io::Write;

/// Version of the documented schema (`docs/specs/finding.md`); changes only when a field changes its meaning.
pub const SCHEMA: &str = "palisade/1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    assessment: &'a Assessment,
}

/// Writes the assessment as indented JSON.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    crate::json_text::pretty(
        out,
        &Document {
            schema: SCHEMA,
            assessment,
        },
    )?;
    writeln!(out)
}

//! The whole assessment as one JSON document, and the version of its schema.
use palisade_core::{
    Assessment, CheckSummary, Coverage, ExpiredMute, Findings, FrameworkSummary, LastScan,
    Timestamp,
};
use serde::ser::{Error, SerializeSeq};
use serde::{Serialize, Serializer};
use std::io::Write;

/// Version of the documented schema (`docs/specs/finding.md`); changes only when a field changes its meaning.
pub const SCHEMA: &str = "palisade/1";

/// An [`Assessment`] as its own form has it, with findings from anywhere.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'a str,
    started_at: &'a Timestamp,
    accounts: &'a [String],
    regions: &'a [String],
    checks: &'a [CheckSummary],
    findings: Each<'a>,
    coverage: &'a Coverage,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    frameworks: &'a [FrameworkSummary],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    expired_mutes: &'a [ExpiredMute],
    #[serde(skip_serializing_if = "Option::is_none")]
    last_scan: Option<&'a LastScan>,
}

struct Each<'a>(&'a dyn Findings);

impl Serialize for Each<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.count()))?;
        let mut failed = None;
        let read = self.0.each(&mut |finding| {
            list.serialize_element(finding).map_err(|e| {
                failed = Some(e);
                std::io::ErrorKind::Other.into()
            })
        });
        match (failed, read) {
            (Some(e), _) => Err(e),
            (None, Err(e)) => Err(S::Error::custom(e)),
            (None, Ok(())) => list.end(),
        }
    }
}

/// Writes the assessment as indented JSON.
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
    // a new field must be written too
    let Assessment {
        version,
        started_at,
        accounts,
        regions,
        checks,
        findings: _,
        counted: _,
        coverage,
        frameworks,
        expired_mutes,
        last_scan,
    } = assessment;
    let document = Document {
        schema: SCHEMA,
        version,
        started_at,
        accounts,
        regions,
        checks,
        findings: Each(findings),
        coverage,
        frameworks,
        expired_mutes,
        last_scan: last_scan.as_ref(),
    };
    crate::json_text::pretty(out, &document)?;
    writeln!(out)
}

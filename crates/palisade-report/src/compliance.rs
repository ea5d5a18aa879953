//! The roll-up of frameworks for a terminal.
use crate::shared::printable;
use crate::text::{Options, Painter, wrap};
use palisade_core::{FrameworkSummary, RequirementStatus};
use std::io::Write;

/// How the text report calls a status.
fn label(status: RequirementStatus) -> &'static str {
    match status {
        RequirementStatus::Passed => "passed",
        RequirementStatus::Failed => "failed",
        RequirementStatus::Unknown => "unknown",
        RequirementStatus::Manual => "manual",
        RequirementStatus::NotCovered => "not covered",
        RequirementStatus::NotApplicable => "nothing to judge",
        RequirementStatus::Aws => "AWS's side",
    }
}

/// Writes each framework with its requirements. Those that are as they have to be are only counted, unless all are asked
/// for.
///
/// # Errors
/// When the writer fails.
pub(crate) fn write(
    frameworks: &[FrameworkSummary],
    options: Options,
    p: &Painter,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    for framework in frameworks {
        let counts: Vec<String> = framework
            .counts
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(status, n)| format!("{n} {}", label(*status)))
            .collect();
        let title = format!("{} ({})", framework.title, framework.id);
        writeln!(out, "{}", p.bold(&printable(&title)))?;
        let total = framework.requirements.len();
        let line = format!("{total} requirements: {}", counts.join(", "));
        wrap(&line, options.width, "  ", "  ", out)?;
        let widest = framework
            .requirements
            .iter()
            .map(|r| r.id.chars().count())
            .max();
        let width = widest.unwrap_or(0).min(16);
        for requirement in &framework.requirements {
            let status = requirement.status;
            let quiet = matches!(status, RequirementStatus::Passed | RequirementStatus::Aws);
            if quiet && !options.all {
                continue;
            }
            let first = format!("  {:<16} {:<width$} ", label(status), requirement.id);
            let line = format!("{}: {}", requirement.title, requirement.reason);
            let rest = " ".repeat(first.chars().count());
            wrap(&printable(&line), options.width, &first, &rest, out)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

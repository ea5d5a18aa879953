//! The roll-up of frameworks for a terminal.
use crate::shared::printable;
use crate::text::{Options, Painter, wrap};
use palisade_core::{FrameworkSummary, RequirementStatus};
use std::collections::BTreeMap;
use std::io::Write;

/// Requirements that nothing could be said about are listed up to this many of a kind; standards have hundreds.
const LISTED: usize = 12;

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
        let mut left: BTreeMap<RequirementStatus, usize> = BTreeMap::new();
        let mut shown: BTreeMap<RequirementStatus, usize> = BTreeMap::new();
        for requirement in &framework.requirements {
            let status = requirement.status;
            let limit = match status {
                _ if options.all => usize::MAX,
                RequirementStatus::Failed | RequirementStatus::Unknown => usize::MAX,
                RequirementStatus::Passed | RequirementStatus::Aws => 0,
                _ => LISTED,
            };
            let so_far = shown.entry(status).or_default();
            if *so_far >= limit {
                if limit > 0 {
                    *left.entry(status).or_default() += 1;
                }
                continue;
            }
            *so_far += 1;
            let first = format!("  {:<16} {:<width$} ", label(status), requirement.id);
            let line = format!("{}: {}", requirement.title, requirement.reason);
            let rest = " ".repeat(first.chars().count());
            wrap(&printable(&line), options.width, &first, &rest, out)?;
        }
        for (status, n) in left {
            writeln!(
                out,
                "  {:<16} and {n} more; --all lists them",
                label(status)
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

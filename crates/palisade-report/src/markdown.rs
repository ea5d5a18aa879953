//! A summary in Markdown that fits a pull request or a ticket. It counts everything and lists the worst; it is no
//! list of all findings.
use crate::posture::{Posture, Tally};
use crate::score::Score;
use crate::shared::{resource_name, shorten};
use palisade_core::{Assessment, Status};
use std::collections::BTreeMap;
use std::io::Write;

/// Checks that are listed. With the limits below the summary stays under 60,000 characters, which code hosts take.
const CHECKS: usize = 15;
/// Resources that are listed under a check.
pub const RESOURCES: usize = 5;
/// Missing permissions and failed operations that are listed.
const UNSEEN: usize = 15;

/// Writes the summary.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let posture = Posture::of(assessment);
    let score = Score::of(assessment);
    let total = &posture.total;
    writeln!(out, "# Palisade: {}\n", headline(total))?;
    if assessment.coverage.interrupted {
        writeln!(
            out,
            "**Incomplete: the scan was stopped before it ended.**\n"
        )?;
    }
    let accounts: Vec<String> = assessment
        .accounts
        .iter()
        .take(5)
        .map(|a| code(a))
        .collect();
    let more = assessment.accounts.len().saturating_sub(5);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    writeln!(
        out,
        "{} {}{more} · {} · {} · {}\n",
        if assessment.accounts.len() == 1 {
            "Account"
        } else {
            "Accounts"
        },
        accounts.join(", "),
        count(assessment.regions.len(), "region"),
        count(assessment.checks.len(), "check"),
        assessment.started_at
    )?;
    if let Some(value) = score.value {
        write!(out, "**Score {value:.0} of 100**")?;
        if let (Some(least), Some(most)) = (score.least, score.most)
            && total.unknown > 0
        {
            write!(
                out,
                " ({least:.0} to {most:.0}, depending on what could not be read)"
            )?;
        }
        writeln!(out, "\n")?;
    }
    writeln!(
        out,
        "| Severity | Failed | Unknown | Passed | Muted |\n|---|--:|--:|--:|--:|"
    )?;
    for (severity, tally) in &posture.by_severity {
        row(out, severity.as_str(), tally)?;
    }
    row(out, "**all**", total)?;
    writeln!(out)?;
    first(&posture, out)?;
    unseen(assessment, total, out)?;
    if !assessment.expired_mutes.is_empty() {
        writeln!(out, "## Expired mutes\n")?;
        for mute in assessment.expired_mutes.iter().take(UNSEEN) {
            let (check, owner) = (code(&mute.check), code(&mute.owner));
            writeln!(
                out,
                "- {check} until {} ({owner}): {} count again",
                mute.expires,
                count(mute.findings, "finding")
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn headline(total: &Tally) -> String {
    match (total.fail, total.unknown) {
        (0, 0) => "nothing failed".to_owned(),
        (0, unknown) => format!("nothing failed, {unknown} could not be decided"),
        (fail, 0) => count(fail, "failed finding"),
        (fail, unknown) => format!(
            "{}, {unknown} could not be decided",
            count(fail, "failed finding")
        ),
    }
}

fn row(out: &mut dyn Write, name: &str, tally: &Tally) -> std::io::Result<()> {
    let Tally {
        fail,
        unknown,
        pass,
        muted,
        ..
    } = tally;
    writeln!(out, "| {name} | {fail} | {unknown} | {pass} | {muted} |")
}

fn first(posture: &Posture<'_>, out: &mut dyn Write) -> std::io::Result<()> {
    if posture.first.is_empty() {
        return Ok(());
    }
    writeln!(out, "## What to fix first\n")?;
    for failing in posture.first.iter().take(CHECKS) {
        let (check, severity, findings) = (failing.check, failing.severity, &failing.findings);
        writeln!(
            out,
            "- **{severity}** {} ({}): {} failed",
            text(&shorten(&check.title, 200)),
            code(&check.id),
            failing.failed
        )?;
        for finding in findings.iter().take(RESOURCES) {
            writeln!(
                out,
                "  - {} in {} {}: {}",
                code(&shorten(resource_name(finding), 120)),
                code(&finding.account_id),
                code(&finding.region),
                code(&shorten(&finding.message, 240))
            )?;
        }
        let more = failing.failed - findings.len().min(RESOURCES);
        if more > 0 {
            writeln!(out, "  - and {more} more")?;
        }
    }
    let rest = posture.first.len().saturating_sub(CHECKS);
    if rest > 0 {
        writeln!(
            out,
            "- and {} with failed findings",
            count(rest, "more check")
        )?;
    }
    writeln!(out)
}

fn unseen(assessment: &Assessment, total: &Tally, out: &mut dyn Write) -> std::io::Result<()> {
    if assessment.coverage.failures.is_empty() && total.unknown == 0 {
        return Ok(());
    }
    writeln!(out, "## What could not be read\n")?;
    writeln!(
        out,
        "{} unknown: neither passed nor failed.\n",
        count(total.unknown, "finding")
    )?;
    let mut permissions: BTreeMap<&str, usize> = BTreeMap::new();
    let unknown = assessment
        .findings
        .iter()
        .filter(|f| f.status == Status::Unknown);
    for permission in unknown.flat_map(|f| &f.missing_permissions) {
        *permissions.entry(permission).or_default() += 1;
    }
    for (permission, findings) in &assessment.counted.permissions {
        *permissions.entry(permission).or_default() += findings;
    }
    for (permission, findings) in permissions.iter().take(UNSEEN) {
        writeln!(
            out,
            "- {} is missing ({})",
            code(permission),
            count(*findings, "finding")
        )?;
    }
    if permissions.len() > UNSEEN {
        writeln!(
            out,
            "- and {}",
            count(permissions.len() - UNSEEN, "more permission")
        )?;
    }
    let mut operations: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for (error, times) in &assessment.coverage.failures {
        let operation = format!("{}:{}", error.service, error.operation);
        *operations.entry((operation, &error.code)).or_default() += times;
    }
    for ((operation, cause), times) in operations.iter().take(UNSEEN) {
        writeln!(
            out,
            "- {} failed {} with {}",
            code(operation),
            count(*times, "time"),
            code(&shorten(cause, 100))
        )?;
    }
    if operations.len() > UNSEEN {
        writeln!(
            out,
            "- and {} of failure",
            count(operations.len() - UNSEEN, "more kind")
        )?;
    }
    writeln!(out)
}

fn count(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}

/// Text that others chose, as code: nothing in it is markup, a mention or a link. A run of backquotes inside needs a
/// longer one around (CommonMark, "Code spans").
fn code(text: &str) -> String {
    let line = crate::shared::printable(text);
    let longest = line.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if line.starts_with('`') || line.ends_with('`') || line.trim().is_empty() {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{line}{space}{fence}")
}

/// Our own text: only what would be markup is escaped.
fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>|&#@".contains(c) {
            safe.push('\\');
        }
        safe.push(if c.is_control() { ' ' } else { c });
    }
    safe
}

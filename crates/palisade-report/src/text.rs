//! The report for a terminal. Reads the same without colour.
use crate::compliance;
use crate::posture::{Posture, Tally};
use crate::score::Score;
use crate::shared::printable;
use palisade_core::{Assessment, CallErrorKind, Severity, Status};
use std::collections::BTreeMap;
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// How the report is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// ANSI colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// How many checks are listed under "What to fix first".
    pub top: usize,
    /// Every fail and unknown is listed, instead of the worst.
    pub all: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
            top: 12,
            all: false,
        }
    }
}

/// Resources listed under one check before "and n more".
pub const RESOURCES: usize = 3;

pub(crate) struct Painter(bool);
impl Painter {
    fn paint(&self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }
    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }
    fn severity(&self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Critical => "1;35",
            Severity::High => "31",
            Severity::Medium => "33",
            Severity::Low => "36",
            Severity::Informational => "2",
        };
        self.paint(code, text)
    }
}

/// Writes the report.
///
/// # Errors
/// When the writer fails.
pub fn write(
    assessment: &Assessment,
    options: Options,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let painter = Painter(options.color);
    let posture = Posture::of(assessment);
    heading(assessment, &painter, out)?;
    by_severity(assessment, &posture, &painter, out)?;
    by_service(&posture, &painter, out)?;
    fix_first(&posture, options, &painter, out)?;
    unseen(assessment, options, &painter, out)?;
    compliance::write(&assessment.frameworks, options, &painter, out)?;
    expired(assessment, options, &painter, out)?;
    coverage(assessment, &painter, out)
}

fn heading(assessment: &Assessment, p: &Painter, out: &mut dyn Write) -> std::io::Result<()> {
    let accounts = match assessment.accounts.as_slice() {
        [one] => format!("account {one}"),
        many => format!("{} accounts", many.len()),
    };
    let regions = match assessment.regions.as_slice() {
        many if many.len() <= 4 => many.join(", "),
        many => format!("{} regions", many.len()),
    };
    let title = p.bold(&format!("Palisade {}", assessment.version));
    let checks = assessment.checks.len();
    let at = assessment.started_at;
    writeln!(out, "{title}  {accounts}  {checks} checks  {at}")?;
    writeln!(out, "{regions}")?;
    if assessment.coverage.interrupted {
        let label = p.bold("INCOMPLETE:");
        writeln!(out, "{label} the scan was stopped before it ended.")?;
        writeln!(out, "What follows is what was read until then.")?;
    }
    score(assessment, p, out)?;
    writeln!(out)
}

fn score(assessment: &Assessment, p: &Painter, out: &mut dyn Write) -> std::io::Result<()> {
    let score = Score::of(assessment);
    let Some(value) = score.value else {
        return Ok(());
    };
    write!(out, "{}", p.bold(&format!("Score {value:.0} of 100")))?;
    if let (Some(least), Some(most)) = (score.least, score.most)
        && most - least >= 0.5
    {
        write!(
            out,
            "  ({least:.0} to {most:.0} with what could not be read)"
        )?;
    }
    writeln!(out)
}

fn tally_cells(tally: &Tally) -> String {
    format!("{:>7} {:>8} {:>7}", tally.fail, tally.unknown, tally.pass)
}

fn by_severity(
    assessment: &Assessment,
    posture: &Posture<'_>,
    p: &Painter,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(
        out,
        "{}",
        p.bold(&format!(
            "{:<16} {:>7} {:>8} {:>7}",
            "Severity", "failed", "unknown", "passed"
        ))
    )?;
    for (severity, tally) in &posture.by_severity {
        let name = format!("{:<16}", severity.as_str());
        let name = if tally.fail > 0 {
            p.severity(*severity, &name)
        } else {
            name
        };
        writeln!(out, "{name} {}", tally_cells(tally))?;
    }
    writeln!(out, "{:<16} {}", "all", tally_cells(&posture.total))?;
    if posture.total.muted > 0 {
        writeln!(out, "{:<16} {:>7}", "muted", posture.total.muted)?;
    }
    if let Some(last) = &assessment.last_scan {
        let listed = assessment.findings.iter().filter(|f| f.is_new());
        let new = listed.count() + assessment.counted.new;
        let at = last.started_at;
        writeln!(out, "{:<16} {new:>7}  since the last scan, {at}", "new")?;
    }
    if posture.total.manual > 0 {
        writeln!(out, "{:<16} {:>7}", "to be attested", posture.total.manual)?;
    }
    writeln!(out)
}

fn by_service(posture: &Posture<'_>, p: &Painter, out: &mut dyn Write) -> std::io::Result<()> {
    if posture.by_service.is_empty() {
        return Ok(());
    }
    // the longest name decides, and the table stays narrower than a terminal
    let names = posture.by_service.iter();
    let wide = names.map(|(service, ..)| service.width()).max();
    let wide = wide.unwrap_or(0).clamp(16, 40);
    let header = format!(
        "{:<wide$} {:>7} {:>8} {:>7}   {}",
        "Service", "failed", "unknown", "passed", "worst"
    );
    writeln!(out, "{}", p.bold(&header))?;
    for (service, tally, worst) in &posture.by_service {
        let worst = worst.map_or_else(|| "-".to_owned(), |s| p.severity(s, s.as_str()));
        writeln!(out, "{service:<wide$} {}   {worst}", tally_cells(tally))?;
    }
    writeln!(out)
}

fn fix_first(
    posture: &Posture<'_>,
    options: Options,
    p: &Painter,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if posture.first.is_empty() {
        return writeln!(out, "Nothing failed.\n");
    }
    writeln!(out, "{}", p.bold("What to fix first"))?;
    let top = if options.all { usize::MAX } else { options.top };
    for failing in posture.first.iter().take(top) {
        let (check, severity, findings) = (failing.check, failing.severity, &failing.findings);
        let label = severity.as_str();
        let colored = p.severity(severity, &format!("{label:<13}"));
        let fits = 16 + check.title.width() + 2 + check.id.width() <= options.width;
        if fits {
            let (title, id) = (p.bold(&check.title), p.dim(&check.id));
            writeln!(out, "\n  {colored} {title}  {id}")?;
        } else {
            writeln!(out, "\n  {colored} {}", p.dim(&check.id))?;
            wrap(&check.title, options.width, "    ", "    ", out)?;
        }
        let shown = if options.all {
            findings.len()
        } else {
            RESOURCES
        };
        for finding in findings.iter().take(shown) {
            let name = if finding.resource_id.is_empty() {
                &finding.resource
            } else {
                &finding.resource_id
            };
            let place = format!("{} {}", finding.account_id, finding.region);
            let line = format!(
                "{} ({place}): {}",
                printable(name),
                printable(&finding.message)
            );
            wrap(&line, options.width, "    - ", "      ", out)?;
        }
        let more = failing.failed - findings.len().min(shown);
        if more > 0 {
            writeln!(out, "    - and {more} more")?;
        }
        wrap(
            &first_sentence(&check.fix),
            options.width,
            "    fix: ",
            "         ",
            out,
        )?;
    }
    let rest = posture.first.len().saturating_sub(top);
    if rest > 0 {
        writeln!(
            out,
            "\n  {rest} more checks failed; --all lists them, --format html shows them."
        )?;
    }
    writeln!(out)
}

/// Service, operation, kind and code of a failure.
type Kind<'a> = (&'a str, &'a str, CallErrorKind, &'a str);

#[derive(Default)]
struct Failed<'a> {
    times: usize,
    regions: Vec<&'a str>,
    /// Accounts of which nothing was read.
    unread: Vec<&'a str>,
    message: &'a str,
}

fn unseen(
    assessment: &Assessment,
    options: Options,
    p: &Painter,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let unknown = assessment
        .findings
        .iter()
        .filter(|f| f.status == Status::Unknown)
        .count()
        + assessment.counted.of(Status::Unknown);
    if assessment.coverage.failures.is_empty() && unknown == 0 {
        return Ok(());
    }
    writeln!(out, "{}", p.bold("What could not be read"))?;
    if unknown > 0 {
        let findings = if unknown == 1 {
            "1 finding is".to_owned()
        } else {
            format!("{unknown} findings are")
        };
        writeln!(out, "  {findings} unknown: neither passed nor failed.")?;
    }
    let mut permissions: BTreeMap<&str, usize> = BTreeMap::new();
    for finding in &assessment.findings {
        for permission in &finding.missing_permissions {
            *permissions.entry(permission).or_default() += 1;
        }
    }
    for (permission, count) in &assessment.counted.permissions {
        *permissions.entry(permission).or_default() += count;
    }
    if !permissions.is_empty() {
        writeln!(out, "  These permissions would help:")?;
        for (permission, count) in &permissions {
            writeln!(out, "    {permission}  ({})", counted(*count, "finding"))?;
        }
    }
    let limit = if options.all { usize::MAX } else { options.top };
    let missing = assessment.unread_accounts();
    let mut grouped: BTreeMap<Kind<'_>, Failed<'_>> = BTreeMap::new();
    for (error, count) in &assessment.coverage.failures {
        let entry = grouped
            .entry((&error.service, &error.operation, error.kind, &error.code))
            .or_default();
        entry.times += count;
        entry.message = &error.message;
        if !entry.regions.contains(&error.region.as_str()) {
            entry.regions.push(&error.region);
        }
        let account = error.account_id.as_str();
        if missing.contains(account) && !entry.unread.contains(&account) {
            entry.unread.push(account);
        }
    }
    // an account that is missing is told first, however many other kinds of failure there are
    let mut ordered: Vec<_> = grouped.iter().collect();
    ordered.sort_by_key(|(_, failed)| failed.unread.is_empty());
    for ((service, operation, _, code), failed) in ordered.into_iter().take(limit) {
        let times = if failed.times == 1 {
            "once".to_owned()
        } else {
            format!("{} times", failed.times)
        };
        let regions = failed.regions.join(", ");
        let mut line = format!(
            "{service}:{operation} failed {times} with {} in {regions}: {}",
            printable(code),
            printable(failed.message)
        );
        if !failed.unread.is_empty() {
            let accounts = printable(&failed.unread.join(", "));
            line.push_str(&format!(" Nothing was read of: {accounts}."));
        }
        wrap(&line, options.width, "  - ", "    ", out)?;
    }
    if grouped.len() > limit {
        writeln!(
            out,
            "  - and {} more kinds of failure; --all lists them",
            grouped.len() - limit
        )?;
    }
    writeln!(out)
}

fn expired(
    assessment: &Assessment,
    options: Options,
    p: &Painter,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    if assessment.expired_mutes.is_empty() {
        return Ok(());
    }
    writeln!(out, "{}", p.bold("Expired mutes"))?;
    for mute in &assessment.expired_mutes {
        let line = format!(
            "{} until {} ({}, {}): {} findings count again",
            printable(&mute.check),
            mute.expires,
            printable(&mute.owner),
            printable(&mute.reason),
            mute.findings
        );
        wrap(&line, options.width, "  - ", "    ", out)?;
    }
    writeln!(out)
}

fn coverage(assessment: &Assessment, p: &Painter, out: &mut dyn Write) -> std::io::Result<()> {
    let coverage = &assessment.coverage;
    let (planned, succeeded) = (coverage.planned(), coverage.succeeded());
    #[expect(clippy::cast_precision_loss, reason = "a share for reading")]
    let share = if planned == 0 {
        100.0
    } else {
        succeeded as f64 * 100.0 / planned as f64
    };
    let requests: usize = coverage.calls.iter().map(|c| c.requests).sum();
    let throttled: usize = coverage.calls.iter().map(|c| c.throttled).sum();
    write!(
        out,
        "{}  {succeeded} of {planned} calls answered ({share:.1} %), {requests} requests",
        p.bold("Coverage")
    )?;
    if throttled > 0 {
        write!(out, ", {throttled} throttled")?;
    }
    if !coverage.left_out.is_empty() {
        write!(
            out,
            "\n          {} of the organisation left out",
            counted(coverage.left_out.len(), "account")
        )?;
    }
    if !coverage.skipped.is_empty() {
        write!(
            out,
            "\n          {} skipped in regions that do not have them",
            counted(coverage.skipped.len(), "service")
        )?;
    }
    writeln!(out)
}

/// So many of what a word names.
fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// The first sentence of a Markdown text, on one line.
fn first_sentence(markdown: &str) -> String {
    let paragraph = markdown
        .split("\n\n")
        .map(str::trim)
        .find(|p| !p.is_empty() && !p.starts_with("```"))
        .unwrap_or("");
    let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = line
        .match_indices(". ")
        .next()
        .map_or(line.len(), |(i, _)| i + 1);
    line.get(..end).unwrap_or(&line).to_owned()
}

/// Breaks at spaces; a word that is longer than the line stands alone.
pub(crate) fn wrap(
    text: &str,
    width: usize,
    first: &str,
    next: &str,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let mut line = String::from(first);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.width() + 1 + word.width() > width.max(40) {
            writeln!(out, "{line}")?;
            line = String::from(next);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(out, "{line}")
}

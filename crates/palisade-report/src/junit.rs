//! JUnit XML as Apache Ant writes it: a suite a check, a test a finding. A fail is a failure, what could not be read
//! an error; muted, manual and not applicable findings are skipped.
use crate::shared::{Checks, resource_name};
use palisade_core::{Assessment, Finding, Status};
use std::io::Write;

/// Writes the suites.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    let checks = Checks::of(assessment);
    // the format's times have neither zone nor fraction
    let started: String = assessment.started_at.to_string().chars().take(19).collect();
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"
    )?;
    let suites = assessment.findings.chunk_by(|a, b| a.check == b.check);
    for (number, findings) in suites.enumerate() {
        let Some(first) = findings.first() else {
            continue;
        };
        let count = |kind| findings.iter().filter(|f| Kind::of(f) == kind).count();
        let check = checks.get(&first.check);
        writeln!(
            out,
            "<testsuite id=\"{number}\" package=\"{}\" name=\"{}\" timestamp=\"{started}\" hostname=\"localhost\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"0\">",
            Escaped(check.map_or("", |c| &c.service)),
            Escaped(&first.check),
            findings.len(),
            count(Kind::Failure),
            count(Kind::Error),
            count(Kind::Skipped)
        )?;
        writeln!(out, "<properties>")?;
        property(out, "title", checks.title(&first.check))?;
        if let Some(check) = check {
            property(out, "fix", &check.fix)?;
        }
        writeln!(out, "</properties>")?;
        for finding in findings {
            test(out, finding)?;
        }
        writeln!(out, "<system-out/>\n<system-err/>\n</testsuite>")?;
    }
    writeln!(out, "</testsuites>")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Passed,
    Failure,
    Error,
    Skipped,
}
impl Kind {
    const fn of(finding: &Finding) -> Self {
        match finding.status {
            _ if finding.muted.is_some() => Self::Skipped,
            Status::Pass => Self::Passed,
            Status::Fail => Self::Failure,
            Status::Unknown => Self::Error,
            Status::Manual | Status::NotApplicable => Self::Skipped,
        }
    }
}

fn property(out: &mut dyn Write, name: &str, value: &str) -> std::io::Result<()> {
    writeln!(
        out,
        "<property name=\"{name}\" value=\"{}\"/>",
        Escaped(value)
    )
}

fn test(out: &mut dyn Write, finding: &Finding) -> std::io::Result<()> {
    write!(
        out,
        "<testcase classname=\"{}\" name=\"{} ({} {})\" time=\"0\">",
        Escaped(&finding.check),
        Escaped(resource_name(finding)),
        Escaped(&finding.account_id),
        Escaped(&finding.region)
    )?;
    let body = |out: &mut dyn Write| {
        write!(
            out,
            "{}\n{}\n",
            Escaped(&finding.resource),
            Escaped(&finding.message)
        )?;
        if !finding.evidence.is_empty() {
            writeln!(
                out,
                "{}",
                Escaped(&serde_json::to_string(&finding.evidence)?)
            )?;
        }
        if !finding.missing_permissions.is_empty() {
            writeln!(
                out,
                "needs {}",
                Escaped(&finding.missing_permissions.join(", "))
            )?;
        }
        Ok::<_, std::io::Error>(())
    };
    let message = Escaped(&finding.message);
    match Kind::of(finding) {
        Kind::Passed => {}
        Kind::Failure => {
            write!(
                out,
                "<failure type=\"{}\" message=\"{message}\">",
                finding.severity
            )?;
            body(out)?;
            write!(out, "</failure>")?;
        }
        Kind::Error => {
            write!(out, "<error type=\"unknown\" message=\"{message}\">")?;
            body(out)?;
            write!(out, "</error>")?;
        }
        Kind::Skipped => match finding.muted.as_deref() {
            Some(muting) => write!(
                out,
                "<skipped message=\"{} but muted: {}\"/>",
                finding.status,
                Escaped(&muting.reason)
            )?,
            None => write!(out, "<skipped message=\"{}: {message}\"/>", finding.status)?,
        },
    }
    writeln!(out, "</testcase>")
}

/// Text that is safe in content and in attributes. What XML 1.0 cannot hold becomes U+FFFD.
struct Escaped<'a>(&'a str);
impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_str("&#10;")?,
                '\t' => f.write_str("&#9;")?,
                '\u{fffe}' | '\u{ffff}' => f.write_char('\u{fffd}')?,
                c if crate::json_text::steers(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

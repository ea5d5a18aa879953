//! JUnit XML as Apache Ant writes it: a suite a check, a test a finding. A fail is a failure, what could not be read
//! an error; muted, manual and not applicable findings are skipped.
use crate::shared::{Checks, resource_name};
use palisade_core::{Assessment, Finding, Findings, Status};
use std::io::Write;
use std::sync::Arc;

/// Writes the suites.
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
    let checks = Checks::of(assessment);
    // the format's times have neither zone nor fraction
    let started: String = assessment.started_at.to_string().chars().take(19).collect();
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>"
    )?;
    // a suite says first how many tests it has
    let mut suites: Vec<(Arc<str>, Suite)> = Vec::new();
    findings.each(&mut |finding| {
        if suites.last().is_none_or(|(id, _)| *id != finding.check) {
            suites.push((Arc::clone(&finding.check), Suite::default()));
        }
        if let Some((_, suite)) = suites.last_mut() {
            suite.add(Kind::of(finding));
        }
        Ok(())
    })?;
    let mut suites = suites.into_iter().enumerate();
    let mut open: Option<Arc<str>> = None;
    findings.each(&mut |finding| {
        if open.as_ref() != Some(&finding.check) {
            if open.is_some() {
                end(out)?;
            }
            open = Some(Arc::clone(&finding.check));
            if let Some((number, (id, suite))) = suites.next() {
                begin(out, number, &id, &suite, &checks, &started)?;
            }
        }
        test(out, finding)
    })?;
    if open.is_some() {
        end(out)?;
    }
    writeln!(out, "</testsuites>")
}

/// How many tests of a check there are, and how they ended.
#[derive(Default)]
struct Suite {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}
impl Suite {
    fn add(&mut self, kind: Kind) {
        self.tests += 1;
        match kind {
            Kind::Passed => {}
            Kind::Failure => self.failures += 1,
            Kind::Error => self.errors += 1,
            Kind::Skipped => self.skipped += 1,
        }
    }
}

fn begin(
    out: &mut dyn Write,
    number: usize,
    id: &str,
    suite: &Suite,
    checks: &Checks<'_>,
    started: &str,
) -> std::io::Result<()> {
    let check = checks.get(id);
    let Suite {
        tests,
        failures,
        errors,
        skipped,
    } = suite;
    writeln!(
        out,
        "<testsuite id=\"{number}\" package=\"{}\" name=\"{}\" timestamp=\"{started}\" hostname=\"localhost\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"0\">",
        Escaped(check.map_or("", |c| &c.service)),
        Escaped(id),
    )?;
    writeln!(out, "<properties>")?;
    property(out, "title", checks.title(id))?;
    if let Some(check) = check {
        property(out, "fix", &check.fix)?;
    }
    writeln!(out, "</properties>")
}

fn end(out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "<system-out/>\n<system-err/>\n</testsuite>")
}

#[derive(Clone, Copy)]
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

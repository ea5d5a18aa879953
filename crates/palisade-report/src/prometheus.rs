//! Metrics in Prometheus' text exposition format 0.0.4, for a node exporter's textfile folder or a push gateway.
//! Counts, not findings: labels are accounts, regions, services and checks, never resources.
use crate::score::Score;
use crate::shared::Checks;
use palisade_core::{Assessment, Findings, Severity, Status};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

/// Writes the metrics.
///
/// # Errors
/// When the writer fails.
pub fn write(assessment: &Assessment, out: &mut dyn Write) -> std::io::Result<()> {
    write_from(assessment, &assessment.findings, out)
}

/// The same with findings that are elsewhere. The score is that of the assessment, which may count what it does not list.
///
/// # Errors
/// When the writer fails, or the findings cannot be read.
pub fn write_from(
    assessment: &Assessment,
    findings: &dyn Findings,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let checks = Checks::of(assessment);
    head(
        out,
        "palisade_info",
        "Version of Palisade that made the assessment.",
    )?;
    writeln!(
        out,
        "palisade_info{{version=\"{}\"}} 1",
        Label(&assessment.version)
    )?;

    head(
        out,
        "palisade_scan_timestamp_seconds",
        "When the scan started, in seconds since 1970.",
    )?;
    let seconds = assessment.started_at.as_micros().div_euclid(1_000_000);
    writeln!(out, "palisade_scan_timestamp_seconds {seconds}")?;

    head(
        out,
        "palisade_scan_complete",
        "1 when everything that was planned could be read.",
    )?;
    let complete = u8::from(assessment.coverage.is_complete());
    writeln!(out, "palisade_scan_complete {complete}")?;

    if let Some(score) = Score::of(assessment).value {
        head(
            out,
            "palisade_score_ratio",
            "Weighted share of checks that pass, from 0 to 1.",
        )?;
        writeln!(out, "palisade_score_ratio {:.6}", score / 100.0)?;
    }

    type Place<'a> = (Arc<str>, Arc<str>, &'a str, Severity, Status, bool);
    let mut places: BTreeMap<Place<'_>, usize> = BTreeMap::new();
    let mut by_check: BTreeMap<(Arc<str>, Severity, Status, bool), usize> = BTreeMap::new();
    findings.each(&mut |finding| {
        let service = checks.get(&finding.check).map_or("", |c| &c.service);
        let (severity, status) = (finding.severity, finding.status);
        let muted = finding.muted.is_some();
        let place = (
            Arc::clone(&finding.account_id),
            Arc::clone(&finding.region),
            service,
            severity,
            status,
            muted,
        );
        *places.entry(place).or_default() += 1;
        *by_check
            .entry((Arc::clone(&finding.check), severity, status, muted))
            .or_default() += 1;
        Ok(())
    })?;
    head(
        out,
        "palisade_findings",
        "Findings by account, region, service, severity and status.",
    )?;
    for ((account, region, service, severity, status, muted), count) in places {
        writeln!(
            out,
            "palisade_findings{{account_id=\"{}\",region=\"{}\",service=\"{}\",severity=\"{severity}\",status=\"{status}\",muted=\"{muted}\"}} {count}",
            Label(&account),
            Label(&region),
            Label(service)
        )?;
    }
    head(
        out,
        "palisade_check_findings",
        "Findings by check and status.",
    )?;
    for ((check, severity, status, muted), count) in by_check {
        writeln!(
            out,
            "palisade_check_findings{{check=\"{}\",severity=\"{severity}\",status=\"{status}\",muted=\"{muted}\"}} {count}",
            Label(&check)
        )?;
    }

    head(
        out,
        "palisade_calls",
        "AWS calls of the scan by service and result.",
    )?;
    let mut services: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for call in &assessment.coverage.calls {
        let service = call.operation.split(':').next().unwrap_or("");
        let (succeeded, failed) = services.entry(service).or_default();
        *succeeded += call.succeeded;
        *failed += call.failed;
    }
    for (service, (succeeded, failed)) in services {
        for (result, count) in [("succeeded", succeeded), ("failed", failed)] {
            writeln!(
                out,
                "palisade_calls{{service=\"{}\",result=\"{result}\"}} {count}",
                Label(service)
            )?;
        }
    }
    head(
        out,
        "palisade_expired_mutes",
        "Mutes of which the last day has passed.",
    )?;
    writeln!(
        out,
        "palisade_expired_mutes {}",
        assessment.expired_mutes.len()
    )
}

fn head(out: &mut dyn Write, name: &str, help: &str) -> std::io::Result<()> {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
}

/// A label's value: backslash, quote and line feed are escaped, other control characters are replaced.
struct Label<'a>(&'a str);
impl std::fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c if crate::json_text::steers(c) => f.write_char('\u{fffd}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

//! SARIF 2.1.0: one run, a rule a check, a result a finding.
//!
//! A cloud resource is a logical location. Code hosts show only results with a file, so each has a physical
//! location too: a relative URI made of account, region, type and name.
use crate::shared::{Checks, each_in_array, resource_name, uid};
use palisade_core::{
    Assessment, CallError, CheckSummary, Finding, Findings, FixAvailability, MutedBy, Severity,
    Status,
};
use serde::Serialize;
use serde_json::json;
use std::io::Write;

/// Where the schema of the format is.
pub const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// Writes the log. Results are written one by one.
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
    write!(
        out,
        "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\n\"tool\":{{\"driver\":"
    )?;
    write!(out, "{{\"name\":\"Palisade\",\"semanticVersion\":")?;
    crate::json_text::compact(out, &assessment.version)?;
    out.write_all(b",\"rules\":")?;
    crate::shared::array(out, assessment.checks.iter().map(rule))?;
    out.write_all(b"}},\n\"invocations\":[")?;
    let notes: Vec<_> = assessment
        .coverage
        .failures
        .iter()
        .map(|(error, times)| notification(error, *times))
        .collect();
    let invocation = json!({
        "executionSuccessful": !assessment.coverage.interrupted,
        "startTimeUtc": assessment.started_at,
        "toolExecutionNotifications": notes,
    });
    crate::json_text::compact(out, &invocation)?;
    out.write_all(b"],\n\"columnKind\":\"unicodeCodePoints\",\n\"results\":")?;
    each_in_array(out, findings, &mut |finding, out| {
        crate::json_text::compact(out, &result(finding, &checks))
    })?;
    out.write_all(b"}]}\n")
}

fn rule(check: &CheckSummary) -> serde_json::Value {
    let mut rule = json!({
        "id": check.id,
        "shortDescription": { "text": plain(&check.title) },
        "fullDescription": { "text": plain(&check.why), "markdown": check.why },
        "help": { "text": plain(&check.fix), "markdown": check.fix },
        "defaultConfiguration": { "level": level(check.severity) },
        "properties": {
            "tags": ["security", check.category, check.service],
            "precision": "very-high",
            "security-severity": score(check.severity),
            "requirements": check.requirements,
        },
    });
    // an empty text is no text: the format asks for at least a word in descriptions that are there
    if let Some(object) = rule.as_object_mut() {
        if check.why.trim().is_empty() {
            object.shift_remove("fullDescription");
        }
        if check.fix.trim().is_empty() {
            object.shift_remove("help");
        }
    }
    rule
}

fn notification(error: &CallError, times: usize) -> serde_json::Value {
    let times = if times == 1 {
        String::new()
    } else {
        format!(" ({times} times)")
    };
    json!({
        "level": "error",
        "message": { "text": plain(&format!("{error} in {} {}: {}{times}", error.account_id, error.region, error.message)) },
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SarifResult<'a> {
    rule_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule_index: Option<usize>,
    kind: &'static str,
    level: &'static str,
    message: Message,
    locations: [Location<'a>; 1],
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressions: Option<[Suppression<'a>; 1]>,
    properties: Properties<'a>,
}
#[derive(Serialize)]
struct Message {
    text: String,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'a> {
    physical_location: PhysicalLocation,
    logical_locations: [LogicalLocation<'a>; 1],
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    region: Region,
}
#[derive(Serialize)]
struct ArtifactLocation {
    uri: String,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'a> {
    name: &'a str,
    fully_qualified_name: &'a str,
    kind: &'static str,
}
#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "palisadeFinding/v1")]
    finding: String,
}
#[derive(Serialize)]
struct Suppression<'a> {
    kind: &'static str,
    status: &'static str,
    justification: &'a str,
    properties: Muted<'a>,
}
#[derive(Serialize)]
struct Muted<'a> {
    by: MutedBy,
    owner: &'a str,
    expires: &'a str,
}
#[derive(Serialize)]
struct Properties<'a> {
    status: Status,
    severity: Severity,
    account_id: &'a str,
    region: &'a str,
    resource_id: &'a str,
    resource_type: &'a str,
    fix: FixAvailability,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    requirements: &'a [String],
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    evidence: &'a serde_json::Map<String, serde_json::Value>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing_permissions: &'a [String],
}

fn result<'a>(finding: &'a Finding, checks: &Checks<'_>) -> SarifResult<'a> {
    let kind = match finding.status {
        Status::Pass => "pass",
        Status::Fail => "fail",
        Status::Unknown => "open",
        Status::NotApplicable => "notApplicable",
        Status::Manual => "review",
    };
    let name = resource_name(finding);
    let text = if finding.message.is_empty() {
        kind
    } else {
        &finding.message
    };
    SarifResult {
        rule_id: &finding.check,
        rule_index: checks.position(&finding.check),
        kind,
        level: if finding.status == Status::Fail {
            level(finding.severity)
        } else {
            "none"
        },
        message: Message {
            text: plain(&format!("{name}: {text}")),
        },
        locations: [Location {
            physical_location: PhysicalLocation {
                artifact_location: ArtifactLocation {
                    uri: uri(finding, name),
                },
                region: Region { start_line: 1 },
            },
            logical_locations: [LogicalLocation {
                name,
                fully_qualified_name: &finding.resource,
                kind: "resource",
            }],
        }],
        partial_fingerprints: Fingerprints {
            finding: uid(finding),
        },
        suppressions: finding.muted.as_deref().map(|muting| {
            [Suppression {
                kind: "external",
                status: "accepted",
                justification: &muting.reason,
                properties: Muted {
                    by: muting.by,
                    owner: &muting.owner,
                    expires: &muting.expires,
                },
            }]
        }),
        properties: Properties {
            status: finding.status,
            severity: finding.severity,
            account_id: &finding.account_id,
            region: &finding.region,
            resource_id: &finding.resource_id,
            resource_type: &finding.resource_type,
            fix: finding.fix,
            requirements: &finding.requirements,
            evidence: &finding.evidence,
            missing_permissions: &finding.missing_permissions,
        },
    }
}

/// A message's text: brackets would be a link and braces a placeholder (SARIF 2.1.0, 3.11.5 and 3.11.6).
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '[' | ']' => plain.extend(['\\', c]),
            '{' | '}' => plain.extend([c, c]),
            _ => plain.push(c),
        }
    }
    plain
}

fn uri(finding: &Finding, name: &str) -> String {
    let mut uri = String::from("aws");
    for part in [
        &*finding.account_id,
        &*finding.region,
        &*finding.resource_type,
        name,
    ] {
        uri.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
                uri.push(char::from(byte));
            } else if byte == b'.' && !part.starts_with('.') {
                uri.push('.');
            } else {
                uri.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    uri
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Informational => "note",
    }
}

/// On CVSS's scale, in the middle of the band that has the same name.
const fn score(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "9.5",
        Severity::High => "8.0",
        Severity::Medium => "5.5",
        Severity::Low => "2.5",
        Severity::Informational => "0.1",
    }
}

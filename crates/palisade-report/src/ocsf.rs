//! OCSF 1.8.0, class Compliance Finding (2003) with the profile `cloud`: one array, one event a line.
//!
//! What OCSF has no place for (the verdict's exact word, missing permissions, whether the repair is declared as API calls, the
//! muting) is under `unmapped`, by our names.
use crate::shared::{Checks, each_in_array, fix_word, partition, uid};
use palisade_core::{Assessment, Finding, Findings, Muting, Severity, Status};
use serde::Serialize;
use std::io::Write;

/// The version of OCSF that is written.
pub const VERSION: &str = "1.8.0";

#[derive(Serialize)]
struct Event<'a> {
    activity_id: u32,
    activity_name: &'static str,
    category_uid: u32,
    category_name: &'static str,
    class_uid: u32,
    class_name: &'static str,
    type_uid: u32,
    type_name: &'static str,
    time: i64,
    severity_id: u32,
    severity: &'static str,
    status_id: u32,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    message: &'a str,
    metadata: Metadata<'a>,
    cloud: Cloud<'a>,
    finding_info: FindingInfo<'a>,
    compliance: Compliance<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidences: Option<[Evidence<'a>; 1]>,
    resources: [Resource<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    remediation: Option<Remediation<'a>>,
    unmapped: Unmapped<'a>,
}
#[derive(Serialize)]
struct Metadata<'a> {
    version: &'static str,
    product: Product<'a>,
    profiles: [&'static str; 1],
    uid: &'a str,
    event_code: &'a str,
}
#[derive(Serialize)]
struct Product<'a> {
    name: &'static str,
    vendor_name: &'static str,
    version: &'a str,
}
#[derive(Serialize)]
struct Cloud<'a> {
    provider: &'static str,
    account: Account<'a>,
    region: &'a str,
    cloud_partition: &'static str,
}
#[derive(Serialize)]
struct Account<'a> {
    uid: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    type_id: u32,
}
#[derive(Serialize)]
struct FindingInfo<'a> {
    uid: &'a str,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    desc: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen_time: Option<i64>,
}
#[derive(Serialize)]
struct Compliance<'a> {
    control: &'a str,
    status_id: u32,
    status: &'static str,
    status_details: [&'a str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    standards: Vec<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    requirements: &'a [String],
}
#[derive(Serialize)]
struct Evidence<'a> {
    data: &'a serde_json::Map<String, serde_json::Value>,
}
#[derive(Serialize)]
struct Resource<'a> {
    uid: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    region: &'a str,
    cloud_partition: &'static str,
}
#[derive(Serialize)]
struct Remediation<'a> {
    desc: &'a str,
}
#[derive(Serialize)]
struct Unmapped<'a> {
    palisade_status: Status,
    fix: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing_permissions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<&'a Muting>,
}

/// Writes every finding as one event.
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
    let time = assessment.started_at.as_micros() / 1000;
    each_in_array(out, findings, &mut |finding, out| {
        let id = uid(finding);
        let event = event(finding, &id, &checks, time, &assessment.version);
        crate::json_text::compact(out, &event)
    })?;
    writeln!(out)
}

fn event<'a>(
    finding: &'a Finding,
    id: &'a str,
    checks: &Checks<'a>,
    time: i64,
    version: &'a str,
) -> Event<'a> {
    let check = checks.get(&finding.check);
    let (severity_id, severity) = severity(finding.severity);
    let (verdict_id, verdict) = verdict(finding.status);
    let muted = finding.muted.as_deref();
    let history = finding.history.as_deref();
    let mut standards: Vec<&str> = finding
        .requirements
        .iter()
        .filter_map(|r| r.split_once('/').map(|(framework, _)| framework))
        .collect();
    standards.dedup();
    Event {
        activity_id: 1,
        activity_name: "Create",
        category_uid: 2,
        category_name: "Findings",
        class_uid: 2003,
        class_name: "Compliance Finding",
        type_uid: 200_301,
        type_name: "Compliance Finding: Create",
        time,
        severity_id,
        severity,
        status_id: if muted.is_some() { 3 } else { 1 },
        status: if muted.is_some() { "Suppressed" } else { "New" },
        comment: muted.map(|m| m.reason.as_str()),
        message: &finding.message,
        metadata: Metadata {
            version: VERSION,
            product: Product {
                name: "Palisade",
                vendor_name: "Palisade",
                version,
            },
            profiles: ["cloud"],
            uid: id,
            event_code: &finding.check,
        },
        cloud: Cloud {
            provider: "AWS",
            account: Account {
                uid: &finding.account_id,
                kind: "AWS Account",
                type_id: 10,
            },
            region: &finding.region,
            cloud_partition: partition(&finding.region),
        },
        finding_info: FindingInfo {
            uid: id,
            title: checks.title(&finding.check),
            desc: check.map(|c| c.why.as_str()),
            types: check.map(|c| [c.category.as_str()]),
            first_seen_time: history.map(|h| h.first_seen.as_micros() / 1000),
            last_seen_time: history.map(|h| h.last_seen.as_micros() / 1000),
        },
        compliance: Compliance {
            control: &finding.check,
            status_id: verdict_id,
            status: verdict,
            status_details: [&finding.message],
            standards,
            requirements: &finding.requirements,
        },
        evidences: (!finding.evidence.is_empty()).then_some([Evidence {
            data: &finding.evidence,
        }]),
        resources: [Resource {
            uid: &finding.resource,
            name: &finding.resource_id,
            kind: &finding.resource_type,
            region: &finding.region,
            cloud_partition: partition(&finding.region),
        }],
        remediation: check.map(|c| Remediation { desc: &c.fix }),
        unmapped: Unmapped {
            palisade_status: finding.status,
            fix: fix_word(finding.fix),
            missing_permissions: &finding.missing_permissions,
            muted,
        },
    }
}

const fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Informational => (1, "Informational"),
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

/// `compliance.status_id`: what was not decided is Unknown, what a person must answer is Warning.
const fn verdict(status: Status) -> (u32, &'static str) {
    match status {
        Status::Pass => (1, "Pass"),
        Status::Manual => (2, "Warning"),
        Status::Fail => (3, "Fail"),
        Status::Unknown => (0, "Unknown"),
        Status::NotApplicable => (99, "Not applicable"),
    }
}

//! From findings to requirements: how each requirement of the selected frameworks stands, and what people attest.
use palisade_catalog::{Catalog, Framework, Requirement, RequirementKind};
use palisade_core::{
    Assessment, Attestation, Attested, Category, CheckSummary, Date, Finding, FixAvailability,
    FrameworkSummary, Region, RequirementStatus, RequirementSummary, Severity, Status,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The table that findings of attestations name.
const ATTESTED: &str = "requirement";

/// Answers the manual requirements of the frameworks by attestations, one finding for each requirement and account, and
/// says how every requirement stands. Unknown names of frameworks are passed over: a selection refuses them.
pub fn roll_up(
    assessment: &mut Assessment,
    catalog: &Catalog,
    frameworks: &[String],
    attestations: &[Attestation],
) {
    let wanted: BTreeSet<&String> = frameworks.iter().collect();
    let wanted: Vec<&Arc<Framework>> = wanted
        .into_iter()
        .filter_map(|id| catalog.frameworks.get(id))
        .collect();
    let today = Date::of(assessment.started_at);
    for framework in &wanted {
        for requirement in &framework.requirements {
            if requirement.kind == RequirementKind::Manual {
                attest(assessment, framework, requirement, attestations, today);
            }
        }
    }
    if !wanted.is_empty() {
        assessment.checks.sort_by(|a, b| a.id.cmp(&b.id));
        let findings = &mut assessment.findings;
        findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    }
    let unread = assessment.unread_accounts().len();
    let summaries = wanted
        .into_iter()
        .map(|framework| {
            let serving = serving(assessment, &framework.id);
            let stand = |r: &Requirement| stand(assessment, r, serving.get(r.id.as_str()), unread);
            FrameworkSummary::new(
                framework.id.clone(),
                framework.title.clone(),
                framework.requirements.iter().map(stand).collect(),
            )
        })
        .collect();
    assessment.frameworks = summaries;
}

/// Requirement → the checks of the assessment that serve it.
fn serving<'a>(
    assessment: &'a Assessment,
    framework: &str,
) -> BTreeMap<&'a str, Vec<&'a CheckSummary>> {
    let mut serving: BTreeMap<&str, Vec<&CheckSummary>> = BTreeMap::new();
    for check in &assessment.checks {
        for requirement in &check.requirements {
            let of_this = requirement
                .strip_prefix(framework)
                .and_then(|rest| rest.strip_prefix('/'));
            if let Some(id) = of_this {
                serving.entry(id).or_default().push(check);
            }
        }
    }
    serving
}

fn stand(
    assessment: &Assessment,
    requirement: &Requirement,
    serving: Option<&Vec<&CheckSummary>>,
    unread: usize,
) -> RequirementSummary {
    let serving = serving.map(Vec::as_slice).unwrap_or_default();
    let sum = |count: fn(&CheckSummary) -> usize| serving.iter().map(|c| count(c)).sum();
    let ran: BTreeSet<&str> = serving
        .iter()
        .map(|c| c.id.split('@').next().unwrap_or_default())
        .collect();
    let mut summary = RequirementSummary {
        id: requirement.id.clone(),
        title: requirement.title.clone(),
        kind: requirement.kind.as_str().to_owned(),
        level: requirement.level.clone(),
        status: RequirementStatus::NotCovered,
        reason: String::new(),
        checks: serving.iter().map(|c| c.id.clone()).collect(),
        not_run: requirement
            .checks
            .iter()
            .filter(|c| !ran.contains(c.as_str()))
            .cloned()
            .collect(),
        passed: sum(|c| c.passed),
        failed: sum(|c| c.failed),
        unknown: sum(|c| c.unknown),
        manual: sum(|c| c.manual),
    };
    (summary.status, summary.reason) = verdict(&summary, requirement.kind, assessment, unread);
    summary
}

/// The worst that is known decides; then what is not known; only then what is good.
fn verdict(
    summary: &RequirementSummary,
    kind: RequirementKind,
    assessment: &Assessment,
    unread: usize,
) -> (RequirementStatus, String) {
    let findings = |n: usize| match n {
        1 => "1 finding".to_owned(),
        n => format!("{n} findings"),
    };
    let not_run = summary.not_run.len();
    if kind == RequirementKind::Aws {
        let reason = "AWS answers for it".to_owned();
        (RequirementStatus::Aws, reason)
    } else if summary.failed > 0 {
        let reason = format!("{} failed", findings(summary.failed));
        (RequirementStatus::Failed, reason)
    } else if summary.checks.is_empty() {
        let reason = match not_run {
            0 => "no check serves it".to_owned(),
            _ => "none of its checks was part of the scan".to_owned(),
        };
        (RequirementStatus::NotCovered, reason)
    } else if summary.unknown > 0 {
        let reason = format!("{} could not be decided", findings(summary.unknown));
        (RequirementStatus::Unknown, reason)
    } else if assessment.coverage.interrupted {
        let reason = "the scan was stopped before it ended".to_owned();
        (RequirementStatus::Unknown, reason)
    } else if unread > 0 {
        let reason = match unread {
            1 => "1 account could not be read".to_owned(),
            n => format!("{n} accounts could not be read"),
        };
        (RequirementStatus::Unknown, reason)
    } else if not_run > 0 {
        let total = not_run + summary.checks.len();
        let reason = format!("{not_run} of {total} checks were not part of the scan");
        (RequirementStatus::Unknown, reason)
    } else if summary.manual > 0 {
        let reason = "a person has to attest it".to_owned();
        (RequirementStatus::Manual, reason)
    } else if summary.passed == 0 {
        let reason = "there is no resource that its checks judge".to_owned();
        (RequirementStatus::NotApplicable, reason)
    } else {
        let reason = format!("{} passed", findings(summary.passed));
        (RequirementStatus::Passed, reason)
    }
}

/// One finding for each account about a requirement that only a person can answer.
fn attest(
    assessment: &mut Assessment,
    framework: &Framework,
    requirement: &Requirement,
    attestations: &[Attestation],
    today: Date,
) {
    let name = format!("{}/{}", framework.id, requirement.id);
    let id: Arc<str> = Arc::from(name.as_str());
    let requirements: Arc<[String]> = Arc::from([name.clone()]);
    let region = home_region(&assessment.regions);
    let mut summary = CheckSummary {
        id: name.clone(),
        title: requirement.title.clone(),
        service: "attestation".to_owned(),
        severity: Severity::Medium,
        category: Category::Governance,
        why: "No API tells whether this holds: a person has to say so, with evidence, and to look again when the time is over.".to_owned(),
        fix: "Attest it in the attestations file: who says so, on which day, where the evidence is, and until when it holds.".to_owned(),
        requirements: vec![name.clone()],
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    };
    for account in assessment.accounts.clone() {
        let concerning = attestations
            .iter()
            .filter(|a| a.concerns(&name, requirement.control.as_deref(), &account));
        let (status, message, by) = match Attested::of(concerning, today) {
            Attested::Valid(a) => (
                Status::Pass,
                format!(
                    "attested by {} on {}, valid until {}: {} (evidence: {})",
                    a.by, a.on, a.valid_until, a.statement, a.evidence
                ),
                Some(a),
            ),
            Attested::Expired(a) => (
                Status::Fail,
                format!(
                    "the attestation by {} of {} expired on {} (evidence then: {})",
                    a.by, a.on, a.valid_until, a.evidence
                ),
                Some(a),
            ),
            Attested::Future(a) => (
                Status::Manual,
                format!(
                    "the attestation by {} is of {}, which is still to come",
                    a.by, a.on
                ),
                Some(a),
            ),
            Attested::None => (
                Status::Manual,
                "a person has to attest this, and nobody has".to_owned(),
                None,
            ),
        };
        match status {
            Status::Pass => summary.passed += 1,
            Status::Fail => summary.failed += 1,
            _ => summary.manual += 1,
        }
        let evidence = by.map(|a| {
            json!({
                "by": a.by,
                "on": a.on,
                "valid_until": a.valid_until,
                "evidence": a.evidence,
            })
        });
        assessment.findings.push(Finding {
            check: Arc::clone(&id),
            status,
            severity: summary.severity,
            account_id: Arc::from(account.as_str()),
            region: Arc::clone(&region),
            resource: name.clone(),
            resource_id: name.clone(),
            resource_type: Arc::from(ATTESTED),
            message,
            evidence: match evidence {
                Some(serde_json::Value::Object(map)) => map,
                _ => serde_json::Map::new(),
            },
            requirements: Arc::clone(&requirements),
            fix: FixAvailability::Guided,
            history: None,
            missing_permissions: Vec::new(),
            muted: None,
        });
    }
    assessment.checks.push(summary);
}

/// Where the partition of the scanned regions keeps what belongs to no region.
fn home_region(regions: &[String]) -> Arc<str> {
    let region = regions.first().and_then(|r| r.parse::<Region>().ok());
    Arc::from(region.map_or("us-east-1", |r| r.partition().home_region()))
}

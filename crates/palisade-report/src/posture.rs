//! Counting: how an account stands by severity and by service, and what to do first.
use palisade_core::{Assessment, CheckSummary, Finding, Severity, Status};
use std::collections::BTreeMap;

/// Findings by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Not decided.
    pub unknown: usize,
    /// For a person to answer.
    pub manual: usize,
    /// Accepted by somebody: in none of the other counts.
    pub muted: usize,
}

impl Tally {
    fn add(&mut self, finding: &Finding) {
        match finding.status {
            _ if finding.muted.is_some() => self.muted += 1,
            Status::Pass => self.pass += 1,
            Status::Fail => self.fail += 1,
            Status::Unknown => self.unknown += 1,
            Status::Manual => self.manual += 1,
            Status::NotApplicable => {}
        }
    }
}

/// How the scanned accounts stand.
#[derive(Debug, Clone)]
pub struct Posture<'a> {
    /// All findings.
    pub total: Tally,
    /// Worst first; every severity is present.
    pub by_severity: Vec<(Severity, Tally)>,
    /// By the checks' service, most severe fails first.
    pub by_service: Vec<(&'a str, Tally, Option<Severity>)>,
    /// Checks with fails, worst severity first, then most fails: with their failed findings.
    pub first: Vec<(&'a CheckSummary, Vec<&'a Finding>)>,
}

impl<'a> Posture<'a> {
    /// Counts an assessment.
    pub fn of(assessment: &'a Assessment) -> Self {
        let checks: BTreeMap<&str, &CheckSummary> = assessment
            .checks
            .iter()
            .map(|c| (c.id.as_str(), c))
            .collect();
        let mut total = Tally::default();
        let mut severities: BTreeMap<Severity, Tally> = Severity::ALL
            .iter()
            .map(|s| (*s, Tally::default()))
            .collect();
        let mut services: BTreeMap<&str, (Tally, BTreeMap<Severity, usize>)> = BTreeMap::new();
        let mut fails: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in &assessment.findings {
            total.add(finding);
            severities.entry(finding.severity).or_default().add(finding);
            let service = checks
                .get(finding.check.as_ref())
                .map_or("", |c| c.service.as_str());
            let (tally, worst) = services.entry(service).or_default();
            tally.add(finding);
            if finding.counts_as_failed() {
                *worst.entry(finding.severity).or_default() += 1;
                fails.entry(&finding.check).or_default().push(finding);
            }
        }
        let mut by_service: Vec<_> = services.into_iter().collect();
        // more of what is worse comes first; names break ties
        let weight = |worst: &BTreeMap<Severity, usize>| -> Vec<usize> {
            Severity::ALL
                .iter()
                .rev()
                .map(|s| worst.get(s).copied().unwrap_or(0))
                .collect()
        };
        by_service.sort_by(|(a, (_, x)), (b, (_, y))| weight(y).cmp(&weight(x)).then(a.cmp(b)));
        let mut first: Vec<_> = fails
            .into_iter()
            .filter_map(|(id, findings)| checks.get(id).map(|c| (*c, findings)))
            .collect();
        let severity = |(check, findings): &(&CheckSummary, Vec<&Finding>)| {
            findings
                .iter()
                .map(|f| f.severity)
                .max()
                .unwrap_or(check.severity)
        };
        first.sort_by(|x, y| {
            severity(y)
                .cmp(&severity(x))
                .then(y.1.len().cmp(&x.1.len()))
                .then(x.0.id.cmp(&y.0.id))
        });
        Self {
            total,
            by_severity: severities.into_iter().rev().collect(),
            by_service: by_service
                .into_iter()
                .map(|(name, (tally, worst))| (name, tally, worst.keys().next_back().copied()))
                .collect(),
            first,
        }
    }
}

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
        match finding.muted {
            Some(_) => self.muted += 1,
            None => self.add_many(finding.status, 1),
        }
    }
    fn add_many(&mut self, status: Status, count: usize) {
        match status {
            Status::Pass => self.pass += count,
            Status::Fail => self.fail += count,
            Status::Unknown => self.unknown += count,
            Status::Manual => self.manual += count,
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
    /// Checks with fails, worst severity first, then most fails.
    pub first: Vec<Failing<'a>>,
}

/// A check with fails.
#[derive(Debug, Clone)]
pub struct Failing<'a> {
    /// The check.
    pub check: &'a CheckSummary,
    /// The worst of its fails.
    pub severity: Severity,
    /// How many there are.
    pub failed: usize,
    /// Those that are listed, in their order.
    pub findings: Vec<&'a Finding>,
}

/// Fails of one check.
#[derive(Default)]
struct Fails<'a> {
    worst: Option<Severity>,
    failed: usize,
    findings: Vec<&'a Finding>,
}

impl Fails<'_> {
    fn add(&mut self, severity: Severity, count: usize) {
        self.worst = self.worst.max(Some(severity));
        self.failed += count;
    }
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
        let mut fails: BTreeMap<&str, Fails<'_>> = BTreeMap::new();
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
                let of = fails.entry(&finding.check).or_default();
                of.add(finding.severity, 1);
                of.findings.push(finding);
            }
        }
        for kind in assessment.counted.kinds() {
            total.add_many(kind.status, kind.count);
            let severity = severities.entry(kind.severity).or_default();
            severity.add_many(kind.status, kind.count);
            let service = checks.get(kind.check).map_or("", |c| c.service.as_str());
            let (tally, worst) = services.entry(service).or_default();
            tally.add_many(kind.status, kind.count);
            if kind.status == Status::Fail {
                *worst.entry(kind.severity).or_default() += kind.count;
                let of = fails.entry(kind.check).or_default();
                of.add(kind.severity, kind.count);
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
            .filter_map(|(id, fails)| {
                let check = *checks.get(id)?;
                Some(Failing {
                    check,
                    severity: fails.worst.unwrap_or(check.severity),
                    failed: fails.failed,
                    findings: fails.findings,
                })
            })
            .collect();
        first.sort_by(|x, y| {
            y.severity
                .cmp(&x.severity)
                .then(y.failed.cmp(&x.failed))
                .then(x.check.id.cmp(&y.check.id))
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

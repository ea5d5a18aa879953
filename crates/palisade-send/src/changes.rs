//! What is new since a destination was last told, and what is over. Over is only what was looked at again: what could
//! not be read, or was not part of the scan, stays as it is.
use crate::filter::{Chosen, Filter};
use crate::state::{Known, State};
use palisade_core::{Assessment, Finding, Region, Status};
use palisade_report::uid;
use std::collections::{BTreeMap, BTreeSet};

/// Why a finding is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closed {
    /// It passes, or no longer applies.
    Passed,
    /// Its resource was looked for and is no longer there.
    Gone,
    /// Somebody accepted it.
    Muted,
}

impl Closed {
    /// The word for messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Gone => "gone",
            Self::Muted => "muted",
        }
    }
}

/// Where a finding that was sent earlier belongs.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    /// The check's id.
    pub check: &'p str,
    /// The account.
    pub account: &'p str,
    /// The region.
    pub region: &'p str,
    /// The ARN or id.
    pub resource: &'p str,
}

/// How a finding that was sent earlier stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Still to do.
    Open(&'a Finding),
    /// Over.
    Closed(Closed),
    /// Nobody can say: not read, or not part of this scan.
    Unseen,
}

/// An assessment through a destination's filter.
#[derive(Debug)]
pub struct Scope<'a> {
    chosen: Chosen<'a>,
    /// By identity; the worst where several findings share one.
    findings: BTreeMap<String, &'a Finding>,
    checks: BTreeSet<&'a str>,
    accounts: BTreeSet<&'a str>,
    regions: BTreeSet<&'a str>,
    /// Check, account and region of what could not be read: a list, or a resource that may be the reason why another
    /// has no finding.
    unread: BTreeSet<(&'a str, &'a str, &'a str)>,
    complete: bool,
}

impl<'a> Scope<'a> {
    /// Looks through an assessment.
    pub fn of(assessment: &'a Assessment, filter: &'a Filter) -> Self {
        let mut findings: BTreeMap<String, &Finding> = BTreeMap::new();
        for finding in &assessment.findings {
            findings
                .entry(uid(finding))
                .and_modify(|known| {
                    if rank(finding) > rank(known) {
                        *known = finding;
                    }
                })
                .or_insert(finding);
        }
        let all = assessment.findings.iter();
        let unread = all.filter(|f| f.status == Status::Unknown);
        Self {
            chosen: Chosen::of(filter, assessment),
            findings,
            checks: assessment.checks.iter().map(|c| c.id.as_str()).collect(),
            accounts: assessment.accounts.iter().map(String::as_str).collect(),
            regions: assessment.regions.iter().map(String::as_str).collect(),
            unread: unread
                .map(|f| (&*f.check, &*f.account_id, &*f.region))
                .collect(),
            complete: !assessment.coverage.interrupted,
        }
    }

    /// The findings to do, by identity.
    pub fn open(&self) -> impl Iterator<Item = (&str, &'a Finding)> {
        let all = self.findings.iter().map(|(id, f)| (id.as_str(), *f));
        all.filter(|(_, f)| self.is_open(f))
    }
    /// Whether a finding is something to do for the destination.
    pub fn is_open(&self, finding: &Finding) -> bool {
        finding.muted.is_none() && self.chosen.is_open(finding)
    }
    /// Whether the destination wants to hear of the check.
    pub fn has_check(&self, check: &str) -> bool {
        self.chosen.has_check(check)
    }
    /// Whether the finding would be something to do if nobody had accepted it.
    pub fn is_open_or_muted(&self, finding: &Finding) -> bool {
        self.chosen.is_open(finding)
    }
    /// Whether the scan looked at a region.
    pub(crate) fn has_region(&self, region: &str) -> bool {
        self.regions.contains(region)
    }
    /// The finding of an identity.
    pub fn get(&self, id: &str) -> Option<&'a Finding> {
        self.findings.get(id).copied()
    }

    /// How a finding that was sent earlier stands now.
    pub fn standing(&self, id: &str, known: &Place<'_>) -> Standing<'a> {
        let Place {
            check,
            account,
            region,
            resource,
        } = *known;
        if !self.chosen.has_check(check) {
            return Standing::Unseen;
        }
        if let Some(finding) = self.get(id) {
            return match finding.status {
                _ if self.is_open(finding) => Standing::Open(finding),
                _ if finding.muted.is_some() => Standing::Closed(Closed::Muted),
                Status::Pass | Status::NotApplicable => Standing::Closed(Closed::Passed),
                // fails that the filter leaves out are still fails
                Status::Fail | Status::Unknown | Status::Manual => Standing::Unseen,
            };
        }
        let home = region
            .parse::<Region>()
            .map_or("us-east-1", |r| r.partition().home_region());
        let looked = self.complete
            && self.checks.contains(check)
            && self.accounts.contains(account)
            && (self.regions.contains(region) || (region == home && is_global(resource)));
        // what is global is listed in the home region, whatever the regions of its resources
        let lost = [region, home]
            .iter()
            .any(|r| self.unread.contains(&(check, account, *r)));
        if looked && !lost {
            Standing::Closed(Closed::Gone)
        } else {
            Standing::Unseen
        }
    }
}

/// Whether a resource belongs to no region, so that every scan looks at it: its ARN names none. Buckets name none
/// either, and have one.
pub(crate) fn is_global(resource: &str) -> bool {
    let mut parts = resource.split(':');
    let arn = parts.next() == Some("arn");
    let service = parts.nth(1);
    arn && service.is_some_and(|s| s != "s3") && parts.next() == Some("")
}

const fn rank(finding: &Finding) -> u8 {
    match finding.status {
        Status::Fail => 4,
        Status::Unknown => 3,
        Status::Manual => 2,
        Status::Pass => 1,
        Status::NotApplicable => 0,
    }
}

/// What a destination has to be told.
#[derive(Debug, Default)]
pub(crate) struct Changes<'a> {
    /// New, or otherwise than it was told; worst first.
    pub(crate) open: Vec<(String, &'a Finding)>,
    /// Over: identity, what was told, why.
    pub(crate) closed: Vec<(String, Known, Closed)>,
    /// Known already.
    pub(crate) unchanged: usize,
}

impl<'a> Changes<'a> {
    /// Holds a scan against what was told; without a state everything is new.
    pub(crate) fn of(scope: &Scope<'a>, before: &State) -> Self {
        let mut changes = Self::default();
        for (id, finding) in scope.open() {
            if before.0.get(id).is_some_and(|k| k.told == told(finding)) {
                changes.unchanged += 1;
            } else {
                changes.open.push((id.to_owned(), finding));
            }
        }
        changes.open.sort_by(|(_, a), (_, b)| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.sort_key().cmp(&b.sort_key()))
        });
        for (id, known) in &before.0 {
            let place = Place {
                check: &known.check,
                account: &known.account_id,
                region: &known.region,
                resource: &known.resource,
            };
            if let Standing::Closed(why) = scope.standing(id, &place) {
                changes.closed.push((id.clone(), known.clone(), why));
            }
        }
        changes
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty()
    }
}

/// What makes a finding worth telling again: not its message, which may count days.
fn told(finding: &Finding) -> String {
    format!("{}/{}", finding.status, finding.severity)
}

/// What is remembered of a finding that was told.
pub(crate) fn known(finding: &Finding) -> Known {
    Known {
        check: finding.check.to_string(),
        account_id: finding.account_id.to_string(),
        region: finding.region.to_string(),
        resource: finding.resource.clone(),
        told: told(finding),
    }
}

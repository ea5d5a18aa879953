//! What two sets of verdicts have in common, and what not.
use palisade_core::{Finding, Region, Severity, Status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What became of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It fails, and did not before.
    Opened,
    /// It failed, and does not any more.
    Fixed,
    /// It cannot be decided any more.
    Unknown,
    /// It could not be decided, and passes now.
    Known,
    /// It failed or could not be decided, and its resource is not there any more.
    Gone,
    /// It still fails, otherwise: message, severity, or whether somebody accepted it.
    Changed,
}

/// What a finding said before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Its status.
    pub status: Status,
    /// Its severity.
    pub severity: Severity,
    /// Its message.
    pub message: String,
}

/// One finding that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Snapshot and number: the same when it is told again.
    pub id: String,
    /// What became of it.
    pub change: ChangeKind,
    /// What it said before, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Former>,
    /// The finding as it is now; of one that is gone, as it was.
    pub finding: Finding,
}

/// What differs, in the order of findings. Ids are `snapshot/1`, `snapshot/2`, ….
pub fn changes(before: &[Finding], now: &[Finding], snapshot: &str) -> Vec<Change> {
    let by_key = |all| {
        let mut map: BTreeMap<_, &Finding> = BTreeMap::new();
        for finding in all {
            let finding: &Finding = finding;
            let known = map.entry(finding.sort_key()).or_insert(finding);
            if rank(finding.status) > rank(known.status) {
                *known = finding;
            }
        }
        map
    };
    let old = by_key(before);
    let new = by_key(now);
    // lists that could not be read: what is missing there is not gone
    let unlisted: BTreeSet<(&str, &str, &str)> = now
        .iter()
        .filter(|f| f.status == Status::Unknown && f.resource.is_empty())
        .map(|f| (&*f.check, &*f.account_id, &*f.region))
        .collect();
    let is_lost = |f: &Finding| {
        let home = f.region.parse::<Region>();
        let home = home.map_or("us-east-1", |r| r.partition().home_region());
        [&*f.region, home]
            .iter()
            .any(|region| unlisted.contains(&(&*f.check, &*f.account_id, *region)))
    };
    let mut keys: BTreeSet<_> = old.keys().copied().collect();
    keys.extend(new.keys().copied());
    let mut all: Vec<Change> = Vec::new();
    for key in keys {
        let (was, is) = (old.get(&key).copied(), new.get(&key).copied());
        let Some(change) = kind(was, is, is_lost) else {
            continue;
        };
        let Some(finding) = is.or(was) else { continue };
        all.push(Change {
            id: format!("{snapshot}/{}", all.len() + 1),
            change,
            before: was.map(|f| Former {
                status: f.status,
                severity: f.severity,
                message: f.message.clone(),
            }),
            finding: finding.clone(),
        });
    }
    all
}

fn kind(
    was: Option<&Finding>,
    is: Option<&Finding>,
    is_lost: impl Fn(&Finding) -> bool,
) -> Option<ChangeKind> {
    use Status::{Fail, Unknown};
    let status = was.map(|f| f.status);
    let Some(is) = is else {
        let was = was?;
        if was.status == Unknown && was.resource.is_empty() {
            // what could not be listed was
            return (!is_lost(was)).then_some(ChangeKind::Known);
        }
        let open = matches!(was.status, Fail | Unknown);
        return (open && !is_lost(was)).then_some(ChangeKind::Gone);
    };
    match (status, is.status) {
        (Some(Fail), Fail) => {
            let was = was?;
            let same = was.message == is.message
                && was.severity == is.severity
                && was.muted.is_some() == is.muted.is_some();
            (!same).then_some(ChangeKind::Changed)
        }
        (_, Fail) => Some(ChangeKind::Opened),
        (Some(Unknown), Unknown) => None,
        (_, Unknown) => Some(ChangeKind::Unknown),
        (Some(Fail), _) => Some(ChangeKind::Fixed),
        (Some(Unknown), _) => Some(ChangeKind::Known),
        _ => None,
    }
}

const fn rank(status: Status) -> u8 {
    match status {
        Status::Fail => 4,
        Status::Unknown => 3,
        Status::Manual => 2,
        Status::Pass => 1,
        Status::NotApplicable => 0,
    }
}

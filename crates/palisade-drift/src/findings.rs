//! Verdicts, before and after.
use crate::change::{Diff, FindingChange, FindingKind, Verdict};
use crate::resources::is_wide;
use crate::side::{AccountSide, Side};
use palisade_core::{Finding, Status};
use palisade_store::{Snapshot, StoreError};
use palisade_table::Schemas;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Which finding of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FindingKey {
    /// The check.
    pub check: String,
    /// The region.
    pub region: String,
    /// The ARN or id.
    pub resource: String,
    /// The id within account and region.
    pub resource_id: String,
}

impl FindingKey {
    /// Before all others.
    pub(crate) fn first() -> Self {
        Self {
            check: String::new(),
            region: String::new(),
            resource: String::new(),
            resource_id: String::new(),
        }
    }
    /// Of a finding.
    pub fn of(finding: &Finding) -> Self {
        Self {
            check: finding.check.to_string(),
            region: finding.region.to_string(),
            resource: finding.resource.clone(),
            resource_id: finding.resource_id.clone(),
        }
    }
}

/// The verdicts of an account by what they are about. Of several about the same, the worst counts.
pub(crate) fn by_key(findings: Vec<Finding>) -> BTreeMap<FindingKey, Finding> {
    let mut all: BTreeMap<FindingKey, Finding> = BTreeMap::new();
    for finding in findings {
        match all.entry(FindingKey::of(&finding)) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(finding);
            }
            std::collections::btree_map::Entry::Occupied(mut slot) => {
                if rank(&finding) > rank(slot.get()) {
                    slot.insert(finding);
                }
            }
        }
    }
    all
}

/// What is worse; by the text among equals, so that the order in which they are read does not matter.
fn rank(f: &Finding) -> (u8, bool, palisade_core::Severity, &str) {
    let status = match f.status {
        Status::Fail => 4,
        Status::Unknown => 3,
        Status::Manual => 2,
        Status::Pass => 1,
        Status::NotApplicable => 0,
    };
    (status, f.muted.is_none(), f.severity, &f.message)
}

/// One state of one account.
pub(crate) struct Verdicts<'a> {
    pub(crate) checks: &'a BTreeSet<String>,
    pub(crate) account: &'a AccountSide<'a>,
    pub(crate) found: &'a BTreeMap<FindingKey, Finding>,
}

impl Verdicts<'_> {
    /// Whether a resource that the check says nothing about may be there all the same.
    fn may_miss(&self, finding: &Finding, schemas: &dyn Schemas) -> bool {
        self.may_be_there(
            &finding.check,
            &finding.resource_type,
            &finding.region,
            schemas,
        )
    }

    pub(crate) fn may_be_there(
        &self,
        check: &str,
        table: &str,
        at: &str,
        schemas: &dyn Schemas,
    ) -> bool {
        let wide = schemas.table(table).is_none_or(|(spec, _)| is_wide(&spec));
        let here = |region: &str| wide || region == at;
        let listed = self.account.tables.get(table);
        let gap = listed.is_some_and(|t| t.gaps.iter().any(|(region, _)| here(region)));
        gap || self.found.values().any(|f| {
            *f.check == *check
                && f.status == Status::Unknown
                && f.resource.is_empty()
                && here(&f.region)
        })
    }
}

pub(crate) fn compare(
    before: &Verdicts<'_>,
    after: &Verdicts<'_>,
    schemas: &dyn Schemas,
) -> Vec<FindingChange> {
    let mut changes = Vec::new();
    let keys: BTreeSet<&FindingKey> = before.found.keys().chain(after.found.keys()).collect();
    for key in keys {
        if !before.checks.contains(&key.check) || !after.checks.contains(&key.check) {
            continue;
        }
        let (b, a) = (before.found.get(key), after.found.get(key));
        let kind = match (b, a) {
            (Some(b), Some(a)) => both(b, a),
            (Some(b), None) => only(b, after.may_miss(b, schemas), FindingKind::Gone),
            (None, Some(a)) => match a.status {
                Status::Unknown => Some(FindingKind::BecameUnknown),
                _ => only(a, before.may_miss(a, schemas), FindingKind::Opened),
            },
            (None, None) => None,
        };
        let Some(kind) = kind else { continue };
        let Some(any) = a.or(b) else { continue };
        changes.push(FindingChange {
            check: key.check.clone(),
            account_id: any.account_id.to_string(),
            region: key.region.clone(),
            resource: key.resource.clone(),
            resource_id: key.resource_id.clone(),
            resource_type: any.resource_type.to_string(),
            kind,
            before: b.map(verdict),
            after: a.map(verdict),
        });
    }
    changes
}

fn verdict(f: &Finding) -> Verdict {
    Verdict {
        status: f.status,
        severity: f.severity,
        message: f.message.clone(),
        muted: f.muted.is_some(),
    }
}

/// A finding that only one state has.
fn only(finding: &Finding, may_miss: bool, kind: FindingKind) -> Option<FindingKind> {
    match (finding.status, may_miss) {
        (Status::Fail, true) => Some(FindingKind::NotComparable),
        (Status::Fail, false) if finding.muted.is_none() => Some(kind),
        _ => None,
    }
}

fn both(before: &Finding, after: &Finding) -> Option<FindingKind> {
    let (b, a) = (before.status, after.status);
    match (b, a) {
        (Status::Unknown, Status::Unknown) => None,
        (_, Status::Unknown) => Some(FindingKind::BecameUnknown),
        (Status::Unknown, _) => Some(FindingKind::BecameReadable),
        (Status::Fail, Status::Fail) => match (before.muted.is_some(), after.muted.is_some()) {
            (false, true) => Some(FindingKind::Muted),
            (true, false) => Some(FindingKind::Unmuted),
            _ => (before.severity != after.severity
                || ageless(&before.message) != ageless(&after.message))
            .then_some(FindingKind::Changed),
        },
        (Status::Fail, _) => Some(FindingKind::Fixed),
        (_, Status::Fail) => Some(FindingKind::Opened),
        _ => None,
    }
}

/// A message without what time alone changes: `used 91 days ago` is the same tomorrow.
pub(crate) fn ageless(message: &str) -> String {
    const UNITS: &[&str] = &["day", "hour", "minute", "second", "month", "week", "year"];
    let words: Vec<&str> = message.split(' ').collect();
    let mut out = String::with_capacity(message.len());
    for (index, word) in words.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        let next = words.get(index + 1).copied().unwrap_or_default();
        let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit() || b == b',');
        let age = number && UNITS.iter().any(|unit| next.starts_with(unit));
        out.push_str(if age { "#" } else { word });
    }
    out
}

/// Marks what opened and had failed in one of the earlier snapshots as opened again.
///
/// # Errors
/// When a snapshot's findings are damaged.
pub async fn reopened(diff: &mut Diff, earlier: &[Snapshot]) -> Result<(), StoreError> {
    let mut accounts: BTreeSet<String> = BTreeSet::new();
    for change in &diff.findings {
        if change.kind == FindingKind::Opened {
            accounts.insert(change.account_id.clone());
        }
    }
    for snapshot in earlier.iter().rev() {
        for account_id in &accounts {
            if snapshot.manifest().account(account_id).is_none() {
                continue;
            }
            let failed: BTreeSet<FindingKey> = Side::Stored(snapshot)
                .findings(account_id)
                .await?
                .iter()
                .filter(|f| f.counts_as_failed())
                .map(FindingKey::of)
                .collect();
            for change in &mut diff.findings {
                let key = FindingKey {
                    check: change.check.clone(),
                    region: change.region.clone(),
                    resource: change.resource.clone(),
                    resource_id: change.resource_id.clone(),
                };
                if change.kind == FindingKind::Opened
                    && change.account_id == *account_id
                    && failed.contains(&key)
                {
                    change.kind = FindingKind::Reopened;
                }
            }
        }
    }
    crate::diff::sort(diff);
    Ok(())
}

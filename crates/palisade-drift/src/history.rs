//! Findings over time: a fold over the snapshots, oldest first.
//!
//! The fold is a function of the snapshots and of nothing else. What it gave for a row of snapshots may be kept in the
//! store, so that the next time only new snapshots are read; without it, it is computed anew.
use crate::FindingKey;
use crate::findings::{Verdicts, ageless, by_key};
use crate::side::{AccountSide, Side};
use palisade_core::{Date, Finding, Severity, Status, Timestamp};
use palisade_store::{Snapshot, Store, StoreError};
use palisade_table::Schemas;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What the fold's form is; another one is computed anew.
const FORMAT: u32 = 1;

const DAY: i64 = 86_400_000_000;

/// Where a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It fails.
    Open,
    /// It fails, and somebody accepted it.
    Muted,
    /// It failed, was read, and passes.
    Fixed,
    /// It failed, and the resource is gone.
    Gone,
}

impl Standing {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Muted => "muted",
            Self::Fixed => "fixed",
            Self::Gone => "gone",
        }
    }
}

/// A finding that failed at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingHistory {
    /// The account.
    pub account_id: String,
    /// Which finding.
    #[serde(flatten)]
    pub key: FindingKey,
    /// The table.
    pub resource_type: String,
    /// The last one known.
    pub severity: Severity,
    /// Why it failed, the last time.
    pub message: String,
    /// Where it stands, as far as it was read.
    pub standing: Standing,
    /// It could not be read the last time.
    pub unknown: bool,
    /// When it failed for the first time.
    pub first_seen: Timestamp,
    /// When it failed for the last time.
    pub last_seen: Timestamp,
    /// When its standing, severity or message changed last.
    pub last_changed: Timestamp,
    /// Since when it fails without a break.
    pub open_since: Timestamp,
    /// How often it failed again after it had been fixed or gone.
    pub reopened: u32,
}

impl FindingHistory {
    /// When it was seen to be fixed, or to be gone; nothing while it fails.
    pub fn closed_at(&self) -> Option<Timestamp> {
        // nothing about it changes after that
        (!self.is_open()).then_some(self.last_changed)
    }

    /// Whole days that it has been failing, at a time; nothing when it does not fail.
    pub fn age_days(&self, now: Timestamp) -> Option<i64> {
        matches!(self.standing, Standing::Open | Standing::Muted)
            .then(|| (now.as_micros() - self.open_since.as_micros()).div_euclid(DAY))
    }
}

/// A time from failing to being fixed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Episode {
    /// The account.
    pub account_id: String,
    /// How bad it was.
    pub severity: Severity,
    /// When it was seen first.
    pub opened: Timestamp,
    /// When it was seen to be over.
    pub closed: Timestamp,
    /// Fixed, or gone.
    pub how: Standing,
}

/// Everything that is known of the findings of a row of snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    format: u32,
    /// Sorted by account, check, region, resource.
    pub findings: Vec<FindingHistory>,
    /// In the order in which they ended.
    pub episodes: Vec<Episode>,
    /// Snapshots that were judged, oldest first: time and failed findings by severity.
    pub trend: Vec<(Timestamp, BTreeMap<Severity, usize>)>,
}

/// How long it takes until something is fixed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeToFix {
    /// The account.
    pub account_id: String,
    /// How bad.
    pub severity: Severity,
    /// How many were fixed.
    pub fixed: usize,
    /// Mean hours from being seen first to being seen fixed.
    pub mean_hours: f64,
}

impl History {
    /// Mean time to fix by account and severity. What is gone was not fixed, and does not count.
    pub fn time_to_fix(&self) -> Vec<TimeToFix> {
        let mut sums: BTreeMap<(&str, Severity), (usize, f64)> = BTreeMap::new();
        for e in self.episodes.iter().filter(|e| e.how == Standing::Fixed) {
            let hours = (e.closed.as_micros() - e.opened.as_micros()) as f64 / 3_600e6;
            let sum = sums.entry((&e.account_id, e.severity)).or_default();
            sum.0 += 1;
            sum.1 += hours;
        }
        sums.into_iter()
            .map(|((account_id, severity), (fixed, hours))| TimeToFix {
                account_id: account_id.to_owned(),
                severity,
                fixed,
                mean_hours: hours / fixed as f64,
            })
            .collect()
    }

    /// Failed findings by severity at the end of each day that has a snapshot.
    pub fn by_day(&self) -> BTreeMap<Date, BTreeMap<Severity, usize>> {
        let days = self.trend.iter();
        days.map(|(at, counts)| (Date::of(*at), counts.clone()))
            .collect()
    }

    /// Whether something was judged at all.
    pub fn is_empty(&self) -> bool {
        self.trend.is_empty()
    }

    /// The finding's history.
    pub fn find(&self, account_id: &str, key: &FindingKey) -> Option<&FindingHistory> {
        let at = self
            .findings
            .binary_search_by(|h| (h.account_id.as_str(), &h.key).cmp(&(account_id, key)))
            .ok()?;
        self.findings.get(at)
    }

    /// Goes on with a later snapshot; of some accounts only, where they are given.
    ///
    /// # Errors
    /// When it is damaged.
    pub async fn add(
        &mut self,
        snapshot: &Snapshot,
        schemas: &dyn Schemas,
        accounts: Option<&BTreeSet<String>>,
    ) -> Result<(), StoreError> {
        let nobody = &mut |_: &str, _: AccountSide<'_>, _: BTreeMap<FindingKey, Finding>| {};
        self.add_seeing(snapshot, schemas, accounts, nobody).await
    }

    /// The same, handing over what was read of each account.
    pub(crate) async fn add_seeing(
        &mut self,
        snapshot: &Snapshot,
        schemas: &dyn Schemas,
        accounts: Option<&BTreeSet<String>>,
        see: &mut Seeing<'_>,
    ) -> Result<(), StoreError> {
        let side = Side::Stored(snapshot);
        let Some(checks) = side.checks().await? else {
            return Ok(());
        };
        let manifest = snapshot.manifest();
        let now = manifest.started_at;
        let mut known: BTreeMap<(String, FindingKey), FindingHistory> = self
            .findings
            .drain(..)
            .map(|h| ((h.account_id.clone(), h.key.clone()), h))
            .collect();
        let mut failed: BTreeMap<Severity, usize> = BTreeMap::new();
        let wanted = side.accounts().into_iter();
        for account_id in wanted.filter(|a| accounts.is_none_or(|accounts| accounts.contains(a))) {
            let account = side.account(&account_id).await?;
            let found = by_key(side.findings(&account_id).await?);
            let verdicts = Verdicts {
                checks: &checks,
                account: &account,
                found: &found,
            };
            for (key, finding) in &found {
                if finding.counts_as_failed() {
                    *failed.entry(finding.severity).or_default() += 1;
                }
                let slot = (account_id.clone(), key.clone());
                match known.get_mut(&slot) {
                    Some(history) => {
                        self.episodes.extend(history.again(finding, now));
                    }
                    None if finding.status == Status::Fail => {
                        known.insert(slot, FindingHistory::first(finding, key, now));
                    }
                    None => {}
                }
            }
            let own = known
                .range_mut((account_id.clone(), FindingKey::first())..)
                .take_while(|((account, _), _)| *account == account_id);
            for ((_, key), history) in own {
                if found.contains_key(key) || !checks.contains(&key.check) {
                    continue;
                }
                if verdicts.may_be_there(
                    &history.key.check,
                    &history.resource_type,
                    &key.region,
                    schemas,
                ) {
                    history.unknown = true;
                } else {
                    self.episodes.extend(history.gone(now));
                }
            }
            see(&account_id, account, found);
        }
        for ((account_id, key), history) in &mut known {
            let unread = manifest.account(account_id).is_some_and(|a| a.unread);
            if unread && checks.contains(&key.check) {
                history.unknown = true;
            }
        }
        self.format = FORMAT;
        self.findings = known.into_values().collect();
        self.trend.push((now, failed));
        Ok(())
    }
}

impl FindingHistory {
    pub(crate) fn first(finding: &Finding, key: &FindingKey, now: Timestamp) -> Self {
        Self {
            account_id: finding.account_id.to_string(),
            key: key.clone(),
            resource_type: finding.resource_type.to_string(),
            severity: finding.severity,
            message: finding.message.clone(),
            standing: standing(finding),
            unknown: false,
            first_seen: now,
            last_seen: now,
            last_changed: now,
            open_since: now,
            reopened: 0,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.standing, Standing::Open | Standing::Muted)
    }

    pub(crate) fn again(&mut self, finding: &Finding, now: Timestamp) -> Option<Episode> {
        if finding.status == Status::Unknown {
            self.unknown = true;
            return None;
        }
        self.unknown = false;
        if finding.status == Status::Fail {
            let stands = standing(finding);
            if !self.is_open() {
                self.reopened += 1;
                self.open_since = now;
            }
            if stands != self.standing
                || self.severity != finding.severity
                || ageless(&self.message) != ageless(&finding.message)
            {
                self.last_changed = now;
            }
            self.standing = stands;
            self.severity = finding.severity;
            self.message.clone_from(&finding.message);
            self.last_seen = now;
            return None;
        }
        self.close(Standing::Fixed, now)
    }

    fn gone(&mut self, now: Timestamp) -> Option<Episode> {
        self.unknown = false;
        self.close(Standing::Gone, now)
    }

    fn close(&mut self, how: Standing, now: Timestamp) -> Option<Episode> {
        let was_open = self.is_open();
        if !was_open {
            return None;
        }
        self.standing = how;
        self.last_changed = now;
        Some(Episode {
            account_id: self.account_id.clone(),
            severity: self.severity,
            opened: self.open_since,
            closed: now,
            how,
        })
    }
}

fn standing(finding: &Finding) -> Standing {
    match finding.muted {
        Some(_) => Standing::Muted,
        None => Standing::Open,
    }
}

/// Names of what the fold gave for each beginning of a row of snapshots: each depends on all before it.
fn chain(snapshots: &[Snapshot]) -> Vec<String> {
    let mut state = DefaultHasher::new();
    FORMAT.hash(&mut state);
    snapshots
        .iter()
        .map(|snapshot| {
            let manifest = snapshot.manifest();
            manifest.id.hash(&mut state);
            for account in &manifest.accounts {
                account.part.sha256.hash(&mut state);
            }
            format!("history/{}-{:016x}.json", manifest.id, state.finish())
        })
        .collect()
}

/// What may be done with what was computed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is used, and what is computed now is kept in its place.
    Write,
    /// It is used, and nothing is written.
    Read,
}

/// Somebody who is handed what was read of an account: how it was read, and the verdicts.
pub(crate) type Seeing<'s> = dyn FnMut(&str, AccountSide<'_>, BTreeMap<FindingKey, Finding>) + 's;

/// The history of a row of snapshots, oldest first. What it gave may be kept in the store and used the next time; a kept
/// one that is damaged is computed anew.
///
/// # Errors
/// When a snapshot is damaged, or the store cannot be read or written.
pub async fn history(
    store: &Store,
    snapshots: &[Snapshot],
    schemas: &dyn Schemas,
    keep: Keep,
) -> Result<History, StoreError> {
    let nobody = &mut |_: &str, _: AccountSide<'_>, _: BTreeMap<FindingKey, Finding>| {};
    history_seeing(store, snapshots, schemas, keep, "", nobody).await
}

/// The same, handing over what was read of each account of one of the snapshots, if its verdicts had to be read.
pub(crate) async fn history_seeing(
    store: &Store,
    snapshots: &[Snapshot],
    schemas: &dyn Schemas,
    keep: Keep,
    id: &str,
    see: &mut Seeing<'_>,
) -> Result<History, StoreError> {
    let names = chain(snapshots);
    let mut history = History::default();
    let mut done = 0;
    let kept: BTreeSet<String> = store
        .objects_below("history")
        .await?
        .into_iter()
        .map(|(path, ..)| path)
        .collect();
    for (index, name) in names.iter().enumerate().rev() {
        if !kept.contains(name) {
            continue;
        }
        let Ok(bytes) = store.read(name).await else {
            continue;
        };
        match serde_json::from_slice::<History>(&bytes) {
            Ok(found) if found.format == FORMAT => {
                history = found;
                done = index + 1;
                break;
            }
            _ => {}
        }
    }
    for snapshot in snapshots.iter().skip(done) {
        if snapshot.manifest().id == id {
            history.add_seeing(snapshot, schemas, None, see).await?;
        } else {
            history.add(snapshot, schemas, None).await?;
        }
    }
    if keep == Keep::Write
        && done < snapshots.len()
        && let Some(name) = names.last()
    {
        history.format = FORMAT;
        if let Ok(bytes) = serde_json::to_vec(&history) {
            store.write(name, bytes.into()).await?;
        }
        for path in kept.iter().filter(|path| *path != name) {
            store.delete(path).await?;
        }
    }
    Ok(history)
}

/// Something that happened to a resource between two snapshots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceEvent {
    /// When it was seen: the time of the later snapshot.
    pub at: Timestamp,
    /// The snapshot.
    pub snapshot: String,
    /// `added`, `removed`, `changed`, `not comparable`.
    pub what: String,
    /// The table.
    pub table: String,
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The ARN, or the id.
    pub resource: String,
    /// The values that differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<crate::ColumnChange>,
}

/// What happened to some resources (by ARN or id), snapshot by snapshot.
///
/// # Errors
/// When a snapshot is damaged.
pub async fn resource_history(
    snapshots: &[Snapshot],
    schemas: &dyn Schemas,
    resources: &[String],
    accounts: &[String],
) -> Result<Vec<ResourceEvent>, StoreError> {
    let filter = crate::Filter {
        findings: false,
        accounts: accounts.to_vec(),
        ..crate::Filter::default()
    };
    let mut events = Vec::new();
    for (before, after) in snapshots.iter().zip(snapshots.iter().skip(1)) {
        let (b, a) = (Side::Stored(before), Side::Stored(after));
        let found = crate::diff(b, a, schemas, &filter).await?;
        let own = found
            .resources
            .into_iter()
            .filter(|r| resources.contains(&r.resource) || resources.contains(&r.resource_id));
        events.extend(own.map(|r| ResourceEvent {
            at: after.manifest().started_at,
            snapshot: after.manifest().id.clone(),
            what: r.kind.as_str().to_owned(),
            table: r.table,
            account_id: r.account_id,
            region: r.region,
            resource: r.resource,
            columns: r.columns,
        }));
    }
    Ok(events)
}

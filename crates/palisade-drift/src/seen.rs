//! What earlier snapshots know of the findings of a scan.
use crate::findings::{FindingKey, Verdicts, by_key};
use crate::history::{FindingHistory, History, Keep, history_seeing};
use crate::side::{AccountSide, Side, TableSide};
use palisade_core::{Assessment, Finding, LastScan, Seen, Status, Timestamp};
use palisade_store::{Snapshot, Store, StoreError};
use palisade_table::Schemas;
use std::collections::{BTreeMap, BTreeSet};

/// Says of each failed finding since when it fails, as far as the snapshots before the scan know. `before` are those
/// snapshots, oldest first. When nothing was judged in them, nothing is said.
///
/// # Errors
/// When a snapshot is damaged, or the store cannot be read or written.
pub async fn remember(
    store: &Store,
    before: &[Snapshot],
    schemas: &dyn Schemas,
    keep: Keep,
    assessment: &mut Assessment,
) -> Result<(), StoreError> {
    let failed = assessment.findings.iter();
    let failed = failed.filter(|f| f.status == Status::Fail);
    let accounts: BTreeSet<String> = failed.map(|f| f.account_id.to_string()).collect();
    let now = assessment.started_at;
    if let Some(earlier) = Earlier::read(store, before, schemas, keep, now, &accounts).await? {
        assessment.last_scan = Some(earlier.last_scan().clone());
        for finding in &mut assessment.findings {
            earlier.tell(finding, schemas);
        }
    }
    Ok(())
}

/// What is known of findings from before a scan.
#[derive(Debug)]
pub struct Earlier {
    known: History,
    now: Timestamp,
    last: LastScan,
    /// The checks that the last scan evaluated.
    checks: BTreeSet<String>,
    /// What it said of each account.
    accounts: BTreeMap<String, Last>,
}

/// What the last scan said of an account.
#[derive(Debug)]
struct Last {
    account: AccountSide<'static>,
    found: BTreeMap<FindingKey, Finding>,
}

impl Earlier {
    /// Reads what snapshots, oldest first, know of some accounts; nothing when nothing was judged in them.
    ///
    /// # Errors
    /// When a snapshot is damaged, or the store cannot be read or written.
    pub async fn read(
        store: &Store,
        before: &[Snapshot],
        schemas: &dyn Schemas,
        keep: Keep,
        now: Timestamp,
        accounts: &BTreeSet<String>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(last) = before.iter().rev().find(|s| s.manifest().checks.is_some()) else {
            return Ok(None);
        };
        let mut judged = BTreeMap::new();
        let see = &mut |account_id: &str, account: AccountSide<'_>, found| {
            if accounts.contains(account_id) {
                judged.insert(account_id.to_owned(), Last::of(account, found));
            }
        };
        let id = &last.manifest().id;
        let known = history_seeing(store, before, schemas, keep, id, see).await?;
        let side = Side::Stored(last);
        let there: BTreeSet<String> = side.accounts().into_iter().collect();
        for account_id in accounts.intersection(&there) {
            // what the history did not have to read
            if judged.contains_key(account_id) {
                continue;
            }
            let account = side.account(account_id).await?;
            let found = by_key(side.findings(account_id).await?);
            judged.insert(account_id.clone(), Last::of(account, found));
        }
        Ok(Some(Self {
            known,
            now,
            last: LastScan {
                snapshot: last.manifest().id.clone(),
                started_at: last.manifest().started_at,
            },
            checks: side.checks().await?.unwrap_or_default(),
            accounts: judged,
        }))
    }

    /// The last scan before.
    pub fn last_scan(&self) -> &LastScan {
        &self.last
    }

    /// Says of a finding since when it fails, if it does.
    pub fn tell(&self, finding: &mut Finding, schemas: &dyn Schemas) {
        if finding.status != Status::Fail {
            return;
        }
        let key = FindingKey::of(finding);
        let course = match self.known.find(&finding.account_id, &key) {
            Some(earlier) => {
                let mut course = earlier.clone();
                course.again(finding, self.now);
                course
            }
            None => FindingHistory::first(finding, &key, self.now),
        };
        let last = self.accounts.get(&*finding.account_id);
        let new = last
            .filter(|_| self.checks.contains(&key.check))
            .and_then(|last| match last.found.get(&key).map(|f| f.status) {
                Some(Status::Fail) => Some(false),
                Some(Status::Unknown) => None,
                Some(_) => Some(true),
                None => {
                    let verdicts = Verdicts {
                        checks: &self.checks,
                        account: &last.account,
                        found: &last.found,
                    };
                    let (table, region) = (&finding.resource_type, &finding.region);
                    (!verdicts.may_be_there(&key.check, table, region, schemas)).then_some(true)
                }
            });
        finding.history = Some(Box::new(Seen {
            first_seen: course.first_seen,
            last_seen: course.last_seen,
            last_changed: course.last_changed,
            open_since: course.open_since,
            age_days: course.age_days(self.now).unwrap_or_default(),
            reopened: course.reopened,
            new,
        }));
    }
}

impl Last {
    /// What is needed of it: which lists could not be read, and what was said, without words.
    fn of(account: AccountSide<'_>, mut found: BTreeMap<FindingKey, Finding>) -> Self {
        let tables = account.tables.into_iter();
        let tables = tables.filter(|(_, table)| !table.gaps.is_empty());
        let account = AccountSide {
            tables: tables
                .map(|(name, table)| {
                    let gaps = TableSide {
                        columns: BTreeMap::new(),
                        gaps: table.gaps,
                        chunks: Vec::new(),
                    };
                    (name, gaps)
                })
                .collect(),
        };
        for finding in found.values_mut() {
            finding.message = String::new();
        }
        Self { account, found }
    }
}

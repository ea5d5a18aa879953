//! What earlier snapshots know of the findings of a scan.
use crate::findings::{FindingKey, Verdicts, by_key};
use crate::history::{FindingHistory, Keep, history};
use crate::side::Side;
use palisade_core::{Assessment, LastScan, Seen, Status};
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
    let Some(last) = before.iter().rev().find(|s| s.manifest().checks.is_some()) else {
        return Ok(());
    };
    let known = history(store, before, schemas, keep).await?;
    let now = assessment.started_at;
    assessment.last_scan = Some(LastScan {
        snapshot: last.manifest().id.clone(),
        started_at: last.manifest().started_at,
    });
    let side = Side::Stored(last);
    let checks = side.checks().await?.unwrap_or_default();
    let failed = assessment.findings.iter_mut();
    let mut failed: Vec<_> = failed.filter(|f| f.status == Status::Fail).collect();
    let accounts: BTreeSet<String> = failed.iter().map(|f| f.account_id.to_string()).collect();
    let there: BTreeSet<String> = side.accounts().into_iter().collect();
    let mut sides = BTreeMap::new();
    for account_id in accounts.intersection(&there) {
        sides.insert(account_id.clone(), side.account(account_id).await?);
    }
    let mut judged: BTreeMap<&str, Verdicts<'_>> = BTreeMap::new();
    for (account_id, account) in &sides {
        let verdicts = Verdicts {
            checks: &checks,
            account,
            found: by_key(side.findings(account_id).await?),
        };
        judged.insert(account_id, verdicts);
    }
    for finding in &mut failed {
        let key = FindingKey::of(finding);
        let course = match known.find(&finding.account_id, &key) {
            Some(earlier) => {
                let mut course = earlier.clone();
                course.again(finding, now);
                course
            }
            None => FindingHistory::first(finding, &key, now),
        };
        let new = judged
            .get(&*finding.account_id)
            .filter(|v| v.checks.contains(&key.check))
            .and_then(|v| match v.found.get(&key).map(|f| f.status) {
                Some(Status::Fail) => Some(false),
                Some(Status::Unknown) => None,
                Some(_) => Some(true),
                None => {
                    let (table, region) = (&finding.resource_type, &finding.region);
                    (!v.may_be_there(&key.check, table, region, schemas)).then_some(true)
                }
            });
        finding.history = Some(Box::new(Seen {
            first_seen: course.first_seen,
            last_seen: course.last_seen,
            last_changed: course.last_changed,
            open_since: course.open_since,
            age_days: course.age_days(now).unwrap_or_default(),
            reopened: course.reopened,
            new,
        }));
    }
    Ok(())
}

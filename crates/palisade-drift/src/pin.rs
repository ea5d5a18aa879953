//! The baseline: a snapshot that somebody declared to be the desired state.
use crate::{ColumnChange, Diff, ResourceKind, Which};
use palisade_core::{
    Category, CheckSummary, Finding, FixAvailability, Severity, Status, Timestamp,
};
use palisade_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;

/// Where the store says which snapshot is pinned.
const PIN: &str = "drift/baseline.json";

/// The check that holds resources against the baseline.
pub const DRIFT_CHECK: &str = "palisade-configuration-drift";

/// Changes of one resource that its evidence names.
const NAMED: usize = 50;

/// Which snapshot is the desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its id.
    pub snapshot: String,
    /// When it was pinned.
    pub pinned_at: Timestamp,
}

/// The pinned snapshot, if there is one.
///
/// # Errors
/// When the store cannot be read, or what it says is damaged.
pub async fn pinned(store: &Store) -> Result<Option<Pin>, StoreError> {
    match store.read(PIN).await {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(pin) => Ok(Some(pin)),
            Err(e) => Err(StoreError::Damaged {
                path: PIN.to_owned(),
                message: e.to_string(),
            }),
        },
        Err(e) if e.is_missing() => Ok(None),
        Err(e) => Err(e),
    }
}

/// Declares a snapshot to be the desired state, in place of an earlier one.
///
/// # Errors
/// When the store cannot be written; what was pinned stays pinned then.
pub async fn pin(store: &Store, pin: &Pin) -> Result<(), StoreError> {
    let bytes = serde_json::to_vec(pin).map_err(|e| StoreError::Damaged {
        path: PIN.to_owned(),
        message: e.to_string(),
    })?;
    store.write(PIN, bytes.into()).await
}

/// Nothing is the desired state any more.
///
/// # Errors
/// When the store cannot be written.
pub async fn unpin(store: &Store) -> Result<(), StoreError> {
    store.delete(PIN).await
}

/// The check without findings: its texts.
pub fn drift_check() -> CheckSummary {
    CheckSummary {
        id: DRIFT_CHECK.to_owned(),
        title: "Resource is as the pinned baseline has it".to_owned(),
        service: "palisade".to_owned(),
        severity: Severity::Medium,
        category: Category::Governance,
        why: "Somebody declared the baseline to be the desired state. What differs from it was changed outside of the way that changes should take, or the baseline is out of date. A change that nobody expected is how an intruder makes room, and how a tested configuration erodes.".to_owned(),
        fix: "Look at the values in the evidence, and at CloudTrail for who changed them.\n\n- Where the change is wrong, set the resource back to what the baseline has.\n- Where it is right, pin a newer snapshot: `palisade drift pin latest`.".to_owned(),
        requirements: Vec::new(),
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    }
}

/// A finding for each resource that is not as the baseline has it, or of which that cannot be said. `diff` compares the
/// baseline with what is there now. The counts of the summary are those of the findings.
pub fn drift_findings(diff: &Diff) -> (CheckSummary, Vec<Finding>) {
    let mut summary = drift_check();
    let mut findings = Vec::new();
    let check: Arc<str> = Arc::from(DRIFT_CHECK);
    let requirements: Arc<[String]> = Arc::from([]);
    let base = &diff.before.id;
    let mut add = |status: Status,
                   (account_id, region): (&str, &str),
                   (resource, resource_id, table): (&str, &str, &str),
                   message: String,
                   changes: &[ColumnChange]| {
        let mut evidence = serde_json::Map::new();
        evidence.insert("baseline".to_owned(), json!(base));
        if !changes.is_empty() {
            let named: Vec<_> = changes.iter().take(NAMED).collect();
            evidence.insert("changes".to_owned(), json!(named));
        }
        if changes.len() > NAMED {
            evidence.insert("more_changes".to_owned(), json!(changes.len() - NAMED));
        }
        findings.push(Finding {
            check: Arc::clone(&check),
            status,
            severity: Severity::Medium,
            account_id: Arc::from(account_id),
            region: Arc::from(region),
            resource: resource.to_owned(),
            resource_id: resource_id.to_owned(),
            resource_type: Arc::from(table),
            message,
            evidence,
            requirements: Arc::clone(&requirements),
            fix: FixAvailability::Guided,
            history: None,
            missing_permissions: Vec::new(),
            muted: None,
        });
    };
    for r in &diff.resources {
        let (status, message) = match r.kind {
            ResourceKind::Added => (Status::Fail, "is not in the baseline".to_owned()),
            ResourceKind::Removed => (Status::Fail, "is in the baseline and is gone".to_owned()),
            ResourceKind::Changed => (Status::Fail, changed(&r.columns)),
            ResourceKind::NotComparable => {
                let columns: Vec<&str> =
                    r.not_comparable.iter().map(|b| b.column.as_str()).collect();
                let reason = r.not_comparable.first().map(|b| b.reason.as_str());
                let message = format!(
                    "could not be compared with the baseline: {} ({})",
                    columns.join(", "),
                    reason.unwrap_or_default()
                );
                (Status::Unknown, message)
            }
        };
        add(
            status,
            (&r.account_id, &r.region),
            (&r.resource, &r.resource_id, &r.table),
            message,
            &r.columns,
        );
    }
    for left in &diff.not_compared {
        // what the baseline has and this scan did not ask for is no gap: it was not selected
        let asked = left.lacking == Which::After && left.reason.starts_with("could not be listed");
        let unseen = left.resources > 0 && left.reason.contains("could not be read");
        let (true, Some(table), Some(account_id)) =
            (asked || unseen, &left.table, &left.account_id)
        else {
            continue;
        };
        let message = format!(
            "{} resources could not be compared with the baseline: {} ({})",
            left.resources,
            left.reason,
            left.lacking.as_str()
        );
        let region = left.region.as_deref().unwrap_or_default();
        add(
            Status::Unknown,
            (account_id, region),
            ("", "", table),
            message,
            &[],
        );
    }
    findings.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    for finding in &findings {
        match finding.status {
            Status::Fail => summary.failed += 1,
            Status::Unknown => summary.unknown += 1,
            _ => {}
        }
    }
    (summary, findings)
}

fn changed(columns: &[ColumnChange]) -> String {
    let named: Vec<&str> = columns.iter().take(3).map(|c| c.path.as_str()).collect();
    let more = match columns.len().saturating_sub(3) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("differs from the baseline in {}{more}", named.join(", "))
}

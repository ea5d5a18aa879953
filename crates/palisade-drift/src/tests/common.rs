//! A catalogue's tables, small datasets, snapshots of them.
use crate::{Diff, Filter, Side, diff};
use object_store::memory::InMemory;
use palisade_core::{
    CallError, CallErrorKind, CheckSummary, Coverage, Finding, FixAvailability, Severity, Status,
    Timestamp,
};
use palisade_store::{AccountResult, NewSnapshot, Snapshot, Store};
use palisade_table::{CatalogSchemas, Dataset, Gap, fixture_dataset};
use serde_json::{Value as Json, json};
use std::sync::{Arc, LazyLock};

pub static SHIPPED: LazyLock<CatalogSchemas> = LazyLock::new(CatalogSchemas::shipped);

pub const ACCOUNT: &str = palisade_table::FIXTURE_ACCOUNT;
pub const REGION: &str = palisade_table::FIXTURE_REGION;

pub fn at(day: u32) -> Timestamp {
    format!("2026-01-{day:02}T12:00:00Z").parse().unwrap()
}

/// Tables from fixture rows.
pub fn tables(data: &Json) -> Dataset {
    let data = data.as_object().unwrap();
    let first = data.keys().next().unwrap();
    fixture_dataset(&*SHIPPED, first, true, data, at(1)).unwrap()
}

pub fn denied(operation: &str) -> CallError {
    CallError {
        service: "s3".to_owned(),
        operation: operation.to_owned(),
        account_id: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: String::new(),
        permissions: vec!["s3:ListAllMyBuckets".to_owned()],
    }
}

pub fn gap(dataset: &mut Dataset, table: &str, account: &str, region: &str) {
    let error = Arc::new(denied("ListBuckets"));
    dataset.tables.get_mut(table).unwrap().gaps.push(Gap {
        account_id: account.to_owned(),
        region: region.to_owned(),
        error,
    });
}

pub fn memory() -> Store {
    Store::over(Arc::new(InMemory::new()), "memory")
}

pub fn summary(id: &str) -> CheckSummary {
    CheckSummary {
        id: id.to_owned(),
        title: id.to_owned(),
        service: "s3".to_owned(),
        severity: Severity::High,
        category: palisade_core::Category::ALL[0],
        why: String::new(),
        fix: String::new(),
        requirements: vec![],
        passed: 0,
        failed: 0,
        unknown: 0,
        manual: 0,
    }
}

/// A finding of the account and region of fixtures.
pub fn finding(check: &str, bucket: &str, status: Status) -> Finding {
    Finding {
        check: Arc::from(check),
        status,
        severity: Severity::High,
        account_id: Arc::from(ACCOUNT),
        region: Arc::from(REGION),
        resource: match bucket {
            "" => String::new(),
            name => format!("arn:aws:s3:::{name}"),
        },
        resource_id: bucket.to_owned(),
        resource_type: Arc::from("s3_bucket"),
        message: format!("{bucket} is {status}"),
        evidence: serde_json::Map::new(),
        requirements: Arc::from([]),
        fix: FixAvailability::Guided,
        history: None,
        missing_permissions: vec![],
        muted: None,
    }
}

pub async fn commit(
    store: &Store,
    day: u32,
    accounts: &[&str],
    dataset: &Dataset,
    findings: Option<(&[&str], &[Finding])>,
) -> Snapshot {
    let writer = store.writer(NewSnapshot {
        nonce: format!("{day:08x}"),
        started_at: at(day),
        palisade: "0.0.0".to_owned(),
        catalog: "test".to_owned(),
        regions: vec!["eu-west-1".to_owned(), REGION.to_owned()],
    });
    for account_id in accounts {
        writer
            .account(AccountResult {
                account_id,
                dataset,
                coverage: &Coverage::default(),
                findings: findings.map(|(_, f)| f),
            })
            .await
            .unwrap();
    }
    let checks = findings.map(|(ids, _)| {
        let mut ids: Vec<_> = ids.iter().map(|id| summary(id)).collect();
        ids.sort_by(|a, b| a.id.cmp(&b.id));
        ids
    });
    store.of(writer.commit(at(day), checks.as_deref()).await.unwrap())
}

pub async fn compared(before: &Snapshot, after: &Snapshot) -> Diff {
    let filter = Filter::default();
    diff(
        Side::Stored(before),
        Side::Stored(after),
        &*SHIPPED,
        &filter,
    )
    .await
    .unwrap()
}

/// Two states of one account, given as fixture rows.
pub async fn of(before: &Json, after: &Json) -> Diff {
    let store = memory();
    let before = commit(&store, 1, &[ACCOUNT], &tables(before), None).await;
    let after = commit(&store, 2, &[ACCOUNT], &tables(after), None).await;
    compared(&before, &after).await
}

pub fn buckets(rows: &[Json]) -> Json {
    json!({ "s3_bucket": rows })
}

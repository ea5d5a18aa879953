//! Tables over all snapshots up to one: `finding_history`, `resource_history`, `resource_change`. What they say is what
//! `palisade-drift` says.
use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::SchemaRef;
use palisade_core::Timestamp;
use palisade_drift::{History, Keep, Lifetimes, Standing, history, lifetimes};
use palisade_query::{CatalogSchemas, STORE_TABLES};
use palisade_store::{Snapshot, StoreError};
use palisade_table::UTC;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The tables with their columns.
pub(crate) fn tables() -> BTreeMap<String, SchemaRef> {
    let of = STORE_TABLES.iter();
    of.map(|t| (t.name.to_owned(), t.schema())).collect()
}

pub(crate) fn is_one(table: &str) -> bool {
    STORE_TABLES.iter().any(|t| t.name == table)
}

/// The snapshots of the store up to the last of some, oldest first. Damaged ones are no part of any history.
async fn until(snapshots: &[Snapshot]) -> Result<Vec<Snapshot>, StoreError> {
    let Some(last) = snapshots.iter().max_by_key(|s| &s.manifest().id) else {
        return Ok(Vec::new());
    };
    let listing = last.store().list().await?;
    let manifests = listing.manifests.into_iter();
    let wanted = manifests.filter(|m| m.id <= last.manifest().id);
    Ok(wanted.map(|m| last.store().of(m)).collect())
}

/// The rows of one of the tables: of the accounts of the snapshots, and of those that are wanted.
pub(crate) async fn rows(
    table: &str,
    snapshots: &[Snapshot],
    wanted: Option<&BTreeSet<String>>,
    schemas: &CatalogSchemas,
) -> Result<RecordBatch, String> {
    let told = |e: StoreError| e.to_string();
    let there: BTreeSet<String> = snapshots.iter().flat_map(Snapshot::accounts).collect();
    let accounts: BTreeSet<String> = match wanted {
        Some(wanted) => there.intersection(wanted).cloned().collect(),
        None => there,
    };
    let all = until(snapshots).await.map_err(told)?;
    let made = match table {
        "finding_history" => {
            let now = all.last().map(|s| s.manifest().started_at);
            let found = match all.last() {
                // what is kept is about all accounts
                Some(last) if wanted.is_none() => history(last.store(), &all, schemas, Keep::Read)
                    .await
                    .map_err(told)?,
                _ => {
                    let mut found = History::default();
                    for snapshot in &all {
                        let added = found.add(snapshot, schemas, Some(&accounts)).await;
                        added.map_err(told)?;
                    }
                    found
                }
            };
            findings(&found, &accounts, now)
        }
        _ => {
            let found = lifetimes(&all, schemas, Some(&accounts)).await;
            let found = found.map_err(told)?;
            match table {
                "resource_change" => changes(&found),
                _ => resources(&found),
            }
        }
    };
    let schema = tables().remove(table);
    schema
        .ok_or_else(|| format!("there is no table `{table}`"))
        .and_then(|schema| RecordBatch::try_new(schema, made).map_err(|e| e.to_string()))
}

fn texts<T>(rows: &[T], of: impl Fn(&T) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<StringArray>())
}

fn times<T>(rows: &[T], of: impl Fn(&T) -> Option<Timestamp>) -> ArrayRef {
    let values = rows.iter().map(|row| of(row).map(Timestamp::as_micros));
    Arc::new(
        values
            .collect::<TimestampMicrosecondArray>()
            .with_timezone(UTC),
    )
}

fn flags<T>(rows: &[T], of: impl Fn(&T) -> bool) -> ArrayRef {
    let values: BooleanArray = rows.iter().map(|row| Some(of(row))).collect();
    Arc::new(values)
}

fn numbers<T>(rows: &[T], of: impl Fn(&T) -> Option<i64>) -> ArrayRef {
    Arc::new(rows.iter().map(of).collect::<Int64Array>())
}

fn findings(found: &History, accounts: &BTreeSet<String>, now: Option<Timestamp>) -> Vec<ArrayRef> {
    let own = found.findings.iter();
    let rows: Vec<_> = own.filter(|h| accounts.contains(&h.account_id)).collect();
    let closed = |how: Standing| times(&rows, move |h| h.closed_at().filter(|_| h.standing == how));
    vec![
        texts(&rows, |h| Some(h.key.check.clone())),
        texts(&rows, |h| Some(h.account_id.clone())),
        texts(&rows, |h| Some(h.key.region.clone())),
        texts(&rows, |h| Some(h.key.resource.clone())),
        texts(&rows, |h| Some(h.key.resource_id.clone())),
        texts(&rows, |h| Some(h.resource_type.clone())),
        texts(&rows, |h| Some(h.severity.to_string())),
        texts(&rows, |h| Some(h.standing.as_str().to_owned())),
        flags(&rows, |h| h.unknown),
        texts(&rows, |h| Some(h.message.clone())),
        times(&rows, |h| Some(h.first_seen)),
        times(&rows, |h| Some(h.last_seen)),
        times(&rows, |h| Some(h.last_changed)),
        times(&rows, |h| Some(h.open_since)),
        closed(Standing::Fixed),
        closed(Standing::Gone),
        numbers(&rows, |h| Some(i64::from(h.reopened) + 1)),
        numbers(&rows, |h| Some(i64::from(h.reopened))),
        numbers(&rows, |h| now.and_then(|now| h.age_days(now))),
    ]
}

fn changes(found: &Lifetimes) -> Vec<ArrayRef> {
    let events = found.events.iter();
    let rows: Vec<_> = events
        .flat_map(|event| {
            let columns: Vec<_> = match event.columns.as_slice() {
                [] => vec![None],
                some => some.iter().map(Some).collect(),
            };
            columns.into_iter().map(move |column| (event, column))
        })
        .collect();
    vec![
        texts(&rows, |(e, _)| Some(e.table.clone())),
        texts(&rows, |(e, _)| Some(e.account_id.clone())),
        texts(&rows, |(e, _)| Some(e.region.clone())),
        texts(&rows, |(e, _)| Some(e.resource.clone())),
        times(&rows, |(e, _)| Some(e.at)),
        texts(&rows, |(e, _)| Some(e.snapshot.clone())),
        texts(&rows, |(e, _)| Some(e.what.clone())),
        texts(&rows, |(_, c)| c.map(|c| c.path.clone())),
        texts(&rows, |(_, c)| c.map(|c| c.before.to_string())),
        texts(&rows, |(_, c)| c.map(|c| c.after.to_string())),
    ]
}

fn resources(found: &Lifetimes) -> Vec<ArrayRef> {
    let rows = &found.resources;
    vec![
        texts(rows, |r| Some(r.table.clone())),
        texts(rows, |r| Some(r.account_id.clone())),
        texts(rows, |r| Some(r.region.clone())),
        texts(rows, |r| Some(r.resource.clone())),
        texts(rows, |r| Some(r.resource_id.clone())),
        flags(rows, |r| r.present),
        flags(rows, |r| r.unknown),
        times(rows, |r| Some(r.first_seen)),
        times(rows, |r| Some(r.last_seen)),
        times(rows, |r| Some(r.last_changed)),
        times(rows, |r| r.gone_at),
        numbers(rows, |r| Some(i64::from(r.changes))),
        numbers(rows, |r| Some(i64::from(r.returned))),
    ]
}

//! Retention, clearing up and compaction, also when they are interrupted.
use super::common::{Disturbed, SHIPPED, buckets, commit, memory, new, now};
use crate::{AccountResult, Keep, Store, Wanted};
use object_store::memory::InMemory;
use palisade_core::{Coverage, Timestamp};
use palisade_table::{Dataset, FIXTURE_ACCOUNT};
use std::sync::Arc;

fn later() -> Timestamp {
    Timestamp::from_micros(i64::MAX)
}

async fn names(store: &Store, id: &str) -> Vec<String> {
    let snapshot = store.snapshot(id).await.unwrap();
    let mut wanted = Wanted::new();
    wanted
        .entry("s3_bucket".to_owned())
        .or_default()
        .insert("name".to_owned());
    let accounts = snapshot.accounts();
    let dataset = snapshot
        .dataset(&accounts, &wanted, &*SHIPPED)
        .await
        .unwrap();
    let mut all = Vec::new();
    for batch in &dataset.tables["s3_bucket"].batches {
        let column = batch.rows.column_by_name("name").unwrap();
        for row in 0..column.len() {
            all.push(arrow::util::display::array_value_to_string(column, row).unwrap());
        }
    }
    all
}

/// A snapshot whose table has several files in one region.
async fn scattered(store: &Store) -> String {
    let mut dataset = buckets(&["a"]);
    for more in ["b", "broken", "d"] {
        let other = buckets(&[more]);
        let batches = other.tables["s3_bucket"].batches.clone();
        dataset
            .tables
            .get_mut("s3_bucket")
            .unwrap()
            .batches
            .extend(batches);
    }
    commit(store, "00000001", &dataset, &[])
        .await
        .manifest()
        .id
        .clone()
}

#[tokio::test]
async fn what_stays() {
    let store = memory();
    let mut ids = Vec::new();
    for (n, time) in ["01T01", "01T23", "02T05", "03T05", "03T06"]
        .iter()
        .enumerate()
    {
        let writer = store.writer(crate::NewSnapshot {
            started_at: format!("2026-01-{time}:00:00Z").parse().unwrap(),
            ..new(&format!("0000000{n}"))
        });
        ids.push(writer.id().to_owned());
        writer.commit(now(), None).await.unwrap();
    }
    let manifests = store.list().await.unwrap().manifests;
    let dropped = |keep: Keep| -> Vec<usize> {
        let drops = keep.drops(&manifests);
        drops
            .iter()
            .map(|d| ids.iter().position(|i| i == d).unwrap())
            .collect()
    };
    let none = Keep::default();
    assert!(dropped(none.clone()).is_empty());
    assert_eq!(
        dropped(Keep {
            last: Some(2),
            ..none.clone()
        }),
        [0, 1, 2]
    );
    assert_eq!(
        dropped(Keep {
            daily: Some(2),
            ..none.clone()
        }),
        [0, 1, 3]
    );
    let at: Timestamp = "2026-01-03T06:30:00Z".parse().unwrap();
    assert_eq!(
        dropped(Keep {
            days: Some((1, at)),
            ..none.clone()
        }),
        [0, 1, 2]
    );
    let pinned = [ids[0].clone()].into();
    assert_eq!(
        dropped(Keep {
            last: Some(1),
            pinned,
            ..none
        }),
        [1, 2, 3]
    );
}

#[tokio::test]
async fn removing_keeps_what_others_refer_to() {
    let store = memory();
    let first = commit(&store, "00000001", &buckets(&["a"]), &[]).await;
    // the second snapshot has the files of the first
    let account = first.account(FIXTURE_ACCOUNT).await.unwrap();
    let writer = store.writer(new("00000002"));
    writer.account_document(&account).await.unwrap();
    let second = writer.commit(now(), None).await.unwrap();
    let removed = store
        .remove(std::slice::from_ref(&first.manifest().id))
        .await
        .unwrap();
    assert_eq!(removed.objects, 1, "the account's document alone");
    assert_eq!(names(&store, &second.id).await, ["a"]);
    assert_eq!(store.list().await.unwrap().manifests.len(), 1);
    store.remove(&[second.id]).await.unwrap();
    store.sweep(later()).await.unwrap();
    assert!(store.objects_below("").await.unwrap().is_empty());
}

#[tokio::test]
async fn sweeping_leaves_young_runs_alone() {
    let store = memory();
    let writer = store.writer(new("00000001"));
    let dataset = buckets(&["a"]);
    writer
        .account(AccountResult {
            account_id: FIXTURE_ACCOUNT,
            dataset: &dataset,
            coverage: &Coverage::default(),
            findings: None,
        })
        .await
        .unwrap();
    assert_eq!(store.list().await.unwrap().unfinished, [writer.id()]);
    assert_eq!(
        store
            .sweep(Timestamp::from_micros(0))
            .await
            .unwrap()
            .objects,
        0
    );
    assert_eq!(store.sweep(later()).await.unwrap().objects, 2);
}

/// Whichever write fails: before and after, the rows are the same, and a second try succeeds.
#[tokio::test]
async fn compaction_interrupted_anywhere_changes_no_row() {
    for left in 0..5 {
        let inner = Arc::new(InMemory::new());
        let store = Store::over(inner.clone(), "memory");
        let id = scattered(&store).await;
        let before = names(&store, &id).await;
        assert_eq!(before, ["a", "b", "broken", "d"]);
        let failing = Disturbed::full(inner.clone(), left);
        let failing = Store::over(failing, "failing");
        let snapshot = failing.snapshot(&id).await.unwrap();
        let result = failing.compact(&snapshot).await;
        assert_eq!(result.is_ok(), left >= 3, "{left}: {result:?}");
        assert_eq!(names(&store, &id).await, before);
        let snapshot = store.snapshot(&id).await.unwrap();
        store.compact(&snapshot).await.unwrap();
        assert_eq!(names(&store, &id).await, before);
        store.sweep(later()).await.unwrap();
        assert_eq!(names(&store, &id).await, before);
        // manifest, account, findings, and one file of rows
        assert_eq!(store.objects_below("").await.unwrap().len(), 4);
        let snapshot = store.snapshot(&id).await.unwrap();
        assert_eq!(
            store.compact(&snapshot).await.unwrap().objects,
            0,
            "nothing is left to join"
        );
        let unread: usize = {
            let mut wanted = Wanted::new();
            wanted
                .entry("s3_bucket".to_owned())
                .or_default()
                .insert("versioning".to_owned());
            let accounts = snapshot.accounts();
            let data: Dataset = snapshot
                .dataset(&accounts, &wanted, &*SHIPPED)
                .await
                .unwrap();
            data.tables["s3_bucket"]
                .batches
                .iter()
                .map(|b| b.failures.len())
                .sum()
        };
        assert_eq!(unread, 1);
    }
}

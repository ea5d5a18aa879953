//! A store that is damaged, foreign, full or newer: it is said which object, and the others stay usable.
use super::common::{Disturbed, SHIPPED, buckets, commit, memory, new, now};
use crate::{AccountResult, Store, StoreError, Wanted};
use bytes::Bytes;
use object_store::memory::InMemory;
use palisade_core::Coverage;
use palisade_table::FIXTURE_ACCOUNT;
use std::sync::Arc;

async fn read_all(store: &Store, id: &str) -> Result<usize, StoreError> {
    let snapshot = store.snapshot(id).await?;
    let mut wanted = Wanted::new();
    wanted
        .entry("s3_bucket".to_owned())
        .or_default()
        .insert("versioning".to_owned());
    let accounts = snapshot.accounts();
    let dataset = snapshot.dataset(&accounts, &wanted, &*SHIPPED).await?;
    snapshot.all_findings().await?;
    snapshot.checks().await?;
    Ok(dataset.tables["s3_bucket"].batches.len())
}

#[tokio::test]
async fn every_object_that_is_changed_cut_or_gone_is_named() {
    let good = memory();
    commit(&good, "00000001", &buckets(&["a"]), &[]).await;
    let objects = good.objects_below("").await.unwrap();
    assert_eq!(objects.len(), 4, "{objects:?}");
    for (path, ..) in &objects {
        for damage in ["cut", "flip", "empty", "gone", "foreign"] {
            let store = memory();
            commit(&store, "00000001", &buckets(&["a"]), &[]).await;
            let whole = commit(&store, "00000002", &buckets(&["a"]), &[]).await;
            let bytes = store.read(path).await.unwrap();
            let mut changed = bytes.to_vec();
            match damage {
                "cut" => changed.truncate(bytes.len() / 2),
                "flip" => {
                    let middle = bytes.len() / 2;
                    changed[middle] ^= 0x20;
                }
                "empty" => changed.clear(),
                "foreign" => changed = b"PAR1 of somebody else PAR1".to_vec(),
                _ => store.delete(path).await.unwrap(),
            }
            if damage != "gone" {
                store.write(path, Bytes::from(changed)).await.unwrap();
            }
            let id = "20260131T120000Z-00000001";
            let result = read_all(&store, id).await;
            // a flipped bit in a manifest may leave another valid document, but never other rows
            match result {
                Err(StoreError::Damaged { path: named, .. }) => assert_eq!(&named, path),
                Err(StoreError::NoSnapshot { .. }) => {
                    assert!(path.ends_with("manifest.json") && damage == "gone");
                }
                Err(e) => panic!("{path} {damage}: {e}"),
                Ok(_) => assert!(
                    path.ends_with("manifest.json") && damage == "flip",
                    "{path}"
                ),
            }
            assert_eq!(read_all(&store, &whole.manifest().id).await.unwrap(), 1);
            let listing = store.list().await.unwrap();
            assert!(
                listing
                    .manifests
                    .iter()
                    .any(|m| m.id == whole.manifest().id)
            );
            assert!(store.verify(&whole).await.damaged.is_empty());
        }
    }
}

#[tokio::test]
async fn a_later_format_is_refused_and_hides_nothing_else() {
    let store = memory();
    let snapshot = commit(&store, "00000001", &buckets(&["a"]), &[]).await;
    commit(&store, "00000002", &buckets(&["a"]), &[]).await;
    let path = format!("snapshots/{}/manifest.json", snapshot.manifest().id);
    let text = String::from_utf8(store.read(&path).await.unwrap().to_vec()).unwrap();
    let newer = text.replacen("\"format\":1", "\"format\":7,\"odd\":{}", 1);
    store.write(&path, newer.into()).await.unwrap();
    let error = store.snapshot(&snapshot.manifest().id).await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 7,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    let listing = store.list().await.unwrap();
    assert_eq!((listing.manifests.len(), listing.damaged.len()), (1, 1));
}

/// A write that fails, whichever it is, leaves no snapshot that can be seen; the same run again makes it whole.
#[tokio::test]
async fn a_full_disk_leaves_nothing_half_written() {
    let dataset = buckets(&["a", "b", "broken"]);
    for left in 0..12 {
        let inner = Arc::new(InMemory::new());
        let failing = Disturbed::full(inner.clone(), left);
        let store = Store::over(failing, "failing");
        let writer = store.writer(new("00000001"));
        let result = AccountResult {
            account_id: FIXTURE_ACCOUNT,
            dataset: &dataset,
            coverage: &Coverage::default(),
            findings: Some(&[]),
        };
        let made = async {
            writer.account(result).await?;
            writer.commit(now(), Some(&[])).await
        };
        let made = made.await;
        let healthy = Store::over(inner, "healthy");
        let listing = healthy.list().await.unwrap();
        assert!(listing.damaged.is_empty());
        assert_eq!(listing.manifests.len(), usize::from(made.is_ok()), "{left}");
        if let Err(e) = made {
            assert!(e.to_string().contains("no space left"), "{e}");
            let again = healthy.writer(new("00000001"));
            again.account(result).await.unwrap();
            again.commit(now(), Some(&[])).await.unwrap();
        }
        assert_eq!(read_all(&healthy, "latest").await.unwrap(), 1);
    }
}

#[tokio::test]
async fn two_writers_commit_once() {
    let store = memory();
    let dataset = buckets(&["a"]);
    let (one, two) = (store.writer(new("00000001")), store.writer(new("00000001")));
    let coverage = Coverage::default();
    let result = |account_id| AccountResult {
        account_id,
        dataset: &dataset,
        coverage: &coverage,
        findings: None,
    };
    one.account(result("111111111111")).await.unwrap();
    two.account(result("222222222222")).await.unwrap();
    assert_eq!(
        two.written().await.unwrap(),
        ["111111111111", "222222222222"]
    );
    assert_eq!(two.commit(now(), None).await.unwrap().accounts.len(), 2);
    let second = one.commit(now(), None).await;
    assert!(
        matches!(second, Err(StoreError::Committed(_))),
        "{second:?}"
    );
}

#[tokio::test]
async fn names_of_snapshots() {
    let store = memory();
    for nonce in ["0a000001", "0a000002", "0b000003"] {
        commit(&store, nonce, &buckets(&[]), &[]).await;
    }
    let id = |wanted: &'static str| {
        let store = store.clone();
        async move {
            store
                .snapshot(wanted)
                .await
                .map(|s| s.manifest().id.clone())
        }
    };
    assert_eq!(id("latest").await.unwrap(), "20260131T120000Z-0b000003");
    assert_eq!(id("latest~2").await.unwrap(), "20260131T120000Z-0a000001");
    assert_eq!(
        id("20260131T120000Z-0b").await.unwrap(),
        "20260131T120000Z-0b000003"
    );
    assert!(matches!(
        id("20260131T120000Z-0a").await,
        Err(StoreError::Ambiguous { .. })
    ));
    for missing in ["latest~3", "latest~x", "2025", "", "../x", "latests"] {
        assert!(
            matches!(id(missing).await, Err(StoreError::NoSnapshot { .. })),
            "{missing}"
        );
    }
    for bad in ["s3://", "gs://bucket", "s3:///x"] {
        assert!(
            Store::open(bad, &crate::Options::default()).is_err(),
            "{bad}"
        );
    }
}

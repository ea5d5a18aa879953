//! What was read again, in a snapshot.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_collect::{Collected, Narrowing, Rows};
use palisade_core::{CallError, CallErrorKind, Coverage, Timestamp};
use palisade_store::{AccountPart, AccountResult, NewSnapshot, Options, Snapshot, Store, Wanted};
use palisade_table::{CatalogSchemas, Dataset, FIXTURE_ACCOUNT, Gap, fixture_dataset};
use palisade_watch::{
    ChangeKind, Ledger, Ledgers, Update, Updated, changes, merge, request_of, widened,
};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

static SHIPPED: LazyLock<CatalogSchemas> = LazyLock::new(CatalogSchemas::shipped);

fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

/// Buckets as `name=status`, `name=!` where the versioning could not be read, `name@region=status` elsewhere.
fn buckets(all: &[&str]) -> Dataset {
    let row = |text: &&str| {
        let (name, status) = text.split_once('=').unwrap();
        let (name, region) = name.split_once('@').unwrap_or((name, "us-east-1"));
        let versioning = match status {
            "!" => json!({"!error": "AccessDenied"}),
            status => json!({ "status": status }),
        };
        json!({"name": name, "region": region, "versioning": versioning})
    };
    let rows: Vec<Json> = all.iter().map(row).collect();
    let mut data = serde_json::Map::new();
    data.insert("s3_bucket".to_owned(), Json::Array(rows));
    fixture_dataset(&*SHIPPED, "s3_bucket", true, &data, now()).unwrap()
}

fn shown(dataset: &Dataset) -> Vec<String> {
    let table = &dataset.tables["s3_bucket"];
    let mut all = Vec::new();
    for batch in &table.batches {
        let text = |column: &str, row: usize| {
            let column = batch.rows.column_by_name(column).unwrap();
            arrow::util::display::array_value_to_string(column, row).unwrap()
        };
        for row in 0..batch.rows.num_rows() {
            let sources: BTreeSet<usize> = batch
                .failures
                .iter()
                .filter(|f| f.row == row)
                .map(|f| f.source)
                .collect();
            let failed = match sources.len() {
                0 => "",
                1 => " (one call failed)",
                _ => " (not listed)",
            };
            let versioning = text("versioning", row);
            let status = if versioning.contains("Enabled") {
                "on"
            } else {
                "off"
            };
            all.push(format!(
                "{} {} {status}{failed}",
                text("region", row),
                text("name", row)
            ));
        }
    }
    all.extend(table.gaps.iter().map(|g| format!("gap {}", g.region)));
    all
}

fn rows(ids: Option<&[&str]>, regions: Option<&[&str]>) -> Rows {
    let set = |v: &[&str]| v.iter().map(|t| (*t).to_owned()).collect();
    Rows {
        ids: ids.map(set),
        regions: regions.map(set),
    }
}

fn gap(region: &str) -> Gap {
    Gap {
        account_id: FIXTURE_ACCOUNT.to_owned(),
        region: region.to_owned(),
        error: Arc::new(CallError {
            service: "s3".to_owned(),
            operation: "ListBuckets".to_owned(),
            account_id: FIXTURE_ACCOUNT.to_owned(),
            region: region.to_owned(),
            kind: CallErrorKind::Throttled,
            code: "SlowDown".to_owned(),
            message: String::new(),
            permissions: Vec::new(),
        }),
    }
}

fn merged(known: &[&str], read: &[&str], gaps: &[&str], wanted: &Rows) -> Vec<String> {
    let (known, mut read) = (buckets(known), buckets(read));
    let read = read.tables.get_mut("s3_bucket").unwrap();
    read.gaps = gaps.iter().map(|g| gap(g)).collect();
    let table = merge(&known.tables["s3_bucket"], read, wanted).unwrap();
    shown(&Dataset {
        tables: BTreeMap::from([("s3_bucket".to_owned(), table)]),
    })
}

#[test]
fn rows_take_the_place_of_rows() {
    let known = ["a=Enabled", "b=Enabled", "c=!", "d@eu-west-1=Enabled"];
    // one row, where it stood
    assert_eq!(
        merged(&known, &["b=Suspended"], &[], &rows(Some(&["b"]), None)),
        [
            "eu-west-1 d on",
            "us-east-1 a on",
            "us-east-1 b off",
            "us-east-1 c off (one call failed)"
        ]
    );
    // a call that failed is answered now, and one that was answered fails
    assert_eq!(
        merged(
            &known,
            &["c=Enabled", "a=!"],
            &[],
            &rows(Some(&["c", "a"]), None)
        ),
        [
            "eu-west-1 d on",
            "us-east-1 a off (one call failed)",
            "us-east-1 b on",
            "us-east-1 c on"
        ]
    );
    // a new one, and one that is gone, by ARN
    assert_eq!(
        merged(
            &known,
            &["n=Enabled"],
            &[],
            &rows(Some(&["n", "arn:aws:s3:::a"]), None)
        ),
        [
            "eu-west-1 d on",
            "us-east-1 b on",
            "us-east-1 c off (one call failed)",
            "us-east-1 n on"
        ]
    );
    // the whole table of a region: the list decides, also on the order
    assert_eq!(
        merged(
            &known,
            &["b=Enabled", "a=Enabled"],
            &[],
            &rows(None, Some(&["us-east-1"]))
        ),
        ["eu-west-1 d on", "us-east-1 b on", "us-east-1 a on"]
    );
    assert_eq!(
        merged(&known, &[], &[], &rows(None, None)),
        Vec::<String>::new()
    );
}

#[test]
fn a_list_that_failed_makes_rows_unknown_and_never_gone() {
    let known = ["a=Enabled", "b=Enabled", "d@eu-west-1=Enabled"];
    assert_eq!(
        merged(&known, &[], &["us-east-1"], &rows(Some(&["b"]), None)),
        [
            "eu-west-1 d on",
            "us-east-1 a on",
            "us-east-1 b on (not listed)",
            "gap us-east-1"
        ]
    );
    assert_eq!(
        merged(
            &known,
            &["a=Suspended"],
            &["us-east-1"],
            &rows(None, Some(&["us-east-1"]))
        ),
        [
            "eu-west-1 d on",
            "us-east-1 a off",
            "us-east-1 b on (not listed)",
            "gap us-east-1"
        ]
    );
}

struct Kept {
    #[expect(dead_code, reason = "held for its end")]
    folder: tempfile::TempDir,
    store: Store,
    snapshot: Snapshot,
    part: AccountPart,
}

async fn snapshot(all: &[&str]) -> Kept {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &Options::default()).unwrap();
    let dataset = buckets(all);
    let writer = store.writer(new("00000001"));
    let result = AccountResult {
        account_id: FIXTURE_ACCOUNT,
        dataset: &dataset,
        coverage: &Coverage::default(),
        findings: Some(&[]),
    };
    writer.account(result).await.unwrap();
    let snapshot = store.of(writer.commit(now(), None).await.unwrap());
    let part = snapshot.account(FIXTURE_ACCOUNT).await.unwrap();
    Kept {
        folder,
        store,
        snapshot,
        part,
    }
}

fn new(nonce: &str) -> NewSnapshot {
    NewSnapshot {
        nonce: nonce.to_owned(),
        started_at: now(),
        palisade: "0".to_owned(),
        catalog: "c".to_owned(),
        regions: vec!["us-east-1".to_owned()],
    }
}

async fn updated(kept: &Kept, read: &[&str], wanted: Rows) -> Updated {
    let narrowing = Narrowing::from([("s3_bucket".to_owned(), wanted)]);
    let collected = Collected {
        dataset: buckets(read),
        coverage: Coverage::default(),
    };
    let update = Update::new(&kept.snapshot, &kept.part);
    update
        .with(&narrowing, &collected, &*SHIPPED)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_as_it_was_is_shared() {
    let kept = snapshot(&["a=Enabled", "b=Enabled", "d@eu-west-1=Enabled"]).await;
    let same = updated(&kept, &["b=Enabled"], rows(Some(&["b"]), None)).await;
    assert!(same.is_nothing(), "{:?}", same.changed);

    let other = updated(&kept, &["b=Suspended"], rows(Some(&["b"]), None)).await;
    assert_eq!(
        other.changed["s3_bucket"],
        BTreeSet::from([Some("us-east-1".to_owned())])
    );
    let writer = kept.store.writer(new("00000002"));
    let update = Update::new(&kept.snapshot, &kept.part);
    update.write(&other, &writer).await.unwrap();
    let manifest = writer.commit(now(), None).await.unwrap();
    let next = kept.store.of(manifest);
    let part = next.account(FIXTURE_ACCOUNT).await.unwrap();
    let files: Vec<(&Option<String>, bool)> = part.tables["s3_bucket"]
        .files
        .iter()
        .map(|f| (&f.region, f.object.path.contains(&next.manifest().id)))
        .collect();
    assert_eq!(
        files,
        [
            (&Some("eu-west-1".to_owned()), false),
            (&Some("us-east-1".to_owned()), true)
        ]
    );
    assert_eq!(part.findings, kept.part.findings);
    let columns = part.tables["s3_bucket"].columns.keys().cloned().collect();
    let wanted = Wanted::from([("s3_bucket".to_owned(), columns)]);
    let accounts = next.accounts();
    let dataset = next.dataset(&accounts, &wanted, &*SHIPPED).await.unwrap();
    assert_eq!(
        shown(&dataset),
        ["eu-west-1 d on", "us-east-1 a on", "us-east-1 b off"]
    );
    assert!(kept.store.verify(&next).await.damaged.is_empty());
    // the first one goes, and what the second one shares stays
    kept.store
        .remove(&[kept.snapshot.manifest().id.clone()])
        .await
        .unwrap();
    assert!(kept.store.verify(&next).await.damaged.is_empty());
}

#[tokio::test]
async fn a_hole_is_read_whole() {
    let mut kept = snapshot(&["a=Enabled"]).await;
    let narrowing = Narrowing::from([
        ("s3_bucket".to_owned(), rows(Some(&["a"]), None)),
        ("never_read".to_owned(), rows(None, None)),
    ]);
    let same = widened(&narrowing, &kept.part);
    assert_eq!(same["s3_bucket"], rows(Some(&["a"]), None));
    assert!(!same.contains_key("never_read"));
    let request = request_of(&kept.part, &narrowing);
    assert!(request.tables.contains_key("s3_bucket") && request.tables.len() == 1);
    let error = gap("us-east-1").error.as_ref().clone();
    kept.part.tables.get_mut("s3_bucket").unwrap().gaps = vec![("us-east-1".to_owned(), error)];
    assert_eq!(
        widened(&narrowing, &kept.part)["s3_bucket"],
        rows(None, None)
    );
}

fn finding(check: &str, resource: &str, status: &str, message: &str) -> palisade_core::Finding {
    serde_json::from_value(json!({
        "check": check, "status": status, "severity": "high", "account_id": FIXTURE_ACCOUNT, "region": "us-east-1",
        "resource": resource, "resource_id": resource, "resource_type": "s3_bucket", "message": message, "fix": "guided",
    }))
    .unwrap()
}

#[test]
fn what_changed() {
    use ChangeKind::{Changed, Fixed, Gone, Known, Opened, Unknown};
    let cases: Vec<(Option<&str>, Option<&str>, Option<ChangeKind>)> = vec![
        (None, Some("fail"), Some(Opened)),
        (Some("pass"), Some("fail"), Some(Opened)),
        (Some("unknown"), Some("fail"), Some(Opened)),
        (Some("fail"), Some("fail"), None),
        (Some("fail"), Some("pass"), Some(Fixed)),
        (Some("fail"), Some("unknown"), Some(Unknown)),
        (None, Some("unknown"), Some(Unknown)),
        (Some("unknown"), Some("unknown"), None),
        (Some("unknown"), Some("pass"), Some(Known)),
        (Some("fail"), None, Some(Gone)),
        (Some("unknown"), None, Some(Gone)),
        (Some("pass"), None, None),
        (None, Some("pass"), None),
        (Some("pass"), Some("pass"), None),
    ];
    for (was, is, expected) in cases {
        let of = |status: Option<&str>| -> Vec<palisade_core::Finding> {
            status.iter().map(|s| finding("c", "r", s, "m")).collect()
        };
        let all = changes(&of(was), &of(is), "s");
        assert_eq!(all.first().map(|c| c.change), expected, "{was:?} {is:?}");
        // the other way round is never the same news
        assert!(changes(&of(is), &of(is), "s").is_empty());
    }
    let other = changes(
        &[finding("c", "r", "fail", "m")],
        &[finding("c", "r", "fail", "n")],
        "s",
    );
    assert_eq!((other[0].change, other[0].id.as_str()), (Changed, "s/1"));
    assert_eq!(other[0].before.as_ref().unwrap().message, "m");
    // nothing is gone from a list that could not be read
    let lost = changes(
        &[finding("c", "r", "fail", "m")],
        &[finding("c", "", "unknown", "denied")],
        "s",
    );
    let kinds: Vec<ChangeKind> = lost.iter().map(|c| c.change).collect();
    assert_eq!(kinds, [Unknown]);
    let back = changes(
        &[finding("c", "", "unknown", "denied")],
        &[finding("c", "r", "pass", "m")],
        "s",
    );
    assert_eq!(back[0].change, Known);
}

#[tokio::test]
async fn a_ledger_counts_when_its_snapshot_is_committed() {
    let kept = snapshot(&["a=Enabled"]).await;
    let ledgers = Ledgers::new(kept.store.clone());
    let committed = || async { kept.store.list().await.unwrap().manifests };
    assert_eq!(ledgers.latest(&committed().await).await.unwrap(), None);
    let first =
        Ledger::default().next(&kept.snapshot.manifest().id, &["e1".to_owned()], Vec::new());
    ledgers.write(&first).await.unwrap();
    assert_eq!(
        ledgers.latest(&committed().await).await.unwrap(),
        Some(first.clone())
    );
    assert_eq!(ledgers.told().await.unwrap(), None);
    // of a snapshot that was never committed: as if it had not been written
    let second = first.next("20260131T120001Z-00000009", &["e2".to_owned()], Vec::new());
    ledgers.write(&second).await.unwrap();
    assert_eq!(
        ledgers.latest(&committed().await).await.unwrap(),
        Some(first.clone())
    );
    ledgers.tell(&first).await.unwrap();
    assert_eq!(
        ledgers.told().await.unwrap().as_deref(),
        Some(first.snapshot.as_str())
    );
    assert_eq!(kept.store.objects_below("watch").await.unwrap().len(), 2);
    // bounded
    let many: Vec<String> = (0..30_000).map(|n| n.to_string()).collect();
    let full = first.next("x", &many, Vec::new());
    assert_eq!(full.handled.len(), 20_000);
    assert_eq!(full.handled.last().map(String::as_str), Some("29999"));
}

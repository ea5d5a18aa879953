//! Runs: several workers make one snapshot, and what one leaves behind another goes on with.
use super::common::{Disturbed, SHIPPED, buckets, memory, now};
use crate::{AccountResult, Committed, Run, RunPlan, Shard, Store, StoreError, Wanted};
use object_store::memory::InMemory;
use palisade_core::{CallError, CallErrorKind, Coverage, Timestamp};
use palisade_table::{Dataset, FIXTURE_ACCOUNT};
use std::collections::BTreeSet;
use std::sync::Arc;

const OTHER: &str = "222222222222";
const THIRD: &str = "333333333333";

fn plan(nonce: &str) -> RunPlan {
    RunPlan {
        format: 1,
        run: "nightly".to_owned(),
        snapshot: format!("20260131T120000Z-{nonce}"),
        started_at: now(),
        palisade: "0.0.0".to_owned(),
        catalog: "test".to_owned(),
        regions: vec!["us-east-1".to_owned()],
        shards: 3,
        asks: "buckets".to_owned(),
        judged: false,
        accounts: [FIXTURE_ACCOUNT, OTHER, THIRD].map(str::to_owned).to_vec(),
        left_out: Vec::new(),
    }
}

async fn begin(store: &Store, attempt: &str) -> Run {
    store.begin_run(plan(attempt), attempt).await.unwrap()
}

/// Writes an account: rows of the fixtures' account, or no rows of another.
async fn write(run: &Run, account_id: &str, dataset: &Dataset) -> Result<bool, StoreError> {
    run.account(AccountResult {
        account_id,
        dataset,
        coverage: &Coverage::default(),
        findings: None,
    })
    .await
}

fn denied(account_id: &str) -> CallError {
    CallError {
        service: "sts".to_owned(),
        operation: "AssumeRole".to_owned(),
        account_id: account_id.to_owned(),
        region: "us-east-1".to_owned(),
        kind: CallErrorKind::Denied,
        code: "AccessDenied".to_owned(),
        message: "no".to_owned(),
        permissions: Vec::new(),
    }
}

async fn commit(run: &Run, incomplete: bool) -> Result<Committed, StoreError> {
    run.commit(now(), None, incomplete).await
}

/// Rows of buckets, and for which accounts they are not known.
async fn rows(store: &Store) -> (usize, Vec<String>) {
    let snapshot = store.snapshot("latest").await.unwrap();
    assert!(store.verify(&snapshot).await.damaged.is_empty());
    let wanted = Wanted::from([("s3_bucket".to_owned(), BTreeSet::from(["name".to_owned()]))]);
    let accounts = snapshot.everyone();
    let dataset = snapshot.dataset(&accounts, &wanted, &*SHIPPED).await;
    let table = dataset.unwrap().tables.remove("s3_bucket").unwrap();
    let gaps = table.gaps.iter().map(|g| g.account_id.clone()).collect();
    (table.batches.iter().map(|b| b.rows.num_rows()).sum(), gaps)
}

async fn paths(store: &Store) -> Vec<String> {
    let below = store.objects_below("").await.unwrap();
    below.into_iter().map(|(path, ..)| path).collect()
}

/// The assignment is written down for other programs: it must not change.
#[test]
fn an_account_is_in_one_shard_whichever_others_there_are() {
    // computed by another program
    for (account, of, number) in [
        ("111122223333", 1, 1),
        ("111122223333", 3, 1),
        ("444455556666", 3, 3),
        ("123456789012", 3, 2),
        ("123456789012", 7, 2),
    ] {
        assert_eq!(Shard::of_account(account, of), number, "{account} {of}");
    }
    for of in [1, 2, 3, 7, 50] {
        let mut sizes = vec![0; of as usize];
        for n in 0..5_000_u64 {
            let account = format!("{:012}", n * 199_999_933 % 1_000_000_000_000);
            let holds: Vec<u32> = (1..=of)
                .filter(|i| Shard::new(*i, of).unwrap().holds(&account))
                .collect();
            assert_eq!(holds, [Shard::of_account(&account, of)]);
            sizes[holds[0] as usize - 1] += 1;
        }
        let mean = 5_000 / of;
        assert!(
            sizes.iter().all(|n| *n > mean / 2 && *n < mean * 2),
            "{sizes:?}"
        );
    }
    assert!(Shard::new(0, 3).is_none() && Shard::new(4, 3).is_none() && Shard::new(1, 0).is_none());
    assert_eq!(Shard::new(2, 3).unwrap().to_string(), "2/3");
}

/// A worker that commits while another writes the last account, at every step of the commit: neither the account nor its
/// files are lost.
#[tokio::test]
async fn what_is_written_during_a_commit_is_not_lost() {
    let dataset = buckets(&["a", "b"]);
    for steps in 0..1000 {
        let inner = Arc::new(InMemory::new());
        let plain = Store::over(inner.clone(), "plain");
        let slow = Store::over(Disturbed::slow(inner), "slow");
        let writer = begin(&plain, "00000001").await;
        for account in [OTHER, THIRD] {
            assert!(write(&writer, account, &buckets(&[])).await.unwrap());
        }
        let committer = begin(&slow, "00000002").await;
        let mut commits = Box::pin(commit(&committer, false));
        let mut committed = None;
        for _ in 0..steps {
            if let std::task::Poll::Ready(done) = futures::poll!(&mut commits) {
                committed = Some(done);
                break;
            }
            // the runtime wakes what has waited
            tokio::task::yield_now().await;
        }
        let was_over = committed.is_some();
        assert!(write(&writer, FIXTURE_ACCOUNT, &dataset).await.unwrap());
        let committed = match committed {
            Some(done) => done,
            None => commits.await,
        };
        match committed {
            Ok(_) | Err(StoreError::Unfinished { .. }) => {}
            Err(other) => panic!("{steps}: {other}"),
        }
        // whoever comes last has nothing to do but this
        let last = commit(&writer, false).await;
        assert!(last.is_ok(), "{steps}: {last:?}");
        let (found, gaps) = rows(&plain).await;
        assert!(found > 0 && gaps.is_empty(), "{steps}: {found} {gaps:?}");
        if was_over {
            assert!(steps > 5, "{steps}");
            return;
        }
    }
    panic!("the commit does not end");
}

#[tokio::test]
async fn workers_agree_on_what_the_first_has_decided() {
    let store = memory();
    let one = begin(&store, "00000001").await;
    let later = RunPlan {
        started_at: Timestamp::from_micros(now().as_micros() + 60_000_000),
        snapshot: "20260131T120100Z-00000002".to_owned(),
        accounts: vec![OTHER.to_owned()],
        ..plan("00000002")
    };
    let two = store.begin_run(later, "00000002").await.unwrap();
    assert_eq!(two.plan(), one.plan());
    let other = |change: &dyn Fn(&mut RunPlan)| {
        let mut plan = plan("00000003");
        change(&mut plan);
        let store = store.clone();
        async move {
            store
                .begin_run(plan, "00000003")
                .await
                .unwrap_err()
                .to_string()
        }
    };
    for (said, what) in [
        (other(&|p| p.shards = 2).await, "number of shards"),
        (
            other(&|p| p.asks = "keys".to_owned()).await,
            "choice of accounts",
        ),
        (other(&|p| p.regions.clear()).await, "regions"),
        (other(&|p| p.catalog.clear()).await, "catalogue"),
        (other(&|p| p.palisade.clear()).await, "version"),
        (other(&|p| p.judged = true).await, "command"),
        (
            other(&|p| p.run = "../x".to_owned()).await,
            "no name of a run",
        ),
    ] {
        assert!(said.contains(what), "{said}");
    }
    for (wanted, found) in [
        ("nightly", true),
        ("last", true),
        ("20260131T120000Z-00000001", true),
        ("2026", true),
        ("2027", false),
        ("", false),
        ("../x", false),
    ] {
        let run = store.find_run(wanted, None, "00000004").await;
        assert_eq!(run.is_ok(), found, "{wanted}");
    }
    store.write("runs/cut.json", "{".into()).await.unwrap();
    let (open, damaged) = store.unfinished_runs().await.unwrap();
    assert_eq!((open.len(), damaged.len()), (1, 1));
    assert!(damaged[0].to_string().contains("runs/cut.json"));
    let scan = store.find_run("last", Some(true), "00000004").await;
    assert!(matches!(scan, Err(StoreError::NoRun { .. })));
}

#[tokio::test]
async fn the_snapshot_is_committed_when_every_account_is_there_and_once() {
    let store = memory();
    let workers = [
        begin(&store, "00000001").await,
        begin(&store, "00000002").await,
    ];
    write(&workers[0], FIXTURE_ACCOUNT, &buckets(&["a", "b"]))
        .await
        .unwrap();
    let early = commit(&workers[0], false).await.unwrap_err();
    let said = early.to_string();
    assert!(matches!(early, StoreError::Unfinished { .. }));
    for account in [OTHER, THIRD] {
        let shard = Shard::of_account(account, 3);
        assert!(
            said.contains(&format!("shard {shard}/3")) && said.contains(account),
            "{said}"
        );
    }
    assert!(said.contains("2 of 3 accounts are missing"), "{said}");
    let listing = store.list().await.unwrap();
    assert_eq!((listing.manifests.len(), listing.unfinished.len()), (0, 1));
    assert_eq!(store.unfinished_runs().await.unwrap().0.len(), 1);

    write(&workers[1], OTHER, &buckets(&[])).await.unwrap();
    // refused is done, a failure that may pass is not
    workers[1].unread(&denied(THIRD), false).await.unwrap();
    let said = commit(&workers[1], false).await.unwrap_err().to_string();
    assert!(
        said.contains("1 of 3") && said.contains("AccessDenied"),
        "{said}"
    );
    workers[1].unread(&denied(THIRD), true).await.unwrap();
    let (one, two) = tokio::join!(commit(&workers[0], false), commit(&workers[1], false));
    let mut won = 0;
    for committed in [
        one.unwrap(),
        two.unwrap(),
        commit(&workers[0], true).await.unwrap(),
    ] {
        let manifest = match committed {
            Committed::Now(manifest) => {
                won += 1;
                manifest
            }
            Committed::Before(manifest) => manifest,
        };
        assert_eq!(manifest.started_at, now());
        assert_eq!(manifest.accounts.len(), 3);
        assert!(!manifest.is_complete());
    }
    assert_eq!(won, 1);
    assert_eq!(rows(&store).await, (2, vec![THIRD.to_owned()]));
    assert!(store.unfinished_runs().await.unwrap().0.is_empty());
    assert!(store.list().await.unwrap().unfinished.is_empty());
    assert!(!paths(&store).await.iter().any(|p| p.contains("/unread/")));
}

#[tokio::test]
async fn what_is_missing_may_be_committed_as_not_read_but_never_as_empty() {
    let store = memory();
    let run = begin(&store, "00000001").await;
    let nothing = commit(&run, true).await.unwrap_err();
    assert!(
        matches!(nothing, StoreError::NothingRead { .. }),
        "{nothing}"
    );
    write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
        .await
        .unwrap();
    commit(&run, true).await.unwrap();
    let (count, gaps) = rows(&store).await;
    assert_eq!((count, gaps), (1, vec![OTHER.to_owned(), THIRD.to_owned()]));
    let snapshot = store.snapshot("latest").await.unwrap();
    let account = snapshot.account(OTHER).await.unwrap();
    let (error, _) = &account.coverage.failures[0];
    assert_eq!(error.kind, CallErrorKind::NotMade);
    assert!(error.message.contains("before this account was read"));
    // who comes too late changes nothing
    let late = store.run("nightly", "00000009").await.unwrap().unwrap();
    assert!(!write(&late, OTHER, &buckets(&["z"])).await.unwrap());
    assert_eq!(rows(&store).await.0, 1);
}

/// Two attempts at the same account, one of which was killed before or after its document.
#[tokio::test]
async fn an_account_is_written_once_and_leftovers_are_gone() {
    let store = memory();
    let one = begin(&store, "00000001").await;
    let two = begin(&store, "00000002").await;
    // files without a document, as a killed worker leaves them
    let killed = store.run("nightly", "0000dead").await.unwrap().unwrap();
    write(&killed, FIXTURE_ACCOUNT, &buckets(&["a", "b"]))
        .await
        .unwrap();
    let id = one.plan().snapshot.clone();
    let document = format!("snapshots/{id}/accounts/{FIXTURE_ACCOUNT}.json");
    store.delete(&document).await.unwrap();
    assert!(
        paths(&store)
            .await
            .iter()
            .any(|p| p.contains("part-0000dead-0"))
    );

    assert!(
        write(&one, FIXTURE_ACCOUNT, &buckets(&["a", "b"]))
            .await
            .unwrap()
    );
    assert!(
        !write(&two, FIXTURE_ACCOUNT, &buckets(&["a", "b", "c"]))
            .await
            .unwrap()
    );
    assert!(
        !paths(&store)
            .await
            .iter()
            .any(|p| p.contains("part-00000002-"))
    );
    for account in [OTHER, THIRD] {
        write(&two, account, &buckets(&[])).await.unwrap();
    }
    commit(&two, false).await.unwrap();
    assert_eq!(rows(&store).await, (2, vec![]));
    let parts: Vec<String> = paths(&store).await;
    let parts: Vec<&String> = parts.iter().filter(|p| p.ends_with(".parquet")).collect();
    assert_eq!(parts.len(), 1, "{parts:?}");
    // joined files are none of a run's
    let snapshot = store.snapshot("latest").await.unwrap();
    let joined = format!("snapshots/{id}/table=s3_bucket/joined-1.parquet");
    store.write(&joined, "x".into()).await.unwrap();
    assert!(matches!(
        commit(&one, false).await.unwrap(),
        Committed::Before(_)
    ));
    assert!(store.verify(&snapshot).await.damaged.is_empty());
    assert!(paths(&store).await.contains(&joined));
}

/// After a machine has lost its power, files may be shorter than their documents say.
#[tokio::test]
async fn an_account_whose_files_are_cut_is_read_again() {
    for damage in ["file", "document", "gone"] {
        let store = memory();
        let run = begin(&store, "00000001").await;
        write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
            .await
            .unwrap();
        for account in [OTHER, THIRD] {
            write(&run, account, &buckets(&[])).await.unwrap();
        }
        let all = paths(&store).await;
        let file = all.iter().find(|p| p.ends_with(".parquet")).unwrap();
        let document = format!(
            "snapshots/{}/accounts/{FIXTURE_ACCOUNT}.json",
            run.plan().snapshot
        );
        match damage {
            "file" => store.write(file, "".into()).await.unwrap(),
            "document" => store.write(&document, "{".into()).await.unwrap(),
            _ => store.delete(file).await.unwrap(),
        }
        if damage == "gone" {
            run.heal().await.unwrap();
        } else {
            let refused = commit(&run, false).await.unwrap_err().to_string();
            assert!(refused.contains(FIXTURE_ACCOUNT), "{refused}");
        }
        let again = store
            .find_run("last", Some(false), "00000002")
            .await
            .unwrap();
        assert_eq!(again.state().await.unwrap().written, [OTHER, THIRD]);
        assert!(
            write(&again, FIXTURE_ACCOUNT, &buckets(&["a"]))
                .await
                .unwrap()
        );
        commit(&again, false).await.unwrap();
        assert_eq!(rows(&store).await, (1, vec![]), "{damage}");
    }
}

/// Whichever write fails, nothing can be seen, and the run goes on.
#[tokio::test]
async fn a_full_disk_stops_a_run_and_does_not_spoil_it() {
    let mut finished = 0;
    for left in 0..16 {
        let inner = Arc::new(InMemory::new());
        let failing = Disturbed::full(inner.clone(), left);
        let store = Store::over(failing, "failing");
        let made = async {
            let run = store.begin_run(plan("00000001"), "00000001").await?;
            write(&run, FIXTURE_ACCOUNT, &buckets(&["a", "b"])).await?;
            write(&run, OTHER, &buckets(&[])).await?;
            run.unread(&denied(THIRD), true).await?;
            commit(&run, false).await
        };
        let made = made.await;
        let healthy = Store::over(inner, "healthy");
        let listing = healthy.list().await.unwrap();
        assert_eq!(listing.manifests.len(), usize::from(made.is_ok()), "{left}");
        if made.is_err() {
            let run = healthy
                .begin_run(plan("00000002"), "00000002")
                .await
                .unwrap();
            let state = run.state().await.unwrap();
            for (account, names) in [(FIXTURE_ACCOUNT, &["a", "b"][..]), (OTHER, &[])] {
                if !state.written.contains(&account.to_owned()) {
                    write(&run, account, &buckets(names)).await.unwrap();
                }
            }
            run.unread(&denied(THIRD), true).await.unwrap();
            commit(&run, false).await.unwrap();
        } else {
            finished += 1;
        }
        assert_eq!(rows(&healthy).await, (2, vec![THIRD.to_owned()]), "{left}");
        let parts = paths(&healthy).await;
        assert_eq!(parts.iter().filter(|p| p.ends_with(".parquet")).count(), 1);
    }
    assert!((1..16).contains(&finished), "{finished}");
}

/// What a worker does from its beginning to the commit, where there is something to clear away.
async fn work(store: &Store, attempt: &str) -> Result<Committed, StoreError> {
    let run = store.begin_run(plan(attempt), attempt).await?;
    let written = run.state().await?.written;
    for (account, names) in [(FIXTURE_ACCOUNT, &["a", "b"][..]), (OTHER, &[])] {
        if !written.contains(&account.to_owned()) {
            write(&run, account, &buckets(names)).await?;
        }
    }
    run.unread(&denied(THIRD), true).await?;
    commit(&run, false).await
}

/// Whichever request to a bucket fails for good, of collecting, committing and removing: nothing is damaged, and the same
/// again comes to the end.
#[tokio::test]
async fn a_request_that_fails_is_made_good_by_the_same_again() {
    let mut failed = 0;
    for left in 0.. {
        let inner = Arc::new(InMemory::new());
        let healthy = Store::over(inner.clone(), "healthy");
        let killed = begin(&healthy, "0000dead").await;
        write(&killed, FIXTURE_ACCOUNT, &buckets(&["a", "b"]))
            .await
            .unwrap();
        let document = format!(
            "snapshots/{}/accounts/{FIXTURE_ACCOUNT}.json",
            killed.plan().snapshot
        );
        healthy.delete(&document).await.unwrap();

        let flaky = Disturbed::busy(inner, left);
        let store = Store::over(flaky.clone(), "flaky");
        let made = async {
            let committed = work(&store, "00000001").await?;
            let (Committed::Now(manifest) | Committed::Before(manifest)) = committed;
            store.remove(&[manifest.id]).await
        };
        let made = made.await;
        assert_eq!(made.is_err(), flaky.has_failed(), "{left}");
        let listing = healthy.list().await.unwrap();
        assert!(listing.damaged.is_empty(), "{left}");
        if let Err(e) = &made {
            assert!(e.to_string().contains("503"), "{e}");
            failed += 1;
            // if it had come to removing, that is done again as well
            if let Some(manifest) = listing.manifests.first() {
                assert_eq!(rows(&healthy).await, (2, vec![THIRD.to_owned()]), "{left}");
                let id = manifest.id.clone();
                healthy.remove(&[id]).await.unwrap();
            }
            work(&healthy, "00000002").await.unwrap();
            assert_eq!(rows(&healthy).await, (2, vec![THIRD.to_owned()]), "{left}");
        } else {
            break;
        }
    }
    assert!(failed > 30, "{failed}");
}

#[tokio::test]
async fn clearing_away_ends_runs_before_what_they_would_go_on_with() {
    let store = memory();
    let run = begin(&store, "00000001").await;
    write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
        .await
        .unwrap();
    let never = Timestamp::from_micros(0);
    let later = Timestamp::from_micros(i64::MAX);
    store.sweep(never).await.unwrap();
    assert_eq!(run.state().await.unwrap().written, [FIXTURE_ACCOUNT]);
    store.sweep(later).await.unwrap();
    assert!(paths(&store).await.is_empty());
    assert!(store.run("nightly", "00000002").await.unwrap().is_none());

    let run = begin(&store, "00000003").await;
    write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
        .await
        .unwrap();
    let Committed::Now(manifest) = commit(&run, true).await.unwrap() else {
        panic!("nobody else has committed it");
    };
    // a run that is committed is known as long as its snapshot: workers that come late are told
    store.sweep(later).await.unwrap();
    assert_eq!(rows(&store).await.0, 1);
    assert!(store.run("nightly", "00000004").await.unwrap().is_some());
    store.remove(&[manifest.id]).await.unwrap();
    assert!(paths(&store).await.is_empty());
}

/// What is left of an object that was being written when its process was killed.
#[tokio::test]
async fn what_was_half_written_goes_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let store = Store::open(location, &crate::Options::default()).unwrap();
    let run = begin(&store, "00000001").await;
    write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
        .await
        .unwrap();
    commit(&run, true).await.unwrap();
    let left = folder
        .path()
        .join("snapshots/20250101T000000Z-00000000/table=x");
    std::fs::create_dir_all(&left).unwrap();
    std::fs::write(left.join("part-0.parquet#1"), "PAR").unwrap();
    store.sweep(Timestamp::from_micros(0)).await.unwrap();
    assert!(left.join("part-0.parquet#1").exists());
    store.sweep(Timestamp::from_micros(i64::MAX)).await.unwrap();
    assert!(!left.exists());
    assert_eq!(rows(&store).await.0, 1);
}

/// A folder in which nothing is left is no snapshot.
#[tokio::test]
async fn on_a_disk_nothing_stays_behind() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().to_str().unwrap();
    let store = Store::open(location, &crate::Options::default()).unwrap();
    let run = begin(&store, "00000001").await;
    write(&run, FIXTURE_ACCOUNT, &buckets(&["a"]))
        .await
        .unwrap();
    let Committed::Now(manifest) = commit(&run, true).await.unwrap() else {
        panic!("nobody else has committed it");
    };
    store
        .remove(std::slice::from_ref(&manifest.id))
        .await
        .unwrap();
    std::fs::create_dir_all(
        folder
            .path()
            .join("snapshots/20250101T000000Z-00000000/table=x"),
    )
    .unwrap();
    let listing = store.list().await.unwrap();
    assert!(listing.manifests.is_empty() && listing.unfinished.is_empty());
    assert!(!folder.path().join("snapshots").join(&manifest.id).exists());
    let deep = "snapshots/20250101T000000Z-00000000/table=a/account=1/part-0.parquet";
    store.write(deep, "".into()).await.unwrap();
    let listing = store.list().await.unwrap();
    assert_eq!(listing.unfinished, ["20250101T000000Z-00000000"]);
}

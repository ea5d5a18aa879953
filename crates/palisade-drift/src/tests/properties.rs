//! What holds for any two states.
use super::common::*;
use crate::{Collected, Diff, Filter, ResourceKind, Side, Which, diff};
use palisade_core::Timestamp;
use palisade_table::Dataset;
use proptest::prelude::*;
use serde_json::json;

const OTHER: &str = "222222222222";

/// A bucket, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
struct Bucket {
    other_account: bool,
    name: u8,
    /// 3: could not be read.
    versioning: u8,
    tag: u8,
}

#[derive(Debug, Clone)]
struct State {
    buckets: Vec<Bucket>,
    /// The list failed, by account.
    failed: [bool; 2],
}

fn bucket() -> impl Strategy<Value = Bucket> {
    (any::<bool>(), 0u8..6, 0u8..4, 0u8..2).prop_map(|(other_account, name, versioning, tag)| {
        Bucket {
            other_account,
            name,
            versioning,
            tag,
        }
    })
}

fn state() -> impl Strategy<Value = State> {
    let failed = [prop::bool::weighted(0.2), prop::bool::weighted(0.2)];
    (prop::collection::vec(bucket(), 0..10), failed)
        .prop_map(|(buckets, failed)| State { buckets, failed })
}

fn account(other: bool) -> &'static str {
    if other { OTHER } else { ACCOUNT }
}

impl State {
    /// As a dataset, in batches of at most `cut` rows.
    fn dataset(&self, cut: usize) -> Dataset {
        let mut all = tables(&buckets(&[]));
        for other in [false, true] {
            let own: Vec<&Bucket> = self
                .buckets
                .iter()
                .filter(|b| b.other_account == other)
                .collect();
            for rows in own.chunks(cut) {
                let rows: Vec<_> = rows
                    .iter()
                    .map(|b| {
                        let versioning = match b.versioning {
                            0 => json!(null),
                            1 => json!({ "status": "Enabled" }),
                            2 => json!({ "status": "Suspended" }),
                            _ => json!({ "!error": "AccessDenied" }),
                        };
                        json!({
                            "name": format!("b{}", b.name),
                            "account_id": account(other),
                            "versioning": versioning,
                            "tags": { "t": b.tag.to_string() },
                        })
                    })
                    .collect();
                let made = tables(&buckets(&rows));
                let table = all.tables.get_mut("s3_bucket").unwrap();
                table
                    .batches
                    .extend(made.tables["s3_bucket"].batches.clone());
            }
            if self.failed[usize::from(other)] {
                gap(&mut all, "s3_bucket", account(other), REGION);
            }
        }
        all
    }
}

fn mirrored(diff: &Diff) -> Diff {
    let mut diff = diff.clone();
    std::mem::swap(&mut diff.before, &mut diff.after);
    let c = &mut diff.counts;
    std::mem::swap(&mut c.added, &mut c.removed);
    std::mem::swap(&mut c.unseen_before, &mut c.unseen_after);
    let other = |which: Which| match which {
        Which::Before => Which::After,
        Which::After => Which::Before,
        Which::Both => Which::Both,
    };
    for r in &mut diff.resources {
        r.kind = match r.kind {
            ResourceKind::Added => ResourceKind::Removed,
            ResourceKind::Removed => ResourceKind::Added,
            kind => kind,
        };
        for c in &mut r.columns {
            std::mem::swap(&mut c.before, &mut c.after);
        }
        for b in &mut r.not_comparable {
            b.in_state = other(b.in_state);
        }
    }
    for n in &mut diff.not_compared {
        n.lacking = other(n.lacking);
    }
    sorted(diff)
}

/// In an order that does not depend on the direction.
fn sorted(mut diff: Diff) -> Diff {
    diff.resources
        .sort_by_cached_key(|r| serde_json::to_string(r).unwrap());
    diff.not_compared.sort();
    diff
}

async fn run(before: &State, after: &State, cut: usize, at_once: usize) -> Diff {
    let store = memory();
    let accounts = [ACCOUNT, OTHER];
    let before = commit(&store, 1, &accounts, &before.dataset(cut), None).await;
    let after = commit(&store, 2, &accounts, &after.dataset(cut), None).await;
    let filter = Filter {
        at_once,
        ..Filter::default()
    };
    diff(
        Side::Stored(&before),
        Side::Stored(&after),
        &*SHIPPED,
        &filter,
    )
    .await
    .unwrap()
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_state_does_not_differ_from_itself(state in state(), cut in 1usize..4) {
        let found = block(run(&state, &state, cut, 1));
        prop_assert!(!found.has_drift(), "{found:?}");
        let c = found.counts;
        let unread = state.buckets.iter().filter(|b| b.versioning == 3).count();
        prop_assert_eq!((c.added, c.removed, c.changed), (0, 0, 0));
        prop_assert_eq!(c.same + c.not_comparable, state.buckets.len());
        prop_assert_eq!(c.not_comparable, unread);
    }

    #[test]
    fn backwards_is_the_mirror(a in state(), b in state()) {
        let there = block(run(&a, &b, 3, 4));
        let back = block(run(&b, &a, 3, 4));
        let mut back = mirrored(&back);
        (back.before, back.after) = (there.before.clone(), there.after.clone());
        prop_assert_eq!(sorted(there), back);
    }

    /// Every row is counted once, on each side.
    #[test]
    fn nothing_is_lost(a in state(), b in state(), cut in 1usize..4) {
        let found = block(run(&a, &b, cut, 2));
        let c = found.counts;
        let both = c.same + c.changed + c.not_comparable;
        prop_assert_eq!(both + c.removed + c.unseen_after, a.buckets.len());
        prop_assert_eq!(both + c.added + c.unseen_before, b.buckets.len());
        prop_assert_eq!(c.added, found.resources_of(ResourceKind::Added));
        prop_assert_eq!(c.removed, found.resources_of(ResourceKind::Removed));
        for (state, unseen) in [(&a, c.unseen_before), (&b, c.unseen_after)] {
            if state.failed == [false, false] {
                prop_assert_eq!(unseen, 0);
            }
        }
        // nothing is added or removed where the other state did not list
        for r in &found.resources {
            let at = usize::from(r.account_id == OTHER);
            prop_assert!(r.kind != ResourceKind::Added || !a.failed[at]);
            prop_assert!(r.kind != ResourceKind::Removed || !b.failed[at]);
        }
    }

    /// How rows are cut into files, and how many are held at once, does not show.
    #[test]
    fn cuts_do_not_show(a in state(), b in state(), cut in 1usize..4, at_once in 1usize..5) {
        let whole = block(run(&a, &b, 100, 1000));
        let cut = block(run(&a, &b, cut, at_once));
        prop_assert_eq!(whole, cut);
    }

    /// What was just collected is compared as if it were a snapshot.
    #[test]
    fn collected_is_as_stored(a in state(), b in state()) {
        let stored = block(run(&a, &b, 3, 4));
        let dataset = b.dataset(3);
        let accounts = [ACCOUNT.to_owned(), OTHER.to_owned()];
        let regions = ["eu-west-1".to_owned(), REGION.to_owned()];
        let started_at: Timestamp = at(2);
        let collected = Side::Collected(Collected {
            id: &stored.after.id,
            started_at,
            complete: true,
            accounts: &accounts,
            regions: &regions,
            dataset: &dataset,
            findings: None,
        });
        let found = block(async {
            let store = memory();
            let before = commit(&store, 1, &[ACCOUNT, OTHER], &a.dataset(3), None).await;
            diff(Side::Stored(&before), collected, &*SHIPPED, &Filter::default()).await.unwrap()
        });
        prop_assert_eq!(stored, found);
    }

    /// Against a plain comparison of buckets of which each is there once.
    #[test]
    fn it_is_what_a_plain_comparison_says(a in state(), b in state()) {
        let once = |state: &State| {
            let mut state = state.clone();
            state.failed = [false, false];
            let mut seen = std::collections::BTreeSet::new();
            state.buckets.retain(|b| seen.insert((b.other_account, b.name)));
            state
        };
        let (a, b) = (once(&a), once(&b));
        let found = block(run(&a, &b, 2, 3));
        let find = |state: &State, like: &Bucket| {
            let same = |b: &&Bucket| (b.other_account, b.name) == (like.other_account, like.name);
            state.buckets.iter().find(same).cloned()
        };
        let mut expected = crate::Counts::default();
        for left in &a.buckets {
            match find(&b, left) {
                None => expected.removed += 1,
                Some(right) => {
                    let unread = left.versioning == 3 || right.versioning == 3;
                    let differs = left.tag != right.tag
                        || (!unread && left.versioning != right.versioning);
                    match (differs, unread) {
                        (true, _) => expected.changed += 1,
                        (false, true) => expected.not_comparable += 1,
                        (false, false) => expected.same += 1,
                    }
                }
            }
        }
        expected.added = b.buckets.iter().filter(|right| find(&a, right).is_none()).count();
        prop_assert_eq!(found.counts, expected);
    }
}

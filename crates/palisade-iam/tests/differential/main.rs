//! Random policies and requests, decided by two evaluators; and properties that hold for every decision.
//!
//! The number of requests is 20,000, or what `PALISADE_IAM_REQUESTS` says (the nightly task sets a million).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

mod oracle;
mod random;

use palisade_iam::{Context, Decision, Layer, decide};
use random::{Dice, Parsed, fast, policy, random, request, slow};
use serde_json::json;

fn requests() -> u64 {
    std::env::var("PALISADE_IAM_REQUESTS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(20_000)
}

#[test]
fn two_evaluators_agree() {
    compare(0..requests());
}

/// The nightly run: `cargo test -p palisade-iam --release --test differential -- --ignored`.
#[test]
#[ignore = "a million requests take minutes"]
fn two_evaluators_agree_on_a_million_requests() {
    compare(1_000_000..2_000_000);
}

fn compare(seeds: std::ops::Range<u64>) {
    let total = seeds.end - seeds.start;
    let mut counts = std::collections::BTreeMap::new();
    for seed in seeds {
        let case = random(&mut Dice::Seed(seed));
        let want = slow(&case);
        assert_eq!(fast(&case).as_str(), want, "seed {seed}");
        *counts.entry(want).or_insert(0_u64) += 1;
    }
    // A test in which one outcome never occurs proves little.
    assert!(
        counts.len() == 3 && counts.values().all(|n| *n > total / 50),
        "{counts:?}"
    );
}

fn rank(decision: Decision) -> u8 {
    u8::from(decision == Decision::Allow)
}

#[test]
fn properties_of_decisions() {
    for seed in 0..requests() / 10 {
        let case = random(&mut Dice::Seed(seed));
        let before = fast(&case);
        let dice = &mut Dice::Seed(seed ^ 0xabcd);
        // An explicit deny always wins.
        let mut denied = random(&mut Dice::Seed(seed));
        denied.identity.push(json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Deny", "Action": "*", "Resource": "*" }] }));
        assert_eq!(fast(&denied), Decision::ExplicitDeny, "seed {seed}");
        // The order of policies and statements does not matter.
        let mut turned = random(&mut Dice::Seed(seed));
        turned.identity.reverse();
        turned.scp.reverse();
        for policy in turned
            .identity
            .iter_mut()
            .chain(turned.resource_policy.as_mut())
        {
            policy["Statement"].as_array_mut().unwrap().reverse();
        }
        assert_eq!(fast(&turned), before, "seed {seed}");
        // A further deny never widens.
        let mut more = random(&mut Dice::Seed(seed));
        let mut extra = policy(dice, 1, None);
        for s in extra["Statement"].as_array_mut().unwrap() {
            s["Effect"] = json!("Deny");
        }
        more.identity.push(extra);
        assert!(rank(fast(&more)) <= rank(before), "seed {seed}");
        // A further guardrail never widens.
        let mut guarded = random(&mut Dice::Seed(seed));
        guarded.scp.push(vec![policy(dice, 3, None)]);
        assert!(rank(fast(&guarded)) <= rank(before), "seed {seed}");
        // Less knowledge never turns one certain answer into the other.
        let mut open = Context::open();
        let mut asked = request(&case);
        for (key, values) in case.context.iter().filter(|_| dice.chance(2)) {
            open.set(key, values);
        }
        asked.context = open;
        let parsed = Parsed::new(&case);
        let vague = decide(&asked, &parsed.sets());
        assert!(
            vague == Decision::DependsOn || rank(vague) == rank(before),
            "seed {seed}: {vague:?} {before:?}"
        );
        // Nor does a layer that could not be read.
        for layer in [
            Layer::Identity,
            Layer::Resource,
            Layer::Boundary,
            Layer::ServiceControl,
            Layer::ResourceControl,
        ] {
            let mut sets = parsed.sets();
            match layer {
                Layer::Identity => sets.identity.clear(),
                Layer::Resource => sets.resource = None,
                Layer::Boundary => sets.boundary = None,
                Layer::ServiceControl => sets.scp.clear(),
                _ => sets.rcp.clear(),
            }
            sets.unread.insert(layer);
            let blind = decide(&request(&case), &sets);
            assert!(
                blind == Decision::DependsOn || rank(blind) == rank(before),
                "seed {seed}, {layer:?} unread: {blind:?} {before:?}"
            );
        }
    }
}

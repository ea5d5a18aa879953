use super::fake::*;
use crate::*;
use palisade_catalog::Catalog;
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SHOP: &str = r#"
title = "ECR"
[table.ecr_repository]
about = "Repositories."
id = "repository_name"
arn = "${repository_arn}"
list = { call = "DescribeRepositories", rows = "repositories[]" }
[[table.ecr_repository.call]]
call = "GetRepositoryPolicy"
params = { repositoryName = "${repository_name}" }
from = "policyText"
into = "policy"
[[table.ecr_repository.call]]
call = "GetLifecyclePolicy"
params = { repositoryName = "${repository_name}" }
from = "lifecyclePolicyText"
into = "lifecycle"
when = { column = "policy", is = ["p"] }
[[table.ecr_repository.call]]
call = "BatchGetRepositoryScanningConfiguration"
batch = { param = "repositoryNames", of = "repository_name", size = 3, rows = "scanningConfigurations[]", match = "repositoryName" }
from = "scanFrequency"
into = "scan"
[table.ecr_image]
about = "Images."
id = "image_digest"
list = { call = "DescribeImages", parent = "ecr_repository", params = { repositoryName = "${parent.repository_name}" }, rows = "imageDetails[]" }
[table.ecr_registry]
about = "Registries."
id = "registry_id"
[[table.ecr_registry.call]]
call = "DescribeRegistry"
"#;

/// A registry whose size follows from the region's name: several pages, some failures, images by repository.
fn shop(size: usize, latency: impl Fn(usize) -> Duration + Send + Sync + 'static) -> Fake {
    let per_page = 7;
    Fake::new()
        .slow(latency)
        .on("ecr:DescribeRepositories", move |seen| {
            let from: usize = seen.text("nextToken").parse().unwrap_or(0);
            let size = size + seen.region.len() % 3;
            let to = (from + per_page).min(size);
            let one = |i: usize| json!({"repositoryName": format!("r{i}"), "repositoryArn": format!("arn:{}:{i}", seen.region)});
            let answer = json!({"repositories": (from..to).map(one).collect::<Vec<Json>>()});
            if to < size { page(answer, json!({"nextToken": to.to_string()})) } else { ok(answer) }
        })
        .on("ecr:GetRepositoryPolicy", |seen| match seen.text("repositoryName") {
            name if name.ends_with('3') => denied(),
            name if name.ends_with('5') => ok(json!({"policyText": "other"})),
            _ => ok(json!({"policyText": "p"})),
        })
        .answers("ecr:GetLifecyclePolicy", json!({"lifecyclePolicyText": "l"}))
        .on("ecr:BatchGetRepositoryScanningConfiguration", |seen| {
            let one = |n: &Json| json!({"repositoryName": n, "scanFrequency": "SCAN_ON_PUSH"});
            let all: Vec<Json> = seen.params["repositoryNames"].as_array().unwrap().iter().map(one).collect();
            ok(json!({"scanningConfigurations": all}))
        })
        .on("ecr:DescribeImages", |seen| {
            let name = seen.text("repositoryName");
            match (name.ends_with('4'), seen.text("nextToken").as_str()) {
                (true, _) => denied(),
                (_, "") => page(json!({"imageDetails": [{"imageDigest": format!("{name}-1")}]}), json!({"repositoryName": name, "nextToken": "2"})),
                _ => ok(json!({"imageDetails": [{"imageDigest": format!("{name}-2")}, {"imageDigest": format!("{name}-3")}]})),
            }
        })
        .answers("ecr:DescribeRegistry", json!({"registryId": "1"}))
}

fn shop_catalog() -> Catalog {
    catalog("ecr", SHOP)
}

fn shop_request() -> Request {
    everything(&["ecr_repository", "ecr_image", "ecr_registry"])
}

const REGIONS: [&str; 3] = ["us-east-1", "eu-central-1", "eu-west-1"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    /// Whatever the latencies and limits, the calls and the result are the same.
    #[test]
    fn timing_does_not_show(seed in any::<u64>(), in_flight in 1usize..80, waiting_rows in 0usize..40) {
        let latency = move |number: usize| {
            let mixed = (number as u64).wrapping_add(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            Duration::from_millis(mixed % 500)
        };
        let catalog = shop_catalog();
        let still = Arc::new(shop(20, |_| Duration::from_millis(60)));
        let shaken = Arc::new(shop(20, latency));
        let ids = ["222222222222", "111111111111"];
        let expected = collect(&catalog, &shop_request(), &accounts(&still, &ids, &REGIONS));
        let limits = Limits { in_flight, waiting_rows, ..Limits::default() };
        let found = collect_within(&catalog, &shop_request(), &accounts(&shaken, &ids, &REGIONS), &limits, None);
        prop_assert_eq!(still.calls(), shaken.calls());
        prop_assert_eq!(expected.text(), found.text());
        prop_assert!(shaken.most.load(Ordering::SeqCst) <= in_flight);
        prop_assert!(expected.collected.dataset.tables["ecr_image"].batches.len() == 6);
    }
}

#[test]
fn no_call_is_made_twice() {
    let fake = Arc::new(shop(40, |_| Duration::from_millis(60)));
    let ran = collect(&shop_catalog(), &shop_request(), &targets(&fake, &REGIONS));
    fake.assert_no_call_twice();
    let planned: usize = ran.collected.coverage.planned();
    let requests: usize = ran
        .collected
        .coverage
        .calls
        .iter()
        .map(|c| c.requests)
        .sum();
    assert!(planned < requests, "pages count once: {planned} {requests}");
    assert_eq!(requests, fake.calls().len());
    assert_eq!(
        ran.collected.coverage.succeeded()
            + ran
                .collected
                .coverage
                .calls
                .iter()
                .map(|c| c.failed)
                .sum::<usize>(),
        planned
    );
}

/// The wall time that no schedule can beat: the work divided by the slots, or the longest chain.
fn bound(calls: usize, chain: usize, in_flight: usize) -> Duration {
    let rounds = calls.div_ceil(in_flight).max(chain);
    Duration::from_millis(60) * u32::try_from(rounds).unwrap()
}

fn ratio(name: &str, ran: &Ran, calls: usize, chain: usize) -> f64 {
    let bound = bound(calls, chain, 64);
    let ratio = ran.elapsed.as_secs_f64() / bound.as_secs_f64();
    println!(
        "{name}: {calls} calls, {:?}, bound {bound:?}, ratio {ratio:.3}",
        ran.elapsed
    );
    ratio
}

#[test]
fn wall_time_is_near_what_the_limit_and_the_chains_allow() {
    let regions = [
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eu-central-1",
        "eu-north-1",
        "ap-south-1",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "sa-east-1",
    ];
    for size in [3, 20, 150] {
        let fake = Arc::new(shop(size, |_| Duration::from_millis(60)));
        let ran = collect(&shop_catalog(), &shop_request(), &targets(&fake, &regions));
        // Pages of the longest list, then an image list of two pages (a policy and what depends on it is as long).
        let chain = (size + 2).div_ceil(7) + 2;
        assert!(
            ratio(
                &format!("{size} repositories in 16 regions"),
                &ran,
                fake.calls().len(),
                chain
            ) <= 1.3
        );
    }
    // One region, one long list: the chain of pages decides.
    let fake = Arc::new(shop(700, |_| Duration::from_millis(60)));
    let ran = collect(
        &shop_catalog(),
        &shop_request(),
        &targets(&fake, &["us-east-1"]),
    );
    assert!(
        ratio(
            "one long list",
            &ran,
            fake.calls().len(),
            700usize.div_ceil(7) + 2
        ) <= 1.3
    );
    // Many accounts.
    let fake = Arc::new(shop(10, |_| Duration::from_millis(60)));
    let ids: Vec<String> = (0..20).map(|i| format!("{i:012}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let ran = collect(
        &shop_catalog(),
        &shop_request(),
        &accounts(&fake, &ids, &regions),
    );
    assert!(ratio("20 accounts in 16 regions", &ran, fake.calls().len(), 4) <= 1.3);
}

/// What takes tables early has them as soon as they are whole, not when all is.
#[test]
fn a_table_is_handed_over_as_soon_as_it_is_whole() {
    let latency = Duration::from_millis(60);
    let fake = Arc::new(shop(10, move |_| latency));
    let ran = collect(
        &shop_catalog(),
        &shop_request(),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(ran.told["ecr_registry"], latency);
    // two pages; of each repository its policy, and then what depends on that
    assert!(ran.told["ecr_repository"] > ran.told["ecr_registry"]);
    assert!(ran.told["ecr_repository"] <= ran.elapsed);
    assert!(ran.told["ecr_image"] <= ran.elapsed);
}

/// However few rows may wait and however few calls may fly, the work ends.
#[test]
fn no_limit_makes_it_wait_for_itself() {
    for (in_flight, waiting_rows) in [(1, 0), (1, 1), (2, 0), (3, 5), (0, 0)] {
        let fake = Arc::new(shop(30, |_| Duration::from_millis(60)));
        let limits = Limits {
            in_flight,
            waiting_rows,
            ..Limits::default()
        };
        let ran = collect_within(
            &shop_catalog(),
            &shop_request(),
            &targets(&fake, &["us-east-1"]),
            &limits,
            None,
        );
        assert_eq!(ran.rows("ecr_repository").len(), 30);
        assert!(fake.most.load(Ordering::SeqCst) <= in_flight.max(1));
    }
}

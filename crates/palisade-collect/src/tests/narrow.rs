//! Reading some rows.
use super::fake::*;
use crate::*;
use palisade_core::CallErrorKind;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

fn ids(table: &str, ids: &[&str], regions: Option<&[&str]>) -> Narrowing {
    let rows = Rows {
        ids: Some(set(ids)),
        regions: regions.map(set),
    };
    BTreeMap::from([(table.to_owned(), rows)])
}

fn narrowed(
    catalog: &palisade_catalog::Catalog,
    request: &Request,
    targets: &Targets,
    narrowing: &Narrowing,
) -> (Ran, BTreeMap<String, BTreeSet<String>>) {
    let plan = plan(catalog, &MODELS, request).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let limits = Limits::default();
    let narrowed = runtime.block_on(async {
        let (_sender, receiver) = tokio::sync::watch::channel(false);
        run_narrowed(&plan, targets, &limits, &Silent, receiver, narrowing).await
    });
    let ran = Ran {
        collected: narrowed.collected,
        elapsed: std::time::Duration::ZERO,
        told: BTreeMap::new(),
    };
    (ran, narrowed.gone)
}

const QUEUES: &str = r#"
title = "ECS"
[table.ecs_cluster]
about = "Clusters."
id = "cluster_name"
arn = "${cluster_arn}"
list = { call = "ListClusters", params = { maxResults = 100 }, rows = "clusterArns[]", scalar = "cluster_arn" }
[[table.ecs_cluster.call]]
call = "DescribeClusters"
batch = { param = "clusters", of = "cluster_arn", size = 100, rows = "clusters[]", match = "clusterArn" }
[table.ecs_service]
about = "Services."
id = "service_arn"
list = { call = "ListServices", parent = "ecs_cluster", params = { cluster = "${parent.cluster_arn}", maxResults = 100 }, rows = "serviceArns[]", scalar = "service_arn" }
"#;

fn clusters() -> Fake {
    Fake::new()
        .on("ecs:ListClusters", |seen| {
            let names = ["a", "b", "c"].map(|n| format!("{}/{n}", seen.region));
            ok(json!({ "clusterArns": names }))
        })
        .on("ecs:DescribeClusters", |seen| {
            let asked = seen.params["clusters"].as_array().unwrap();
            let one = |arn: &Json| json!({"clusterArn": arn, "clusterName": arn.as_str().unwrap().split('/').nth(1)});
            ok(json!({ "clusters": asked.iter().map(one).collect::<Vec<_>>() }))
        })
        .on("ecs:ListServices", |seen| {
            ok(json!({ "serviceArns": [format!("{}/s", seen.text("cluster"))] }))
        })
}

const BUCKETS: &str = r#"
title = "S3"
scope = "global"
[table.s3_bucket]
about = "Buckets."
id = "name"
arn = "arn:${partition}:s3:::${name}"
region = ["bucket_region"]
tags = "tagging"
list = { call = "ListBuckets", params = { MaxBuckets = 2 }, rows = "Buckets[]" }
[[table.s3_bucket.call]]
call = "GetBucketVersioning"
params = { Bucket = "${name}" }
into = "versioning"
"#;

fn buckets() -> Fake {
    Fake::new()
        .on("s3:ListBuckets", |_| {
            let bucket =
                |(name, region): (&str, &str)| json!({"Name": name, "BucketRegion": region});
            let all = [("a", "us-east-1"), ("b", "eu-west-1"), ("c", "us-east-1")].map(bucket);
            ok(json!({ "Buckets": all }))
        })
        .answers("s3:GetBucketVersioning", json!({"Status": "Enabled"}))
        .answers(
            "resourcegroupstaggingapi:GetResources",
            json!({"ResourceTagMappingList": []}),
        )
}

#[test]
fn calls_are_made_for_wanted_rows_only() {
    let catalog = catalog("s3", BUCKETS);
    let request = everything(&["s3_bucket"]);
    // by id and by ARN; of both, what is not there any more
    let arn = "arn:aws:s3:::b";
    for (wanted, expected) in [("b", "b"), (arn, "b"), ("c", "c")] {
        let fake = Arc::new(buckets());
        let targets = targets(&fake, &["us-east-1", "eu-west-1"]);
        let narrowing = ids("s3_bucket", &[wanted, "lost"], None);
        let (ran, gone) = narrowed(&catalog, &request, &targets, &narrowing);
        assert_eq!(ran.column("s3_bucket", "name"), [json!(expected)]);
        assert_eq!(ran.column("s3_bucket", "tags"), [json!({})]);
        assert_eq!(gone["s3_bucket"], set(&["lost"]));
        let mut calls: Vec<String> = fake.calls().into_iter().map(|m| m.operation).collect();
        calls.dedup();
        let expected = [
            "resourcegroupstaggingapi:GetResources",
            "s3:GetBucketVersioning",
            "s3:ListBuckets",
        ];
        assert_eq!(calls, expected);
        // tags are asked in the row's region only
        assert_eq!(fake.count("resourcegroupstaggingapi:GetResources"), 1);
        assert_eq!(fake.count("s3:GetBucketVersioning"), 1);
        assert!(ran.gaps("s3_bucket").is_empty());
    }
}

#[test]
fn nothing_is_gone_while_a_list_fails() {
    let catalog = catalog("s3", BUCKETS);
    for kind in [
        CallErrorKind::Denied,
        CallErrorKind::Throttled,
        CallErrorKind::Timeout,
    ] {
        let fake = Arc::new(buckets().on("s3:ListBuckets", move |_| refuse(kind, "No")));
        let targets = targets(&fake, &["us-east-1"]);
        let narrowing = ids("s3_bucket", &["a"], None);
        let (ran, gone) = narrowed(&catalog, &everything(&["s3_bucket"]), &targets, &narrowing);
        assert!(gone.is_empty(), "{gone:?}");
        let gap = ("us-east-1".to_owned(), "ListBuckets:No".to_owned());
        assert_eq!(ran.gaps("s3_bucket"), [gap]);
    }
}

#[test]
fn lists_are_made_in_wanted_regions_only() {
    let catalog = catalog("ecs", QUEUES);
    let fake = Arc::new(clusters());
    let targets = targets(&fake, &["eu-west-1", "us-east-1"]);
    // the name is known only when the batch was answered: all are described, and the wanted one comes out
    let narrowing = ids("ecs_cluster", &["b"], Some(&["us-east-1"]));
    let (ran, gone) = narrowed(
        &catalog,
        &everything(&["ecs_cluster"]),
        &targets,
        &narrowing,
    );
    assert_eq!(
        ran.column("ecs_cluster", "cluster_arn"),
        [json!("us-east-1/b")]
    );
    assert!(gone.is_empty());
    assert!(fake.calls().iter().all(|m| m.region == "us-east-1"));
    // by its ARN, which the list tells, only that one is described
    let fake = Arc::new(clusters());
    let targets = super::fake::targets(&fake, &["eu-west-1", "us-east-1"]);
    let narrowing = ids("ecs_cluster", &["us-east-1/b"], Some(&["us-east-1"]));
    let (ran, _) = narrowed(
        &catalog,
        &everything(&["ecs_cluster"]),
        &targets,
        &narrowing,
    );
    assert_eq!(ran.column("ecs_cluster", "cluster_name"), [json!("b")]);
}

#[test]
fn children_of_rows_that_are_not_wanted_are_listed_all_the_same() {
    let catalog = catalog("ecs", QUEUES);
    let fake = Arc::new(clusters());
    let targets = targets(&fake, &["eu-west-1", "us-east-1"]);
    let mut narrowing = ids("ecs_cluster", &["us-east-1/b"], Some(&["us-east-1"]));
    let all = Rows {
        ids: None,
        regions: Some(set(&["eu-west-1"])),
    };
    narrowing.insert("ecs_service".to_owned(), all);
    let request = everything(&["ecs_cluster", "ecs_service"]);
    let (ran, _) = narrowed(&catalog, &request, &targets, &narrowing);
    assert_eq!(
        ran.column("ecs_cluster", "cluster_arn"),
        [json!("us-east-1/b")]
    );
    let services = ["a", "b", "c"].map(|n| json!(format!("eu-west-1/{n}/s")));
    assert_eq!(ran.column("ecs_service", "service_arn"), services);
}

#[test]
fn a_row_that_cannot_be_told_is_a_gap() {
    let catalog = catalog("ecs", QUEUES);
    let fake = Arc::new(clusters().on("ecs:DescribeClusters", |_| denied()));
    let targets = targets(&fake, &["us-east-1"]);
    // names come from the call that is refused, ARNs from the list: whether another row has the name is not known
    for wanted in ["us-east-1/b", "b"] {
        let narrowing = ids("ecs_cluster", &[wanted], None);
        let (ran, gone) = narrowed(
            &catalog,
            &everything(&["ecs_cluster"]),
            &targets,
            &narrowing,
        );
        let by_arn = wanted.contains('/');
        assert_eq!(
            ran.column("ecs_cluster", "cluster_arn").len(),
            usize::from(by_arn)
        );
        assert!(gone.is_empty());
        let gap = (
            "us-east-1".to_owned(),
            "DescribeClusters:AccessDenied".to_owned(),
        );
        assert_eq!(ran.gaps("ecs_cluster"), [gap]);
    }
}

#[test]
fn without_narrowing_everything_is_read() {
    let catalog = catalog("ecs", QUEUES);
    let request = everything(&["ecs_cluster", "ecs_service"]);
    let fake = Arc::new(clusters());
    let targets = targets(&fake, &["eu-west-1", "us-east-1"]);
    let whole = collect(&catalog, &request, &targets);
    let (same, gone) = narrowed(&catalog, &request, &targets, &Narrowing::new());
    assert_eq!(whole.text(), same.text());
    assert!(gone.is_empty());
}

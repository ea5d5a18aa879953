use super::fake::*;
use crate::*;
use palisade_table::TAGGING;
use serde_json::{Value as Json, json};
use std::sync::Arc;

fn strings(values: Vec<Json>) -> Vec<String> {
    values
        .iter()
        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
        .collect()
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
[[table.s3_bucket.call]]
call = "GetBucketPolicy"
params = { Bucket = "${name}" }
from = "Policy"
into = "policy"
absent = ["NoSuchBucketPolicy"]
"#;

fn buckets() -> Fake {
    Fake::new()
        .on("s3:ListBuckets", |seen| match seen.text("ContinuationToken").as_str() {
            "" => page(
                json!({"Buckets": [{"Name": "b", "BucketRegion": "eu-west-1"}, {"Name": "a", "BucketRegion": "us-east-1"}]}),
                json!({"MaxBuckets": 2, "ContinuationToken": "2"}),
            ),
            _ => ok(json!({"Buckets": [{"Name": "far", "BucketRegion": "sa-east-1"}, {"Name": "c"}]})),
        })
        .on("s3:GetBucketVersioning", |seen| match seen.text("Bucket").as_str() {
            "a" => denied(),
            _ => ok(json!({"Status": "Enabled"})),
        })
        .on("s3:GetBucketPolicy", |seen| match seen.text("Bucket").as_str() {
            "b" => refuse(palisade_core::CallErrorKind::Other, "NoSuchBucketPolicy"),
            name => ok(json!({"Policy": format!("policy of {name}")})),
        })
        .on("resourcegroupstaggingapi:GetResources", |seen| {
            let tags = json!([{"Key": "z", "Value": "1"}, {"Key": "k", "Value": seen.region}]);
            ok(json!({"ResourceTagMappingList": [{"ResourceARN": "arn:aws:s3:::a", "Tags": tags}, {"ResourceARN": "arn:aws:s3:::b", "Tags": tags}]}))
        })
}

#[test]
fn rows_live_where_they_say_and_are_asked_there() {
    let fake = Arc::new(buckets());
    let catalog = catalog("s3", BUCKETS);
    let ran = collect(
        &catalog,
        &everything(&["s3_bucket"]),
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    fake.assert_no_call_twice();
    // By region, then in the order of the answer; the bucket of a region that is not scanned is gone.
    assert_eq!(strings(ran.column("s3_bucket", "name")), ["b", "a", "c"]);
    assert_eq!(
        strings(ran.column("s3_bucket", "region")),
        ["eu-west-1", "us-east-1", "us-east-1"]
    );
    assert_eq!(
        strings(ran.column("s3_bucket", "arn")),
        ["arn:aws:s3:::b", "arn:aws:s3:::a", "arn:aws:s3:::c"]
    );
    assert_eq!(
        strings(ran.column("s3_bucket", "account_id")),
        ["111111111111"; 3]
    );
    let asked: Vec<(String, String)> = fake
        .calls()
        .into_iter()
        .filter(|m| m.operation == "s3:GetBucketVersioning")
        .map(|m| (m.region, m.params))
        .collect();
    let expected = [
        ("eu-west-1", r#"{"Bucket":"b"}"#),
        ("us-east-1", r#"{"Bucket":"a"}"#),
        ("us-east-1", r#"{"Bucket":"c"}"#),
    ];
    assert_eq!(asked, expected.map(|(r, p)| (r.to_owned(), p.to_owned())));
    // "There is none" is NULL and known; a failure is NULL and marked.
    assert_eq!(
        ran.column("s3_bucket", "policy"),
        [Json::Null, json!("policy of a"), json!("policy of c")]
    );
    assert_eq!(ran.column("s3_bucket", "versioning")[1], Json::Null);
    assert_eq!(
        ran.failures("s3_bucket", "name"),
        [(json!("a"), 1, "AccessDenied".to_owned())]
    );
    // Tags by ARN from the bulk call of the row's region; a row that it does not name has none, and that is known.
    let tags = ran.column("s3_bucket", "tags");
    assert_eq!(
        tags,
        [
            json!({"k": "eu-west-1", "z": "1"}),
            json!({"k": "us-east-1", "z": "1"}),
            json!({})
        ]
    );
    assert_eq!(ran.counts("s3:GetBucketVersioning"), (3, 2, 1));
    assert_eq!(ran.counts("s3:GetBucketPolicy"), (3, 3, 0));
    assert_eq!(ran.counts("s3:ListBuckets"), (1, 1, 0));
    assert_eq!(ran.collected.coverage.failures.len(), 1);
    assert_eq!(
        ran.collected.coverage.failures[0].0.permissions,
        ["s3:GetBucketVersioning"]
    );
    assert!(ran.gaps("s3_bucket").is_empty());
}

#[test]
fn only_the_calls_of_asked_columns_are_made_and_foreign_rows_may_stay() {
    let fake = Arc::new(buckets());
    let kept = BUCKETS.replace("tags = \"tagging\"", "foreign = \"keep\"");
    let ran = collect(
        &catalog("s3", &kept),
        &some("s3_bucket", &["policy"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(
        fake.count("s3:GetBucketVersioning") + fake.count("resourcegroupstaggingapi:GetResources"),
        0
    );
    assert_eq!(
        strings(ran.column("s3_bucket", "name")),
        ["b", "far", "a", "c"]
    );
    assert!(!ran.rows("s3_bucket")[0].contains_key("versioning"));
}

/// Rows of many tables wait for tags, which come in any number of pages: they are asked for before anything else.
#[test]
fn tags_are_asked_for_first() {
    let fake = Arc::new(buckets());
    let regions = ["us-east-1", "eu-west-1"];
    let one_at_a_time = Limits {
        in_flight: 1,
        ..Limits::default()
    };
    collect_within(
        &catalog("s3", BUCKETS),
        &everything(&["s3_bucket"]),
        &targets(&fake, &regions),
        &one_at_a_time,
        None,
    );
    let made = fake.made.lock().unwrap().clone();
    let first = made.iter().take(regions.len());
    let first: Vec<&str> = first.map(|made| made.operation.as_str()).collect();
    assert_eq!(first, ["resourcegroupstaggingapi:GetResources"; 2]);
}

#[test]
fn failed_tags_mark_every_row_of_the_region() {
    let fake = buckets().on("resourcegroupstaggingapi:GetResources", |seen| {
        match seen.region {
            "us-east-1" => denied(),
            _ => ok(json!({"ResourceTagMappingList": []})),
        }
    });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("s3", BUCKETS),
        &some("s3_bucket", &["tags"]),
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    let expected = ["a", "c"].map(|n| (json!(n), TAGGING, "AccessDenied".to_owned()));
    assert_eq!(ran.failures("s3_bucket", "name"), expected);
    assert_eq!(
        ran.column("s3_bucket", "tags"),
        [json!({}), Json::Null, Json::Null]
    );
    let error = &ran.collected.coverage.failures[0].0;
    assert_eq!(
        (error.permissions[0].as_str(), error.service.as_str()),
        ("tag:GetResources", "resourcegroupstaggingapi")
    );
}

#[test]
fn conditions_and_calls_that_need_each_other() {
    let toml = r#"
title = "KMS"
[table.kms_key]
about = "Keys."
id = "key_id"
arn = "${key_arn}"
list = { call = "ListKeys", rows = "Keys[]" }
[[table.kms_key.call]]
call = "DescribeKey"
params = { KeyId = "${key_id}" }
from = "KeyMetadata"
[[table.kms_key.call]]
call = "GetKeyRotationStatus"
params = { KeyId = "${key_id}" }
into = "rotation"
when = { column = "key_manager", is = ["CUSTOMER"] }
"#;
    let fake = Fake::new()
        .answers("kms:ListKeys", json!({"Keys": [{"KeyId": "own", "KeyArn": "arn:own"}, {"KeyId": "aws", "KeyArn": "arn:aws"}, {"KeyId": "lost", "KeyArn": "arn:lost"}]}))
        .on("kms:DescribeKey", |seen| match seen.text("KeyId").as_str() {
            "lost" => denied(),
            id => {
                let manager = if id == "own" { "CUSTOMER" } else { "AWS" };
                ok(json!({"KeyMetadata": {"KeyId": id, "KeyManager": manager, "Enabled": true, "CreationDate": "2026-01-01T00:00:00Z"}}))
            }
        })
        .answers("kms:GetKeyRotationStatus", json!({"KeyRotationEnabled": true}));
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("kms", toml),
        &everything(&["kms_key"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(fake.count("kms:GetKeyRotationStatus"), 1);
    let rotation = ran.column("kms_key", "rotation");
    assert_eq!(rotation[0]["key_rotation_enabled"], json!(true));
    assert_eq!(rotation[1..], [Json::Null, Json::Null]);
    // The row whose condition is not known is marked for both calls, with the error of the first.
    let expected = [1, 2].map(|source| (json!("lost"), source, "AccessDenied".to_owned()));
    assert_eq!(ran.failures("kms_key", "key_id"), expected);
    assert_eq!(
        ran.column("kms_key", "creation_date")[0],
        json!("2026-01-01T00:00:00Z")
    );
}

const ECS: &str = r#"
title = "ECS"
[table.ecs_cluster]
about = "Clusters."
id = "cluster_name"
arn = "${cluster_arn}"
list = { call = "ListClusters", rows = "clusterArns[]", scalar = "cluster_arn" }
[[table.ecs_cluster.call]]
call = "DescribeClusters"
params = { include = ["TAGS"] }
batch = { param = "clusters", of = "cluster_arn", size = 2, rows = "clusters[]", match = "clusterArn" }
[table.ecs_service]
about = "Services."
id = "service_name"
arn = "${service_arn}"
list = { call = "ListServices", parent = "ecs_cluster", params = { cluster = "${parent.cluster_arn}" }, rows = "serviceArns[]", scalar = "service_arn" }
[[table.ecs_service.call]]
call = "DescribeServices"
params = { cluster = "${its_cluster}" }
batch = { param = "services", of = "service_arn", size = 10, rows = "services[]", match = "serviceArn" }
[table.ecs_service.column]
its_cluster = { value = "${parent.cluster_arn}" }
"#;

fn ecs() -> Fake {
    Fake::new()
        .on("ecs:ListClusters", |seen| match seen.text("nextToken").as_str() {
            "" => page(json!({"clusterArns": ["c1"]}), json!({"nextToken": "2"})),
            "2" => page(json!({"clusterArns": ["c2", "c3"]}), json!({"nextToken": "3"})),
            _ => ok(json!({"clusterArns": ["c4", "c5"]})),
        })
        .on("ecs:DescribeClusters", |seen| {
            let asked = seen.params["clusters"].as_array().unwrap();
            let known = asked.iter().filter(|c| *c != "c4").rev();
            let cluster = |c: &Json| json!({"clusterArn": c, "clusterName": format!("name of {}", c.as_str().unwrap())});
            let clusters: Vec<Json> = known.map(cluster).collect();
            ok(json!({"clusters": clusters}))
        })
        .on("ecs:ListServices", |seen| match seen.text("cluster").as_str() {
            "c2" => denied(),
            "c3" => ok(json!({"serviceArns": []})),
            c => ok(json!({"serviceArns": [format!("{c}/s1"), format!("{c}/s2")]})),
        })
        .on("ecs:DescribeServices", |seen| {
            let asked = seen.params["services"].as_array().unwrap().iter();
            let service = |s: &Json| json!({"serviceArn": s, "serviceName": s, "status": seen.text("cluster")});
            let services: Vec<Json> = asked.map(service).collect();
            ok(json!({"services": services}))
        })
}

#[test]
fn batches_are_full_in_the_order_of_rows_and_joined_by_what_was_asked() {
    let fake = Arc::new(ecs());
    let ran = collect(
        &catalog("ecs", ECS),
        &everything(&["ecs_cluster"]),
        &targets(&fake, &["us-east-1"]),
    );
    let mut batches: Vec<String> = fake
        .calls()
        .into_iter()
        .filter(|m| m.operation == "ecs:DescribeClusters")
        .map(|m| m.params)
        .collect();
    batches.sort();
    let expected = [r#"["c1","c2"]"#, r#"["c3","c4"]"#, r#"["c5"]"#];
    assert_eq!(
        batches,
        expected.map(|c| format!(r#"{{"clusters":{c},"include":["TAGS"]}}"#))
    );
    let names = ran.column("ecs_cluster", "cluster_name");
    assert_eq!(
        names,
        [
            json!("name of c1"),
            json!("name of c2"),
            json!("name of c3"),
            Json::Null,
            json!("name of c5")
        ]
    );
    assert_eq!(
        strings(ran.column("ecs_cluster", "cluster_arn")),
        ["c1", "c2", "c3", "c4", "c5"]
    );
    assert!(ran.failures("ecs_cluster", "cluster_arn").is_empty());
}

#[test]
fn children_follow_each_parent_and_carry_its_values() {
    let fake = Arc::new(ecs());
    let ran = collect(
        &catalog("ecs", ECS),
        &some("ecs_service", &["status", "its_cluster"]),
        &targets(&fake, &["us-east-1"]),
    );
    fake.assert_no_call_twice();
    // The parent is not asked for itself: no call for its rows, no table.
    assert_eq!(fake.count("ecs:DescribeClusters"), 0);
    assert!(!ran.collected.dataset.tables.contains_key("ecs_cluster"));
    let arns = ["c1/s1", "c1/s2", "c4/s1", "c4/s2", "c5/s1", "c5/s2"];
    assert_eq!(strings(ran.column("ecs_service", "arn")), arns);
    assert_eq!(
        strings(ran.column("ecs_service", "its_cluster")),
        arns.map(|a| a[..2].to_owned())
    );
    assert_eq!(
        strings(ran.column("ecs_service", "status")),
        arns.map(|a| a[..2].to_owned())
    );
    assert_eq!(
        ran.gaps("ecs_service"),
        [(
            "us-east-1".to_owned(),
            "ListServices:AccessDenied".to_owned()
        )]
    );
}

#[test]
fn one_list_fills_several_tables_and_encloses_rows() {
    let toml = r#"
title = "EC2"
[table.ec2_instance]
about = "Instances."
id = "instance_id"
arn = "arn:${partition}:ec2:${region}:${account_id}:instance/${instance_id}"
[table.ec2_instance.list]
call = "DescribeInstances"
params = { MaxResults = 1000 }
rows = "Reservations[].Instances[]"
outer = { owner = "OwnerId" }
[table.ec2_instance.column]
group_count = { from = "security_groups", as = "count" }
[table.ec2_reservation]
about = "Reservations."
id = "reservation_id"
[table.ec2_reservation.list]
call = "DescribeInstances"
params = { MaxResults = 1000 }
rows = "Reservations[]"
"#;
    let instance = |id: &str| json!({"InstanceId": id, "Tags": [{"Key": "Name", "Value": id}], "SecurityGroups": [{"GroupId": "g"}]});
    let fake = Fake::new().on("ec2:DescribeInstances", move |seen| match seen.region {
        "us-east-1" => ok(json!({"Reservations": [
            {"ReservationId": "r1", "OwnerId": "1", "Instances": [instance("i-1"), instance("i-2")]},
            {"ReservationId": "r2", "OwnerId": "2", "Instances": [instance("i-3")]},
            {"ReservationId": "r3", "OwnerId": "3"}
        ]})),
        _ => ok(json!({})),
    });
    let fake = Arc::new(fake);
    let request = everything(&["ec2_instance", "ec2_reservation"]);
    let ran = collect(
        &catalog("ec2", toml),
        &request,
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    assert_eq!(fake.calls().len(), 2);
    assert_eq!(
        strings(ran.column("ec2_instance", "instance_id")),
        ["i-1", "i-2", "i-3"]
    );
    assert_eq!(
        strings(ran.column("ec2_instance", "owner")),
        ["1", "1", "2"]
    );
    assert_eq!(
        ran.column("ec2_instance", "group_count"),
        [1, 1, 1].map(Json::from)
    );
    assert_eq!(
        ran.column("ec2_instance", "tags")[2],
        json!({"Name": "i-3"})
    );
    assert_eq!(
        ran.column("ec2_instance", "arn")[0],
        json!("arn:aws:ec2:us-east-1:111111111111:instance/i-1")
    );
    assert_eq!(
        strings(ran.column("ec2_reservation", "reservation_id")),
        ["r1", "r2", "r3"]
    );
    assert_eq!(ran.counts("ec2:DescribeInstances"), (2, 2, 0));
}

const REPORT: &str = r#"
title = "IAM"
scope = "global"
[table.iam_credential]
about = "Credentials."
id = "user_name"
[table.iam_credential.list]
call = "GetCredentialReport"
csv = "Content"
before = { call = "GenerateCredentialReport", until = { State = "COMPLETE" } }
[table.iam_credential.column]
user_name = { csv = "user", type = "text" }
mfa_active = { csv = "mfa_active", type = "boolean" }
used = { csv = "password_last_used", type = "timestamp" }
"#;

#[test]
fn reports_are_waited_for_and_read_as_csv() {
    let fake = Fake::new()
        .on("iam:GenerateCredentialReport", |seen| {
            ok(json!({"State": if seen.times < 3 { "INPROGRESS" } else { "COMPLETE" }}))
        })
        .answers("iam:GetCredentialReport", json!({"Content": "user,mfa_active,password_last_used\n<root_account>,true,2026-01-01T00:00:00+00:00\nbob,false,no_information\neve,maybe,N/A\n"}));
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("iam", REPORT),
        &everything(&["iam_credential"]),
        &targets(&fake, &["eu-west-1"]),
    );
    assert_eq!(
        (
            fake.count("iam:GenerateCredentialReport"),
            fake.count("iam:GetCredentialReport")
        ),
        (4, 1)
    );
    assert_eq!(fake.calls()[0].region, "us-east-1");
    assert_eq!(
        ran.column("iam_credential", "mfa_active"),
        [json!(true), json!(false), Json::Null]
    );
    assert_eq!(
        ran.column("iam_credential", "used"),
        [json!("2026-01-01T00:00:00Z"), Json::Null, Json::Null]
    );
    // What is no boolean is marked, not taken for false; the row is still told apart from others.
    assert_eq!(
        ran.failures("iam_credential", "user_name"),
        [(json!("eve"), 0, "Malformed".to_owned())]
    );
    assert_eq!(ran.counts("iam:GenerateCredentialReport"), (1, 1, 0));
}

#[test]
fn a_report_that_is_never_ready_or_refused_is_a_gap() {
    let never =
        Arc::new(Fake::new().answers("iam:GenerateCredentialReport", json!({"State": "STARTED"})));
    let ran = collect(
        &catalog("iam", REPORT),
        &everything(&["iam_credential"]),
        &targets(&never, &["eu-west-1"]),
    );
    assert_eq!(
        ran.gaps("iam_credential"),
        [(
            "us-east-1".to_owned(),
            "GenerateCredentialReport:NotReady".to_owned()
        )]
    );
    assert_eq!(
        never.count("iam:GenerateCredentialReport"),
        Limits::default().polls
    );
    let refused = Arc::new(Fake::new().on("iam:GenerateCredentialReport", |_| denied()));
    let ran = collect(
        &catalog("iam", REPORT),
        &everything(&["iam_credential"]),
        &targets(&refused, &["eu-west-1"]),
    );
    assert_eq!(
        ran.gaps("iam_credential"),
        [(
            "us-east-1".to_owned(),
            "GenerateCredentialReport:AccessDenied".to_owned()
        )]
    );
    assert_eq!(
        ran.collected.coverage.failures[0].0.permissions,
        ["iam:GenerateCredentialReport"]
    );
    assert_eq!(ran.counts("iam:GetCredentialReport"), (0, 0, 0));
}

#[test]
fn settings_are_one_row_for_each_account_or_region() {
    let toml = r#"
title = "EC2"
[table.ec2_region_settings]
about = "Settings."
id = "region"
[[table.ec2_region_settings.call]]
call = "GetEbsEncryptionByDefault"
[[table.ec2_region_settings.call]]
call = "GetEbsDefaultKmsKeyId"
"#;
    let fake = Fake::new()
        .on("ec2:GetEbsEncryptionByDefault", |seen| match seen.region {
            "eu-west-1" => denied(),
            "eu-south-2" => refuse(palisade_core::CallErrorKind::Unavailable, "OptInRequired"),
            _ => ok(json!({"EbsEncryptionByDefault": true})),
        })
        .on("ec2:GetEbsDefaultKmsKeyId", |seen| match seen.region {
            "eu-south-2" => refuse(palisade_core::CallErrorKind::Unavailable, "OptInRequired"),
            _ => ok(json!({"KmsKeyId": "k"})),
        });
    let fake = Arc::new(fake);
    let regions = ["us-east-1", "eu-west-1", "eu-south-2"];
    let ran = collect(
        &catalog("ec2", toml),
        &everything(&["ec2_region_settings"]),
        &targets(&fake, &regions),
    );
    // The region that is not enabled has no row and no failure: nothing is there to be judged.
    assert_eq!(
        strings(ran.column("ec2_region_settings", "region")),
        ["eu-west-1", "us-east-1"]
    );
    assert_eq!(
        ran.column("ec2_region_settings", "ebs_encryption_by_default"),
        [Json::Null, json!(true)]
    );
    assert_eq!(
        ran.failures("ec2_region_settings", "region"),
        [(json!("eu-west-1"), 1, "AccessDenied".to_owned())]
    );
    assert_eq!(ran.collected.coverage.skipped.len(), 1);
    assert_eq!(
        ran.collected.coverage.skipped[0].reason,
        "the service answered `OptInRequired`"
    );
    assert_eq!(ran.counts("ec2:GetEbsEncryptionByDefault"), (2, 1, 1));
}

#[test]
fn the_same_resource_in_several_regions_is_kept_once() {
    let toml = r#"
title = "CloudTrail"
[table.cloudtrail_trail]
about = "Trails."
id = "name"
arn = "${trail_arn}"
region = ["home_region"]
unique = true
list = { call = "DescribeTrails", rows = "trailList[]" }
[[table.cloudtrail_trail.call]]
call = "GetTrailStatus"
params = { Name = "${trail_arn}" }
into = "status"
"#;
    let trail = |name: &str, home: &str| json!({"Name": name, "TrailARN": format!("arn:{name}"), "HomeRegion": home});
    let fake = Fake::new()
        .on("cloudtrail:DescribeTrails", move |seen| match seen.region {
            "eu-west-1" => {
                ok(json!({"trailList": [trail("all", "us-east-1"), trail("eu", "eu-west-1")]}))
            }
            "us-east-1" => {
                ok(json!({"trailList": [trail("all", "us-east-1"), trail("far", "ap-south-1")]}))
            }
            _ => denied(),
        })
        .answers("cloudtrail:GetTrailStatus", json!({"IsLogging": true}));
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("cloudtrail", toml),
        &everything(&["cloudtrail_trail"]),
        &targets(&fake, &["us-east-1", "eu-west-1", "us-west-2"]),
    );
    assert_eq!(
        strings(ran.column("cloudtrail_trail", "name")),
        ["eu", "all"]
    );
    assert_eq!(fake.count("cloudtrail:GetTrailStatus"), 2);
    assert_eq!(
        ran.gaps("cloudtrail_trail"),
        [(
            "us-west-2".to_owned(),
            "DescribeTrails:AccessDenied".to_owned()
        )]
    );
}

#[test]
fn equal_parameters_are_asked_once_for_all_rows() {
    let toml = r#"
title = "EC2"
[table.ec2_volume]
about = "Volumes."
id = "volume_id"
list = { call = "DescribeVolumes", rows = "Volumes[]" }
[[table.ec2_volume.call]]
call = "DescribeAvailabilityZones"
params = { ZoneNames = ["${availability_zone}"] }
from = "AvailabilityZones"
into = "zones"
"#;
    let volumes: Vec<Json> = (0..300).map(|i| json!({"VolumeId": format!("v{i}"), "AvailabilityZone": if i % 3 == 0 { Json::Null } else { json!(format!("z{}", i % 2)) }})).collect();
    let fake = Fake::new()
        .answers("ec2:DescribeVolumes", json!({"Volumes": volumes}))
        .on("ec2:DescribeAvailabilityZones", |seen| {
            ok(json!({"AvailabilityZones": [{"ZoneName": seen.params["ZoneNames"][0]}]}))
        });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("ec2", toml),
        &everything(&["ec2_volume"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(fake.count("ec2:DescribeAvailabilityZones"), 2);
    let zones = ran.column("ec2_volume", "zones");
    // A parameter that is NULL, and known to be, asks for nothing.
    assert_eq!(zones[0], Json::Null);
    assert_eq!(
        (
            zones[1][0]["zone_name"].clone(),
            zones[2][0]["zone_name"].clone()
        ),
        (json!("z1"), json!("z0"))
    );
    assert!(ran.failures("ec2_volume", "volume_id").is_empty());
}

#[test]
fn pages_of_a_rows_answer_are_one_answer() {
    let toml = r#"
title = "IAM"
scope = "global"
[table.iam_user]
about = "Users."
id = "user_name"
list = { call = "ListUsers", rows = "Users[]" }
[[table.iam_user.call]]
call = "ListMFADevices"
params = { UserName = "${user_name}" }
from = "MFADevices"
into = "devices"
"#;
    let device = |n: i32| json!({"SerialNumber": n.to_string(), "UserName": "u", "EnableDate": "2026-01-01T00:00:00Z"});
    let fake = Fake::new()
        .answers(
            "iam:ListUsers",
            json!({"Users": [{"UserName": "u"}, {"UserName": "v"}]}),
        )
        .on("iam:ListMFADevices", move |seen| {
            match (seen.text("UserName").as_str(), seen.text("Marker").as_str()) {
                ("u", "") => page(
                    json!({"MFADevices": [device(1)]}),
                    json!({"UserName": "u", "Marker": "m"}),
                ),
                ("u", _) => ok(json!({"MFADevices": [device(2), device(3)]})),
                (_, "") => page(
                    json!({"MFADevices": [device(1)]}),
                    json!({"UserName": "v", "Marker": "m"}),
                ),
                _ => denied(),
            }
        });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("iam", toml),
        &everything(&["iam_user"]),
        &targets(&fake, &["us-east-1"]),
    );
    let devices = ran.column("iam_user", "devices");
    assert_eq!(
        devices[0]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["serial_number"].clone())
            .collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
    // Half an answer is no answer.
    assert_eq!(devices[1], Json::Null);
    assert_eq!(
        ran.failures("iam_user", "user_name"),
        [(json!("v"), 1, "AccessDenied".to_owned())]
    );
}

#[test]
fn the_answer_itself_may_be_the_row() {
    let toml = r#"
title = "STS"
scope = "global"
[table.sts_caller]
about = "Who asks."
id = "user_id"
list = { call = "GetCallerIdentity", rows = ".", absent = ["Gone"] }
"#;
    let catalog = catalog("sts", toml);
    let fake = Arc::new(Fake::new().answers(
        "sts:GetCallerIdentity",
        json!({"UserId": "u", "Account": "1", "Arn": "a"}),
    ));
    let ran = collect(
        &catalog,
        &everything(&["sts_caller"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(strings(ran.column("sts_caller", "user_id")), ["u"]);
    let fake = Arc::new(Fake::new().on("sts:GetCallerIdentity", |_| {
        refuse(palisade_core::CallErrorKind::Other, "Gone")
    }));
    let ran = collect(
        &catalog,
        &everything(&["sts_caller"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(ran.column("sts_caller", "user_id"), [Json::Null]);
    assert!(ran.gaps("sts_caller").is_empty() && ran.collected.coverage.is_complete());
}

#[test]
fn secrets_and_hidden_values_stay_behind() {
    let toml = r#"
title = "Lambda"
[table.lambda_function]
about = "Functions."
id = "function_name"
arn = "${function_arn}"
list = { call = "ListFunctions", rows = "Functions[]" }
[table.lambda_function.column]
environment_secrets = { from = "environment.variables", as = "secrets" }
environment_names = { from = "environment.variables", as = "keys" }
environment = { hide = true }
"#;
    let fake = Fake::new().answers(
        "lambda:ListFunctions",
        json!({"Functions": [{"FunctionName": "f", "FunctionArn": "arn:f", "Environment": {"Variables": {"DB_PASSWORD": "Tr0ub4dor&3", "MODE": "x"}}}]}),
    );
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("lambda", toml),
        &everything(&["lambda_function"]),
        &targets(&fake, &["us-east-1"]),
    );
    let row = &ran.rows("lambda_function")[0];
    assert_eq!(
        row["environment_secrets"],
        json!([{"name": "DB_PASSWORD", "kind": "password"}])
    );
    assert!(!Json::Object(row.clone()).to_string().contains("Tr0ub4dor"));
    assert!(!row.contains_key("environment"));
}

#[test]
fn rows_without_calls_of_their_own_live_where_they_say_too() {
    let fake = Arc::new(buckets());
    let ran = collect(
        &catalog("s3", BUCKETS),
        &some("s3_bucket", &["name"]),
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    assert_eq!(
        strings(ran.column("s3_bucket", "region")),
        ["eu-west-1", "us-east-1", "us-east-1"]
    );
    assert_eq!(fake.calls().len(), 2);
}

#[test]
fn a_row_that_goes_does_not_hold_up_a_batch() {
    let toml = r#"
title = "ECR"
[table.ecr_repository]
about = "Repositories."
id = "repository_name"
region = ["lives"]
list = { call = "DescribeRepositories", rows = "repositories[]" }
[[table.ecr_repository.call]]
call = "GetRepositoryPolicy"
params = { repositoryName = "${repository_name}" }
from = "policyText"
into = "lives"
[[table.ecr_repository.call]]
call = "BatchGetRepositoryScanningConfiguration"
batch = { param = "repositoryNames", of = "repository_name", size = 10, rows = "scanningConfigurations[]", match = "repositoryName" }
from = "scanFrequency"
into = "scan"
"#;
    let names = ["a", "b", "c", "d"].map(|n| json!({"repositoryName": n, "repositoryArn": n}));
    let fake = Fake::new()
        .answers("ecr:DescribeRepositories", json!({"repositories": names}))
        .on("ecr:GetRepositoryPolicy", |seen| {
            match seen.text("repositoryName").as_str() {
                "d" => ok(json!({"policyText": "sa-east-1"})),
                "b" => ok(json!({"policyText": "nowhere"})),
                "c" => denied(),
                _ => ok(json!({"policyText": "eu-west-1"})),
            }
        })
        .on("ecr:BatchGetRepositoryScanningConfiguration", |seen| {
            let one = |n: &Json| json!({"repositoryName": n, "scanFrequency": "MANUAL"});
            let all: Vec<Json> = seen.params["repositoryNames"]
                .as_array()
                .unwrap()
                .iter()
                .map(one)
                .collect();
            ok(json!({"scanningConfigurations": all}))
        })
        // The row that goes is the last that is heard of.
        .slow(|number| std::time::Duration::from_millis(number as u64 * 50));
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("ecr", toml),
        &everything(&["ecr_repository"]),
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    let found: Vec<(Json, Json, Json)> = ran
        .rows("ecr_repository")
        .into_iter()
        .map(|r| {
            (
                r["repository_name"].clone(),
                r["region"].clone(),
                r["scan"].clone(),
            )
        })
        .collect();
    // Listed in two regions; where a row lives is not known, nothing more is asked for it.
    let lives = |name: &str, region: &str, scan: Json| (json!(name), json!(region), scan);
    let expected = [
        lives("a", "eu-west-1", json!("MANUAL")),
        lives("b", "eu-west-1", Json::Null),
        lives("c", "eu-west-1", Json::Null),
        lives("a", "eu-west-1", json!("MANUAL")),
        lives("b", "us-east-1", Json::Null),
        lives("c", "us-east-1", Json::Null),
    ];
    assert_eq!(found, expected);
    let failed = ran.failures("ecr_repository", "repository_name");
    assert_eq!(
        failed
            .iter()
            .filter(|f| f.0 == "b" && f.2 == "Malformed")
            .count(),
        4,
        "{failed:?}"
    );
    assert_eq!(
        failed
            .iter()
            .filter(|f| f.0 == "c" && f.2 == "AccessDenied")
            .count(),
        4,
        "{failed:?}"
    );
}

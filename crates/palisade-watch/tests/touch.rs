//! Events as EventBridge delivers them, and what they touched.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use palisade_collect::Narrowing;
use palisade_table::CatalogSchemas;
use palisade_watch::{Event, Index, Message, Touch, read};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let shipped = CatalogSchemas::shipped();
    let tables: BTreeSet<String> = shipped.catalog().tables.keys().cloned().collect();
    Index::new(
        Arc::clone(shipped.catalog()),
        shipped.models(),
        &shipped,
        &tables,
    )
});

fn cloudtrail(source: &str, name: &str, request: Json, response: Json, arns: &[&str]) -> Json {
    let resources: Vec<Json> = arns.iter().map(|a| json!({ "ARN": a })).collect();
    json!({
        "version": "0",
        "id": "6f87d04b-9f74-4f04-a780-7acf4b0a9b38",
        "detail-type": "AWS API Call via CloudTrail",
        "source": format!("aws.{source}"),
        "account": "111111111111",
        "time": "2026-01-31T12:00:00Z",
        "region": "eu-west-1",
        "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": { "type": "IAMUser", "accountId": "111111111111" },
            "eventTime": "2026-01-31T11:59:58Z",
            "eventSource": format!("{source}.amazonaws.com"),
            "eventName": name,
            "awsRegion": "eu-west-1",
            "requestParameters": request,
            "responseElements": response,
            "eventID": "0aee4b5c-1b0c-4d2c-9f6f-1fbb3f0c2d11",
            "readOnly": false,
            "resources": resources,
            "recipientAccountId": "111111111111"
        }
    })
}

fn event(json: &Json) -> Event {
    match read(&json.to_string()).unwrap() {
        Message::Event(event) => event,
        Message::Nothing(seen) => panic!("{seen:?}"),
    }
}

/// `table: ids @ regions`, `*` for all of either.
fn shown(narrowing: &Narrowing) -> Vec<String> {
    let set = |set: &Option<BTreeSet<String>>| match set {
        None => "*".to_owned(),
        Some(set) => set.iter().cloned().collect::<Vec<_>>().join(","),
    };
    narrowing
        .iter()
        .map(|(table, rows)| format!("{table}: {} @ {}", set(&rows.ids), set(&rows.regions)))
        .collect()
}

fn touched(json: &Json) -> Vec<String> {
    match INDEX.touch(&event(json)) {
        Touch::Rows(rows) => shown(&rows),
        Touch::Nothing(reason) => vec![reason.to_owned()],
    }
}

#[test]
fn what_is_touched() {
    let none = Json::Null;
    let nothing = vec!["it changes nothing that is read"];
    let cases: Vec<(Json, Vec<&str>)> = vec![
        (
            cloudtrail(
                "s3",
                "PutBucketPolicy",
                json!({"bucketName": "b", "bucketPolicy": {"Version": "x"}}),
                none.clone(),
                &["arn:aws:s3:::b"],
            ),
            vec!["s3_bucket: arn:aws:s3:::b,b @ *"],
        ),
        (
            cloudtrail(
                "s3",
                "PutObject",
                json!({"bucketName": "b", "key": "k"}),
                none.clone(),
                &[],
            ),
            nothing.clone(),
        ),
        (
            cloudtrail(
                "kms",
                "Decrypt",
                none.clone(),
                none.clone(),
                &["arn:aws:kms:eu-west-1:111111111111:key/k"],
            ),
            nothing.clone(),
        ),
        (
            cloudtrail(
                "ec2",
                "AuthorizeSecurityGroupIngress",
                json!({"groupId": "sg-1", "ipPermissions": {"items": [{"ipProtocol": "tcp"}]}}),
                json!({"_return": true}),
                &[],
            ),
            vec!["ec2_security_group: sg-1 @ eu-west-1"],
        ),
        // by name only: which group it is cannot be told
        (
            cloudtrail(
                "ec2",
                "AuthorizeSecurityGroupIngress",
                json!({"groupName": "default"}),
                none.clone(),
                &[],
            ),
            vec!["ec2_security_group: * @ eu-west-1"],
        ),
        // the id is in the answer's set
        (
            cloudtrail(
                "ec2",
                "CreateVolume",
                json!({"size": "8"}),
                json!({"volumeId": "vol-1", "size": "8"}),
                &[],
            ),
            vec!["ec2_volume: vol-1 @ eu-west-1"],
        ),
        (
            cloudtrail(
                "ec2",
                "EnableEbsEncryptionByDefault",
                json!({}),
                none.clone(),
                &[],
            ),
            vec!["ec2_settings: * @ eu-west-1"],
        ),
        (
            cloudtrail(
                "ec2",
                "CreateFlowLogs",
                json!({"CreateFlowLogsRequest": {"ResourceId": {"tag": 1, "content": "vpc-1"}}}),
                json!({"CreateFlowLogsResponse": {"flowLogIdSet": {"item": "fl-1"}}}),
                &[],
            ),
            vec!["ec2_flow_log: fl-1 @ eu-west-1"],
        ),
        (
            cloudtrail(
                "rds",
                "ModifyDBInstance",
                json!({"dBInstanceIdentifier": "db"}),
                none.clone(),
                &[],
            ),
            vec!["rds_db_instance: db @ eu-west-1"],
        ),
        (
            cloudtrail(
                "lambda",
                "UpdateFunctionConfiguration20150331v2",
                json!({"functionName": "f"}),
                none.clone(),
                &[],
            ),
            vec!["lambda_function: f @ eu-west-1"],
        ),
        (
            cloudtrail(
                "sqs",
                "SetQueueAttributes",
                json!({"queueUrl": "https://sqs.eu-west-1.amazonaws.com/111111111111/q"}),
                none.clone(),
                &[],
            ),
            vec!["sqs_queue: https://sqs.eu-west-1.amazonaws.com/111111111111/q @ eu-west-1"],
        ),
        (
            cloudtrail(
                "kms",
                "PutKeyPolicy",
                json!({"keyId": "k"}),
                none.clone(),
                &["arn:aws:kms:eu-west-1:111111111111:key/k"],
            ),
            vec!["kms_key: arn:aws:kms:eu-west-1:111111111111:key/k,k @ eu-west-1"],
        ),
        // rows below are listed anew
        (
            cloudtrail(
                "route53",
                "ChangeResourceRecordSets",
                json!({"hostedZoneId": "Z1"}),
                none.clone(),
                &[],
            ),
            vec!["route53_hosted_zone: Z1 @ *", "route53_record: * @ *"],
        ),
        // a service that is not known
        (
            cloudtrail("nothing", "CreateThing", none.clone(), none.clone(), &[]),
            vec!["no table that is read is of its service"],
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(touched(&json), expected, "{}", json["detail"]["eventName"]);
    }
}

#[test]
fn iam_is_read_together() {
    let json = cloudtrail(
        "iam",
        "AttachRolePolicy",
        json!({"roleName": "r", "policyArn": "arn:aws:iam::aws:policy/P"}),
        Json::Null,
        &[],
    );
    let touched = touched(&json);
    for table in ["iam_user", "iam_group", "iam_role", "iam_policy"] {
        assert!(touched.contains(&format!("{table}: * @ *")), "{touched:?}");
    }
}

#[test]
fn a_service_event_touches_what_it_names() {
    let json = json!({
        "version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
        "account": "111111111111", "time": "2026-01-31T12:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:ec2:us-east-1:111111111111:instance/i-1"],
        "detail": {"instance-id": "i-1", "state": "terminated"}
    });
    let touched = touched(&json);
    let instance = "ec2_instance: arn:aws:ec2:us-east-1:111111111111:instance/i-1,i-1 @ us-east-1";
    assert!(touched.contains(&instance.to_owned()), "{touched:?}");
    assert!(
        touched.contains(&"ec2_volume: * @ us-east-1".to_owned()),
        "{touched:?}"
    );
}

#[test]
fn messages_that_change_nothing_and_messages_that_are_none() {
    let base = cloudtrail(
        "s3",
        "PutBucketPolicy",
        json!({"bucketName": "b"}),
        Json::Null,
        &[],
    );
    let with = |path: &str, value: Json| {
        let mut json = base.clone();
        *json.pointer_mut(path).unwrap() = value;
        json
    };
    let mut failed = base.clone();
    failed["detail"]["errorCode"] = json!("AccessDenied");
    for (json, reason) in [
        (with("/detail/readOnly", json!(true)), "it changed nothing"),
        (failed, "it failed"),
        (
            json!({"id": "1", "detail-type": "Mine", "source": "my.app", "detail": {}}),
            "it is no event of AWS",
        ),
    ] {
        match read(&json.to_string()).unwrap() {
            Message::Nothing(seen) => assert_eq!(seen.reason, reason),
            Message::Event(event) => panic!("{event:?}"),
        }
    }
    // inside a notification of SNS, and as a bare record
    let wrapped = json!({"Type": "Notification", "Message": base.to_string()});
    assert_eq!(event(&wrapped), event(&base));
    assert_eq!(event(&base["detail"]).name, "PutBucketPolicy");
    for (text, expected) in [
        ("{", "not JSON"),
        ("{}", "neither `detail-type` nor `eventName`"),
        (
            &with("/detail/eventName", json!(null)).to_string(),
            "a name",
        ),
        (
            &with("/detail/eventSource", json!("")).to_string(),
            "an event source",
        ),
        (
            &with("/detail/recipientAccountId", json!("x")).to_string(),
            "an account",
        ),
        (
            r#"{"detail-type": "AWS API Call via CloudTrail", "detail": 1}"#,
            "without `detail.eventName`",
        ),
        (r#"{"Type": "Notification", "Message": "x"}"#, "is not JSON"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn touches_add_up() {
    let mut all = Narrowing::new();
    for bucket in ["a", "b"] {
        let json = cloudtrail(
            "s3",
            "PutBucketAcl",
            json!({"bucketName": bucket}),
            Json::Null,
            &[],
        );
        INDEX.touch(&event(&json)).add_to(&mut all);
    }
    assert_eq!(shown(&all), ["s3_bucket: a,b @ *"]);
    let json = cloudtrail("s3", "CreateBucket", json!({}), Json::Null, &[]);
    INDEX.touch(&event(&json)).add_to(&mut all);
    assert_eq!(shown(&all), ["s3_bucket: * @ *"]);
    // many rows are a table
    let mut many = Narrowing::new();
    for number in 0..300 {
        let json = cloudtrail(
            "s3",
            "PutBucketAcl",
            json!({"bucketName": number.to_string()}),
            Json::Null,
            &[],
        );
        INDEX.touch(&event(&json)).add_to(&mut many);
    }
    assert_eq!(shown(&many), ["s3_bucket: * @ *"]);
}

/// Every service that is watched has a source of events, and an event of which nothing is known reads its tables.
#[test]
fn every_table_is_reached_by_events_of_its_service() {
    let catalog = palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog;
    for table in catalog.tables.values() {
        let json = cloudtrail(&table.model, "Zzz", Json::Null, Json::Null, &[]);
        let touched = touched(&json);
        let found = touched
            .iter()
            .any(|t| t.starts_with(&format!("{}: ", table.name)));
        let said = catalog
            .events
            .get(&table.model)
            .is_some_and(|e| e.rules.iter().any(|r| r.names("Zzz")));
        assert!(found || said, "{}: {touched:?}", table.name);
    }
}

//! Whatever arrives: decoders give a value or an error, and never panic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use aws_smithy_runtime_api::http::Headers;
use palisade_aws::decode::{Answer, Decoder};
use palisade_model::{Models, Protocol, Value};
use proptest::prelude::*;
use std::sync::{Arc, LazyLock};

struct Api {
    decoder: Decoder,
    operation: palisade_model::Operation,
    valid: Vec<u8>,
}

fn api(service: &str, operation: &str, protocol: Protocol, valid: &[u8]) -> Api {
    let model = Models::embedded().get(service).unwrap();
    Api {
        operation: model.operation(operation).unwrap().clone(),
        decoder: Decoder::new(Arc::clone(&model), protocol),
        valid: valid.to_vec(),
    }
}

static APIS: LazyLock<Vec<Api>> = LazyLock::new(|| {
    vec![
        api("ec2", "DescribeInstances", Protocol::Ec2, b"<R><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><launchTime>2026-01-31T12:00:00.000Z</launchTime><tagSet><item><key>a&amp;b</key><value><![CDATA[c]]></value></item></tagSet></item></instancesSet></item></reservationSet></R>"),
        api("iam", "ListRoles", Protocol::Query, b"<R><ListRolesResult><Roles><member><RoleName>r</RoleName><AssumeRolePolicyDocument>%7B%22a%22%3A1%7D</AssumeRolePolicyDocument></member></Roles></ListRolesResult></R>"),
        api("s3", "GetBucketAcl", Protocol::RestXml, b"<A><Owner><ID>1</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi=\"http://x\" xsi:type=\"Group\"><URI>u</URI></Grantee><Permission>READ</Permission></Grant></AccessControlList></A>"),
        api("dynamodb", "DescribeTable", Protocol::Json, br#"{"Table":{"TableName":"t","CreationDateTime":1.7e9,"KeySchema":[{"AttributeName":"a"}],"TableSizeBytes":12}}"#),
        api("lambda", "ListFunctions", Protocol::RestJson, br#"{"Functions":[{"FunctionName":"f","Environment":{"Variables":{"A":"B"}},"CodeSize":1}],"NextMarker":null}"#),
        api("cloudwatch", "ListTagsForResource", Protocol::Cbor, b"\xbf\x64Tags\x9f\xbf\x63Key\x61a\x65Value\x61b\xff\xff\xff"),
    ]
});

fn read(api: &Api, body: &[u8]) -> Option<Value> {
    let headers = Headers::new();
    drop(api.decoder.error(400, &headers, body));
    match api.decoder.answer(&api.operation, 200, &headers, body) {
        Ok(Answer::Output(value)) => Some(value),
        _ => None,
    }
}

#[test]
fn the_valid_ones_are_valid_and_their_cuts_are_not() {
    for api in APIS.iter() {
        assert!(read(api, &api.valid).is_some(), "{}", api.operation.name);
        for end in 1..api.valid.len() {
            assert!(
                read(api, &api.valid[..end]).is_none(),
                "{} cut at {end}",
                api.operation.name
            );
        }
        let mut more = api.valid.clone();
        more.extend_from_slice(&api.valid);
        assert!(read(api, &more).is_none(), "{} twice", api.operation.name);
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_stack_overflow() {
    let deep = 200_000;
    let xml = "<a>".repeat(deep);
    let json = "[".repeat(deep);
    let cbor = vec![0x81; deep];
    let known = format!("<R><Filter>{}", "<And>".repeat(deep));
    for api in APIS.iter() {
        for body in [xml.as_bytes(), json.as_bytes(), &cbor, known.as_bytes()] {
            assert!(read(api, body).is_none());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for api in APIS.iter() {
            read(api, &body);
        }
    }

    #[test]
    fn changed_answers(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..8)) {
        for api in APIS.iter() {
            let mut body = api.valid.clone();
            for (at, byte, how) in &changes {
                if body.is_empty() {
                    break;
                }
                let at = at.index(body.len());
                match how {
                    0 => body[at] = *byte,
                    1 => body.insert(at, *byte),
                    _ => drop(body.remove(at)),
                }
            }
            read(api, &body);
        }
    }
}

//! botocore's endpoint cases through our rule interpreter.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests"
)]
mod common;

use palisade_aws::endpoint::{Endpoint, EndpointError, Partitions, RuleSet};
use palisade_model::Models;
use serde_json::{Map, Value as Json};

/// Cases in the archive.
const CASES: usize = 14_027;

#[test]
fn every_endpoint_case() {
    let Some(files) = common::suites("endpoint-rules/") else {
        return;
    };
    let packed = std::fs::read(
        common::root().join("crates/palisade-aws/tests/data/endpoint-rules.json.zst"),
    )
    .unwrap();
    let data: Json = serde_json::from_slice(&zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
    let partitions = Partitions::parse(data["partitions"].to_string().as_bytes()).unwrap();
    let (mut run, mut failures) = (0, Vec::new());
    for (path, file) in &files {
        let service = path.split('/').nth(1).unwrap();
        let rules = RuleSet::parse(&data["rules"][service].to_string()).unwrap();
        for case in file["testCases"].as_array().unwrap() {
            run += 1;
            let none = Map::new();
            let params = case["params"].as_object().unwrap_or(&none);
            if let Err(found) = check(&case["expect"], rules.resolve(params, &partitions)) {
                failures.push(format!("{service}: {}: {found}", case["documentation"]));
            }
        }
    }
    eprintln!("{} of {run} endpoint cases agree", run - failures.len());
    assert!(
        failures.is_empty(),
        "{} of {run} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert_eq!(run, CASES);
}

/// The rules that are shipped are newer than the archive: all of them parse and give an endpoint.
#[test]
fn every_shipped_rule_set_resolves() {
    let models = Models::embedded();
    let partitions = Partitions::parse(models.partitions()).unwrap();
    for name in models.names() {
        let model = models.get(name).unwrap();
        let rules = RuleSet::parse(&model.endpoint_rules).unwrap();
        let params = [
            ("Region", "eu-central-1"),
            ("AccountId", "123456789012"),
            ("Bucket", "bucket"),
        ];
        let mut params: Map<String, Json> = params
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.into()))
            .collect();
        for (key, value) in &model.operations.get(0).unwrap().static_context {
            params.insert(key.clone(), serde_json::from_str(value).unwrap());
        }
        let endpoint = rules
            .resolve(&params, &partitions)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(
            endpoint.url.starts_with("https://"),
            "{name} {}",
            endpoint.url
        );
    }
}

fn check(expect: &Json, found: Result<Endpoint, EndpointError>) -> Result<(), String> {
    match (expect["error"].as_str(), found) {
        (Some(error), Err(EndpointError::Refused(message))) if message == error => Ok(()),
        // The text of a missing parameter is botocore's, not AWS's.
        (Some(_), Err(EndpointError::MissingParameter(_))) => Ok(()),
        (None, Ok(endpoint)) => {
            let wanted = &expect["endpoint"];
            let empty = Json::Object(Map::new());
            let part = |name: &str| wanted.get(name).unwrap_or(&empty).clone();
            let same = wanted["url"] == endpoint.url
                && part("properties") == Json::Object(endpoint.properties.clone())
                && part("headers") == Json::Object(endpoint.headers.clone());
            if same {
                Ok(())
            } else {
                Err(format!("wanted {wanted}, found {endpoint:?}"))
            }
        }
        (_, found) => Err(format!("wanted {expect}, found {found:?}")),
    }
}

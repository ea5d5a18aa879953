//! All shipped tables, over accounts in which there is nothing, and in which there is everything.
use super::fake::*;
use crate::*;
use palisade_catalog::{Catalog, Source, load};
use palisade_core::CallErrorKind;
use serde_json::json;
use std::sync::Arc;

fn shipped() -> (Catalog, Request) {
    let catalog = load(&[Source::embedded()]).catalog;
    let mut request = Request::default();
    catalog.tables.keys().for_each(|t| request.add_all(t));
    (catalog, request)
}

#[test]
fn an_empty_account_is_asked_each_list_once() {
    let (catalog, request) = shipped();
    let plan = plan(&catalog, &MODELS, &request).unwrap();
    let mut fake = Fake::new();
    for operation in plan.operations() {
        fake = fake.on(&operation, |_| ok(json!({})));
    }
    let fake = Arc::new(fake.answers("iam:GenerateCredentialReport", json!({"State": "COMPLETE"})));
    let ran = collect(
        &catalog,
        &request,
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    fake.assert_no_call_twice();
    assert_eq!(ran.collected.dataset.tables.len(), catalog.tables.len());
    // Lists that the model says are always there were not; nothing else is out of order.
    for (error, _) in &ran.collected.coverage.failures {
        assert_eq!(
            error.kind,
            CallErrorKind::Malformed,
            "{error}: {}",
            error.message
        );
        assert!(
            error.message.ends_with("is missing"),
            "{error}: {}",
            error.message
        );
    }
}

#[test]
fn everything_that_the_models_know_fits_its_column_and_nothing_sensitive_shows() {
    let (catalog, request) = shipped();
    let mut fake =
        Fake::new().answers("iam:GenerateCredentialReport", json!({"State": "COMPLETE"}));
    let report = catalog.tables["iam_credential"]
        .columns
        .values()
        .filter_map(|c| c.csv.clone());
    let header: Vec<String> = report.collect();
    let line = vec!["N/A"; header.len()].join(",");
    fake = fake.answers(
        "iam:GetCredentialReport",
        json!({"Content": format!("{}\n{line}\n", header.join(","))}),
    );
    fake.fills = true;
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog,
        &request,
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    fake.assert_no_call_twice();
    let surprises: Vec<String> = ran
        .collected
        .coverage
        .failures
        .iter()
        .map(|(e, n)| format!("{n} {e} in {}: {}", e.region, e.message))
        .collect();
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    let mut empty = Vec::new();
    for (name, table) in &ran.collected.dataset.tables {
        assert!(table.gaps.is_empty(), "{name} {:?}", table.gaps);
        assert!(
            table.batches.iter().all(|b| b.failures.is_empty()),
            "{name}"
        );
        let rows = ran.rows(name);
        if rows.is_empty() {
            empty.push(name.as_str());
        }
        let text = json!(rows).to_string();
        assert!(!text.contains(SENSITIVE), "{name}");
        assert!(
            !text.contains(&palisade_table::encode_base64(SENSITIVE.as_bytes())),
            "{name}"
        );
    }
    println!("tables without rows: {empty:?}");
    assert!(empty.len() < catalog.tables.len() / 10, "{empty:?}");
    println!(
        "{} calls, {} tables, {:?}",
        fake.calls().len(),
        catalog.tables.len(),
        ran.elapsed
    );
}

//! The shipped change files fit the API models and the shipped fix blocks.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use palisade_catalog::{Source, load, validate_models};
use palisade_model::Models;
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn change_files_fit_the_models_and_the_fix_blocks() {
    let loaded = load(&[Source::embedded()]);
    assert!(!loaded.has_errors(), "{:#?}", loaded.diagnostics);
    let catalog = loaded.catalog;
    let wrong: Vec<String> = validate_models(&catalog, &Models::embedded())
        .iter()
        .filter(|d| d.is_error())
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut without: BTreeMap<String, usize> = BTreeMap::new();
    let mut uncovered = Vec::new();
    let mut undeclared = Vec::new();
    let mut machine = 0;
    let mut used = BTreeSet::new();
    for check in catalog.checks.values().filter(|c| !c.fix_calls.is_empty()) {
        let mut all = true;
        for call in &check.fix_calls {
            let name = format!("{}:{}", call.service, call.operation);
            let change = catalog
                .changes
                .get(&call.service)
                .and_then(|of| of.get(&call.operation));
            match change {
                None => {
                    all = false;
                    *without.entry(name).or_default() += 1;
                }
                Some(change) => {
                    if let Err(reason) = palisade_fix::covers(change, &call.params) {
                        uncovered.push(format!("{}: {reason}", check.id));
                    }
                    // what Terraform and CloudFormation say there, or why they say nothing
                    if let Err(missing) = change.code_of(&call.params) {
                        undeclared.push(format!("{} {name}: {missing:?}", check.id));
                    }
                    used.insert(name);
                }
            }
        }
        machine += usize::from(all);
    }
    println!("{machine} checks are repaired by {} operations", used.len());
    println!("guided, for want of a change entry: {without:#?}");
    assert!(uncovered.is_empty(), "{uncovered:#?}");
    assert!(undeclared.is_empty(), "{undeclared:#?}");
    let docs = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/fix.md"));
    let said = format!("{machine} of the shipped checks have a machine fix");
    assert!(docs.unwrap().contains(&said), "docs/fix.md: {said}");
    assert!(machine >= 100, "only {machine} checks have a machine fix");
}

/// What botocore says of members is looked up by `xtask models`: a new fix needs another run of it.
#[test]
fn every_member_that_a_repair_sets_was_looked_up() {
    let catalog = load(&[Source::embedded()]).catalog;
    let constraints = Models::embedded().constraints().unwrap();
    let mut missing = BTreeSet::new();
    let mut calls = BTreeSet::new();
    for call in catalog.repairs() {
        calls.insert((call.service.as_str(), call.operation.as_str()));
        for (path, _) in palisade_model::members(&call.params) {
            let known = constraints.at(&call.service, &call.operation, &path);
            if known.is_none() {
                missing.insert(format!("{}:{} {path}", call.service, call.operation));
            }
        }
    }
    let of = constraints.0.iter();
    let listed = of.flat_map(|(s, of)| of.keys().map(move |o| (s.as_str(), o.as_str())));
    let listed: BTreeSet<_> = listed.collect();
    assert!(missing.is_empty(), "run `cargo xtask models`: {missing:?}");
    assert_eq!(listed, calls, "run `cargo xtask models`");
}

#[test]
fn a_shipped_value_that_the_model_refuses_is_told() {
    let mut catalog = load(&[Source::embedded()]).catalog;
    let edit = |catalog: &mut palisade_catalog::Catalog,
                id: &str,
                with: &dyn Fn(&mut palisade_catalog::Check)| {
        with(std::sync::Arc::make_mut(
            catalog.checks.get_mut(id).unwrap(),
        ));
    };
    // a constant, and the default of a parameter
    edit(&mut catalog, "s3-bucket-versioning", &|check| {
        check.fix_calls[0].params["VersioningConfiguration"]["Status"] = "On".into();
    });
    edit(&mut catalog, "iam-password-policy-length", &|check| {
        let length = check.params.get_mut("length").unwrap();
        length.default = palisade_catalog::ParameterValue::Integer(129);
    });
    let wrong: Vec<String> = validate_models(&catalog, &Models::embedded())
        .iter()
        .filter(|d| d.is_error())
        .map(ToString::to_string)
        .collect();
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    for told in [
        "takes one of `Enabled`, `Suspended` for `VersioningConfiguration.Status`, not \"On\"",
        "`length` is 129: `iam:UpdateAccountPasswordPolicy` takes 6 to 128 for `MinimumPasswordLength`",
    ] {
        assert!(wrong.iter().any(|w| w.contains(told)), "{told}: {wrong:#?}");
    }
}

#[test]
fn what_a_replacing_operation_would_reset_must_be_spoken_of() {
    let models = Models::embedded();
    let mut catalog = load(&[Source::embedded()]).catalog;
    let forget = |catalog: &mut palisade_catalog::Catalog, service: &str, of: &str, path: &str| {
        let change = catalog.changes.get_mut(service).unwrap();
        let change = std::sync::Arc::make_mut(change.get_mut(of).unwrap());
        assert!(change.settings.remove(path).is_some());
    };
    forget(
        &mut catalog,
        "logs",
        "PutMetricFilter",
        "metricTransformations",
    );
    let nested = "LoggingConfiguration.LoggingFilter";
    forget(&mut catalog, "wafv2", "PutLoggingConfiguration", nested);
    let wrong: Vec<String> = validate_models(&catalog, &models)
        .iter()
        .filter(|d| d.is_error())
        .map(|d| d.message.clone())
        .collect();
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    for path in [
        "`metricTransformations` would be reset",
        "LoggingFilter` would be reset",
    ] {
        assert!(wrong.iter().any(|w| w.contains(path)), "{wrong:#?}");
    }
}

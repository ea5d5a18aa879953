//! Every rule of the loader is broken by a file of `tests/broken`, every rule that needs an API model by one of
//! `tests/unfit`; what is said about them is in `tests/snapshots`.
use palisade_catalog::{Source, load, validate_models};
use palisade_model::Models;
use std::path::Path;

fn folder(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    path.display().to_string()
}

fn told(diagnostics: &[palisade_catalog::Diagnostic], root: &str) -> String {
    let lines = diagnostics.iter().map(ToString::to_string);
    lines
        .collect::<Vec<_>>()
        .join("\n")
        .replace(&format!("{root}/"), "")
}

#[test]
fn broken_files() {
    let root = folder("broken");
    let loaded = load(&[Source::directory(&root).unwrap()]);
    insta::assert_snapshot!(told(&loaded.diagnostics, &root));
    let services: Vec<&String> = loaded.catalog.services.keys().collect();
    let checks: Vec<&String> = loaded.catalog.checks.keys().collect();
    assert_eq!(services, ["foo", "s3"]);
    assert_eq!(checks, ["s3-bucket-good", "s3-bucket-same"]);
    assert!(loaded.catalog.frameworks.is_empty());
    assert!(loaded.diagnostics.is_sorted());
}

#[test]
fn files_that_do_not_fit_the_api_models() {
    let root = folder("unfit");
    let loaded = load(&[Source::directory(&root).unwrap()]);
    assert_eq!(told(&loaded.diagnostics, &root), "");
    let found = validate_models(&loaded.catalog, &Models::embedded());
    insta::assert_snapshot!(told(&found, &root));
    assert!(found.is_sorted());
}

#[test]
fn the_shipped_catalogue_is_right() {
    let loaded = load(&[Source::embedded()]);
    let mut found = loaded.diagnostics;
    found.extend(validate_models(&loaded.catalog, &Models::embedded()));
    found.retain(palisade_catalog::Diagnostic::is_error);
    assert_eq!(told(&found, ""), "");
}

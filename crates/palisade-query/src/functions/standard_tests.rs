//! What SQL may call is what the page says, whatever else is in the build.
use super::{STANDARD, all};
use crate::CatalogSchemas;
use crate::session::Planner;
use palisade_catalog::Catalog;
use palisade_core::Timestamp;
use palisade_model::Models;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The block of `docs/specs/sql.md`.
fn page() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs/sql.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once("```functions\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut kind = String::new();
    for word in block.split_whitespace() {
        match word.strip_suffix(':') {
            Some(name) => name.clone_into(&mut kind),
            None => {
                let of = found.entry(kind.clone()).or_default();
                assert!(of.insert(word.to_owned()), "{word} is there twice");
            }
        }
    }
    found
}

#[test]
fn the_page_lists_them_all() {
    let catalog = Arc::new(Catalog::default());
    let schemas = CatalogSchemas::new(Arc::clone(&catalog), Arc::new(Models::embedded()));
    let now = Timestamp::from_micros(0);
    let state = Planner::new(catalog, Arc::new(schemas), now).unwrap().state;
    let ours: BTreeSet<String> = all(now).iter().map(|f| f.name().to_owned()).collect();
    let names = |names: Vec<&str>| -> BTreeSet<String> {
        let names = names.into_iter().map(ToOwned::to_owned);
        names.filter(|n| !ours.contains(n)).collect()
    };
    let found = BTreeMap::from([
        (
            "functions".to_owned(),
            names(
                state
                    .scalar_functions()
                    .values()
                    .map(|f| f.name())
                    .collect(),
            ),
        ),
        (
            "aggregates".to_owned(),
            names(
                state
                    .aggregate_functions()
                    .values()
                    .map(|f| f.name())
                    .collect(),
            ),
        ),
        (
            "windows".to_owned(),
            names(
                state
                    .window_functions()
                    .values()
                    .map(|f| f.name())
                    .collect(),
            ),
        ),
        (
            "lambdas".to_owned(),
            names(
                state
                    .higher_order_functions()
                    .values()
                    .map(|f| f.name())
                    .collect(),
            ),
        ),
    ]);
    // a function of the list that this build lacks would be missing here
    assert_eq!(
        found,
        page(),
        "registered, and in the block ```functions of docs/specs/sql.md"
    );
    assert!(STANDARD.is_sorted());
}

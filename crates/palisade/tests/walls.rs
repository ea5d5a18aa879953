//! The walls between the crates, as `ARCHITECTURE.md` states them, held against the manifests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Crate → the crates of ours that it may import. `palisade` and `xtask` may import all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("palisade-core", &[]),
    ("palisade-model", &["core"]),
    ("palisade-catalog", &["core", "model"]),
    ("palisade-replay", &[]),
    ("palisade-aws", &["core", "model", "replay"]),
    ("palisade-config", &["core", "catalog"]),
    ("palisade-table", &["core", "model", "catalog"]),
    (
        "palisade-cluster",
        &[
            "core", "model", "catalog", "table", "query", "store", "scan", "drift",
        ],
    ),
    ("palisade-collect", &["core", "model", "catalog", "table"]),
    ("palisade-doctor", &["core", "model", "aws"]),
    ("palisade-fix", &["core", "model", "catalog", "iam"]),
    ("palisade-iam", &["core"]),
    ("palisade-journal", &["core", "model"]),
    (
        "palisade-query",
        &["core", "model", "catalog", "table", "iam"],
    ),
    (
        "palisade-scan",
        &[
            "core", "model", "catalog", "table", "collect", "query", "iam", "store", "drift",
        ],
    ),
    ("palisade-report", &["core"]),
    ("palisade-store", &["core", "catalog", "table"]),
    (
        "palisade-watch",
        &["core", "model", "catalog", "table", "collect", "store"],
    ),
    ("palisade-drift", &["core", "catalog", "table", "store"]),
    ("palisade-mute", &["core"]),
    ("palisade-send", &["core", "model", "report"]),
];

/// Dependency → the only crates that may have it.
const ONLY: &[(&str, &[&str])] = &[
    ("datafusion", &["palisade-query", "palisade-cluster"]),
    ("datafusion-proto", &["palisade-query", "palisade-cluster"]),
    ("ballista", &["palisade-cluster"]),
    ("ballista-core", &["palisade-cluster"]),
    ("ballista-executor", &["palisade-cluster"]),
    ("ballista-scheduler", &["palisade-cluster"]),
    ("object_store", &["palisade-store"]),
    ("parquet", &["palisade-store"]),
    ("aws-config", &["palisade-aws"]),
    ("aws-smithy-runtime", &["palisade-aws"]),
    ("indicatif", &["palisade"]),
    ("clap_complete", &["palisade"]),
    ("clap_mangen", &["palisade"]),
];

fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest).unwrap();
    let parsed: toml::Table = text.parse().unwrap();
    parsed
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|t| t.keys().cloned().collect())
        .unwrap_or_default()
}

fn crates() -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let manifest = entry.path().join("Cargo.toml");
        if manifest.is_file() {
            found.insert(
                entry.file_name().into_string().unwrap(),
                dependencies(&manifest),
            );
        }
    }
    found
}

#[test]
fn crates_import_what_they_may() {
    let crates = crates();
    let allowed: BTreeMap<&str, BTreeSet<String>> = MAY_IMPORT
        .iter()
        .map(|(c, may)| (*c, may.iter().map(|m| format!("palisade-{m}")).collect()))
        .collect();
    for (name, dependencies) in &crates {
        if name == "palisade" {
            continue;
        }
        let may = allowed
            .get(name.as_str())
            .unwrap_or_else(|| panic!("`{name}` has no line in this test and in ARCHITECTURE.md"));
        for dependency in dependencies.iter().filter(|d| d.starts_with("palisade")) {
            assert!(
                may.contains(dependency),
                "`{name}` may not import `{dependency}`"
            );
        }
    }
    for name in allowed.keys() {
        assert!(
            crates.contains_key(*name),
            "`{name}` is listed and does not exist"
        );
    }
}

#[test]
fn heavy_dependencies_have_their_importers() {
    for (name, dependencies) in crates() {
        for (dependency, owners) in ONLY {
            assert!(
                owners.contains(&name.as_str()) || !dependencies.contains(*dependency),
                "only {owners:?} may import `{dependency}`, not `{name}`"
            );
        }
    }
}

#[test]
fn the_architecture_page_names_every_crate() {
    let page = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md"),
    )
    .unwrap();
    for name in crates().keys() {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "`{name}` is not in ARCHITECTURE.md"
        );
    }
}

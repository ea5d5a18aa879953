//! The generated reference: fresh in the tree, complete, and no danger to other files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::path::Path;
use std::process::{Command, Output};

fn reference(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_palisade"))
        .env_remove("PALISADE_CATALOG")
        .env_remove("PALISADE_CONFIG")
        .arg("reference")
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_pages_in_the_tree_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
    let output = reference(&[folder.to_str().unwrap(), "--check"]);
    let stale = text(&output.stdout);
    assert!(
        output.status.success(),
        "`cargo xtask reference` makes {} pages anew, the first of them:\n{}",
        stale.lines().count(),
        stale.lines().take(10).collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn every_check_table_and_framework_has_a_page_and_every_link_leads_to_one() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("reference");
    let shown = folder.to_str().unwrap();
    assert!(reference(&[shown]).status.success());
    let catalog = palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog;
    let names = [
        ("checks", catalog.checks.keys().collect::<Vec<_>>()),
        (
            "tables",
            catalog.tables.keys().chain(catalog.views.keys()).collect(),
        ),
        ("frameworks", catalog.frameworks.keys().collect()),
    ];
    for (kind, names) in names {
        assert!(!names.is_empty());
        for name in names {
            let path = folder.join(kind).join(format!("{name}.md"));
            let page = std::fs::read_to_string(&path).unwrap();
            for link in page
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split(')').next())
            {
                if link.starts_with("../") {
                    let target = path.parent().unwrap().join(link);
                    assert!(target.is_file(), "{name}: `{link}` leads nowhere");
                }
            }
        }
    }
    assert!(
        folder.join("tables/iam_escalation_path.md").is_file(),
        "computed tables too"
    );
    // a page that was changed is stale, one that nothing makes any more goes
    let page = folder.join("checks/s3-bucket-versioning.md");
    std::fs::write(&page, "changed").unwrap();
    let old = folder.join("checks/gone.md");
    std::fs::write(&old, "old").unwrap();
    let output = reference(&[shown, "--check"]);
    assert_eq!(output.status.code(), Some(1));
    let stale = text(&output.stdout);
    assert_eq!(stale.lines().count(), 2, "{stale}");
    assert!(stale.contains("s3-bucket-versioning.md") && stale.contains("gone.md"));
    assert!(old.is_file(), "--check writes nothing");
    assert!(reference(&[shown]).status.success());
    assert!(!old.is_file());
    assert!(reference(&[shown, "--check"]).status.success());
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("README.md");
    std::fs::write(&file, "# Mine").unwrap();
    let output = reference(&[folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not empty and holds no reference"));
    assert_eq!(std::fs::read_to_string(file).unwrap(), "# Mine");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

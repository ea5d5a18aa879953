//! The archive of botocore's test suites.
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of the archive by path, parsed; `None`, and a visible note, when it is not there.
pub fn suites(under: &str) -> Option<BTreeMap<String, serde_json::Value>> {
    let shared =
        std::env::var_os("PALISADE_SHARED").map_or_else(|| root().join("../shared"), PathBuf::from);
    let archive = shared.join("conformance/aws/botocore-protocol-and-endpoint-tests.tar.zst");
    let Ok(file) = std::fs::File::open(&archive) else {
        eprintln!("skipped: {} is not there", archive.display());
        return None;
    };
    let mut files = BTreeMap::new();
    let mut tar = tar::Archive::new(zstd::Decoder::new(file).unwrap());
    for entry in tar.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        if path.starts_with(under) && path.ends_with(".json") {
            let mut text = Vec::new();
            entry.read_to_end(&mut text).unwrap();
            files.insert(path, serde_json::from_slice(&text).unwrap());
        }
    }
    assert!(
        !files.is_empty(),
        "nothing under `{under}` in {}",
        archive.display()
    );
    Some(files)
}

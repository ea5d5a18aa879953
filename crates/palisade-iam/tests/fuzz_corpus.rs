//! The corpus that the fuzzer's runs left (`fuzz/corpus`), through the functions that it ran: also what once failed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may fail loudly"
)]

mod fuzzed;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

fn names(folder: &Path) -> BTreeSet<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let name = entry.unwrap().path();
            name.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn every_target_is_fuzzed_and_has_a_corpus() {
    let here: BTreeSet<String> = fuzzed::TARGETS
        .iter()
        .map(|(n, _)| (*n).to_owned())
        .collect();
    assert_eq!(names(&fuzz().join("fuzz_targets")), here);
    assert_eq!(names(&fuzz().join("corpus")), here);
}

#[test]
fn the_corpus_holds() {
    for (name, target) in fuzzed::TARGETS {
        let mut count = 0;
        for entry in std::fs::read_dir(fuzz().join("corpus").join(name)).unwrap() {
            let path = entry.unwrap().path();
            // the name of the file that fails is told by the output of the test
            println!("{}", path.display());
            target(&std::fs::read(&path).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{name} has {count}");
    }
}

#![no_main]

#[path = "../../crates/palisade-iam/tests/fuzzed/mod.rs"]
mod fuzzed;

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzed::difference(data));

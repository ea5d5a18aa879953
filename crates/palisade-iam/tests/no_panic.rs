//! Nothing that is read can make the library panic: random bytes, damaged policies, and the kept corpus.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod fuzzed;

use fuzzed::everything;
use proptest::prelude::*;

const SEED: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":["*","arn:aws:iam::1:root"]},"Action":["s3:*","iam:Pass?ole"],"NotResource":["arn:aws:s3:::${aws:username, 'x'}/*","*"],"Condition":{"ForAnyValue:StringLikeIfExists":{"aws:TagKeys":["a*",true,1]},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateLessThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"},"Null":{"x:y":"true"}}}]}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn damaged_policies(edits in prop::collection::vec((any::<prop::sample::Index>(), "[\"{}\\[\\],:*?$a1é]{0,3}", 0_usize..6), 1..4)) {
        let mut text: Vec<char> = SEED.chars().collect();
        for (at, put, cut) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + cut).min(text.len());
            text.splice(at..end, put.chars());
        }
        everything(&text.into_iter().collect::<String>());
    }

    #[test]
    fn names_and_dates(text in "[arn:*?/${}0-9TZ+.,é-]{0,60}") {
        everything(&text);
    }
}

#[test]
fn corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        everything(&String::from_utf8_lossy(
            &std::fs::read(entry.unwrap().path()).unwrap(),
        ));
        count += 1;
    }
    assert!(count >= 6);
}

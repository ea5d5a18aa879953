//! Nothing that is read can make the library panic: random bytes, damaged policies, and the kept corpus.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use palisade_iam::*;
use proptest::prelude::*;

/// Every function that takes a text, on one text.
fn everything(text: &str) {
    let context = Context::open();
    if let Ok(policy) = Policy::parse(text) {
        let request = Request {
            principal: Principal::new(text),
            action: "s3:GetObject".to_owned(),
            resource: text.to_owned(),
            resource_account: None,
            context,
        };
        let source = || Source {
            name: "policy",
            policy: &policy,
        };
        let sets = PolicySets {
            identity: vec![source()],
            resource: Some(source()),
            ..PolicySets::default()
        };
        let _ = explain(&request, &sets).to_lines();
        let _ = diff(&[&policy], &[&policy]);
        let _ =
            policy_escalation_paths(std::slice::from_ref(&policy), Rules::embedded().unwrap(), 0);
    }
    for kind in [
        PolicyKind::Identity,
        PolicyKind::Resource,
        PolicyKind::Trust,
    ] {
        let _ = lint(
            text,
            kind,
            Some("111111111111"),
            Catalogue::embedded().unwrap(),
        );
    }
    let _ = policy_is_public(text, "1");
    let _ = policy_external_accounts(text, "1");
    let _ = policy_allows_everything(text);
    let _ = policy_grants_admin(text);
    let _ = policy_service_wildcards(text);
    let _ = policy_requires_tls(text);
    let _ = policy_passes_any_role(text);
    let _ = policy_allows_action(text, text, text);
    let _ = policy_actions_matching(text, text);
    let _ = trust_policy_lacks_external_id(text, text);
    let _ = trust_policy_confused_deputy(text);
    let _ = principal_is_public(text);
    let _ = parse_date(text);
    let _ = Cidr::parse(text);
    let _ = Pattern::new(text).matches(text);
    let _ = ResourcePattern::new(text, true).matches(&ArnText::new(text), &Context::open());
    let _ = conform_line(text, &|_| None);
    let _ = Model::default().add_authorization_details(text);
    let _ = least_privilege(&[text], None, Catalogue::embedded().unwrap());
    let _ = Rules::parse(text);
    let _ = Catalogue::read(text.as_bytes());
}

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

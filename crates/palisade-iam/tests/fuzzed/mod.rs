//! What the fuzzer runs on bytes, and what the kept corpus is run through in every test run: nothing panics, and what is
//! said of each question holds. `fuzz/` has a target for each function of [`TARGETS`].
#![allow(dead_code, reason = "each fuzz target uses one function")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

#[path = "../differential/oracle.rs"]
mod oracle;
#[path = "../differential/random.rs"]
mod random;

use palisade_iam::*;
use random::Dice;

/// A function that takes the fuzzer's bytes.
pub type Target = fn(&[u8]);

/// The targets with their names, which are also those of their folders in `fuzz/corpus`.
pub const TARGETS: &[(&str, Target)] = &[
    ("accounts", accounts),
    ("decide", decide),
    ("difference", difference),
    ("grammar", grammar),
    ("patterns", patterns),
    ("policy", policy),
    ("usage", usage),
];

fn catalogue() -> &'static Catalogue {
    Catalogue::embedded().unwrap()
}

/// A text as a policy: everything that takes one.
pub fn policy(data: &[u8]) {
    everything(&String::from_utf8_lossy(data));
}

/// Every function that takes a text, on one text.
pub fn everything(text: &str) {
    if let Ok(policy) = Policy::parse(text) {
        let again = Policy::parse(&policy.text).unwrap();
        assert_eq!(again.statements.len(), policy.statements.len(), "{text}");
        let request = Request {
            principal: Principal::new(text),
            action: "s3:GetObject".to_owned(),
            resource: text.to_owned(),
            resource_account: None,
            context: Context::open(),
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
        // Nothing is beyond itself.
        if let Ok(found) = diff(&[&policy], &[&policy]) {
            assert_eq!(found, None, "{text}");
        }
        let _ =
            policy_escalation_paths(std::slice::from_ref(&policy), Rules::embedded().unwrap(), 0);
    }
    for kind in KINDS {
        let _ = lint(text, kind, Some("111111111111"), catalogue());
    }
    let _ = policy_is_public(text, "1");
    let _ = policy_external_accounts(text, "1");
    let _ = policy_allows_everything(text);
    let _ = policy_grants_admin(text);
    let _ = policy_service_wildcards(text);
    let _ = policy_requires_tls(text);
    let _ = policy_requires_tls_for(text, "s3:PutObject");
    let _ = policy_passes_any_role(text);
    let _ = policy_assumes_any_role(text);
    let _ = policy_allows_action(text, text, text);
    let _ = policy_allows(text, text, text);
    let _ = policy_actions_matching(text, text);
    let _ = trust_policy_lacks_external_id(text, text);
    let _ = trust_policy_confused_deputy(text);
    let _ = trust_policy_open_issuers(text);
    let _ = principal_is_public(text);
    let _ = parse_date(text);
    let _ = Cidr::parse(text);
    let _ = Pattern::new(text).matches(text);
    let _ = ResourcePattern::new(text, true).matches(&ArnText::new(text), &Context::open());
    let _ = conform_line(text, &|_| None);
    let _ = Model::default().add_authorization_details(text);
    let _ = least_privilege(&[text], None, catalogue());
    let _ = Rules::parse(text);
    let _ = Catalogue::read(text.as_bytes());
}

const KINDS: [PolicyKind; 5] = [
    PolicyKind::Identity,
    PolicyKind::Resource,
    PolicyKind::Trust,
    PolicyKind::ServiceControl,
    PolicyKind::ResourceControl,
];

/// A text as a policy that AWS is asked to store: places lie in the text, and what is accepted can be read.
pub fn grammar(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for kind in KINDS {
        let errors = check_grammar(&text, kind);
        if errors.is_empty() {
            Policy::parse(&text).unwrap();
        }
        let lines = text.split('\n').count();
        for error in errors {
            assert!((1..=lines).contains(&error.line), "{error}");
            assert!(error.column >= 1, "{error}");
        }
    }
}

fn slow_match(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    oracle::glob(&pattern, &text)
}

/// Two patterns and a text, parted by line feeds.
pub fn patterns(data: &[u8]) {
    let text = String::from_utf8_lossy(data.get(..data.len().min(300)).unwrap());
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (a, b, text) = (next(), next(), next());
    let (left, right) = (Pattern::new(a), Pattern::new(b));
    let (in_left, in_right) = (left.matches(text), right.matches(text));
    assert_eq!(in_left, slow_match(a, text), "{a:?} {text:?}");
    assert_eq!(in_right, slow_match(b, text), "{b:?} {text:?}");
    let overlaps = left.overlaps(&right);
    assert_eq!(overlaps, right.overlaps(&left), "{a:?} {b:?}");
    match left.witness(&right) {
        Some(both) => {
            assert!(
                overlaps && slow_match(a, &both) && slow_match(b, &both),
                "{a:?} {b:?} {both:?}"
            );
        }
        None => assert!(!(overlaps || in_left && in_right), "{a:?} {b:?} {text:?}"),
    }
    if left.covers(&right) {
        assert!(in_left || !in_right, "{a:?} {b:?} {text:?}");
        assert!(slow_match(a, &right.example()), "{a:?} {b:?}");
    }
    assert!(
        left.covers(&left) && slow_match(a, &left.example()),
        "{a:?}"
    );
    let arn = ArnText::new(text);
    let (first, second) = (ResourcePattern::new(a, true), ResourcePattern::new(b, true));
    let context = Context::open();
    let (widest, other) = (first.widest(), second.widest());
    let means = |p: &ResourcePattern| !p.matches(&arn, &context).is_false();
    // A pattern with variables means at most what it means with wildcards in their place.
    if means(&first) && means(&second) {
        assert!(widest.overlaps(&other), "{a:?} {b:?} {text:?}");
    }
    if widest.covers(&other) && !first.has_variable() {
        assert!(means(&first) || !means(&second), "{a:?} {b:?} {text:?}");
    }
    if let Some(both) = widest.witness(&other) {
        assert!(widest.overlaps(&other), "{a:?} {b:?} {both:?}");
    }
    if let Some(cidr) = Cidr::parse(text) {
        assert!(cidr.contains(&cidr), "{text:?}");
    }
    let _ = (widest.to_text(), parse_date(text), action_pattern(a));
}

/// A request with the policies of every layer, decided by both evaluators.
pub fn decide(data: &[u8]) {
    let case = random::random(&mut Dice::Bytes(data.iter()));
    assert_eq!(random::fast(&case).as_str(), random::slow(&case));
}

/// Two sets of policies: a witness of their difference is allowed by one and not by the other.
pub fn difference(data: &[u8]) {
    let dice = &mut Dice::Bytes(data.iter());
    let some = |dice: &mut Dice<'_>| -> Vec<Policy> {
        (0..=dice.roll(2))
            .map(|_| Policy::parse(&random::policy(dice, 3, None).to_string()).unwrap())
            .collect()
    };
    let (before, after) = (some(dice), some(dice));
    let (before, after): (Vec<&Policy>, Vec<&Policy>) =
        (before.iter().collect(), after.iter().collect());
    match diff(&before, &after) {
        Err(_) => {}
        Ok(Some(w)) => {
            let texts = || {
                [&before, &after].map(|s| s.iter().map(|p| p.text.to_string()).collect::<Vec<_>>())
            };
            assert!(
                policies_allow(&after, &w.action, &w.resource, &w.context),
                "{w:?} {:?}",
                texts()
            );
            assert!(
                !policies_allow(&before, &w.action, &w.resource, &w.context),
                "{w:?} {:?}",
                texts()
            );
        }
        Ok(None) => {
            let case = random::random(dice);
            let request = random::request(&case);
            let allowed = |side: &[&Policy]| {
                policies_allow(side, &request.action, &request.resource, &request.context)
            };
            assert!(!allowed(&after) || allowed(&before), "{request:?}");
        }
    }
}

/// A text as CloudTrail events or last-accessed data: what is generated is a policy that AWS takes, and allows what was used.
pub fn usage(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(found) = least_privilege(&[&text], None, catalogue()) else {
        return;
    };
    let statements = found.policy["Statement"].as_array().unwrap();
    if statements.is_empty() {
        assert!(found.used.is_empty());
        return;
    }
    let policy = found.policy.to_string();
    assert_eq!(check_grammar(&policy, PolicyKind::Identity), [], "{policy}");
    for action in &found.used {
        let matching = policy_actions_matching(&policy, action).unwrap();
        assert!(!matching.is_empty(), "{action} {policy}");
    }
}

/// A text as a file with accounts or what surrounds them: all questions over it.
pub fn accounts(data: &[u8]) {
    let mut model = Model::default();
    if model.add_file(&String::from_utf8_lossy(data)).is_err() {
        return;
    }
    model.sort();
    let context = attempt_context(0);
    let _ = (model.external(), model.possible_admins(), model.documents());
    for grant in model.who_can("s3:GetObject", "arn:aws:s3:::data/x", &context) {
        let answer = model.can(
            &grant.principal,
            "s3:GetObject",
            "arn:aws:s3:::data/x",
            &context,
        );
        assert_eq!(
            answer.decision == Decision::DependsOn,
            grant.conditional,
            "{}",
            grant.principal
        );
    }
    let graph = Graph::new(&model, Rules::embedded().unwrap(), 0);
    for found in graph.all() {
        assert!(!found.is_admin && model.entity(&found.principal).is_some());
    }
}

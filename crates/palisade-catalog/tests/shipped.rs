//! The shipped checks read as one voice: the conventions of `docs/specs/check.md` and the rubric of
//! `docs/specs/severity.md`, over all of them.
use palisade_catalog::{Catalog, Check, MessagePart, Source, load, parse_message};
use palisade_core::Severity;
use std::collections::{BTreeMap, BTreeSet};

fn catalog() -> Catalog {
    load(&[Source::embedded()]).catalog
}

/// The checks that break a rule, each with the text that does.
fn broken(rule: impl Fn(&Check) -> Option<String>) -> Vec<String> {
    let catalog = catalog();
    let checks = catalog.checks.values();
    checks
        .filter_map(|c| rule(c).map(|text| format!("{}: {text}", c.id)))
        .collect()
}

#[test]
fn there_are_enough_checks_and_few_are_critical() {
    let catalog = catalog();
    let total = catalog.checks.len();
    let services: BTreeSet<&str> = catalog
        .checks
        .values()
        .map(|c| c.service.as_str())
        .collect();
    assert!(total >= 350, "{total} checks");
    assert!(services.len() >= 60, "{} services", services.len());
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for check in catalog.checks.values() {
        *counts.entry(check.severity).or_default() += 1;
    }
    let critical = counts.get(&Severity::Critical).copied().unwrap_or(0);
    assert!(critical > 0 && critical * 10 <= total, "{counts:?}");
    // a list where everything is bad tells nobody where to begin
    let grave = critical + counts.get(&Severity::High).copied().unwrap_or(0);
    assert!(grave * 3 <= total, "{counts:?}");
}

#[test]
fn titles_are_statements() {
    let wrong = broken(|c| {
        let title = &c.title;
        let commands = [
            "Use ",
            "Make ",
            "Set ",
            "Do ",
            "Turn ",
            "Configure ",
            "Verify ",
            "Don't ",
        ];
        let bad = !title.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit())
            || title.contains("  ")
            || title.contains('!')
            || commands.iter().any(|w| title.starts_with(w));
        bad.then(|| title.clone())
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn titles_are_told_apart() {
    let catalog = catalog();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for check in catalog.checks.values() {
        if let Some(first) = seen.insert(check.title.to_lowercase(), &check.id) {
            twice.push(format!("{first} and {}: {}", check.id, check.title));
        }
    }
    assert_eq!(twice, [""; 0]);
}

/// A message without its expressions.
fn words_of(message: &str) -> String {
    let parts = parse_message(message).unwrap_or_default();
    let words = parts.iter().map(|part| match part {
        MessagePart::Text(text) => text.as_str(),
        _ => "…",
    });
    words.collect()
}

#[test]
fn messages_say_what_was_found() {
    let wrong = broken(|c| {
        let messages = [&c.pass_message.0, &c.fail_message.0];
        let bad = |text: &str| {
            let text = words_of(text);
            let first = text.split(' ').next().unwrap_or_default();
            let mut letters = first.chars();
            // `MFA`, `IAM`, `S3` are names; `The` is a sentence's first word
            let sentence = letters.next().is_some_and(char::is_uppercase)
                && !letters.any(|l| l.is_uppercase() || l.is_ascii_digit());
            let lower = text.to_lowercase();
            let hollow = [
                "should",
                "must",
                "please",
                "compliant",
                "ensure",
                "check failed",
                "check passed",
            ];
            let words: BTreeSet<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
            text.trim().is_empty()
                || sentence
                || text.ends_with(['.', '!'])
                || text.contains("  ")
                || hollow
                    .iter()
                    .any(|h| words.contains(h) || (h.contains(' ') && lower.contains(h)))
        };
        let found = messages.into_iter().find(|m| bad(m));
        found.cloned()
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn a_pass_and_a_fail_that_read_alike_show_the_value() {
    let wrong = broken(|c| {
        let alike = c.pass_message.0 == c.fail_message.0;
        (alike && !c.pass_message.0.contains("${")).then(|| c.pass_message.0.clone())
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn reasons_and_fixes_are_sentences() {
    let wrong = broken(|c| {
        let why = c.why.trim();
        let sentences = why.split_inclusive(['.', '!', '?']);
        let count = sentences.filter(|s| s.trim().len() > 1).count();
        let bad = !why.ends_with('.')
            || !why.starts_with(char::is_uppercase)
            || count > 9
            || c.fix.trim().len() < 20
            || !c
                .fix
                .trim()
                .starts_with(|l: char| l.is_uppercase() || l == '`');
        bad.then(|| format!("{why} / {}", c.fix.trim()))
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn reasons_have_two_to_five_sentences() {
    let wrong = broken(|c| {
        let words: Vec<&str> = c.why.split_whitespace().collect();
        // a sentence ends where the next word begins like one
        let ends = words.windows(2).filter(|pair| {
            let ends = pair[0].trim_end_matches(['"', '`', ')', '’']);
            ends.ends_with(['.', '!', '?'])
                && pair[1].starts_with(|l: char| {
                    l.is_uppercase() || l.is_ascii_digit() || matches!(l, '`' | '"' | '(')
                })
        });
        let count = ends.count() + 1;
        (!(2..=5).contains(&count)).then(|| format!("{count} sentences: {}", c.why.trim()))
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn reasons_are_told_apart() {
    let catalog = catalog();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut twice = Vec::new();
    for check in catalog.checks.values() {
        let words: Vec<&str> = check.why.split_whitespace().collect();
        if let Some(first) = seen.insert(words.join(" "), &check.id) {
            twice.push(format!("{first} and {}", check.id));
        }
    }
    assert_eq!(twice, [""; 0]);
}

#[test]
fn fixes_delete_nothing() {
    let verbs = [
        "Delete",
        "Release",
        "Terminate",
        "Schedule",
        "Remove",
        "Detach",
        "Deregister",
    ];
    let wrong = broken(|c| {
        let call = c
            .fix_calls
            .iter()
            .find(|call| verbs.iter().any(|verb| call.operation.starts_with(verb)));
        call.map(|call| format!("{}:{}", call.service, call.operation))
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn parameters_are_explained() {
    let wrong = broken(|c| {
        let bad = |about: &str| !about.ends_with('.') || !about.starts_with(char::is_uppercase);
        let parameter = c.params.iter().find(|(_, p)| bad(&p.about));
        parameter.map(|(name, p)| format!("{name}: {}", p.about))
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn what_is_parsed_when_asked_for_is_the_same() {
    let eager = palisade_catalog::load(&[Source::embedded()]);
    let lazy = palisade_catalog::load_lazily(&[Source::embedded()]);
    assert!(!eager.has_errors());
    assert_eq!(*eager.catalog.frameworks, *lazy.catalog.frameworks);
    assert_eq!(eager.catalog.checks, lazy.catalog.checks);
    assert!(lazy.catalog.frameworks.len() >= 38);
    // a user's files are looked at at once, so that what is wrong with them is told
    let own = || {
        let text = "name = \"f\"\nversion = \"1\"\n[[requirement]]\nid = 1\n";
        let text = [("frameworks/f-1.toml", text)];
        [Source::embedded(), Source::from_texts(text)]
    };
    let (eager, lazy) = (
        palisade_catalog::load(&own()),
        palisade_catalog::load_lazily(&own()),
    );
    assert!(eager.has_errors());
    assert_eq!(eager.diagnostics, lazy.diagnostics);
}

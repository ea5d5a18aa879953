//! `palisade iam lint`.
use super::source::{Load, open, read};
use super::{list, print_json, print_lines};
use crate::Outcome;
use crate::cli::{Lint, LintFormat, PolicyKind as Kind};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_iam::{LINT_RULES, LintFinding, Policy, PolicyKind, Weight};
use palisade_scan::IamQuestion;
use serde_json::{Value, json};

pub fn run(args: &Lint, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    if args.rules {
        rules(args.format)?;
        return Ok(Outcome::Done);
    }
    let catalogue = list::actions()?;
    let found: Vec<(String, Vec<LintFinding>)> = if args.account {
        let source = open(&args.accounts, IamQuestion::Everything, &[], load, terminal)?;
        let all = source.model.lint(catalogue).into_iter();
        all.map(|(document, found)| (document.name, found))
            .collect()
    } else {
        let of_file = |path: &std::path::PathBuf| {
            let text = read(path)?;
            let kind = args.kind.map_or_else(|| guess(&text), kind);
            let found = palisade_iam::lint(&text, kind, args.owner.as_deref(), catalogue);
            Ok((path.display().to_string(), found))
        };
        args.files
            .iter()
            .map(of_file)
            .collect::<Result<_, Failure>>()?
    };
    print(&found, args.format)?;
    let least = match args.fail_on.as_deref() {
        Some("note") => Some(Weight::Note),
        Some("warning") => Some(Weight::Warning),
        Some("error") => Some(Weight::Error),
        _ => None,
    };
    let fails = least.is_some_and(|least| {
        found
            .iter()
            .flat_map(|(_, findings)| findings)
            .any(|f| f.rule.weight >= least)
    });
    Ok(if fails {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

fn kind(kind: Kind) -> PolicyKind {
    match kind {
        Kind::Identity => PolicyKind::Identity,
        Kind::Resource => PolicyKind::Resource,
        Kind::Trust => PolicyKind::Trust,
        Kind::Scp => PolicyKind::ServiceControl,
        Kind::Rcp => PolicyKind::ResourceControl,
    }
}

/// A policy with principals and without resources is a trust policy, with both a resource policy, else an identity policy.
fn guess(text: &str) -> PolicyKind {
    let Ok(policy) = Policy::parse(text) else {
        return PolicyKind::Identity;
    };
    let statements = &policy.statements;
    if !statements.iter().any(|s| s.principal.is_some()) {
        PolicyKind::Identity
    } else if statements.iter().all(|s| s.resource.is_none()) {
        PolicyKind::Trust
    } else {
        PolicyKind::Resource
    }
}

fn print(found: &[(String, Vec<LintFinding>)], format: LintFormat) -> Result<(), Failure> {
    match format {
        LintFormat::Sarif => {
            let files: Vec<(&str, &[LintFinding])> = found
                .iter()
                .map(|(name, findings)| (name.as_str(), findings.as_slice()))
                .collect();
            print_json(&palisade_iam::lint_to_sarif(
                &files,
                env!("CARGO_PKG_VERSION"),
            ))
        }
        LintFormat::Json => {
            let list: Vec<Value> = found
                .iter()
                .flat_map(|(name, findings)| findings.iter().map(move |f| (name, f)))
                .map(|(name, f)| {
                    json!({
                        "policy": name, "rule": f.rule.id, "weight": f.rule.weight.as_str(), "message": f.message,
                        "statement": f.statement, "line": f.position.line, "column": f.position.column,
                    })
                })
                .collect();
            print_json(&json!({ "policies": found.len(), "findings": list }))
        }
        LintFormat::Text => {
            let mut lines = Vec::new();
            for (name, findings) in found {
                for f in findings {
                    lines.push(format!(
                        "{name}:{}:{}: {}: {} [{}]",
                        f.position.line,
                        f.position.column,
                        f.rule.weight.as_str(),
                        f.message,
                        f.rule.id
                    ));
                }
            }
            let total: usize = found.iter().map(|(_, f)| f.len()).sum();
            let policies = found.len();
            lines.push(format!(
                "{total} finding{} in {policies} polic{}",
                if total == 1 { "" } else { "s" },
                if policies == 1 { "y" } else { "ies" }
            ));
            print_lines(&lines)
        }
    }
}

fn rules(format: LintFormat) -> Result<(), Failure> {
    if format == LintFormat::Text {
        let lines: Vec<String> = LINT_RULES
            .iter()
            .flat_map(|r| {
                [
                    format!("{} ({}): {}", r.id, r.weight.as_str(), r.title),
                    format!("    {}", r.help),
                ]
            })
            .collect();
        return print_lines(&lines);
    }
    let rules: Vec<Value> = LINT_RULES
        .iter()
        .map(|r| json!({ "id": r.id, "weight": r.weight.as_str(), "title": r.title, "help": r.help }))
        .collect();
    print_json(&json!({ "rules": rules }))
}

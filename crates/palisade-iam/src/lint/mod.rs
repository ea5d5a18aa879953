//! The linter for policies.

mod checks;
mod rules;

pub use rules::{LINT_RULES, LintRule, Weight, lint_rule};

use serde_json::{Value, json};

use crate::catalogue::Catalogue;
use crate::error::Position;
use crate::grammar::{PolicyKind, check_grammar};
use crate::policy::Policy;

/// Something that the linter found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// The rule.
    pub rule: &'static LintRule,
    /// What exactly, with the names from the policy.
    pub message: String,
    /// `Sid` or place of the statement, when it is about one.
    pub statement: Option<String>,
    /// Where.
    pub position: Position,
}

/// Lints a policy document. With grammar errors, the other rules still run on what can be read.
pub fn lint(
    text: &str,
    kind: PolicyKind,
    owner_account: Option<&str>,
    catalogue: &Catalogue,
) -> Vec<LintFinding> {
    let mut out = Vec::new();
    let grammar = lint_rule("grammar");
    for error in check_grammar(text, kind) {
        if let Some(rule) = grammar {
            let position = Position {
                line: error.line,
                column: error.column,
            };
            out.push(LintFinding {
                rule,
                message: error.message,
                statement: None,
                position,
            });
        }
    }
    if let Ok(policy) = Policy::parse(text) {
        checks::Checker {
            policy: &policy,
            text,
            kind,
            owner_account,
            catalogue,
            out: &mut out,
        }
        .run();
    }
    out.sort_by(|a, b| {
        (a.position, a.rule.id, &a.message).cmp(&(b.position, b.rule.id, &b.message))
    });
    out.dedup();
    out
}

/// Findings of several files as a SARIF 2.1.0 log.
pub fn lint_to_sarif(files: &[(&str, &[LintFinding])], version: &str) -> Value {
    let rules: Vec<Value> = LINT_RULES
        .iter()
        .map(|r| {
            json!({
                "id": r.id,
                "shortDescription": { "text": r.title },
                "help": { "text": r.help },
                "defaultConfiguration": { "level": r.weight.as_str() },
            })
        })
        .collect();
    let results: Vec<Value> = files
        .iter()
        .flat_map(|(file, findings)| findings.iter().map(move |f| (file, f)))
        .map(|(file, f)| {
            json!({
                "ruleId": f.rule.id,
                "level": f.rule.weight.as_str(),
                "message": { "text": f.message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": file },
                    "region": { "startLine": f.position.line, "startColumn": f.position.column },
                } }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": { "name": "palisade", "version": version, "rules": rules } }, "results": results }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str, kind: PolicyKind) -> Vec<&'static str> {
        let mut out: Vec<&str> = lint(
            text,
            kind,
            Some("111111111111"),
            Catalogue::embedded().unwrap(),
        )
        .iter()
        .map(|f| f.rule.id)
        .collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn identity(statement: &str) -> Vec<&'static str> {
        ids(
            &format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#),
            PolicyKind::Identity,
        )
    }

    #[test]
    fn rules() {
        let cases: &[(&str, &[&str])] = &[
            (
                r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#,
                &[],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b"}"#,
                &["action-resource-mismatch"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b/*"}"#,
                &["action-resource-mismatch"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:GetObjec","Resource":"arn:aws:s3:::b/*"}"#,
                &["unknown-action"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s33:GetObject","Resource":"arn:aws:s3:::b/*"}"#,
                &["unknown-service"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{"StringEquals":{"s3:nope":"x"}}}"#,
                &["unknown-condition-key"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::b","Condition":{"StringEquals":{"s3:max-keys":"9"}}}"#,
                &["operator-type-mismatch"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}"#,
                &["wildcard-resource-sensitive"],
            ),
            (
                r#"{"Effect":"Allow","Action":"iam:PassRole","Resource":"*"}"#,
                &["pass-role-any", "wildcard-resource-sensitive"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#,
                &["redundant-statement"],
            ),
            (
                r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"},{"Effect":"Deny","Action":"s3:*","Resource":"*"}"#,
                &["shadowed-statement"],
            ),
            (
                r#"{"Effect":"Allow","Action":"ec2:RunInstances","Resource":"arn:aws:ec2:*:*:instance/*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}}"#,
                &["set-operator-single-value"],
            ),
            (
                r#"{"Effect":"allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#,
                &["grammar"],
            ),
        ];
        for (statement, want) in cases {
            assert_eq!(&identity(statement), want, "{statement}");
        }
        assert!(identity(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).contains(&"admin"));
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222222222222","Service":"codebuild.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        assert_eq!(
            ids(trust, PolicyKind::Trust),
            ["confused-deputy", "missing-external-id"]
        );
    }

    #[test]
    fn rule_table_is_in_order() {
        assert!(LINT_RULES.windows(2).all(|w| w[0].id < w[1].id));
        let finding = lint(
            "{",
            PolicyKind::Identity,
            None,
            Catalogue::embedded().unwrap(),
        );
        let sarif = lint_to_sarif(&[("a.json", &finding)], "0");
        assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "grammar");
    }
}

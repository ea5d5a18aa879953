//! Whether policies leave open what they should name: transport, roles, subjects of tokens.

use std::collections::BTreeSet;

use crate::arn_pattern::Widest;
use crate::capability::{covers_bucket_and_objects, denies};
use crate::condition::{Family, SetTest};
use crate::error::PolicyError;
use crate::glob::Pattern;
use crate::policy::{Effect, Policy, PrincipalEntry, Statement, action_pattern};

/// Whether a resource policy refuses one action for everyone when TLS is not used: for services such as SNS whose other
/// actions cannot be named for every caller.
///
/// # Errors
/// The document cannot be read.
pub fn policy_requires_tls_for(policy_json: &str, action: &str) -> Result<bool, PolicyError> {
    let wanted = action_pattern(action);
    let policy = Policy::known(policy_json)?;
    Ok(policy.with_effect(Effect::Deny).any(|s| {
        s.principal.as_ref().is_some_and(|p| p.is_everyone())
            && is_only_transport(s, "false")
            && s.action.covers(&wanted)
            && covers_bucket_and_objects(s)
    }))
}

/// Whether the one condition of a statement is the transport.
fn is_only_transport(statement: &Statement, value: &str) -> bool {
    matches!(statement.conditions.as_slice(), [c] if
        &*c.key_lower == "aws:securetransport"
            && c.operator.family == Family::Bool
            && c.values.iter().all(|v| v.eq_ignore_ascii_case(value)))
}

/// Whether the policy allows `sts:AssumeRole` on every role of an account, or on roles of every account. Conditions do not
/// matter; a `Deny` without condition does.
///
/// # Errors
/// The document cannot be read.
pub fn policy_assumes_any_role(policy_json: &str) -> Result<bool, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let assume = Pattern::new("sts:assumerole");
    let any_account = |account: &Pattern| account.to_text().contains(['*', '?']);
    let wide = |s: &Statement| match &s.resource {
        None => true,
        Some(r) if r.negated => true,
        Some(r) => r.patterns.iter().any(|p| match p.widest() {
            Widest::Arn(parts) => {
                let [_, _, service, _, account, resource] = &*parts.0;
                service.matches("iam")
                    && resource.overlaps(&Pattern::new("role/*"))
                    && (any_account(account) || resource.covers(&Pattern::new("role/*")))
            }
            other => other.covers(&Widest::new("arn:aws:iam::*:role/*")),
        }),
    };
    let allowed = policy
        .with_effect(Effect::Allow)
        .any(|s| s.action.covers(&assume) && wide(s));
    Ok(allowed && !policy.statements.iter().any(|s| denies(s, &assume)))
}

/// Claims of a token that say whose workload it is.
const IDENTIFYING_CLAIMS: &[&str] = &[
    "sub",
    "job_workflow_ref",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
];

/// The OpenID Connect issuers whose tokens a trust policy takes without regard to whom they were given: no condition of
/// the statement fixes the subject (or an equal claim), or its value leaves the owner open (`*`, `repo:*`). Sorted,
/// without `https://`.
///
/// # Errors
/// The document cannot be read.
pub fn trust_policy_open_issuers(policy_json: &str) -> Result<Vec<String>, PolicyError> {
    let policy = Policy::known(policy_json)?;
    let mut out = BTreeSet::new();
    for statement in policy.with_effect(Effect::Allow) {
        if !statement
            .action
            .overlaps(&Pattern::new("sts:assumerolewithwebidentity"))
        {
            continue;
        }
        for entry in statement.principal.iter().flat_map(|p| &p.entries) {
            let PrincipalEntry::Federated(provider) = entry else {
                continue;
            };
            let Some((_, issuer)) = provider.split_once(":oidc-provider/") else {
                continue;
            };
            let lower = issuer.to_ascii_lowercase();
            let fixed = statement.conditions.iter().any(|c| {
                let claim = c
                    .key_lower
                    .strip_prefix(&*lower)
                    .and_then(|rest| rest.strip_prefix(':'));
                claim.is_some_and(|c| IDENTIFYING_CLAIMS.contains(&c))
                    && !c.operator.negated
                    && !c.operator.if_exists
                    && c.operator.set != SetTest::ForAllValues
                    && match c.operator.family {
                        Family::StringEquals | Family::StringEqualsIgnoreCase => true,
                        Family::StringLike => c.values.iter().all(|v| names_an_owner(v)),
                        _ => false,
                    }
            });
            if !fixed {
                out.insert(issuer.to_owned());
            }
        }
    }
    Ok(out.into_iter().collect())
}

/// Whether a value says more than the kind of subject before its first wildcard: `repo:acme/*` does, `repo:*` does not.
fn names_an_owner(value: &str) -> bool {
    match value.split_once(['*', '?']) {
        None => true,
        Some((before, _)) => before
            .split_once(':')
            .map_or(before, |(_, owner)| owner)
            .chars()
            .any(char::is_alphanumeric),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
    }

    #[test]
    fn transport_of_one_action() {
        let deny = |principal: &str, action: &str| {
            policy(&format!(
                r#"{{"Effect":"Deny","Principal":"{principal}","Action":{action},"Resource":"*","Condition":{{"Bool":{{"aws:SecureTransport":"false"}}}}}}"#
            ))
        };
        let holds = |text: &str| policy_requires_tls_for(text, "sns:Publish").unwrap();
        assert!(holds(&deny("*", r#""SNS:Publish""#)));
        assert!(holds(&deny("*", r#"["sns:Subscribe","sns:Pub*"]"#)));
        assert!(!holds(&deny("*", r#""sns:Subscribe""#)));
        assert!(!holds(&deny(
            "arn:aws:iam::111111111111:root",
            r#""sns:Publish""#
        )));
        assert!(policy_requires_tls_for("{", "sns:Publish").is_err());
    }

    #[test]
    fn roles_that_may_be_assumed() {
        let any = |resource: &str| {
            let text = policy(&format!(
                r#"{{"Effect":"Allow","Action":"sts:Assume*","Resource":"{resource}"}}"#
            ));
            policy_assumes_any_role(&text).unwrap()
        };
        assert!(any("*"));
        assert!(any("arn:aws:iam::111111111111:role/*"));
        assert!(any("arn:aws:iam::*:role/deploy"));
        assert!(!any("arn:aws:iam::111111111111:role/deploy-*"));
        assert!(!any("arn:aws:iam::*:user/x"));
        let denied = r#"{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"sts:*","Resource":"*"}"#;
        assert!(!policy_assumes_any_role(&policy(denied)).unwrap());
    }

    #[test]
    fn issuers_without_a_subject() {
        let open = |condition: &str| {
            let text = policy(&format!(
                r#"{{"Effect":"Allow","Principal":{{"Federated":"arn:aws:iam::111111111111:oidc-provider/token.example.com"}},"Action":"sts:AssumeRoleWithWebIdentity"{condition}}}"#
            ));
            !trust_policy_open_issuers(&text).unwrap().is_empty()
        };
        let when = |operator: &str, key: &str, value: &str| {
            open(&format!(
                r#","Condition":{{"{operator}":{{"token.example.com:{key}":"{value}"}}}}"#
            ))
        };
        assert!(open(""));
        assert!(when("StringEquals", "aud", "sts.amazonaws.com"));
        assert!(when("StringLike", "sub", "*"));
        assert!(when("StringLike", "sub", "repo:*"));
        assert!(when("StringNotLike", "sub", "repo:acme/*"));
        assert!(when("StringLikeIfExists", "sub", "repo:acme/*"));
        assert!(!when("StringLike", "sub", "repo:acme/*"));
        assert!(!when(
            "StringEquals",
            "sub",
            "repo:acme/app:ref:refs/heads/main"
        ));
        assert!(!when("StringEquals", "repository_owner", "acme"));
    }
}

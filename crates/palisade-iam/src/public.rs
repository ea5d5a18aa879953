//! Who outside the owner's account can use a resource policy: everyone, other accounts, nobody.

use std::collections::BTreeSet;

use crate::arn_pattern::Widest;
use crate::condition::{Condition, Family};
use crate::error::PolicyError;
use crate::net::Cidr;
use crate::policy::{Effect, Policy, PrincipalEntry, Statement, action_pattern};
use crate::restrict::{Limit, limit_of_denied, limits};

/// Whether a policy is public, and through which statements.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publicness {
    /// The statements that let everyone in: their `Sid`, or `#1` for the first without one.
    pub statements: Vec<String>,
    /// The actions of these statements as written, sorted.
    pub actions: Vec<String>,
}

impl Publicness {
    /// Whether some statement lets everyone in.
    pub fn is_public(&self) -> bool {
        !self.statements.is_empty()
    }
}

/// Refinements of the question. The default is AWS's own definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublicOptions {
    /// When given, a range of addresses restricts only if it lies within these or is private.
    pub trusted_addresses: Vec<String>,
    /// Whether a service principal without a source condition counts as public (confused deputy).
    pub unbound_services: bool,
}

/// Whether a resource policy is public in AWS's sense (S3 User Guide, "The meaning of public"; for services
/// other than S3 the same definition is used). Statements with `NotPrincipal` and `Allow` are public. A `Deny`
/// counts only when it surely takes away what the `Allow` gives: unconditionally, or from all but fixed values.
///
/// The owner does not matter to this definition: a limit to any named account is a limit. Who is let in besides the
/// owner is what [`policy_external_accounts`] says.
///
/// # Errors
/// The document cannot be read.
pub fn policy_is_public(
    policy_json: &str,
    _owner_account: &str,
) -> Result<Publicness, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(publicness(&policy, &PublicOptions::default()))
}

/// [`policy_is_public`] over a policy that was read before, with options.
pub fn publicness(policy: &Policy, options: &PublicOptions) -> Publicness {
    let trusted: Vec<Cidr> = options
        .trusted_addresses
        .iter()
        .filter_map(|t| Cidr::parse(t))
        .collect();
    let mut out = Publicness::default();
    let mut actions = BTreeSet::new();
    for statement in policy.with_effect(Effect::Allow) {
        let open = is_open(statement) || (options.unbound_services && has_service(statement));
        if open && limits(statement, &trusted).is_empty() && !is_taken_away(policy, statement) {
            out.statements.push(statement.label());
            actions.extend(statement.action.texts.iter().cloned());
        }
    }
    out.actions = actions.into_iter().collect();
    out
}

/// Whether the principal element by itself lets everyone in.
fn is_open(statement: &Statement) -> bool {
    statement
        .principal
        .as_ref()
        .is_some_and(|p| p.negated || p.entries.iter().any(entry_is_open))
}

/// Whether an entry is everyone; a wildcard for the account in an ARN is everyone too.
pub(crate) fn entry_is_open(entry: &PrincipalEntry) -> bool {
    match entry {
        PrincipalEntry::Everyone => true,
        PrincipalEntry::Account(account) => account.contains(['*', '?']),
        PrincipalEntry::Arn(arn) => {
            entry.account().is_none_or(|a| a.contains(['*', '?'])) || arn.starts_with("arn:*:*")
        }
        _ => false,
    }
}

fn has_service(statement: &Statement) -> bool {
    statement.principal.as_ref().is_some_and(|p| {
        p.entries
            .iter()
            .any(|e| matches!(e, PrincipalEntry::Service(_)))
    })
}

/// Whether a `Deny` for everyone surely covers the statement, but for callers with fixed values.
fn is_taken_away(policy: &Policy, allow: &Statement) -> bool {
    deny_limits(policy, allow).is_some()
}

/// `Some` when a `Deny` covers the statement: with the limit of who is left, or none for nobody.
fn deny_limits(policy: &Policy, allow: &Statement) -> Option<Option<Limit>> {
    policy
        .with_effect(Effect::Deny)
        .filter(|d| covers(d, allow))
        .find_map(|deny| {
            // services are nobody here: sparing them leaves everyone else denied
            let mut conditions = deny.conditions.iter().filter(|c| !spares_services_alone(c));
            match (conditions.next(), conditions.next()) {
                (None, _) => Some(None),
                (Some(one), None) => limit_of_denied(one).map(Some),
                _ => None,
            }
        })
}

/// Whether a condition holds for everyone but AWS's services: `aws:PrincipalIsAWSService` is part of every signed request
/// (IAM User Guide, "AWS global condition context keys"); with `IfExists` it holds for anonymous ones, too.
fn spares_services_alone(condition: &Condition) -> bool {
    let operator = condition.operator;
    *condition.key_lower == *"aws:principalisawsservice"
        && operator.family == Family::Bool
        && !operator.negated
        && operator.if_exists
        && condition.is_readable
        && condition.values == ["false"]
}

/// Whether a `Deny` speaks of everyone and of every action and resource of an `Allow`.
fn covers(deny: &Statement, allow: &Statement) -> bool {
    let everyone = deny.principal.as_ref().is_some_and(|p| p.is_everyone());
    let actions = if allow.action.negated {
        deny.action.covers(&action_pattern("*"))
    } else {
        allow.action.patterns.iter().all(|p| deny.action.covers(p))
    };
    let resources = match (&deny.resource, &allow.resource) {
        (None, _) => true,
        (Some(d), _) if d.is_everything() => true,
        (Some(d), Some(a)) if !d.negated && !a.negated => {
            // A variable could be anything: on the side that must cover, it covers nothing.
            let outer: Vec<Widest> = d
                .patterns
                .iter()
                .filter(|p| !p.has_variable())
                .map(|p| p.widest())
                .collect();
            a.patterns
                .iter()
                .all(|p| outer.iter().any(|o| o.covers(&p.widest())))
        }
        _ => false,
    };
    everyone && actions && resources
}

/// The accounts other than the owner that a resource policy lets in, sorted.
///
/// `*` stands for everyone (the statement is public). Everyone limited to an organisation gives the
/// organisation's id (`o-…`). Everyone limited to a network, or to a fixed thing that names no account,
/// gives nothing, since AWS does not count that as public. Services give nothing.
///
/// # Errors
/// The document cannot be read.
pub fn policy_external_accounts(
    policy_json: &str,
    owner_account: &str,
) -> Result<Vec<String>, PolicyError> {
    let policy = Policy::known(policy_json)?;
    Ok(external_accounts(
        &policy,
        owner_account,
        &PublicOptions::default(),
    ))
}

/// [`policy_external_accounts`] over a policy that was read before, with options.
pub fn external_accounts(
    policy: &Policy,
    owner_account: &str,
    options: &PublicOptions,
) -> Vec<String> {
    external_accounts_of(policy, owner_account, options, &|_, _| true)
}

/// [`external_accounts`], where it is known of some accounts that they are in none of some organisations: `may_be_in` says
/// for an account and organisations whether it may be in one.
pub(crate) fn external_accounts_of(
    policy: &Policy,
    owner_account: &str,
    options: &PublicOptions,
    may_be_in: &dyn Fn(&str, &BTreeSet<String>) -> bool,
) -> Vec<String> {
    let trusted: Vec<Cidr> = options
        .trusted_addresses
        .iter()
        .filter_map(|t| Cidr::parse(t))
        .collect();
    let mut out = BTreeSet::new();
    for statement in policy.with_effect(Effect::Allow) {
        let Some(principal) = &statement.principal else {
            continue;
        };
        let mut limits = limits(statement, &trusted);
        match deny_limits(policy, statement) {
            Some(None) => continue,
            Some(Some(limit)) => limits.push(limit),
            None => {}
        }
        if is_open(statement) {
            match limits.iter().min() {
                None => {
                    out.insert("*".to_owned());
                }
                Some(Limit::Accounts(names) | Limit::Organizations(names)) => {
                    out.extend(names.iter().cloned())
                }
                Some(Limit::Network | Limit::Fixed) => {}
            }
        }
        if !principal.negated {
            let allowed = limits.iter().find_map(|l| {
                if let Limit::Accounts(names) = l {
                    Some(names)
                } else {
                    None
                }
            });
            let organizations = limits.iter().find_map(|l| match l {
                Limit::Organizations(names) => Some(names),
                _ => None,
            });
            let named = principal
                .entries
                .iter()
                .filter(|e| !entry_is_open(e))
                .filter_map(|e| e.account());
            out.extend(
                named
                    .filter(|a| allowed.is_none_or(|names| names.contains(*a)))
                    .filter(|a| organizations.is_none_or(|names| may_be_in(a, names)))
                    .map(ToOwned::to_owned),
            );
        }
    }
    out.remove(owner_account);
    out.into_iter().collect()
}

/// Whether the principal element of a statement, taken alone, is everyone.
///
/// # Errors
/// The statement's principal cannot be read.
pub fn principal_is_public(statement_json: &str) -> Result<bool, PolicyError> {
    // The question is about one element, so the others are supplied when the fragment lacks them.
    let node: serde_json::Value =
        serde_json::from_str(statement_json).map_err(|e| PolicyError {
            message: "the statement is not JSON".to_owned(),
            line: e.line(),
            column: e.column(),
        })?;
    let Some(principal) = node.get("Principal") else {
        return Ok(false);
    };
    let whole = serde_json::json!({
        "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Principal": principal }],
    });
    let policy = Policy::parse(&whole.to_string())?;
    Ok(policy.statements.iter().any(is_open))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(statements: &str) -> bool {
        policy_is_public(
            &format!(r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#),
            "111111111111",
        )
        .unwrap()
        .is_public()
    }

    const OPEN: &str = r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#;

    #[test]
    fn a_deny_counts_only_when_it_surely_covers() {
        assert!(public(OPEN));
        let deny = |rest: &str| format!(r#"{OPEN},{{"Effect":"Deny","Principal":"*",{rest}}}"#);
        assert!(!public(&deny(r#""Action":"s3:*","Resource":"*""#)));
        assert!(public(&deny(r#""Action":"s3:PutObject","Resource":"*""#)));
        assert!(public(&deny(
            r#""Action":"s3:*","Resource":"arn:aws:s3:::b/private/*""#
        )));
        assert!(!public(&deny(
            r#""Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}"#
        )));
        assert!(public(&deny(
            r#""Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}"#
        )));
        assert!(public(&deny(
            r#""Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"},"Bool":{"aws:SecureTransport":"false"}}"#
        )));
    }

    #[test]
    fn accounts() {
        let policy = r#"{"Statement":[
            {"Effect":"Allow","Principal":{"AWS":["111111111111","arn:aws:iam::222222222222:role/x"]},"Action":"*","Resource":"*"},
            {"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}]}"#;
        assert_eq!(
            policy_external_accounts(policy, "111111111111").unwrap(),
            ["222222222222", "o-1"]
        );
        assert!(policy_external_accounts("{", "1").is_err());
    }
}

//! What a condition limits a statement to.
//!
//! The base is S3's definition of "public" (S3 User Guide, "The meaning of public"): a statement for
//! everyone is not public when it grants access only to fixed values of certain condition keys, a fixed
//! value being one without a wildcard or a policy variable. EFS adds its own keys (EFS User Guide,
//! "Blocking public access"); keys that AWS introduced later and that name an account, an organisation
//! or a network in the same way are taken alike. Two things follow the logic of evaluation: an operator
//! that is also true when the key is missing (`...IfExists`, `ForAllValues:`, the `Not` forms) limits
//! nothing, and an ARN with a fixed account is fixed although later parts have wildcards.

use std::collections::BTreeSet;

use crate::arn_pattern::ArnText;
use crate::condition::{Condition, Family, SetTest};
use crate::net::Cidr;
use crate::policy::Statement;

/// What a condition limits callers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// These accounts.
    Accounts(BTreeSet<String>),
    /// These organisations (or parts of one).
    Organizations(BTreeSet<String>),
    /// A VPC, a VPC endpoint or address ranges.
    Network,
    /// Another fixed thing: a bucket or resource without an account in its ARN, a user id, a key, a mount target.
    Fixed,
}

/// How the values of a key name something fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Account,
    Arn,
    Organization,
    Network,
    Address,
    UserId,
    Id,
    True,
    Endpoint,
}

fn key_kind(key: &str) -> Option<KeyKind> {
    Some(match key {
        "aws:sourceaccount"
        | "aws:sourceowner"
        | "aws:principalaccount"
        | "kms:calleraccount"
        | "s3:dataaccesspointaccount"
        | "aws:vpceaccount" => KeyKind::Account,
        "aws:sourcearn"
        | "aws:principalarn"
        | "s3:dataaccesspointarn"
        | "elasticfilesystem:accesspointarn"
        | "aws:sourcevpcarn"
        | "lambda:sourcefunctionarn" => KeyKind::Arn,
        "aws:principalorgid"
        | "aws:principalorgpaths"
        | "aws:sourceorgid"
        | "aws:sourceorgpaths"
        | "aws:vpceorgid"
        | "aws:vpceorgpaths" => KeyKind::Organization,
        "aws:sourcevpc" | "aws:sourcevpce" => KeyKind::Network,
        "aws:sourceip" | "aws:vpcsourceip" => KeyKind::Address,
        "aws:userid" => KeyKind::UserId,
        "s3:x-amz-server-side-encryption-aws-kms-key-id" => KeyKind::Id,
        "elasticfilesystem:accessedviamounttarget" => KeyKind::True,
        "sns:endpoint" => KeyKind::Endpoint,
        _ => return None,
    })
}

fn is_fixed(value: &str) -> bool {
    !value.is_empty() && !value.contains(['*', '?']) && !value.contains("${")
}

/// Whether an operator, when its condition holds, says that the key is present and has one of the values.
fn names_values(condition: &Condition) -> bool {
    let operator = condition.operator;
    !operator.negated
        && !operator.if_exists
        && operator.set != SetTest::ForAllValues
        && !condition.values.is_empty()
}

/// Whether a negated operator, when its condition does not hold, says so.
fn excludes_values(condition: &Condition) -> bool {
    condition.operator.negated
        && condition.operator.set != SetTest::ForAnyValue
        && !condition.values.is_empty()
}

/// What a condition of an `Allow` limits callers to; `None` when it limits nothing that counts.
pub fn limit(condition: &Condition) -> Option<Limit> {
    if names_values(condition) {
        values_limit(condition, &[])
    } else {
        None
    }
}

/// What remains allowed under a `Deny` whose only condition this is.
pub fn limit_of_denied(condition: &Condition) -> Option<Limit> {
    if excludes_values(condition) {
        values_limit(condition, &[])
    } else {
        None
    }
}

/// Like [`limit`], with addresses counting only when they are all among the trusted ones.
pub fn limit_with_trusted(condition: &Condition, trusted: &[Cidr]) -> Option<Limit> {
    if names_values(condition) {
        values_limit(condition, trusted)
    } else {
        None
    }
}

fn values_limit(condition: &Condition, trusted: &[Cidr]) -> Option<Limit> {
    let kind = key_kind(&condition.key_lower)?;
    let values = &condition.values;
    let text = matches!(
        condition.operator.family,
        Family::StringEquals | Family::StringEqualsIgnoreCase | Family::StringLike | Family::Arn
    );
    match kind {
        KeyKind::Account if text => values
            .iter()
            .all(|v| is_fixed(v))
            .then(|| Limit::Accounts(values.iter().cloned().collect())),
        KeyKind::Arn if text => arn_limit(values),
        KeyKind::Organization if text => {
            let roots: BTreeSet<String> = values
                .iter()
                .filter_map(|v| v.split('/').next())
                .map(ToOwned::to_owned)
                .collect();
            roots
                .iter()
                .all(|r| is_fixed(r))
                .then_some(Limit::Organizations(roots))
        }
        KeyKind::Network | KeyKind::Id if text => {
            values
                .iter()
                .all(|v| is_fixed(v))
                .then_some(if kind == KeyKind::Network {
                    Limit::Network
                } else {
                    Limit::Fixed
                })
        }
        KeyKind::Address if condition.operator.family == Family::IpAddress => {
            let networks: Option<Vec<Cidr>> = values.iter().map(|v| Cidr::parse(v)).collect();
            networks?
                .iter()
                .all(|n| {
                    !n.is_broad()
                        && (trusted.is_empty()
                            || n.is_private()
                            || trusted.iter().any(|t| t.contains(n)))
                })
                .then_some(Limit::Network)
        }
        // The unique id of a role before the colon belongs to one role, whatever the session's name.
        KeyKind::UserId if text => values
            .iter()
            .all(|v| is_fixed(v.split(':').next().unwrap_or_default()))
            .then_some(Limit::Fixed),
        KeyKind::True if condition.operator.family == Family::Bool => values
            .iter()
            .all(|v| v.eq_ignore_ascii_case("true"))
            .then_some(Limit::Fixed),
        KeyKind::Endpoint if text => values
            .iter()
            .all(|v| is_fixed_endpoint(v))
            .then_some(Limit::Fixed),
        _ => None,
    }
}

fn arn_limit(values: &[String]) -> Option<Limit> {
    let mut accounts = BTreeSet::new();
    let mut unnamed = false;
    for value in values {
        match ArnText::new(value).account() {
            Some(account) if is_fixed(account) => {
                accounts.insert(account.to_owned());
            }
            Some(_) => return None,
            // Some ARNs, such as those of buckets, have no account: then the whole must be fixed.
            None if is_fixed(value) => unnamed = true,
            None => return None,
        }
    }
    Some(if unnamed || accounts.is_empty() {
        Limit::Fixed
    } else {
        Limit::Accounts(accounts)
    })
}

/// A subscription endpoint is fixed when it is written out, or is any mailbox of one written-out domain.
fn is_fixed_endpoint(value: &str) -> bool {
    match value.strip_prefix("*@") {
        Some(domain) => is_fixed(domain),
        None => is_fixed(value),
    }
}

/// The limits of a statement's conditions; all apply together.
pub fn limits(statement: &Statement, trusted: &[Cidr]) -> Vec<Limit> {
    statement
        .conditions
        .iter()
        .filter_map(|c| limit_with_trusted(c, trusted))
        .collect()
}

/// Named questions about a condition block.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// The block lets in only the owner's account (or, with `cross_account`, only named accounts,
    /// networks or calling services).
    Account {
        /// The owner.
        owner: String,
        /// Whether other named accounts are accepted.
        cross_account: bool,
    },
    /// Only named organisations.
    Organization,
    /// Only named source resources; with an owner, of that account.
    SourceArn {
        /// The owner, when it matters.
        owner: Option<String>,
    },
    /// Only addresses that are not routed on the internet.
    PrivateAddress,
    /// Only these addresses.
    TrustedAddresses(Vec<String>),
    /// Only named subscription endpoints.
    SnsEndpoint,
}

/// Whether some condition of the block restricts it in the sense of the definition.
pub fn block_restricts(conditions: &[Condition], definition: &Definition) -> bool {
    conditions
        .iter()
        .filter(|c| names_values(c))
        .any(|condition| restricts(condition, definition))
}

fn restricts(condition: &Condition, definition: &Definition) -> bool {
    let key = &*condition.key_lower;
    let found = limit(condition);
    match definition {
        Definition::Account {
            owner,
            cross_account,
        } => {
            let only_owner =
                |accounts: &BTreeSet<String>| *cross_account || accounts.iter().all(|a| a == owner);
            match (key, found) {
                // These two name the resource's own account; they restrict which resource is meant.
                ("aws:resourceaccount" | "s3:resourceaccount", _) => condition
                    .values
                    .iter()
                    .all(|v| is_fixed(v) && (*cross_account || v == owner)),
                (
                    "aws:calledvia" | "aws:calledviafirst" | "aws:calledvialast" | "kms:viaservice",
                    _,
                ) => *cross_account,
                (_, Some(Limit::Accounts(accounts))) => only_owner(&accounts),
                (_, Some(Limit::Network)) => key != "aws:sourceip",
                (_, Some(_)) => {
                    *cross_account
                        || matches!(
                            key,
                            "aws:sourcearn" | "elasticfilesystem:accessedviamounttarget"
                        )
                }
                _ => false,
            }
        }
        Definition::Organization => matches!(found, Some(Limit::Organizations(_))),
        Definition::SourceArn { owner } => {
            key == "aws:sourcearn"
                && condition
                    .values
                    .iter()
                    .all(|v| names_one_source(v, owner.as_deref()))
        }
        Definition::PrivateAddress => {
            addresses(condition).is_some_and(|all| all.iter().all(Cidr::is_private))
        }
        Definition::TrustedAddresses(trusted) => {
            let trusted: Vec<Cidr> = trusted.iter().filter_map(|t| Cidr::parse(t)).collect();
            addresses(condition)
                .is_some_and(|all| all.iter().all(|n| trusted.iter().any(|t| t.contains(n))))
        }
        Definition::SnsEndpoint => key == "sns:endpoint" && found.is_some(),
    }
}

/// Whether an ARN names a source closely: a resource of one service, and of the owner when it has an account.
fn names_one_source(value: &str, owner: Option<&str>) -> bool {
    let arn = ArnText::new(value);
    let Some([_, _, service, _, account, resource]) = arn.parts else {
        return false;
    };
    let named = is_fixed(service)
        && !resource.is_empty()
        && !resource.starts_with(['*', '?'])
        && !resource.contains("${");
    let of_owner = match owner {
        Some(owner) => account == owner || (account.is_empty() && service == "s3"),
        None => !account.contains(['*', '?']),
    };
    named && of_owner
}

fn addresses(condition: &Condition) -> Option<Vec<Cidr>> {
    if key_kind(&condition.key_lower) != Some(KeyKind::Address)
        || condition.operator.family != Family::IpAddress
    {
        return None;
    }
    condition.values.iter().map(|v| Cidr::parse(v)).collect()
}

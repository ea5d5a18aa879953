//! The `Principal` element.

use crate::glob::Pattern;
use crate::request::{Principal, PrincipalKind};

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalPattern {
    /// Whether it is `NotPrincipal`.
    pub negated: bool,
    /// The entries; one match is enough.
    pub entries: Vec<PrincipalEntry>,
}

/// One entry of a principal element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PrincipalEntry {
    /// `"*"` or `{"AWS": "*"}`: everyone, also without credentials.
    Everyone,
    /// A whole account: its id or `arn:aws:iam::ID:root`.
    Account(String),
    /// A user, role, session or federated user by ARN; may name no wildcard in AWS.
    Arn(String),
    /// The unique id of a deleted user or role (`AIDA…`, `AROA…`).
    UniqueId(String),
    /// A service, for example `lambda.amazonaws.com`.
    Service(String),
    /// A web or SAML identity provider.
    Federated(String),
    /// An S3 canonical user id.
    CanonicalUser(String),
}

/// Whether a text is an account id.
pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

impl PrincipalEntry {
    /// An entry of a typed list; `None` for an unknown kind.
    pub fn new(kind: &str, text: &str) -> Option<Self> {
        Some(match kind {
            "AWS" => Self::aws(text),
            "Service" => Self::Service(text.to_owned()),
            "Federated" => Self::Federated(text.to_owned()),
            "CanonicalUser" if text == "*" || text == "arn:aws:iam::*:root" => Self::Everyone,
            "CanonicalUser" => Self::CanonicalUser(text.to_owned()),
            _ => return None,
        })
    }

    /// An entry without a kind; AWS accepts only `*`, but documents of other tools write ARNs and services.
    pub fn bare(text: &str) -> Self {
        if text.contains('.') && !text.contains(':') {
            Self::Service(text.to_owned())
        } else {
            Self::aws(text)
        }
    }

    fn aws(text: &str) -> Self {
        if text == "*" {
            return Self::Everyone;
        }
        if is_account_id(text) {
            return Self::Account(text.to_owned());
        }
        let mut parts = text.splitn(6, ':');
        let fields = [
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ];
        match fields {
            [
                Some("arn"),
                _,
                Some("iam"),
                _,
                Some(account),
                Some("root") | None,
            ] => match account {
                "*" => Self::Everyone,
                account => Self::Account(account.to_owned()),
            },
            [Some("arn"), ..] => Self::Arn(text.to_owned()),
            _ => Self::UniqueId(text.to_owned()),
        }
    }

    /// The account that the entry names, when it names one.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(account) => Some(account),
            Self::Arn(arn) => arn.split(':').nth(4).filter(|a| !a.is_empty()),
            Self::Federated(arn) if arn.starts_with("arn:") => {
                arn.split(':').nth(4).filter(|a| !a.is_empty())
            }
            _ => None,
        }
    }

    /// The entry as policies write it.
    pub fn text(&self) -> &str {
        match self {
            Self::Everyone => "*",
            Self::Account(t)
            | Self::Arn(t)
            | Self::UniqueId(t)
            | Self::Service(t)
            | Self::Federated(t)
            | Self::CanonicalUser(t) => t,
        }
    }

    /// How closely the entry names the principal; `None` when it does not.
    pub fn names(&self, principal: &Principal) -> Option<Closeness> {
        match self {
            Self::Everyone => Some(Closeness::Everyone),
            Self::Account(account) => (principal.account() == Some(account) && principal.is_iam())
                .then_some(Closeness::Account),
            Self::Arn(arn) => {
                if *arn == principal.arn {
                    Some(Closeness::Exact)
                } else if principal.role_arn_matches(arn) {
                    Some(Closeness::Role)
                } else {
                    None
                }
            }
            Self::UniqueId(id) => {
                (principal.unique_id.as_deref() == Some(id)).then_some(Closeness::Exact)
            }
            Self::Service(service) => (principal.kind == PrincipalKind::Service
                && service_matches(service, &principal.arn))
            .then_some(Closeness::Exact),
            Self::Federated(provider) => (principal.kind == PrincipalKind::Federated
                && *provider == principal.arn)
                .then_some(Closeness::Exact),
            Self::CanonicalUser(_) => None,
        }
    }
}

fn service_matches(entry: &str, service: &str) -> bool {
    entry.eq_ignore_ascii_case(service)
        || (entry.contains('*') && Pattern::new(entry).matches(service))
}

/// How closely an entry names a principal. The closer, the more it grants by itself
/// (IAM User Guide, "Policy evaluation logic", resource-based policies).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closeness {
    /// The account: delegates to the account's own policies.
    Account,
    /// `*`.
    Everyone,
    /// A role, for one of its sessions.
    Role,
    /// The principal itself.
    Exact,
}

impl PrincipalPattern {
    /// Whether the element means the principal. In `NotPrincipal` every entry that names the principal in any way,
    /// also through its account or role, excepts it.
    pub fn matches(&self, principal: &Principal) -> bool {
        self.entries.iter().any(|e| e.names(principal).is_some()) != self.negated
    }

    /// How closely the element names the principal.
    pub fn closeness(&self, principal: &Principal) -> Option<Closeness> {
        if self.negated {
            return (!self.entries.iter().any(|e| e.names(principal).is_some()))
                .then_some(Closeness::Everyone);
        }
        self.entries.iter().filter_map(|e| e.names(principal)).max()
    }

    /// Whether everyone is meant, also without credentials.
    pub fn is_everyone(&self) -> bool {
        !self.negated && self.entries.contains(&PrincipalEntry::Everyone)
    }
}

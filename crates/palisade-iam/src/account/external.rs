//! What can be reached from outside of its account: by policies, and by what is shared without one.

use std::collections::BTreeSet;

use super::Model;
use super::guard::Guard;
use super::s3::S3Facts;
use crate::context::Context;
use crate::policy::{Effect, Policy, PrincipalEntry};
use crate::public::{PublicOptions, entry_is_open, external_accounts};
use crate::truth::Truth;

/// From where something can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExternalKind {
    /// By everyone.
    Public,
    /// By accounts that are not among the known ones.
    CrossAccount,
    /// By the same organisation only.
    Organization,
    /// By an identity provider.
    Federation,
}

/// Something that can be reached from outside its account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExternalAccess {
    /// ARN of the role or resource.
    pub resource: String,
    /// From where.
    pub kind: ExternalKind,
    /// `*`, an account, an organisation, or a provider.
    pub who: String,
    /// What lets them in: `policy`, `trust policy`, `access list`, `grant`, `launch permission` …
    pub through: String,
    /// The resource control policies that surely deny all of it; empty where they do not, or are not known.
    pub blocked_by: Vec<String>,
}

/// Whom something is shared with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharedWith {
    /// Everyone who has an AWS account, or everyone.
    Everyone,
    /// An account.
    Account(String),
    /// An organisation: its id.
    Organization(String),
    /// An organisational unit: the id of its organisation, and the unit's ARN.
    Unit(String, String),
    /// Somebody whose account is not known: the name that AWS gives.
    Other(String),
}

/// A resource that is shared otherwise than by a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    /// ARN of the resource.
    pub resource: String,
    /// The account that owns it.
    pub owner: String,
    /// Whom it is shared with.
    pub with: SharedWith,
    /// By what, in AWS's words.
    pub through: String,
}

impl SharedWith {
    /// What the ARN or id of a principal names.
    pub fn parse(text: &str) -> Self {
        let is_account = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
        if text == "*" || text.eq_ignore_ascii_case("all") {
            return Self::Everyone;
        }
        if is_account {
            return Self::Account(text.to_owned());
        }
        let mut fields = text.splitn(6, ':');
        let (service, account, name) = (fields.nth(2), fields.nth(1), fields.next());
        match (service, account, name.and_then(|n| n.split_once('/'))) {
            // `organization/o-…`, `ou/o-…/ou-…`
            (Some("organizations"), _, Some(("organization", id))) => {
                Self::Organization(id.to_owned())
            }
            (Some("organizations"), _, Some(("ou", path))) => {
                let organization = path.split('/').next().unwrap_or(path);
                Self::Unit(organization.to_owned(), text.to_owned())
            }
            (Some("iam" | "sts"), Some(account), _) if !account.is_empty() => {
                Self::Account(account.to_owned())
            }
            _ => Self::Other(text.to_owned()),
        }
    }
}

impl ExternalKind {
    /// The kind's name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            ExternalKind::Public => "public",
            ExternalKind::CrossAccount => "cross_account",
            ExternalKind::Organization => "organization",
            ExternalKind::Federation => "federation",
        }
    }
}

impl Model {
    /// Everything that can be reached from outside: roles by their trust, resources by their policies, keys by their
    /// grants, and what is shared without a policy. Accounts of this model count as inside.
    pub fn external(&self) -> Vec<ExternalAccess> {
        let mut inside: BTreeSet<&str> = self.entities.iter().map(|e| e.account.as_str()).collect();
        inside.extend(self.shares.iter().map(|s| s.owner.as_str()));
        let mut out = self.federated();
        // `near` is what says how far away somebody is: a unit is as near as its organisation.
        let mut add = |resource: &str,
                       owner: &str,
                       near: &str,
                       who: &str,
                       through: &str,
                       blocked_by: &[String]| {
            if near == owner {
                return;
            }
            if let Some(kind) = self.kind_of(near, owner, &inside) {
                out.insert(ExternalAccess {
                    resource: resource.to_owned(),
                    kind,
                    who: who.to_owned(),
                    through: through.to_owned(),
                    blocked_by: blocked_by.to_vec(),
                });
            }
        };
        for entity in &self.entities {
            let Some(trust) = &entity.trust else { continue };
            let owner = entity.account.as_str();
            let guard = Guard::of(self, &entity.arn, owner);
            let let_in = external_accounts(&trust.policy, owner, &PublicOptions::default());
            for (who, blocked) in guard.over(&trust.policy, let_in) {
                add(&entity.arn, owner, &who, &who, "trust policy", &blocked);
            }
        }
        for (arn, named) in &self.resources {
            let owner = self.owner_of(arn).unwrap_or_default();
            let guard = Guard::of(self, arn, owner);
            let let_in = self.let_in(arn, owner, &named.policy);
            for (who, blocked) in guard.over(&named.policy, let_in) {
                add(arn, owner, &who, &who, "policy", &blocked);
            }
        }
        for (arn, grants) in &self.grants {
            let owner = self.owner_of(arn).unwrap_or_default();
            let guard = Guard::of(self, arn, owner);
            for grant in grants {
                if let SharedWith::Account(account) = SharedWith::parse(&grant.grantee) {
                    for (who, blocked) in guard.over_account(&account) {
                        add(arn, owner, &who, &who, "grant", &blocked);
                    }
                }
            }
        }
        for share in &self.shares {
            let (arn, owner) = (share.resource.as_str(), share.owner.as_str());
            let through = &share.through;
            let with = match &share.with {
                SharedWith::Everyone => "*",
                SharedWith::Account(id) => id,
                SharedWith::Organization(name) | SharedWith::Other(name) => {
                    add(arn, owner, name, name, through, &[]);
                    continue;
                }
                SharedWith::Unit(organization, unit) => {
                    add(arn, owner, organization, unit, through, &[]);
                    continue;
                }
            };
            for (who, blocked) in Guard::of(self, arn, owner).over_account(with) {
                add(arn, owner, &who, &who, through, &blocked);
            }
        }
        out.into_iter().collect()
    }

    /// Whom a resource's policy lets in, with what S3 puts above it.
    fn let_in(&self, arn: &str, owner: &str, policy: &Policy) -> Vec<String> {
        let options = PublicOptions::default();
        let mut found = external_accounts(policy, owner, &options);
        let Some(facts) = self.s3.get(arn) else {
            return found;
        };
        let point = facts.access_point.as_ref();
        // What is reached from one VPC alone is never public.
        if point.is_some_and(|p| p.vpc.is_some()) {
            found.retain(|who| who != "*");
        }
        // `RestrictPublicBuckets`: a public policy serves nobody outside. Where it could not be read, it may not be set.
        if facts.restricts_public.is_true() && found.iter().any(|who| who == "*") {
            return Vec::new();
        }
        let Some(point) = point.filter(|p| !p.buckets.is_empty()) else {
            return found;
        };
        let behind: Vec<BTreeSet<String>> = point
            .buckets
            .iter()
            .filter_map(|(bucket, _)| self.let_in_through(arn, bucket, facts))
            .collect();
        let passes = |who: &String| {
            behind.len() < point.buckets.len()
                || behind.iter().any(|b| b.contains("*") || b.contains(who))
        };
        found.into_iter().filter(passes).collect()
    }

    /// Whom a bucket lets in through an access point; `*` when it leaves that to the access point, `None` when nothing is
    /// known of the bucket.
    fn let_in_through(
        &self,
        point: &str,
        bucket: &str,
        facts: &S3Facts,
    ) -> Option<BTreeSet<String>> {
        let Some(named) = self.resources.get(bucket) else {
            let known = self.known.as_ref();
            let is_known = known.is_none_or(|k| self.is_policy_absent(k, bucket));
            return is_known.then(BTreeSet::new);
        };
        let owner = self.owner_of(bucket).unwrap_or_default();
        let mut out: BTreeSet<String> =
            external_accounts(&named.policy, owner, &PublicOptions::default())
                .into_iter()
                .collect();
        let mut context = Context::open();
        facts.add_context(&mut context, point);
        // Other conditions may hold: what is shown is what may be reached.
        let leaves = named.policy.with_effect(Effect::Allow).any(|statement| {
            let open = statement
                .principal
                .as_ref()
                .is_some_and(|p| p.negated || p.entries.iter().any(entry_is_open));
            open && statement.conditions_hold(&context) != Truth::False
        });
        if leaves {
            out.insert("*".to_owned());
        }
        Some(out)
    }

    /// The account that owns something that [`Model::external`] names.
    pub fn external_owner<'a>(&'a self, resource: &'a str) -> &'a str {
        // ARNs of snapshots and images have no account.
        let owner = self.owner_of(resource);
        let shared = || self.shares.iter().find(|s| s.resource == resource);
        owner
            .or_else(|| shared().map(|s| s.owner.as_str()))
            .unwrap_or_default()
    }

    /// How far outside somebody is; `None` is inside.
    fn kind_of(&self, who: &str, owner: &str, inside: &BTreeSet<&str>) -> Option<ExternalKind> {
        let own = self.organizations.get(owner);
        Some(match who {
            "*" => ExternalKind::Public,
            id if id.starts_with("o-") => match own {
                Some(own) if own != id => ExternalKind::CrossAccount,
                _ => ExternalKind::Organization,
            },
            id if inside.contains(id) => return None,
            // A sister account is within the organisation.
            id if own.is_some() && self.organizations.get(id) == own => ExternalKind::Organization,
            _ => ExternalKind::CrossAccount,
        })
    }

    /// Identity providers that roles and resources name.
    fn federated(&self) -> BTreeSet<ExternalAccess> {
        let trusts = self
            .entities
            .iter()
            .filter_map(|e| Some((e.arn.as_str(), &*e.trust.as_ref()?.policy, "trust policy")));
        let policies = self
            .resources
            .iter()
            .map(|(arn, p)| (arn.as_str(), &*p.policy, "policy"));
        let mut out = BTreeSet::new();
        for (resource, policy, through) in trusts.chain(policies) {
            for statement in policy.with_effect(Effect::Allow) {
                for entry in statement.principal.iter().flat_map(|p| &p.entries) {
                    if let PrincipalEntry::Federated(provider) = entry {
                        out.insert(ExternalAccess {
                            resource: resource.to_owned(),
                            kind: ExternalKind::Federation,
                            who: provider.clone(),
                            through: through.to_owned(),
                            blocked_by: Vec::new(),
                        });
                    }
                }
            }
        }
        out
    }
}

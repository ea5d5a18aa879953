//! Real accounts: users, roles, groups and policies, and questions about them.

mod documents;
mod external;
mod guard;
mod holder;
mod known;
mod load;
mod questions;
mod s3;
mod surroundings;

pub use documents::PolicyDocument;
pub use external::{ExternalAccess, ExternalKind, Share, SharedWith};
pub use known::Known;
pub use load::{LoadError, known_managed_policy};
pub use questions::{Grant, Passed};
pub use s3::{AccessPoint, S3Facts};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::context::Context;
use crate::evaluate::{KmsGrant, Layer, Layers, Level, PolicySets, Source};
use crate::policy::Policy;
use crate::request::{Principal, PrincipalKind, Request};

/// A policy and what it is called.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPolicy {
    /// ARN of a managed policy, else `owner/name` of an inline one.
    pub name: String,
    /// The policy.
    pub policy: Arc<Policy>,
}

impl NamedPolicy {
    pub(crate) fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            policy: &self.policy,
        }
    }
}

/// A user or role.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    /// ARN.
    pub arn: String,
    /// User or role.
    pub kind: PrincipalKind,
    /// Name without path.
    pub name: String,
    /// `AIDA…` or `AROA…`.
    pub unique_id: Option<String>,
    /// Account id.
    pub account: String,
    /// ARNs of a user's groups.
    pub groups: Vec<String>,
    /// ARNs of attached managed policies (not those of groups).
    pub attached: Vec<String>,
    /// Every policy that applies, with those of groups.
    pub policies: Vec<NamedPolicy>,
    /// The permissions boundary.
    pub boundary: Option<NamedPolicy>,
    /// A role's trust policy.
    pub trust: Option<NamedPolicy>,
    /// Tags.
    pub tags: BTreeMap<String, String>,
    /// Policies that are attached but whose text is missing or unreadable: what is said about the entity may be incomplete.
    pub unreadable: Vec<String>,
    /// The layers that these belong to: the entity's own policies, its boundary, its trust policy as a resource.
    pub unread: Layers,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// ARN.
    pub arn: String,
    /// Name without path.
    pub name: String,
    /// Its policies.
    pub policies: Vec<NamedPolicy>,
    /// ARNs of attached managed policies.
    pub attached: Vec<String>,
}

/// A managed policy of the account.
#[derive(Debug, Clone, PartialEq)]
pub struct ManagedPolicy {
    /// ARN.
    pub arn: String,
    /// The default version.
    pub default: Option<Arc<Policy>>,
    /// The other versions that can be made the default; `None` when it is not known which there are.
    pub others: Option<Vec<Arc<Policy>>>,
}

/// Something that runs code with a role: a function, an instance, a notebook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Compute {
    /// ARN.
    pub arn: String,
    /// Service whose principal takes the role, for example `lambda.amazonaws.com`.
    pub service: String,
    /// ARN of the role.
    pub role: String,
}

/// The policies of a root, unit or account of the organisation.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedLevel {
    /// Name.
    pub name: String,
    /// Policies attached there.
    pub policies: Vec<NamedPolicy>,
}

/// Accounts with everything that decides over access in them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// Users and roles in order of ARN.
    pub entities: Vec<Entity>,
    /// Groups by ARN.
    pub groups: BTreeMap<String, Group>,
    /// Managed policies by ARN.
    pub managed: BTreeMap<String, ManagedPolicy>,
    /// Policies of resources by ARN (buckets, queues, keys …), without trust policies.
    pub resources: BTreeMap<String, NamedPolicy>,
    /// Known holders of roles.
    pub compute: Vec<Compute>,
    /// Whether `compute` is everything there is; otherwise holders are assumed to exist.
    pub compute_is_complete: bool,
    /// Service control policies by account, from the root to the account.
    pub scp: BTreeMap<String, Vec<OwnedLevel>>,
    /// Resource control policies by account, from the root to the account.
    pub rcp: BTreeMap<String, Vec<OwnedLevel>>,
    /// The organisation that an account belongs to.
    pub organizations: BTreeMap<String, String>,
    /// What could not be read: ARN or name, and why.
    pub problems: Vec<String>,
    /// Owners of resources whose ARN does not say their account (buckets), also of those without a policy.
    pub owners: BTreeMap<String, String>,
    /// What decides on buckets and access points of S3 besides their policies, by ARN.
    pub s3: BTreeMap<String, S3Facts>,
    /// Grants on KMS keys by the ARN of the key.
    pub grants: BTreeMap<String, Vec<KmsGrant>>,
    /// What is shared otherwise than by a policy: snapshots, images, lists of access, shares of RAM.
    pub shares: Vec<Share>,
    /// What of the policies outside of IAM has been read; `None` says that what is not here does not exist.
    pub known: Option<Known>,
    /// Groups with a policy whose text is missing or unreadable.
    pub(crate) unread_groups: std::collections::BTreeSet<String>,
    /// What has been read of policies, so that a text is held once.
    pub(crate) texts: crate::policy::Texts,
}

/// The levels of an account; `*` has those of accounts that are not named.
pub(crate) fn levels_of<'a>(
    map: &'a BTreeMap<String, Vec<OwnedLevel>>,
    account: &str,
) -> &'a [OwnedLevel] {
    map.get(account)
        .or_else(|| map.get("*"))
        .map_or(&[], Vec::as_slice)
}

fn levels<'a>(map: &'a BTreeMap<String, Vec<OwnedLevel>>, account: &str) -> Vec<Level<'a>> {
    levels_of(map, account)
        .iter()
        .map(|level| Level {
            name: &level.name,
            policies: level.policies.iter().map(NamedPolicy::source).collect(),
        })
        .collect()
}

/// Whether a key of conditions, in lower case, has a value of its own for each user and role: those that
/// [`Entity::context`] sets.
pub(crate) fn is_of_caller(key: &str) -> bool {
    matches!(
        key,
        "aws:principalarn"
            | "aws:principalaccount"
            | "aws:principaltype"
            | "aws:userid"
            | "aws:username"
    ) || key.starts_with("aws:principaltag/")
}

impl Entity {
    /// The layers of its own requests that could not be read; its trust policy is not one of them.
    fn unread_own(&self) -> Layers {
        let mut out = Layers::default();
        for layer in [Layer::Identity, Layer::Boundary] {
            if self.unread.contains(layer) {
                out.insert(layer);
            }
        }
        out
    }

    /// The entity as the principal of a request.
    pub fn principal(&self) -> Principal {
        let mut principal = Principal::new(&self.arn);
        principal.unique_id.clone_from(&self.unique_id);
        principal
    }

    /// What is known of every request of the entity.
    pub fn context(&self, base: &Context) -> Context {
        let mut context = base.clone();
        context.set("aws:PrincipalArn", [&self.arn]);
        context.set("aws:PrincipalAccount", [&self.account]);
        context.set("aws:PrincipalIsAWSService", ["false"]);
        match self.kind {
            PrincipalKind::User => {
                context.set("aws:username", [&self.name]);
                context.set("aws:PrincipalType", ["User"]);
                if let Some(id) = &self.unique_id {
                    context.set("aws:userid", [id]);
                }
            }
            _ => {
                context.set("aws:PrincipalType", ["AssumedRole"]);
                context.set_absent("aws:username");
            }
        }
        context.set_absent_prefix("aws:principaltag/");
        for (key, value) in &self.tags {
            context.set(&format!("aws:PrincipalTag/{key}"), [value]);
        }
        context
    }
}

impl Model {
    /// A user or role by ARN.
    pub fn entity(&self, arn: &str) -> Option<&Entity> {
        self.position(arn).and_then(|at| self.entities.get(at))
    }

    /// The place of a user or role.
    pub fn position(&self, arn: &str) -> Option<usize> {
        self.entities
            .binary_search_by(|e| e.arn.as_str().cmp(arn))
            .ok()
    }

    /// Whether users or roles of an account are in the model.
    pub fn has_account(&self, account: &str) -> bool {
        let prefix = format!("arn:aws:iam::{account}:");
        let at = self.entities.partition_point(|e| *e.arn < *prefix);
        let first = self.entities.get(at);
        // Other partitions are rare: there the list is looked through.
        first.is_some_and(|e| e.arn.starts_with(&prefix))
            || self
                .entities
                .first()
                .is_some_and(|e| !e.arn.starts_with("arn:aws:"))
                && self.entities.iter().any(|e| e.account == account)
    }

    /// Puts entities in order; call after adding some.
    pub fn sort(&mut self) {
        self.entities.sort_by(|a, b| a.arn.cmp(&b.arn));
        self.compute.sort();
        self.shares.sort();
        self.shares.dedup();
        self.problems.sort();
        self.problems.dedup();
    }

    /// The policies that decide over a request of an entity on a resource.
    pub fn sets<'a>(&'a self, entity: &'a Entity, resource: &str, owner: &str) -> PolicySets<'a> {
        let mut sets = PolicySets {
            identity: entity.policies.iter().map(NamedPolicy::source).collect(),
            boundary: entity.boundary.as_ref().map(|b| vec![b.source()]),
            scp: levels(&self.scp, &entity.account),
            rcp: levels(&self.rcp, owner),
            ..PolicySets::default()
        };
        self.retarget(&mut sets, entity, resource, owner);
        sets
    }

    /// Puts another resource into the policies of an entity.
    pub(crate) fn retarget<'a>(
        &'a self,
        sets: &mut PolicySets<'a>,
        entity: &Entity,
        resource: &str,
        owner: &str,
    ) {
        // Only roles have a policy among the entities; other ARNs are not looked for there.
        let target = resource
            .contains(":role/")
            .then(|| self.entity(resource))
            .flatten();
        sets.resource = target
            .and_then(|role| role.trust.as_ref())
            .or_else(|| self.resource_policy(resource))
            .map(NamedPolicy::source);
        if !self.rcp.is_empty() {
            sets.rcp = levels(&self.rcp, owner);
        }
        sets.grants = match self.grants.get(resource) {
            Some(grants) => grants.clone(),
            None => Vec::new(),
        };
        self.add_s3(sets, resource);
        sets.unread = entity
            .unread_own()
            .with(self.unread(entity, target, resource, owner));
    }

    /// The layers of a request that are not known, besides the entity's own.
    fn unread(
        &self,
        entity: &Entity,
        target: Option<&Entity>,
        resource: &str,
        owner: &str,
    ) -> Layers {
        let mut out = Layers::default();
        if target.is_some_and(|t| t.unread.contains(Layer::Resource)) {
            out.insert(Layer::Resource);
        }
        let Some(known) = &self.known else {
            return out;
        };
        if !known.has_scp(&entity.account) {
            out.insert(Layer::ServiceControl);
        }
        if !known.has_rcp(owner) {
            out.insert(Layer::ResourceControl);
        }
        if target.is_none()
            && self.resource_policy(resource).is_none()
            && !self.is_policy_absent(known, resource)
        {
            out.insert(Layer::Resource);
        }
        if known.unread_grants.contains(resource) {
            out.insert(Layer::Resource);
        }
        // The bucket decides besides the access point: which one it is must be known.
        if holder::is_access_point(resource) && self.access_point(resource).is_none() {
            out.insert(Layer::Resource);
        }
        out
    }

    /// Whether the policy of a resource that is no role may allow something to other accounts: it has one, or may have.
    pub(crate) fn may_be_shared(&self, resource: &str) -> bool {
        self.resource_policy(resource).is_some()
            || self.known.as_ref().is_some_and(|known| {
                !self.is_policy_absent(known, resource) || known.unread_grants.contains(resource)
            })
    }

    /// The account that owns a resource, where its ARN or what was read tells.
    pub fn owner_of<'a>(&'a self, resource: &'a str) -> Option<&'a str> {
        crate::arn_pattern::ArnText::new(resource)
            .account()
            .filter(|account| !account.is_empty())
            .or_else(|| {
                let owner = self.owners.get(resource);
                owner
                    .or_else(|| self.owners.get(&*holder::holder_of(resource)?))
                    .map(String::as_str)
            })
    }

    /// The policy of a resource; one that lies in another has that of the other, as objects that of their bucket.
    fn resource_policy(&self, arn: &str) -> Option<&NamedPolicy> {
        if self.resources.is_empty() {
            return None;
        }
        self.resources
            .get(arn)
            .or_else(|| self.resources.get(&*holder::holder_of(arn)?))
    }

    /// A request of an entity.
    pub fn request(
        &self,
        entity: &Entity,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Request {
        let named = self.owner_of(resource);
        let mut context = entity.context(context);
        self.add_s3_context(&mut context, resource);
        Request {
            principal: entity.principal(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            resource_account: Some(named.unwrap_or(&entity.account).to_owned()),
            context,
        }
    }
}

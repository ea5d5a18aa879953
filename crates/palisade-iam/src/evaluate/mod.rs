//! The decision about a request through every layer, as AWS documents it
//! (IAM User Guide, "Policy evaluation logic", with its pages on single-account and cross-account
//! requests, permissions boundaries, session policies, SCPs and RCPs).

mod bucket;
mod explain;
mod layer;
mod special;

pub use bucket::Bucket;
pub use explain::{Answer, Deciding, LayerAnswer};
pub use special::KmsGrant;

use crate::arn_pattern::ArnText;
use crate::policy::{Closeness, Policy};
use crate::request::{PrincipalKind, Request};
use crate::truth::Truth;
use bucket::{BucketTruth, together};
use layer::{LayerTruth, ResourceTruth};

/// The layers of a decision, in the order in which they are explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Resource control policies of the organisation that owns the resource.
    ResourceControl,
    /// Service control policies of the organisation of the caller.
    ServiceControl,
    /// The resource's own policy (a role's trust policy, a key policy, a bucket policy …).
    Resource,
    /// The policy of the bucket behind an access point.
    Bucket,
    /// Policies of the user or role.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The policy passed when the session was made.
    Session,
    /// The policy of the VPC endpoint.
    Endpoint,
}

impl Layer {
    /// The layer's name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::ResourceControl => "rcp",
            Layer::ServiceControl => "scp",
            Layer::Resource => "resource",
            Layer::Bucket => "bucket",
            Layer::Identity => "identity",
            Layer::Boundary => "boundary",
            Layer::Session => "session",
            Layer::Endpoint => "endpoint",
        }
    }

    /// What the layer is, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Layer::ResourceControl => "resource control policies",
            Layer::ServiceControl => "service control policies",
            Layer::Resource => "the resource's policy",
            Layer::Bucket => "the bucket behind the access point",
            Layer::Identity => "policies of the principal",
            Layer::Boundary => "the permissions boundary",
            Layer::Session => "the session policy",
            Layer::Endpoint => "the endpoint's policy",
        }
    }
}

/// Some of the layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// Adds a layer.
    pub fn insert(&mut self, layer: Layer) {
        self.0 |= 1 << layer as u8;
    }

    /// Whether a layer is among them.
    pub fn contains(self, layer: Layer) -> bool {
        self.0 & (1 << layer as u8) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The layers of both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A policy and what it is called in explanations.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Name or ARN.
    pub name: &'a str,
    /// The policy.
    pub policy: &'a Policy,
}

/// The policies of one root, organisational unit or account.
#[derive(Debug, Clone)]
pub struct Level<'a> {
    /// Name of the level.
    pub name: &'a str,
    /// Policies attached there.
    pub policies: Vec<Source<'a>>,
}

/// All policies that take part in a decision.
#[derive(Debug, Clone)]
pub struct PolicySets<'a> {
    /// Policies of the user with its groups, or of the role.
    pub identity: Vec<Source<'a>>,
    /// The policy of the resource.
    pub resource: Option<Source<'a>>,
    /// The permissions boundary; `None` is none.
    pub boundary: Option<Vec<Source<'a>>>,
    /// Service control policies from the root to the account; empty without an organisation.
    pub scp: Vec<Level<'a>>,
    /// Resource control policies from the root to the account of the resource.
    pub rcp: Vec<Level<'a>>,
    /// The session policy; `None` is none.
    pub session: Option<Vec<Source<'a>>>,
    /// The policy of the VPC endpoint that the request comes through; `None` is none.
    pub endpoint: Option<Vec<Source<'a>>>,
    /// Whether `RCPFullAWSAccess` is attached to every level, as AWS does and as cannot be undone.
    pub implied_rcp_full_access: bool,
    /// Grants on the KMS key.
    pub grants: Vec<KmsGrant>,
    /// S3's `RestrictPublicBuckets`: a public bucket policy then serves only the owner's account and services.
    pub restrict_public_buckets: Truth,
    /// The buckets behind the access point that the request names: one, or several of which any may answer.
    pub behind: Vec<Bucket<'a>>,
    /// The account that owns the S3 object, when ACLs are on and it is not the bucket's: the bucket policy
    /// then cannot allow anything on the object.
    pub object_owner: Option<&'a str>,
    /// Layers of which some policy could not be read: it may allow or deny anything, so that the decision is known only
    /// where it does not matter.
    pub unread: Layers,
}

impl Default for PolicySets<'_> {
    fn default() -> Self {
        Self {
            identity: Vec::new(),
            resource: None,
            boundary: None,
            scp: Vec::new(),
            rcp: Vec::new(),
            session: None,
            endpoint: None,
            implied_rcp_full_access: true,
            grants: Vec::new(),
            restrict_public_buckets: Truth::False,
            behind: Vec::new(),
            object_owner: None,
            unread: Layers::default(),
        }
    }
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Allowed.
    Allow,
    /// Denied because nothing, or not every layer that must, allows it.
    ImplicitDeny,
    /// Denied by a statement.
    ExplicitDeny,
    /// Depends on context that is not known.
    DependsOn,
}

impl Decision {
    /// The decision's name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Allow => "allow",
            Decision::ImplicitDeny => "implicit_deny",
            Decision::ExplicitDeny => "explicit_deny",
            Decision::DependsOn => "depends_on",
        }
    }
}

/// Whether resource control policies deny a request, whatever else decides. They do not apply to every service.
pub(crate) fn resource_control_denies(request: &Request, levels: &[Level<'_>]) -> Truth {
    let prepared = Prepared::new(request);
    if request.principal.is_service_linked() || !special::has_resource_control(&prepared.action) {
        return Truth::False;
    }
    LayerTruth::of_levels(levels, &prepared, true).deny
}

/// A request with what is derived from it once.
pub(crate) struct Prepared<'a> {
    pub request: &'a Request,
    pub action: String,
    pub arn: ArnText<'a>,
}

impl<'a> Prepared<'a> {
    pub fn new(request: &'a Request) -> Self {
        Self {
            request,
            action: request.action.to_ascii_lowercase(),
            arn: ArnText::new(&request.resource),
        }
    }

    /// The account of the resource.
    fn resource_account(&self) -> Option<&str> {
        let request = self.request;
        request
            .resource_account
            .as_deref()
            .or(self.arn.account())
            .or(request.principal.account().map(String::as_str))
    }

    fn is_same_account(&self) -> bool {
        match (self.request.principal.account(), self.resource_account()) {
            (Some(caller), Some(owner)) => caller == owner,
            _ => false,
        }
    }
}

/// What every layer says about a request.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub identity: LayerTruth,
    pub resource: ResourceTruth,
    /// What each bucket behind an access point says.
    pub behind: Vec<BucketTruth>,
    pub boundary: LayerTruth,
    pub session: LayerTruth,
    pub endpoint: LayerTruth,
    /// All levels together.
    pub scp: LayerTruth,
    pub rcp: LayerTruth,
    pub same_account: bool,
}

impl Verdict {
    pub fn new(prepared: &Prepared<'_>, sets: &PolicySets<'_>) -> Self {
        let principal = &prepared.request.principal;
        let linked = principal.is_service_linked();
        let optional = |policies: &Option<Vec<Source<'_>>>| match policies {
            Some(policies) => LayerTruth::of(policies, prepared),
            None => LayerTruth::PASS,
        };
        let mut identity = match principal.kind {
            // The root user has every permission of the account; its limits are SCPs and resource policies.
            PrincipalKind::Root => LayerTruth::PASS,
            _ => LayerTruth::of(&sets.identity, prepared),
        };
        let mut scp = if linked || !principal.is_iam() {
            LayerTruth::PASS
        } else {
            LayerTruth::of_levels(&sets.scp, prepared, false)
        };
        let mut rcp = if linked || !special::has_resource_control(&prepared.action) {
            LayerTruth::PASS
        } else {
            LayerTruth::of_levels(&sets.rcp, prepared, sets.implied_rcp_full_access)
        };
        let same_account = prepared.is_same_account();
        let mut resource = special::resource_layer(prepared, sets, same_account);
        let mut boundary = optional(&sets.boundary);
        if !sets.unread.is_empty() {
            let unread = |layer| sets.unread.contains(layer);
            if unread(Layer::Identity) && principal.kind != PrincipalKind::Root {
                identity.may_have_more();
            }
            if unread(Layer::Boundary) {
                boundary = LayerTruth::UNREAD.and(&boundary);
            }
            if unread(Layer::ServiceControl) && !linked && principal.is_iam() {
                scp = LayerTruth::UNREAD.and(&scp);
            }
            if unread(Layer::ResourceControl)
                && !linked
                && special::has_resource_control(&prepared.action)
            {
                let implied = rcp.allow;
                rcp = LayerTruth::UNREAD.and(&rcp);
                if sets.implied_rcp_full_access {
                    rcp.allow = implied;
                }
            }
            if unread(Layer::Resource) {
                resource.may_have_more();
            }
        }
        let behind = sets
            .behind
            .iter()
            .map(|b| b.truth(prepared, sets))
            .collect();
        Self {
            identity,
            resource,
            behind,
            boundary,
            session: optional(&sets.session),
            endpoint: optional(&sets.endpoint),
            scp,
            rcp,
            same_account,
        }
    }

    pub fn denied(&self) -> Truth {
        [
            self.identity,
            self.boundary,
            self.session,
            self.endpoint,
            self.scp,
            self.rcp,
        ]
        .iter()
        .map(|layer| layer.deny)
        .chain(together(&self.behind).map(|(_, deny)| deny))
        .fold(self.resource.deny, Truth::or)
    }

    pub fn allowed(&self, prepared: &Prepared<'_>) -> Truth {
        let guardrails = self.scp.allow.and(self.rcp.allow).and(self.endpoint.allow);
        let behind = together(&self.behind).map_or(Truth::True, |(allow, _)| allow);
        guardrails.and(self.granted(prepared)).and(behind)
    }

    /// Whether the caller's own policies and the resource's give what they must together.
    pub fn granted(&self, prepared: &Prepared<'_>) -> Truth {
        let by_identity = self
            .identity
            .allow
            .and(self.boundary.allow)
            .and(self.session.allow);
        let resource = &self.resource;
        match prepared.request.principal.kind {
            PrincipalKind::Service | PrincipalKind::Federated | PrincipalKind::Anonymous => {
                resource.any()
            }
            _ if !self.same_account => by_identity.and(resource.any()),
            kind => {
                let limited = self.boundary.allow.and(self.session.allow);
                let direct = match kind {
                    // Named by the ARN of the user or of the session itself: nothing else limits the grant.
                    PrincipalKind::User
                    | PrincipalKind::AssumedRole
                    | PrincipalKind::FederatedUser
                    | PrincipalKind::Root => resource.at(Closeness::Exact),
                    // Named by the ARN of the role: boundary and session policy limit the grant.
                    _ => resource.at(Closeness::Exact).and(limited),
                };
                let by_role = resource.at(Closeness::Role).and(limited);
                // Everyone includes a user as such; a role's permissions always stay within boundary and session.
                let by_everyone = match kind {
                    PrincipalKind::User | PrincipalKind::Root => resource.at(Closeness::Everyone),
                    _ => resource.at(Closeness::Everyone).and(limited),
                };
                let with_identity = if special::needs_resource_policy(&prepared.action) {
                    by_identity.and(resource.any())
                } else {
                    by_identity
                };
                direct.or(by_role).or(by_everyone).or(with_identity)
            }
        }
    }

    pub fn decision(&self, prepared: &Prepared<'_>) -> Decision {
        let denied = self.denied();
        if denied.is_true() {
            return Decision::ExplicitDeny;
        }
        match (denied, self.allowed(prepared)) {
            (_, Truth::False) => Decision::ImplicitDeny,
            (Truth::False, Truth::True) => Decision::Allow,
            _ => Decision::DependsOn,
        }
    }
}

/// Decides a request.
pub fn decide(request: &Request, sets: &PolicySets<'_>) -> Decision {
    let prepared = Prepared::new(request);
    Verdict::new(&prepared, sets).decision(&prepared)
}

/// Decides a request and says how each layer came to its part, what blocks, and what it depends on.
pub fn explain(request: &Request, sets: &PolicySets<'_>) -> Answer {
    explain::answer(request, sets)
}

//! Requests through an access point of S3: the access point and the bucket behind it must both permit them
//! (S3 User Guide, "Configuring IAM policies for using access points", and "Restricting access points to a VPC").

use super::layer::{LayerTruth, ResourceTruth};
use super::special::{clear_public, has_resource_control};
use super::{PolicySets, Prepared, Source};
use crate::context::{Context, Lookup};
use crate::request::{PrincipalKind, Request};
use crate::truth::Truth;

/// A bucket behind an access point.
#[derive(Debug, Clone)]
pub struct Bucket<'a> {
    /// ARN of the bucket.
    pub arn: &'a str,
    /// The bucket or object of the request as the bucket's policy names it.
    pub resource: String,
    /// The account that owns the bucket; empty when it is not known.
    pub account: &'a str,
    /// The bucket's policy.
    pub policy: Option<Source<'a>>,
    /// `RestrictPublicBuckets` of the bucket or of its account.
    pub restrict_public_buckets: Truth,
    /// Whether the policy could not be read.
    pub is_unread: bool,
    /// The only VPC from which the access point takes requests; `None` takes them from the internet.
    pub vpc: Option<&'a str>,
}

/// What a bucket says to a request through one of its access points.
#[derive(Debug, Clone)]
pub(crate) struct BucketTruth {
    pub allow: Truth,
    pub deny: Truth,
    /// The statement of the bucket's policy that denies, else the one that allows.
    pub statement: Option<usize>,
}

impl<'a> Bucket<'a> {
    /// The request as the bucket sees it.
    pub(crate) fn request(&self, request: &Request) -> Request {
        Request {
            resource: self.resource.clone(),
            resource_account: Some(self.account.to_owned()),
            ..request.clone()
        }
    }

    /// Whether the request comes from where the access point takes requests from.
    pub(crate) fn comes_from_vpc(&self, context: &Context) -> Truth {
        let Some(vpc) = self.vpc else {
            return Truth::True;
        };
        match context.lookup("aws:sourcevpc") {
            Lookup::Values(values) => values.iter().any(|v| v == vpc).into(),
            Lookup::Absent => Truth::False,
            Lookup::Unknown => Truth::Unknown,
        }
    }

    pub(crate) fn truth(&self, prepared: &Prepared<'_>, sets: &PolicySets<'_>) -> BucketTruth {
        let request = self.request(prepared.request);
        let seen = Prepared::new(&request);
        let same_account = seen.is_same_account();
        let principal = &request.principal;
        let mut policy = match &self.policy {
            Some(source) => ResourceTruth::of(source, &seen),
            None => ResourceTruth::NONE,
        };
        clear_public(
            &mut policy,
            self.policy.as_ref(),
            self.restrict_public_buckets,
            same_account,
            principal,
        );
        if self.is_unread {
            policy.may_have_more();
        }
        // A deny counts whichever of the two names it is written for. Who needs an allow of its own policies was asked for
        // it on the access point: here they count only beside the bucket's policy, within the bucket's account.
        let mut deny = policy.deny;
        let mut own = Truth::False;
        if principal.is_iam() {
            let root = principal.kind == PrincipalKind::Root;
            let identity = LayerTruth::of(&sets.identity, &seen);
            own = if root { Truth::True } else { identity.allow };
            deny = deny.or(identity.deny);
            for limit in [&sets.boundary, &sets.session].into_iter().flatten() {
                let limit = LayerTruth::of(limit, &seen);
                own = own.and(limit.allow);
                deny = deny.or(limit.deny);
            }
            if !principal.is_service_linked() {
                deny = deny.or(LayerTruth::of_levels(&sets.scp, &seen, false).deny);
            }
            if !sets.unread.is_empty() {
                own = own.or(Truth::Unknown);
            }
        }
        if !principal.is_service_linked() && has_resource_control(&seen.action) {
            deny = deny.or(LayerTruth::of_levels(&sets.rcp, &seen, true).deny);
        }
        if let Some(policies) = &sets.endpoint {
            deny = deny.or(LayerTruth::of(policies, &seen).deny);
        }
        let own = if same_account { own } else { Truth::False };
        let statement = if policy.deny.is_false() {
            policy.allowed_by
        } else {
            policy.denied_by
        };
        BucketTruth {
            allow: policy
                .any()
                .or(own)
                .and(self.comes_from_vpc(&request.context)),
            deny,
            statement,
        }
    }
}

/// What all buckets of an access point say together: which of several answers is not known before.
pub(crate) fn together(buckets: &[BucketTruth]) -> Option<(Truth, Truth)> {
    let (first, others) = buckets.split_first()?;
    let same = |a: Truth, b: Truth| if a == b { a } else { Truth::Unknown };
    Some(others.iter().fold((first.allow, first.deny), |all, one| {
        (same(all.0, one.allow), same(all.1, one.deny))
    }))
}

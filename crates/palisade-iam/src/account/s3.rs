//! Buckets and access points of S3: what decides on them besides their policies.

use super::{Model, NamedPolicy, holder};
use crate::context::Context;
use crate::evaluate::{Bucket, PolicySets};
use crate::truth::Truth;

/// Facts about a bucket or an access point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Facts {
    /// Whether Block Public Access keeps everyone outside of the account from using a public policy
    /// (`RestrictPublicBuckets` of it or of its account).
    pub restricts_public: Truth,
    /// For an access point: what it leads to.
    pub access_point: Option<AccessPoint>,
}

impl Default for S3Facts {
    fn default() -> Self {
        Self {
            restricts_public: Truth::False,
            access_point: None,
        }
    }
}

/// An access point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessPoint {
    /// ARN and owner (empty when not known) of its bucket; a multi-Region access point has several.
    pub buckets: Vec<(String, String)>,
    /// The only VPC from which it takes requests.
    pub vpc: Option<String>,
}

impl S3Facts {
    /// Adds what every request through an access point carries.
    pub(super) fn add_context(&self, context: &mut Context, arn: &str) {
        let Some(point) = &self.access_point else {
            return;
        };
        context.set("s3:DataAccessPointArn", [arn]);
        if let Some(account) = crate::arn_pattern::ArnText::new(arn).account() {
            context.set("s3:DataAccessPointAccount", [account]);
        }
        let origin = if point.vpc.is_some() {
            "VPC"
        } else {
            "Internet"
        };
        context.set("s3:AccessPointNetworkOrigin", [origin]);
    }
}

impl Model {
    /// The access point that a resource is, or lies in: its ARN, and its facts.
    pub(super) fn access_point<'a>(&'a self, resource: &str) -> Option<(&'a str, &'a S3Facts)> {
        if !holder::is_access_point(resource) {
            return None;
        }
        let holder = holder::holder_of(resource);
        let (arn, facts) = self
            .s3
            .get_key_value(resource)
            .or_else(|| self.s3.get_key_value(&*holder?))?;
        // Behind every access point there is a bucket: without one it is not known which.
        let known = facts.access_point.as_ref();
        known.filter(|point| !point.buckets.is_empty())?;
        Some((arn.as_str(), facts))
    }

    /// Adds the context keys that a request through an access point has, and one on a bucket has not.
    pub(super) fn add_s3_context(&self, context: &mut Context, resource: &str) {
        if self.s3.is_empty() {
            return;
        }
        if let Some((arn, facts)) = self.access_point(resource) {
            facts.add_context(context, arn);
        } else if resource.starts_with("arn:") && resource.contains(":s3:::") {
            context.set_absent("s3:DataAccessPointArn");
            context.set_absent("s3:DataAccessPointAccount");
            context.set_absent("s3:AccessPointNetworkOrigin");
        }
    }

    /// Puts what S3 knows of a resource into the policies of a request.
    pub(super) fn add_s3<'a>(&'a self, sets: &mut PolicySets<'a>, resource: &str) {
        sets.restrict_public_buckets = Truth::False;
        sets.behind = Vec::new();
        if self.s3.is_empty() {
            return;
        }
        let Some((arn, facts)) = self.access_point(resource) else {
            let holder = holder::holder_of(resource);
            let facts = self
                .s3
                .get(resource)
                .or_else(|| self.s3.get(&*holder?))
                .filter(|f| f.access_point.is_none());
            sets.restrict_public_buckets = facts.map_or(Truth::False, |f| f.restricts_public);
            return;
        };
        let Some(point) = &facts.access_point else {
            return;
        };
        // What is reached from one VPC alone is never public (S3 User Guide, "Restricting access points to a VPC").
        if point.vpc.is_none() {
            sets.restrict_public_buckets = facts.restricts_public;
        }
        // `…:accesspoint/name/object/key` is `bucket/key`.
        let object = resource
            .strip_prefix(arn)
            .and_then(|rest| rest.strip_prefix("/object/"));
        for (bucket, owner) in &point.buckets {
            let policy = self.resources.get(bucket);
            let is_unread = policy.is_none()
                && self
                    .known
                    .as_ref()
                    .is_some_and(|known| !self.is_policy_absent(known, bucket));
            sets.behind.push(Bucket {
                arn: bucket,
                resource: object.map_or_else(|| bucket.clone(), |key| format!("{bucket}/{key}")),
                account: owner,
                policy: policy.map(NamedPolicy::source),
                restrict_public_buckets: self
                    .s3
                    .get(bucket)
                    .map_or(Truth::False, |f| f.restricts_public),
                is_unread,
                vpc: point.vpc.as_deref(),
            });
        }
    }
}

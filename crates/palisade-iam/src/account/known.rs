//! What has been read of the policies that decide besides those of users and roles.

use std::collections::BTreeSet;

use super::Model;
use super::holder::{holder_of, is_access_point};
use crate::arn_pattern::ArnText;

/// Services whose resources have policies of their own (IAM User Guide, "AWS services that work with IAM", column
/// "Resource-based policies"), by the service in their ARNs.
const WITH_RESOURCE_POLICIES: &[&str] = &[
    "acm-pca",
    "aoss",
    "apigateway",
    "backup",
    "cloudtrail",
    "codeartifact",
    "codebuild",
    "dynamodb",
    "ecr",
    "elasticfilesystem",
    "es",
    "events",
    "execute-api",
    "glacier",
    "glue",
    "iot",
    "kafka",
    "kinesis",
    "kms",
    "lambda",
    "lex",
    "logs",
    "mediastore",
    "mobiletargeting",
    "network-firewall",
    "rekognition",
    "resource-groups",
    "s3",
    "s3-object-lambda",
    "s3-outposts",
    "s3express",
    "s3tables",
    "s3vectors",
    "schemas",
    "secretsmanager",
    "serverlessrepo",
    "ses",
    "signer",
    "sns",
    "sqs",
    "ssm",
    "ssm-contacts",
    "ssm-incidents",
    "vpc-lattice",
];

/// What has been read besides users, roles, groups and managed policies. What is not said to be known here, and is not in
/// the model, may exist: answers that it could change depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Accounts whose service control policies are all in the model (also when they have none); `*` is every account.
    pub scp: BTreeSet<String>,
    /// Accounts whose resource control policies are all in the model; `*` is every account.
    pub rcp: BTreeSet<String>,
    /// Where all policies of a service's resources are in the model: service, account, and region or `*`.
    pub resources: BTreeSet<(String, String, String)>,
    /// Resources that are known to have no policy.
    pub without_policy: BTreeSet<String>,
    /// Resources whose policy could not be read although the others of their service were.
    pub unread_resources: BTreeSet<String>,
    /// KMS keys whose grants could not be listed: more may be let in, nobody else is kept out.
    pub unread_grants: BTreeSet<String>,
    /// What is not known and why, in words.
    pub reasons: Vec<String>,
}

/// Of some services only certain resources have policies.
fn can_have_policy(service: &str, resource: &str) -> bool {
    let has = |kinds: &[&str]| kinds.iter().any(|kind| resource.contains(kind));
    match service {
        "cloudtrail" => has(&[":eventdatastore/", ":channel/", ":dashboard/"]),
        "kafka" => has(&[":cluster/"]),
        _ => true,
    }
}

impl Known {
    pub(crate) fn has_scp(&self, account: &str) -> bool {
        self.scp.contains(account) || self.scp.contains("*")
    }

    /// Whether all resource control policies that apply in an account are in the model.
    pub fn has_rcp(&self, account: &str) -> bool {
        self.rcp.contains(account) || self.rcp.contains("*")
    }

    fn has_resources(&self, service: &str, account: &str, region: &str) -> bool {
        self.resources.iter().any(|(s, a, r)| {
            s == service && (a == account || a == "*") && (r == region || r == "*")
        })
    }
}

impl Model {
    /// Whether a resource that has no policy in the model is known to have none.
    pub(super) fn is_policy_absent(&self, known: &Known, resource: &str) -> bool {
        let arn = ArnText::new(resource);
        let (service, region) = (arn.service(), arn.region());
        let Some(service) = service else {
            return true; // `*`: an action without a resource
        };
        if service == "iam" {
            // Only roles have policies; one of an account that was read does not exist when it is not in the model.
            return !resource.contains(":role/")
                || arn.account().is_some_and(|a| self.has_account(a));
        }
        if !WITH_RESOURCE_POLICIES.contains(&service) || !can_have_policy(service, resource) {
            return true;
        }
        let holder = holder_of(resource);
        let holder = holder.as_deref().unwrap_or(resource);
        if known.unread_resources.contains(resource) || known.unread_resources.contains(holder) {
            return false;
        }
        if known.without_policy.contains(resource) || known.without_policy.contains(holder) {
            return true;
        }
        if service == "s3" {
            // A bucket that is nobody's here is somebody else's.
            return !is_access_point(resource)
                && self
                    .owners
                    .get(holder)
                    .is_some_and(|owner| known.has_resources("s3", owner, "*"));
        }
        known.has_resources(
            service,
            arn.account().unwrap_or_default(),
            region.unwrap_or_default(),
        )
    }
}

//! Where single services differ from the general logic.

use super::layer::ResourceTruth;
use super::{PolicySets, Prepared, Source};
use crate::catalogue::Catalogue;
use crate::context::Lookup;
use crate::policy::Closeness;
use crate::public::{PublicOptions, publicness};
use crate::request::{Principal, PrincipalKind};
use crate::truth::Truth;
use serde_json::Value;

/// A grant on a KMS key (KMS Developer Guide, "Grants in AWS KMS").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsGrant {
    /// ARN of the principal that the grant is for.
    pub grantee: String,
    /// Operations without prefix, for example `Decrypt`.
    pub operations: Vec<String>,
    /// Pairs that the encryption context must have.
    pub context_subset: Vec<(String, String)>,
}

impl KmsGrant {
    /// A grant as `kms:ListGrants` tells it. One whose encryption context must be equal is taken to demand the pairs: there
    /// may be others that it refuses.
    pub fn from_aws(grant: &Value) -> Option<Self> {
        let constraints = grant.get("Constraints");
        let pairs = ["EncryptionContextSubset", "EncryptionContextEquals"]
            .into_iter()
            .filter_map(|name| constraints?.get(name)?.as_object())
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let operations = grant.get("Operations").and_then(Value::as_array);
        Some(Self {
            grantee: grant.get("GranteePrincipal")?.as_str()?.to_owned(),
            operations: operations
                .into_iter()
                .flatten()
                .filter_map(|o| o.as_str().map(ToOwned::to_owned))
                .collect(),
            context_subset: pairs.collect(),
        })
    }
}

/// Whether RCPs apply to the resources of an action (in lower case), by the catalogue's facts
/// (Organizations User Guide, "Resource control policies", services that support them). When the catalogue is
/// damaged they are taken to apply: a guardrail may be overstated, never left out.
pub(crate) fn has_resource_control(action: &str) -> bool {
    let Ok(header) = Catalogue::embedded_header() else {
        return true;
    };
    let service = action.split(':').next().unwrap_or_default();
    header.resource_control.iter().any(|s| s == service)
}

/// Whether the resource's policy must allow even callers of the same account: KMS keys and roles.
pub(super) fn needs_resource_policy(action: &str) -> bool {
    match action.split_once(':') {
        Some(("sts", name)) => name.starts_with("assumerole"),
        // Actions on the service as a whole have no key, hence no key policy.
        Some(("kms", name)) => !matches!(
            name,
            "createkey"
                | "listkeys"
                | "listaliases"
                | "generaterandom"
                | "connectcustomkeystore"
                | "createcustomkeystore"
                | "deletecustomkeystore"
                | "describecustomkeystores"
                | "disconnectcustomkeystore"
                | "updatecustomkeystore"
        ),
        _ => false,
    }
}

/// What the resource's policy says, with grants and S3's own switches.
pub(super) fn resource_layer(
    prepared: &Prepared<'_>,
    sets: &PolicySets<'_>,
    same_account: bool,
) -> ResourceTruth {
    let mut out = match &sets.resource {
        Some(source) => ResourceTruth::of(source, prepared),
        None => ResourceTruth::NONE,
    };
    let principal = &prepared.request.principal;
    if prepared.action.starts_with("s3:") {
        let foreign_object = sets
            .object_owner
            .is_some_and(|owner| Some(owner) != prepared.resource_account());
        if foreign_object {
            out.clear_allows();
        }
        clear_public(
            &mut out,
            sets.resource.as_ref(),
            sets.restrict_public_buckets,
            same_account,
            principal,
        );
    }
    if let Some(operation) = prepared.action.strip_prefix("kms:") {
        for grant in &sets.grants {
            let named =
                grant.grantee == principal.arn || principal.role_arn_matches(&grant.grantee);
            if named
                && grant
                    .operations
                    .iter()
                    .any(|o| o.eq_ignore_ascii_case(operation))
            {
                out.add(Closeness::Exact, has_pairs(prepared, grant));
            }
        }
    }
    out
}

/// Takes the allows of a public policy away from everyone outside of the account but services, where S3 restricts it.
pub(super) fn clear_public(
    out: &mut ResourceTruth,
    policy: Option<&Source<'_>>,
    restricts: Truth,
    same_account: bool,
    principal: &Principal,
) {
    if restricts.is_false() || same_account || principal.kind == PrincipalKind::Service {
        return;
    }
    if policy.is_some_and(|s| publicness(s.policy, &PublicOptions::default()).is_public()) {
        out.limit_allows(restricts.negate());
    }
}

fn has_pairs(prepared: &Prepared<'_>, grant: &KmsGrant) -> Truth {
    grant
        .context_subset
        .iter()
        .map(|(key, value)| {
            let name = format!("kms:encryptioncontext:{}", key.to_ascii_lowercase());
            match prepared.request.context.lookup(&name) {
                Lookup::Values(values) => values.contains(value).into(),
                Lookup::Absent => Truth::False,
                Lookup::Unknown => Truth::Unknown,
            }
        })
        .fold(Truth::True, Truth::and)
}

//! Every policy of the accounts as a document of its own.

use std::collections::BTreeMap;

use super::{Model, NamedPolicy};
use crate::grammar::PolicyKind;

/// A policy document of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyDocument {
    /// ARN of a managed policy, else the owner's ARN and the policy's name.
    pub name: String,
    /// The text.
    pub text: String,
    /// What kind of policy it is.
    pub kind: PolicyKind,
    /// The account that owns it.
    pub owner: Option<String>,
}

impl Model {
    /// Every policy that the owner of the accounts can change, in order of name: managed policies of AWS are left out.
    pub fn documents(&self) -> Vec<PolicyDocument> {
        let add = |named: &NamedPolicy, kind, owner: Option<&str>| {
            let document = PolicyDocument {
                name: named.name.clone(),
                text: named.policy.text.to_string(),
                kind,
                owner: owner.map(ToOwned::to_owned),
            };
            (named.name.clone(), document)
        };
        let mut all: Vec<(String, PolicyDocument)> = Vec::new();
        let is_own = |name: &str| !name.contains(":iam::aws:policy/");
        for entity in &self.entities {
            let account = Some(entity.account.as_str());
            let policies = entity.policies.iter().chain(&entity.boundary);
            for policy in policies.filter(|p| is_own(&p.name)) {
                all.push(add(policy, PolicyKind::Identity, account));
            }
            if let Some(trust) = &entity.trust {
                all.push(add(trust, PolicyKind::Trust, account));
            }
        }
        for group in self.groups.values() {
            let account = group.arn.split(':').nth(4);
            for policy in group.policies.iter().filter(|p| is_own(&p.name)) {
                all.push(add(policy, PolicyKind::Identity, account));
            }
        }
        for (arn, managed) in &self.managed {
            if let Some(policy) = managed.default.as_ref().filter(|_| is_own(arn)) {
                let named = NamedPolicy {
                    name: arn.clone(),
                    policy: policy.clone(),
                };
                all.push(add(&named, PolicyKind::Identity, arn.split(':').nth(4)));
            }
        }
        for (arn, policy) in &self.resources {
            all.push(add(policy, PolicyKind::Resource, self.owner_of(arn)));
        }
        for (levels, kind) in [
            (&self.scp, PolicyKind::ServiceControl),
            (&self.rcp, PolicyKind::ResourceControl),
        ] {
            for policy in levels.values().flatten().flat_map(|l| &l.policies) {
                all.push(add(policy, kind, None));
            }
        }
        let by_name: BTreeMap<String, PolicyDocument> = all.into_iter().collect();
        by_name.into_values().collect()
    }
}

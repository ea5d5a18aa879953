//! Every policy of the accounts as a document of its own.

use std::collections::BTreeMap;

use super::{Model, NamedPolicy};
use crate::capability::policy_allows_everything;
use crate::catalogue::Catalogue;
use crate::error::Position;
use crate::grammar::PolicyKind;
use crate::lint::{LintFinding, lint, lint_rule};

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
    /// The linter's findings in every policy, with what only the account tells: boundaries that limit nothing. Policies of
    /// AWS are there when they have a finding of that kind.
    pub fn lint(&self, catalogue: &Catalogue) -> Vec<(PolicyDocument, Vec<LintFinding>)> {
        let mut out: BTreeMap<String, (PolicyDocument, Vec<LintFinding>)> = self
            .documents()
            .into_iter()
            .map(|d| {
                let found = lint(&d.text, d.kind, d.owner.as_deref(), catalogue);
                (d.name.clone(), (d, found))
            })
            .collect();
        let Some(rule) = lint_rule("unused-boundary") else {
            return out.into_values().collect();
        };
        for entity in &self.entities {
            let Some(boundary) = &entity.boundary else {
                continue;
            };
            if policy_allows_everything(&boundary.policy.text) != Ok(true) {
                continue;
            }
            let document = || PolicyDocument {
                name: boundary.name.clone(),
                text: boundary.policy.text.to_string(),
                kind: PolicyKind::Identity,
                owner: Some(entity.account.clone()),
            };
            let (_, found) = out
                .entry(boundary.name.clone())
                .or_insert_with(|| (document(), Vec::new()));
            found.push(LintFinding {
                rule,
                message: format!("as the boundary of `{}` it limits nothing", entity.arn),
                statement: None,
                position: Position { line: 1, column: 1 },
            });
        }
        out.into_values().collect()
    }

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

//! What the resource control policies of an organisation take away from those that something lets in from outside.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Model, NamedPolicy, levels_of};
use crate::arn_pattern::ArnText;
use crate::evaluate::has_resource_control;
use crate::policy::{ActionPattern, Effect, Policy, Statement};
use crate::public::{PublicOptions, external_accounts_of};

/// The denying policies above one resource. They are policies for everyone, so they count as if their statements stood in
/// the resource's own policy (Organizations User Guide, "RCP evaluation").
pub(super) struct Guard<'m> {
    model: &'m Model,
    owner: &'m str,
    service: String,
    policies: Vec<&'m NamedPolicy>,
}

impl<'m> Guard<'m> {
    /// Nothing where no resource control policy is known to apply.
    pub(super) fn of(model: &'m Model, resource: &str, owner: &'m str) -> Self {
        let arn = ArnText::new(resource);
        let service = match arn.service() {
            // what a role lets in is a call of STS
            Some("iam") => "sts",
            Some(service) => service,
            None => "",
        };
        let levels = levels_of(&model.rcp, owner).iter();
        let policies = levels.flat_map(|l| &l.policies);
        let policies = if has_resource_control(&format!("{service}:")) {
            policies.filter(denies).collect()
        } else {
            Vec::new()
        };
        Self {
            model,
            owner,
            service: service.to_owned(),
            policies,
        }
    }

    /// Those whom a policy lets in, each with the policies that deny it; and whom they leave of a wider circle.
    pub(super) fn over(&self, policy: &Policy, let_in: Vec<String>) -> Vec<(String, Vec<String>)> {
        if self.policies.is_empty() {
            return let_in.into_iter().map(|who| (who, Vec::new())).collect();
        }
        let before: BTreeSet<String> = let_in.into_iter().collect();
        let after = self.left(policy, &self.policies);
        // whom the policy alone does not name: what is left of everyone
        let narrowed: Vec<String> = match before.contains("*") && !after.contains("*") {
            true => after.difference(&before).cloned().collect(),
            false => Vec::new(),
        };
        let mut out: Vec<(String, Vec<String>)> = before
            .into_iter()
            .map(|who| {
                let blocked = match after.contains(&who) {
                    true => Vec::new(),
                    false => self.names(policy, &who),
                };
                (who, blocked)
            })
            .collect();
        out.extend(narrowed.into_iter().map(|who| (who, Vec::new())));
        out
    }

    /// The same for an account, or everyone, whatever a grant or list allows it.
    pub(super) fn over_account(&self, who: &str) -> Vec<(String, Vec<String>)> {
        let let_in = vec![who.to_owned()];
        let everything = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{ "Effect": "Allow", "Principal": { "AWS": who }, "Action": format!("{}:*", self.service), "Resource": "*" }],
        });
        match Policy::parse(&everything.to_string()) {
            Ok(policy) => self.over(&policy, let_in),
            Err(_) => let_in.into_iter().map(|who| (who, Vec::new())).collect(),
        }
    }

    /// By name: those that are enough by themselves, else all of them.
    fn names(&self, policy: &Policy, who: &str) -> Vec<String> {
        let alone = |p: &&&NamedPolicy| !self.left(policy, &[*p]).contains(who);
        let mut names: BTreeSet<&str> = self
            .policies
            .iter()
            .filter(alone)
            .map(|p| p.name.as_str())
            .collect();
        if names.is_empty() {
            names = self.policies.iter().map(|p| p.name.as_str()).collect();
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// Whom a policy lets in under these policies.
    fn left(&self, policy: &Policy, under: &[&NamedPolicy]) -> BTreeSet<String> {
        let own = self.model.organizations.get(self.owner);
        // The organisation's accounts are known to whoever could read its policies.
        let may_be_in = |account: &str, organizations: &BTreeSet<String>| {
            let of = self.model.organizations.get(account);
            organizations
                .iter()
                .any(|o| own.is_none_or(|own| own != o) || of == Some(o))
        };
        let merged = self.merged(policy, under);
        external_accounts_of(&merged, self.owner, &PublicOptions::default(), &may_be_in)
            .into_iter()
            .collect()
    }

    fn merged(&self, policy: &Policy, under: &[&NamedPolicy]) -> Policy {
        // a policy of a resource speaks of actions of its service only
        let narrow = |statement: &Statement| {
            let mut statement = statement.clone();
            if statement.effect == Effect::Allow
                && (statement.action.negated || statement.action.texts.iter().any(|t| t == "*"))
            {
                statement.action = ActionPattern::new(false, vec![format!("{}:*", self.service)]);
            }
            statement
        };
        let denied = under
            .iter()
            .flat_map(|p| p.policy.with_effect(Effect::Deny));
        Policy {
            statements: policy
                .statements
                .iter()
                .map(narrow)
                .chain(denied.cloned())
                .collect(),
            ..policy.clone()
        }
    }
}

fn denies(policy: &&NamedPolicy) -> bool {
    let text: &Arc<Policy> = &policy.policy;
    text.with_effect(Effect::Deny).next().is_some()
}

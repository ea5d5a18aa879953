//! Whether the organisation's resource control policies deny what lets somebody outside in.

use std::collections::BTreeSet;

use super::external::{ExternalAccess, ExternalKind, SharedWith};
use super::{Model, levels};
use crate::arn_pattern::ArnText;
use crate::catalogue::Catalogue;
use crate::context::Context;
use crate::evaluate::{Level, resource_control_denies};
use crate::policy::{Effect, Policy, Statement};
use crate::public::entry_is_open;
use crate::request::{Principal, Request};

/// An organisation that nobody has: ids are `o-` with ten to 32 letters and digits.
const ANOTHER: &str = "o-another0000";
/// An account of somebody else.
const SOMEBODY: &str = "000000000000";

impl Model {
    /// The resource control policies that deny an access in all that it lets in, by name; none when something of it may
    /// be left, or when it is not known who exactly asks.
    pub(super) fn blocked_by(&self, access: &ExternalAccess) -> Vec<String> {
        let owner = self.external_owner(&access.resource);
        let guardrails = levels(&self.rcp, owner);
        if guardrails.is_empty() || access.kind == ExternalKind::Federation {
            return Vec::new();
        }
        let actions = self.let_in_actions(access);
        if actions.is_empty() {
            return Vec::new();
        }
        let mut blocking = BTreeSet::new();
        for caller in self.callers(access, owner) {
            for action in &actions {
                let request = Request {
                    principal: caller.0.clone(),
                    action: action.clone(),
                    resource: access.resource.clone(),
                    resource_account: Some(owner.to_owned()),
                    context: caller.1.clone(),
                };
                let by = denying(&request, &guardrails);
                if by.is_empty() {
                    return Vec::new();
                }
                blocking.extend(by);
            }
        }
        blocking.into_iter().collect()
    }

    /// The actions that the way in allows on the resource.
    fn let_in_actions(&self, access: &ExternalAccess) -> BTreeSet<String> {
        let resource = access.resource.as_str();
        match access.through.as_str() {
            "trust policy" => {
                let trust = self.entity(resource).and_then(|e| e.trust.as_ref());
                trust.map_or_else(BTreeSet::new, |t| actions(&t.policy, "sts", &access.who))
            }
            "policy" => {
                let service = ArnText::new(resource).service().unwrap_or_default();
                let policy = self.resources.get(resource);
                policy.map_or_else(BTreeSet::new, |p| actions(&p.policy, service, &access.who))
            }
            "grant" => {
                let of = |grantee: &str| SharedWith::parse(grantee);
                let wanted = SharedWith::Account(access.who.clone());
                let grants = self.grants.get(resource).into_iter().flatten();
                grants
                    .filter(|g| of(&g.grantee) == wanted)
                    .flat_map(|g| g.operations.iter().map(|o| format!("kms:{o}")))
                    .collect()
            }
            // What is shared without a policy, resource control policies do not reach.
            _ => BTreeSet::new(),
        }
    }

    /// Those who may ask, with what is known of their requests: an access is blocked when all of them are denied.
    fn callers(&self, access: &ExternalAccess, owner: &str) -> Vec<(Principal, Context)> {
        let own = self.organizations.get(owner).map(String::as_str);
        let who = access.who.as_str();
        let in_account = |account: &str, organization: Option<&str>| {
            let principal = Principal::new(&format!("arn:aws:iam::{account}:role/x"));
            (
                principal,
                self.context_of(Some(account), organization, owner),
            )
        };
        if who.starts_with("o-") {
            return vec![in_account(SOMEBODY, Some(who))];
        }
        if who != "*" {
            let mut of: Vec<Option<&str>> = match self.organizations.get(who) {
                Some(known) => vec![Some(known.as_str())],
                None => vec![None, Some(ANOTHER)],
            };
            // Where the accounts of the organisation are not known, it may be one of them.
            let is_listed = own.is_some_and(|own| {
                let members = self.organizations.values();
                members.filter(|o| *o == own).count() > 1
            });
            if !self.organizations.contains_key(who) && !is_listed {
                of.extend(own.map(Some));
            }
            return of.into_iter().map(|o| in_account(who, o)).collect();
        }
        vec![
            (Principal::anonymous(), self.context_of(None, None, owner)),
            in_account(SOMEBODY, None),
            in_account(SOMEBODY, Some(ANOTHER)),
        ]
    }

    /// What is known of every request of an outsider; the rest is open.
    fn context_of(
        &self,
        account: Option<&str>,
        organization: Option<&str>,
        owner: &str,
    ) -> Context {
        let mut context = Context::open();
        match account {
            Some(account) => {
                context.set("aws:PrincipalAccount", [account]);
                context.set("aws:PrincipalIsAWSService", ["false"]);
            }
            // AWS: requests without credentials do not have these keys.
            None => {
                context.set_absent("aws:PrincipalAccount");
                context.set_absent("aws:PrincipalIsAWSService");
                context.set_absent("aws:PrincipalArn");
                context.set_absent_prefix("aws:principaltag/");
            }
        }
        match organization {
            Some(id) => context.set("aws:PrincipalOrgID", [id]),
            None => {
                context.set_absent("aws:PrincipalOrgID");
                context.set_absent("aws:PrincipalOrgPaths");
            }
        }
        // Only services that act for somebody say for whom.
        for key in [
            "SourceAccount",
            "SourceArn",
            "SourceOrgID",
            "SourceOrgPaths",
        ] {
            context.set_absent(&format!("aws:{key}"));
        }
        context.set("aws:ResourceAccount", [owner]);
        if let Some(own) = self.organizations.get(owner) {
            context.set("aws:ResourceOrgID", [own]);
        }
        context
    }
}

/// The policies of the levels that deny a request for sure.
fn denying(request: &Request, guardrails: &[Level<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for level in guardrails {
        for policy in &level.policies {
            let one = [Level {
                name: level.name,
                policies: vec![*policy],
            }];
            if resource_control_denies(request, &one).is_true() {
                out.push(policy.name.to_owned());
            }
        }
    }
    out
}

/// The actions of a service that a policy may allow somebody.
fn actions(policy: &Policy, service: &str, who: &str) -> BTreeSet<String> {
    let known = Catalogue::embedded().ok().and_then(|c| c.service(service));
    let Some(known) = known else {
        return BTreeSet::new();
    };
    let means = |statement: &&Statement| {
        statement.principal.as_ref().is_some_and(|p| {
            p.negated
                || p.entries
                    .iter()
                    .any(|e| entry_is_open(e) || e.account().is_some_and(|a| a == who))
        })
    };
    let allowing: Vec<&Statement> = policy.with_effect(Effect::Allow).filter(means).collect();
    let names = known
        .actions
        .iter()
        .map(|a| format!("{service}:{}", a.name));
    names
        .filter(|name| {
            let lower = name.to_ascii_lowercase();
            allowing.iter().any(|s| s.action.matches(&lower))
        })
        .collect()
}

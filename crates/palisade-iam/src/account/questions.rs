//! Questions over accounts: who can, what can, who is an administrator, what is unused.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entity, Model, NamedPolicy};
use crate::capability::is_admin;
use crate::catalogue::Catalogue;
use crate::context::Context;
use crate::evaluate::{Answer, Decision, Layer, Layers, PolicySets, Source, decide, explain};
use crate::glob::Pattern;
use crate::policy::{Effect, Policy};
use crate::request::{Principal, PrincipalKind, Request};
use crate::truth::Truth;

/// A principal that may do something.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// ARN of the principal.
    pub principal: String,
    /// Whether it depends on context that is not known.
    pub conditional: bool,
}

/// Policies that come with a request and not from an account; `None` is none.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passed {
    /// Those that were passed when the session was made.
    pub session: Option<Vec<NamedPolicy>>,
    /// That of the VPC endpoint that the request comes through.
    pub endpoint: Option<Vec<NamedPolicy>>,
}

impl Passed {
    /// Decides a request with these policies besides.
    fn explain<'a>(&'a self, mut sets: PolicySets<'a>, request: &Request) -> Answer {
        fn sources(list: Option<&[NamedPolicy]>) -> Option<Vec<Source<'_>>> {
            Some(list?.iter().map(NamedPolicy::source).collect())
        }
        sets.session = sources(self.session.as_deref());
        sets.endpoint = sources(self.endpoint.as_deref());
        explain(request, &sets)
    }
}

/// No service control policy applies to these.
fn is_service_linked(entity: &Entity) -> bool {
    entity.principal().is_service_linked()
}

impl Model {
    /// Decides whether a principal may do an action on a resource, with the reasons. A principal that is not one of the
    /// known users and roles (an outsider, a service) is judged by the resource's policy alone when it has no account
    /// here.
    pub fn can(&self, principal: &str, action: &str, resource: &str, context: &Context) -> Answer {
        self.can_with(principal, action, resource, context, &Passed::default())
    }

    /// The same for a request that policies come with.
    pub fn can_with(
        &self,
        principal: &str,
        action: &str,
        resource: &str,
        context: &Context,
        passed: &Passed,
    ) -> Answer {
        match self.entity(principal) {
            Some(entity) => {
                let request = self.request(entity, action, resource, context);
                let owner = request.resource_account.clone().unwrap_or_default();
                passed.explain(self.sets(entity, resource, &owner), &request)
            }
            None => {
                let stranger = Entity {
                    arn: principal.to_owned(),
                    kind: Principal::new(principal).kind,
                    name: principal.rsplit('/').next().unwrap_or_default().to_owned(),
                    unique_id: None,
                    account: Principal::new(principal)
                        .account()
                        .cloned()
                        .unwrap_or_default(),
                    groups: Vec::new(),
                    attached: Vec::new(),
                    policies: Vec::new(),
                    boundary: None,
                    trust: None,
                    tags: BTreeMap::new(),
                    unreadable: Vec::new(),
                    unread: Layers::default(),
                };
                let mut request = self.request(&stranger, action, resource, context);
                request.principal = Principal::new(principal);
                request.context = context.clone();
                self.add_s3_context(&mut request.context, resource);
                request.context.set_default("aws:PrincipalArn", principal);
                // Nothing is known of the policies of a user or role that is not in the model.
                let mut stranger = stranger;
                if self.known.is_some()
                    && request.principal.is_iam()
                    && request.principal.kind != PrincipalKind::Root
                {
                    stranger.unread.insert(Layer::Identity);
                    stranger.unread.insert(Layer::Boundary);
                }
                let owner = request.resource_account.clone().unwrap_or_default();
                passed.explain(self.sets(&stranger, resource, &owner), &request)
            }
        }
    }

    /// The users and roles that may do an action on a resource, in order of ARN.
    pub fn who_can(&self, action: &str, resource: &str, context: &Context) -> Vec<Grant> {
        let mut out = Vec::new();
        for entity in &self.entities {
            let request = self.request(entity, action, resource, context);
            let owner = request.resource_account.as_deref().unwrap_or_default();
            let decision = decide(&request, &self.sets(entity, resource, owner));
            if matches!(decision, Decision::Allow | Decision::DependsOn) {
                out.push(Grant {
                    principal: entity.arn.clone(),
                    conditional: decision == Decision::DependsOn,
                });
            }
        }
        out
    }

    /// The actions of the catalogue that a principal may do on some resource, each with an example of a resource.
    pub fn what_can(
        &self,
        principal: &str,
        context: &Context,
        catalogue: &Catalogue,
    ) -> BTreeMap<String, Grant> {
        self.what_can_of(principal, context, catalogue, &|_| true)
    }

    /// The same for the actions that are wanted.
    pub fn what_can_of(
        &self,
        principal: &str,
        context: &Context,
        catalogue: &Catalogue,
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> BTreeMap<String, Grant> {
        let mut out = BTreeMap::new();
        let Some(entity) = self.entity(principal) else {
            return out;
        };
        let mut actions: BTreeSet<String> = BTreeSet::new();
        for statement in entity
            .policies
            .iter()
            .flat_map(|p| p.policy.with_effect(Effect::Allow))
        {
            if statement.action.negated {
                actions.extend(
                    catalogue
                        .matching(&Pattern::Any)
                        .into_iter()
                        .filter(|a| statement.action.matches(&a.to_ascii_lowercase())),
                );
            } else {
                actions.extend(
                    statement
                        .action
                        .patterns
                        .iter()
                        .flat_map(|p| catalogue.matching(p)),
                );
            }
        }
        for action in actions.into_iter().filter(|a| is_wanted(a)) {
            if let Some((resource, decision)) = self.some_resource(entity, &action, "*", context) {
                out.insert(
                    action,
                    Grant {
                        principal: resource,
                        conditional: decision == Decision::DependsOn,
                    },
                );
            }
        }
        out
    }

    /// A resource of a format (`*`, or an ARN pattern) on which the entity may do an action: candidates are the
    /// resources that its own statements name.
    pub(crate) fn some_resource(
        &self,
        entity: &Entity,
        action: &str,
        format: &str,
        context: &Context,
    ) -> Option<(String, Decision)> {
        let mut best = None;
        for resource in self.candidates(entity, action, format) {
            let request = self.request(entity, action, &resource, context);
            let owner = request.resource_account.clone().unwrap_or_default();
            match decide(&request, &self.sets(entity, &resource, &owner)) {
                Decision::Allow => return Some((resource, Decision::Allow)),
                Decision::DependsOn => {
                    best.get_or_insert((resource, Decision::DependsOn));
                }
                _ => {}
            }
        }
        best
    }

    /// Example resources for an action: one for each resource pattern of the statements that allow it.
    fn candidates(&self, entity: &Entity, action: &str, format: &str) -> BTreeSet<String> {
        let wanted = crate::arn_pattern::Widest::new(format);
        let lower = action.to_ascii_lowercase();
        let mut out = BTreeSet::new();
        for statement in entity
            .policies
            .iter()
            .flat_map(|p| p.policy.with_effect(Effect::Allow))
        {
            if !statement.action.matches(&lower) {
                continue;
            }
            match &statement.resource {
                Some(element) if !element.negated => {
                    out.extend(
                        element
                            .patterns
                            .iter()
                            .filter_map(|p| p.widest().witness(&wanted)),
                    );
                }
                _ => out.extend(wanted.witness(&wanted)),
            }
        }
        out
    }

    /// The administrators, in order of ARN: their policies within their boundary and the organisation's guardrails.
    pub fn admins(&self) -> Vec<String> {
        self.entities
            .iter()
            .filter(|e| self.is_admin(e))
            .map(|e| e.arn.clone())
            .collect()
    }

    /// The administrators as far as is known, in order of ARN: `Unknown` where a policy that could not be read decides.
    pub fn possible_admins(&self) -> Vec<(String, Truth)> {
        let truths = self
            .entities
            .iter()
            .map(|e| (e.arn.clone(), self.admin_truth(e)));
        truths.filter(|(_, truth)| !truth.is_false()).collect()
    }

    /// Whether an entity is an administrator within all layers, as far as is known.
    pub fn admin_truth(&self, entity: &Entity) -> Truth {
        let unless_unread = |holds: bool, layer| match holds {
            holds if !entity.unread.contains(layer) => Truth::from(holds),
            _ => Truth::Unknown,
        };
        let own: Vec<&Policy> = entity.policies.iter().map(|p| &*p.policy).collect();
        let identity = unless_unread(is_admin(&own), Layer::Identity);
        let within = entity
            .boundary
            .as_ref()
            .is_none_or(|b| is_admin(&[&b.policy]));
        let boundary = unless_unread(within, Layer::Boundary);
        let guardrails = match &self.known {
            Some(known) if !known.has_scp(&entity.account) && !is_service_linked(entity) => {
                Truth::Unknown
            }
            _ => self.guardrails_allow_admin(entity).into(),
        };
        identity.and(boundary).and(guardrails)
    }

    /// Whether an entity is an administrator within all layers.
    pub fn is_admin(&self, entity: &Entity) -> bool {
        let own: Vec<&Policy> = entity.policies.iter().map(|p| &*p.policy).collect();
        is_admin(&own) && self.ceiling_allows_admin(entity)
    }

    /// Whether boundary and service control policies leave room for an administrator.
    pub(crate) fn ceiling_allows_admin(&self, entity: &Entity) -> bool {
        entity
            .boundary
            .as_ref()
            .is_none_or(|b| is_admin(&[&b.policy]))
            && self.guardrails_allow_admin(entity)
    }

    /// Whether the service control policies leave room for an administrator.
    pub(crate) fn guardrails_allow_admin(&self, entity: &Entity) -> bool {
        if is_service_linked(entity) {
            return true;
        }
        self.scp
            .get(&entity.account)
            .or_else(|| self.scp.get("*"))
            .into_iter()
            .flatten()
            .all(|level| {
                let policies: Vec<&Policy> = level.policies.iter().map(|p| &*p.policy).collect();
                is_admin(&policies)
            })
    }

    /// The services that an entity may use by its policies and has not used: `used` holds the service prefixes with
    /// their last use from last-accessed data. Sorted.
    pub fn unused_services(
        &self,
        principal: &str,
        used: &BTreeSet<String>,
        catalogue: &Catalogue,
    ) -> Vec<String> {
        let Some(entity) = self.entity(principal) else {
            return Vec::new();
        };
        let allowed = |prefix: &str| {
            let whole = Pattern::new(&format!("{}:*", prefix.to_ascii_lowercase()));
            entity
                .policies
                .iter()
                .flat_map(|p| p.policy.with_effect(Effect::Allow))
                .any(|s| s.action.overlaps(&whole))
        };
        catalogue
            .services()
            .map(|s| s.prefix.as_str())
            .filter(|p| !used.contains(*p) && allowed(p))
            .map(ToOwned::to_owned)
            .collect()
    }
}

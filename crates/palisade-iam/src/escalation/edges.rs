//! The steps that an entity can take.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::crowd::{Crowds, may_ask};
use super::rules::{Gain, Rule, Rules};
use super::{Edge, Target};
use crate::account::{Entity, Group, ManagedPolicy, Model, NamedPolicy};
use crate::arn_pattern::{ArnText, Widest};
use crate::capability::{grants_iam_change, is_admin};
use crate::catalogue::Catalogue;
use crate::context::Context;
use crate::evaluate::{Decision, PolicySets, decide};
use crate::glob::Pattern;
use crate::policy::{Closeness, Effect, Policy, PrincipalEntry};
use crate::request::{Principal, PrincipalKind, Request};
use crate::truth::Truth;

/// What an action is done on, for finding examples.
fn format(action: &str, account: &str) -> String {
    let Some(name) = action.strip_prefix("iam:") else {
        return match action {
            "sts:AssumeRole" => "arn:aws:iam::*:role/*".to_owned(),
            _ => "*".to_owned(),
        };
    };
    let kind = match name {
        "PassRole"
        | "PutRolePolicy"
        | "AttachRolePolicy"
        | "UpdateAssumeRolePolicy"
        | "DeleteRolePermissionsBoundary"
        | "PutRolePermissionsBoundary" => "role",
        "CreatePolicyVersion" | "SetDefaultPolicyVersion" => "policy",
        "PutGroupPolicy" | "AttachGroupPolicy" | "AddUserToGroup" => "group",
        _ => "user",
    };
    format!("arn:aws:iam::{account}:{kind}/*")
}

/// Finds edges.
pub(super) struct Finder<'a> {
    model: &'a Model,
    rules: &'a Rules,
    context: Context,
    /// Entities by account: what IAM's own actions are done on is always in the account of who does them ("Actions,
    /// resources, and condition keys for AWS IAM", Service Authorization Reference; only roles are used from outside).
    within: BTreeMap<&'a str, Vec<usize>>,
    /// Roles by account and the services that they trust: roles are passed within their account only.
    trusting: BTreeMap<&'a str, BTreeMap<&'a str, Vec<usize>>>,
    /// Roles by what their trust policies name: an ARN or an account.
    named: BTreeMap<&'a str, Vec<usize>>,
    /// Roles by account that trust everyone.
    trusting_all: BTreeMap<&'a str, Vec<usize>>,
    /// Those who may ask for roles of other accounts that trust everyone.
    crowds: Crowds,
    /// By the account of a managed policy: entities by the policy that is attached, also through groups.
    holders: BTreeMap<&'a str, BTreeMap<&'a str, Vec<usize>>>,
    /// Groups by account, in order of ARN.
    groups: BTreeMap<&'a str, Vec<&'a Group>>,
    /// What holds roles, by place of the rule.
    compute: Vec<Holders<'a>>,
    /// The ARNs of the entities: where many can get to one, each step is on the same text.
    arns: Vec<Arc<str>>,
}

/// Cheap test before the exact ones: some statement of the entity allows the action.
pub(super) fn mentions(entity: &Entity, action: &str) -> bool {
    let lower = action.to_ascii_lowercase();
    entity
        .policies
        .iter()
        .flat_map(|p| p.policy.with_effect(Effect::Allow))
        .any(|s| s.action.matches(&lower))
}

/// What a rule can be used on, by place in the model.
#[derive(Default)]
struct Holders<'a> {
    /// By account.
    within: BTreeMap<&'a str, Vec<usize>>,
    /// What other accounts may use, too.
    shared: Vec<usize>,
}

impl<'a> Holders<'a> {
    fn new(model: &'a Model, rule: &Rule) -> Self {
        let mut out = Self::default();
        let Some(action) = rule.actions.first().filter(|_| rule.gain == Gain::Holder) else {
            return out;
        };
        let types = patterns_of(action);
        for (at, compute) in model.compute.iter().enumerate() {
            let arn = Widest::new(&compute.arn);
            if !rule.services.contains(&compute.service) || !types.iter().any(|t| t.overlaps(&arn))
            {
                continue;
            }
            match model.owner_of(&compute.arn) {
                Some(account) if !model.may_be_shared(&compute.arn) => {
                    out.within.entry(account).or_default().push(at);
                }
                _ => out.shared.push(at),
            }
        }
        out
    }

    /// What an account may use, in the model's order.
    fn of(&self, account: &str) -> BTreeSet<usize> {
        let own = self.within.get(account).into_iter().flatten();
        own.chain(&self.shared).copied().collect()
    }
}

/// Whether something is possible: certainly, or depending on what is not known.
type Possible = Option<bool>;

fn both(a: Possible, b: Possible) -> Possible {
    Some(a? || b?)
}

/// An entity with what every one of its requests has in common, made once.
struct Subject<'m> {
    entity: &'m Entity,
    /// The request that is asked again and again with another action and resource.
    request: RefCell<Request>,
    sets: RefCell<PolicySets<'m>>,
}

impl std::ops::Deref for Subject<'_> {
    type Target = Entity;
    fn deref(&self) -> &Entity {
        self.entity
    }
}

impl<'m> Subject<'m> {
    fn new(model: &'m Model, entity: &'m Entity, context: &Context) -> Self {
        let request = RefCell::new(model.request(entity, "", "", context));
        Self {
            entity,
            request,
            sets: RefCell::new(model.sets(entity, "", &entity.account)),
        }
    }

    fn decide(
        &self,
        model: &'m Model,
        action: &str,
        resource: &str,
        service: Option<&str>,
    ) -> Possible {
        let mut request = self.request.borrow_mut();
        request.action.clear();
        request.action.push_str(action);
        request.resource.clear();
        request.resource.push_str(resource);
        let owner = model.owner_of(resource).unwrap_or(&self.entity.account);
        if request.resource_account.as_deref() != Some(owner) {
            request.resource_account = Some(owner.to_owned());
        }
        if let Some(service) = service {
            request.context.set("iam:PassedToService", [service]);
        }
        let mut sets = self.sets.borrow_mut();
        model.retarget(&mut sets, self.entity, resource, owner);
        let decision = decide(&request, &sets);
        if service.is_some() {
            request.context.unset("iam:passedtoservice");
        }
        match decision {
            Decision::Allow => Some(false),
            Decision::DependsOn => Some(true),
            _ => None,
        }
    }
}

impl<'a> Finder<'a> {
    pub fn new(model: &'a Model, rules: &'a Rules, context: Context) -> Self {
        let mut finder = Self {
            model,
            rules,
            context,
            within: BTreeMap::new(),
            trusting: BTreeMap::new(),
            named: BTreeMap::new(),
            trusting_all: BTreeMap::new(),
            crowds: Crowds::default(),
            compute: rules.rules.iter().map(|r| Holders::new(model, r)).collect(),
            holders: BTreeMap::new(),
            groups: BTreeMap::new(),
            arns: model.entities.iter().map(|e| (*e.arn).into()).collect(),
        };
        for group in model.groups.values() {
            let account = ArnText::new(&group.arn).account().unwrap_or_default();
            finder.groups.entry(account).or_default().push(group);
        }
        let services: BTreeSet<&'a str> = rules
            .rules
            .iter()
            .flat_map(|r| r.services.iter())
            .map(String::as_str)
            .collect();
        for (at, entity) in model.entities.iter().enumerate() {
            finder.within.entry(&entity.account).or_default().push(at);
            let groups = entity.groups.iter().filter_map(|g| model.groups.get(g));
            let through_groups = groups.flat_map(|g| &g.attached);
            for arn in entity.attached.iter().chain(through_groups) {
                let account = ArnText::new(arn).account().unwrap_or_default();
                let of = finder.holders.entry(account).or_default();
                of.entry(arn).or_default().push(at);
            }
            let Some(trust) = &entity.trust else { continue };
            for service in &services {
                if trusts_service(&trust.policy, service) {
                    let of = finder.trusting.entry(&entity.account).or_default();
                    of.entry(service).or_default().push(at);
                }
            }
            let principals = trust.policy.with_effect(Effect::Allow);
            let principals = principals.filter_map(|s| s.principal.as_ref());
            let mut trusts_all = false;
            for pattern in principals {
                // Whom `NotPrincipal` leaves is everyone else.
                trusts_all |= pattern.negated;
                for entry in pattern.entries.iter().filter(|_| !pattern.negated) {
                    match entry {
                        PrincipalEntry::Everyone => trusts_all = true,
                        PrincipalEntry::Account(key)
                        | PrincipalEntry::Arn(key)
                        | PrincipalEntry::UniqueId(key) => {
                            finder.named.entry(key).or_default().push(at);
                        }
                        _ => {}
                    }
                }
            }
            if trusts_all {
                let of = finder.trusting_all.entry(&entity.account).or_default();
                of.push(at);
            }
        }
        let mut trusting_all: Vec<usize> =
            finder.trusting_all.values().flatten().copied().collect();
        trusting_all.sort_unstable();
        finder.crowds = Crowds::new(model, &trusting_all);
        finder
    }

    /// The same without crowds.
    #[cfg(test)]
    pub fn one_by_one(model: &'a Model, rules: &'a Rules, context: Context) -> Self {
        let mut finder = Self::new(model, rules, context);
        finder.crowds = Crowds::none(finder.trusting_all.values().flatten().copied().collect());
        finder
    }

    /// What a step is done on.
    fn text_of(&self, to: Target, resource: &str) -> Arc<str> {
        let own = match to {
            Target::Entity(at) => self.arns.get(at).filter(|arn| ***arn == *resource),
            Target::Admin => None,
        };
        own.map_or_else(|| resource.into(), Arc::clone)
    }

    /// The entities of an entity's account, itself among them.
    fn neighbours(&self, entity: &Entity) -> impl Iterator<Item = (usize, &'a Entity)> {
        let own = self.within.get(entity.account.as_str());
        let model = self.model;
        own.into_iter()
            .flatten()
            .filter_map(move |at| Some((*at, model.entities.get(*at)?)))
    }

    /// The managed policies of an entity's account that somebody holds, with who does.
    fn held(&self, entity: &Entity) -> impl Iterator<Item = (&'a str, &Vec<usize>)> {
        let own = self.holders.get(entity.account.as_str());
        own.into_iter()
            .flatten()
            .map(|(policy, holders)| (*policy, holders))
    }

    /// The roles of an entity's account that trust a service.
    fn trusting(&self, entity: &Entity, service: &str) -> &[usize] {
        let own = self.trusting.get(entity.account.as_str());
        own.and_then(|own| own.get(service))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether the entity may do an action on a resource.
    fn may(&self, entity: &Subject<'a>, action: &str, resource: &str) -> Possible {
        self.may_pass(entity, action, resource, None)
    }

    /// The same, for a role that is passed to a service.
    fn may_pass(
        &self,
        entity: &Subject<'a>,
        action: &str,
        resource: &str,
        service: Option<&str>,
    ) -> Possible {
        // Most pairs fail here: only roles are reached without a statement of one's own.
        if action != "sts:AssumeRole" && !self.speaks_of(entity, action, resource) {
            return None;
        }
        entity.decide(self.model, action, resource, service)
    }

    /// Whether some statement of the entity may allow the action on the resource, without regard to conditions.
    fn speaks_of(&self, entity: &Subject<'a>, action: &str, resource: &str) -> bool {
        let (lower, arn) = (action.to_ascii_lowercase(), ArnText::new(resource));
        let mut allows = entity
            .policies
            .iter()
            .flat_map(|p| p.policy.with_effect(Effect::Allow));
        allows.any(|s| !s.matches_target(&lower, &arn, &self.context).is_false())
    }

    /// Whether the entity may do an action on something; with an example.
    fn may_some(&self, entity: &Subject<'a>, action: &str) -> Option<(String, bool)> {
        let (resource, decision) = self.model.some_resource(
            entity,
            action,
            &format(action, &entity.account),
            &self.context,
        )?;
        Some((resource, decision == Decision::DependsOn))
    }

    pub fn edges(&self, from: usize, entity: &'a Entity) -> Vec<Edge> {
        let entity = &Subject::new(self.model, entity, &self.context);
        let mut out = Vec::new();
        for (index, rule) in self.rules.rules.iter().enumerate() {
            // A role that names the caller in its trust policy may be assumed without any policy of the caller.
            if rule.gain != Gain::Assume
                && !rule
                    .actions
                    .iter()
                    .all(|a| a == "sts:AssumeRole" || mentions(entity, a))
            {
                continue;
            }
            self.rule_edges(from, entity, index, rule, &mut out);
        }
        out.retain(|e| e.to != Target::Entity(from));
        out.shrink_to_fit();
        out
    }

    fn rule_edges(
        &self,
        from: usize,
        entity: &Subject<'a>,
        index: usize,
        rule: &Rule,
        out: &mut Vec<Edge>,
    ) {
        let edge = |to, resource: &str, conditional| Edge {
            to,
            rule: index,
            resource: self.text_of(to, resource),
            conditional,
            assumed: false,
            indirect: false,
        };
        let others = |kind: PrincipalKind| {
            self.neighbours(entity)
                .filter(move |(at, e)| *at != from && e.kind == kind)
        };
        let [first, ..] = rule.actions.as_slice() else {
            return;
        };
        let second = rule.actions.get(1).map_or("", String::as_str);
        match rule.gain {
            Gain::Policy | Gain::PolicyVersion => out.extend(self.policy_edge(entity, rule, &edge)),
            Gain::UserPolicy | Gain::RolePolicy => {
                out.extend(self.change_edge(from, entity, rule, &edge))
            }
            Gain::GroupPolicy | Gain::JoinGroup => out.extend(self.group_edge(entity, rule, &edge)),
            Gain::UserCredentials => {
                for (at, user) in others(PrincipalKind::User) {
                    if let Some(conditional) = self.may_all(entity, rule, &user.arn) {
                        out.push(edge(Target::Entity(at), &user.arn, conditional));
                    }
                }
            }
            Gain::RoleTrust => {
                for (at, role) in others(PrincipalKind::Role) {
                    if let Some(conditional) = self.may(entity, first, &role.arn) {
                        out.push(edge(Target::Entity(at), &role.arn, conditional));
                    }
                }
            }
            Gain::Assume => {
                for at in self.trusting_caller(from, entity) {
                    if let Some(role) = self.model.entities.get(at)
                        && let Some(conditional) = self.may(entity, "sts:AssumeRole", &role.arn)
                    {
                        out.push(edge(Target::Entity(at), &role.arn, conditional));
                    }
                }
            }
            Gain::RolePolicyAssume | Gain::RolePolicyTrust | Gain::UserPolicyCredentials => {
                let kind = if rule.gain == Gain::UserPolicyCredentials {
                    PrincipalKind::User
                } else {
                    PrincipalKind::Role
                };
                for (_, other) in others(kind) {
                    if let Some(conditional) = both(
                        self.may(entity, first, &other.arn),
                        self.may(entity, second, &other.arn),
                    ) && self.model.ceiling_allows_admin(other)
                    {
                        out.push(edge(Target::Admin, &other.arn, conditional));
                        break;
                    }
                }
            }
            Gain::PolicyAssume | Gain::PolicyTrust => {
                for (policy, holders) in self.held(entity) {
                    let Some(conditional) = self.may_change(entity, first, policy) else {
                        continue;
                    };
                    let hit = holders
                        .iter()
                        .filter_map(|at| self.model.entities.get(*at))
                        .find_map(|role| {
                            (role.kind == PrincipalKind::Role
                                && role.arn != entity.arn
                                && self.model.ceiling_allows_admin(role))
                            .then(|| self.may(entity, second, &role.arn))
                            .flatten()
                        });
                    if let Some(more) = hit {
                        out.push(edge(Target::Admin, policy, conditional || more));
                        break;
                    }
                }
            }
            Gain::UserBoundary | Gain::RoleBoundary => {
                out.extend(self.boundary_edge(entity, rule, &edge))
            }
            Gain::PassRole => self.pass_edges(entity, index, rule, out),
            Gain::Holder => self.holder_edges(entity, index, rule, out),
            Gain::PermissionSet => {
                if let Some((resource, conditional)) = self.may_every(entity, &rule.actions) {
                    out.push(Edge {
                        assumed: true,
                        ..edge(Target::Admin, &resource, conditional)
                    });
                }
            }
        }
    }

    /// Whether all actions of a rule may be done on one resource.
    fn may_all(&self, entity: &Subject<'a>, rule: &Rule, resource: &str) -> Possible {
        rule.actions.iter().try_fold(false, |conditional, action| {
            Some(conditional || self.may(entity, action, resource)?)
        })
    }

    /// Whether each action may be done on something; the first gives the example.
    fn may_every(&self, entity: &Subject<'a>, actions: &[String]) -> Option<(String, bool)> {
        let mut example = None;
        let mut conditional = false;
        for action in actions {
            let (resource, depends) = self.may_some(entity, action)?;
            conditional |= depends;
            example.get_or_insert(resource);
        }
        example.map(|e| (e, conditional))
    }

    /// Policies of AWS cannot be changed.
    fn may_change(&self, entity: &Subject<'a>, action: &str, policy: &str) -> Possible {
        let own = ArnText::new(policy).account() == Some(entity.account.as_str());
        if own {
            self.may(entity, action, policy)
        } else {
            None
        }
    }

    /// A managed policy that the entity holds, else one that somebody holds.
    fn policy_edge(
        &self,
        entity: &Subject<'a>,
        rule: &Rule,
        edge: &dyn Fn(Target, &str, bool) -> Edge,
    ) -> Option<Edge> {
        let action = rule.actions.first()?;
        let through_groups = entity
            .groups
            .iter()
            .filter_map(|g| self.model.groups.get(g))
            .flat_map(|g| &g.attached);
        let own: Vec<&String> = entity.attached.iter().chain(through_groups).collect();
        for policy in &own {
            let useful = rule.gain == Gain::Policy || self.has_wider_version(policy);
            if let Some(conditional) = self.may_change(entity, action, policy)
                && useful
                && self.model.ceiling_allows_admin(entity)
            {
                let known = self
                    .model
                    .managed
                    .get(*policy)
                    .is_some_and(|m| m.others.is_some());
                return Some(Edge {
                    assumed: rule.gain == Gain::PolicyVersion && !known,
                    ..edge(Target::Admin, policy, conditional)
                });
            }
        }
        for (policy, holders) in self.held(entity) {
            let useful = rule.gain == Gain::Policy || self.has_wider_version(policy);
            let Some(conditional) = self.may_change(entity, action, policy).filter(|_| useful)
            else {
                continue;
            };
            if holders
                .iter()
                .filter_map(|at| self.model.entities.get(*at))
                .any(|e| e.arn != entity.arn && self.model.ceiling_allows_admin(e))
            {
                return Some(Edge {
                    indirect: true,
                    ..edge(Target::Admin, policy, conditional)
                });
            }
        }
        None
    }

    /// Whether a version that is not the default makes an administrator, or is not known.
    fn has_wider_version(&self, arn: &str) -> bool {
        match self.model.managed.get(arn) {
            Some(ManagedPolicy {
                others: Some(others),
                ..
            }) => others
                .iter()
                .any(|p: &Arc<Policy>| is_admin(&[p]) || grants_iam_change(&[p])),
            _ => true,
        }
    }

    /// The permissions of the entity itself, else of another user or role.
    fn change_edge(
        &self,
        from: usize,
        entity: &Subject<'a>,
        rule: &Rule,
        edge: &dyn Fn(Target, &str, bool) -> Edge,
    ) -> Option<Edge> {
        let action = rule.actions.first()?;
        let kind = if rule.gain == Gain::UserPolicy {
            PrincipalKind::User
        } else {
            PrincipalKind::Role
        };
        if entity.kind == kind
            && self.model.ceiling_allows_admin(entity)
            && let Some(conditional) = self.may(entity, action, &entity.arn)
        {
            return Some(edge(Target::Admin, &entity.arn, conditional));
        }
        for (at, other) in self.neighbours(entity) {
            if at != from
                && other.kind == kind
                && self.model.ceiling_allows_admin(other)
                && let Some(conditional) = self.may(entity, action, &other.arn)
            {
                return Some(Edge {
                    indirect: true,
                    ..edge(Target::Admin, &other.arn, conditional)
                });
            }
        }
        None
    }

    /// A group of the entity, else one that some user is in or can be put into.
    fn group_edge(
        &self,
        entity: &Subject<'a>,
        rule: &Rule,
        edge: &dyn Fn(Target, &str, bool) -> Edge,
    ) -> Option<Edge> {
        let action = rule.actions.first()?;
        let ceiling = self.model.ceiling_allows_admin(entity);
        let mut indirect = None;
        let groups = self.groups.get(entity.account.as_str());
        for group in groups.into_iter().flatten() {
            let Some(conditional) = self.may(entity, action, &group.arn) else {
                continue;
            };
            let policies: Vec<&Policy> = group.policies.iter().map(|p| &*p.policy).collect();
            let own = match rule.gain {
                Gain::JoinGroup => {
                    if !is_admin(&policies) && !grants_iam_change(&policies) {
                        continue;
                    }
                    entity.kind == PrincipalKind::User
                }
                _ => entity.groups.contains(&group.arn),
            };
            if own && ceiling {
                return Some(edge(Target::Admin, &group.arn, conditional));
            }
            indirect.get_or_insert(Edge {
                indirect: true,
                ..edge(Target::Admin, &group.arn, conditional)
            });
        }
        indirect
    }

    /// A boundary whose loss makes an administrator.
    fn boundary_edge(
        &self,
        entity: &Subject<'a>,
        rule: &Rule,
        edge: &dyn Fn(Target, &str, bool) -> Edge,
    ) -> Option<Edge> {
        let action = rule.actions.first()?;
        let kind = if rule.gain == Gain::UserBoundary {
            PrincipalKind::User
        } else {
            PrincipalKind::Role
        };
        let others = self.neighbours(entity).map(|(_, other)| other);
        for other in others.filter(|e| e.kind == kind && e.boundary.is_some()) {
            let own: Vec<&Policy> = other.policies.iter().map(|p| &*p.policy).collect();
            if !is_admin(&own) || !self.model.guardrails_allow_admin(other) {
                continue;
            }
            let Some(mut conditional) = self.may(entity, action, &other.arn) else {
                continue;
            };
            let mine = other.arn == entity.arn;
            if !mine && kind == PrincipalKind::Role {
                match self.may(entity, "sts:AssumeRole", &other.arn) {
                    Some(more) => conditional |= more,
                    None => continue,
                }
            }
            return Some(Edge {
                indirect: !mine && kind == PrincipalKind::User,
                ..edge(Target::Admin, &other.arn, conditional)
            });
        }
        None
    }

    /// Roles whose trust policies may mean the caller, but those that its crowd is asked about.
    fn trusting_caller(&self, from: usize, entity: &Subject<'a>) -> BTreeSet<usize> {
        let mut keys = vec![entity.arn.as_str()];
        // A role that trusts the account asks for a permission of the caller besides.
        if mentions(entity, "sts:AssumeRole") {
            keys.push(entity.account.as_str());
        }
        keys.extend(entity.unique_id.as_deref());
        let mut out: BTreeSet<usize> = keys
            .iter()
            .filter_map(|k| self.named.get(k))
            .flatten()
            .copied()
            .collect();
        let own = self.trusting_all.get(entity.account.as_str());
        out.extend(own.into_iter().flatten());
        if may_ask(entity) {
            out.extend(self.crowds.asked_alone(from));
        }
        out.remove(&from);
        out
    }

    /// The crowd that an entity is in.
    pub fn crowd_of(&self, entity: usize) -> Option<usize> {
        self.crowds.of(entity)
    }

    /// The number of crowds.
    pub fn crowd_count(&self) -> usize {
        self.crowds.len()
    }

    /// The steps of everyone in a crowd.
    pub fn crowd_edges(&self, crowd: usize) -> Vec<Edge> {
        let mut subjects: BTreeMap<usize, Subject<'a>> = BTreeMap::new();
        let mut assumed = Vec::new();
        for (caller, at) in self.crowds.pairs(crowd, self.model) {
            let (Some(own), Some(role)) =
                (self.model.entities.get(caller), self.model.entities.get(at))
            else {
                continue;
            };
            let subject = subjects
                .entry(caller)
                .or_insert_with(|| Subject::new(self.model, own, &self.context));
            if let Some(conditional) = self.may(subject, "sts:AssumeRole", &role.arn) {
                assumed.push((at, conditional));
            }
        }
        let rules = self.rules.rules.iter().enumerate();
        let rules = rules.filter(|(_, rule)| rule.gain == Gain::Assume);
        let edge = |rule, (at, conditional): &(usize, bool)| Edge {
            to: Target::Entity(*at),
            rule,
            resource: self.arns.get(*at).cloned().unwrap_or_default(),
            conditional: *conditional,
            assumed: false,
            indirect: false,
        };
        rules
            .flat_map(|(rule, _)| assumed.iter().map(move |to| edge(rule, to)))
            .collect()
    }

    fn pass_edges(&self, entity: &Subject<'a>, index: usize, rule: &Rule, out: &mut Vec<Edge>) {
        let rest: Vec<String> = rule.actions.iter().skip(1).cloned().collect();
        let Some((_, depends)) = self.may_every(entity, &rest) else {
            return;
        };
        let mut done = BTreeSet::new();
        for service in &rule.services {
            for at in self.trusting(entity, service) {
                let Some(role) = self.model.entities.get(*at) else {
                    continue;
                };
                if done.contains(at) {
                    continue;
                }
                if let Some(conditional) =
                    self.may_pass(entity, "iam:PassRole", &role.arn, Some(service))
                {
                    done.insert(*at);
                    out.push(Edge {
                        to: Target::Entity(*at),
                        rule: index,
                        resource: self.text_of(Target::Entity(*at), &role.arn),
                        conditional: conditional || depends,
                        assumed: false,
                        indirect: false,
                    });
                }
            }
        }
    }

    fn holder_edges(&self, entity: &Subject<'a>, index: usize, rule: &Rule, out: &mut Vec<Edge>) {
        let mut done = BTreeSet::new();
        let held = self.compute.get(index).map(|h| h.of(&entity.account));
        let held = held.into_iter().flatten();
        for compute in held.filter_map(|at| self.model.compute.get(at)) {
            let Some(at) = self.model.position(&compute.role) else {
                continue;
            };
            let possible = rule.actions.iter().try_fold(false, |conditional, action| {
                // Reading actions have no resource of their own.
                let on = if action.contains(":Describe") {
                    "*"
                } else {
                    &compute.arn
                };
                Some(conditional || self.may(entity, action, on)?)
            });
            if let Some(conditional) = possible
                && done.insert(at)
            {
                out.push(Edge {
                    to: Target::Entity(at),
                    rule: index,
                    resource: (*compute.arn).into(),
                    conditional,
                    assumed: false,
                    indirect: false,
                });
            }
        }
        if self.model.compute_is_complete {
            return;
        }
        let Some((resource, conditional)) = self.may_every(entity, &rule.actions) else {
            return;
        };
        for at in rule.services.iter().flat_map(|s| self.trusting(entity, s)) {
            if done.insert(*at) {
                out.push(Edge {
                    to: Target::Entity(*at),
                    rule: index,
                    resource: (*resource).into(),
                    conditional,
                    assumed: true,
                    indirect: false,
                });
            }
        }
    }
}

/// The ARNs that an action is done on: a deployment group or a launch template that reaches the instance is something
/// else, which may not exist.
fn patterns_of(action: &str) -> Vec<Widest> {
    let Some((service, action)) = Catalogue::embedded().ok().and_then(|c| c.action(action)) else {
        return Vec::new();
    };
    let types = action.resources.iter();
    let types = types.filter_map(|r| service.resource(r));
    types.map(|r| Widest::new(&r.pattern())).collect()
}

/// Whether a trust policy may let a service assume the role.
fn trusts_service(trust: &Policy, service: &str) -> bool {
    let principal = Principal::new(service);
    let context = Context::open();
    let assume = Pattern::new("sts:assumerole");
    let truth = |effect| {
        trust
            .with_effect(effect)
            .filter(|s| s.action.covers(&assume))
            .filter(|s| {
                s.principal
                    .as_ref()
                    .and_then(|p| p.closeness(&principal))
                    .is_some_and(|c| effect == Effect::Deny || c == Closeness::Exact)
            })
            .map(|s| s.conditions_hold(&context))
            .fold(Truth::False, Truth::or)
    };
    !truth(Effect::Allow).is_false() && !truth(Effect::Deny).is_true()
}

/// The ways that policies open when everything else that a rule needs is there.
pub(super) fn paths_of_policies(
    policies: &[Policy],
    rules: &Rules,
    context: Context,
) -> BTreeSet<String> {
    let account = "123456789012";
    let entity = Entity {
        arn: format!("arn:aws:iam::{account}:user/subject"),
        kind: PrincipalKind::User,
        name: "subject".to_owned(),
        unique_id: None,
        account: account.to_owned(),
        groups: Vec::new(),
        attached: Vec::new(),
        policies: policies
            .iter()
            .enumerate()
            .map(|(at, p)| NamedPolicy {
                name: format!("policy {}", at + 1),
                policy: Arc::new(p.clone()),
            })
            .collect(),
        boundary: None,
        trust: None,
        tags: BTreeMap::new(),
        unreadable: Vec::new(),
        unread: crate::evaluate::Layers::default(),
    };
    let model = Model::default();
    let may = |action: &String, context: &Context| {
        let lower = action.to_ascii_lowercase();
        let mut allowing = policies
            .iter()
            .flat_map(|p| p.with_effect(Effect::Allow))
            .filter(|s| s.action.matches(&lower))
            .peekable();
        // most policies allow few of the actions that rules ask for
        if allowing.peek().is_none() {
            return false;
        }
        let mut candidates: BTreeSet<String> = BTreeSet::new();
        let wanted = Widest::new(&format(action, account));
        for statement in allowing {
            match &statement.resource {
                Some(r) if !r.negated => candidates.extend(
                    r.patterns
                        .iter()
                        .filter_map(|p| p.widest().witness(&wanted)),
                ),
                _ => candidates.extend(wanted.witness(&wanted)),
            }
        }
        candidates.iter().any(|resource| {
            let mut request = model.request(&entity, action, resource, context);
            // Trust policies are not at hand: they are taken to let the subject in.
            if action == "sts:AssumeRole" {
                request.action = "sts:assume-role-by-identity".to_owned();
                return entity_allows(&entity, &lower, &request);
            }
            matches!(
                decide(&request, &model.sets(&entity, "", account)),
                Decision::Allow | Decision::DependsOn
            )
        })
    };
    rules
        .rules
        .iter()
        .filter(|rule| {
            let mut contexts: Vec<Context> = Vec::new();
            for service in &rule.services {
                let mut with = context.clone();
                with.set("iam:PassedToService", [service]);
                contexts.push(with);
            }
            if contexts.is_empty() {
                contexts.push(context.clone());
            }
            contexts
                .iter()
                .any(|context| rule.actions.iter().all(|action| may(action, context)))
        })
        .map(|rule| rule.path.clone())
        .collect()
}

/// Whether the identity policies alone may allow an action (in lower case).
fn entity_allows(entity: &Entity, action: &str, request: &crate::request::Request) -> bool {
    let arn = ArnText::new(&request.resource);
    let truth = |effect| {
        entity
            .policies
            .iter()
            .flat_map(|p| p.policy.with_effect(effect))
            .map(|s| {
                s.matches_target(action, &arn, &request.context)
                    .and(s.conditions_hold(&request.context))
            })
            .fold(Truth::False, Truth::or)
    };
    !truth(Effect::Allow).is_false() && !truth(Effect::Deny).is_true()
}

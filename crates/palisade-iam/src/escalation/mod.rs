//! Privilege escalation and lateral movement as a graph.
//!
//! Nodes are users and roles; an edge says that one can get hold of the other, or make itself an administrator. Every
//! edge is checked through all layers, so a deny, a boundary, a guardrail or a condition that cannot hold breaks it.

mod edges;
mod rules;

pub use rules::{Gain, Rule, Rules, RulesError};

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::account::{Entity, Model};
use crate::capability::statement_covers;
use crate::context::Context;
use crate::policy::Effect;
use crate::time::format_date;

/// Where an edge leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To being an administrator.
    Admin,
    /// To this entity of the model.
    Entity(usize),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Place of the entity in the model.
    pub from: usize,
    /// Where it leads.
    pub to: Target,
    /// Place of the rule.
    pub rule: usize,
    /// What the decisive action is done on.
    pub resource: Arc<str>,
    /// Whether it depends on context that is not known.
    pub conditional: bool,
    /// Whether it needs something that is not known to exist.
    pub assumed: bool,
    /// Whether it empowers another identity that one does not control.
    pub indirect: bool,
}

impl Edge {
    /// A long way of which everything is known comes before a short one that may not be there.
    fn cost(&self) -> u64 {
        1000 + u64::from(self.conditional)
            + 100 * u64::from(self.indirect)
            + 1_000_000 * u64::from(self.assumed)
    }
}

/// A step of a path, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// ARN of who acts.
    pub from: String,
    /// ARN of what is reached, or `admin`.
    pub to: String,
    /// The rule's identifier.
    pub rule: String,
    /// The rule's public identifier.
    pub path: String,
    /// What is done.
    pub title: String,
    /// The actions.
    pub actions: Vec<String>,
    /// What the decisive action is done on.
    pub resource: String,
    /// Whether it depends on context that is not known.
    pub conditional: bool,
    /// Whether it needs something that is not known to exist.
    pub assumed: bool,
    /// Whether it empowers another identity that one does not control.
    pub indirect: bool,
    /// The smallest change that breaks the step.
    pub break_by: String,
}

/// What a principal can get to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    /// ARN.
    pub principal: String,
    /// Whether it is an administrator to begin with.
    pub is_admin: bool,
    /// The shortest path to being an administrator.
    pub to_admin: Option<Vec<Step>>,
    /// Entities that it can get hold of, in order of ARN.
    pub reaches: Vec<String>,
    /// Public identifiers of every way that it, or something that it reaches, has.
    pub paths: BTreeSet<String>,
    /// Whether it gains anything: being an administrator, or an entity that may do what it may not.
    pub escalates: bool,
}

/// The graph of a model.
pub struct Graph<'a> {
    model: &'a Model,
    rules: &'a Rules,
    edges: Vec<Vec<Edge>>,
    admin: Vec<bool>,
    /// The entities that each entity's edges lead to.
    targets: Vec<Vec<usize>>,
    /// The rules of each entity's edges.
    ways: Vec<BTreeSet<usize>>,
    /// The first step of the cheapest path to being an administrator, with its whole cost.
    next: Vec<Option<(u64, usize)>>,
}

/// What is taken to be known of the requests of somebody who tries: the time, TLS, and nothing else.
pub fn attempt_context(now: i64) -> Context {
    let mut context = Context::open();
    let date = format_date(now);
    context.set("aws:CurrentTime", [&date]);
    context.set("aws:EpochTime", [(now / 1000).to_string()]);
    context.set("aws:TokenIssueTime", [&date]);
    context.set("aws:SecureTransport", ["true"]);
    context.set_absent("aws:CalledVia");
    context.set_absent("aws:SourceArn");
    context.set_absent("aws:SourceAccount");
    // Set for users and for tagged principals by what is known of them.
    context.set_absent("aws:username");
    context.set_absent_prefix("aws:principaltag/");
    context
}

impl<'a> Graph<'a> {
    /// Builds the graph. `now` is the time of the question in milliseconds since 1970.
    pub fn new(model: &'a Model, rules: &'a Rules, now: i64) -> Self {
        Self::build(model, rules, now, 0..model.entities.len())
    }

    /// Builds the part of the graph that one principal can reach; only questions about it are answered fully.
    pub fn of_principal(model: &'a Model, rules: &'a Rules, now: i64, principal: &str) -> Self {
        Self::build(model, rules, now, model.position(principal))
    }

    fn build(
        model: &'a Model,
        rules: &'a Rules,
        now: i64,
        starts: impl IntoIterator<Item = usize>,
    ) -> Self {
        let finder = edges::Finder::new(model, rules, attempt_context(now));
        let admin: Vec<bool> = model.entities.iter().map(|e| model.is_admin(e)).collect();
        let mut edges: Vec<Vec<Edge>> = vec![Vec::new(); model.entities.len()];
        let mut todo: Vec<usize> = starts.into_iter().collect();
        let mut seen: BTreeSet<usize> = todo.iter().copied().collect();
        while let Some(at) = todo.pop() {
            let (Some(entity), Some(false), Some(slot)) =
                (model.entities.get(at), admin.get(at), edges.get_mut(at))
            else {
                continue;
            };
            *slot = finder.edges(at, entity);
            todo.extend(entities(slot).into_iter().filter(|to| seen.insert(*to)));
        }
        let next = shortest(&edges, &admin);
        let targets = edges.iter().map(|list| entities(list)).collect();
        let ways = edges
            .iter()
            .map(|list| list.iter().map(|e| e.rule).collect())
            .collect();
        Self {
            model,
            rules,
            edges,
            admin,
            targets,
            ways,
            next,
        }
    }

    /// What a principal can get to; `None` when it is not in the model.
    pub fn escalation(&self, principal: &str) -> Option<Escalation> {
        let start = self.model.position(principal)?;
        let reached = self.reachable(start);
        let ways: BTreeSet<usize> = reached
            .iter()
            .chain([&start])
            .filter_map(|at| self.ways.get(*at))
            .flatten()
            .copied()
            .collect();
        let paths = ways
            .iter()
            .filter_map(|at| self.rules.rules.get(*at))
            .map(|r| r.path.clone())
            .collect();
        let is_admin = self.admin.get(start).copied().unwrap_or(false);
        let to_admin = if is_admin {
            None
        } else {
            self.path_to_admin(start)
        };
        let own = self.model.entities.get(start)?;
        let entities = reached.iter().filter_map(|at| self.model.entities.get(*at));
        let escalates = to_admin.is_some() || entities.clone().any(|e| adds_power(own, e));
        Some(Escalation {
            principal: own.arn.clone(),
            is_admin,
            escalates,
            to_admin,
            reaches: entities.map(|e| e.arn.clone()).collect(),
            paths,
        })
    }

    /// Every principal that is not an administrator and can get to something, in order of ARN.
    pub fn all(&self) -> Vec<Escalation> {
        self.each().collect()
    }

    /// The same, one after the other: what each can get to may be a long list.
    pub fn each(&self) -> impl Iterator<Item = Escalation> {
        let acting = self
            .model
            .entities
            .iter()
            .zip(&self.edges)
            .filter(|(_, edges)| !edges.is_empty());
        acting
            .filter_map(|(e, _)| self.escalation(&e.arn))
            .filter(|e| !e.is_admin && e.escalates)
    }

    /// Number of edges.
    pub fn edge_count(&self) -> usize {
        self.edges.iter().map(Vec::len).sum()
    }

    fn reachable(&self, start: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![start];
        while let Some(at) = todo.pop() {
            for to in self.targets.get(at).into_iter().flatten() {
                if *to != start && seen.insert(*to) {
                    todo.push(*to);
                }
            }
        }
        seen
    }

    fn path_to_admin(&self, start: usize) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut at = start;
        while !self.admin.get(at).copied().unwrap_or(false) {
            let (_, index) = self.next.get(at).copied().flatten()?;
            let edge = self.edges.get(at)?.get(index)?;
            steps.push(self.step(edge)?);
            match edge.to {
                Target::Admin => break,
                Target::Entity(to) => at = to,
            }
        }
        Some(steps)
    }

    fn step(&self, edge: &Edge) -> Option<Step> {
        let rule = self.rules.rules.get(edge.rule)?;
        let from = self.model.entities.get(edge.from)?.arn.clone();
        let to = match edge.to {
            Target::Admin => "admin".to_owned(),
            Target::Entity(at) => self.model.entities.get(at)?.arn.clone(),
        };
        let action = rule.actions.first()?;
        Some(Step {
            break_by: format!("deny {action} on {} to {from}", edge.resource),
            from,
            to,
            rule: rule.id.clone(),
            path: rule.path.clone(),
            title: rule.title.clone(),
            actions: rule.actions.clone(),
            resource: edge.resource.to_string(),
            conditional: edge.conditional,
            assumed: edge.assumed,
            indirect: edge.indirect,
        })
    }
}

/// The entities that edges lead to, each once.
fn entities(edges: &[Edge]) -> Vec<usize> {
    let targets = edges.iter().filter_map(|e| {
        if let Target::Entity(to) = e.to {
            Some(to)
        } else {
            None
        }
    });
    targets.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The cheapest way from every entity to being an administrator: Dijkstra's search backwards from there.
fn shortest(edges: &[Vec<Edge>], admin: &[bool]) -> Vec<Option<(u64, usize)>> {
    let mut into: BTreeMap<Target, Vec<(usize, usize)>> = BTreeMap::new();
    for (from, list) in edges.iter().enumerate() {
        for (index, edge) in list.iter().enumerate() {
            into.entry(edge.to).or_default().push((from, index));
        }
    }
    let mut best: Vec<Option<(u64, usize)>> = vec![None; edges.len()];
    let mut queue = BinaryHeap::from([Reverse((0, Target::Admin))]);
    queue.extend(
        admin
            .iter()
            .enumerate()
            .filter(|(_, a)| **a)
            .map(|(at, _)| Reverse((0, Target::Entity(at)))),
    );
    while let Some(Reverse((cost, target))) = queue.pop() {
        if let Target::Entity(at) = target
            && best
                .get(at)
                .copied()
                .flatten()
                .is_some_and(|(known, _)| known < cost)
        {
            continue;
        }
        for (from, index) in into.get(&target).into_iter().flatten() {
            let Some(edge) = edges.get(*from).and_then(|l| l.get(*index)) else {
                continue;
            };
            let total = cost + edge.cost();
            if let Some(slot) = best.get_mut(*from)
                && slot.is_none_or(|(known, _)| total < known)
            {
                *slot = Some((total, *index));
                queue.push(Reverse((total, Target::Entity(*from))));
            }
        }
    }
    best
}

/// Whether an entity may do something that another may not, by their statements.
fn adds_power(own: &Entity, other: &Entity) -> bool {
    if !other.unreadable.is_empty() && other.policies.is_empty() {
        return true;
    }
    let mine: Vec<_> = own
        .policies
        .iter()
        .flat_map(|p| p.policy.with_effect(Effect::Allow))
        .collect();
    other
        .policies
        .iter()
        .flat_map(|p| p.policy.with_effect(Effect::Allow))
        .any(|theirs| {
            !mine
                .iter()
                .any(|m| m.conditions.is_empty() && statement_covers(m, theirs))
        })
}

/// The public identifiers of the ways that identity policies by themselves open, were they held by a user or a role of
/// an account with the usual things in it.
pub fn policy_escalation_paths(
    policies: &[crate::policy::Policy],
    rules: &Rules,
    now: i64,
) -> BTreeSet<String> {
    edges::paths_of_policies(policies, rules, attempt_context(now))
}

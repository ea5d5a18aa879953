//! Privilege escalation and lateral movement as a graph.
//!
//! Nodes are users and roles; an edge says that one can get hold of the other, or make itself an administrator. Every
//! edge is checked through all layers, so a deny, a boundary, a guardrail or a condition that cannot hold breaks it.

mod crowd;
mod edges;
mod power;
mod rules;
#[cfg(test)]
mod tests;

use power::Powers;
pub use rules::{Gain, Rule, Rules, RulesError};

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use crate::account::Model;
use crate::context::Context;
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

/// How much is told of each escalation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// All of it.
    Everything,
    /// Without [`Escalation::reaches`] and [`Escalation::paths`], which may be long for each of very many.
    Shortest,
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

/// Users and roles with their steps, or a crowd whose steps each of it can take.
#[derive(Debug, Clone, Default)]
struct Node {
    edges: Vec<Edge>,
    /// The entities that the edges lead to.
    targets: Vec<usize>,
    /// The rules of the edges.
    ways: BTreeSet<usize>,
}

impl Node {
    fn new(edges: Vec<Edge>) -> Self {
        Self {
            targets: entities(&edges),
            ways: edges.iter().map(|e| e.rule).collect(),
            edges,
        }
    }

    /// Whether it leads anywhere for one that may be at an end itself.
    fn leads_on(&self, from: usize) -> bool {
        self.edges.iter().any(|e| e.to != Target::Entity(from))
    }
}

/// The first step of the cheapest path to being an administrator.
#[derive(Debug, Clone, Copy)]
struct Next {
    /// Whether it is one of the crowd's.
    is_crowds: bool,
    /// Place among the edges.
    edge: usize,
}

/// The graph of a model.
pub struct Graph<'a> {
    model: &'a Model,
    rules: &'a Rules,
    admin: Vec<bool>,
    /// The steps of each entity.
    own: Vec<Node>,
    /// The crowd that each entity is in.
    crowd_of: Vec<Option<usize>>,
    /// The steps of each crowd.
    crowds: Vec<Node>,
    next: Vec<Option<Next>>,
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
        Self::search(model, rules, &finder, starts)
    }

    fn search(
        model: &'a Model,
        rules: &'a Rules,
        finder: &edges::Finder<'a>,
        starts: impl IntoIterator<Item = usize>,
    ) -> Self {
        let count = model.entities.len();
        let admin: Vec<bool> = model.entities.iter().map(|e| model.is_admin(e)).collect();
        let mut own = vec![Node::default(); count];
        let mut crowd_of = vec![None; count];
        let mut crowds: Vec<Option<Node>> = vec![None; finder.crowd_count()];
        let mut todo: Vec<usize> = starts.into_iter().collect();
        let mut seen: BTreeSet<usize> = todo.iter().copied().collect();
        while let Some(at) = todo.pop() {
            let (Some(entity), Some(false), Some(slot), Some(of)) = (
                model.entities.get(at),
                admin.get(at),
                own.get_mut(at),
                crowd_of.get_mut(at),
            ) else {
                continue;
            };
            *slot = Node::new(finder.edges(at, entity));
            todo.extend(slot.targets.iter().filter(|to| seen.insert(**to)));
            *of = finder.crowd_of(at);
            if let Some(crowd) = *of
                && let Some(slot @ None) = crowds.get_mut(crowd)
            {
                let node = slot.insert(Node::new(finder.crowd_edges(crowd)));
                todo.extend(node.targets.iter().filter(|to| seen.insert(**to)));
            }
        }
        let crowds: Vec<Node> = crowds.into_iter().map(Option::unwrap_or_default).collect();
        let next = first_steps(&own, &crowd_of, &crowds, &admin);
        Self {
            model,
            rules,
            admin,
            own,
            crowd_of,
            crowds,
            next,
        }
    }

    /// The steps of an entity, its own and those of its crowd.
    fn nodes(&self, at: usize) -> impl Iterator<Item = &Node> {
        let crowd = self.crowd_of.get(at).copied().flatten();
        let crowd = crowd.and_then(|crowd| self.crowds.get(crowd));
        self.own.get(at).into_iter().chain(crowd)
    }

    /// What a principal can get to; `None` when it is not in the model.
    pub fn escalation(&self, principal: &str) -> Option<Escalation> {
        let start = self.model.position(principal)?;
        let mut found = self.shortest(start, &Powers::new(self))?;
        self.add_reach(start, &mut found);
        Some(found)
    }

    /// The shortest path, and whether anything is gained.
    fn shortest(&self, start: usize, powers: &Powers<'_, '_>) -> Option<Escalation> {
        let own = self.model.entities.get(start)?;
        let is_admin = self.admin.get(start).copied().unwrap_or(false);
        let to_admin = match is_admin {
            true => None,
            false => self.path_to_admin(start),
        };
        Some(Escalation {
            principal: own.arn.clone(),
            is_admin,
            escalates: to_admin.is_some() || powers.gains(start),
            to_admin,
            reaches: Vec::new(),
            paths: BTreeSet::new(),
        })
    }

    /// Adds what can be got hold of, and by which ways.
    fn add_reach(&self, start: usize, found: &mut Escalation) {
        let mut reached = self.reachable(&[start], None);
        let nodes = reached.iter().flat_map(|at| {
            let nodes = self.nodes(*at);
            nodes.filter(|node| node.leads_on(*at))
        });
        let ways: BTreeSet<usize> = nodes.flat_map(|n| &n.ways).copied().collect();
        reached.remove(&start);
        let rules = ways.iter().filter_map(|at| self.rules.rules.get(*at));
        found.paths = rules.map(|r| r.path.clone()).collect();
        let entities = reached.iter().filter_map(|at| self.model.entities.get(*at));
        found.reaches = entities.map(|e| e.arn.clone()).collect();
    }

    /// Every principal that is not an administrator and can get to something, in order of ARN.
    pub fn all(&self) -> Vec<Escalation> {
        self.each(Detail::Everything).collect()
    }

    /// The same, one after the other: what each can get to may be a long list.
    pub fn each(&self, detail: Detail) -> impl Iterator<Item = Escalation> {
        let powers = Powers::new(self);
        let acting = (0..self.own.len())
            .filter(|at| self.nodes(*at).any(|node| node.leads_on(*at)))
            .filter(|at| !self.admin.get(*at).copied().unwrap_or(false));
        acting.filter_map(move |at| {
            let mut found = self.shortest(at, &powers).filter(|f| f.escalates)?;
            if detail == Detail::Everything {
                self.add_reach(at, &mut found);
            }
            Some(found)
        })
    }

    /// Number of edges; those of a crowd count once.
    pub fn edge_count(&self) -> usize {
        let nodes = self.own.iter().chain(&self.crowds);
        nodes.map(|node| node.edges.len()).sum()
    }

    /// The entities that can be got hold of from some, with these, and from a crowd.
    fn reachable(&self, starts: &[usize], crowd: Option<usize>) -> BTreeSet<usize> {
        let mut crowds: BTreeSet<usize> = crowd.into_iter().collect();
        let mut seen: BTreeSet<usize> = starts.iter().copied().collect();
        let mut todo = starts.to_vec();
        while let Some(at) = todo.pop() {
            let crowd = self.crowd_of.get(at).copied().flatten();
            let crowd = crowd.filter(|crowd| crowds.insert(*crowd));
            let crowd = crowd.and_then(|crowd| self.crowds.get(crowd));
            for node in self.own.get(at).into_iter().chain(crowd) {
                todo.extend(node.targets.iter().filter(|to| seen.insert(**to)));
            }
        }
        seen
    }

    fn path_to_admin(&self, start: usize) -> Option<Vec<Step>> {
        let mut steps = Vec::new();
        let mut at = start;
        while !self.admin.get(at).copied().unwrap_or(false) {
            let next = self.next.get(at).copied().flatten()?;
            let node = match next.is_crowds {
                true => self.crowds.get(self.crowd_of.get(at).copied().flatten()?)?,
                false => self.own.get(at)?,
            };
            let edge = node.edges.get(next.edge)?;
            steps.push(self.step(at, edge)?);
            match edge.to {
                Target::Admin => break,
                Target::Entity(to) => at = to,
            }
        }
        Some(steps)
    }

    fn step(&self, from: usize, edge: &Edge) -> Option<Step> {
        let rule = self.rules.rules.get(edge.rule)?;
        let from = self.model.entities.get(from)?.arn.clone();
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

/// Entities, and crowds after them, as the search sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Goal(Target),
    Crowd(usize),
}

/// The first step of the cheapest way from every entity to being an administrator: Dijkstra's search backwards from
/// there. Of ways of the same cost the first in the order of what the step leads to, by its cost and place, and of the
/// rules is taken, whether the step is an entity's own or its crowd's.
fn first_steps(
    own: &[Node],
    crowd_of: &[Option<usize>],
    crowds: &[Node],
    admin: &[bool],
) -> Vec<Option<Next>> {
    let mut into: BTreeMap<Target, Vec<(Place, u64)>> = BTreeMap::new();
    let entities = own
        .iter()
        .enumerate()
        .map(|(at, node)| (Place::Goal(Target::Entity(at)), node));
    let crowd_nodes = crowds
        .iter()
        .enumerate()
        .map(|(at, node)| (Place::Crowd(at), node));
    for (from, node) in entities.chain(crowd_nodes) {
        for edge in &node.edges {
            into.entry(edge.to).or_default().push((from, edge.cost()));
        }
    }
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); crowds.len()];
    for (at, crowd) in crowd_of.iter().enumerate() {
        if let Some(list) = crowd.and_then(|crowd| members.get_mut(crowd)) {
            list.push(at);
        }
    }
    let mut costs: BTreeMap<Place, u64> = BTreeMap::new();
    let mut queue = BinaryHeap::new();
    let admins = admin.iter().enumerate().filter(|(_, a)| **a);
    for goal in admins
        .map(|(at, _)| Target::Entity(at))
        .chain([Target::Admin])
    {
        costs.insert(Place::Goal(goal), 0);
        queue.push(Reverse((0, Place::Goal(goal))));
    }
    while let Some(Reverse((cost, place))) = queue.pop() {
        if costs.get(&place).is_some_and(|known| *known < cost) {
            continue;
        }
        let mut reached = |from: Place, cost: u64| {
            let known = costs.entry(from).or_insert(u64::MAX);
            if cost < *known {
                *known = cost;
                queue.push(Reverse((cost, from)));
            }
        };
        match place {
            Place::Goal(target) => {
                for (from, step) in into.get(&target).into_iter().flatten() {
                    reached(*from, cost + step);
                }
            }
            Place::Crowd(crowd) => {
                for at in members.get(crowd).into_iter().flatten() {
                    reached(Place::Goal(Target::Entity(*at)), cost);
                }
            }
        }
    }
    let best = |node: &Node| {
        let steps = node.edges.iter().enumerate().filter_map(|(at, edge)| {
            let beyond = *costs.get(&Place::Goal(edge.to))?;
            Some(((beyond + edge.cost(), beyond, edge.to, edge.rule), at))
        });
        steps.min()
    };
    let of_crowds: Vec<_> = crowds.iter().map(best).collect();
    let next = own.iter().zip(crowd_of).map(|(node, crowd)| {
        let own = best(node).map(|(order, edge)| (order, false, edge));
        let crowds = crowd.and_then(|crowd| of_crowds.get(crowd).copied().flatten());
        let crowds = crowds.map(|(order, edge)| (order, true, edge));
        let (_, is_crowds, edge) = own.into_iter().chain(crowds).min()?;
        Some(Next { is_crowds, edge })
    });
    next.collect()
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

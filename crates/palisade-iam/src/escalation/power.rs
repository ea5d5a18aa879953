//! Whether what can be got hold of may do what one may not.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::Graph;
use crate::account::Entity;
use crate::capability::statement_covers;
use crate::policy::Effect;

/// Whether an entity may do something that another may not, by their statements.
pub(super) fn adds_power(own: &Entity, other: &Entity) -> bool {
    if is_unread(other) {
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

/// Whether nothing is known of what an entity may do.
fn is_unread(entity: &Entity) -> bool {
    !entity.unreadable.is_empty() && entity.policies.is_empty()
}

/// Entities of one kind, as far as it matters which: whether there is another than a given one.
#[derive(Debug, Clone, Copy)]
struct OfKind {
    first: usize,
    has_more: bool,
}

/// The answers to [`adds_power`] over a whole graph: entities with the same policies are looked at once, and so is what
/// the steps of a crowd lead to.
pub(super) struct Powers<'g, 'a> {
    graph: &'g Graph<'a>,
    /// The kind of each entity: those of one kind have the same policies.
    kinds: Vec<usize>,
    /// Whether a kind adds power to another: `(own, other)`.
    known: RefCell<BTreeMap<(usize, usize), bool>>,
    /// What each crowd leads to, by kind.
    beyond: Vec<OnceCell<BTreeMap<usize, OfKind>>>,
}

impl<'g, 'a> Powers<'g, 'a> {
    pub fn new(graph: &'g Graph<'a>) -> Self {
        let mut by_text: BTreeMap<(bool, Vec<&str>), usize> = BTreeMap::new();
        let kinds = graph.model.entities.iter().map(|e| {
            let texts = e.policies.iter().map(|p| &*p.policy.text).collect();
            let next = by_text.len();
            *by_text.entry((is_unread(e), texts)).or_insert(next)
        });
        Self {
            kinds: kinds.collect(),
            known: RefCell::default(),
            beyond: vec![OnceCell::new(); graph.crowds.len()],
            graph,
        }
    }

    /// Whether something can be got hold of from an entity that may do what it may not.
    pub fn gains(&self, start: usize) -> bool {
        let mut crowds = BTreeSet::new();
        let mut seen = BTreeSet::from([start]);
        let mut todo = vec![start];
        while let Some(at) = todo.pop() {
            if at != start && self.adds(start, at) {
                return true;
            }
            if let Some(crowd) = self.graph.crowd_of.get(at).copied().flatten()
                && crowds.insert(crowd)
                && self
                    .beyond(crowd)
                    .values()
                    .any(|of| (of.first != start || of.has_more) && self.adds(start, of.first))
            {
                return true;
            }
            let own = self.graph.own.get(at).into_iter();
            todo.extend(own.flat_map(|n| &n.targets).filter(|to| seen.insert(**to)));
        }
        false
    }

    fn adds(&self, own: usize, other: usize) -> bool {
        let kind = |at: usize| self.kinds.get(at).copied().unwrap_or(usize::MAX);
        let entity = |at: usize| self.graph.model.entities.get(at);
        *self
            .known
            .borrow_mut()
            .entry((kind(own), kind(other)))
            .or_insert_with(|| match (entity(own), entity(other)) {
                (Some(own), Some(other)) => adds_power(own, other),
                _ => false,
            })
    }

    /// Everything that the steps of a crowd lead to, over any number of them.
    fn beyond(&self, crowd: usize) -> &BTreeMap<usize, OfKind> {
        const NONE: &BTreeMap<usize, OfKind> = &BTreeMap::new();
        let Some(cell) = self.beyond.get(crowd) else {
            return NONE;
        };
        cell.get_or_init(|| {
            let mut out: BTreeMap<usize, OfKind> = BTreeMap::new();
            let first = self.graph.crowds.get(crowd);
            let starts = first.map_or(&[][..], |node| &node.targets);
            for at in self.graph.reachable(starts, Some(crowd)) {
                let kind = self.kinds.get(at).copied().unwrap_or(usize::MAX);
                out.entry(kind)
                    .and_modify(|of| of.has_more = true)
                    .or_insert(OfKind {
                        first: at,
                        has_more: false,
                    });
            }
            out
        })
    }
}

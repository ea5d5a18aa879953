//! What one layer's policies say.

use super::{Level, Prepared, Source};
use crate::policy::{Closeness, Effect, Statement};
use crate::truth::Truth;

/// Where a statement is: which policy of the layer, which statement.
pub(crate) type Place = (usize, usize);

/// Whether a layer denies, whether it allows, and through which statement first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerTruth {
    pub allow: Truth,
    pub deny: Truth,
    pub allowed_by: Option<Place>,
    pub denied_by: Option<Place>,
}

impl LayerTruth {
    /// A layer that is not there.
    pub const PASS: Self = Self {
        allow: Truth::True,
        deny: Truth::False,
        allowed_by: None,
        denied_by: None,
    };

    /// A layer that could not be read.
    pub const UNREAD: Self = Self {
        allow: Truth::Unknown,
        deny: Truth::Unknown,
        allowed_by: None,
        denied_by: None,
    };

    /// Both must allow, and each may deny; the reasons are the other's.
    pub fn and(self, other: &Self) -> Self {
        Self {
            allow: self.allow.and(other.allow),
            deny: self.deny.or(other.deny),
            ..*other
        }
    }

    /// Another policy of the same set, that could not be read, may allow or deny.
    pub fn may_have_more(&mut self) {
        self.allow = self.allow.or(Truth::Unknown);
        self.deny = self.deny.or(Truth::Unknown);
    }

    /// One set of policies: any allow, any deny.
    pub fn of(policies: &[Source<'_>], prepared: &Prepared<'_>) -> Self {
        let mut out = Self {
            allow: Truth::False,
            deny: Truth::False,
            allowed_by: None,
            denied_by: None,
        };
        for (at, source) in policies.iter().enumerate() {
            for statement in &source.policy.statements {
                let (truth, by) = match statement.effect {
                    Effect::Allow => (&mut out.allow, &mut out.allowed_by),
                    Effect::Deny => (&mut out.deny, &mut out.denied_by),
                };
                if truth.is_true() {
                    continue;
                }
                let applies = applies(statement, prepared);
                if applies > *truth {
                    *truth = applies;
                    *by = Some((at, statement.index));
                }
            }
        }
        out
    }

    /// A hierarchy: every level must allow, any deny counts. No levels: no organisation.
    pub fn of_levels(levels: &[Level<'_>], prepared: &Prepared<'_>, implied_allow: bool) -> Self {
        let mut out = Self::PASS;
        for level in levels {
            let one = Self::of(&level.policies, prepared);
            out.deny = out.deny.or(one.deny);
            if !implied_allow {
                out.allow = out.allow.and(one.allow);
            }
        }
        out
    }
}

/// Whether a statement applies to a request in every respect.
pub(crate) fn applies(statement: &Statement, prepared: &Prepared<'_>) -> Truth {
    let context = &prepared.request.context;
    let target = statement.matches_target(&prepared.action, &prepared.arn, context);
    if target.is_false() || !statement.matches_principal(&prepared.request.principal) {
        return Truth::False;
    }
    target.and(statement.conditions_hold(context))
}

/// What the resource's policy says: allows are kept apart by how closely they name the caller.
#[derive(Debug, Clone)]
pub(crate) struct ResourceTruth {
    allow: [Truth; 4],
    pub deny: Truth,
    pub allowed_by: Option<usize>,
    pub denied_by: Option<usize>,
}

impl ResourceTruth {
    /// No policy.
    pub const NONE: Self = Self {
        allow: [Truth::False; 4],
        deny: Truth::False,
        allowed_by: None,
        denied_by: None,
    };

    pub fn of(source: &Source<'_>, prepared: &Prepared<'_>) -> Self {
        let mut out = Self { ..Self::NONE };
        let mut best = Truth::False;
        for statement in &source.policy.statements {
            let truth = applies(statement, prepared);
            if truth.is_false() {
                continue;
            }
            match statement.effect {
                Effect::Deny => {
                    if truth > out.deny {
                        out.deny = truth;
                        out.denied_by = Some(statement.index);
                    }
                }
                Effect::Allow => {
                    let Some(closeness) = statement
                        .principal
                        .as_ref()
                        .and_then(|p| p.closeness(&prepared.request.principal))
                    else {
                        continue;
                    };
                    out.add(closeness, truth);
                    if truth > best {
                        best = truth;
                        out.allowed_by = Some(statement.index);
                    }
                }
            }
        }
        out
    }

    /// Adds an allow.
    pub fn add(&mut self, closeness: Closeness, truth: Truth) {
        if let Some(slot) = self.allow.get_mut(closeness as usize) {
            *slot = slot.or(truth);
        }
    }

    /// The policy, or a part of it, could not be read.
    pub fn may_have_more(&mut self) {
        for slot in &mut self.allow {
            *slot = slot.or(Truth::Unknown);
        }
        self.deny = self.deny.or(Truth::Unknown);
    }

    /// Takes every allow away.
    pub fn clear_allows(&mut self) {
        self.allow = [Truth::False; 4];
        self.allowed_by = None;
    }

    /// Lets every allow hold only as far as something else does.
    pub fn limit_allows(&mut self, by: Truth) {
        for slot in &mut self.allow {
            *slot = slot.and(by);
        }
        if by.is_false() {
            self.allowed_by = None;
        }
    }

    /// The allow that names the caller this closely.
    pub fn at(&self, closeness: Closeness) -> Truth {
        self.allow
            .get(closeness as usize)
            .copied()
            .unwrap_or(Truth::False)
    }

    /// Any allow.
    pub fn any(&self) -> Truth {
        self.allow.iter().copied().fold(Truth::False, Truth::or)
    }
}

//! Callers that roles of other accounts which trust everyone cannot tell apart.
//!
//! Where many roles trust everyone and many callers may ask for them, steps from each to each would be the number of
//! the ones times that of the others. Callers whose statements on `sts:AssumeRole` say the same, where nothing that
//! decides looks at who calls, get the same answer from each such role: what one of them may do, all of the crowd may.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::edges::mentions;
use crate::account::{Entity, Model, OwnedLevel, is_of_caller, levels_of};
use crate::evaluate::Layer;
use crate::policy::{Policy, PrincipalEntry, Statement};

/// In lower case, as actions are compared.
const ASSUME: &str = "sts:assumerole";

/// Callers that are alike, by two of different accounts: a caller of its own account is never asked for a role.
#[derive(Debug)]
struct Crowd {
    first: usize,
    other: Option<usize>,
}

/// Callers and roles of a model.
#[derive(Debug, Default)]
pub(super) struct Crowds {
    crowds: Vec<Crowd>,
    /// The crowd of each entity that is in one.
    of: Vec<Option<usize>>,
    /// Roles that trust everyone, whoever it is.
    open: Vec<usize>,
    /// Roles that trust everyone, with something that looks at who it is.
    particular: Vec<usize>,
}

impl Crowds {
    /// Finds them; `trusting` are the roles that trust everyone.
    pub fn new(model: &Model, trusting: &[usize]) -> Self {
        let mut out = Self::default();
        let mut guarded: BTreeMap<&str, bool> = BTreeMap::new();
        for at in trusting {
            let Some(role) = model.entities.get(*at) else {
                continue;
            };
            let is_alike = *guarded
                .entry(&role.account)
                .or_insert_with(|| key_of_levels(levels_of(&model.rcp, &role.account)).is_some());
            let trusts_all = role.trust.as_ref().is_some_and(|t| is_open(&t.policy));
            match is_alike && trusts_all {
                true => out.open.push(*at),
                false => out.particular.push(*at),
            }
        }
        if out.open.is_empty() {
            return out;
        }
        let mut by_key: BTreeMap<String, usize> = BTreeMap::new();
        let mut scps: BTreeMap<&str, Option<String>> = BTreeMap::new();
        for (at, entity) in model.entities.iter().enumerate() {
            let scp = scps.entry(&entity.account).or_insert_with(|| {
                let known = model
                    .known
                    .as_ref()
                    .is_none_or(|k| k.has_scp(&entity.account));
                let levels = key_of_levels(levels_of(&model.scp, &entity.account))?;
                Some(format!("{known} {levels}"))
            });
            let key = scp.as_deref().and_then(|scp| key_of(entity, scp));
            out.of.push(key.map(|key| {
                let crowds = &mut out.crowds;
                let place = *by_key.entry(key).or_insert_with(|| {
                    crowds.push(Crowd {
                        first: at,
                        other: None,
                    });
                    crowds.len() - 1
                });
                if let Some(crowd) = crowds.get_mut(place)
                    && crowd.other.is_none()
                    && model
                        .entities
                        .get(crowd.first)
                        .is_some_and(|first| first.account != entity.account)
                {
                    crowd.other = Some(at);
                }
                place
            }));
        }
        out
    }

    /// No crowds: every caller is asked about every role.
    #[cfg(test)]
    pub fn none(trusting: Vec<usize>) -> Self {
        Self {
            particular: trusting,
            ..Self::default()
        }
    }

    pub fn len(&self) -> usize {
        self.crowds.len()
    }

    /// The crowd that an entity is in.
    pub fn of(&self, entity: usize) -> Option<usize> {
        self.of.get(entity).copied().flatten()
    }

    /// Roles that each caller that is in no crowd must be asked about, and those that all others must.
    pub fn asked_alone(&self, entity: usize) -> impl Iterator<Item = usize> {
        let open = match self.of(entity) {
            Some(_) => &[][..],
            None => &self.open,
        };
        self.particular.iter().chain(open).copied()
    }

    /// What a crowd can ask for: each role with one of the crowd, of another account.
    pub fn pairs<'s>(
        &'s self,
        crowd: usize,
        model: &'s Model,
    ) -> impl Iterator<Item = (usize, usize)> + 's {
        let account = |at: usize| model.entities.get(at).map(|e| e.account.as_str());
        let crowd = self.crowds.get(crowd);
        self.open.iter().filter_map(move |role| {
            let crowd = crowd?;
            let caller = match account(crowd.first) == account(*role) {
                true => crowd.other?,
                false => crowd.first,
            };
            Some((caller, *role))
        })
    }
}

/// Whether an entity may have a permission to assume roles of other accounts, which must allow it besides them.
pub(super) fn may_ask(entity: &Entity) -> bool {
    entity.unread.contains(Layer::Identity) || mentions(entity, ASSUME)
}

/// Whether a trust policy tells nobody among users and roles from another.
fn is_open(trust: &Policy) -> bool {
    trust.statements.iter().all(|s| {
        is_alike(s)
            && s.principal.as_ref().is_some_and(|p| {
                !p.negated
                    && p.entries.iter().all(|e| match e {
                        PrincipalEntry::Everyone
                        | PrincipalEntry::Service(_)
                        | PrincipalEntry::Federated(_)
                        | PrincipalEntry::CanonicalUser(_) => true,
                        PrincipalEntry::Account(_)
                        | PrincipalEntry::Arn(_)
                        | PrincipalEntry::UniqueId(_) => false,
                    })
            })
    })
}

/// Whether a statement says the same of every caller that it speaks of.
fn is_alike(statement: &Statement) -> bool {
    let fixed = |texts: &[String]| !texts.iter().any(|t| t.contains("${"));
    statement.resource.as_ref().is_none_or(|r| fixed(&r.texts))
        && statement
            .conditions
            .iter()
            .all(|c| !is_of_caller(&c.key_lower) && fixed(&c.values))
}

/// What levels of policies say of the action; `None` where it looks at who calls.
fn key_of_levels(levels: &[OwnedLevel]) -> Option<String> {
    let mut key = String::new();
    for level in levels {
        key.push('/');
        for policy in &level.policies {
            add_statements(&mut key, &policy.policy)?;
        }
    }
    Some(key)
}

/// What decides over an entity's asking; `None` where it looks at who calls, or where the entity cannot ask.
fn key_of(entity: &Entity, scp: &str) -> Option<String> {
    if !may_ask(entity) {
        return None;
    }
    let is_linked = entity.principal().is_service_linked();
    let mut key = format!(
        "{:?} {is_linked} {} {} ",
        entity.kind,
        entity.unread.contains(Layer::Identity),
        entity.unread.contains(Layer::Boundary)
    );
    for policy in &entity.policies {
        add_statements(&mut key, &policy.policy)?;
    }
    if let Some(boundary) = &entity.boundary {
        key.push_str(" within ");
        add_statements(&mut key, &boundary.policy)?;
    }
    key.push(' ');
    key.push_str(scp);
    Some(key)
}

fn add_statements(key: &mut String, policy: &Policy) -> Option<()> {
    for statement in policy
        .statements
        .iter()
        .filter(|s| s.action.matches(ASSUME))
    {
        if !is_alike(statement) {
            return None;
        }
        let resource = statement.resource.as_ref().map(|r| (r.negated, &r.texts));
        let conditions = statement
            .conditions
            .iter()
            .map(|c| (&c.operator_name, &c.key_lower, &c.values, c.is_readable));
        let conditions: Vec<_> = conditions.collect();
        write!(key, "{:?}{resource:?}{conditions:?};", statement.effect).ok()?;
    }
    Some(())
}

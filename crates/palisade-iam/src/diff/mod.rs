//! Whether one set of policies allows anything that another does not: exact over actions, resources and conditions.
//!
//! The patterns of both sides cut actions and resources into finitely many cells; within a cell all requests are
//! matched by the same statements, so one example of each cell decides it. Conditions are treated alike, key by key.

mod arrangement;
mod contexts;
mod plausible;

use std::collections::{BTreeMap, BTreeSet};

use arrangement::{Examples, Reading, SEPARATOR, Shape, examples};

use crate::arn_pattern::{ArnText, ResourcePattern};
use crate::catalogue::Catalogue;
use crate::condition::Condition;
use crate::context::Context;
use crate::glob::{Pattern, Token};
use crate::policy::{Effect, Policy, Statement};
use crate::template::{Part, parts};
use crate::truth::Truth;

/// A request that the second side allows and the first does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The action; a real one when there is one in the cell.
    pub action: String,
    /// Whether the catalogue knows the action.
    pub is_known_action: bool,
    /// The resource; one that the action can be done on when that shows the difference, too.
    pub resource: String,
    /// The context.
    pub context: Context,
    /// The statement of the second side that allows it.
    pub allowed_by: String,
}

/// The question is too large to be answered exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {0} of the policies combine in too many ways to compare them exactly")]
pub struct TooComplex(&'static str);

/// Whether policies `after` allow anything that policies `before` do not; with a witness.
///
/// Both sides are identity policies (principals are not looked at). A policy variable stands for a value that nothing
/// else equals; the witness gives it one.
///
/// # Errors
/// The patterns combine in too many ways.
pub fn diff(before: &[&Policy], after: &[&Policy]) -> Result<Option<Witness>, TooComplex> {
    let statements: Vec<Side<'_>> = before
        .iter()
        .flat_map(|p| {
            p.statements
                .iter()
                .map(|s| (false, s, p.version.as_deref() == Some("2012-10-17")))
        })
        .chain(after.iter().flat_map(|p| {
            p.statements
                .iter()
                .map(|s| (true, s, p.version.as_deref() == Some("2012-10-17")))
        }))
        .map(|(is_after, statement, variables)| Side {
            is_after,
            statement,
            variables,
        })
        .collect();
    let mut names = Names::default();
    let actions = Cells::of_actions(&statements).ok_or(TooComplex("actions"))?;
    let resources = Cells::of_resources(&statements, &mut names).ok_or(TooComplex("resources"))?;
    // Which statements speak of each resource cell, worked out once.
    let by_resource: Vec<(&String, Vec<bool>)> = resources
        .examples
        .iter()
        .map(|(cell, text)| {
            (
                text,
                statements
                    .iter()
                    .enumerate()
                    .map(|(at, side)| resources.matches_resource(at, side, cell))
                    .collect(),
            )
        })
        .collect();
    for (action_cell, action) in &actions.examples {
        let speaking: Vec<(usize, &Side<'_>)> = statements
            .iter()
            .enumerate()
            .filter(|(at, side)| actions.matches(*at, side.statement.action.negated, action_cell))
            .collect();
        for (resource, meant) in &by_resource {
            let matching: Vec<&Side<'_>> = speaking
                .iter()
                .filter(|(at, _)| meant.get(*at) == Some(&true))
                .map(|(_, side)| *side)
                .collect();
            if !matching
                .iter()
                .any(|s| s.is_after && s.statement.effect == Effect::Allow)
            {
                continue;
            }
            // Cheap and common: nothing depends on the context, and both sides agree.
            let conditions: Vec<&Condition> = matching
                .iter()
                .flat_map(|s| &s.statement.conditions)
                .collect();
            for context in contexts::contexts(&conditions).ok_or(TooComplex("conditions"))? {
                if let Some(by) = allowed(&matching, true, &context)
                    && allowed(&matching, false, &context).is_none()
                {
                    let known = actions.known(action_cell);
                    let mut context = context;
                    let resource = names.fill(resource, &mut context);
                    let sides = (before, after);
                    if let Some(witness) = plausible::witness(sides, &known, &resource, &context) {
                        return Ok(Some(witness));
                    }
                    return Ok(Some(Witness {
                        is_known_action: !known.is_empty(),
                        action: known.into_iter().next().unwrap_or_else(|| action.clone()),
                        resource,
                        context,
                        allowed_by: by.label(),
                    }));
                }
            }
        }
    }
    Ok(None)
}

/// A statement and the side it is on.
struct Side<'a> {
    is_after: bool,
    statement: &'a Statement,
    variables: bool,
}

/// The statement of a side that allows, unless one of its denies holds.
fn allowed<'a>(matching: &[&Side<'a>], is_after: bool, context: &Context) -> Option<&'a Statement> {
    let holds = |effect| {
        matching
            .iter()
            .filter(move |s| s.is_after == is_after && s.statement.effect == effect)
            .find(|s| s.statement.conditions_hold(context) == Truth::True)
            .map(|s| s.statement)
    };
    if holds(Effect::Deny).is_some() {
        None
    } else {
        holds(Effect::Allow)
    }
}

/// Cells of actions or resources: which patterns belong to which statement, and an example of each cell.
struct Cells {
    /// For each statement its patterns.
    of_statement: Vec<BTreeSet<usize>>,
    patterns: Vec<Pattern>,
    examples: Examples,
}

impl Cells {
    fn of_actions(statements: &[Side<'_>]) -> Option<Self> {
        let mut places: BTreeMap<Pattern, usize> = BTreeMap::new();
        let of_statement = statements
            .iter()
            .map(|side| {
                side.statement
                    .action
                    .patterns
                    .iter()
                    .map(|p| {
                        let next = places.len();
                        *places.entry(p.clone()).or_insert(next)
                    })
                    .collect()
            })
            .collect();
        let mut patterns = vec![Pattern::Any; places.len()];
        for (pattern, at) in places {
            if let Some(slot) = patterns.get_mut(at) {
                *slot = pattern;
            }
        }
        // Every action has a service and a name; that pattern is added so that examples do.
        let whole = |pattern: &Pattern| Shape::new(pattern.tokens(), Reading::Whole);
        let mut all: Vec<Shape> = patterns.iter().map(whole).collect();
        let shape = all.len();
        all.push(whole(&Pattern::new("?*:?*")));
        let examples = examples(&all)?
            .into_iter()
            .filter_map(|(mut cell, text)| cell.remove(&shape).then_some((cell, text)))
            .collect();
        Some(Self {
            of_statement,
            patterns,
            examples,
        })
    }

    fn of_resources(statements: &[Side<'_>], names: &mut Names) -> Option<Self> {
        let mut places: BTreeMap<Shape, usize> = BTreeMap::new();
        let of_statement = statements
            .iter()
            .map(|side| {
                let texts = side.statement.resource.iter().flat_map(|r| &r.texts);
                texts
                    .map(|text| {
                        let next = places.len();
                        *places
                            .entry(names.shape(text, side.variables))
                            .or_insert(next)
                    })
                    .collect()
            })
            .collect();
        let mut patterns: Vec<Shape> = vec![every_arn(); places.len()];
        for (shape, at) in places {
            if let Some(slot) = patterns.get_mut(at) {
                *slot = shape;
            }
        }
        // What is asked for is an ARN.
        let shape = patterns.len();
        patterns.push(every_arn());
        let mut examples: Examples = examples(&patterns)?
            .into_iter()
            .filter_map(|(mut cell, text)| {
                cell.remove(&shape)
                    .then(|| (cell, text.replace(SEPARATOR, ":")))
            })
            .collect();
        // Requests without a resource are for `*`, which of ARNs only `*` matches.
        let everything: BTreeSet<usize> = patterns
            .iter()
            .take(shape)
            .enumerate()
            .filter(|(_, p)| {
                **p == every_arn() || Pattern::from_tokens(p.tokens.iter().copied()).matches("*")
            })
            .map(|(at, _)| at)
            .collect();
        examples.entry(everything).or_insert_with(|| "*".to_owned());
        Some(Self {
            of_statement,
            patterns: Vec::new(),
            examples,
        })
    }

    fn matches(&self, statement: usize, negated: bool, cell: &BTreeSet<usize>) -> bool {
        self.of_statement
            .get(statement)
            .is_some_and(|own| !own.is_disjoint(cell))
            != negated
    }

    fn matches_resource(&self, statement: usize, side: &Side<'_>, cell: &BTreeSet<usize>) -> bool {
        match &side.statement.resource {
            None => true,
            Some(element) => self.matches(statement, element.negated, cell),
        }
    }

    /// The actions of the catalogue in a cell.
    fn known(&self, cell: &BTreeSet<usize>) -> Vec<String> {
        let Ok(catalogue) = Catalogue::embedded() else {
            return Vec::new();
        };
        let in_cell = |action: &String| {
            let lower = action.to_ascii_lowercase();
            self.patterns
                .iter()
                .enumerate()
                .all(|(at, p)| p.matches(&lower) == cell.contains(&at))
        };
        let narrow = cell
            .iter()
            .filter_map(|at| self.patterns.get(*at))
            .max_by_key(|p| p.tokens().len());
        let mut found = catalogue.matching(narrow.unwrap_or(&Pattern::Any));
        found.retain(in_cell);
        found
    }
}

fn every_arn() -> Shape {
    let mut out: Vec<Token> = "arn".chars().map(Token::Char).collect();
    for _ in 0..5 {
        out.extend([Token::Char(SEPARATOR), Token::Many]);
    }
    Shape::new(out, Reading::Fields)
}

/// Variables as characters of their own.
#[derive(Default)]
struct Names {
    keys: Vec<String>,
}

/// The first of the characters that stand for variables (a private use area).
const FIRST_NAME: u32 = 0xe000;

impl Names {
    fn character(&mut self, key: &str) -> char {
        let at = self.keys.iter().position(|k| k == key).unwrap_or_else(|| {
            self.keys.push(key.to_owned());
            self.keys.len() - 1
        });
        u32::try_from(at)
            .ok()
            .and_then(|n| char::from_u32(FIRST_NAME + n))
            .unwrap_or('\u{f8ff}')
    }

    /// The shape of a resource text: an ARN by fields, parted by [`SEPARATOR`], another text as a whole.
    fn shape(&mut self, text: &str, variables: bool) -> Shape {
        let pattern = ResourcePattern::new(text, variables);
        if pattern.is_everything() {
            return every_arn();
        }
        let is_arn = !matches!(pattern, ResourcePattern::Text(_));
        let mut out = Vec::new();
        let mut fields = 1;
        for part in parts(text, variables, true) {
            out.push(match part {
                Part::Token(Token::Char(':')) if is_arn && fields < 6 => {
                    fields += 1;
                    Token::Char(SEPARATOR)
                }
                Part::Token(token) => token,
                Part::Variable { key, .. } => Token::Char(self.character(&key)),
            });
        }
        if !is_arn {
            return Shape::new(Pattern::from_tokens(out).tokens(), Reading::Whole);
        }
        // Missing fields are wildcards.
        for _ in fields..6 {
            out.extend([Token::Char(SEPARATOR), Token::Many]);
        }
        Shape::new(Pattern::from_tokens(out).tokens(), Reading::Fields)
    }

    /// Puts values for variables into an example.
    fn fill(&self, text: &str, context: &mut Context) -> String {
        let mut out = String::new();
        for c in text.chars() {
            let name = u32::from(c)
                .checked_sub(FIRST_NAME)
                .and_then(|n| self.keys.get(usize::try_from(n).ok()?));
            match name {
                Some(key) => {
                    let value = format!("value-of-{}", key.replace([':', '/'], "-"));
                    context.set_default(key, &value);
                    out.push_str(&value);
                }
                None => out.push(c),
            }
        }
        out
    }
}

/// Whether policies allow a request by themselves (identity policies, one account): used to check witnesses.
pub fn policies_allow(
    policies: &[&Policy],
    action: &str,
    resource: &str,
    context: &Context,
) -> bool {
    allowing(policies, action, resource, context).is_some()
}

/// The statement that allows a request, unless one denies it.
fn allowing<'p>(
    policies: &[&'p Policy],
    action: &str,
    resource: &str,
    context: &Context,
) -> Option<&'p Statement> {
    let (action, arn) = (action.to_ascii_lowercase(), ArnText::new(resource));
    let hit = |effect| {
        let statements = policies.iter().flat_map(move |p| p.with_effect(effect));
        let mut holding = statements.filter(|s| {
            s.matches_target(&action, &arn, context)
                .and(s.conditions_hold(context))
                .is_true()
        });
        holding.next()
    };
    match hit(Effect::Deny) {
        Some(_) => None,
        None => hit(Effect::Allow),
    }
}

/// Whether a policy grants beyond a reference policy: an error is "unknown".
///
/// # Errors
/// A document cannot be read, or the two are too complex to compare.
pub fn policy_grants_beyond(
    policy_json: &str,
    reference_json: &str,
) -> Result<bool, crate::PolicyError> {
    let (policy, reference) = (Policy::known(policy_json)?, Policy::known(reference_json)?);
    match diff(&[&reference], &[&policy]) {
        Ok(found) => Ok(found.is_some()),
        Err(error) => Err(crate::PolicyError {
            message: error.to_string(),
            line: 1,
            column: 1,
        }),
    }
}

#[cfg(test)]
mod tests;

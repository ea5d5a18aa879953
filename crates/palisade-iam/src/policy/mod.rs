//! A policy document, read and compiled.

mod known;
mod parse;
mod principal;

pub(crate) use known::Texts;
pub use principal::{Closeness, PrincipalEntry, PrincipalPattern};

use crate::arn_pattern::{ArnText, ResourcePattern};
use crate::condition::Condition;
use crate::context::Context;
use crate::error::{PolicyError, Position};
use crate::glob::Pattern;
use crate::request::Principal;
use crate::truth::Truth;
use std::sync::Arc;

/// A policy document. Reading is tolerant: documents that are in force in an account were accepted by
/// AWS once, so unknown versions and old forms are read; what cannot be understood is an error.
/// [`crate::check_grammar`] is the strict reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The `Version` element as written.
    pub version: Option<String>,
    /// The `Id` element.
    pub id: Option<String>,
    /// The statements in order.
    pub statements: Vec<Statement>,
    /// The document as it was read (percent-decoded): what positions refer to.
    pub text: Box<str>,
}

/// `Allow` or `Deny`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are AWS's own words")]
pub enum Effect {
    Allow,
    Deny,
}

/// One statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The `Sid` element.
    pub sid: Option<String>,
    /// Place among the statements, from 0.
    pub index: usize,
    /// Where the statement begins.
    pub position: Position,
    /// The effect.
    pub effect: Effect,
    /// `Principal` or `NotPrincipal`.
    pub principal: Option<PrincipalPattern>,
    /// `Action` or `NotAction`.
    pub action: ActionPattern,
    /// `Resource` or `NotResource`; absent in trust policies.
    pub resource: Option<ResourceElement>,
    /// The conditions; all must hold.
    pub conditions: Vec<Condition>,
}

/// `Action` or `NotAction`; the patterns are in lower case because actions ignore case.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionPattern {
    /// Whether it is `NotAction`.
    pub negated: bool,
    /// The patterns, in lower case.
    pub patterns: Vec<Pattern>,
    /// The texts as written.
    pub texts: Vec<String>,
}

/// `Resource` or `NotResource`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceElement {
    /// Whether it is `NotResource`.
    pub negated: bool,
    /// The patterns.
    pub patterns: Vec<ResourcePattern>,
    /// The texts as written.
    pub texts: Vec<String>,
}

impl Policy {
    /// Reads a policy document.
    ///
    /// # Errors
    /// The first place where the text is not JSON or not a policy.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }

    /// The same, of a document of which more may be asked: it is remembered for a while.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn known(text: &str) -> Result<Arc<Self>, PolicyError> {
        known::read(text)
    }

    /// The statements with an effect.
    pub fn with_effect(&self, effect: Effect) -> impl Iterator<Item = &Statement> {
        self.statements.iter().filter(move |s| s.effect == effect)
    }
}

impl std::str::FromStr for Policy {
    type Err = PolicyError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl Statement {
    /// The `Sid`, or the place of the statement: `#1` is the first.
    pub fn label(&self) -> String {
        match &self.sid {
            Some(sid) if !sid.is_empty() => sid.clone(),
            _ => format!("#{}", self.index + 1),
        }
    }

    /// Whether the statement speaks of the action and the resource.
    pub fn matches_target(
        &self,
        action_lower: &str,
        resource: &ArnText<'_>,
        context: &Context,
    ) -> Truth {
        if !self.action.matches(action_lower) {
            return Truth::False;
        }
        match &self.resource {
            None => Truth::True,
            Some(element) => element.matches(resource, context),
        }
    }

    /// Whether all conditions hold.
    pub fn conditions_hold(&self, context: &Context) -> Truth {
        let mut truth = Truth::True;
        for condition in &self.conditions {
            truth = truth.and(condition.evaluate(context));
            if truth.is_false() {
                break;
            }
        }
        truth
    }

    /// Whether the statement speaks of the principal; a statement without `Principal` does.
    pub fn matches_principal(&self, principal: &Principal) -> bool {
        self.principal.as_ref().is_none_or(|p| p.matches(principal))
    }
}

impl ActionPattern {
    /// Compiles a list of action texts.
    pub fn new(negated: bool, texts: Vec<String>) -> Self {
        let patterns = texts.iter().map(|t| action_pattern(t)).collect();
        Self {
            negated,
            patterns,
            texts,
        }
    }

    /// Whether an action, given in lower case, is meant.
    pub fn matches(&self, action_lower: &str) -> bool {
        self.patterns.iter().any(|p| p.matches(action_lower)) != self.negated
    }

    /// Whether every action that `pattern` (lower case) describes is meant.
    pub fn covers(&self, pattern: &Pattern) -> bool {
        if self.negated {
            !self.patterns.iter().any(|p| p.overlaps(pattern))
        } else {
            self.patterns.iter().any(|p| p.covers(pattern))
        }
    }

    /// Whether some action that `pattern` (lower case) describes is meant.
    pub fn overlaps(&self, pattern: &Pattern) -> bool {
        if self.negated {
            !self.patterns.iter().any(|p| p.covers(pattern))
        } else {
            self.patterns.iter().any(|p| p.overlaps(pattern))
        }
    }
}

/// Compiles an action text; `*:*` means every action, and a repeated `*` means one.
pub fn action_pattern(text: &str) -> Pattern {
    let pattern = Pattern::new(&text.to_ascii_lowercase());
    if matches!(pattern, Pattern::Tokens(_)) && pattern == Pattern::new("*:*") {
        Pattern::Any
    } else {
        pattern
    }
}

impl ResourceElement {
    /// Whether the resource is meant.
    pub fn matches(&self, resource: &ArnText<'_>, context: &Context) -> Truth {
        let mut hit = Truth::False;
        for pattern in &self.patterns {
            hit = hit.or(pattern.matches(resource, context));
            if hit.is_true() {
                break;
            }
        }
        if self.negated { hit.negate() } else { hit }
    }

    /// Whether every resource is meant, as far as patterns tell.
    pub fn is_everything(&self) -> bool {
        !self.negated && self.patterns.iter().any(ResourcePattern::is_everything)
    }
}

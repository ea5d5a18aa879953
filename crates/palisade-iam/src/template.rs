//! Patterns whose text holds policy variables such as `${aws:username}`.
//!
//! Variables work in `2012-10-17` documents only, in `Resource` and in string and ARN conditions
//! (IAM User Guide, "IAM policy elements: variables and tags"). What a variable stands for is taken
//! literally: a `*` in a tag value is not a wildcard.

use crate::context::{Context, Lookup};
use crate::glob::{Pattern, Token};

/// A piece of a pattern text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Token(Token),
    /// A context key in lower case, and the default text of `${key, 'default'}`.
    Variable {
        key: Box<str>,
        default: Option<Box<str>>,
    },
}

/// A pattern text, compiled as far as it can be without a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// No variables.
    Fixed(Pattern),
    /// Variables to fill in from the request.
    Open(Template),
}

/// A pattern that needs values from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(crate) parts: Box<[Part]>,
}

/// What filling in a template gave.
pub(crate) enum Filled {
    Pattern(Pattern),
    /// A variable has no value and no default: the element matches nothing.
    Absent,
    /// A variable's key is not known.
    Unknown,
}

impl Text {
    /// Compiles a text. `variables` is whether `${...}` is special; `wildcards` whether `*` and `?` are.
    pub(crate) fn new(text: &str, variables: bool, wildcards: bool) -> Self {
        Self::from_parts(parts(text, variables, wildcards))
    }

    pub(crate) fn from_parts(parts: Vec<Part>) -> Self {
        if parts.iter().any(|p| matches!(p, Part::Variable { .. })) {
            Text::Open(Template {
                parts: parts.into(),
            })
        } else {
            Text::Fixed(Pattern::from_tokens(parts.into_iter().filter_map(
                |p| match p {
                    Part::Token(token) => Some(token),
                    Part::Variable { .. } => None,
                },
            )))
        }
    }

    /// The widest pattern that the text can become: a variable may be any string.
    pub fn widest(&self) -> Pattern {
        match self {
            Text::Fixed(pattern) => pattern.clone(),
            Text::Open(template) => template.widest(),
        }
    }

    /// Whether the text has a policy variable.
    pub fn has_variable(&self) -> bool {
        matches!(self, Text::Open(_))
    }
}

impl Template {
    /// The widest pattern: every variable may be any string.
    pub fn widest(&self) -> Pattern {
        Pattern::from_tokens(self.parts.iter().map(|p| match p {
            Part::Token(token) => *token,
            Part::Variable { .. } => Token::Many,
        }))
    }

    pub(crate) fn fill(&self, context: &Context) -> Filled {
        let mut tokens = Vec::new();
        for part in &self.parts {
            match part {
                Part::Token(token) => tokens.push(*token),
                Part::Variable { key, default } => match (context.lookup(key), default) {
                    (Lookup::Values([value, ..]), _) => {
                        tokens.extend(value.chars().map(Token::Char))
                    }
                    (Lookup::Values([]) | Lookup::Absent, Some(text)) => {
                        tokens.extend(text.chars().map(Token::Char))
                    }
                    (Lookup::Values([]) | Lookup::Absent, None) => return Filled::Absent,
                    (Lookup::Unknown, _) => return Filled::Unknown,
                },
            }
        }
        Filled::Pattern(Pattern::from_tokens(tokens))
    }
}

/// Splits a text into its parts.
pub(crate) fn parts(text: &str, variables: bool, wildcards: bool) -> Vec<Part> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if variables
            && let Some(inner) = rest.strip_prefix("${")
            && let Some((body, after)) = inner.split_once('}')
        {
            out.push(variable(body));
            rest = after;
            continue;
        }
        out.push(Part::Token(match c {
            '*' if wildcards => Token::Many,
            '?' if wildcards => Token::One,
            c => Token::Char(c),
        }));
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    out
}

fn variable(body: &str) -> Part {
    // `${*}`, `${?}` and `${$}` write the characters themselves.
    let mut chars = body.chars();
    if let (Some(c @ ('*' | '?' | '$')), None) = (chars.next(), chars.next()) {
        return Part::Token(Token::Char(c));
    }
    let (key, default) = match body.split_once(',') {
        Some((key, default)) => (key, Some(default.trim().trim_matches('\'').into())),
        None => (body, None),
    };
    Part::Variable {
        key: key.trim().to_ascii_lowercase().into(),
        default,
    }
}

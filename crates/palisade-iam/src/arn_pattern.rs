//! Matching of ARNs, part by part.
//!
//! "Each of the six colon-delimited components of the ARN is checked separately and each can include
//! multi-character match wildcards" (IAM User Guide, ARN condition operators); an ARN in `Resource`
//! with fewer parts is completed with `*` (IAM User Guide, "Resource").

use crate::context::Context;
use crate::glob::{Pattern, Token};
use crate::template::{Filled, Part, Template, Text, parts};
use crate::truth::Truth;

/// An ARN text cut into its six parts; the last keeps its colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArnText<'a> {
    /// The whole text.
    pub full: &'a str,
    /// `arn`, partition, service, region, account, resource; `None` when the text is not an ARN.
    pub parts: Option<[&'a str; 6]>,
}

impl<'a> ArnText<'a> {
    /// Cuts a text.
    pub fn new(full: &'a str) -> Self {
        let mut pieces = full.splitn(6, ':');
        let mut next = || pieces.next();
        let parts = match (next(), next(), next(), next(), next(), next()) {
            (Some("arn"), Some(b), Some(c), Some(d), Some(e), Some(f)) => {
                Some(["arn", b, c, d, e, f])
            }
            _ => None,
        };
        Self { full, parts }
    }

    /// The service part; `None` when the text is not an ARN.
    pub fn service(&self) -> Option<&'a str> {
        self.parts.map(|p| p[2])
    }

    /// The region part, when it is not empty.
    pub fn region(&self) -> Option<&'a str> {
        self.parts.map(|p| p[3]).filter(|a| !a.is_empty())
    }

    /// The account part, when it is not empty.
    pub fn account(&self) -> Option<&'a str> {
        self.parts.map(|p| p[4]).filter(|a| !a.is_empty())
    }
}

/// Patterns for the six parts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArnParts(pub Box<[Pattern; 6]>);

impl ArnParts {
    /// Compiles a text that begins with `arn:`; missing parts become `*`.
    pub fn new(text: &str) -> Option<Self> {
        Self::from_parts(&parts(text, false, true))
    }

    fn from_parts(parts: &[Part]) -> Option<Self> {
        match cut(parts).map(|six| six.map(Text::from_parts)) {
            Some(
                [
                    Text::Fixed(a),
                    Text::Fixed(b),
                    Text::Fixed(c),
                    Text::Fixed(d),
                    Text::Fixed(e),
                    Text::Fixed(f),
                ],
            ) => Some(Self(Box::new([a, b, c, d, e, f]))),
            _ => None,
        }
    }

    /// Whether an ARN matches in every part.
    pub fn matches(&self, arn: &ArnText<'_>) -> bool {
        let [_, p1, p2, p3, p4, p5] = &*self.0;
        match arn.parts {
            // The resource part differs most often, then the service; the order only saves time.
            Some([_, t1, t2, t3, t4, t5]) => {
                p2.matches(t2)
                    && p5.matches(t5)
                    && p4.matches(t4)
                    && p3.matches(t3)
                    && p1.matches(t1)
            }
            None => false,
        }
    }

    /// Whether some ARN matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0
            .iter()
            .zip(other.0.iter())
            .all(|(a, b)| a.overlaps(b))
    }

    /// Whether every ARN of `other` matches too.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0.iter()).all(|(a, b)| a.covers(b))
    }

    /// An ARN that both describe.
    pub fn witness(&self, other: &Self) -> Option<String> {
        let parts: Option<Vec<String>> = self
            .0
            .iter()
            .zip(other.0.iter())
            .map(|(a, b)| a.witness(b))
            .collect();
        parts.map(|p| p.join(":"))
    }

    /// The pattern as text.
    pub fn to_text(&self) -> String {
        self.0
            .iter()
            .map(Pattern::to_text)
            .collect::<Vec<_>>()
            .join(":")
    }
}

/// Cuts pattern parts at the first five colons; `None` when they do not begin with `arn:`.
fn cut(parts: &[Part]) -> Option<[Vec<Part>; 6]> {
    let mut six: [Vec<Part>; 6] = Default::default();
    let mut index = 0;
    for part in parts {
        if index < 5 && *part == Part::Token(Token::Char(':')) {
            index += 1;
        } else if let Some(slot) = six.get_mut(index) {
            slot.push(part.clone());
        }
    }
    let prefix: Vec<Part> = "arn".chars().map(|c| Part::Token(Token::Char(c))).collect();
    if index == 0 || six[0] != prefix {
        return None;
    }
    for slot in six.iter_mut().skip(index + 1) {
        slot.push(Part::Token(Token::Many));
    }
    Some(six)
}

/// One entry of a `Resource` or `NotResource` element, or the value of an ARN condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourcePattern {
    /// `*`.
    Any,
    /// An ARN pattern.
    Arn(ArnParts),
    /// An ARN pattern with variables in these parts.
    OpenArn(Box<[Text; 6]>),
    /// Something that is not an ARN: matched as one text.
    Text(Text),
}

impl ResourcePattern {
    /// Compiles one entry; `variables` is whether `${...}` is special.
    pub fn new(text: &str, variables: bool) -> Self {
        if text == "*" {
            return ResourcePattern::Any;
        }
        let parts = parts(text, variables, true);
        match cut(&parts) {
            None => match Text::from_parts(parts) {
                Text::Fixed(Pattern::Any) => ResourcePattern::Any,
                other => ResourcePattern::Text(other),
            },
            Some(six) => match ArnParts::from_parts(&parts) {
                Some(fixed) => ResourcePattern::Arn(fixed),
                None => ResourcePattern::OpenArn(Box::new(six.map(Text::from_parts))),
            },
        }
    }

    /// Whether the pattern matches every resource there is.
    pub fn is_everything(&self) -> bool {
        match self {
            ResourcePattern::Any => true,
            ResourcePattern::Arn(parts) => parts.0.iter().skip(1).all(|p| *p == Pattern::Any),
            ResourcePattern::OpenArn(_) => false,
            ResourcePattern::Text(text) => matches!(text, Text::Fixed(Pattern::Any)),
        }
    }

    /// Whether it matches a resource in a given context.
    pub fn matches(&self, arn: &ArnText<'_>, context: &Context) -> Truth {
        match self {
            ResourcePattern::Any => Truth::True,
            ResourcePattern::Arn(parts) => parts.matches(arn).into(),
            ResourcePattern::OpenArn(texts) => match arn.parts {
                None => Truth::False,
                Some(six) => texts
                    .iter()
                    .zip(six)
                    .map(|(text, part)| text_matches(text, part, context))
                    .fold(Truth::True, Truth::and),
            },
            ResourcePattern::Text(text) => text_matches(text, arn.full, context),
        }
    }

    /// The pattern with every variable widened to `*`: `None` is a text that is not an ARN.
    pub fn widest(&self) -> Widest {
        match self {
            ResourcePattern::Any => Widest::Any,
            ResourcePattern::Arn(parts) => Widest::Arn(parts.clone()),
            ResourcePattern::OpenArn(texts) => {
                let [a, b, c, d, e, f] = &**texts;
                Widest::Arn(ArnParts(Box::new([a, b, c, d, e, f].map(Text::widest))))
            }
            ResourcePattern::Text(text) => Widest::Text(text.widest()),
        }
    }

    /// Whether a variable takes part.
    pub fn has_variable(&self) -> bool {
        match self {
            ResourcePattern::OpenArn(_) => true,
            ResourcePattern::Text(text) => text.has_variable(),
            _ => false,
        }
    }
}

/// A resource pattern without variables, for comparing patterns with each other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Widest {
    /// Everything.
    Any,
    /// An ARN pattern.
    Arn(ArnParts),
    /// A text that is not an ARN.
    Text(Pattern),
}

impl Widest {
    /// Compiles a text without variables.
    pub fn new(text: &str) -> Self {
        ResourcePattern::new(text, false).widest()
    }

    /// Whether some resource matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Widest::Any, _) | (_, Widest::Any) => true,
            (Widest::Arn(a), Widest::Arn(b)) => a.overlaps(b),
            (Widest::Text(a), Widest::Text(b)) => a.overlaps(b),
            (Widest::Arn(a), Widest::Text(b)) | (Widest::Text(b), Widest::Arn(a)) => {
                Pattern::new(&a.to_text()).overlaps(b)
            }
        }
    }

    /// Whether every resource of `other` matches too.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Widest::Any, _) => true,
            (Widest::Arn(a), Widest::Arn(b)) => a.covers(b),
            (Widest::Text(a), Widest::Text(b)) => a.covers(b),
            (Widest::Text(a), Widest::Arn(b)) => a.covers(&Pattern::new(&b.to_text())),
            (Widest::Text(a), Widest::Any) => *a == Pattern::Any,
            // A list of six `*` covers every ARN, and requests without a resource ARN are for `*`.
            (Widest::Arn(a), Widest::Any) => a.0.iter().skip(1).all(|p| *p == Pattern::Any),
            (Widest::Arn(_), Widest::Text(_)) => false,
        }
    }

    /// One resource that both describe.
    pub fn witness(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Widest::Any, Widest::Any) => Some("*".to_owned()),
            (Widest::Any, Widest::Arn(a)) | (Widest::Arn(a), Widest::Any) => a.witness(a),
            (Widest::Any, Widest::Text(t)) | (Widest::Text(t), Widest::Any) => Some(t.example()),
            (Widest::Arn(a), Widest::Arn(b)) => a.witness(b),
            (Widest::Text(a), Widest::Text(b)) => a.witness(b),
            (Widest::Arn(a), Widest::Text(b)) | (Widest::Text(b), Widest::Arn(a)) => {
                Pattern::new(&a.to_text()).witness(b)
            }
        }
    }

    /// The pattern as text.
    pub fn to_text(&self) -> String {
        match self {
            Widest::Any => "*".to_owned(),
            Widest::Arn(parts) => parts.to_text(),
            Widest::Text(pattern) => pattern.to_text(),
        }
    }
}

/// Matches a text with variables filled in from the request.
pub(crate) fn text_matches(text: &Text, value: &str, context: &Context) -> Truth {
    match text {
        Text::Fixed(pattern) => pattern.matches(value).into(),
        Text::Open(template) => template_matches(template, value, context),
    }
}

pub(crate) fn template_matches(template: &Template, value: &str, context: &Context) -> Truth {
    match template.fill(context) {
        Filled::Pattern(pattern) => pattern.matches(value).into(),
        Filled::Absent => Truth::False,
        // Even with any value the text would have to fit; when it cannot, the answer is known.
        Filled::Unknown if !template.widest().matches(value) => Truth::False,
        Filled::Unknown => Truth::Unknown,
    }
}

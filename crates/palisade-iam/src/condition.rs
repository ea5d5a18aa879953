//! Condition operators: their names and how each compares a request with a policy.
//!
//! Rules from the IAM User Guide: "Condition operators", "Multiple context keys or values",
//! "Single-valued vs. multivalued context keys".

use crate::arn_pattern::{ArnText, ResourcePattern, text_matches};
use crate::context::{Context, Lookup};
use crate::error::Position;
use crate::glob::Pattern;
use crate::net::Cidr;
use crate::template::{Filled, Text};
use crate::time::parse_date;
use crate::truth::Truth;

/// How an operator treats keys with several values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetTest {
    /// No prefix.
    Plain,
    /// `ForAllValues:`: also true when the request has no value.
    ForAllValues,
    /// `ForAnyValue:`: false when the request has no value.
    ForAnyValue,
}

/// What kind of values an operator compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are AWS's own operator names")]
pub enum Family {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    IpAddress,
    Arn,
    Null,
}

/// The comparison of a numeric or date operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are AWS's own operator names")]
pub enum Order {
    Equals,
    LessThan,
    LessThanEquals,
    GreaterThan,
    GreaterThanEquals,
}

impl Order {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Order::Equals => left == right,
            Order::LessThan => left < right,
            Order::LessThanEquals => left <= right,
            Order::GreaterThan => left > right,
            Order::GreaterThanEquals => left >= right,
        }
    }
}

/// A condition operator, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operator {
    /// The set prefix.
    pub set: SetTest,
    /// What is compared.
    pub family: Family,
    /// Whether it is the `Not` form.
    pub negated: bool,
    /// Whether a missing key makes it true (`...IfExists`).
    pub if_exists: bool,
}

impl Operator {
    /// Reads an operator's name, ignoring case as AWS does.
    pub fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (set, rest) = if let Some(rest) = lower.strip_prefix("forallvalues:") {
            (SetTest::ForAllValues, rest)
        } else if let Some(rest) = lower.strip_prefix("foranyvalue:") {
            (SetTest::ForAnyValue, rest)
        } else {
            (SetTest::Plain, lower.as_str())
        };
        let (rest, if_exists) = match rest.strip_suffix("ifexists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (family, negated) = match rest {
            "stringequals" => (Family::StringEquals, false),
            "stringnotequals" => (Family::StringEquals, true),
            "stringequalsignorecase" => (Family::StringEqualsIgnoreCase, false),
            "stringnotequalsignorecase" => (Family::StringEqualsIgnoreCase, true),
            "stringlike" => (Family::StringLike, false),
            "stringnotlike" => (Family::StringLike, true),
            "numericequals" => (Family::Numeric(Order::Equals), false),
            "numericnotequals" => (Family::Numeric(Order::Equals), true),
            "numericlessthan" => (Family::Numeric(Order::LessThan), false),
            "numericlessthanequals" => (Family::Numeric(Order::LessThanEquals), false),
            "numericgreaterthan" => (Family::Numeric(Order::GreaterThan), false),
            "numericgreaterthanequals" => (Family::Numeric(Order::GreaterThanEquals), false),
            "dateequals" => (Family::Date(Order::Equals), false),
            "datenotequals" => (Family::Date(Order::Equals), true),
            "datelessthan" => (Family::Date(Order::LessThan), false),
            "datelessthanequals" => (Family::Date(Order::LessThanEquals), false),
            "dategreaterthan" => (Family::Date(Order::GreaterThan), false),
            "dategreaterthanequals" => (Family::Date(Order::GreaterThanEquals), false),
            "bool" => (Family::Bool, false),
            "binaryequals" => (Family::Binary, false),
            "ipaddress" => (Family::IpAddress, false),
            "notipaddress" => (Family::IpAddress, true),
            "arnequals" | "arnlike" => (Family::Arn, false),
            "arnnotequals" | "arnnotlike" => (Family::Arn, true),
            "null" if !if_exists => (Family::Null, false),
            _ => return None,
        };
        Some(Self {
            set,
            family,
            negated,
            if_exists,
        })
    }
}

/// A value of a condition, compiled for its operator.
#[derive(Debug, Clone, PartialEq)]
enum Compiled {
    Text(Text),
    Lower(Text),
    Number(f64),
    Date(i64),
    Bool(bool),
    Exact(String),
    Network(Cidr),
    Arn(ResourcePattern),
    /// Not a value of the operator's kind: matches nothing.
    Never,
}

/// One key of one operator in a condition block.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The operator as written.
    pub operator_name: Box<str>,
    /// The operator.
    pub operator: Operator,
    /// The key as written.
    pub key: Box<str>,
    /// The key in lower case.
    pub key_lower: Box<str>,
    /// The values as written.
    pub values: Vec<String>,
    /// Where the key stands in the document.
    pub position: Position,
    /// Whether the values could be read; otherwise nothing is known about the condition.
    pub is_readable: bool,
    compiled: Vec<Compiled>,
}

impl Condition {
    /// A condition whose values cannot be read: it may hold or not.
    pub(crate) fn unreadable(
        operator_name: &str,
        operator: Operator,
        key: &str,
        position: Position,
    ) -> Self {
        Self {
            is_readable: false,
            ..Self::new(operator_name, operator, key, Vec::new(), position, false)
        }
    }

    /// Compiles a condition; `variables` is whether the document knows policy variables.
    pub fn new(
        operator_name: &str,
        operator: Operator,
        key: &str,
        values: Vec<String>,
        position: Position,
        variables: bool,
    ) -> Self {
        let compiled = values
            .iter()
            .map(|v| compile(operator.family, v, variables))
            .collect();
        Self {
            operator_name: operator_name.into(),
            operator,
            key: key.into(),
            key_lower: key.to_ascii_lowercase().into(),
            values,
            position,
            is_readable: true,
            compiled,
        }
    }

    /// The condition in one line, for explanations.
    pub fn describe(&self) -> String {
        format!(
            "{} {} [{}]",
            self.operator_name,
            self.key,
            self.values.join(", ")
        )
    }

    /// Whether the condition holds.
    pub fn evaluate(&self, context: &Context) -> Truth {
        if !self.is_readable {
            return Truth::Unknown;
        }
        let found = context.lookup(&self.key_lower);
        if self.operator.family == Family::Null {
            return self.evaluate_null(found);
        }
        let values = match found {
            Lookup::Unknown => return Truth::Unknown,
            Lookup::Values(values) => values,
            Lookup::Absent => &[],
        };
        if values.is_empty() {
            return match self.operator.set {
                SetTest::ForAllValues => Truth::True,
                // "ForAnyValue: if there are no matching keys in the request, the condition is false", also
                // with IfExists.
                SetTest::ForAnyValue => Truth::False,
                // "If the key is not present, the negated operators are true."
                SetTest::Plain => (self.operator.negated || self.operator.if_exists).into(),
            };
        }
        let test = |value: &String| {
            let hit = self
                .compiled
                .iter()
                .map(|c| compare(self.operator.family, c, value, context))
                .fold(Truth::False, Truth::or);
            if self.operator.negated {
                hit.negate()
            } else {
                hit
            }
        };
        match self.operator.set {
            SetTest::ForAllValues => values.iter().map(test).fold(Truth::True, Truth::and),
            SetTest::ForAnyValue => values.iter().map(test).fold(Truth::False, Truth::or),
            // A plain operator on several values: true when one matches, its negation when none does.
            SetTest::Plain if self.operator.negated => {
                values.iter().map(test).fold(Truth::True, Truth::and)
            }
            SetTest::Plain => values.iter().map(test).fold(Truth::False, Truth::or),
        }
    }

    fn evaluate_null(&self, found: Lookup<'_>) -> Truth {
        let missing = match found {
            Lookup::Unknown => return Truth::Unknown,
            Lookup::Absent => true,
            Lookup::Values(values) => values.is_empty(),
        };
        self.compiled
            .iter()
            .any(|c| matches!(c, Compiled::Bool(want) if *want == missing))
            .into()
    }
}

fn compile(family: Family, value: &str, variables: bool) -> Compiled {
    match family {
        Family::StringEquals => Compiled::Text(Text::new(value, variables, false)),
        Family::StringLike => Compiled::Text(Text::new(value, variables, true)),
        Family::StringEqualsIgnoreCase => {
            Compiled::Lower(Text::new(&value.to_lowercase(), variables, false))
        }
        Family::Numeric(_) => value
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .map_or(Compiled::Never, Compiled::Number),
        Family::Date(_) => parse_date(value).map_or(Compiled::Never, Compiled::Date),
        Family::Bool | Family::Null => match value.to_ascii_lowercase().as_str() {
            "true" => Compiled::Bool(true),
            "false" => Compiled::Bool(false),
            _ => Compiled::Never,
        },
        Family::Binary => Compiled::Exact(value.trim_end_matches('=').to_owned()),
        Family::IpAddress => Cidr::parse(value).map_or(Compiled::Never, Compiled::Network),
        Family::Arn => Compiled::Arn(ResourcePattern::new(value, variables)),
    }
}

fn compare(family: Family, compiled: &Compiled, value: &str, context: &Context) -> Truth {
    match (compiled, family) {
        (Compiled::Text(text), _) => text_matches(text, value, context),
        (Compiled::Lower(text), _) => lower_matches(text, value, context),
        (Compiled::Number(want), Family::Numeric(order)) => value
            .trim()
            .parse::<f64>()
            .is_ok_and(|have| order.holds(&have, want))
            .into(),
        (Compiled::Date(want), Family::Date(order)) => parse_date(value)
            .is_some_and(|have| order.holds(&have, want))
            .into(),
        (Compiled::Bool(want), _) => value
            .eq_ignore_ascii_case(if *want { "true" } else { "false" })
            .into(),
        (Compiled::Exact(want), _) => (value.trim_end_matches('=') == want).into(),
        (Compiled::Network(network), _) => Cidr::parse(value)
            .is_some_and(|have| network.contains(&have))
            .into(),
        (Compiled::Arn(pattern), _) => pattern.matches(&ArnText::new(value), context),
        _ => Truth::False,
    }
}

fn lower_matches(text: &Text, value: &str, context: &Context) -> Truth {
    let value = value.to_lowercase();
    match text {
        Text::Fixed(pattern) => pattern.matches(&value).into(),
        Text::Open(template) => match template.fill(context) {
            // The filled-in value keeps its case, so both sides are lowered here.
            Filled::Pattern(Pattern::Exact(text)) => (text.to_lowercase() == value).into(),
            Filled::Pattern(_) => Truth::False,
            Filled::Absent => Truth::False,
            Filled::Unknown => Truth::Unknown,
        },
    }
}

//! Example contexts for conditions: enough values of every key that each way in which the conditions can hold together
//! occurs.

use std::collections::{BTreeMap, BTreeSet};

use super::arrangement::{Reading, Shape, examples};
use crate::condition::{Condition, Family, SetTest};
use crate::context::Context;
use crate::glob::Token;
use crate::net::Cidr;
use crate::time::{format_date, parse_date};

/// More contexts than are tried for one pair of action and resource.
const MAX_CONTEXTS: usize = 50_000;

/// Contexts for a set of conditions; `None` when there are too many.
pub(super) fn contexts(conditions: &[&Condition]) -> Option<Vec<Context>> {
    let mut keys: BTreeMap<&str, Vec<&Condition>> = BTreeMap::new();
    for condition in conditions {
        keys.entry(&condition.key_lower)
            .or_default()
            .push(condition);
    }
    let mut out = vec![Context::closed()];
    for (key, conditions) in keys {
        let choices = choices(&conditions)?;
        if out.len() * choices.len() > MAX_CONTEXTS {
            return None;
        }
        out = out
            .iter()
            .flat_map(|context| {
                choices.iter().map(|values| {
                    let mut with = context.clone();
                    if !values.is_empty() {
                        with.set(key, values.iter().cloned());
                    }
                    with
                })
            })
            .collect();
    }
    Some(out)
}

/// Lists of values of one key: none, one, and pairs when an operator looks at several.
fn choices(conditions: &[&Condition]) -> Option<Vec<Vec<String>>> {
    let mut values: BTreeSet<String> = BTreeSet::new();
    let mut patterns: Vec<Vec<Token>> = Vec::new();
    for condition in conditions {
        for value in &condition.values {
            match condition.operator.family {
                Family::StringEquals => patterns.push(value.chars().map(Token::Char).collect()),
                Family::StringEqualsIgnoreCase => {
                    patterns.push(value.chars().map(Token::Char).collect());
                    values.insert(value.to_uppercase());
                    values.insert(value.to_lowercase());
                }
                Family::StringLike | Family::Arn => {
                    patterns.push(crate::glob::tokens(value).collect())
                }
                Family::Numeric(_) => {
                    if let Ok(number) = value.parse::<f64>() {
                        values.extend([number - 1.0, number, number + 1.0].map(|n| n.to_string()));
                    }
                }
                Family::Date(_) => {
                    if let Some(date) = parse_date(value) {
                        values.extend(
                            [date.saturating_sub(1000), date, date.saturating_add(1000)]
                                .map(format_date),
                        );
                    }
                }
                Family::Bool | Family::Null => {
                    values.extend(["true".to_owned(), "false".to_owned()])
                }
                Family::Binary => {
                    values.insert(value.clone());
                    values.insert("AAAA".to_owned());
                }
                Family::IpAddress => {
                    // Which networks hold an address changes only where one begins or has ended.
                    if let Some(network) = Cidr::parse(value) {
                        values.insert(network.base.to_string());
                        values.extend(network.after().map(|a| a.to_string()));
                    }
                    values.extend(["0.0.0.0".to_owned(), "::".to_owned()]);
                }
            }
        }
    }
    if !patterns.is_empty() {
        let whole = |tokens| Shape::new(tokens, Reading::Whole);
        let patterns: Vec<Shape> = patterns.into_iter().map(whole).collect();
        values.extend(examples(&patterns)?.into_values());
        values.insert("something-else".to_owned());
    }
    // For `Null` alone any value will do.
    if values.is_empty() {
        values.insert("something".to_owned());
    }
    let many = conditions.iter().any(|c| c.operator.set != SetTest::Plain);
    let single: Vec<String> = values.into_iter().collect();
    let mut out: Vec<Vec<String>> = vec![Vec::new()];
    out.extend(single.iter().map(|v| vec![v.clone()]));
    if many {
        for (at, first) in single.iter().enumerate() {
            out.extend(
                single
                    .iter()
                    .skip(at + 1)
                    .map(|second| vec![first.clone(), second.clone()]),
            );
        }
    }
    Some(out)
}

//! What AWS's models say that a value must be: ranges, lengths, patterns, words. Only for the members of inputs that the
//! shipped repairs and playbooks set, extracted by `cargo xtask models` into `catalog/models/constraints.json`.
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// What a value must be; without anything in it, any value of its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constraint {
    /// Least number; least length of a text (in characters) or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<i64>,
    /// Greatest number; greatest length of a text (in characters) or a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<i64>,
    /// Regular expression that the whole text matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The only words that a text may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// Constraints by API model, operation and path of the member in the input: `A.B[].C`, where `[]` are the elements of a
/// list. A member that the model leaves free is there too, so that one can tell it from a member that nobody looked up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Constraints(pub BTreeMap<String, BTreeMap<String, BTreeMap<String, Constraint>>>);

impl Constraint {
    /// What the value would have to be, when it is not that.
    pub fn refuses(&self, value: &Json) -> Option<String> {
        match value {
            Json::Number(number) => {
                let number = number.as_f64()?;
                // AWS's bounds are far below what a double holds exactly
                #[allow(clippy::cast_precision_loss, reason = "bounds are small numbers")]
                let outside = self.min.is_some_and(|min| number < min as f64)
                    || self.max.is_some_and(|max| number > max as f64);
                outside.then(|| self.bounds(""))
            }
            Json::Array(items) => self
                .is_outside(items.len())
                .then(|| self.bounds(" elements")),
            Json::String(text) => {
                if !self.values.is_empty() {
                    let known = self.values.iter().any(|v| v == text);
                    return (!known).then(|| format!("one of `{}`", self.values.join("`, `")));
                }
                if self.is_outside(text.chars().count()) {
                    return Some(self.bounds(" characters"));
                }
                let pattern = self.pattern.as_ref()?;
                let fits = whole(pattern).is_none_or(|regex| regex.is_match(text));
                (!fits).then(|| format!("a text that matches `{pattern}`"))
            }
            _ => None,
        }
    }

    /// The same without a pattern that cannot be checked here: AWS's are written for another engine.
    #[must_use]
    pub fn checkable(mut self) -> Self {
        self.pattern = self.pattern.filter(|p| whole(p).is_some());
        self
    }

    fn is_outside(&self, length: usize) -> bool {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        self.min.is_some_and(|min| length < min) || self.max.is_some_and(|max| length > max)
    }

    fn bounds(&self, unit: &str) -> String {
        match (self.min, self.max) {
            (Some(min), Some(max)) if min == max => format!("{min}{unit}"),
            (Some(min), Some(max)) => format!("{min} to {max}{unit}"),
            (Some(min), None) => format!("at least {min}{unit}"),
            (None, Some(max)) => format!("at most {max}{unit}"),
            (None, None) => format!("any number of{unit}"),
        }
    }
}

/// AWS holds patterns against the whole text. Java writes characters beyond the 16-bit plane as surrogates.
fn whole(pattern: &str) -> Option<Regex> {
    let pattern = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\u{10000}-\u{10FFFF}");
    Regex::new(&format!("^(?:{pattern})$")).ok()
}

impl Constraints {
    /// Those of an operation, by path.
    pub fn of(&self, service: &str, operation: &str) -> Option<&BTreeMap<String, Constraint>> {
        self.0.get(service)?.get(operation)
    }

    /// The constraint of one member. `None` when nobody looked it up.
    pub fn at(&self, service: &str, operation: &str, path: &str) -> Option<&Constraint> {
        self.of(service, operation)?.get(path)
    }
}

/// Every value in parameters with its path, as [`Constraints`] has it: texts, numbers, and lists with their elements.
pub fn members(params: &Map<String, Json>) -> Vec<(String, &Json)> {
    let mut found = Vec::new();
    for (name, value) in params {
        walk(name.clone(), value, &mut found);
    }
    found
}

fn walk<'v>(path: String, value: &'v Json, found: &mut Vec<(String, &'v Json)>) {
    match value {
        Json::Object(map) => {
            for (name, value) in map {
                walk(format!("{path}.{name}"), value, found);
            }
        }
        Json::Array(items) => {
            let element = format!("{path}[]");
            found.push((path, value));
            for item in items {
                walk(element.clone(), item, found);
            }
        }
        _ => found.push((path, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_held_against_what_the_model_says() {
        let bounds = Constraint {
            min: Some(6),
            max: Some(128),
            ..Constraint::default()
        };
        for (value, expected) in [
            (json!(6), None),
            (json!(128), None),
            (json!(129), Some("6 to 128")),
            (json!(5.5), Some("6 to 128")),
            (json!("äääääz"), None),
            (json!("short"), Some("6 to 128 characters")),
            (json!([1, 2]), Some("6 to 128 elements")),
            (json!(true), None),
        ] {
            assert_eq!(bounds.refuses(&value).as_deref(), expected, "{value}");
        }
        let words = Constraint {
            values: vec!["Enabled".to_owned(), "Suspended".to_owned()],
            ..Constraint::default()
        };
        assert_eq!(words.refuses(&json!("Enabled")), None);
        assert_eq!(
            words.refuses(&json!("enabled")).unwrap(),
            "one of `Enabled`, `Suspended`"
        );
        let pattern = Constraint {
            pattern: Some(r"[\w+=,.@-]+".to_owned()),
            ..Constraint::default()
        };
        assert_eq!(pattern.refuses(&json!("a.b@c")), None);
        // the whole text, not a part of it
        assert_eq!(
            pattern.refuses(&json!("a b")).unwrap(),
            r"a text that matches `[\w+=,.@-]+`"
        );
        let least = Constraint {
            min: Some(1),
            ..Constraint::default()
        };
        assert_eq!(least.refuses(&json!("")).unwrap(), "at least 1 characters");
        assert_eq!(Constraint::default().refuses(&json!("")), None);
    }

    #[test]
    fn patterns_of_another_engine_are_left_out() {
        let of = |pattern: &str| {
            let all = Constraint {
                pattern: Some(pattern.to_owned()),
                ..Constraint::default()
            };
            all.checkable()
        };
        assert_eq!(of("(?=a)b").pattern, None);
        let astral = of(r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF]*");
        assert_eq!(astral.refuses(&json!("a 🔑")), None);
        assert!(astral.refuses(&json!("\u{7}")).is_some());
    }

    #[test]
    fn paths() {
        let params = json!({"A": {"B": [{"C": 1}, {"C": 2}], "D": "x"}});
        let paths: Vec<String> = members(params.as_object().unwrap())
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert_eq!(paths, ["A.B", "A.B[].C", "A.B[].C", "A.D"]);
    }
}

//! The calls of repairs, and whether what is given for their parameters is what AWS takes.
use crate::{Catalog, FixCall, StepKind, TemplatePart, parse_template};
use palisade_model::{Constraint, Constraints, members};
use serde_json::Value as Json;

/// A value that AWS does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// The parameter of the check or playbook that has it; `None` where the call says it itself.
    pub parameter: Option<String>,
    /// The value.
    pub value: Json,
    /// `service:Operation`.
    pub call: String,
    /// Path of the member of its input.
    pub member: String,
    /// What it takes.
    pub takes: String,
}

impl std::fmt::Display for NotTaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            value,
            call,
            member,
            takes,
            ..
        } = self;
        if let Some(name) = &self.parameter {
            write!(
                f,
                "`{name}` is {value}: `{call}` takes {takes} for `{member}`"
            )
        } else {
            write!(f, "`{call}` takes {takes} for `{member}`, not {value}")
        }
    }
}

impl Catalog {
    /// The calls of all fix blocks and playbooks.
    pub fn repairs(&self) -> impl Iterator<Item = &FixCall> {
        let checks = self.checks.values().flat_map(|c| &c.fix_calls);
        let steps = self.playbooks.values().flat_map(|p| &p.steps);
        let calls = steps.filter_map(|s| match &s.kind {
            StepKind::Change { call, .. } => Some(call),
            StepKind::Query(_) | StepKind::Checklist(_) => None,
        });
        checks.chain(calls)
    }
}

impl FixCall {
    /// What AWS does not take of that which the call says itself.
    pub fn constants_not_taken(&self, constraints: &Constraints) -> Vec<NotTaken> {
        let all = members(&self.params);
        let constant = |value: &Json| !value.as_str().is_some_and(|t| t.contains("${"));
        let all = all.into_iter().filter(|(_, value)| constant(value));
        all.filter_map(|(path, value)| self.refused(constraints, &path, value, None))
            .collect()
    }

    /// What AWS does not take of the values that parameters have, where a member of the input is a parameter and nothing
    /// else. A parameter without a value, or with an empty text, is passed over: nobody said one.
    pub fn values_not_taken(
        &self,
        constraints: &Constraints,
        value_of: impl Fn(&str) -> Option<Json>,
    ) -> Vec<NotTaken> {
        let mut found = Vec::new();
        for (path, template) in members(&self.params) {
            let parts = template.as_str().map(parse_template);
            let Some(Ok([TemplatePart::Parameter(name)])) = parts.as_ref().map(|p| p.as_deref())
            else {
                continue;
            };
            if let Some(value) = value_of(name).filter(|v| v != "") {
                found.extend(self.given(constraints, &path, &value, Some(name)));
            }
        }
        found
    }

    /// What AWS does not take of a call whose templates are filled, where a parameter is part of what is sent.
    pub fn filled_not_taken(
        &self,
        constraints: &Constraints,
        filled: &serde_json::Map<String, Json>,
    ) -> Vec<NotTaken> {
        let mut found = Vec::new();
        let mut open: Vec<(String, &Json, &Json)> = Vec::new();
        let pair = |(name, template)| Some((String::clone(name), template, filled.get(name)?));
        open.extend(self.params.iter().filter_map(pair));
        while let Some((path, template, value)) = open.pop() {
            match (template, value) {
                (Json::Object(template), Json::Object(value)) => {
                    open.extend(template.iter().filter_map(|(name, template)| {
                        Some((format!("{path}.{name}"), template, value.get(name)?))
                    }));
                }
                (Json::Array(template), Json::Array(value)) => {
                    let both = template.iter().zip(value);
                    open.extend(both.map(|(t, v)| (format!("{path}[]"), t, v)));
                }
                (Json::String(text), value) if text.contains("${param.") => {
                    found.extend(self.given(constraints, &path, value, None));
                }
                _ => {}
            }
        }
        found
    }

    /// A value, and its elements where it is a list.
    fn given(
        &self,
        constraints: &Constraints,
        path: &str,
        value: &Json,
        parameter: Option<&str>,
    ) -> Vec<NotTaken> {
        let element = format!("{path}[]");
        let items = value.as_array().into_iter().flatten();
        let items = items.map(|item| (element.as_str(), item));
        std::iter::once((path, value))
            .chain(items)
            .filter_map(|(path, value)| self.refused(constraints, path, value, parameter))
            .collect()
    }

    fn refused(
        &self,
        constraints: &Constraints,
        path: &str,
        value: &Json,
        parameter: Option<&str>,
    ) -> Option<NotTaken> {
        let constraint: &Constraint = constraints.at(&self.service, &self.operation, path)?;
        Some(NotTaken {
            parameter: parameter.map(str::to_owned),
            value: value.clone(),
            call: format!("{}:{}", self.service, self.operation),
            member: path.to_owned(),
            takes: constraint.refuses(value)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(params: &Json) -> FixCall {
        FixCall {
            service: "iam".to_owned(),
            operation: "Update".to_owned(),
            params: params.as_object().unwrap().clone(),
            line: 1,
        }
    }

    fn constraints() -> Constraints {
        let bounds = json!({"iam": {"Update": {
            "Length": {"min": 6, "max": 128}, "Name": {"pattern": "[a-z/]+"}, "Words": {"max": 2},
            "Words[]": {"values": ["a", "b", "c"]}, "In.Status": {"values": ["On"]},
        }}});
        serde_json::from_value(bounds).unwrap()
    }

    fn told(found: &[NotTaken]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_given_is_held_against_the_model() {
        let call = call(
            &json!({"Length": "${param.length}", "Name": "a/${param.name}", "Words": "${param.words}", "In": {"Status": "On"}}),
        );
        let values = |length: i64, words: Json| {
            let of = move |name: &str| match name {
                "length" => Some(json!(length)),
                "words" => Some(words.clone()),
                _ => Some(json!("")),
            };
            told(&call.values_not_taken(&constraints(), of))
        };
        assert!(values(6, json!(["a", "b"])).is_empty());
        assert_eq!(
            values(5, json!(["a", "b", "d"])),
            [
                "`length` is 5: `iam:Update` takes 6 to 128 for `Length`",
                "`words` is [\"a\",\"b\",\"d\"]: `iam:Update` takes at most 2 elements for `Words`",
                "`words` is \"d\": `iam:Update` takes one of `a`, `b`, `c` for `Words[]`",
            ]
        );
        // a text of which the parameter is a part is known when the row is
        let filled = json!({"Length": 7, "Name": "a/B", "Words": [], "In": {"Status": "On"}});
        let filled = call.filled_not_taken(&constraints(), filled.as_object().unwrap());
        assert_eq!(
            told(&filled),
            ["`iam:Update` takes a text that matches `[a-z/]+` for `Name`, not \"a/B\""]
        );
    }

    #[test]
    fn constants() {
        let call = call(&json!({"Length": 200, "Name": "${name}", "In": {"Status": "Off"}}));
        assert_eq!(
            told(&call.constants_not_taken(&constraints())),
            [
                "`iam:Update` takes 6 to 128 for `Length`, not 200",
                "`iam:Update` takes one of `On` for `In.Status`, not \"Off\"",
            ]
        );
    }
}

//! Parsing and evaluating rule trees.
use super::{Endpoint, EndpointError, Partitions, functions, template};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value as Json};

/// A service's endpoint rules.
#[derive(Debug, Clone)]
pub struct RuleSet {
    parameters: Vec<Parameter>,
    rules: Box<[Rule]>,
}

/// An input of a rule set.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// Where its value comes from when it is not set, for example `AWS::Region`.
    pub(crate) built_in: Option<String>,
    default: Json,
    required: bool,
}

// A scan holds the rules of a hundred services: they are no larger than what they hold.
#[derive(Debug, Clone)]
struct Rule {
    conditions: Box<[Condition]>,
    then: Then,
}

#[derive(Debug, Clone)]
enum Then {
    Endpoint(Box<Target>),
    Error(Expression),
    Tree(Box<[Rule]>),
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    url: Expression,
    #[serde(default)]
    properties: Expression,
    #[serde(default)]
    headers: Expression,
}

#[derive(Debug, Clone)]
struct Condition {
    test: Expression,
    assign: Option<Box<str>>,
}

#[derive(Debug, Clone)]
enum Expression {
    Literal(Box<Json>),
    Template(Box<str>),
    Reference(Box<str>),
    Call(Box<str>, Box<[Expression]>),
    List(Box<[Expression]>),
    Object(Box<[(Box<str>, Expression)]>),
}

/// Names in scope; later ones hide earlier ones.
#[derive(Default)]
pub(super) struct Scope(Vec<(String, Json)>);

impl Scope {
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        self.0
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

impl RuleSet {
    /// Reads botocore's file.
    ///
    /// # Errors
    /// When it is not JSON or a rule has an unknown form.
    pub fn parse(json: &str) -> Result<Self, EndpointError> {
        let file: File =
            serde_json::from_str(json).map_err(|e| EndpointError::Damaged(e.to_string()))?;
        let mut parameters = Vec::new();
        for (name, facts) in &file.parameters {
            parameters.push(Parameter {
                name: name.clone(),
                built_in: facts
                    .get("builtIn")
                    .and_then(Json::as_str)
                    .map(str::to_owned),
                default: facts.get("default").cloned().unwrap_or_default(),
                required: facts.get("required") == Some(&Json::Bool(true)),
            });
        }
        Ok(Self {
            parameters,
            rules: file.rules,
        })
    }

    pub(crate) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The endpoint for these parameters. Those that are absent or null take their defaults.
    ///
    /// # Errors
    /// When a rule refuses, a required parameter is missing, or no rule applies.
    pub fn resolve(
        &self,
        params: &Map<String, Json>,
        partitions: &Partitions,
    ) -> Result<Endpoint, EndpointError> {
        let mut scope = Scope::default();
        for parameter in &self.parameters {
            let given = params.get(&parameter.name).filter(|v| !v.is_null());
            let value = given.unwrap_or(&parameter.default);
            if !value.is_null() {
                scope.0.push((parameter.name.clone(), value.clone()));
            } else if parameter.required {
                return Err(EndpointError::MissingParameter(parameter.name.clone()));
            }
        }
        let mut evaluation = Evaluation { scope, partitions };
        evaluation.rules(&self.rules)?.ok_or(EndpointError::NoRule)
    }
}

struct Evaluation<'p> {
    scope: Scope,
    partitions: &'p Partitions,
}

impl Evaluation<'_> {
    fn rules(&mut self, rules: &[Rule]) -> Result<Option<Endpoint>, EndpointError> {
        for rule in rules {
            let depth = self.scope.0.len();
            if self.hold(&rule.conditions) {
                match &rule.then {
                    Then::Error(message) => {
                        return Err(EndpointError::Refused(text(self.value(message))));
                    }
                    Then::Endpoint(target) => {
                        return Ok(Some(Endpoint {
                            url: text(self.value(&target.url)),
                            properties: object(self.value(&target.properties)),
                            headers: object(self.value(&target.headers)),
                        }));
                    }
                    Then::Tree(rules) => {
                        if let Some(endpoint) = self.rules(rules)? {
                            return Ok(Some(endpoint));
                        }
                    }
                }
            }
            self.scope.0.truncate(depth);
        }
        Ok(None)
    }

    /// True when every condition gives something that is neither absent nor false.
    fn hold(&mut self, conditions: &[Condition]) -> bool {
        for condition in conditions {
            let value = self.value(&condition.test);
            if matches!(value, Json::Null | Json::Bool(false)) {
                return false;
            }
            if let Some(name) = &condition.assign {
                self.scope.0.push((name.to_string(), value));
            }
        }
        true
    }

    fn value(&self, expression: &Expression) -> Json {
        match expression {
            Expression::Literal(value) => Json::clone(value),
            Expression::Template(text) => Json::from(template::fill(text, &self.scope)),
            Expression::Reference(name) => self.scope.get(name).cloned().unwrap_or_default(),
            Expression::Call(name, arguments) => {
                let arguments: Vec<Json> = arguments.iter().map(|a| self.value(a)).collect();
                functions::call(name, &arguments, self.partitions)
            }
            Expression::List(items) => items.iter().map(|i| self.value(i)).collect(),
            Expression::Object(members) => Json::Object(
                members
                    .iter()
                    .map(|(k, v)| (k.to_string(), self.value(v)))
                    .collect(),
            ),
        }
    }
}

fn text(value: Json) -> String {
    match value {
        Json::String(text) => text,
        _ => String::new(),
    }
}

fn object(value: Json) -> Map<String, Json> {
    match value {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}

/// A file of botocore, read without a tree of JSON in between: a scan reads a hundred of them while AWS waits.
#[derive(Deserialize)]
struct File {
    #[serde(default)]
    parameters: Map<String, Json>,
    rules: Box<[Rule]>,
}

#[derive(Deserialize)]
struct RawRule<'a> {
    #[serde(default)]
    conditions: Box<[Condition]>,
    r#type: &'a str,
    error: Option<Expression>,
    endpoint: Option<Box<Target>>,
    rules: Option<Box<[Rule]>>,
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = RawRule::deserialize(deserializer)?;
        let then = match raw.r#type {
            "error" => raw.error.map(Then::Error),
            "endpoint" => raw.endpoint.map(Then::Endpoint),
            "tree" => raw.rules.map(Then::Tree),
            _ => None,
        };
        Ok(Self {
            conditions: raw.conditions,
            then: then.ok_or_else(|| D::Error::custom("a rule of an unknown form"))?,
        })
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (test, assign) = deserializer.deserialize_any(Form)?;
        Ok(Self { test, assign })
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(deserializer.deserialize_any(Form)?.0)
    }
}

impl Default for Expression {
    fn default() -> Self {
        Self::Object(Box::default())
    }
}

/// An expression, and the name that its value gets where it is a condition.
struct Form;

type Formed = (Expression, Option<Box<str>>);

fn literal<E>(value: impl Into<Json>) -> Result<Formed, E> {
    Ok((Expression::Literal(Box::new(value.into())), None))
}

fn worded(text: &str) -> Expression {
    if text.contains(['{', '}']) {
        Expression::Template(text.into())
    } else {
        Expression::Literal(Box::new(text.into()))
    }
}

impl<'de> Visitor<'de> for Form {
    type Value = Formed;
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an expression")
    }
    fn visit_bool<E: Error>(self, value: bool) -> Result<Formed, E> {
        literal(value)
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Formed, E> {
        literal(value)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Formed, E> {
        literal(value)
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Formed, E> {
        literal(value)
    }
    fn visit_unit<E: Error>(self) -> Result<Formed, E> {
        literal(())
    }
    fn visit_str<E: Error>(self, value: &str) -> Result<Formed, E> {
        Ok((worded(value), None))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Formed, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = all.next_element()? {
            items.push(item);
        }
        Ok((Expression::List(items.into()), None))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Formed, A::Error> {
        let (mut reference, mut function, mut arguments, mut assign) = (None, None, None, None);
        let mut members = Vec::new();
        while let Some(key) = all.next_key::<Box<str>>()? {
            match &*key {
                "ref" => reference = Some(all.next_value()?),
                "fn" => function = Some(all.next_value()?),
                "argv" => arguments = Some(all.next_value()?),
                "assign" => assign = Some(all.next_value()?),
                _ => members.push((key, all.next_value()?)),
            }
        }
        let expression = match (reference, function) {
            (Some(name), _) => Expression::Reference(name),
            (None, Some(name)) => {
                let arguments = arguments.ok_or_else(|| A::Error::missing_field("argv"))?;
                Expression::Call(name, arguments)
            }
            (None, None) => Expression::Object(members.into()),
        };
        Ok((expression, assign))
    }
}

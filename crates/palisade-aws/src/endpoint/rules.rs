//! Parsing and evaluating rule trees.
use super::{Endpoint, EndpointError, Partitions, functions, template};
use serde_json::{Map, Value as Json};

/// A service's endpoint rules.
#[derive(Debug, Clone)]
pub struct RuleSet {
    parameters: Vec<Parameter>,
    rules: Vec<Rule>,
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

#[derive(Debug, Clone)]
struct Rule {
    conditions: Vec<Condition>,
    then: Then,
}

#[derive(Debug, Clone)]
enum Then {
    Endpoint {
        url: Expression,
        properties: Expression,
        headers: Expression,
    },
    Error(Expression),
    Tree(Vec<Rule>),
}

#[derive(Debug, Clone)]
struct Condition {
    test: Expression,
    assign: Option<String>,
}

#[derive(Debug, Clone)]
enum Expression {
    Literal(Json),
    Template(String),
    Reference(String),
    Call(String, Vec<Expression>),
    List(Vec<Expression>),
    Object(Vec<(String, Expression)>),
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
        let file: Json =
            serde_json::from_str(json).map_err(|e| EndpointError::Damaged(e.to_string()))?;
        let mut parameters = Vec::new();
        for (name, facts) in file
            .get("parameters")
            .and_then(Json::as_object)
            .into_iter()
            .flatten()
        {
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
        let rules = rules(file.get("rules"))
            .ok_or_else(|| EndpointError::Damaged("unknown form".into()))?;
        Ok(Self { parameters, rules })
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
                    Then::Endpoint {
                        url,
                        properties,
                        headers,
                    } => {
                        return Ok(Some(Endpoint {
                            url: text(self.value(url)),
                            properties: object(self.value(properties)),
                            headers: object(self.value(headers)),
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
                self.scope.0.push((name.clone(), value));
            }
        }
        true
    }

    fn value(&self, expression: &Expression) -> Json {
        match expression {
            Expression::Literal(value) => value.clone(),
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
                    .map(|(k, v)| (k.clone(), self.value(v)))
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

fn rules(value: Option<&Json>) -> Option<Vec<Rule>> {
    value?.as_array()?.iter().map(rule).collect()
}

fn rule(value: &Json) -> Option<Rule> {
    let conditions = match value.get("conditions") {
        None => Vec::new(),
        Some(all) => all
            .as_array()?
            .iter()
            .map(condition)
            .collect::<Option<_>>()?,
    };
    let then = match value.get("type")?.as_str()? {
        "error" => Then::Error(expression(value.get("error")?)?),
        "endpoint" => {
            let endpoint = value.get("endpoint")?;
            let part = |name| {
                endpoint
                    .get(name)
                    .map_or(Some(Expression::Object(Vec::new())), expression)
            };
            Then::Endpoint {
                url: expression(endpoint.get("url")?)?,
                properties: part("properties")?,
                headers: part("headers")?,
            }
        }
        "tree" => Then::Tree(rules(value.get("rules"))?),
        _ => return None,
    };
    Some(Rule { conditions, then })
}

fn condition(value: &Json) -> Option<Condition> {
    let assign = value
        .get("assign")
        .and_then(Json::as_str)
        .map(str::to_owned);
    Some(Condition {
        test: expression(value)?,
        assign,
    })
}

fn expression(value: &Json) -> Option<Expression> {
    Some(match value {
        Json::Object(members) => {
            if let Some(name) = members.get("ref") {
                Expression::Reference(name.as_str()?.to_owned())
            } else if let Some(name) = members.get("fn") {
                let arguments = members.get("argv")?.as_array()?.iter().map(expression);
                Expression::Call(name.as_str()?.to_owned(), arguments.collect::<Option<_>>()?)
            } else {
                let members = members
                    .iter()
                    .map(|(k, v)| Some((k.clone(), expression(v)?)));
                Expression::Object(members.collect::<Option<_>>()?)
            }
        }
        Json::Array(items) => {
            Expression::List(items.iter().map(expression).collect::<Option<_>>()?)
        }
        Json::String(text) if text.contains(['{', '}']) => Expression::Template(text.clone()),
        literal => Expression::Literal(literal.clone()),
    })
}

//! From JSON to a policy.

use crate::arn_pattern::ResourcePattern;
use crate::condition::{Condition, Operator};
use crate::error::{PolicyError, Position};
use crate::json::{self, Member, Node, Value};
use crate::policy::principal::{PrincipalEntry, PrincipalPattern};
use crate::policy::{ActionPattern, Effect, Policy, ResourceElement, Statement};

/// Reads a document; one that is percent-encoded, as IAM's API returns it, or has its quotes escaped, as API Gateway's
/// does, is decoded first.
pub(super) fn policy(text: &str) -> Result<Policy, PolicyError> {
    if is_escaped(text) {
        let decoded: String = serde_json::from_str(&format!("\"{}\"", text.trim()))
            .map_err(|_| PolicyError::at(text, 0, "the escaping is not valid"))?;
        return Reader { text: &decoded }.policy(&json::parse(&decoded)?);
    }
    if text.trim_start().starts_with('%') {
        let decoded = percent_decode(text.trim())
            .ok_or_else(|| PolicyError::at(text, 0, "the percent-encoding is not valid"))?;
        return Reader { text: &decoded }.policy(&json::parse(&decoded)?);
    }
    Reader { text }.policy(&json::parse(text)?)
}

/// Whether the first name of the document begins with an escaped quote.
fn is_escaped(text: &str) -> bool {
    text.trim_start()
        .strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with('\\'))
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut input = text.bytes();
    while let Some(byte) = input.next() {
        if byte == b'%' {
            let pair = [input.next()?, input.next()?];
            let digits = std::str::from_utf8(&pair).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, node: &Node, message: impl Into<String>) -> PolicyError {
        PolicyError::at(self.text, node.offset, message)
    }

    fn object<'n>(&self, node: &'n Node, what: &str) -> Result<&'n [Member], PolicyError> {
        let Value::Object(members) = &node.value else {
            return Err(self.error(
                node,
                format!("{what} must be an object, found {}", node.value.kind()),
            ));
        };
        for (at, member) in members.iter().enumerate() {
            if members.iter().take(at).any(|m| m.key == member.key) {
                return Err(PolicyError::at(
                    self.text,
                    member.offset,
                    format!("`{}` occurs twice", member.key),
                ));
            }
        }
        Ok(members)
    }

    fn string(&self, node: &Node, what: &str) -> Result<String, PolicyError> {
        match &node.value {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.error(
                node,
                format!("`{what}` must be a string, found {}", other.kind()),
            )),
        }
    }

    /// A string or a list of strings; `null` in a list is taken as an empty string, as AWS does.
    fn strings(&self, node: &Node, what: &str) -> Result<Vec<String>, PolicyError> {
        match &node.value {
            Value::String(text) => Ok(vec![text.clone()]),
            Value::Array(items) => items
                .iter()
                .map(|item| match &item.value {
                    Value::String(text) => Ok(text.clone()),
                    Value::Null => Ok(String::new()),
                    other => Err(self.error(
                        item,
                        format!("`{what}` must hold strings, found {}", other.kind()),
                    )),
                })
                .collect(),
            other => Err(self.error(
                node,
                format!(
                    "`{what}` must be a string or a list of strings, found {}",
                    other.kind()
                ),
            )),
        }
    }

    fn policy(&self, root: &Node) -> Result<Policy, PolicyError> {
        let (mut version, mut id, mut statements) = (None, None, None);
        for member in self.object(root, "a policy")? {
            match member.key.as_str() {
                "Version" => version = Some(self.string(&member.node, "Version")?),
                "Id" => id = Some(self.string(&member.node, "Id")?),
                "Statement" => statements = Some(&member.node),
                other => {
                    return Err(PolicyError::at(
                        self.text,
                        member.offset,
                        format!("unknown policy element `{other}`"),
                    ));
                }
            }
        }
        let variables = version.as_deref() == Some("2012-10-17");
        let nodes: Vec<&Node> = match statements {
            None => Vec::new(),
            Some(node) => match &node.value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(_) => vec![node],
                other => {
                    return Err(self.error(
                        node,
                        format!(
                            "`Statement` must be an object or a list, found {}",
                            other.kind()
                        ),
                    ));
                }
            },
        };
        let statements = nodes
            .into_iter()
            .enumerate()
            .map(|(index, node)| self.statement(node, index, variables))
            .collect::<Result<_, _>>()?;
        Ok(Policy {
            text: self.text.into(),
            version,
            id,
            statements,
        })
    }

    fn statement(
        &self,
        node: &Node,
        index: usize,
        variables: bool,
    ) -> Result<Statement, PolicyError> {
        let (mut sid, mut effect, mut principal, mut action, mut resource, mut conditions) =
            (None, None, None, None, None, Vec::new());
        for member in self.object(node, "a statement")? {
            let value = &member.node;
            let twice = |taken: bool, name: &str| {
                if taken {
                    Err(PolicyError::at(
                        self.text,
                        member.offset,
                        format!("a statement cannot have both `{name}` and `Not{name}`"),
                    ))
                } else {
                    Ok(())
                }
            };
            match member.key.as_str() {
                "Sid" => sid = Some(self.string(value, "Sid")?),
                "Effect" => {
                    effect = Some(match self.string(value, "Effect")?.as_str() {
                        "Allow" => Effect::Allow,
                        "Deny" => Effect::Deny,
                        other => {
                            return Err(self.error(
                                value,
                                format!("`Effect` must be `Allow` or `Deny`, found `{other}`"),
                            ));
                        }
                    });
                }
                key @ ("Principal" | "NotPrincipal") => {
                    twice(principal.is_some(), "Principal")?;
                    principal = Some(self.principal(value, key == "NotPrincipal")?);
                }
                key @ ("Action" | "NotAction") => {
                    twice(action.is_some(), "Action")?;
                    action = Some(ActionPattern::new(
                        key == "NotAction",
                        self.strings(value, key)?,
                    ));
                }
                key @ ("Resource" | "NotResource") => {
                    twice(resource.is_some(), "Resource")?;
                    let texts = self.strings(value, key)?;
                    let patterns = texts
                        .iter()
                        .map(|t| ResourcePattern::new(t, variables))
                        .collect();
                    resource = Some(ResourceElement {
                        negated: key == "NotResource",
                        patterns,
                        texts,
                    });
                }
                "Condition" => conditions = self.conditions(value, variables)?,
                other => {
                    return Err(PolicyError::at(
                        self.text,
                        member.offset,
                        format!("unknown statement element `{other}`"),
                    ));
                }
            }
        }
        Ok(Statement {
            sid,
            index,
            position: Position::of(self.text, node.offset),
            effect: effect.ok_or_else(|| self.error(node, "a statement must have `Effect`"))?,
            principal,
            action: action
                .ok_or_else(|| self.error(node, "a statement must have `Action` or `NotAction`"))?,
            resource,
            conditions,
        })
    }

    fn principal(&self, node: &Node, negated: bool) -> Result<PrincipalPattern, PolicyError> {
        let mut entries = Vec::new();
        match &node.value {
            Value::Object(_) => {
                for member in self.object(node, "`Principal`")? {
                    for text in self.strings(&member.node, &member.key)? {
                        entries.push(PrincipalEntry::new(&member.key, &text).ok_or_else(|| {
                            PolicyError::at(
                                self.text,
                                member.offset,
                                format!("unknown kind of principal `{}`", member.key),
                            )
                        })?);
                    }
                }
            }
            _ => {
                entries = self
                    .strings(node, "Principal")?
                    .iter()
                    .map(|text| PrincipalEntry::bare(text))
                    .collect()
            }
        }
        Ok(PrincipalPattern { negated, entries })
    }

    fn conditions(&self, node: &Node, variables: bool) -> Result<Vec<Condition>, PolicyError> {
        let mut out = Vec::new();
        for block in self.object(node, "`Condition`")? {
            let keys = self.object(&block.node, &format!("`{}`", block.key))?;
            let operator = match Operator::parse(&block.key) {
                Some(operator) => operator,
                None if keys.is_empty() => continue,
                None => {
                    return Err(PolicyError::at(
                        self.text,
                        block.offset,
                        format!("unknown condition operator `{}`", block.key),
                    ));
                }
            };
            for member in keys {
                let position = Position::of(self.text, member.offset);
                out.push(match condition_values(&member.node) {
                    Some(values) => Condition::new(
                        &block.key,
                        operator,
                        &member.key,
                        values,
                        position,
                        variables,
                    ),
                    // AWS refuses such a value. It is read as one that nobody knows: the condition may hold or not.
                    None => Condition::unreadable(&block.key, operator, &member.key, position),
                });
            }
        }
        Ok(out)
    }
}

/// The values of a condition as texts; `None` when one of them is neither a string, a number nor a boolean.
fn condition_values(node: &Node) -> Option<Vec<String>> {
    let scalar = |node: &Node| match &node.value {
        Value::String(text) | Value::Number(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    };
    match &node.value {
        Value::Array(items) => items.iter().map(scalar).collect(),
        _ => scalar(node).map(|text| vec![text]),
    }
}

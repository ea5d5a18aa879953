//! Templates of parameters and columns, with names resolved to positions.
use palisade_core::{CallError, Timestamp};
use palisade_model::{Model, ShapeId, ShapeKind, Value};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use std::sync::Arc;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(Box<str>),
    AccountId,
    Region,
    Partition,
    /// A cell of the row.
    Cell(usize),
    /// A value that the parent's row gave.
    Parent(usize),
}

/// Text with places to fill.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Template(pub Vec<Part>);

/// What was found where a value was looked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Read<T> {
    /// A value, which may be NULL.
    Known(T),
    /// The call that should have told failed.
    Unknown(Arc<CallError>),
}

impl<T> Read<T> {
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Read::Known(value) => Read::Known(f(value)),
            Read::Unknown(error) => Read::Unknown(error),
        }
    }
}

/// Gives the values that templates ask for.
pub(crate) trait Lookup {
    fn account_id(&self) -> &str;
    fn region(&self) -> &str;
    fn partition(&self) -> &str;
    fn model(&self) -> &Model;
    /// A cell's value, not masked.
    fn cell(&self, cell: usize) -> Read<Cow<'_, Value>>;
    fn parent(&self, index: usize) -> Read<Cow<'_, Value>>;
}

impl Template {
    /// The text; `None` where a value is NULL.
    pub(crate) fn fill(&self, at: &dyn Lookup) -> Read<Option<String>> {
        let mut out = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Part::AccountId => {
                    out.push_str(at.account_id());
                    continue;
                }
                Part::Region => {
                    out.push_str(at.region());
                    continue;
                }
                Part::Partition => {
                    out.push_str(at.partition());
                    continue;
                }
                Part::Cell(cell) => at.cell(*cell),
                Part::Parent(index) => at.parent(*index),
            };
            match value.map(|v| text_of(&v)) {
                Read::Known(Some(text)) => out.push_str(&text),
                Read::Known(None) => return Read::Known(None),
                Read::Unknown(error) => return Read::Unknown(error),
            }
        }
        Read::Known(Some(out))
    }

    /// The single value that the template consists of.
    fn alone<'l>(&self, at: &'l dyn Lookup) -> Option<Read<Cow<'l, Value>>> {
        match self.0.as_slice() {
            [Part::Cell(cell)] => Some(at.cell(*cell)),
            [Part::Parent(index)] => Some(at.parent(*index)),
            _ => None,
        }
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|p| match p {
            Part::Cell(cell) => Some(*cell),
            _ => None,
        })
    }
}

/// A scalar as text; `None` for NULL and for what has no text form.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::Float(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Timestamp(micros) => Some(Timestamp::from_micros(*micros).to_string()),
        _ => None,
    }
}

/// Parameters of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Params {
    Constant(Json),
    Text(Template, Option<ShapeKind>),
    Object(Vec<(String, Params)>),
    Array(Vec<Params>),
}

impl Params {
    /// Compiles JSON whose texts may be templates. `shape` is the shape of the parameters, for values that are text in a
    /// template and a number for AWS, or the other way round.
    pub(crate) fn compile<E>(
        json: &Json,
        model: &Model,
        shape: Option<ShapeId>,
        template: &mut dyn FnMut(&str) -> Result<Template, E>,
    ) -> Result<Self, E> {
        let described = shape.and_then(|s| model.shape(s));
        Ok(match json {
            Json::String(text) if text.contains("${") => {
                Params::Text(template(text)?, described.map(|s| s.kind))
            }
            Json::Object(members) => {
                let compile = |(name, value): (&String, &Json)| {
                    let member = described.and_then(|s| s.member(name)).map(|(_, m)| m.shape);
                    let inner = member.or_else(|| described?.element.as_deref().map(|m| m.shape));
                    Ok((
                        name.clone(),
                        Params::compile(value, model, inner, template)?,
                    ))
                };
                Params::Object(members.iter().map(compile).collect::<Result<_, E>>()?)
            }
            Json::Array(items) => {
                let inner = described
                    .and_then(|s| s.element.as_deref())
                    .map(|m| m.shape);
                let items = items
                    .iter()
                    .map(|v| Params::compile(v, model, inner, template));
                Params::Array(items.collect::<Result<_, E>>()?)
            }
            other => Params::Constant(other.clone()),
        })
    }

    /// The parameters; `None` where a value that they need is NULL.
    pub(crate) fn fill(&self, at: &dyn Lookup) -> Read<Option<Json>> {
        match self {
            Params::Constant(json) => Read::Known(Some(json.clone())),
            Params::Text(template, kind) => {
                if let Some(alone) = template.alone(at) {
                    return alone
                        .map(|v| (!v.is_null()).then(|| coerced(v.to_json(at.model()), *kind)));
                }
                template
                    .fill(at)
                    .map(|text| text.map(|t| coerced(Json::from(t), *kind)))
            }
            Params::Object(members) => {
                let mut out = Map::new();
                for (name, value) in members {
                    match value.fill(at) {
                        Read::Known(Some(json)) => out.insert(name.clone(), json),
                        other => return other,
                    };
                }
                Read::Known(Some(Json::Object(out)))
            }
            Params::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for value in items {
                    match value.fill(at) {
                        Read::Known(Some(json)) => out.push(json),
                        other => return other,
                    }
                }
                Read::Known(Some(Json::Array(out)))
            }
        }
    }

    pub(crate) fn visit(&self, visitor: &mut dyn FnMut(&Part)) {
        match self {
            Params::Constant(_) => {}
            Params::Text(template, _) => template.0.iter().for_each(visitor),
            Params::Object(members) => members.iter().for_each(|(_, v)| v.visit(visitor)),
            Params::Array(items) => items.iter().for_each(|v| v.visit(visitor)),
        }
    }
}

/// A scalar in the JSON form that the shape has.
fn coerced(json: Json, kind: Option<ShapeKind>) -> Json {
    match (&json, kind) {
        (Json::Number(n), Some(ShapeKind::String)) => Json::from(n.to_string()),
        (Json::Bool(b), Some(ShapeKind::String)) => Json::from(b.to_string()),
        (Json::String(t), Some(ShapeKind::Integer)) => t.parse::<i64>().map_or(json, Json::from),
        (Json::String(t), Some(ShapeKind::Boolean)) => t.parse::<bool>().map_or(json, Json::from),
        _ => json,
    }
}

/// JSON with sorted keys: equal parameters have equal text.
pub(crate) fn canonical(params: &Map<String, Json>) -> String {
    let mut out = String::new();
    write_object(params, &mut out);
    out
}

fn write_object(members: &Map<String, Json>, out: &mut String) {
    let mut sorted: Vec<(&String, &Json)> = members.iter().collect();
    sorted.sort_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&Json::from(name.as_str()).to_string());
        out.push(':');
        write_value(value, out);
    }
    out.push('}');
}

fn write_value(value: &Json, out: &mut String) {
    match value {
        Json::Object(members) => write_object(members, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

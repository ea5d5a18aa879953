//! Whether parameters fit the input of an operation.
use super::Problem;
use crate::suggest;
use crate::template::{TemplatePart, parse_template};
use palisade_model::{Model, Operation, Shape, ShapeId, ShapeKind};
use serde_json::{Map, Value as Json};

/// Everything that is wrong with the parameters of a call. `added` are parameters that are given in another way.
pub(crate) fn problems(
    model: &Model,
    operation: &Operation,
    params: &Map<String, Json>,
    added: &[&str],
) -> Vec<Problem> {
    let mut found = Vec::new();
    let input = operation.input.as_ref().and_then(|i| model.shape(i.shape));
    match input {
        Some(input) => structure(model, input, params, added, &operation.name, &mut found),
        None if params.is_empty() => {}
        None => found.push(Problem::new(format!(
            "`{}` takes no parameters",
            operation.name
        ))),
    }
    found
}

fn structure(
    model: &Model,
    shape: &Shape,
    values: &Map<String, Json>,
    added: &[&str],
    place: &str,
    found: &mut Vec<Problem>,
) {
    for (name, given) in values {
        let Some((_, member)) = shape.member(name) else {
            found.push(Problem {
                message: format!("`{name}` is not a parameter of `{place}`"),
                hint: suggest::hint(name, shape.members.iter().map(|m| m.name.as_str())),
            });
            continue;
        };
        value(
            model,
            member.shape,
            given,
            &format!("{place}.{name}"),
            found,
        );
    }
    for required in &shape.required {
        let token = shape
            .member(required)
            .is_some_and(|(_, m)| m.traits.idempotency_token);
        if !token && !values.contains_key(required) && !added.contains(&required.as_str()) {
            found.push(Problem::new(format!(
                "`{place}` requires the parameter `{required}`"
            )));
        }
    }
}

fn value(model: &Model, id: ShapeId, given: &Json, place: &str, found: &mut Vec<Problem>) {
    let Some(shape) = model.shape(id) else {
        return;
    };
    let expected = match shape.kind {
        ShapeKind::Document => return,
        ShapeKind::Structure | ShapeKind::Union => "a structure",
        ShapeKind::List => "a list",
        ShapeKind::Map => "a map",
        ShapeKind::Boolean => "true or false",
        ShapeKind::Integer => "a whole number",
        ShapeKind::Double => "a number",
        ShapeKind::Blob
        | ShapeKind::Timestamp
        | ShapeKind::String
        | ShapeKind::BigInteger
        | ShapeKind::BigDecimal => "a text",
    };
    // A value that is one template takes the column's own value, of whatever type that is.
    if let Json::String(text) = given
        && let Ok([only]) = parse_template(text).as_deref()
        && !matches!(only, TemplatePart::Text(_))
    {
        return;
    }
    match (shape.kind, given) {
        (ShapeKind::Structure | ShapeKind::Union, Json::Object(map)) => {
            structure(model, shape, map, &[], place, found);
        }
        (ShapeKind::Map, Json::Object(map)) => {
            if let Some(element) = &shape.element {
                for (key, entry) in map {
                    value(
                        model,
                        element.shape,
                        entry,
                        &format!("{place}.{key}"),
                        found,
                    );
                }
            }
        }
        (ShapeKind::List, Json::Array(items)) => {
            if let Some(element) = &shape.element {
                for item in items {
                    value(model, element.shape, item, &format!("{place}[]"), found);
                }
            }
        }
        (ShapeKind::Boolean, Json::Bool(_))
        | (ShapeKind::Timestamp, Json::Number(_))
        | (ShapeKind::Double, Json::Number(_)) => {}
        (ShapeKind::Integer, Json::Number(number)) if number.is_i64() => {}
        (
            ShapeKind::String
            | ShapeKind::Blob
            | ShapeKind::Timestamp
            | ShapeKind::BigInteger
            | ShapeKind::BigDecimal,
            Json::String(_),
        ) => {}
        (kind, _) => found.push(Problem {
            message: format!("`{place}` must be {expected}, not `{given}`"),
            hint: match (kind, given) {
                (ShapeKind::String, Json::Number(_) | Json::Bool(_)) => {
                    Some(format!("write \"{given}\" in quotes"))
                }
                (ShapeKind::List, _) => Some("a list stands in brackets: `[…]`".to_owned()),
                _ => None,
            },
        }),
    }
}

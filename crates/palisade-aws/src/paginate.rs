//! How pages follow each other: `paginators-1.json` over values.
use palisade_model::{Model, Operation, Pagination, Value};
use serde_json::{Map, Value as Json};

/// The service gave the token back that it was asked with: following it would never end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepeatedToken;

/// The parameters of the next page; `None` at the end.
pub(crate) fn next(
    model: &Model,
    operation: &Operation,
    params: &Map<String, Json>,
    answer: &Value,
) -> Result<Option<Map<String, Json>>, RepeatedToken> {
    let Some(pages) = &operation.pagination else {
        return Ok(None);
    };
    if let Some(more) = &pages.more_results
        && find(model, answer, more).is_none_or(|v| *v != Value::Bool(true))
    {
        return Ok(None);
    }
    let Some(tokens) = tokens(model, pages, answer) else {
        return Ok(None);
    };
    let mut next = params.clone();
    for (name, token) in pages.input_tokens.iter().zip(tokens) {
        match token {
            Some(token) => next.insert(name.clone(), token),
            None => next.shift_remove(name),
        };
    }
    if next == *params {
        Err(RepeatedToken)
    } else {
        Ok(Some(next))
    }
}

/// One entry an input token; `None` when there is no token at all.
fn tokens(model: &Model, pages: &Pagination, answer: &Value) -> Option<Vec<Option<Json>>> {
    let token = |expression: &String| match find(model, answer, expression)? {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        token => Some(token.to_json(model)),
    };
    let tokens: Vec<Option<Json>> = pages.output_tokens.iter().map(token).collect();
    tokens.iter().any(Option::is_some).then_some(tokens)
}

/// The JMESPath that paginators use: `a.b`, `x[-1].y`, `a || b`.
fn find<'v>(model: &Model, value: &'v Value, expression: &str) -> Option<&'v Value> {
    expression.split("||").find_map(|path| {
        let found = path.trim().split('.').try_fold(value, |value, part| {
            let (name, last) = part
                .strip_suffix("[-1]")
                .map_or((part, false), |name| (name, true));
            match value.get(model, name)? {
                Value::List(items) if last => items.last(),
                _ if last => None,
                found => Some(found),
            }
        })?;
        (!found.is_null()).then_some(found)
    })
}

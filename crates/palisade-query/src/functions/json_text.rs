//! `json_text(document, path)`: one value of a JSON document, as text.
use super::scalar::{Answer, Function};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;
use serde_json::Value;

/// The value at `$.a.b[0]`: texts as they are, other values as JSON. NULL where there is nothing or a JSON null.
pub(crate) fn json_text() -> ScalarUDF {
    Function::new(
        "json_text",
        vec![DataType::Utf8, DataType::Utf8],
        DataType::Utf8,
        |row| {
            let steps = steps(row.text(1))?;
            let document: Value = serde_json::from_str(row.text(0))
                .map_err(|e| format!("the document is not JSON: {e}"))?;
            let mut value = Some(&document);
            for step in &steps {
                value = value.and_then(|v| match step {
                    Step::Member(name) => v.get(name.as_str()),
                    Step::Element(index) => v.get(index),
                });
            }
            Ok(Answer::Text(match value {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            }))
        },
    )
    .into_udf()
}

enum Step {
    Member(String),
    Element(usize),
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let wrong = || format!("`{path}` is not a path such as `$.a.b[0]`");
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at_checked(end).ok_or_else(wrong)?;
            if name.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Member(name.to_owned()));
            rest = tail;
        } else {
            let after = rest.strip_prefix('[').ok_or_else(wrong)?;
            let (inside, tail) = after.split_once(']').ok_or_else(wrong)?;
            let quoted = inside
                .strip_prefix(['\'', '"'])
                .and_then(|t| t.strip_suffix(['\'', '"']));
            steps.push(match quoted {
                Some(name) => Step::Member(name.to_owned()),
                None => Step::Element(inside.parse().map_err(|_| wrong())?),
            });
            rest = tail;
        }
    }
    Ok(steps)
}

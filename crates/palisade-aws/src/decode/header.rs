//! Members that travel in headers and in the status code.
use super::DecodeError;
use super::plan::{Plans, Use};
use super::scalar;
use aws_smithy_runtime_api::http::Headers;
use palisade_model::{Location, Record, ShapeKind, Value};
use std::borrow::Cow;

/// Fills the members of a REST answer that are not in the body.
pub(super) fn read(
    plans: &Plans,
    record: &mut Record,
    status: u16,
    headers: &Headers,
) -> Result<(), DecodeError> {
    let Some(shape) = plans.model.shape(record.shape) else {
        return Ok(());
    };
    let plan = plans.of(record.shape);
    for ((member, using), field) in shape
        .members
        .iter()
        .zip(&plan.members)
        .zip(&mut record.fields)
    {
        let name = member.traits.location_name.as_deref();
        match member.location {
            Location::StatusCode => *field = Value::Int(i64::from(status)),
            Location::Header => {
                let mut found = headers.get_all(name.unwrap_or(&member.name)).peekable();
                if found.peek().is_some() {
                    *field = value(plans, using, found)?;
                }
            }
            Location::Headers => {
                let prefix = name.unwrap_or_default().to_ascii_lowercase();
                let mut entries = Vec::new();
                for (name, value) in headers.iter() {
                    if let Some(rest) = name.to_ascii_lowercase().strip_prefix(&prefix) {
                        entries.push((Box::from(rest), Value::String(value.into())));
                    }
                }
                entries.sort_by(|(a, _), (b, _): &(Box<str>, Value)| a.cmp(b));
                *field = Value::Map(entries);
            }
            Location::Body | Location::Uri | Location::QueryString => {}
        }
    }
    Ok(())
}

fn value<'h>(
    plans: &Plans,
    using: &Use,
    found: impl Iterator<Item = &'h str>,
) -> Result<Value, DecodeError> {
    let plan = plans.of(using.shape);
    match (using.kind, &plan.element) {
        (ShapeKind::List, Some(element)) => {
            let mut items = Vec::new();
            for line in found {
                for item in split(line, element.kind == ShapeKind::Timestamp) {
                    items.push(scalar::from_text(element, item)?);
                }
            }
            Ok(Value::List(items))
        }
        _ => {
            let text = found.collect::<Vec<_>>().join(", ");
            if using.json_value {
                let bytes = aws_smithy_types::base64::decode(text.trim()).ok();
                let json = bytes.and_then(|b| serde_json::from_slice(&b).ok());
                let json = json
                    .ok_or_else(|| DecodeError::new("a header is not JSON in base64".to_owned()))?;
                return Ok(Value::Json(Box::new(json)));
            }
            scalar::from_text(using, Cow::Owned(text))
        }
    }
}

/// Splits at commas outside quotes. An RFC 822 date has a comma of its own: then every second one counts.
fn split(line: &str, dates: bool) -> Vec<Cow<'_, str>> {
    let mut items = Vec::new();
    let (mut item, mut quoted, mut escaped, mut commas) = (String::new(), false, false, 0usize);
    for letter in line.chars() {
        match letter {
            _ if escaped => {
                item.push(letter);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                commas += 1;
                if dates && commas % 2 == 1 && item.trim().len() == 3 {
                    item.push(letter);
                } else {
                    items.push(Cow::Owned(std::mem::take(&mut item).trim().to_owned()));
                    commas = 0;
                }
            }
            _ => item.push(letter),
        }
    }
    let last = item.trim().to_owned();
    if !last.is_empty() || !items.is_empty() {
        items.push(Cow::Owned(last));
    }
    items
}

//! From the values of one column to an Arrow array.
use crate::access::Mismatch;
use crate::node::{Node, ShapeError};
use crate::secrets;
use crate::text::{decode_base64, masked_json, plain_document};
use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use palisade_catalog::{ColumnType, Transform};
use palisade_model::{Model, Record, ShapeId, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// What the values of a column are, before they are transformed.
#[derive(Debug, Clone, Default)]
pub struct ValueShape {
    /// The model and the shape in it; `None` for values that no API shape describes (templates, CSV, fixtures).
    pub shape: Option<(Arc<Model>, ShapeId)>,
    /// True when `shape` is what each value of a flat list has (paths through lists).
    pub each: bool,
    /// True when AWS marks something on the way to the value as sensitive.
    pub sensitive: bool,
}

/// Builds the array of one column. A value is first prepared, which checks it against the column's type, and then
/// appended: so that all the cells of an answer can be checked before the first is appended.
#[derive(Debug)]
pub struct ColumnBuilder {
    node: Node,
    transform: Transform,
    of: ValueShape,
    rows: usize,
}

impl ColumnBuilder {
    /// A builder of `ty` for values of the given shape.
    ///
    /// # Errors
    /// When a value of that shape cannot fill the type.
    pub fn new(ty: &ColumnType, of: ValueShape, transform: Transform) -> Result<Self, ShapeError> {
        let (model, shape) = match &of.shape {
            Some((model, shape)) => (Some(model), Some(*shape)),
            None => (None, None),
        };
        let node = match (transform, ty) {
            (Transform::None, ColumnType::List(item)) if of.each => {
                Node::list_of(Node::new(item, model, shape, of.sensitive)?, item)
            }
            (Transform::None, _) => Node::new(ty, model, shape, of.sensitive)?,
            (Transform::Tags | Transform::Base64, _) => Node::new(ty, None, None, of.sensitive)?,
            // What these say about a sensitive value does not hold the value.
            (
                Transform::Secrets
                | Transform::SecretsOfBase64
                | Transform::Json
                | Transform::Keys
                | Transform::Count,
                _,
            ) => Node::new(ty, None, None, false)?,
        };
        Ok(Self {
            node,
            transform,
            of,
            rows: 0,
        })
    }

    /// A builder of `ty` for values that no API shape describes.
    ///
    /// # Errors
    /// Never for such values; the signature is that of [`ColumnBuilder::new`].
    pub fn plain(ty: &ColumnType) -> Result<Self, ShapeError> {
        Self::new(ty, ValueShape::default(), Transform::None)
    }

    /// The value as it will be stored: transformed, and of the column's type.
    ///
    /// # Errors
    /// When it is not what the type needs: the answer is malformed.
    pub fn prepare<'v>(&self, value: &'v Value) -> Result<Cow<'v, Value>, Mismatch> {
        let value = transformed(value, self.transform, &self.of)?;
        self.node.fits(&value)?;
        Ok(value)
    }

    /// Appends what [`ColumnBuilder::prepare`] gave.
    pub fn append(&mut self, prepared: &Value) {
        self.rows += 1;
        self.node.append(prepared);
    }

    /// Appends NULL.
    pub fn append_null(&mut self) {
        self.append(&Value::Null);
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The array; the builder starts again.
    ///
    /// # Errors
    /// When Arrow refuses the parts, which would be a bug of ours.
    pub fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.rows = 0;
        self.node.finish()
    }
}

/// A value as its column's transform leaves it. Nothing is hidden yet: what comes back may be a secret.
///
/// # Errors
/// When the value is none that the transform can work on.
pub fn transformed<'v>(
    value: &'v Value,
    transform: Transform,
    of: &ValueShape,
) -> Result<Cow<'v, Value>, Mismatch> {
    if value.is_null() {
        return Ok(Cow::Borrowed(value));
    }
    let model = of.shape.as_ref().map(|(m, _)| m.as_ref());
    Ok(match transform {
        Transform::None => Cow::Borrowed(value),
        Transform::Tags => Cow::Owned(tags(value, model)?),
        Transform::Secrets => Cow::Owned(found_secrets(value, model)),
        Transform::SecretsOfBase64 => {
            // What does not decode is searched as it is.
            let decoded = |value: &Value| match value {
                Value::String(coded) => match decode_base64(coded) {
                    Some(bytes) => Value::Blob(bytes.into()),
                    None => value.clone(),
                },
                other => other.clone(),
            };
            Cow::Owned(match value {
                Value::List(items) => {
                    found_secrets(&Value::List(items.iter().map(decoded).collect()), model)
                }
                one => found_secrets(&decoded(one), model),
            })
        }
        Transform::Base64 => Cow::Owned(match value {
            Value::List(items) => {
                Value::List(items.iter().map(text_of_base64).collect::<Result<_, _>>()?)
            }
            one => text_of_base64(one)?,
        }),
        Transform::Json => Cow::Owned(match (value, model) {
            (Value::String(document), _) => {
                if of.sensitive {
                    text(crate::text::HIDDEN)
                } else {
                    text(&plain_document(document))
                }
            }
            (other, Some(model)) => {
                let shape = of.shape.as_ref().map(|(_, s)| *s).filter(|_| !of.each);
                text(&masked_json(other, model, shape, of.sensitive).to_string())
            }
            (other, None) => {
                text(&masked_json(other, &Model::default(), None, of.sensitive).to_string())
            }
        }),
        Transform::Keys => Cow::Owned(match value {
            Value::Map(entries) => Value::List(entries.iter().map(|(k, _)| text(k)).collect()),
            other => return Err(Mismatch::new("a map", other, "")),
        }),
        Transform::Count => {
            let count = match value {
                Value::List(items) => items.len(),
                Value::Map(entries) => entries.len(),
                other => return Err(Mismatch::new("a list", other, "")),
            };
            Cow::Owned(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
        }
    })
}

fn text_of_base64(value: &Value) -> Result<Value, Mismatch> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Blob(bytes) => Ok(text(&String::from_utf8_lossy(bytes))),
        Value::String(coded) => {
            let bytes = decode_base64(coded).ok_or_else(|| Mismatch::new("base64", value, ""))?;
            Ok(text(&String::from_utf8_lossy(&bytes)))
        }
        other => Err(Mismatch::new("base64", other, "")),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn found_secrets(value: &Value, model: Option<&Model>) -> Value {
    let found = secrets::in_value(value, model.unwrap_or(&Model::default()));
    let entry = |secret: secrets::Secret| {
        Value::Struct(Box::new(Record {
            shape: ShapeId(0),
            fields: vec![text(&secret.name), text(secret.kind.as_str())],
        }))
    };
    Value::List(found.into_iter().map(entry).collect())
}

/// Tags as AWS gives them (a map, or a list of key and value under various names) → a map.
fn tags(value: &Value, model: Option<&Model>) -> Result<Value, Mismatch> {
    let wrong = |v: &Value| Mismatch::new("key and value", v, "tags");
    match value {
        Value::Map(entries) => Ok(Value::Map(entries.clone())),
        Value::List(items) => {
            let pair = |item: &Value| {
                let Value::Struct(record) = item else {
                    return Err(wrong(item));
                };
                let members = model
                    .and_then(|m| m.shape(record.shape))
                    .map(|s| s.members.as_slice());
                let mut key = None;
                let mut inner = Value::Null;
                for (member, field) in members.unwrap_or_default().iter().zip(&record.fields) {
                    let name = member.name.to_ascii_lowercase();
                    match name.strip_prefix("tag").unwrap_or(&name) {
                        "key" => key = field.as_str(),
                        "value" => inner = field.clone(),
                        _ => {}
                    }
                }
                let key = key.ok_or_else(|| wrong(item))?;
                Ok((Box::from(key), inner))
            };
            items
                .iter()
                .map(pair)
                .collect::<Result<_, _>>()
                .map(Value::Map)
        }
        other => Err(wrong(other)),
    }
}

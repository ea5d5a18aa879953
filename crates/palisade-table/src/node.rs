//! Builders of Arrow arrays that follow the column's type, positionally.
use crate::access::{Mismatch, find_member};
use crate::text::{HIDDEN, encode_base64, masked_json, plain_document};
use crate::types::{UTC, arrow_type, entries_field, list_field, struct_fields};
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, ListArray, MapArray, NullBufferBuilder,
    StringBuilder, StructArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, FieldRef, Fields};
use arrow::error::ArrowError;
use palisade_catalog::ColumnType;
use palisade_model::{Model, ShapeId, ShapeKind, Value};
use std::borrow::Cow;
use std::sync::Arc;

/// How a text column reads its values.
#[derive(Debug, Clone)]
enum Form {
    /// As it is.
    Plain,
    /// A policy document, percent-encoded by IAM.
    Document,
    /// JSON of whatever is there.
    Json(Arc<Model>, Option<ShapeId>),
}

#[derive(Debug)]
pub(crate) struct Node {
    kind: Kind,
    hidden: bool,
}

#[derive(Debug)]
enum Kind {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder, Form),
    Timestamp(TimestampMicrosecondBuilder),
    List {
        item: Box<Node>,
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
        field: FieldRef,
    },
    Map {
        keys: StringBuilder,
        value: Box<Node>,
        lengths: Vec<usize>,
        nulls: NullBufferBuilder,
        field: FieldRef,
    },
    Struct {
        /// Each with the position of its member: hidden members have no field.
        children: Vec<(usize, Node)>,
        /// How many members the structure has.
        width: usize,
        fields: Fields,
        nulls: NullBufferBuilder,
    },
}

/// A column type that its shape cannot fill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the shape `{shape}` cannot fill a column of type {ty}")]
pub struct ShapeError {
    /// The shape's name.
    pub shape: String,
    /// The Arrow type.
    pub ty: String,
}

impl Node {
    /// A scan has thousands of these, most of them for tables without rows: none reserves memory before its first value
    /// (Arrow's own default is room for 1,024).
    ///
    /// `shape` is the shape of the values in `model`; without one nothing is known to be sensitive.
    pub(crate) fn new(
        ty: &ColumnType,
        model: Option<&Arc<Model>>,
        shape: Option<ShapeId>,
        hidden: bool,
    ) -> Result<Self, ShapeError> {
        let described = model.zip(shape).and_then(|(m, s)| m.shape(s));
        let hidden = hidden || described.is_some_and(|s| s.traits.sensitive);
        let unfit = || ShapeError {
            shape: described.map(|s| s.name.clone()).unwrap_or_default(),
            ty: arrow_type(ty).to_string(),
        };
        let wanted = |kinds: &[ShapeKind]| match described {
            Some(s) if !kinds.contains(&s.kind) => Err(unfit()),
            _ => Ok(()),
        };
        let element = |what: &ColumnType| {
            let member = described.and_then(|s| s.element.as_deref());
            let hidden = hidden || member.is_some_and(|m| m.traits.sensitive);
            Node::new(what, model, member.map(|m| m.shape), hidden).map(Box::new)
        };
        let kind = match ty {
            ColumnType::Boolean => {
                wanted(&[ShapeKind::Boolean])?;
                Kind::Boolean(BooleanBuilder::with_capacity(0))
            }
            ColumnType::Integer => {
                wanted(&[ShapeKind::Integer])?;
                Kind::Integer(Int64Builder::with_capacity(0))
            }
            ColumnType::Float => {
                wanted(&[ShapeKind::Double, ShapeKind::Integer])?;
                Kind::Float(Float64Builder::with_capacity(0))
            }
            ColumnType::Timestamp => {
                wanted(&[ShapeKind::Timestamp])?;
                Kind::Timestamp(TimestampMicrosecondBuilder::with_capacity(0).with_timezone(UTC))
            }
            ColumnType::Text => {
                let form = match (model, described.map(|s| s.kind)) {
                    (Some(m), Some(ShapeKind::String)) if is_policy(m, shape) => Form::Document,
                    (
                        Some(m),
                        Some(
                            ShapeKind::Structure
                            | ShapeKind::Union
                            | ShapeKind::List
                            | ShapeKind::Map
                            | ShapeKind::Document,
                        ),
                    ) => Form::Json(Arc::clone(m), shape),
                    (Some(m), Some(ShapeKind::String))
                        if described.is_some_and(|s| s.traits.json_value) =>
                    {
                        Form::Json(Arc::clone(m), shape)
                    }
                    _ => Form::Plain,
                };
                Kind::Text(StringBuilder::with_capacity(0, 0), form)
            }
            ColumnType::List(item) => {
                wanted(&[ShapeKind::List])?;
                Kind::List {
                    item: element(item)?,
                    lengths: Vec::new(),
                    nulls: NullBufferBuilder::new(0),
                    field: list_field(arrow_type(item)),
                }
            }
            ColumnType::Map(value) => {
                wanted(&[ShapeKind::Map])?;
                Kind::Map {
                    keys: StringBuilder::with_capacity(0, 0),
                    value: element(value)?,
                    lengths: Vec::new(),
                    nulls: NullBufferBuilder::new(0),
                    field: entries_field(arrow_type(value)),
                }
            }
            ColumnType::Struct(fields) => {
                wanted(&[ShapeKind::Structure, ShapeKind::Union])?;
                let complete = described.is_none_or(|s| s.members.len() == fields.len());
                let child = |(index, (name, ty)): (usize, &(String, ColumnType))| {
                    let (index, member) = match described {
                        None => (index, None),
                        Some(s) if complete => (index, s.members.get(index)),
                        Some(s) => find_member(s, name)
                            .map(|(i, m)| (i, Some(m)))
                            .ok_or_else(unfit)?,
                    };
                    let hidden = hidden || member.is_some_and(|m| m.traits.sensitive);
                    Ok((
                        index,
                        Node::new(ty, model, member.map(|m| m.shape), hidden)?,
                    ))
                };
                Kind::Struct {
                    children: fields
                        .iter()
                        .enumerate()
                        .map(child)
                        .collect::<Result<_, _>>()?,
                    width: described.map_or(fields.len(), |s| s.members.len()),
                    fields: struct_fields(fields),
                    nulls: NullBufferBuilder::new(0),
                }
            }
        };
        Ok(Self { kind, hidden })
    }

    /// A list of what this node takes: for paths through lists.
    pub(crate) fn list_of(item: Node, ty: &ColumnType) -> Self {
        let kind = Kind::List {
            item: Box::new(item),
            lengths: Vec::new(),
            nulls: NullBufferBuilder::new(0),
            field: list_field(arrow_type(ty)),
        };
        Self {
            kind,
            hidden: false,
        }
    }

    /// Whether the value can be appended.
    pub(crate) fn fits(&self, value: &Value) -> Result<(), Mismatch> {
        let wrong = |expected| Err(Mismatch::new(expected, value, ""));
        if self.hidden && matches!(self.kind, Kind::Text(..)) {
            return Ok(());
        }
        match (&self.kind, value) {
            (_, Value::Null)
            | (Kind::Boolean(_), Value::Bool(_))
            | (Kind::Integer(_), Value::Int(_))
            | (Kind::Float(_), Value::Float(_) | Value::Int(_))
            | (Kind::Timestamp(_), Value::Timestamp(_))
            | (Kind::Text(_, Form::Json(..)), _)
            | (Kind::Text(..), Value::String(_) | Value::Blob(_) | Value::Json(_)) => Ok(()),
            (Kind::List { item, .. }, Value::List(items)) => {
                items.iter().try_for_each(|v| item.fits(v))
            }
            (Kind::Map { value, .. }, Value::Map(entries)) => {
                entries.iter().try_for_each(|(_, v)| value.fits(v))
            }
            (
                Kind::Struct {
                    children,
                    fields,
                    width,
                    ..
                },
                Value::Struct(record),
            ) => {
                if record.fields.len() != *width {
                    return wrong("a structure of the model");
                }
                for ((index, child), field) in children.iter().zip(fields) {
                    let v = record.fields.get(*index).unwrap_or(&Value::Null);
                    child.fits(v).map_err(|m| within(m, field.name()))?;
                }
                Ok(())
            }
            (Kind::Boolean(_), _) => wrong("true or false"),
            (Kind::Integer(_), _) => wrong("a whole number"),
            (Kind::Float(_), _) => wrong("a number"),
            (Kind::Timestamp(_), _) => wrong("a timestamp"),
            (Kind::Text(..), _) => wrong("text"),
            (Kind::List { .. }, _) => wrong("a list"),
            (Kind::Map { .. }, _) => wrong("a map"),
            (Kind::Struct { .. }, _) => wrong("a structure"),
        }
    }

    /// Appends a value that [`Node::fits`]; anything else is NULL.
    pub(crate) fn append(&mut self, value: &Value) {
        let hidden = self.hidden;
        match (&mut self.kind, value) {
            (Kind::Boolean(b), Value::Bool(v)) if !hidden => b.append_value(*v),
            (Kind::Boolean(b), _) => b.append_null(),
            (Kind::Integer(b), Value::Int(v)) if !hidden => b.append_value(*v),
            (Kind::Integer(b), _) => b.append_null(),
            (Kind::Float(b), Value::Float(v)) if !hidden => b.append_value(*v),
            #[expect(
                clippy::cast_precision_loss,
                reason = "AWS writes whole floats without a point"
            )]
            (Kind::Float(b), Value::Int(v)) if !hidden => b.append_value(*v as f64),
            (Kind::Float(b), _) => b.append_null(),
            (Kind::Timestamp(b), Value::Timestamp(v)) if !hidden => b.append_value(*v),
            (Kind::Timestamp(b), _) => b.append_null(),
            (Kind::Text(b, form), v) => match text_of(form, v, hidden) {
                Some(text) => b.append_value(text),
                None => b.append_null(),
            },
            (
                Kind::List {
                    item,
                    lengths,
                    nulls,
                    ..
                },
                Value::List(items),
            ) => {
                items.iter().for_each(|v| item.append(v));
                lengths.push(items.len());
                nulls.append_non_null();
            }
            (
                Kind::Map {
                    keys,
                    value,
                    lengths,
                    nulls,
                    ..
                },
                Value::Map(entries),
            ) => {
                let mut sorted: Vec<&(Box<str>, Value)> = entries.iter().collect();
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
                // A key that is given twice keeps its first value: Arrow maps have unique keys.
                sorted.dedup_by(|later, first| later.0 == first.0);
                for (key, v) in &sorted {
                    keys.append_value(key);
                    value.append(v);
                }
                lengths.push(sorted.len());
                nulls.append_non_null();
            }
            (Kind::List { lengths, nulls, .. } | Kind::Map { lengths, nulls, .. }, _) => {
                lengths.push(0);
                nulls.append_null();
            }
            (
                Kind::Struct {
                    children, nulls, ..
                },
                Value::Struct(record),
            ) => {
                for (index, child) in children.iter_mut() {
                    child.append(record.fields.get(*index).unwrap_or(&Value::Null));
                }
                nulls.append_non_null();
            }
            (
                Kind::Struct {
                    children, nulls, ..
                },
                _,
            ) => {
                children
                    .iter_mut()
                    .for_each(|(_, c)| c.append(&Value::Null));
                nulls.append_null();
            }
        }
    }

    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        Ok(match &mut self.kind {
            Kind::Boolean(b) => Arc::new(b.finish()),
            Kind::Integer(b) => Arc::new(b.finish()),
            Kind::Float(b) => Arc::new(b.finish()),
            Kind::Timestamp(b) => Arc::new(b.finish()),
            Kind::Text(b, _) => Arc::new(b.finish()),
            Kind::List {
                item,
                lengths,
                nulls,
                field,
            } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let values = item.finish()?;
                Arc::new(ListArray::try_new(
                    Arc::clone(field),
                    offsets,
                    values,
                    nulls.finish(),
                )?)
            }
            Kind::Map {
                keys,
                value,
                lengths,
                nulls,
                field,
            } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let DataType::Struct(fields) = field.data_type().clone() else {
                    return Err(ArrowError::SchemaError(
                        "map entries are a structure".to_owned(),
                    ));
                };
                let columns: Vec<ArrayRef> = vec![Arc::new(keys.finish()), value.finish()?];
                let entries = StructArray::try_new(fields, columns, None)?;
                Arc::new(MapArray::try_new(
                    Arc::clone(field),
                    offsets,
                    entries,
                    nulls.finish(),
                    true,
                )?)
            }
            Kind::Struct {
                children,
                fields,
                nulls,
                ..
            } => {
                let columns = children.iter_mut().map(|(_, c)| c.finish());
                let columns: Result<Vec<ArrayRef>, ArrowError> = columns.collect();
                let len = nulls.len();
                Arc::new(StructArray::try_new_with_length(
                    fields.clone(),
                    columns?,
                    nulls.finish(),
                    len,
                )?)
            }
        })
    }
}

fn within(mut mismatch: Mismatch, field: &str) -> Mismatch {
    mismatch.place = if mismatch.place.is_empty() {
        field.to_owned()
    } else {
        format!("{field}.{}", mismatch.place)
    };
    mismatch
}

/// IAM's policy documents are percent-encoded JSON (IAM API Reference, `GetPolicyVersion`).
fn is_policy(model: &Model, shape: Option<ShapeId>) -> bool {
    let named = shape.and_then(|s| model.shape(s));
    model.name == "iam" && named.is_some_and(|s| s.name == "policyDocumentType")
}

fn text_of<'v>(form: &Form, value: &'v Value, hidden: bool) -> Option<Cow<'v, str>> {
    match (form, value) {
        (_, Value::Null) => None,
        (Form::Json(model, shape), Value::String(text)) if !hidden => {
            let text_itself = shape
                .and_then(|s| model.shape(s))
                .is_some_and(|s| s.kind == ShapeKind::String);
            Some(if text_itself {
                Cow::Borrowed(text.as_ref())
            } else {
                Cow::Owned(masked_json(value, model, *shape, false).to_string())
            })
        }
        (Form::Json(model, shape), v) => Some(Cow::Owned(
            masked_json(v, model, *shape, hidden).to_string(),
        )),
        _ if hidden => Some(Cow::Borrowed(HIDDEN)),
        (Form::Document, Value::String(text)) => Some(Cow::Owned(plain_document(text))),
        (_, Value::String(text)) => Some(Cow::Borrowed(text)),
        (_, Value::Blob(bytes)) => Some(Cow::Owned(encode_base64(bytes))),
        (_, Value::Json(json)) => Some(Cow::Owned(json.to_string())),
        _ => None,
    }
}

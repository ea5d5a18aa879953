//! Parameters (JSON by the model's names) → AWS's serialisers.
use super::EncodeError;
use super::schema::{Builder, Built, BuiltMember};
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_schema::{Schema, prelude};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{BigDecimal, BigInteger, Blob, DateTime, Document, Number};
use palisade_model::{Protocol, ShapeId, ShapeKind};
use serde_json::{Map, Value as Json};
use std::str::FromStr;

type Result<T> = std::result::Result<T, SerdeError>;

fn expected(what: &str, found: &Json) -> SerdeError {
    let found = match found {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    SerdeError::invalid_input(format!("expected {what}, found {found}"))
}

fn damaged() -> SerdeError {
    SerdeError::invalid_input("the API model refers to a shape that it lacks".to_owned())
}

/// Every key must be a member; a misspelt one would otherwise be lost.
pub(super) fn check_names(
    shape: &palisade_model::Shape,
    params: &Map<String, Json>,
) -> std::result::Result<(), EncodeError> {
    for name in params.keys() {
        if shape.member(name).is_none() {
            return Err(EncodeError::new(format!(
                "`{}` has no member `{name}`",
                shape.name
            )));
        }
    }
    Ok(())
}

/// A structure's values beside its schema.
pub(super) struct Structure<'a, 's> {
    pub(super) builder: &'a Builder<'s>,
    pub(super) built: &'s Built<'s>,
    pub(super) schema: &'s Schema<'s>,
    pub(super) values: &'a Map<String, Json>,
}

impl SerializableStruct for Structure<'_, '_> {
    fn schema(&self) -> &Schema<'_> {
        self.schema
    }

    fn serialize_members(&self, out: &mut dyn ShapeSerializer) -> Result<()> {
        check_names(self.built.shape, self.values)
            .map_err(|e| SerdeError::invalid_input(e.to_string()))?;
        for BuiltMember {
            member,
            schema,
            payload,
            json_value,
        } in &self.built.members
        {
            match self.values.get(&member.name) {
                None | Some(Json::Null) => {}
                Some(Json::String(text)) if *json_value => out.write_string(schema, text)?,
                Some(value) if *json_value => out.write_string(schema, &value.to_string())?,
                Some(value) => write(
                    out,
                    self.builder,
                    payload.unwrap_or(schema),
                    member.shape,
                    value,
                )?,
            }
        }
        Ok(())
    }
}

/// The input of an operation that takes none.
pub(super) struct Nothing<'s>(pub(super) &'s Schema<'s>);

impl SerializableStruct for Nothing<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.0
    }

    fn serialize_members(&self, _: &mut dyn ShapeSerializer) -> Result<()> {
        Ok(())
    }
}

fn write(
    out: &mut dyn ShapeSerializer,
    builder: &Builder<'_>,
    schema: &Schema<'_>,
    shape: ShapeId,
    value: &Json,
) -> Result<()> {
    let built = builder.shape(shape).ok_or_else(damaged)?;
    let element = || built.element.ok_or_else(damaged);
    match built.shape.kind {
        ShapeKind::Structure | ShapeKind::Union => {
            let values = value
                .as_object()
                .ok_or_else(|| expected("an object", value))?;
            out.write_struct(
                schema,
                &Structure {
                    builder,
                    built,
                    schema: built.schema,
                    values,
                },
            )
        }
        ShapeKind::List => {
            let items = value.as_array().ok_or_else(|| expected("a list", value))?;
            // ec2 leaves empty lists out; AWS's query serialiser writes them.
            if items.is_empty() && builder.protocol == Protocol::Ec2 {
                return Ok(());
            }
            let (member, element) = element()?;
            out.write_list_with_length(schema, items.len(), &|out| {
                items
                    .iter()
                    .try_for_each(|item| write_element(out, builder, element, member.shape, item))
            })
        }
        ShapeKind::Map => {
            let entries = value
                .as_object()
                .ok_or_else(|| expected("an object", value))?;
            let (member, element) = element()?;
            out.write_map_with_length(schema, entries.len(), &|out| {
                entries.iter().try_for_each(|(key, item)| {
                    out.write_string(&prelude::STRING, key)?;
                    write_element(out, builder, element, member.shape, item)
                })
            })
        }
        kind => write_scalar(out, schema, kind, value),
    }
}

fn write_element(
    out: &mut dyn ShapeSerializer,
    builder: &Builder<'_>,
    schema: &Schema<'_>,
    shape: ShapeId,
    value: &Json,
) -> Result<()> {
    match value {
        Json::Null => out.write_null(schema),
        value => write(out, builder, schema, shape, value),
    }
}

fn write_scalar(
    out: &mut dyn ShapeSerializer,
    schema: &Schema<'_>,
    kind: ShapeKind,
    value: &Json,
) -> Result<()> {
    match kind {
        ShapeKind::Boolean => out.write_boolean(
            schema,
            value
                .as_bool()
                .ok_or_else(|| expected("true or false", value))?,
        ),
        ShapeKind::Integer => out.write_long(
            schema,
            value
                .as_i64()
                .ok_or_else(|| expected("a whole number", value))?,
        ),
        ShapeKind::Double => {
            let number = value.as_f64().or_else(|| match value.as_str()? {
                "NaN" => Some(f64::NAN),
                "Infinity" => Some(f64::INFINITY),
                "-Infinity" => Some(f64::NEG_INFINITY),
                _ => None,
            });
            out.write_double(schema, number.ok_or_else(|| expected("a number", value))?)
        }
        ShapeKind::BigInteger => {
            let number = BigInteger::from_str(&plain(value));
            out.write_big_integer(
                schema,
                &number.map_err(|_| expected("a whole number", value))?,
            )
        }
        ShapeKind::BigDecimal => {
            let number = BigDecimal::from_str(&plain(value));
            out.write_big_decimal(schema, &number.map_err(|_| expected("a number", value))?)
        }
        ShapeKind::Blob => {
            let text = value
                .as_str()
                .ok_or_else(|| expected("base64 text", value))?;
            let bytes = aws_smithy_types::base64::decode(text)
                .map_err(|_| expected("base64 text", value))?;
            out.write_blob(schema, Blob::new(bytes))
        }
        ShapeKind::Timestamp => out.write_timestamp(schema, &timestamp(value)?),
        ShapeKind::Document => out.write_document(schema, &document(value)),
        _ => match value {
            Json::String(text) => out.write_string(schema, text),
            Json::Bool(_) | Json::Number(_) => out.write_string(schema, &value.to_string()),
            _ => Err(expected("text", value)),
        },
    }
}

/// A number, or a number in quotes.
fn plain(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn timestamp(value: &Json) -> Result<DateTime> {
    if let Some(seconds) = value.as_i64() {
        return Ok(DateTime::from_secs(seconds));
    }
    if let Some(seconds) = value.as_f64() {
        return Ok(DateTime::from_secs_f64(seconds));
    }
    let parsed = value
        .as_str()
        .and_then(|t| DateTime::from_str(t, Format::DateTimeWithOffset).ok());
    parsed.ok_or_else(|| expected("an RFC 3339 timestamp or seconds since 1970", value))
}

fn document(value: &Json) -> Document {
    match value {
        Json::Null => Document::Null,
        Json::Bool(flag) => Document::Bool(*flag),
        Json::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => Number::PosInt(n),
            (_, Some(n)) => Number::NegInt(n),
            _ => Number::Float(number.as_f64().unwrap_or_default()),
        }),
        Json::String(text) => Document::String(text.clone()),
        Json::Array(items) => Document::Array(items.iter().map(document).collect()),
        Json::Object(members) => Document::Object(
            members
                .iter()
                .map(|(k, v)| (k.clone(), document(v)))
                .collect(),
        ),
    }
}

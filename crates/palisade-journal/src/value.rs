//! Answers as bytes.
use crate::bytes::{Reader, put_bytes, put_length, put_number, put_signed};
use palisade_model::{Member, Model, Record, ShapeId, ShapeKind, Value};

/// How deep an answer may be nested: deeper than any of AWS's, and not so deep that reading it takes all of the stack.
const DEEPEST: usize = 128;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
const FLOAT: u8 = 4;
const STRING: u8 = 5;
const TIMESTAMP: u8 = 6;
const BLOB: u8 = 7;
const LIST: u8 = 8;
const MAP: u8 = 9;
const STRUCT: u8 = 10;
const JSON: u8 = 11;

/// Writes a value: a byte that says what it is, then what it holds.
pub(crate) fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Int(number) => {
            out.push(INT);
            put_signed(*number, out);
        }
        Value::Float(number) => {
            out.push(FLOAT);
            out.extend(number.to_bits().to_le_bytes());
        }
        Value::String(text) => {
            out.push(STRING);
            put_bytes(text.as_bytes(), out);
        }
        Value::Timestamp(micros) => {
            out.push(TIMESTAMP);
            put_signed(*micros, out);
        }
        Value::Blob(bytes) => {
            out.push(BLOB);
            put_bytes(bytes, out);
        }
        Value::List(items) => {
            out.push(LIST);
            put_length(items.len(), out);
            items.iter().for_each(|item| put(item, out));
        }
        Value::Map(entries) => {
            out.push(MAP);
            put_length(entries.len(), out);
            for (key, value) in entries {
                put_bytes(key.as_bytes(), out);
                put(value, out);
            }
        }
        Value::Struct(record) => {
            out.push(STRUCT);
            put_number(record.shape.0.into(), out);
            put_length(record.fields.len(), out);
            record.fields.iter().for_each(|field| put(field, out));
        }
        Value::Json(json) => {
            out.push(JSON);
            put_bytes(json.to_string().as_bytes(), out);
        }
    }
}

/// Reads a value; nothing when the bytes are none.
pub(crate) fn take(reader: &mut Reader<'_>) -> Option<Value> {
    take_within(reader, DEEPEST)
}

fn take_within(reader: &mut Reader<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match reader.byte()? {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        INT => Value::Int(reader.signed()?),
        FLOAT => Value::Float(f64::from_bits(u64::from_le_bytes(reader.fixed()?))),
        STRING => Value::String(reader.text()?.into()),
        TIMESTAMP => Value::Timestamp(reader.signed()?),
        BLOB => Value::Blob(reader.bytes()?.into()),
        LIST => {
            let count = reader.count()?;
            let items = (0..count).map(|_| take_within(reader, depth));
            Value::List(items.collect::<Option<_>>()?)
        }
        MAP => {
            let count = reader.count()?;
            let entries = (0..count).map(|_| {
                let key = reader.text()?.into();
                Some((key, take_within(reader, depth)?))
            });
            Value::Map(entries.collect::<Option<_>>()?)
        }
        STRUCT => {
            let shape = ShapeId(u32::try_from(reader.number()?).ok()?);
            let count = reader.count()?;
            let fields = (0..count).map(|_| take_within(reader, depth));
            Value::Struct(Box::new(Record {
                shape,
                fields: fields.collect::<Option<_>>()?,
            }))
        }
        JSON => Value::Json(Box::new(serde_json::from_slice(reader.bytes()?).ok()?)),
        _ => return None,
    })
}

/// Whether a value is one of this shape in all its depth: members are told by their position, which another build may
/// have changed.
pub(crate) fn is_of(value: &Value, model: &Model, shape: ShapeId) -> bool {
    let Some(described) = model.shape(shape) else {
        return false;
    };
    // JSON carried in a string may be anything
    if described.traits.json_value {
        return true;
    }
    match value {
        Value::Struct(record) => {
            let mut members = described.members.iter().zip(&record.fields);
            record.shape == shape
                && described.is_structure()
                && described.members.len() == record.fields.len()
                && members.all(|(member, field)| {
                    member.traits.json_value || is_of(field, model, member.shape)
                })
        }
        Value::List(items) => match (&described.element, described.kind) {
            (Some(element), ShapeKind::List) => {
                items.iter().all(|item| is_of(item, model, element.shape))
            }
            _ => false,
        },
        Value::Map(entries) => match (&described.element, described.kind) {
            (Some(element), ShapeKind::Map) => entries
                .iter()
                .all(|(_, value)| is_of(value, model, element.shape)),
            _ => false,
        },
        other => other.fits(described.kind),
    }
}

/// Whether something of a value is there that AWS's model marks as sensitive: passwords, environment variables, names of
/// people. JSON carried in a string is not looked into.
pub(crate) fn has_sensitive(value: &Value, model: &Model, shape: ShapeId) -> bool {
    let Some(described) = model.shape(shape) else {
        return false;
    };
    if described.traits.sensitive {
        return !value.is_null();
    }
    let of = |member: &Member, value: &Value| {
        (member.traits.sensitive && !value.is_null()) || has_sensitive(value, model, member.shape)
    };
    match value {
        Value::Struct(record) => {
            let mut members = described.members.iter().zip(&record.fields);
            members.any(|(member, field)| of(member, field))
        }
        Value::List(items) => {
            let element = described.element.as_ref();
            element.is_some_and(|element| items.iter().any(|item| of(element, item)))
        }
        Value::Map(entries) => {
            let element = described.element.as_ref();
            element.is_some_and(|element| entries.iter().any(|(_, value)| of(element, value)))
        }
        _ => false,
    }
}

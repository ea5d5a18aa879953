//! What an API answer decodes to.
use crate::{Model, ShapeId, ShapeKind};

/// A decoded value. Structures hold their members by position, so that a million rows share one set of names.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Absent.
    #[default]
    Null,
    /// true or false
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Floating point number.
    Float(f64),
    /// Text; also big numbers, as they were written.
    String(Box<str>),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Bytes.
    Blob(Box<[u8]>),
    /// Elements in order.
    List(Vec<Value>),
    /// Entries in the order of the answer.
    Map(Vec<(Box<str>, Value)>),
    /// A structure or union.
    Struct(Box<Record>),
    /// A document: any JSON.
    Json(Box<serde_json::Value>),
}

/// A structure: members by position in its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The structure's shape in its model.
    pub shape: ShapeId,
    /// As many as the shape has members; absent ones are [`Value::Null`].
    pub fields: Vec<Value>,
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
    /// True for [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
    /// The member of a structure or the entry of a map.
    pub fn get<'v>(&'v self, model: &Model, name: &str) -> Option<&'v Value> {
        match self {
            Value::Struct(record) => {
                let (index, _) = model.shape(record.shape)?.member(name)?;
                record.fields.get(index)
            }
            Value::Map(entries) => entries
                .iter()
                .find(|(key, _)| key.as_ref() == name)
                .map(|(_, value)| value),
            _ => None,
        }
    }
    /// As JSON with the API's own member names; nulls inside structures are left out, bytes are base64,
    /// timestamps RFC 3339.
    pub fn to_json(&self, model: &Model) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(n) => Json::from(*n),
            Value::Float(n) => serde_json::Number::from_f64(*n)
                .map_or_else(|| Json::from(n.to_string()), Json::Number),
            Value::String(text) => Json::from(text.as_ref()),
            Value::Timestamp(micros) => {
                Json::from(palisade_core::Timestamp::from_micros(*micros).to_string())
            }
            Value::Blob(bytes) => Json::from(base64(bytes)),
            Value::List(items) => items.iter().map(|v| v.to_json(model)).collect(),
            Value::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(k, v)| (k.to_string(), v.to_json(model)))
                    .collect(),
            ),
            Value::Struct(record) => {
                let names = model
                    .shape(record.shape)
                    .map(|s| s.members.as_slice())
                    .unwrap_or_default();
                let members = names
                    .iter()
                    .zip(&record.fields)
                    .filter(|(_, v)| !v.is_null());
                Json::Object(
                    members
                        .map(|(m, v)| (m.name.clone(), v.to_json(model)))
                        .collect(),
                )
            }
            Value::Json(json) => json.as_ref().clone(),
        }
    }
    /// True when the value can stand for a shape of this kind.
    pub fn fits(&self, kind: ShapeKind) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(_) => kind == ShapeKind::Boolean,
            Value::Int(_) => kind == ShapeKind::Integer,
            Value::Float(_) => kind == ShapeKind::Double,
            Value::String(_) => matches!(
                kind,
                ShapeKind::String | ShapeKind::BigInteger | ShapeKind::BigDecimal
            ),
            Value::Timestamp(_) => kind == ShapeKind::Timestamp,
            Value::Blob(_) => kind == ShapeKind::Blob,
            Value::List(_) => kind == ShapeKind::List,
            Value::Map(_) => kind == ShapeKind::Map,
            Value::Struct(_) => matches!(kind, ShapeKind::Structure | ShapeKind::Union),
            Value::Json(_) => kind == ShapeKind::Document,
        }
    }
}

/// Standard base64 with padding (RFC 4648).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let index = (bits >> (18 - 6 * i) & 63) as usize;
            let letter = ALPHABET.get(index).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

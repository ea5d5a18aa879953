//! JSON answers in one pass: serde's events go straight into values, led by the shape.
use super::DecodeError;
use super::plan::{Plans, ShapePlan, Use};
use super::scalar;
use palisade_model::{Record, ShapeId, ShapeKind, Value};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::borrow::Cow;
use std::fmt;

/// Reads a whole body as a value of that shape.
pub(super) fn read(plans: &Plans, shape: ShapeId, body: &[u8]) -> Result<Value, DecodeError> {
    let bad = |e: serde_json::Error| DecodeError::new(format!("malformed JSON: {e}"));
    let mut text = serde_json::Deserializer::from_slice(body);
    let using = plans.root(shape);
    let value = Seed {
        plans,
        using: &using,
    }
    .deserialize(&mut text)
    .map_err(bad)?;
    text.end().map_err(bad)?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Seed<'p> {
    plans: &'p Plans,
    using: &'p Use,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        match self.using.kind {
            ShapeKind::Document => {
                let json = serde_json::Value::deserialize(input)?;
                Ok(if json.is_null() {
                    Value::Null
                } else {
                    Value::Json(Box::new(json))
                })
            }
            _ => input.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.using.kind {
            ShapeKind::Structure | ShapeKind::Union | ShapeKind::Map => "an object",
            ShapeKind::List => "a list",
            ShapeKind::String | ShapeKind::Blob => "text",
            ShapeKind::Boolean => "true or false",
            ShapeKind::Timestamp => "a timestamp",
            ShapeKind::Document => "any JSON",
            _ => "a number",
        })
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        match self.using.kind {
            ShapeKind::Boolean => Ok(Value::Bool(flag)),
            ShapeKind::String => Ok(Value::String(flag.to_string().into())),
            _ => Err(E::invalid_type(serde::de::Unexpected::Bool(flag), &self)),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        match self.using.kind {
            ShapeKind::Integer => Ok(Value::Int(number)),
            ShapeKind::Double => Ok(Value::Float(number as f64)),
            ShapeKind::Timestamp => {
                let micros = number
                    .checked_mul(1_000_000)
                    .ok_or_else(|| E::custom("timestamp out of range"))?;
                Ok(Value::Timestamp(micros))
            }
            ShapeKind::String | ShapeKind::BigInteger | ShapeKind::BigDecimal => {
                Ok(Value::String(number.to_string().into()))
            }
            _ => Err(E::invalid_type(
                serde::de::Unexpected::Signed(number),
                &self,
            )),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) => match self.using.kind {
                ShapeKind::String | ShapeKind::BigInteger | ShapeKind::BigDecimal => {
                    Ok(Value::String(number.to_string().into()))
                }
                _ => self.visit_f64(number as f64),
            },
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        let wrong = || E::invalid_value(serde::de::Unexpected::Float(number), &self);
        match self.using.kind {
            ShapeKind::Double => Ok(Value::Float(number)),
            ShapeKind::Integer => scalar::whole(number).map(Value::Int).ok_or_else(wrong),
            ShapeKind::Timestamp => scalar::seconds(number)
                .map(Value::Timestamp)
                .ok_or_else(wrong),
            ShapeKind::String | ShapeKind::BigInteger | ShapeKind::BigDecimal => {
                Ok(Value::String(number.to_string().into()))
            }
            _ => Err(E::invalid_type(serde::de::Unexpected::Float(number), &self)),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match self.using.kind {
            ShapeKind::String if !self.using.percent_encoded => Ok(Value::String(text.into())),
            ShapeKind::Structure | ShapeKind::Union | ShapeKind::List | ShapeKind::Map => {
                Err(E::invalid_type(serde::de::Unexpected::Str("text"), &self))
            }
            _ => scalar::from_text(self.using, Cow::Borrowed(text)).map_err(E::custom),
        }
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        match self.using.kind {
            ShapeKind::String if !self.using.percent_encoded => Ok(Value::String(text.into())),
            _ => self.visit_str(&text),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let plan = self.plans.of(self.using.shape);
        let (ShapeKind::List, Some(element)) = (self.using.kind, &plan.element) else {
            return Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self));
        };
        let seed = Seed {
            plans: self.plans,
            using: element,
        };
        let mut out = Vec::new();
        while let Some(value) = items.next_element_seed(seed)? {
            if plan.sparse || !value.is_null() {
                out.push(value);
            }
        }
        Ok(Value::List(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let plan = self.plans.of(self.using.shape);
        match (self.using.kind, &plan.element) {
            (ShapeKind::Structure | ShapeKind::Union, _) => {
                let mut fields = vec![Value::Null; plan.members.len()];
                while let Some(found) = entries.next_key_seed(Key(plan))? {
                    let member = found.and_then(|i| plan.members.get(i).zip(fields.get_mut(i)));
                    match member {
                        Some((using, field)) => {
                            *field = entries.next_value_seed(Seed {
                                plans: self.plans,
                                using,
                            })?;
                        }
                        None => drop(entries.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Value::Struct(Box::new(Record {
                    shape: self.using.shape,
                    fields,
                })))
            }
            (ShapeKind::Map, Some(element)) => {
                let seed = Seed {
                    plans: self.plans,
                    using: element,
                };
                let mut out = Vec::new();
                while let Some(key) = entries.next_key::<Box<str>>()? {
                    let value = entries.next_value_seed(seed)?;
                    if plan.sparse || !value.is_null() {
                        out.push((key, value));
                    }
                }
                Ok(Value::Map(out))
            }
            _ => Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)),
        }
    }
}

/// A key of a structure: the member's position, without copying the name.
struct Key<'p>(&'p ShapePlan);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;
    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(name.as_bytes()).map(|(index, _)| index))
    }
}

//! CBOR answers, over AWS's token reader.
use super::DecodeError;
use super::plan::{Plans, Use};
use super::scalar;
use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use palisade_model::{Record, ShapeId, ShapeKind, Value};

/// Deeper answers are refused: recursive shapes must not exhaust the stack.
const MAX_DEPTH: usize = 100;

/// Reads a whole body as a value of that shape.
pub(super) fn read(plans: &Plans, shape: ShapeId, body: &[u8]) -> Result<Value, DecodeError> {
    let mut input = Decoder::new(body);
    let value = Reader {
        plans,
        input: &mut input,
        depth: 0,
    }
    .value(&plans.root(shape))?;
    if input.position() != body.len() {
        return Err(DecodeError::new("something follows the CBOR".to_owned()));
    }
    Ok(value)
}

/// The text members `__type` and `message` of an error.
pub(super) fn error_texts(body: &[u8]) -> Option<(Option<String>, Option<String>)> {
    let mut input = Decoder::new(body);
    let (mut code, mut message) = (None, None);
    let count = input.map().ok()?;
    let mut left = count;
    while more(&mut input, &mut left).ok()? {
        let key = input.str().ok()?.into_owned();
        match key.as_str() {
            "__type" => code = Some(input.string().ok()?),
            "message" | "Message" => message = Some(input.string().ok()?),
            _ => input.skip().ok()?,
        }
    }
    Some((code, message))
}

struct Reader<'p, 'i, 'b> {
    plans: &'p Plans,
    input: &'i mut Decoder<'b>,
    depth: usize,
}

fn bad(error: &impl std::fmt::Display) -> DecodeError {
    DecodeError::new(format!("malformed CBOR: {error}"))
}

/// True while a list or map has more: counts down, or looks for the break of an indefinite one.
fn more(input: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DecodeError> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if input.datatype().map_err(|e| bad(&e))? == Type::Break => {
            input.skip().map_err(|e| bad(&e))?;
            Ok(false)
        }
        None => Ok(true),
    }
}

impl Reader<'_, '_, '_> {
    fn value(&mut self, using: &Use) -> Result<Value, DecodeError> {
        if self.depth >= MAX_DEPTH {
            return Err(DecodeError::new("the CBOR is nested too deeply".to_owned()));
        }
        self.depth += 1;
        let value = self.read(using)?;
        self.depth -= 1;
        Ok(value)
    }

    fn read(&mut self, using: &Use) -> Result<Value, DecodeError> {
        let found = self.input.datatype().map_err(|e| bad(&e))?;
        if matches!(found, Type::Null | Type::Undefined) {
            self.input.skip().map_err(|e| bad(&e))?;
            return Ok(Value::Null);
        }
        let plan = self.plans.of(using.shape);
        Ok(match (using.kind, &plan.element) {
            (ShapeKind::Structure | ShapeKind::Union, _) => {
                let mut left = self.input.map().map_err(|e| bad(&e))?;
                let mut fields = vec![Value::Null; plan.members.len()];
                while more(self.input, &mut left)? {
                    let key = self.input.str().map_err(|e| bad(&e))?;
                    let member = plan.find(key.as_bytes());
                    match member.and_then(|(index, using)| Some((using, fields.get_mut(index)?))) {
                        Some((using, field)) => *field = self.value(using)?,
                        None => self.input.skip().map_err(|e| bad(&e))?,
                    }
                }
                Value::Struct(Box::new(Record {
                    shape: using.shape,
                    fields,
                }))
            }
            (ShapeKind::List, Some(element)) => {
                let mut left = self.input.list().map_err(|e| bad(&e))?;
                let mut items = Vec::new();
                while more(self.input, &mut left)? {
                    let value = self.value(element)?;
                    if plan.sparse || !value.is_null() {
                        items.push(value);
                    }
                }
                Value::List(items)
            }
            (ShapeKind::Map, Some(element)) => {
                let mut left = self.input.map().map_err(|e| bad(&e))?;
                let mut entries = Vec::new();
                while more(self.input, &mut left)? {
                    let key = Box::from(self.input.str().map_err(|e| bad(&e))?);
                    let value = self.value(element)?;
                    if plan.sparse || !value.is_null() {
                        entries.push((key, value));
                    }
                }
                Value::Map(entries)
            }
            _ => self.scalar(using, found)?,
        })
    }

    fn scalar(&mut self, using: &Use, found: Type) -> Result<Value, DecodeError> {
        let input = &mut *self.input;
        let wrong = || DecodeError::new("malformed CBOR: a value has another type".to_owned());
        Ok(match using.kind {
            ShapeKind::Boolean => Value::Bool(input.boolean().map_err(|e| bad(&e))?),
            ShapeKind::Integer => Value::Int(input.long().map_err(|e| bad(&e))?),
            ShapeKind::Double => Value::Float(match found {
                Type::F64 => input.double().map_err(|e| bad(&e))?,
                Type::F16 | Type::F32 => f64::from(input.float().map_err(|e| bad(&e))?),
                _ => input.long().map_err(|e| bad(&e))? as f64,
            }),
            ShapeKind::Timestamp => {
                let date = input.timestamp().map_err(|e| bad(&e))?;
                let micros = i64::from(date.subsec_nanos()) / 1000;
                let whole = date
                    .secs()
                    .checked_mul(1_000_000)
                    .and_then(|s| s.checked_add(micros));
                Value::Timestamp(whole.ok_or_else(wrong)?)
            }
            ShapeKind::Blob => Value::Blob(input.blob().map_err(|e| bad(&e))?.into_inner().into()),
            ShapeKind::BigInteger => {
                Value::String(input.big_integer().map_err(|e| bad(&e))?.as_ref().into())
            }
            ShapeKind::BigDecimal => {
                Value::String(input.big_decimal().map_err(|e| bad(&e))?.as_ref().into())
            }
            ShapeKind::String => scalar::from_text(using, input.str().map_err(|e| bad(&e))?)?,
            _ => return Err(wrong()),
        })
    }
}

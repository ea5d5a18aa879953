//! HTTP answers → values, in one pass over the body, by our own decoders: nothing is built in between.

mod cbor;
mod error;
mod header;
mod json;
mod plan;
mod scalar;
mod xml;

pub use error::ServiceError;

use aws_smithy_runtime_api::http::Headers;
use palisade_model::{Model, Operation, Protocol, Record, ShapeId, ShapeKind, Value};
use plan::Plans;
use std::sync::Arc;

/// The body or a header does not have the form that the model promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(String);

impl DecodeError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

/// An answer with a success status.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The operation's output.
    Output(Value),
    /// An error that came with a success status (Amazon S3 does that once it has begun to answer).
    Error(ServiceError),
}

/// Decodes the answers of one API under one protocol. Keeps what it learns of shapes.
#[derive(Debug)]
pub struct Decoder {
    plans: Plans,
}

impl Decoder {
    /// A decoder for this model.
    pub fn new(model: Arc<Model>, protocol: Protocol) -> Self {
        Self {
            plans: Plans::new(model, protocol),
        }
    }

    /// Decodes an answer with a success status.
    ///
    /// # Errors
    /// When the body is truncated, malformed, or not of the operation's output shape.
    pub fn answer(
        &self,
        operation: &Operation,
        status: u16,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Answer, DecodeError> {
        let Some(output) = &operation.output else {
            return Ok(Answer::Output(Value::Null));
        };
        let record = match self.plans.protocol {
            Protocol::Query | Protocol::Ec2 => self.rpc_xml(operation, output.shape, body),
            Protocol::Json => self.rpc_json(output.shape, body),
            Protocol::Cbor if body.is_empty() => Ok(self.empty(output.shape)),
            Protocol::Cbor => record(
                cbor::read(&self.plans, output.shape, body)?,
                output.shape,
                &self.plans,
            ),
            Protocol::RestJson | Protocol::RestXml => {
                return self.rest(operation, output.shape, status, headers, body);
            }
        }?;
        Ok(Answer::Output(Value::Struct(Box::new(record))))
    }

    /// What an answer with an error status says. Never fails: without any code, the status is the code.
    pub fn error(&self, status: u16, headers: &Headers, body: &[u8]) -> ServiceError {
        error::read(&self.plans, status, headers, body)
    }

    /// The members of a modeled error; `None` when the code names none, or the body does not fit it.
    pub fn error_members(
        &self,
        code: &str,
        status: u16,
        headers: &Headers,
        body: &[u8],
    ) -> Option<Value> {
        let named = |s: &&(usize, &palisade_model::Shape)| {
            s.1.error_code.as_deref() == Some(code)
                || (s.1.error_code.is_some() && s.1.name == code)
        };
        let (index, _) = self
            .plans
            .model
            .shapes
            .iter()
            .enumerate()
            .collect::<Vec<_>>()
            .iter()
            .find(named)
            .copied()?;
        let shape = ShapeId(u32::try_from(index).ok()?);
        let record = match self.plans.protocol {
            Protocol::Json | Protocol::RestJson if body.is_empty() => self.empty(shape),
            Protocol::Json | Protocol::RestJson => record(
                json::read(&self.plans, shape, body).ok()?,
                shape,
                &self.plans,
            )
            .ok()?,
            Protocol::Cbor => record(
                cbor::read(&self.plans, shape, body).ok()?,
                shape,
                &self.plans,
            )
            .ok()?,
            _ => error::xml_members(&self.plans, shape, body).ok()?,
        };
        let mut record = record;
        header::read(&self.plans, &mut record, status, headers).ok()?;
        Some(Value::Struct(Box::new(record)))
    }

    fn empty(&self, shape: ShapeId) -> Record {
        Record {
            shape,
            fields: vec![Value::Null; self.plans.of(shape).members.len()],
        }
    }

    fn rpc_json(&self, shape: ShapeId, body: &[u8]) -> Result<Record, DecodeError> {
        let empty = self.empty(shape);
        if empty.fields.is_empty() && body.is_empty() {
            return Ok(empty);
        }
        record(json::read(&self.plans, shape, body)?, shape, &self.plans)
    }

    /// `<OperationResponse><OperationResult>…`, or ec2's `<OperationResponse>…`.
    fn rpc_xml(
        &self,
        operation: &Operation,
        shape: ShapeId,
        body: &[u8],
    ) -> Result<Record, DecodeError> {
        let empty = self.empty(shape);
        if empty.fields.is_empty() && body.is_empty() {
            return Ok(empty);
        }
        let (mut document, root) = xml::Document::open(&self.plans, body)?;
        let Some(wrapper) = operation.result_wrapper.as_deref() else {
            if self.plans.protocol == Protocol::Query
                && let Some(record) = self.unnamed_result(operation, shape, body)?
            {
                return Ok(record);
            }
            let record = document.structure(shape, Some(&root))?;
            document.close()?;
            return Ok(record);
        };
        let mut result = None;
        while let Some(child) = document.child()? {
            if child.local_name().as_ref() == wrapper.as_bytes() {
                result = Some(document.structure(shape, Some(&child))?);
            } else {
                document.skip(&child)?;
            }
        }
        document.close()?;
        match result {
            Some(record) => Ok(record),
            None if empty.fields.is_empty() => Ok(empty),
            None => Err(DecodeError::new(format!("the XML has no `{wrapper}`"))),
        }
    }

    /// The query protocol's wrapper where the model does not name it: `OperationResult` by convention.
    fn unnamed_result(
        &self,
        operation: &Operation,
        shape: ShapeId,
        body: &[u8],
    ) -> Result<Option<Record>, DecodeError> {
        let (mut document, _) = xml::Document::open(&self.plans, body)?;
        let wrapper = format!("{}Result", operation.name);
        let mut found = None;
        while let Some(child) = document.child()? {
            if child.local_name().as_ref() == wrapper.as_bytes() {
                found = Some(document.structure(shape, Some(&child))?);
            } else {
                document.skip(&child)?;
            }
        }
        document.close()?;
        Ok(found)
    }

    fn rest(
        &self,
        operation: &Operation,
        shape: ShapeId,
        status: u16,
        headers: &Headers,
        body: &[u8],
    ) -> Result<Answer, DecodeError> {
        let mut output = self.empty(shape);
        let model = &self.plans.model;
        let shape_facts = model.shape(shape);
        let payload = shape_facts.and_then(|s| s.member(s.payload.as_deref()?));
        if let Some((index, member)) = payload {
            let kind = model
                .shape(member.shape)
                .map_or(ShapeKind::Blob, |s| s.kind);
            let value = match kind {
                _ if body.is_empty() => Value::Null,
                ShapeKind::Blob => Value::Blob(body.into()),
                ShapeKind::String => {
                    let text = std::str::from_utf8(body);
                    let text =
                        text.map_err(|_| DecodeError::new("the text is not UTF-8".to_owned()))?;
                    Value::String(text.into())
                }
                _ if self.plans.protocol == Protocol::RestJson => {
                    json::read(&self.plans, member.shape, body)?
                }
                _ => match self.xml_body(operation, member.shape, body)? {
                    Ok(record) => Value::Struct(Box::new(record)),
                    Err(error) => return Ok(Answer::Error(error)),
                },
            };
            if let Some(field) = output.fields.get_mut(index) {
                *field = value;
            }
        } else if shape_facts
            .is_some_and(|s| s.members.iter().any(|m| plan::is_in_body(m.location)))
            && !body.is_empty()
        {
            if self.plans.protocol == Protocol::RestJson {
                output = record(json::read(&self.plans, shape, body)?, shape, &self.plans)?;
            } else {
                match self.xml_body(operation, shape, body)? {
                    Ok(record) => output = record,
                    Err(error) => return Ok(Answer::Error(error)),
                }
            }
        }
        header::read(&self.plans, &mut output, status, headers)?;
        Ok(Answer::Output(Value::Struct(Box::new(output))))
    }

    /// A body that is a structure under its root element, or an error in its place.
    fn xml_body(
        &self,
        operation: &Operation,
        shape: ShapeId,
        body: &[u8],
    ) -> Result<Result<Record, ServiceError>, DecodeError> {
        let (mut document, root) = xml::Document::open(&self.plans, body)?;
        let plan = self.plans.of(shape);
        if root.local_name().as_ref() == b"Error" && self.plans.model.service_id == "S3" {
            return Ok(Err(error::read(&self.plans, 200, &Headers::new(), body)));
        }
        // Amazon S3 answers GetBucketLocation with the member itself in the place of the structure.
        let bare = (operation.name == "GetBucketLocation")
            .then(|| plan.find(root.local_name().as_ref()))
            .flatten();
        let record = match bare {
            Some((index, using)) => {
                let mut record = self.empty(shape);
                let value = document.value(using, &root)?;
                if let Some(field) = record.fields.get_mut(index) {
                    *field = value;
                }
                record
            }
            None => document.structure(shape, Some(&root))?,
        };
        document.close()?;
        Ok(Ok(record))
    }
}

/// A body may be `null` where a structure is promised.
fn record(value: Value, shape: ShapeId, plans: &Plans) -> Result<Record, DecodeError> {
    match value {
        Value::Struct(record) => Ok(*record),
        Value::Null => Ok(Record {
            shape,
            fields: vec![Value::Null; plans.of(shape).members.len()],
        }),
        _ => Err(DecodeError::new("the answer is not a structure".to_owned())),
    }
}

//! Error answers of all protocols.
use super::DecodeError;
use super::plan::Plans;
use super::xml::Document;
use super::{cbor, record};
use aws_smithy_runtime_api::http::Headers;
use palisade_model::{Protocol, Record, ShapeId, Value};
use serde_json::Value as Json;

/// What a service said went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceError {
    /// For example `AccessDenied`; the HTTP status where the answer has no code.
    pub code: String,
    /// AWS's message as it came; it may quote the request.
    pub message: String,
    /// Amazon S3: the region in which the bucket is.
    pub region: Option<String>,
}

pub(super) fn read(plans: &Plans, status: u16, headers: &Headers, body: &[u8]) -> ServiceError {
    let mut error = match plans.protocol {
        Protocol::Query | Protocol::Ec2 | Protocol::RestXml => xml(plans, body).unwrap_or_default(),
        Protocol::Json | Protocol::RestJson => json(headers, body),
        Protocol::Cbor => {
            let (code, message) = cbor::error_texts(body).unwrap_or_default();
            let code = code.as_deref().map(bare).unwrap_or_default();
            ServiceError {
                code,
                message: message.unwrap_or_default(),
                region: None,
            }
        }
    };
    if plans.model.query_compatible
        && let Some((code, _)) = headers
            .get("x-amzn-query-error")
            .and_then(|h| h.split_once(';'))
    {
        error.code = code.to_owned();
    }
    if error.code.is_empty() {
        error.code = status.to_string();
    }
    if let Some(region) = headers.get("x-amz-bucket-region") {
        error.region = Some(region.to_owned());
    }
    error
}

/// `namespace#Code:uri` → `Code` ("Operation error serialization" of AWS's JSON protocols).
fn bare(code: &str) -> String {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().to_owned()
}

fn json(headers: &Headers, body: &[u8]) -> ServiceError {
    let body: Json = serde_json::from_slice(body).unwrap_or_default();
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|n| body.get(*n)?.as_str())
            .map(str::to_owned)
    };
    let code = headers
        .get("x-amzn-errortype")
        .map(str::to_owned)
        .or_else(|| text(&["__type", "code", "Code"]));
    ServiceError {
        code: code.as_deref().map(bare).unwrap_or_default(),
        message: text(&["message", "Message", "errorMessage"]).unwrap_or_default(),
        region: None,
    }
}

/// `<ErrorResponse><Error>`, `<Response><Errors><Error>`, or Amazon S3's bare `<Error>`.
fn xml(plans: &Plans, body: &[u8]) -> Result<ServiceError, DecodeError> {
    let (mut document, root) = Document::open(plans, body)?;
    let mut name = root.local_name().as_ref().to_owned();
    for _ in 0..3 {
        if name == b"Error" {
            return fields(&mut document);
        }
        loop {
            match document.child()? {
                Some(child) if matches!(child.local_name().as_ref(), b"Error" | b"Errors") => {
                    name = child.local_name().as_ref().to_owned();
                    break;
                }
                Some(child) => document.skip(&child)?,
                None => return Ok(ServiceError::default()),
            }
        }
    }
    Ok(ServiceError::default())
}

fn fields(document: &mut Document<'_, '_>) -> Result<ServiceError, DecodeError> {
    let mut error = ServiceError::default();
    while let Some(child) = document.child()? {
        match child.local_name().as_ref() {
            b"Code" => error.code = document.text()?.into_owned(),
            b"Message" | b"message" => error.message = document.text()?.into_owned(),
            b"Region" => error.region = Some(document.text()?.into_owned()),
            _ => document.skip(&child)?,
        }
    }
    Ok(error)
}

/// The members of a modeled error: inside `<Error>`, or beside it in the root.
pub(super) fn xml_members(
    plans: &Plans,
    shape: ShapeId,
    body: &[u8],
) -> Result<Record, DecodeError> {
    let (mut document, root) = Document::open(plans, body)?;
    if root.local_name().as_ref() == b"Error" {
        return document.structure(shape, Some(&root));
    }
    let mut all = record(Value::Null, shape, plans)?;
    while let Some(child) = document.child()? {
        match child.local_name().as_ref() {
            b"Error" => {
                let inner = document.structure(shape, Some(&child))?;
                for (field, value) in all.fields.iter_mut().zip(inner.fields) {
                    if !value.is_null() {
                        *field = value;
                    }
                }
            }
            b"Errors" => {
                while let Some(error) = document.child()? {
                    all = document.structure(shape, Some(&error))?;
                }
            }
            _ => document.skip(&child)?,
        }
    }
    Ok(all)
}

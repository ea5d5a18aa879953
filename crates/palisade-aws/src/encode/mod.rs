//! Parameters → HTTP requests, by AWS's own protocol codecs.

mod schema;
mod write;

use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_schema::protocol::{
    ServiceShapeName, ServiceVersion, ServiceXmlNamespace, SharedClientProtocol,
};
use aws_smithy_schema::serde::SerdeError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use palisade_model::{Model, Operation, Protocol, Shape, ShapeKind};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// The parameters do not fit the operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EncodeError(String);

impl EncodeError {
    pub(crate) fn new(message: String) -> Self {
        Self(message)
    }
}

impl From<SerdeError> for EncodeError {
    fn from(error: SerdeError) -> Self {
        Self(error.to_string())
    }
}

/// The protocol to speak. Of several, the one that has been there longest: endpoints that imitate AWS know
/// it. `cbor` where nothing else is offered.
pub fn choose_protocol(model: &Model) -> Option<Protocol> {
    use Protocol::{Cbor, Ec2, Json, Query, RestJson, RestXml};
    [RestJson, RestXml, Query, Ec2, Json, Cbor]
        .into_iter()
        .find(|p| model.protocols.contains(p))
}

/// Writes the request of an operation. Its URI is path and query only.
///
/// # Errors
/// When a parameter is unknown, missing or of the wrong type.
pub fn request(
    model: &Model,
    operation: &Operation,
    protocol: Protocol,
    params: &Map<String, Json>,
) -> Result<Request, EncodeError> {
    let input = operation.input.as_ref().and_then(|r| model.shape(r.shape));
    let params = with_tokens(input, params);
    match input {
        Some(shape) => {
            write::check_names(shape, &params)?;
            let missing = shape
                .required
                .iter()
                .find(|name| params.get(*name).is_none_or(Json::is_null));
            if let Some(name) = missing {
                return Err(EncodeError(format!("`{}` needs `{name}`", operation.name)));
            }
        }
        None if !params.is_empty() => {
            return Err(EncodeError(format!(
                "`{}` takes no parameters",
                operation.name
            )));
        }
        None => {}
    }
    let damaged = || EncodeError("the API model refers to a shape that it lacks".into());
    let arenas = schema::Arenas::default();
    let builder = schema::Builder::new(&arenas, model, protocol);
    let (codec, settings) = (codec(model, protocol), settings(model, operation));
    let mut request = match &operation.input {
        Some(reference) => {
            let built = builder.shape(reference.shape).ok_or_else(damaged)?;
            let schema = builder.input(operation, reference).ok_or_else(damaged)?;
            let input = write::Structure {
                builder: &builder,
                built,
                schema,
                values: &params,
            };
            codec.serialize_request(&input, schema, "", &settings)?
        }
        None => {
            let schema = builder.unit(operation);
            codec.serialize_request(&write::Nothing(schema), schema, "", &settings)?
        }
    };
    complete(model, operation, protocol, &mut request);
    Ok(request)
}

/// Fills in idempotency tokens that the caller left out.
fn with_tokens<'p>(
    input: Option<&Shape>,
    params: &'p Map<String, Json>,
) -> Cow<'p, Map<String, Json>> {
    let mut params = Cow::Borrowed(params);
    for member in input.into_iter().flat_map(|s| &s.members) {
        if member.traits.idempotency_token && !params.contains_key(&member.name) {
            let token = uuid::Uuid::new_v4().to_string();
            params.to_mut().insert(member.name.clone(), token.into());
        }
    }
    params
}

fn codec(model: &Model, protocol: Protocol) -> SharedClientProtocol {
    use aws_smithy_json::protocol::{
        aws_json_rpc::AwsJsonRpcProtocol, aws_rest_json_1::AwsRestJsonProtocol,
    };
    match protocol {
        Protocol::Query | Protocol::Ec2 => {
            SharedClientProtocol::new(aws_smithy_query::protocol::AwsQueryProtocol::new())
        }
        Protocol::Json if model.json_version == "1.0" => {
            SharedClientProtocol::new(AwsJsonRpcProtocol::aws_json_1_0())
        }
        Protocol::Json => SharedClientProtocol::new(AwsJsonRpcProtocol::aws_json_1_1()),
        Protocol::RestJson => SharedClientProtocol::new(AwsRestJsonProtocol::new()),
        Protocol::RestXml => SharedClientProtocol::new(
            aws_smithy_xml::protocol::aws_rest_xml::AwsRestXmlProtocol::new(),
        ),
        Protocol::Cbor => {
            SharedClientProtocol::new(aws_smithy_cbor::protocol::RpcV2CborProtocol::new())
        }
    }
}

fn settings(model: &Model, operation: &Operation) -> ConfigBag {
    let mut layer = Layer::new("palisade");
    layer.store_put(Metadata::new(
        operation.name.clone(),
        model.service_id.clone(),
    ));
    layer.store_put(ServiceShapeName::new(model.target_prefix.clone()));
    layer.store_put(ServiceVersion::new(model.api_version.clone()));
    if let Some(space) = &model.xml_namespace {
        layer.store_put(ServiceXmlNamespace::new(space.uri.clone(), None));
    }
    let mut settings = ConfigBag::base();
    settings.push_layer(layer);
    settings
}

/// What AWS's codecs leave to generated code.
fn complete(model: &Model, operation: &Operation, protocol: Protocol, request: &mut Request) {
    if model.query_compatible {
        request.headers_mut().insert("x-amzn-query-mode", "true");
    }
    if protocol == Protocol::Cbor && operation.input.is_none() {
        *request.body_mut() = SdkBody::empty();
        request.headers_mut().remove("content-type");
        request.headers_mut().remove("content-length");
    }
    let input = operation.input.as_ref().and_then(|r| model.shape(r.shape));
    let payload = input.and_then(|s| s.member(s.payload.as_deref()?));
    let Some(target) = payload.and_then(|(_, member)| model.shape(member.shape)) else {
        return;
    };
    let empty = request.body().bytes().is_some_and(<[u8]>::is_empty);
    let content_type = match target.kind {
        ShapeKind::Blob if !empty => "application/octet-stream",
        ShapeKind::String if !empty => "text/plain",
        ShapeKind::Structure if empty && protocol == Protocol::RestJson => {
            *request.body_mut() = SdkBody::from("{}");
            request.headers_mut().insert("content-length", "2");
            "application/json"
        }
        _ => return,
    };
    if request.headers().get("content-type").is_none() {
        request.headers_mut().insert("content-type", content_type);
    }
}

/// An operation's `host_prefix` with its labels filled in.
///
/// # Errors
/// When a label has no value that can be part of a host name.
pub fn host_prefix(template: &str, params: &Map<String, Json>) -> Result<String, EncodeError> {
    let mut out = template.to_owned();
    for (name, value) in params {
        let label = format!("{{{name}}}");
        if out.contains(&label) {
            let value = value.as_str().unwrap_or_default();
            let fits = value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
            if value.is_empty() || !fits {
                return Err(EncodeError(format!(
                    "`{name}` cannot be part of a host name"
                )));
            }
            out = out.replace(&label, value);
        }
    }
    match out.contains('{') {
        true => Err(EncodeError(format!("the host name needs `{out}`"))),
        false => Ok(out),
    }
}

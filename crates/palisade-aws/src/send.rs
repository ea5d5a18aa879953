//! One call through AWS's orchestrator: endpoint, signature, retries.
use crate::client::{Lane, Session};
use crate::decode::Answer;
use crate::encode;
use crate::failure::CallFailure;
use crate::retry::{AnsweredFailures, AttemptFailure};
use crate::service::{Service, Target};
use crate::transport::{Attempts, Transport, root_cause};
use aws_credential_types::provider::error::CredentialsError;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::auth::{SigV4OperationSigningConfig, SigningOptions};
use aws_runtime::service_clock_skew::ServiceClockSkewClassifier;
use aws_runtime::user_agent::{ApiMetadata, UserAgentInterceptor};
use aws_smithy_runtime::client::orchestrator::operation::Operation as Orchestrated;
use aws_smithy_runtime::client::retries::classifiers::TransientErrorClassifier;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::http::{Request, Response};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use bytes::Bytes;
use palisade_core::CallErrorKind;
use palisade_model::{Operation, Value};
use serde_json::{Map, Value as Json};
use std::sync::Arc;

/// A request that only lacks its signature.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    method: String,
    uri: String,
    headers: Vec<(String, String)>,
    /// Shared by all attempts.
    body: Bytes,
}

impl Outgoing {
    pub(crate) fn new(
        service: &Service,
        operation: &Operation,
        params: &Map<String, Json>,
        target: &Target,
    ) -> Result<Self, CallFailure> {
        let wrong = |e: encode::EncodeError| {
            CallFailure::local(CallErrorKind::Other, "InvalidParameters", &e.to_string())
        };
        let request =
            encode::request(&service.model, operation, service.protocol, params).map_err(wrong)?;
        let mut uri = request.uri().to_owned();
        if service.is_s3() && operation.uri.starts_with("/{Bucket}") {
            uri = without_bucket(&uri);
        }
        let mut headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.extend(target.headers.iter().cloned());
        let body = Bytes::copy_from_slice(request.body().bytes().unwrap_or_default());
        let summed = |(name, _): &(String, String)| {
            name.starts_with("x-amz-checksum-") || name == "content-md5"
        };
        if operation.checksum_required && !headers.iter().any(summed) {
            headers.push(("x-amz-checksum-crc32".to_owned(), crc32(&body)));
        }
        Ok(Self {
            method: request.method().to_owned(),
            uri,
            headers,
            body,
        })
    }

    /// The same with a body that no parameter holds.
    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
        self.headers
            .push(("content-length".to_owned(), body.len().to_string()));
        self.body = body;
        self
    }

    fn request(&self) -> Result<Request, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::new(SdkBody::from(self.body.clone()));
        request.set_method(&self.method)?;
        request.set_uri(self.uri.as_str())?;
        for (name, value) in &self.headers {
            request
                .headers_mut()
                .try_insert(name.clone(), value.clone())?;
        }
        Ok(request)
    }
}

/// The model has the bucket in the path; the endpoint rules put it into host or path themselves.
fn without_bucket(uri: &str) -> String {
    let rest = uri.strip_prefix('/').unwrap_or(uri);
    match rest.find(['/', '?']).and_then(|i| rest.get(i..)) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some(query) => format!("/{query}"),
        None => "/".to_owned(),
    }
}

fn crc32(body: &[u8]) -> String {
    use aws_smithy_checksums::ChecksumAlgorithm;
    let mut sum = ChecksumAlgorithm::Crc32.into_impl();
    sum.update(body);
    aws_smithy_types::base64::encode(sum.finalize())
}

/// Sends, with retries, and decodes.
pub(crate) async fn send(
    session: &Session,
    lane: &Lane,
    attempts: Arc<Attempts>,
    operation: &Operation,
    target: &Target,
    outgoing: Outgoing,
) -> Result<Value, CallFailure> {
    let config = &session.shared.config;
    let retries = RetryConfig::standard()
        .with_max_attempts(session.shared.max_attempts)
        .with_initial_backoff(config.initial_backoff)
        .with_max_backoff(config.max_backoff);
    // The limit on a whole attempt is kept by the transport, where waiting for a place does not count.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout + attempts.upload)
        .build();
    let (plugin, unsigned) = plugin(session, lane, &attempts, operation, target);
    let service = Arc::clone(&attempts.service);
    let (facts, counted) = (operation.clone(), Arc::clone(&attempts));
    let mut builder = Orchestrated::builder()
        .service_name(service.model.service_id.clone())
        .operation_name(operation.name.clone())
        .endpoint_url(&target.url)
        .http_client(Transport {
            client: session.shared.http.clone(),
            attempts: Arc::clone(&attempts),
        })
        .standard_retry(&retries)
        .timeout_config(timeouts)
        .retry_classifier(TransientErrorClassifier::<AttemptFailure>::new())
        .retry_classifier(ServiceClockSkewClassifier::<AttemptFailure>::new())
        .retry_classifier(AnsweredFailures(Arc::clone(&attempts)))
        .with_connection_poisoning();
    if unsigned {
        builder = builder.no_auth();
    }
    let orchestrated = builder
        .runtime_plugin(plugin)
        .serializer(move |()| outgoing.request())
        .deserializer::<Value, AttemptFailure>(
            #[expect(clippy::result_large_err, reason = "the signature is AWS's")]
            move |response: &Response| {
                let result = decode(&counted.service, &facts, response);
                result.map_err(|failure| {
                    counted.count(failure.kind);
                    OrchestratorError::operation(failure.into())
                })
            },
        )
        .build();
    orchestrated
        .invoke(())
        .await
        .map_err(|error| failure(error, &attempts))
}

fn plugin(
    session: &Session,
    lane: &Lane,
    attempts: &Attempts,
    operation: &Operation,
    target: &Target,
) -> (StaticRuntimePlugin, bool) {
    let s3 = attempts.service.is_s3();
    let mut options = SigningOptions::default();
    options.double_uri_encode = target.double_encode.unwrap_or(!s3);
    options.normalize_uri_path = !s3;
    options.content_sha256_header = s3 || attempts.service.model.service_id == "S3 Control";
    let mut layer = Layer::new("palisade");
    layer.store_put(SigV4OperationSigningConfig {
        signing_options: options,
        ..Default::default()
    });
    layer.store_put(SigningRegion::from(Region::new(
        target.signing_region.clone(),
    )));
    layer.store_put(SigningName::from(target.signing_name.clone()));
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(ApiMetadata::new("palisade", env!("CARGO_PKG_VERSION")));
    layer.store_put(lane.retries.clone());
    let mut components = RuntimeComponentsBuilder::new("palisade");
    if !operation.unsigned {
        let sigv4 = StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]);
        components
            .set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(sigv4)));
        components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
        components.set_identity_resolver(SCHEME_ID, session.identity.clone());
        components.set_identity_cache(Some(session.identity_cache.clone()));
    }
    components.push_interceptor(UserAgentInterceptor::new());
    components.push_interceptor(aws_runtime::invocation_id::InvocationIdInterceptor::new());
    components.push_interceptor(aws_runtime::request_info::RequestInfoInterceptor::new());
    components.push_interceptor(session.clock_skew.clone());
    let plugin = StaticRuntimePlugin::new()
        .with_config(layer.freeze())
        .with_runtime_components(components);
    (plugin, operation.unsigned)
}

fn decode(
    service: &Service,
    operation: &Operation,
    response: &Response,
) -> Result<Value, CallFailure> {
    let status = response.status().as_u16();
    let body = response.body().bytes().unwrap_or_default();
    if !response.status().is_success() {
        let error = service.decoder.error(status, response.headers(), body);
        return Err(CallFailure::answered(&error, status));
    }
    match service
        .decoder
        .answer(operation, status, response.headers(), body)
    {
        Ok(Answer::Output(value)) => Ok(value),
        // Only failures of the service itself come this way, so they count as 5xx.
        Ok(Answer::Error(error)) => Err(CallFailure::answered(&error, 500)),
        Err(error) => {
            let mut failure = CallFailure::local(
                CallErrorKind::Malformed,
                "MalformedAnswer",
                &error.to_string(),
            );
            failure.status = Some(status);
            Err(failure)
        }
    }
}

fn failure(error: SdkError<AttemptFailure, Response>, attempts: &Attempts) -> CallFailure {
    let error = match error {
        SdkError::ServiceError(answered) => return answered.into_err().failure,
        error => error,
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(credentials) = error.downcast_ref::<CredentialsError>() {
            let message = root_cause(credentials);
            return CallFailure::local(CallErrorKind::Credentials, "CredentialsError", &message);
        }
        cause = error.source();
    }
    let (kind, message) = match (&error, attempts.trouble()) {
        (_, Some(trouble)) => trouble,
        (SdkError::TimeoutError(_), None) => (CallErrorKind::Timeout, root_cause(&error)),
        _ => (CallErrorKind::Other, root_cause(&error)),
    };
    let code = match kind {
        CallErrorKind::Timeout => "Timeout",
        CallErrorKind::Unreachable => "ConnectError",
        CallErrorKind::Malformed => "TruncatedAnswer",
        _ => "RequestError",
    };
    CallFailure::local(kind, code, &message)
}

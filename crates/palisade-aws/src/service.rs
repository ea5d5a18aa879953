//! One API, ready for calls: model, decoder, endpoint rules and the endpoints they resolved to.
use crate::decode::Decoder;
use crate::encode::{choose_protocol, host_prefix};
use crate::endpoint::{EndpointError, Partitions, RuleSet};
use crate::failure::CallFailure;
use palisade_core::CallErrorKind;
use palisade_model::{Model, Operation, Protocol};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Settings that decide on endpoints, equal for all services.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndpointSettings {
    pub(crate) use_fips: bool,
    pub(crate) use_dual_stack: bool,
}

/// Where a request goes and how it is signed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) signing_region: String,
    pub(crate) signing_name: String,
    /// `None`: the service's usual way.
    pub(crate) double_encode: Option<bool>,
    pub(crate) headers: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) model: Arc<Model>,
    pub(crate) protocol: Protocol,
    pub(crate) decoder: Decoder,
    rules: RuleSet,
    /// From `--endpoint-url` or the configuration.
    custom: Option<String>,
    targets: Mutex<BTreeMap<String, Arc<Target>>>,
}

impl Service {
    pub(crate) fn new(model: Arc<Model>, custom: Option<String>) -> Result<Self, CallFailure> {
        let broken = |what: &str| CallFailure::local(CallErrorKind::Other, "InvalidModel", what);
        let protocol =
            choose_protocol(&model).ok_or_else(|| broken("the API model names no protocol"))?;
        let rules = RuleSet::parse(&model.endpoint_rules).map_err(|e| broken(&e.to_string()))?;
        let decoder = Decoder::new(Arc::clone(&model), protocol);
        Ok(Self {
            model,
            protocol,
            decoder,
            rules,
            custom,
            targets: Mutex::new(BTreeMap::new()),
        })
    }

    /// True for Amazon S3 itself: its own signing, redirects and bucket addressing.
    pub(crate) fn is_s3(&self) -> bool {
        self.model.service_id == "S3"
    }

    /// The endpoint for these parameters, from the cache when it was asked for before.
    pub(crate) fn target(
        &self,
        operation: &Operation,
        region: &str,
        params: &Map<String, Json>,
        settings: &EndpointSettings,
        partitions: &Partitions,
    ) -> Result<Arc<Target>, CallFailure> {
        let inputs = self.inputs(operation, region, params, settings);
        let prefix = operation
            .host_prefix
            .as_deref()
            .map(|p| host_prefix(p, params))
            .transpose();
        let prefix = prefix.map_err(|e| {
            CallFailure::local(CallErrorKind::Other, "InvalidParameters", &e.to_string())
        })?;
        let key = format!(
            "{}{}",
            prefix.as_deref().unwrap_or_default(),
            Json::Object(inputs.clone())
        );
        let cached = || self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = cached().get(&key) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(self.resolve(region, &inputs, prefix.as_deref(), partitions)?);
        cached().insert(key, Arc::clone(&target));
        Ok(target)
    }

    fn inputs(
        &self,
        operation: &Operation,
        region: &str,
        params: &Map<String, Json>,
        settings: &EndpointSettings,
    ) -> Map<String, Json> {
        let mut inputs = Map::new();
        for parameter in self.rules.parameters() {
            let value = match parameter.built_in.as_deref() {
                Some("AWS::Region") => Json::from(region),
                Some("AWS::UseFIPS") => Json::from(settings.use_fips),
                Some("AWS::UseDualStack") => Json::from(settings.use_dual_stack),
                Some("SDK::Endpoint") => self.custom.clone().into(),
                // As every AWS tool: a custom endpoint has no names for buckets.
                Some("AWS::S3::ForcePathStyle") if self.custom.is_some() => Json::from(true),
                _ => Json::Null,
            };
            if !value.is_null() {
                inputs.insert(parameter.name.clone(), value);
            }
        }
        for (name, value) in &operation.static_context {
            inputs.insert(
                name.clone(),
                serde_json::from_str(value).unwrap_or_default(),
            );
        }
        let input = operation
            .input
            .as_ref()
            .and_then(|r| self.model.shape(r.shape));
        for member in input.into_iter().flat_map(|s| &s.members) {
            if let Some((name, value)) = member.context_param.as_ref().zip(params.get(&member.name))
            {
                inputs.insert(name.clone(), value.clone());
            }
        }
        inputs
    }

    fn resolve(
        &self,
        region: &str,
        inputs: &Map<String, Json>,
        prefix: Option<&str>,
        partitions: &Partitions,
    ) -> Result<Target, CallFailure> {
        let endpoint = self.rules.resolve(inputs, partitions).map_err(|error| {
            let kind = match error {
                EndpointError::Refused(_) => CallErrorKind::Unavailable,
                _ => CallErrorKind::Other,
            };
            CallFailure::local(kind, "EndpointError", &error.to_string())
        })?;
        let mut url = endpoint.url;
        if let Some(prefix) = prefix {
            // The rules of Amazon S3 Control put the account into the host themselves.
            let (bare, prefixed) = ("://", format!("://{prefix}"));
            if self.custom.is_some() {
                // A custom endpoint has no names below its own.
                url = url.replacen(&prefixed, bare, 1);
            } else if !url.contains(&prefixed) {
                url = url.replacen(bare, &prefixed, 1);
            }
        }
        let schemes = endpoint
            .properties
            .get("authSchemes")
            .and_then(Json::as_array);
        let named = |name: &str| {
            schemes.and_then(|s| s.iter().find(|s| s.get("name") == Some(&Json::from(name))))
        };
        let scheme = named("sigv4");
        if scheme.is_none() && schemes.is_some_and(|s| !s.is_empty()) {
            let message = "the endpoint asks for a kind of signature that is not supported";
            return Err(CallFailure::local(
                CallErrorKind::Unavailable,
                "UnsupportedSignature",
                message,
            ));
        }
        let text = |name: &str| {
            scheme
                .and_then(|s| s.get(name)?.as_str())
                .map(str::to_owned)
        };
        let mut headers = Vec::new();
        for (name, values) in &endpoint.headers {
            for value in values
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
            {
                headers.push((name.clone(), value.to_owned()));
            }
        }
        Ok(Target {
            url,
            signing_region: text("signingRegion").unwrap_or_else(|| region.to_owned()),
            signing_name: text("signingName").unwrap_or_else(|| self.model.signing_name.clone()),
            double_encode: scheme
                .and_then(|s| s.get("disableDoubleEncoding")?.as_bool())
                .map(|off| !off),
            headers,
        })
    }
}

//! Where credentials and settings come from: AWS's own chain, or a role assumed with our own client.
use crate::client::Client;
use crate::config::{ClientConfig, ConnectError, Role};
use crate::failure::CallFailure;
use crate::reach::CredentialFacts;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use palisade_core::{CallErrorKind, Region};
use palisade_model::Value;
use serde_json::{Map, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// What the environment and the profile gave.
pub(crate) struct Found {
    pub(crate) sdk: SdkConfig,
    pub(crate) http: SharedHttpClient,
    pub(crate) credentials: SharedCredentialsProvider,
    pub(crate) facts: CredentialFacts,
    pub(crate) region: Region,
    pub(crate) max_attempts: u32,
}

pub(crate) async fn find(config: &ClientConfig) -> Result<Found, ConnectError> {
    let profile = check_profile(config).await?;
    let configured = std::env::var("AWS_ENDPOINT_URL").ok();
    if let Some(url) = config.endpoint_url.as_ref().or(configured.as_ref()) {
        check_url(url)?;
    }
    let http = config
        .http_client
        .clone()
        .unwrap_or_else(crate::reach::http_client);
    let mut loader =
        aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http.clone());
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &config.region {
        loader = loader.region(aws_types::region::Region::new(region.clone()));
    }
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(fips) = config.use_fips {
        loader = loader.use_fips(fips);
    }
    if let Some(dual) = config.use_dual_stack {
        loader = loader.use_dual_stack(dual);
    }
    if let Some(fixed) = &config.credentials {
        let keys = Credentials::new(
            &fixed.access_key_id,
            &fixed.secret_access_key,
            fixed.session_token.clone(),
            None,
            "Static",
        );
        loader = loader.credentials_provider(keys);
    }
    let sdk = loader.load().await;
    let region = sdk.region().ok_or(ConnectError::NoRegion)?;
    let region = region
        .as_ref()
        .parse()
        .map_err(|e| ConnectError::InvalidRegion(format!("{e}")))?;
    if let Some(url) = sdk.endpoint_url() {
        check_url(url)?;
    }
    let credentials = sdk
        .credentials_provider()
        .ok_or(ConnectError::NoCredentials)?;
    let facts = credentials
        .provide_credentials()
        .await
        .map(|found| CredentialFacts::of(&found))
        .map_err(|e| explain(&e))?;
    // AWS's default of three attempts suits interactive programs; only an explicit setting counts.
    let configured = std::env::var_os("AWS_MAX_ATTEMPTS")
        .and(sdk.retry_config())
        .map(|r| r.max_attempts());
    let max_attempts = config.max_attempts.or(configured).unwrap_or(8).max(1);
    Ok(Found {
        http,
        credentials,
        facts,
        region,
        max_attempts,
        sdk,
    })
}

/// The profile to use, when one is named; it must exist.
async fn check_profile(config: &ClientConfig) -> Result<Option<String>, ConnectError> {
    // who brings credentials does not depend on what the environment says
    if config.credentials.is_some() && config.profile.is_none() {
        return Ok(None);
    }
    let named = config
        .profile
        .clone()
        .or_else(|| std::env::var("AWS_PROFILE").ok())
        .filter(|p| !p.is_empty());
    let Some(name) = named else { return Ok(None) };
    let files = aws_runtime::env_config::file::EnvConfigFiles::default();
    let loaded =
        aws_config::profile::load(&Fs::real(), &Env::real(), &files, Some(name.clone().into()))
            .await;
    let profiles =
        loaded.map_err(|e| ConnectError::Configuration(crate::transport::root_cause(&e)))?;
    if profiles.get_profile(&name).is_none() {
        return Err(ConnectError::ProfileNotFound(name));
    }
    Ok(Some(name))
}

fn check_url(url: &str) -> Result<(), ConnectError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let host = rest.and_then(|r| r.split('/').next()).unwrap_or_default();
    let parsed: Result<http::Uri, _> = url.parse();
    match parsed {
        Ok(_) if !host.is_empty() => Ok(()),
        _ => Err(ConnectError::InvalidEndpoint(url.to_owned())),
    }
}

fn explain(error: &CredentialsError) -> ConnectError {
    let message = crate::transport::root_cause(error);
    let expired = message.to_lowercase();
    match error {
        _ if expired.contains("expired") => ConnectError::Expired(message),
        CredentialsError::CredentialsNotLoaded(_) => ConnectError::NoCredentials,
        // The metadata service is asked last: when it does not answer as hoped, nothing before it had any.
        _ if caused_by::<aws_config::imds::client::error::ImdsError>(error) => {
            ConnectError::NoCredentials
        }
        _ => ConnectError::Credentials(message),
    }
}

fn caused_by<E: std::error::Error + 'static>(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |e| e.source()).any(|e| e.is::<E>())
}

/// Credentials of a role, asked for with another client.
#[derive(Debug)]
pub(crate) struct AssumedRole {
    client: Client,
    role: Role,
    /// What was asked for before anybody needed it: the first to need credentials takes them.
    first: Mutex<Option<Credentials>>,
}

impl AssumedRole {
    pub(crate) fn new(client: Client, role: Role) -> Self {
        Self {
            client,
            role,
            first: Mutex::default(),
        }
    }

    /// Assumes the role and keeps its credentials for whoever needs them first.
    pub(crate) async fn begin(&self) -> Result<(), CallFailure> {
        let credentials = self.credentials().await?;
        *self.first.lock().unwrap_or_else(PoisonError::into_inner) = Some(credentials);
        Ok(())
    }

    fn take_first(&self) -> Option<Credentials> {
        self.first
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// `sts:AssumeRole`.
    pub(crate) async fn credentials(&self) -> Result<Credentials, CallFailure> {
        let session = self.role.session_name.as_deref().unwrap_or("palisade");
        let mut params = Map::new();
        params.insert("RoleArn".into(), json!(self.role.arn));
        params.insert("RoleSessionName".into(), json!(session));
        if let Some(id) = &self.role.external_id {
            params.insert("ExternalId".into(), json!(id));
        }
        if let Some(duration) = self.role.duration {
            params.insert("DurationSeconds".into(), json!(duration.as_secs()));
        }
        let answer = self
            .client
            .call("sts", "AssumeRole", self.client.region(), &params)
            .await?;
        let malformed =
            |what: &str| CallFailure::local(CallErrorKind::Malformed, "MalformedAnswer", what);
        let model = self
            .client
            .models()
            .get("sts")
            .map_err(|e| malformed(&e.to_string()))?;
        let keys = answer
            .get(&model, "Credentials")
            .ok_or_else(|| malformed("the answer has no credentials"))?;
        let text = |name: &str| {
            keys.get(&model, name)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let expires = match keys.get(&model, "Expiration") {
            Some(Value::Timestamp(micros)) => u64::try_from(*micros)
                .ok()
                .map(|m| SystemTime::UNIX_EPOCH + Duration::from_micros(m)),
            _ => None,
        };
        let id_and_secret = text("AccessKeyId").zip(text("SecretAccessKey"));
        let (id, secret) =
            id_and_secret.ok_or_else(|| malformed("the answer has no credentials"))?;
        Ok(Credentials::new(
            id,
            secret,
            text("SessionToken"),
            expires,
            "AssumeRole",
        ))
    }
}

impl ProvideCredentials for AssumedRole {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            if let Some(credentials) = self.take_first() {
                return Ok(credentials);
            }
            self.credentials()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}

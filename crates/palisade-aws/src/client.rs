//! The client: any operation of any API, for one set of credentials.
use crate::config::{ClientConfig, ConnectError, Role, StaticCredentials};
use crate::credentials::{self, AssumedRole};
use crate::endpoint::Partitions;
use crate::failure::CallFailure;
use crate::limits::RateLimit;
use crate::paginate;
use crate::reach::CredentialFacts;
use crate::send::{self, Outgoing};
use crate::service::{EndpointSettings, Service};
use crate::statistics::Statistics;
use crate::transport::Attempts;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::service_clock_skew::ServiceClockSkewInterceptor;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::retries::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::identity::{SharedIdentityCache, SharedIdentityResolver};
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use futures::Stream;
use palisade_core::{AccountId, Arn, CallErrorKind, Partition, Region};
use palisade_model::{
    Api, CallFuture, CallRequest, Model, Models, Operation, OperationStatistics, Page, Value,
};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Semaphore;

/// Makes AWS calls with one set of credentials. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Session>);

/// Who the credentials belong to (`sts:GetCallerIdentity`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub account_id: AccountId,
    /// The user or the assumed role's session.
    pub arn: String,
    /// The partition of the account.
    pub partition: Partition,
}

/// What belongs to one set of credentials.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    credentials: SharedCredentialsProvider,
    pub(crate) identity: SharedIdentityResolver,
    pub(crate) identity_cache: SharedIdentityCache,
    pub(crate) clock_skew: SharedInterceptor,
    lanes: Mutex<BTreeMap<(String, String), Arc<Lane>>>,
    statistics: Statistics,
}

/// What all accounts have in common.
pub(crate) struct Shared {
    pub(crate) config: ClientConfig,
    pub(crate) sdk: SdkConfig,
    pub(crate) http: SharedHttpClient,
    pub(crate) max_attempts: u32,
    region: Region,
    credentials: CredentialFacts,
    models: Arc<Models>,
    partitions: Partitions,
    endpoints: EndpointSettings,
    everywhere: Arc<Semaphore>,
    services: Mutex<BTreeMap<String, Arc<Service>>>,
}

/// Limits of one service in one region of one account.
pub(crate) struct Lane {
    limit: Arc<RateLimit>,
    here: Arc<Semaphore>,
    pub(crate) retries: RetryPartition,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("region", &self.0.shared.region)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Finds settings and credentials as every AWS tool does, assumes the role if one is given, and makes
    /// sure that there are credentials. Asks no service unless the credentials need one.
    ///
    /// # Errors
    /// When there are no credentials, they have expired, or there is no region.
    pub async fn connect(config: ClientConfig, models: Arc<Models>) -> Result<Self, ConnectError> {
        let found = credentials::find(&config).await?;
        let partitions = Partitions::parse(models.partitions())
            .map_err(|e| ConnectError::Model(e.to_string()))?;
        let shared = Arc::new(Shared {
            max_attempts: found.max_attempts,
            endpoints: EndpointSettings {
                use_fips: found.sdk.use_fips().unwrap_or_default(),
                use_dual_stack: found.sdk.use_dual_stack().unwrap_or_default(),
            },
            everywhere: Arc::new(Semaphore::new(config.max_in_flight.max(1))),
            services: Mutex::default(),
            http: found.http,
            sdk: found.sdk,
            region: found.region,
            credentials: found.facts,
            models,
            partitions,
            config,
        });
        let client = Self::with_credentials(Arc::clone(&shared), found.credentials);
        let Some(role) = shared.config.role.clone() else {
            return Ok(client);
        };
        let arn = role.arn.clone();
        client.assume(role).await.map_err(|e| ConnectError::Role {
            role: arn,
            reason: e.to_string(),
        })
    }

    /// A client for the account of a role. The role is assumed now, with this client, and again when its credentials end.
    ///
    /// # Errors
    /// When the role cannot be assumed.
    pub async fn assume(&self, role: Role) -> Result<Self, CallFailure> {
        let provider = AssumedRole::new(self.clone(), role);
        provider.begin().await?;
        Ok(Self::with_credentials(
            Arc::clone(&self.0.shared),
            SharedCredentialsProvider::new(provider),
        ))
    }

    fn with_credentials(shared: Arc<Shared>, credentials: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Session {
            shared,
            identity: SharedIdentityResolver::new(credentials.clone()),
            credentials,
            // The chain may ask an identity provider over the network; the default of 5 seconds is short.
            identity_cache: IdentityCache::lazy()
                .load_timeout(Duration::from_secs(30))
                .build(),
            clock_skew: SharedInterceptor::new(ServiceClockSkewInterceptor::new()),
            lanes: Mutex::default(),
            statistics: Statistics::default(),
        }))
    }

    /// The endpoint that was given for every service.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.0.shared.config.endpoint_url.as_deref()
    }

    /// The keys themselves, for what signs requests on its own, and when they expire.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn keys(&self) -> Result<(StaticCredentials, Option<SystemTime>), String> {
        let found = self.0.credentials.provide_credentials().await;
        let keys = found.map_err(|e| DisplayErrorContext(&e).to_string())?;
        let secret = StaticCredentials {
            access_key_id: keys.access_key_id().to_owned(),
            secret_access_key: keys.secret_access_key().to_owned(),
            session_token: keys.session_token().map(str::to_owned),
        };
        Ok((secret, keys.expiry()))
    }

    pub(crate) fn found_credentials(&self) -> &CredentialFacts {
        &self.0.shared.credentials
    }

    pub(crate) fn http(&self) -> SharedHttpClient {
        self.0.shared.http.clone()
    }

    /// The URL that requests of a service go to in the default region.
    pub(crate) fn target_of(
        &self,
        service: &str,
        params: &Map<String, Json>,
    ) -> Result<String, CallFailure> {
        let shared = &self.0.shared;
        let service = self.service(service)?;
        let mut operations = service.model.operations.iter();
        let operation = operations.find(|o| o.host_prefix.is_none());
        let operation = operation.ok_or_else(|| {
            let message = "every operation has a host of its own";
            CallFailure::local(CallErrorKind::Other, "NoCommonEndpoint", message)
        })?;
        let region = self.region().as_str();
        let target = service.target(
            operation,
            region,
            params,
            &shared.endpoints,
            &shared.partitions,
        )?;
        Ok(target.url.clone())
    }

    /// The default region.
    pub fn region(&self) -> &Region {
        &self.0.shared.region
    }

    /// The API models.
    pub fn models(&self) -> &Arc<Models> {
        &self.0.shared.models
    }

    /// Whose credentials these are.
    ///
    /// # Errors
    /// When the call fails or its answer makes no sense.
    pub async fn identity(&self) -> Result<Identity, CallFailure> {
        let answer = self
            .call("sts", "GetCallerIdentity", self.region(), &Map::new())
            .await?;
        let model = self.model("sts")?;
        let text = |name: &str| {
            answer
                .get(&model, name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let malformed =
            |what: String| CallFailure::local(CallErrorKind::Malformed, "MalformedAnswer", &what);
        let arn: Arn = text("Arn").parse().map_err(|e| malformed(format!("{e}")))?;
        Ok(Identity {
            account_id: text("Account")
                .parse()
                .map_err(|e| malformed(format!("{e}")))?,
            partition: arn
                .partition()
                .parse()
                .map_err(|e| malformed(format!("{e}")))?,
            arn: text("Arn").to_owned(),
        })
    }

    /// The regions that are enabled for the account, sorted (`ec2:DescribeRegions`).
    ///
    /// # Errors
    /// When the call fails.
    pub async fn enabled_regions(&self) -> Result<Vec<Region>, CallFailure> {
        let params = Map::from_iter([("AllRegions".to_owned(), json!(false))]);
        let answer = self
            .call("ec2", "DescribeRegions", self.region(), &params)
            .await?;
        let model = self.model("ec2")?;
        let mut regions = Vec::new();
        let Some(Value::List(all)) = answer.get(&model, "Regions") else {
            let message = "the answer lists no regions";
            return Err(CallFailure::local(
                CallErrorKind::Malformed,
                "MalformedAnswer",
                message,
            ));
        };
        for region in all {
            // Filtered here as well: not every endpoint honours the parameter.
            let status = region.get(&model, "OptInStatus").and_then(Value::as_str);
            if matches!(status, None | Some("opt-in-not-required" | "opted-in")) {
                let name = region
                    .get(&model, "RegionName")
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                regions.push(name.parse().map_err(|e| {
                    CallFailure::local(CallErrorKind::Malformed, "MalformedAnswer", &format!("{e}"))
                })?);
            }
        }
        regions.sort();
        Ok(regions)
    }

    /// Makes one call and gives the operation's output structure: of a paginated operation the first page.
    ///
    /// # Errors
    /// When the call failed after all attempts, or the parameters do not fit.
    pub async fn call(
        &self,
        service: &str,
        operation: &str,
        region: &Region,
        params: &Map<String, Json>,
    ) -> Result<Value, CallFailure> {
        let service = self.service(service)?;
        let operation = operation_of(&service.model, operation)?;
        self.output(&service, operation, region.as_str(), params, None)
            .await
    }

    /// Puts an object into a bucket, whichever its region. The body is shared by all attempts, not copied.
    ///
    /// # Errors
    /// When the call failed after all attempts.
    pub async fn put_object(
        &self,
        bucket: &str,
        key: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<(), CallFailure> {
        let service = self.service("s3")?;
        let operation = operation_of(&service.model, "PutObject")?;
        let params = Map::from_iter([
            ("Bucket".to_owned(), json!(bucket)),
            ("Key".to_owned(), json!(key)),
            ("ContentType".to_owned(), json!(content_type)),
        ]);
        let region = self.region().as_str();
        self.output(&service, operation, region, &params, Some(&body))
            .await
            .map(drop)
    }

    /// All pages of a call. An operation without pages gives one.
    pub fn pages<'a>(
        &'a self,
        service: &'a str,
        operation: &'a str,
        region: &'a Region,
        params: Map<String, Json>,
    ) -> impl Stream<Item = Result<Value, CallFailure>> + Send + 'a {
        futures::stream::try_unfold(Some(params), move |params| async move {
            let Some(params) = params else {
                return Ok(None);
            };
            let request = CallRequest {
                service,
                operation,
                region: region.as_str(),
                params: &params,
            };
            let page = self.page(request).await?;
            Ok(Some((page.value, page.next)))
        })
    }

    /// What was sent with these credentials so far, sorted by service and operation.
    pub fn statistics(&self) -> Vec<OperationStatistics> {
        self.0.statistics.report()
    }

    async fn page(&self, request: CallRequest<'_>) -> Result<Page, CallFailure> {
        let service = self.service(request.service)?;
        let operation = operation_of(&service.model, request.operation)?;
        let value = self
            .output(&service, operation, request.region, request.params, None)
            .await?;
        let next =
            paginate::next(&service.model, operation, request.params, &value).map_err(|_| {
                let message = "the service gave the same page token twice";
                CallFailure::local(CallErrorKind::Malformed, "RepeatedToken", message)
            })?;
        Ok(Page { value, next })
    }

    async fn output(
        &self,
        service: &Arc<Service>,
        operation: &Operation,
        region: &str,
        params: &Map<String, Json>,
        body: Option<&Bytes>,
    ) -> Result<Value, CallFailure> {
        match self.attempt(service, operation, region, params, body).await {
            // Amazon S3 names the bucket's region when another one was asked.
            Err(CallFailure {
                region: Some(other),
                status: Some(301 | 307 | 400),
                ..
            }) if service.is_s3() && other != region => {
                self.attempt(service, operation, &other, params, body).await
            }
            result => result,
        }
    }

    async fn attempt(
        &self,
        service: &Arc<Service>,
        operation: &Operation,
        region: &str,
        params: &Map<String, Json>,
        body: Option<&Bytes>,
    ) -> Result<Value, CallFailure> {
        let shared = &self.0.shared;
        let params = &*bare_ids(service, params);
        let target = service.target(
            operation,
            region,
            params,
            &shared.endpoints,
            &shared.partitions,
        )?;
        let lane = self.lane(&service.model.name, &target.signing_region);
        let mut outgoing = Outgoing::new(service, operation, params, &target)?;
        let mut upload = Duration::ZERO;
        if let Some(body) = body {
            outgoing = outgoing.with_body(body.clone());
            // at no less than 256 KiB a second
            upload = Duration::from_secs(u64::try_from(body.len() >> 18).unwrap_or(0));
        }
        // Answers of sts carry credentials.
        let secret = service.model.name == "sts" && operation.name != "GetCallerIdentity";
        let attempts = Arc::new(Attempts {
            service: Arc::clone(service),
            limit: Arc::clone(&lane.limit),
            everywhere: Arc::clone(&shared.everywhere),
            here: Arc::clone(&lane.here),
            counters: self.0.statistics.of(&service.model.name, &operation.name),
            recorder: shared.config.recorder.clone().filter(|_| !secret),
            timeout: shared.config.attempt_timeout,
            upload,
            unconnected: Default::default(),
            failed: Default::default(),
            trouble: Mutex::default(),
        });
        send::send(&self.0, &lane, attempts, operation, &target, outgoing).await
    }

    fn lane(&self, service: &str, region: &str) -> Arc<Lane> {
        let mut lanes = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes
            .entry((region.to_owned(), service.to_owned()))
            .or_insert_with(|| {
                let width = self.0.shared.config.max_in_flight_per_service.max(1);
                // Throttling is answered by the rate limit, so it hardly counts against the retries of the rest.
                let bucket = TokenBucket::builder()
                    .capacity(500)
                    .throttling_retry_cost(1)
                    .build();
                Arc::new(Lane {
                    limit: Arc::default(),
                    here: Arc::new(Semaphore::new(width)),
                    retries: RetryPartition::custom(format!("{region}/{service}"))
                        .token_bucket(bucket)
                        .build(),
                })
            });
        Arc::clone(lane)
    }

    fn model(&self, name: &str) -> Result<Arc<Model>, CallFailure> {
        let unknown = |e: palisade_model::ModelError| {
            CallFailure::local(CallErrorKind::Other, "UnknownService", &e.to_string())
        };
        self.0.shared.models.get(name).map_err(unknown)
    }

    fn service(&self, name: &str) -> Result<Arc<Service>, CallFailure> {
        let shared = &self.0.shared;
        let services = || {
            shared
                .services
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(service) = services().get(name) {
            return Ok(Arc::clone(service));
        }
        let model = self.model(name)?;
        let custom = shared.custom_endpoint(&model);
        let service = Arc::new(Service::new(model, custom)?);
        // Two callers may have built it; all must use one, since it caches.
        Ok(Arc::clone(
            services().entry(name.to_owned()).or_insert(service),
        ))
    }
}

impl Shared {
    /// `--endpoint-url`, else `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_ENDPOINT_URL` or the profile's
    /// ("Service-specific endpoints" in the AWS SDKs and Tools reference guide).
    fn custom_endpoint(&self, model: &Model) -> Option<String> {
        let id = model.service_id.to_lowercase().replace([' ', '-'], "_");
        let key = ServiceConfigKey::builder()
            .service_id(&id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url");
        let configured = || self.sdk.service_config()?.load_config(key.build().ok()?);
        let given = self.config.endpoint_url.clone();
        given
            .or_else(configured)
            .or_else(|| self.sdk.endpoint_url().map(str::to_owned))
    }
}

fn operation_of<'m>(model: &'m Model, name: &str) -> Result<&'m Operation, CallFailure> {
    model.operation(name).ok_or_else(|| {
        let message = format!("`{}` has no operation `{name}`", model.name);
        CallFailure::local(CallErrorKind::Other, "UnknownOperation", &message)
    })
}

impl Api for Client {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        Box::pin(async move { self.page(request).await.map_err(Into::into) })
    }

    fn statistics(&self) -> Vec<OperationStatistics> {
        self.0.statistics.report()
    }
}

/// Amazon Route 53 answers with `/hostedzone/Z1` and takes `Z1` (Route 53 API Reference, "ListHostedZones"): the
/// prefix would become part of the path.
fn bare_ids<'p>(
    service: &Service,
    params: &'p Map<String, Json>,
) -> std::borrow::Cow<'p, Map<String, Json>> {
    let prefixed = |value: &Json| {
        let text = value.as_str()?;
        ["/hostedzone/", "/change/", "/delegationset/"]
            .iter()
            .find_map(|prefix| text.strip_prefix(prefix).map(Json::from))
    };
    if service.model.name != "route53" || !params.values().any(|value| prefixed(value).is_some()) {
        return std::borrow::Cow::Borrowed(params);
    }
    let bare = |(name, value): (&String, &Json)| {
        (
            name.clone(),
            prefixed(value).unwrap_or_else(|| value.clone()),
        )
    };
    std::borrow::Cow::Owned(params.iter().map(bare).collect())
}

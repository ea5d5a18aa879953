//! Settings of a client, and why one could not be made.
use crate::transport::Recorder;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::time::Duration;

/// A role to assume, with whatever credentials there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// The role's ARN.
    pub arn: String,
    /// External id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Name of the session in CloudTrail; `palisade` when absent.
    pub session_name: Option<String>,
    /// How long the credentials last; an hour when absent. They are renewed as needed.
    pub duration: Option<Duration>,
}

/// How to reach AWS. Whatever is absent comes from the environment and the profile, as for every AWS tool.
#[derive(Clone)]
pub struct ClientConfig {
    /// Profile of the shared configuration files.
    pub profile: Option<String>,
    /// Endpoint for all services, before `AWS_ENDPOINT_URL` and the profile's.
    pub endpoint_url: Option<String>,
    /// Role to assume first.
    pub role: Option<Role>,
    /// Default region.
    pub region: Option<String>,
    /// Attempts of a throttled call, the first included. Absent: `AWS_MAX_ATTEMPTS`, else 8.
    pub max_attempts: Option<u32>,
    /// Upper bound of the first wait between attempts; it doubles from there, with jitter.
    pub initial_backoff: Duration,
    /// Upper bound of every wait between attempts.
    pub max_backoff: Duration,
    /// Time to make a connection.
    pub connect_timeout: Duration,
    /// Time to the first byte of an answer.
    pub read_timeout: Duration,
    /// Time for a whole attempt, waiting for limits not included.
    pub attempt_timeout: Duration,
    /// Requests in flight at the same time, all accounts together.
    pub max_in_flight: usize,
    /// Requests in flight at the same time to one service in one region of one account.
    pub max_in_flight_per_service: usize,
    /// Use FIPS endpoints; absent: as configured.
    pub use_fips: Option<bool>,
    /// Use dual-stack endpoints; absent: as configured.
    pub use_dual_stack: Option<bool>,
    /// Receives every exchange, without credentials.
    pub recorder: Option<Recorder>,
    /// Another HTTP client than AWS's own.
    pub http_client: Option<SharedHttpClient>,
    /// Fixed credentials (access key id, secret access key, session token) in place of the usual search.
    pub credentials: Option<StaticCredentials>,
}

/// Credentials that are given, not found. Their debug form shows the key id only.
#[derive(Clone, PartialEq, Eq)]
pub struct StaticCredentials {
    /// Access key id.
    pub access_key_id: String,
    /// Secret access key.
    pub secret_access_key: String,
    /// Session token, for temporary credentials.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for StaticCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaticCredentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            profile: None,
            endpoint_url: None,
            role: None,
            region: None,
            max_attempts: None,
            initial_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(60),
            attempt_timeout: Duration::from_secs(90),
            max_in_flight: 64,
            max_in_flight_per_service: 32,
            use_fips: None,
            use_dual_stack: None,
            recorder: None,
            http_client: None,
            credentials: None,
        }
    }
}

impl std::fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientConfig")
            .field("profile", &self.profile)
            .field("endpoint_url", &self.endpoint_url)
            .field("role", &self.role)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Why no client could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// Nothing gave credentials.
    #[error(
        "no AWS credentials found; set AWS_PROFILE or --profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with `aws sso login`"
    )]
    NoCredentials,
    /// The credentials, or the session that gives them, have expired.
    #[error("the AWS credentials have expired: {0}")]
    Expired(String),
    /// Something should have given credentials and failed.
    #[error("the AWS credentials could not be loaded: {0}")]
    Credentials(String),
    /// No such profile.
    #[error("there is no profile `{0}` in the AWS configuration files")]
    ProfileNotFound(String),
    /// The configuration files cannot be read.
    #[error("the AWS configuration files cannot be read: {0}")]
    Configuration(String),
    /// Nothing names a region.
    #[error("no AWS region; set --region or AWS_REGION, or give the profile one")]
    NoRegion,
    /// Not the form of a region.
    #[error("{0}")]
    InvalidRegion(String),
    /// Not a URL of an endpoint.
    #[error("`{0}` is not an endpoint URL such as `http://localhost:5000`")]
    InvalidEndpoint(String),
    /// The role could not be assumed.
    #[error("the role `{role}` could not be assumed: {reason}")]
    Role {
        /// The role's ARN.
        role: String,
        /// AWS's answer.
        reason: String,
    },
    /// The shipped models are damaged.
    #[error("{0}")]
    Model(String),
}

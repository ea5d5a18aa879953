//! Why an AWS call failed, in the form that reaches tables, findings and reports.
use serde::{Deserialize, Serialize};

/// Why a call failed, by what the reader can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallErrorKind {
    /// AWS refused: a permission is missing or a policy denies it.
    Denied,
    /// Credentials are missing, wrong or expired.
    Credentials,
    /// Still throttled after all retries.
    Throttled,
    /// No answer in time.
    Timeout,
    /// No connection could be made.
    Unreachable,
    /// The service or operation does not exist there, or the region is not enabled.
    Unavailable,
    /// The service failed (5xx) after all retries.
    Server,
    /// The answer could not be understood (truncated or malformed).
    Malformed,
    /// A call that this one needed failed, or the scan was stopped before it was made.
    NotMade,
    /// Anything else that AWS answered.
    Other,
}

/// One failed call. Shared (`Arc`) by every cell that it should have filled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallError {
    /// The API's name in the models, for example `s3`.
    pub service: String,
    /// For example `GetBucketPolicy`.
    pub operation: String,
    /// Account the call was made in; empty where it is not known.
    pub account_id: String,
    /// Region the call was made in.
    pub region: String,
    /// What kind of failure it was.
    pub kind: CallErrorKind,
    /// AWS's error code, or ours for failures without an answer (`Timeout`, `ConnectError`, …).
    pub code: String,
    /// AWS's message, shortened, without any secret.
    pub message: String,
    /// The IAM actions that the call needs, for example `s3:GetBucketPolicy`.
    pub permissions: Vec<String>,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{} failed with {}",
            self.service, self.operation, self.code
        )?;
        if self.kind == CallErrorKind::Denied && !self.permissions.is_empty() {
            write!(f, "; needs {}", self.permissions.join(", "))?;
        }
        Ok(())
    }
}

//! The seam between those who need answers and the client that gets them: object-safe, so that a
//! fake can stand in for AWS.
use crate::Value;
use palisade_core::CallErrorKind;
use serde_json::{Map, Value as Json};
use std::future::Future;
use std::pin::Pin;

/// One request to one operation in one region.
#[derive(Debug, Clone, Copy)]
pub struct CallRequest<'a> {
    /// The API's name in the models, for example `ec2`.
    pub service: &'a str,
    /// For example `DescribeInstances`.
    pub operation: &'a str,
    /// Region whose endpoint is asked.
    pub region: &'a str,
    /// Input members by the model's names; bytes as base64, timestamps as RFC 3339 or seconds since 1970.
    pub params: &'a Map<String, Json>,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The operation's output structure.
    pub value: Value,
    /// The complete parameters of the request for the next page; `None` at the end, and for operations
    /// without pages.
    pub next: Option<Map<String, Json>>,
}

/// A call that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ApiError {
    /// What kind of failure it was.
    pub kind: CallErrorKind,
    /// AWS's error code, or ours for failures without an answer.
    pub code: String,
    /// AWS's message, shortened, without any secret.
    pub message: String,
}

/// What was sent for one operation so far.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct OperationStatistics {
    /// The API's name in the models.
    pub service: String,
    /// For example `DescribeInstances`.
    pub operation: String,
    /// HTTP requests sent, retries and pages included.
    pub requests: u64,
    /// Answers that were throttling.
    pub throttled: u64,
    /// Bytes of answer bodies received.
    pub bytes: u64,
}

/// The future of a call.
pub type CallFuture<'a> = Pin<Box<dyn Future<Output = Result<Page, ApiError>> + Send + 'a>>;

/// Someone who answers AWS API calls for one account.
pub trait Api: Send + Sync {
    /// Makes one call and returns one page. Dropping the future cancels the call.
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a>;
    /// What was sent so far, sorted by service and operation.
    fn statistics(&self) -> Vec<OperationStatistics>;
}

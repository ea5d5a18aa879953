//! Which failures are tried again. AWS's standard strategy does the rest: backoff with jitter, quotas.
use crate::failure::CallFailure;
use crate::transport::Attempts;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use palisade_core::CallErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A service that keeps failing (5xx, truncated or malformed answers) is asked this often; throttling has
/// the client's full number of attempts.
pub(crate) const SERVER_ATTEMPTS: u32 = 4;

/// The error type of the orchestrator's operation.
#[derive(Debug, thiserror::Error)]
#[error("{failure}")]
pub(crate) struct AttemptFailure {
    pub(crate) failure: CallFailure,
    meta: ErrorMetadata,
}

impl From<CallFailure> for AttemptFailure {
    fn from(failure: CallFailure) -> Self {
        let meta = ErrorMetadata::builder()
            .code(failure.code.clone())
            .message(failure.message.clone())
            .build();
        Self { failure, meta }
    }
}

impl ProvideErrorMetadata for AttemptFailure {
    fn meta(&self) -> &ErrorMetadata {
        &self.meta
    }
}

/// Sorts answered failures into those worth another attempt and the rest.
#[derive(Debug)]
pub(crate) struct AnsweredFailures(pub(crate) Arc<Attempts>);

impl ClassifyRetry for AnsweredFailures {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let Some(Err(error)) = context.output_or_error() else {
            return RetryAction::NoActionIndicated;
        };
        let failure = error
            .as_operation_error()
            .and_then(|e| e.downcast_ref::<AttemptFailure>());
        match failure.map(|f| f.failure.kind) {
            Some(CallErrorKind::Throttled) => RetryAction::throttling_error(),
            Some(CallErrorKind::Server | CallErrorKind::Malformed | CallErrorKind::Timeout) => {
                if self.0.failed.load(Ordering::Relaxed) >= SERVER_ATTEMPTS {
                    RetryAction::NoActionIndicated
                } else {
                    RetryAction::server_error()
                }
            }
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "answered failures"
    }
}

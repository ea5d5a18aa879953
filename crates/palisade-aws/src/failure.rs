//! What went wrong with a call, sorted by what the reader can do about it.
use palisade_core::CallErrorKind;
use palisade_model::ApiError;

/// Longest message that is kept, in letters.
const MAX_MESSAGE: usize = 300;

/// A call that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct CallFailure {
    /// What kind of failure it was.
    pub kind: CallErrorKind,
    /// AWS's error code, or ours for failures without an answer (`Timeout`, `ConnectError`, …).
    pub code: String,
    /// AWS's message, shortened, without any secret.
    pub message: String,
    /// HTTP status of the last answer, when there was one.
    pub status: Option<u16>,
    /// Amazon S3: the region that must be asked instead.
    pub region: Option<String>,
}

impl CallFailure {
    /// A failure without an answer, or with one that could not be understood.
    pub(crate) fn local(kind: CallErrorKind, code: &str, message: &str) -> Self {
        Self {
            kind,
            code: code.to_owned(),
            message: clean(message),
            status: None,
            region: None,
        }
    }

    /// What a service answered.
    pub(crate) fn answered(error: &crate::decode::ServiceError, status: u16) -> Self {
        Self {
            kind: classify(&error.code, status),
            code: clean(&error.code),
            message: clean(&error.message),
            status: Some(status),
            region: error.region.clone(),
        }
    }
}

impl From<CallFailure> for ApiError {
    fn from(failure: CallFailure) -> Self {
        Self {
            kind: failure.kind,
            code: failure.code,
            message: failure.message,
        }
    }
}

/// AWS's error codes by kind. Codes that several services share are in AWS's "Common errors" pages; the
/// rest is in the named services' references.
pub(crate) fn classify(code: &str, status: u16) -> CallErrorKind {
    if is_throttling(code, status) {
        return CallErrorKind::Throttled;
    }
    match code {
        // Before the denials: these come with status 403, too.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "TokenRefreshRequired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "AuthFailure"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "MissingSecurityHeader"
        | "NotSignedUp"
        | "AuthMissingFailure" => CallErrorKind::Credentials,
        "OptInRequired"
        | "UnsupportedOperation"
        | "UnsupportedOperationException"
        | "InvalidAction"
        | "UnknownOperationException"
        | "UnknownOperation"
        | "UnknownEndpoint"
        | "SubscriptionRequiredException"
        | "RegionDisabledException"
        | "OperationNotSupportedException"
        | "NotImplemented"
        | "InvalidRegionException"
        | "UnsupportedCommandException" => CallErrorKind::Unavailable,
        "RequestTimeout" | "RequestTimeoutException" => CallErrorKind::Timeout,
        _ if code.starts_with("AccessDenied")
            || code.starts_with("UnauthorizedOperation")
            || code.starts_with("Client.UnauthorizedOperation")
            || matches!(
                code,
                "AuthorizationError"
                    | "AuthorizationErrorException"
                    | "NotAuthorized"
                    | "NotAuthorizedException"
                    | "UnauthorizedException"
                    | "Unauthorized"
                    | "Forbidden"
                    | "ForbiddenException"
                    | "AllAccessDisabled"
                    | "AuthorizationException"
            ) =>
        {
            CallErrorKind::Denied
        }
        _ if status == 403 => CallErrorKind::Denied,
        _ if status >= 500 => CallErrorKind::Server,
        _ => CallErrorKind::Other,
    }
}

/// Throttling as AWS's SDKs understand it, and status 429.
pub(crate) fn is_throttling(code: &str, status: u16) -> bool {
    status == 429 || aws_runtime::retries::classifiers::THROTTLING_ERRORS.contains(&code)
}

/// Shortens, and takes out what must not reach a log: AWS quotes access key ids, tokens and the signed
/// request in some messages (`SignatureDoesNotMatch` prints the canonical request).
fn clean(message: &str) -> String {
    let first = message.split(['\r', '\n']).next().unwrap_or_default();
    let mut out = String::new();
    for word in first.split_inclusive([' ', ',', ';', '\'', '"', '(', ')', '=', ':']) {
        let body = word.trim_end_matches([' ', ',', ';', '\'', '"', '(', ')', '=', ':']);
        if is_secret(body) {
            out.push_str("***");
            out.push_str(word.get(body.len()..).unwrap_or_default());
        } else {
            out.push_str(word);
        }
    }
    if out.chars().count() > MAX_MESSAGE {
        out = out
            .chars()
            .take(MAX_MESSAGE)
            .chain(std::iter::once('…'))
            .collect();
    }
    out
}

/// An access key id, an encoded authorization message, a token: long runs of base64 letters. ARNs and
/// paths have other letters or separators in between.
fn is_secret(word: &str) -> bool {
    let key = ["AKIA", "ASIA"].iter().any(|p| word.starts_with(p)) && word.len() >= 16;
    let base64 = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    let mixed = word.bytes().any(|b| b.is_ascii_digit())
        && word.bytes().any(|b| b.is_ascii_uppercase())
        && word.bytes().any(|b| b.is_ascii_lowercase());
    key || (word.len() >= 40 && mixed && word.bytes().all(base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        for (code, status, kind) in [
            ("AccessDenied", 403, CallErrorKind::Denied),
            ("AccessDeniedException", 400, CallErrorKind::Denied),
            ("UnauthorizedOperation", 403, CallErrorKind::Denied),
            ("403", 403, CallErrorKind::Denied),
            ("ExpiredToken", 403, CallErrorKind::Credentials),
            ("InvalidClientTokenId", 403, CallErrorKind::Credentials),
            ("RequestLimitExceeded", 503, CallErrorKind::Throttled),
            ("SlowDown", 503, CallErrorKind::Throttled),
            ("Throttling", 400, CallErrorKind::Throttled),
            ("429", 429, CallErrorKind::Throttled),
            ("OptInRequired", 401, CallErrorKind::Unavailable),
            ("OptInRequired", 403, CallErrorKind::Unavailable),
            ("InternalError", 500, CallErrorKind::Server),
            ("NoSuchBucketPolicy", 404, CallErrorKind::Other),
            ("RequestTimeout", 400, CallErrorKind::Timeout),
        ] {
            assert_eq!(classify(code, status), kind, "{code} {status}");
        }
    }

    #[test]
    fn messages_keep_no_secrets_and_no_novels() {
        let text = clean("The key AKIAIOSFODNN7EXAMPLE is unknown\nhost:sts.amazonaws.com");
        assert_eq!(text, "The key *** is unknown");
        let text = clean(
            "Encoded authorization failure message: aB3dEfGhIjKlMnOpQrStUvWxYz0123456789aB3dEfGhIj",
        );
        assert_eq!(text, "Encoded authorization failure message: ***");
        let arn = "arn:aws:iam::123456789012:user/some-longish-name is not authorized to perform: s3:ListAllMyBuckets";
        assert_eq!(clean(arn), arn);
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), MAX_MESSAGE + 1);
    }
}

//! The canonical form of a request: what makes two requests the same question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{canonical_path, form, pairs, percent_decode};
use crate::exchange::RecordedRequest;

/// Parameters that differ from run to run, or that are secret, and never change which answer is right.
///
/// The tokens are AWS's idempotency tokens; the rest are the credentials that `sts` takes as parameters.
const IGNORED_PARAMETERS: [&str; 7] = [
    "clienttoken",
    "idempotencytoken",
    "clientrequesttoken",
    "clientidempotencytoken",
    "webidentitytoken",
    "samlassertion",
    "tokencode",
];

/// Query parameters of a presigned URL and of some clients' bookkeeping.
const IGNORED_QUERY: [&str; 8] = [
    "x-id",
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// How a request and its answer are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// `awsJson1_0` and `awsJson1_1`.
    Json,
    /// `restJson1`.
    RestJson,
    /// `restXml` as Amazon S3 writes its errors: without an envelope.
    S3,
    /// `restXml`.
    RestXml,
    /// `awsQuery`.
    Query,
    /// `ec2Query`.
    Ec2,
    /// `rpcv2Cbor`.
    Cbor,
}

/// A request in canonical form. Credentials are not part of it: only the service and the region that they were scoped to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The signing name, for example `s3`, `monitoring`, `elasticloadbalancing`; empty when the request was not signed.
    pub service: String,
    /// The signing region; empty when the request was not signed.
    pub region: String,
    /// The `X-Amz-Target` header, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// The HTTP method.
    pub method: String,
    /// The path in one spelling of its percent-encoding; a bucket in the host name is moved to its front.
    pub path: String,
    /// Decoded query pairs, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The canonical body: forms sorted, JSON with sorted keys, other bytes as they are; empty for an empty JSON object.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        with = "crate::recording::body_text"
    )]
    pub body: Vec<u8>,
}

impl Key {
    /// The canonical form of `request`.
    pub fn of(request: &RecordedRequest) -> Self {
        let header = |name: &str| {
            let found = request
                .headers
                .iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.as_str())
        };
        Self::from_parts(
            &request.method,
            &request.path_and_query,
            header,
            &request.body,
        )
    }

    /// The canonical form of a request in parts; `header` gives a header's value by lower-case name, or an empty text.
    pub(crate) fn from_parts<'a>(
        method: &str,
        path_and_query: &str,
        header: impl Fn(&str) -> &'a str,
        body: &[u8],
    ) -> Self {
        let (path, query) = path_and_query
            .split_once('?')
            .unwrap_or((path_and_query, ""));
        let all_query = pairs(query);
        let (service, region) = scope(
            header("authorization"),
            header("x-amz-region-set"),
            &all_query,
        );
        let mut query: Vec<_> = all_query
            .into_iter()
            .filter(|(name, _)| {
                !IGNORED_QUERY.contains(&name.to_ascii_lowercase().as_str()) && !is_ignored(name)
            })
            .collect();
        query.sort();
        let mut path = canonical_path(path);
        if service == "s3"
            && let Some(bucket) = bucket_of_host(header("host"))
        {
            path = format!("/{bucket}{path}");
        }
        Self {
            service,
            region,
            target: header("x-amz-target").to_owned(),
            method: method.to_ascii_uppercase(),
            path,
            query,
            body: canonical_body(header("content-type"), body),
        }
    }

    /// How this request is written, judged by the request itself.
    pub fn protocol(&self) -> Protocol {
        if !self.target.is_empty() {
            Protocol::Json
        } else if self.is_cbor() {
            Protocol::Cbor
        } else if self.action().is_some() {
            if self.service == "ec2" {
                Protocol::Ec2
            } else {
                Protocol::Query
            }
        } else {
            match self.service.as_str() {
                // S3 Control signs as `s3` too, and writes its errors in an envelope.
                "s3" if !self.path.starts_with("/v20180820/") => Protocol::S3,
                "s3" | "cloudfront" | "route53" => Protocol::RestXml,
                _ => Protocol::RestJson,
            }
        }
    }

    /// The operation: from `X-Amz-Target`, from `Action`, from a CBOR path, else method and shape of the path.
    pub fn operation(&self) -> String {
        if let Some((_, operation)) = self.target.rsplit_once('.') {
            operation.to_owned()
        } else if !self.target.is_empty() {
            self.target.clone()
        } else if let Some(action) = self.action() {
            action
        } else if self.is_cbor() {
            self.path.rsplit('/').next().unwrap_or_default().to_owned()
        } else {
            let shape = if self.service == "s3" && !self.path.starts_with("/v20180820/") {
                self.bucket_shape()
            } else {
                path_shape(&self.path)
            };
            format!("{} {shape}", self.method)
        }
    }

    fn is_cbor(&self) -> bool {
        self.path.starts_with("/service/") && self.path.contains("/operation/")
    }

    fn action(&self) -> Option<String> {
        if let Some(start) = self.body.strip_prefix(b"Action=") {
            return Some(until_ampersand(start));
        }
        let text = std::str::from_utf8(&self.body).ok()?;
        if let Some((_, start)) = text.split_once("&Action=") {
            return Some(until_ampersand(start.as_bytes()));
        }
        self.query
            .iter()
            .find(|(name, _)| name == "Action")
            .map(|(_, value)| value.clone())
    }

    /// `/{bucket}/{key}?subresource`, where a subresource is a query name without a value.
    fn bucket_shape(&self) -> String {
        let mut out = match self.path.trim_matches('/') {
            "" => "/".to_owned(),
            path if path.contains('/') => "/{bucket}/{key}".to_owned(),
            _ => "/{bucket}".to_owned(),
        };
        if let Some((name, _)) = self.query.iter().find(|(_, value)| value.is_empty()) {
            out.push('?');
            out.push_str(name);
        }
        out
    }
}

fn until_ampersand(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .position(|byte| *byte == b'&')
        .unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn is_ignored(parameter: &str) -> bool {
    IGNORED_PARAMETERS
        .iter()
        .any(|ignored| ignored.eq_ignore_ascii_case(parameter))
}

/// Service and region from the credential scope of SigV4 (`key/date/region/service/aws4_request`), of SigV4a
/// (no region in the scope, `X-Amz-Region-Set` instead), or of a presigned URL.
fn scope(authorization: &str, region_set: &str, query: &[(String, String)]) -> (String, String) {
    let presigned = query
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("x-amz-credential"));
    let credential = authorization
        .split_once("Credential=")
        .map(|(_, rest)| rest.split([',', ' ']).next().unwrap_or_default())
        .or(presigned.map(|(_, value)| value.as_str()))
        .unwrap_or_default();
    // Read from the right: the access key id is free text.
    let mut parts = credential.rsplit('/');
    if parts.next() != Some("aws4_request") {
        return (String::new(), String::new());
    }
    let service = parts.next().unwrap_or_default().to_owned();
    let region = match parts.next() {
        Some(date) if date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit()) => {
            region_set
        }
        other => other.unwrap_or_default(),
    };
    (service, region.to_owned())
}

/// The bucket of a virtual-hosted address, `bucket.s3.region.amazonaws.com` or `bucket.s3-accelerate…`.
fn bucket_of_host(host: &str) -> Option<&str> {
    let host = host.split(':').next().unwrap_or_default();
    if !host.ends_with(".amazonaws.com") && !host.ends_with(".amazonaws.com.cn") {
        return None;
    }
    let at = host.rfind(".s3.").or_else(|| host.rfind(".s3-"))?;
    let bucket = host.get(..at)?;
    // `123456789012.s3-control.region…` names an account, not a bucket.
    (!host.contains(".s3-control")).then_some(bucket)
}

fn canonical_body(content_type: &str, body: &[u8]) -> Vec<u8> {
    let kind = content_type.to_ascii_lowercase();
    if body.is_empty() {
        return Vec::new();
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        if let Ok(text) = std::str::from_utf8(body) {
            let mut pairs = pairs(text.trim());
            pairs.retain(|(name, _)| !is_ignored(name));
            pairs.sort();
            return form(&pairs).into_bytes();
        }
    } else if (kind.contains("json") || kind.is_empty() || kind.starts_with("binary/octet-stream"))
        && let Ok(value) = serde_json::from_slice::<Value>(body)
    {
        let value = match value {
            Value::Object(mut map) => {
                map.retain(|name, _| !is_ignored(name));
                if map.is_empty() {
                    return Vec::new();
                }
                sorted(Value::Object(map))
            }
            other => sorted(other),
        };
        return value.to_string().into_bytes();
    }
    body.to_vec()
}

/// The same value with every object's keys in order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map
                .into_iter()
                .map(|(name, value)| (name, sorted(value)))
                .collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}

/// A path with its identifiers replaced by `{}`, so that requests of one operation count together.
///
/// Without the API's model this is a rule of thumb: a segment names a thing when it follows a plural, or when it
/// holds what fixed segments do not hold (capitals, digits, encoded characters).
fn path_shape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut after_plural = false;
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let plain = segment
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_');
        let camel = segment.starts_with(|first: char| first.is_ascii_lowercase())
            && segment.bytes().all(|byte| byte.is_ascii_alphabetic());
        out.push('/');
        if is_version(segment) || ((plain || camel) && !after_plural) {
            out.push_str(segment);
            after_plural = segment.ends_with('s') && !is_version(segment);
        } else {
            out.push_str("{}");
            after_plural = false;
        }
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// `v1`, `V20180820`, `2015-03-31`.
fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix(['v', 'V']).unwrap_or(segment);
    let dated = segment.len() == 10 && segment.split('-').count() == 3;
    let numbered = digits.len() < segment.len();
    (dated || numbered)
        && !digits.is_empty()
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
}

/// The decoded last segment of a path; for messages.
pub(crate) fn readable_path(path: &str) -> String {
    String::from_utf8_lossy(&percent_decode(path, false)).into_owned()
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;

//! From CloudTrail events to the permissions that they used.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::catalogue::Catalogue;

/// Prefixes that differ from the first label of the event source.
const PREFIXES: &[(&str, &str)] = &[
    ("monitoring", "cloudwatch"),
    ("email", "ses"),
    ("tagging", "tag"),
    ("application-insights", "applicationinsights"),
    ("cloudcontrolapi", "cloudformation"),
    ("entitlement-marketplace", "aws-marketplace"),
    ("metering-marketplace", "aws-marketplace"),
    ("models-v2-lex", "lex"),
    ("runtime-v2-lex", "lex"),
    ("appstream2", "appstream"),
    ("securitytoken", "sts"),
    ("streams.dynamodb", "dynamodb"),
    ("opensearchserverless", "aoss"),
    ("edge.cloudfront", "cloudfront"),
    ("iotdata", "iot"),
    ("devices.iot1click", "iot1click"),
    ("mturk-requester", "mechanicalturk"),
    ("portal.sso", "sso"),
];

/// Events whose name is not the action's (S3's and others' permission tables in their own guides).
const NAMES: &[(&str, &str, &str)] = &[
    ("s3", "HeadObject", "GetObject"),
    ("s3", "HeadBucket", "ListBucket"),
    ("s3", "ListObjects", "ListBucket"),
    ("s3", "ListObjectsV2", "ListBucket"),
    ("s3", "ListObjectVersions", "ListBucketVersions"),
    ("s3", "ListBuckets", "ListAllMyBuckets"),
    ("s3", "ListMultipartUploads", "ListBucketMultipartUploads"),
    ("s3", "ListParts", "ListMultipartUploadParts"),
    ("s3", "CopyObject", "PutObject"),
    ("s3", "CreateMultipartUpload", "PutObject"),
    ("s3", "UploadPart", "PutObject"),
    ("s3", "UploadPartCopy", "PutObject"),
    ("s3", "CompleteMultipartUpload", "PutObject"),
    ("s3", "PostObject", "PutObject"),
    ("s3", "DeleteObjects", "DeleteObject"),
    ("s3", "SelectObjectContent", "GetObject"),
    ("s3", "GetBucketCors", "GetBucketCORS"),
    ("s3", "PutBucketCors", "PutBucketCORS"),
    ("s3", "DeleteBucketCors", "PutBucketCORS"),
    ("s3", "GetBucketEncryption", "GetEncryptionConfiguration"),
    ("s3", "PutBucketEncryption", "PutEncryptionConfiguration"),
    ("s3", "DeleteBucketEncryption", "PutEncryptionConfiguration"),
    ("s3", "GetBucketLifecycle", "GetLifecycleConfiguration"),
    (
        "s3",
        "GetBucketLifecycleConfiguration",
        "GetLifecycleConfiguration",
    ),
    ("s3", "PutBucketLifecycle", "PutLifecycleConfiguration"),
    (
        "s3",
        "PutBucketLifecycleConfiguration",
        "PutLifecycleConfiguration",
    ),
    ("s3", "DeleteBucketLifecycle", "PutLifecycleConfiguration"),
    ("s3", "GetBucketReplication", "GetReplicationConfiguration"),
    ("s3", "PutBucketReplication", "PutReplicationConfiguration"),
    (
        "s3",
        "DeleteBucketReplication",
        "PutReplicationConfiguration",
    ),
    (
        "s3",
        "GetBucketNotificationConfiguration",
        "GetBucketNotification",
    ),
    (
        "s3",
        "PutBucketNotificationConfiguration",
        "PutBucketNotification",
    ),
    (
        "s3",
        "GetObjectLockConfiguration",
        "GetBucketObjectLockConfiguration",
    ),
    (
        "s3",
        "PutObjectLockConfiguration",
        "PutBucketObjectLockConfiguration",
    ),
    ("s3", "GetPublicAccessBlock", "GetBucketPublicAccessBlock"),
    ("s3", "PutPublicAccessBlock", "PutBucketPublicAccessBlock"),
    (
        "s3",
        "DeletePublicAccessBlock",
        "PutBucketPublicAccessBlock",
    ),
    (
        "s3",
        "GetBucketAccelerateConfiguration",
        "GetAccelerateConfiguration",
    ),
    ("s3", "DeleteBucketTagging", "PutBucketTagging"),
    (
        "s3",
        "DeleteBucketOwnershipControls",
        "PutBucketOwnershipControls",
    ),
    ("lambda", "Invoke", "InvokeFunction"),
    ("lambda", "InvokeExecution", "InvokeFunction"),
    ("dynamodb", "ExecuteStatement", "PartiQLSelect"),
    ("signin", "ConsoleLogin", ""),
    ("sts", "GetCallerIdentity", ""),
    ("sts", "GetSessionToken", ""),
];

/// What an event says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Used {
    /// An action on resources; failed when AWS refused it.
    Action {
        action: String,
        resources: BTreeSet<String>,
        refused: bool,
        passed_roles: BTreeSet<(String, String)>,
    },
    /// An event that needs no permission.
    Free,
    /// An event that no action of the catalogue is known for: source and name.
    Unknown(String),
}

fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    let mut at = value;
    for key in path {
        at = at.get(key)?;
    }
    at.as_str()
}

/// The ARN of who made the event: the role for sessions.
pub(super) fn actor(event: &Value) -> Option<String> {
    text(
        event,
        &["userIdentity", "sessionContext", "sessionIssuer", "arn"],
    )
    .or(text(event, &["userIdentity", "arn"]))
    .map(ToOwned::to_owned)
}

/// Reads one event.
pub(super) fn used(event: &Value, catalogue: &Catalogue) -> Used {
    let source = text(event, &["eventSource"]).unwrap_or_default();
    let name = text(event, &["eventName"]).unwrap_or_default();
    let host = source.strip_suffix(".amazonaws.com").unwrap_or(source);
    let prefix = PREFIXES
        .iter()
        .find(|(from, _)| *from == host)
        .map_or(host, |(_, to)| to);
    // Lambda and CloudFront put the API's version behind the name.
    let name = strip_version(name);
    let named = NAMES
        .iter()
        .find(|(p, n, _)| *p == prefix && *n == name)
        .map_or(name, |(_, _, action)| action);
    if named.is_empty() {
        return Used::Free;
    }
    let wanted = format!("{prefix}:{named}");
    let Some((service, action)) = catalogue.action(&wanted) else {
        return Used::Unknown(format!("{source} {name}"));
    };
    let refused = text(event, &["errorCode"]).is_some_and(|code| {
        let code = code.to_ascii_lowercase();
        code.contains("accessdenied") || code.contains("unauthorized") || code == "forbidden"
    });
    Used::Action {
        action: format!("{}:{}", service.prefix, action.name),
        resources: resources(event, prefix),
        refused,
        passed_roles: passed_roles(event, source),
    }
}

/// `CreateFunction20150331` and `GetFunction20150331v2` are `CreateFunction` and `GetFunction`.
fn strip_version(name: &str) -> &str {
    let base = name
        .rsplit_once('v')
        .filter(|(head, tail)| {
            !tail.is_empty() && tail.bytes().all(|b| b.is_ascii_digit()) && ends_in_date(head)
        })
        .map_or(name, |(head, _)| head);
    if ends_in_date(base) {
        let cut = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
        return cut;
    }
    base
}

fn ends_in_date(name: &str) -> bool {
    let digits = name
        .chars()
        .rev()
        .take_while(|c| c.is_ascii_digit() || *c == '_')
        .filter(char::is_ascii_digit)
        .count();
    digits == 8 && name.len() > 10
}

/// The resources that the event names, without those that it made.
fn resources(event: &Value, prefix: &str) -> BTreeSet<String> {
    let mut out: BTreeSet<String> = event
        .get("resources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|r| text(r, &["ARN"]).or(text(r, &["arn"])))
        .filter(|arn| arn.starts_with("arn:"))
        .map(ToOwned::to_owned)
        .collect();
    let parameters = event.get("requestParameters");
    if let Some(parameters) = parameters.and_then(Value::as_object) {
        if prefix == "s3"
            && let Some(bucket) = parameters.get("bucketName").and_then(Value::as_str)
        {
            out.insert(match parameters.get("key").and_then(Value::as_str) {
                Some(key) => format!("arn:aws:s3:::{bucket}/{key}"),
                None => format!("arn:aws:s3:::{bucket}"),
            });
        }
        for (key, value) in parameters {
            let is_target =
                !key.to_ascii_lowercase().contains("role") || prefix == "iam" || prefix == "sts";
            if let Some(arn) = value.as_str().filter(|v| v.starts_with("arn:"))
                && is_target
            {
                out.insert(arn.to_owned());
            }
        }
        let account = text(event, &["recipientAccountId"]).unwrap_or("*");
        for (key, kind) in [
            ("userName", "user"),
            ("roleName", "role"),
            ("groupName", "group"),
        ] {
            if prefix == "iam"
                && let Some(name) = parameters.get(key).and_then(Value::as_str)
            {
                out.insert(format!("arn:aws:iam::{account}:{kind}/{name}"));
            }
        }
    }
    out
}

/// Roles in the parameters of a call to another service: the caller had to be allowed to pass them.
fn passed_roles(event: &Value, source: &str) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    if source == "iam.amazonaws.com" || source == "sts.amazonaws.com" {
        return out;
    }
    let mut todo: Vec<&Value> = event.get("requestParameters").into_iter().collect();
    while let Some(value) = todo.pop() {
        match value {
            Value::String(arn)
                if arn.starts_with("arn:") && arn.contains(":iam::") && arn.contains(":role/") =>
            {
                out.insert((arn.clone(), source.to_owned()));
            }
            Value::Array(items) => todo.extend(items),
            Value::Object(fields) => todo.extend(fields.values()),
            _ => {}
        }
    }
    out
}

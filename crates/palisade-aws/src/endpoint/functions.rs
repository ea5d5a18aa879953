//! The functions that rules may call. A function that does not apply gives null, as the specification asks.
use super::Partitions;
use serde_json::{Value as Json, json};

pub(super) fn call(name: &str, arguments: &[Json], partitions: &Partitions) -> Json {
    let any = |i: usize| arguments.get(i).unwrap_or(&Json::Null);
    let text = |i: usize| any(i).as_str();
    let flag = |i: usize| any(i) == &Json::Bool(true);
    match name {
        "isSet" => Json::Bool(!any(0).is_null()),
        "not" => Json::Bool(matches!(any(0), Json::Null | Json::Bool(false))),
        "booleanEquals" | "stringEquals" => Json::Bool(any(0) == any(1)),
        "getAttr" => text(1)
            .and_then(|path| attribute(any(0), path, '.'))
            .cloned()
            .unwrap_or_default(),
        "substring" => {
            let range = any(1).as_u64().zip(any(2).as_u64());
            text(0).zip(range).map_or(Json::Null, |(t, (from, to))| {
                substring(t, from, to, flag(3))
            })
        }
        "uriEncode" => text(0).map(uri_encode).into(),
        "isValidHostLabel" => Json::Bool(text(0).is_some_and(|t| host_label(t, flag(1)))),
        "aws.isVirtualHostableS3Bucket" => {
            Json::Bool(text(0).is_some_and(|t| virtual_hostable(t, flag(1))))
        }
        "aws.partition" => text(0).map_or(Json::Null, |region| partitions.of(region)),
        "aws.parseArn" => text(0).map_or(Json::Null, parse_arn),
        "parseURL" => text(0).map_or(Json::Null, parse_url),
        _ => Json::Null,
    }
}

/// Follows `a.b[0]`; a negative index counts from the end.
pub(super) fn attribute<'v>(value: &'v Json, path: &str, separator: char) -> Option<&'v Json> {
    path.split(separator)
        .try_fold(value, |value, part| match part.split_once('[') {
            None => value.get(part),
            Some((name, index)) => {
                let value = if name.is_empty() {
                    value
                } else {
                    value.get(name)?
                };
                let items = value.as_array()?;
                let index: i64 = index.strip_suffix(']')?.parse().ok()?;
                match usize::try_from(index) {
                    Ok(index) => items.get(index),
                    Err(_) => items.iter().nth_back(usize::try_from(-index - 1).ok()?),
                }
            }
        })
}

fn substring(text: &str, from: u64, to: u64, from_the_end: bool) -> Json {
    let (Ok(from), Ok(to)) = (usize::try_from(from), usize::try_from(to)) else {
        return Json::Null;
    };
    if from >= to || text.len() < to || !text.is_ascii() {
        return Json::Null;
    }
    let range = if from_the_end {
        text.len() - to..text.len() - from
    } else {
        from..to
    };
    text.get(range).into()
}

fn host_label(text: &str, with_dots: bool) -> bool {
    if with_dots {
        return text.split('.').all(|label| host_label(label, false));
    }
    let fits = (1..=63).contains(&text.len()) && !text.starts_with('-');
    fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_ip_v4(text: &str) -> bool {
    text.split('.').count() == 4 && text.split('.').all(|part| part.parse::<u8>().is_ok())
}

/// Amazon S3's "Bucket naming rules", as far as a host name needs them.
fn virtual_hostable(bucket: &str, with_dots: bool) -> bool {
    let lower = !bucket.bytes().any(|b| b.is_ascii_uppercase());
    (3..=63).contains(&bucket.len()) && lower && !is_ip_v4(bucket) && host_label(bucket, with_dots)
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn uri_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn parse_arn(text: &str) -> Json {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    if arn != "arn" || partition.is_empty() || service.is_empty() || resource.is_empty() {
        return Json::Null;
    }
    json!({
        "partition": partition, "service": service, "region": region, "accountId": account,
        "resourceId": resource.split([':', '/']).collect::<Vec<_>>(),
    })
}

fn parse_url(text: &str) -> Json {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Json::Null;
    };
    if !matches!(scheme, "http" | "https") || rest.contains('?') {
        return Json::Null;
    }
    let (authority, path) = rest
        .find('/')
        .and_then(|i| rest.split_at_checked(i))
        .unwrap_or((rest, ""));
    let v6 = authority.starts_with('[');
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !v6 => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|p| p.parse::<u16>().is_err()) {
        return Json::Null;
    }
    let normalized = if path.ends_with('/') {
        path.to_owned()
    } else {
        format!("{path}/")
    };
    json!({
        "scheme": scheme, "authority": authority, "path": path, "normalizedPath": normalized,
        "isIp": v6 || is_ip_v4(host),
    })
}

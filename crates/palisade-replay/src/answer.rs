//! Error answers in the form of the request's own protocol, as AWS documents them.

use crate::exchange::RecordedResponse;
use crate::key::{Key, Protocol, readable_path};

/// A request that the recording does not hold. Status 400, which clients do not retry.
pub(crate) fn not_recorded(key: &Key) -> RecordedResponse {
    let service = if key.service.is_empty() {
        "an unsigned service"
    } else {
        key.service.as_str()
    };
    let message = format!(
        "the recording has no answer for {} of {service} in `{}` ({} {})",
        key.operation(),
        key.region,
        key.method,
        readable_path(&key.path)
    );
    error(key, 400, "NotRecorded", &message)
}

/// The principal may not call this operation.
pub(crate) fn denied(key: &Key, account: &str) -> RecordedResponse {
    let protocol = key.protocol();
    let (status, code) = match protocol {
        Protocol::Ec2 => (403, "UnauthorizedOperation"),
        Protocol::Json | Protocol::Cbor => (400, "AccessDeniedException"),
        Protocol::RestJson => (403, "AccessDeniedException"),
        Protocol::S3 | Protocol::RestXml | Protocol::Query => (403, "AccessDenied"),
    };
    let message = match protocol {
        Protocol::Ec2 => "You are not authorized to perform this operation.".to_owned(),
        Protocol::Json | Protocol::Cbor | Protocol::Query => format!(
            "User: arn:aws:iam::{account}:user/auditor is not authorized to perform: {}:{}",
            key.service,
            key.operation()
        ),
        Protocol::S3 => "Access Denied".to_owned(),
        // The IAM action cannot be told from a path, and a wrong one would mislead.
        Protocol::RestJson | Protocol::RestXml => {
            format!(
                "User: arn:aws:iam::{account}:user/auditor is not authorized to perform this operation"
            )
        }
    };
    error(key, status, code, &message)
}

/// The token bucket is empty.
pub(crate) fn throttled(key: &Key) -> RecordedResponse {
    let (status, code, message) = match key.protocol() {
        Protocol::S3 => (503, "SlowDown", "Please reduce your request rate."),
        Protocol::Ec2 => (503, "RequestLimitExceeded", "Request limit exceeded."),
        Protocol::Query => (503, "Throttling", "Rate exceeded"),
        Protocol::RestXml => (400, "Throttling", "Rate exceeded"),
        Protocol::Json | Protocol::Cbor => (400, "ThrottlingException", "Rate exceeded"),
        Protocol::RestJson => (429, "ThrottlingException", "Rate exceeded"),
    };
    error(key, status, code, message)
}

/// The region is not enabled for the account.
pub(crate) fn region_refused(key: &Key) -> RecordedResponse {
    let token = "The security token included in the request is invalid.";
    let (status, code, message) = match key.protocol() {
        Protocol::Ec2 => (
            401,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        ),
        Protocol::Query | Protocol::RestXml => (403, "InvalidClientTokenId", token),
        Protocol::S3 => (
            400,
            "InvalidToken",
            "The provided token is malformed or otherwise invalid.",
        ),
        Protocol::Json | Protocol::Cbor => (400, "UnrecognizedClientException", token),
        Protocol::RestJson => (403, "UnrecognizedClientException", token),
    };
    error(key, status, code, message)
}

/// The service failed.
pub(crate) fn server_error(key: &Key) -> RecordedResponse {
    let code = match key.protocol() {
        Protocol::Ec2 | Protocol::S3 => "InternalError",
        Protocol::Query | Protocol::RestXml => "InternalFailure",
        Protocol::Json | Protocol::Cbor | Protocol::RestJson => "InternalServerError",
    };
    error(
        key,
        500,
        code,
        "We encountered an internal error. Please try again.",
    )
}

/// An error answer with this status, code and message.
pub(crate) fn error(key: &Key, status: u16, code: &str, message: &str) -> RecordedResponse {
    const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";
    let mut headers = Vec::new();
    let mut header = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    let escaped = || (xml_escape(code), xml_escape(message));
    let body = match key.protocol() {
        Protocol::Json => {
            header("content-type", "application/x-amz-json-1.1");
            serde_json::json!({ "__type": code, "message": message })
                .to_string()
                .into_bytes()
        }
        Protocol::RestJson => {
            header("content-type", "application/json");
            header("x-amzn-errortype", code);
            serde_json::json!({ "message": message })
                .to_string()
                .into_bytes()
        }
        Protocol::Cbor => {
            header("content-type", "application/cbor");
            header("smithy-protocol", "rpc-v2-cbor");
            cbor_map(&[("__type", code), ("message", message)])
        }
        Protocol::S3 => {
            header("content-type", "application/xml");
            let (code, message) = escaped();
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{REQUEST_ID}</RequestId></Error>").into_bytes()
        }
        Protocol::Ec2 => {
            header("content-type", "text/xml;charset=UTF-8");
            let (code, message) = escaped();
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>").into_bytes()
        }
        Protocol::Query | Protocol::RestXml => {
            header("content-type", "text/xml");
            let (code, message) = escaped();
            let kind = if status < 500 { "Sender" } else { "Receiver" };
            format!("<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>").into_bytes()
        }
    };
    // An answer to HEAD has no body: the client has only the status.
    let body = if key.method == "HEAD" {
        Vec::new()
    } else {
        body
    };
    RecordedResponse {
        status,
        headers,
        body,
    }
}

fn xml_escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A CBOR map of texts (RFC 8949, major types 5 and 3).
fn cbor_map(members: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    cbor_head(&mut out, 5, members.len());
    for text in members.iter().flat_map(|(name, value)| [name, value]) {
        cbor_head(&mut out, 3, text.len());
        out.extend_from_slice(text.as_bytes());
    }
    out
}

fn cbor_head(out: &mut Vec<u8>, major: u8, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    match u8::try_from(length) {
        Ok(short) if short < 24 => out.push(major << 5 | short),
        _ => {
            out.push(major << 5 | 26);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(service: &str, target: &str, path: &str, body: &str) -> Key {
        Key {
            service: service.to_owned(),
            region: "us-east-1".to_owned(),
            target: target.to_owned(),
            method: "POST".to_owned(),
            path: path.to_owned(),
            body: body.as_bytes().to_vec(),
            ..Key::default()
        }
    }

    fn shown(response: &RecordedResponse) -> String {
        format!(
            "{} {}",
            response.status,
            String::from_utf8_lossy(&response.body)
        )
    }

    #[test]
    fn every_protocol_has_its_own_form() {
        let json = throttled(&key("kms", "TrentService.ListKeys", "/", ""));
        assert_eq!(
            shown(&json),
            r#"400 {"__type":"ThrottlingException","message":"Rate exceeded"}"#
        );
        let rest = throttled(&key("lambda", "", "/2015-03-31/functions", ""));
        assert_eq!(shown(&rest), r#"429 {"message":"Rate exceeded"}"#);
        assert!(rest.headers.contains(&(
            "x-amzn-errortype".to_owned(),
            "ThrottlingException".to_owned()
        )));
        let s3 = throttled(&key("s3", "", "/bucket", ""));
        assert!(
            shown(&s3).starts_with("503 <?xml")
                && shown(&s3).contains("\n<Error><Code>SlowDown</Code>")
        );
        let ec2 = throttled(&key("ec2", "", "/", "Action=DescribeVpcs"));
        assert!(
            shown(&ec2).starts_with("503 ")
                && shown(&ec2).contains("<Errors><Error><Code>RequestLimitExceeded</Code>")
        );
        let query = throttled(&key("iam", "", "/", "Action=ListUsers"));
        assert!(
            shown(&query).starts_with(
                "503 <ErrorResponse><Error><Type>Receiver</Type><Code>Throttling</Code>"
            )
        );
    }

    #[test]
    fn a_denial_names_the_action_where_the_request_does() {
        let json = denied(
            &key("kms", "TrentService.ListKeys", "/", ""),
            "123456789012",
        );
        assert!(shown(&json).contains(
            "arn:aws:iam::123456789012:user/auditor is not authorized to perform: kms:ListKeys"
        ));
        let ec2 = denied(&key("ec2", "", "/", "Action=DescribeVpcs"), "1");
        assert!(
            shown(&ec2).starts_with("403 ")
                && shown(&ec2).contains("<Code>UnauthorizedOperation</Code>")
        );
        let rest = denied(&key("lambda", "", "/2015-03-31/functions", ""), "1");
        assert_eq!(rest.status, 403);
        assert!(!shown(&rest).contains("perform: "));
    }

    #[test]
    fn messages_are_escaped_and_head_has_no_body() {
        let mut key = key("s3", "", "/a%3Cb", "");
        assert!(shown(&not_recorded(&key)).contains("/a&lt;b"));
        key.method = "HEAD".to_owned();
        assert_eq!(shown(&not_recorded(&key)), "400 ");
    }

    #[test]
    fn cbor_errors_are_maps_of_texts() {
        let long = "m".repeat(30);
        let mut expected = vec![0xa2, 0x66];
        expected.extend(b"__type\x61C\x67message\x7a\x00\x00\x00\x1e");
        expected.extend(long.as_bytes());
        assert_eq!(cbor_map(&[("__type", "C"), ("message", &long)]), expected);
    }
}

//! Keeps credentials that an answer carries out of a recording.

use serde_json::Value;

/// What stands in a recording where a credential stood.
const PLACEHOLDER: &str = "removed-from-recording";

/// Members of answers that hold working credentials: `sts` (XML and JSON), `sso` and `sso-oidc`, `cognito-identity`,
/// `iam` (a new key) and ECR's docker password.
const SECRET_MEMBERS: [&str; 8] = [
    "SecretAccessKey",
    "SecretKey",
    "SessionToken",
    "accessToken",
    "authorizationToken",
    "refreshToken",
    "secretAccessKey",
    "sessionToken",
];

/// The body with the values of [`SECRET_MEMBERS`] replaced; unchanged bytes when it has none.
pub(crate) fn scrub(body: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&body) else {
        return body;
    };
    if !SECRET_MEMBERS.iter().any(|member| text.contains(member)) {
        return body;
    }
    if let Ok(mut value) = serde_json::from_slice::<Value>(&body) {
        return if scrub_json(&mut value) {
            value.to_string().into_bytes()
        } else {
            body
        };
    }
    let mut text = text.to_owned();
    for member in SECRET_MEMBERS {
        text = scrub_elements(&text, member);
    }
    text.into_bytes()
}

fn scrub_json(value: &mut Value) -> bool {
    match value {
        Value::Object(map) => {
            let mut changed = false;
            for (name, value) in map.iter_mut() {
                if SECRET_MEMBERS.contains(&name.as_str()) && value.is_string() {
                    *value = Value::String(PLACEHOLDER.to_owned());
                    changed = true;
                } else {
                    changed |= scrub_json(value);
                }
            }
            changed
        }
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |changed, item| scrub_json(item) | changed),
        _ => false,
    }
}

fn scrub_elements(text: &str, member: &str) -> String {
    let (open, close) = (format!("<{member}>"), format!("</{member}>"));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(&open) {
        out.push_str(before);
        out.push_str(&open);
        let Some((_, after)) = after.split_once(&close) else {
            // A body that ends inside the element: the rest is the secret.
            out.push_str(PLACEHOLDER);
            return out;
        };
        out.push_str(PLACEHOLDER);
        out.push_str(&close);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        String::from_utf8(scrub(body.as_bytes().to_vec())).unwrap()
    }

    #[test]
    fn credentials_in_xml_are_replaced() {
        let body = "<C><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s1</SecretAccessKey><SessionToken>t\nt</SessionToken></C>";
        let expected = "<C><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>removed-from-recording</SecretAccessKey><SessionToken>removed-from-recording</SessionToken></C>";
        assert_eq!(text(body), expected);
        assert_eq!(
            text("<a><SessionToken>abc"),
            "<a><SessionToken>removed-from-recording"
        );
    }

    #[test]
    fn credentials_in_json_are_replaced_at_any_depth() {
        let body = r#"{"roleCredentials":{"accessKeyId":"ASIA1","secretAccessKey":"s1","sessionToken":"t1"},"l":[{"accessToken":"a"}]}"#;
        let out = text(body);
        for secret in ["\"s1\"", "\"t1\"", "\"a\""] {
            assert!(!out.contains(secret), "{out}");
        }
        assert!(out.contains("ASIA1"));
    }

    #[test]
    fn bodies_without_credentials_keep_their_bytes() {
        let body = r#"{ "b" : 1,  "a": "SessionTokens are not here" }"#;
        assert_eq!(text(body), body);
        assert_eq!(scrub(vec![0xff, 0x00]), vec![0xff, 0x00]);
    }
}

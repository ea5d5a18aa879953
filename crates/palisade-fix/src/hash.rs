//! The hash of a plan: SHA-256 over a canonical form, so that spaces and the order of members do not matter.
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// Hexadecimal SHA-256 of the canonical text of a value.
pub(crate) fn hash(value: &Json) -> String {
    let mut text = String::new();
    write(value, &mut text);
    sha256(text.as_bytes())
}

/// Hexadecimal SHA-256.
pub fn sha256(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Members sorted by name, no spaces.
fn write(value: &Json, out: &mut String) {
    match value {
        Json::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(name, _)| name.as_str());
            out.push('{');
            for (index, (name, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Json::from(name.as_str()));
                write(value, out);
            }
            out.push('}');
        }
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_order_of_members_does_not_matter_and_that_of_lists_does() {
        let one: Json = serde_json::from_str(r#"{"a":[1,2],"b":{"x":"y"}}"#).unwrap();
        let two: Json = serde_json::from_str(r#"{ "b": {"x": "y"}, "a": [1, 2] }"#).unwrap();
        assert_eq!(hash(&one), hash(&two));
        assert_ne!(hash(&one), hash(&json!({"a": [2, 1], "b": {"x": "y"}})));
        // SHA-256 of `{}`
        assert_eq!(
            hash(&json!({})),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }
}

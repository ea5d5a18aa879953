//! Text forms: base64, percent-encoding, and JSON of values with what AWS marks sensitive left out.
use palisade_model::{Model, ShapeId, Value};
use serde_json::Value as Json;

/// What stands in place of a value that AWS's model marks sensitive.
pub const HIDDEN: &str = "(hidden)";

/// Standard base64 (RFC 4648), padded or not, line breaks allowed; `None` for anything else.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count, mut padding) = (0u32, 0u32, 0u32);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padding += 1;
                continue;
            }
            b'\r' | b'\n' => continue,
            _ => return None,
        };
        if padding > 0 {
            return None;
        }
        bits = bits << 6 | u32::from(value);
        count += 1;
        if count == 4 {
            out.extend([(bits >> 16) as u8, (bits >> 8) as u8, bits as u8]);
            (bits, count) = (0, 0);
        }
    }
    match count {
        0 => {}
        2 => out.push((bits >> 4) as u8),
        3 => out.extend([(bits >> 10) as u8, (bits >> 2) as u8]),
        _ => return None,
    }
    (padding <= 2 && (padding == 0 || (count + padding) == 4)).then_some(out)
}

/// Standard base64 with padding.
pub fn encode_base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = ALPHABET.get((bits >> (18 - 6 * i) & 63) as usize);
            let letter = letter.filter(|_| i <= chunk.len()).copied();
            out.push(letter.map_or('=', char::from));
        }
    }
    out
}

/// Percent-decoding (RFC 3986). IAM gives policy documents in this form (IAM API Reference, `PolicyDetail`).
/// Text that is not percent-encoded UTF-8 comes back as it is.
pub fn decode_percent(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match (digit(bytes.next()), digit(bytes.next())) {
            (Some(high), Some(low)) => out.push((high << 4 | low) as u8),
            _ => return text.to_owned(),
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A JSON document that may be percent-encoded, as plain JSON text.
pub fn plain_document(text: &str) -> String {
    if matches!(text.trim_start().bytes().next(), Some(b'{' | b'[') | None) {
        return text.to_owned();
    }
    let decoded = decode_percent(text);
    if matches!(decoded.trim_start().bytes().next(), Some(b'{' | b'[')) {
        decoded
    } else {
        text.to_owned()
    }
}

/// The value as JSON with the API's own member names, nulls left out, sensitive values hidden.
pub fn masked_json(value: &Value, model: &Model, shape: Option<ShapeId>, hidden: bool) -> Json {
    let described = shape.and_then(|s| model.shape(s));
    let hidden = hidden || described.is_some_and(|s| s.traits.sensitive);
    match value {
        Value::List(items) => {
            let item = described.and_then(|s| s.element.as_deref());
            let hidden = hidden || item.is_some_and(|m| m.traits.sensitive);
            let item = item.map(|m| m.shape);
            items
                .iter()
                .map(|v| masked_json(v, model, item, hidden))
                .collect()
        }
        Value::Map(entries) => {
            let inner = described.and_then(|s| s.element.as_deref());
            let hidden = hidden || inner.is_some_and(|m| m.traits.sensitive);
            let inner = inner.map(|m| m.shape);
            let entries = entries.iter();
            let pairs = entries.map(|(k, v)| (k.to_string(), masked_json(v, model, inner, hidden)));
            Json::Object(pairs.collect())
        }
        Value::Struct(record) => {
            let members = model.shape(record.shape).map(|s| s.members.as_slice());
            let pairs = members.unwrap_or_default().iter().zip(&record.fields);
            let pairs = pairs.filter(|(_, v)| !v.is_null()).map(|(m, v)| {
                let hidden = hidden || m.traits.sensitive;
                (m.name.clone(), masked_json(v, model, Some(m.shape), hidden))
            });
            Json::Object(pairs.collect())
        }
        Value::Null => Json::Null,
        _ if hidden => Json::from(HIDDEN),
        other => other.to_json(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn base64_both_ways(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode_base64(&encode_base64(&bytes)), Some(bytes));
        }
        #[test]
        fn any_text_decodes_or_is_refused(text in ".{0,60}") {
            let _ = decode_base64(&text);
            let _ = decode_percent(&text);
        }
    }

    #[test]
    fn base64_refuses_what_is_none() {
        for bad in ["a", "ab=c", "a b", "ab===", "!!!!"] {
            assert_eq!(decode_base64(bad), None, "{bad}");
        }
        assert_eq!(decode_base64("aGk").as_deref(), Some(b"hi".as_slice()));
        assert_eq!(decode_base64("aG\nk=").as_deref(), Some(b"hi".as_slice()));
    }

    #[test]
    fn documents_are_decoded_once_and_only_when_encoded() {
        assert_eq!(plain_document("%7B%22a%22%3A1%7D"), r#"{"a":1}"#);
        assert_eq!(plain_document(r#"{"a":"100%25"}"#), r#"{"a":"100%25"}"#);
        assert_eq!(plain_document("50%"), "50%");
        assert_eq!(plain_document(""), "");
    }
}

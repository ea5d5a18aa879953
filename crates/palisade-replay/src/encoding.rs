//! Percent-encoding, form bodies and hexadecimal.

/// Undoes percent-encoding; a `%` that starts no valid triple stays as it is. `plus` also turns `+` into a space.
pub(crate) fn percent_decode(text: &str, plus: bool) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) => match (nibble(*high), nibble(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high * 16 + low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (b'+', _) if plus => out.push(b' '),
            (other, _) => out.push(other),
        }
    }
    out
}

/// Encodes everything but RFC 3986's unreserved characters.
pub(crate) fn percent_encode(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            for half in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(half), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
}

/// The same path in one spelling: every segment decoded and encoded again.
pub(crate) fn canonical_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        percent_encode(&percent_decode(segment, false), &mut out);
    }
    if out.is_empty() {
        out.push('/');
    }
    out
}

/// The pairs of a query string or form body, decoded, in order; a name without `=` has an empty value.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decode = |part| String::from_utf8_lossy(&percent_decode(part, true)).into_owned();
            (decode(name), decode(value))
        })
        .collect()
}

/// The pairs as a form body.
pub(crate) fn form(pairs: &[(String, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        percent_encode(name.as_bytes(), &mut out);
        out.push('=');
        percent_encode(value.as_bytes(), &mut out);
    }
    out
}

/// Lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|half| char::from_digit(u32::from(half), 16).unwrap_or('0'))
        .collect()
}

/// Bytes from hexadecimal, or `None` when the text is not hexadecimal.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? * 16 + nibble(*low)?))
        .collect()
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_triples_are_decoded_and_broken_ones_kept() {
        assert_eq!(percent_decode("a%3Ab%zz%4", false), b"a:b%zz%4");
        assert_eq!(percent_decode("a+b", true), b"a b");
        assert_eq!(percent_decode("a+b", false), b"a+b");
    }

    #[test]
    fn paths_have_one_spelling() {
        assert_eq!(
            canonical_path("/tags/arn:aws:x"),
            canonical_path("/tags/arn%3aaws%3Ax")
        );
        assert_ne!(canonical_path("/a%2Fb"), canonical_path("/a/b"));
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn hexadecimal_round_trips_and_refuses_other_text() {
        assert_eq!(from_hex(&to_hex(&[0, 127, 255])), Some(vec![0, 127, 255]));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
    }
}

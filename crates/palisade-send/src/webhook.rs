//! Any webhook: the changes as JSON, signed when there is a key.
use crate::changes::Changes;
use crate::deliver::{SendError, Sender, Sent, shown_request};
use crate::destination::Webhook;
use crate::document::parts;
use crate::http::Outgoing;
use crate::secret::Secret;
use hmac::{Hmac, KeyInit, Mac};
use palisade_report::digest;
use sha2::Sha256;

/// Bytes of one request, roughly: what most receivers take.
const MOST: usize = 900_000;

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &Webhook,
    changes: &Changes<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let all = parts(sender.assessment, changes, MOST);
    for (number, part) in all.iter().enumerate() {
        if sender.dry_run {
            sent.requests.push(shown_request("POST", &part.body));
            sent.remember(part.open, part.closed);
            continue;
        }
        let key = digest(&[&part.body]);
        let signed = to.key.as_ref().map(|k| signature(k, &part.body));
        let mut headers: Vec<(&str, &str)> = vec![("idempotency-key", &key)];
        if let Some(signed) = &signed {
            headers.push(("x-palisade-signature", signed));
        }
        headers.extend(to.headers.iter().map(|(n, v)| (n.as_str(), v.reveal())));
        let secrets = std::iter::once(&to.url)
            .chain(&to.key)
            .chain(to.headers.iter().map(|(_, v)| v));
        let outgoing = Outgoing {
            method: "POST",
            url: to.url.reveal(),
            headers,
            body: part.body.clone(),
            timeout: to.timeout,
            // the receiver can tell a repetition by its key
            once: false,
            secrets: secrets.collect(),
        };
        match sender.http.send(&outgoing).await {
            Ok(_) => sent.remember(part.open, part.closed),
            Err(error) if number == 0 => return Err(error.into()),
            Err(error) => {
                let of = all.len();
                sent.problems
                    .push(format!("part {} of {of}: {error}", number + 1));
            }
        }
    }
    Ok(())
}

/// `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits (RFC 2104).
pub fn signature(key: &Secret, body: &[u8]) -> String {
    use std::fmt::Write;
    // a key of any length is a key
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    let mut text = "sha256=".to_owned();
    for byte in mac.finalize().into_bytes() {
        // writing to a text cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn the_signature_is_that_of_the_rfc() {
        let signed = signature(&Secret::new("Jefe"), b"what do ya want for nothing?");
        assert_eq!(
            signed,
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}

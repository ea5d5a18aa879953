//! Whose credentials these are, where they come from, and how long they hold.
use crate::{Examination, State};
use palisade_aws::{CallFailure, CredentialFacts, Identity};
use palisade_core::{CallErrorKind, Timestamp};

/// Credentials that end sooner than this are warned about, in seconds.
const SOON: i64 = 900;

/// Where they were found and until when they hold, as of a time in seconds since 1970.
pub fn credentials(facts: &CredentialFacts, now: i64) -> Examination {
    let from = format!("{} from {}", facts.access_key_id, facts.source);
    let expires = facts.expires.and_then(|e| i64::try_from(e).ok());
    let Some(expires) = expires else {
        let found = Examination::new("credentials", State::Fine, from);
        // long-lived keys of users begin so (IAM User Guide, "IAM identifiers")
        if facts.access_key_id.starts_with("AKIA") {
            return found.details(vec![
                "a long-lived key; credentials of a role end by themselves".to_owned(),
            ]);
        }
        return found;
    };
    let until = Timestamp::from_micros(expires.saturating_mul(1_000_000));
    let left = expires - now;
    let message = format!("{from}, valid until {until}");
    if left <= 0 {
        Examination::new("credentials", State::Broken, message).hint("sign in again")
    } else if left < SOON {
        Examination::new("credentials", State::Warning, message)
            .hint("a long scan outlives them unless they are renewed by themselves")
    } else {
        Examination::new("credentials", State::Fine, message)
    }
}

/// Who they belong to.
pub fn identity(found: &Result<Identity, CallFailure>) -> Examination {
    match found {
        Ok(identity) if identity.arn.ends_with(":root") => Examination::new(
            "identity",
            State::Warning,
            format!("the root user of {}", identity.account_id),
        )
        .hint("use a role that may only read; delete the root user's keys"),
        Ok(identity) => Examination::new(
            "identity",
            State::Fine,
            format!(
                "{} in {} ({})",
                identity.arn, identity.account_id, identity.partition
            ),
        ),
        Err(failure) => {
            let broken = Examination::new(
                "identity",
                State::Broken,
                format!("sts:GetCallerIdentity failed with {failure}"),
            );
            match failure.kind {
                CallErrorKind::Credentials => broken.hint("the credentials are wrong or have expired; sign in again, or choose others with --profile"),
                CallErrorKind::Unreachable | CallErrorKind::Timeout => broken.hint("is the network up, and are the proxy, --endpoint-url, AWS_ENDPOINT_URL and the region right?"),
                _ => broken,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_they_hold() {
        let facts = |expires| CredentialFacts {
            source: "Sso".to_owned(),
            access_key_id: "ASIAEXAMPLE".to_owned(),
            expires,
        };
        for (expires, state) in [
            (None, State::Fine),
            (Some(10_000), State::Fine),
            (Some(1_500), State::Warning),
            (Some(1_000), State::Broken),
        ] {
            assert_eq!(
                credentials(&facts(expires), 1_000).state,
                state,
                "{expires:?}"
            );
        }
        let shown = credentials(&facts(Some(10_000)), 0).message;
        assert_eq!(
            shown,
            "ASIAEXAMPLE from Sso, valid until 1970-01-01T02:46:40Z"
        );
    }
}

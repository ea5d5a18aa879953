//! Values that must not be seen.

/// A webhook's URL, a token, a key. Its debug form is hidden, and it has no other.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The value itself, for the request.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
    /// A text without the value, wherever it occurs; nor the parts that are secret by themselves: of a URL its path, the
    /// path's longer segments and the values of its query, of a header's value what follows `Basic` or `Bearer`.
    pub(crate) fn scrub(&self, text: &str) -> String {
        let path = self
            .0
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        let segments = path
            .into_iter()
            .flat_map(|p| p.split(['/', '?', '&', '=', '#']));
        let scheme = self.0.split_once(' ');
        let token = scheme
            .filter(|(s, _)| s.eq_ignore_ascii_case("basic") || s.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let mut clean = text.to_owned();
        // the longest first, so that no part is left of a whole
        let whole = [Some(self.0.as_str()), path];
        for part in whole.into_iter().flatten() {
            if part.trim_matches('/').len() >= 4 {
                clean = clean.replace(part, "***");
            }
        }
        for part in segments.chain(token).filter(|p| p.len() >= 8) {
            clean = clean.replace(part, "***");
        }
        clean
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Whether requests may go to a URL: `https`, or `http` on this machine, because secrets and findings go with them.
///
/// # Errors
/// Says what is wrong, without the URL: it may be a secret.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("is no URL such as `https://example.com/path`");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("is no URL such as `https://example.com/path`");
    }
    if authority.contains('@') {
        return Err("has a user or password in it; name them apart");
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_loopback(authority) => Ok(()),
        "http" => Err("is `http`, which everybody on the way can read; only `https` is sent to"),
        _ => Err("is neither `https` nor `http`"),
    }
}

/// Whether a host (with or without a port) is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    if authority.starts_with('[') {
        return authority.starts_with("[::1]");
    }
    let host = authority.split(':').next().unwrap_or_default();
    host == "localhost"
        || host
            .parse::<std::net::Ipv4Addr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_scrubbed() {
        let url = Secret::new("https://hooks.example.com/services/T0/B0/abcdef");
        assert_eq!(format!("{url:?}"), "***");
        assert_eq!(
            url.scrub("cannot POST /services/T0/B0/abcdef"),
            "cannot POST ***"
        );
        assert_eq!(
            url.scrub("https://hooks.example.com/services/T0/B0/abcdef is gone"),
            "*** is gone"
        );
        let query = Secret::new("https://example.com/hooks/in?token=0123456789&v=1");
        assert_eq!(query.scrub("no token 0123456789, v 1"), "no token ***, v 1");
        assert_eq!(url.scrub("services T0 B0"), "*** T0 B0");
        for header in ["Bearer hidden-token", "basic hidden-token"] {
            let said = Secret::new(header).scrub("bad token hidden-token");
            assert_eq!(said, "bad token ***");
        }
        // a path that says nothing is no reason to blot out every slash
        assert_eq!(Secret::new("http://localhost:1/").scrub("a/b"), "a/b");
    }

    #[test]
    fn urls() {
        for good in [
            "https://hooks.example.com/x",
            "http://127.0.0.1:8080/x",
            "http://localhost",
            "http://[::1]:80/",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "hooks.example.com",
            "ftp://example.com",
            "http://example.com",
            "http://localhost.example.com/",
            "https://",
            "https://user:password@example.com/",
            "https://example.com/a b",
            "https://example.com/\n",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}

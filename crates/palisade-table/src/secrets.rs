//! Finds what looks like a credential in text and in named values. Says where and of what kind; the value stays
//! behind.
//!
//! Forms of keys and tokens: AWS's from the IAM User Guide ("IAM identifiers", unique id prefixes), the others from
//! their vendors' public descriptions of token formats.
use crate::text::{HIDDEN, decode_base64};
use palisade_model::{Model, Value};

/// Declares the closed set of kinds with their words.
macro_rules! kinds {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant),+ }
        impl $name {
            /// The word that the `kind` column holds.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
    };
}

kinds! {
    /// What a credential looks like.
    SecretKind {
        /// `AKIA…`, `ASIA…`
        AwsAccessKeyId = "aws_access_key_id",
        /// Forty characters under a name that says so.
        AwsSecretAccessKey = "aws_secret_access_key",
        /// A PEM block.
        PrivateKey = "private_key",
        /// GitHub.
        GithubToken = "github_token",
        /// GitLab.
        GitlabToken = "gitlab_token",
        /// Slack.
        SlackToken = "slack_token",
        /// A Slack address that takes messages from anyone who knows it.
        SlackWebhook = "slack_webhook",
        /// Stripe.
        StripeKey = "stripe_key",
        /// Google Cloud.
        GoogleApiKey = "google_api_key",
        /// npm.
        NpmToken = "npm_token",
        /// PyPI.
        PypiToken = "pypi_token",
        /// SendGrid.
        SendgridKey = "sendgrid_key",
        /// OpenAI and Anthropic.
        AiApiKey = "ai_api_key",
        /// HashiCorp Vault.
        VaultToken = "vault_token",
        /// A signed JSON web token.
        Jwt = "jwt",
        /// `scheme://user:password@host`
        UrlPassword = "url_password",
        /// A name that says password, with a value that is none of the usual placeholders.
        Password = "password",
        /// No text, so that nothing could be looked for: compressed, encrypted, binary.
        Unreadable = "unreadable",
    }
}

/// Something that looks like a credential.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret {
    /// The entry's or variable's name, or `line 3` in text.
    pub name: String,
    /// What it looks like.
    pub kind: SecretKind,
}

/// What looks like a credential in a value: text, maps, and lists of name and value. Sorted, each once.
pub fn in_value(value: &Value, model: &Model) -> Vec<Secret> {
    let mut found = Vec::new();
    walk("", value, model, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(name: &str, value: &Value, model: &Model, found: &mut Vec<Secret>) {
    match value {
        Value::String(text) if name.is_empty() => found.extend(in_text(text)),
        Value::String(text) => found.extend(in_entry(name, text)),
        Value::Blob(bytes) => found.extend(in_text(&String::from_utf8_lossy(bytes))),
        Value::Map(entries) => entries.iter().for_each(|(k, v)| walk(k, v, model, found)),
        Value::List(items) => items.iter().for_each(|v| walk(name, v, model, found)),
        Value::Json(json) => walk_json(name, json, found),
        Value::Struct(record) => {
            let members = model
                .shape(record.shape)
                .map(|s| s.members.as_slice())
                .unwrap_or_default();
            let pairs: Vec<(String, &Value)> = members
                .iter()
                .map(|m| m.name.to_ascii_lowercase())
                .zip(&record.fields)
                .collect();
            let text = |wanted: &[&str]| {
                let hit = pairs
                    .iter()
                    .find(|(n, _)| wanted.iter().any(|w| n.ends_with(w)));
                hit.and_then(|(_, v)| v.as_str())
            };
            if let (Some(entry), Some(held)) = (text(&["name", "key"]), text(&["value"])) {
                // CodeBuild and others say in `type` that the value is only the name of a stored secret.
                let stored = text(&["type"]).is_some_and(|t| {
                    t.contains("PARAMETER_STORE") || t.contains("SECRETS_MANAGER")
                });
                if !stored {
                    found.extend(in_entry(entry, held));
                }
                return;
            }
            for (member, v) in &pairs {
                let inner = if v.as_str().is_some() {
                    member.as_str()
                } else {
                    ""
                };
                walk(inner, v, model, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Timestamp(_) => {}
    }
}

fn walk_json(name: &str, json: &serde_json::Value, found: &mut Vec<Secret>) {
    match json {
        serde_json::Value::String(text) if name.is_empty() => found.extend(in_text(text)),
        serde_json::Value::String(text) => found.extend(in_entry(name, text)),
        serde_json::Value::Array(items) => items.iter().for_each(|v| walk_json(name, v, found)),
        serde_json::Value::Object(entries) => {
            entries.iter().for_each(|(k, v)| walk_json(k, v, found))
        }
        _ => {}
    }
}

/// What looks like a credential in an entry of that name.
pub fn in_entry(name: &str, value: &str) -> Vec<Secret> {
    let mut kinds = tokens(value);
    let secret_key = names_aws_secret(name) && is_secret_key(value.trim());
    if secret_key {
        kinds.push(SecretKind::AwsSecretAccessKey);
    } else if kinds.is_empty() && names_password(name) && !is_placeholder(value) {
        kinds.push(SecretKind::Password);
    }
    kinds.sort();
    kinds.dedup();
    let named = |kind| Secret {
        name: name.to_owned(),
        kind,
    };
    let mut found: Vec<Secret> = kinds.into_iter().map(named).collect();
    // A whole script or file in one variable.
    if value.contains('\n') {
        let inside = in_text(value).into_iter();
        found.extend(inside.filter(|s| s.kind != SecretKind::Unreadable));
    }
    found
}

/// What looks like a credential in text, such as a start script; base64 of text is looked into.
pub fn in_text(text: &str) -> Vec<Secret> {
    // Bytes that are no text become this mark. Scripts in older encodings have it later, and are looked into.
    if text
        .chars()
        .take(3)
        .any(|c| c == char::REPLACEMENT_CHARACTER)
    {
        return vec![Secret {
            name: "text".to_owned(),
            kind: SecretKind::Unreadable,
        }];
    }
    if let Some(inner) = decoded(text) {
        return in_text(&inner);
    }
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let assigned = assignments(line);
        let mut seen = Vec::new();
        for (name, value) in &assigned {
            for secret in in_entry(name, value) {
                seen.push(secret.kind);
                found.push(secret);
            }
        }
        for kind in tokens(line) {
            if !seen.contains(&kind) {
                found.push(Secret {
                    name: format!("line {}", index + 1),
                    kind,
                });
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Text that came as base64 (`UserData` of EC2 is given so).
fn decoded(text: &str) -> Option<String> {
    let trimmed = text.trim();
    if trimmed.len() < 16 || trimmed.contains(' ') {
        return None;
    }
    let inner = String::from_utf8(decode_base64(trimmed)?).ok()?;
    let readable = inner.chars().all(|c| !c.is_control() || c.is_whitespace());
    (readable && inner.contains(|c: char| c.is_whitespace() || c == '=' || c == ':'))
        .then_some(inner)
}

/// `NAME=value`, `export NAME="value"`, `"name": "value"`, `--name value` in a line.
fn assignments(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut rest = line;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at);
        let before = before.trim_end().trim_end_matches(['"', '\'']);
        let name = before.rsplit(|c| !word(c)).next().unwrap_or_default();
        let after = after.get(1..).unwrap_or_default();
        // `==`, `!=`, `://` and `::` are no assignments.
        let operator =
            after.starts_with(['=', '/', ':', '~']) || before.ends_with(['!', '=', '<', '>']);
        let value = unquoted(after.trim_start());
        if !name.is_empty() && !value.is_empty() && !operator {
            found.push((name.trim_start_matches('-'), value));
        }
        rest = after;
    }
    found
}

fn unquoted(text: &str) -> &str {
    let mut letters = text.chars();
    match letters.next() {
        Some(quote @ ('"' | '\'')) => letters.as_str().split(quote).next().unwrap_or_default(),
        Some(_) => text
            .split(|c: char| c.is_whitespace() || matches!(c, ';' | ',' | '&' | '"' | '\''))
            .next()
            .unwrap_or_default(),
        None => "",
    }
}

fn names_aws_secret(name: &str) -> bool {
    let plain = plain_name(name);
    plain.contains("secretaccesskey") || plain.contains("awssecret") || plain.contains("secretkey")
}

fn plain_name(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// A name that says that its value is a secret, and not where it is kept or how long it may be.
fn names_password(name: &str) -> bool {
    const SECRET: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "apikey",
        "privatekey",
        "accesskey",
        "authtoken",
        "accesstoken",
        "bearertoken",
        "apitoken",
        "refreshtoken",
        "clientsecret",
        "credential",
        "signingkey",
        "encryptionkey",
        "masterkey",
    ];
    const ABOUT: &[&str] = &[
        "arn",
        "arns",
        "id",
        "ids",
        "name",
        "names",
        "path",
        "file",
        "url",
        "uri",
        "endpoint",
        "expiry",
        "expiration",
        "ttl",
        "length",
        "policy",
        "age",
        "timeout",
        "enabled",
        "required",
        "region",
        "version",
        "rotation",
        "type",
        "count",
        "days",
        "parameter",
        "ref",
        "manager",
        "namespace",
        "prefix",
        "mode",
    ];
    let plain = plain_name(name);
    let spaced: String = name
        .chars()
        .flat_map(|c| {
            let gap = (c.is_ascii_uppercase() || !c.is_ascii_alphanumeric()).then_some(' ');
            gap.into_iter()
                .chain(c.is_ascii_alphanumeric().then(|| c.to_ascii_lowercase()))
        })
        .collect();
    let screaming = !name.contains(|c: char| c.is_ascii_lowercase());
    let separated = name.to_ascii_lowercase();
    let last = if screaming {
        separated
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or_default()
            .to_owned()
    } else {
        spaced
            .split_whitespace()
            .last()
            .unwrap_or_default()
            .to_owned()
    };
    let exact = matches!(
        plain.as_str(),
        "pwd" | "pass" | "token" | "dbpass" | "dbpwd" | "jwt" | "auth"
    );
    let hit = exact
        || SECRET.iter().any(|s| plain.contains(s))
        || matches!(last.as_str(), "token" | "pwd" | "pass");
    hit && !ABOUT.contains(&last.as_str())
}

/// Values that stand for a secret without being one.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    const WORDS: &[&str] = &[
        "",
        "true",
        "false",
        "yes",
        "no",
        "null",
        "none",
        "nil",
        "undefined",
        "n/a",
        "todo",
        "tbd",
        "example",
        "placeholder",
        "redacted",
        "dummy",
        "empty",
        "unset",
        "default",
        "disabled",
        "enabled",
        "plain",
        "value",
        "secret",
        "password",
    ];
    let repeated = value
        .chars()
        .all(|c| matches!(c, '*' | 'x' | 'X' | '.' | '-' | '#' | '•'));
    let reference = [
        "${",
        "$(",
        "{{",
        "<",
        "%{",
        "$",
        "arn:",
        "ssm:",
        "vault:",
        "file:",
        "/run/secrets",
        "/aws/",
        "projects/",
        "op://",
        "secretsmanager:",
        "env:",
        "kms:",
        "ref:",
        "data.",
        "var.",
        "!ref",
        "!sub",
    ];
    value.len() < 4
        || value == HIDDEN
        || repeated
        || WORDS.contains(&lower.as_str())
        || reference.iter().any(|r| lower.starts_with(r))
        || value.starts_with('/')
        || lower.starts_with("your")
        || lower.starts_with("http://")
        || lower.starts_with("https://")
        || lower.contains("placeholder")
        || value.bytes().all(|b| b.is_ascii_digit() || b == b'.') && value.len() < 6
}

/// Forty characters of base64 with all three sorts of letters.
fn is_secret_key(token: &str) -> bool {
    token.len() == 40
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'+'))
        && token.bytes().any(|b| b.is_ascii_lowercase())
        && token.bytes().any(|b| b.is_ascii_uppercase())
        && token
            .bytes()
            .any(|b| b.is_ascii_digit() || matches!(b, b'/' | b'+'))
}

/// Credentials that are known by their form alone.
fn tokens(text: &str) -> Vec<SecretKind> {
    let mut kinds = Vec::new();
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY") {
        kinds.push(SecretKind::PrivateKey);
    }
    if text.contains("https://hooks.slack.com/services/T") {
        kinds.push(SecretKind::SlackWebhook);
    }
    if url_password(text) {
        kinds.push(SecretKind::UrlPassword);
    }
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    for token in text.split(|c| !inside(c)) {
        kinds.extend(token_kind(token));
    }
    kinds
}

fn token_kind(token: &str) -> Option<SecretKind> {
    let after = |prefix: &str, least: usize| {
        token.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= least
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        })
    };
    // Unique id prefixes: AKIA long-term keys, ASIA temporary ones; the rest is base32.
    let access_key = ["AKIA", "ASIA"].iter().any(|p| {
        token.strip_prefix(p).is_some_and(|rest| {
            rest.len() == 16
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b))
        })
    });
    let any = |prefixes: &[&str], least| prefixes.iter().any(|p| after(p, least));
    let hit = if access_key {
        // AWS's documentation uses keys that end so.
        if token.ends_with("EXAMPLE") {
            return None;
        }
        SecretKind::AwsAccessKeyId
    } else if any(&["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], 36) || after("github_pat_", 60) {
        SecretKind::GithubToken
    } else if after("glpat-", 20) {
        SecretKind::GitlabToken
    } else if any(&["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xapp-"], 20) {
        SecretKind::SlackToken
    } else if any(&["sk_live_", "rk_live_"], 20) {
        SecretKind::StripeKey
    } else if after("AIza", 35) && token.len() == 39 {
        SecretKind::GoogleApiKey
    } else if after("npm_", 36) {
        SecretKind::NpmToken
    } else if after("pypi-AgEIcHlwaS5vcmc", 50) {
        SecretKind::PypiToken
    } else if after("SG.", 60) && token.matches('.').count() == 2 {
        SecretKind::SendgridKey
    } else if any(&["sk-ant-", "sk-proj-"], 32) {
        SecretKind::AiApiKey
    } else if any(&["hvs.", "hvb."], 24) {
        SecretKind::VaultToken
    } else if is_jwt(token) {
        SecretKind::Jwt
    } else {
        return None;
    };
    Some(hit)
}

/// Three base64url parts, of which the first two are JSON objects (RFC 7519).
fn is_jwt(token: &str) -> bool {
    let mut parts = token.split('.');
    let object = |part: Option<&str>| part.is_some_and(|p| p.starts_with("eyJ") && p.len() > 10);
    object(parts.next())
        && object(parts.next())
        && parts.next().is_some_and(|p| p.len() > 20)
        && parts.next().is_none()
}

/// `scheme://user:password@host` with a password that is no placeholder.
fn url_password(text: &str) -> bool {
    text.match_indices("://").any(|(at, _)| {
        let rest = text.get(at + 3..).unwrap_or_default();
        let authority = rest
            .split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?'))
            .next();
        let Some((user, _host)) = authority.unwrap_or_default().rsplit_once('@') else {
            return false;
        };
        user.split_once(':')
            .is_some_and(|(_, password)| !is_placeholder(password))
    })
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;

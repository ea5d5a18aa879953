use super::*;
use palisade_model::{Member, Record, Shape, ShapeId, ShapeKind, Traits};
use proptest::prelude::*;

// Keys are put together here so that no line of this file looks like a credential.
fn access_key() -> String {
    format!("AKIA{}", "ABCDEFGH234567QR")
}
fn secret_key() -> String {
    format!("{}{}", "wJalrXUtnFEMI/K7MDENG/", "bPxRfiCYzz1234abcd")
}
fn kinds(found: &[Secret]) -> Vec<(&str, &str)> {
    found
        .iter()
        .map(|s| (s.name.as_str(), s.kind.as_str()))
        .collect()
}

#[test]
fn keys_and_tokens_by_form() {
    let token = |prefix: &str, n: usize| format!("{prefix}{}", "aB3".repeat(n).get(..n).unwrap());
    let jwt = [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        &"a".repeat(43),
    ]
    .join(".");
    for (value, kind) in [
        (access_key(), "aws_access_key_id"),
        (token("ghp_", 36), "github_token"),
        (token("github_pat_", 82), "github_token"),
        (token("glpat-", 20), "gitlab_token"),
        (token("xoxb-", 30), "slack_token"),
        (token("sk_live_", 24), "stripe_key"),
        (token("AIza", 35), "google_api_key"),
        (token("npm_", 36), "npm_token"),
        (token("sk-ant-", 40), "ai_api_key"),
        (token("hvs.", 24), "vault_token"),
        (jwt, "jwt"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nabc".to_owned(),
            "private_key",
        ),
        (
            "postgres://app:hunter22@db:5432/x".to_owned(),
            "url_password",
        ),
    ] {
        assert_eq!(
            kinds(&in_entry("SETTING", &value)).first().map(|k| k.1),
            Some(kind),
            "{kind}"
        );
        assert!(
            in_text(&format!("run {value} now"))
                .iter()
                .any(|s| s.kind.as_str() == kind),
            "{kind} in text"
        );
    }
}

#[test]
fn secret_keys_need_a_name() {
    assert_eq!(
        kinds(&in_entry("AWS_SECRET_ACCESS_KEY", &secret_key())),
        [("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key")]
    );
    assert!(in_entry("COMMIT", &secret_key()).is_empty());
    assert!(in_entry("GIT_SHA", "0123456789abcdef0123456789abcdef01234567").is_empty());
}

#[test]
fn passwords_by_name_and_not_placeholders() {
    for name in [
        "DB_PASSWORD",
        "dbPassword",
        "api_key",
        "ClientSecret",
        "GITHUB_TOKEN",
        "token",
        "mysql-root-passwd",
        "PGPASS",
    ] {
        let found = in_entry(name, "s3cr3t-Value!");
        let expected = name != "PGPASS";
        assert_eq!(!found.is_empty(), expected, "{name}");
    }
    for name in [
        "PASSWORD_FILE",
        "secretArn",
        "SECRET_NAME",
        "passwordMinLength",
        "TokenExpiration",
        "KEYBOARD",
        "PATH",
        "BYPASS_CACHE",
    ] {
        assert!(in_entry(name, "s3cr3t-Value!").is_empty(), "{name}");
    }
    for value in [
        "",
        "***",
        "xxxxxxxx",
        "${DB_PASSWORD}",
        "{{resolve:secretsmanager:db}}",
        "<password>",
        "true",
        "(hidden)",
        "changeit",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:db",
        "/run/secrets/db",
        "https://vault.internal/x",
        "30",
        "your-password",
    ] {
        assert_eq!(
            in_entry("DB_PASSWORD", value).is_empty(),
            value != "changeit",
            "{value}"
        );
    }
    assert!(
        in_entry("DB_PASSWORD", "P@ssw0rd")
            .iter()
            .any(|s| s.kind == SecretKind::Password)
    );
}

#[test]
fn scripts_plain_and_base64() {
    let script = format!(
        "#!/bin/bash\nexport AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY=\"{}\"\ncurl -H 'x: y' https://u:p@ss1@h/\nif [ $a == $b ]; then\nDB_PASSWORD=${{FROM_SSM}}\n",
        access_key(),
        secret_key()
    );
    let expected = [
        ("AWS_ACCESS_KEY_ID", "aws_access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
        ("line 4", "url_password"),
    ];
    assert_eq!(kinds(&in_text(&script)), expected);
    assert_eq!(
        kinds(&in_text(&crate::text::encode_base64(script.as_bytes()))),
        expected
    );
    assert!(
        in_text("#!/bin/sh\nyum update -y\nsystemctl enable nginx\nPATH=/usr/bin:$PATH\n")
            .is_empty()
    );
    assert_eq!(
        kinds(&in_text(r#"{"username": "a", "password": "Sup3rS3cret"}"#)),
        [("password", "password")]
    );
}

#[test]
fn bytes_that_are_no_text() {
    let gzip = String::from_utf8_lossy(&[0x1f, 0x8b, 8, 0, 0, 0]);
    assert_eq!(kinds(&in_text(&gzip)), [("text", "unreadable")]);
    assert!(in_text("#!/bin/sh\necho caf\u{fffd}\n").is_empty());
}

#[test]
fn documentation_keys_are_none() {
    assert!(in_text(&format!("AKIA{}", "IOSFODNN7EXAMPLE")).is_empty());
}

#[test]
fn name_and_value_structures_and_maps() {
    let member = |name: &str| Member {
        name: name.to_owned(),
        shape: ShapeId(1),
        location: palisade_model::Location::Body,
        traits: Traits::default(),
        query_name: None,
        host_label: false,
        context_param: None,
    };
    let shape = |name: &str, kind, members| Shape {
        name: name.to_owned(),
        kind,
        traits: Traits::default(),
        members,
        element: None,
        key: None,
        sparse: false,
        payload: None,
        error_code: None,
        required: Vec::new(),
    };
    let pair = shape(
        "EnvironmentVariable",
        ShapeKind::Structure,
        vec![member("name"), member("value"), member("type")],
    );
    let model = Model {
        shapes: vec![pair, shape("String", ShapeKind::String, Vec::new())].into(),
        ..Model::default()
    };
    let text = |t: &str| Value::String(t.into());
    let entry = |name: &str, value: &str, kind: &str| {
        Value::Struct(Box::new(Record {
            shape: ShapeId(0),
            fields: vec![text(name), text(value), text(kind)],
        }))
    };
    let list = Value::List(vec![
        entry("DB_PASSWORD", "S3cretish", "PLAINTEXT"),
        entry("API_KEY", "/prod/api-key", "PARAMETER_STORE"),
        entry("MODE", "fast", "PLAINTEXT"),
    ]);
    assert_eq!(
        kinds(&in_value(&list, &model)),
        [("DB_PASSWORD", "password")]
    );
    let map = Value::Map(vec![
        ("B_TOKEN".into(), text("abcdef0123")),
        ("A".into(), text(&access_key())),
    ]);
    assert_eq!(
        kinds(&in_value(&map, &model)),
        [("A", "aws_access_key_id"), ("B_TOKEN", "password")]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic_and_never_returned(name in ".{0,40}", value in ".{0,200}") {
        let _ = in_text(&value);
        for secret in in_entry(&name, &value) {
            prop_assert!(secret.name == name || secret.name.len() <= value.len() + 10);
        }
    }
}

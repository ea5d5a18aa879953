use super::*;
use datafusion::arrow::array::Array;
use datafusion::prelude::{SessionConfig, SessionContext};

/// The first column of the result, as text for each row.
pub(crate) fn rows(sql: &str) -> Result<Vec<String>, String> {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    let now: Timestamp = "2026-01-15T00:00:00Z".parse().unwrap();
    for function in all(now) {
        context.register_udf(function);
    }
    let run = async {
        let batches = context.sql(sql).await?.collect().await?;
        let text = |b: &datafusion::arrow::array::RecordBatch| {
            let column = b.column(0).clone();
            (0..b.num_rows())
                .map(move |i| {
                    if column.is_null(i) {
                        "NULL".to_owned()
                    } else {
                        crate::render::json(&column, i).to_string()
                    }
                })
                .collect::<Vec<_>>()
        };
        Ok(batches.iter().flat_map(text).collect())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(run)
        .map_err(|e: datafusion::common::DataFusionError| e.to_string())
}

/// The value for literal arguments, and for the same arguments as columns: they must agree.
fn value(call: &str) -> String {
    let literal = rows(&format!("SELECT {call}")).unwrap();
    assert_eq!(literal.len(), 1);
    literal[0].clone()
}

fn column(function: &str, values: &str) -> Vec<String> {
    rows(&format!("SELECT {function} FROM (VALUES {values}) t(a, b)")).unwrap()
}

#[test]
fn ages() {
    assert_eq!(value("age_days('2026-01-14T23:00:00Z')"), "0");
    assert_eq!(value("age_days(TIMESTAMP '2025-10-17T00:00:00Z')"), "90");
    assert_eq!(value("age_days('2026-01-15T01:00:00Z')"), "-1");
    assert_eq!(value("days_until('2026-01-16T23:00:00Z')"), "1");
    assert_eq!(value("days_until('2026-01-14T23:59:59Z')"), "-1");
    assert_eq!(value("age_days(NULL)"), "NULL");
    assert!(rows("SELECT age_days(1)").is_err());
    assert!(
        rows("SELECT age_days()")
            .unwrap_err()
            .contains("takes 1 argument")
    );
}

#[test]
fn networks() {
    assert_eq!(value("cidr_contains('10.0.0.0/8', '10.1.0.0/16')"), "true");
    assert_eq!(value("cidr_contains('10.1.0.0/16', '10.0.0.0/8')"), "false");
    assert_eq!(
        value("cidr_contains('0.0.0.0/0', '2001:db8::/32')"),
        "false"
    );
    assert_eq!(
        value("cidr_contains('2001:db8::/32', '2001:db8:1::/48')"),
        "true"
    );
    for (network, public) in [
        ("0.0.0.0/0", true),
        ("::/0", true),
        ("8.8.8.8/32", true),
        ("8.8.8.8", true),
        ("10.0.0.0/7", true),
        ("10.1.2.3/32", false),
        ("172.16.0.0/12", false),
        ("192.168.1.0/24", false),
        ("100.64.0.0/10", false),
        ("169.254.1.1/32", false),
        ("fd00::/8", false),
        ("2600::/12", true),
    ] {
        assert_eq!(
            value(&format!("cidr_is_public('{network}')")),
            public.to_string(),
            "{network}"
        );
    }
    assert_eq!(value("cidr_is_public(NULL)"), "NULL");
    assert!(
        rows("SELECT cidr_is_public('nonsense')")
            .unwrap_err()
            .contains("`nonsense`")
    );
    assert_eq!(
        column(
            "cidr_contains(a, b)",
            "('10.0.0.0/8', '10.0.0.1'), (NULL, '10.0.0.1'), ('::/0', NULL)"
        ),
        ["true", "NULL", "NULL"]
    );
}

#[test]
fn ports() {
    assert_eq!(value("port_in_range(20, 25, 22)"), "true");
    assert_eq!(value("port_in_range(20, 25, 26)"), "false");
    assert_eq!(value("port_in_range(NULL, NULL, 22)"), "true");
    assert_eq!(value("port_in_range(-1, -1, 22)"), "true");
    assert_eq!(value("port_in_range(22, NULL, 22)"), "true");
    assert_eq!(value("port_in_range(22, 22, NULL)"), "NULL");
    assert_eq!(
        column(
            "port_in_range(a, b, 443)",
            "(1, 65535), (80, 80), (NULL, NULL)"
        ),
        ["true", "false", "true"]
    );
}

#[test]
fn json_values() {
    let document = r#"{"a":{"b":[1,{"c":"x"}]},"n":null,"t":true}"#;
    for (path, expected) in [
        ("$.a.b[1].c", "\"x\""),
        ("$.a.b[0]", "\"1\""),
        ("$.t", "\"true\""),
        ("$.n", "NULL"),
        ("$.zz.y", "NULL"),
        ("$['t']", "\"true\""),
    ] {
        assert_eq!(
            value(&format!(
                "json_text('{document}', {})",
                format_args!("'{}'", path.replace('\'', "''"))
            )),
            expected,
            "{path}"
        );
    }
    assert_eq!(value("json_text(NULL, '$.a')"), "NULL");
    assert!(rows("SELECT json_text('{', '$.a')").is_err());
    assert!(
        rows("SELECT json_text('{}', 'a')")
            .unwrap_err()
            .contains("is not a path")
    );
}

#[test]
fn policies() {
    let public = r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
    let cross = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"210987654321"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
    let admin = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    assert_eq!(
        value(&format!("policy_is_public('{public}', '123456789012')")),
        "true"
    );
    assert_eq!(
        value(&format!("policy_is_public('{cross}', '123456789012')")),
        "false"
    );
    assert_eq!(
        value(&format!(
            "policy_external_accounts('{cross}', '123456789012')"
        )),
        "[\"210987654321\"]"
    );
    assert_eq!(value(&format!("policy_grants_admin('{admin}')")), "true");
    assert_eq!(
        value(&format!(
            "policy_allows_action('{cross}', 's3:GetObject', 'arn:aws:s3:::b/x')"
        )),
        "true"
    );
    assert_eq!(value("policy_grants_admin(NULL)"), "NULL");
    assert!(
        rows("SELECT policy_grants_admin('{')")
            .unwrap_err()
            .contains("cannot be read")
    );
    let values = format!("('{admin}', 1), (NULL, 2), ('{cross}', 3), ('{admin}', 4)");
    assert_eq!(
        column("policy_grants_admin(a)", &values),
        ["true", "NULL", "false", "true"]
    );
}

#[test]
fn statements() {
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"s3:Get*","Resource":"*"},
        {"Sid":"d","Effect":"Deny","NotPrincipal":"*","NotAction":["a:B"],"NotResource":"arn:aws:s3:::x","Condition":{"StringEquals":{"AWS:SourceAccount":["1","2"]}}}]}"#;
    assert_eq!(
        value(&format!("policy_statements('{policy}')")),
        r#"[{"effect":"Allow","principals":[{"type":"AWS","value":"123456789012"}],"is_not_principal":false,"actions":["s3:Get*"],"is_not_action":false,"resources":["*"],"is_not_resource":false,"conditions":[]},{"sid":"d","effect":"Deny","principals":[{"type":"AWS","value":"*"}],"is_not_principal":true,"actions":["a:B"],"is_not_action":true,"resources":["arn:aws:s3:::x"],"is_not_resource":true,"conditions":[{"operator":"StringEquals","key":"aws:sourceaccount","values":["1","2"]}]}]"#
    );
    assert_eq!(value("policy_statements(NULL)"), "NULL");
    let asked = format!(
        "cardinality(policy_statements(a)), b FROM (VALUES ('{policy}', 1), (NULL, 2), ('{policy}', 3)) t(a, b)"
    );
    assert_eq!(
        rows(&format!("SELECT {asked}")).unwrap(),
        ["2", "NULL", "2"]
    );
    assert!(
        rows("SELECT policy_statements('{')")
            .unwrap_err()
            .contains("cannot be read")
    );
}

#[test]
fn policies_compared_and_limited() {
    let policy =
        |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#);
    let narrow = policy(r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}"#);
    let wide = policy(r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#);
    assert_eq!(
        value(&format!("policy_grants_beyond('{wide}', '{narrow}')")),
        "true"
    );
    assert_eq!(
        value(&format!("policy_grants_beyond('{narrow}', '{wide}')")),
        "false"
    );
    let limited = policy(
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}"#,
    );
    // One says that there is a context in which it is allowed, the other that it is in all.
    for (function, of_wide, of_limited) in [
        ("policy_allows", "true", "false"),
        ("policy_allows_action", "true", "true"),
    ] {
        for (text, want) in [(&wide, of_wide), (&limited, of_limited)] {
            let call = format!("{function}('{text}', 's3:GetObject', 'arn:aws:s3:::b/k')");
            assert_eq!(value(&call), want, "{call}");
        }
    }
    let open = policy(
        r#"{"Effect":"Allow","Principal":"*","Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*"}"#,
    );
    assert_eq!(
        value(&format!("policy_public_actions('{open}')")),
        r#"["sqs:ReceiveMessage","sqs:SendMessage"]"#
    );
    assert_eq!(value(&format!("policy_public_actions('{narrow}')")), "[]");
    assert_eq!(
        value(&format!("policy_assumes_any_role('{narrow}')")),
        "false"
    );
    assert_eq!(
        value("policy_requires_tls_for(NULL, 'sns:Publish')"),
        "NULL"
    );
    assert_eq!(value(&format!("trust_policy_open_issuers('{open}')")), "[]");
    assert!(rows("SELECT policy_grants_beyond('{', '{}')").is_err());
}

#[test]
fn wildcards() {
    assert_eq!(value("wildcard_matches('kms:*', 'kms:Decrypt')"), "true");
    assert_eq!(
        value("wildcard_matches('kms:Decryp?', 'kms:Decrypt')"),
        "true"
    );
    assert_eq!(
        value("wildcard_matches('kms:decrypt', 'kms:Decrypt')"),
        "false"
    );
    assert_eq!(value("wildcard_matches('*', NULL)"), "NULL");
}

#[test]
fn ways_and_lint() {
    let ways = |rest: &str| {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"iam:AttachUserPolicy","Resource":"*"{rest}}}]}}"#
        );
        value(&format!(
            "array_to_string(policy_escalation_ways('{document}'), '; ')"
        ))
    };
    assert!(ways("").contains("(iam:AttachUserPolicy)"), "{}", ways(""));
    let until = |year: &str| {
        ways(&format!(
            r#","Condition":{{"DateLessThan":{{"aws:CurrentTime":"{year}-01-01T00:00:00Z"}}}}"#
        ))
    };
    // What has run out opens nothing.
    assert_eq!(until("2020"), "\"\"");
    assert!(until("2030").contains("iam:AttachUserPolicy"));
    let rules = |document: &str, kind: &str| {
        value(&format!(
            "policy_lint('{document}', '{kind}', '1')[1]['rule']"
        ))
    };
    assert_eq!(rules("{", "identity"), "\"grammar\"");
    let open = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}]}"#;
    assert_eq!(rules(open, "resource"), "\"public\"");
    assert!(
        rows("SELECT policy_lint('{}', 'nope', '1')")
            .unwrap_err()
            .contains("no kind of policy `nope`")
    );
}

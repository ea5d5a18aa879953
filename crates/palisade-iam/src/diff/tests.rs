use super::*;
use proptest::prelude::*;

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#
    ))
    .unwrap()
}

fn new(before: &str, after: &str) -> Option<Witness> {
    let (a, b) = (policy(before), policy(after));
    let found = diff(&[&a], &[&b]).unwrap();
    if let Some(w) = &found {
        assert!(
            policies_allow(&[&b], &w.action, &w.resource, &w.context),
            "{w:?}"
        );
        assert!(
            !policies_allow(&[&a], &w.action, &w.resource, &w.context),
            "{w:?}"
        );
    }
    found
}

#[test]
fn finds_what_is_new() {
    let get = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#;
    let any = r#"{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/*"}"#;
    assert!(new(any, get).is_none());
    let found = new(get, any).unwrap();
    assert!(found.is_known_action && found.action.starts_with("s3:Get"));
    let deny = r#"{"Effect":"Deny","Action":"*","NotResource":"arn:aws:s3:::b/*"}"#;
    assert!(
        new(
            get,
            &format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}},{deny}"#)
        )
        .is_none()
    );
    let tls = r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}"#;
    assert!(new(get, tls).is_none());
    assert!(new(tls, get).is_some());
    let ip = |net: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*","Condition":{{"IpAddress":{{"aws:SourceIp":"{net}"}}}}}}"#
        )
    };
    assert!(new(&ip("10.0.0.0/8"), &ip("10.1.0.0/16")).is_none());
    assert!(new(&ip("10.1.0.0/16"), &ip("10.0.0.0/8")).is_some());
    assert!(new(&ip("10.0.0.0/16"), &ip("10.0.0.0/8")).is_some());
    assert!(new(&ip("128.0.0.0/1"), &ip("0.0.0.0/0")).is_some());
    assert!(new(&ip("0.0.0.0/0"), &ip("128.0.0.0/1")).is_none());
    assert!(new(&ip("2001:db8::/48"), &ip("2001:db8::/32")).is_some());
    let own = r#"{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::111111111111:user/${aws:username}"}"#;
    assert!(new(own, own).is_none());
    let all = r#"{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::111111111111:user/*"}"#;
    assert!(new(all, own).is_none() && new(own, all).is_some());
    let split = r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}"#;
    assert!(new(split, r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#).is_none());
}

#[test]
fn a_witness_is_a_request_that_aws_could_get() {
    let on = |action: &str, resource: &str| {
        format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"{resource}"}}"#)
    };
    let shown = |before: &str, after: &str| {
        let found = new(before, after).unwrap();
        assert!(found.is_known_action, "{found:?}");
        (found.action, found.resource)
    };
    let text = |action: &str, resource: &str| (action.to_owned(), resource.to_owned());
    let reports = "arn:aws:s3:::reports/*";
    assert_eq!(
        shown(&on("s3:GetObject", reports), &on("s3:GetObject", "*")),
        text("s3:GetObject", "arn:aws:s3:::example/example")
    );
    assert_eq!(
        shown(&on("s3:GetObject", reports), &on("sqs:SendMessage", "*")),
        text(
            "sqs:SendMessage",
            "arn:aws:sqs:us-east-1:123456789012:example"
        )
    );
    // an action on objects, not the first of all on buckets
    let (action, resource) = shown(&on("s3:GetObject", reports), &on("s3:Get*", reports));
    assert!(action.starts_with("s3:GetObject"), "{action}");
    assert!(resource.starts_with("arn:aws:s3:::reports/"), "{resource}");
    // what is done on nothing in particular
    assert_eq!(
        shown(
            &on("s3:GetObject", reports),
            &on("ec2:DescribeInstances", "*")
        ),
        text("ec2:DescribeInstances", "*")
    );
    // where only what is no kind of the action's shows it, that is shown
    assert!(new(&on("s3:GetObject", "*"), &on("s3:ListBucket", reports)).is_some());
}

#[test]
fn a_resource_that_is_no_arn_is_matched_as_one_text() {
    let on = |resource: &str| {
        format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"{resource}"}}"#)
    };
    let data = on("arn:aws:s3:::data/*");
    assert!(new(&on("*data*"), &data).is_none());
    assert!(new(&data, &on("*data*")).is_some());
    assert!(new(&on("*:*:*:*:*:*"), &on("arn:aws:s3:::*:x")).is_none());
    // Nothing that is asked for is called so.
    assert!(new(&data, &on("data:x")).is_none());
}

fn statement() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec![
        "*",
        "s3:*",
        "s3:Get*",
        "s3:GetObject",
        "s3:PutObject",
        "sqs:SendMessage",
    ]);
    let resource = prop::sample::select(vec![
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::a/x*",
        "arn:aws:s3:::*",
        "arn:aws:s3:::a/?x",
    ]);
    let condition = prop::sample::select(vec![
        "",
        r#","Condition":{"StringLike":{"aws:PrincipalTag/t":"a*"}}"#,
        r#","Condition":{"StringNotEquals":{"aws:PrincipalTag/t":"ab"}}"#,
        r#","Condition":{"Null":{"aws:PrincipalTag/t":"true"}}"#,
        r#","Condition":{"NumericLessThan":{"s3:max-keys":"10"}}"#,
        r#","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}"#,
    ]);
    (
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        action,
        resource,
        condition,
    )
        .prop_map(|(deny, na, nr, action, resource, condition)| {
            format!(
                r#"{{"Effect":"{}","{}":"{action}","{}":"{resource}"{condition}}}"#,
                if deny { "Deny" } else { "Allow" },
                if na && deny { "NotAction" } else { "Action" },
                if nr && deny {
                    "NotResource"
                } else {
                    "Resource"
                },
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn witnesses_are_true_and_nothing_is_missed(
        before in prop::collection::vec(statement(), 1..4),
        after in prop::collection::vec(statement(), 1..4),
        tag in prop::sample::select(vec!["", "ab", "ac", "z"]),
        keys in prop::sample::select(vec![vec![], vec!["a"], vec!["a", "c"]]),
    ) {
        let (a, b) = (policy(&before.join(",")), policy(&after.join(",")));
        match diff(&[&a], &[&b]).unwrap() {
            Some(w) => {
                prop_assert!(policies_allow(&[&b], &w.action, &w.resource, &w.context), "{:?}", w);
                prop_assert!(!policies_allow(&[&a], &w.action, &w.resource, &w.context), "{:?}", w);
            }
            None => {
                let mut context = Context::closed();
                if !tag.is_empty() { context.set("aws:PrincipalTag/t", [tag]); }
                if !keys.is_empty() { context.set("aws:TagKeys", keys.clone()); }
                for action in ["s3:GetObject", "s3:PutObject", "s3:GetBucketAcl", "sqs:SendMessage", "ec2:RunInstances"] {
                    for resource in ["*", "arn:aws:s3:::a/x", "arn:aws:s3:::a/zx", "arn:aws:s3:::b", "arn:aws:sqs:us-east-1:1:q"] {
                        prop_assert!(!policies_allow(&[&b], action, resource, &context) || policies_allow(&[&a], action, resource, &context), "{} {}", action, resource);
                    }
                }
            }
        }
    }
}

/// Patterns that combine in very many ways: an answer or a refusal, soon.
#[test]
fn hostile_patterns_stay_cheap() {
    let side = |letters: &str| {
        let texts: Vec<String> = letters
            .as_bytes()
            .windows(4)
            .map(|w| {
                let stars: Vec<String> = w.iter().map(|c| char::from(*c).to_string()).collect();
                format!(r#""arn:aws:s3:::*{}*""#, stars.join("*"))
            })
            .collect();
        policy(&format!(
            r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":[{}]}}"#,
            texts.join(",")
        ))
    };
    let (a, b) = (side("abcdefghijabc"), side("bdfhjacegibdf"));
    let start = std::time::Instant::now();
    let _ = diff(&[&a], &[&b]);
    assert!(start.elapsed() < std::time::Duration::from_secs(60));
}

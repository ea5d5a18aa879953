use super::*;

fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> RecordedRequest {
    RecordedRequest {
        method: method.to_owned(),
        path_and_query: path.to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

fn signed(service: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0f"
    )
}

fn key(service: &str, method: &str, path: &str, kind: &str, body: &str) -> Key {
    let authorization = signed(service, "us-east-1");
    Key::of(&request(
        method,
        path,
        &[("Authorization", &authorization), ("Content-Type", kind)],
        body,
    ))
}

const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";
const JSON: &str = "application/x-amz-json-1.1";

#[test]
fn service_and_region_come_from_the_credential_scope() {
    let key = key("s3", "GET", "/", "", "");
    assert_eq!(
        (key.service.as_str(), key.region.as_str()),
        ("s3", "us-east-1")
    );
}

#[test]
fn a_presigned_url_has_a_scope_and_keeps_no_signature() {
    let path = "/?Action=GetCallerIdentity&X-Amz-Credential=AK%2F20260101%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Signature=abc&X-Amz-Security-Token=t";
    let key = Key::of(&request("GET", path, &[], ""));
    assert_eq!(
        (key.service.as_str(), key.region.as_str()),
        ("sts", "eu-west-1")
    );
    assert_eq!(
        key.query,
        [("Action".to_owned(), "GetCallerIdentity".to_owned())]
    );
    assert_eq!(
        (key.operation().as_str(), key.protocol()),
        ("GetCallerIdentity", Protocol::Query)
    );
}

#[test]
fn sigv4a_takes_the_region_from_its_header() {
    let authorization =
        "AWS4-ECDSA-P256-SHA256 Credential=AK/20260101/s3/aws4_request, SignedHeaders=host";
    let key = Key::of(&request(
        "GET",
        "/",
        &[("authorization", authorization), ("x-amz-region-set", "*")],
        "",
    ));
    assert_eq!((key.service.as_str(), key.region.as_str()), ("s3", "*"));
}

#[test]
fn an_unsigned_request_has_neither_service_nor_region() {
    let key = Key::of(&request(
        "GET",
        "/federation/credentials?role_name=a",
        &[],
        "",
    ));
    assert_eq!((key.service.as_str(), key.region.as_str()), ("", ""));
}

#[test]
fn form_bodies_ignore_order_and_idempotency_tokens() {
    let one = key(
        "ec2",
        "POST",
        "/",
        FORM,
        "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=a%3Ab&ClientToken=x",
    );
    let two = key(
        "ec2",
        "POST",
        "/",
        FORM,
        "VpcId.1=a:b&Version=2016-11-15&Action=DescribeVpcs&ClientToken=y",
    );
    assert_eq!(one, two);
    assert_eq!(
        (one.operation().as_str(), one.protocol()),
        ("DescribeVpcs", Protocol::Ec2)
    );
    assert_ne!(
        one,
        key(
            "ec2",
            "POST",
            "/",
            FORM,
            "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=c"
        )
    );
}

#[test]
fn an_action_is_found_behind_other_pairs() {
    let key = key(
        "autoscaling",
        "POST",
        "/",
        FORM,
        "AAA=1&Action=DescribeTags",
    );
    assert_eq!(
        (key.operation().as_str(), key.protocol()),
        ("DescribeTags", Protocol::Query)
    );
}

#[test]
fn json_bodies_ignore_key_order_at_every_level_but_not_array_order() {
    let one = key(
        "kms",
        "POST",
        "/",
        JSON,
        r#"{"b": {"y": 1, "x": [1, 2]}, "a": "ä", "ClientToken": "1"}"#,
    );
    let two = key(
        "kms",
        "POST",
        "/",
        JSON,
        r#"{"a":"ä","b":{"x":[1,2],"y":1}}"#,
    );
    assert_eq!(one, two);
    assert_ne!(
        one,
        key(
            "kms",
            "POST",
            "/",
            JSON,
            r#"{"a":"ä","b":{"x":[2,1],"y":1}}"#
        )
    );
    // Only a parameter of the call is a token; the same word deeper down may mean something.
    assert_ne!(
        key("kms", "POST", "/", JSON, r#"{"b":{"ClientToken":"1"}}"#),
        key("kms", "POST", "/", JSON, r#"{"b":{"ClientToken":"2"}}"#)
    );
}

#[test]
fn no_parameters_and_an_empty_object_are_the_same() {
    assert_eq!(
        key("kms", "POST", "/", JSON, "{}"),
        key("kms", "POST", "/", JSON, "")
    );
}

#[test]
fn other_bodies_are_kept_as_they_are() {
    assert_eq!(
        key("s3", "PUT", "/b", "text/plain", " <a/> ").body,
        b" <a/> "
    );
    assert_eq!(key("kms", "POST", "/", JSON, "{broken").body, b"{broken");
}

#[test]
fn queries_are_sorted_and_a_missing_value_equals_an_empty_one() {
    assert_eq!(
        key(
            "s3",
            "GET",
            "/b?versioning&x-id=GetBucketVersioning",
            "",
            ""
        ),
        key("s3", "GET", "/b?versioning=", "", "")
    );
    assert_eq!(
        key("eks", "GET", "/clusters?b=2&a=1", "", ""),
        key("eks", "GET", "/clusters?a=1&b=2", "", "")
    );
    assert_ne!(
        key("eks", "GET", "/clusters?a=1", "", ""),
        key("eks", "GET", "/clusters?a=2", "", "")
    );
}

#[test]
fn a_bucket_in_the_host_is_the_same_as_in_the_path() {
    let authorization = signed("s3", "us-east-1");
    let host = "my.bucket.s3.us-east-1.amazonaws.com";
    let hosted = Key::of(&request(
        "GET",
        "/?acl",
        &[("authorization", &authorization), ("host", host)],
        "",
    ));
    assert_eq!(hosted, key("s3", "GET", "/my.bucket/?acl", "", ""));
    let host = "123456789012.s3-control.us-east-1.amazonaws.com";
    let path = "/v20180820/configuration/publicAccessBlock";
    let control = Key::of(&request(
        "GET",
        path,
        &[("authorization", &authorization), ("host", host)],
        "",
    ));
    assert_eq!(control.path, path);
    assert_eq!(control.protocol(), Protocol::RestXml);
}

#[test]
fn credentials_never_reach_a_key() {
    let authorization = signed("sts", "us-east-1");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-amz-security-token", "SECRET-TOKEN"),
        ("content-type", FORM),
    ];
    let body = "Action=AssumeRoleWithWebIdentity&WebIdentityToken=SECRET-JWT&RoleArn=r";
    let text = format!("{:?}", Key::of(&request("POST", "/", &headers, body)));
    for secret in ["AKIAEXAMPLE", "SECRET-TOKEN", "SECRET-JWT", "Signature"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn operations_are_named_by_target_action_or_path() {
    let authorization = signed("ssm", "us-east-1");
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-amz-target", "AmazonSSM.DescribePatchBaselines"),
    ];
    let json = Key::of(&request("POST", "/", &headers, "{}"));
    assert_eq!(
        (json.operation().as_str(), json.protocol()),
        ("DescribePatchBaselines", Protocol::Json)
    );

    let cbor = key(
        "monitoring",
        "POST",
        "/service/GraniteServiceVersion20100801/operation/DescribeAlarms",
        "application/cbor",
        "",
    );
    assert_eq!(
        (cbor.operation().as_str(), cbor.protocol()),
        ("DescribeAlarms", Protocol::Cbor)
    );

    for (service, path, expected) in [
        ("s3", "/", "GET /"),
        (
            "s3",
            "/my-bucket?policyStatus",
            "GET /{bucket}?policyStatus",
        ),
        ("s3", "/my-bucket/a/b", "GET /{bucket}/{key}"),
        (
            "lambda",
            "/2015-03-31/functions/my-function/policy",
            "GET /2015-03-31/functions/{}/policy",
        ),
        (
            "lambda",
            "/2015-03-31/functions/",
            "GET /2015-03-31/functions",
        ),
        (
            "apigateway",
            "/v2/apis/ab12/routes",
            "GET /v2/apis/{}/routes",
        ),
        (
            "backup",
            "/backup-vaults/nightly/access-policy",
            "GET /backup-vaults/{}/access-policy",
        ),
        (
            "cloudfront",
            "/2020-05-31/distribution/E1ABC/config",
            "GET /2020-05-31/distribution/{}/config",
        ),
        (
            "guardduty",
            "/detector/12abc/masterAccount",
            "GET /detector/{}/masterAccount",
        ),
    ] {
        assert_eq!(key(service, "GET", path, "", "").operation(), expected);
    }
}

#[test]
fn the_protocol_follows_the_service_when_the_request_does_not_tell() {
    assert_eq!(key("s3", "GET", "/b", "", "").protocol(), Protocol::S3);
    assert_eq!(
        key("route53", "GET", "/2013-04-01/hostedzone", "", "").protocol(),
        Protocol::RestXml
    );
    assert_eq!(
        key("lambda", "GET", "/2015-03-31/functions", "", "").protocol(),
        Protocol::RestJson
    );
}

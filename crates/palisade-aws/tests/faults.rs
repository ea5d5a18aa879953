//! The client against an HTTP client that misbehaves as services and networks do.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::StreamExt;
use palisade_aws::{CallFailure, Client, ClientConfig, ConnectError, Role, StaticCredentials};
use palisade_core::{CallErrorKind, Region};
use palisade_model::{Api, CallRequest, Models, Value};
use serde_json::{Map, Value as Json, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the fake does with a request.
enum Reply {
    Answer(u16, Vec<(&'static str, String)>, String),
    Refuse,
    Hang,
    Slow(Duration, String),
}

type Script = dyn Fn(usize, &Seen) -> Reply + Send + Sync;

#[derive(Debug, Clone)]
struct Seen {
    uri: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

#[derive(Clone)]
struct Fake {
    script: Arc<Script>,
    seen: Arc<Mutex<Vec<Seen>>>,
    flying: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl HttpClient for Fake {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

struct Flight(Arc<AtomicUsize>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let seen = Seen {
            uri: request.uri().to_owned(),
            headers: request
                .headers()
                .iter()
                .map(|(n, v)| (n.to_owned(), v.to_owned()))
                .collect(),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
        };
        let fake = self.clone();
        HttpConnectorFuture::new(async move {
            let number = {
                let mut all = fake.seen.lock().unwrap();
                all.push(seen.clone());
                all.len()
            };
            let now = fake.flying.fetch_add(1, Ordering::SeqCst) + 1;
            let _flight = Flight(Arc::clone(&fake.flying));
            fake.most.fetch_max(now, Ordering::SeqCst);
            let (status, headers, body) = match (fake.script)(number, &seen) {
                Reply::Answer(status, headers, body) => (status, headers, body),
                Reply::Refuse => return Err(ConnectorError::io("connection refused".into())),
                Reply::Hang => std::future::pending().await,
                Reply::Slow(time, body) => {
                    tokio::time::sleep(time).await;
                    (200, Vec::new(), body)
                }
            };
            let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
            for (name, value) in headers {
                response.headers_mut().insert(name, value);
            }
            Ok(response)
        })
    }
}

fn fake(script: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static) -> Fake {
    Fake {
        script: Arc::new(script),
        seen: Arc::default(),
        flying: Arc::default(),
        most: Arc::default(),
    }
}

fn config(fake: &Fake) -> ClientConfig {
    ClientConfig {
        region: Some("eu-central-1".into()),
        http_client: Some(SharedHttpClient::new(fake.clone())),
        max_attempts: Some(8),
        credentials: Some(StaticCredentials {
            access_key_id: "AKIDEXAMPLE".into(),
            secret_access_key: "secret".into(),
            session_token: Some("session-token-example".into()),
        }),
        ..ClientConfig::default()
    }
}

async fn connect(fake: &Fake) -> Client {
    Client::connect(config(fake), Arc::new(Models::embedded()))
        .await
        .unwrap()
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn ok(body: &str) -> Reply {
    Reply::Answer(
        200,
        vec![("content-length", body.len().to_string())],
        body.to_owned(),
    )
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>no</Message></Error></Errors></Response>"
    );
    Reply::Answer(status, Vec::new(), body)
}

const VPCS: &str = "<DescribeVpcsResponse><requestId>1</requestId><vpcSet><item><vpcId>vpc-1</vpcId><isDefault>true</isDefault></item></vpcSet></DescribeVpcsResponse>";

async fn vpcs(client: &Client) -> Result<Value, CallFailure> {
    client
        .call("ec2", "DescribeVpcs", &region("eu-central-1"), &Map::new())
        .await
}

fn counts(client: &Client) -> (u64, u64) {
    let all = client.statistics();
    (
        all.iter().map(|s| s.requests).sum(),
        all.iter().map(|s| s.throttled).sum(),
    )
}

#[tokio::test(start_paused = true)]
async fn throttling_is_waited_out() {
    let fake = fake(|n, _| {
        if n % 3 == 1 {
            error(503, "RequestLimitExceeded")
        } else {
            ok(VPCS)
        }
    });
    let client = connect(&fake).await;
    for _ in 0..20 {
        vpcs(&client).await.unwrap();
    }
    assert_eq!(counts(&client), (30, 10));
    let statistics = client.statistics();
    assert_eq!(
        (
            statistics[0].service.as_str(),
            statistics[0].operation.as_str()
        ),
        ("ec2", "DescribeVpcs")
    );
}

#[tokio::test(start_paused = true)]
async fn endless_throttling_ends_as_throttled() {
    let fake = fake(|_, _| error(503, "RequestLimitExceeded"));
    let client = connect(&fake).await;
    let failure = vpcs(&client).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (CallErrorKind::Throttled, "RequestLimitExceeded")
    );
    assert_eq!(counts(&client), (8, 8));
}

#[tokio::test(start_paused = true)]
async fn failing_services_are_given_up_sooner() {
    for (reply, kind) in [
        (500, CallErrorKind::Server),
        (200, CallErrorKind::Malformed),
    ] {
        let fake = fake(move |_, _| Reply::Answer(reply, Vec::new(), "<html>oops".into()));
        let client = connect(&fake).await;
        let failure = vpcs(&client).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert_eq!(counts(&client), (4, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_repeated() {
    for (status, code, kind) in [
        (403, "UnauthorizedOperation", CallErrorKind::Denied),
        (401, "AuthFailure", CallErrorKind::Credentials),
        (400, "InvalidVpcID.NotFound", CallErrorKind::Other),
        (400, "UnsupportedOperation", CallErrorKind::Unavailable),
    ] {
        let fake = fake(move |_, _| error(status, code));
        let client = connect(&fake).await;
        let failure = vpcs(&client).await.unwrap_err();
        assert_eq!(
            (failure.kind, failure.code.as_str(), failure.status),
            (kind, code, Some(status))
        );
        assert_eq!(counts(&client).0, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn truncated_answers_are_never_taken() {
    let half = &VPCS[..VPCS.len() / 2];
    for promised in [half.len(), VPCS.len()] {
        let fake = fake(move |_, _| {
            Reply::Answer(
                200,
                vec![("content-length", promised.to_string())],
                half.to_owned(),
            )
        });
        let failure = vpcs(&connect(&fake).await).await.unwrap_err();
        assert_eq!(failure.kind, CallErrorKind::Malformed, "{failure}");
    }
    // Not one cut of a valid answer is valid (every third is tried).
    let cut = AtomicUsize::new(0);
    let fake = fake(move |_, _| ok(&VPCS[..cut.fetch_add(1, Ordering::SeqCst) / 4 * 3]));
    let client = connect(&fake).await;
    for _ in 0..VPCS.len() / 3 {
        assert_eq!(
            vpcs(&client).await.unwrap_err().kind,
            CallErrorKind::Malformed
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_answer_is_asked_for_again() {
    let fake = fake(|n, _| match n {
        1 => Reply::Answer(200, vec![("content-length", "9999".into())], VPCS.into()),
        _ => ok(VPCS),
    });
    let client = connect(&fake).await;
    vpcs(&client).await.unwrap();
    assert_eq!(counts(&client).0, 2);
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout() {
    let fake = fake(|_, _| Reply::Hang);
    let client = connect(&fake).await;
    let failure = vpcs(&client).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (CallErrorKind::Timeout, "Timeout")
    );
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_unreachable() {
    let fake = fake(|_, _| Reply::Refuse);
    let client = connect(&fake).await;
    let failure = vpcs(&client).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (CallErrorKind::Unreachable, "ConnectError")
    );
    assert_eq!(counts(&client).0, 3);
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_bounded_and_given_back() {
    let fake = fake(|_, _| Reply::Slow(Duration::from_millis(60), VPCS.into()));
    let config = ClientConfig {
        max_in_flight: 8,
        max_in_flight_per_service: 6,
        ..config(&fake)
    };
    let client = Client::connect(config, Arc::new(Models::embedded()))
        .await
        .unwrap();
    // Half of them are dropped on the way.
    let some = futures::future::join_all((0..50).map(|_| vpcs(&client)));
    let cut = tokio::time::timeout(Duration::from_millis(150), some).await;
    assert!(cut.is_err());
    assert_eq!(fake.flying.load(Ordering::SeqCst), 0);
    let started = tokio::time::Instant::now();
    let params = Map::new();
    let frankfurt = region("eu-central-1");
    let other = region("eu-west-1");
    let calls = (0..60).map(|n| {
        client.call(
            "ec2",
            "DescribeVpcs",
            if n % 2 == 0 { &frankfurt } else { &other },
            &params,
        )
    });
    let all = futures::future::join_all(calls).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(fake.most.load(Ordering::SeqCst), 8);
    // 60 requests of 60 ms, 8 at a time.
    assert!(
        started.elapsed() < Duration::from_millis(60 * 9),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn pages_follow_each_other_and_never_in_a_circle() {
    let page = |token: &str| {
        format!(
            "<ListUsersResponse><ListUsersResult><IsTruncated>{}</IsTruncated><Users><member><UserName>u</UserName></member></Users><Marker>{token}</Marker></ListUsersResult></ListUsersResponse>",
            !token.is_empty()
        )
    };
    let straight = fake(move |_, seen| {
        ok(&page(if seen.body.contains("Marker=b") {
            ""
        } else if seen.body.contains("Marker=a") {
            "b"
        } else {
            "a"
        }))
    });
    let client = connect(&straight).await;
    let here = region("eu-central-1");
    let pages: Vec<_> = client
        .pages("iam", "ListUsers", &here, Map::new())
        .collect()
        .await;
    assert_eq!(pages.len(), 3);
    assert!(pages.iter().all(Result::is_ok));
    // iam's endpoint and signature are the partition's home region's.
    let seen = straight.seen.lock().unwrap()[0].clone();
    assert!(
        seen.uri.starts_with("https://iam.amazonaws.com/"),
        "{}",
        seen.uri
    );
    assert!(
        seen.header("authorization")
            .contains("/us-east-1/iam/aws4_request")
    );
    let circle = fake(move |_, _| ok(&page("a")));
    let client = connect(&circle).await;
    let pages: Vec<_> = client
        .pages("iam", "ListUsers", &here, Map::new())
        .collect()
        .await;
    let failure = pages.last().unwrap().as_ref().unwrap_err();
    assert_eq!((pages.len(), failure.code.as_str()), (2, "RepeatedToken"));
}

#[tokio::test(start_paused = true)]
async fn the_seam_gives_whole_parameters_of_the_next_page() {
    let fake = fake(|_, _| ok(r#"{"SecretList":[],"NextToken":"t"}"#));
    let client = connect(&fake).await;
    let params = json!({ "MaxResults": 5 }).as_object().cloned().unwrap();
    let request = CallRequest {
        service: "secretsmanager",
        operation: "ListSecrets",
        region: "eu-central-1",
        params: &params,
    };
    let page = Api::call(&client, request).await.unwrap();
    assert_eq!(
        Json::Object(page.next.unwrap()),
        json!({ "MaxResults": 5, "NextToken": "t" })
    );
}

#[tokio::test(start_paused = true)]
async fn a_bucket_elsewhere_is_asked_there() {
    let fake = fake(|_, seen| match seen.uri.contains("eu-north-1") {
        true => ok("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
        false => Reply::Answer(
            301,
            vec![("x-amz-bucket-region", "eu-north-1".into())],
            "<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>".into(),
        ),
    });
    let client = connect(&fake).await;
    let params = json!({ "Bucket": "my-bucket" })
        .as_object()
        .cloned()
        .unwrap();
    let value = client
        .call(
            "s3",
            "GetBucketVersioning",
            &region("eu-central-1"),
            &params,
        )
        .await
        .unwrap();
    let model = client.models().get("s3").unwrap();
    assert_eq!(
        value.get(&model, "Status").and_then(Value::as_str),
        Some("Enabled")
    );
    let seen = fake.seen.lock().unwrap();
    assert_eq!(
        seen[1].uri,
        "https://my-bucket.s3.eu-north-1.amazonaws.com/?versioning"
    );
    assert!(
        seen[1]
            .header("authorization")
            .contains("/eu-north-1/s3/aws4_request")
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_place_of_an_output_is_an_error() {
    let fake = fake(|_, _| ok("<Error><Code>InternalError</Code><Message>again</Message></Error>"));
    let client = connect(&fake).await;
    let params = json!({ "Bucket": "my-bucket" })
        .as_object()
        .cloned()
        .unwrap();
    let failure = client
        .call(
            "s3",
            "GetBucketVersioning",
            &region("eu-central-1"),
            &params,
        )
        .await
        .unwrap_err();
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (CallErrorKind::Server, "InternalError")
    );
}

#[tokio::test(start_paused = true)]
async fn partitions_have_their_own_names() {
    let fake = fake(|_, _| Reply::Answer(403, Vec::new(), String::new()));
    let client = connect(&fake).await;
    for (service, operation, place, url) in [
        (
            "iam",
            "ListUsers",
            "us-gov-east-1",
            "https://iam.us-gov.amazonaws.com/",
        ),
        (
            "s3",
            "ListBuckets",
            "cn-north-1",
            "https://s3.cn-north-1.amazonaws.com.cn/",
        ),
        (
            "ec2",
            "DescribeVpcs",
            "cn-northwest-1",
            "https://ec2.cn-northwest-1.amazonaws.com.cn/",
        ),
    ] {
        client
            .call(service, operation, &region(place), &Map::new())
            .await
            .unwrap_err();
        let uri = fake.seen.lock().unwrap().last().unwrap().uri.clone();
        assert!(uri.starts_with(url), "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_custom_endpoint_has_no_names_below_its_own() {
    let fake = fake(|_, _| Reply::Answer(404, Vec::new(), String::new()));
    let config = ClientConfig {
        endpoint_url: Some("http://localhost:5000".into()),
        ..config(&fake)
    };
    let client = Client::connect(config, Arc::new(Models::embedded()))
        .await
        .unwrap();
    let here = region("eu-central-1");
    let bucket = json!({ "Bucket": "my.bucket" })
        .as_object()
        .cloned()
        .unwrap();
    client
        .call("s3", "GetBucketPolicy", &here, &bucket)
        .await
        .unwrap_err();
    let account = json!({ "AccountId": "123456789012" })
        .as_object()
        .cloned()
        .unwrap();
    client
        .call("s3control", "GetPublicAccessBlock", &here, &account)
        .await
        .unwrap_err();
    let uris: Vec<String> = fake
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|s| s.uri.clone())
        .collect();
    assert_eq!(
        uris,
        [
            "http://localhost:5000/my.bucket/?policy",
            "http://localhost:5000/v20180820/configuration/publicAccessBlock"
        ]
    );
}

#[tokio::test]
async fn a_wrong_clock_is_corrected() {
    let fake = fake(|n, _| match n {
        1 => {
            let later = aws_smithy_types::DateTime::from(
                std::time::SystemTime::now() + Duration::from_secs(3600),
            );
            let date = later
                .fmt(aws_smithy_types::date_time::Format::HttpDate)
                .unwrap();
            Reply::Answer(
                403,
                vec![("date", date)],
                "<ErrorResponse><Error><Code>RequestTimeTooSkewed</Code></Error></ErrorResponse>"
                    .into(),
            )
        }
        _ => ok(VPCS),
    });
    let client = connect(&fake).await;
    vpcs(&client).await.unwrap();
    let seen = fake.seen.lock().unwrap();
    let hour = |n: usize| seen[n].header("x-amz-date")[9..11].parse::<u32>().unwrap();
    assert_eq!((hour(0) + 1) % 24, hour(1));
}

#[tokio::test(start_paused = true)]
async fn recordings_hold_no_credentials() {
    let fake = fake(|_, _| ok(VPCS));
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&recorded);
    let config = ClientConfig {
        recorder: Some(Arc::new(move |exchange| {
            sink.lock().unwrap().push(exchange)
        })),
        ..config(&fake)
    };
    let client = Client::connect(config, Arc::new(Models::embedded()))
        .await
        .unwrap();
    vpcs(&client).await.unwrap();
    let recorded = recorded.lock().unwrap();
    let text = format!("{recorded:?}").to_lowercase();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].request.path_and_query, "/");
    assert!(String::from_utf8_lossy(&recorded[0].request.body).contains("Action=DescribeVpcs"));
    assert!(
        !text.contains("akidexample") && !text.contains("session-token-example"),
        "{text}"
    );
    // What was sent had them.
    assert!(
        fake.seen.lock().unwrap()[0]
            .header("authorization")
            .contains("AKIDEXAMPLE")
    );
}

const ASSUMED: &str = "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>";

#[tokio::test]
async fn roles_are_assumed_once_and_their_credentials_used() {
    let fake = fake(|_, seen| {
        if seen.body.contains("AssumeRole") {
            ok(ASSUMED)
        } else {
            ok(VPCS)
        }
    });
    let role = Role {
        arn: "arn:aws:iam::123456789012:role/audit".into(),
        external_id: Some("ex-1".into()),
        session_name: Some("night".into()),
        duration: Some(Duration::from_secs(900)),
    };
    let client = connect(&fake).await.assume(role).await.unwrap();
    vpcs(&client).await.unwrap();
    vpcs(&client).await.unwrap();
    let seen = fake.seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    for part in [
        "ExternalId=ex-1",
        "RoleSessionName=night",
        "DurationSeconds=900",
    ] {
        assert!(seen[0].body.contains(part), "{}", seen[0].body);
    }
    assert!(seen[0].header("authorization").contains("AKIDEXAMPLE"));
    assert!(seen[2].header("authorization").contains("ASIAROLE"));
}

#[tokio::test]
async fn a_role_that_is_refused_is_a_clear_error() {
    let fake = fake(|_, _| error(403, "AccessDenied"));
    let role = Role {
        arn: "arn:aws:iam::1:role/x".into(),
        external_id: None,
        session_name: None,
        duration: None,
    };
    let config = ClientConfig {
        role: Some(role),
        ..config(&fake)
    };
    let failed = Client::connect(config, Arc::new(Models::embedded()))
        .await
        .unwrap_err();
    assert!(
        matches!(&failed, ConnectError::Role { reason, .. } if reason.contains("AccessDenied")),
        "{failed}"
    );
}

#[tokio::test]
async fn identity_and_regions() {
    let fake = fake(|_, seen| {
        if seen.body.contains("GetCallerIdentity") {
            ok(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws-cn:iam::123456789012:user/u</Arn><UserId>U</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
            )
        } else {
            ok(
                "<DescribeRegionsResponse><regionInfo><item><regionName>us-east-1</regionName><optInStatus>opt-in-not-required</optInStatus></item><item><regionName>af-south-1</regionName><optInStatus>not-opted-in</optInStatus></item><item><regionName>ap-east-1</regionName><optInStatus>opted-in</optInStatus></item></regionInfo></DescribeRegionsResponse>",
            )
        }
    });
    let client = connect(&fake).await;
    let identity = client.identity().await.unwrap();
    assert_eq!(
        (
            identity.account_id.to_string().as_str(),
            identity.partition.as_str()
        ),
        ("123456789012", "aws-cn")
    );
    assert_eq!(
        client.enabled_regions().await.unwrap(),
        [region("ap-east-1"), region("us-east-1")]
    );
}

#[tokio::test]
async fn mistakes_in_calls_are_told_before_anything_is_sent() {
    let fake = fake(|_, _| ok(VPCS));
    let client = connect(&fake).await;
    let here = region("eu-central-1");
    for (service, operation, params, code) in [
        ("nope", "X", json!({}), "UnknownService"),
        ("ec2", "Nope", json!({}), "UnknownOperation"),
        (
            "ec2",
            "DescribeVpcs",
            json!({ "VpcId": [] }),
            "InvalidParameters",
        ),
        (
            "ec2",
            "DescribeVpcs",
            json!({ "VpcIds": "vpc-1" }),
            "InvalidParameters",
        ),
        ("s3", "GetBucketPolicy", json!({}), "InvalidParameters"),
        (
            "s3",
            "GetBucketPolicy",
            json!({ "Bucket": "" }),
            "InvalidParameters",
        ),
    ] {
        let failure = client
            .call(service, operation, &here, params.as_object().unwrap())
            .await
            .unwrap_err();
        assert_eq!(
            failure.code, code,
            "{service} {operation} {params}: {failure}"
        );
    }
    assert!(fake.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn bad_settings_have_errors_of_their_own() {
    let fake = fake(|_, _| ok(VPCS));
    let models = Arc::new(Models::embedded());
    let bad = ClientConfig {
        region: Some("Frankfurt".into()),
        ..config(&fake)
    };
    assert!(matches!(
        Client::connect(bad, Arc::clone(&models)).await,
        Err(ConnectError::InvalidRegion(_))
    ));
    let bad = ClientConfig {
        endpoint_url: Some("localhost:5000".into()),
        ..config(&fake)
    };
    assert!(matches!(
        Client::connect(bad, Arc::clone(&models)).await,
        Err(ConnectError::InvalidEndpoint(_))
    ));
    let bad = ClientConfig {
        profile: Some("there-is-no-such-profile".into()),
        ..config(&fake)
    };
    assert!(matches!(
        Client::connect(bad, models).await,
        Err(ConnectError::ProfileNotFound(_))
    ));
}

//! The endpoint over real HTTP, spoken by hand so that what arrives on the wire is what is asserted.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, which the exemption for tests does not reach"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_replay::{
    Exchange, Fault, Faults, Header, RecordedRequest, RecordedResponse, Recording, Server,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/x-amz-json-1.1";
const USERS: &str =
    "<ListUsersResponse><ListUsersResult><Users/></ListUsersResult></ListUsersResponse>";

#[derive(Clone)]
struct Ask {
    service: &'static str,
    region: &'static str,
    method: &'static str,
    path: String,
    target: &'static str,
    kind: &'static str,
    body: String,
}

fn query(service: &'static str, action: &str) -> Ask {
    Ask {
        service,
        region: "us-east-1",
        method: "POST",
        path: "/".to_owned(),
        target: "",
        kind: FORM,
        body: format!("Action={action}&Version=1"),
    }
}

fn json(service: &'static str, target: &'static str) -> Ask {
    Ask {
        target,
        kind: JSON,
        body: "{}".to_owned(),
        ..query(service, "")
    }
}

fn get(service: &'static str, path: &str) -> Ask {
    Ask {
        method: "GET",
        path: path.to_owned(),
        kind: "",
        body: String::new(),
        ..query(service, "")
    }
}

impl Ask {
    fn headers(&self) -> Vec<(String, String)> {
        let scope = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20260101/{}/{}/aws4_request, Signature=0",
            self.region, self.service
        );
        let all = [
            ("host", "127.0.0.1"),
            ("authorization", &scope),
            ("x-amz-target", self.target),
            ("content-type", self.kind),
        ];
        let set = all.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn exchange(&self, status: u16, answer: &str) -> Exchange {
        Exchange {
            request: RecordedRequest {
                method: self.method.to_owned(),
                path_and_query: self.path.clone(),
                headers: self.headers(),
                body: self.body.clone().into_bytes(),
            },
            response: RecordedResponse {
                status,
                headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
                body: answer.as_bytes().to_vec(),
            },
        }
    }

    fn wire(&self) -> String {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        for (name, value) in self.headers() {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str(&format!(
            "content-length: {}\r\n\r\n{}",
            self.body.len(),
            self.body
        ));
        out
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
    /// Whether the body ended as its framing announced.
    complete: bool,
}

/// One connection, kept alive.
struct Client(TcpStream);

impl Client {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        Self(stream)
    }

    fn send(&mut self, ask: &Ask) -> Reply {
        self.0.write_all(ask.wire().as_bytes()).unwrap();
        self.read(ask.method == "HEAD")
    }

    fn read(&mut self, no_body: bool) -> Reply {
        let mut data = Vec::new();
        let split = loop {
            if let Some(at) = data.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            assert!(self.more(&mut data), "the connection ended inside the head");
        };
        let mut body = data.split_off(split + 4);
        let head = String::from_utf8(data).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map(|rest| rest.lines().next().unwrap().parse::<usize>().unwrap());
        let finished = |body: &[u8]| match length {
            _ if no_body => true,
            Some(length) => body.len() >= length,
            None => body.ends_with(b"0\r\n\r\n"),
        };
        let mut open = true;
        while open && !finished(&body) {
            open = self.more(&mut body);
        }
        Reply {
            status,
            complete: finished(&body),
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    fn more(&mut self, data: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4096];
        let count = self.0.read(&mut buffer).unwrap();
        data.extend_from_slice(&buffer[..count]);
        count > 0
    }
}

fn recording() -> Arc<Recording> {
    let header = Header {
        account: "123456789012".to_owned(),
        ..Header::default()
    };
    let mut recording = Recording::new(header);
    for exchange in [
        query("iam", "ListUsers").exchange(200, USERS),
        query("iam", "ListRoles").exchange(200, "<ListRolesResponse/>"),
        query("ec2", "DescribeVpcs").exchange(200, "<DescribeVpcsResponse/>"),
        json("kms", "TrentService.ListKeys").exchange(200, r#"{"Keys":[]}"#),
        get("lambda", "/2015-03-31/functions").exchange(200, r#"{"Functions":[]}"#),
        get("s3", "/bucket?acl").exchange(404, "<Error><Code>NoSuchBucket</Code></Error>"),
        Ask {
            method: "HEAD",
            ..get("s3", "/bucket")
        }
        .exchange(200, ""),
    ] {
        recording.insert(exchange);
    }
    Arc::new(recording)
}

fn start(faults: Faults) -> (Server, Client) {
    let server = Server::start(recording(), faults).unwrap();
    let client = Client::new(&server);
    (server, client)
}

#[test]
fn recorded_answers_come_back_over_one_connection() {
    let (server, mut client) = start(Faults::none());
    let users = client.send(&query("iam", "ListUsers"));
    assert_eq!(
        (users.status, users.body.as_str(), users.complete),
        (200, USERS, true)
    );
    assert!(
        users.head.contains("content-type: text/xml") && users.head.contains("date: "),
        "{}",
        users.head
    );
    assert_eq!(
        client.send(&json("kms", "TrentService.ListKeys")).body,
        r#"{"Keys":[]}"#
    );
    assert_eq!(client.send(&get("s3", "/bucket?acl")).status, 404);
    assert_eq!(
        client
            .send(&Ask {
                method: "HEAD",
                ..get("s3", "/bucket")
            })
            .status,
        200
    );
    let shown = server.statistics();
    assert_eq!(
        (shown.total, shown.max_in_flight, shown.duplicates.len()),
        (4, 1, 0)
    );
    assert_eq!(shown.requests["iam:ListUsers"], 1);
    assert_eq!(shown.requests["s3:GET /{bucket}?acl"], 1);
    assert_eq!(shown.regions["us-east-1"], 4);
    assert!(shown.not_recorded.is_empty() && shown.faults.is_empty());
}

#[test]
fn an_unrecorded_call_is_answered_in_the_form_of_its_protocol() {
    let (server, mut client) = start(Faults::none());
    let xml = client.send(&query("iam", "ListGroups"));
    assert!(
        xml.status == 400
            && xml
                .body
                .contains("<ErrorResponse><Error><Type>Sender</Type><Code>NotRecorded</Code>")
    );
    let ec2 = client.send(&query("ec2", "DescribeHosts"));
    assert!(ec2.status == 400 && ec2.body.contains("<Errors><Error><Code>NotRecorded</Code>"));
    let text = client.send(&json("kms", "TrentService.ListAliases")).body;
    assert!(text.starts_with(r#"{"__type":"NotRecorded","message":"the recording has no answer for ListAliases of kms"#), "{text}");
    let rest = client.send(&get("lambda", "/2015-03-31/layers"));
    assert!(rest.status == 400 && rest.head.contains("x-amzn-errortype: notrecorded"));
    let s3 = client.send(&get("s3", "/other?acl"));
    assert!(
        s3.body.contains("\n<Error><Code>NotRecorded</Code>"),
        "{}",
        s3.body
    );
    // A region that was not recorded is a miss, too.
    let elsewhere = client.send(&Ask {
        region: "eu-west-1",
        ..query("ec2", "DescribeVpcs")
    });
    assert_eq!(elsewhere.status, 400);
    let shown = server.shutdown();
    assert_eq!(shown.not_recorded.values().sum::<u64>(), 6);
    assert_eq!(shown.not_recorded["kms:ListAliases"], 1);
}

#[test]
fn repeated_requests_are_counted_and_retries_are_not() {
    let (server, mut client) = start(Faults::none());
    for _ in 0..3 {
        client.send(&query("iam", "ListUsers"));
    }
    client.send(&Ask {
        body: "Version=1&Action=ListRoles".to_owned(),
        ..query("iam", "")
    });
    let shown = server.shutdown();
    assert_eq!(shown.duplicates.len(), 1);
    assert_eq!(
        (
            shown.duplicates[0].key.operation().as_str(),
            shown.duplicates[0].times
        ),
        ("ListUsers", 3)
    );

    let (server, mut client) = start(Faults::none().server_errors("iam", 0.5).seed(3));
    let until_answered = (1..50)
        .find(|_| client.send(&query("iam", "ListUsers")).status == 200)
        .unwrap();
    let shown = server.shutdown();
    assert_eq!(
        shown.faults.get(&Fault::ServerError).copied().unwrap_or(0),
        until_answered - 1
    );
    assert!(shown.duplicates.is_empty());
}

#[test]
fn requests_in_flight_are_counted_and_latency_is_added() {
    let (server, _) = start(
        Faults::none()
            .latency(Duration::from_millis(60))
            .jitter(Duration::from_millis(30)),
    );
    let begun = Instant::now();
    let mut clients: Vec<_> = (0..8).map(|_| Client::new(&server)).collect();
    for client in &mut clients {
        client
            .0
            .write_all(query("iam", "ListUsers").wire().as_bytes())
            .unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read(false).status, 200);
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(60),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(server.statistics().max_in_flight, 8);
}

#[test]
fn a_client_that_goes_away_is_no_longer_in_flight() {
    let (server, mut client) = start(Faults::none().hang("iam:ListUsers", 1.0));
    for _ in 0..3 {
        let mut gone = Client::new(&server);
        gone.0
            .write_all(query("iam", "ListUsers").wire().as_bytes())
            .unwrap();
        while server.statistics().total < 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(gone);
        std::thread::sleep(Duration::from_millis(50));
    }
    client.send(&query("iam", "ListRoles"));
    assert_eq!(server.statistics().max_in_flight, 1);
}

#[test]
fn a_token_bucket_throttles_each_service_and_region_by_itself() {
    let faults = Faults::none()
        .rate_limit(1.0, 2.0)
        .service_rate_limit("kms", 1.0, 1.0);
    let (server, mut client) = start(faults);
    let mut statuses = |ask: &Ask| [0, 1, 2].map(|_| client.send(ask).status);
    assert_eq!(statuses(&query("ec2", "DescribeVpcs")), [200, 200, 503]);
    assert_eq!(statuses(&query("iam", "ListUsers")), [200, 200, 503]);
    assert_eq!(
        statuses(&json("kms", "TrentService.ListKeys")),
        [200, 400, 400]
    );
    assert_eq!(
        statuses(&Ask {
            region: "eu-west-1",
            ..query("ec2", "DescribeVpcs")
        }),
        [400, 400, 503]
    );
    let ec2 = client.send(&query("ec2", "DescribeVpcs"));
    assert!(
        ec2.body.contains("<Code>RequestLimitExceeded</Code>"),
        "{}",
        ec2.body
    );
    let kms = client.send(&json("kms", "TrentService.ListKeys"));
    assert!(kms.body.contains("ThrottlingException"), "{}", kms.body);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(client.send(&query("ec2", "DescribeVpcs")).status, 200);
    assert_eq!(server.shutdown().throttled, 7);
}

#[test]
fn a_share_of_requests_is_throttled_the_same_way_in_every_run() {
    let run = |seed| {
        let (server, mut client) = start(Faults::none().seed(seed).throttle("*", 0.3));
        let statuses: Vec<_> = (0..200)
            .map(|_| client.send(&get("lambda", "/2015-03-31/functions")).status)
            .collect();
        (statuses, server.shutdown().throttled)
    };
    let (statuses, throttled) = run(1);
    assert!((40..80).contains(&throttled), "{throttled}");
    assert_eq!(
        statuses.iter().filter(|status| **status == 429).count() as u64,
        throttled
    );
    assert_eq!(run(1).0, statuses);
    assert_ne!(run(2).0, statuses);
}

#[test]
fn denials_take_the_form_of_the_protocol() {
    let faults = Faults::none()
        .deny("ec2")
        .deny("iam:ListUsers")
        .deny("kms")
        .deny("s3:GET /{bucket}?acl")
        .deny("lambda");
    let (server, mut client) = start(faults);
    let ec2 = client.send(&query("ec2", "DescribeVpcs"));
    assert!(ec2.status == 403 && ec2.body.contains("<Code>UnauthorizedOperation</Code>"));
    let iam = client.send(&query("iam", "ListUsers"));
    assert!(iam.status == 403 && iam.body.contains("<Code>AccessDenied</Code>"));
    assert!(iam.body.contains(
        "arn:aws:iam::123456789012:user/auditor is not authorized to perform: iam:ListUsers"
    ));
    assert_eq!(client.send(&query("iam", "ListRoles")).status, 200);
    let kms = client.send(&json("kms", "TrentService.ListKeys"));
    assert!(kms.status == 400 && kms.body.contains(r#""__type":"AccessDeniedException""#));
    let lambda = client.send(&get("lambda", "/2015-03-31/functions"));
    assert!(
        lambda.status == 403
            && lambda
                .head
                .contains("x-amzn-errortype: accessdeniedexception")
    );
    assert_eq!(client.send(&get("s3", "/bucket?acl")).status, 403);
    assert_eq!(server.shutdown().faults[&Fault::Denied], 5);
}

#[test]
fn a_refused_region_refuses_the_credentials() {
    let (server, mut client) = start(Faults::none().refuse_region("eu-west-1").deny("ec2"));
    let ec2 = client.send(&Ask {
        region: "eu-west-1",
        ..query("ec2", "DescribeVpcs")
    });
    assert!(
        ec2.status == 401 && ec2.body.contains("<Code>AuthFailure</Code>"),
        "{}",
        ec2.body
    );
    let kms = client.send(&Ask {
        region: "eu-west-1",
        ..json("kms", "TrentService.ListKeys")
    });
    assert!(kms.status == 400 && kms.body.contains("UnrecognizedClientException"));
    assert_eq!(
        client.send(&json("kms", "TrentService.ListKeys")).status,
        200
    );
    assert_eq!(server.shutdown().faults[&Fault::RegionRefused], 2);
}

#[test]
fn a_storm_of_server_errors() {
    let (server, mut client) = start(Faults::none().server_errors("*", 1.0));
    for (ask, code) in [
        (query("ec2", "DescribeVpcs"), "InternalError"),
        (query("iam", "ListUsers"), "InternalFailure"),
        (json("kms", "TrentService.ListKeys"), "InternalServerError"),
    ] {
        let reply = client.send(&ask);
        assert!(
            reply.status == 500 && reply.body.contains(code),
            "{reply:?}"
        );
    }
    assert_eq!(server.shutdown().faults[&Fault::ServerError], 3);
}

#[test]
fn a_hanging_request_is_never_answered_and_does_not_hold_up_the_shutdown() {
    let (server, mut client) = start(Faults::none().hang("iam:ListUsers", 1.0));
    client
        .0
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    client
        .0
        .write_all(query("iam", "ListUsers").wire().as_bytes())
        .unwrap();
    assert!(client.0.read(&mut [0; 16]).is_err());
    assert_eq!(
        Client::new(&server).send(&query("iam", "ListRoles")).status,
        200
    );
    let begun = Instant::now();
    assert_eq!(server.shutdown().faults[&Fault::Hang], 1);
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_truncated_body_is_shorter_than_announced() {
    let (server, mut client) = start(Faults::none().truncate("iam", 1.0));
    let reply = client.send(&query("iam", "ListUsers"));
    assert_eq!(
        (reply.status, reply.complete, reply.body.as_str()),
        (200, false, &USERS[..USERS.len() / 2])
    );
    assert!(
        reply
            .head
            .contains(&format!("content-length: {}", USERS.len())),
        "{}",
        reply.head
    );
    // The connection is gone, the endpoint is not.
    assert_eq!(client.0.read(&mut [0; 16]).unwrap(), 0);
    assert_eq!(
        Client::new(&server)
            .send(&query("ec2", "DescribeVpcs"))
            .status,
        200
    );
    let shown = server.shutdown();
    assert_eq!(
        (shown.faults[&Fault::Truncated], shown.duplicates.len()),
        (1, 0)
    );
}

#[test]
fn a_chunked_body_ends_before_its_last_chunk() {
    let (server, mut client) = start(Faults::none().truncate_chunked("iam", 1.0));
    let reply = client.send(&query("iam", "ListUsers"));
    assert!(
        reply.head.contains("transfer-encoding: chunked"),
        "{}",
        reply.head
    );
    assert!(
        reply.status == 200 && !reply.complete && reply.body.contains(&USERS[..USERS.len() / 2]),
        "{reply:?}"
    );
    assert_eq!(server.shutdown().faults[&Fault::TruncatedChunked], 1);
}

#[test]
fn a_malformed_body_is_complete_and_wrong() {
    let (server, mut client) = start(Faults::none().malformed("*", 1.0));
    let xml = client.send(&query("iam", "ListUsers"));
    assert!(
        xml.status == 200 && xml.complete && xml.body.contains("<&{"),
        "{xml:?}"
    );
    let json = client.send(&json("kms", "TrentService.ListKeys"));
    assert!(serde_json::from_str::<serde_json::Value>(&json.body).is_err());
    assert_eq!(server.shutdown().faults[&Fault::Malformed], 2);
}

#[test]
fn faults_are_given_in_a_fixed_order() {
    let (_server, mut client) = start(
        Faults::none()
            .malformed("*", 1.0)
            .server_errors("*", 1.0)
            .throttle("*", 1.0)
            .deny("*"),
    );
    assert_eq!(client.send(&query("iam", "ListUsers")).status, 403);
}

#[test]
fn dropping_the_server_frees_its_port() {
    let (server, client) = start(Faults::none());
    let address = server.url().strip_prefix("http://").unwrap().to_owned();
    drop(server);
    assert!(TcpStream::connect(&address).is_err());
    drop(client);
}

#[test]
fn it_can_be_started_inside_a_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (server, mut client) = start(Faults::none());
        assert_eq!(client.send(&query("iam", "ListUsers")).status, 200);
        drop(server);
    });
}

/// Not an assertion about a machine: a floor that only a linear lookup or a lost keep-alive would break.
#[test]
fn thousands_of_requests_a_second() {
    let mut recording = Recording::new(Header::default());
    for number in 0..5_000 {
        recording.insert(
            get("lambda", &format!("/2015-03-31/functions/{number}/policy")).exchange(200, USERS),
        );
    }
    let server = Server::start(Arc::new(recording), Faults::none()).unwrap();
    let mut client = Client::new(&server);
    let begun = Instant::now();
    for number in 0..5_000 {
        assert_eq!(
            client
                .send(&get(
                    "lambda",
                    &format!("/2015-03-31/functions/{number}/policy")
                ))
                .status,
            200
        );
    }
    let rate = 5_000.0 / begun.elapsed().as_secs_f64();
    println!("{rate:.0} requests a second over one connection");
    assert!(rate > 500.0, "{rate}");
    assert!(server.shutdown().duplicates.is_empty());
}

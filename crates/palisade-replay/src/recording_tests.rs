use super::*;

fn exchange(region: &str, body: &str, status: u16, answer: &[u8]) -> Exchange {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIASECRET/20260101/{region}/sqs/aws4_request, Signature=beef"
    );
    let headers = [
        ("Authorization", authorization.as_str()),
        ("X-Amz-Security-Token", "SECRETTOKEN"),
        ("X-Amz-Target", "AmazonSQS.ListQueues"),
        ("Content-Type", "application/x-amz-json-1.0"),
    ];
    let pairs = |headers: &[(&str, &str)]| {
        headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<Vec<_>>()
    };
    Exchange {
        request: RecordedRequest {
            method: "POST".to_owned(),
            path_and_query: "/".to_owned(),
            headers: pairs(&headers),
            body: body.as_bytes().to_vec(),
        },
        response: RecordedResponse {
            status,
            headers: pairs(&[
                ("Content-Type", "application/x-amz-json-1.0"),
                ("Date", "today"),
                ("x-amzn-RequestId", "1"),
            ]),
            body: answer.to_vec(),
        },
    }
}

fn header() -> Header {
    Header {
        recorded_at: "2026-01-01T00:00:00Z".to_owned(),
        account: "123456789012".to_owned(),
        regions: vec!["us-east-1".to_owned()],
        description: "a test".to_owned(),
    }
}

fn recording(exchanges: impl IntoIterator<Item = Exchange>) -> Recording {
    let mut recording = Recording::new(header());
    for exchange in exchanges {
        recording.insert(exchange);
    }
    recording
}

fn lines(recording: &Recording) -> String {
    String::from_utf8(zstd::decode_all(recording.to_bytes().unwrap().as_slice()).unwrap()).unwrap()
}

fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).unwrap()
}

#[test]
fn a_saved_recording_loads_as_it_was_and_leaves_no_second_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.recording");
    let saved = recording([
        exchange("us-east-1", "{}", 200, b"text"),
        exchange("eu-west-1", "{}", 200, &[0xff, 0x00]),
    ]);
    saved.save(&path).unwrap();
    let loaded = Recording::load(&path).unwrap();
    assert_eq!(loaded.header(), &header());
    assert_eq!(
        loaded.iter().collect::<Vec<_>>(),
        saved.iter().collect::<Vec<_>>()
    );
    assert_eq!(
        loaded
            .answer(&exchange("eu-west-1", "", 0, b"").request)
            .unwrap()
            .body,
        [0xff, 0x00]
    );
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_bytes_do_not_depend_on_the_order_of_insertion() {
    let make = |region: &str| exchange(region, r#"{"MaxResults":5}"#, 200, region.as_bytes());
    let one = recording(["a", "b", "c"].map(make));
    let two = recording(["c", "a", "b"].map(make));
    assert_eq!(one.to_bytes().unwrap(), two.to_bytes().unwrap());
}

#[test]
fn neither_credentials_nor_volatile_headers_are_written() {
    let credentials = b"{\"SessionToken\":\"WORKING\"}";
    let text = lines(&recording([exchange("us-east-1", "{}", 200, credentials)]));
    for absent in [
        "AKIASECRET",
        "SECRETTOKEN",
        "beef",
        "today",
        "RequestId",
        "WORKING",
    ] {
        assert!(!text.contains(absent), "{absent} in {text}");
    }
    assert!(text.contains("application/x-amz-json-1.0"), "{text}");
}

#[test]
fn a_retried_request_keeps_the_answer_that_counted() {
    let slow = br#"{"__type":"ThrottlingException"}"#;
    for failure in [
        exchange("r", "{}", 503, b"busy"),
        exchange("r", "{}", 400, slow),
    ] {
        let after = recording([failure.clone(), exchange("r", "{}", 200, b"fine")]);
        let before = recording([exchange("r", "{}", 200, b"fine"), failure.clone()]);
        for recording in [after, before] {
            assert_eq!(recording.len(), 1);
            assert_eq!(recording.answer(&failure.request).unwrap().body, b"fine");
        }
    }
    let denied = recording([
        exchange("r", "{}", 200, b"fine"),
        exchange("r", "{}", 400, b"AccessDenied"),
    ]);
    assert_eq!(denied.iter().next().unwrap().1.status, 400);
}

#[test]
fn merging_adds_and_replaces() {
    let mut base = recording([
        exchange("a", "{}", 200, b"1"),
        exchange("b", "{}", 200, b"2"),
    ]);
    base.merge(recording([
        exchange("b", "{}", 200, b"3"),
        exchange("c", "{}", 200, b"4"),
    ]));
    let bodies: Vec<_> = base
        .iter()
        .map(|(key, response)| (key.region.as_str(), response.body.as_slice()))
        .collect();
    assert_eq!(bodies, [("a", b"1".as_slice()), ("b", b"3"), ("c", b"4")]);
}

#[test]
fn answers_can_be_edited_and_dropped() {
    let mut base = recording([
        exchange("a", "{}", 500, b"1"),
        exchange("b", "{}", 200, b"2"),
    ]);
    let changed = base.edit(|key, response| {
        (key.region == "a").then(|| RecordedResponse {
            status: 200,
            ..response.clone()
        })
    });
    assert_eq!(
        (
            changed,
            base.answer(&exchange("a", "{}", 0, b"").request)
                .unwrap()
                .status
        ),
        (1, 200)
    );
    base.retain(|key, _| key.region == "b");
    assert!(base.answer(&exchange("a", "{}", 0, b"").request).is_none());
    assert_eq!(
        base.answer(&exchange("b", "{}", 0, b"").request)
            .unwrap()
            .body,
        b"2"
    );
}

#[test]
fn what_is_not_a_recording_is_refused_with_its_line() {
    let message = |bytes: &[u8]| Recording::from_bytes(bytes).unwrap_err().to_string();
    assert!(message(b"plain text").starts_with("not a recording: "));
    assert!(message(&compressed("")).starts_with("not a recording: line 1: "));
    assert_eq!(
        message(&compressed(r#"{"format":"other","version":1}"#)),
        "not a recording: line 1: the format is `other`, not `palisade-recording`"
    );
    assert_eq!(
        message(&compressed(
            r#"{"format":"palisade-recording","version":9}"#
        )),
        "the recording has format version 9, this program reads version 1"
    );
    let mut text = lines(&recording([exchange("a", "{}", 200, b"1")]));
    text.push_str("{\"request\":1}\n");
    assert!(message(&compressed(&text)).starts_with("not a recording: line 3: "));
    let whole = recording([exchange("a", "{}", 200, b"1")])
        .to_bytes()
        .unwrap();
    assert!(message(&whole[..whole.len() - 3]).starts_with("not a recording: "));
}

#[test]
fn a_file_that_is_not_there_or_cannot_be_written_is_named() {
    let error = Recording::load("/nonexistent/x.recording")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot read the recording `/nonexistent/x.recording`: "),
        "{error}"
    );
    let error = recording([])
        .save("/nonexistent/x.recording")
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cannot write the recording `/nonexistent/x.recording`: "),
        "{error}"
    );
}

//! A plan of repairs for 10,000 findings: buckets without versions, each read twice (once by the scan, once afresh).
use crate::bench::{Run, mib, millis, timed};
use anyhow::ensure;
use palisade_replay::{Faults, Key, RecordedResponse, Recording, Server};
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const FINDINGS: usize = 10_000;

/// Prints what the plan took, without latency and with it.
pub fn run(
    binary: &Path,
    base: &Recording,
    latency: Duration,
    in_flight: u64,
) -> anyhow::Result<()> {
    let recording = Arc::new(buckets(base));
    for latency in [Duration::ZERO, latency] {
        let (run, items) = plan(binary, &recording, latency, in_flight)?;
        ensure!(items == FINDINGS, "the plan has {items} items");
        println!(
            "plan of {FINDINGS} repairs, {:>3} ms {:>7.1} ms   {:>6.1} MiB   {:.2} CPU-s (aim: under 10 s)",
            latency.as_millis(),
            millis(run.wall),
            mib(run.peak_kib),
            run.cpu.as_secs_f64()
        );
    }
    Ok(())
}

/// An account with so many buckets.
fn buckets(base: &Recording) -> Recording {
    let mut recording = Recording::new(base.header().clone());
    for (key, answer) in base.iter().filter(|(key, _)| key.service == "sts") {
        recording.insert_answer(key.clone(), answer.clone());
    }
    let names: Vec<String> = (0..FINDINGS).map(|n| format!("bucket-{n:05}")).collect();
    let mut list = String::from(
        "<ListAllMyBucketsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>a</ID></Owner><Buckets>",
    );
    for name in &names {
        let _ = write!(
            list,
            "<Bucket><Name>{name}</Name><CreationDate>2024-01-01T00:00:00.000Z</CreationDate><BucketRegion>us-east-1</BucketRegion></Bucket>"
        );
    }
    list.push_str("</Buckets></ListAllMyBucketsResult>");
    recording.insert_answer(asked("/", ("max-buckets", "1000")), answer(&list));
    let versioning = "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
    for name in &names {
        let path = format!("/{name}/");
        recording.insert_answer(asked(&path, ("versioning", "")), answer(versioning));
    }
    let tags = Key {
        service: "tagging".to_owned(),
        target: "ResourceGroupsTaggingAPI_20170126.GetResources".to_owned(),
        method: "POST".to_owned(),
        ..asked("/", ("", ""))
    };
    recording.insert_answer(
        Key {
            query: Vec::new(),
            ..tags
        },
        answer("{\"ResourceTagMappingList\":[]}"),
    );
    recording
}

fn asked(path: &str, (name, value): (&str, &str)) -> Key {
    Key {
        service: "s3".to_owned(),
        region: "us-east-1".to_owned(),
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: vec![(name.to_owned(), value.to_owned())],
        ..Key::default()
    }
}

fn answer(body: &str) -> RecordedResponse {
    RecordedResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/xml".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

fn plan(
    binary: &Path,
    recording: &Arc<Recording>,
    latency: Duration,
    in_flight: u64,
) -> anyhow::Result<(Run, usize)> {
    let server = Server::start(Arc::clone(recording), Faults::none().latency(latency))?;
    let file = std::env::temp_dir().join(format!("palisade-bench-{}.json", std::process::id()));
    let mut command = Command::new(binary);
    command
        .args(["fix", "plan", "--quiet", "--region", "us-east-1"])
        .args(["--check", "s3-bucket-versioning", "--format", "json"])
        .args(["--endpoint-url", &server.url(), "--output"])
        .arg(&file)
        .args(["--max-in-flight", &in_flight.to_string()])
        .envs([
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "example"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ]);
    let run = timed(&mut command);
    server.shutdown();
    let run = run?;
    let text = std::fs::read_to_string(&file)?;
    std::fs::remove_file(&file)?;
    let plan: serde_json::Value = serde_json::from_str(&text)?;
    let items = plan.get("items").and_then(serde_json::Value::as_array);
    Ok((run, items.map_or(0, Vec::len)))
}

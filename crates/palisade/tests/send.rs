//! `--send`, `palisade send` and `--output s3://…`: against moto, and against servers on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::{CREDENTIALS, Moto, Server, err, out, palisade};
use std::path::Path;
use std::process::{Command, Output};

const SEED: &str = "
s3 = boto3.client('s3')
for name in ['palisade-reports', 'plain-bucket']:
    s3.create_bucket(Bucket=name)
sns = boto3.client('sns')
sqs = boto3.client('sqs')
topic = sns.create_topic(Name='findings')['TopicArn']
events = boto3.client('events')
def queue(name):
    url = sqs.create_queue(QueueName=name)['QueueUrl']
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=['QueueArn'])['Attributes']['QueueArn']
mail, mail_arn = queue('mail')
sns.subscribe(TopicArn=topic, Protocol='sqs', Endpoint=mail_arn, Attributes={'RawMessageDelivery': 'true'})
events.create_event_bus(Name='security')
events.put_rule(Name='all', EventBusName='security', EventPattern=json.dumps({'source': ['palisade'], 'detail': {'change': ['open']}}))
seen, seen_arn = queue('seen')
events.put_targets(Rule='all', EventBusName='security', Targets=[{'Id': '1', 'Arn': seen_arn}])
print(json.dumps({'topic': topic}))
";

/// All messages of a queue.
fn messages(moto: &Moto, queue: &str) -> Vec<serde_json::Value> {
    let code = format!(
        "sqs = boto3.client('sqs')
url = sqs.get_queue_url(QueueName='{queue}')['QueueUrl']
bodies = []
while True:
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get('Messages', [])
    if not got:
        break
    for m in got:
        bodies.append(json.loads(m['Body']))
        sqs.delete_message(QueueUrl=url, ReceiptHandle=m['ReceiptHandle'])
print(json.dumps(bodies))"
    );
    moto.boto(&code).as_array().unwrap().clone()
}

fn hub(moto: &Moto) -> Vec<serde_json::Value> {
    let code = "hub = boto3.client('securityhub')
print(json.dumps(hub.get_findings(MaxResults=100)['Findings']))";
    moto.boto(code).as_array().unwrap().clone()
}

fn scan(moto: &Moto, folder: &Path, arguments: &[&str]) -> Output {
    let fixed = [
        "scan",
        "--check",
        "s3-bucket-versioning",
        "--check",
        "s3-bucket-tls-only",
        "--endpoint-url",
        &moto.url,
    ];
    palisade(folder)
        .args(fixed)
        .args(arguments)
        .envs(CREDENTIALS)
        .output()
        .unwrap()
}

fn checked(output: Output) -> Output {
    assert!(output.status.success(), "{}", err(&output));
    output
}

#[test]
fn findings_reach_aws_once_and_change_there() {
    let moto = Moto::start();
    let topic = moto.boto(SEED)["topic"].as_str().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "[send.topic]\ntype = \"sns\"\ntopic_arn = \"{topic}\"\n\n[send.bus]\ntype = \"eventbridge\"\nbus = \"security\"\nchecks = [\"s3-bucket-versioning\"]\n"
    );
    std::fs::write(folder.path().join("palisade.toml"), config).unwrap();
    let all = [
        "--send",
        "securityhub,topic,bus",
        "--format",
        "json",
        "--output",
        "r.json",
    ];
    let first = checked(scan(&moto, folder.path(), &all));
    let told = err(&first);
    assert!(
        told.contains("`securityhub` (securityhub): 4 findings sent, 0 closed, 0 known already"),
        "{told}"
    );
    assert!(told.contains("`topic` (sns): 4 findings sent"), "{told}");
    assert!(
        told.contains("`bus` (eventbridge): 2 findings sent"),
        "{told}"
    );
    let found = hub(&moto);
    assert_eq!(found.len(), 4);
    assert!(
        found
            .iter()
            .all(|f| f["RecordState"] == "ACTIVE" && f["Compliance"]["Status"] == "FAILED")
    );
    let mail = messages(&moto, "mail");
    assert_eq!(mail.len(), 1);
    assert_eq!(mail[0]["findings"].as_array().unwrap().len(), 4);
    let seen = messages(&moto, "seen");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0]["detail"]["check"], "s3-bucket-versioning");

    // the same again changes nothing
    let again = checked(scan(&moto, folder.path(), &all));
    let told = err(&again);
    assert!(
        told.contains("`securityhub` (securityhub): 0 findings sent, 0 closed, 4 known already"),
        "{told}"
    );
    assert!(
        told.contains("`topic` (sns): 0 findings sent, 0 closed, 4 known already"),
        "{told}"
    );
    assert_eq!(
        messages(&moto, "mail").len() + messages(&moto, "seen").len(),
        0
    );

    // the report that was written earlier, later: nothing either; and a dry run prints nothing
    for more in [&["--dry-run"][..], &[]] {
        let output = palisade(folder.path())
            .args([
                "send",
                "r.json",
                "--to",
                "securityhub,topic,bus",
                "--endpoint-url",
                &moto.url,
            ])
            .args(more)
            .envs(CREDENTIALS)
            .output()
            .unwrap();
        let output = checked(output);
        assert_eq!(out(&output), "");
        assert!(err(&output).contains("4 known already"), "{}", err(&output));
    }

    // one is repaired, one deleted
    moto.boto(
        "s3 = boto3.client('s3')
s3.put_bucket_versioning(Bucket='palisade-reports', VersioningConfiguration={'Status': 'Enabled'})
s3.delete_bucket(Bucket='plain-bucket')",
    );
    let third = checked(scan(&moto, folder.path(), &all));
    let told = err(&third);
    assert!(
        told.contains("`securityhub` (securityhub): 0 findings sent, 3 closed, 1 known already"),
        "{told}"
    );
    let archived = hub(&moto);
    let archived = archived.iter().filter(|f| f["RecordState"] == "ARCHIVED");
    assert_eq!(archived.count(), 3);
    let mail = messages(&moto, "mail");
    assert_eq!(mail[0]["closed"].as_array().unwrap().len(), 3);
    let why: Vec<&str> = mail[0]["closed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["why"].as_str().unwrap())
        .collect();
    assert_eq!(
        (why.iter().filter(|w| **w == "gone").count(), why.len()),
        (2, 3)
    );
    // who opens is told who closes as well; the rule asked only for what opens
    assert_eq!(messages(&moto, "seen").len(), 0);
}

#[test]
fn reports_are_written_to_s3() {
    let moto = Moto::start();
    moto.boto(SEED);
    let folder = tempfile::tempdir().unwrap();
    let output = checked(scan(
        &moto,
        folder.path(),
        &[
            "-o",
            "jsonl=s3://palisade-reports/a folder/r.jsonl",
            "-o",
            "html=s3://palisade-reports/r.html",
            "-o",
            "json=local.json",
            "-o",
            "jsonl=-",
        ],
    ));
    let object = moto.boto(
        "s3 = boto3.client('s3')
jsonl = s3.get_object(Bucket='palisade-reports', Key='a folder/r.jsonl')
html = s3.get_object(Bucket='palisade-reports', Key='r.html')
print(json.dumps({'text': jsonl['Body'].read().decode(), 'types': [jsonl['ContentType'], html['ContentType']], 'html': len(html['Body'].read())}))",
    );
    assert_eq!(object["text"].as_str().unwrap(), out(&output));
    assert_eq!(out(&output).lines().count(), 4);
    assert_eq!(
        object["types"],
        serde_json::json!(["application/jsonl", "text/html; charset=utf-8"])
    );
    assert!(object["html"].as_u64().unwrap() > 50_000);
    assert!(
        err(&output).contains("4 findings written to s3://palisade-reports/r.html"),
        "{}",
        err(&output)
    );

    // a bucket that is not there is told before the scan
    let output = scan(
        &moto,
        folder.path(),
        &[
            "-o",
            "json=s3://no-such-bucket-here/r.json",
            "-o",
            "html=not.html",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("cannot write `s3://no-such-bucket-here`: there is no such bucket"),
        "{}",
        err(&output)
    );
    assert!(!folder.path().join("not.html").exists());
    // what is no object's name is a mistake of usage
    let output = scan(&moto, folder.path(), &["-o", "json=s3://palisade-reports"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        err(&output).contains("the object's name is missing"),
        "{}",
        err(&output)
    );
}

/// A configuration with one destination that works and one that does not.
const TWO: &str = "
[send.team]
type = \"slack\"
url_env = \"TEAM_URL\"
severity = \"high\"

[send.tickets]
type = \"webhook\"
url_env = \"TICKETS_URL\"
timeout = 1

[send.tickets.headers]
Authorization = \"TICKETS_TOKEN\"
";

fn demo(folder: &Path, team: &str, tickets: &str) -> Command {
    let mut command = palisade(folder);
    command
        .env("TEAM_URL", format!("{team}/services/very-secret"))
        .env("TICKETS_URL", format!("{tickets}/hook/very-secret"))
        .env("TICKETS_TOKEN", "Bearer very-secret-token");
    command
}

#[test]
fn a_destination_that_fails_keeps_nothing_from_the_others() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("palisade.toml"), TWO).unwrap();
    let busy = Server::start(|n| {
        if n == 0 {
            (429, "slow down".to_owned())
        } else {
            (200, "ok".to_owned())
        }
    });
    let broken = Server::start(|_| (404, "no_such_hook".to_owned()));
    let scan = [
        "scan",
        "--demo",
        "--service",
        "s3",
        "--format",
        "json",
        "-o",
        "r.json",
        "--send",
        "tickets",
        "--send",
        "team",
    ];
    let output = demo(folder.path(), &busy.url, &broken.url)
        .args(scan)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let told = err(&output);
    assert!(
        told.contains(
            "error: cannot send to `tickets` (webhook): the server answered 404: no_such_hook"
        ),
        "{told}"
    );
    assert!(told.contains("`team` (slack): "), "{told}");
    assert!(!told.contains("very-secret"), "{told}");
    assert!(
        folder.path().join("r.json").exists(),
        "the report is there all the same"
    );
    assert_eq!(busy.asked().len(), 2);
    assert_eq!(busy.asked()[0].0, "POST /services/very-secret");
    // what was sent is remembered, what was not is not
    let state = std::fs::read_to_string(folder.path().join(".palisade/sent-team.json")).unwrap();
    assert!(
        state.contains("fail/high")
            && !state.contains("fail/low")
            && !state.contains("very-secret"),
        "{state}"
    );
    assert!(!folder.path().join(".palisade/sent-tickets.json").exists());

    // a dry run of a scan asks the same of nobody
    let good = Server::start(|_| (200, String::new()));
    let scan = |arguments: &[&str]| {
        demo(folder.path(), &busy.url, &good.url)
            .args(["scan", "--demo", "--check", "s3-bucket-versioning"])
            .args(arguments)
            .output()
            .unwrap()
    };
    let dry = scan(&[
        "--send",
        "tickets",
        "--dry-run",
        "--output",
        "json=dry.json",
    ]);
    assert!(dry.status.success(), "{}", err(&dry));
    let lines = out(&dry);
    assert!(!lines.is_empty(), "{}", err(&dry));
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["to"], "tickets");
    }
    assert!(good.asked().is_empty());
    assert!(!folder.path().join(".palisade/sent-tickets.json").exists());
    assert!(folder.path().join("dry.json").exists());
    for (wrong, message) in [
        (&["--dry-run"][..], "nothing is to be sent"),
        (
            &["--send", "tickets", "--dry-run", "--output", "-"],
            "prints requests on stdout",
        ),
    ] {
        let refused = scan(wrong);
        assert_eq!(refused.status.code(), Some(2), "{}", err(&refused));
        assert!(err(&refused).contains(message), "{}", err(&refused));
    }

    // repaired, from the report: only the one that got nothing gets it
    let good = Server::start(|_| (200, String::new()));
    let send = ["send", "r.json", "--to", "team,tickets"];
    let dry = demo(folder.path(), &busy.url, &good.url)
        .args(send)
        .arg("--dry-run")
        .output()
        .unwrap();
    assert!(dry.status.success(), "{}", err(&dry));
    let lines: Vec<serde_json::Value> = out(&dry)
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["to"], "tickets");
    assert!(!out(&dry).contains("very-secret"));
    assert!(good.asked().is_empty());
    let output = demo(folder.path(), &busy.url, &good.url)
        .args(send)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!((busy.asked().len(), good.asked().len()), (2, 1));
    let output = demo(folder.path(), &busy.url, &good.url)
        .args(send)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!((busy.asked().len(), good.asked().len()), (2, 1));
    // a record that cannot be read is an error, not a reason to tell all again
    std::fs::write(folder.path().join(".palisade/sent-team.json"), "broken").unwrap();
    let output = demo(folder.path(), &busy.url, &good.url)
        .args(send)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("not a record of what was sent"),
        "{}",
        err(&output)
    );
}

#[test]
fn what_is_missing_is_told_before_the_scan() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("palisade.toml"), TWO).unwrap();
    let scan = |to: &str, url: Option<&str>| {
        let mut command = palisade(folder.path());
        command.args(["scan", "--demo", "--check", "s3-*", "--send", to]);
        if let Some(url) = url {
            command.env("TEAM_URL", url);
        }
        let output = command.output().unwrap();
        assert_eq!(
            (output.status.code(), out(&output).as_str()),
            (Some(2), ""),
            "{}",
            err(&output)
        );
        err(&output)
    };
    assert!(scan("team", None).contains("send `team` needs the environment variable `TEAM_URL`"));
    let told = scan("team", Some("http://hooks.example.com/very-secret"));
    assert!(
        told.contains("`TEAM_URL` is `http`") && !told.contains("very-secret"),
        "{told}"
    );
    assert!(scan("teem", None).contains("did you mean `team`?"));
    // two that remember in one file would forget what the other sent
    let two = ["a", "b"].map(|name| {
        format!("[send.{name}]\ntype = \"slack\"\nurl_env = \"TEAM_URL\"\nstate = \"sent.json\"\n")
    });
    std::fs::write(folder.path().join("palisade.toml"), two.concat()).unwrap();
    let told = scan("a,b", Some("https://hooks.example.com/x"));
    assert!(
        told.contains("`a` and `b` remember what was sent in one file, `sent.json`"),
        "{told}"
    );
    assert!(scan("securityhub", None).contains("the account is a recording"));
}

#[test]
fn destinations_are_checked_with_the_rest_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        std::fs::write(folder.path().join("palisade.toml"), text).unwrap();
        let output = palisade(folder.path())
            .args(["config", "check"])
            .output()
            .unwrap();
        (output.status.code(), err(&output))
    };
    let (code, told) = check(
        "[report]
send = [\"team\", \"teem\"]
[send.team]
type = \"slack\"
url_env = \"https://hooks.example.com/very-secret\"
[send.hub]
type = \"securityhub\"
region = \"europe\"
topic_arn = \"x\"
[send.\"a b\"]
type = \"sns\"
[send.other]
type = \"slak\"
[send.hook]
type = \"webhook\"
url_env = \"HOOK\"
statuses = [\"failed\"]
[send.hook.headers]
Authorization = \"Bearer very-secret\"
",
    );
    assert_eq!(code, Some(2));
    for part in [
        "palisade.toml:2:8: error: `report.send` names `teem`, and there is no `[send.teem]`",
        "palisade.toml:5:11: error: `url_env` must be the name of an environment variable",
        "palisade.toml:8:10: error: `region` is not a region: `europe`",
        "palisade.toml:9:1: error: unknown key `topic_arn` in send `hub`",
        "palisade.toml:10:7: error: a destination's name is made of letters",
        "error: `topic_arn` of send `a b` is missing",
        "palisade.toml:13:8: error: unknown type `slak`",
        "palisade.toml:17:13: error: unknown statuses `failed`",
        "palisade.toml:19:17: error: `Authorization` must be the name of an environment variable",
    ] {
        assert!(told.contains(part), "`{part}` is not in:\n{told}");
    }
    assert!(!told.contains("very-secret"), "{told}");
    assert_eq!(
        check(TWO),
        (Some(0), "palisade.toml: no errors\n".to_owned())
    );
    let output = palisade(folder.path())
        .args(["config", "show"])
        .output()
        .unwrap();
    let shown = out(&output);
    for part in [
        "send.\"team\".type",
        "send.\"team\".url_env",
        "send.\"tickets\".headers.Authorization",
        "palisade.toml:5",
    ] {
        assert!(shown.contains(part), "`{part}` is not in:\n{shown}");
    }
    let output = palisade(folder.path())
        .args(["config", "schema"])
        .output()
        .unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds = schema["properties"]["send"]["additionalProperties"]["oneOf"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(kinds, 6);
}

/// A report that cannot be written, or that nobody reads any more, is no reason to tell nobody.
#[cfg(target_os = "linux")]
#[test]
fn an_output_that_fails_keeps_nobody_from_being_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("palisade.toml"), TWO).unwrap();
    let server = Server::start(|_| (200, String::new()));
    let scan = |output: &str, stdout: std::process::Stdio| {
        let mut command = demo(folder.path(), &server.url, &server.url);
        command.args(["scan", "--demo", "--service", "s3", "--fail-on", "low"]);
        command.args(["--format", "json", "-o", output, "--send", "tickets"]);
        let mut child = command
            .stdout(stdout)
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait().unwrap().code()
    };
    let full = scan("/dev/full", std::process::Stdio::null());
    assert_eq!((full, server.asked().len()), (Some(1), 1));
    assert!(folder.path().join(".palisade/sent-tickets.json").exists());
    std::fs::remove_file(folder.path().join(".palisade/sent-tickets.json")).unwrap();
    // the findings still decide the exit code
    let closed = scan("-", std::process::Stdio::piped());
    assert_eq!((closed, server.asked().len()), (Some(3), 2));
}

/// Two at a time: the second waits until the first has written what it sent.
#[test]
fn two_at_a_time_send_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("palisade.toml"), TWO).unwrap();
    let server = Server::start(|_| {
        std::thread::sleep(std::time::Duration::from_millis(400));
        (200, String::new())
    });
    let report = demo(folder.path(), &server.url, &server.url)
        .args([
            "scan",
            "--demo",
            "--service",
            "s3",
            "--format",
            "json",
            "-o",
            "r.json",
        ])
        .output()
        .unwrap();
    assert!(report.status.success(), "{}", err(&report));
    let both: Vec<_> = (0..2)
        .map(|_| {
            demo(folder.path(), &server.url, &server.url)
                .args(["send", "r.json", "--to", "tickets"])
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in both {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(server.asked().len(), 1);
}

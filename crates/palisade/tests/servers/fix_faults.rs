//! `palisade fix` when things go wrong: calls that are denied, throttled, done without an answer, never done; a process
//! that is killed; plans that are not what was approved. A proxy between the binary and a moto server makes the faults.
use crate::account::text;
use crate::moto::{CREDENTIALS, Moto};
use palisade_fix::{Event, Outcome, Plan, Run, read_run, undo_hash};
use serde_json::Value as Json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What happens to the next changing call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// 403, nothing is done.
    Denied,
    /// 503 SlowDown, so many times, nothing is done.
    Throttled(u32),
    /// It is done, and the answer is 500.
    ServerErrorAfter,
    /// It is done, and the connection is closed.
    ClosedAfter,
    /// The connection is closed, nothing is done.
    ClosedBefore,
    /// It is done, and there is no answer for a long time.
    SilentAfter,
    /// Nothing is done, and there is no answer for a long time.
    SilentBefore,
}

#[derive(Debug, Default)]
struct Seen {
    fault: Option<Fault>,
    /// Changing calls that reached the server.
    made: usize,
    /// Changing calls that reached the proxy.
    asked: usize,
}

/// Forwards to moto, but for calls that change public access blocks.
struct Proxy {
    url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Proxy {
    fn start(moto: &Moto) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (shared, server) = (Arc::clone(&seen), moto.url.replace("http://", ""));
        // ends with the process: it holds nothing
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, server) = (Arc::clone(&shared), server.clone());
                std::thread::spawn(move || serve(client, &server, &seen));
            }
        });
        Self { url, seen }
    }

    fn set(&self, fault: Option<Fault>) {
        *self.seen.lock().unwrap() = Seen {
            fault,
            ..Seen::default()
        };
    }

    fn made(&self) -> usize {
        self.seen.lock().unwrap().made
    }

    fn asked(&self) -> usize {
        self.seen.lock().unwrap().asked
    }
}

/// One request a connection.
fn serve(mut client: TcpStream, server: &str, seen: &Mutex<Seen>) -> Option<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 65536];
    loop {
        let read = client.read(&mut buffer).ok().filter(|n| *n > 0)?;
        request.extend_from_slice(&buffer[..read]);
        if let Some(head) = request.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text
                .lines()
                .find_map(|l| l.strip_prefix("content-length:"))
                .map_or(0, |n| n.trim().parse::<usize>().unwrap());
            if request.len() >= head + 4 + length {
                break;
            }
        }
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let changes = (head.starts_with("PUT") || head.starts_with("DELETE"))
        && head.lines().next()?.contains("publicAccessBlock");
    let fault = if changes {
        let mut seen = seen.lock().unwrap();
        seen.asked += 1;
        let fault = seen.fault;
        seen.fault = match fault {
            Some(Fault::Throttled(n)) if n > 1 => Some(Fault::Throttled(n - 1)),
            _ => None,
        };
        fault
    } else {
        None
    };
    let error = |status: &str, code: &str| {
        let body = format!(
            "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>"
        );
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    match fault {
        Some(Fault::Denied) => {
            client
                .write_all(error("403 Forbidden", "AccessDenied").as_bytes())
                .ok()?;
            return None;
        }
        Some(Fault::Throttled(_)) => {
            client
                .write_all(error("503 Slow Down", "SlowDown").as_bytes())
                .ok()?;
            return None;
        }
        Some(Fault::ClosedBefore) => return None,
        Some(Fault::SilentBefore) => {
            std::thread::sleep(Duration::from_secs(60));
            return None;
        }
        _ => {}
    }
    if changes {
        seen.lock().unwrap().made += 1;
    }
    let mut upstream = TcpStream::connect(server).ok()?;
    let text = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    upstream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    match fault {
        Some(Fault::ServerErrorAfter) => {
            client
                .write_all(error("500 Internal Server Error", "InternalError").as_bytes())
                .ok()?;
        }
        Some(Fault::ClosedAfter) => {}
        Some(Fault::SilentAfter) => std::thread::sleep(Duration::from_secs(60)),
        _ => client.write_all(&answer).ok()?,
    }
    None
}

struct Bench<'a> {
    moto: &'a Moto,
    proxy: &'a Proxy,
    folder: &'a Path,
}

const BUCKETS: &[&str] = &[
    "fault-denied",
    "fault-throttled",
    "fault-500",
    "fault-closed-after",
    "fault-closed-before",
    "fault-kill-after",
    "fault-kill-before",
    "fault-stale",
    "fault-two-a",
    "fault-two-b",
    "fault-guard",
    "fault-protected",
    "fault-back",
];

impl Bench<'_> {
    fn command(&self, arguments: &[&str], endpoint: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_palisade"));
        command
            .args(arguments)
            .current_dir(self.folder)
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", endpoint)
            .stdin(Stdio::null());
        command
    }

    /// Through the proxy.
    fn palisade(&self, arguments: &[&str]) -> Output {
        self.command(arguments, &self.proxy.url).output().unwrap()
    }

    fn python(&self, code: &str) -> String {
        let output = Command::new(&self.moto.python)
            .args(["-c", code])
            .envs(CREDENTIALS)
            .env("AWS_ENDPOINT_URL", &self.moto.url)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    fn plan(&self, buckets: &[&str], more: &[&str]) -> Plan {
        let file = format!("{}.json", buckets[0]);
        let mut arguments = vec![
            "fix",
            "plan",
            "--check",
            "s3-bucket-block-public-access",
            "--output",
            &file,
        ];
        for bucket in buckets {
            arguments.extend(["--resource", bucket]);
        }
        arguments.extend(more);
        let output = self.palisade(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        Plan::parse(&std::fs::read_to_string(self.folder.join(&file)).unwrap()).unwrap()
    }

    /// Applies with a fault; what the journal says.
    fn apply(&self, bucket: &str, plan: &Plan, fault: Option<Fault>) -> (Output, Run) {
        self.proxy.set(fault);
        let file = format!("{bucket}.json");
        let output = self.palisade(&[
            "fix",
            "apply",
            &file,
            "--approve",
            &plan.hash,
            "--runs",
            bucket,
            "--settle",
            "2",
        ]);
        let run = read_run(&self.folder.join(bucket), "")
            .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stderr)));
        (output, run)
    }

    /// Runs until the call is under way, and kills the process.
    fn killed(&self, arguments: &[&str], fault: Fault) {
        let mut child = self
            .command(arguments, &self.proxy.url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let wanted = |p: &Proxy| p.asked() == 1 && (fault == Fault::SilentBefore || p.made() == 1);
        while !wanted(self.proxy) {
            assert!(
                begun.elapsed() < Duration::from_secs(120),
                "the call was not made"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(Duration::from_millis(500));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn is_blocked(&self, bucket: &str) -> bool {
        let code = format!(
            "import boto3\ntry: print(boto3.client('s3').get_public_access_block(Bucket='{bucket}')['PublicAccessBlockConfiguration']['BlockPublicAcls'])\nexcept Exception as e: print(e.response['Error']['Code'])"
        );
        match self.python(&code).as_str() {
            "True" => true,
            "NoSuchPublicAccessBlockConfiguration" => false,
            other => panic!("{other}"),
        }
    }
}

fn answers(run: &Run) -> Vec<String> {
    let event = |e: &Event| match e {
        Event::Answer { outcome, undo, .. } => {
            Some(format!("{}{outcome:?}", if *undo { "undo " } else { "" }))
        }
        _ => None,
    };
    run.events.iter().filter_map(event).collect()
}

fn calls(run: &Run) -> usize {
    run.events
        .iter()
        .filter(|e| matches!(e, Event::Call { .. }))
        .count()
}

#[test]
fn the_journal_tells_the_truth() {
    let moto = Moto::start();
    let proxy = Proxy::start(&moto);
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench {
        moto: &moto,
        proxy: &proxy,
        folder: folder.path(),
    };
    bench.python(&format!(
        "import boto3\nfor b in {BUCKETS:?}: boto3.client('s3').create_bucket(Bucket=b)"
    ));

    // denied: nothing is done, the second item is not begun
    let plan = bench.plan(&["fault-denied", "fault-two-a"], &[]);
    assert_eq!(plan.items.len(), 2);
    let (output, run) = bench.apply("fault-denied", &plan, Some(Fault::Denied));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(
        (run.outcome(1), run.outcome(2)),
        (Some(Outcome::Failed), None)
    );
    assert_eq!(answers(&run), ["Refused"]);
    assert_eq!(proxy.made(), 0);
    assert!(!bench.is_blocked("fault-denied") && !bench.is_blocked("fault-two-a"));
    // and going on with the run does both
    proxy.set(None);
    let resumed = bench.palisade(&[
        "fix",
        "apply",
        "--resume",
        &run.name,
        "--runs",
        "fault-denied",
        "--approve",
        &plan.hash,
    ]);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert_eq!(proxy.made(), 2);
    assert!(bench.is_blocked("fault-denied") && bench.is_blocked("fault-two-a"));

    // throttled: AWS says that nothing was done, so it is sent again, and made once
    let plan = bench.plan(&["fault-throttled"], &[]);
    let (_, run) = bench.apply("fault-throttled", &plan, Some(Fault::Throttled(2)));
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    assert_eq!((proxy.asked(), proxy.made()), (3, 1));

    // done, and the answer says otherwise or is missing: the state tells, and it is not done twice
    for (bucket, fault) in [
        ("fault-500", Fault::ServerErrorAfter),
        ("fault-closed-after", Fault::ClosedAfter),
    ] {
        let plan = bench.plan(&[bucket], &[]);
        let (_, run) = bench.apply(bucket, &plan, Some(fault));
        assert_eq!(run.outcome(1), Some(Outcome::Fixed), "{fault:?}");
        assert_eq!(answers(&run), ["Unknown"], "{fault:?}");
        assert_eq!((proxy.asked(), proxy.made()), (1, 1), "{fault:?}");
        let undone = bench.palisade(&[
            "fix",
            "undo",
            &run.name,
            "--runs",
            bucket,
            "--approve",
            &undo_hash(&run, &[]),
        ]);
        assert!(undone.status.success(), "{}", text(&undone.stderr));
        assert!(!bench.is_blocked(bucket));
    }

    // no answer, and not done: the state tells
    let plan = bench.plan(&["fault-closed-before"], &[]);
    let (_, run) = bench.apply("fault-closed-before", &plan, Some(Fault::ClosedBefore));
    // two seconds are too few to say that it never will be
    assert_eq!(run.outcome(1), Some(Outcome::Unclear));
    assert_eq!(
        (answers(&run), proxy.made()),
        (vec!["Unknown".to_owned()], 0)
    );
    assert!(!bench.is_blocked("fault-closed-before"));

    // killed while a call is under way: whether or not it was done, going on brings the wanted state, once
    for (bucket, fault, made) in [
        ("fault-kill-after", Fault::SilentAfter, 0),
        ("fault-kill-before", Fault::SilentBefore, 1),
    ] {
        let plan = bench.plan(&[bucket], &[]);
        proxy.set(Some(fault));
        let file = format!("{bucket}.json");
        let arguments = [
            "fix",
            "apply",
            &file,
            "--approve",
            &plan.hash,
            "--runs",
            bucket,
        ];
        bench.killed(&arguments, fault);
        let run = read_run(&folder.path().join(bucket), "").unwrap();
        assert_eq!(
            (calls(&run), answers(&run).len(), run.outcome(1)),
            (1, 0, None),
            "{fault:?}"
        );
        assert!(!run.is_ended());
        assert_eq!(bench.is_blocked(bucket), made == 0);
        // a line that the crash cut off
        let mut journal = std::fs::OpenOptions::new()
            .append(true)
            .open(&run.path)
            .unwrap();
        journal.write_all(b"{\"event\":\"answ").unwrap();
        drop(journal);

        proxy.set(None);
        let resumed = bench.palisade(&[
            "fix",
            "apply",
            "--resume",
            &run.name,
            "--runs",
            bucket,
            "--approve",
            &plan.hash,
        ]);
        assert!(resumed.status.success(), "{}", text(&resumed.stderr));
        assert_eq!(proxy.made(), made, "{fault:?}");
        assert!(bench.is_blocked(bucket));
        let run = read_run(&folder.path().join(bucket), "").unwrap();
        assert_eq!(run.outcome(1), Some(Outcome::Fixed));
        assert!(run.is_ended());
        let undone = bench.palisade(&[
            "fix",
            "undo",
            &run.name,
            "--runs",
            bucket,
            "--approve",
            &undo_hash(&run, &[]),
        ]);
        assert!(undone.status.success(), "{}", text(&undone.stderr));
        assert!(!bench.is_blocked(bucket), "{fault:?}");
    }

    // somebody changed it between plan and apply, and between apply and undo
    let plan = bench.plan(&["fault-stale"], &[]);
    let put = |all: &str| {
        bench.python(&format!(
            "import boto3\nboto3.client('s3').put_public_access_block(Bucket='fault-stale', PublicAccessBlockConfiguration=dict(BlockPublicAcls={all}, IgnorePublicAcls=True, BlockPublicPolicy=False, RestrictPublicBuckets=False))"
        ));
    };
    put("False");
    let (output, run) = bench.apply("fault-stale", &plan, None);
    assert_eq!(
        run.outcome(1),
        Some(Outcome::Stale),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(proxy.asked(), 0);
    std::fs::remove_dir_all(folder.path().join("fault-stale")).unwrap();
    let plan = bench.plan(&["fault-stale"], &[]);
    let before = &plan.items[0].steps[0].attributes[0].before;
    assert_eq!(before["BlockPublicAcls"], false);
    let (_, run) = bench.apply("fault-stale", &plan, None);
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    put("False");
    proxy.set(None);
    let undone = bench.palisade(&[
        "fix",
        "undo",
        &run.name,
        "--runs",
        "fault-stale",
        "--approve",
        &undo_hash(&run, &[]),
    ]);
    assert!(
        text(&undone.stderr).contains("already as wanted"),
        "{}",
        text(&undone.stderr)
    );
    assert_eq!(proxy.asked(), 0);

    on_the_way_back(&bench);
    guards(&bench);
}

/// The same faults at taking back and at going on: never made twice, and a second attempt brings the defined state.
fn on_the_way_back(bench: &Bench<'_>) {
    const BUCKET: &str = "fault-back";
    let proxy = bench.proxy;
    let undo = |run: &Run, fault: Option<Fault>| {
        proxy.set(fault);
        bench.palisade(&[
            "fix",
            "undo",
            &run.name,
            "--runs",
            BUCKET,
            "--settle",
            "2",
            "--approve",
            &undo_hash(run, &[]),
        ])
    };
    let again = || read_run(&bench.folder.join(BUCKET), "").unwrap();
    // what comes of taking back, and how often the call was made then
    for (fault, good, made) in [
        (Fault::Denied, false, 0),
        (Fault::Throttled(1), true, 1),
        (Fault::ServerErrorAfter, true, 1),
        (Fault::ClosedAfter, true, 1),
        (Fault::ClosedBefore, false, 0),
    ] {
        let plan = bench.plan(&[BUCKET], &[]);
        let (_, run) = bench.apply(BUCKET, &plan, None);
        assert!(bench.is_blocked(BUCKET), "{fault:?}");
        let output = undo(&run, Some(fault));
        assert_eq!(
            output.status.success(),
            good,
            "{fault:?}: {}",
            text(&output.stderr)
        );
        assert_eq!(
            (proxy.made(), bench.is_blocked(BUCKET)),
            (made, !good),
            "{fault:?}"
        );
        if !good {
            let output = undo(&again(), None);
            assert!(
                output.status.success(),
                "{fault:?}: {}",
                text(&output.stderr)
            );
            assert_eq!(
                (proxy.made(), bench.is_blocked(BUCKET)),
                (1, false),
                "{fault:?}"
            );
        }
        std::fs::remove_dir_all(bench.folder.join(BUCKET)).unwrap();
    }
    // killed while taking back: whether or not it was done, a second attempt brings it back, once
    for (fault, made) in [(Fault::SilentAfter, 0), (Fault::SilentBefore, 1)] {
        let plan = bench.plan(&[BUCKET], &[]);
        let (_, run) = bench.apply(BUCKET, &plan, None);
        proxy.set(Some(fault));
        let approve = undo_hash(&run, &[]);
        let arguments = [
            "fix",
            "undo",
            &run.name,
            "--runs",
            BUCKET,
            "--approve",
            &approve,
        ];
        bench.killed(&arguments, fault);
        assert_eq!(bench.is_blocked(BUCKET), made == 1, "{fault:?}");
        let output = undo(&again(), None);
        assert!(
            output.status.success(),
            "{fault:?}: {}",
            text(&output.stderr)
        );
        assert_eq!(
            (proxy.made(), bench.is_blocked(BUCKET)),
            (made, false),
            "{fault:?}"
        );
        std::fs::remove_dir_all(bench.folder.join(BUCKET)).unwrap();
    }
    // killed, and killed again while going on
    let plan = bench.plan(&[BUCKET], &[]);
    proxy.set(Some(Fault::SilentBefore));
    let file = format!("{BUCKET}.json");
    let arguments = [
        "fix",
        "apply",
        &file,
        "--approve",
        &plan.hash,
        "--runs",
        BUCKET,
    ];
    bench.killed(&arguments, Fault::SilentBefore);
    let run = again();
    proxy.set(Some(Fault::SilentAfter));
    let resume = [
        "fix",
        "apply",
        "--resume",
        &run.name,
        "--approve",
        &plan.hash,
        "--runs",
        BUCKET,
    ];
    bench.killed(&resume, Fault::SilentAfter);
    assert_eq!((calls(&again()), again().outcome(1)), (2, None));
    proxy.set(None);
    let output = bench.palisade(&resume);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        (proxy.made(), again().outcome(1)),
        (0, Some(Outcome::Fixed))
    );
    assert!(bench.is_blocked(BUCKET));
}

/// What is refused before anything is sent.
fn guards(bench: &Bench<'_>) {
    let plan = bench.plan(&["fault-guard"], &[]);
    let path = bench.folder.join("fault-guard.json");
    let write = |change: &dyn Fn(&mut Json), seal: bool| {
        let mut value = serde_json::to_value(&plan).unwrap();
        change(&mut value);
        if seal {
            let mut sealed: Plan = serde_json::from_value(value.clone()).unwrap();
            sealed.hash = sealed.content_hash();
            value = serde_json::to_value(&sealed).unwrap();
        }
        std::fs::write(&path, value.to_string()).unwrap();
        value["hash"].as_str().unwrap().to_owned()
    };
    let refused = |hash: &str, more: &[&str], expected: &str| {
        bench.proxy.set(None);
        let mut arguments = vec![
            "fix",
            "apply",
            "fault-guard.json",
            "--approve",
            hash,
            "--runs",
            "guard",
        ];
        arguments.extend(more);
        let output = bench.palisade(&arguments);
        assert!(!output.status.success(), "{expected}");
        let said = text(&output.stderr);
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(bench.proxy.asked(), 0, "{expected}");
        assert!(!bench.folder.join("guard").exists(), "{expected}");
    };
    let bucket =
        |v: &mut Json| v["items"][0]["steps"][0]["call"]["params"]["Bucket"] = "other".into();
    let hash = write(&bucket, false);
    refused(&hash, &[], "was changed after it was made");
    let hash = write(&|v| v["expires"] = "2020-01-01T00:00:00Z".into(), true);
    refused(&hash, &[], "expired");
    let hash = write(
        &|v| v["items"][0]["account_id"] = "999999999999".into(),
        true,
    );
    refused(&hash, &[], "is for account 999999999999");
    let hash = write(&|v| v["palisade"] = "99.0.0".into(), true);
    refused(&hash, &[], "newer version");
    let hash = write(&|v| v["format"] = 99.into(), true);
    refused(&hash, &[], "newer version");
    let hash = write(
        &|v| v["items"][0]["steps"][0]["call"]["operation"] = "DeleteBucket".into(),
        true,
    );
    refused(&hash, &[], "no change file of this palisade describes");
    let hash = write(&|_| {}, true);
    assert_eq!(hash, plan.hash);
    refused(&"0".repeat(64), &[], "the approval is for");
    refused(&hash, &["--max-resources", "0"], "at most 0 are allowed");
    refused(
        &hash,
        &["--production", "123456789012"],
        "--allow 123456789012",
    );

    // protected when the plan is made, and when it is applied
    let protected = bench.plan(&["fault-protected"], &["--protect", "fault-prot*"]);
    assert_eq!((protected.items.len(), protected.protected.len()), (0, 1));
    bench.proxy.set(None);
    let output = bench.palisade(&[
        "fix",
        "apply",
        "fault-guard.json",
        "--approve",
        &hash,
        "--runs",
        "guard",
        "--protect",
        "arn:aws:s3:::fault-guard",
    ]);
    assert!(
        text(&output.stderr).contains("protected by"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(bench.proxy.asked(), 0);
    bench.python("import boto3\nboto3.client('s3').put_bucket_tagging(Bucket='fault-protected', Tagging={'TagSet': [{'Key': 'keep', 'Value': 'yes'}]})");
    let protected = bench.plan(&["fault-protected"], &["--protect-tag", "keep=yes"]);
    assert_eq!((protected.items.len(), protected.protected.len()), (0, 1));
    let free = bench.plan(&["fault-protected"], &["--protect-tag", "keep=no"]);
    assert_eq!((free.items.len(), free.protected.len()), (1, 0));
}

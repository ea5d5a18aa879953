//! Prints how fast the engine is: `cargo run --release -p palisade-iam --example bench_iam`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test may fail loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use palisade_iam::{
    Context, Entity, Graph, Level, Model, NamedPolicy, Policy, PolicySets, Principal,
    PrincipalKind, Request, Rules, Source, decide, diff,
};

/// Time on the processor, so that a busy machine does not count; wall time where the system does not tell.
struct Clock(Option<u64>, Instant);

impl Clock {
    fn start() -> Self {
        Self(on_processor(), Instant::now())
    }

    fn elapsed(&self) -> Duration {
        match (self.0, on_processor()) {
            (Some(from), Some(to)) => Duration::from_nanos(to - from),
            _ => self.1.elapsed(),
        }
    }
}

/// Nanoseconds of this process in user mode, from the hundredths of a second in `/proc/self/stat`.
fn on_processor() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let hundredths: u64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(11)?
        .parse()
        .ok()?;
    Some(hundredths * 10_000_000)
}

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#
    ))
    .expect("a policy")
}

fn decisions() {
    let identity = policy(
        r#"{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]},
           {"Effect":"Allow","Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"arn:aws:sqs:*:111111111111:orders"},
           {"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"},
           {"Effect":"Deny","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#,
    );
    let bucket = policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"},
           {"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}"#,
    );
    let scp = policy(
        r#"{"Effect":"Allow","Action":"*","Resource":"*"},
           {"Effect":"Deny","NotAction":["iam:*","sts:*","s3:*"],"Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","eu-central-1"]}}}"#,
    );
    let source = |policy| Source {
        name: "policy",
        policy,
    };
    let sets = PolicySets {
        identity: vec![source(&identity)],
        resource: Some(source(&bucket)),
        scp: vec![Level {
            name: "root",
            policies: vec![source(&scp)],
        }],
        ..PolicySets::default()
    };
    let mut context = Context::closed();
    context.set("aws:SecureTransport", ["true"]);
    context.set("aws:RequestedRegion", ["eu-west-1"]);
    context.set("aws:PrincipalArn", ["arn:aws:iam::111111111111:role/app"]);
    let request = Request {
        principal: Principal::new("arn:aws:sts::111111111111:assumed-role/app/s"),
        action: "s3:GetObject".to_owned(),
        resource: "arn:aws:s3:::data/reports/2026/q1.csv".to_owned(),
        resource_account: Some("111111111111".to_owned()),
        context,
    };
    let rounds = 2_000_000_u32;
    let started = Clock::start();
    let mut allowed = 0_u32;
    for _ in 0..rounds {
        allowed += u32::from(
            std::hint::black_box(decide(std::hint::black_box(&request), &sets))
                == palisade_iam::Decision::Allow,
        );
    }
    let took = started.elapsed();
    println!(
        "decisions: {:.2} million a second ({} allowed of {rounds})",
        f64::from(rounds) / took.as_secs_f64() / 1e6,
        allowed
    );
}

fn entity(
    arn: String,
    kind: PrincipalKind,
    policies: Vec<NamedPolicy>,
    trust: Option<NamedPolicy>,
) -> Entity {
    Entity {
        name: arn.rsplit('/').next().unwrap_or_default().to_owned(),
        kind,
        unique_id: None,
        account: "111111111111".to_owned(),
        groups: Vec::new(),
        attached: Vec::new(),
        policies,
        boundary: None,
        trust,
        tags: std::collections::BTreeMap::new(),
        unreadable: Vec::new(),
        unread: palisade_iam::Layers::default(),
        arn,
    }
}

/// An account whose roles do what roles do: read a bucket, write logs, some pass roles, some assume others.
fn account(size: usize) -> Model {
    let mut model = Model::default();
    let named = |policy: Policy| NamedPolicy {
        name: "inline".to_owned(),
        policy: Arc::new(policy),
    };
    for at in 0..size {
        let extra = match at % 50 {
            0 => r#",{"Effect":"Allow","Action":["iam:PassRole","lambda:CreateFunction","lambda:InvokeFunction"],"Resource":"*"}"#.to_owned(),
            1 => format!(r#",{{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::111111111111:role/r{}"}}"#, (at + 7) % size),
            2 => r#",{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}"#.to_owned(),
            3 => r#",{"Effect":"Allow","Action":"iam:PutRolePolicy","Resource":"arn:aws:iam::111111111111:role/team-*"}"#.to_owned(),
            _ => String::new(),
        };
        let own = policy(&format!(
            r#"{{"Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],"Resource":["arn:aws:s3:::b{at}","arn:aws:s3:::b{at}/*"]}},
               {{"Effect":"Allow","Action":["logs:CreateLogStream","logs:PutLogEvents"],"Resource":"arn:aws:logs:*:111111111111:log-group:/app/{at}:*"}}{extra}"#
        ));
        let own = if at % 400 == 0 {
            policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#)
        } else {
            own
        };
        let who = match at % 3 {
            0 => r#"{"Service":"lambda.amazonaws.com"}"#.to_owned(),
            1 => r#"{"AWS":"arn:aws:iam::111111111111:root"}"#.to_owned(),
            _ => r#"{"Service":"ec2.amazonaws.com"}"#.to_owned(),
        };
        let trust = policy(&format!(
            r#"{{"Effect":"Allow","Principal":{who},"Action":"sts:AssumeRole"}}"#
        ));
        model.entities.push(entity(
            format!("arn:aws:iam::111111111111:role/r{at}"),
            PrincipalKind::Role,
            vec![named(own)],
            Some(named(trust)),
        ));
    }
    model.sort();
    model
}

/// The most memory that the process has held, in MB.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

fn main() {
    decisions();
    let model = account(10_000);
    let started = Clock::start();
    let who = model.who_can("s3:GetObject", "arn:aws:s3:::b77/x", &Context::open());
    println!(
        "who-can over 10,000 principals: {} found in {:?}",
        who.len(),
        started.elapsed()
    );
    let model = account(5_000);
    let rules = Rules::embedded().expect("rules");
    let started = Clock::start();
    let graph = Graph::new(&model, rules, 1_790_000_000_000);
    println!(
        "graph of 5,000 roles: {} edges in {:?}",
        graph.edge_count(),
        started.elapsed()
    );
    let started = Clock::start();
    println!(
        "escalations: {} in {:?}",
        graph.all().len(),
        started.elapsed()
    );
    if let Some(megabytes) = most_memory() {
        println!("most memory until here: {megabytes} MB");
    }
    let statements = |shift: usize| {
        (0..70)
            .map(|at| format!(r#"{{"Effect":"Allow","Action":["service{}:Get*","service{at}:List*"],"Resource":"arn:aws:service{at}:*:111111111111:thing/{at}/*"}}"#, at + shift))
            .collect::<Vec<_>>()
            .join(",")
    };
    let (a, b) = (policy(&statements(0)), policy(&statements(0)));
    let started = Clock::start();
    let found = diff(&[&a], &[&b]).expect("comparable");
    println!(
        "diff of two policies of {} bytes: {:?} in {:?}",
        statements(0).len(),
        found.is_some(),
        started.elapsed()
    );
}

//! Applying and taking back against a fake AWS that does what a test tells it to.
use crate::compile::{NoStep, compile};
use crate::fits::check_calls;
use crate::journal::{CallOutcome, Event, Journal, Run, Who, list_runs, read_run};
use crate::read::State;
use crate::{
    Access, Apply, FORMAT, Item, ItemCheck, Outcome, Plan, Protection, Recheck, RecheckFuture,
    Step, Tags, Undo, UndoOutcome, Verdict, undo_hash,
};
use palisade_catalog::{Catalog, Risk, Source, load};
use palisade_core::{CallErrorKind, Severity, Timestamp};
use palisade_model::{
    Api, ApiError, CallFuture, CallRequest, Models, OperationStatistics, Page, Value,
};
use serde_json::{Map, Value as Json, json};
use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

mod faults;

/// An account that there are no credentials for.
const NOBODYS: &str = "999999999999";

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| load(&[Source::embedded()]).catalog);

/// What happens to a changing call; with the answer of later reads, where the call or somebody else changes it.
#[derive(Debug, Clone)]
enum Does {
    Made(Option<Json>),
    Throttled(Option<Json>),
    Refused(Option<Json>),
    Lost(Option<Json>),
}

#[derive(Debug, Default)]
struct Inner {
    /// What a read answers.
    answer: Json,
    /// After so many reads the answer is another one.
    later: Option<(usize, Json)>,
    /// What comes of changing calls, in order.
    does: VecDeque<Does>,
    /// Parameters of changing calls.
    sent: Vec<Json>,
}

#[derive(Debug, Default)]
struct Aws(Mutex<Inner>);

impl Aws {
    fn new(answer: Json, does: &[Does]) -> Self {
        Self(Mutex::new(Inner {
            answer,
            does: does.iter().cloned().collect(),
            ..Inner::default()
        }))
    }
    fn set(&self, answer: Json) {
        self.0.lock().unwrap().answer = answer;
    }
    fn will(&self, does: Does) {
        self.0.lock().unwrap().does.push_back(does);
    }
    fn sent(&self) -> Vec<Json> {
        self.0.lock().unwrap().sent.clone()
    }
}

impl Api for Aws {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        let mut inner = self.0.lock().unwrap();
        let error = |kind, code: &str| {
            Err(ApiError {
                kind,
                code: code.to_owned(),
                message: String::new(),
            })
        };
        let reads = ["Get", "Describe", "List"];
        let answer = if reads.iter().any(|r| request.operation.starts_with(r)) {
            match inner.later.take() {
                Some((0, answer)) => inner.answer = answer,
                Some((reads, answer)) => inner.later = Some((reads - 1, answer)),
                None => {}
            }
            Ok(Page {
                value: Value::Json(Box::new(inner.answer.clone())),
                next: None,
            })
        } else {
            inner.sent.push(Json::Object(request.params.clone()));
            let does = inner.does.pop_front().expect("an unexpected call");
            let (Does::Made(now) | Does::Throttled(now) | Does::Refused(now) | Does::Lost(now)) =
                &does;
            if let Some(now) = now {
                inner.answer = now.clone();
            }
            match does {
                Does::Made(_) => Ok(Page::default()),
                Does::Throttled(_) => error(CallErrorKind::Throttled, "SlowDown"),
                Does::Refused(_) => error(CallErrorKind::Denied, "AccessDenied"),
                Does::Lost(_) => error(CallErrorKind::Timeout, "Timeout"),
            }
        };
        Box::pin(async move { answer })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

struct Says(Vec<Verdict>);

impl Recheck for Says {
    fn recheck<'a>(&'a self, _: &'a Item) -> RecheckFuture<'a> {
        let verdicts = self.0.iter().map(|v| ("a-check".to_owned(), *v)).collect();
        Box::pin(async move { verdicts })
    }
}

fn map(value: Json) -> Map<String, Json> {
    value.as_object().unwrap().clone()
}

fn try_step(service: &str, operation: &str, params: Json, state: Json) -> Result<Step, NoStep> {
    let change = &CATALOG.changes[service][operation];
    let model = Models::embedded().get(service).unwrap();
    let state = match state {
        Json::Null => State::Absent,
        state => State::Present(state),
    };
    compile(change, &model, &map(params), &state)
}

fn item(number: usize, step: Step) -> Item {
    Item {
        number,
        checks: vec![ItemCheck {
            id: "a-check".to_owned(),
            check: "a-check".to_owned(),
            title: String::new(),
            severity: Severity::Low,
            found: String::new(),
            params: std::collections::BTreeMap::new(),
            about: None,
        }],
        account_id: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        resource: "a".to_owned(),
        resource_id: "a".to_owned(),
        resource_type: String::new(),
        tags: Tags::None,
        risk: Risk::None,
        uses: Vec::new(),
        steps: vec![step],
        permissions: Vec::new(),
    }
}

fn plan(items: Vec<Item>) -> Plan {
    let mut plan = Plan {
        format: FORMAT,
        palisade: env!("CARGO_PKG_VERSION").to_owned(),
        created: Timestamp::from_micros(0),
        expires: Timestamp::from_micros(1),
        accounts: Vec::new(),
        regions: Vec::new(),
        planned_by: String::new(),
        items,
        guided: Vec::new(),
        unknown: Vec::new(),
        protected: Vec::new(),
        permissions: Vec::new(),
        retirement: None,
        hash: String::new(),
    };
    plan.hash = plan.content_hash();
    plan
}

fn who() -> Who {
    Who {
        arn: "arn:aws:iam::123456789012:user/a".to_owned(),
        account_id: "123456789012".to_owned(),
    }
}

/// A folder of runs, and how they are made.
struct Bench {
    folder: tempfile::TempDir,
    verdicts: Vec<Verdict>,
    protection: Protection,
    keep_going: bool,
    settle: u32,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            verdicts: vec![Verdict::Fixed],
            protection: Protection::default(),
            keep_going: false,
            settle: 1,
        }
    }

    fn with<T>(&self, aws: &dyn Api, work: impl AsyncFnOnce(&Apply<'_>) -> T) -> T {
        self.told(aws, &|_| {}, work)
    }

    fn told<T>(
        &self,
        aws: &dyn Api,
        notify: &dyn Fn(&Event),
        work: impl AsyncFnOnce(&Apply<'_>) -> T,
    ) -> T {
        let says = Says(self.verdicts.clone());
        let access = |account: &str| {
            (account != NOBODYS).then_some(Access {
                reader: aws,
                writer: aws,
            })
        };
        let apply = Apply {
            access: &access,
            models: &Models::embedded(),
            now: &|| Timestamp::from_micros(0),
            recheck: &says,
            protection: &self.protection,
            keep_going: self.keep_going,
            settle: self.settle,
            stop: &|| false,
            notify,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(work(&apply))
    }

    fn run(&self) -> Run {
        read_run(self.folder.path(), "").unwrap()
    }

    fn begin(&self, plan: &Plan) -> Journal {
        Journal::begin(self.folder.path(), plan, &who(), Timestamp::from_micros(0)).unwrap()
    }

    fn apply(&self, aws: &dyn Api, plan: &Plan) -> Run {
        let mut journal = self.begin(plan);
        let done = self.with(aws, async |apply| apply.run(plan, &mut journal, None).await);
        done.unwrap();
        self.run()
    }

    fn resume(&self, aws: &dyn Api) -> Run {
        let run = self.run();
        let mut journal = Journal::open(&run).unwrap();
        let done = self.with(aws, async |apply| {
            apply.run(&run.plan, &mut journal, Some(&run)).await
        });
        done.unwrap();
        self.run()
    }

    fn undo(&self, aws: &dyn Api) -> (UndoOutcome, Outcome) {
        let run = self.run();
        let mut journal = Journal::open(&run).unwrap();
        let undone = self.with(aws, async |apply| {
            let undo = Undo {
                apply,
                catalog: &CATALOG,
                items: &[],
            };
            undo.run(&run, &who(), &mut journal).await
        });
        let outcome = self.run().events.iter().rev().find_map(|e| match e {
            Event::Item {
                undo: true,
                outcome,
                ..
            } => Some(*outcome),
            _ => None,
        });
        (undone.unwrap(), outcome.expect("nothing was to be undone"))
    }
}

const BEFORE: fn() -> Json = || json!({"QueueConfigurations": [{"Id": "old"}]});

/// The bucket sends events to EventBridge, besides what it does already.
fn events() -> Step {
    try_step(
        "s3",
        "PutBucketNotificationConfiguration",
        json!({"Bucket": "a", "NotificationConfiguration": {"EventBridgeConfiguration": {}}}),
        BEFORE(),
    )
    .unwrap()
}

fn events_after() -> Json {
    json!({"QueueConfigurations": [{"Id": "old"}], "EventBridgeConfiguration": {}})
}

#[test]
fn undo_takes_back_what_the_run_left_and_nothing_else() {
    let bench = Bench::new();
    let aws = Aws::new(BEFORE(), &[Does::Made(Some(events_after()))]);
    let run = bench.apply(&aws, &plan(vec![item(1, events())]));
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    // somebody adds a topic: the saved configuration would remove it
    let mut more = events_after();
    more["TopicConfigurations"] = json!([{"Id": "new"}]);
    aws.set(more);
    assert_eq!(bench.undo(&aws).1, Outcome::Stale);
    assert_eq!(aws.sent().len(), 1);
    // and takes it away again
    aws.set(events_after());
    aws.will(Does::Made(Some(BEFORE())));
    assert_eq!(bench.undo(&aws).1, Outcome::Undone);
    assert_eq!(aws.sent()[1]["NotificationConfiguration"], BEFORE());
}

fn database(value: u32, pending: Json) -> Json {
    json!({"DBInstances": [{"BackupRetentionPeriod": value, "PendingModifiedValues": pending}]})
}

fn retention(state: Json) -> Result<Step, NoStep> {
    let params = json!({"DBInstanceIdentifier": "a", "BackupRetentionPeriod": 7});
    let state = state["DBInstances"][0].clone();
    try_step("rds", "ModifyDBInstance", params, state).map(|mut step| {
        step.settle = 1;
        step
    })
}

#[test]
fn a_value_that_waits_decides() {
    let bench = Bench::new();
    let waits = database(1, json!({"BackupRetentionPeriod": 7}));
    let step = retention(database(1, json!({}))).unwrap();
    let aws = Aws::new(database(1, json!({})), &[Does::Made(Some(waits.clone()))]);
    let run = bench.apply(&aws, &plan(vec![item(1, step.clone())]));
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    // the value is the old one still, and is not undone: the new one is on its way
    aws.will(Does::Made(Some(database(1, json!({})))));
    assert_eq!(bench.undo(&aws).1, Outcome::Undone);
    assert_eq!(aws.sent()[1]["BackupRetentionPeriod"], 1);

    // the value that waited has taken hold since
    let bench = Bench::new();
    let aws = Aws::new(database(1, json!({})), &[Does::Made(Some(waits.clone()))]);
    bench.apply(&aws, &plan(vec![item(1, step.clone())]));
    aws.set(database(7, json!({})));
    aws.will(Does::Made(Some(database(1, json!({})))));
    assert_eq!(bench.undo(&aws).1, Outcome::Undone);

    // somebody else's value waits: neither planned, nor overwritten
    let other = database(1, json!({"BackupRetentionPeriod": 30}));
    assert!(matches!(retention(other.clone()), Err(NoStep::Unclear(_))));
    let bench = Bench::new();
    let aws = Aws::new(other, &[]);
    let run = bench.apply(&aws, &plan(vec![item(1, step)]));
    assert_eq!(run.outcome(1), Some(Outcome::Stale));
    assert_eq!(aws.sent(), Vec::<Json>::new());
}

#[test]
fn a_call_that_never_showed_is_not_undone() {
    let bench = Bench::new();
    let mut step = events();
    step.settle = 1;
    let aws = Aws::new(BEFORE(), &[Does::Made(None)]);
    let run = bench.apply(&aws, &plan(vec![item(1, step)]));
    assert_eq!(run.outcome(1), Some(Outcome::Failed));
    let (counted, outcome) = bench.undo(&aws);
    assert_eq!(outcome, Outcome::Unclear);
    assert_eq!((counted.undone, counted.left), (0, 1));
}

/// The journal of a process that was killed while the call was under way.
fn killed(bench: &Bench) {
    let plan = plan(vec![item(1, events())]);
    let step = &plan.items[0].steps[0];
    bench
        .begin(&plan)
        .write(&Event::Call {
            time: Timestamp::from_micros(0),
            item: 1,
            step: 0,
            undo: false,
            call: step.call.clone(),
            before: Map::new(),
        })
        .unwrap();
}

#[test]
fn a_resumed_run_waits_for_the_call_that_may_still_take_effect() {
    let mut bench = Bench::new();
    bench.settle = 60;
    killed(&bench);
    let aws = Aws::new(BEFORE(), &[]);
    aws.0.lock().unwrap().later = Some((1, events_after()));
    assert_eq!(bench.resume(&aws).outcome(1), Some(Outcome::Fixed));
    assert_eq!(aws.sent(), Vec::<Json>::new());
    aws.will(Does::Made(Some(BEFORE())));
    assert_eq!(bench.undo(&aws).1, Outcome::Undone);

    // not allowed to wait that long: not sent a second time
    let bench = Bench::new();
    killed(&bench);
    let aws = Aws::new(BEFORE(), &[]);
    assert_eq!(bench.resume(&aws).outcome(1), Some(Outcome::Unclear));
    assert_eq!(aws.sent(), Vec::<Json>::new());
}

#[test]
fn a_second_call_does_not_hide_the_first() {
    let bench = Bench::new();
    killed(&bench);
    let run = bench.run();
    let mut journal = Journal::open(&run).unwrap();
    for (outcome, second) in [(None, true), (Some(CallOutcome::Refused), true)] {
        let call = run.plan.items[0].steps[0].call.clone();
        let time = Timestamp::from_micros(0);
        let (item, step, undo) = (1, 0, false);
        let before = Map::new();
        journal
            .write(&Event::Call {
                time,
                item,
                step,
                undo,
                call,
                before,
            })
            .unwrap();
        if let Some(outcome) = outcome {
            let error = None;
            journal
                .write(&Event::Answer {
                    time,
                    item,
                    step,
                    undo,
                    outcome,
                    error,
                })
                .unwrap();
        }
        assert_eq!(bench.run().step(1, 0).may_stand(), second, "{outcome:?}");
    }
}

#[test]
fn what_was_refused_is_not_ours() {
    let bench = Bench::new();
    let aws = Aws::new(BEFORE(), &[Does::Refused(Some(events_after()))]);
    let run = bench.apply(&aws, &plan(vec![item(1, events())]));
    assert_eq!(run.outcome(1), Some(Outcome::Already));
    assert!(!run.step(1, 0).may_stand());
    // an answer that was lost is: the state tells
    let bench = Bench::new();
    let aws = Aws::new(BEFORE(), &[Does::Lost(Some(events_after()))]);
    let run = bench.apply(&aws, &plan(vec![item(1, events())]));
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    assert!(run.step(1, 0).may_stand());
}

#[test]
fn a_throttled_call_is_only_made_again_in_the_planned_state() {
    let bench = Bench::new();
    let moved = json!({"QueueConfigurations": [{"Id": "old"}, {"Id": "new"}]});
    let aws = Aws::new(BEFORE(), &[Does::Throttled(Some(moved))]);
    let run = bench.apply(&aws, &plan(vec![item(1, events())]));
    assert_eq!(run.outcome(1), Some(Outcome::Stale));
    assert_eq!(aws.sent().len(), 1);

    let bench = Bench::new();
    let does = [Does::Throttled(None), Does::Made(Some(events_after()))];
    let aws = Aws::new(BEFORE(), &does);
    let run = bench.apply(&aws, &plan(vec![item(1, events())]));
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    // the same holds on the way back
    let mut more = events_after();
    more["TopicConfigurations"] = json!([{"Id": "new"}]);
    aws.will(Does::Throttled(Some(more)));
    assert_eq!(bench.undo(&aws).1, Outcome::Stale);
    assert_eq!(aws.sent().len(), 3);
}

#[test]
fn what_is_protected_is_not_taken_back() {
    let mut bench = Bench::new();
    let aws = Aws::new(BEFORE(), &[Does::Made(Some(events_after()))]);
    let mut one = item(1, events());
    one.resource = "arn:aws:cloudtrail:us-east-1:123456789012:trail/t".to_owned();
    one.resource_id = "t".to_owned();
    bench.apply(&aws, &plan(vec![one]));
    bench.protection.resources = vec!["arn:aws:s3:::a".to_owned()];
    assert_eq!(bench.undo(&aws).1, Outcome::Protected);
    assert_eq!(aws.sent().len(), 1);
}

#[test]
fn fixed_is_what_a_check_says() {
    for (verdicts, answer, expected) in [
        (vec![Verdict::Fixed], BEFORE(), Outcome::Fixed),
        (vec![], BEFORE(), Outcome::Changed),
        (vec![Verdict::Unknown], BEFORE(), Outcome::Unverified),
        (vec![Verdict::NotFixed], BEFORE(), Outcome::NotFixed),
        (vec![Verdict::Fixed], events_after(), Outcome::Already),
        (vec![Verdict::Unknown], events_after(), Outcome::Unverified),
    ] {
        let mut bench = Bench::new();
        bench.verdicts = verdicts;
        let aws = Aws::new(answer, &[Does::Made(Some(events_after()))]);
        let run = bench.apply(&aws, &plan(vec![item(1, events())]));
        assert_eq!(run.outcome(1), Some(expected));
    }
}

#[test]
fn the_canary_is_the_first_that_is_sent() {
    let mut bench = Bench::new();
    bench.keep_going = true;
    let aws = Aws::new(BEFORE(), &[Does::Refused(None)]);
    let mut stale = events();
    stale.attributes[0].before = json!({"QueueConfigurations": []});
    let items = vec![item(1, stale), item(2, events()), item(3, events())];
    let run = bench.apply(&aws, &plan(items));
    assert_eq!(run.outcome(1), Some(Outcome::Stale));
    assert_eq!(run.outcome(2), Some(Outcome::Failed));
    assert_eq!(run.outcome(3), None, "the first call failed");
    assert_eq!(aws.sent().len(), 1);
}

#[test]
fn a_call_that_would_apply_what_waits_is_not_planned_and_not_sent() {
    let group =
        |pending: Json| json!({"AutomaticFailover": "disabled", "PendingModifiedValues": pending});
    let make = |state| {
        let params = json!({"ReplicationGroupId": "a", "AutomaticFailoverEnabled": true, "ApplyImmediately": true});
        try_step("elasticache", "ModifyReplicationGroup", params, state)
    };
    let waits = || group(json!({"CacheNodeType": "x"}));
    assert!(matches!(make(waits()), Err(NoStep::Unclear(_))));
    let step = make(group(json!({}))).unwrap();
    let bench = Bench::new();
    let aws = Aws::new(json!({"ReplicationGroups": [waits()]}), &[]);
    let run = bench.apply(&aws, &plan(vec![item(1, step)]));
    assert_eq!(run.outcome(1), Some(Outcome::Stale));
    assert_eq!(aws.sent(), Vec::<Json>::new());
}

#[test]
fn a_hand_written_plan_must_be_what_the_change_files_make() {
    let step = events();
    assert!(check_calls(&item(1, step.clone()), None, &CATALOG).is_ok());
    let other = |change: &dyn Fn(&mut Step)| {
        let mut step = step.clone();
        change(&mut step);
        check_calls(&item(1, step), None, &CATALOG)
    };
    let bucket = |params: &mut Map<String, Json>| {
        params.insert("Bucket".to_owned(), json!("other"));
    };
    for (what, changed) in [
        ("read", other(&|s| bucket(&mut s.read.call.params))),
        ("absent", other(&|s| s.read.absent.push("X".to_owned()))),
        ("attributes", other(&|s| s.attributes.clear())),
        (
            "path",
            other(&|s| s.attributes[0].from = "Other".to_owned()),
        ),
        (
            "inverse",
            other(&|s| bucket(&mut s.inverse.as_mut().unwrap().params)),
        ),
        (
            "parameter",
            other(&|s| {
                let params = &mut s.call.params;
                params.insert("SkipDestinationValidation".to_owned(), json!(true));
            }),
        ),
    ] {
        assert!(changed.is_err(), "{what}");
    }
    // an inverse that deletes is for what was not there
    let params =
        json!({"Bucket": "a", "PublicAccessBlockConfiguration": {"BlockPublicAcls": true}});
    let make = |state| try_step("s3", "PutPublicAccessBlock", params.clone(), state).unwrap();
    let created = make(Json::Null);
    let deletes = created.inverse.clone().unwrap();
    assert_eq!(deletes.operation, "DeletePublicAccessBlock");
    assert!(check_calls(&item(1, created), None, &CATALOG).is_ok());
    let there = json!({"BlockPublicAcls": false, "IgnorePublicAcls": true});
    let mut changed = make(json!({"PublicAccessBlockConfiguration": there}));
    changed.attributes[0].before = there;
    assert!(check_calls(&item(1, changed.clone()), None, &CATALOG).is_ok());
    changed.inverse = Some(deletes);
    assert!(check_calls(&item(1, changed), None, &CATALOG).is_err());
}

#[test]
fn an_undo_is_approved_as_it_is() {
    let bench = Bench::new();
    let does = [Does::Made(Some(events_after()))];
    let aws = Aws::new(BEFORE(), &does);
    let plan = plan(vec![item(1, events())]);
    let run = bench.apply(&aws, &plan);
    let hash = undo_hash(&run, &[]);
    assert_eq!(hash.len(), 64);
    assert_ne!(hash, plan.hash);
    assert_ne!(hash, undo_hash(&run, &[1]));
    let mut other = run.clone();
    let inverse = other.plan.items[0].steps[0].inverse.as_mut().unwrap();
    inverse.params.insert("Bucket".to_owned(), json!("b"));
    assert_ne!(hash, undo_hash(&other, &[]));
    assert!(crate::undo_text(&run, &[]).contains("put-bucket-notification-configuration"));
    aws.will(Does::Made(Some(BEFORE())));
    bench.undo(&aws);
    // nothing stands any more
    assert_ne!(hash, undo_hash(&bench.run(), &[]));
}

#[test]
fn settings_that_a_call_would_lose() {
    // filters of tags that may move
    let ecr = |filters: Json| {
        let params = json!({"repositoryName": "a", "imageTagMutability": "IMMUTABLE"});
        let state =
            json!({"imageTagMutability": "MUTABLE", "imageTagMutabilityExclusionFilters": filters});
        try_step("ecr", "PutImageTagMutability", params, state)
    };
    assert!(ecr(Json::Null).is_ok());
    assert!(ecr(json!([])).is_ok());
    let filter = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    assert!(matches!(ecr(filter), Err(NoStep::Unclear(_))));
    // the least size of objects that S3 moves
    let rule = |id: &str| json!({"ID": id, "Status": "Enabled"});
    let params = json!({"Bucket": "a", "LifecycleConfiguration": {"Rules": [rule("new")]}});
    let state = json!({"Rules": [rule("old")], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"});
    let step = try_step("s3", "PutBucketLifecycleConfiguration", params, state).unwrap();
    for call in [&step.call, step.inverse.as_ref().unwrap()] {
        let size = &call.params["TransitionDefaultMinimumObjectSize"];
        assert_eq!(size, "varies_by_storage_class", "{}", call.name());
    }
    let rules = &step.call.params["LifecycleConfiguration"]["Rules"];
    assert_eq!(rules, &json!([rule("old"), rule("new")]));
}

#[test]
fn journals_that_are_damaged_do_not_hide_the_others() {
    let bench = Bench::new();
    killed(&bench);
    let run = bench.run();
    // cut off in the midst of a letter
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&run.path)
        .unwrap();
    file.write_all(b"{\"event\":\"\xc3").unwrap();
    assert_eq!(bench.run().events, run.events);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&run.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    std::fs::write(bench.folder.path().join("0-empty.jsonl"), "").unwrap();
    let all = list_runs(bench.folder.path()).unwrap();
    assert_eq!(
        all.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true]
    );
    let text = crate::runs_text(&all);
    assert!(
        text.contains("does not read") && text.contains(&run.name),
        "{text}"
    );
    // folders on the way are made
    let deep = bench.folder.path().join("a/b");
    let made = Journal::begin(&deep, &run.plan, &who(), Timestamp::from_micros(0)).unwrap();
    assert!(made.path().starts_with(Path::new(&deep)));
}

//! Every fault at applying, going on and taking back; a process that is killed after every line of its journal; several
//! accounts. The fake AWS keeps state: a call that is made takes effect, and is counted.
use super::*;
use crate::{Limits, check_limits, check_plan};
use std::collections::BTreeMap;

/// What goes wrong with a changing call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Refused, not done.
    Denied,
    /// Refused for now, not done.
    Throttled,
    /// Done, and the answer is 500.
    ServerErrorAfter,
    /// Done, and no answer.
    SilentAfter,
    /// Not done, and no answer.
    SilentBefore,
}

const FAULTS: [Fault; 5] = [
    Fault::Denied,
    Fault::Throttled,
    Fault::ServerErrorAfter,
    Fault::SilentAfter,
    Fault::SilentBefore,
];

/// Bucket → what it notifies, and how often that was changed.
#[derive(Debug, Clone, Default, PartialEq)]
struct World {
    states: BTreeMap<String, Json>,
    effects: BTreeMap<String, usize>,
    faults: VecDeque<Fault>,
    /// Its changes are refused.
    denied: Option<String>,
}

#[derive(Debug, Default)]
struct Live(Mutex<World>);

impl Live {
    fn new(buckets: &[&str]) -> Self {
        let live = Self::default();
        for bucket in buckets {
            let mut world = live.0.lock().unwrap();
            world.states.insert((*bucket).to_owned(), BEFORE());
        }
        live
    }
    fn fail(&self, fault: Fault) {
        self.0.lock().unwrap().faults.push_back(fault);
    }
    fn world(&self) -> World {
        self.0.lock().unwrap().clone()
    }
    fn state(&self, bucket: &str) -> Json {
        self.world().states[bucket].clone()
    }
    fn effects(&self, bucket: &str) -> usize {
        self.world()
            .effects
            .get(bucket)
            .copied()
            .unwrap_or_default()
    }
}

impl Api for Live {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        let mut world = self.0.lock().unwrap();
        let bucket = request.params["Bucket"].as_str().unwrap().to_owned();
        let answer = if request.operation.starts_with("Get") {
            Ok(Page {
                value: Value::Json(Box::new(world.states[&bucket].clone())),
                next: None,
            })
        } else {
            let denied = world.denied.as_ref() == Some(&bucket);
            let fault = world.faults.pop_front().or(denied.then_some(Fault::Denied));
            let refused = matches!(
                fault,
                Some(Fault::Denied | Fault::Throttled | Fault::SilentBefore)
            );
            if !refused {
                let wanted = request.params["NotificationConfiguration"].clone();
                world.states.insert(bucket.clone(), wanted);
                *world.effects.entry(bucket).or_default() += 1;
            }
            let (kind, code) = match fault {
                None => return Box::pin(async { Ok(Page::default()) }),
                Some(Fault::Denied) => (CallErrorKind::Denied, "AccessDenied"),
                Some(Fault::Throttled) => (CallErrorKind::Throttled, "SlowDown"),
                Some(Fault::ServerErrorAfter) => (CallErrorKind::Server, "InternalError"),
                Some(_) => (CallErrorKind::Timeout, "Timeout"),
            };
            Err(ApiError {
                kind,
                code: code.to_owned(),
                message: String::new(),
            })
        };
        Box::pin(async move { answer })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

fn of(number: usize, bucket: &str) -> Item {
    let step = try_step(
        "s3",
        "PutBucketNotificationConfiguration",
        json!({"Bucket": bucket, "NotificationConfiguration": {"EventBridgeConfiguration": {}}}),
        BEFORE(),
    );
    let mut item = item(number, step.unwrap());
    item.resource = format!("arn:aws:s3:::{bucket}");
    bucket.clone_into(&mut item.resource_id);
    item
}

/// What applying or going on comes to, and whether the state is the wanted one then.
fn after_fault(fault: Fault) -> (Outcome, bool) {
    match fault {
        Fault::Denied => (Outcome::Failed, false),
        Fault::Throttled | Fault::ServerErrorAfter | Fault::SilentAfter => (Outcome::Fixed, true),
        // one second is too little to say that it never will be
        Fault::SilentBefore => (Outcome::Unclear, false),
    }
}

/// Whatever happened: going on makes the change once and no more, and taking back brings back what was there.
fn ends_well(bench: &Bench, live: &Live, fault: Fault) {
    if !after_fault(fault).1 && fault != Fault::SilentBefore {
        assert_eq!(
            bench.resume(live).outcome(1),
            Some(Outcome::Fixed),
            "{fault:?}"
        );
    }
    if fault == Fault::SilentBefore {
        // it is not sent a second time while the first may still take effect
        assert_eq!(bench.resume(live).outcome(1), Some(Outcome::Unclear));
        assert_eq!(live.effects("a"), 0);
        assert!(bench.run().step(1, 0).may_stand());
        return;
    }
    assert_eq!(
        (live.state("a"), live.effects("a")),
        (events_after(), 1),
        "{fault:?}"
    );
    assert_eq!(bench.undo(live).1, Outcome::Undone, "{fault:?}");
    assert_eq!(
        (live.state("a"), live.effects("a")),
        (BEFORE(), 2),
        "{fault:?}"
    );
}

#[test]
fn every_fault_of_applying() {
    for fault in FAULTS {
        let (bench, live) = (Bench::new(), Live::new(&["a"]));
        live.fail(fault);
        let run = bench.apply(&live, &plan(vec![of(1, "a")]));
        let (outcome, made) = after_fault(fault);
        assert_eq!(run.outcome(1), Some(outcome), "{fault:?}");
        assert_eq!(live.effects("a"), usize::from(made), "{fault:?}");
        // what may stand is never told to be nothing
        assert_eq!(
            run.step(1, 0).may_stand(),
            fault != Fault::Denied,
            "{fault:?}"
        );
        ends_well(&bench, &live, fault);
    }
}

#[test]
fn every_fault_of_going_on() {
    for fault in FAULTS {
        let (bench, live) = (Bench::new(), Live::new(&["a"]));
        // the first attempt was refused
        live.fail(Fault::Denied);
        bench.apply(&live, &plan(vec![of(1, "a")]));
        live.fail(fault);
        let run = bench.resume(&live);
        let (outcome, made) = after_fault(fault);
        assert_eq!(run.outcome(1), Some(outcome), "{fault:?}");
        assert_eq!(live.effects("a"), usize::from(made), "{fault:?}");
        ends_well(&bench, &live, fault);
    }
}

#[test]
fn every_fault_of_taking_back() {
    for fault in FAULTS {
        let (bench, live) = (Bench::new(), Live::new(&["a"]));
        bench.apply(&live, &plan(vec![of(1, "a")]));
        live.fail(fault);
        let (counted, outcome) = bench.undo(&live);
        let (expected, back) = match fault {
            Fault::Denied => (Outcome::Failed, false),
            Fault::SilentBefore => (Outcome::Unclear, false),
            _ => (Outcome::Undone, true),
        };
        assert_eq!(outcome, expected, "{fault:?}");
        assert_eq!(
            (counted.undone, counted.left),
            (usize::from(back), usize::from(!back))
        );
        assert_eq!(bench.run().step(1, 0).may_stand(), !back, "{fault:?}");
        if !back {
            // a second time brings it back
            assert_eq!(live.state("a"), events_after(), "{fault:?}");
            assert_eq!(bench.undo(&live).1, Outcome::Undone, "{fault:?}");
        }
        // once there, once back, and nothing more
        assert_eq!(
            (live.state("a"), live.effects("a")),
            (BEFORE(), 2),
            "{fault:?}"
        );
    }
}

/// The lines of a journal, and the world after each.
fn watched(bench: &Bench, live: &Live, work: impl AsyncFnOnce(&Apply<'_>)) -> Vec<World> {
    let worlds = Mutex::new(Vec::new());
    let notify = |_: &Event| worlds.lock().unwrap().push(live.world());
    bench.told(live, &notify, work);
    worlds.into_inner().unwrap()
}

/// A bench whose only run was killed after so many lines.
fn killed_after(lines: &[&str], count: usize, name: &str) -> Bench {
    let bench = Bench::new();
    let text = format!("{}\n", lines[..count].join("\n"));
    let path = bench.folder.path().join(format!("{name}.jsonl"));
    std::fs::write(path, text).unwrap();
    bench
}

#[test]
fn killed_after_every_line() {
    let (bench, live) = (Bench::new(), Live::new(&["a", "b"]));
    let plan = plan(vec![of(1, "a"), of(2, "b")]);
    let mut journal = bench.begin(&plan);
    let mut worlds = vec![live.world()];
    worlds.extend(watched(&bench, &live, async |apply| {
        assert!(apply.run(&plan, &mut journal, None).await.unwrap());
    }));
    drop(journal);
    let applied = worlds.len();
    let run = bench.run();
    let mut journal = Journal::open(&run).unwrap();
    worlds.extend(watched(&bench, &live, async |apply| {
        let undo = Undo {
            apply,
            catalog: &CATALOG,
            items: &[],
        };
        undo.run(&run, &who(), &mut journal).await.unwrap();
    }));
    let text = std::fs::read_to_string(&run.path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), worlds.len());
    assert!(applied > 8 && lines.len() > applied + 8, "{}", lines.len());

    for count in 1..=lines.len() {
        let said: Json = serde_json::from_str(lines[count - 1]).unwrap();
        let is_call = said["event"] == "call";
        // killed before the call went out, or after it was made
        for made in [false, true] {
            if made && !is_call {
                continue;
            }
            let what = format!("line {count} of {}, call made: {made}", lines.len());
            let bench = killed_after(&lines, count, &run.name);
            let live = Live::default();
            let next = worlds.get(count).filter(|_| made);
            *live.0.lock().unwrap() = next.unwrap_or(&worlds[count - 1]).clone();
            if count <= applied {
                let resumed = bench.resume(&live);
                if is_call && !made {
                    // it may still take effect: not sent again before its time has passed
                    let number = usize::try_from(said["item"].as_u64().unwrap()).unwrap();
                    assert_eq!(resumed.outcome(number), Some(Outcome::Unclear), "{what}");
                    continue;
                }
                for (number, bucket) in [(1, "a"), (2, "b")] {
                    let good = resumed.outcome(number).is_some_and(Outcome::is_wanted);
                    assert!(good, "{what}: {:?}", resumed.outcome(number));
                    let now = (live.state(bucket), live.effects(bucket));
                    assert_eq!(now, (events_after(), 1), "{what}");
                }
            }
            if count < lines.len() - 1 {
                let run = bench.run();
                let stands = (1..=2).any(|n| run.step(n, 0).may_stand());
                if stands {
                    bench.undo(&live);
                }
            }
            for bucket in ["a", "b"] {
                let now = (live.state(bucket), live.effects(bucket));
                assert_eq!(now, (BEFORE(), 2), "{what}");
            }
        }
    }
}

#[test]
fn several_accounts() {
    let in_account = |number: usize, account: &str, bucket: &str| {
        let mut item = of(number, bucket);
        account.clone_into(&mut item.account_id);
        item
    };
    let plan = plan(vec![
        in_account(1, "111111111111", "a"),
        in_account(2, "222222222222", "b"),
        in_account(3, "222222222222", "c"),
        in_account(4, "111111111111", "d"),
        in_account(5, NOBODYS, "e"),
    ]);
    // a plan is for the accounts that there are credentials for
    let here = ["111111111111".to_owned(), "222222222222".to_owned()];
    let now = Timestamp::from_micros(0);
    let other = check_plan(&plan, &CATALOG, &here, now)
        .unwrap_err()
        .to_string();
    assert!(other.contains(NOBODYS), "{other}");
    let all = [here[0].clone(), here[1].clone(), NOBODYS.to_owned()];
    check_plan(&plan, &CATALOG, &all, now).unwrap();
    // limits count in each account
    let limits = |per_account| Limits {
        resources: 5,
        per_account,
        production: Vec::new(),
        allowed: Vec::new(),
        irreversible: false,
    };
    check_limits(&plan, &limits(2)).unwrap();
    let beyond = check_limits(&plan, &limits(1)).unwrap_err().to_string();
    assert!(
        beyond.contains("2 resources in account 111111111111"),
        "{beyond}"
    );

    // each account has a canary of its own: what is wrong in one is not tried again there, and the others go on
    let mut bench = Bench::new();
    bench.keep_going = true;
    let live = Live::new(&["a", "b", "c", "d", "e"]);
    live.0.lock().unwrap().denied = Some("b".to_owned());
    let run = bench.apply(&live, &plan);
    assert_eq!(run.outcome(1), Some(Outcome::Fixed));
    assert_eq!(run.outcome(2), Some(Outcome::Failed));
    assert_eq!(run.outcome(3), None, "the canary of its account failed");
    assert_eq!(run.outcome(4), Some(Outcome::Fixed));
    assert_eq!(run.outcome(5), Some(Outcome::Failed), "no credentials");
    assert!(matches!(
        run.events.last(),
        Some(Event::End { stopped: true, .. })
    ));
}

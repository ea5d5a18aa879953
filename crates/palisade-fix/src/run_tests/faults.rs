//! Every fault at applying, going on and taking back; a process that is killed after every line of its journal; several
//! accounts. The fake AWS keeps state: a call that is made takes effect, and is counted. What is changed is a whole that the
//! call replaces (what a bucket notifies), and a list from which it takes what it names (rules of a security group).
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

/// A change of one resource: what AWS describes before and after it.
struct Kind {
    name: &'static str,
    item: fn(usize, &str) -> Item,
    before: fn() -> Json,
    after: fn() -> Json,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "notifications of a bucket",
        item: of,
        before: BEFORE,
        after: events_after,
    },
    Kind {
        name: "rules of a group",
        item: of_group,
        before: rules,
        after: rules_after,
    },
];

/// Resource → what AWS describes, and how often that was changed.
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
        Self::of(&KINDS[0], buckets)
    }
    fn of(kind: &Kind, resources: &[&str]) -> Self {
        let live = Self::default();
        for name in resources {
            let mut world = live.0.lock().unwrap();
            world.states.insert((*name).to_owned(), (kind.before)());
        }
        live
    }
    fn fail(&self, fault: Fault) {
        self.0.lock().unwrap().faults.push_back(fault);
    }
    fn set(&self, name: &str, state: Json) {
        self.0.lock().unwrap().states.insert(name.to_owned(), state);
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
        let name = ["Bucket", "GroupId", "GroupIds"].iter().find_map(|n| {
            let name = request.params.get(*n)?;
            name.as_str().or_else(|| name[0].as_str())
        });
        let bucket = name.unwrap().to_owned();
        let reads = ["Get", "Describe"];
        let answer = if reads.iter().any(|r| request.operation.starts_with(r)) {
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
                let now = made(request.operation, request.params, &world.states[&bucket]);
                world.states.insert(bucket.clone(), now);
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

/// What AWS describes after a call.
fn made(operation: &str, params: &Map<String, Json>, now: &Json) -> Json {
    let rules = || now["SecurityGroups"][0]["IpPermissions"].clone();
    let with = |rules: Vec<Json>| json!({"SecurityGroups": [{"IpPermissions": rules}]});
    match operation {
        "RevokeSecurityGroupIngress" => {
            let items = CATALOG.changes["ec2"][operation].items.as_ref().unwrap();
            let made = crate::items::make(items, params, rules().as_array().unwrap());
            with(made.unwrap().after)
        }
        "AuthorizeSecurityGroupIngress" => {
            let mut rules = rules().as_array().unwrap().clone();
            for new in params["IpPermissions"].as_array().unwrap() {
                let same = |r: &&mut Json| r["FromPort"] == new["FromPort"];
                match rules.iter_mut().find(same) {
                    Some(rule) => {
                        let more = new["IpRanges"].as_array().unwrap().clone();
                        rule["IpRanges"].as_array_mut().unwrap().extend(more);
                    }
                    None => rules.push(new.clone()),
                }
            }
            with(rules)
        }
        _ => params["NotificationConfiguration"].clone(),
    }
}

fn rules() -> Json {
    json!({"SecurityGroups": [{"IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
         "IpRanges": [{"CidrIp": "0.0.0.0/0", "Description": "for a day"}, {"CidrIp": "10.0.0.0/8"}]},
        {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]}]})
}

fn rules_after() -> Json {
    json!({"SecurityGroups": [{"IpPermissions": [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]},
    ]}]})
}

/// Revokes what is open to everybody.
fn of_group(number: usize, group: &str) -> Item {
    let open = |port: u16| json!({"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]});
    let step = try_step(
        "ec2",
        "RevokeSecurityGroupIngress",
        json!({"GroupId": group, "IpPermissions": [open(22), open(3389), open(443)]}),
        rules()["SecurityGroups"][0].clone(),
    );
    let mut item = item(number, step.unwrap());
    item.resource = format!("arn:aws:ec2:us-east-1:123456789012:security-group/{group}");
    group.clone_into(&mut item.resource_id);
    item
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
fn ends_well(kind: &Kind, bench: &Bench, live: &Live, fault: Fault) {
    let what = format!("{fault:?} of {}", kind.name);
    if !after_fault(fault).1 && fault != Fault::SilentBefore {
        assert_eq!(
            bench.resume(live).outcome(1),
            Some(Outcome::Fixed),
            "{what}"
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
        (same(live.state("a")), live.effects("a")),
        (same((kind.after)()), 1),
        "{what}"
    );
    assert_eq!(bench.undo(live).1, Outcome::Undone, "{what}");
    assert_eq!(
        (same(live.state("a")), live.effects("a")),
        (same((kind.before)()), 2),
        "{what}"
    );
}

/// A state in which the order of lists says nothing, as AWS's does.
fn same(state: Json) -> Json {
    match state {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.into_iter().map(same).collect();
            items.sort_by_key(Json::to_string);
            Json::Array(items)
        }
        Json::Object(map) => {
            let mut map: Vec<_> = map.into_iter().map(|(n, v)| (n, same(v))).collect();
            map.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(map.into_iter().collect())
        }
        other => other,
    }
}

fn every_fault() -> impl Iterator<Item = (&'static Kind, Fault)> {
    static ALL: [Kind; 2] = KINDS;
    ALL.iter()
        .flat_map(|kind| FAULTS.into_iter().map(move |fault| (kind, fault)))
}

#[test]
fn every_fault_of_applying() {
    for (kind, fault) in every_fault() {
        let what = format!("{fault:?} of {}", kind.name);
        let (bench, live) = (Bench::new(), Live::of(kind, &["a"]));
        live.fail(fault);
        let run = bench.apply(&live, &plan(vec![(kind.item)(1, "a")]));
        let (outcome, made) = after_fault(fault);
        assert_eq!(run.outcome(1), Some(outcome), "{what}");
        assert_eq!(live.effects("a"), usize::from(made), "{what}");
        // what may stand is never told to be nothing
        assert_eq!(run.step(1, 0).may_stand(), fault != Fault::Denied, "{what}");
        ends_well(kind, &bench, &live, fault);
    }
}

#[test]
fn every_fault_of_going_on() {
    for (kind, fault) in every_fault() {
        let what = format!("{fault:?} of {}", kind.name);
        let (bench, live) = (Bench::new(), Live::of(kind, &["a"]));
        // the first attempt was refused
        live.fail(Fault::Denied);
        bench.apply(&live, &plan(vec![(kind.item)(1, "a")]));
        live.fail(fault);
        let run = bench.resume(&live);
        let (outcome, made) = after_fault(fault);
        assert_eq!(run.outcome(1), Some(outcome), "{what}");
        assert_eq!(live.effects("a"), usize::from(made), "{what}");
        ends_well(kind, &bench, &live, fault);
    }
}

#[test]
fn every_fault_of_taking_back() {
    for (kind, fault) in every_fault() {
        let what = format!("{fault:?} of {}", kind.name);
        let (bench, live) = (Bench::new(), Live::of(kind, &["a"]));
        bench.apply(&live, &plan(vec![(kind.item)(1, "a")]));
        live.fail(fault);
        let (counted, outcome) = bench.undo(&live);
        let (expected, back) = match fault {
            Fault::Denied => (Outcome::Failed, false),
            Fault::SilentBefore => (Outcome::Unclear, false),
            _ => (Outcome::Undone, true),
        };
        assert_eq!(outcome, expected, "{what}");
        assert_eq!(
            (counted.undone, counted.left),
            (usize::from(back), usize::from(!back))
        );
        assert_eq!(bench.run().step(1, 0).may_stand(), !back, "{what}");
        if !back {
            // a second time brings it back
            assert_eq!(same(live.state("a")), same((kind.after)()), "{what}");
            assert_eq!(bench.undo(&live).1, Outcome::Undone, "{what}");
        }
        // once there, once back, and nothing more
        assert_eq!(
            (same(live.state("a")), live.effects("a")),
            (same((kind.before)()), 2),
            "{what}"
        );
    }
}

#[test]
fn rules_of_a_group_are_compared_and_come_back() {
    let kind = &KINDS[1];
    let planned = plan(vec![(kind.item)(1, "a")]);
    let step = &planned.items[0].steps[0];
    // what is not there any more is not sent, and what is described comes back
    let sent = &step.call.params["IpPermissions"];
    assert_eq!(sent.as_array().unwrap().len(), 2);
    let back = &step.inverse.as_ref().unwrap().params["IpPermissions"];
    assert_eq!(back[0]["IpRanges"][0]["Description"], "for a day");
    let shown = crate::plan_text(&planned);
    for line in [
        "IpPermissions: 3 -> 1",
        "- IpProtocol tcp, FromPort 22, ToPort 22, IpRanges: CidrIp 0.0.0.0/0, Description for a day",
        "- IpProtocol tcp, FromPort 3389, ToPort 3389, IpRanges: CidrIp 0.0.0.0/0",
        "not brought back: the ids of the rules",
    ] {
        assert!(shown.contains(line), "{line}:\n{shown}");
    }
    assert!(!shown.contains("10.0.0.0/8"), "{shown}");
    check_calls(&planned.items[0], None, &CATALOG).unwrap();

    // a rule was added since the plan was made: nothing is sent
    let (bench, live) = (Bench::new(), Live::of(kind, &["a"]));
    let more = |state: Json| {
        let mut state = state;
        let rule = json!({"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]});
        let rules = state["SecurityGroups"][0]["IpPermissions"].as_array_mut();
        rules.unwrap().push(rule);
        state
    };
    live.set("a", more(rules()));
    let run = bench.apply(&live, &planned);
    assert_eq!(run.outcome(1), Some(Outcome::Stale));
    assert_eq!((live.state("a"), live.effects("a")), (more(rules()), 0));

    // and one that was added after it was applied is not touched by taking back
    let (bench, live) = (Bench::new(), Live::of(kind, &["a"]));
    bench.apply(&live, &planned);
    live.set("a", more(rules_after()));
    assert_eq!(bench.undo(&live).1, Outcome::Stale);
    assert_eq!(live.state("a"), more(rules_after()));

    // a plan that takes more than it says, or gives back more than it took, is none
    let tampered = |change: fn(&mut Step)| {
        let mut item = planned.items[0].clone();
        change(&mut item.steps[0]);
        check_calls(&item, None, &CATALOG).unwrap_err().to_string()
    };
    let more_sent = tampered(|step| {
        let rules = step.call.params["IpPermissions"].as_array_mut().unwrap();
        rules[0]["IpRanges"] = json!([{"CidrIp": "0.0.0.0/0"}, {"CidrIp": "10.0.0.0/8"}]);
    });
    assert!(more_sent.contains("makes something else"), "{more_sent}");
    let other_after = tampered(|step| step.attributes[0].after = json!([]));
    assert!(
        other_after.contains("makes something else"),
        "{other_after}"
    );
    let more_back = tampered(|step| {
        let inverse = step.inverse.as_mut().unwrap();
        inverse.params["IpPermissions"][0]["FromPort"] = json!(0);
    });
    assert!(more_back.contains("does not take it back"), "{more_back}");
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

//! Makes the calls of a plan: one bounded scheduler over all accounts, regions and services.
//!
//! Everything that decides is synchronous and in one place (`Account`); tasks only make calls. A call is made as soon as
//! what it needs is known and a slot is free, the longest chain of calls first. Memory is bounded by preference, not by
//! waiting: while many rows wait for calls of their own, these calls go before further pages of lists, so that no two
//! parts of the work can wait for each other.
mod account;
mod batch;
mod calls;
mod issue;
mod narrow;
mod output;
mod place;
mod queue;
mod rows;
mod state;
mod tags;
mod tally;
mod view;

use crate::plan::Plan;
use crate::request::{
    AccountTarget, Collected, Early, Limits, Narrowed, Narrowing, Progress, Silent, Targets,
};
use account::{Account, Shared};
use calls::{Answered, Asked, not_made};
use narrow::Wants;
use palisade_core::CallErrorKind;
use palisade_model::{Api, ApiError, CallRequest, OperationStatistics};
use palisade_table::{Dataset, Gap, Table};
use queue::{Item, Queue, Work};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tally::Tally;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::MissedTickBehavior;

/// The first pause before a `before` call is repeated; each further one is half as long again, up to five seconds.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often throttling is reported.
const REPORT: Duration = Duration::from_millis(250);

/// Something that a task came back with.
enum Event {
    Answered(Answered),
    /// The pause is over: the call is made again.
    Again,
}

struct Engine<'r> {
    shared: Shared<'r>,
    targets: Vec<&'r AccountTarget>,
    accounts: Vec<Option<Account<'r>>>,
    /// What finished accounts gave, by table.
    results: Vec<Vec<(Vec<palisade_table::Batch>, Vec<Gap>)>>,
    tasks: JoinSet<Event>,
    /// What each task works for.
    running: HashMap<Id, Running>,
    in_flight: usize,
}

#[derive(Clone, Copy)]
struct Running {
    account: usize,
    call: usize,
    service: usize,
    /// Pauses take no slot.
    takes_slot: bool,
}

/// Makes the calls of a plan and gives the tables. `cancel` turning true stops it: calls that were not made become gaps
/// and failures of kind `not_made`, and the coverage says that it was interrupted.
///
/// Must run inside a Tokio runtime with time enabled. The result is the same whatever the order of answers.
pub async fn run(
    plan: &Plan,
    targets: &Targets,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
) -> Collected {
    run_telling(plan, targets, limits, progress, cancel, &Silent).await
}

/// As [`run`]; tables are handed over as soon as they are whole.
pub async fn run_telling(
    plan: &Plan,
    targets: &Targets,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
    early: &dyn Early,
) -> Collected {
    let nothing = Narrowing::new();
    let told = Told { progress, early };
    let narrowed = make_all(plan, targets, limits, told, cancel, &nothing);
    narrowed.await.collected
}

/// As [`run`], for some rows of some tables: lists are made where wanted rows may be, and of the calls for rows those that
/// concern wanted ones.
pub async fn run_narrowed(
    plan: &Plan,
    targets: &Targets,
    limits: &Limits,
    progress: &dyn Progress,
    cancel: watch::Receiver<bool>,
    narrowing: &Narrowing,
) -> Narrowed {
    let told = Told {
        progress,
        early: &Silent,
    };
    make_all(plan, targets, limits, told, cancel, narrowing).await
}

/// Who hears of the work.
#[derive(Clone, Copy)]
struct Told<'t> {
    progress: &'t dyn Progress,
    early: &'t dyn Early,
}

async fn make_all(
    plan: &Plan,
    targets: &Targets,
    limits: &Limits,
    told: Told<'_>,
    cancel: watch::Receiver<bool>,
    narrowing: &Narrowing,
) -> Narrowed {
    let mut sorted: Vec<&AccountTarget> = targets.accounts.iter().collect();
    sorted.sort_by(|a, b| a.account_id.cmp(&b.account_id));
    let before = sent(&sorted);
    let shared = Shared {
        plan,
        wants: Wants::of(plan, narrowing),
        limits,
        regions: &targets.regions,
        progress: told.progress,
        early: told.early,
        queue: Queue::default(),
        tally: Tally::default(),
        waiting_rows: 0,
        interrupted: false,
    };
    let mut engine = Engine {
        shared,
        accounts: sorted.iter().map(|_| None).collect(),
        results: sorted.iter().map(|_| Vec::new()).collect(),
        targets: sorted,
        tasks: JoinSet::new(),
        running: HashMap::new(),
        in_flight: 0,
    };
    engine.drive(cancel, &before).await;
    let collected = engine.collected(&before);
    let gone = narrow::gone(&collected.dataset, narrowing);
    Narrowed { collected, gone }
}

impl<'r> Engine<'r> {
    async fn drive(
        &mut self,
        mut cancel: watch::Receiver<bool>,
        before: &BTreeMap<(String, String), OperationStatistics>,
    ) {
        let mut next_account = 0;
        let mut watching = true;
        let mut report = tokio::time::interval(REPORT);
        report.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if *cancel.borrow() && !self.shared.interrupted {
                self.interrupt();
            }
            // Accounts begin one after the other, as soon as there is room for more work.
            while self.shared.queue.len() < self.shared.limits.in_flight.max(1)
                && let Some(target) = self.targets.get(next_account).copied()
            {
                let mut account = Account::new(next_account, self.shared.plan, target);
                account.start(&mut self.shared);
                if let Some(place) = self.accounts.get_mut(next_account) {
                    *place = Some(account);
                }
                self.retire(next_account);
                next_account += 1;
            }
            self.fill_slots();
            if self.tasks.is_empty() {
                let idle = self.shared.queue.len() == 0 && next_account >= self.targets.len();
                if idle {
                    self.abandon();
                    return;
                }
                continue;
            }
            tokio::select! {
                biased;
                changed = cancel.changed(), if watching && !self.shared.interrupted => watching = changed.is_ok(),
                joined = self.tasks.join_next_with_id() => match joined {
                    Some(Ok((id, event))) => self.joined(id, event),
                    Some(Err(error)) => {
                        let code = "Internal".to_owned();
                        let message = "the call ended without an answer".to_owned();
                        let lost = ApiError { kind: CallErrorKind::Other, code, message };
                        self.joined(error.id(), Event::Answered(Err(lost)));
                    }
                    None => {}
                },
                _ = report.tick() => self.report(before),
            }
        }
    }

    fn fill_slots(&mut self) {
        let slots = self.shared.limits.in_flight.max(1);
        while self.shared.interrupted || self.in_flight < slots {
            let pressed = self.shared.waiting_rows > self.shared.limits.waiting_rows;
            let Some(item) = self.shared.queue.pop(pressed, slots) else {
                return;
            };
            self.issue(item);
        }
    }

    fn issue(&mut self, item: Item) {
        let Some(account) = self.accounts.get_mut(item.account).and_then(Option::as_mut) else {
            return;
        };
        let call = match item.work {
            Work::Call(call) => Some(call),
            Work::Slot { group, slot } => account.issue_slot(group, slot, &mut self.shared),
            Work::Child { group, child } => account.issue_child(group, child, &mut self.shared),
            Work::Batch(batch) => account.issue_batch(batch, &mut self.shared),
        };
        let target = account.target;
        if let Some(asked) = call.and_then(|call| account.ask(call)) {
            if self.shared.interrupted {
                account.answered(asked.call, Err(not_made()), &mut self.shared);
            } else {
                self.shared.queue.started(item.account, item.service);
                self.in_flight += 1;
                let running = Running {
                    account: item.account,
                    call: asked.call,
                    service: item.service,
                    takes_slot: true,
                };
                let task = self.tasks.spawn(make(Arc::clone(&target.api), asked));
                self.running.insert(task.id(), running);
            }
        }
        self.retire(item.account);
    }

    fn joined(&mut self, id: Id, event: Event) {
        let Some(running) = self.running.remove(&id) else {
            return;
        };
        if running.takes_slot {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.shared.queue.ended(running.account, running.service);
        }
        let Some(account) = self
            .accounts
            .get_mut(running.account)
            .and_then(Option::as_mut)
        else {
            return;
        };
        match event {
            Event::Again => account.enqueue(running.call, &mut self.shared),
            Event::Answered(answered) => {
                if let Some(attempts) = account.answered(running.call, answered, &mut self.shared) {
                    let task = self.tasks.spawn(pause(attempts));
                    self.running.insert(
                        task.id(),
                        Running {
                            takes_slot: false,
                            ..running
                        },
                    );
                }
            }
        }
        self.retire(running.account);
    }

    /// Stops all calls that are under way, and lets everything that waits end without being made.
    fn interrupt(&mut self) {
        self.shared.interrupted = true;
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        self.in_flight = 0;
        let mut stopped: Vec<Running> = self.running.drain().map(|(_, running)| running).collect();
        stopped.sort_by_key(|r| (r.account, r.call));
        for running in stopped {
            if let Some(account) = self
                .accounts
                .get_mut(running.account)
                .and_then(Option::as_mut)
            {
                account.answered(running.call, Err(not_made()), &mut self.shared);
            }
            self.retire(running.account);
        }
    }

    /// Nothing is left to wait for: whatever is still open will never be answered. That would be a bug of ours, and it
    /// must not look like an empty account.
    fn abandon(&mut self) {
        for index in 0..self.accounts.len() {
            if let Some(account) = self.accounts.get_mut(index).and_then(Option::as_mut) {
                account.abandon(&mut self.shared);
            }
            self.retire(index);
        }
    }

    /// Hands over the tables of an account that have become whole, and lets go of an account that is done.
    fn retire(&mut self, index: usize) {
        let Some(place) = self.accounts.get_mut(index) else {
            return;
        };
        if let Some(account) = place {
            account.hand_over(&mut self.shared);
        }
        if !place.as_ref().is_some_and(Account::is_done) {
            return;
        }
        if let Some(account) = place.take()
            && let Some(result) = self.results.get_mut(index)
        {
            *result = account.finish(&mut self.shared);
        }
    }

    fn report(&self, before: &BTreeMap<(String, String), OperationStatistics>) {
        let now = sent(&self.targets);
        let total =
            |all: &BTreeMap<_, OperationStatistics>| all.values().map(|s| s.throttled).sum::<u64>();
        self.shared
            .progress
            .throttled(total(&now).saturating_sub(total(before)));
    }

    fn collected(mut self, before: &BTreeMap<(String, String), OperationStatistics>) -> Collected {
        self.report(before);
        let mut dataset = Dataset::default();
        for (index, table) in self
            .shared
            .plan
            .tables
            .iter()
            .enumerate()
            .filter(|(_, t)| t.output)
        {
            let mut whole = Table {
                spec: Arc::clone(&table.spec),
                schema: Arc::clone(&table.arrow),
                batches: Vec::new(),
                gaps: Vec::new(),
            };
            for account in &mut self.results {
                if let Some((batches, gaps)) = account.get_mut(index) {
                    whole.batches.append(batches);
                    whole.gaps.append(gaps);
                }
            }
            dataset.tables.insert(table.name().to_owned(), whole);
        }
        for (key, now) in sent(&self.targets) {
            let (requests, throttled) = before
                .get(&key)
                .map_or((0, 0), |b| (b.requests, b.throttled));
            let own = OperationStatistics {
                requests: now.requests.saturating_sub(requests),
                throttled: now.throttled.saturating_sub(throttled),
                ..now
            };
            self.shared.tally.sent(&own);
        }
        Collected {
            dataset,
            coverage: self.shared.tally.finish(self.shared.interrupted),
        }
    }
}

async fn make(api: Arc<dyn Api>, asked: Asked) -> Event {
    let request = CallRequest {
        service: &asked.service,
        operation: &asked.operation,
        region: &asked.region,
        params: &asked.params,
    };
    Event::Answered(api.call(request).await)
}

async fn pause(attempts: usize) -> Event {
    let mut pause = FIRST_PAUSE;
    for _ in 1..attempts {
        pause = (pause + pause / 2).min(LONGEST_PAUSE);
    }
    tokio::time::sleep(pause).await;
    Event::Again
}

/// What was sent so far, by service and operation. Accounts may share a client, which is counted once.
fn sent(targets: &[&AccountTarget]) -> BTreeMap<(String, String), OperationStatistics> {
    let mut apis: Vec<&Arc<dyn Api>> = Vec::new();
    for target in targets {
        if !apis.iter().any(|known| Arc::ptr_eq(known, &target.api)) {
            apis.push(&target.api);
        }
    }
    let mut all: BTreeMap<(String, String), OperationStatistics> = BTreeMap::new();
    for statistics in apis.into_iter().flat_map(|api| api.statistics()) {
        let key = (statistics.service.clone(), statistics.operation.clone());
        let known = all.entry(key).or_insert_with(|| OperationStatistics {
            service: statistics.service.clone(),
            operation: statistics.operation.clone(),
            ..OperationStatistics::default()
        });
        known.requests += statistics.requests;
        known.throttled += statistics.throttled;
        known.bytes += statistics.bytes;
    }
    all
}

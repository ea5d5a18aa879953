//! `palisade watch`
mod outlet;
mod queue;
mod work;

use super::connect::Connection;
use super::noise::Noise;
use super::scan::Ready;
use super::send::Destinations;
use super::store;
use crate::Outcome;
use crate::cli::{Format, Global, OrganizationArgs, Scan, Watch};
use crate::error::Failure;
use crate::output::Terminal;
use outlet::Outlet;
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_scan::Scanner;
use palisade_watch::Message;
use queue::{Batch, Delivery, Queue, Source};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use work::{Done, Parts, Work, fault};

/// How long a source is waited for before it is looked whether something else is due.
const WAIT: Duration = Duration::from_secs(20);
/// With --once, a queue that gives nothing for so long is empty.
const EMPTY: Duration = Duration::from_secs(2);
/// Messages that are remembered for not being said again.
const MOST_LEFT: usize = 10_000;
/// After a failure of the store.
const PAUSE: Duration = Duration::from_secs(5);

/// Watches accounts.
pub fn run(
    args: Watch,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    if args.queue.is_none() && args.events.is_none() && args.every.is_none() && !args.once {
        return Err(Failure::Usage {
            message: "there is nothing to watch".to_owned(),
            hint: Some("give --queue, --events, or --every".to_owned()),
        });
    }
    let scan = Scan {
        organization: OrganizationArgs::default(),
        dry_run: false,
        selection: args.selection,
        target: args.target,
        format: Format::Json,
        output: Vec::new(),
        send: args.send,
        all: false,
        evidence: false,
        param: args.param,
        attestations: args.attestations,
        noise: args.noise,
        fail_on: None,
        strict: false,
        all_tables: false,
        store: args.store,
        no_snapshot: true,
    };
    let ready = Ready::new(scan, given, global, &catalog)?;
    let noise = Noise::read(&ready.args.noise, &catalog, terminal)?;
    let destinations = Destinations::new(&ready.args.send, &ready.sends)?;
    if ready.args.target.is_recorded() && (destinations.in_aws() || args.queue.is_some()) {
        return Err(Failure::Usage {
            message:
                "the account is a recording: it has no queue, and nothing can be written to it"
                    .to_owned(),
            hint: Some("--events takes events from a file".to_owned()),
        });
    }
    let outlet = Outlet::open(&args.changes)?;
    let checks = ready.selection.resolve(&catalog)?;
    if checks.is_empty() {
        return Err(Failure::Usage {
            message: "the selection leaves no check".to_owned(),
            hint: None,
        });
    }
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    let connection = Connection::open(&ready.args.target, scanner.models(), terminal)?;
    scanner.set_now(connection.now);
    let source = match (&args.queue, &args.events) {
        (Some(url), _) => Source::Queue(Queue::open(url, &connection, scanner.models())?),
        (None, Some(path)) => Source::file(path)?,
        (None, None) => Source::Nowhere,
    };
    let store = store::opened(&ready.args.store, &ready.args.target, &connection)?;
    let stop = signals(&connection);
    let mut work = Work::new(Parts {
        terminal,
        connection: &connection,
        catalog,
        scanner,
        ready: &ready,
        noise: &noise,
        destinations: &destinations,
        outlet,
        store,
        stop: stop.clone(),
        checks,
    })?;
    let mut due = Due::new(&work, args.every, args.no_initial)?;
    let mut totals = Totals::default();
    let mut stop = stop;
    while !*stop.borrow() {
        if due.is_now() {
            match work.whole() {
                Ok(true) => due.done(),
                Ok(false) => break,
                Err(failure) if args.once || due.is_first() => return Err(failure),
                Err(failure) => {
                    terminal.error(&failure.to_string());
                    due.later(PAUSE.saturating_mul(12));
                }
            }
            continue;
        }
        if matches!(source, Source::Nowhere) && args.once {
            break;
        }
        let wait = if args.once { EMPTY } else { due.wait(WAIT) };
        match source.next(wait, args.debounce, &connection, &mut stop, terminal)? {
            Batch::End => break,
            Batch::Nothing => {
                work.send()?;
                if args.once {
                    break;
                }
            }
            // nothing but what cannot be understood, again
            Batch::Messages(messages)
                if args.once && messages.iter().all(|m| totals.left.contains(&m.name)) =>
            {
                break;
            }
            Batch::Messages(messages) => {
                let handled = batch(&mut work, &source, &messages, &mut totals);
                match handled {
                    Ok(()) => {}
                    // a queue delivers again what was not deleted
                    Err(failure)
                        if matches!(source, Source::Queue(_))
                            && !args.once
                            && !failure.is_closed_pipe() =>
                    {
                        terminal.error(&format!(
                            "{failure}; {} messages stay in the queue and come again",
                            messages.len()
                        ));
                        std::thread::sleep(PAUSE);
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
    }
    totals.say(terminal);
    // what could not be understood was said, and is left to the queue; a file has nobody else to look at it
    Ok(match (&source, totals.wrong) {
        (Source::Lines(_), 1..) => Outcome::Failed,
        _ => Outcome::Done,
    })
}

/// What was done since the start.
#[derive(Debug, Default)]
struct Totals {
    messages: usize,
    wrong: usize,
    /// Messages that were said to be none; they come again until the queue gives up on them.
    left: BTreeSet<String>,
    done: Done,
}

impl Totals {
    fn say(&self, terminal: &Terminal) {
        let Done {
            read,
            known,
            idle,
            changes,
        } = self.done;
        terminal.note(&format!(
            "{} messages: {read} events led to reading, {idle} touched nothing, {known} were known, {} could not be understood; {changes} findings changed",
            self.messages, self.wrong
        ));
    }
}

/// Works on messages that arrived together, and deletes them when their result is stored.
fn batch(
    work: &mut Work<'_>,
    source: &Source,
    messages: &[Delivery],
    totals: &mut Totals,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut events = Vec::new();
    let mut handles = Vec::new();
    let mut now = Done::default();
    let mut wrong = 0;
    for message in messages {
        match palisade_watch::read(&message.body) {
            Ok(Message::Event(event)) => {
                events.push(event);
                handles.push(message.handle.clone());
            }
            Ok(Message::Nothing(_)) => {
                now.idle += 1;
                handles.push(message.handle.clone());
            }
            // it was said before
            Err(_) if totals.left.contains(&message.name) => {}
            Err(error) => {
                wrong += 1;
                if matches!(source, Source::Queue(_)) && totals.left.len() < MOST_LEFT {
                    totals.left.insert(message.name.clone());
                }
                let left = match source {
                    Source::Queue(_) => "; it stays in the queue, for its redrive policy",
                    _ => "",
                };
                work.terminal
                    .warn(&format!("{}: {error}{left}", message.name));
            }
        }
    }
    let keeping = match source {
        Source::Queue(queue) => Some(work.connection.spawn(queue.clone().keep(handles.clone()))),
        _ => None,
    };
    let done = work.events(&events);
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    let done = done?;
    now.read += done.read;
    now.known += done.known;
    now.idle += done.idle;
    now.changes += done.changes;
    // ended here: the messages come again, and are known
    fault("before-delete");
    if let Source::Queue(queue) = source
        && !handles.is_empty()
    {
        for problem in work.connection.block_on(queue.delete(&handles)) {
            work.terminal.warn(&format!(
                "a message could not be deleted and will come again: {problem}"
            ));
        }
    }
    fault("after-delete");
    if now.read > 0 {
        work.terminal.note(&format!(
            "{} events, {} changed findings, {:.1} s",
            now.read,
            now.changes,
            begun.elapsed().as_secs_f64()
        ));
    }
    totals.messages += messages.len();
    totals.wrong += wrong;
    totals.done.read += now.read;
    totals.done.known += now.known;
    totals.done.idle += now.idle;
    totals.done.changes += now.changes;
    Ok(())
}

/// When everything is to be read again.
#[derive(Debug)]
struct Due {
    every: Option<Duration>,
    next: Option<Instant>,
    first: bool,
}

impl Due {
    fn new(work: &Work<'_>, every: Option<Duration>, no_initial: bool) -> Result<Self, Failure> {
        let last = work.whole_at()?;
        let now = super::connect::system_time();
        let age = last.map(|t| {
            let micros = now.as_micros().saturating_sub(t.as_micros());
            Duration::from_micros(u64::try_from(micros).unwrap_or_default())
        });
        // without a schedule, any snapshot that can be built upon is recent
        let left = match (age, every) {
            (Some(age), Some(every)) => every.checked_sub(age),
            (Some(_), None) => Some(Duration::ZERO),
            (None, _) => None,
        };
        let next = match (left.filter(|_| no_initial), every) {
            (None, _) => Some(Instant::now()),
            (Some(left), Some(_)) => Some(Instant::now() + left),
            (Some(_), None) => None,
        };
        Ok(Self {
            every,
            next,
            first: true,
        })
    }
    fn is_now(&self) -> bool {
        self.next.is_some_and(|at| at <= Instant::now())
    }
    fn is_first(&self) -> bool {
        self.first
    }
    fn done(&mut self) {
        self.first = false;
        self.next = self.every.map(|every| {
            use std::hash::{BuildHasher, Hasher};
            let random = std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish();
            // up to a tenth later
            let part = u32::try_from(random % 1000).unwrap_or_default();
            Instant::now() + every + every / 10 * part / 1000
        });
    }
    fn later(&mut self, pause: Duration) {
        self.next = Some(Instant::now() + pause);
    }
    fn wait(&self, most: Duration) -> Duration {
        let left = self
            .next
            .map(|at| at.saturating_duration_since(Instant::now()));
        left.map_or(most, |left| left.min(most))
            .max(Duration::from_secs(1))
    }
}

/// Turns true with Ctrl-C or SIGTERM.
fn signals(connection: &Connection) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    // a task ends with the runtime; the sender lives as long, or waiting for it would end at once
    drop(connection.spawn(async move {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            if let Ok(mut terminated) = signal(SignalKind::terminate()) {
                tokio::select! {
                    _ = tokio::signal::ctrl_c() => {}
                    _ = terminated.recv() => {}
                }
                sender.send_replace(true);
            }
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_ok() {
            sender.send_replace(true);
        }
        std::future::pending::<()>().await;
    }));
    receiver
}

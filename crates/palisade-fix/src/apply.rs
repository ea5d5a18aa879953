//! Applying a plan: every item by compare-and-set, every call under the journal, every result read back.
use crate::guard::Protection;
use crate::journal::{CallOutcome, Event, Journal, Run};
use crate::read::{Observed, observe};
use crate::{Call, FixError, Item, Plan, Step};
use palisade_core::{CallErrorKind, Timestamp};
use palisade_model::{Api, ApiError, CallRequest, Models};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Times that a throttled call is made again: AWS says that it was not done.
const THROTTLED: u32 = 6;

/// Seconds that are waited for a described state when it is not known whether a call was made.
const LEAST_SETTLE: u32 = 10;

/// What came of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Changed, and every check passes on fresh data.
    Fixed,
    /// Changed, and the described state is the wanted one; there is no check that could say more.
    Changed,
    /// Changed, and a check still fails.
    NotFixed,
    /// The described state is the wanted one, and a check cannot be decided.
    Unverified,
    /// Everything was as it is wanted; nothing was sent.
    Already,
    /// The state is not the planned one; nothing was sent.
    Stale,
    /// Protected; nothing was sent.
    Protected,
    /// A call was refused, or the state did not follow.
    Failed,
    /// It is not known what came of a call, and the state does not tell.
    Unclear,
    /// Taken back: the described state is the saved one.
    Undone,
    /// There is no call that takes it back.
    Irreversible,
}

/// What a check says on fresh data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It passes, or has nothing to say about the resource any more.
    Fixed,
    /// It fails.
    NotFixed,
    /// It cannot be decided.
    Unknown,
}

/// The future of an evaluation.
pub type RecheckFuture<'a> = Pin<Box<dyn Future<Output = Vec<(String, Verdict)>> + 'a>>;

/// Somebody who evaluates the checks of an item on fresh data.
pub trait Recheck {
    /// The id of every check of the item, with what it says now.
    fn recheck<'a>(&'a self, item: &'a Item) -> RecheckFuture<'a>;
}

/// Who reads and who changes in an account.
#[derive(Clone, Copy)]
pub struct Access<'a> {
    /// Reads states.
    pub reader: &'a dyn Api,
    /// Makes the changes. It must not retry by itself: a call whose outcome is unknown is looked at first.
    pub writer: &'a dyn Api,
}

impl std::fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

/// What applying needs.
pub struct Apply<'a> {
    /// By account; `None` where nobody can.
    pub access: &'a dyn Fn(&str) -> Option<Access<'a>>,
    /// The API models.
    pub models: &'a Models,
    /// The time.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Evaluates again.
    pub recheck: &'a dyn Recheck,
    /// What may not be touched.
    pub protection: &'a Protection,
    /// Goes on after an item that failed; the first that is sent must succeed all the same.
    pub keep_going: bool,
    /// Seconds that are waited for a described state to follow, at most.
    pub settle: u32,
    /// Asked before every item, and while a state is waited for: true ends the run.
    pub stop: &'a dyn Fn() -> bool,
    /// Told of everything that is journalled.
    pub notify: &'a dyn Fn(&Event),
}

impl std::fmt::Debug for Apply<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apply")
            .field("keep_going", &self.keep_going)
            .finish_non_exhaustive()
    }
}

/// How a step or item ended, with the reason where it is not what was wanted.
type Ended = (Outcome, Option<String>);

impl Outcome {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Changed => "changed, no check",
            Self::NotFixed => "not fixed",
            Self::Unverified => "unverified",
            Self::Already => "already as wanted",
            Self::Stale => "stale",
            Self::Protected => "protected",
            Self::Failed => "failed",
            Self::Unclear => "unclear",
            Self::Undone => "undone",
            Self::Irreversible => "cannot be taken back",
        }
    }
    /// Whether a run goes on after it.
    pub(crate) const fn is_good(self) -> bool {
        self.is_wanted() || matches!(self, Self::Undone | Self::Protected | Self::Stale)
    }
    /// Whether everything is as the plan wants it, as far as anything can say it.
    pub const fn is_wanted(self) -> bool {
        matches!(self, Self::Fixed | Self::Changed | Self::Already)
    }
}

impl Apply<'_> {
    /// Applies a plan, or goes on with a run that was broken off (`resumed`). Returns whether every item is done with.
    ///
    /// # Errors
    /// When the journal cannot be written; nothing is called after that.
    pub async fn run(
        &self,
        plan: &Plan,
        journal: &mut Journal,
        resumed: Option<&Run>,
    ) -> Result<bool, FixError> {
        let mut stopped = false;
        // accounts in which something was changed as it was wanted, and those that are left alone
        let (mut proven, mut left) = (BTreeSet::new(), BTreeSet::new());
        for item in &plan.items {
            let account = item.account_id.as_str();
            let known = resumed.and_then(|run| run.outcome(item.number));
            if let Some(known) = known.filter(|o| o.is_good()) {
                if matches!(known, Outcome::Fixed | Outcome::Changed) {
                    proven.insert(account);
                }
                continue;
            }
            if left.contains(account) {
                stopped = true;
                continue;
            }
            if (self.stop)() {
                stopped = true;
                break;
            }
            let outcome = self.item(item, journal, resumed).await?;
            if matches!(outcome, Outcome::Fixed | Outcome::Changed) {
                proven.insert(account);
            }
            if outcome.is_good() {
                continue;
            }
            // The first that is sent is the canary: whatever is wrong with it is wrong with the rest. So it is in every
            // account.
            if !self.keep_going || proven.is_empty() {
                stopped = item.number < plan.items.len();
                break;
            }
            if !proven.contains(account) {
                left.insert(account);
            }
        }
        self.write(
            journal,
            Event::End {
                time: (self.now)(),
                undo: false,
                stopped,
            },
        )?;
        Ok(!stopped)
    }

    fn write(&self, journal: &mut Journal, event: Event) -> Result<(), FixError> {
        journal.write(&event)?;
        (self.notify)(&event);
        Ok(())
    }

    async fn item(
        &self,
        item: &Item,
        journal: &mut Journal,
        resumed: Option<&Run>,
    ) -> Result<Outcome, FixError> {
        let mut verdicts = Vec::new();
        let (outcome, reason) = match self.protection.forbids_item(item) {
            Some(why) => (Outcome::Protected, Some(why)),
            None if (self.access)(&item.account_id).is_none() => {
                let reason = format!("there are no credentials for account {}", item.account_id);
                (Outcome::Failed, Some(reason))
            }
            None => {
                let ended = self.steps(item, journal, resumed).await?;
                if matches!(ended.0, Outcome::Fixed | Outcome::Already) {
                    verdicts = self.recheck.recheck(item).await;
                }
                judged(ended, &verdicts)
            }
        };
        self.write(
            journal,
            Event::Item {
                time: (self.now)(),
                item: item.number,
                undo: false,
                outcome,
                reason,
                verdicts,
            },
        )?;
        Ok(outcome)
    }

    /// All steps of an item; [`Outcome::Fixed`] stands for "changed".
    async fn steps(
        &self,
        item: &Item,
        journal: &mut Journal,
        resumed: Option<&Run>,
    ) -> Result<Ended, FixError> {
        let mut changed = false;
        for (index, step) in item.steps.iter().enumerate() {
            let log = resumed.map(|run| run.step(item.number, index));
            // A call of which it is not known what came of it may still take effect: it has its time.
            let open = log.is_some_and(|log| log.may_stand());
            let wait = if open {
                step.settle.max(LEAST_SETTLE)
            } else {
                0
            };
            let looked = self
                .settled(item, step, wait, |o| o.is_after(&step.attributes))
                .await;
            let seen = match looked.seen {
                Ok(seen) => seen,
                Err(reason) => return Ok((Outcome::Failed, Some(reason))),
            };
            if seen.is_after(&step.attributes) {
                if open {
                    changed = true;
                    self.state(journal, item, index, false, Ok(&seen), true)?;
                }
                continue;
            }
            if !seen.is_before(&step.attributes) {
                let reason = difference(&seen, step);
                return Ok(stale(reason, changed));
            }
            if !looked.complete {
                let reason =
                    "an earlier call may still take effect; it was not waited for long enough";
                return Ok((Outcome::Unclear, Some(reason.to_owned())));
            }
            match self.step(item, index, step, seen, open, journal).await? {
                (Outcome::Fixed, _) => changed = true,
                (Outcome::Already, _) => {}
                (Outcome::Stale, reason) => {
                    return Ok(stale(reason.unwrap_or_default(), changed));
                }
                ended => return Ok(ended),
            }
        }
        Ok((
            if changed {
                Outcome::Fixed
            } else {
                Outcome::Already
            },
            None,
        ))
    }

    /// One call; [`Outcome::Fixed`] stands for "changed". `earlier`: an earlier call may have changed something.
    async fn step(
        &self,
        item: &Item,
        index: usize,
        step: &Step,
        seen: Observed,
        earlier: bool,
        journal: &mut Journal,
    ) -> Result<Ended, FixError> {
        let may = |o: &Observed| o.is_before(&step.attributes);
        let at = Place {
            item,
            index,
            step,
            undo: false,
        };
        let sent = match self.send(journal, at, &step.call, seen, may).await? {
            Sending::Sent(sent) => sent,
            Sending::Moved(seen) if seen.is_after(&step.attributes) => {
                let ours = if earlier {
                    Outcome::Fixed
                } else {
                    Outcome::Already
                };
                self.state(journal, item, index, false, Ok(&seen), true)?;
                return Ok((ours, None));
            }
            Sending::Moved(seen) => return Ok((Outcome::Stale, Some(difference(&seen, step)))),
            Sending::Unread(reason) => return Ok((Outcome::Failed, Some(reason))),
        };
        let wait = match sent.outcome {
            CallOutcome::Made => step.settle,
            CallOutcome::Unknown => step.settle.max(LEAST_SETTLE),
            CallOutcome::Refused => 0,
        };
        let looked = self
            .settled(item, step, wait, |o| o.is_after(&step.attributes))
            .await;
        let after = looked.seen;
        let reached = after.as_ref().is_ok_and(|o| o.is_after(&step.attributes));
        self.state(journal, item, index, false, after.as_ref(), reached)?;
        if reached {
            // what was refused is somebody else's work
            let ours = sent.outcome != CallOutcome::Refused || earlier;
            let outcome = if ours {
                Outcome::Fixed
            } else {
                Outcome::Already
            };
            return Ok((outcome, None));
        }
        let error = sent.error.unwrap_or_default();
        let waited = looked.waited;
        Ok(match (sent.outcome, &after) {
            (CallOutcome::Refused, _) => (Outcome::Failed, Some(error)),
            (CallOutcome::Made, Ok(seen)) => {
                let outcome = if looked.complete {
                    Outcome::Failed
                } else {
                    Outcome::Unclear
                };
                let reason = format!(
                    "AWS answered that it was done, and after {waited} seconds: {}",
                    difference_to(seen, step)
                );
                (outcome, Some(reason))
            }
            (CallOutcome::Unknown, Ok(seen))
                if looked.complete && seen.is_before(&step.attributes) =>
            {
                (
                    Outcome::Failed,
                    Some(format!("{error}; the state is as it was")),
                )
            }
            (_, Ok(seen)) => (
                Outcome::Unclear,
                Some(format!(
                    "{error}; after {waited} seconds: {}",
                    difference_to(seen, step)
                )),
            ),
            (_, Err(reason)) => (Outcome::Unclear, Some(format!("{error}; {reason}"))),
        })
    }

    /// Makes a call between two lines of the journal. One that AWS throttles is made again, each time only when the
    /// state that is read then is still one that it may be made in.
    pub(crate) async fn send(
        &self,
        journal: &mut Journal,
        at: Place<'_>,
        call: &Call,
        seen: Observed,
        may: impl Fn(&Observed) -> bool,
    ) -> Result<Sending, FixError> {
        let mut seen = seen;
        let mut throttled = 0;
        loop {
            self.write(
                journal,
                Event::Call {
                    time: (self.now)(),
                    item: at.item.number,
                    step: at.index,
                    undo: at.undo,
                    call: call.clone(),
                    before: seen.values.clone(),
                },
            )?;
            let request = CallRequest {
                service: &call.service,
                operation: &call.operation,
                region: &at.item.region,
                params: &call.params,
            };
            let error = match (self.access)(&at.item.account_id) {
                Some(access) => access.writer.call(request).await.err(),
                None => Some(no_access(&at.item.account_id)),
            };
            let outcome = error.as_ref().map_or(CallOutcome::Made, outcome_of);
            let again = throttled < THROTTLED
                && error
                    .as_ref()
                    .is_some_and(|e| e.kind == CallErrorKind::Throttled);
            let error = error.map(|e| format!("{} failed with {e}", call.name()));
            self.write(
                journal,
                Event::Answer {
                    time: (self.now)(),
                    item: at.item.number,
                    step: at.index,
                    undo: at.undo,
                    outcome,
                    error: error.clone(),
                },
            )?;
            if !again || (self.stop)() {
                return Ok(Sending::Sent(Sent { outcome, error }));
            }
            tokio::time::sleep(Duration::from_millis(500 << throttled)).await;
            throttled += 1;
            let now = self.observe(at.item, at.step).await;
            seen = match now {
                Ok(now) if may(&now) => now,
                Ok(now) => return Ok(Sending::Moved(now)),
                Err(reason) => return Ok(Sending::Unread(reason)),
            };
        }
    }

    /// Reads the state.
    pub(crate) async fn observe(&self, item: &Item, step: &Step) -> Result<Observed, String> {
        let Some(access) = (self.access)(&item.account_id) else {
            return Err(no_access(&item.account_id).message);
        };
        let (read, attributes) = (&step.read, &step.attributes);
        observe(access.reader, self.models, &item.region, read, attributes).await
    }

    /// Reads the state until it is as wanted, for so many seconds at most, or as long as the user allows.
    pub(crate) async fn settled(
        &self,
        item: &Item,
        step: &Step,
        seconds: u32,
        wanted: impl Fn(&Observed) -> bool,
    ) -> Looked {
        let most = seconds.min(self.settle);
        let mut waited = 0;
        let mut pause = 1;
        loop {
            let seen = self.observe(item, step).await;
            if seen.as_ref().is_ok_and(&wanted) || waited >= most || (self.stop)() {
                return Looked {
                    seen,
                    waited,
                    complete: waited >= seconds,
                };
            }
            let next = pause.min(most - waited);
            tokio::time::sleep(Duration::from_secs(next.into())).await;
            waited += next;
            pause = (pause * 2).min(30);
        }
    }

    pub(crate) fn state(
        &self,
        journal: &mut Journal,
        item: &Item,
        index: usize,
        undo: bool,
        after: Result<&Observed, &String>,
        reached: bool,
    ) -> Result<(), FixError> {
        self.write(
            journal,
            Event::State {
                time: (self.now)(),
                item: item.number,
                step: index,
                undo,
                after: after.ok().map(|o| o.values.clone()),
                pending: after.map(|o| o.pending.clone()).unwrap_or_default(),
                reached,
                error: after.err().cloned(),
            },
        )
    }

    pub(crate) fn told(&self, journal: &mut Journal, event: Event) -> Result<(), FixError> {
        self.write(journal, event)
    }
}

fn no_access(account: &str) -> ApiError {
    ApiError {
        kind: CallErrorKind::NotMade,
        code: "NoCredentials".to_owned(),
        message: format!("there are no credentials for account {account}"),
    }
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) outcome: CallOutcome,
    pub(crate) error: Option<String>,
}

/// The step that a call is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) item: &'a Item,
    pub(crate) index: usize,
    pub(crate) step: &'a Step,
    pub(crate) undo: bool,
}

/// How sending ended.
#[derive(Debug)]
pub(crate) enum Sending {
    /// With an answer, or without.
    Sent(Sent),
    /// It was throttled, and the state is another one since.
    Moved(Observed),
    /// It was throttled, and the state cannot be read since.
    Unread(String),
}

/// A state that was waited for.
#[derive(Debug)]
pub(crate) struct Looked {
    /// What was read last.
    pub(crate) seen: Result<Observed, String>,
    /// Seconds.
    pub(crate) waited: u32,
    /// Whether that is as long as AWS may take.
    pub(crate) complete: bool,
}

/// What a failure says about whether the call was done.
fn outcome_of(error: &ApiError) -> CallOutcome {
    match error.kind {
        CallErrorKind::Denied
        | CallErrorKind::Credentials
        | CallErrorKind::Throttled
        | CallErrorKind::Unavailable
        | CallErrorKind::NotMade
        | CallErrorKind::Other => CallOutcome::Refused,
        // 5xx, no answer, half an answer: it may have been done
        _ => CallOutcome::Unknown,
    }
}

fn judged(ended: Ended, verdicts: &[(String, Verdict)]) -> Ended {
    let of = |verdict: Verdict| -> Vec<&str> {
        let those = verdicts.iter().filter(|(_, v)| *v == verdict);
        those.map(|(id, _)| id.as_str()).collect()
    };
    if !matches!(ended.0, Outcome::Fixed | Outcome::Already) {
        return ended;
    }
    let (failing, unknown) = (of(Verdict::NotFixed), of(Verdict::Unknown));
    if !failing.is_empty() {
        let reason = format!("still failing: {}", failing.join(", "));
        return (Outcome::NotFixed, Some(reason));
    }
    if !unknown.is_empty() {
        let sent = match ended.0 {
            Outcome::Fixed => "changed",
            _ => "nothing was sent",
        };
        let reason = format!("{sent}; cannot be decided: {}", unknown.join(", "));
        return (Outcome::Unverified, Some(reason));
    }
    if verdicts.is_empty() && ended.0 == Outcome::Fixed {
        return (Outcome::Changed, None);
    }
    ended
}

/// Another state than the planned one. Stale means that nothing was sent.
fn stale(reason: String, changed: bool) -> Ended {
    if changed {
        let reason = format!("only some of its calls were made: {reason}");
        return (Outcome::Failed, Some(reason));
    }
    (Outcome::Stale, Some(reason))
}

/// What differs from the planned state.
fn difference(seen: &Observed, step: &Step) -> String {
    let differing = step.attributes.iter().find_map(|a| {
        let now = seen.values.get(&a.name).unwrap_or(&serde_json::Value::Null);
        let same = if a.guard {
            crate::read::is_free(now, &a.before)
        } else {
            crate::json::same(now, &a.before)
        };
        if let (true, Some(waits)) = (same, seen.pending.get(&a.name)) {
            return Some(format!("`{}` is about to become {waits}", a.name));
        }
        (!same).then(|| match crate::show::between(&a.before, now) {
            Some(changes) => format!("`{}` changed since the plan was made: {changes}", a.name),
            None => format!(
                "`{}` was {} when the plan was made and is {now} now",
                a.name, a.before
            ),
        })
    });
    differing.unwrap_or_else(|| "the state has changed since the plan was made".to_owned())
}

/// What differs from the wanted state.
fn difference_to(seen: &Observed, step: &Step) -> String {
    let differing = step.attributes.iter().find_map(|a| {
        let now = seen.values.get(&a.name).unwrap_or(&serde_json::Value::Null);
        let reached = crate::json::reached(now, &a.after);
        (!reached).then(|| match crate::show::between(&a.after, now) {
            Some(changes) => format!("`{}` is not as it was wanted: {changes}", a.name),
            None => format!("`{}` is {now}, not {}", a.name, a.after),
        })
    });
    differing.unwrap_or_else(|| "the state is as it was wanted".to_owned())
}

//! Taking a run back: in reverse order, each step only while the state is the one that the run left.
use crate::apply::Apply;
use crate::apply::{Place, Sending};
use crate::fits::check_calls;
use crate::hash::hash;
use crate::journal::{CallOutcome, Event, Journal, Run, Who};
use crate::read::Observed;
use crate::{FixError, Item, Outcome, Step};
use palisade_catalog::Catalog;
use serde_json::json;

/// What taking back needs, beyond what applying needs.
#[derive(Debug)]
pub struct Undo<'a, 'b> {
    /// Makes the calls.
    pub apply: &'a Apply<'b>,
    /// The catalogue: the journal's calls must be those that it describes.
    pub catalog: &'a Catalog,
    /// Only these items; empty is all.
    pub items: &'a [usize],
}

/// How taking back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UndoOutcome {
    /// Items whose described state is the saved one again.
    pub undone: usize,
    /// Items that were left as they are.
    pub left: usize,
}

/// The hash of everything that taking a run back may send, in order: what is approved. Empty `items` is all. It is
/// another one when the journal says of other steps that they stand.
pub fn undo_hash(run: &Run, items: &[usize]) -> String {
    let calls: Vec<_> = standing(run, items)
        .map(
            |(item, index, step)| json!({"item": item.number, "step": index, "call": step.inverse}),
        )
        .collect();
    hash(&json!({
        "undo": run.name,
        "plan": run.plan.hash,
        "items": items,
        "calls": calls,
    }))
}

/// The steps that may stand, in the order in which they are taken back.
pub(crate) fn standing<'r>(
    run: &'r Run,
    items: &'r [usize],
) -> impl Iterator<Item = (&'r Item, usize, &'r Step)> {
    let wanted = move |item: &&Item| items.is_empty() || items.contains(&item.number);
    let chosen = run.plan.items.iter().rev().filter(wanted);
    chosen.flat_map(move |item| {
        let steps = item.steps.iter().enumerate().rev();
        steps
            .filter(move |(index, _)| run.step(item.number, *index).may_stand())
            .map(move |(index, step)| (item, index, step))
    })
}

/// A later item of the run that still stands and changed the same state.
fn later_item(run: &Run, item: &Item, index: usize, step: &Step) -> Option<usize> {
    let mut others = standing(run, &[]);
    let found = others.find(|(other, at, of)| {
        (other.number, *at) > (item.number, index)
            && other.account_id == item.account_id
            && other.region == item.region
            && of.read == step.read
    });
    found.map(|(other, ..)| other.number)
}

impl Run {
    /// Whether there is anything that could be taken back.
    pub fn may_stand(&self) -> bool {
        standing(self, &[]).next().is_some()
    }
}

impl Undo<'_, '_> {
    /// Takes a run back.
    ///
    /// # Errors
    /// When the journal cannot be written, or holds a call that no change file describes.
    pub async fn run(
        &self,
        run: &Run,
        who: &Who,
        journal: &mut Journal,
    ) -> Result<UndoOutcome, FixError> {
        for item in &run.plan.items {
            check_calls(item, Some(&run.plan), self.catalog)?;
        }
        self.apply.told(
            journal,
            Event::Undo {
                time: (self.apply.now)(),
                who: who.clone(),
            },
        )?;
        let mut outcome = UndoOutcome { undone: 0, left: 0 };
        let wanted = |item: &&Item| self.items.is_empty() || self.items.contains(&item.number);
        let mut stopped = false;
        for item in run.plan.items.iter().rev().filter(wanted) {
            let stands = (0..item.steps.len()).any(|i| run.step(item.number, i).may_stand());
            if !stands {
                continue;
            }
            if (self.apply.stop)() {
                stopped = true;
                break;
            }
            let (result, reason) = self.item(run, item, journal).await?;
            match result {
                Outcome::Undone | Outcome::Already => outcome.undone += 1,
                _ => outcome.left += 1,
            }
            self.apply.told(
                journal,
                Event::Item {
                    time: (self.apply.now)(),
                    item: item.number,
                    undo: true,
                    outcome: result,
                    reason,
                    verdicts: Vec::new(),
                },
            )?;
        }
        self.apply.told(
            journal,
            Event::End {
                time: (self.apply.now)(),
                undo: true,
                stopped,
            },
        )?;
        Ok(outcome)
    }

    async fn item(
        &self,
        run: &Run,
        item: &Item,
        journal: &mut Journal,
    ) -> Result<(Outcome, Option<String>), FixError> {
        if let Some(why) = self.apply.protection.forbids_item(item) {
            return Ok((Outcome::Protected, Some(why)));
        }
        let mut last = (Outcome::Already, None);
        for (index, step) in item.steps.iter().enumerate().rev() {
            if !run.step(item.number, index).may_stand() {
                continue;
            }
            let ended = self.step(run, item, index, step, journal).await?;
            match ended.0 {
                Outcome::Already => {}
                Outcome::Undone => last = ended,
                _ => return Ok(ended),
            }
        }
        Ok(last)
    }

    async fn step(
        &self,
        run: &Run,
        item: &Item,
        index: usize,
        step: &Step,
        journal: &mut Journal,
    ) -> Result<(Outcome, Option<String>), FixError> {
        let apply = self.apply;
        let log = run.step(item.number, index);
        let seen = apply.observe(item, step).await;
        let seen = match seen {
            Ok(seen) => seen,
            Err(reason) => return Ok((Outcome::Failed, Some(reason))),
        };
        if seen.is_back(&step.attributes) {
            return self
                .already(item, index, step, log.reached, &seen, journal)
                .await;
        }
        let saved = log.after.as_ref().map(|after| (after, &log.pending));
        let left = |o: &Observed| o.is_left(saved, &step.attributes);
        let later = later_item(run, item, index, step);
        let stale = || {
            let mut reason =
                "the state is not the one that the run left; it is left alone".to_owned();
            if let Some(number) = later {
                reason.push_str(&format!(
                    ": item {number} of the run changed it later and goes first"
                ));
            }
            (Outcome::Stale, Some(reason))
        };
        if !left(&seen) {
            return Ok(stale());
        }
        let Some(inverse) = &step.inverse else {
            return Ok((Outcome::Irreversible, Some(step.lost.join("; "))));
        };
        let at = Place {
            item,
            index,
            step,
            undo: true,
        };
        let sent = match apply.send(journal, at, inverse, seen, left).await? {
            Sending::Sent(sent) => sent,
            Sending::Moved(_) => return Ok(stale()),
            Sending::Unread(reason) => return Ok((Outcome::Failed, Some(reason))),
        };
        let wait = match sent.outcome {
            CallOutcome::Refused => 0,
            _ => step.settle.max(1),
        };
        let after = apply
            .settled(item, step, wait, |o| o.is_back(&step.attributes))
            .await
            .seen;
        let back = after.as_ref().is_ok_and(|o| o.is_back(&step.attributes));
        apply.state(journal, item, index, true, after.as_ref(), back)?;
        if back {
            return Ok((Outcome::Undone, None));
        }
        let error = sent
            .error
            .unwrap_or_else(|| "AWS answered that it was done".to_owned());
        Ok(match after {
            Ok(_) if sent.outcome == CallOutcome::Refused => (Outcome::Failed, Some(error)),
            Ok(_) => (
                Outcome::Unclear,
                Some(format!("{error}, and the state is not the saved one")),
            ),
            Err(reason) => (Outcome::Unclear, Some(format!("{error}; {reason}"))),
        })
    }

    /// The state is the saved one: taken back by somebody, or the run's call has not taken effect yet.
    async fn already(
        &self,
        item: &Item,
        index: usize,
        step: &Step,
        reached: bool,
        seen: &Observed,
        journal: &mut Journal,
    ) -> Result<(Outcome, Option<String>), FixError> {
        let apply = self.apply;
        if !reached {
            let looked = apply
                .settled(item, step, step.settle.max(1), |o| {
                    !o.is_back(&step.attributes)
                })
                .await;
            let why = match looked.seen {
                Ok(seen) if !seen.is_back(&step.attributes) => {
                    "the call of the run took effect only now: take it back again"
                }
                _ => "the call of the run never took effect, and may still do so: look again later",
            };
            return Ok((Outcome::Unclear, Some(why.to_owned())));
        }
        apply.state(journal, item, index, true, Ok(seen), true)?;
        Ok((Outcome::Already, None))
    }
}

//! Taking a run back: in reverse order, each step only while the state is the one that the run left.
use crate::apply::Apply;
use crate::guard::check_calls;
use crate::journal::{CallOutcome, Event, Journal, Run, Who};
use crate::read::observe;
use crate::{FixError, Item, Outcome, Step};
use palisade_catalog::Catalog;

/// What taking back needs, beyond what applying needs.
#[derive(Debug)]
pub struct Undo<'a> {
    /// Makes the calls.
    pub apply: &'a Apply<'a>,
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

impl Undo<'_> {
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
            check_calls(item, self.catalog)?;
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
        let seen = observe(
            apply.reader,
            apply.models,
            &item.region,
            &step.read,
            &step.attributes,
        )
        .await;
        let seen = match seen {
            Ok(seen) => seen,
            Err(reason) => return Ok((Outcome::Failed, Some(reason))),
        };
        if seen.is_back(&step.attributes) {
            apply.state(journal, item, index, true, Ok(&seen), true)?;
            return Ok((Outcome::Already, None));
        }
        let left_by_run = log.after.as_ref().is_some_and(|saved| seen.is(saved));
        if !left_by_run && !seen.is_after(&step.attributes) {
            let reason = "the state is not the one that the run left; it is left alone".to_owned();
            return Ok((Outcome::Stale, Some(reason)));
        }
        let Some(inverse) = &step.inverse else {
            return Ok((Outcome::Irreversible, Some(step.lost.join("; "))));
        };
        let sent = apply
            .send(journal, item, index, inverse, &seen, true)
            .await?;
        let wait = match sent.outcome {
            CallOutcome::Refused => 0,
            _ => step.settle.max(1).min(apply.settle),
        };
        let after = apply
            .settled(item, step, wait, |o| o.is_back(&step.attributes))
            .await;
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
}

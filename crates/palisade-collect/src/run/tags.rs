//! Tags of a region's resources, from one bulk call, joined by ARN.
use super::account::{Account, Shared};
use super::state::{Consumer, Fill, Tags};
use crate::template::{Read, text_of};
use palisade_core::CallError;
use palisade_model::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The place of tags among what is asked: rows of many tables wait for them, and nobody knows how many pages they have.
const FIRST: u32 = u32::MAX;

/// A resource's ARN → its tags.
type TagsByArn = BTreeMap<Box<str>, Vec<(Box<str>, Value)>>;

impl<'r> Account<'r> {
    /// Has the tags of a region read, once.
    pub(super) fn tags_of(&mut self, region: &Arc<str>, shared: &mut Shared<'r>) {
        if self.tags.contains_key(region) {
            return;
        }
        let Some(tagging) = self.plan.tagging.as_ref() else {
            return;
        };
        self.tags.insert(Arc::clone(region), Tags::Open(Vec::new()));
        let known = self.calls.len();
        let consumer = Consumer::Tags(Arc::clone(region));
        let id = self.request(
            (tagging.operation, region, tagging.params.clone()),
            consumer,
            (FIRST, false),
            shared,
        );
        if id >= known {
            self.enqueue(id, shared);
        }
    }

    /// A row's turn at its tags.
    pub(super) fn want_tags(
        &mut self,
        group: usize,
        row: usize,
        slot: usize,
        shared: &mut Shared<'r>,
    ) {
        let region = self.row_region(group, row);
        self.tags_of(&region, shared);
        if let Some(Tags::Open(waiting)) = self.tags.get_mut(&region) {
            waiting.push((group, row, slot));
        } else {
            self.give_tags(&region, group, row, slot, shared);
        }
    }

    fn give_tags(
        &mut self,
        region: &Arc<str>,
        group: usize,
        row: usize,
        slot: usize,
        shared: &mut Shared<'r>,
    ) {
        let Some(view) = self.view(group, row) else {
            return;
        };
        let arn = match view.table.arn {
            Some(cell) => view.read(cell).map(|v| text_of(&v)),
            None => Read::Known(None),
        };
        let fill = match (self.tags.get(region), arn) {
            (_, Read::Unknown(error)) => Fill::Failed(error),
            (Some(Tags::Failed(error)), _) => Fill::Failed(Arc::clone(error)),
            (Some(Tags::Known(_)), Read::Known(None)) => Fill::Nothing,
            (Some(Tags::Known(all)), Read::Known(Some(arn))) => {
                // The bulk call names only what has, or had, tags.
                Fill::Tags(Value::Map(
                    all.get(arn.as_str()).cloned().unwrap_or_default(),
                ))
            }
            (Some(Tags::Open(_)) | None, _) => return,
        };
        self.fill(group, row, slot, fill, shared);
    }

    /// The bulk call of a region has ended.
    pub(super) fn tags_done(
        &mut self,
        region: &Arc<str>,
        pages: &[Arc<Value>],
        result: &Result<(), Arc<CallError>>,
        shared: &mut Shared<'r>,
    ) {
        let tags = match result {
            Ok(()) => match self.join_tags(pages) {
                Ok(all) => Tags::Known(all),
                Err(message) => {
                    let operation = self.plan.tagging.as_ref().map_or(0, |t| t.operation);
                    let error = self.malformed(operation, region, message);
                    shared.tally.record(&error);
                    Tags::Failed(error)
                }
            },
            Err(error) => Tags::Failed(Arc::clone(error)),
        };
        let before = self.tags.insert(Arc::clone(region), tags);
        if let Some(Tags::Open(waiting)) = before {
            for (group, row, slot) in waiting {
                self.give_tags(region, group, row, slot, shared);
            }
        }
    }

    fn join_tags(&self, pages: &[Arc<Value>]) -> Result<TagsByArn, String> {
        let mut all = BTreeMap::new();
        let Some(plan) = &self.plan.tagging else {
            return Ok(all);
        };
        for page in pages {
            let mut wrong = None;
            let entries = plan.entries.visit(page, &mut |_, entry| {
                let arn = plan.arn.get(entry).map(|v| text_of(&v));
                let mut pairs = Vec::new();
                let read = plan.tags.visit(entry, &mut |_, tag| {
                    let key = plan.key.get(tag).ok().and_then(|k| text_of(&k));
                    let value = plan
                        .value
                        .get(tag)
                        .map(|v| v.into_owned())
                        .unwrap_or_default();
                    if let Some(key) = key {
                        pairs.push((Box::from(key), value));
                    }
                });
                match (arn, read) {
                    (Ok(Some(arn)), Ok(())) => {
                        all.insert(Box::from(arn), pairs);
                    }
                    (Err(e), _) | (_, Err(e)) => wrong = Some(e.to_string()),
                    (Ok(None), Ok(())) => wrong = Some("an entry has no ARN".to_owned()),
                }
            });
            entries.map_err(|e| e.to_string())?;
            if let Some(message) = wrong {
                return Err(message);
            }
        }
        Ok(all)
    }
}

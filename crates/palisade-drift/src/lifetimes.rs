//! Resources over time: from when to when each was there, and what became of it in between.
//!
//! A fold over the snapshots, oldest first. Each table of an account is compared with the last snapshot that has it, so
//! a scan that read other things in between changes nothing. What was not looked at is not gone.
use crate::change::ResourceKind;
use crate::diff::parents;
use crate::history::ResourceEvent;
use crate::resources::{Pair, at_once, why_unseen};
use crate::side::{AccountSide, Chunk, Side, TableSide};
use crate::value::cell;
use arrow::array::{Array, AsArray};
use palisade_catalog::{TableSchema, TableSpec};
use palisade_core::Timestamp;
use palisade_store::{Snapshot, StoreError};
use palisade_table::{Batch, Schemas, arrow_schema, errors_for};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A resource that was seen at least once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifetime {
    /// The table that it is a row of.
    pub table: String,
    /// Its account.
    pub account_id: String,
    /// Its region, where it was seen last.
    pub region: String,
    /// The ARN, or the id where AWS has no ARN.
    pub resource: String,
    /// The id within account and region.
    pub resource_id: String,
    /// It is there, as far as was read.
    pub present: bool,
    /// It could not be seen the last time that its table was read: whether it is there is not known.
    pub unknown: bool,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// When it was seen last.
    pub last_seen: Timestamp,
    /// When it appeared, changed, was gone or came back last.
    pub last_changed: Timestamp,
    /// When it was seen to be gone; nothing while it is there.
    pub gone_at: Option<Timestamp>,
    /// How often it was seen to have changed.
    pub changes: u32,
    /// How often it came back after it had been gone.
    pub returned: u32,
}

/// The resources of a row of snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// Sorted by account, table, resource.
    pub resources: Vec<Lifetime>,
    /// Every change, in the order of the snapshots.
    pub events: Vec<ResourceEvent>,
}

/// Resource, region where there is no ARN, id.
type Key = (String, String, String);

fn key(region: &str, resource: &str, id: &str) -> Key {
    // a resource that several regions list is one
    let region = if resource.starts_with("arn:") {
        ""
    } else {
        region
    };
    (resource.to_owned(), region.to_owned(), id.to_owned())
}

/// A table of an account, over time.
#[derive(Default)]
struct Course {
    known: BTreeMap<Key, Lifetime>,
    /// The last snapshot that has the table.
    last: Option<usize>,
}

/// What became of the resources of snapshots, oldest first. It takes memory for every resource that there was.
///
/// # Errors
/// When a snapshot is damaged.
pub async fn lifetimes(
    snapshots: &[Snapshot],
    schemas: &dyn Schemas,
    accounts: Option<&BTreeSet<String>>,
) -> Result<Lifetimes, StoreError> {
    let mut courses: BTreeMap<(String, String), Course> = BTreeMap::new();
    let mut events = Vec::new();
    for (index, snapshot) in snapshots.iter().enumerate() {
        let side = Side::Stored(snapshot);
        let wanted = side.accounts().into_iter();
        let wanted = wanted.filter(|a| accounts.is_none_or(|accounts| accounts.contains(a)));
        for account_id in wanted {
            // accounts of earlier snapshots that tables of this one are compared with
            let mut earlier: BTreeMap<usize, AccountSide<'_>> = BTreeMap::new();
            for (name, table) in side.account(&account_id).await?.tables {
                let Some((spec, schema)) = schemas.table(&name) else {
                    continue;
                };
                let place = (account_id.clone(), name.clone());
                let course = courses.entry(place).or_default();
                let now = Now {
                    snapshot,
                    spec: &spec,
                    schema: &schema,
                    account_id: &account_id,
                    table: &table,
                    parents: parents(&spec, schemas),
                };
                let before = match course.last.and_then(|at| Some((at, snapshots.get(at)?))) {
                    None => None,
                    Some((at, before)) => {
                        let before = Side::Stored(before);
                        let known = match earlier.entry(at) {
                            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
                            std::collections::btree_map::Entry::Vacant(slot) => {
                                slot.insert(before.account(&account_id).await?)
                            }
                        };
                        known.tables.remove(&name).map(|table| (before, table))
                    }
                };
                now.add(course, before, &mut events).await?;
                course.last = Some(index);
            }
        }
    }
    Ok(Lifetimes {
        resources: courses
            .into_values()
            .flat_map(|course| course.known.into_values())
            .collect(),
        events,
    })
}

/// One table of one account in a snapshot.
struct Now<'a> {
    snapshot: &'a Snapshot,
    spec: &'a Arc<TableSpec>,
    schema: &'a TableSchema,
    account_id: &'a str,
    table: &'a TableSide<'a>,
    parents: Vec<Arc<TableSpec>>,
}

impl Now<'_> {
    async fn add(
        &self,
        course: &mut Course,
        before: Option<(Side<'_>, TableSide<'_>)>,
        events: &mut Vec<ResourceEvent>,
    ) -> Result<(), StoreError> {
        let side = Side::Stored(self.snapshot);
        let at = self.snapshot.manifest().started_at;
        let first = before.is_none();
        let mut changed = Vec::new();
        if let Some(before) = before {
            let pair = Pair {
                spec: self.spec,
                schema: self.schema,
                account_id: self.account_id,
                before,
                after: (side, self.table.clone()),
                parents: self.parents.clone(),
                at_once: at_once(),
            };
            changed = pair.compare().await?.changes;
        }
        let (listed, unsure) = self.listed().await?;
        for (key, region) in &listed {
            match course.known.get_mut(key) {
                Some(known) => {
                    if !known.present {
                        known.present = true;
                        known.returned += 1;
                        known.last_changed = at;
                        known.gone_at = None;
                        events.push(self.event(known, "returned", Vec::new()));
                    }
                    known.unknown = false;
                    known.last_seen = at;
                    known.region.clone_from(region);
                }
                None => {
                    let (resource, _, id) = key.clone();
                    let new = Lifetime {
                        table: self.spec.name.clone(),
                        account_id: self.account_id.to_owned(),
                        region: region.clone(),
                        resource,
                        resource_id: id,
                        present: true,
                        unknown: false,
                        first_seen: at,
                        last_seen: at,
                        last_changed: at,
                        gone_at: None,
                        changes: 0,
                        returned: 0,
                    };
                    let what = if first { "first seen" } else { "added" };
                    events.push(self.event(&new, what, Vec::new()));
                    course.known.insert(key.clone(), new);
                }
            }
        }
        for change in changed {
            if change.kind != ResourceKind::Changed {
                continue;
            }
            let key = key(&change.region, &change.resource, &change.resource_id);
            if let Some(known) = course.known.get_mut(&key) {
                known.changes += 1;
                known.last_changed = at;
                events.push(self.event(known, "changed", change.columns));
            }
        }
        let nameless = unsure.iter().any(|(resource, ..)| resource.is_empty());
        for (key, known) in &mut course.known {
            if listed.contains_key(key) {
                continue;
            }
            let unseen = nameless
                || unsure.contains(key)
                || why_unseen(side, self.table, self.spec, &self.parents, &known.region).is_some();
            if unseen {
                known.unknown = true;
            } else {
                known.unknown = false;
                if known.present {
                    known.present = false;
                    known.last_changed = at;
                    known.gone_at = Some(at);
                    events.push(self.event(known, "removed", Vec::new()));
                }
            }
        }
        Ok(())
    }

    fn event(&self, of: &Lifetime, what: &str, columns: Vec<crate::ColumnChange>) -> ResourceEvent {
        ResourceEvent {
            at: self.snapshot.manifest().started_at,
            snapshot: self.snapshot.manifest().id.clone(),
            what: what.to_owned(),
            table: of.table.clone(),
            account_id: of.account_id.clone(),
            region: of.region.clone(),
            resource: of.resource.clone(),
            columns,
        }
    }

    /// The rows that were listed, with their regions, and those that may be any, because they could not be listed again or
    /// their ARN could not be read.
    async fn listed(&self) -> Result<(BTreeMap<Key, String>, BTreeSet<Key>), StoreError> {
        let sources = |name: &str| {
            let column = self.schema.column(name);
            column.map(|c| c.sources.clone()).unwrap_or_default()
        };
        let (of_arn, of_id) = (sources("arn"), sources(&self.spec.id));
        let names: Vec<&str> = ["account_id", "region", "arn", self.spec.id.as_str()]
            .into_iter()
            .filter(|n| self.table.columns.contains_key(*n) || *n == "region")
            .filter(|n| self.schema.column(n).is_some())
            .collect::<BTreeSet<&str>>()
            .into_iter()
            .collect();
        let schema = arrow_schema(self.schema, &names)
            .unwrap_or_else(|_| Arc::new(arrow::datatypes::Schema::empty()));
        let (mut listed, mut unsure) = (BTreeMap::new(), BTreeSet::new());
        for chunk in &self.table.chunks {
            let Chunk::File(file) = chunk else { continue };
            for batch in self.snapshot.batches(file, self.spec, &schema).await? {
                for row in 0..batch.rows.num_rows() {
                    let (region, arn, id) = (
                        text(&batch, "region", row),
                        text(&batch, "arn", row),
                        text(&batch, &self.spec.id, row),
                    );
                    if !errors_for(&batch, row, &of_arn).is_empty() {
                        // whatever its id says, which resource it is is not known
                        unsure.insert((String::new(), region, id));
                        continue;
                    }
                    let resource = if arn.is_empty() { &id } else { &arn };
                    let key = key(&region, resource, &id);
                    if errors_for(&batch, row, &of_id).is_empty() {
                        listed.insert(key, region);
                    } else {
                        unsure.insert(key);
                    }
                }
            }
        }
        Ok((listed, unsure))
    }
}

fn text(batch: &Batch, name: &str, row: usize) -> String {
    let Some(column) = batch.rows.column_by_name(name).filter(|c| c.is_valid(row)) else {
        return String::new();
    };
    match column.as_string_opt::<i32>() {
        Some(texts) => texts.value(row).to_owned(),
        None => cell(column, row, crate::marks::Marks::none()).to_string(),
    }
}

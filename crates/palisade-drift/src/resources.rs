//! Rows of one table of one account, before and after.
//!
//! Two passes. The first keeps eight bytes of fingerprint for each resource and finds out which of them differ; the
//! second reads those, a bounded number at a time. So memory follows from what differs and from the number of rows of
//! the largest table of one account, not from the size of the snapshots.
use crate::change::{
    Blind, ColumnChange, Counts, NotCompared, ResourceChange, ResourceKind, Which,
};
use crate::marks::Marks;
use crate::nested::differences;
use crate::side::{Chunk, Side, TableSide};
use crate::value::{cell, hash_cell};
use arrow::array::{Array, AsArray};
use arrow::datatypes::SchemaRef;
use palisade_catalog::{Scope, TableSchema, TableSpec};
use palisade_core::CallError;
use palisade_store::StoreError;
use palisade_table::{Batch, arrow_schema, errors_for};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Rows that are held in full at once.
const AT_ONCE: usize = 16_384;

/// The two states of a table in an account.
pub(crate) struct Pair<'a> {
    pub(crate) spec: &'a Arc<TableSpec>,
    pub(crate) schema: &'a TableSchema,
    pub(crate) account_id: &'a str,
    pub(crate) before: (Side<'a>, TableSide<'a>),
    pub(crate) after: (Side<'a>, TableSide<'a>),
    /// Parents of the table, for where its rows come from.
    pub(crate) parents: Vec<Arc<TableSpec>>,
    pub(crate) at_once: usize,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) counts: Counts,
    pub(crate) changes: Vec<ResourceChange>,
    pub(crate) left: Vec<NotCompared>,
}

/// Which resource a row is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Identity {
    /// The ARN; nothing where there is none.
    arn: String,
    /// Of rows without an ARN.
    region: String,
    id: String,
}

/// A row in full.
#[derive(Debug, Clone)]
struct Row {
    region: String,
    arn: String,
    id: String,
    cells: Vec<Json>,
    /// By column: why it could not be read.
    unread: BTreeMap<usize, String>,
    /// Its ARN could not be read: it is not known which resource it is.
    nameless: bool,
}

impl Row {
    /// Without its cells: of rows that are only in one state, just the name is wanted.
    fn named(mut self) -> Self {
        self.cells = Vec::new();
        self.unread = BTreeMap::new();
        self
    }
}

#[derive(Debug, Default)]
struct Print {
    /// Fingerprints of the rows before, less those of the rows after.
    net: u64,
    /// Rows before, less rows after.
    rows: i64,
    /// Some row could not be read in full.
    unread: bool,
}

/// What is compared.
struct Columns<'a> {
    arrow: SchemaRef,
    names: Vec<&'a str>,
    sources: Vec<&'a [usize]>,
    arn: &'a [usize],
    marks: Marks,
}

/// Rows that could not be listed are of one region, or may be of any.
pub(crate) fn is_wide(spec: &TableSpec) -> bool {
    spec.scope == Scope::Global || !spec.region.is_empty() || spec.unique
}

/// Where rows of regions that were not scanned are not looked for.
fn is_bound(spec: &TableSpec, parents: &[Arc<TableSpec>]) -> bool {
    let bound =
        |s: &TableSpec| !s.keep_foreign && (s.scope == Scope::Regional || !s.region.is_empty());
    let origin = parents.last().map_or(spec, AsRef::as_ref);
    !spec.keep_foreign && (bound(origin) || !spec.region.is_empty())
}

impl<'a> Pair<'a> {
    pub(crate) async fn compare(mut self) -> Result<Outcome, StoreError> {
        let mut outcome = Outcome::default();
        let columns = self.columns(&mut outcome);
        self.skip_equal_files(&mut outcome);
        let total: usize = [&self.before.1, &self.after.1]
            .iter()
            .flat_map(|side| &side.chunks)
            .map(Chunk::rows)
            .sum();
        let mut held: Option<Vec<(Which, Cow<'a, Batch>)>> = (total <= self.at_once).then(Vec::new);
        let mut prints: HashMap<u64, Print> = HashMap::new();
        let mut rows_before = 0usize;
        for which in [Which::Before, Which::After] {
            let (side, table) = self.side(which);
            for chunk in &table.chunks {
                for batch in self.read(*side, chunk, &columns).await? {
                    if which == Which::Before {
                        rows_before += batch.rows.num_rows();
                    }
                    columns.prints(&self, which, &batch, &mut prints);
                    if let Some(held) = &mut held {
                        held.push((which, batch));
                    }
                }
            }
        }
        prints.retain(|_, p| p.net != 0 || p.rows != 0 || p.unread);
        let differing: BTreeSet<u64> = prints.keys().copied().collect();
        drop(prints);
        let buckets = differing.len().div_ceil(self.at_once.max(1)).max(1) as u64;
        let mut unmatched = Unmatched::default();
        let mut taken = 0;
        for bucket in 0..buckets {
            if differing.is_empty() {
                break;
            }
            let chosen = |key: u64| key % buckets == bucket && differing.contains(&key);
            let mut groups: BTreeMap<Identity, (Vec<Row>, Vec<Row>)> = BTreeMap::new();
            for which in [Which::Before, Which::After] {
                let mut add = |batch: &Batch| {
                    columns.rows(&self, batch, &chosen, |identity, row| {
                        let group = groups.entry(identity).or_default();
                        match which {
                            Which::Before => group.0.push(row),
                            _ => group.1.push(row),
                        }
                    });
                };
                match &held {
                    Some(held) => {
                        let own = held.iter().filter(|(w, _)| *w == which);
                        own.for_each(|(_, batch)| add(batch));
                    }
                    None => {
                        let (side, table) = self.side(which);
                        for chunk in &table.chunks {
                            for batch in self.read(*side, chunk, &columns).await? {
                                add(&batch);
                            }
                        }
                    }
                }
            }
            for (_, (before, after)) in groups {
                taken += before.len();
                self.group(&columns, before, after, &mut outcome, &mut unmatched);
            }
        }
        outcome.counts.same += rows_before - taken;
        self.unmatched(unmatched, &mut outcome);
        outcome.changes.sort_by(|a, b| order(a).cmp(&order(b)));
        Ok(outcome)
    }

    fn side(&self, which: Which) -> &(Side<'a>, TableSide<'a>) {
        match which {
            Which::Before => &self.before,
            _ => &self.after,
        }
    }

    /// The columns that both have, in the type that the catalogue gives them. The others are said.
    fn columns(&self, outcome: &mut Outcome) -> Columns<'a> {
        let marks = Marks::of(self.spec);
        let mut names = Vec::new();
        let mut read: Vec<&str> = Vec::new();
        let mut sources = Vec::new();
        let mut lacking: BTreeMap<(Which, &str), Vec<String>> = BTreeMap::new();
        let mut arn: &[usize] = &[];
        let all: BTreeSet<&String> = self
            .before
            .1
            .columns
            .keys()
            .chain(self.after.1.columns.keys())
            .collect();
        for name in all {
            let before = self.before.1.columns.get(name);
            let after = self.after.1.columns.get(name);
            let known = self.schema.column(name);
            let mut left = |which, reason| {
                lacking
                    .entry((which, reason))
                    .or_default()
                    .push(name.clone());
            };
            match (before, after, known) {
                (_, _, Some(_)) if marks.member(name).volatile => {}
                (None, ..) => left(Which::Before, "the column was not collected"),
                (_, None, _) => left(Which::After, "the column was not collected"),
                (_, _, None) => left(Which::Both, "the catalogue has no such column"),
                (Some(b), Some(a), Some(column)) => {
                    let ty = palisade_table::arrow_type(&column.ty).to_string();
                    if *b != ty || *a != ty {
                        left(Which::Both, "the column has another type now");
                        continue;
                    }
                    if name == "arn" {
                        arn = &column.sources;
                    }
                    read.push(&column.name);
                    // a resource that several regions list is kept once: which one shows it says nothing
                    if !(name == "region" && self.spec.unique) {
                        names.push(column.name.as_str());
                        sources.push(column.sources.as_slice());
                    }
                }
            }
        }
        for ((lacking, reason), columns) in lacking {
            outcome.left.push(NotCompared {
                table: Some(self.spec.name.clone()),
                account_id: Some(self.account_id.to_owned()),
                region: None,
                columns,
                checks: Vec::new(),
                lacking,
                reason: reason.to_owned(),
                resources: 0,
            });
        }
        let arrow = arrow_schema(self.schema, &read).unwrap_or_else(|_| {
            // every name is a column of the schema
            Arc::new(arrow::datatypes::Schema::empty())
        });
        Columns {
            arrow,
            names,
            sources,
            arn,
            marks,
        }
    }

    /// Files that both states have, and in which everything was read, are the same without being read.
    fn skip_equal_files(&mut self, outcome: &mut Outcome) {
        let key = |chunk: &Chunk<'_>| match chunk {
            Chunk::File(f) if f.unread == Some(0) => {
                Some((f.object.sha256.clone(), f.region.clone(), f.rows))
            }
            _ => None,
        };
        let mut there: BTreeMap<_, usize> = BTreeMap::new();
        for known in self.after.1.chunks.iter().filter_map(key) {
            *there.entry(known).or_default() += 1;
        }
        let mut skipped: BTreeMap<_, usize> = BTreeMap::new();
        self.before.1.chunks.retain(|chunk| {
            let Some(known) = key(chunk) else { return true };
            match there.get_mut(&known) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    outcome.counts.same += chunk.rows();
                    *skipped.entry(known).or_default() += 1;
                    false
                }
                _ => true,
            }
        });
        self.after.1.chunks.retain(|chunk| {
            let left = key(chunk).and_then(|known| skipped.get_mut(&known).filter(|n| **n > 0));
            match left {
                Some(left) => {
                    *left -= 1;
                    false
                }
                None => true,
            }
        });
    }

    async fn read(
        &self,
        side: Side<'a>,
        chunk: &Chunk<'a>,
        columns: &Columns<'_>,
    ) -> Result<Vec<Cow<'a, Batch>>, StoreError> {
        match (chunk, side) {
            (Chunk::Batch(batch), _) => Ok(vec![Cow::Borrowed(*batch)]),
            (Chunk::File(file), Side::Stored(snapshot)) => {
                let batches = snapshot.batches(file, self.spec, &columns.arrow).await?;
                Ok(batches.into_iter().map(Cow::Owned).collect())
            }
            (Chunk::File(_), Side::Collected(_)) => Ok(Vec::new()),
        }
    }

    /// Rows of one resource: one before and one after, as a rule.
    fn group(
        &self,
        columns: &Columns<'_>,
        mut before: Vec<Row>,
        mut after: Vec<Row>,
        outcome: &mut Outcome,
        unmatched: &mut Unmatched,
    ) {
        if before.len() + after.len() > 2 {
            let key = |row: &Row| Json::Array(row.cells.clone()).to_string();
            before.sort_by_cached_key(key);
            after.sort_by_cached_key(key);
            // equal rows first: what is left over differs
            let mut rest = Vec::new();
            for row in before {
                let full = row.unread.is_empty();
                let same = |a: &Row| full && a.unread.is_empty() && a.cells == row.cells;
                match after.iter().position(same) {
                    Some(at) => {
                        after.remove(at);
                        outcome.counts.same += 1;
                    }
                    None => rest.push(row),
                }
            }
            before = rest;
        }
        let mut after = after.into_iter();
        for b in before {
            let nameless = b.nameless;
            match after.next() {
                Some(a) if !nameless && !a.nameless => self.row(columns, &b, &a, outcome),
                Some(a) => {
                    unmatched.before.push(b.named());
                    unmatched.after.push(a.named());
                }
                None => unmatched.before.push(b.named()),
            }
        }
        unmatched.after.extend(after.map(Row::named));
    }

    fn row(&self, columns: &Columns<'_>, before: &Row, after: &Row, outcome: &mut Outcome) {
        let mut changed = Vec::new();
        let mut blind = Vec::new();
        for (index, name) in columns.names.iter().enumerate() {
            let why = match (before.unread.get(&index), after.unread.get(&index)) {
                (Some(b), Some(a)) if a == b => Some((Which::Both, a.clone())),
                (Some(b), Some(a)) => Some((Which::Both, format!("{b}; after: {a}"))),
                (Some(b), None) => Some((Which::Before, b.clone())),
                (None, Some(a)) => Some((Which::After, a.clone())),
                (None, None) => None,
            };
            if let Some((in_state, reason)) = why {
                blind.push(Blind {
                    column: (*name).to_owned(),
                    in_state,
                    reason,
                });
                continue;
            }
            if let (Some(b), Some(a)) = (before.cells.get(index), after.cells.get(index)) {
                differences(name, b, a, columns.marks.member(name), &mut changed);
            }
        }
        let kind = match (changed.is_empty(), blind.is_empty()) {
            (true, true) => {
                outcome.counts.same += 1;
                return;
            }
            (false, _) => ResourceKind::Changed,
            (true, false) => ResourceKind::NotComparable,
        };
        match kind {
            ResourceKind::Changed => outcome.counts.changed += 1,
            _ => outcome.counts.not_comparable += 1,
        }
        changed.sort_by(|a, b| a.path.cmp(&b.path));
        outcome
            .changes
            .push(self.change(after, kind, changed, blind));
    }

    fn change(
        &self,
        row: &Row,
        kind: ResourceKind,
        columns: Vec<ColumnChange>,
        not_comparable: Vec<Blind>,
    ) -> ResourceChange {
        ResourceChange {
            table: self.spec.name.clone(),
            account_id: self.account_id.to_owned(),
            region: row.region.clone(),
            resource: if row.arn.is_empty() {
                row.id.clone()
            } else {
                row.arn.clone()
            },
            resource_id: row.id.clone(),
            kind,
            columns,
            not_comparable,
        }
    }

    /// Rows that only one state has: added and removed, unless the other state did not look.
    fn unmatched(&self, unmatched: Unmatched, outcome: &mut Outcome) {
        let Unmatched { before, after } = unmatched;
        let nameless = |rows: &[Row]| -> Vec<(String, String)> {
            let own = rows.iter().filter(|r| r.nameless);
            own.map(|r| (r.region.clone(), r.id.clone())).collect()
        };
        let (unnamed_before, unnamed_after) = (nameless(&before), nameless(&after));
        let mut unseen: BTreeMap<(Which, String, String), usize> = BTreeMap::new();
        for (lacking, rows, unnamed) in [
            (Which::After, before, &unnamed_after),
            (Which::Before, after, &unnamed_before),
        ] {
            for row in rows {
                let other = unnamed.iter();
                let may_be = |(region, id): &(String, String)| {
                    *region == row.region && (*id == row.id || id.is_empty() || row.id.is_empty())
                };
                let reason = if row.nameless {
                    Some("its ARN could not be read".to_owned())
                } else if other.clone().any(may_be) {
                    Some("the ARN of a resource with this id could not be read".to_owned())
                } else {
                    self.unseen(lacking, &row.region)
                };
                match (reason, lacking) {
                    (Some(reason), _) => {
                        let key = (lacking, row.region.clone(), reason);
                        *unseen.entry(key).or_default() += 1;
                        match lacking {
                            Which::Before => outcome.counts.unseen_before += 1,
                            _ => outcome.counts.unseen_after += 1,
                        }
                    }
                    (None, Which::Before) => {
                        outcome.counts.added += 1;
                        let made = self.change(&row, ResourceKind::Added, vec![], vec![]);
                        outcome.changes.push(made);
                    }
                    (None, _) => {
                        outcome.counts.removed += 1;
                        let made = self.change(&row, ResourceKind::Removed, vec![], vec![]);
                        outcome.changes.push(made);
                    }
                }
            }
        }
        for ((lacking, region, reason), resources) in unseen {
            outcome.left.push(NotCompared {
                table: Some(self.spec.name.clone()),
                account_id: Some(self.account_id.to_owned()),
                region: Some(region),
                columns: Vec::new(),
                checks: Vec::new(),
                lacking,
                reason,
                resources,
            });
        }
        // what could not be listed and concerns no row of the other state is said, too
        for which in [Which::Before, Which::After] {
            for (region, error) in &self.side(which).1.gaps {
                let reason = not_listed(error);
                let said = outcome.left.iter().any(|l| {
                    l.columns.is_empty()
                        && l.lacking == which
                        && l.reason == reason
                        && (is_wide(self.spec) || l.region.as_ref() == Some(region))
                });
                if !said {
                    outcome.left.push(NotCompared {
                        table: Some(self.spec.name.clone()),
                        account_id: Some(self.account_id.to_owned()),
                        region: Some(region.clone()),
                        columns: Vec::new(),
                        checks: Vec::new(),
                        lacking: which,
                        reason,
                        resources: 0,
                    });
                }
            }
        }
    }

    /// Why a row of this region could not be seen in a state.
    fn unseen(&self, which: Which, region: &str) -> Option<String> {
        let (side, table) = self.side(which);
        why_unseen(*side, table, self.spec, &self.parents, region)
    }
}

/// Why a row of a region could not be seen in a table of a state, if it could not.
pub(crate) fn why_unseen(
    side: Side<'_>,
    table: &TableSide<'_>,
    spec: &TableSpec,
    parents: &[Arc<TableSpec>],
    region: &str,
) -> Option<String> {
    let wide = is_wide(spec);
    let gap = table.gaps.iter().find(|(r, _)| wide || r == region);
    if let Some((_, error)) = gap {
        return Some(not_listed(error));
    }
    let bound = is_bound(spec, parents) && !region.is_empty();
    (bound && !side.regions().iter().any(|r| r == region))
        .then(|| "the region was not scanned".to_owned())
}

fn not_listed(error: &CallError) -> String {
    format!("could not be listed: {error}")
}

/// The order of the result: by region, resource, id, kind.
fn order(c: &ResourceChange) -> (&str, &str, &str, ResourceKind, String) {
    let columns = c.columns.iter();
    let text = columns
        .map(|c| format!("{}{}{}", c.path, c.before, c.after))
        .collect();
    (&c.region, &c.resource, &c.resource_id, c.kind, text)
}

#[derive(Debug, Default)]
struct Unmatched {
    before: Vec<Row>,
    after: Vec<Row>,
}

impl Columns<'_> {
    fn identity(&self, spec: &TableSpec, batch: &Batch, row: usize) -> (Identity, bool) {
        let text = |name: &str| {
            let column = batch.rows.column_by_name(name)?;
            if column.is_null(row) {
                return None;
            }
            match column.as_string_opt::<i32>() {
                Some(texts) => Some(texts.value(row).to_owned()),
                None => Some(cell(column, row, Marks::none()).to_string()),
            }
        };
        let nameless = !errors_for(batch, row, self.arn).is_empty();
        let arn = text("arn").filter(|_| !nameless).unwrap_or_default();
        let region = match arn.is_empty() {
            true => text("region").unwrap_or_default(),
            false => String::new(),
        };
        let id = text(&spec.id).unwrap_or_default();
        (Identity { arn, region, id }, nameless)
    }

    fn prints(
        &self,
        pair: &Pair<'_>,
        which: Which,
        batch: &Batch,
        prints: &mut HashMap<u64, Print>,
    ) {
        let found: Vec<Option<&Arc<dyn Array>>> = self
            .names
            .iter()
            .map(|name| batch.rows.column_by_name(name))
            .collect();
        let mut partial: BTreeSet<usize> = BTreeSet::new();
        for sources in self.sources.iter().chain([&self.arn]) {
            for source in *sources {
                partial.extend(batch.failures_of(*source).iter().map(|f| f.row));
            }
        }
        for row in 0..batch.rows.num_rows() {
            let (identity, _) = self.identity(pair.spec, batch, row);
            let mut content = DefaultHasher::new();
            for (name, column) in self.names.iter().zip(&found) {
                if let Some(column) = column {
                    hash_cell(column, row, self.marks.member(name), &mut content);
                }
            }
            let print = prints.entry(hash(&identity)).or_default();
            let content = content.finish();
            if which == Which::Before {
                print.net = print.net.wrapping_add(content);
                print.rows += 1;
            } else {
                print.net = print.net.wrapping_sub(content);
                print.rows -= 1;
            }
            print.unread |= partial.contains(&row);
        }
    }

    fn rows(
        &self,
        pair: &Pair<'_>,
        batch: &Batch,
        chosen: &dyn Fn(u64) -> bool,
        mut add: impl FnMut(Identity, Row),
    ) {
        let region = batch.rows.column_by_name("region");
        let arn = batch.rows.column_by_name("arn");
        let text = |column: Option<&Arc<dyn Array>>, row| {
            let texts = column.and_then(|c| c.as_string_opt::<i32>());
            let value = texts.filter(|t| t.is_valid(row)).map(|t| t.value(row));
            value.unwrap_or_default().to_owned()
        };
        for row in 0..batch.rows.num_rows() {
            let (identity, nameless) = self.identity(pair.spec, batch, row);
            if !chosen(hash(&identity)) {
                continue;
            }
            let mut cells = Vec::with_capacity(self.names.len());
            let mut unread = BTreeMap::new();
            for (index, (name, sources)) in self.names.iter().zip(&self.sources).enumerate() {
                let errors = errors_for(batch, row, sources);
                if let Some(failure) = errors.first() {
                    unread.insert(index, failure.error.to_string());
                    cells.push(Json::Null);
                    continue;
                }
                let column = batch.rows.column_by_name(name);
                cells.push(column.map_or(Json::Null, |c| cell(c, row, self.marks.member(name))));
            }
            let id = identity.id.clone();
            let full = Row {
                region: text(region, row),
                arn: match nameless {
                    true => String::new(),
                    false => text(arn, row),
                },
                id,
                cells,
                unread,
                nameless,
            };
            add(identity, full);
        }
    }
}

fn hash(identity: &Identity) -> u64 {
    let mut state = DefaultHasher::new();
    identity.hash(&mut state);
    state.finish()
}

/// Rows that are held in full at once, where nothing else is asked for.
pub(crate) const fn at_once() -> usize {
    AT_ONCE
}

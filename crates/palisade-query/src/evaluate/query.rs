//! Checks that are full queries.
use super::block::{Block, Content, evidence, texts, value};
use super::{CheckError, Reason, block_on, gap_findings, note, unlisted};
use crate::error::QueryError;
use crate::plan::{PlannedCheck, Query, REASON, Verdict};
use crate::provider::Rows;
use crate::render;
use crate::session::Planner;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::execution::context::SessionState;
use palisade_catalog::{Scope, Sufficient};
use palisade_core::{CallError, Finding, Status};
use palisade_table::{Batch, Dataset, Table};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most runs of a query that are spent on finding the rows it fails on.
const SPLITS: usize = 200;

pub(super) fn evaluate_queries(
    planner: &Planner,
    queries: &[&PlannedCheck],
    dataset: &Dataset,
    rows: Arc<Rows>,
    sink: &mut dyn FnMut(&Block<'_>),
    errors: &mut Vec<CheckError>,
) {
    let results = block_on(async {
        let mut results = Vec::with_capacity(queries.len());
        let state = planner.state_over(Arc::clone(&rows));
        for planned in queries {
            let result = match planned.query(planner) {
                Some(Ok(query)) => {
                    let answer = run(planner, planned, query, &rows, &state).await;
                    let answer = answer.map(|answer| (query, answer));
                    answer.map_err(|e| e.to_string())
                }
                Some(Err(message)) => Err(message.to_owned()),
                None => continue,
            };
            results.push((*planned, result));
        }
        results
    });
    let results = match results {
        Ok(results) => results,
        Err(e) => {
            let of = |planned: &&PlannedCheck| CheckError {
                check: planned.check.id.clone(),
                message: e.to_string(),
            };
            errors.extend(queries.iter().map(of));
            return;
        }
    };
    for (planned, result) in results {
        let Some(table) = dataset.tables.get(&planned.check.resource) else {
            continue;
        };
        let content = result
            .and_then(|(query, answer)| content(planner, planned, query, dataset, table, answer));
        match content {
            Ok(content) => sink(&Block {
                planner,
                planned,
                content,
            }),
            Err(message) => errors.push(CheckError {
                check: planned.check.id.clone(),
                message,
            }),
        }
    }
}

/// What a query gave.
struct Answer {
    batches: Vec<RecordBatch>,
    /// Ranges of rows of the resource table over which the query fails, with why.
    failed: Vec<(usize, usize, String)>,
    /// What went wrong of which nobody knows whom it concerns: then it is all that the check could speak of.
    unplaced: Option<String>,
}

/// Runs a query. Where it fails on values (a document that cannot be parsed), finds the rows of the resource table
/// that it fails on, as far as its result follows row by row from that table.
async fn run(
    planner: &Planner,
    planned: &PlannedCheck,
    query: &Query,
    rows: &Arc<Rows>,
    state: &SessionState,
) -> Result<Answer, QueryError> {
    let mut answer = Answer {
        batches: Vec::new(),
        failed: Vec::new(),
        unplaced: None,
    };
    let resource = planned.check.resource.as_str();
    let total = rows.count(resource);
    if query.emptiness.holds(&|table| rows.has_none(table)) {
        return Ok(answer);
    }
    let reason = match query.run(planner, state).await {
        Ok(batches) => {
            answer.batches = batches;
            return Ok(answer);
        }
        Err(QueryError::Run(reason)) => reason,
        Err(other) => return Err(other),
    };
    if total == 0 {
        answer.unplaced = Some(reason);
        return Ok(answer);
    }
    if !query.row_wise || total == 1 {
        answer.failed.push((0, total, reason));
        return Ok(answer);
    }
    let mut open = vec![(0, total)];
    let mut runs = 0;
    while let Some((from, count)) = open.pop() {
        runs += 1;
        let part = Arc::new(rows.with_slice(resource, from, count));
        match query.run(planner, &planner.state_over(part)).await {
            Ok(mut batches) => answer.batches.append(&mut batches),
            Err(QueryError::Run(reason)) if count == 1 || runs >= SPLITS => {
                answer.failed.push((from, count, reason))
            }
            Err(QueryError::Run(_)) => {
                let half = count / 2;
                open.push((from + half, count - half));
                open.push((from, half));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(answer)
}

/// What names a resource within a check.
type Key = (String, String, String);

/// What is known of the resource table's rows.
#[derive(Default)]
struct Resource {
    /// Keys of all rows, by ARN and by id.
    keys: BTreeSet<Key>,
    /// Rows that the query cannot decide, each with its keys.
    broken: Vec<(Vec<Key>, Reason)>,
    /// Key → place in `broken`.
    broken_keys: BTreeMap<Key, usize>,
    /// Accounts and regions that have rows.
    places: BTreeSet<(String, String)>,
}

fn content(
    planner: &Planner,
    planned: &PlannedCheck,
    query: &Query,
    dataset: &Dataset,
    table: &Table,
    answer: Answer,
) -> Result<Content<'static>, String> {
    let mut unplaced = answer.unplaced;
    let mut failed = !answer.failed.is_empty();
    let resource = resource_rows(planned, query, table, &answer.failed);
    let elsewhere = losses(planned, query, dataset, false);
    // An output row that is not a row of the resource table was made from all of them.
    let everywhere = losses(planned, query, dataset, true);
    let rows = concat_batches(&query.frame.arrow, &retyped(query, answer.batches)?)
        .map_err(|e| e.to_string())?;
    let column = |name: &str| {
        query
            .frame
            .arrow
            .index_of(name)
            .ok()
            .and_then(|i| rows.columns().get(i))
            .cloned()
    };
    let text = |name: &str, row: usize| {
        column(name)
            .and_then(|c| value(&c, row).map(ToOwned::to_owned))
            .filter(|t| !t.is_empty())
    };
    let words = statuses(query, &rows)?;
    let group = |wanted: Status| -> Vec<u32> {
        let of = words.iter().zip(0u32..);
        let of = of.filter(|(s, _)| matches!(s, Ok(s) if *s == wanted));
        of.map(|(_, row)| row).collect()
    };
    let mut messages: BTreeMap<u32, String> = BTreeMap::new();
    for status in [Status::Pass, Status::Fail] {
        let wanted = group(status);
        let written = texts(planner, planned, &query.frame, &rows, status, &wanted);
        messages.extend(wanted.into_iter().zip(written));
    }
    let mut seen: BTreeSet<Key> = BTreeSet::new();
    // The place of each resource's finding.
    let mut told: BTreeMap<Key, usize> = BTreeMap::new();
    // Places for which a row speaks that was made from all rows of the resource table there.
    let mut covered: BTreeSet<(String, Option<String>)> = BTreeSet::new();
    let mut out = Vec::with_capacity(rows.num_rows());
    for (row, (word, index)) in words.iter().zip(0u32..).enumerate() {
        let (account, region) = (text("account_id", row), text("region", row));
        let (Some(account), Some(region)) = (account, region) else {
            unplaced = Some("a row of the check's result has no account_id or region".to_owned());
            continue;
        };
        // What a check does not foresee it does not decide.
        let (status, mistaken) = match word {
            Ok(status) => (*status, None),
            Err(message) => (Status::Unknown, Some(Reason::Values(message.clone()))),
        };
        let (arn, id) = (text("arn", row), text("id", row));
        let name = arn.as_ref().or(id.as_ref()).cloned();
        let nameless = name
            .is_none()
            .then(|| Reason::Values("AWS gave it neither an ARN nor an id".to_owned()));
        let name = name.unwrap_or_else(|| NAMELESS.to_owned());
        let id_key = id.clone().map(|id| (account.clone(), region.clone(), id));
        let key = (account.clone(), region.clone(), name.clone());
        let own = [Some(&key), id_key.as_ref()];
        let own = || own.iter().flatten().copied();
        let broken = own().find_map(|k| resource.broken.get(*resource.broken_keys.get(k)?));
        let is_row = own().any(|k| resource.keys.contains(k));
        let lost = if is_row { &elsewhere } else { &everywhere };
        let loss = lost
            .get(&(account.clone(), None))
            .or_else(|| lost.get(&(account.clone(), Some(region.clone()))));
        let stays = match planned.check.sufficient {
            Some(Sufficient::Pass) => status == Status::Pass,
            Some(Sufficient::Fail) => status == Status::Fail,
            None => false,
        };
        let reason = broken
            .map(|(_, reason)| reason)
            .or(nameless.as_ref())
            .or(mistaken.as_ref())
            .or_else(|| loss.filter(|_| !stays));
        let message = match reason {
            Some(reason) => reason.message(),
            None => messages
                .remove(&index)
                .or_else(|| text(REASON, row))
                .unwrap_or_else(|| without_message(status).to_owned()),
        };
        seen.extend(id_key);
        seen.insert(key.clone());
        if !is_row && nameless.is_none() {
            covered.insert((account.clone(), query.region_bound.then(|| region.clone())));
        }
        let finding = Finding {
            check: Arc::clone(&planned.id),
            status: if reason.is_some() {
                Status::Unknown
            } else {
                status
            },
            severity: planned.check.severity,
            account_id: Arc::from(account),
            region: Arc::from(region),
            resource: name.clone(),
            resource_id: id.unwrap_or(name),
            resource_type: Arc::clone(&planned.resource_type),
            message,
            evidence: if reason.is_some() {
                serde_json::Map::new()
            } else {
                evidence(&query.frame, &query.evidence, &rows, row)
            },
            requirements: Arc::clone(&planned.requirements),
            fix: planned.fix,
            history: None,
            missing_permissions: reason.map(Reason::permissions).unwrap_or_default(),
            muted: None,
        };
        match told.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(out.len());
                out.push(finding);
            }
            Entry::Occupied(slot) => {
                if let Some(first) = out.get_mut(*slot.get()) {
                    join(first, finding);
                }
            }
        }
    }
    let is_covered = |account: &str, region: &str| {
        covered.contains(&(account.to_owned(), None))
            || covered.contains(&(account.to_owned(), Some(region.to_owned())))
    };
    let mut more = missing_rows(planned, &resource, &seen);
    more.extend(gap_findings(planned, table));
    more.retain(|f| !is_covered(&f.account_id, &f.region));
    out.append(&mut more);
    missing_places(planned, &resource, &elsewhere, &mut out);
    if let Some(why) = unplaced {
        failed = true;
        let places = match resource.places {
            none if none.is_empty() => places_read(query, dataset),
            places => places,
        };
        if places.is_empty() {
            return Err(why);
        }
        let spoken = out.iter().filter(|f| f.resource.is_empty());
        let spoken: BTreeSet<(&str, &str)> = spoken.map(|f| (&*f.account_id, &*f.region)).collect();
        let why = Reason::Values(why);
        let unspoken = places.iter().map(|(a, r)| (a.as_str(), r.as_str()));
        let unspoken = unspoken.filter(|place| !spoken.contains(place));
        let more: Vec<Finding> = unspoken
            .map(|(account, region)| unlisted(planned, account, region, &why))
            .collect();
        out.extend(more);
    }
    Ok(Content::Findings {
        findings: out,
        failed,
    })
}

/// What stands for the name of a resource that has none.
const NAMELESS: &str = "(without a name)";

const TWO_ANSWERS: &str = "there is more than one answer for it: it, or something that it is judged by, was listed twice with different values";

/// Two rows of the result speak of one resource: AWS listed it twice, or something that it is judged by. Where they do not
/// agree it is unknown, by the cause of the one that could not be decided if there is such a row. What comes of any number
/// of rows does not follow from their order.
fn join(first: &mut Finding, second: Finding) {
    if first.status == second.status {
        let order = |f: &Finding| {
            let evidence = serde_json::to_string(&f.evidence).ok();
            (f.message == TWO_ANSWERS, f.message.clone(), evidence)
        };
        if order(&second) < order(first) {
            *first = second;
        }
    } else if second.status == Status::Unknown {
        *first = second;
    } else if first.status != Status::Unknown {
        first.status = Status::Unknown;
        first.message = TWO_ANSWERS.to_owned();
        first.evidence = serde_json::Map::new();
    }
}

/// The physical plan may give the planned types with other nullability: only the data counts.
fn retyped(query: &Query, batches: Vec<RecordBatch>) -> Result<Vec<RecordBatch>, String> {
    let retype = |batch: RecordBatch| {
        RecordBatch::try_new(Arc::clone(&query.frame.arrow), batch.columns().to_vec()).or_else(
            |_| {
                // Nullability of nested fields may differ too: a cast evens that out.
                let cast =
                    |(column, field): (&ArrayRef, &Arc<datafusion::arrow::datatypes::Field>)| {
                        datafusion::arrow::compute::cast(column, field.data_type())
                    };
                let columns = batch
                    .columns()
                    .iter()
                    .zip(query.frame.arrow.fields())
                    .map(cast)
                    .collect::<Result<Vec<_>, _>>()?;
                RecordBatch::try_new(Arc::clone(&query.frame.arrow), columns)
            },
        )
    };
    batches
        .into_iter()
        .map(retype)
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())
}

fn without_message(status: Status) -> &'static str {
    match status {
        Status::NotApplicable => "the requirement does not concern it",
        Status::Manual => "a person has to answer this",
        _ => "could not be decided",
    }
}

/// The status that each row gives, or why it gives none.
fn statuses(query: &Query, rows: &RecordBatch) -> Result<Vec<Result<Status, String>>, String> {
    let name = if query.verdict == Verdict::Pass {
        "pass"
    } else {
        "status"
    };
    let Some(column) = query
        .frame
        .arrow
        .index_of(name)
        .ok()
        .and_then(|i| rows.columns().get(i))
    else {
        return Err(format!("the result has no `{name}`"));
    };
    let status = |row: usize| match query.verdict {
        Verdict::Pass => {
            let passed = column
                .as_boolean_opt()
                .is_some_and(|b| b.is_valid(row) && b.value(row));
            Ok(if passed { Status::Pass } else { Status::Fail })
        }
        Verdict::Status => match value(column, row) {
            None => Ok(Status::Unknown),
            Some(word) => word
                .parse()
                .map_err(|_| format!("the check gives it the status `{word}`, which there is not")),
        },
    };
    Ok((0..rows.num_rows()).map(status).collect())
}

fn keys_of(batch: &Batch, table: &Table, row: usize) -> Vec<Key> {
    let at = |name: &str| {
        let column: Option<&ArrayRef> = table
            .schema
            .index_of(name)
            .ok()
            .and_then(|i| batch.rows.columns().get(i));
        column
            .filter(|c| c.is_valid(row))
            .map(|c| render::text(c, row))
            .filter(|t| !t.is_empty())
    };
    let (account, region) = (
        at("account_id").unwrap_or_default(),
        at("region").unwrap_or_default(),
    );
    let names = [at("arn"), at(&table.spec.id)];
    names
        .into_iter()
        .flatten()
        .map(|n| (account.clone(), region.clone(), n))
        .collect()
}

/// The accounts and regions of all rows that a query reads.
fn places_read(query: &Query, dataset: &Dataset) -> BTreeSet<(String, String)> {
    let mut places = BTreeSet::new();
    for table in query.scans.keys().filter_map(|t| dataset.tables.get(t)) {
        for batch in &table.batches {
            for row in 0..batch.rows.num_rows() {
                places.insert((
                    text_at(table, batch, "account_id", row),
                    text_at(table, batch, "region", row),
                ));
            }
        }
    }
    places
}

/// The text of a row of a table; empty where there is none.
fn text_at(table: &Table, batch: &Batch, column: &str, row: usize) -> String {
    let index = table.schema.index_of(column).ok();
    let array = index.and_then(|i| batch.rows.columns().get(i));
    array
        .and_then(|a| value(a, row))
        .unwrap_or_default()
        .to_owned()
}

/// Rows that cannot be decided: calls failed that fill what the query reads of them, or the query fails on them.
fn resource_rows(
    planned: &PlannedCheck,
    query: &Query,
    table: &Table,
    failed: &[(usize, usize, String)],
) -> Resource {
    let mut resource = Resource::default();
    let sources = sources(planned, query);
    let mut offset = 0;
    for batch in &table.batches {
        let mut reasons: BTreeMap<usize, Reason> = BTreeMap::new();
        for row in 0..batch.rows.num_rows() {
            let at = offset + row;
            if let Some((_, _, why)) = failed
                .iter()
                .find(|(from, count, _)| (*from..from + count).contains(&at))
            {
                reasons.insert(row, Reason::Values(why.clone()));
            }
        }
        let mut calls: BTreeMap<usize, Vec<Arc<CallError>>> = BTreeMap::new();
        for failure in batch
            .failures
            .iter()
            .filter(|f| sources.contains(&f.source))
        {
            note(calls.entry(failure.row).or_default(), &failure.error);
        }
        reasons.extend(
            calls
                .into_iter()
                .map(|(row, errors)| (row, Reason::Calls(errors))),
        );
        for row in 0..batch.rows.num_rows() {
            let keys = keys_of(batch, table, row);
            if let Some((account, region, _)) = keys.first() {
                resource.places.insert((account.clone(), region.clone()));
            }
            if let Some(reason) = reasons.remove(&row) {
                let index = resource.broken.len();
                resource
                    .broken_keys
                    .extend(keys.iter().map(|k| (k.clone(), index)));
                resource.broken.push((keys.clone(), reason));
            }
            resource.keys.extend(keys);
        }
        offset += batch.rows.num_rows();
    }
    resource
}

/// The calls that fill what the query reads of the resource table.
fn sources(planned: &PlannedCheck, query: &Query) -> BTreeSet<usize> {
    let columns = query.scans.get(&planned.check.resource).map(|s| &s.columns);
    let known = columns
        .into_iter()
        .flatten()
        .filter_map(|c| planned.table.columns.column(c));
    known.flat_map(|c| c.sources.iter().copied()).collect()
}

/// Rows that cannot be decided and that the query leaves out, perhaps because of what could not be read.
fn missing_rows(planned: &PlannedCheck, resource: &Resource, seen: &BTreeSet<Key>) -> Vec<Finding> {
    let mut out = Vec::new();
    for (keys, reason) in &resource.broken {
        if keys.iter().any(|k| seen.contains(k)) {
            continue;
        }
        if let (Some((account, region, name)), Some((_, _, id))) = (keys.first(), keys.last()) {
            let mut finding = unlisted(planned, account, region, reason);
            finding.resource.clone_from(name);
            finding.resource_id.clone_from(id);
            out.push(finding);
        }
    }
    out
}

/// Accounts (and regions) where another table was not read and the check says nothing although it has resources there.
fn missing_places(
    planned: &PlannedCheck,
    resource: &Resource,
    losses: &Losses,
    out: &mut Vec<Finding>,
) {
    if losses.is_empty() {
        return;
    }
    let spoken: BTreeSet<(String, String)> = out
        .iter()
        .map(|f| (f.account_id.to_string(), f.region.to_string()))
        .collect();
    for place in &resource.places {
        let (account, region) = place;
        let loss = losses
            .get(&(account.clone(), None))
            .or_else(|| losses.get(&(account.clone(), Some(region.clone()))));
        if let Some(reason) = loss.filter(|_| !spoken.contains(place)) {
            out.push(unlisted(planned, account, region, reason));
        }
    }
}

/// What could not be read, by account and, where it concerns only that, region.
/// Account (and region) → a table that could not be read there, and why.
type Missing = BTreeMap<(String, Option<String>), (Option<String>, Vec<Arc<CallError>>)>;
type Losses = BTreeMap<(String, Option<String>), Reason>;

/// What could not be read of the tables of a query: of those other than the resource table, of the resource table too
/// if the query reads it twice, or of all.
fn losses(planned: &PlannedCheck, query: &Query, dataset: &Dataset, all: bool) -> Losses {
    let regional_result = if all {
        query.region_bound
    } else {
        planned.table.spec.scope == Scope::Regional
    };
    let mut found: Missing = BTreeMap::new();
    for (name, scan) in query.scans.iter().filter(|(_, scan)| scan.decides) {
        let is_resource = *name == planned.check.resource;
        if is_resource && !all && scan.times < 2 {
            continue;
        }
        let Some(table) = dataset.tables.get(name) else {
            continue;
        };
        let by_region = regional_result && table.spec.scope == Scope::Regional;
        let place = |account: &str, region: &str| {
            (account.to_owned(), by_region.then(|| region.to_owned()))
        };
        for gap in &table.gaps {
            let entry = found
                .entry(place(&gap.account_id, &gap.region))
                .or_default();
            entry.0.get_or_insert_with(|| name.clone());
            note(&mut entry.1, &gap.error);
        }
        let columns = scan.columns.iter();
        let sources: BTreeSet<usize> = columns
            .filter_map(|c| query.columns_of.get(name).and_then(|s| s.column(c)))
            .flat_map(|c| c.sources.iter().copied())
            .collect();
        for batch in &table.batches {
            for failure in batch
                .failures
                .iter()
                .filter(|f| sources.contains(&f.source))
            {
                let at = |column: &str| text_at(table, batch, column, failure.row);
                let entry = found.entry(place(&at("account_id"), &at("region")));
                note(&mut entry.or_default().1, &failure.error);
            }
        }
    }
    let reason = |(table, errors): (Option<String>, Vec<Arc<CallError>>)| match table {
        Some(table) => Reason::Gap(table, errors),
        None => Reason::Calls(errors),
    };
    found
        .into_iter()
        .map(|(place, what)| (place, reason(what)))
        .collect()
}

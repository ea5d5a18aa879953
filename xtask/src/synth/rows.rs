//! Rows of one table: patterns put together from fixtures, each row one of them with a name of its own.
#![allow(
    clippy::indexing_slicing,
    reason = "numbers come from the lists that they are numbers of; a development tool stops at a mistake"
)]
use super::shape::Shape;
use anyhow::{Context, anyhow, ensure};
use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, StringArray, StructArray,
    UInt32Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::DataType;
use palisade_catalog::{Catalog, ColumnType, FixtureStatus, Scope, TableSchema};
use palisade_core::{CallError, Status, Timestamp};
use palisade_table::{
    Batch, CatalogSchemas, FIXTURE_ACCOUNT, Failure, Schemas, Table, arrow_schema, fixture_table,
};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Regions of every account; the first has what belongs to no region.
pub const REGIONS: [&str; 4] = ["us-east-1", "eu-central-1", "eu-west-1", "us-west-2"];
/// Patterns of a table.
const PATTERNS: u64 = 96;

/// One pattern in so many has cells that could not be read, and takes a fixture with such as often as this.
const UNREAD_PATTERNS: u64 = 24;
const UNREAD: u64 = 20;

type Row = Map<String, Json>;

/// Tables, and numbers that follow from a seed.
pub struct Generator {
    seed: u64,
    /// In the order of their names.
    pub kinds: Vec<Kind>,
}

/// A table whose rows are made.
pub struct Kind {
    /// From its name: other tables do not change it.
    pub number: u64,
    /// Without rows.
    pub table: Table,
    /// Why a list of it fails, where it does.
    pub unlisted: Option<CallError>,
    /// Every pattern in a row.
    patterns: RecordBatch,
    failures: Vec<Failure>,
    /// Patterns of which everything could be read.
    readable: Vec<u32>,
    /// Columns that hold ids of rows of other tables.
    foreign: BTreeMap<String, usize>,
}

/// Rows of one table in one account and region.
pub struct Place<'s> {
    pub shape: &'s Shape,
    /// Which of [`Generator::kinds`].
    pub table: usize,
    /// Which of [`REGIONS`].
    pub region: usize,
    /// How many percent of the rows are not as they were.
    pub drift: u64,
}

/// A row: its number, and whether it is not as it was.
pub type Numbered = (u64, bool);

/// SplitMix64 (Steele, Lea, Flood 2014).
fn mixed(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn named(name: &str) -> u64 {
    name.bytes().fold(0, |state, b| mixed(state ^ u64::from(b)))
}

impl Generator {
    /// Over the tables that shipped checks read.
    ///
    /// # Errors
    /// When a fixture does not fit its table.
    pub fn new(tables: &CatalogSchemas, seed: u64, now: Timestamp) -> anyhow::Result<Self> {
        let read = reads(tables.catalog())?;
        let examples = examples(tables);
        let none = Vec::new();
        let mut kinds = Vec::new();
        for (name, columns) in &read {
            let of = examples.get(name).unwrap_or(&none);
            kinds.push(kind(tables, seed, name, columns, of, now)?);
        }
        let names: BTreeMap<&str, usize> = read.keys().map(String::as_str).zip(0..).collect();
        let mut foreign = Vec::new();
        for kind in &kinds {
            foreign.push(foreign_keys(kind, &names, &kinds));
        }
        for (kind, foreign) in kinds.iter_mut().zip(foreign) {
            kind.foreign = foreign;
        }
        Ok(Self { seed, kinds })
    }

    /// A number that follows from the seed and these.
    pub fn number(&self, of: &[u64]) -> u64 {
        number(self.seed, of)
    }
}

fn number(seed: u64, of: &[u64]) -> u64 {
    of.iter().fold(mixed(seed), |state, n| mixed(state ^ n))
}

/// Table → the columns that shipped checks read of it.
fn reads(catalog: &Catalog) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let mut read: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for check in catalog.checks.values() {
        for (table, columns) in catalog.reads_of(check).into_iter().flatten() {
            let known = read.entry(table.clone()).or_default();
            known.extend(columns.iter().cloned());
        }
    }
    ensure!(!read.is_empty(), "docs/reference/reads.json is stale");
    for columns in read.values_mut() {
        columns.sort();
        columns.dedup();
    }
    Ok(read)
}

/// A fixture's row of a table, with how often it is taken.
type Example = (u64, Row);

/// Table → by check, the rows of its fixtures.
fn examples(tables: &CatalogSchemas) -> BTreeMap<String, Vec<Vec<Example>>> {
    let mut all: BTreeMap<String, Vec<Vec<Example>>> = BTreeMap::new();
    for check in tables.catalog().checks.values() {
        let mut own: BTreeMap<&str, Vec<Example>> = BTreeMap::new();
        for fixture in check.fixtures.iter() {
            let often = match fixture.expect {
                FixtureStatus::Finding(Status::Pass) => 30,
                FixtureStatus::Finding(Status::Fail) => 6,
                FixtureStatus::Finding(Status::Unknown) => 0,
                _ => 3,
            };
            if !check.is_query {
                let of = own.entry(&check.resource).or_default();
                of.push((often, fixture.data.clone()));
                continue;
            }
            for (table, rows) in &fixture.data {
                let rows = rows.as_array().into_iter().flatten();
                let rows = rows.filter_map(Json::as_object);
                let of = own.entry(table).or_default();
                of.extend(rows.map(|row| (often, row.clone())));
            }
        }
        for (table, rows) in own {
            all.entry(table.to_owned()).or_default().push(rows);
        }
    }
    all
}

fn kind(
    tables: &CatalogSchemas,
    seed: u64,
    name: &str,
    columns: &[String],
    examples: &[Vec<Example>],
    now: Timestamp,
) -> anyhow::Result<Kind> {
    let (spec, schema) = tables
        .table(name)
        .with_context(|| format!("no table `{name}`"))?;
    let wanted: BTreeSet<&str> = columns
        .iter()
        .map(String::as_str)
        .chain(["account_id", "region", "partition", "arn", spec.id.as_str()])
        .filter(|c| schema.column(c).is_some())
        .collect();
    let own = named(name);
    let rows = (0..PATTERNS).map(|pattern| {
        let row = pattern_row(seed, &[own, pattern], &schema, &wanted, examples);
        Json::Object(row)
    });
    let rows = Json::Array(rows.collect());
    let whole = fixture_table(tables, name, &rows, now)
        .map_err(|e| anyhow!("the fixtures of `{name}`: {e}"))?;
    let batch = whole.batches.first().context("patterns")?;
    let wanted: Vec<&str> = wanted.into_iter().collect();
    let arrow = arrow_schema(&schema, &wanted)?;
    let mut arrays = Vec::new();
    for field in arrow.fields() {
        let array = batch.rows.column_by_name(field.name());
        arrays.push(Arc::clone(array.context("a column")?));
    }
    let gap = fixture_table(tables, name, &json!({"!error": "AccessDenied"}), now);
    let gap = gap.map_err(|e| anyhow!("`{name}`: {e}"))?.gaps.pop();
    let unlisted = spec.list.is_some().then_some(gap).flatten();
    Ok(Kind {
        number: own,
        table: Table {
            spec: Arc::clone(&spec),
            schema: Arc::clone(&arrow),
            batches: Vec::new(),
            gaps: Vec::new(),
        },
        unlisted: unlisted.map(|g| (*g.error).clone()),
        patterns: RecordBatch::try_new(arrow, arrays)?,
        failures: batch.failures.clone(),
        readable: (0..u32::try_from(PATTERNS)?)
            .filter(|p| !batch.failures.iter().any(|f| f.row == *p as usize))
            .collect(),
        foreign: BTreeMap::new(),
    })
}

/// One fixture of each check, laid over each other in an order of the pattern's own: what the first says, holds. What no
/// fixture says is made up from the type.
fn pattern_row(
    seed: u64,
    of: &[u64],
    schema: &TableSchema,
    wanted: &BTreeSet<&str>,
    examples: &[Vec<Example>],
) -> Row {
    let chance = |more: &[u64]| number(seed, &[of, more].concat());
    let mut order: Vec<(u64, &Vec<Example>)> = examples
        .iter()
        .zip(0u64..)
        .map(|(own, i)| (chance(&[1, i]), own))
        .collect();
    order.sort_by_key(|(key, _)| *key);
    let is_unread = chance(&[3]).is_multiple_of(UNREAD_PATTERNS);
    let mut row = Row::new();
    for (key, own) in order {
        let often = |(often, _): &Example| match often {
            0 if is_unread => UNREAD,
            often => *often,
        };
        let all: u64 = own.iter().map(often).sum();
        let mut at = mixed(key) % all.max(1);
        for example in own {
            let (often, example) = (often(example), &example.1);
            if at < often {
                for (column, value) in example {
                    if wanted.contains(column.as_str()) && !row.contains_key(column) {
                        row.insert(column.clone(), value.clone());
                    }
                }
                break;
            }
            at -= often;
        }
    }
    // whose it is and where it is comes later
    for place in ["account_id", "region", "partition"] {
        row.remove(place);
    }
    for (column, at) in schema.columns.iter().zip(0u64..) {
        let name = column.name.as_str();
        if wanted.contains(name)
            && !row.contains_key(name)
            && !["account_id", "region", "partition", "arn"].contains(&name)
        {
            row.insert(name.to_owned(), made_up(&column.ty, chance(&[2, at])));
        }
    }
    row
}

fn made_up(ty: &ColumnType, chance: u64) -> Json {
    if chance.is_multiple_of(8) {
        return Json::Null;
    }
    match ty {
        ColumnType::Boolean => json!(chance.is_multiple_of(3)),
        ColumnType::Integer => json!(chance % 100),
        ColumnType::Float => json!((chance % 100) as f64 / 4.0),
        ColumnType::Text => json!(format!("value-{}", chance % 16)),
        ColumnType::Timestamp => json!(format!("now-{}d", chance % 400)),
        ColumnType::List(_) => json!([]),
        ColumnType::Map(_) | ColumnType::Struct(_) => json!({}),
    }
}

/// `vpc_id` and `role_name` name rows of `ec2_vpc` and `iam_role`.
fn foreign_keys(
    kind: &Kind,
    names: &BTreeMap<&str, usize>,
    kinds: &[Kind],
) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for field in kind.table.schema.fields() {
        let name = field.name().as_str();
        let spec = &kind.table.spec;
        let stem = ["_id", "_name"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let Some(stem) = stem.filter(|_| field.data_type() == &DataType::Utf8) else {
            continue;
        };
        if name == "account_id" || name == spec.id {
            continue;
        }
        let target = [
            format!("{}_{stem}", spec.service),
            format!("ec2_{stem}"),
            format!("iam_{stem}"),
        ];
        let target = target.iter().find_map(|t| names.get(t.as_str()));
        let Some(target) = target else { continue };
        let id = kinds.get(*target).map(|k| k.table.spec.id.as_str());
        if id == Some(name) || id == Some("name") || id == Some("id") {
            found.insert(name.to_owned(), *target);
        }
    }
    found
}

impl Place<'_> {
    fn region(&self) -> &'static str {
        REGIONS.get(self.region).copied().unwrap_or(REGIONS[0])
    }

    /// The rows of `count` that are there: all of them, but for what has changed since.
    pub fn rows(&self, count: u64) -> Vec<Numbered> {
        let mut rows = Vec::new();
        let mut new = count;
        for row in 0..count {
            let chance = number(self.drift, &[3, self.shape.number, self.table as u64, row]);
            if chance % 100 >= self.drift {
                rows.push((row, false));
                continue;
            }
            match (chance / 100) % 3 {
                // what every account has goes on being there
                0 if count > 1 => {}
                1 if count > 1 => {
                    rows.push((row, false));
                    rows.push((new, false));
                    new += 1;
                }
                _ => rows.push((row, true)),
            }
        }
        rows
    }
}

impl Kind {
    /// It says something about the whole organisation.
    pub fn is_organization(&self) -> bool {
        self.table.spec.name.starts_with("organizations_")
    }

    /// An account or a region has one row of it.
    pub fn is_single(&self) -> bool {
        ["account_id", "region"].contains(&self.table.spec.id.as_str())
    }

    /// What names a row.
    fn id(&self, generator: &Generator, place: &Place<'_>, row: u64) -> String {
        let spec = &self.table.spec;
        match spec.id.as_str() {
            "account_id" => return place.shape.account_id.clone(),
            "region" => return place.region().to_owned(),
            _ => {}
        }
        let local = spec.name.strip_prefix(&spec.service).unwrap_or(&spec.name);
        let local = local.trim_start_matches('_').replace('_', "-");
        let of = [4, place.shape.number, self.number, place.region as u64];
        let own = generator.number(&of) & 0xff_ffff;
        let name = format!("{local}-{own:06x}-{row:06}");
        match spec.id.ends_with("arn") {
            true => format!(
                "arn:aws:{}:{}:{}:{name}",
                spec.service,
                place.region(),
                place.shape.account_id
            ),
            false => name,
        }
    }

    /// Rows of a place.
    ///
    /// # Errors
    /// When Arrow refuses, which is a mistake here.
    pub fn batch(
        &self,
        generator: &Generator,
        place: &Place<'_>,
        rows: &[Numbered],
    ) -> anyhow::Result<Batch> {
        let pattern = |(row, changed): &Numbered| {
            let of = [
                5,
                place.shape.number,
                self.number,
                place.region as u64,
                *row,
            ];
            let chosen = generator.number(&of).wrapping_add(u64::from(*changed));
            if place.shape.is_denied() {
                return u32::try_from(chosen % PATTERNS).unwrap_or(0);
            }
            let among = self.readable.len().max(1) as u64;
            let at = usize::try_from(chosen % among).unwrap_or(0);
            self.readable.get(at).copied().unwrap_or(0)
        };
        let chosen: Vec<u32> = rows.iter().map(pattern).collect();
        let account = place.shape.account_id.as_str();
        let patterns = self.patterns.columns().iter();
        let patterns: Vec<ArrayRef> = patterns
            .map(|array| rebound(array, account))
            .collect::<Result<_, _>>()?;
        let schema = Arc::clone(&self.table.schema);
        let patterns = RecordBatch::try_new(Arc::clone(&schema), patterns)?;
        let taken = take_record_batch(&patterns, &UInt32Array::from(chosen.clone()))?;
        let spec = &self.table.spec;
        let ids: Vec<String> = rows
            .iter()
            .map(|(row, _)| self.id(generator, place, *row))
            .collect();
        let mut columns = Vec::with_capacity(taken.num_columns());
        for (field, array) in schema.fields().iter().zip(taken.columns()) {
            let name = field.name().as_str();
            let is_text = field.data_type() == &DataType::Utf8;
            let texts = |texts: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
            columns.push(match name {
                _ if !is_text => Arc::clone(array),
                "account_id" => texts(vec![account.to_owned(); rows.len()]),
                "region" => texts(vec![place.region().to_owned(); rows.len()]),
                "partition" => texts(vec!["aws".to_owned(); rows.len()]),
                "arn" if spec.id != "arn" => {
                    let arns = ids.iter().enumerate();
                    texts(
                        arns.map(|(at, id)| self.arn(place, &taken, at, id))
                            .collect(),
                    )
                }
                _ if name == spec.id => texts(ids.clone()),
                _ => match self.foreign.get(name) {
                    Some(target) => foreign(generator, place, *target, rows, array),
                    None => Arc::clone(array),
                },
            });
        }
        let mut failures = Vec::new();
        let mut by_pattern: BTreeMap<u32, Vec<(usize, Arc<CallError>)>> = BTreeMap::new();
        for failure in &self.failures {
            let error = CallError {
                account_id: account.to_owned(),
                region: place.region().to_owned(),
                ..(*failure.error).clone()
            };
            let of = by_pattern.entry(u32::try_from(failure.row)?).or_default();
            of.push((failure.source, Arc::new(error)));
        }
        for (row, pattern) in chosen.iter().enumerate() {
            for (source, error) in by_pattern.get(pattern).into_iter().flatten() {
                failures.push(Failure {
                    source: *source,
                    row,
                    error: Arc::clone(error),
                });
            }
        }
        failures.sort_by_key(|f| (f.source, f.row));
        Ok(Batch {
            rows: RecordBatch::try_new(schema, columns)?,
            failures,
        })
    }

    /// The ARN of a row, by the table's template where it has one.
    fn arn(&self, place: &Place<'_>, taken: &RecordBatch, at: usize, id: &str) -> String {
        let spec = &self.table.spec;
        let (account, region) = (place.shape.account_id.as_str(), place.region());
        if id.starts_with("arn:") {
            return id.to_owned();
        }
        let Some(template) = &spec.arn else {
            return format!("arn:aws:{}:{region}:{account}:{id}", spec.service);
        };
        let mut arn = String::new();
        let mut named = false;
        let mut parts = template.split("${");
        arn.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap_or((part, ""));
            let column = taken.column_by_name(name);
            let text = column
                .and_then(|c| c.as_string_opt::<i32>())
                .filter(|c| c.is_valid(at));
            match name {
                "account_id" => arn.push_str(account),
                "region" => arn.push_str(region),
                "partition" => arn.push_str("aws"),
                _ if name == spec.id => arn.push_str(id),
                _ => arn.push_str(text.map_or(id, |t| t.value(at))),
            }
            named |= name == spec.id || name == "account_id" && self.is_single();
            arn.push_str(rest);
        }
        // of two rows with one ARN, one is lost
        if !named && !self.is_single() {
            arn.push('/');
            arn.push_str(id);
        }
        arn
    }
}

/// Ids of rows of another table in the same place; what is NULL stays so.
fn foreign(
    generator: &Generator,
    place: &Place<'_>,
    target: usize,
    rows: &[Numbered],
    array: &ArrayRef,
) -> ArrayRef {
    let Some(kind) = generator.kinds.get(target) else {
        return Arc::clone(array);
    };
    let region = match kind.table.spec.scope {
        Scope::Global => 0,
        _ => place.region,
    };
    let count = place.shape.count(target, region);
    if count == 0 {
        return Arc::clone(array);
    }
    let there = Place {
        shape: place.shape,
        table: target,
        region,
        drift: place.drift,
    };
    let of = rows.iter().enumerate().map(|(at, (row, _))| {
        array
            .is_valid(at)
            .then(|| kind.id(generator, &there, mixed(*row) % count))
    });
    Arc::new(of.collect::<StringArray>())
}

/// What fixtures say about their own account, said about another.
fn rebound(array: &ArrayRef, account: &str) -> anyhow::Result<ArrayRef> {
    let inner = |array: &ArrayRef| rebound(array, account);
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            if !texts.iter().flatten().any(|t| t.contains(FIXTURE_ACCOUNT)) {
                return Ok(Arc::clone(array));
            }
            let texts = texts.iter();
            let own = texts.map(|t| t.map(|t| t.replace(FIXTURE_ACCOUNT, account)));
            Arc::new(own.collect::<StringArray>())
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let from = array.as_struct();
            let columns = from.columns().iter().map(inner);
            let columns = columns.collect::<anyhow::Result<Vec<_>>>()?;
            let nulls = array.nulls().cloned();
            Arc::new(StructArray::try_new(fields.clone(), columns, nulls)?)
        }
        DataType::List(item) => {
            let from = array.as_list::<i32>();
            let values = inner(from.values())?;
            let (offsets, nulls) = (from.offsets().clone(), array.nulls().cloned());
            Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?)
        }
        DataType::Map(entries, sorted) => {
            let from = array.as_map();
            let values: ArrayRef = Arc::new(from.entries().clone());
            let values = inner(&values)?.as_struct().clone();
            let (offsets, nulls) = (from.offsets().clone(), array.nulls().cloned());
            let made = MapArray::try_new(Arc::clone(entries), offsets, values, nulls, *sorted);
            Arc::new(made?)
        }
        _ => Arc::clone(array),
    })
}

//! The columns that fix blocks name, and tags, of the rows of the tables.
use crate::error::Failure;
use palisade_catalog::{Catalog, Check, TemplatePart, parse_template};
use palisade_collect::Request;
use palisade_core::Finding;
use palisade_fix::Tags;
use palisade_scan::Scanner;
use palisade_table::Dataset;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Table → columns that are wanted, and whether it has tags.
#[derive(Debug, Default)]
pub struct Wanted {
    tables: BTreeMap<String, BTreeSet<String>>,
}

/// Account, region and id → the row; `None` where several rows have them.
pub type Rows = BTreeMap<(String, String, String, String), Option<Row>>;

/// A resource's columns and tags.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// By name.
    pub columns: Map<String, Json>,
    /// Its tags.
    pub tags: Tags,
}

const TAGS: &str = "tags";

impl Wanted {
    /// What the fix blocks of the checks name.
    pub fn of(checks: &[Arc<Check>], catalog: &Catalog, scanner: &Scanner) -> Self {
        let mut wanted = Self::default();
        for check in checks.iter().filter(|c| !c.fix_calls.is_empty()) {
            let (Ok(schema), Some(spec)) = (
                catalog.table_schema(&check.resource, scanner.models()),
                catalog.tables.get(&check.resource),
            ) else {
                continue;
            };
            let columns = wanted.tables.entry(check.resource.clone()).or_default();
            columns
                .extend(["account_id", "region", "partition", "arn", &spec.id].map(str::to_owned));
            for call in &check.fix_calls {
                names(&Json::Object(call.params.clone()), columns);
            }
            columns.insert(TAGS.to_owned());
            columns.retain(|c| schema.column(c).is_some());
        }
        wanted
    }

    /// Whether the rows of a table have tags.
    pub fn has_tags(&self, table: &str) -> bool {
        self.tables.get(table).is_some_and(|c| c.contains(TAGS))
    }

    /// Has them collected.
    pub fn add_to(&self, request: &mut Request) {
        for (table, columns) in &self.tables {
            request.add(table, columns.iter().map(String::as_str));
        }
    }

    /// Takes them from what was collected.
    ///
    /// # Errors
    /// When a table cannot be read back.
    pub fn read(
        &self,
        catalog: &Catalog,
        scanner: &Scanner,
        dataset: &Dataset,
    ) -> Result<Rows, Failure> {
        let mut rows = Rows::new();
        for (table, columns) in &self.tables {
            let Some(spec) = catalog.tables.get(table) else {
                continue;
            };
            let names: Vec<&str> = columns.iter().map(String::as_str).collect();
            let sql = format!("SELECT {} FROM {table}", names.join(", "));
            let text = scanner.query(&sql, dataset)?.to_json_lines();
            let unread = tags_unread(table, catalog, scanner, dataset);
            for line in text.lines() {
                let Ok(Json::Object(mut columns)) = serde_json::from_str::<Json>(line) else {
                    continue;
                };
                let plain = |name: &str| plain(columns.get(name));
                let key = (
                    table.clone(),
                    plain("account_id"),
                    plain("region"),
                    plain(&spec.id),
                );
                let tags = match columns.remove(TAGS) {
                    None => Tags::None,
                    Some(Json::Object(tags)) => Tags::Known(
                        tags.iter()
                            .map(|(key, value)| (key.clone(), self::plain(Some(value))))
                            .collect(),
                    ),
                    Some(_) if unread => Tags::Unknown,
                    Some(_) => Tags::Known(BTreeMap::new()),
                };
                let row = Row { columns, tags };
                rows.entry(key)
                    .and_modify(|old| {
                        if old.as_ref() != Some(&row) {
                            *old = None;
                        }
                    })
                    .or_insert(Some(row));
            }
        }
        Ok(rows)
    }
}

/// The row that a finding is about, with what the finding itself shows where the table has no such column.
pub fn row_of(finding: &Finding, rows: &Rows, wanted: &Wanted) -> Row {
    let key = (
        finding.resource_type.to_string(),
        finding.account_id.to_string(),
        finding.region.to_string(),
        finding.resource_id.clone(),
    );
    let known = rows.get(&key);
    // of several rows with one id none can be told to be the one that failed
    let mut row = known.cloned().flatten().unwrap_or(Row {
        columns: Map::new(),
        tags: if wanted.has_tags(&finding.resource_type) {
            Tags::Unknown
        } else {
            Tags::None
        },
    });
    for (name, value) in [
        ("account_id", finding.account_id.as_ref()),
        ("region", finding.region.as_ref()),
    ] {
        row.columns.insert(name.to_owned(), Json::from(value));
    }
    // what every query gives, and no table has as a column of its own
    let id = || Json::from(finding.resource_id.as_str());
    row.columns.entry("id".to_owned()).or_insert_with(id);
    for (name, value) in &finding.evidence {
        row.columns
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    row
}

/// Whether a call for tags failed for any row: a row without tags may have some, then.
fn tags_unread(table: &str, catalog: &Catalog, scanner: &Scanner, dataset: &Dataset) -> bool {
    let Ok(schema) = catalog.table_schema(table, scanner.models()) else {
        return true;
    };
    let sources = schema.column(TAGS).map(|c| c.sources.clone());
    let sources = sources.unwrap_or_default();
    let Some(table) = dataset.tables.get(table) else {
        return true;
    };
    table
        .batches
        .iter()
        .any(|batch| sources.iter().any(|s| !batch.failures_of(*s).is_empty()))
}

fn plain(value: Option<&Json>) -> String {
    match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn names(value: &Json, out: &mut BTreeSet<String>) {
    match value {
        Json::String(text) => {
            for part in parse_template(text).unwrap_or_default() {
                if let TemplatePart::Column(name) = part {
                    out.insert(name);
                }
            }
        }
        Json::Array(items) => items.iter().for_each(|v| names(v, out)),
        Json::Object(map) => map.values().for_each(|v| names(v, out)),
        _ => {}
    }
}

//! Rows of a collected table as JSON, with the calls that failed for them.
use crate::render;
use palisade_catalog::{Scope, TableSchema};
use palisade_core::CallError;
use palisade_table::{Dataset, Schemas};
use serde_json::{Map, Value};
use std::sync::Arc;

/// A row.
pub(super) struct Row {
    pub value: Value,
    /// Calls that failed for it: number of the source, and why.
    failures: Vec<(usize, Arc<CallError>)>,
}

/// The rows of a table; none when it was not collected.
pub(super) struct TableRows<'a> {
    pub rows: Vec<Row>,
    pub is_collected: bool,
    pub is_global: bool,
    gaps: Vec<&'a palisade_table::Gap>,
    columns: Vec<&'a str>,
    schema: Option<Arc<TableSchema>>,
}

impl<'a> TableRows<'a> {
    pub fn of(dataset: &'a Dataset, schemas: &dyn Schemas, name: &str) -> Self {
        let mut out = Self {
            rows: Vec::new(),
            is_collected: false,
            is_global: false,
            gaps: Vec::new(),
            columns: Vec::new(),
            schema: None,
        };
        let Some(table) = dataset.tables.get(name) else {
            return out;
        };
        out.is_collected = true;
        out.is_global = table.spec.scope == Scope::Global;
        out.gaps = table.gaps.iter().collect();
        let fields = table.schema.fields().iter();
        out.columns = fields.map(|f| f.name().as_str()).collect();
        out.schema = schemas.table(name).map(|(_, schema)| schema);
        for batch in &table.batches {
            let start = out.rows.len();
            for row in 0..batch.rows.num_rows() {
                let mut value = Map::new();
                for (field, column) in table.schema.fields().iter().zip(batch.rows.columns()) {
                    value.insert(field.name().clone(), render::json(column, row));
                }
                out.rows.push(Row {
                    value: Value::Object(value),
                    failures: Vec::new(),
                });
            }
            for failure in &batch.failures {
                if let Some(row) = out.rows.get_mut(start + failure.row) {
                    row.failures
                        .push((failure.source, Arc::clone(&failure.error)));
                }
            }
        }
        out
    }

    /// Whether a column is there; a table has those that were asked for.
    pub fn has_column(&self, column: &str) -> bool {
        self.columns.contains(&column)
    }

    /// Lists that could not be read: account, region, why.
    pub fn gaps(&self) -> impl Iterator<Item = (String, String, String)> {
        self.gaps
            .iter()
            .map(|g| (g.account_id.clone(), g.region.clone(), g.error.to_string()))
    }

    /// Why a cell could not be read.
    pub fn failure(&self, row: &Row, column: &str) -> Option<String> {
        let sources = &self.schema.as_ref()?.column(column)?.sources;
        row.failures
            .iter()
            .find(|(source, _)| sources.contains(source))
            .map(|(_, error)| error.to_string())
    }
}

pub(super) fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

/// A row of an IAM table as AWS's own JSON has it: names in Pascal case, tags as a list.
pub(super) fn aws_shape(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(aws_shape).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("tags", Value::Object(tags)) => tags
                        .iter()
                        .map(|(key, value)| serde_json::json!({ "Key": key, "Value": value }))
                        .collect(),
                    _ => aws_shape(value),
                };
                (pascal_case(name), value)
            };
            members
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(member)
                .collect::<Map<_, _>>()
                .into()
        }
        other => other.clone(),
    }
}

fn pascal_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        out.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

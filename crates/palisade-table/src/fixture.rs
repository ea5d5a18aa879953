//! Example rows of check files → a dataset, as if they had been collected. See `docs/specs/check.md`, "Fixtures".
use crate::column::ColumnBuilder;
use crate::node::ShapeError;
use crate::types::arrow_schema;
use crate::{Batch, Dataset, Failure, Gap, TAGGING, Table};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use palisade_catalog::{ColumnType, Origin, TableSchema, TableSpec};
use palisade_core::{CallError, CallErrorKind, Timestamp};
use palisade_model::{Record, ShapeId, Value};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The account of fixture rows that name none.
pub const FIXTURE_ACCOUNT: &str = "123456789012";
/// The region of fixture rows that name none.
pub const FIXTURE_REGION: &str = "us-east-1";
/// The partition of fixture rows that name none.
pub const FIXTURE_PARTITION: &str = "aws";

/// What fixtures need to know of the catalogue.
pub trait Schemas {
    /// The table and all its columns; `None` when there is no such table.
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)>;
    /// The names of all tables, for messages.
    fn names(&self) -> Vec<String>;
    /// The IAM actions that an operation needs.
    fn permissions(&self, service: &str, operation: &str) -> Vec<String>;
}

/// A fixture that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FixtureError {
    /// A table that does not exist.
    #[error("no table `{name}`; valid tables are {valid}")]
    UnknownTable {
        /// The name in the fixture.
        name: String,
        /// The names that exist.
        valid: String,
    },
    /// A column, or a field inside one, that does not exist.
    #[error("no {what} `{name}`; valid names are {valid}")]
    UnknownName {
        /// `column` or the place of the field.
        what: String,
        /// The name in the fixture.
        name: String,
        /// The names that exist.
        valid: String,
    },
    /// A value of the wrong kind.
    #[error("`{place}` is {expected}, found `{found}`")]
    Value {
        /// Column and fields.
        place: String,
        /// What the column holds.
        expected: &'static str,
        /// The JSON in the fixture.
        found: String,
    },
    /// A table's schema cannot be built.
    #[error("the table `{table}` cannot be built: {reason}")]
    Table {
        /// Its name.
        table: String,
        /// Why.
        reason: String,
    },
}

/// The dataset of one fixture. `resource` is the check's table. For a predicate (`is_query` false) `data` is one row
/// of it, for a full query it is table → rows, and `resource` is present even when the fixture leaves it out.
/// `now` is what `"now-90d"` counts from. All columns of a table are present; those left out are NULL.
///
/// # Errors
/// When it names a table, column or field that does not exist, or gives a value of another kind than the column's.
pub fn fixture_dataset(
    schemas: &dyn Schemas,
    resource: &str,
    is_query: bool,
    data: &Map<String, Json>,
    now: Timestamp,
) -> Result<Dataset, FixtureError> {
    let mut dataset = Dataset::default();
    if is_query {
        for (name, rows) in data {
            let table = fixture_table(schemas, name, rows, now)?;
            dataset.tables.insert(name.clone(), table);
        }
        if !dataset.tables.contains_key(resource) {
            let table = fixture_table(schemas, resource, &Json::Array(Vec::new()), now)?;
            dataset.tables.insert(resource.to_owned(), table);
        }
    } else {
        let rows = Json::Array(vec![Json::Object(data.clone())]);
        let table = fixture_table(schemas, resource, &rows, now)?;
        dataset.tables.insert(resource.to_owned(), table);
    }
    Ok(dataset)
}

/// One table of a fixture: a list of rows, or `{"!error": "<Code>"}` for a table that could not be listed.
///
/// # Errors
/// As [`fixture_dataset`].
pub fn fixture_table(
    schemas: &dyn Schemas,
    name: &str,
    rows: &Json,
    now: Timestamp,
) -> Result<Table, FixtureError> {
    let (spec, schema) = schemas
        .table(name)
        .ok_or_else(|| FixtureError::UnknownTable {
            name: name.to_owned(),
            valid: schemas.names().join(", "),
        })?;
    let names: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
    let broken = |reason: String| FixtureError::Table {
        table: name.to_owned(),
        reason,
    };
    let mut table = Table {
        schema: arrow_schema(&schema, &names).map_err(|e| broken(e.to_string()))?,
        spec: Arc::clone(&spec),
        batches: Vec::new(),
        gaps: Vec::new(),
    };
    if let Some(code) = error_code(rows) {
        let error = call_error(schemas, &spec, 0, code, FIXTURE_ACCOUNT, FIXTURE_REGION);
        table.gaps.push(Gap {
            account_id: FIXTURE_ACCOUNT.to_owned(),
            region: FIXTURE_REGION.to_owned(),
            error: Arc::new(error),
        });
        return Ok(table);
    }
    let wrong = |expected, found: &Json| FixtureError::Value {
        place: name.to_owned(),
        expected,
        found: found.to_string(),
    };
    let rows = rows
        .as_array()
        .ok_or_else(|| wrong("a list of rows", rows))?;
    // A batch holds the rows of one account and region.
    let mut groups: BTreeMap<(String, String), Vec<&Map<String, Json>>> = BTreeMap::new();
    for row in rows {
        let row = row
            .as_object()
            .ok_or_else(|| wrong("a list of rows", row))?;
        let place = |column: &str, default: &str| match row.get(column) {
            None => Ok(default.to_owned()),
            Some(Json::String(text)) => Ok(text.clone()),
            Some(other) => Err(FixtureError::Value {
                place: column.to_owned(),
                expected: "text",
                found: other.to_string(),
            }),
        };
        let key = (
            place("account_id", FIXTURE_ACCOUNT)?,
            place("region", FIXTURE_REGION)?,
        );
        groups.entry(key).or_default().push(row);
    }
    for ((account, region), rows) in groups {
        let batch = fixture_batch(schemas, &table, &schema, (&account, &region), &rows, now)?;
        table.batches.push(batch);
    }
    Ok(table)
}

fn fixture_batch(
    schemas: &dyn Schemas,
    table: &Table,
    schema: &TableSchema,
    (account, region): (&str, &str),
    rows: &[&Map<String, Json>],
    now: Timestamp,
) -> Result<Batch, FixtureError> {
    let broken = |reason: String| FixtureError::Table {
        table: table.spec.name.clone(),
        reason,
    };
    let shape_error = |e: ShapeError| broken(e.to_string());
    let arrow_error = |e: ArrowError| broken(e.to_string());
    let builders = schema.columns.iter().map(|c| ColumnBuilder::plain(&c.ty));
    let mut builders: Vec<ColumnBuilder> =
        builders.collect::<Result<_, _>>().map_err(shape_error)?;
    let mut failed: BTreeMap<(usize, usize), Arc<CallError>> = BTreeMap::new();
    for (row_number, row) in rows.iter().enumerate() {
        let unknown = row.keys().find(|name| schema.column(name).is_none());
        if let Some(name) = unknown {
            let valid: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
            return Err(FixtureError::UnknownName {
                what: format!("column in `{}`", table.spec.name),
                name: name.clone(),
                valid: valid.join(", "),
            });
        }
        for (column, builder) in schema.columns.iter().zip(&mut builders) {
            let value = match (row.get(&column.name), &column.origin) {
                (Some(json), _) => match error_code(json) {
                    Some(code) => {
                        // The call that adds the column, not the list that the row itself came from.
                        let source = column.sources.last().copied().unwrap_or(0);
                        let error = call_error(schemas, &table.spec, source, code, account, region);
                        failed.insert((source, row_number), Arc::new(error));
                        Value::Null
                    }
                    None => json_value(json, &column.ty, &column.name, now)?,
                },
                (None, Origin::AccountId) => text(account),
                (None, Origin::Region) => text(region),
                (None, Origin::Partition) => text(FIXTURE_PARTITION),
                (None, Origin::Arn) => table
                    .spec
                    .arn
                    .as_deref()
                    .and_then(|template| filled(template, row, account, region))
                    .map_or(Value::Null, |arn| text(&arn)),
                (None, _) => Value::Null,
            };
            let prepared = builder.prepare(&value).map_err(|e| FixtureError::Value {
                place: column.name.clone(),
                expected: e.expected,
                found: row
                    .get(&column.name)
                    .map(Json::to_string)
                    .unwrap_or_default(),
            })?;
            builder.append(&prepared);
        }
    }
    let arrays = builders.iter_mut().map(ColumnBuilder::finish);
    let arrays: Vec<ArrayRef> = arrays.collect::<Result<_, _>>().map_err(arrow_error)?;
    let failures = failed
        .into_iter()
        .map(|((source, row), error)| Failure { source, row, error });
    Ok(Batch {
        rows: RecordBatch::try_new(Arc::clone(&table.schema), arrays).map_err(arrow_error)?,
        failures: failures.collect(),
    })
}

/// `{"!error": "<Code>"}`
fn error_code(json: &Json) -> Option<&str> {
    let object = json.as_object().filter(|o| o.len() == 1)?;
    object.get("!error")?.as_str()
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// The ARN of a row from its template; `None` where a column that it needs is left out.
fn filled(template: &str, row: &Map<String, Json>, account: &str, region: &str) -> Option<String> {
    let mut arn = String::new();
    let mut parts = template.split("${");
    arn.push_str(parts.next()?);
    for part in parts {
        let (name, rest) = part.split_once('}')?;
        match (row.get(name), name) {
            (Some(Json::String(value)), _) => arn.push_str(value),
            (Some(Json::Number(value)), _) => arn.push_str(&value.to_string()),
            (None, "account_id") => arn.push_str(account),
            (None, "region") => arn.push_str(region),
            (None, "partition") => arn.push_str(FIXTURE_PARTITION),
            _ => return None,
        }
        arn.push_str(rest);
    }
    Some(arn)
}

fn call_error(
    schemas: &dyn Schemas,
    spec: &TableSpec,
    source: usize,
    code: &str,
    account: &str,
    region: &str,
) -> CallError {
    let listed = || {
        spec.list
            .as_ref()
            .map(|l| l.call.clone())
            .unwrap_or_default()
    };
    let (service, operation) = match source {
        TAGGING => ("resourcegroupstaggingapi", "GetResources".to_owned()),
        0 => (spec.model.as_str(), listed()),
        n => (
            spec.model.as_str(),
            spec.calls
                .get(n - 1)
                .map(|c| c.call.clone())
                .unwrap_or_default(),
        ),
    };
    CallError {
        service: service.to_owned(),
        account_id: account.to_owned(),
        region: region.to_owned(),
        kind: kind_of(code),
        code: code.to_owned(),
        message: String::new(),
        permissions: schemas.permissions(service, &operation),
        operation,
    }
}

/// The kind of failure that an error code of a fixture stands for.
fn kind_of(code: &str) -> CallErrorKind {
    match code {
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "UnauthorizedAccess" => CallErrorKind::Denied,
        "ExpiredToken" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            CallErrorKind::Credentials
        }
        "Throttling" | "ThrottlingException" | "TooManyRequestsException" | "SlowDown" => {
            CallErrorKind::Throttled
        }
        "Timeout" => CallErrorKind::Timeout,
        "ConnectError" => CallErrorKind::Unreachable,
        "InternalError" | "InternalFailure" | "ServiceUnavailable" => CallErrorKind::Server,
        "Malformed" => CallErrorKind::Malformed,
        _ => CallErrorKind::Other,
    }
}

/// JSON of a fixture as a value of the column's type. Objects and lists are accepted where the column is text:
/// they become JSON text, so that policies need no escaping.
///
/// # Errors
/// When the JSON is of another kind, or names a field that does not exist.
pub fn json_value(
    json: &Json,
    ty: &ColumnType,
    place: &str,
    now: Timestamp,
) -> Result<Value, FixtureError> {
    let wrong = |expected| FixtureError::Value {
        place: place.to_owned(),
        expected,
        found: json.to_string(),
    };
    Ok(match (ty, json) {
        (_, Json::Null) => Value::Null,
        _ if error_code(json).is_some() => {
            return Err(wrong("a value: only whole cells and tables can be unread"));
        }
        (ColumnType::Boolean, Json::Bool(v)) => Value::Bool(*v),
        (ColumnType::Boolean, _) => return Err(wrong("true or false")),
        (ColumnType::Integer, v) => Value::Int(v.as_i64().ok_or_else(|| wrong("a whole number"))?),
        (ColumnType::Float, v) => Value::Float(v.as_f64().ok_or_else(|| wrong("a number"))?),
        (ColumnType::Text, Json::String(v)) => text(v),
        (ColumnType::Text, Json::Object(_) | Json::Array(_)) => text(&json.to_string()),
        (ColumnType::Text, _) => return Err(wrong("text")),
        (ColumnType::Timestamp, v) => {
            let expected = "a timestamp such as `2026-01-31T12:00:00Z` or `now-90d`";
            let parsed = v.as_str().and_then(|t| point(t, now));
            Value::Timestamp(parsed.ok_or_else(|| wrong(expected))?.as_micros())
        }
        (ColumnType::List(item), Json::Array(items)) => {
            let items = items.iter().enumerate();
            let items = items.map(|(i, v)| json_value(v, item, &format!("{place}[{i}]"), now));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        (ColumnType::List(_), _) => return Err(wrong("a list")),
        (ColumnType::Map(value), Json::Object(entries)) => {
            let entry = |(k, v): (&String, &Json)| {
                Ok((
                    k.as_str().into(),
                    json_value(v, value, &format!("{place}.{k}"), now)?,
                ))
            };
            Value::Map(
                entries
                    .iter()
                    .map(entry)
                    .collect::<Result<_, FixtureError>>()?,
            )
        }
        (ColumnType::Map(_), _) => return Err(wrong("a map")),
        (ColumnType::Struct(fields), Json::Object(members)) => {
            let known: BTreeSet<&str> = fields.iter().map(|f| f.0.as_str()).collect();
            if let Some(name) = members.keys().find(|k| !known.contains(k.as_str())) {
                let valid: Vec<&str> = fields.iter().map(|f| f.0.as_str()).collect();
                return Err(FixtureError::UnknownName {
                    what: format!("field in `{place}`"),
                    name: name.clone(),
                    valid: valid.join(", "),
                });
            }
            let field = |(name, ty): &(String, ColumnType)| {
                let json = members.get(name).unwrap_or(&Json::Null);
                json_value(json, ty, &format!("{place}.{name}"), now)
            };
            Value::Struct(Box::new(Record {
                shape: ShapeId(0),
                fields: fields.iter().map(field).collect::<Result<_, _>>()?,
            }))
        }
        (ColumnType::Struct(_), _) => return Err(wrong("a structure")),
    })
}

/// RFC 3339, or `now`, `now-90d`, `now+12h`, `now-30m`.
fn point(text: &str, now: Timestamp) -> Option<Timestamp> {
    let Some(offset) = text.strip_prefix("now") else {
        return text.parse().ok();
    };
    if offset.is_empty() {
        return Some(now);
    }
    let sign = match offset.bytes().next()? {
        b'+' => 1i64,
        b'-' => -1,
        _ => return None,
    };
    let offset = offset.get(1..)?;
    let unit = offset.chars().last()?;
    let seconds = match unit {
        'd' => 86_400i64,
        'h' => 3_600,
        'm' => 60,
        _ => return None,
    };
    let digits = offset.strip_suffix(unit)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let micros = count.checked_mul(seconds)?.checked_mul(1_000_000 * sign)?;
    Some(Timestamp::from_micros(now.as_micros().checked_add(micros)?))
}

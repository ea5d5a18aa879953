//! Findings as rows: the table `finding` of a snapshot.
use crate::encode::Why;
use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, ListBuilder, RecordBatch, StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use palisade_core::{Finding, FixAvailability};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of the table.
pub const FINDING: &str = "finding";

const TEXTS: &[&str] = &[
    "check",
    "status",
    "severity",
    "account_id",
    "region",
    "resource",
    "resource_id",
    "resource_type",
    "message",
    "fix",
    "evidence",
    "muted",
];
const LISTS: &[&str] = &["requirements", "missing_permissions"];

/// What says which finding it is and how it was decided: without evidence and what follows from the check.
pub(crate) const VERDICT: &[&str] = &[
    "check",
    "status",
    "severity",
    "account_id",
    "region",
    "resource",
    "resource_id",
    "resource_type",
    "message",
    "muted",
];

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
}

/// The columns of the table `finding`. `evidence` and `muted` are JSON, NULL where there is none.
pub fn finding_schema() -> SchemaRef {
    let texts = TEXTS.iter().map(|n| Field::new(*n, DataType::Utf8, true));
    let lists = LISTS.iter().map(|n| Field::new(*n, list_type(), true));
    Arc::new(Schema::new(texts.chain(lists).collect::<Vec<_>>()))
}

/// Findings → rows.
pub(crate) fn to_rows(findings: &[&Finding]) -> Result<RecordBatch, Why> {
    // as large as they get, at once: a scan ends with this
    let text = |of: fn(&Finding) -> &str| -> ArrayRef {
        let bytes = findings.iter().map(|f| of(f).len()).sum();
        let mut builder = StringBuilder::with_capacity(findings.len(), bytes);
        findings.iter().for_each(|f| builder.append_value(of(f)));
        Arc::new(builder.finish())
    };
    let json = |of: fn(&Finding) -> Option<String>| -> ArrayRef {
        Arc::new(findings.iter().map(|f| of(f)).collect::<StringArray>())
    };
    let list = |of: fn(&Finding) -> &[String]| -> ArrayRef {
        let values = || findings.iter().flat_map(|f| of(f));
        let bytes = values().map(String::len).sum();
        let values = StringBuilder::with_capacity(values().count(), bytes);
        let mut builder = ListBuilder::with_capacity(values, findings.len());
        for finding in findings {
            for value in of(finding) {
                builder.values().append_value(value);
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    };
    let columns: Vec<ArrayRef> = vec![
        text(|f| &f.check),
        text(|f| f.status.as_str()),
        text(|f| f.severity.as_str()),
        text(|f| &f.account_id),
        text(|f| &f.region),
        text(|f| &f.resource),
        text(|f| &f.resource_id),
        text(|f| &f.resource_type),
        text(|f| &f.message),
        text(|f| match f.fix {
            FixAvailability::Automatic => "automatic",
            FixAvailability::Guided => "guided",
        }),
        json(|f| match f.evidence.is_empty() {
            true => None,
            false => serde_json::to_string(&f.evidence).ok(),
        }),
        json(|f| serde_json::to_string(f.muted.as_ref()?).ok()),
        list(|f| &f.requirements),
        list(|f| &f.missing_permissions),
    ];
    RecordBatch::try_new(finding_schema(), columns).map_err(|e| e.to_string())
}

/// Texts that many findings share, once each.
#[derive(Default)]
struct Shared(BTreeMap<String, Arc<str>>);

impl Shared {
    fn of(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let made: Arc<str> = Arc::from(text);
        self.0.insert(text.to_owned(), Arc::clone(&made));
        made
    }
}

/// Rows → findings. With `only`, the other columns were not read, and are empty in the findings.
pub(crate) fn from_rows(
    batches: &[RecordBatch],
    only: Option<&[&str]>,
) -> Result<Vec<Finding>, Why> {
    let read = |name: &&&str| only.is_none_or(|columns| columns.contains(*name));
    let mut findings = Vec::new();
    let mut shared = Shared::default();
    let mut requirements: BTreeMap<Vec<String>, Arc<[String]>> = BTreeMap::new();
    for batch in batches {
        let texts: BTreeMap<&str, &StringArray> = TEXTS
            .iter()
            .filter(read)
            .map(|name| text_column(batch, name).map(|c| (*name, c)))
            .collect::<Result<_, Why>>()?;
        let lists: BTreeMap<&str, &ListArray> = LISTS
            .iter()
            .filter(read)
            .map(|name| list_column(batch, name).map(|c| (*name, c)))
            .collect::<Result<_, Why>>()?;
        for row in 0..batch.num_rows() {
            let text = |name: &str| {
                let column = texts.get(name).filter(|c| c.is_valid(row));
                column.map(|c| c.value(row)).unwrap_or_default()
            };
            let list = |name: &str| {
                let values = lists.get(name).map(|c| c.value(row));
                let values = values.as_ref().and_then(|v| v.as_string_opt::<i32>());
                let values: Option<Vec<String>> =
                    values.map(|v| v.iter().flatten().map(str::to_owned).collect());
                values.unwrap_or_default()
            };
            let json = |name: &str| match text(name) {
                "" => Ok(None),
                value => serde_json::from_str(value)
                    .map(Some)
                    .map_err(|e| format!("the column `{name}`, row {row}: {e}")),
            };
            let met = list("requirements");
            let met = requirements
                .entry(met)
                .or_insert_with_key(|key| Arc::from(key.as_slice()));
            findings.push(Finding {
                check: shared.of(text("check")),
                status: text("status")
                    .parse()
                    .map_err(|e| format!("row {row}: {e}"))?,
                severity: text("severity")
                    .parse()
                    .map_err(|e| format!("row {row}: {e}"))?,
                account_id: shared.of(text("account_id")),
                region: shared.of(text("region")),
                resource: text("resource").to_owned(),
                resource_id: text("resource_id").to_owned(),
                resource_type: shared.of(text("resource_type")),
                message: text("message").to_owned(),
                evidence: match json("evidence")? {
                    Some(serde_json::Value::Object(map)) => map,
                    _ => serde_json::Map::new(),
                },
                requirements: Arc::clone(met),
                fix: match text("fix") {
                    "automatic" => FixAvailability::Automatic,
                    _ => FixAvailability::Guided,
                },
                history: None,
                missing_permissions: list("missing_permissions"),
                muted: match json("muted")? {
                    None => None,
                    Some(value) => {
                        Some(Arc::new(serde_json::from_value(value).map_err(|e| {
                            format!("the column `muted`, row {row}: {e}")
                        })?))
                    }
                },
            });
        }
    }
    Ok(findings)
}

fn text_column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b StringArray, Why> {
    batch
        .column_by_name(name)
        .and_then(|c| c.as_string_opt::<i32>())
        .ok_or_else(|| format!("the column `{name}` is missing or no text"))
}

fn list_column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ListArray, Why> {
    batch
        .column_by_name(name)
        .and_then(|c| c.as_list_opt::<i32>())
        .ok_or_else(|| format!("the column `{name}` is missing or no list"))
}

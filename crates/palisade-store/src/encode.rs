//! Tables and findings as Parquet, and back.
//!
//! A file holds rows of one table, account and region, as Hive partitions do; `region` is in the path and not in the
//! file. What a failed call left unread is in the column `_unread`: NULL where everything was read, else a JSON array of
//! `[source, error]`. So that files outlive the catalogue that they were written with, a source is named, not numbered.
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use palisade_catalog::TableSpec;
use palisade_core::CallError;
use palisade_table::{Batch, Failure, TAGGING};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The column with what could not be read.
pub const UNREAD: &str = "_unread";

/// The partition of rows whose region is not known.
pub const NO_REGION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Why a table could not be written or read.
pub(crate) type Why = String;

/// The name of a source: `list`, `tagging`, or the operation of a call, numbered when a table calls it more than once.
pub(crate) fn source_name(spec: &TableSpec, source: usize) -> String {
    if source == TAGGING {
        return "tagging".to_owned();
    }
    let Some(call) = source.checked_sub(1).and_then(|i| spec.calls.get(i)) else {
        return "list".to_owned();
    };
    let before = spec
        .calls
        .iter()
        .take(source - 1)
        .filter(|c| c.call == call.call)
        .count();
    match before {
        0 => call.call.clone(),
        n => format!("{}#{}", call.call, n + 1),
    }
}

/// Names → numbers. A source that the catalogue no longer has is the list: everything of the row is unknown.
fn sources(spec: &TableSpec) -> BTreeMap<String, usize> {
    let mut names: BTreeMap<String, usize> = (0..=spec.calls.len())
        .map(|source| (source_name(spec, source), source))
        .collect();
    names.insert("tagging".to_owned(), TAGGING);
    names
}

/// Bytes in memory from which rows are worth compressing, and being told apart by what their columns hold. A compressor, a
/// dictionary and statistics are set up for every column, which takes longer than all the rest of a small file, and nobody
/// skips a part of it. Nor does anybody skip by what is in a list or a structure: there are no statistics of these.
const WORTH_IT: usize = 64 << 10;

fn properties(rows: &RecordBatch) -> WriterProperties {
    let properties = WriterProperties::builder().set_created_by("palisade".to_owned());
    let properties = match rows.get_array_memory_size() < WORTH_IT {
        true => properties
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_offset_index_disabled(true),
        false => {
            let level = ZstdLevel::try_new(1).unwrap_or_default();
            let plain = rows.schema().fields().clone();
            let plain = plain.iter().filter(|f| !f.data_type().is_nested());
            let properties = properties
                .set_compression(Compression::ZSTD(level))
                .set_statistics_enabled(EnabledStatistics::None);
            plain.fold(properties, |properties, field| {
                let column = ColumnPath::from(field.name().as_str());
                properties.set_column_statistics_enabled(column, EnabledStatistics::Page)
            })
        }
    };
    properties.build()
}

/// The bytes of a Parquet file.
pub(crate) fn to_parquet(rows: &RecordBatch) -> Result<Bytes, Why> {
    let rows = without_empty_structs(rows)?;
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties(&rows)))
        .map_err(|e| e.to_string())?;
    writer.write(&rows).map_err(|e| e.to_string())?;
    writer.close().map_err(|e| e.to_string())?;
    Ok(bytes.into())
}

/// Rows `from..from + count` of a batch as they are stored.
pub(crate) fn table_rows(
    spec: &TableSpec,
    batch: &Batch,
    from: usize,
    count: usize,
) -> Result<RecordBatch, Why> {
    let rows = batch.rows.slice(from, count);
    let mut unread: Vec<Option<Vec<(String, &CallError)>>> = vec![None; rows.num_rows()];
    for failure in &batch.failures {
        let slot = failure
            .row
            .checked_sub(from)
            .and_then(|i| unread.get_mut(i));
        if let Some(slot) = slot {
            let name = source_name(spec, failure.source);
            slot.get_or_insert_default().push((name, &failure.error));
        }
    }
    let mut texts = Vec::with_capacity(unread.len());
    for row in &unread {
        let text = row.as_ref().map(serde_json::to_string).transpose();
        texts.push(text.map_err(|e| e.to_string())?);
    }
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if field.name() != "region" {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    fields.push(Arc::new(Field::new(UNREAD, DataType::Utf8, true)));
    columns.push(Arc::new(StringArray::from(texts)));
    record(Arc::new(Schema::new(fields)), columns, rows.num_rows())
}

fn record(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Why> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(|e| e.to_string())
}

/// Batches of a file, with the named columns, or with all.
pub(crate) fn from_parquet(
    bytes: Bytes,
    columns: Option<&BTreeSet<&str>>,
) -> Result<Vec<RecordBatch>, Why> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| e.to_string())?;
    let schema = builder.parquet_schema();
    let mask = match columns {
        None => ProjectionMask::all(),
        Some(wanted) => {
            let roots = schema.root_schema().get_fields().iter().enumerate();
            let chosen: Vec<usize> = roots
                .filter(|(_, f)| wanted.contains(f.name()))
                .map(|(i, _)| i)
                .collect();
            ProjectionMask::roots(schema, chosen)
        }
    };
    let reader = builder
        .with_projection(mask)
        .with_batch_size(8192)
        .build()
        .map_err(|e| e.to_string())?;
    reader
        .map(|batch| batch.map_err(|e| e.to_string()))
        .collect()
}

/// Stored rows as a table's batch: in the columns of `schema`, with `region` again, and with its failures.
pub(crate) fn table_batch(
    spec: &TableSpec,
    schema: &SchemaRef,
    region: Option<&str>,
    stored: &RecordBatch,
) -> Result<Batch, Why> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        if field.name() == "region" {
            columns.push(Arc::new(StringArray::from(vec![region; stored.num_rows()])));
            continue;
        }
        let column = stored
            .column_by_name(field.name())
            .ok_or_else(|| format!("the column `{}` is missing", field.name()))?;
        columns.push(restored(column, field.data_type()).map_err(|found| {
            format!(
                "the column `{}` is {found}, not {}",
                field.name(),
                field.data_type()
            )
        })?);
    }
    let mut failures = Vec::new();
    let unread = stored
        .column_by_name(UNREAD)
        .and_then(|c| c.as_string_opt::<i32>())
        .ok_or_else(|| format!("the column `{UNREAD}` is missing or no text"))?;
    if unread.null_count() < unread.len() {
        let numbers = sources(spec);
        // the same text stands in many rows: one call failed for all of them
        let mut known: BTreeMap<&str, Vec<(String, Arc<CallError>)>> = BTreeMap::new();
        for (row, text) in unread.iter().enumerate() {
            let Some(text) = text else { continue };
            if !known.contains_key(text) {
                let parsed: Vec<(String, Arc<CallError>)> =
                    serde_json::from_str::<Vec<(String, CallError)>>(text)
                        .map_err(|e| format!("the column `{UNREAD}`: {e}"))?
                        .into_iter()
                        .map(|(name, error)| (name, Arc::new(error)))
                        .collect();
                known.insert(text, parsed);
            }
            for (name, error) in known.get(text).into_iter().flatten() {
                failures.push(Failure {
                    source: numbers.get(name).copied().unwrap_or(0),
                    row,
                    error: Arc::clone(error),
                });
            }
        }
        failures.sort_by_key(|f| (f.source, f.row));
        failures.dedup_by_key(|f| (f.source, f.row));
    }
    let rows = record(Arc::clone(schema), columns, stored.num_rows())?;
    Ok(Batch { rows, failures })
}

/// A stored column in the type that the catalogue gives it. Parquet has no structures without members: they are stored
/// as text, and come back without members.
fn restored(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, DataType> {
    if column.data_type() == wanted {
        return Ok(Arc::clone(column));
    }
    if &stored_type(wanted) != column.data_type() {
        return Err(column.data_type().clone());
    }
    convert(column, wanted).map_err(|_| column.data_type().clone())
}

/// The type that a column is stored in.
pub(crate) fn stored_type(ty: &DataType) -> DataType {
    let field = |f: &Field| Arc::new(f.clone().with_data_type(stored_type(f.data_type())));
    match ty {
        DataType::Struct(fields) if fields.is_empty() => DataType::Boolean,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| field(f)).collect()),
        DataType::List(item) => DataType::List(field(item)),
        DataType::Map(entries, sorted) => DataType::Map(field(entries), *sorted),
        other => other.clone(),
    }
}

fn without_empty_structs(rows: &RecordBatch) -> Result<RecordBatch, Why> {
    let schema = rows.schema();
    if schema
        .fields()
        .iter()
        .all(|f| &stored_type(f.data_type()) == f.data_type())
    {
        return Ok(rows.clone());
    }
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let ty = stored_type(field.data_type());
        columns.push(convert(column, &ty)?);
        fields.push(field.as_ref().clone().with_data_type(ty));
    }
    record(Arc::new(Schema::new(fields)), columns, rows.num_rows())
}

/// Between a structure without members and a Boolean that is true where there is one, at any depth.
fn convert(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, Why> {
    use arrow::array::{BooleanArray, ListArray, MapArray, StructArray};
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    let refuse = || format!("{} cannot be stored as {to}", array.data_type());
    Ok(match (array.data_type(), to) {
        (DataType::Struct(fields), DataType::Boolean) if fields.is_empty() => {
            let values: BooleanArray = (0..array.len())
                .map(|i| array.is_valid(i).then_some(true))
                .collect();
            Arc::new(values)
        }
        (DataType::Boolean, DataType::Struct(fields)) if fields.is_empty() => Arc::new(
            StructArray::new_empty_fields(array.len(), array.nulls().cloned()),
        ),
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let from = array.as_struct_opt().ok_or_else(refuse)?;
            let children: Result<Vec<ArrayRef>, Why> = fields
                .iter()
                .zip(from.columns())
                .map(|(f, c)| convert(c, f.data_type()))
                .collect();
            let made = StructArray::try_new(fields.clone(), children?, array.nulls().cloned());
            Arc::new(made.map_err(|e| e.to_string())?)
        }
        (DataType::List(_), DataType::List(item)) => {
            let from = array.as_list_opt::<i32>().ok_or_else(refuse)?;
            let values = convert(from.values(), item.data_type())?;
            let made = ListArray::try_new(
                Arc::clone(item),
                from.offsets().clone(),
                values,
                array.nulls().cloned(),
            );
            Arc::new(made.map_err(|e| e.to_string())?)
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let from = array.as_map_opt().ok_or_else(refuse)?;
            let inner: ArrayRef = Arc::new(from.entries().clone());
            let inner = convert(&inner, entries.data_type())?;
            let inner = inner.as_struct_opt().ok_or_else(refuse)?.clone();
            let made = MapArray::try_new(
                Arc::clone(entries),
                from.offsets().clone(),
                inner,
                array.nulls().cloned(),
                *sorted,
            );
            Arc::new(made.map_err(|e| e.to_string())?)
        }
        _ => return Err(refuse()),
    })
}

//! The Arrow types of columns.
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use palisade_catalog::{ColumnType, TableSchema};
use std::sync::Arc;

/// The time zone of every timestamp column.
pub const UTC: &str = "+00:00";

/// The Arrow type of a column. Everything in it may be NULL, except the keys of maps.
pub fn arrow_type(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Text => DataType::Utf8,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        ColumnType::List(item) => DataType::List(list_field(arrow_type(item))),
        ColumnType::Map(value) => DataType::Map(entries_field(arrow_type(value)), true),
        ColumnType::Struct(fields) => DataType::Struct(struct_fields(fields)),
    }
}

pub(crate) fn list_field(item: DataType) -> FieldRef {
    Arc::new(Field::new("item", item, true))
}

/// Map entries as Parquet names them.
pub(crate) fn entries_field(value: DataType) -> FieldRef {
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", value, true),
    ]);
    Arc::new(Field::new("entries", DataType::Struct(fields), false))
}

pub(crate) fn struct_fields(fields: &[(String, ColumnType)]) -> Fields {
    fields
        .iter()
        .map(|(name, ty)| Field::new(name, arrow_type(ty), true))
        .collect()
}

/// A column that a table does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no column `{name}`; valid columns are {valid}")]
pub struct UnknownColumn {
    /// The name asked for.
    pub name: String,
    /// The names that exist, joined by commas.
    pub valid: String,
}

/// The Arrow schema of the named columns, in the table's own order whatever order they are named in.
///
/// # Errors
/// When the table has no column of a given name.
pub fn arrow_schema(schema: &TableSchema, columns: &[&str]) -> Result<SchemaRef, UnknownColumn> {
    for name in columns {
        if schema.column(name).is_none() {
            let valid: Vec<&str> = schema.columns.iter().map(|c| c.name.as_str()).collect();
            return Err(UnknownColumn {
                name: (*name).to_owned(),
                valid: valid.join(", "),
            });
        }
    }
    let chosen = schema
        .columns
        .iter()
        .filter(|c| columns.contains(&c.name.as_str()));
    let fields: Vec<Field> = chosen
        .map(|c| Field::new(&c.name, arrow_type(&c.ty), true))
        .collect();
    Ok(Arc::new(Schema::new(fields)))
}

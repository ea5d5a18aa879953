//! Cells as JSON in one form: what is equal for us is equal as JSON.
//!
//! Fields without a value are left out, lists without an order are sorted, texts that hold a JSON document are that
//! document, and what changes by itself is not there.
use crate::marks::Marks;
use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimestampMicrosecondType};
use palisade_core::Timestamp;
use serde_json::{Map, Value as Json};
use std::hash::{Hash, Hasher};

/// The cell of a row.
pub(crate) fn cell(array: &dyn Array, row: usize, marks: &Marks) -> Json {
    if row >= array.len() || array.is_null(row) {
        return Json::Null;
    }
    let made = match array.data_type() {
        DataType::Boolean => array.as_boolean_opt().map(|a| Json::Bool(a.value(row))),
        DataType::Int64 => array
            .as_primitive_opt::<Int64Type>()
            .map(|a| a.value(row).into()),
        DataType::Float64 => array.as_primitive_opt::<Float64Type>().map(|a| {
            match serde_json::Number::from_f64(a.value(row)) {
                Some(number) => Json::Number(number),
                None => Json::String(a.value(row).to_string()),
            }
        }),
        DataType::Timestamp(..) => array
            .as_primitive_opt::<TimestampMicrosecondType>()
            .map(|a| Json::String(Timestamp::from_micros(a.value(row)).to_string())),
        DataType::Utf8 => array.as_string_opt::<i32>().map(|a| text(a.value(row))),
        DataType::List(_) => array.as_list_opt::<i32>().map(|a| {
            let items = a.value(row);
            let all = (0..items.len()).map(|i| cell(&items, i, marks.each()));
            list(all.collect(), marks.ordered)
        }),
        DataType::Struct(fields) => array.as_struct_opt().map(|a| {
            let mut members = Map::new();
            for (field, column) in fields.iter().zip(a.columns()) {
                let marks = marks.member(field.name());
                let value = match marks.volatile {
                    true => Json::Null,
                    false => cell(column, row, marks),
                };
                if !value.is_null() {
                    members.insert(field.name().clone(), value);
                }
            }
            Json::Object(members)
        }),
        DataType::Map(..) => array.as_map_opt().map(|a| {
            let entries = a.value(row);
            let keys = entries
                .columns()
                .first()
                .and_then(|k| k.as_string_opt::<i32>());
            let mut sorted: Vec<(String, Json)> = Vec::new();
            if let (Some(keys), Some(values)) = (keys, entries.columns().get(1)) {
                for at in 0..keys.len() {
                    sorted.push((keys.value(at).to_owned(), cell(values, at, marks.any())));
                }
            }
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(sorted.into_iter().collect())
        }),
        _ => None,
    };
    made.unwrap_or(Json::Null)
}

/// A text, or the document that it holds.
fn text(value: &str) -> Json {
    if value.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str::<Json>(value)
    {
        return canonical(document);
    }
    Json::String(value.to_owned())
}

/// A document with sorted members and lists: in policies neither has an order that means something.
fn canonical(value: Json) -> Json {
    match value {
        Json::Array(items) => list(items.into_iter().map(canonical).collect(), false),
        Json::Object(members) => {
            let mut sorted: Vec<(String, Json)> = members
                .into_iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            sorted.sort_by(|a, b| a.0.cmp(&b.0));
            Json::Object(sorted.into_iter().collect())
        }
        other => other,
    }
}

fn list(mut items: Vec<Json>, ordered: bool) -> Json {
    if !ordered {
        items.sort_by_cached_key(Json::to_string);
    }
    Json::Array(items)
}

/// Adds a cell to a fingerprint: equal cells add the same.
pub(crate) fn hash_cell(array: &dyn Array, row: usize, marks: &Marks, state: &mut impl Hasher) {
    if row >= array.len() || array.is_null(row) {
        return 0u8.hash(state);
    }
    // the plain types, without a detour
    if let Some(a) = array.as_string_opt::<i32>() {
        let value = a.value(row);
        if !value.starts_with(['{', '[']) {
            1u8.hash(state);
            return value.hash(state);
        }
    }
    if let Some(a) = array.as_boolean_opt() {
        2u8.hash(state);
        return a.value(row).hash(state);
    }
    if let Some(a) = array.as_primitive_opt::<Int64Type>() {
        3u8.hash(state);
        return a.value(row).hash(state);
    }
    if let Some(a) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        4u8.hash(state);
        return a.value(row).hash(state);
    }
    5u8.hash(state);
    cell(array, row, marks).to_string().hash(state);
}

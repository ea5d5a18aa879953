//! Arrow values → text for messages and JSON for evidence: readable, compact, the same in every run.
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::array_value_to_string;
use palisade_core::Timestamp;
use serde_json::{Map, Number, Value};

/// Longest text in evidence, in characters.
pub(crate) const LONGEST: usize = 500;
/// What a message says for NULL and for an empty list.
pub(crate) const NONE: &str = "none";

/// The value at `row` as JSON. NULL members of structs are left out; timestamps are RFC 3339.
pub(crate) fn json(array: &dyn Array, row: usize) -> Value {
    if row >= array.len() || array.is_null(row) {
        return Value::Null;
    }
    macro_rules! integer {
        ($ty:ty) => {
            Value::from(array.as_primitive::<$ty>().value(row))
        };
    }
    let float =
        |f: f64| Number::from_f64(f).map_or_else(|| Value::String(f.to_string()), Value::Number);
    match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int8 => integer!(Int8Type),
        DataType::Int16 => integer!(Int16Type),
        DataType::Int32 => integer!(Int32Type),
        DataType::Int64 => integer!(Int64Type),
        DataType::UInt8 => integer!(UInt8Type),
        DataType::UInt16 => integer!(UInt16Type),
        DataType::UInt32 => integer!(UInt32Type),
        DataType::UInt64 => integer!(UInt64Type),
        DataType::Float32 => float(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Value::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Value::String(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Value::String(array.as_string_view().value(row).to_owned()),
        DataType::Timestamp(unit, _) => Value::String(time(array, *unit, row)),
        DataType::Date32 => {
            let days = i64::from(array.as_primitive::<Date32Type>().value(row));
            let text = Timestamp::from_micros(days.saturating_mul(86_400_000_000)).to_string();
            Value::String(text.split('T').next().unwrap_or_default().to_owned())
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(&array.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => list(&array.as_fixed_size_list().value(row)),
        DataType::Struct(_) => {
            let array = array.as_struct();
            let mut out = Map::new();
            for (name, column) in array.column_names().into_iter().zip(array.columns()) {
                let value = json(column, row);
                if !value.is_null() {
                    out.insert(name.to_owned(), value);
                }
            }
            Value::Object(out)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let mut out = Map::new();
            if let [keys, values] = entries.columns() {
                for i in 0..entries.len() {
                    out.insert(plain(&json(keys, i)), json(values, i));
                }
            }
            Value::Object(out)
        }
        _ => Value::String(array_value_to_string(array, row).unwrap_or_default()),
    }
}

fn list(items: &ArrayRef) -> Value {
    Value::Array((0..items.len()).map(|i| json(items, i)).collect())
}

fn time(array: &dyn Array, unit: TimeUnit, row: usize) -> String {
    let micros = match unit {
        TimeUnit::Second => array
            .as_primitive::<TimestampSecondType>()
            .value(row)
            .saturating_mul(1_000_000),
        TimeUnit::Millisecond => array
            .as_primitive::<TimestampMillisecondType>()
            .value(row)
            .saturating_mul(1_000),
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
        TimeUnit::Nanosecond => array
            .as_primitive::<TimestampNanosecondType>()
            .value(row)
            .div_euclid(1_000),
    };
    Timestamp::from_micros(micros).to_string()
}

/// The value at `row` as it stands in a message.
pub(crate) fn text(array: &dyn Array, row: usize) -> String {
    // The two common kinds need no detour over JSON.
    if row < array.len() && array.is_valid(row) {
        match array.data_type() {
            DataType::Utf8 => return array.as_string::<i32>().value(row).to_owned(),
            DataType::Int64 => return array.as_primitive::<Int64Type>().value(row).to_string(),
            _ => {}
        }
    }
    message(&json(array, row))
}

/// Lists without brackets on the outside; NULL and empty lists are `none`.
fn message(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::Array(items) if items.is_empty() => NONE.to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) if fields.is_empty() => NONE.to_owned(),
        other => plain(other),
    }
}

/// Texts without quotes, `[a, b]`, `{name: value}`.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => NONE.to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(k, v)| format!("{k}: {}", plain(v)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// Shortened to [`LONGEST`] characters; what is too long and not a text becomes one.
pub(crate) fn shortened(value: Value) -> Value {
    let cut = |text: &str| -> Option<String> {
        let (end, _) = text.char_indices().nth(LONGEST)?;
        Some(format!("{}…", text.get(..end).unwrap_or_default()))
    };
    match &value {
        Value::String(text) => cut(text).map_or(value, Value::String),
        Value::Array(_) | Value::Object(_) => cut(&value.to_string()).map_or(value, Value::String),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, ListArray, StringArray, TimestampMicrosecondArray};
    use serde_json::json;

    #[test]
    fn messages_read_well() {
        let numbers = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(22), None]),
            Some(vec![]),
            None,
        ]);
        assert_eq!(text(&numbers, 0), "22, none");
        assert_eq!(text(&numbers, 1), "none");
        assert_eq!(text(&numbers, 2), "none");
        assert_eq!(text(&Int64Array::from(vec![7]), 0), "7");
        assert_eq!(text(&StringArray::from(vec![Some("x"), None]), 1), "none");
        let times = TimestampMicrosecondArray::from(vec![1_000_000]).with_timezone("+00:00");
        assert_eq!(text(&times, 0), "1970-01-01T00:00:01Z");
        assert_eq!(plain(&json!({"a": [1, {"b": "x"}]})), "{a: [1, {b: x}]}");
    }

    #[test]
    fn long_values_are_cut_at_a_character() {
        let Value::String(cut) = shortened(Value::String("ä".repeat(501))) else {
            panic!()
        };
        assert_eq!(cut.chars().count(), 501);
        assert!(cut.ends_with('…'));
        assert_eq!(
            shortened(Value::String("ä".repeat(500))),
            Value::String("ä".repeat(500))
        );
        assert!(shortened(json!([1, 2])).is_array());
        assert!(shortened(Value::Array(vec![json!("x"); 400])).is_string());
    }
}

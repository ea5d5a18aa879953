//! CSV as AWS's reports write it (RFC 4180).
use palisade_catalog::ColumnType;
use palisade_core::Timestamp;
use palisade_model::Value;

/// A header and its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Sheet {
    pub headers: Vec<String>,
    pub records: Vec<Vec<String>>,
}

impl Sheet {
    /// Reads a text with a header line.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = records(text)?.into_iter();
        let headers = lines.next().ok_or("there is no header line")?;
        let records: Vec<Vec<String>> = lines.collect();
        if records.iter().any(|r| r.len() != headers.len()) {
            return Err("a line has not as many fields as the header");
        }
        Ok(Self { headers, records })
    }
}

fn records(text: &str) -> Result<Vec<Vec<String>>, &'static str> {
    let mut all = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted && letters.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a quote is not closed");
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        all.push(record);
    }
    Ok(all)
}

/// A field as a value of the column's type. `N/A`, `not_supported`, `no_information` and nothing are NULL (IAM User
/// Guide, "Get credential reports"). Text that is none of the type comes back as text, which the column refuses.
pub(crate) fn field_value(field: &str, ty: &ColumnType) -> Value {
    if matches!(field, "" | "N/A" | "not_supported" | "no_information") {
        return Value::Null;
    }
    let text = || Value::String(field.into());
    match ty {
        ColumnType::Boolean => match field {
            "true" | "TRUE" => Value::Bool(true),
            "false" | "FALSE" => Value::Bool(false),
            _ => text(),
        },
        ColumnType::Integer => field.parse().map_or_else(|_| text(), Value::Int),
        ColumnType::Float => field.parse().map_or_else(|_| text(), Value::Float),
        ColumnType::Timestamp => match field.parse::<Timestamp>() {
            Ok(time) => Value::Timestamp(time.as_micros()),
            Err(_) => text(),
        },
        _ => text(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_line_ends_and_missing_last_newline() {
        let sheet = Sheet::parse("a,b\r\n1,\"x,\"\"y\"\"\nz\"\n,last").unwrap();
        assert_eq!(sheet.headers, ["a", "b"]);
        assert_eq!(sheet.records, [["1", "x,\"y\"\nz"], ["", "last"]]);
        assert!(Sheet::parse("").is_err());
        assert!(Sheet::parse("a,b\n1").is_err());
        assert!(Sheet::parse("a,b\n\"1").is_err());
    }

    #[test]
    fn typed_fields() {
        assert_eq!(field_value("N/A", &ColumnType::Boolean), Value::Null);
        assert_eq!(field_value("true", &ColumnType::Boolean), Value::Bool(true));
        assert_eq!(
            field_value("maybe", &ColumnType::Boolean),
            Value::String("maybe".into())
        );
        assert_eq!(
            field_value("1970-01-01T00:00:01+00:00", &ColumnType::Timestamp),
            Value::Timestamp(1_000_000)
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(\\PC|[,\"\n]){0,80}") {
            let _ = Sheet::parse(&text);
        }
    }
}

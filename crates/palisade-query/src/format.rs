//! Rows of a query as text: a table for people, JSON lines and CSV for programs.
use crate::engine::QueryResult;
use crate::render;
use serde_json::{Map, Value};

impl QueryResult {
    fn names(&self) -> Vec<&str> {
        self.schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect()
    }

    fn each_row(&self, mut write: impl FnMut(Vec<Value>)) {
        for batch in &self.batches {
            for row in 0..batch.num_rows() {
                write(
                    batch
                        .columns()
                        .iter()
                        .map(|c| render::json(c, row))
                        .collect(),
                );
            }
        }
    }

    /// One JSON object a line, every column in it, NULL as `null`.
    pub fn to_json_lines(&self) -> String {
        let names = self.names();
        let mut out = String::new();
        self.each_row(|values| {
            let object: Map<String, Value> =
                names.iter().map(|n| (*n).to_owned()).zip(values).collect();
            out.push_str(&Value::Object(object).to_string());
            out.push('\n');
        });
        out
    }

    /// RFC 4180 with a header line. NULL is empty, lists and structures are JSON. A text that a spreadsheet would take
    /// for a formula is not changed: the values are data, not display.
    pub fn to_csv(&self) -> String {
        let mut out = self
            .names()
            .iter()
            .map(|n| csv_field(n))
            .collect::<Vec<_>>()
            .join(",");
        out.push_str("\r\n");
        self.each_row(|values| {
            let fields = values.iter().map(|v| match v {
                Value::Null => String::new(),
                Value::String(text) => csv_field(text),
                other => csv_field(&other.to_string()),
            });
            out.push_str(&fields.collect::<Vec<_>>().join(","));
            out.push_str("\r\n");
        });
        out
    }

    /// Columns side by side, for a terminal. Values longer than `widest` characters are cut.
    pub fn to_table(&self, widest: usize) -> String {
        let names = self.names();
        let mut rows: Vec<Vec<String>> = Vec::new();
        self.each_row(|values| {
            let cells = values.iter().map(|v| match v {
                Value::Null => String::new(),
                Value::String(text) => one_line(text, widest),
                other => one_line(&other.to_string(), widest),
            });
            rows.push(cells.collect());
        });
        let width = |i: usize, name: &str| {
            let cells = rows
                .iter()
                .filter_map(|r| r.get(i))
                .map(|c| c.chars().count());
            cells.chain([name.chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = names
            .iter()
            .enumerate()
            .map(|(i, name)| width(i, name))
            .collect();
        let line = |cells: &[String]| {
            let padded = cells
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}", width = *width));
            padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        let header: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
        let mut out = line(&header) + &line(&rule);
        for row in &rows {
            out.push_str(&line(row));
        }
        out
    }
}

fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn one_line(text: &str, widest: usize) -> String {
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match clean.char_indices().nth(widest) {
        None => clean,
        Some(_) => clean
            .chars()
            .take(widest.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    fn result() -> QueryResult {
        let schema = Arc::new(Schema::new(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("n", DataType::Int64, true),
        ]));
        let names = StringArray::from(vec![Some("a,\"b\"\n"), None]);
        let batch = RecordBatch::try_new(
            Arc::clone(&schema),
            vec![Arc::new(names), Arc::new(Int64Array::from(vec![1, 2]))],
        );
        QueryResult {
            schema,
            batches: vec![batch.unwrap()],
        }
    }

    #[test]
    fn three_forms() {
        let result = result();
        assert_eq!(
            result.to_json_lines(),
            "{\"name\":\"a,\\\"b\\\"\\n\",\"n\":1}\n{\"name\":null,\"n\":2}\n"
        );
        assert_eq!(result.to_csv(), "name,n\r\n\"a,\"\"b\"\"\n\",1\r\n,2\r\n");
        assert_eq!(
            result.to_table(40),
            "name    n\n------  -\na,\"b\"   1\n        2\n"
        );
        assert_eq!(result.to_table(3), "name  n\n----  -\na,…   1\n      2\n");
    }
}

//! The calls of a table: `list` and `[[call]]`.
use super::Context;
use crate::section::{Section, scalar_text};
use crate::template::texts_of;
use crate::{Batch, Before, CallSpec, ListSpec, When};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use toml::de::DeValue;

/// AWS's largest batches take a few thousand values.
const LARGEST_BATCH: i64 = 10_000;

impl Context<'_> {
    pub(super) fn list(&mut self, table: &str, s: &Section<'_>) -> Option<ListSpec> {
        let reporter = self.reporter;
        let call = s.required("call");
        if let Some(call) = &call {
            self.note(table, "list.call", call.at);
            self.operation(call);
        }
        let parent = s.text("parent");
        if let Some(parent) = &parent {
            self.note(table, "list.parent", parent.at);
        }
        let params = s.json("params");
        self.params(table, "list.params", &params, s, parent.is_some(), false);
        let csv = s.text("csv");
        let rows = if csv.is_some() {
            s.text("rows")
        } else {
            s.required("rows")
        };
        if let Some(rows) = &rows {
            self.note(table, "list.rows", rows.at);
            self.path(rows, true);
            if csv.is_some() {
                reporter.error(rows.at, "`rows` means nothing with `csv`");
            }
        }
        if let Some(csv) = &csv {
            self.note(table, "list.csv", csv.at);
            self.path(csv, false);
        }
        let scalar = s.text("scalar");
        if let Some(scalar) = &scalar {
            self.note(table, "list.scalar", scalar.at);
            self.column_name(scalar);
        }
        let mut outer = BTreeMap::new();
        for (column, member) in s.words("outer") {
            self.note(table, format!("list.outer.{}", column.value), column.at);
            self.column_name(&column);
            outer.insert(column.value, member);
        }
        let absent = s.strings("absent");
        let before = self.before(table, s);
        Some(ListSpec {
            call: call?.value,
            params,
            rows: rows.map_or_else(|| ".".to_owned(), |r| r.value),
            scalar: scalar.map(|s| s.value),
            parent: parent.map(|p| p.value),
            outer,
            absent,
            before,
            csv: csv.map(|c| c.value),
        })
    }

    fn before(&mut self, table: &str, s: &Section<'_>) -> Option<Before> {
        let s = s.section("before")?;
        self.note(table, "list.before", s.at);
        let call = s.required("call");
        if let Some(call) = &call {
            self.operation(call);
        }
        let until: BTreeMap<String, String> = s
            .words("until")
            .into_iter()
            .map(|(k, v)| (k.value, v))
            .collect();
        if until.is_empty() {
            self.reporter
                .error(s.at, "`before` needs `until = { Member = \"value\" }`");
        }
        s.finish();
        Some(Before {
            call: call?.value,
            until,
        })
    }

    pub(super) fn call(
        &mut self,
        table: &str,
        index: usize,
        s: &Section<'_>,
        has_parent: bool,
        has_list: bool,
    ) -> Option<CallSpec> {
        let part = |name: &str| format!("call.{index}.{name}");
        let call = s.required("call");
        if let Some(call) = &call {
            self.note(table, part("call"), call.at);
            self.operation(call);
        }
        let params = s.json("params");
        self.params(table, &part("params"), &params, s, has_parent, true);
        let from = s.text("from");
        if let Some(from) = &from {
            self.note(table, part("from"), from.at);
            self.path(from, true);
        }
        let into = s.text("into");
        if let Some(into) = &into {
            self.note(table, part("into"), into.at);
            self.column_name(into);
        }
        let absent = s.strings("absent");
        let when = self.when(table, &part("when"), s);
        let batch = self.batch(table, &part("batch"), s);
        if !has_list && (when.is_some() || batch.is_some()) {
            self.reporter.error(
                s.at,
                "`when` and `batch` are for rows that a list call gave",
            );
        }
        Some(CallSpec {
            call: call?.value,
            params,
            from: from.map(|f| f.value).unwrap_or_default(),
            into: into.map(|i| i.value),
            absent,
            when,
            batch,
        })
    }

    fn when(&mut self, table: &str, part: &str, s: &Section<'_>) -> Option<When> {
        let s = s.section("when")?;
        self.note(table, part, s.at);
        let column = s.required("column");
        let mut is = Vec::new();
        match s.value("is") {
            Some((DeValue::Array(items), _)) => {
                for item in items.iter() {
                    match scalar_text(item.get_ref()) {
                        Some(text) => is.push(text),
                        None => self.reporter.error(
                            s.place("is"),
                            "`is` of `when` must be a list of texts, numbers or booleans",
                        ),
                    }
                }
            }
            Some((_, at)) => self.reporter.error(
                at,
                "`is` of `when` must be a list of texts, numbers or booleans",
            ),
            None => self.reporter.error(s.at, "`is` of `when` is missing"),
        }
        if is.is_empty() && s.has("is") {
            self.reporter.error(
                s.place("is"),
                "`is` of `when` is empty: no row would be asked",
            );
        }
        s.finish();
        Some(When {
            column: column?.value,
            is,
        })
    }

    fn batch(&mut self, table: &str, part: &str, s: &Section<'_>) -> Option<Batch> {
        let s = s.section("batch")?;
        self.note(table, part, s.at);
        let param = s.required("param");
        let of = s.required("of");
        let size = s.integer("size");
        let rows = s.required("rows");
        let matching = s.text("match");
        if let Some(of) = &of {
            self.column_name(of);
        }
        if let Some(rows) = &rows {
            self.path(rows, false);
        }
        match &size {
            None if !s.has("size") => self.reporter.error(s.at, "`size` of `batch` is missing"),
            Some(size) if !(1..=LARGEST_BATCH).contains(&size.value) => self.reporter.error(
                size.at,
                format!("`size` of `batch` must be between 1 and {LARGEST_BATCH}"),
            ),
            _ => {}
        }
        s.finish();
        Some(Batch {
            param: param?.value,
            of: of?.value,
            size: usize::try_from(size?.value).unwrap_or(1),
            rows: rows?.value,
            matching: matching.map(|m| m.value).unwrap_or_default(),
        })
    }

    fn params(
        &mut self,
        table: &str,
        part: &str,
        params: &Map<String, Json>,
        s: &Section<'_>,
        has_parent: bool,
        columns: bool,
    ) {
        let at = s.place("params");
        if s.has("params") {
            self.note(table, part, at);
        }
        let mut texts = Vec::new();
        params.values().for_each(|v| texts_of(v, &mut texts));
        for text in texts {
            self.template_text(text, at, has_parent, columns);
        }
    }
}

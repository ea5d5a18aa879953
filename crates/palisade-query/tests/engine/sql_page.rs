//! The examples of `docs/specs/sql.md` are what the engine does.
use palisade_catalog::{Catalog, Column, ColumnType, Origin, Scope, TableSchema, TableSpec};
use palisade_query::{Engine, FIXTURE_NOW, Params};
use palisade_table::{Dataset, Schemas, fixture_table};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/specs/sql.md");

/// The tables of the page.
struct Sample;

impl Schemas for Sample {
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)> {
        use ColumnType::{Boolean, Integer, List, Map, Struct, Text, Timestamp};
        let structure = |fields: &[(&str, ColumnType)]| {
            let fields = fields.iter().map(|(n, t)| ((*n).to_owned(), t.clone()));
            Struct(Arc::new(fields.collect()))
        };
        let range = structure(&[("cidr", Text)]);
        let permission = structure(&[
            ("from_port", Integer),
            ("to_port", Integer),
            ("ranges", List(Arc::new(range))),
        ]);
        let columns = match name {
            "bucket" => vec![
                ("name", Text),
                (
                    "versioning",
                    structure(&[("status", Text), ("mfa_delete", Text)]),
                ),
                ("tags", Map(Arc::new(Text))),
                ("aliases", List(Arc::new(Text))),
                ("created", Timestamp),
                ("size", Integer),
                ("public", Boolean),
            ],
            "security_group" => vec![("id", Text), ("permissions", List(Arc::new(permission)))],
            "region" => vec![("id", Text)],
            "detector" => vec![("id", Text), ("status", Text)],
            _ => return None,
        };
        let fixed = [
            ("account_id", Text, Origin::AccountId),
            ("region", Text, Origin::Region),
            ("partition", Text, Origin::Partition),
            ("arn", Text, Origin::Arn),
        ];
        let answer = || Origin::Answer {
            source: 0,
            path: Vec::new(),
            shape: None,
            transform: palisade_catalog::Transform::None,
        };
        let column = |name: &str, ty, origin| Column {
            name: name.to_owned(),
            ty,
            origin,
            sources: vec![0],
        };
        let mut all: Vec<Column> = fixed.into_iter().map(|(n, t, o)| column(n, t, o)).collect();
        all.extend(columns.into_iter().map(|(n, t)| column(n, t, answer())));
        let spec = TableSpec {
            name: name.to_owned(),
            service: "sample".to_owned(),
            model: "sample".to_owned(),
            place: ("sql.md".to_owned(), 1),
            about: String::new(),
            scope: Scope::Regional,
            id: if name == "bucket" { "name" } else { "id" }.to_owned(),
            arn: None,
            region: Vec::new(),
            keep_foreign: false,
            unique: false,
            tags_from_tagging: false,
            volatile: Vec::new(),
            ordered: Vec::new(),
            list: None,
            calls: Vec::new(),
            columns: BTreeMap::new(),
        };
        Some((Arc::new(spec), Arc::new(TableSchema { columns: all })))
    }
    fn names(&self) -> Vec<String> {
        ["bucket", "detector", "region", "security_group"]
            .map(ToOwned::to_owned)
            .to_vec()
    }
    fn permissions(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }
}

/// (language, text) of every fenced block, with the byte where it begins and ends.
fn blocks(page: &str) -> Vec<(String, String, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut open: Option<(String, usize, usize)> = None;
    for line in page.split_inclusive('\n') {
        match (&open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                open = Some((language.trim().to_owned(), at, at + line.len()))
            }
            (Some((language, start, inside)), Some(_)) => {
                found.push((
                    language.clone(),
                    page[*inside..at].to_owned(),
                    *start,
                    at + line.len(),
                ));
                open = None;
            }
            _ => {}
        }
        at += line.len();
    }
    found
}

#[test]
fn the_page_says_what_happens() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let blocks = blocks(&page);
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (_, text, _, _) in blocks.iter().filter(|b| b.0 == "rows") {
        for line in text.lines() {
            let (table, json) = line.split_once(' ').unwrap();
            let row: Map<String, Value> = serde_json::from_str(json).unwrap();
            rows.entry(table.to_owned())
                .or_default()
                .push(Value::Object(row));
        }
    }
    let mut dataset = Dataset::default();
    for (name, rows) in rows {
        let table = fixture_table(&Sample, &name, &Value::Array(rows), FIXTURE_NOW).unwrap();
        dataset.tables.insert(name, table);
    }
    let engine = Engine::with_schemas(
        Arc::new(Catalog::default()),
        Arc::new(Sample),
        FIXTURE_NOW,
        Params::new(),
    )
    .unwrap();
    let mut written = String::new();
    let mut copied = 0;
    for (i, (language, sql, _, end)) in blocks.iter().enumerate() {
        if language != "sql" {
            continue;
        }
        let result = engine
            .sql(sql, &dataset)
            .unwrap_or_else(|e| panic!("{sql}\n{e}"));
        written.push_str(&page[copied..*end]);
        write!(written, "```text\n{}```\n", result.to_table(80)).unwrap();
        // An old result directly after the query is replaced.
        copied = match blocks.get(i + 1) {
            Some((next, _, start, end_of_next))
                if next == "text" && page[*end..*start].trim().is_empty() =>
            {
                *end_of_next
            }
            _ => *end,
        };
    }
    written.push_str(&page[copied..]);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(PAGE, &written).unwrap();
    } else {
        assert!(
            page == written,
            "docs/specs/sql.md is not what the engine does; run this test with BLESS=1"
        );
    }
}

//! `palisade tables`
use crate::Outcome;
use crate::cli::Tables;
use crate::error::Failure;
use crate::output::to_stdout;
use palisade_catalog::{Catalog, ColumnType, Scope, TableSchema, TableSpec, ViewSpec};
use palisade_model::Models;
use palisade_query::{DERIVED_TABLES, DerivedSpec, STORE_TABLES};
use std::io::Write;

/// Lists tables, or shows the columns of some.
pub fn run(args: &Tables, catalog: &Catalog) -> Result<Outcome, Failure> {
    if args.names.is_empty() {
        to_stdout(|out| list(catalog, out))?;
        return Ok(Outcome::Done);
    }
    let models = Models::embedded();
    let mut shown = Vec::new();
    for name in &args.names {
        if let Some(table) = catalog.tables.get(name) {
            let schema = catalog
                .table_schema(name, &models)
                .map_err(|diagnostics| Failure::Catalog { diagnostics })?;
            shown.push(Shown::Table(table, schema));
        } else if let Some(view) = catalog.views.get(name) {
            shown.push(Shown::View(view));
        } else if let Some(table) = DERIVED_TABLES.iter().find(|d| d.name == name) {
            shown.push(Shown::Computed(table));
        } else if let Some(table) = STORE_TABLES.iter().find(|d| d.name == name) {
            shown.push(Shown::OverTime(table));
        } else {
            let known = catalog
                .tables
                .keys()
                .chain(catalog.views.keys())
                .map(String::as_str)
                .chain(DERIVED_TABLES.iter().chain(STORE_TABLES).map(|d| d.name));
            let similar = palisade_catalog::similar(name, known);
            let hint = match similar.as_slice() {
                [] => "`palisade tables` lists all tables".to_owned(),
                some => format!(
                    "did you mean `{}`? `palisade tables` lists all tables",
                    some.join("` or `")
                ),
            };
            return Err(Failure::Usage {
                message: format!("unknown table `{name}`"),
                hint: Some(hint),
            });
        }
    }
    to_stdout(|out| {
        for (index, item) in shown.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            match item {
                Shown::Table(table, schema) => columns(table, schema, catalog, out)?,
                Shown::Computed(table) => {
                    head(table, "computed", out)?;
                    let sources: Vec<String> = table.needs().into_keys().collect();
                    writeln!(out, "\nmade from: {}", sources.join(", "))?;
                }
                Shown::OverTime(table) => {
                    head(table, "over snapshots", out)?;
                    writeln!(
                        out,
                        "\nmade from: the snapshots of a store (`palisade query --snapshot all`)"
                    )?;
                }
                Shown::View(view) => writeln!(
                    out,
                    "{} (view)\n{}\n\n{}",
                    view.name,
                    view.about,
                    view.sql.trim()
                )?,
            }
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

enum Shown<'a> {
    Table(&'a TableSpec, std::sync::Arc<TableSchema>),
    View(&'a ViewSpec),
    Computed(&'static DerivedSpec),
    OverTime(&'static DerivedSpec),
}

fn list(catalog: &Catalog, out: &mut dyn Write) -> std::io::Result<()> {
    let names = catalog.tables.keys().chain(catalog.views.keys());
    let computed = DERIVED_TABLES;
    let width = names
        .map(String::len)
        .chain(computed.iter().chain(STORE_TABLES).map(|d| d.name.len()))
        .max()
        .unwrap_or(0);
    for table in catalog.tables.values() {
        writeln!(out, "{:<width$}  {}", table.name, table.about)?;
    }
    for view in catalog.views.values() {
        writeln!(out, "{:<width$}  {} (view)", view.name, view.about)?;
    }
    for table in computed {
        writeln!(out, "{:<width$}  {} (computed)", table.name, table.about)?;
    }
    for table in STORE_TABLES {
        let (name, about) = (table.name, table.about);
        writeln!(out, "{name:<width$}  {about} (over snapshots)")?;
    }
    Ok(())
}

fn columns(
    table: &TableSpec,
    schema: &TableSchema,
    catalog: &Catalog,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let scope = match table.scope {
        Scope::Global => "once an account",
        Scope::Regional => "in every region",
    };
    writeln!(out, "{}\n{}\n", table.name, table.about)?;
    match &table.list {
        Some(list) => writeln!(out, "rows: {}:{}, {scope}", table.model, list.call)?,
        None => writeln!(
            out,
            "rows: one {}",
            if table.scope == Scope::Global {
                "an account"
            } else {
                "an account and region"
            }
        )?,
    }
    let width = schema
        .columns
        .iter()
        .map(|c| c.name.len())
        .max()
        .unwrap_or(0);
    for column in &schema.columns {
        let calls: Vec<&str> = column
            .sources
            .iter()
            .filter_map(|source| table.call_of(*source))
            .collect();
        writeln!(
            out,
            "  {:<width$}  {}{}",
            column.name,
            kind(&column.ty),
            from(&calls)
        )?;
    }
    let permissions = catalog.table_permissions(table);
    writeln!(
        out,
        "\npermissions: {}",
        if permissions.is_empty() {
            "none".to_owned()
        } else {
            permissions.join(", ")
        }
    )
}

fn from(calls: &[&str]) -> String {
    if calls.is_empty() {
        String::new()
    } else {
        format!("  ({})", calls.join(", "))
    }
}

/// A type as people write it; long structures are cut after some fields.
fn kind(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::Float => "float".to_owned(),
        ColumnType::Text => "text".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::List(of) => format!("[{}]", kind(of)),
        ColumnType::Map(of) => format!("map of {}", kind(of)),
        ColumnType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, ty)| format!("{name}: {}", kind(ty)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Name, what it holds, columns.
fn head(table: &DerivedSpec, kind: &str, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "{} ({kind})\n{}\n", table.name, table.about)?;
    let width = table.columns.iter().map(|(n, _)| n.len()).max();
    let width = width.unwrap_or(0);
    for (name, ty) in table.columns {
        writeln!(out, "  {name:<width$}  {}", ty.as_str())?;
    }
    Ok(())
}

//! `cargo xtask new-check`: a page for a new check, complete but for the places that only its author can write.
use anyhow::{Context, Result, bail, ensure};
use palisade_catalog::{
    Catalog, ColumnType, PLACEHOLDER, Source, TableSchema, TableSpec, load, similar,
};
use palisade_model::Models;
use serde_json::{Map, Value as Json, json};
use std::io::Write;
use std::path::PathBuf;

/// Options of `cargo xtask new-check`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of the check: the service whose requirement it is
    service: String,
    /// The check's id: names the required state, begins with the service
    id: String,
    /// Table whose rows are judged
    #[arg(long)]
    resource: String,
    /// Catalogue folder to write to
    #[arg(long, default_value_os_t = crate::paths::root().join("catalog"))]
    catalog: PathBuf,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let loaded = load(&[Source::directory(&arguments.catalog)?]);
    let models = Models::embedded();
    let page = page(
        &loaded.catalog,
        &models,
        &arguments.service,
        &arguments.id,
        &arguments.resource,
    )?;
    let folder = arguments.catalog.join("checks").join(&arguments.service);
    let file = folder.join(format!("{}.md", arguments.id));
    ensure!(!file.exists(), "{} exists already", file.display());
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    std::fs::write(&file, page).with_context(|| format!("writing {}", file.display()))?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", file.display())?;
    writeln!(
        out,
        "write what is marked `{PLACEHOLDER}`, then the SQL, messages and fixtures; `cargo xtask lint` says what is missing"
    )?;
    Ok(())
}

/// The page's text. Its SQL and fixtures hold for the table as it is.
///
/// # Errors
/// When the id or the table is not what the loader accepts.
fn page(
    catalog: &Catalog,
    models: &Models,
    service: &str,
    id: &str,
    resource: &str,
) -> Result<String> {
    let Some(table) = catalog.tables.get(resource) else {
        let near = similar(resource, catalog.tables.keys().map(String::as_str));
        bail!(
            "unknown table `{resource}`; near names: {}",
            near.join(", ")
        );
    };
    let schema = match catalog.table_schema(resource, models) {
        Ok(schema) => schema,
        Err(found) => {
            let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
            bail!("{}", lines.join("\n"));
        }
    };
    let text = write(table, &schema)?;
    refuse(catalog, service, id, &text)?;
    Ok(text)
}

/// Refuses what the loader would refuse for another reason than that something is still to be written.
fn refuse(catalog: &Catalog, service: &str, id: &str, text: &str) -> Result<()> {
    ensure!(
        !catalog.checks.contains_key(id),
        "there is a check `{id}` already"
    );
    let path = format!("checks/{service}/{id}.md");
    let alone = load(&[Source::from_texts([(path.clone(), text)])]);
    let other: Vec<String> = alone
        .diagnostics
        .iter()
        // The tables are not part of this catalogue.
        .filter(|d| {
            !d.message.contains("still to be written") && !d.message.starts_with("unknown table")
        })
        .map(ToString::to_string)
        .collect();
    ensure!(other.is_empty(), "{}", other.join("\n"));
    Ok(())
}

fn write(table: &TableSpec, schema: &TableSchema) -> Result<String> {
    const BASE: [&str; 4] = ["account_id", "region", "partition", "arn"];
    let candidates = || {
        schema
            .columns
            .iter()
            .filter(|c| c.name != table.id && !BASE.contains(&c.name.as_str()) && c.name != "tags")
    };
    let column = candidates()
        .find(|c| c.ty == ColumnType::Boolean)
        .or_else(|| candidates().find(|c| c.ty == ColumnType::Text))
        .or_else(|| candidates().next())
        .with_context(|| {
            format!(
                "the table `{}` has no column that a check could judge",
                table.name
            )
        })?;
    let name = &column.name;
    let (predicate, good, bad) = match column.ty {
        ColumnType::Boolean => (name.clone(), json!(true), json!(false)),
        ColumnType::Text => (format!("{name} = 'good'"), json!("good"), json!("bad")),
        ColumnType::Integer => (format!("{name} > 0"), json!(1), json!(0)),
        ColumnType::Float => (format!("{name} > 0"), json!(1.5), json!(0.0)),
        ColumnType::Timestamp => (
            format!("age_days({name}) < 90"),
            json!("now-1d"),
            json!("now-100d"),
        ),
        ColumnType::List(_) => (
            format!("array_length({name}) IS NULL"),
            json!([]),
            Json::Null,
        ),
        ColumnType::Map(_) | ColumnType::Struct(_) => {
            (format!("{name} IS NOT NULL"), json!({}), Json::Null)
        }
    };
    let identified = BASE.contains(&table.id.as_str());
    let row = |id: &str, value: &Json| {
        let mut row = Map::new();
        if !identified {
            let number = schema
                .column(&table.id)
                .is_some_and(|c| c.ty == ColumnType::Integer);
            row.insert(table.id.clone(), if number { json!(1) } else { json!(id) });
        }
        row.insert(name.clone(), value.clone());
        Json::Object(row).to_string()
    };
    let (pass, fail) = (row("a", &good), row("b", &bad));
    // `!Code` is not JSON: it takes the place of a text.
    let unknown = row("c", &json!("!AccessDenied")).replace("\"!AccessDenied\"", "!AccessDenied");
    let version = env!("CARGO_PKG_VERSION");
    let resource = &table.name;
    Ok(format!(
        r#"+++
title = "{PLACEHOLDER}"
severity = "medium"   # {PLACEHOLDER}: informational, low, medium, high or critical
resource = "{resource}"
category = "governance"   # {PLACEHOLDER}: see docs/specs/check.md
since = "{version}"
+++
{PLACEHOLDER}: why it matters, in plain words. What goes wrong, for whom.

## Fix
{PLACEHOLDER}: what to do, and what to mind before doing it. Where one API call repairs it, add a `fix` block.

## Check
```sql
{predicate}
```
pass: `{name} is as required`
fail: `{name} is ${{coalesce(CAST({name} AS VARCHAR), 'not set')}}`

## Fixtures
```rows
pass    {pass}
fail    {fail}
unknown {unknown}
```
"#
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use palisade_catalog::validate_models;

    fn shipped() -> Catalog {
        load(&[Source::embedded()]).catalog
    }

    /// For the tables that are shipped: the loader finds what is to be written, and nothing else; once that is written,
    /// the pages are accepted and fit the API models.
    #[test]
    fn scaffolded_pages_lack_only_what_is_marked() {
        let (catalog, models) = (shipped(), Models::embedded());
        let mut pages = Vec::new();
        // Every seventh table: tables of all kinds are among them, and the test stays quick.
        for (name, table) in catalog.tables.iter().step_by(7) {
            let service = &table.service;
            let id = format!("{service}-state-of-{}", name.replace('_', "-"));
            match page(&catalog, &models, service, &id, name) {
                Ok(page) => pages.push((format!("checks/{service}/{id}.md"), page)),
                Err(e) if e.to_string().contains("has no column") => {}
                Err(e) => panic!("{name}: {e}"),
            }
        }
        assert!(pages.len() > 15, "{}", pages.len());
        let with = |pages: &[(String, String)]| {
            load(&[Source::embedded(), Source::from_texts(pages.to_vec())])
        };
        let of = |found: &[palisade_catalog::Diagnostic]| -> Vec<String> {
            let ours = found
                .iter()
                .filter(|d| pages.iter().any(|(path, _)| *path == d.file));
            ours.map(|d| format!("{} {}", d.file, d.message)).collect()
        };
        let mut expected: Vec<String> = Vec::new();
        for (path, _) in &pages {
            let told = format!("{path} something is still to be written here");
            expected.extend(std::iter::repeat_n(told, 5));
        }
        expected.sort();
        assert_eq!(of(&with(&pages).diagnostics), expected);
        let written: Vec<(String, String)> = pages
            .iter()
            .map(|(path, page)| (path.clone(), page.replace(PLACEHOLDER, "Versions are kept")))
            .collect();
        let loaded = with(&written);
        assert_eq!(of(&loaded.diagnostics), [""; 0]);
        assert_eq!(of(&validate_models(&loaded.catalog, &models)), [""; 0]);
    }

    #[test]
    fn mistakes_are_told_and_nothing_is_written() {
        let (catalog, models) = (shipped(), Models::embedded());
        let error = |service: &str, id: &str, table: &str| {
            page(&catalog, &models, service, id, table)
                .unwrap_err()
                .to_string()
        };
        assert!(error("s3", "s3-x", "s3_bukket").contains("s3_bucket"));
        assert!(error("s3", "ensure-x", "s3_bucket").contains("uses `ensure`"));
        assert!(error("s3", "ec2-x", "s3_bucket").contains("does not begin with"));
        assert!(error("s3", "s3-bucket-versioning", "s3_bucket").contains("already"));
    }

    #[test]
    fn the_page_is_where_the_loader_looks() {
        let folder =
            std::env::temp_dir().join(format!("palisade-new-check-{}", std::process::id()));
        let services = folder.join("services");
        std::fs::create_dir_all(&services).unwrap();
        let shipped = crate::paths::root().join("catalog/services/s3.toml");
        std::fs::copy(shipped, services.join("s3.toml")).unwrap();
        let arguments = Arguments {
            service: "s3".into(),
            id: "s3-bucket-thing".into(),
            resource: "s3_bucket".into(),
            catalog: folder.clone(),
        };
        run(&arguments).unwrap();
        let file = folder.join("checks/s3/s3-bucket-thing.md");
        assert!(
            std::fs::read_to_string(&file)
                .unwrap()
                .contains("resource = \"s3_bucket\"")
        );
        assert!(
            run(&arguments)
                .unwrap_err()
                .to_string()
                .contains("exists already")
        );
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

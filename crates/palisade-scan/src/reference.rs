//! The reference: a page in Markdown for every check, table and framework. `palisade explain` prints the same pages.
use crate::{CheckDetails, ScanError, Scanner};
use palisade_catalog::{
    Catalog, Check, Code, ColumnType, Diagnostic, Framework, Known, Scope, TableSchema, TableSpec,
    ViewSpec,
};
use palisade_query::{DERIVED_TABLES, DerivedSpec, STORE_TABLES};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

/// How the first page begins: it tells that a folder is a reference.
pub const HEADING: &str = "# Reference\n\nGenerated from the catalogue by `cargo xtask reference`.";

/// Every page by its path in the reference's folder: `checks/<id>.md`, `tables/<name>.md`, `frameworks/<id>.md`, and the
/// indexes; what the checks read, and their plans, which the next build embeds.
///
/// # Errors
/// When the SQL of a check is wrong, or the columns of a table cannot be computed.
pub fn pages(scanner: &Scanner, catalog: &Catalog) -> Result<BTreeMap<String, Vec<u8>>, ScanError> {
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    let checks: Vec<Arc<Check>> = catalog.checks.values().cloned().collect();
    let details = scanner.details_of(&checks)?;
    let mut readers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for check in &checks {
        if let Some(of_check) = details.get(&check.id) {
            let links = Links { on: true };
            let page = check_page(check, of_check, catalog, links);
            pages.insert(format!("checks/{}.md", check.id), page);
            for table in of_check.columns.keys() {
                readers.entry(table).or_default().push(&check.id);
            }
        }
    }
    let mut problems: Vec<Diagnostic> = Vec::new();
    for (name, table) in &catalog.tables {
        match catalog.table_schema(name, scanner.models()) {
            Ok(schema) => {
                let readers = readers.get(name.as_str()).map(Vec::as_slice);
                let page = table_page(table, &schema, catalog, readers.unwrap_or_default());
                pages.insert(format!("tables/{name}.md"), page);
            }
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(ScanError::Checks(problems));
    }
    for (name, view) in &catalog.views {
        pages.insert(format!("tables/{name}.md"), view_page(view));
    }
    for table in DERIVED_TABLES {
        pages.insert(format!("tables/{}.md", table.name), derived_page(table));
    }
    for table in STORE_TABLES {
        pages.insert(format!("tables/{}.md", table.name), over_time_page(table));
    }
    for (id, framework) in catalog.frameworks.iter() {
        let page = framework_page(framework, catalog);
        pages.insert(format!("frameworks/{id}.md"), page);
    }
    indexes(catalog, &mut pages);
    pages.insert("reads.json".to_owned(), reads(&details));
    let texts = pages.into_iter();
    let mut pages: BTreeMap<String, Vec<u8>> =
        texts.map(|(name, text)| (name, text.into())).collect();
    pages.insert("plans.zst".to_owned(), scanner.shipped_plans(&checks)?);
    Ok(pages)
}

/// What each check reads and the like, a line a check.
fn reads(details: &BTreeMap<String, CheckDetails>) -> String {
    let lines: Vec<String> = details
        .iter()
        .map(|(id, of_check)| {
            let known = Known {
                reads: of_check.columns.clone(),
                without_rows: of_check.without_rows,
                computed: of_check.computed,
            };
            format!("{}: {}", serde_json::json!(id), serde_json::json!(known))
        })
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// Whether names of other pages are links.
#[derive(Debug, Clone, Copy)]
pub struct Links {
    /// They are.
    pub on: bool,
}

impl Links {
    fn to(self, folder: &str, name: &str) -> String {
        if self.on {
            format!("[{name}](../{folder}/{name}.md)")
        } else {
            name.to_owned()
        }
    }
}

/// Ignores the result of writing to a string, which cannot fail.
macro_rules! put {
    ($($rest:tt)*) => { let _ = writeln!($($rest)*); };
}

/// The calls of a fix, and where infrastructure as code says the same.
fn fix_calls(check: &Check, catalog: &Catalog, out: &mut String) {
    if catalog.is_machine_fix(check) {
        put!(
            out,
            "\nPalisade can make these calls, and take them back:\n\n```"
        );
    } else {
        put!(
            out,
            "\nThese calls do it; Palisade does not make them, because it could not take them back:\n\n```"
        );
    }
    let mut code = Code::default();
    for call in &check.fix_calls {
        let params = serde_json::Value::Object(call.params.clone());
        put!(out, "{}:{} {params}", call.service, call.operation);
        let change = catalog.change(&call.service, &call.operation);
        if let Some(of_call) = change.and_then(|c| c.code_of(&call.params).ok()) {
            code.extend(of_call);
        }
    }
    put!(out, "```");
    for (title, places) in [
        ("In Terraform", &code.terraform),
        ("In CloudFormation", &code.cloudformation),
        ("Not in code", &code.without),
    ] {
        match places.as_slice() {
            [] => {}
            [one] => {
                put!(out, "\n{title}: {}", place(one));
            }
            several => {
                put!(out, "\n{title}:\n");
                for one in several {
                    put!(out, "- {}", place(one));
                }
            }
        }
    }
}

fn place(text: &str) -> String {
    let is_place = ["aws_", "AWS::", "without "]
        .iter()
        .any(|p| text.starts_with(p));
    if is_place {
        format!("`{text}`")
    } else {
        text.to_owned()
    }
}

/// The page of one check: why, fix, SQL, tables, calls, permissions, parameters, frameworks, equivalents.
pub fn check_page(
    check: &Check,
    details: &CheckDetails,
    catalog: &Catalog,
    links: Links,
) -> String {
    let mut out = String::new();
    put!(out, "# {}\n", check.title);
    put!(
        out,
        "`{}` · {} · {} · judges {} · since {}",
        check.id,
        check.severity,
        check.category,
        links.to("tables", &check.resource),
        check.since
    );
    put!(out, "\n## Why it matters\n\n{}", check.why.trim());
    put!(out, "\n## How to fix\n\n{}", check.fix.trim());
    if !check.fix_calls.is_empty() {
        fix_calls(check, catalog, &mut out);
    }
    if !check.params.is_empty() {
        put!(out, "\n## Parameters\n");
        for (name, parameter) in &check.params {
            put!(
                out,
                "- `{name}` = `{}`: {}",
                parameter.default,
                parameter.about
            );
        }
        let first = check.params.first_key_value();
        if let Some((name, parameter)) = first {
            put!(out, "\nIn `palisade.toml`:\n\n```toml");
            put!(
                out,
                "[params.{:?}]\n{name} = {}\n```",
                check.id,
                parameter.default
            );
        }
        for variant in &check.variants {
            let values: Vec<String> = variant
                .params
                .iter()
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            put!(out, "- as `{}`: `{}`", variant.same_as, values.join(", "));
        }
    }
    put!(out, "\n## What is asked\n");
    if let Some((applies, _)) = &check.applies {
        put!(out, "Of rows where:\n\n```sql\n{}\n```\n", applies.trim());
    }
    put!(out, "```sql\n{}\n```", check.sql.0.trim());
    put!(out, "\n## What it reads\n");
    for (table, columns) in &details.columns {
        put!(
            out,
            "- {}: {}",
            links.to("tables", table),
            columns.join(", ")
        );
    }
    put!(out, "\n## Calls and permissions\n");
    put!(out, "Calls: {}", list(&details.calls));
    put!(out, "\nPermissions: {}", list(&details.permissions));
    put!(out, "\n## Frameworks\n");
    let requirements = requirements(&check.id, catalog, links);
    put!(
        out,
        "{}",
        if requirements.is_empty() {
            "None of the shipped ones."
        } else {
            requirements.trim_end()
        }
    );
    put!(out, "\n## Equivalents\n");
    let mut any = false;
    for (tool, ids) in [
        ("prowler", &check.same_as.prowler),
        ("security_hub", &check.same_as.security_hub),
        ("config", &check.same_as.config),
    ] {
        if !ids.is_empty() {
            any = true;
            let ids: Vec<String> = ids.iter().map(|id| format!("`{tool}:{id}`")).collect();
            put!(out, "- {}", ids.join(", "));
        }
    }
    if !any {
        put!(out, "No other tool has the same requirement.");
    }
    out
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|i| format!("`{i}`")).collect();
    if items.is_empty() {
        "none".to_owned()
    } else {
        items.join(", ")
    }
}

/// One line a framework, with the parameters that its requirements demand.
fn requirements(check: &str, catalog: &Catalog, links: Links) -> String {
    let mut out = String::new();
    for (id, framework) in catalog.frameworks.iter() {
        let serving = framework
            .requirements
            .iter()
            .filter(|r| r.checks.iter().any(|c| c == check));
        let names: Vec<String> = serving
            .map(|r| match r.params.get(check) {
                None => r.id.clone(),
                Some(demanded) => {
                    let values: Vec<String> = demanded
                        .iter()
                        .map(|(name, value)| format!("`{name} = {value}`"))
                        .collect();
                    format!("{} (demands {})", r.id, values.join(", "))
                }
            })
            .collect();
        if !names.is_empty() {
            put!(
                out,
                "- {}: {}",
                links.to("frameworks", id),
                names.join(", ")
            );
        }
    }
    out
}

fn table_page(
    table: &TableSpec,
    schema: &TableSchema,
    catalog: &Catalog,
    readers: &[&str],
) -> String {
    let mut out = String::new();
    put!(out, "# {}\n\n{}\n", table.name, table.about);
    let scope = match table.scope {
        Scope::Global => "once an account",
        Scope::Regional => "in every region",
    };
    match &table.list {
        Some(list) => {
            put!(
                out,
                "Rows: `{}:{}`, {scope}. Id: `{}`.",
                table.model,
                list.call,
                table.id
            );
        }
        None => {
            put!(out, "Rows: one, {scope}. Id: `{}`.", table.id);
        }
    }
    if let Some(arn) = &table.arn {
        put!(out, "ARN: `{arn}`.");
    }
    put!(out, "\n| column | type | filled by |\n|---|---|---|");
    for column in &schema.columns {
        let calls: Vec<&str> = column
            .sources
            .iter()
            .filter_map(|s| table.call_of(*s))
            .collect();
        put!(
            out,
            "| `{}` | {} | {} |",
            column.name,
            kind(&column.ty, 2),
            calls.join(", ")
        );
    }
    let permissions = catalog.table_permissions(table);
    put!(out, "\nPermissions: {}", list(&permissions));
    let links: Vec<String> = readers
        .iter()
        .map(|id| format!("[{id}](../checks/{id}.md)"))
        .collect();
    if !links.is_empty() {
        put!(out, "\nRead by: {}", links.join(", "));
    }
    out
}

fn view_page(view: &ViewSpec) -> String {
    let mut out = String::new();
    put!(
        out,
        "# {} (view)\n\n{}\n\n```sql\n{}\n```",
        view.name,
        view.about,
        view.sql.trim()
    );
    out
}

fn over_time_page(table: &DerivedSpec) -> String {
    let mut out = String::new();
    put!(
        out,
        "# {} (over snapshots)\n\n{}\n",
        table.name,
        table.about
    );
    put!(
        out,
        "`palisade query --snapshot all \"select … from {}\"` reads it; with the id of a snapshot, as it was then.\n",
        table.name
    );
    columns_of(&mut out, table);
    out
}

fn derived_page(table: &DerivedSpec) -> String {
    let mut out = String::new();
    put!(out, "# {} (computed)\n\n{}\n", table.name, table.about);
    columns_of(&mut out, table);
    out
}

fn columns_of(out: &mut String, table: &DerivedSpec) {
    put!(out, "| column | type |\n|---|---|");
    for (name, ty) in table.columns {
        put!(out, "| `{name}` | {} |", ty.as_str());
    }
}

fn framework_page(framework: &Framework, catalog: &Catalog) -> String {
    let mut out = String::new();
    put!(out, "# {}\n", framework.title);
    put!(
        out,
        "`palisade scan --framework {}`. Identifiers from <{}>; the titles are ours.\n",
        framework.id,
        framework.source
    );
    put!(
        out,
        "| requirement | title | answered by | checks |\n|---|---|---|---|"
    );
    for r in &framework.requirements {
        let checks: Vec<String> = r
            .checks
            .iter()
            .map(|id| {
                let demanded: Vec<String> = r
                    .params
                    .get(id)
                    .into_iter()
                    .flatten()
                    .map(|(name, value)| format!(" (`{name} = {value}`)"))
                    .collect();
                let link = if catalog.checks.contains_key(id) {
                    format!("[{id}](../checks/{id}.md)")
                } else {
                    id.clone()
                };
                format!("{link}{}", demanded.concat())
            })
            .collect();
        let who = match r.kind {
            palisade_catalog::RequirementKind::Automated => "checks",
            palisade_catalog::RequirementKind::Manual => "a person",
            palisade_catalog::RequirementKind::Aws => "AWS",
        };
        put!(
            out,
            "| {} | {} | {who} | {} |",
            cell(&r.id),
            cell(&r.title),
            checks.join(", ")
        );
    }
    out
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn indexes(catalog: &Catalog, pages: &mut BTreeMap<String, String>) {
    let mut out = String::new();
    let repaired = catalog.checks.values();
    let repaired = repaired.filter(|c| catalog.is_machine_fix(c)).count();
    put!(
        out,
        "# Checks\n\n{} checks. What {repaired} of them find, Palisade can repair and take back (`palisade fix`, marked `fix`).",
        catalog.checks.len()
    );
    let mut by_service: BTreeMap<&str, Vec<&Check>> = BTreeMap::new();
    for check in catalog.checks.values() {
        by_service.entry(&check.service).or_default().push(check);
    }
    for (service, checks) in &by_service {
        put!(out, "\n## {service}\n");
        for check in checks {
            put!(
                out,
                "- [{}]({}.md) · {} · {}{}",
                check.id,
                check.id,
                check.severity,
                check.title,
                if catalog.is_machine_fix(check) {
                    " · fix"
                } else {
                    ""
                }
            );
        }
    }
    pages.insert("checks/README.md".to_owned(), out);
    let mut out = String::new();
    let (tables, views) = (&catalog.tables, &catalog.views);
    put!(
        out,
        "# Tables\n\n{} tables, {} views, {} computed tables, {} over snapshots.\n",
        tables.len(),
        views.len(),
        DERIVED_TABLES.len(),
        STORE_TABLES.len()
    );
    for (name, table) in tables {
        put!(out, "- [{name}]({name}.md): {}", table.about);
    }
    for (name, view) in views {
        put!(out, "- [{name}]({name}.md) (view): {}", view.about);
    }
    for table in DERIVED_TABLES {
        let name = table.name;
        put!(out, "- [{name}]({name}.md) (computed): {}", table.about);
    }
    for table in STORE_TABLES {
        let name = table.name;
        put!(
            out,
            "- [{name}]({name}.md) (over snapshots): {}",
            table.about
        );
    }
    pages.insert("tables/README.md".to_owned(), out);
    let mut out = String::new();
    put!(out, "# Frameworks\n");
    for (id, framework) in catalog.frameworks.iter() {
        let total = framework.requirements.len();
        let covered = framework
            .requirements
            .iter()
            .filter(|r| !r.checks.is_empty())
            .count();
        put!(
            out,
            "- [{id}]({id}.md): {}; {covered} of {total} requirements have checks",
            framework.title
        );
    }
    pages.insert("frameworks/README.md".to_owned(), out);
    let mut out = String::new();
    put!(out, "{HEADING}\n");
    put!(
        out,
        "- [Checks](checks/README.md)\n- [Tables](tables/README.md)\n- [Frameworks](frameworks/README.md)"
    );
    pages.insert("README.md".to_owned(), out);
}

/// A type as people write it; structures deeper than `depth` are only called so.
fn kind(ty: &ColumnType, depth: usize) -> String {
    match ty {
        ColumnType::Boolean => "boolean".to_owned(),
        ColumnType::Integer => "integer".to_owned(),
        ColumnType::Float => "float".to_owned(),
        ColumnType::Text => "text".to_owned(),
        ColumnType::Timestamp => "timestamp".to_owned(),
        ColumnType::List(of) => format!("[{}]", kind(of, depth)),
        ColumnType::Map(of) => format!("map of {}", kind(of, depth)),
        ColumnType::Struct(_) if depth == 0 => "{…}".to_owned(),
        ColumnType::Struct(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .map(|(name, ty)| format!("{name}: {}", kind(ty, depth - 1)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

//! `palisade checks`, `palisade explain`
use super::selection;
use crate::Outcome;
use crate::cli::{ListFormat, Selection};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::{Catalog, Check, ParameterValue};
use palisade_scan::{CheckDetails, Scanner};
use serde_json::json;
use std::io::Write;
use std::sync::Arc;

/// One line a check, or JSON.
pub fn list(
    args: &Selection,
    format: ListFormat,
    catalog: &Catalog,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let checks = selection(args).resolve(catalog)?;
    to_stdout(|out| match format {
        ListFormat::Text => {
            let width = checks.iter().map(|c| c.id.len()).max().unwrap_or(0);
            for check in &checks {
                writeln!(
                    out,
                    "{:<width$}  {:<13}  {}",
                    check.id, check.severity, check.title
                )?;
            }
            Ok(())
        }
        ListFormat::Json => {
            let list: Vec<_> = checks.iter().map(|check| summary(check, catalog)).collect();
            serde_json::to_writer_pretty(&mut *out, &list)?;
            writeln!(out)
        }
    })?;
    if format == ListFormat::Text {
        terminal.note(&format!("{} checks", checks.len()));
    }
    Ok(Outcome::Done)
}

fn summary(check: &Check, catalog: &Catalog) -> serde_json::Value {
    json!({
        "id": check.id,
        "title": check.title,
        "service": check.service,
        "severity": check.severity,
        "category": check.category,
        "resource": check.resource,
        "since": check.since,
        "same_as": {
            "prowler": check.same_as.prowler,
            "security_hub": check.same_as.security_hub,
            "config": check.same_as.config,
        },
        "requirements": catalog.requirements_of(&check.id),
        "fix": if check.fix_calls.is_empty() { "guided" } else { "automatic" },
    })
}

/// Whole pages, with what follows from them.
pub fn show(ids: &[String], catalog: Arc<Catalog>) -> Result<Outcome, Failure> {
    let wanted = palisade_scan::Selection {
        checks: ids.to_vec(),
        ..palisade_scan::Selection::default()
    };
    let checks = wanted.resolve(&catalog)?;
    let scanner = Scanner::new(Arc::clone(&catalog));
    let mut pages = Vec::new();
    for check in &checks {
        pages.push((check, scanner.details(check)?));
    }
    to_stdout(|out| {
        for (index, (check, details)) in pages.iter().enumerate() {
            if index > 0 {
                writeln!(out, "\n{}\n", "-".repeat(80))?;
            }
            page(check, details, &catalog, out)?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
}

fn page(
    check: &Check,
    details: &CheckDetails,
    catalog: &Catalog,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    writeln!(out, "{}\n{}\n", check.title, check.id)?;
    writeln!(
        out,
        "severity   {}\ncategory   {}\nresource   {}\nsince      {}",
        check.severity, check.category, check.resource, check.since
    )?;
    for (tool, ids) in [
        ("prowler", &check.same_as.prowler),
        ("security_hub", &check.same_as.security_hub),
        ("config", &check.same_as.config),
    ] {
        if !ids.is_empty() {
            writeln!(out, "same as    {tool}: {}", ids.join(", "))?;
        }
    }
    let requirements = catalog.requirements_of(&check.id);
    if !requirements.is_empty() {
        writeln!(out, "serves     {}", requirements.join(", "))?;
    }
    writeln!(
        out,
        "\nWhy it matters\n\n{}\n\nHow to fix\n\n{}\n",
        check.why.trim(),
        check.fix.trim()
    )?;
    for call in &check.fix_calls {
        writeln!(
            out,
            "  {}:{} {}",
            call.service,
            call.operation,
            serde_json::Value::Object(call.params.clone())
        )?;
    }
    for (name, parameter) in &check.params {
        writeln!(
            out,
            "parameter  ${name} = {}: {}",
            value(&parameter.default),
            parameter.about
        )?;
    }
    writeln!(out, "\nWhat is asked\n")?;
    if let Some((applies, _)) = &check.applies {
        writeln!(out, "  only where {}", applies.trim())?;
    }
    for line in check.sql.0.trim().lines() {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nWhat it reads\n")?;
    for (table, columns) in &details.columns {
        writeln!(out, "  {table}: {}", columns.join(", "))?;
    }
    writeln!(out, "\nPermissions\n")?;
    for permission in &details.permissions {
        writeln!(out, "  {permission}")?;
    }
    Ok(())
}

fn value(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Integer(n) => n.to_string(),
        ParameterValue::Text(text) => format!("'{text}'"),
        ParameterValue::Boolean(b) => b.to_string(),
        ParameterValue::Integers(list) => format!(
            "[{}]",
            list.iter()
                .map(i64::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        ParameterValue::Texts(list) => format!(
            "[{}]",
            list.iter()
                .map(|t| format!("'{t}'"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
    }
}

/// Runs the fixtures of the selected checks. The outcome is `Failed` when one does not hold.
pub fn test(
    args: &Selection,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let checks = selection(args).resolve(&catalog)?;
    let report = Scanner::new(catalog).test_fixtures(&checks)?;
    to_stdout(|out| {
        for failure in &report.failures {
            writeln!(out, "{failure}")?;
        }
        Ok(())
    })?;
    terminal.note(&format!(
        "{} checks, {} fixtures, {} failed",
        checks.len(),
        report.fixtures,
        report.failures.len()
    ));
    Ok(if report.failures.is_empty() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

//! `palisade checks`, `palisade explain`
use super::{selection, settings};
use crate::Outcome;
use crate::cli::{Global, ListFormat, Selection};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::{Catalog, Check, Membership};
use palisade_config::{Given, Settings};
use palisade_scan::{Scanner, reference};
use serde_json::json;
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
            let membership = catalog.membership();
            let list: Vec<_> = checks
                .iter()
                .map(|check| summary(check, catalog, &membership))
                .collect();
            serde_json::to_writer_pretty(&mut *out, &list)?;
            writeln!(out)
        }
    })?;
    if format == ListFormat::Text {
        terminal.note(&format!("{} checks", checks.len()));
    }
    Ok(Outcome::Done)
}

fn summary(check: &Check, catalog: &Catalog, membership: &Membership<'_>) -> serde_json::Value {
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
        "requirements": membership.of(&check.id),
        "fix": if catalog.is_machine_fix(check) { "automatic" } else { "guided" },
    })
}

/// Whole pages, with what follows from them.
pub fn show(ids: &[String], global: &Global, catalog: Arc<Catalog>) -> Result<Outcome, Failure> {
    let config = settings::config(global, &catalog)?;
    let effective = Settings::merge(&Given::default(), config.as_ref(), false, &[]);
    let mut wanted = palisade_scan::Selection {
        checks: ids.to_vec(),
        params: settings::params(&effective),
        severities: settings::severities(&effective),
        ..palisade_scan::Selection::default()
    };
    let drift = super::drift::choose(&mut wanted);
    let checks = match wanted.checks.is_empty() {
        true => Vec::new(),
        false => wanted.resolve(&catalog)?,
    };
    let scanner = Scanner::new(Arc::clone(&catalog));
    let mut pages = Vec::new();
    for check in &checks {
        pages.push((check, scanner.details(check)?));
    }
    to_stdout(|out| {
        if drift.wanted {
            let page = palisade_drift::drift_check();
            writeln!(
                out,
                "# {}\n\n`{}`, {}, {}\n",
                page.title, page.id, page.severity, page.category
            )?;
            writeln!(out, "## Why\n\n{}\n\n## Fix\n\n{}", page.why, page.fix)?;
            if !pages.is_empty() {
                writeln!(out, "\n{}\n", "-".repeat(80))?;
            }
        }
        for (index, (check, details)) in pages.iter().enumerate() {
            if index > 0 {
                writeln!(out, "\n{}\n", "-".repeat(80))?;
            }
            let links = reference::Links { on: false };
            let page = reference::check_page(check, details, &catalog, links);
            out.write_all(page.as_bytes())?;
        }
        Ok(())
    })?;
    Ok(Outcome::Done)
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

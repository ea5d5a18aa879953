//! `palisade history`
use super::drift::{Opened, before};
use crate::Outcome;
use crate::cli::{Global, History, HistoryFormat};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::Given;
use palisade_core::{Severity, Timestamp};
use palisade_drift::{FindingHistory, Keep, ResourceEvent, history, resource_history};
use std::fmt::Write;
use std::sync::Arc;

/// How findings and resources came to be as they are.
pub fn run(
    args: History,
    given: &Given,
    global: &Global,
    catalog: &Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let since = args.since.as_deref().map(before).transpose()?;
    let opened = Opened::new(args.at, given, global, catalog)?;
    let snapshots = opened.snapshots(terminal)?;
    let Some(latest) = snapshots.last() else {
        return Err(Failure::Usage {
            message: format!("there are no snapshots in {}", opened.store.location()),
            hint: Some("`palisade scan` makes one".to_owned()),
        });
    };
    let now = latest.manifest().started_at;
    let runtime = &opened.runtime;
    let all = runtime.block_on(history(
        &opened.store,
        &snapshots,
        &opened.schemas,
        Keep::Write,
    ))?;
    let events = match args.resource.is_empty() {
        true => Vec::new(),
        false => runtime.block_on(resource_history(
            &snapshots,
            &opened.schemas,
            &args.resource,
            &args.account,
        ))?,
    };
    let wanted = |list: &[String], value: &str| list.is_empty() || list.iter().any(|l| l == value);
    let checks = |check: &str| {
        args.check.is_empty() || args.check.iter().any(|p| palisade_drift::matches(p, check))
    };
    let mut found: Vec<&FindingHistory> = all
        .findings
        .iter()
        .filter(|h| {
            checks(&h.key.check)
                && wanted(&args.account, &h.account_id)
                && (wanted(&args.resource, &h.key.resource)
                    || wanted(&args.resource, &h.key.resource_id))
                && since.is_none_or(|since| h.last_changed >= since)
        })
        .collect();
    found.sort_by(|a, b| {
        (b.severity, &a.account_id, &a.key).cmp(&(a.severity, &b.account_id, &b.key))
    });
    let shown = match args.format {
        HistoryFormat::Csv => csv(&found, now),
        HistoryFormat::Json => {
            let rows: Vec<_> = found
                .iter()
                .map(|h| {
                    let mut row = serde_json::json!(h);
                    if let Some(row) = row.as_object_mut() {
                        row.insert("age_days".to_owned(), serde_json::json!(h.age_days(now)));
                    }
                    row
                })
                .collect();
            let trend: Vec<_> = all
                .by_day()
                .into_iter()
                .map(|(day, failed)| serde_json::json!({ "day": day, "failed": failed }))
                .collect();
            let document = serde_json::json!({
                "until": now,
                "snapshots": snapshots.len(),
                "findings": rows,
                "resources": events,
                "time_to_fix": all.time_to_fix(),
                "trend": trend,
            });
            format!("{document:#}\n")
        }
        HistoryFormat::Text => text(&found, &events, &all, now, snapshots.len()),
    };
    to_stdout(|out| out.write_all(shown.as_bytes()))?;
    Ok(Outcome::Done)
}

fn day(time: Timestamp) -> String {
    palisade_core::Date::of(time).to_string()
}

fn text(
    found: &[&FindingHistory],
    events: &[ResourceEvent],
    all: &palisade_drift::History,
    now: Timestamp,
    snapshots: usize,
) -> String {
    let mut out = String::new();
    // writing to a string cannot fail
    let _ = writeln!(out, "{snapshots} snapshots, until {now}\n");
    for h in found {
        let age = match h.age_days(now) {
            Some(days) => format!(", {days} days"),
            None => String::new(),
        };
        let unknown = if h.unknown {
            ", could not be read last"
        } else {
            ""
        };
        let _ = writeln!(out, "{:<13} {}", h.severity, h.key.check);
        let resource = if h.key.resource.is_empty() {
            &h.key.resource_id
        } else {
            &h.key.resource
        };
        let _ = writeln!(out, "  {resource}  {} {}", h.account_id, h.key.region);
        let _ = writeln!(
            out,
            "  {}{age}{unknown}: first {}, changed {}, last {}, reopened {}",
            h.standing.as_str(),
            day(h.first_seen),
            day(h.last_changed),
            day(h.last_seen),
            h.reopened
        );
    }
    if !events.is_empty() {
        let _ = writeln!(out, "\nResources");
        for e in events {
            let columns: Vec<&str> = e.columns.iter().map(|c| c.path.as_str()).collect();
            let _ = writeln!(
                out,
                "  {}  {:<14} {} {}  {}",
                e.at,
                e.what,
                e.table,
                e.resource,
                columns.join(", ")
            );
        }
    }
    let fixes = all.time_to_fix();
    if !fixes.is_empty() {
        let _ = writeln!(out, "\nMean time to fix");
        for fix in fixes {
            let _ = writeln!(
                out,
                "  {} {:<13} {:>8.1} hours over {}",
                fix.account_id, fix.severity, fix.mean_hours, fix.fixed
            );
        }
    }
    let _ = writeln!(out, "\nFailed, at the end of each day");
    let _ = write!(out, "  {:<10}", "");
    for severity in Severity::ALL.iter().rev() {
        let _ = write!(out, " {severity:>13}");
    }
    out.push('\n');
    for (day, counts) in all.by_day() {
        let _ = write!(out, "  {day:<10}");
        for severity in Severity::ALL.iter().rev() {
            let _ = write!(out, " {:>13}", counts.get(severity).copied().unwrap_or(0));
        }
        out.push('\n');
    }
    out
}

/// One finding a row.
fn csv(found: &[&FindingHistory], now: Timestamp) -> String {
    let mut out = "check,severity,account_id,region,resource,resource_id,standing,unknown,first_seen,last_changed,last_seen,age_days,reopened,message\n".to_owned();
    for h in found {
        let age = h.age_days(now).map(|d| d.to_string()).unwrap_or_default();
        let cells = [
            h.key.check.clone(),
            h.severity.to_string(),
            h.account_id.clone(),
            h.key.region.clone(),
            h.key.resource.clone(),
            h.key.resource_id.clone(),
            h.standing.as_str().to_owned(),
            h.unknown.to_string(),
            h.first_seen.to_string(),
            h.last_changed.to_string(),
            h.last_seen.to_string(),
            age,
            h.reopened.to_string(),
            h.message.clone(),
        ];
        let quoted: Vec<String> = cells.iter().map(|c| quote(c)).collect();
        out.push_str(&quoted.join(","));
        out.push('\n');
    }
    out
}

/// A cell; one that a spreadsheet would take for a formula is a text.
fn quote(cell: &str) -> String {
    let safe = match cell.starts_with(['=', '+', '-', '@', '\t']) {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    match safe.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", safe.replace('"', "\"\"")),
        false => safe,
    }
}

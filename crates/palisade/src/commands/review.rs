//! `palisade review`
use super::connect::system_time;
use super::settings;
use crate::Outcome;
use crate::cli::{Global, ListFormat, Review};
use crate::error::Failure;
use crate::output::{Terminal, to_stdout};
use palisade_catalog::Catalog;
use palisade_config::{Given, Settings, Standing};
use palisade_core::Date;
use serde_json::{Value, json};

/// What has to be looked at again.
pub fn run(
    args: &Review,
    given: &Given,
    global: &Global,
    catalog: &Catalog,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let config = settings::config(global, catalog)?;
    let effective = Settings::merge(given, config.as_ref(), false, &[]);
    let attestations = settings::attestations(&effective, catalog)?;
    let today = args.as_of.unwrap_or_else(|| Date::of(system_time()));
    let all = palisade_config::review(config.as_ref(), &attestations, today, args.within);
    to_stdout(|out| {
        if args.format == ListFormat::Json {
            let list: Vec<Value> = all
                .iter()
                .map(|d| {
                    json!({
                        "what": d.what,
                        "kind": d.kind,
                        "standing": d.standing.as_str(),
                        "cadence": d.cadence,
                        "last": d.last,
                        "by": d.by,
                        "due": d.due,
                    })
                })
                .collect();
            serde_json::to_writer_pretty(&mut *out, &list)?;
            return writeln!(out);
        }
        let width = all.iter().map(|d| d.what.len()).max().unwrap_or(0);
        for due in &all {
            let last = match (due.last, &due.by) {
                (Some(day), Some(by)) => format!("last {day} by {by}"),
                _ => "never done".to_owned(),
            };
            let when = match due.due {
                Some(day) => {
                    let days = today.days_to(day);
                    if days < 0 {
                        format!("due {day}, {} days ago", -days)
                    } else {
                        format!("due {day}, in {days} days")
                    }
                }
                None => due.cadence.clone(),
            };
            let standing = due.standing.as_str();
            writeln!(
                out,
                "{standing:<10}  {:<width$}  {when:<32}  {last}",
                due.what
            )?;
        }
        Ok(())
    })?;
    if all.is_empty() {
        terminal.note("no review has a cadence and nothing is attested; `[review]` in palisade.toml sets cadences");
    }
    let overdue = all.iter().any(|d| d.standing == Standing::Overdue);
    Ok(if args.fail && overdue {
        Outcome::Findings
    } else {
        Outcome::Done
    })
}

//! `palisade iam unused`.
use super::least::services_used;
use super::source::{Load, Source, gap_lines, open, read};
use super::{list, print_json, print_lines};
use crate::Outcome;
use crate::cli::{OutputFormat, Unused};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_scan::IamQuestion;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Roles with their last use; the credential report.
const ROLES: &str =
    "SELECT arn, create_date AS created, role_last_used['last_used_date'] AS used FROM iam_role";
const CREDENTIALS: &str = "SELECT arn, user_creation_time, password_enabled, password_last_used, password_last_changed, access_key_1_active, access_key_1_last_used_date, access_key_1_last_rotated, access_key_2_active, access_key_2_last_used_date, access_key_2_last_rotated FROM iam_credential";

/// Something that was not used.
struct Item {
    what: &'static str,
    who: String,
    /// `None`: never.
    last: Option<String>,
}

pub fn run(args: &Unused, load: Load<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
    if let Some(path) = &args.last_accessed {
        return services(args, path, load, terminal);
    }
    let extra = [("iam_role", ROLES), ("iam_credential", CREDENTIALS)];
    let mut source = open(
        &args.accounts,
        IamQuestion::Principals,
        &extra,
        load,
        terminal,
    )?;
    if !args.accounts.from.is_empty() {
        source.rows = rows_of_files(args, terminal)?;
    }
    let limit = source.now - i64::from(args.days) * 86_400_000;
    let mut found = Vec::new();
    for (table, rows) in &source.rows {
        for row in rows {
            match table.as_str() {
                "iam_role" => role(row, limit, &mut found),
                _ => credential(row, limit, &mut found),
            }
        }
    }
    if let Some(text) = &args.principal {
        let entity = source.known_entity(text)?;
        found.retain(|i| i.who == entity.arn);
    }
    found.sort_by(|a, b| (a.what, &a.who).cmp(&(b.what, &b.who)));
    if args.format == OutputFormat::Json {
        let list: Vec<Value> = found
            .iter()
            .map(|i| json!({ "what": i.what, "principal": i.who, "last_used": i.last }))
            .collect();
        print_json(&json!({ "days": args.days, "unused": list }))?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![format!("{} not used for {} days", found.len(), args.days)];
    for item in &found {
        let last = item.last.as_ref().map_or("never used".to_owned(), |d| {
            format!("last used {}", d.split('T').next().unwrap_or(d))
        });
        lines.push(format!("  {:<12} {}  {last}", item.what, item.who));
    }
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

/// Whether a time lies before the limit; what cannot be read as a time does not.
fn is_before(time: &str, limit: i64) -> bool {
    palisade_iam::parse_date(time).is_some_and(|t| t < limit)
}

fn text<'v>(row: &'v Value, key: &str) -> Option<&'v str> {
    row.get(key)
        .and_then(Value::as_str)
        .filter(|t| !t.is_empty() && !["N/A", "no_information", "not_supported"].contains(t))
}

fn flag(row: &Value, key: &str) -> bool {
    match row.get(key) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(value)) => value == "true",
        _ => false,
    }
}

/// AWS follows the use of roles for 400 days; service-linked roles are the services' own.
fn role(row: &Value, limit: i64, out: &mut Vec<Item>) {
    let Some(arn) = text(row, "arn").filter(|a| !a.contains(":role/aws-service-role/")) else {
        return;
    };
    let (used, created) = (text(row, "used"), text(row, "created"));
    if used.or(created).is_some_and(|t| is_before(t, limit)) {
        out.push(Item {
            what: "role",
            who: arn.to_owned(),
            last: used.map(ToOwned::to_owned),
        });
    }
}

fn credential(row: &Value, limit: i64, out: &mut Vec<Item>) {
    let Some(arn) = text(row, "arn") else { return };
    let mut add = |what, is_active: bool, used: Option<&str>, since: Option<&str>| {
        if is_active && used.or(since).is_some_and(|t| is_before(t, limit)) {
            out.push(Item {
                what,
                who: arn.to_owned(),
                last: used.map(ToOwned::to_owned),
            });
        }
    };
    add(
        "password",
        flag(row, "password_enabled"),
        text(row, "password_last_used"),
        text(row, "password_last_changed").or(text(row, "user_creation_time")),
    );
    for (what, active, used, since) in [
        (
            "access key 1",
            "access_key_1_active",
            "access_key_1_last_used_date",
            "access_key_1_last_rotated",
        ),
        (
            "access key 2",
            "access_key_2_active",
            "access_key_2_last_used_date",
            "access_key_2_last_rotated",
        ),
    ] {
        add(what, flag(row, active), text(row, used), text(row, since));
    }
}

/// The same rows from an export and a credential report.
fn rows_of_files(args: &Unused, terminal: &Terminal) -> Result<Vec<(String, Vec<Value>)>, Failure> {
    let mut roles = Vec::new();
    for path in &args.accounts.from {
        let value: Value =
            serde_json::from_str(&read(path)?).map_err(|e| super::source::content(path, e))?;
        let list = value.get("RoleDetailList").and_then(Value::as_array);
        for role in list.into_iter().flatten() {
            roles.push(json!({
                "arn": role.get("Arn"),
                "created": role.get("CreateDate"),
                "used": role.get("RoleLastUsed").and_then(|u| u.get("LastUsedDate")),
            }));
        }
    }
    let credentials = match &args.credential_report {
        None => {
            terminal.warn(
                "passwords and access keys are not known; --credential-report takes the report",
            );
            Vec::new()
        }
        Some(path) => csv_rows(&read(path)?),
    };
    Ok(vec![
        ("iam_role".to_owned(), roles),
        ("iam_credential".to_owned(), credentials),
    ])
}

/// The report's fields hold neither commas nor quotes (IAM User Guide, "Generate credential reports").
fn csv_rows(text: &str) -> Vec<Value> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines
        .filter(|l| !l.trim().is_empty())
        .map(|line| {
            let pairs = names.iter().zip(line.split(','));
            pairs
                .map(|(name, value)| ((*name).to_owned(), Value::from(value)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        })
        .collect()
}

/// The services that a principal may use and does not.
fn services(
    args: &Unused,
    path: &Path,
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let (used, _) = services_used(&read(path)?, path)?;
    let source: Source = open(&args.accounts, IamQuestion::Principals, &[], load, terminal)?;
    let entity = source.known_entity(args.principal.as_deref().unwrap_or_default())?;
    let used: BTreeSet<String> = used.into_iter().collect();
    let unused = source
        .model
        .unused_services(&entity.arn, &used, list::actions()?);
    if args.format == OutputFormat::Json {
        print_json(&json!({ "principal": entity.arn, "used": used, "unused": unused }))?;
        return Ok(Outcome::Done);
    }
    let mut lines = vec![format!(
        "{} uses {} services and may use {} more that it has not used",
        entity.arn,
        used.len(),
        unused.len()
    )];
    lines.extend(unused.iter().map(|s| format!("  {s}")));
    lines.extend(gap_lines(&source.model));
    print_lines(&lines)?;
    Ok(Outcome::Done)
}

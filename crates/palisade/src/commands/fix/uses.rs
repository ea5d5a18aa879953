//! What uses a resource, as far as the tables say it.
use crate::error::Failure;
use palisade_catalog::{Catalog, Check, Uses};
use palisade_collect::{ColumnSelection, Request};
use palisade_core::Finding;
use palisade_scan::Scanner;
use palisade_table::Dataset;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that are shown; the rest is a number.
const SHOWN: usize = 5;

/// The queries for the tables that fixes may change.
#[derive(Debug, Default)]
pub struct Queries<'c>(Vec<(&'c Uses, Request)>);

/// Region (empty: any), which query, and what uses the resource.
type Line = (String, usize, String);

/// What is known to use resources.
#[derive(Debug, Default)]
pub struct Used {
    /// Table, account and id → what uses it.
    found: BTreeMap<(String, String, String), Vec<Line>>,
    /// Table and account → each query that looked, and what it says of whatever it did not find.
    looked: BTreeMap<(String, String), BTreeMap<usize, String>>,
}

impl<'c> Queries<'c> {
    /// Those that concern the checks.
    ///
    /// # Errors
    /// When the SQL of a change file is wrong.
    pub fn of(
        checks: &[Arc<Check>],
        catalog: &'c Catalog,
        scanner: &Scanner,
    ) -> Result<Self, Failure> {
        let fixable = checks.iter().filter(|c| !c.fix_calls.is_empty());
        let tables: BTreeSet<&str> = fixable.map(|c| c.resource.as_str()).collect();
        let mut queries = Vec::new();
        for uses in &catalog.uses {
            if tables.contains(uses.table.as_str()) {
                queries.push((uses, scanner.columns_of(&uses.sql)?));
            }
        }
        Ok(Self(queries))
    }

    /// Has their tables collected.
    pub fn add_to(&self, request: &mut Request) {
        for (table, columns) in self.0.iter().flat_map(|(_, r)| &r.tables) {
            match columns {
                ColumnSelection::All => request.add_all(table),
                ColumnSelection::Some(some) => request.add(table, some.iter().map(String::as_str)),
            }
        }
    }

    /// Runs them.
    ///
    /// # Errors
    /// When one fails on a value.
    pub fn read(
        &self,
        account: &str,
        scanner: &Scanner,
        dataset: &Dataset,
    ) -> Result<Used, Failure> {
        let mut used = Used::default();
        for (index, (uses, request)) in self.0.iter().enumerate() {
            let unread = request.tables.keys().any(|table| {
                let of = dataset.tables.get(table);
                of.is_none_or(|t| !t.gaps.is_empty())
            });
            let none = match unread {
                true => format!("{}: not known, not everything could be read", uses.about),
                false => format!("{}: none", uses.about),
            };
            let place = (uses.table.clone(), account.to_owned());
            used.looked.entry(place).or_default().insert(index, none);
            let mut found: BTreeMap<(String, String, String), BTreeSet<String>> = BTreeMap::new();
            let lines = scanner.query(&uses.sql, dataset)?.to_json_lines();
            for line in lines.lines() {
                let Ok(row) = serde_json::from_str::<Map<String, Json>>(line) else {
                    continue;
                };
                let text = |name: &str| match row.get(name) {
                    None | Some(Json::Null) => String::new(),
                    Some(Json::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                };
                let (id, by) = (text("id"), text("used_by"));
                if !id.is_empty() && !by.is_empty() {
                    let key = (text("account_id"), id, text("region"));
                    found.entry(key).or_default().insert(by);
                }
            }
            for ((account, id, region), by) in found {
                let names: Vec<&str> = by.iter().take(SHOWN).map(String::as_str).collect();
                let more = by.len().saturating_sub(SHOWN);
                let more = match more {
                    0 => String::new(),
                    n => format!(" and {n} more"),
                };
                let unread = if unread {
                    " (not everything could be read)"
                } else {
                    ""
                };
                let line = format!("{}: {}{more}{unread}", uses.about, names.join(", "));
                let key = (uses.table.clone(), account, id);
                used.found
                    .entry(key)
                    .or_default()
                    .push((region, index, line));
            }
        }
        Ok(used)
    }
}

impl Used {
    /// Adds what uses resources of other accounts.
    pub fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        self.looked.extend(other.looked);
    }

    /// What uses the resource of a finding; of whoever was looked for and not found, that, or that it is not known.
    pub fn by(&self, finding: &Finding) -> Vec<String> {
        let place = (
            finding.resource_type.to_string(),
            finding.account_id.to_string(),
        );
        let mut lines = self.looked.get(&place).cloned().unwrap_or_default();
        let key = (place.0, place.1, finding.resource_id.clone());
        for (region, index, line) in self.found.get(&key).into_iter().flatten() {
            if region.is_empty() || *region == *finding.region {
                lines.insert(*index, line.clone());
            }
        }
        lines.into_values().collect()
    }
}

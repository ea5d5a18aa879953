//! The fixtures of checks: the same path as real data.
use crate::engine::{Engine, Params};
use crate::error::QueryError;
use crate::evaluate::Options;
use crate::plan::{Plan, PlannedCheck};
use palisade_catalog::{Check, Diagnostic, Fixture, FixtureStatus, TableSchema, TableSpec};
use palisade_core::{Finding, Timestamp};
use palisade_table::{Dataset, Schemas, fixture_dataset, fixture_table};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What `$now` is in fixtures: 2026-01-15T00:00:00Z.
pub const FIXTURE_NOW: Timestamp = Timestamp::from_micros(1_768_435_200_000_000);

/// A fixture that did not give what it expects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FixtureFailure {
    /// The check's id.
    pub check: String,
    /// The check's file.
    pub file: String,
    /// Line of the fixture.
    pub line: u32,
    /// `pass`, `none`, …
    pub expected: String,
    /// What came out: statuses with messages, or what went wrong.
    pub got: String,
}

impl std::fmt::Display for FixtureFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}: expected {}, got {}",
            self.file, self.line, self.expected, self.got
        )
    }
}

impl Engine {
    /// Runs the fixtures of checks, with the default parameters and as of [`FIXTURE_NOW`]. Returns what is wrong with
    /// their SQL and which fixtures failed, in the order of checks and lines.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn test_fixtures(
        &self,
        checks: &[Arc<Check>],
    ) -> Result<(Vec<Diagnostic>, Vec<FixtureFailure>), QueryError> {
        let engine = Self::with_schemas(
            Arc::clone(&self.catalog),
            Arc::clone(&self.schemas),
            FIXTURE_NOW,
            Params::new(),
        )?;
        let (plan, diagnostics) = engine.plan(checks);
        let mut failures = Vec::new();
        for planned in &plan.checks {
            // One plan for all fixtures of a check: its expressions are compiled once.
            let single = Plan {
                checks: vec![Arc::clone(planned)],
            };
            for fixture in planned.check.fixtures.iter() {
                if let Err(got) = engine.run_fixture(&single, planned, fixture) {
                    failures.push(FixtureFailure {
                        check: planned.check.id.clone(),
                        file: planned.check.file.clone(),
                        line: fixture.line,
                        expected: expected(fixture),
                        got,
                    });
                }
            }
        }
        Ok((diagnostics, failures))
    }

    /// The findings of one fixture of a check, for those who want to see them.
    ///
    /// # Errors
    /// When the fixture names what does not exist, or the check cannot be evaluated over it: what is wrong, in words.
    pub fn fixture_findings(
        &self,
        planned: &Arc<PlannedCheck>,
        fixture: &Fixture,
    ) -> Result<Vec<Finding>, String> {
        self.findings_of(
            &Plan {
                checks: vec![Arc::clone(planned)],
            },
            planned,
            fixture,
        )
    }

    fn findings_of(
        &self,
        plan: &Plan,
        planned: &PlannedCheck,
        fixture: &Fixture,
    ) -> Result<Vec<Finding>, String> {
        let dataset = self.dataset_of(planned, fixture)?;
        let evaluation = self.evaluate(plan, &dataset, Options::default());
        match evaluation.errors.first() {
            Some(error) => Err(error.message.clone()),
            None => Ok(evaluation.findings),
        }
    }

    fn run_fixture(
        &self,
        plan: &Plan,
        planned: &PlannedCheck,
        fixture: &Fixture,
    ) -> Result<(), String> {
        let findings = self.findings_of(plan, planned, fixture)?;
        let right = match fixture.expect {
            FixtureStatus::None => findings.is_empty(),
            FixtureStatus::Finding(status) => {
                !findings.is_empty() && findings.iter().all(|f| f.status == status)
            }
        };
        if right { Ok(()) } else { Err(shown(&findings)) }
    }

    fn dataset_of(&self, planned: &PlannedCheck, fixture: &Fixture) -> Result<Dataset, String> {
        let check = &planned.check;
        let narrow = Narrow::new(self.schemas.as_ref(), planned, fixture);
        let now = self.now();
        let mut dataset =
            fixture_dataset(&narrow, &check.resource, check.is_query, &fixture.data, now)
                .map_err(|e| e.to_string())?;
        for name in planned.needs.keys() {
            if !dataset.tables.contains_key(name) {
                let empty = fixture_table(&narrow, name, &Value::Array(Vec::new()), now)
                    .map_err(|e| e.to_string())?;
                dataset.tables.insert(name.clone(), empty);
            }
        }
        Ok(dataset)
    }
}

fn expected(fixture: &Fixture) -> String {
    match fixture.expect {
        FixtureStatus::Finding(status) => status.to_string(),
        FixtureStatus::None => "none".to_owned(),
    }
}

fn shown(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no finding".to_owned();
    }
    let each = findings.iter().map(|f| {
        let id = if findings.len() > 1 {
            format!(" of `{}`", f.resource_id)
        } else {
            String::new()
        };
        format!("{}{id}: {}", f.status, f.message)
    });
    each.collect::<Vec<_>>().join("; ")
}

/// The columns that the check reads and the fixture sets: wide tables make fixtures slow.
struct Narrow<'a> {
    full: &'a dyn Schemas,
    tables: BTreeMap<String, (Arc<TableSpec>, Arc<TableSchema>)>,
}

impl<'a> Narrow<'a> {
    fn new(full: &'a dyn Schemas, planned: &PlannedCheck, fixture: &Fixture) -> Self {
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (table, columns) in &planned.needs {
            wanted
                .entry(table.clone())
                .or_default()
                .extend(columns.iter().cloned());
        }
        if planned.check.is_query {
            for (table, rows) in &fixture.data {
                let columns = wanted.entry(table.clone()).or_default();
                for row in rows
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_object)
                {
                    columns.extend(row.keys().cloned());
                }
            }
        } else {
            wanted
                .entry(planned.check.resource.clone())
                .or_default()
                .extend(fixture.data.keys().cloned());
        }
        let mut tables = BTreeMap::new();
        for (name, mut columns) in wanted {
            let Some((spec, schema)) = full.table(&name) else {
                continue;
            };
            // A name that does not exist: the message should list the whole table.
            if columns.iter().any(|c| schema.column(c).is_none()) {
                continue;
            }
            columns.extend(["account_id", "region", "partition", "arn"].map(ToOwned::to_owned));
            columns.insert(spec.id.clone());
            let kept = schema
                .columns
                .iter()
                .filter(|c| columns.contains(&c.name))
                .cloned()
                .collect();
            tables.insert(name, (spec, Arc::new(TableSchema { columns: kept })));
        }
        Self { full, tables }
    }
}

impl Schemas for Narrow<'_> {
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)> {
        self.tables
            .get(name)
            .cloned()
            .or_else(|| self.full.table(name))
    }
    fn names(&self) -> Vec<String> {
        self.full.names()
    }
    fn permissions(&self, service: &str, operation: &str) -> Vec<String> {
        self.full.permissions(service, operation)
    }
}

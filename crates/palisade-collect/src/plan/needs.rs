//! From the requested columns to everything that must be read for them.
use crate::error::PlanError;
use crate::request::{ColumnSelection, Request};
use palisade_catalog::{Column, Origin, TableSchema, TableSpec, TemplatePart, parse_template};
use palisade_table::{Schemas, TAGGING, UnknownColumn};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is needed of one table.
pub(crate) struct Need {
    pub spec: Arc<TableSpec>,
    pub schema: Arc<TableSchema>,
    pub columns: BTreeSet<String>,
    /// Those of the columns that the result has.
    pub output: BTreeSet<String>,
    /// Source numbers, without the list.
    pub sources: BTreeSet<usize>,
    /// Columns of the parent that this table's templates name.
    pub parent_columns: BTreeSet<String>,
}

pub(crate) type Needs = BTreeMap<String, Need>;

struct Closure<'s> {
    schemas: &'s dyn Schemas,
    needs: Needs,
    /// Columns whose own needs are still to be looked at.
    open: Vec<(String, String)>,
}

/// Everything that the request needs: identity columns, parents, and what parameters and templates name.
pub(crate) fn close(schemas: &dyn Schemas, request: &Request) -> Result<Needs, PlanError> {
    let mut closure = Closure {
        schemas,
        needs: Needs::new(),
        open: Vec::new(),
    };
    for (table, selection) in &request.tables {
        closure.table(table, &mut Vec::new())?;
        let Some(need) = closure.needs.get(table) else {
            continue;
        };
        let mut wanted = match selection {
            ColumnSelection::All => all_columns(&need.schema),
            ColumnSelection::Some(columns) => columns.iter().cloned().collect(),
        };
        wanted.extend(["account_id", "region", "partition", "arn"].map(str::to_owned));
        wanted.push(need.spec.id.clone());
        for column in &wanted {
            closure.column(table, column)?;
        }
        if let Some(need) = closure.needs.get_mut(table) {
            need.output.extend(wanted);
        }
    }
    while let Some((table, column)) = closure.open.pop() {
        closure.follow(&table, &column)?;
    }
    Ok(closure.needs)
}

fn all_columns(schema: &TableSchema) -> Vec<String> {
    schema.columns.iter().map(|c| c.name.clone()).collect()
}

impl Closure<'_> {
    fn table(&mut self, name: &str, below: &mut Vec<String>) -> Result<(), PlanError> {
        if below.iter().any(|t| t == name) {
            return Err(PlanError::Cycle {
                table: name.to_owned(),
                what: "parent tables".to_owned(),
            });
        }
        if self.needs.contains_key(name) {
            return Ok(());
        }
        let (spec, schema) = self
            .schemas
            .table(name)
            .ok_or_else(|| PlanError::UnknownTable {
                name: name.to_owned(),
                valid: self.schemas.names().join(", "),
            })?;
        let need = Need {
            spec: Arc::clone(&spec),
            schema,
            columns: BTreeSet::new(),
            output: BTreeSet::new(),
            sources: BTreeSet::new(),
            parent_columns: BTreeSet::new(),
        };
        below.push(name.to_owned());
        if let Some(parent) = spec.list.as_ref().and_then(|l| l.parent.as_deref()) {
            self.table(parent, below)?;
        }
        below.pop();
        self.needs.insert(name.to_owned(), need);
        for column in &spec.region {
            self.column(name, column)?;
        }
        if spec.unique {
            self.column(name, "arn")?;
        }
        if let Some(list) = &spec.list {
            self.params(name, &list.params)?;
        }
        Ok(())
    }

    fn column(&mut self, table: &str, column: &str) -> Result<(), PlanError> {
        let Some(need) = self.needs.get_mut(table) else {
            return self
                .table(table, &mut Vec::new())
                .and_then(|()| self.column(table, column));
        };
        if need.schema.column(column).is_none() {
            return Err(PlanError::UnknownColumn {
                table: table.to_owned(),
                error: UnknownColumn {
                    name: column.to_owned(),
                    valid: all_columns(&need.schema).join(", "),
                },
            });
        }
        if need.columns.insert(column.to_owned()) {
            self.open.push((table.to_owned(), column.to_owned()));
        }
        Ok(())
    }

    /// What a column needs: other columns, and calls with what their parameters need.
    fn follow(&mut self, table: &str, column: &str) -> Result<(), PlanError> {
        let Some(need) = self.needs.get(table) else {
            return Ok(());
        };
        let Some(found) = need.schema.column(column).cloned() else {
            return Ok(());
        };
        let spec = Arc::clone(&need.spec);
        let Column {
            origin, sources, ..
        } = found;
        match &origin {
            Origin::Derived { column, .. } => self.column(table, column)?,
            Origin::Template { template } => self.template(table, template)?,
            Origin::Arn => {
                if let Some(template) = &spec.arn {
                    self.template(table, template)?;
                }
            }
            Origin::Tagging => self.source(table, &spec, TAGGING)?,
            Origin::Answer { source, .. } => self.source(table, &spec, *source)?,
            Origin::Region => {
                for column in &spec.region {
                    self.column(table, column)?;
                }
            }
            Origin::AccountId | Origin::Partition | Origin::Outer { .. } | Origin::Csv { .. } => {}
        }
        for source in sources {
            self.source(table, &spec, source)?;
        }
        Ok(())
    }

    fn source(&mut self, table: &str, spec: &TableSpec, number: usize) -> Result<(), PlanError> {
        if number == 0 {
            return Ok(());
        }
        let Some(need) = self.needs.get_mut(table) else {
            return Ok(());
        };
        if !need.sources.insert(number) {
            return Ok(());
        }
        if number == TAGGING {
            return self.column(table, "arn");
        }
        let call = spec.calls.get(number - 1).ok_or_else(|| PlanError::Table {
            table: table.to_owned(),
            reason: format!("a column needs call {number}, which the service file does not have"),
        })?;
        self.params(table, &call.params)?;
        if let Some(when) = &call.when {
            self.column(table, &when.column)?;
        }
        if let Some(batch) = &call.batch {
            self.column(table, &batch.of)?;
        }
        Ok(())
    }

    fn params(
        &mut self,
        table: &str,
        params: &serde_json::Map<String, Json>,
    ) -> Result<(), PlanError> {
        let mut open: Vec<&Json> = params.values().collect();
        while let Some(value) = open.pop() {
            match value {
                Json::String(text) => self.template(table, text)?,
                Json::Array(items) => open.extend(items),
                Json::Object(members) => open.extend(members.values()),
                _ => {}
            }
        }
        Ok(())
    }

    fn template(&mut self, table: &str, template: &str) -> Result<(), PlanError> {
        let wrong = |reason: &str| PlanError::Template {
            table: table.to_owned(),
            template: template.to_owned(),
            reason: reason.to_owned(),
        };
        for part in parse_template(template).map_err(|e| wrong(e.reason))? {
            match part {
                TemplatePart::Text(_) => {}
                TemplatePart::Column(name) => {
                    if !matches!(name.as_str(), "account_id" | "region" | "partition") {
                        self.column(table, &name)?;
                    }
                }
                TemplatePart::Parent(name) => {
                    let parent = self
                        .parent_of(table)
                        .ok_or_else(|| wrong("names a parent, and the table has none"))?;
                    self.column(&parent, &name)?;
                    if let Some(need) = self.needs.get_mut(table) {
                        need.parent_columns.insert(name);
                    }
                }
                TemplatePart::Parameter(_) => {
                    return Err(wrong("names a parameter, which only checks have"));
                }
            }
        }
        Ok(())
    }

    fn parent_of(&self, table: &str) -> Option<String> {
        self.needs.get(table)?.spec.list.as_ref()?.parent.clone()
    }
}

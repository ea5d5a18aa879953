//! The columns of a table, from its calls and the API model.
mod build;
mod columns;
pub(crate) mod params;
mod references;
#[cfg(test)]
mod tests;
mod types;
mod walk;

use crate::load::table_hint;
use crate::{Catalog, Diagnostic, DiagnosticLevel, TableSchema};
use palisade_model::Models;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Something wrong, before its place is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
        }
    }
    fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: Some(hint.into()),
        }
    }
}

type Computed = Result<Arc<TableSchema>, Vec<Diagnostic>>;

/// What [`Catalog::table_schema`] has computed so far. A clone begins empty, so that a catalogue that is cloned and
/// changed computes anew.
#[derive(Debug, Default)]
pub struct SchemaCache {
    tables: Mutex<BTreeMap<String, Computed>>,
    /// By the model's name.
    types: Mutex<BTreeMap<String, Arc<types::Types>>>,
}

impl SchemaCache {
    fn types_of(&self, model: &str) -> Arc<types::Types> {
        let known = self.types.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(model.to_owned()).or_default())
    }
}

impl Clone for SchemaCache {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Catalog {
    /// The columns of a table. Computed when first asked for, and kept: a catalogue is used with one set of models.
    ///
    /// # Errors
    /// When there is no such table, or when its calls, paths, parameters or templates do not fit the API model or each
    /// other: everything that is wrong, each with its place in the service file.
    pub fn table_schema(
        &self,
        table: &str,
        models: &Models,
    ) -> Result<Arc<TableSchema>, Vec<Diagnostic>> {
        {
            let known = self.schemas.tables.lock();
            let known = known.unwrap_or_else(PoisonError::into_inner);
            if let Some(computed) = known.get(table) {
                return computed.clone();
            }
        }
        let computed = self.compute(table, models);
        let known = self.schemas.tables.lock();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        known.entry(table.to_owned()).or_insert(computed).clone()
    }

    fn compute(&self, table: &str, models: &Models) -> Computed {
        let Some(spec) = self.tables.get(table) else {
            return Err(vec![Diagnostic {
                file: String::new(),
                line: 0,
                column: 0,
                level: DiagnosticLevel::Error,
                message: format!("unknown table `{table}`"),
                hint: table_hint(table, self),
            }]);
        };
        let parent = match spec.list.as_ref().and_then(|l| l.parent.as_deref()) {
            // The loader refuses circles; a catalogue made by hand may still have one.
            Some(parent) if self.is_below(parent, table) => {
                return Err(vec![self.problem_in(
                    spec,
                    "list.parent",
                    Problem::new("parents lead in a circle"),
                )]);
            }
            Some(parent) => match self.table_schema(parent, models) {
                Ok(schema) => Some(schema),
                Err(_) => {
                    return Err(vec![self.problem_in(
                        spec,
                        "list.parent",
                        Problem::new(format!("the parent `{parent}` has errors")),
                    )]);
                }
            },
            None => None,
        };
        build::build(self, spec, models, parent).map(Arc::new)
    }

    /// True when `table` is among the ancestors of `start`, or is `start`.
    fn is_below(&self, start: &str, table: &str) -> bool {
        let mut next = Some(start);
        for _ in 0..=self.tables.len() {
            match next {
                Some(name) if name == table => return true,
                Some(name) => {
                    let list = self.tables.get(name).and_then(|t| t.list.as_ref());
                    next = list.and_then(|l| l.parent.as_deref());
                }
                None => return false,
            }
        }
        true
    }

    pub(crate) fn problem_in(
        &self,
        spec: &crate::TableSpec,
        part: &str,
        problem: Problem,
    ) -> Diagnostic {
        let place = self.places.find(&spec.name, part);
        let (line, column) = place.unwrap_or((spec.place.1, 1));
        Diagnostic {
            file: spec.place.0.clone(),
            line,
            column,
            level: DiagnosticLevel::Error,
            message: problem.message,
            hint: problem.hint,
        }
    }
}

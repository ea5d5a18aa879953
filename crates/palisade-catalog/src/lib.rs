//! The catalogue: which calls make which tables, and which SQL over them is a check. Parsed from text, with
//! *all* diagnostics, never only the first.
//!
//! Formats: `docs/specs/service.md`, `docs/specs/check.md`. Invariant: no I/O beyond reading catalogue files;
//! nothing here knows how a call is made or how SQL is run.

mod check;
mod column;
mod diagnostic;
mod service;

pub use check::{Check, Equivalents, Fixture, FixtureStatus, FixCall, Parameter, ParameterValue, Sufficient};
pub use column::{Column, ColumnType, Origin, Step, TableSchema, Transform};
pub use diagnostic::{Diagnostic, DiagnosticLevel};
pub use service::{Batch, Before, CallSpec, ColumnSpec, ListSpec, Scope, Service, TableSpec, ViewSpec, When};

use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that the catalogue files say.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    /// By name.
    pub services: BTreeMap<String, Arc<Service>>,
    /// By name, over all services.
    pub tables: BTreeMap<String, Arc<TableSpec>>,
    /// By name, over all services.
    pub views: BTreeMap<String, Arc<ViewSpec>>,
    /// By id.
    pub checks: BTreeMap<String, Arc<Check>>,
}

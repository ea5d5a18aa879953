//! The catalogue: which calls make which tables, and which SQL over them is a check. Parsed from text, with
//! *all* diagnostics, never only the first.
//!
//! Formats: `docs/specs/service.md`, `docs/specs/check.md`. Invariant: no I/O beyond reading catalogue files;
//! nothing here knows how a call is made or how SQL is run.
//!
//! [`load`] reads files and needs no API model; [`Catalog::table_schema`] computes a table's columns from the models
//! when somebody asks; [`validate_models`] asks for everything at once, for `cargo xtask lint`.

mod change;
mod change_code;
mod change_file;
mod check;
mod check_file;
mod column;
mod diagnostic;
mod event_file;
mod fix_block;
mod fixture;
mod framework;
mod frameworks;
mod link;
mod load;
mod membership;
mod message;
mod names;
mod page;
mod path;
mod permissions;
mod places;
mod playbook;
mod reads;
mod repair;
mod resolve;
mod schema;
mod section;
mod service;
mod service_file;
mod source;
mod sql;
mod suggest;
mod template;
mod text;
mod validate;
mod validate_changes;
mod verbs;
mod words;

pub use change::{
    Change, ChangeRead, Inner, Inverse, Items, Risk, Setting, StateStep, Uses, parse_state_path,
    placeholders,
};
pub use change_code::{Code, Declared};
pub use check::{
    Check, Equivalents, FixCall, Fixture, FixtureStatus, Fixtures, Parameter, ParameterValue,
    Sufficient, Variant,
};
pub use column::{Column, ColumnType, Origin, Step, TableSchema, Transform};
pub use diagnostic::{Diagnostic, DiagnosticLevel};
pub use event_file::{EventRule, EventSource};
pub use fixture::{ERROR_KEY, error_code};
pub use framework::{Framework, Requirement, RequirementKind};
pub use frameworks::Frameworks;
pub use load::{Loaded, load, load_lazily};
pub use membership::Membership;
pub use message::{MessageError, MessagePart, parse_message};
pub use names::snake_case;
pub use path::{PathError, parse_path, write_conditions, write_path};
pub use places::Places;
pub use playbook::{Phase, Playbook, PlaybookStep, StepKind};
pub use reads::{Known, Reads};
pub use repair::NotTaken;
pub use resolve::UnknownCheck;
pub use schema::SchemaCache;
pub use service::{
    Batch, Before, CallSpec, ColumnSpec, ListSpec, Scope, Service, TAGGING_SOURCE, TableSpec,
    ViewSpec, When,
};
pub use source::{Source, SourceError};
pub use sql::{is_query, parameters};
pub use suggest::candidates as similar;
pub use template::{TemplateError, TemplatePart, parse_template};
pub use validate::validate_models;
pub use words::{BANNED_WORDS, PLACEHOLDER};

/// Reading TOML files whose keys are a closed set, with the place of everything that is wrong: for the other files that
/// users write (`palisade.toml`, attestations).
pub mod reading {
    pub use crate::section::{Located, Section, integer_of, json_of, kind_of, parameter, parse};
    pub use crate::suggest::{hint, nearest};
    pub use crate::text::Reporter;
}

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
    /// By API model, then by operation.
    pub changes: BTreeMap<String, BTreeMap<String, Arc<Change>>>,
    /// What uses the resources of tables, in the order of the change files.
    pub uses: Vec<Uses>,
    /// IAM actions of mutating operations, by API model and operation, where they are not `<prefix>:<Operation>`.
    pub change_actions: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// By id.
    pub playbooks: BTreeMap<String, Arc<Playbook>>,
    /// What events of a service touch, where it does not follow from the API models; by the file's stem.
    pub events: BTreeMap<String, Arc<EventSource>>,
    /// By id, `<name>-<version>`.
    pub frameworks: Frameworks,
    /// Where the parts of tables are written.
    pub places: Places,
    /// What [`Catalog::table_schema`] has computed.
    pub schemas: SchemaCache,
    /// All of it came with the binary.
    pub is_shipped: bool,
    /// Changes when a file of the catalogue does; of several sources, one part each.
    pub fingerprint: String,
}

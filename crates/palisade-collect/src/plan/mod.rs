//! Which calls a request needs, and how they depend on each other.
mod cells;
mod compile;
mod display;
mod needs;
mod order;

use crate::error::PlanError;
use crate::request::Request;
use crate::template::{Params, Template};
use arrow::datatypes::SchemaRef;
use palisade_catalog::{Catalog, ColumnType, Scope, TableSchema, TableSpec, Transform};
use palisade_model::{Model, Models};
use palisade_table::{Access, Schemas, ValueShape};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The calls that fill the requested tables. Printed, it lists them with what they are for.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) tables: Vec<TablePlan>,
    pub(crate) lists: Vec<ListPlan>,
    pub(crate) operations: Vec<OperationPlan>,
    pub(crate) tagging: Option<TaggingPlan>,
}

/// An operation that the plan calls.
#[derive(Debug, Clone)]
pub(crate) struct OperationPlan {
    pub model: Arc<Model>,
    pub name: String,
    /// IAM actions.
    pub permissions: Vec<String>,
    /// Answers are kept until the account is done, because another part of the plan may need them again.
    pub keep: bool,
}

impl OperationPlan {
    pub(crate) fn service(&self) -> &str {
        &self.model.name
    }
}

/// One table's part.
#[derive(Debug, Clone)]
pub(crate) struct TablePlan {
    pub spec: Arc<TableSpec>,
    /// False for a parent that was not asked for itself.
    pub output: bool,
    /// The columns of the output, as positions in `cells`.
    pub columns: Vec<usize>,
    pub arrow: SchemaRef,
    /// Everything that is read of a row.
    pub cells: Vec<Cell>,
    /// Calls for rows.
    pub slots: Vec<Slot>,
    /// Position in `Plan::lists`.
    pub list: Option<usize>,
    pub rows: Option<RowsPlan>,
    /// Cells of the parent whose values a row carries.
    pub parent_cells: Vec<usize>,
    /// Lists that are called for each row.
    pub children: Vec<usize>,
    pub arn: Option<usize>,
    pub id: Option<usize>,
    /// Cells that say where a row lives.
    pub region_cells: Vec<usize>,
    /// Slots that must be filled before the row's region is known.
    pub region_slots: Vec<usize>,
}

/// Where a list's answer has the rows.
#[derive(Debug, Clone)]
pub(crate) struct RowsPlan {
    pub rows: Access,
    /// The element that encloses a row.
    pub outer: Access,
    pub csv: Option<Access>,
    /// The rows' list must be there by the model, and the protocol does not leave out empty lists.
    pub must_be_present: bool,
    pub absent: Vec<String>,
    /// The answer itself is the row.
    pub is_answer: bool,
}

/// Something read of a row.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub name: String,
    pub ty: ColumnType,
    pub reader: Reader,
    pub transform: Transform,
    pub of: ValueShape,
    /// Source numbers that must have answered, sorted.
    pub sources: Vec<usize>,
    /// The same without the list, as positions in `TablePlan::slots`.
    pub slots: Vec<usize>,
}

#[derive(Debug, Clone)]
pub(crate) enum Reader {
    AccountId,
    Region,
    Partition,
    /// NULL (`arn` of tables without one).
    Nothing,
    /// The row of the list.
    Row(Access),
    /// The answer of a call for the row.
    Answer(usize, Access),
    Outer(Access),
    Template(Template),
    Csv(String),
    /// Another cell's transformed value.
    Derived(usize, Access),
    Tagging,
}

/// A call for rows.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// Source number.
    pub number: usize,
    pub kind: SlotKind,
    /// Slots that must be filled before.
    pub deps: Vec<usize>,
    /// Asked where the list was asked, because it tells the row's region.
    pub tells_region: bool,
    /// Calls in the longest chain that begins here.
    pub height: u32,
}

#[derive(Debug, Clone)]
pub(crate) enum SlotKind {
    Call(Box<CallPlan>),
    Tagging,
}

#[derive(Debug, Clone)]
pub(crate) struct CallPlan {
    pub operation: usize,
    pub params: Params,
    pub absent: Vec<String>,
    pub when: Option<(usize, Vec<String>)>,
    pub batch: Option<BatchPlan>,
    /// Equal parameters may come again in other rows.
    pub repeats: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct BatchPlan {
    pub param: String,
    pub of: usize,
    pub size: usize,
    pub rows: Access,
    /// Member of an answer that is matched; `None`: the answers are a map and its key is matched.
    pub matching: Option<Access>,
}

/// A call that gives rows, for all the tables that it gives rows to.
#[derive(Debug, Clone)]
pub(crate) struct ListPlan {
    pub operation: usize,
    pub params: Params,
    pub scope: Scope,
    /// Position in `Plan::tables`.
    pub parent: Option<usize>,
    pub tables: Vec<usize>,
    pub before: Option<BeforePlan>,
    /// Slots of the parent that must be filled before.
    pub deps: Vec<usize>,
    pub height: u32,
    pub repeats: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BeforePlan {
    pub operation: usize,
    pub until: Vec<(Access, String)>,
}

/// The bulk call for tags.
#[derive(Debug, Clone)]
pub(crate) struct TaggingPlan {
    pub operation: usize,
    pub params: serde_json::Map<String, serde_json::Value>,
    pub entries: Access,
    pub arn: Access,
    pub tags: Access,
    pub key: Access,
    pub value: Access,
}

/// Plans the calls for a request over the tables of a catalogue.
///
/// # Errors
/// When it names what does not exist, or a service file does not fit its API model.
pub fn plan(catalog: &Catalog, models: &Models, request: &Request) -> Result<Plan, PlanError> {
    let tables = Tables {
        catalog,
        models,
        broken: Mutex::new(None),
    };
    let planned = plan_with(&tables, models, request);
    let broken = tables
        .broken
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match broken {
        Some((table, reason)) if planned.is_err() => Err(PlanError::Table { table, reason }),
        _ => planned,
    }
}

/// A catalogue's tables, with the first one whose service file has errors.
struct Tables<'c> {
    catalog: &'c Catalog,
    models: &'c Models,
    broken: Mutex<Option<(String, String)>>,
}

impl Schemas for Tables<'_> {
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)> {
        let spec = self.catalog.tables.get(name)?;
        match self.catalog.table_schema(name, self.models) {
            Ok(schema) => Some((Arc::clone(spec), schema)),
            Err(diagnostics) => {
                let texts: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.get_or_insert_with(|| (name.to_owned(), texts.join("\n")));
                None
            }
        }
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.keys().cloned().collect()
    }
    fn permissions(&self, service: &str, operation: &str) -> Vec<String> {
        self.catalog.permissions(service, operation)
    }
}

/// Plans the calls for a request over any tables.
///
/// # Errors
/// As [`plan`].
pub fn plan_with(
    schemas: &dyn Schemas,
    models: &Models,
    request: &Request,
) -> Result<Plan, PlanError> {
    let needs = needs::close(schemas, request)?;
    compile::compile(schemas, models, request, &needs)
}

impl Plan {
    /// The IAM actions that the calls need, sorted.
    pub fn permissions(&self) -> Vec<String> {
        let all = self
            .operations
            .iter()
            .flat_map(|o| o.permissions.iter().cloned());
        let unique: BTreeSet<String> = all.collect();
        unique.into_iter().collect()
    }

    /// The operations that are called, as `service:Operation`, sorted.
    pub fn operations(&self) -> Vec<String> {
        let all = self
            .operations
            .iter()
            .map(|o| format!("{}:{}", o.service(), o.name));
        let unique: BTreeSet<String> = all.collect();
        unique.into_iter().collect()
    }

    /// The tables that the result will have, with their columns.
    pub fn tables(&self) -> BTreeMap<&str, SchemaRef> {
        let asked = self.tables.iter().filter(|t| t.output);
        asked
            .map(|t| (t.spec.name.as_str(), Arc::clone(&t.arrow)))
            .collect()
    }
}

impl TablePlan {
    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }
    /// True when rows need nothing after they were listed.
    pub(crate) fn is_plain(&self) -> bool {
        self.slots.is_empty() && self.children.is_empty() && !self.spec.unique
    }
}

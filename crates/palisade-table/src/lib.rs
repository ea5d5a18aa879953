//! Tables in memory: Arrow batches with, for each cell, whether it could be read.
//!
//! Invariant: a cell whose call failed is NULL *and* marked; nothing may turn it into a verdict.

mod access;
mod catalogued;
mod column;
mod fixture;
mod mask;
mod node;
pub mod secrets;
mod text;
mod types;

pub use access::{Access, Mismatch, PathError, kind_name, output_shape, parse_path, path_text};
pub use catalogued::CatalogSchemas;
pub use column::{ColumnBuilder, ValueShape, transformed};
pub use fixture::{
    FIXTURE_ACCOUNT, FIXTURE_PARTITION, FIXTURE_REGION, FixtureError, Schemas, fixture_dataset,
    fixture_table, json_value,
};
pub use mask::errors_for;
pub use node::ShapeError;
pub use text::{HIDDEN, decode_base64, decode_percent, encode_base64};
pub use types::{UTC, UnknownColumn, arrow_schema, arrow_type};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use palisade_catalog::TableSpec;
use palisade_core::CallError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Source number of the bulk tagging call in columns and failures.
pub const TAGGING: usize = usize::MAX;

/// What was collected: tables by name.
#[derive(Debug, Default, Clone)]
pub struct Dataset {
    /// By table name. A planned table that has no rows is present, without batches.
    pub tables: BTreeMap<String, Table>,
}

/// One table's rows over all accounts and regions.
#[derive(Debug, Clone)]
pub struct Table {
    /// Where it comes from.
    pub spec: Arc<TableSpec>,
    /// The collected columns: `account_id`, `region`, `partition`, `arn`, the id column, and those that were asked for.
    pub schema: SchemaRef,
    /// In the order of account, region, then the answer's order: the same in every run.
    pub batches: Vec<Batch>,
    /// Lists that could not be read: rows are missing.
    pub gaps: Vec<Gap>,
}

/// Rows of one account and region.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The rows, with the table's schema.
    pub rows: RecordBatch,
    /// Calls for rows that failed, sorted by (source, row).
    pub failures: Vec<Failure>,
}

/// A call for a row that failed: the cells of its columns are NULL and unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Source number of the call in the table (`i + 1` for `calls[i]`; [`TAGGING`] is the bulk tagging call).
    pub source: usize,
    /// Row in the batch.
    pub row: usize,
    /// Why.
    pub error: Arc<CallError>,
}

/// Rows that may exist and could not be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Account.
    pub account_id: String,
    /// Region; for a global table the partition's home region.
    pub region: String,
    /// Why.
    pub error: Arc<CallError>,
}

#[cfg(test)]
mod tests;

//! Collection: from a request for tables and columns to the calls that fill them, and from their answers to tables.
//!
//! [`plan`] says which calls are needed, [`run`] makes each of them once. Formats: `docs/specs/service.md`.
//!
//! Invariant: nothing here judges what it reads, and nothing that could not be read is silent: it is a [`Gap`], a
//! [`Failure`] or a skipped scope, and it is in the coverage.
//!
//! [`Gap`]: palisade_table::Gap
//! [`Failure`]: palisade_table::Failure

mod csv;
mod error;
mod plan;
mod request;
mod run;
mod template;

pub use error::PlanError;
pub use plan::{Plan, plan, plan_with};
pub use request::{
    AccountTarget, Collected, ColumnSelection, Early, Limits, Narrowed, Narrowing, Progress,
    Request, Rows, Silent, Targets,
};
pub use run::{run, run_narrowed, run_telling};

#[cfg(test)]
mod tests;

//! Runs the SQL of checks and of users over tables in memory: plans it, says which columns it needs, and turns
//! rows into findings.
//!
//! The only crate that knows DataFusion. Invariants: no AWS call, no clock, nothing printed; a cell that could not be
//! read decides neither a pass nor a fail; results do not depend on the order of rows.

mod dialect;
mod distributed;
mod engine;
mod error;
mod evaluate;
mod expr;
mod fixtures;
mod format;
mod functions;
mod iam;
mod lake;
mod message;
mod over_time;
mod plan;
mod provider;
mod reach;
mod relation;
mod render;
mod rules;
mod scans;
mod session;
mod shipped;
mod sql;
mod table_exec;

pub use distributed::{
    Part, Wanted, computed_needs, function_time, on_deep_stack, own_functions, sort_findings,
};
pub use engine::{Engine, Params, QueryResult};
pub use error::{QueryError, SqlProblem};
pub use evaluate::{Block, CheckError, Counts, Early, Evaluation, Options};
pub use fixtures::{FIXTURE_NOW, FixtureFailure};
pub use iam::{
    DERIVED_TABLES, DerivedSpec, DerivedType, ESCALATIONS, IamAccounts, IamBuilder, IamQuestion,
    IamScope, iam_accounts, iam_needs,
};
pub use lake::{Lake, Only, SNAPSHOT, only};
pub use over_time::STORE_TABLES;
pub use palisade_table::CatalogSchemas;
pub use plan::{Needs, Plan, PlannedCheck, add_needs};
pub use reach::{Reach, is_shared};
pub use relation::{Relation, RelationProvider};
pub use shipped::shipped_plans;

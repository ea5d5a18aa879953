//! Why a request cannot be planned.
use palisade_model::ModelError;
use palisade_table::{PathError, ShapeError, UnknownColumn};

/// A request that cannot be planned: unknown names, or a service file that does not fit its API model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A table that does not exist.
    #[error("no table `{name}`; valid tables are {valid}")]
    UnknownTable {
        /// The name asked for.
        name: String,
        /// The names that exist.
        valid: String,
    },
    /// A column that does not exist.
    #[error("table `{table}`: {error}")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column, and those that exist.
        error: UnknownColumn,
    },
    /// A path of a service file that its model does not have.
    #[error("table `{table}`, {operation}: {error}")]
    Path {
        /// The table.
        table: String,
        /// The operation whose answer or parameters are meant.
        operation: String,
        /// What is wrong.
        error: PathError,
    },
    /// A column whose type and shape differ.
    #[error("table `{table}`, column `{column}`: {error}")]
    Shape {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong.
        error: ShapeError,
    },
    /// An API model that cannot be read.
    #[error("table `{table}`: {error}")]
    Model {
        /// The table.
        table: String,
        /// What is wrong.
        error: ModelError,
    },
    /// A template that cannot be filled.
    #[error("table `{table}`: the template `{template}` {reason}")]
    Template {
        /// The table.
        table: String,
        /// The template.
        template: String,
        /// Why.
        reason: String,
    },
    /// Calls or tables that need each other.
    #[error("table `{table}`: {what} need each other")]
    Cycle {
        /// The table.
        table: String,
        /// What goes in a circle.
        what: String,
    },
    /// A table that cannot be collected as its service file asks.
    #[error("table `{table}`: {reason}")]
    Table {
        /// The table.
        table: String,
        /// Why.
        reason: String,
    },
}

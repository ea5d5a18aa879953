//! The pipeline: selection, plan, collection, evaluation, assessment. Prints nothing and connects to nobody: whoever
//! calls it brings an [`Api`](palisade_model::Api) for each account, and the time.

mod error;
pub mod inventory;
pub mod policy;
mod scanner;
mod selection;

pub use error::ScanError;
pub use palisade_query::{IamAccounts, IamQuestion, IamScope, QueryResult};
pub use scanner::{CheckDetails, FixtureReport, Planned, Scanner, Scope};
pub use selection::{Selection, SelectionError};

//! The pipeline: selection, plan, collection, evaluation, assessment. Prints nothing and connects to nobody: whoever
//! calls it brings an [`Api`](palisade_model::Api) for each account, and the time.

mod ahead;
mod error;
pub mod inventory;
pub mod organization;
mod over_time;
pub mod policy;
pub mod reference;
mod rollup;
mod scanner;
mod selection;
mod snapshot;
mod spool;

pub use ahead::{JudgeAhead, PlanAhead};
pub use error::ScanError;
pub use palisade_query::{IamAccounts, IamQuestion, IamScope, Params, QueryResult};
pub use rollup::roll_up;
pub use scanner::{CheckDetails, FixtureReport, Planned, Scanner, Scope};
pub use selection::{Selection, SelectionError};
pub use snapshot::{Lacking, LeftOut, SNAPSHOTS, SnapshotQuery, snapshot_lake};
pub use spool::Spool;

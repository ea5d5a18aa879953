//! Remediation that dares to be used: a plan of exact calls with what was there before, applied by compare-and-set
//! under a durable journal, and taken back by it. Formats: `docs/specs/change.md`, `docs/fix.md`.
//!
//! Invariants: a mutating operation is called only when a change file describes it (what it changes, how that is read,
//! how it is taken back); nothing is sent that the plan does not show; before every call the journal says on disk that
//! it is about to be made, and after it what came of it; a state that is not the planned one is left alone.
//!
//! Whoever calls brings the [`Api`](palisade_model::Api), the time, the findings, and somebody who evaluates a check
//! again ([`Recheck`]).

mod apply;
mod build;
mod cli_line;
mod compile;
mod error;
mod fits;
mod guard;
mod hash;
mod items;
mod journal;
mod json;
mod plan;
pub mod policy;
mod read;
mod retire;
#[cfg(test)]
mod run_tests;
mod show;
mod template;
mod undo;

pub use apply::{Access, Apply, Outcome, Recheck, RecheckFuture, Verdict};
pub use build::{Candidate, Decided, Options, Tags, plan};
pub use compile::covers;
pub use error::FixError;
pub use guard::{Limits, Protection, check_limits, check_plan};
pub use hash::sha256;
pub use journal::{Event, Journal, Run, Who, list_runs, read_run};
pub use plan::{About, Attribute, Call, FORMAT, Item, ItemCheck, Left, Plan, Read, Step};
pub use retire::{Kind, LEAST_DAYS, MOST_DAYS, Observe, Retirement, Stage};
pub use show::{plan_text, run_text, runs_text, undo_text};
pub use undo::{Undo, UndoOutcome, undo_hash};

//! What changed between two states of accounts, and how findings and resources came to be as they are.
//!
//! Invariants: what could not be read in one of the two states is neither added, removed, changed nor fixed: it is not
//! comparable, and said to be; the same two states give the same answer however their rows are cut into files; no clock
//! is read and nothing is printed.

mod change;
mod diff;
mod findings;
mod history;
mod lifetimes;
mod marks;
mod nested;
mod newly;
mod pin;
mod resources;
mod seen;
mod show;
mod side;
mod value;

pub use change::{
    Blind, ColumnChange, Counts, Diff, FindingChange, FindingKind, Moment, NotCompared,
    ResourceChange, ResourceKind, Verdict, Which,
};
pub use diff::{
    AccountsDiff, Filter, accounts_of_both, diff, diff_accounts, diff_of_parts, matches,
};
pub use findings::{FindingKey, reopened};
pub use history::{
    Episode, FindingHistory, History, Keep, ResourceEvent, Standing, TimeToFix, history,
    resource_history,
};
pub use lifetimes::{Lifetime, Lifetimes, lifetimes};
pub use newly::{accounts_of, only_added};
pub use pin::{DRIFT_CHECK, Pin, drift_check, drift_findings, pin, pinned, unpin};
pub use seen::{Earlier, remember};
pub use show::{markdown, text};
pub use side::{Collected, Side};

#[cfg(test)]
mod tests;

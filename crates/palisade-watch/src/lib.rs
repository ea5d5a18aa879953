//! Watching accounts: from an event of AWS to the rows that it touched, from rows that were read again to the tables as
//! they are now, and from two sets of verdicts to what changed. Formats: `docs/specs/events.md`, `docs/watch.md`.
//!
//! Invariants: nothing here calls AWS or judges; an event twice is an event once; a list that could not be read makes
//! rows unknown, and never makes them disappear.

mod change;
mod error;
mod event;
mod index;
mod ledger;
mod merge;
mod names;
mod update;

pub use change::{Change, ChangeKind, Former, changes};
pub use error::WatchError;
pub use event::{Event, Message, Seen, read, read_lines};
pub use index::{Index, Touch};
pub use ledger::{LEDGERS, Ledger, Ledgers};
pub use merge::{merge, widened};
pub use update::{Update, Updated, request_of, write_findings};

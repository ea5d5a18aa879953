//! The answers of a run that is under way, on the disk: who goes on with the run takes them from there, and asks AWS for
//! the rest. Format: `docs/specs/journal.md`.
//!
//! Invariants: an answer is used whole and unchanged, or not at all; a list of which a page is missing is listed again from
//! its beginning; a journal of another run, account, version or catalogue is not used; what goes wrong with a journal costs
//! calls, never an answer.

mod api;
mod bytes;
mod error;
mod file;
mod journal;
mod value;

pub use api::{Journaled, Part};
pub use error::JournalError;
pub use journal::{About, HOLDS, Journal, Rules, files_of};

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod tests;

//! Reports: one file a format. Each is a function of an [`Assessment`](palisade_core::Assessment) and a writer.
//!
//! Invariants: a reporter never sees the engine; the same assessment gives the same bytes; every finding is in
//! every format that lists findings.

mod compliance;
pub mod csv;
pub mod json;
pub mod jsonl;
pub mod text;

mod posture;

pub use posture::{Posture, Tally};

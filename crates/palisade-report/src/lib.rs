//! Reports: one file a format. Each is a function of an [`Assessment`](palisade_core::Assessment) and a writer.
//!
//! Invariants: a reporter never sees the engine; the same assessment gives the same bytes; every finding is in
//! every format that lists findings.

pub mod asff;
mod compliance;
pub mod compliance_csv;
pub mod csv;
pub mod html;
pub mod json;
pub mod jsonl;
pub mod junit;
pub mod markdown;
pub mod ocsf;
pub mod prometheus;
pub mod sarif;
pub mod text;

mod json_text;
mod posture;
mod score;
mod shared;

pub use json_text::to_json;
pub use posture::{Failing, Posture, Tally};
pub use score::Score;
pub use shared::{digest, printable, resource_name, shorten, uid};

//! Findings that somebody decided to live with: the mutes file, the baseline, and the import of another scanner's
//! mutelist. Pure: texts in, marks on an assessment's findings out.
//!
//! Invariants: a mute never removes a finding and never touches its status; only a `fail` can be muted, so what could
//! not be read stays `unknown`; an entry without reason, owner and last day is an error; an expired entry mutes nothing
//! and is reported.

mod baseline;
mod file;
mod glob;
mod import;

pub use baseline::{Baseline, BaselineError, BaselineMarking};
pub use file::{Mute, MuteMarking, Mutes, MutesError};
pub use glob::matches;
pub use import::{ImportError, Imported, import};

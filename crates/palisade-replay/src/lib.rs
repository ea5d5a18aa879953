//! Recorded AWS HTTP exchanges, and a loopback endpoint that replays them and can inject faults.

mod exchange;

pub use exchange::{Exchange, RecordedRequest, RecordedResponse};

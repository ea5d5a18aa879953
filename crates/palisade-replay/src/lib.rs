//! Recorded AWS HTTP exchanges, and a loopback endpoint that replays them and can inject faults.
//!
//! Three parts, each usable without the next: an [`Exchange`] is one request with its answer, a [`Recording`]
//! is a set of them under canonical [`Key`]s, and a [`Server`] answers a real HTTP client from a recording,
//! with the [`Faults`] that a test or a benchmark asks for.
//!
//! Nothing here knows AWS's API models: the protocol of a request is read from the request itself.

mod answer;
mod encoding;
mod error;
mod exchange;
mod faults;
mod key;
mod organization;
mod recording;
mod scrub;
mod server;
mod statistics;

pub use error::ReplayError;
pub use exchange::{Exchange, RecordedRequest, RecordedResponse};
pub use faults::{Fault, Faults};
pub use key::{Key, Protocol};
pub use organization::{OrganizationAccount, Refusal};
pub use recording::{Header, Recording};
pub use server::Server;
pub use statistics::{Duplicate, Statistics};

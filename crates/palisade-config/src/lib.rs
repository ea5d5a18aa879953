//! What users write down: `palisade.toml`, attestations and reviews, and the configuration of another scanner that can
//! be taken over. Formats: `docs/specs/config.md`, `docs/specs/attestations.md`.
//!
//! Invariants: *all* that is wrong with a file is reported, with its place; every value knows where it came from; no I/O
//! beyond reading these files, no clock, no environment: whoever calls brings what was given on the command line.

mod attest;
mod error;
mod file;
mod import;
mod keys;
mod param;
mod review;
mod schema;
mod send;
mod settings;

pub use attest::{Attestations, ReviewDone, parse_attestations, read_attestations};
pub use error::ConfigError;
pub use file::{Config, Found, find, parse, read};
pub use import::{Imported, Note, import};
pub use keys::{KEYS, Key, Kind};
pub use param::{ParamError, parse_param};
pub use review::{Cadence, Due, REVIEWS, Standing, review};
pub use schema::schema;
pub use send::{SEND_TYPES, SendSettings};
pub use settings::{Given, Origin, Setting, Settings};

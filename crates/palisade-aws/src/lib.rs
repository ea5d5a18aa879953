//! Palisade's AWS client: any operation of any API, from data.
//!
//! AWS's runtime crates find credentials, sign, retry and connect; requests are written by their protocol
//! codecs with schemas built at run time from [`palisade_model`]; answers are read by our own single-pass
//! decoders.
//!
//! Invariant: nothing here knows tables or checks, and nothing here decides which calls are made.

mod client;
mod config;
mod credentials;
pub mod decode;
pub mod encode;
pub mod endpoint;
mod failure;
mod limits;
mod paginate;
mod reach;
mod retry;
mod send;
mod service;
mod statistics;
mod transport;

pub use client::{Client, Identity};
pub use config::{ClientConfig, ConnectError, Role, StaticCredentials};
pub use failure::CallFailure;
pub use reach::{CredentialFacts, Reached, proxies};
pub use transport::Recorder;

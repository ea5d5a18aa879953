//! What is tried against servers that keep state: moto, and an endpoint of our own for what moto lacks. One program, so that
//! tests run beside each other: each waits for its server half of the time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod account;
mod kept;
#[path = "../common/moto.rs"]
mod moto;

mod fix;
mod fix_accounts;
mod fix_faults;
mod live;
mod respond;
mod retire;

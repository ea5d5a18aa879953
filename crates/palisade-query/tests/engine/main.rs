//! One binary for all tests over the engine: each binary links DataFusion.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;
mod empty_account;
mod evaluate;
mod lost_evidence;
mod planning;
mod shipped;
mod sql_page;

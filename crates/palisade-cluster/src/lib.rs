//! Checks, comparisons and SQL on several machines: on Ballista, over the snapshots of a store that all of them see.
//!
//! The unit of distribution of checks is our own evaluation of some accounts: executors load the columns that the checks
//! read, plan them as the embedded engine does, and send findings back. So verdicts, messages and evidence are the embedded
//! engine's, byte for byte. Snapshots are compared account by account, which is shared out in the same way. SQL is cut by DataFusion and Ballista; the rows of its tables come the same way.
//!
//! Invariants: an executor of another version or with another catalogue does nothing; a part that is lost or comes twice
//! is an error, not fewer findings; nothing goes to the standard output.

mod address;
mod client;
mod codec;
mod deep;
mod drift;
mod error;
mod exec;
mod job;
mod lake;
mod log;
mod parts;
mod received;
mod result;
mod server;
mod site;

pub use crate::log::log_to_stderr;
pub use address::{Address, SCHEDULER_PORT};
pub use client::Cluster;
pub use deep::runtime;
pub use error::ClusterError;
pub use job::Place;
pub use server::{ExecutorConfig, SchedulerConfig, executor, scheduler};
pub use site::Site;

use sha2::{Digest, Sha256};
use std::fmt::Write;

/// SHA-256 of what is written, in hexadecimal digits.
pub(crate) fn sum(write: impl FnOnce(&mut Sum) -> std::fmt::Result) -> String {
    let mut sum = Sum(Sha256::new());
    // writing to a sum or to a text cannot fail
    let _ = write(&mut sum);
    let mut text = String::with_capacity(64);
    for byte in sum.0.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

pub(crate) struct Sum(Sha256);

impl Write for Sum {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

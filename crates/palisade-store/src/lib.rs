//! Snapshots of accounts: what was read, what could not be read, and what the checks said of it; in a folder or in a
//! bucket, as Parquet that any engine reads. Formats: `docs/specs/snapshot.md`.
//!
//! Invariants: a reader sees a whole snapshot or none (the manifest is written last, and once); what could not be read
//! is stored with the rows; nothing is believed without its checksum; no AWS API is called. Of several workers or attempts
//! that make one snapshot (`run`), whoever is first writes an account, and nobody writes it again.

mod encode;
mod error;
mod findings;
mod location;
mod maintain;
mod manifest;
mod read;
mod run;
mod shard;
mod write;

pub use encode::{NO_REGION, UNREAD};
pub use error::StoreError;
pub use findings::{FINDING, finding_schema};
pub use location::{Credentials, Keys, Options, Store};
pub use maintain::{Keep, Removed, Verified};
pub use manifest::{
    AccountEntry, AccountPart, Checks, FORMAT, FilePart, Manifest, ObjectPart, TablePart,
};
pub use read::{Listing, Snapshot, Wanted, parquet_type};
pub use run::{Committed, Missing, Run, RunPlan, RunState, check_run_name, fingerprint};
pub use shard::Shard;
pub use write::{AccountFiles, AccountResult, NewSnapshot, Writer};

#[cfg(test)]
mod tests;

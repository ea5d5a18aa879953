//! What a snapshot says about itself. The formats: `docs/specs/snapshot.md`.
use palisade_core::{CallError, CheckSummary, Coverage, Timestamp};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The format that this version writes, and the latest that it reads.
pub const FORMAT: u32 = 1;

/// The commit of a snapshot: written last, and only when all that it names is in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Of this document and what it names.
    pub format: u32,
    /// Sorts by time: `20260131T120000Z-1a2b3c4d`.
    pub id: String,
    /// When the collection began; ages are counted from it.
    pub started_at: Timestamp,
    /// When it was committed.
    pub finished_at: Timestamp,
    /// The version of Palisade that wrote it.
    pub palisade: String,
    /// Fingerprint of the catalogue that it was collected and judged with.
    pub catalog: String,
    /// Regions that were scanned, sorted.
    pub regions: Vec<String>,
    /// The accounts, sorted by id.
    pub accounts: Vec<AccountEntry>,
    /// The columns of each table, with their Arrow types, as the widest account has them.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// The checks that were evaluated, without their findings; nothing when only tables were collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<ObjectPart>,
}

impl Manifest {
    /// True when every account was read to its end and every call was answered.
    pub fn is_complete(&self) -> bool {
        self.accounts.iter().all(|a| a.complete)
    }
    /// Rows over all accounts.
    pub fn rows(&self) -> usize {
        self.accounts.iter().map(|a| a.rows).sum()
    }
    /// The account's entry.
    pub fn account(&self, account_id: &str) -> Option<&AccountEntry> {
        let at = self
            .accounts
            .binary_search_by(|a| a.account_id.as_str().cmp(account_id))
            .ok()?;
        self.accounts.get(at)
    }
}

/// An object in the store, with what proves that it is the one that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectPart {
    /// Relative to the store's root.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// One account of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountEntry {
    /// Twelve digits.
    pub account_id: String,
    /// Its [`AccountPart`].
    #[serde(flatten)]
    pub part: ObjectPart,
    /// Rows of its tables.
    pub rows: usize,
    /// Findings that failed and count.
    pub failed: usize,
    /// Findings that could not be decided.
    pub unknown: usize,
    /// Whether all calls were answered.
    pub complete: bool,
    /// Nothing of it was read, for example because its role could not be assumed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unread: bool,
}

/// What was read of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPart {
    /// Twelve digits.
    pub account_id: String,
    /// What was and was not read.
    pub coverage: Coverage,
    /// By table name; a table without rows is here, too.
    pub tables: BTreeMap<String, TablePart>,
    /// The verdicts, when checks were evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<FilePart>,
    /// By check and status: how many verdicts there were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// The regions that were read, sorted, where it is part of a run: with every enabled region, accounts differ.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

impl AccountPart {
    /// Nothing of it was read; [`Coverage::failures`] says why.
    pub fn is_unread(&self) -> bool {
        self.tables.is_empty() && self.findings.is_none() && !self.coverage.failures.is_empty()
    }
}

/// One table of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// The collected columns with their Arrow types.
    pub columns: BTreeMap<String, String>,
    /// Its rows, in the order of the regions.
    pub files: Vec<FilePart>,
    /// Lists that could not be read: region and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(String, CallError)>,
}

/// A Parquet file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    /// The region of its rows; nothing for findings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Rows.
    pub rows: usize,
    /// Rows of which something could not be read; nothing where that was not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<usize>,
    /// The object.
    #[serde(flatten)]
    pub object: ObjectPart,
}

/// The checks of a snapshot, in an object of their own: texts are many times what the rest of a manifest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks<'a> {
    /// Sorted by id.
    pub checks: Cow<'a, [CheckSummary]>,
}

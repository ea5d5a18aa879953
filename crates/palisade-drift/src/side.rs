//! A state of accounts: a snapshot, or what was collected just now.
use palisade_core::{CallError, Finding, Timestamp};
use palisade_store::{FilePart, Snapshot, StoreError};
use palisade_table::{Batch, Dataset};
use std::collections::{BTreeMap, BTreeSet};

/// What was collected and is in no snapshot yet.
#[derive(Debug, Clone, Copy)]
pub struct Collected<'a> {
    /// What it is called in the result.
    pub id: &'a str,
    /// When the collection began.
    pub started_at: Timestamp,
    /// Whether everything was read.
    pub complete: bool,
    /// The accounts, sorted.
    pub accounts: &'a [String],
    /// The regions, sorted.
    pub regions: &'a [String],
    /// The tables.
    pub dataset: &'a Dataset,
    /// The ids of the checks that were evaluated, and the verdicts.
    pub findings: Option<(&'a BTreeSet<String>, &'a [Finding])>,
}

/// A state of accounts.
#[derive(Debug, Clone, Copy)]
pub enum Side<'a> {
    /// A committed snapshot.
    Stored(&'a Snapshot),
    /// In memory.
    Collected(Collected<'a>),
}

/// Rows that are read at once.
#[derive(Debug, Clone)]
pub(crate) enum Chunk<'a> {
    File(FilePart),
    Batch(&'a Batch),
}

impl Chunk<'_> {
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::File(file) => file.rows,
            Self::Batch(batch) => batch.rows.num_rows(),
        }
    }
}

/// One table of one account.
#[derive(Debug, Clone)]
pub(crate) struct TableSide<'a> {
    pub(crate) columns: BTreeMap<String, String>,
    pub(crate) gaps: Vec<(String, CallError)>,
    pub(crate) chunks: Vec<Chunk<'a>>,
}

/// One account.
#[derive(Debug)]
pub(crate) struct AccountSide<'a> {
    pub(crate) tables: BTreeMap<String, TableSide<'a>>,
}

impl<'a> Side<'a> {
    pub(crate) fn moment(&self) -> crate::Moment {
        match self {
            Self::Stored(snapshot) => crate::Moment {
                id: snapshot.manifest().id.clone(),
                started_at: snapshot.manifest().started_at,
                complete: snapshot.manifest().is_complete(),
            },
            Self::Collected(c) => crate::Moment {
                id: c.id.to_owned(),
                started_at: c.started_at,
                complete: c.complete,
            },
        }
    }

    pub(crate) fn accounts(&self) -> Vec<String> {
        match self {
            Self::Stored(snapshot) => snapshot.accounts(),
            Self::Collected(c) => c.accounts.to_vec(),
        }
    }

    pub(crate) fn regions(&self) -> &'a [String] {
        match self {
            Self::Stored(snapshot) => &snapshot.manifest().regions,
            Self::Collected(c) => c.regions,
        }
    }

    /// What is known of an account, without its rows.
    pub(crate) async fn account(&self, account_id: &str) -> Result<AccountSide<'a>, StoreError> {
        let mut tables = BTreeMap::new();
        match self {
            Self::Stored(snapshot) => {
                for (name, part) in snapshot.account(account_id).await?.tables {
                    let side = TableSide {
                        columns: part.columns,
                        gaps: part.gaps,
                        chunks: part.files.into_iter().map(Chunk::File).collect(),
                    };
                    tables.insert(name, side);
                }
            }
            Self::Collected(c) => {
                for (name, table) in &c.dataset.tables {
                    let fields = table.schema.fields().iter();
                    let gaps = table.gaps.iter().filter(|g| g.account_id == account_id);
                    let own = |batch: &&Batch| first(batch, "account_id") == Some(account_id);
                    let side = TableSide {
                        columns: fields
                            .map(|f| (f.name().clone(), f.data_type().to_string()))
                            .collect(),
                        gaps: gaps
                            .map(|g| (g.region.clone(), (*g.error).clone()))
                            .collect(),
                        chunks: table.batches.iter().filter(own).map(Chunk::Batch).collect(),
                    };
                    tables.insert(name.clone(), side);
                }
            }
        }
        Ok(AccountSide { tables })
    }

    /// The checks that were evaluated; nothing where none were.
    pub(crate) async fn checks(&self) -> Result<Option<BTreeSet<String>>, StoreError> {
        match self {
            Self::Stored(snapshot) => {
                if snapshot.manifest().checks.is_none() {
                    return Ok(None);
                }
                let checks = snapshot.checks().await?;
                Ok(Some(checks.into_iter().map(|c| c.id).collect()))
            }
            Self::Collected(c) => Ok(c.findings.map(|(checks, _)| checks.clone())),
        }
    }

    pub(crate) async fn findings(&self, account_id: &str) -> Result<Vec<Finding>, StoreError> {
        match self {
            Self::Stored(snapshot) => snapshot.verdicts(account_id).await,
            Self::Collected(c) => {
                let all = c.findings.map(|(_, all)| all).unwrap_or_default();
                let own = all.iter().filter(|f| &*f.account_id == account_id);
                Ok(own.cloned().collect())
            }
        }
    }
}

pub(crate) fn first<'b>(batch: &'b Batch, column: &str) -> Option<&'b str> {
    use arrow::array::{Array, AsArray};
    let column = batch.rows.column_by_name(column)?.as_string_opt::<i32>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

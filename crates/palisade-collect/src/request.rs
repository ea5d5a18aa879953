//! What is to be collected, where, and within which limits.
use palisade_core::{Coverage, Region};
use palisade_model::{Api, Regions};
use palisade_table::{Dataset, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Which columns of a table are wanted. `account_id`, `region`, `partition`, `arn` and the id always come along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnSelection {
    /// Every column, and so every call of the table.
    All,
    /// These; only the calls that fill them are made.
    Some(BTreeSet<String>),
}

/// The tables and columns that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// By table name.
    pub tables: BTreeMap<String, ColumnSelection>,
}

impl Request {
    /// Adds columns of a table to what is wanted.
    pub fn add<'c>(&mut self, table: &str, columns: impl IntoIterator<Item = &'c str>) {
        let wanted = self.tables.entry(table.to_owned());
        let wanted = wanted.or_insert_with(|| ColumnSelection::Some(BTreeSet::new()));
        if let ColumnSelection::Some(known) = wanted {
            known.extend(columns.into_iter().map(str::to_owned));
        }
    }
    /// Adds what the other wants.
    pub fn extend(&mut self, other: &Self) {
        for (table, columns) in &other.tables {
            match columns {
                ColumnSelection::All => self.add_all(table),
                ColumnSelection::Some(columns) => {
                    self.add(table, columns.iter().map(String::as_str));
                }
            }
        }
    }
    /// Whether all that the other wants is wanted.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .tables
            .iter()
            .all(|(table, columns)| match (self.tables.get(table), columns) {
                (Some(ColumnSelection::All), _) => true,
                (Some(ColumnSelection::Some(ours)), ColumnSelection::Some(theirs)) => {
                    theirs.is_subset(ours)
                }
                _ => false,
            })
    }
    /// Wants all columns of a table.
    pub fn add_all(&mut self, table: &str) {
        self.tables.insert(table.to_owned(), ColumnSelection::All);
    }
}

/// Which rows of a table are wanted, when not all are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// Values of the id column, or ARNs; `None`: every row.
    pub ids: Option<BTreeSet<String>>,
    /// Names of regions; `None`: all that are scanned. A table whose rows say themselves where they live, and a global
    /// one, is asked as always; its rows of other regions are left out.
    pub regions: Option<BTreeSet<String>>,
}

impl Rows {
    /// Adds what the other wants.
    pub fn add(&mut self, other: &Self) {
        let join = |ours: &mut Option<BTreeSet<String>>, theirs: &Option<BTreeSet<String>>| match (
            ours.as_mut(),
            theirs,
        ) {
            (Some(ours), Some(theirs)) => ours.extend(theirs.iter().cloned()),
            _ => *ours = None,
        };
        join(&mut self.ids, &other.ids);
        join(&mut self.regions, &other.regions);
    }
    /// Whether rows of a region are wanted.
    pub fn takes_region(&self, region: &str) -> bool {
        self.regions.as_ref().is_none_or(|r| r.contains(region))
    }
}

/// Table → the rows that are wanted. A table that is not named here is read whole.
pub type Narrowing = BTreeMap<String, Rows>;

/// What came of a request that was narrowed to some rows.
#[derive(Debug, Clone, Default)]
pub struct Narrowed {
    /// The wanted rows.
    pub collected: Collected,
    /// Table → the wanted ids that are not there any more. Nothing is gone while a list could not be read.
    pub gone: BTreeMap<String, BTreeSet<String>>,
}

/// One account and who answers for it.
#[derive(Clone)]
pub struct AccountTarget {
    /// Twelve digits.
    pub account_id: String,
    /// For example `aws`.
    pub partition: String,
    /// Where global tables are asked; the partition's home region.
    pub home_region: String,
    /// Makes the calls.
    pub api: Arc<dyn Api>,
    /// Where regional tables are asked.
    pub regions: Vec<Region>,
}

/// Where to collect.
#[derive(Clone, Default)]
pub struct Targets {
    /// The accounts, in any order.
    pub accounts: Vec<AccountTarget>,
    /// Which API exists in which region; where it says nothing, everything is asked.
    pub regions: Arc<Regions>,
}

/// Bounds of the work that is under way at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Calls in flight, over all accounts.
    pub in_flight: usize,
    /// Rows that wait for calls of their own before lists are read further.
    pub waiting_rows: usize,
    /// How often a `before` call is repeated until its answer says that it is done.
    pub polls: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 64,
            waiting_rows: 8192,
            polls: 40,
        }
    }
}

/// Hears how the work goes. A step is a list, or one row's need of one call (which several rows may share).
pub trait Progress: Send + Sync {
    /// Steps became known.
    fn planned(&self, service: &str, steps: usize);
    /// Steps are done, well or badly.
    fn finished(&self, service: &str, steps: usize, failed: bool);
    /// Answers that were throttling, in total so far.
    fn throttled(&self, total: u64);
}

/// Takes the tables of an account as soon as they are whole, while others are still being read: nothing is added to them
/// any more, neither rows nor gaps. The same tables are in what is collected in the end.
pub trait Early: Send + Sync {
    /// A table that was asked for, with the rows and gaps of one account. Called once for each, between calls: what takes
    /// long is for another thread.
    fn whole(&self, account_id: &str, table: Table);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Early for Silent {
    fn whole(&self, _: &str, _: Table) {}
}

impl Progress for Silent {
    fn planned(&self, _: &str, _: usize) {}
    fn finished(&self, _: &str, _: usize, _: bool) {}
    fn throttled(&self, _: u64) {}
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// The tables that were asked for.
    pub dataset: Dataset,
    /// What was and was not read.
    pub coverage: Coverage,
}

//! Findings that are counted and not kept: what a report that lists only the worst needs of the others.
use crate::{Assessment, Finding, Severity, Status};
use std::collections::BTreeMap;

/// Which findings an assessment lists. The others are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Listing {
    /// All of them.
    #[default]
    All,
    /// All but those that passed.
    NotPassed,
    /// Of each check so many failed ones that count, the first in the order of [`Finding::sort_key`].
    First(usize),
    /// None: all are numbers.
    Nothing,
}

/// How many findings there are of a kind: check, severity, status.
type Kinds = BTreeMap<(String, Severity, Status), usize>;

/// Findings that are not listed, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Without those that are muted.
    kinds: Kinds,
    /// Findings that are muted: only where nothing is listed.
    pub muted: usize,
    /// Those that failed and did not in the last scan, as far as that is known.
    pub new: usize,
    /// IAM actions that would have let the reader see, with the number of findings that lack them.
    pub permissions: BTreeMap<String, usize>,
}

/// Findings of one check, severity and status that are not listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountedKind<'a> {
    /// The check's id.
    pub check: &'a str,
    /// How bad a fail is.
    pub severity: Severity,
    /// What they say.
    pub status: Status,
    /// How many there are.
    pub count: usize,
}

impl Counted {
    /// Counts one that is not kept.
    pub fn note(&mut self, finding: &Finding) {
        if finding.muted.is_some() {
            self.muted += 1;
            return;
        }
        self.new += usize::from(finding.is_new());
        self.note_many(&finding.check, finding.severity, finding.status, 1);
        for permission in &finding.missing_permissions {
            match self.permissions.get_mut(permission) {
                Some(count) => *count += 1,
                None => {
                    self.permissions.insert(permission.clone(), 1);
                }
            }
        }
    }
    /// Counts some of one kind, none of which lacks a permission.
    pub fn note_many(&mut self, check: &str, severity: Severity, status: Status, count: usize) {
        if count > 0 {
            let key = (check.to_owned(), severity, status);
            *self.kinds.entry(key).or_default() += count;
        }
    }
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        for (kind, count) in other.kinds {
            *self.kinds.entry(kind).or_default() += count;
        }
        for (permission, count) in other.permissions {
            *self.permissions.entry(permission).or_default() += count;
        }
        self.muted += other.muted;
        self.new += other.new;
    }
    /// By check, severity and status.
    pub fn kinds(&self) -> impl Iterator<Item = CountedKind<'_>> {
        let kinds = self.kinds.iter();
        kinds.map(|((check, severity, status), count)| CountedKind {
            check,
            severity: *severity,
            status: *status,
            count: *count,
        })
    }
    /// How many findings they are.
    pub fn total(&self) -> usize {
        self.kinds.values().sum::<usize>() + self.muted
    }
    /// How many have this status.
    pub fn of(&self, status: Status) -> usize {
        let kinds = self.kinds().filter(|k| k.status == status);
        kinds.map(|k| k.count).sum()
    }
}

impl Assessment {
    /// How many findings there are, listed or only counted.
    pub fn total(&self) -> usize {
        self.findings.len() + self.counted.total()
    }
}

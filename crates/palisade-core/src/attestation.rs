//! What a person says where no API answers.
use crate::Date;
use serde::{Deserialize, Serialize};

/// A person's word for requirements that only a person can answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The requirements, as `framework/requirement`.
    pub requirements: Vec<String>,
    /// The manual control: every requirement that names it is answered.
    pub control: Option<String>,
    /// The accounts that it is about; all when empty.
    pub accounts: Vec<String>,
    /// Who says so.
    pub by: String,
    /// The day it was said.
    pub on: Date,
    /// The last day on which it holds.
    pub valid_until: Date,
    /// Where the evidence is.
    pub evidence: String,
    /// What is said.
    pub statement: String,
}

/// What attestations say on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attested<'a> {
    /// One holds.
    Valid(&'a Attestation),
    /// There was one; it has expired.
    Expired(&'a Attestation),
    /// There is one, of a day that is still to come.
    Future(&'a Attestation),
    /// There is none.
    None,
}

impl Attestation {
    /// Whether it is about a requirement (`framework/requirement`, with the control it names) in an account.
    pub fn concerns(&self, requirement: &str, control: Option<&str>, account: &str) -> bool {
        let named = self.requirements.iter().any(|r| r == requirement)
            || (control.is_some() && self.control.as_deref() == control);
        named && (self.accounts.is_empty() || self.accounts.iter().any(|a| a == account))
    }
}

impl<'a> Attested<'a> {
    /// What the attestations that concern something say on a day: the one that holds longest decides.
    pub fn of(concerning: impl Iterator<Item = &'a Attestation>, today: Date) -> Self {
        let (mut said, mut future): (Vec<_>, Vec<_>) = concerning.partition(|a| a.on <= today);
        said.sort_by_key(|a| a.valid_until);
        future.sort_by_key(|a| a.on);
        match (said.last(), future.first()) {
            (Some(last), _) if last.valid_until >= today => Self::Valid(last),
            (Some(last), _) => Self::Expired(last),
            (None, Some(first)) => Self::Future(first),
            (None, None) => Self::None,
        }
    }
}

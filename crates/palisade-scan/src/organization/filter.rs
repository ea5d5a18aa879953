//! Which accounts of an organisation are meant.
use super::Member;

/// What accounts must have, and must not have. Of one kind any entry is enough; every kind that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Twelve digits.
    pub include_accounts: Vec<String>,
    /// Twelve digits.
    pub exclude_accounts: Vec<String>,
    /// Ids of roots and units, or paths of their names; what is below them is meant as well.
    pub include_units: Vec<String>,
    /// As `include_units`.
    pub exclude_units: Vec<String>,
    /// Key and value.
    pub include_tags: Vec<(String, String)>,
    /// Key and value.
    pub exclude_tags: Vec<(String, String)>,
}

/// Whether a text is the id of an account.
pub fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

impl Filters {
    /// Whether the units of accounts must be known.
    pub fn need_units(&self) -> bool {
        !self.include_units.is_empty() || !self.exclude_units.is_empty()
    }

    /// Whether the tags of accounts must be known.
    pub fn need_tags(&self) -> bool {
        !self.include_tags.is_empty() || !self.exclude_tags.is_empty()
    }

    /// Why an account is not meant; nothing when it is.
    pub(super) fn refusal(&self, member: &Member) -> Option<String> {
        let tagged =
            |(key, value): &(String, String)| member.tags.get(key).is_some_and(|v| v == value);
        if self.exclude_accounts.contains(&member.id) {
            return Some("excluded by its id".to_owned());
        }
        if let Some(unit) = self.exclude_units.iter().find(|u| is_below(member, u)) {
            return Some(format!("excluded by `{unit}`"));
        }
        if let Some((key, value)) = self.exclude_tags.iter().find(|t| tagged(t)) {
            return Some(format!("excluded by its tag {key}={value}"));
        }
        let left = |what: &str| Some(format!("not among the included {what}"));
        if !self.include_accounts.is_empty() && !self.include_accounts.contains(&member.id) {
            return left("accounts");
        }
        if !self.include_units.is_empty() && !self.include_units.iter().any(|u| is_below(member, u))
        {
            return left("organisational units");
        }
        if !self.include_tags.is_empty() && !self.include_tags.iter().any(tagged) {
            return left("tags");
        }
        None
    }
}

/// Whether an account is in a root or unit, or in one below it. `wanted` is an id, or the names from the root on.
fn is_below(member: &Member, wanted: &str) -> bool {
    let wanted = wanted.trim_matches('/');
    if member.units.iter().any(|(id, _)| id == wanted) {
        return true;
    }
    let names: Vec<&str> = wanted.split('/').collect();
    names.len() <= member.units.len()
        && member
            .units
            .iter()
            .zip(names)
            .all(|((_, name), wanted)| name == wanted)
}

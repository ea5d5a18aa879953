//! What is known about a request besides who, what and on what: the context keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The context keys of a request. Key names ignore case, as in AWS.
///
/// A context is closed by default: a key that was not given is absent from the request. An open
/// context says that other keys may be present; conditions on them are then undetermined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    values: Vec<(Box<str>, Vec<String>)>,
    /// Shared, since the contexts of one question differ in few values.
    absent: Arc<BTreeSet<String>>,
    absent_prefixes: Arc<BTreeSet<String>>,
    open: bool,
}

/// What a context knows about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// Present, with these values.
    Values(&'a [String]),
    /// Not part of the request.
    Absent,
    /// Not known.
    Unknown,
}

impl Context {
    /// A context in which every key that is not set is absent.
    pub fn closed() -> Self {
        Self::default()
    }

    /// A context in which a key that is not set is unknown.
    pub fn open() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Whether keys that were not given are unknown rather than absent.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Sets a key to some values; an earlier setting is replaced.
    pub fn set(&mut self, key: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        let key: Box<str> = key.to_ascii_lowercase().into();
        let values = values.into_iter().map(Into::into).collect();
        match self.values.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = values,
            None => self.values.push((key, values)),
        }
    }

    /// Takes a setting back; the key is given in lower case.
    pub fn unset(&mut self, key: &str) {
        self.values.retain(|(name, _)| **name != *key);
    }

    /// Sets a key to one value unless it is set already.
    pub fn set_default(&mut self, key: &str, value: &str) {
        if !matches!(self.lookup(&key.to_ascii_lowercase()), Lookup::Values(_)) {
            self.set(key, [value]);
        }
    }

    /// Says that a key is not part of the request, also in an open context.
    pub fn set_absent(&mut self, key: &str) {
        let key = key.to_ascii_lowercase();
        if !self.absent.contains(&key) {
            Arc::make_mut(&mut self.absent).insert(key);
        }
    }

    /// Says that no key with a prefix is part of the request except those that are set.
    pub fn set_absent_prefix(&mut self, prefix: &str) {
        let prefix = prefix.to_ascii_lowercase();
        if !self.absent_prefixes.contains(&prefix) {
            Arc::make_mut(&mut self.absent_prefixes).insert(prefix);
        }
    }

    /// What is known about a key given in lower case.
    pub fn lookup(&self, key: &str) -> Lookup<'_> {
        match self.values.iter().find(|(name, _)| **name == *key) {
            Some((_, values)) => Lookup::Values(values),
            None if self.open && !self.is_absent(key) => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    fn is_absent(&self, key: &str) -> bool {
        self.absent.contains(key)
            || self
                .absent_prefixes
                .iter()
                .any(|p| key.starts_with(p.as_str()))
    }

    /// The keys that are set, in order of name.
    pub fn to_map(&self) -> BTreeMap<&str, &[String]> {
        self.values
            .iter()
            .map(|(k, v)| (&**k, v.as_slice()))
            .collect()
    }
}

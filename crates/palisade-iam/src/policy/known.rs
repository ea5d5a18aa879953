//! Policies by what was read: the same text is often in many accounts, many questions are asked of it, and reading it takes
//! longer than most answers.
use super::Policy;
use crate::error::PolicyError;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Policies that are held once for each text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    policies: HashMap<Box<str>, Arc<Policy>>,
    /// Of all texts.
    bytes: usize,
}

/// What was read before says nothing about who holds it.
impl PartialEq for Texts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Texts {
    pub(crate) fn parse(&mut self, text: &str) -> Result<Arc<Policy>, PolicyError> {
        if let Some(policy) = self.policies.get(text) {
            return Ok(Arc::clone(policy));
        }
        let policy = Policy::known(text)?;
        self.hold(text, &policy);
        Ok(policy)
    }

    fn hold(&mut self, text: &str, policy: &Arc<Policy>) {
        let before = self.policies.insert(text.into(), Arc::clone(policy));
        if before.is_none() {
            self.bytes += text.len();
        }
    }

    /// Holds it among what may be let go of: with more text than this, few are asked for again.
    fn remember(&mut self, text: &str, policy: &Arc<Policy>) {
        if self.bytes + text.len() > REMEMBERED {
            *self = Self::default();
        }
        if text.len() <= REMEMBERED {
            self.hold(text, policy);
        }
    }
}

/// How much text is remembered, in bytes: an account's own policies, and those of AWS that it uses. What is made of a text
/// takes several times as much.
const REMEMBERED: usize = 512 * 1024;

static KNOWN: LazyLock<Mutex<Texts>> = LazyLock::new(Mutex::default);

/// Of policies that were read last; others are read outside of the lock.
pub(super) fn read(text: &str) -> Result<Arc<Policy>, PolicyError> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(policy) = known().policies.get(text) {
        return Ok(Arc::clone(policy));
    }
    let policy = Arc::new(Policy::parse(text)?);
    known().remember(text, &policy);
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Texts, read};
    use crate::policy::Policy;
    use std::sync::Arc;

    #[test]
    fn a_document_is_read_once_and_a_broken_one_stays_broken() {
        let text = r#"{"Statement":{"Effect":"Allow","Action":"known:Once","Resource":"*"}}"#;
        let first = read(text).unwrap();
        assert_eq!(*first, Policy::parse(text).unwrap());
        assert!(Arc::ptr_eq(&first, &read(text).unwrap()));
        assert_eq!(read("{"), read("{"));
        assert!(read("{").is_err());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let policy = Arc::new(Policy::parse(r#"{"Statement":[]}"#).unwrap());
        let mut known = Texts::default();
        for i in 0..10 {
            known.remember(&format!("{i}{}", " ".repeat(REMEMBERED / 4)), &policy);
            assert!(known.bytes <= REMEMBERED && !known.policies.is_empty());
            let held: usize = known.policies.keys().map(|t| t.len()).sum();
            assert_eq!(held, known.bytes);
        }
        known.remember(&" ".repeat(REMEMBERED + 1), &policy);
        assert_eq!(known.policies.len(), 0);
    }
}

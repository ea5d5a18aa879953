//! Policies that were read last. Many questions are asked of the same documents, and reading one takes longer than most
//! answers.
use super::Policy;
use crate::error::PolicyError;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// How much text is remembered, in bytes: an account's own policies, and those of AWS that it uses. What is made of a text
/// takes several times as much.
const TEXT: usize = 512 * 1024;

#[derive(Debug, Default)]
struct Known {
    policies: HashMap<Box<str>, Arc<Policy>>,
    text: usize,
}

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

pub(super) fn read(text: &str) -> Result<Arc<Policy>, PolicyError> {
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(policy) = known().policies.get(text) {
        return Ok(Arc::clone(policy));
    }
    let policy = Arc::new(Policy::parse(text)?);
    known().remember(text, &policy);
    Ok(policy)
}

impl Known {
    /// Which were read long ago is not kept: with more text than this, few are asked for again.
    fn remember(&mut self, text: &str, policy: &Arc<Policy>) {
        if self.text + text.len() > TEXT {
            *self = Self::default();
        }
        if text.len() <= TEXT
            && self
                .policies
                .insert(text.into(), Arc::clone(policy))
                .is_none()
        {
            self.text += text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, TEXT, read};
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
        let mut known = Known::default();
        for i in 0..10 {
            known.remember(&format!("{i}{}", " ".repeat(TEXT / 4)), &policy);
            assert!(known.text <= TEXT && !known.policies.is_empty());
            let held: usize = known.policies.keys().map(|t| t.len()).sum();
            assert_eq!(held, known.text);
        }
        known.remember(&" ".repeat(TEXT + 1), &policy);
        assert_eq!(known.policies.len(), 0);
    }
}

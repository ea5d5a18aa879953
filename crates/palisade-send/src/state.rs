//! What a destination that cannot be asked has been told: remembered between runs.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the file's form.
const VERSION: u32 = 1;

/// A finding that was sent as something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The check's id.
    pub check: String,
    /// The account.
    pub account_id: String,
    /// The region.
    pub region: String,
    /// The ARN or id.
    pub resource: String,
    /// What was told of it: `status/severity`.
    pub told: String,
}

/// Everything that a destination was told and not yet told to be over, by the findings' identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State(pub BTreeMap<String, Known>);

/// Why a state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not of the form.
    #[error("not a record of what was sent: {0}")]
    Form(String),
    /// Of another version.
    #[error("a record of version {0}, which this version of Palisade cannot read")]
    Version(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    sent: BTreeMap<String, Known>,
}

impl State {
    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is not of the form: telling everything again because a file is broken would be noise.
    pub fn parse(text: &str) -> Result<Self, StateError> {
        let file: File = serde_json::from_str(text).map_err(|e| StateError::Form(e.to_string()))?;
        if file.version != VERSION {
            return Err(StateError::Version(file.version));
        }
        Ok(Self(file.sent))
    }
    /// As a file's text: sorted, one finding a line.
    pub fn to_json(&self) -> String {
        let mut text = format!("{{\"version\":{VERSION},\"sent\":{{");
        for (i, (id, known)) in self.0.iter().enumerate() {
            text.push_str(if i == 0 { "\n" } else { ",\n" });
            // texts and maps of texts cannot fail
            text.push_str(&serde_json::to_string(id).unwrap_or_default());
            text.push(':');
            text.push_str(&serde_json::to_string(known).unwrap_or_default());
        }
        text.push_str("\n}}\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let known = Known {
            check: "s3-x".to_owned(),
            account_id: "123456789012".to_owned(),
            region: "eu-west-1".to_owned(),
            resource: "arn:aws:s3:::\"quoted\"\n".to_owned(),
            told: "fail/high".to_owned(),
        };
        let state = State([("a".to_owned(), known.clone()), ("b".to_owned(), known)].into());
        assert_eq!(State::parse(&state.to_json()), Ok(state));
        assert_eq!(
            State::parse(&State::default().to_json()),
            Ok(State::default())
        );
        assert_eq!(
            State::parse("{\"version\":2,\"sent\":{}}"),
            Err(StateError::Version(2))
        );
        assert!(State::parse("").is_err());
        assert!(State::parse("[]").is_err());
    }
}

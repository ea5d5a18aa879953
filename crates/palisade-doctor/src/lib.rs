//! What keeps a scan from working, one examination after the other: credentials, identity, clock, endpoints,
//! permissions.
//!
//! Invariants: only reads are made; no secret is in a message; whoever calls brings the time.

mod clock;
mod endpoints;
mod identity;
mod permissions;

pub use clock::clock;
pub use endpoints::{Answers, endpoints, reach};
pub use identity::{credentials, identity};
pub use permissions::{Caller, permissions};

use serde::Serialize;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it has to be.
    Fine,
    /// Could not be examined, because of something else that is broken.
    NotExamined,
    /// A scan works, and somebody should know.
    Warning,
    /// A scan does not work, or misses something.
    Broken,
}

impl State {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::NotExamined => "not examined",
            Self::Warning => "warning",
            Self::Broken => "broken",
        }
    }
}

/// What an examination found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Examination {
    /// What was examined.
    pub subject: &'static str,
    /// How it stands.
    pub state: State,
    /// In one sentence.
    pub message: String,
    /// One line each, where there is more to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
    /// What the reader can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Examination {
    /// An examination without details.
    pub fn new(subject: &'static str, state: State, message: impl Into<String>) -> Self {
        Self {
            subject,
            state,
            message: message.into(),
            details: Vec::new(),
            hint: None,
        }
    }
    /// The same with what the reader can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// The same with more to say.
    #[must_use]
    pub fn details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }
}

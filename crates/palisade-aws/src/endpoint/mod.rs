//! Endpoint rule sets: a complete interpreter of `endpoint-rule-set-1.json`, after the Smithy documents
//! "Rules engine specification" and "Rules engine standard library functions" and AWS's additions to them.

mod functions;
mod partitions;
mod rules;
mod template;

pub use partitions::Partitions;
pub use rules::RuleSet;

use serde_json::{Map, Value as Json};

/// What a rule set resolved to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Endpoint {
    /// Scheme, host, and sometimes a path.
    pub url: String,
    /// For example `authSchemes`.
    pub properties: Map<String, Json>,
    /// Headers that the request must carry: name → values.
    pub headers: Map<String, Json>,
}

/// Why there is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// A rule said so; the text is AWS's.
    #[error("{0}")]
    Refused(String),
    /// A required parameter has no value.
    #[error("the endpoint needs `{0}`")]
    MissingParameter(String),
    /// No rule applied.
    #[error("no endpoint rule applies")]
    NoRule,
    /// The rule set or the partitions file is not well-formed.
    #[error("damaged endpoint rules: {0}")]
    Damaged(String),
}

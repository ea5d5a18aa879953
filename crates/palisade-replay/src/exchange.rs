//! One HTTP exchange as the client saw it.

use serde::{Deserialize, Serialize};

/// A request and the answer that it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// What was sent.
    pub request: RecordedRequest,
    /// What was answered.
    pub response: RecordedResponse,
}

/// A request as it went over the wire.
///
/// Headers may hold credentials: this type is only handed to [`crate::Recording`], which keeps none of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedRequest {
    /// The HTTP method, in capitals.
    pub method: String,
    /// Path and query as sent, percent-encoded, starting with `/`.
    pub path_and_query: String,
    /// Header names and values in the order sent; names in any case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes, without transfer coding.
    pub body: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedResponse {
    /// The HTTP status code.
    pub status: u16,
    /// Header names and values in the order received.
    pub headers: Vec<(String, String)>,
    /// The body's bytes, without transfer or content coding.
    pub body: Vec<u8>,
}

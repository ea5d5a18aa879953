//! A set of exchanges and its file format.
//!
//! A `*.recording` file is JSON Lines in one zstd frame: the first line is the [`Header`] with the format version,
//! every other line one request in canonical form with its answer, sorted by key. The same set of exchanges always
//! gives the same bytes. Bodies are text where they are UTF-8, hexadecimal otherwise; repeated bodies are left to
//! the compression, which removes them for free.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::ReplayError;
use crate::exchange::{Exchange, RecordedRequest, RecordedResponse};
use crate::key::Key;
use crate::scrub::scrub;

const FORMAT: &str = "palisade-recording";
const VERSION: u32 = 1;
/// Recordings are written seldom and shipped often: the slowest level that still needs little memory to read.
const COMPRESSION_LEVEL: i32 = 19;

/// Headers of an answer that the replaying server sets itself, or that differ from run to run and mean nothing later.
const DROPPED_HEADERS: [&str; 16] = [
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "keep-alive",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "via",
    // A checksum of bytes that a correction may change.
    "x-amz-crc32",
    "x-amz-id-2",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amzn-trace-id",
    "x-amz-cf-id",
];

/// What a recording says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// When it was recorded, RFC 3339 in UTC: the "now" of everything that is judged by age.
    pub recorded_at: String,
    /// The account's twelve digits.
    pub account: String,
    /// The regions that were scanned, in the order asked for.
    pub regions: Vec<String>,
    /// One line for people.
    pub description: String,
}

#[derive(Serialize, Deserialize)]
struct FirstLine {
    format: String,
    version: u32,
    #[serde(flatten)]
    header: serde_json::Value,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request: Key,
    response: ResponseLine,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseLine {
    status: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "body_text")]
    body: Vec<u8>,
}

/// A set of exchanges: one answer per canonical request.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    header: Header,
    entries: Vec<(Arc<Key>, RecordedResponse)>,
    index: HashMap<Arc<Key>, usize>,
}

impl Recording {
    /// An empty recording.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            ..Self::default()
        }
    }

    /// What the recording says about itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Replaces what the recording says about itself.
    pub fn set_header(&mut self, header: Header) {
        self.header = header;
    }

    /// How many different requests it answers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it answers nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an exchange. Credentials in the request are not kept, working credentials in the answer are replaced.
    ///
    /// A request that is there already gets the new answer, unless that is a failure of the service (5xx) or a
    /// throttled attempt and the old one is not: a retried request keeps the answer that the client went on with.
    pub fn insert(&mut self, exchange: Exchange) {
        let key = Key::of(&exchange.request);
        let RecordedResponse {
            status,
            headers,
            body,
        } = exchange.response;
        let headers = headers
            .into_iter()
            .filter(|(name, _)| !is_dropped(name))
            .collect();
        self.insert_answer(
            key,
            RecordedResponse {
                status,
                headers,
                body: scrub(body),
            },
        );
    }

    /// Adds an answer under a key that is known already, by the rule of [`Recording::insert`].
    pub fn insert_answer(&mut self, key: Key, response: RecordedResponse) {
        if let Some(at) = self.index.get(&key) {
            if let Some((_, existing)) = self.entries.get_mut(*at)
                && (is_retryable(existing) || !is_retryable(&response))
            {
                *existing = response;
            }
            return;
        }
        let key = Arc::new(key);
        self.index.insert(Arc::clone(&key), self.entries.len());
        self.entries.push((key, response));
    }

    /// Adds everything of `other`, whose answers win; the header stays.
    pub fn merge(&mut self, other: Self) {
        for (key, response) in other.entries {
            self.insert_answer(Arc::unwrap_or_clone(key), response);
        }
    }

    /// The answer to a request in canonical form.
    pub fn get(&self, key: &Key) -> Option<&RecordedResponse> {
        self.position(key).and_then(|at| self.at(at))
    }

    /// The answer to a request as sent.
    pub fn answer(&self, request: &RecordedRequest) -> Option<&RecordedResponse> {
        self.get(&Key::of(request))
    }

    pub(crate) fn position(&self, key: &Key) -> Option<usize> {
        self.index.get(key).copied()
    }

    pub(crate) fn at(&self, position: usize) -> Option<&RecordedResponse> {
        self.entries.get(position).map(|(_, response)| response)
    }

    /// Requests and answers, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &RecordedResponse)> {
        let mut sorted: Vec<_> = self
            .entries
            .iter()
            .map(|(key, response)| (key.as_ref(), response))
            .collect();
        sorted.sort_by_key(|(key, _)| *key);
        sorted.into_iter()
    }

    /// Shows every request and its answer to `edit`, which may change the answer; returns how many it changed.
    pub fn edit(
        &mut self,
        mut edit: impl FnMut(&Key, &RecordedResponse) -> Option<RecordedResponse>,
    ) -> usize {
        let mut changed = 0;
        for (key, response) in &mut self.entries {
            if let Some(new) = edit(key, response) {
                *response = new;
                changed += 1;
            }
        }
        changed
    }

    /// Drops what `keep` does not keep.
    pub fn retain(&mut self, mut keep: impl FnMut(&Key, &RecordedResponse) -> bool) {
        self.entries.retain(|(key, response)| keep(key, response));
        self.index = self
            .entries
            .iter()
            .enumerate()
            .map(|(at, (key, _))| (Arc::clone(key), at))
            .collect();
    }

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a recording of this version.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ReplayError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| ReplayError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::from_bytes(&bytes)
    }

    /// Reads a recording from the bytes of its file.
    ///
    /// # Errors
    /// When they are not a recording of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReplayError> {
        let mut text = String::new();
        zstd::Decoder::new(bytes)
            .and_then(|mut decoder| decoder.read_to_string(&mut text))
            .map_err(ReplayError::Compression)?;
        let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let (_, first) = lines.next().unwrap_or((1, ""));
        let mut recording = Self::new(parse_header(first)?);
        for (line, text) in lines {
            let parsed: Line =
                serde_json::from_str(text).map_err(|error| bad_line(line, &error))?;
            let ResponseLine {
                status,
                headers,
                body,
            } = parsed.response;
            recording.insert_answer(
                parsed.request,
                RecordedResponse {
                    status,
                    headers,
                    body,
                },
            );
        }
        Ok(recording)
    }

    /// The bytes of the recording's file; the same for the same exchanges, in whatever order they were added.
    ///
    /// # Errors
    /// When the compression fails.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ReplayError> {
        let mut text = Vec::new();
        let header = serde_json::to_value(&self.header).map_err(|error| bad_line(1, &error))?;
        write_line(
            &mut text,
            1,
            &FirstLine {
                format: FORMAT.to_owned(),
                version: VERSION,
                header,
            },
        )?;
        for (at, (key, response)) in self.iter().enumerate() {
            let RecordedResponse {
                status,
                headers,
                body,
            } = response.clone();
            let line = Line {
                request: key.clone(),
                response: ResponseLine {
                    status,
                    headers,
                    body,
                },
            };
            write_line(&mut text, at + 2, &line)?;
        }
        zstd::encode_all(text.as_slice(), COMPRESSION_LEVEL).map_err(ReplayError::Compression)
    }

    /// Writes the recording; a file that is there is replaced at once or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ReplayError> {
        let path = path.as_ref();
        let bytes = self.to_bytes()?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        std::fs::write(&part, bytes)
            .and_then(|()| std::fs::rename(&part, path))
            .map_err(|source| {
                // The error that matters is the first one; a half-written file must not stay behind it.
                std::fs::remove_file(&part).ok();
                ReplayError::Write {
                    path: path.to_owned(),
                    source,
                }
            })
    }
}

fn is_dropped(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    DROPPED_HEADERS.contains(&name.as_str()) || name.starts_with("access-control-")
}

/// Whether a client would have tried again rather than go on with this answer.
fn is_retryable(response: &RecordedResponse) -> bool {
    let mentions = |code: &[u8]| {
        response
            .body
            .windows(code.len())
            .any(|window| window == code)
    };
    response.status >= 500
        || response.status == 429
        || (response.status >= 400 && (mentions(b"Throttling") || mentions(b"TooManyRequests")))
}

fn parse_header(line: &str) -> Result<Header, ReplayError> {
    let first: FirstLine = serde_json::from_str(line).map_err(|error| bad_line(1, &error))?;
    if first.format != FORMAT {
        return Err(ReplayError::Line {
            line: 1,
            reason: format!("the format is `{}`, not `{FORMAT}`", first.format),
        });
    }
    if first.version != VERSION {
        return Err(ReplayError::Version {
            found: first.version,
            supported: VERSION,
        });
    }
    serde_json::from_value(first.header).map_err(|error| bad_line(1, &error))
}

fn write_line(out: &mut Vec<u8>, line: usize, value: &impl Serialize) -> Result<(), ReplayError> {
    serde_json::to_writer(&mut *out, value).map_err(|error| bad_line(line, &error))?;
    out.push(b'\n');
    Ok(())
}

fn bad_line(line: usize, error: &serde_json::Error) -> ReplayError {
    ReplayError::Line {
        line,
        reason: error.to_string(),
    }
}

/// A body as JSON: text where it is UTF-8, else `{"hex": "…"}`.
pub(crate) mod body_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::encoding::{from_hex, to_hex};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Body {
        Text(String),
        Bytes { hex: String },
    }

    pub(crate) fn serialize<S: Serializer>(body: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => Body::Bytes { hex: to_hex(body) }.serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        match Body::deserialize(deserializer)? {
            Body::Text(text) => Ok(text.into_bytes()),
            Body::Bytes { hex } => {
                from_hex(&hex).ok_or_else(|| D::Error::custom("a body is not hexadecimal"))
            }
        }
    }
}

#[cfg(test)]
#[path = "recording_tests.rs"]
mod tests;

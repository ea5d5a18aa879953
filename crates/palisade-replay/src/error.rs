//! What can go wrong with a recording or its server.

use std::path::PathBuf;

/// Why a recording could not be read or written, or the endpoint not started.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file could not be read.
    #[error("cannot read the recording `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file could not be written.
    #[error("cannot write the recording `{}`: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The bytes are not a zstd frame.
    #[error("not a recording: {0}")]
    Compression(std::io::Error),
    /// A line is not what a recording holds there; lines count from 1.
    #[error("not a recording: line {line}: {reason}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Written by another version of the format.
    #[error("the recording has format version {found}, this program reads version {supported}")]
    Version {
        /// The file's version.
        found: u32,
        /// The version that this crate reads and writes.
        supported: u32,
    },
    /// The loopback endpoint could not be started.
    #[error("cannot start the loopback endpoint: {0}")]
    Start(std::io::Error),
}

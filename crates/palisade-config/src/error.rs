//! Why a file could not be used.
use palisade_catalog::Diagnostic;
use std::path::PathBuf;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is wrong with it, all at once.
    #[error("`{file}` has {}", match .diagnostics.len() { 1 => "an error".to_owned(), n => format!("{n} errors") })]
    Wrong {
        /// The file, as the user knows it.
        file: String,
        /// Sorted by place.
        diagnostics: Vec<Diagnostic>,
    },
}

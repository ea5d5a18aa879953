//! stdout, stderr and files.
use crate::cli::{Global, When};
use crate::error::Failure;
use palisade_config::ConfigError;
use palisade_scan::ScanError;
use std::io::{IsTerminal, Write};
use std::path::Path;

/// What the user sees, and how.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    color_out: bool,
    color_err: bool,
    quiet: bool,
}

impl Terminal {
    /// Colour follows `--color`, then `NO_COLOR` (no-color.org), then whether there is a terminal.
    pub fn new(global: &Global) -> Self {
        let wanted = |is_terminal: bool| match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
                    || std::env::var_os("TERM").is_some_and(|v| v == "dumb");
                is_terminal && !refused
            }
        };
        Self {
            color_out: wanted(std::io::stdout().is_terminal()),
            color_err: wanted(std::io::stderr().is_terminal()),
            quiet: global.quiet,
        }
    }
    /// Whether stdout takes colour.
    pub fn color(&self) -> bool {
        self.color_out
    }
    /// Whether a progress display makes sense.
    pub fn progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
    /// Columns of the terminal; 100 in a pipe.
    pub fn width(&self) -> usize {
        terminal_size::terminal_size().map_or(100, |(w, _)| usize::from(w.0).clamp(60, 160))
    }
    /// A line on stderr that does not matter to a script.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }
    /// A line on stderr that always matters.
    pub fn warn(&self, text: &str) {
        let label = if self.color_err {
            "\x1b[33mwarning\x1b[0m"
        } else {
            "warning"
        };
        self.line(&format!("{label}: {text}"));
    }
    /// The one place where an error is rendered.
    pub fn failure(&self, failure: &Failure) {
        if let Failure::Catalog { diagnostics }
        | Failure::Scan(ScanError::Checks(diagnostics))
        | Failure::Config(ConfigError::Wrong { diagnostics, .. }) = failure
        {
            for diagnostic in diagnostics {
                self.line(&diagnostic.to_string());
            }
        }
        let label = if self.color_err {
            "\x1b[1;31merror\x1b[0m"
        } else {
            "error"
        };
        self.line(&format!("{label}: {failure}"));
        if let Some(hint) = failure.hint() {
            self.line(&format!("\nhint: {hint}"));
        }
    }
    fn line(&self, text: &str) {
        // a closed stderr leaves nobody to tell
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}

/// Writes to stdout through one buffer.
///
/// # Errors
/// When stdout cannot be written; a closed pipe is told apart by the caller.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    write(&mut out)
        .and_then(|()| out.flush())
        .map_err(Failure::stdout)
}

/// Writes a file whole or not at all: into a temporary file beside it, then renamed.
///
/// # Errors
/// When the folder cannot be written or the disk is full; the old file, if any, is untouched then.
pub fn to_file(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let failed = |source| Failure::Output {
        what: format!("`{}`", path.display()),
        source,
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // a device or pipe (`/dev/stdout`, a FIFO) cannot be replaced, only written
    if path.metadata().is_ok_and(|m| !m.is_file()) {
        let mut out = std::io::BufWriter::new(
            std::fs::OpenOptions::new()
                .write(true)
                .open(path)
                .map_err(failed)?,
        );
        return write(&mut out).and_then(|()| out.flush()).map_err(failed);
    }
    let mut temporary = tempfile::Builder::new()
        .prefix(".palisade-")
        .tempfile_in(folder)
        .map_err(failed)?;
    {
        let mut out = std::io::BufWriter::new(temporary.as_file_mut());
        write(&mut out).and_then(|()| out.flush()).map_err(failed)?;
    }
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(path).map_err(|e| failed(e.error))?;
    Ok(())
}

//! stdout, stderr and files.
use crate::cli::{Global, When};
use crate::error::Failure;
use palisade_config::ConfigError;
use palisade_scan::ScanError;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What the user sees, and how.
#[derive(Debug, Clone)]
pub struct Terminal {
    color_out: bool,
    color_err: bool,
    quiet: bool,
    /// Lines for stderr that wait.
    held: Option<Arc<Mutex<Vec<String>>>>,
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
            held: None,
        }
    }
    /// The same, for what goes on while a report is written: its lines wait for [`Terminal::release`], so that they do not
    /// come in between.
    pub fn holding(&self) -> Self {
        Self {
            held: Some(Arc::default()),
            ..self.clone()
        }
    }
    /// Shows the lines that wait.
    pub fn release(self) {
        if let Some(held) = &self.held {
            for line in held
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .drain(..)
            {
                show(&line);
            }
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
    /// Columns where there is no terminal.
    pub const COLUMNS: usize = 80;

    /// Columns of the terminal; in a pipe those that every terminal has.
    pub fn width(&self) -> usize {
        terminal_size::terminal_size()
            .map_or(Self::COLUMNS, |(w, _)| usize::from(w.0).clamp(60, 160))
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
    /// What did not work, and did not end everything.
    pub fn error(&self, text: &str) {
        let label = if self.color_err {
            "\x1b[1;31merror\x1b[0m"
        } else {
            "error"
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
        self.error(&failure.to_string());
        if let Some(hint) = failure.hint() {
            self.line(&format!("\nhint: {hint}"));
        }
    }
    fn line(&self, text: &str) {
        match &self.held {
            Some(held) => {
                let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
                held.push(text.to_owned());
            }
            None => show(text),
        }
    }
}

fn show(line: &str) {
    // a closed stderr leaves nobody to tell
    let _ = writeln!(std::io::stderr().lock(), "{line}");
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

/// A file that is written whole or not at all: into a temporary file beside it, then renamed.
#[derive(Debug)]
pub struct FileOutput {
    path: PathBuf,
    /// None when the path is a device or pipe: it cannot be replaced, only written, and was.
    temporary: Option<tempfile::NamedTempFile>,
}

impl FileOutput {
    /// Finds out whether a file can be made there, without leaving anything.
    ///
    /// # Errors
    /// When its folder does not exist or cannot be written, or it is a folder.
    pub fn probe(path: &Path) -> Result<(), Failure> {
        if path.is_dir() {
            return Err(failed(path, std::io::ErrorKind::IsADirectory.into()));
        }
        if !is_special(path) {
            temporary(path)?;
        }
        Ok(())
    }
    /// Writes beside the path.
    ///
    /// # Errors
    /// When the folder cannot be written or the disk is full; nothing is left then, and an old file is untouched.
    pub fn write(
        path: &Path,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<Self, Failure> {
        let whole = |file: &std::fs::File| {
            let mut out = std::io::BufWriter::with_capacity(1 << 16, file);
            write(&mut out).and_then(|()| out.flush())
        };
        let failed = |source| failed(path, source);
        let path = path.to_owned();
        if is_special(&path) {
            let file = std::fs::OpenOptions::new().write(true).open(&path);
            file.and_then(|f| whole(&f)).map_err(failed)?;
            return Ok(Self {
                path,
                temporary: None,
            });
        }
        let temporary = temporary(&path)?;
        whole(temporary.as_file())
            .and_then(|()| temporary.as_file().sync_all())
            .map_err(failed)?;
        Ok(Self {
            path,
            temporary: Some(temporary),
        })
    }
    /// Puts it in its place.
    ///
    /// # Errors
    /// When the place cannot be taken.
    pub fn persist(self) -> Result<(), Failure> {
        match self.temporary {
            Some(file) => match file.persist(&self.path) {
                Ok(_) => Ok(()),
                Err(e) => Err(failed(&self.path, e.error)),
            },
            None => Ok(()),
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> Failure {
    Failure::Output {
        what: format!("`{}`", path.display()),
        source,
    }
}

fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| !m.is_file())
}

fn temporary(path: &Path) -> Result<tempfile::NamedTempFile, Failure> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".palisade-")
        .tempfile_in(folder)
        .map_err(|e| failed(path, e))
}

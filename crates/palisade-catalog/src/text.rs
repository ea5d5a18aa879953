//! Places in a file, and the collection of what is wrong there.
use crate::{Diagnostic, DiagnosticLevel};
use std::cell::{OnceCell, RefCell};

/// Byte offsets → lines and columns. Lines are looked for when first asked for: most files have nothing to tell.
#[derive(Debug)]
pub(crate) struct LineIndex<'t> {
    text: &'t str,
    starts: OnceCell<Vec<usize>>,
}

impl<'t> LineIndex<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self {
            text,
            starts: OnceCell::new(),
        }
    }

    fn starts(&self) -> &[usize] {
        self.starts.get_or_init(|| {
            let after_break = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|i| i + 1);
            std::iter::once(0).chain(after_break).collect()
        })
    }

    /// Line and column (in characters), both from 1. An offset past the end is the end.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        let starts = self.starts();
        let line = starts.partition_point(|s| *s <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0);
        let before = self
            .text
            .get(start..offset.min(self.text.len()))
            .unwrap_or_default();
        let column = before.chars().count() + 1;
        (
            u32::try_from(line).unwrap_or(u32::MAX),
            u32::try_from(column).unwrap_or(u32::MAX),
        )
    }
}

/// Collects what is wrong in one file.
#[derive(Debug)]
pub struct Reporter<'t> {
    /// Path as the user knows it.
    pub file: &'t str,
    lines: LineIndex<'t>,
    found: RefCell<Vec<Diagnostic>>,
    is_known_good: bool,
}

impl<'t> Reporter<'t> {
    /// Over the text of a file; the path is as the user knows it.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self {
            file,
            lines: LineIndex::new(text),
            found: RefCell::default(),
            is_known_good: false,
        }
    }

    /// The same over a file in which tests have found nothing wrong.
    pub(crate) fn known_good(file: &'t str, text: &'t str) -> Self {
        Self {
            is_known_good: true,
            ..Self::new(file, text)
        }
    }

    /// Whether looking for mistakes is time lost. What is needed to use the file is parsed all the same.
    pub(crate) fn is_known_good(&self) -> bool {
        self.is_known_good
    }

    /// The line of a byte, from 1.
    pub fn line(&self, offset: usize) -> u32 {
        self.lines.position(offset).0
    }

    /// Line and column of a byte, both from 1.
    pub fn position(&self, offset: usize) -> (u32, u32) {
        self.lines.position(offset)
    }

    /// Something is wrong at a byte of the file.
    pub fn error(&self, offset: usize, message: impl Into<String>) {
        self.report(offset, DiagnosticLevel::Error, message.into(), None);
    }

    /// The same with what to do about it.
    pub fn error_hint(
        &self,
        offset: usize,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.report(offset, DiagnosticLevel::Error, message.into(), hint.into());
    }

    /// Where a line begins with `key =`; the file's beginning when none does.
    pub(crate) fn find_key(&self, key: &str) -> usize {
        let begins = |start: &usize| {
            let line = self.lines.text.get(*start..).unwrap_or_default();
            let rest = line.strip_prefix(key);
            rest.is_some_and(|r| r.trim_start_matches([' ', '\t']).starts_with('='))
        };
        self.lines
            .starts()
            .iter()
            .copied()
            .find(begins)
            .unwrap_or(0)
    }

    /// An error about a whole line, where only its number (from 1) is known.
    pub(crate) fn error_on_line(&self, line: u32, message: impl Into<String>) {
        let index = usize::try_from(line).unwrap_or(1).saturating_sub(1);
        let offset = self.lines.starts().get(index).copied().unwrap_or(0);
        self.error(offset, message);
    }

    fn report(&self, offset: usize, level: DiagnosticLevel, message: String, hint: Option<String>) {
        let (line, column) = self.lines.position(offset);
        self.found.borrow_mut().push(Diagnostic {
            file: self.file.to_owned(),
            line,
            column,
            level,
            message,
            hint,
        });
    }

    /// Whether an error was reported.
    pub fn has_errors(&self) -> bool {
        self.found
            .borrow()
            .iter()
            .any(|d| d.level == DiagnosticLevel::Error)
    }

    /// What was reported, in that order.
    pub fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.found.into_inner()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns_in_characters() {
        let index = LineIndex::new("ab\ncäd\n");
        assert_eq!(index.position(0), (1, 1));
        assert_eq!(index.position(2), (1, 3));
        assert_eq!(index.position(3), (2, 1));
        assert_eq!(index.position(6), (2, 3));
        assert_eq!(index.position(8), (3, 1));
        assert_eq!(index.position(99), (3, 1));
    }
}

//! What can go wrong, in the words of a reader who knows SQL and AWS and not this program.
use datafusion::common::DataFusionError;
use datafusion::common::SchemaError;

/// A problem with a piece of SQL, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlProblem {
    /// What is wrong.
    pub message: String,
    /// Line in the SQL, from 1; 0 where it is not known.
    pub line: u32,
    /// Column in characters, from 1; 0 where it is not known.
    pub column: u32,
    /// What to do about it.
    pub hint: Option<String>,
}

impl SqlProblem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            line: 0,
            column: 0,
            hint: None,
        }
    }
    pub(crate) fn at(mut self, line: u64, column: u64) -> Self {
        self.line = u32::try_from(line).unwrap_or(0);
        self.column = u32::try_from(column).unwrap_or(0);
        self
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for SqlProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if self.line > 0 {
            write!(f, " (line {}, column {})", self.line, self.column)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why SQL could not be planned or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The SQL is wrong.
    #[error("{0}")]
    Sql(SqlProblem),
    /// The SQL needs a table that was not collected.
    #[error("the table `{0}` was not collected")]
    TableMissing(String),
    /// The SQL needs a column that was not collected.
    #[error("the column `{column}` of `{table}` was not collected")]
    ColumnMissing {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// The SQL was right and failed on the data.
    #[error("{0}")]
    Run(String),
    /// The engine could not be set up.
    #[error("the query engine could not be started: {0}")]
    Start(String),
}

impl From<SqlProblem> for QueryError {
    fn from(problem: SqlProblem) -> Self {
        Self::Sql(problem)
    }
}

/// The message of a DataFusion error without prefixes, backtraces and type names.
pub(crate) fn plain(error: &DataFusionError) -> String {
    let root = error.find_root();
    let text = match root {
        DataFusionError::Diagnostic(_, inner) => return plain(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => return plain(first),
            None => root.message().into_owned(),
        },
        DataFusionError::ArrowError(inner, _) => arrow_message(inner),
        DataFusionError::External(inner) => inner.to_string(),
        DataFusionError::SchemaError(schema, _) => schema_message(schema),
        _ => root.message().into_owned(),
    };
    tidy(&text)
}

/// Arrow puts what kind of error it was before the message; readers need the message.
fn arrow_message(error: &datafusion::arrow::error::ArrowError) -> String {
    use datafusion::arrow::error::ArrowError as E;
    match error {
        E::CastError(m)
        | E::ComputeError(m)
        | E::ParseError(m)
        | E::InvalidArgumentError(m)
        | E::SchemaError(m) => m.clone(),
        E::DivideByZero => "division by zero".to_owned(),
        E::ExternalError(inner) => inner.to_string(),
        other => other.to_string(),
    }
}

fn schema_message(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, .. } => format!("no column `{}`", field.flat_name()),
        SchemaError::AmbiguousReference { field } => {
            format!(
                "`{}` is a column of more than one table; write `table.{}`",
                field.name, field.name
            )
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("two columns are named `{name}`; rename one with AS")
        }
    }
}

/// First line only, our names for types, no capital at the start.
fn tidy(text: &str) -> String {
    const NAMES: &[(&str, &str)] = &[
        ("Timestamp(µs, \"+00:00\")", "timestamp"),
        ("Timestamp(µs, \"UTC\")", "timestamp"),
        ("Timestamp(ns)", "timestamp"),
        ("Utf8View", "text"),
        ("LargeUtf8", "text"),
        ("Utf8", "text"),
        ("Int64", "integer"),
        ("Int32", "integer"),
        ("Float64", "float"),
        ("Boolean", "boolean"),
    ];
    let mut line = text.lines().next().unwrap_or_default().trim().to_owned();
    for prefix in [
        "Error during planning: ",
        "Schema error: ",
        "Execution error: ",
        "Internal error: ",
    ] {
        if let Some(rest) = line.strip_prefix(prefix) {
            line = rest.to_owned();
        }
    }
    for (from, to) in NAMES {
        line = line.replace(from, to);
    }
    let line = line.trim_end_matches('.');
    let mut chars = line.chars();
    match (chars.next(), chars.next()) {
        // `CAST …` and other words in capitals stay.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            let at = first.len_utf8();
            format!(
                "{}{}",
                first.to_lowercase(),
                line.get(at..).unwrap_or_default()
            )
        }
        _ => line.to_owned(),
    }
}

/// A type in our words.
pub(crate) fn type_name(ty: &datafusion::arrow::datatypes::DataType) -> String {
    use datafusion::arrow::datatypes::DataType as T;
    match ty {
        T::List(_) | T::LargeList(_) | T::FixedSizeList(..) => "a list".to_owned(),
        T::Struct(_) => "a structure".to_owned(),
        T::Map(..) => "a map".to_owned(),
        T::Timestamp(..) => "a timestamp".to_owned(),
        other => tidy(&other.to_string()),
    }
}

/// The name that comes nearest to `wanted`, when one is near.
pub(crate) fn nearest<'n>(
    wanted: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let lower = wanted.to_lowercase();
    let limit = 1 + wanted.chars().count() / 4;
    let mut best: Option<(usize, &str)> = None;
    for name in names {
        let distance = distance(&lower, &name.to_lowercase());
        if distance <= limit && best.is_none_or(|(d, n)| (distance, name) < (d, n)) {
            best = Some((distance, name));
        }
    }
    best.map(|(_, name)| name)
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut previous = i;
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            *cell = (previous + usize::from(x != *y))
                .min(above + 1)
                .min(left + 1);
            previous = above;
            left = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        assert_eq!(
            nearest("verzioning", ["name", "versioning", "tags"]),
            Some("versioning")
        );
        assert_eq!(nearest("Name", ["name", "names"]), Some("name"));
        assert_eq!(nearest("zzz", ["name", "versioning"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn messages_are_plain() {
        assert_eq!(
            tidy("Error during planning: Cannot compare Utf8 with Int64.\nbacktrace"),
            "cannot compare text with integer"
        );
        assert_eq!(tidy("CAST fails"), "CAST fails");
    }
}

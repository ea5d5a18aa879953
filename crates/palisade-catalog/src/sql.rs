//! Just enough of SQL to find `$name`s and words outside of texts and comments.
use crate::{Check, ParameterValue};
use std::collections::BTreeMap;

/// A piece of SQL: code, or a text, quoted name or comment that is copied as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'s> {
    Code(&'s str),
    Quoted(&'s str),
    Comment(&'s str),
}

/// Splits SQL so that the pieces joined are the SQL again; each with the byte that it begins at. What is not closed
/// reaches to the end.
fn pieces(sql: &str) -> Pieces<'_> {
    Pieces { sql, at: 0 }
}

struct Pieces<'s> {
    sql: &'s str,
    at: usize,
}

impl<'s> Iterator for Pieces<'s> {
    type Item = (usize, Piece<'s>);

    fn next(&mut self) -> Option<(usize, Piece<'s>)> {
        let start = self.at;
        let rest = self.sql.get(start..).filter(|rest| !rest.is_empty())?;
        if let Some((end, is_comment)) = unplain(rest) {
            let text = rest.get(..end)?;
            self.at += end;
            return Some(match is_comment {
                true => (start, Piece::Comment(text)),
                false => (start, Piece::Quoted(text)),
            });
        }
        let bytes = rest.as_bytes();
        let special = |i: &usize| {
            matches!(bytes.get(*i), Some(b'\'' | b'"' | b'-' | b'/'))
                && rest.get(*i..).is_some_and(|rest| unplain(rest).is_some())
        };
        let end = (1..bytes.len()).find(special).unwrap_or(bytes.len());
        self.at += end;
        Some((start, Piece::Code(rest.get(..end)?)))
    }
}

/// Where a text, quoted name or comment ends that SQL begins with, and whether it is a comment.
fn unplain(sql: &str) -> Option<(usize, bool)> {
    let bytes = sql.as_bytes();
    let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
    match at(0) {
        quote @ (b'\'' | b'"') => {
            let mut j = 1;
            // A doubled quote is one inside the text.
            while j < bytes.len() && (at(j) != quote || at(j + 1) == quote) {
                j += if at(j) == quote { 2 } else { 1 };
            }
            Some(((j + 1).min(bytes.len()), false))
        }
        b'-' if at(1) == b'-' => Some((sql.find('\n').unwrap_or(bytes.len()), true)),
        b'/' if at(1) == b'*' => {
            let inside = sql.get(2..).unwrap_or_default();
            let end = inside.find("*/").map_or(bytes.len(), |n| 2 + n + 2);
            Some((end, true))
        }
        _ => None,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every `$name` of a piece of code: (byte of the `$`, name).
fn dollars(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (i, _) in code.match_indices('$') {
        let before = code.get(..i).and_then(|b| b.chars().next_back());
        let rest = code.get(i + 1..).unwrap_or_default();
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let name = rest.get(..end).unwrap_or_default();
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if begins && !before.is_some_and(is_word) {
            found.push((i, name));
        }
    }
    found
}

/// The `$name`s of SQL, outside of texts and comments, with the byte of their `$`.
pub fn parameters(sql: &str) -> Vec<(usize, &str)> {
    let mut all = Vec::new();
    for (at, piece) in pieces(sql) {
        if let Piece::Code(code) = piece {
            all.extend(dollars(code).into_iter().map(|(i, name)| (at + i, name)));
        }
    }
    all
}

/// The words of SQL, outside of texts and comments, with the byte that they begin at.
pub(crate) fn words(sql: &str) -> Vec<(usize, &str)> {
    let mut all = Vec::new();
    for (at, piece) in pieces(sql) {
        let Piece::Code(code) = piece else { continue };
        let mut rest = code;
        while let Some(start) = rest.find(is_word) {
            let word = rest.get(start..).unwrap_or_default();
            let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
            let (word, after) = word.split_at_checked(end).unwrap_or((word, ""));
            all.push((at + code.len() - word.len() - after.len(), word));
            rest = after;
        }
    }
    all
}

/// True when the SQL begins with SELECT or WITH: a full query, not a predicate.
pub fn is_query(sql: &str) -> bool {
    let mut code = pieces(sql).filter_map(|(_, piece)| match piece {
        Piece::Comment(_) => None,
        Piece::Code(text) | Piece::Quoted(text) => Some(text.trim_start()),
    });
    let first = code.find(|text| !text.is_empty()).unwrap_or_default();
    // `(SELECT …) …` and `((WITH` begin with them as well.
    let first = first.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
    let end = first.find(|c| !is_word(c)).unwrap_or(first.len());
    let word = first.get(..end).unwrap_or_default();
    word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("with")
}

/// Functions and words that read a clock or a generator: results must follow from the data and `$now`.
const UNSTEADY: &[&str] = &[
    "now",
    "current_date",
    "current_time",
    "current_timestamp",
    "today",
    "random",
    "uuid",
];

/// The first word of SQL that reads a clock or a generator. `today` and the like may be columns, so functions need
/// their parenthesis.
pub(crate) fn unsteady(sql: &str) -> Option<(usize, &str)> {
    words(sql).into_iter().find(|(at, word)| {
        let after = sql.get(at + word.len()..).unwrap_or_default().trim_start();
        let before = sql.get(..*at).and_then(|b| b.chars().next_back());
        let bare = word.to_ascii_lowercase().starts_with("current_");
        UNSTEADY.iter().any(|u| u.eq_ignore_ascii_case(word))
            && before != Some('$')
            && before != Some('.')
            && (bare || after.starts_with('('))
    })
}

impl ParameterValue {
    /// The value as SQL: `90`, `'text'`, `true`, `[1, 2]`.
    pub fn to_sql(&self) -> String {
        fn list<T>(items: &[T], write: impl Fn(&T) -> String) -> String {
            format!(
                "[{}]",
                items.iter().map(write).collect::<Vec<_>>().join(", ")
            )
        }
        match self {
            Self::Integer(n) => integer(*n),
            Self::Text(text) => quote(text),
            Self::Boolean(b) => b.to_string(),
            Self::Integers(items) => list(items, |n| integer(*n)),
            Self::Texts(items) => list(items, |t| quote(t)),
        }
    }
}

/// Negative numbers in parentheses: `x-$n` must not become a comment.
fn integer(n: i64) -> String {
    if n < 0 {
        format!("({n})")
    } else {
        n.to_string()
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

impl Check {
    /// The SQL `text` (this check's predicate, query, `where` or a message's expression) with every `$name` outside
    /// of texts and comments replaced by a literal: the value in `params`, else the parameter's default. `$now` is
    /// the text under `now` in `params`, as `TIMESTAMP '…'`; without it, and for names that are not declared, the
    /// `$name` stays.
    pub fn sql_with(&self, text: &str, params: &BTreeMap<String, ParameterValue>) -> String {
        let mut out = String::with_capacity(text.len());
        for (_, piece) in pieces(text) {
            let code = match piece {
                Piece::Code(code) => code,
                Piece::Quoted(text) | Piece::Comment(text) => {
                    out.push_str(text);
                    continue;
                }
            };
            let mut copied = 0;
            for (at, name) in dollars(code) {
                let declared = self.params.get(name).map(|p| &p.default);
                let Some(value) = params.get(name).or(declared) else {
                    continue;
                };
                out.push_str(code.get(copied..at).unwrap_or_default());
                match value {
                    ParameterValue::Text(time) if name == "now" => {
                        out.push_str("TIMESTAMP ");
                        out.push_str(&quote(time));
                    }
                    value => out.push_str(&value.to_sql()),
                }
                copied = at + 1 + name.len();
            }
            out.push_str(code.get(copied..).unwrap_or_default());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_in_code_only() {
        let sql = "a > $days AND b = '$x' -- $y\n AND /* $z */ c = \"$q\" AND d$e > 0 AND $now < f($n_1, $1)";
        let names: Vec<&str> = parameters(sql).into_iter().map(|(_, n)| n).collect();
        assert_eq!(names, ["days", "now", "n_1"]);
        assert!(
            parameters(sql)
                .iter()
                .all(|(i, _)| sql[*i..].starts_with('$'))
        );
    }

    #[test]
    fn queries_and_predicates() {
        for query in [
            "SELECT 1",
            "  with x as (select 1) select * from x",
            "-- c\n/* d */ Select 1",
            "(SELECT 1)",
        ] {
            assert!(is_query(query), "{query}");
        }
        for predicate in ["selected = true", "'select'", "", "-- select", "within > 1"] {
            assert!(!is_query(predicate), "{predicate}");
        }
    }

    #[test]
    fn clocks_and_generators() {
        assert_eq!(unsteady("a > now()").unwrap(), (4, "now"));
        assert!(unsteady("a > CURRENT_DATE - 1").is_some());
        assert!(unsteady("a > $now AND s.now = 1 AND now > 2 AND x = 'now()'").is_none());
    }

    proptest! {
        #[test]
        fn pieces_are_the_whole(sql in "([a-z$' \"\\-/*\n]|\\PC){0,40}") {
            let mut joined = String::new();
            for (at, piece) in pieces(&sql) {
                prop_assert_eq!(at, joined.len());
                match piece {
                    Piece::Code(t) | Piece::Quoted(t) | Piece::Comment(t) => joined.push_str(t),
                }
            }
            prop_assert_eq!(&joined, &sql);
            for (at, word) in words(&sql) {
                prop_assert!(sql[at..].starts_with(word));
            }
            let _ = (is_query(&sql), unsteady(&sql));
        }

        #[test]
        fn texts_stay_texts(value in "\\PC{0,20}") {
            let sql = ParameterValue::Text(value).to_sql();
            prop_assert_eq!(pieces(&sql).collect::<Vec<_>>(), vec![(0, Piece::Quoted(sql.as_str()))]);
        }
    }
}

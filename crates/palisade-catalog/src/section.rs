//! Reading TOML tables whose keys are a closed set, with the place of everything.
use crate::suggest;
use crate::text::Reporter;
use serde_json::{Map, Value as Json};
use std::cell::RefCell;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with the byte of the file that it begins at.
#[derive(Debug, Clone, PartialEq)]
pub struct Located<T> {
    /// What is there.
    pub value: T,
    /// Byte of the file.
    pub at: usize,
}

/// One TOML table. Every key that is asked for is a known key; [`Section::finish`] reports the others.
pub struct Section<'r> {
    reporter: &'r Reporter<'r>,
    table: &'r DeTable<'r>,
    /// What is added to TOML's offsets: where the TOML text begins in the file.
    base: usize,
    /// Where the table begins in the file.
    pub at: usize,
    /// How messages name the table; empty for the file's top.
    what: String,
    known: RefCell<Vec<&'static str>>,
}

/// Parses TOML text that begins at byte `base` of the file. `None` after reporting every syntax error.
pub fn parse<'t>(
    reporter: &Reporter<'_>,
    text: &'t str,
    base: usize,
) -> Option<Spanned<DeTable<'t>>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = base + error.span().map_or(0, |s| s.start);
        let message = error.message().trim_end_matches('.');
        reporter.error(at, format!("not TOML: {}", message.replace('\n', ", ")));
    }
    errors.is_empty().then_some(document)
}

impl<'r> Section<'r> {
    /// The file's top; `base` is the byte of the file at which the TOML text begins.
    pub fn top(reporter: &'r Reporter<'r>, table: &'r DeTable<'r>, base: usize) -> Self {
        Self {
            reporter,
            table,
            base,
            at: base,
            what: String::new(),
            known: RefCell::default(),
        }
    }

    fn within(&self, value: &'r DeTable<'r>, at: usize, what: String) -> Self {
        Self {
            reporter: self.reporter,
            table: value,
            base: self.base,
            at,
            what,
            known: RefCell::default(),
        }
    }

    fn named(&self, key: &str) -> String {
        if self.what.is_empty() {
            format!("`{key}`")
        } else {
            format!("`{key}` of {}", self.what)
        }
    }

    fn get(&self, key: &'static str) -> Option<(&'r DeValue<'r>, usize)> {
        self.known.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some((value.get_ref(), self.base + value.span().start))
    }

    /// Where a key's value begins; the table's own place when the key is absent.
    pub fn place(&self, key: &str) -> usize {
        self.table
            .get(key)
            .map_or(self.at, |v| self.base + v.span().start)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    fn wrong_type(&self, key: &str, at: usize, expected: &str, found: &DeValue<'_>) {
        self.reporter.error(
            at,
            format!(
                "{} must be {expected}, not {}",
                self.named(key),
                kind_of(found)
            ),
        );
    }

    fn missing(&self, key: &str) {
        self.reporter
            .error(self.at, format!("{} is missing", self.named(key)));
    }

    /// A text.
    pub fn text(&self, key: &'static str) -> Option<Located<String>> {
        let (value, at) = self.get(key)?;
        match value {
            DeValue::String(text) => Some(Located {
                value: text.to_string(),
                at,
            }),
            other => {
                self.wrong_type(key, at, "a text", other);
                None
            }
        }
    }

    /// A text that has to be there and not be blank.
    pub fn required(&self, key: &'static str) -> Option<Located<String>> {
        let text = self.text(key);
        match &text {
            None if !self.has(key) => self.missing(key),
            Some(found) if found.value.trim().is_empty() => self
                .reporter
                .error(found.at, format!("{} is empty", self.named(key))),
            _ => {}
        }
        text
    }

    /// One of a closed set of words.
    pub fn word<T: FromStr>(&self, key: &'static str, words: &[&str]) -> Option<T> {
        let text = self.text(key)?;
        self.parse_word(key, &text, words)
    }

    /// One of a closed set of words, which has to be there.
    pub fn required_word<T: FromStr>(&self, key: &'static str, words: &[&str]) -> Option<T> {
        let text = self.required(key)?;
        self.parse_word(key, &text, words)
    }

    fn parse_word<T: FromStr>(
        &self,
        key: &str,
        text: &Located<String>,
        words: &[&str],
    ) -> Option<T> {
        let parsed = text.value.parse().ok();
        if parsed.is_none() {
            self.reporter.error_hint(
                text.at,
                format!("unknown {key} `{}`", text.value),
                suggest::hint(&text.value, words.iter().copied()),
            );
        }
        parsed
    }

    /// true or false
    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let (value, at) = self.get(key)?;
        if let DeValue::Boolean(b) = value {
            return Some(*b);
        }
        self.wrong_type(key, at, "true or false", value);
        None
    }

    /// A whole number.
    pub fn integer(&self, key: &'static str) -> Option<Located<i64>> {
        let (value, at) = self.get(key)?;
        match integer_of(value) {
            Some(value) => Some(Located { value, at }),
            None => {
                self.wrong_type(key, at, "a whole number of 64 bits", value);
                None
            }
        }
    }

    /// A list of texts; one text alone is not a list.
    pub fn texts(&self, key: &'static str) -> Vec<Located<String>> {
        let Some((value, at)) = self.get(key) else {
            return Vec::new();
        };
        self.texts_of(key, value, at)
    }

    fn texts_of(&self, key: &str, value: &DeValue<'_>, at: usize) -> Vec<Located<String>> {
        let DeValue::Array(items) = value else {
            self.wrong_type(key, at, "a list of texts", value);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            let at = self.base + item.span().start;
            match item.get_ref() {
                DeValue::String(text) => texts.push(Located {
                    value: text.to_string(),
                    at,
                }),
                other => self.wrong_type(key, at, "a list of texts", other),
            }
        }
        texts
    }

    /// A list of texts as they stand.
    pub fn strings(&self, key: &'static str) -> Vec<String> {
        self.texts(key).into_iter().map(|t| t.value).collect()
    }

    /// Any value, with its place.
    pub fn value(&self, key: &'static str) -> Option<(&'r DeValue<'r>, usize)> {
        self.get(key)
    }

    /// A table as JSON.
    pub(crate) fn json(&self, key: &'static str) -> Map<String, Json> {
        match self.get(key) {
            None => Map::new(),
            Some((DeValue::Table(table), _)) => json_table(table),
            Some((other, at)) => {
                self.wrong_type(key, at, "a table", other);
                Map::new()
            }
        }
    }

    /// A table with closed keys.
    pub fn section(&self, key: &'static str) -> Option<Section<'r>> {
        let (value, at) = self.get(key)?;
        self.as_section(key, value, at, format!("`{key}`"))
    }

    fn as_section(
        &self,
        key: &str,
        value: &'r DeValue<'r>,
        at: usize,
        what: String,
    ) -> Option<Section<'r>> {
        if let DeValue::Table(table) = value {
            return Some(self.within(table, at, what));
        }
        self.wrong_type(key, at, "a table", value);
        None
    }

    /// A list of tables (`[[key]]`).
    pub fn sections(&self, key: &'static str) -> Vec<Section<'r>> {
        let Some((value, at)) = self.get(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.reporter.error_hint(
                at,
                format!(
                    "{} must be a list of tables, not {}",
                    self.named(key),
                    kind_of(value)
                ),
                matches!(value, DeValue::Table(_))
                    .then(|| format!("write `[[…{key}]]` with two brackets")),
            );
            return Vec::new();
        };
        items
            .iter()
            .filter_map(|item| {
                let at = self.base + item.span().start;
                self.as_section(key, item.get_ref(), at, format!("`{key}`"))
            })
            .collect()
    }

    /// The tables under a key whose names are free (`[table.<name>]`), in the order of the file.
    pub fn entries(&self, key: &'static str) -> Vec<(Located<String>, Section<'r>)> {
        let Some(parent) = self.section(key) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in parent.table.iter() {
            let at = self.base + name.span().start;
            let what = format!("{key} `{}`", name.get_ref());
            let located = Located {
                value: name.get_ref().to_string(),
                at,
            };
            if let DeValue::Table(table) = value.get_ref() {
                all.push((located, self.within(table, at, what)));
            } else {
                self.wrong_type(name.get_ref(), at, "a table", value.get_ref());
            }
        }
        all.sort_by_key(|(name, _)| name.at);
        all
    }

    /// The entries of a table whose keys are free and whose values are lists of texts.
    pub(crate) fn lists(&self, key: &'static str) -> Vec<(Located<String>, Vec<String>)> {
        let Some(parent) = self.section(key) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in parent.table.iter() {
            let at = self.base + name.span().start;
            let texts = parent.texts_of(
                name.get_ref(),
                value.get_ref(),
                self.base + value.span().start,
            );
            all.push((
                Located {
                    value: name.get_ref().to_string(),
                    at,
                },
                texts.into_iter().map(|t| t.value).collect(),
            ));
        }
        all.sort_by_key(|(name, _)| name.at);
        all
    }

    /// The entries of a table whose keys are free and whose values are texts (numbers and booleans as written).
    pub(crate) fn words(&self, key: &'static str) -> Vec<(Located<String>, String)> {
        let Some(parent) = self.section(key) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (name, value) in parent.table.iter() {
            let at = self.base + name.span().start;
            match scalar_text(value.get_ref()) {
                Some(text) => all.push((
                    Located {
                        value: name.get_ref().to_string(),
                        at,
                    },
                    text,
                )),
                None => parent.wrong_type(name.get_ref(), at, "a text", value.get_ref()),
            }
        }
        all.sort_by_key(|(name, _)| name.at);
        all
    }

    /// The entries of a table whose keys are free: name, value and where the value begins, in the order of the file.
    pub fn values(&self) -> Vec<(Located<String>, &'r DeValue<'r>, usize)> {
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|(name, value)| {
                let located = Located {
                    value: name.get_ref().to_string(),
                    at: self.base + name.span().start,
                };
                (located, value.get_ref(), self.base + value.span().start)
            })
            .collect();
        all.sort_by_key(|(name, _, _)| name.at);
        all
    }

    /// Reports every key that was not asked for.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                let whole = if self.what.is_empty() {
                    format!("unknown key `{name}`")
                } else {
                    format!("unknown key `{name}` in {}", self.what)
                };
                self.reporter.error_hint(
                    self.base + key.span().start,
                    whole,
                    suggest::hint(name, known.iter().copied()),
                );
            }
        }
    }
}

/// The value that a file gives to a parameter of a check; reports an unknown name and a value of another type.
pub fn parameter(
    reporter: &Reporter<'_>,
    check: &crate::Check,
    name: &Located<String>,
    value: &DeValue<'_>,
    at: usize,
) -> Option<crate::ParameterValue> {
    let Some(known) = check.params.get(&name.value) else {
        let message = format!("`{}` has no parameter `{}`", check.id, name.value);
        let hint = suggest::hint(&name.value, check.params.keys().map(String::as_str))
            .unwrap_or_else(|| "the check has no parameters".to_owned());
        reporter.error_hint(name.at, message, hint);
        return None;
    };
    let fitting = known.default.fitting(&json_of(value));
    if fitting.is_none() {
        reporter.error_hint(
            at,
            format!(
                "`{}` of `{}` must be {}, not {}",
                name.value,
                check.id,
                known.default.kind(),
                kind_of(value)
            ),
            format!("for example `{}`", known.default),
        );
    }
    fitting
}

/// A number, text or boolean as text.
pub(crate) fn scalar_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Integer(_) => integer_of(value).map(|i| i.to_string()),
        _ => None,
    }
}

/// A whole number of 64 bits.
pub fn integer_of(value: &DeValue<'_>) -> Option<i64> {
    let DeValue::Integer(number) = value else {
        return None;
    };
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// How messages call a value's type.
pub fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn json_table(table: &DeTable<'_>) -> Map<String, Json> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| (key.get_ref().to_string(), json_of(value.get_ref())))
        .collect()
}

/// TOML as JSON; dates become texts, numbers that JSON cannot write become texts as well.
pub fn json_of(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => {
            integer_of(value).map_or_else(|| Json::from(number.as_str()), Json::from)
        }
        DeValue::Float(number) => number
            .as_str()
            .parse::<f64>()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Json::from(number.as_str()), Json::Number),
        DeValue::Boolean(b) => Json::from(*b),
        DeValue::Datetime(date) => Json::from(date.to_string()),
        DeValue::Array(items) => items.iter().map(|v| json_of(v.get_ref())).collect(),
        DeValue::Table(table) => Json::Object(json_table(table)),
    }
}

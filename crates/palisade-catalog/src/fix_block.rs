//! The `fix` block: `service:Operation Param=value Param={Nested=value,List=[a,b]}`.
use crate::FixCall;
use crate::text::Reporter;
use serde_json::{Map, Value as Json};

/// Nesting deeper than this is refused, so that no text can exhaust the stack.
const DEEPEST: usize = 32;

/// Parses the lines of a block that begins at byte `base` of the file; each call with the byte that it begins at.
pub(crate) fn parse(reporter: &Reporter<'_>, block: &str, base: usize) -> Vec<(usize, FixCall)> {
    let mut calls = Vec::new();
    let mut at = base;
    for line in block.split_inclusive('\n') {
        let text = line.trim_end();
        if !text.trim().is_empty() {
            match parse_line(text) {
                Ok((service, operation, params)) => calls.push((
                    at,
                    FixCall {
                        service,
                        operation,
                        params,
                        line: reporter.line(at),
                    },
                )),
                Err(e) => reporter.error(at + e.offset, e.message),
            }
        }
        at += line.len();
    }
    calls
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wrong {
    offset: usize,
    message: String,
}

type Line = (String, String, Map<String, Json>);

fn parse_line(line: &str) -> Result<Line, Wrong> {
    let mut cursor = Cursor { text: line, at: 0 };
    cursor.spaces();
    let start = cursor.at;
    let head = cursor.take_while(|c| !c.is_whitespace());
    let named = head.split_once(':').filter(|(service, operation)| {
        crate::names::is_kebab(service)
            && operation.starts_with(|c: char| c.is_ascii_uppercase())
            && operation.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    let Some((service, operation)) = named else {
        return Err(Wrong {
            offset: start,
            message: format!("`{head}` is not a call: `service:Operation` is expected"),
        });
    };
    let mut params = Map::new();
    loop {
        let before = cursor.at;
        cursor.spaces();
        if cursor.peek().is_none() {
            break;
        }
        if before == cursor.at {
            return Err(cursor.wrong("a space is expected between parameters"));
        }
        cursor.entry(&mut params, 0)?;
    }
    Ok((service.to_owned(), operation.to_owned(), params))
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }
    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }
    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }
    fn spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }
    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
    fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong {
            offset: self.at,
            message: message.into(),
        }
    }

    /// `Name=value`; names of map entries may be quoted.
    fn entry(&mut self, into: &mut Map<String, Json>, depth: usize) -> Result<(), Wrong> {
        let start = self.at;
        let name = if self.peek() == Some('"') {
            self.quoted()?
        } else {
            self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
                .to_owned()
        };
        if name.is_empty() || !self.eat('=') {
            self.at = start;
            return Err(self.wrong("`Name=value` is expected"));
        }
        let value = self.value(depth)?;
        if into.contains_key(&name) {
            self.at = start;
            return Err(self.wrong(format!("`{name}` is given twice")));
        }
        into.insert(name, value);
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Json, Wrong> {
        if depth >= DEEPEST {
            return Err(self.wrong("values are nested too deeply"));
        }
        match self.peek() {
            Some('"') => Ok(Json::from(self.quoted()?)),
            Some('{') => {
                self.at += 1;
                let mut map = Map::new();
                self.items('}', |cursor| cursor.entry(&mut map, depth + 1))?;
                Ok(Json::Object(map))
            }
            Some('[') => {
                self.at += 1;
                let mut list = Vec::new();
                self.items(']', |cursor| {
                    list.push(cursor.value(depth + 1)?);
                    Ok(())
                })?;
                Ok(Json::Array(list))
            }
            _ => self.bare(),
        }
    }

    fn items(
        &mut self,
        close: char,
        mut item: impl FnMut(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        self.spaces();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            self.spaces();
            item(self)?;
            self.spaces();
            if self.eat(close) {
                return Ok(());
            }
            if !self.eat(',') {
                return Err(self.wrong(format!("`,` or `{close}` is expected")));
            }
        }
    }

    fn quoted(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.eat('"');
        let mut out = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(out),
                '\\' => match self.peek() {
                    Some(escaped @ ('"' | '\\')) => {
                        self.at += 1;
                        out.push(escaped);
                    }
                    _ => return Err(self.wrong("only `\\\"` and `\\\\` are escapes")),
                },
                c => out.push(c),
            }
        }
        self.at = start;
        Err(self.wrong("the quote is not closed"))
    }

    /// A bare word, a number, true or false. `${…}` may be part of a word.
    fn bare(&mut self) -> Result<Json, Wrong> {
        let start = self.at;
        loop {
            self.take_while(|c| {
                !c.is_whitespace() && !matches!(c, ',' | '{' | '}' | '[' | ']' | '"' | '=' | '$')
            });
            if self.rest().starts_with("${") {
                let length = self.rest().find('}');
                let Some(length) = length else {
                    return Err(self.wrong("`${` is not closed"));
                };
                self.at += length + 1;
            } else if !self.eat('$') {
                break;
            }
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        if word.is_empty() {
            return Err(self.wrong("a value is expected"));
        }
        Ok(scalar(word))
    }
}

/// Digits with a leading zero stay text: account ids.
fn scalar(word: &str) -> Json {
    match word {
        "true" => return Json::Bool(true),
        "false" => return Json::Bool(false),
        _ => {}
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    match word.parse::<i64>() {
        Ok(number) if plain => return Json::from(number),
        _ => {}
    }
    let decimal = digits.split_once('.').is_some_and(|(whole, part)| {
        let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        digits(whole) && digits(part)
    });
    match word
        .parse::<f64>()
        .ok()
        .and_then(serde_json::Number::from_f64)
    {
        Some(number) if decimal => Json::Number(number),
        _ => Json::from(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn params(line: &str) -> Json {
        Json::Object(parse_line(line).unwrap().2)
    }

    #[test]
    fn values() {
        assert_eq!(
            params(
                "s3:PutBucketVersioning Bucket=${name} VersioningConfiguration={Status=Enabled}"
            ),
            json!({"Bucket": "${name}", "VersioningConfiguration": {"Status": "Enabled"}})
        );
        assert_eq!(
            params(
                r#"x:Y A=1 B=-2.5 C=true D="a \"b\" ,c" E=[a, {F=1},[]] G={} H=012345678901 I={"aws:tag"=v}"#
            ),
            json!({"A": 1, "B": -2.5, "C": true, "D": "a \"b\" ,c", "E": ["a", {"F": 1}, []], "G": {},
                   "H": "012345678901", "I": {"aws:tag": "v"}})
        );
        assert_eq!(
            params("x:Y A=arn:${partition}:iam::${account_id}:role/a B=$5"),
            json!({"A": "arn:${partition}:iam::${account_id}:role/a", "B": "$5"})
        );
    }

    #[test]
    fn mistakes_have_places() {
        for (line, offset, message) in [
            ("PutBucket A=1", 0, "is not a call"),
            ("s3:putBucket", 0, "is not a call"),
            ("s3:Put A", 7, "`Name=value`"),
            ("s3:Put A=", 9, "a value is expected"),
            ("s3:Put A={B=1", 13, "`,` or `}`"),
            ("s3:Put A=[1 2]", 12, "`,` or `]`"),
            ("s3:Put A=\"x", 9, "not closed"),
            ("s3:Put A=${x", 9, "not closed"),
            ("s3:Put A=1 A=2", 11, "given twice"),
            ("s3:Put A={}B=1", 11, "a space"),
        ] {
            let error = parse_line(line).unwrap_err();
            assert_eq!(error.offset, offset, "{line}: {error:?}");
            assert!(error.message.contains(message), "{line}: {error:?}");
        }
        let deep = format!("a:B C={}", "[".repeat(10_000));
        assert!(parse_line(&deep).unwrap_err().message.contains("deeply"));
    }

    fn write(value: &Json) -> String {
        match value {
            Json::String(text) => {
                format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
            }
            Json::Array(items) => {
                format!(
                    "[{}]",
                    items.iter().map(write).collect::<Vec<_>>().join(",")
                )
            }
            Json::Object(map) => {
                let entry = |(k, v): (&String, &Json)| format!("{k}={}", write(v));
                format!(
                    "{{{}}}",
                    map.iter().map(entry).collect::<Vec<_>>().join(",")
                )
            }
            other => other.to_string(),
        }
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "\\PC{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 20, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                proptest::collection::btree_map("[A-Z][a-z]{0,4}", inner, 0..4)
                    .prop_map(|m| Json::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn written_and_read(value in value()) {
            prop_assert_eq!(params(&format!("a:B C={}", write(&value))), json!({"C": value}));
        }

        #[test]
        fn never_panics(text in "a:B ([A-Z]=|\\PC|[{}\\[\\],\"$]){0,30}") {
            let _ = parse_line(&text);
        }
    }
}

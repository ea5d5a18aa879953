//! The `rows` block of a check page: an expected status, then JSON in which `!Code` stands for a cell that could not
//! be read.
use crate::text::Reporter;
use crate::{Fixture, FixtureStatus, suggest};
use palisade_core::Status;
use serde_json::{Map, Number, Value as Json};

/// Nesting deeper than this is refused, so that no text can exhaust the stack.
const DEEPEST: usize = 64;

/// The key of the object that stands for a cell that could not be read.
pub const ERROR_KEY: &str = "!error";

fn expectation(word: &str) -> Option<FixtureStatus> {
    if word == "none" {
        return Some(FixtureStatus::None);
    }
    word.parse::<Status>().ok().map(FixtureStatus::Finding)
}

/// Parses a block that begins at byte `base` of the file.
pub(crate) fn parse(reporter: &Reporter<'_>, block: &str, base: usize) -> Vec<Fixture> {
    let mut fixtures = Vec::new();
    let mut cursor = Cursor { text: block, at: 0 };
    loop {
        cursor.spaces();
        if cursor.peek().is_none() {
            return fixtures;
        }
        let start = cursor.at;
        match cursor.fixture() {
            Ok((expect, data)) => fixtures.push(Fixture {
                expect,
                data,
                line: reporter.line(base + start),
            }),
            Err(e) => {
                reporter.error_hint(base + e.offset, e.message, e.hint);
                cursor.at = start;
                cursor.skip_fixture();
            }
        }
    }
}

struct Wrong {
    offset: usize,
    message: String,
    hint: Option<String>,
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
    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !accept(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }
    fn spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }
    fn wrong(&self, message: impl Into<String>) -> Wrong {
        Wrong {
            offset: self.at,
            message: message.into(),
            hint: None,
        }
    }

    /// To the next line that begins with a word, after at least one line.
    fn skip_fixture(&mut self) {
        loop {
            self.take_while(|c| c != '\n');
            if !self.eat('\n') {
                return;
            }
            let line = self.rest();
            let word = line.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            if word.is_none_or(|end| end > 0) {
                return;
            }
        }
    }

    fn fixture(&mut self) -> Result<(FixtureStatus, Map<String, Json>), Wrong> {
        let start = self.at;
        let word = self.take_while(|c| !c.is_whitespace() && c != '{');
        let Some(expect) = expectation(word) else {
            const WORDS: [&str; 6] = [
                "pass",
                "fail",
                "unknown",
                "not_applicable",
                "manual",
                "none",
            ];
            return Err(Wrong {
                offset: start,
                message: format!("unknown fixture `{word}`: an expected status begins a row"),
                hint: suggest::hint(word, WORDS),
            });
        };
        self.take_while(|c| c == ' ' || c == '\t');
        if self.peek() != Some('{') {
            return Err(self.wrong("a JSON object is expected after the status"));
        }
        let Json::Object(data) = self.value(0)? else {
            return Err(self.wrong("a JSON object is expected after the status"));
        };
        self.take_while(|c| c == ' ' || c == '\t' || c == '\r');
        if !matches!(self.peek(), None | Some('\n')) {
            return Err(self.wrong("the end of the line is expected after the object"));
        }
        Ok((expect, data))
    }

    fn value(&mut self, depth: usize) -> Result<Json, Wrong> {
        if depth >= DEEPEST {
            return Err(self.wrong("values are nested too deeply"));
        }
        match self.peek() {
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => Ok(Json::from(self.string()?)),
            Some('!') => self.failure(),
            Some(c) if c == '-' || c.is_ascii_digit() => self.number(),
            _ => {
                let start = self.at;
                match self.take_while(|c| c.is_alphanumeric() || c == '_') {
                    "true" => Ok(Json::Bool(true)),
                    "false" => Ok(Json::Bool(false)),
                    "null" => Ok(Json::Null),
                    word => {
                        self.at = start;
                        Err(if word.is_empty() {
                            self.wrong("a JSON value is expected")
                        } else {
                            self.wrong(format!("`{word}` is not a JSON value; texts are quoted"))
                        })
                    }
                }
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Wrong> {
        self.at += 1;
        let mut map = Map::new();
        self.spaces();
        if self.eat('}') {
            return Ok(Json::Object(map));
        }
        loop {
            self.spaces();
            let start = self.at;
            if self.peek() != Some('"') {
                return Err(self.wrong("a quoted name is expected"));
            }
            let name = self.string()?;
            self.spaces();
            if !self.eat(':') {
                return Err(self.wrong("`:` is expected"));
            }
            self.spaces();
            let value = self.value(depth + 1)?;
            if map.contains_key(&name) {
                self.at = start;
                return Err(self.wrong(format!("`{name}` is given twice")));
            }
            map.insert(name, value);
            self.spaces();
            if self.eat('}') {
                return Ok(Json::Object(map));
            }
            if !self.eat(',') {
                return Err(self.wrong("`,` or `}` is expected"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, Wrong> {
        self.at += 1;
        let mut items = Vec::new();
        self.spaces();
        if self.eat(']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.spaces();
            items.push(self.value(depth + 1)?);
            self.spaces();
            if self.eat(']') {
                return Ok(Json::Array(items));
            }
            if !self.eat(',') {
                return Err(self.wrong("`,` or `]` is expected"));
            }
        }
    }

    /// `!Code`
    fn failure(&mut self) -> Result<Json, Wrong> {
        let start = self.at;
        self.at += 1;
        let code = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if code.is_empty() {
            self.at = start;
            return Err(self.wrong("an error code is expected after `!`"));
        }
        let mut map = Map::new();
        map.insert(ERROR_KEY.to_owned(), Json::from(code));
        Ok(Json::Object(map))
    }

    fn number(&mut self) -> Result<Json, Wrong> {
        let start = self.at;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
        // serde_json knows the grammar of JSON's numbers.
        serde_json::from_str::<Number>(word)
            .map(Json::Number)
            .map_err(|_| Wrong {
                offset: start,
                message: format!("`{word}` is not a number"),
                hint: None,
            })
    }

    fn string(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 1;
        loop {
            self.take_while(|c| !matches!(c, '"' | '\\' | '\n'));
            match self.peek() {
                Some('"') => {
                    self.at += 1;
                    break;
                }
                Some('\\') => {
                    self.at += 1;
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                _ => {
                    self.at = start;
                    return Err(self.wrong("the quote is not closed on its line"));
                }
            }
        }
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(quoted).map_err(|_| Wrong {
            offset: start,
            message: format!("{quoted} is not a JSON text"),
            hint: Some("write a backslash as `\\\\`".to_owned()),
        })
    }
}

/// The error code when the value stands for a cell that could not be read.
pub fn error_code(value: &Json) -> Option<&str> {
    let map = value.as_object().filter(|m| m.len() == 1)?;
    map.get(ERROR_KEY)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(block: &str) -> (Vec<Fixture>, Vec<String>) {
        let reporter = Reporter::new("f", block);
        let fixtures = parse(&reporter, block, 0);
        let found = reporter.into_diagnostics();
        (fixtures, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rows_with_cells_that_could_not_be_read() {
        let (fixtures, problems) = read(
            "pass { \"a\": 1, \"b\": [true, null, -2.5e3, \"\\u00e4\\\"\"] }\n\nunknown {\n  \"a\": !Access.Denied,\n  \"t\": {}\n}\r\nnone {}\n",
        );
        assert_eq!(problems, [""; 0]);
        let data = |i: usize| Json::Object(fixtures[i].data.clone());
        assert_eq!(data(0), json!({"a": 1, "b": [true, null, -2500.0, "ä\""]}));
        assert_eq!(data(1), json!({"a": {"!error": "Access.Denied"}, "t": {}}));
        assert_eq!(error_code(&fixtures[1].data["a"]), Some("Access.Denied"));
        assert_eq!(fixtures[1].expect, FixtureStatus::Finding(Status::Unknown));
        assert_eq!(fixtures[2].expect, FixtureStatus::None);
        assert_eq!(
            [fixtures[0].line, fixtures[1].line, fixtures[2].line],
            [1, 3, 7]
        );
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let (fixtures, problems) = read(
            "passs { \"a\": 1 }\nfail { \"a\": tru }\nfail {\n  \"a\": 1\n  \"b\": 2\n}\nfail { \"a\": ! }\nfail { \"a\": 1, \"a\": 2 }\nfail { \"a\": \"x }\nfail { \"a\": 01 }\nfail 3\nfail {} x\npass { \"ok\": 1 }\n",
        );
        assert_eq!(fixtures.len(), 1);
        insta::assert_snapshot!(problems.join("\n"), @r"
        f:1:1: error: unknown fixture `passs`: an expected status begins a row
          hint: did you mean `pass`?
        f:2:13: error: `tru` is not a JSON value; texts are quoted
        f:5:3: error: `,` or `}` is expected
        f:7:13: error: an error code is expected after `!`
        f:8:16: error: `a` is given twice
        f:9:13: error: the quote is not closed on its line
        f:10:13: error: `01` is not a number
        f:11:6: error: a JSON object is expected after the status
        f:12:9: error: the end of the line is expected after the object
        ");
    }

    #[test]
    fn depth_is_limited() {
        let (_, problems) = read(&format!("pass {{\"a\": {}", "[".repeat(100_000)));
        assert!(problems[0].contains("deeply"), "{problems:?}");
    }

    proptest! {
        #[test]
        fn never_panics(text in "((pass|fail) ?\\{)?(\\PC|[{}\\[\\]\",:!\n\\\\]){0,40}") {
            read(&text);
        }

        #[test]
        fn json_is_read_as_json(text in "\\PC{0,12}", number in any::<i64>(), float in any::<f32>()) {
            let value = json!({"t": text, "n": [number, {"x": null}], "f": float});
            let (fixtures, problems) = read(&format!("pass {value}"));
            prop_assert_eq!(problems, Vec::<String>::new());
            prop_assert_eq!(Json::Object(fixtures[0].data.clone()), value);
        }
    }
}

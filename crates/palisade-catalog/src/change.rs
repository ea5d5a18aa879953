//! Change files: what a mutating operation changes, how that is read, and how it is taken back. See
//! `docs/specs/change.md`.
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// What a change can do to what runs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing that runs notices.
    None,
    /// A restart or a failover, or a while of less capacity.
    BriefInterruption,
    /// Somebody who used it may be shut out.
    MayBreakAccess,
}

impl Risk {
    /// The word in files and plans.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::BriefInterruption => "brief-interruption",
            Self::MayBreakAccess => "may-break-access",
        }
    }
}

impl std::fmt::Display for Risk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Risk {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::None, Self::BriefInterruption, Self::MayBreakAccess]
            .into_iter()
            .find(|r| r.as_str() == text)
            .ok_or(())
    }
}

/// A step into a described state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateStep {
    /// A member of a structure or the entry of a map; may hold `${Param}`.
    Member(String),
    /// `[]`: the one element of a list; more than one, or none, is an error.
    Only,
    /// `[*]`: every element; what follows is taken of each.
    Every,
    /// `[Name=value]`: the element whose member has that value; none means that there is no such setting.
    Where(String, String),
}

/// One mutating operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// API model.
    pub service: String,
    /// Operation.
    pub operation: String,
    /// The file, for messages.
    pub file: String,
    /// Line of its header.
    pub line: u32,
    /// What it does, one sentence.
    pub about: String,
    /// What it can do to what runs.
    pub risk: Risk,
    /// What the inverse call cannot bring back.
    pub lost: Option<String>,
    /// Parameters that say what is changed.
    pub key: Vec<String>,
    /// Parameters that belong to the call and to no state; the inverse call repeats them.
    pub fixed: Vec<String>,
    /// True when the operation resets what it is not given: every setting that has a value is sent.
    pub replaces: bool,
    /// Parameters that such an operation has besides, and that AWS does not describe as a state.
    pub ignored: Vec<String>,
    /// Parameter → path into the state → what it must say for a call with that parameter to do only what it says.
    pub requires: BTreeMap<String, Map<String, Json>>,
    /// The call that describes the state.
    pub read: ChangeRead,
    /// Parameter path → what it sets.
    pub settings: BTreeMap<String, Setting>,
    /// What the call makes of itself: path into the state → value.
    pub makes: Vec<(String, Json)>,
    /// What the call adds to a list of the state or takes from it.
    pub items: Option<Items>,
    /// How it is taken back, where it is not the same operation with the values that were there; the first that holds.
    pub inverse: Vec<Inverse>,
    /// The operation of the same API that must have been made, and observed, before this one: it destroys after a while,
    /// and no fix block or playbook may call it.
    pub retires: Option<String>,
    /// Parameter path, `.`, or `KeyParameter=value` → the place in infrastructure as code.
    pub code: BTreeMap<String, crate::Declared>,
    /// Seconds in which the described state follows the call.
    pub settle: u32,
}

/// A query that says what uses the resources of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uses {
    /// The table.
    pub table: String,
    /// What uses them, in words.
    pub about: String,
    /// SQL with the columns `account_id`, `id`, `used_by`, and `region` where the table is regional.
    pub sql: String,
}

/// The call that describes the state that a change changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeRead {
    /// Operation of the same API.
    pub call: String,
    /// Parameters; texts may hold `${Param}` of the change.
    pub params: Map<String, Json>,
    /// Path to the state in the answer.
    pub from: String,
    /// Error codes that mean that nothing is set.
    pub absent: Vec<String>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Path into the state.
    pub from: String,
    /// The parameter takes the place of the whole setting: what is not wanted otherwise is sent as it was.
    pub whole: bool,
    /// Member by which elements of the list are told apart.
    pub by: Option<String>,
    /// The value is an IAM policy: wanted statements are added, every other is kept.
    pub policy: bool,
    /// The parameter's value that comes closest to "not set", where nothing was set.
    pub absent: Option<Json>,
    /// What the state says → what the parameter takes.
    pub values: BTreeMap<String, Json>,
    /// Path into the state where a value waits that will hold later.
    pub pending: Option<String>,
    /// Where it is more than the operation's.
    pub risk: Option<Risk>,
    /// What cannot be brought back.
    pub lost: Option<String>,
    /// Why it cannot be taken back at all.
    pub forever: Option<String>,
}

/// Elements that a call adds to a list of the state or takes from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Items {
    /// Adds, else takes away.
    pub adds: bool,
    /// Path of the parameter that lists them; without it the call names one.
    pub each: Option<String>,
    /// Path of the list in the state.
    pub from: String,
    /// What an element looks like there; `${item}` is the parameter's element.
    pub item: Json,
    /// Members by which the parameter's elements, which are structures then, name those of the state. Empty: by `item`.
    pub by: Vec<String>,
    /// Lists inside an element → which of their elements a call names. With any, only these are taken away, and the element
    /// itself when nothing is left in them.
    pub inner: BTreeMap<String, Inner>,
}

/// A list inside the elements of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner {
    /// Members by which its elements are told apart.
    pub by: Vec<String>,
    /// Members that belong to them besides, and come back with them.
    pub with: Vec<String>,
}

/// How a change is taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct Inverse {
    /// Only when nothing was set.
    pub absent: bool,
    /// Only when these paths had no value.
    pub missing: Vec<String>,
    /// Only when these paths had these values.
    pub when: Map<String, Json>,
    /// Operation of the same API.
    pub call: String,
    /// Parameters: `${Param}` of the change, `${items}` that were affected.
    pub params: Map<String, Json>,
    /// What the state says after it, where that is not what was there: path → value.
    pub leaves: Map<String, Json>,
    /// What it cannot bring back.
    pub lost: Option<String>,
}

/// The steps of a path into a state: `Reservations[].Instances[]`, `Attributes[Name=${AttributeName}].Values`. `.` and
/// the empty text are the state itself.
///
/// # Errors
/// When it is not such a path: what is wrong.
pub fn parse_state_path(path: &str) -> Result<Vec<StateStep>, String> {
    let mut steps = Vec::new();
    if path.is_empty() || path == "." {
        return Ok(steps);
    }
    let mut rest = path;
    loop {
        let (name, after) = name(rest);
        if name.is_empty() {
            return Err(format!("`{path}` is not a path: a name is missing"));
        }
        steps.push(StateStep::Member(name.to_owned()));
        rest = after;
        while let Some(inner) = rest.strip_prefix('[') {
            let Some((inside, after)) = closing(inner) else {
                return Err(format!("`{path}` is not a path: `[` is not closed"));
            };
            rest = after;
            if inside.is_empty() {
                steps.push(StateStep::Only);
            } else if inside == "*" {
                steps.push(StateStep::Every);
            } else if let Some((member, value)) = inside.split_once('=')
                && !member.is_empty()
                && !value.is_empty()
            {
                steps.push(StateStep::Where(member.to_owned(), value.to_owned()));
            } else {
                return Err(format!(
                    "`{path}` is not a path: `[]` or `[Member=value]` is expected"
                ));
            }
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        rest = rest
            .strip_prefix('.')
            .ok_or_else(|| format!("`{path}` is not a path: `.` is expected before `{rest}`"))?;
    }
}

/// Up to the next `.` or `[` that is not inside `${…}`.
fn name(text: &str) -> (&str, &str) {
    let mut inside = false;
    let end = text.find(|c| {
        match c {
            '{' => inside = true,
            '}' => inside = false,
            '.' | '[' if !inside => return true,
            _ => {}
        }
        false
    });
    text.split_at(end.unwrap_or(text.len()))
}

fn closing(text: &str) -> Option<(&str, &str)> {
    text.split_once(']')
}

/// The names of `${Name}` in a text, in order. `None` when one is not closed.
pub fn placeholders(text: &str) -> Option<Vec<&str>> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}')?;
        names.push(name);
        rest = tail;
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let member = |n: &str| StateStep::Member(n.to_owned());
        assert_eq!(parse_state_path(".").unwrap(), []);
        assert_eq!(
            parse_state_path("Reservations[].Instances[].A").unwrap(),
            [
                member("Reservations"),
                StateStep::Only,
                member("Instances"),
                StateStep::Only,
                member("A")
            ]
        );
        assert_eq!(
            parse_state_path("A[Name=${X.y}].Attributes.${B.c}").unwrap(),
            [
                member("A"),
                StateStep::Where("Name".into(), "${X.y}".into()),
                member("Attributes"),
                member("${B.c}")
            ]
        );
        assert_eq!(
            parse_state_path("A[*].B").unwrap(),
            [member("A"), StateStep::Every, member("B")]
        );
        for bad in ["A..B", ".A", "A.", "[]", "A[", "A[x]", "A[=x]", "A[]B"] {
            assert!(parse_state_path(bad).is_err(), "{bad}");
        }
        assert_eq!(placeholders("a${B}c${D}").unwrap(), ["B", "D"]);
        assert_eq!(placeholders("a${B"), None);
    }
}

//! Paths into an answer: `Reservations[].Instances[]`, `.`, `Attributes.Policy`, `Settings[Name=Retention].Value`.
use crate::Step;

/// Not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path: {reason}")]
pub struct PathError {
    /// What was found.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The steps of a path. `.` and the empty path are the answer itself: no steps.
///
/// # Errors
/// When a name is empty, or brackets stand for anything but `[]` or `[member=text]` at the end of a name.
pub fn parse_path(path: &str) -> Result<Vec<Step>, PathError> {
    let wrong = |reason| PathError {
        path: path.to_owned(),
        reason,
    };
    let mut steps = Vec::new();
    if path.is_empty() || path == "." {
        return Ok(steps);
    }
    for part in path.split('.') {
        let mut name = part;
        let mut each = 0;
        while let Some(rest) = name.strip_suffix("[]") {
            name = rest;
            each += 1;
        }
        let mut chosen = None;
        if each == 0
            && let Some((before, conditions)) =
                name.strip_suffix(']').and_then(|n| n.split_once('['))
        {
            name = before;
            chosen = Some(conditions_of(conditions).ok_or_else(|| wrong(CONDITIONS))?);
        }
        if name.is_empty() {
            return Err(wrong("a name is missing"));
        }
        if name.contains(['[', ']']) {
            return Err(wrong(
                "only `[]` (every element) and `[member=text]` are understood",
            ));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong("names have no spaces"));
        }
        steps.push(Step::Member(name.to_owned()));
        steps.extend(chosen.map(Step::Where));
        steps.extend(std::iter::repeat_n(Step::Each, each));
    }
    Ok(steps)
}

const CONDITIONS: &str = "elements are chosen by `[member=text]` or `[member=text,member=text]`";

/// `a=b,c=d`.
fn conditions_of(text: &str) -> Option<Vec<(String, String)>> {
    let plain = |t: &str| {
        !t.is_empty() && !t.contains(|c: char| c.is_whitespace() || ['[', ']', '='].contains(&c))
    };
    let one = |condition: &str| {
        let (member, value) = condition.split_once('=')?;
        (plain(member) && plain(value)).then(|| (member.to_owned(), value.to_owned()))
    };
    text.split(',').map(one).collect()
}

/// The conditions of a step, as they are written.
pub fn write_conditions(conditions: &[(String, String)]) -> String {
    let each = conditions.iter().map(|(m, v)| format!("{m}={v}"));
    format!("[{}]", each.collect::<Vec<_>>().join(","))
}

/// The text of a path.
pub fn write_path(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Member(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Each => out.push_str("[]"),
            Step::Where(conditions) => out.push_str(&write_conditions(conditions)),
        }
    }
    if out.is_empty() {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths() {
        let member = |n: &str| Step::Member(n.to_owned());
        assert_eq!(
            parse_path("Reservations[].Instances[]").unwrap(),
            [
                member("Reservations"),
                Step::Each,
                member("Instances"),
                Step::Each
            ]
        );
        assert_eq!(
            parse_path("Attributes.Policy").unwrap(),
            [member("Attributes"), member("Policy")]
        );
        assert_eq!(parse_path(".").unwrap(), []);
        let chosen = |pairs: &[(&str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(m, v)| ((*m).to_owned(), (*v).to_owned()));
            Step::Where(owned.collect())
        };
        assert_eq!(
            parse_path("Settings[Namespace=aws:x,Name=Retention].Value").unwrap(),
            [
                member("Settings"),
                chosen(&[("Namespace", "aws:x"), ("Name", "Retention")]),
                member("Value")
            ]
        );
        for bad in [
            "A..B", ".A", "A.", "[]", "A[0]", "A[]B", "A [].B", "A[", "A[=b]", "A[a=]", "A[a=b",
            "A[a=b,]", "A[a=b][]", "A[a=b=c]", "[a=b]",
        ] {
            assert!(parse_path(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(text in "\\PC{0,30}|([A-Za-z]{1,4}(\\[\\]|\\[a=[b-d:]{1,3}(,c=d)?\\]){0,2}\\.){0,4}[A-Z]{1,3}") {
            if let Ok(steps) = parse_path(&text) {
                prop_assert_eq!(parse_path(&write_path(&steps)).unwrap(), steps);
            }
        }
    }
}

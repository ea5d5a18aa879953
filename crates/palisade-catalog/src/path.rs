//! Paths into an answer: `Reservations[].Instances[]`, `.`, `Attributes.Policy`.
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
/// When a name is empty, or brackets stand for anything but `[]` at the end of a name.
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
        if name.is_empty() {
            return Err(wrong("a name is missing"));
        }
        if name.contains(['[', ']']) {
            return Err(wrong("only `[]` (every element) is understood"));
        }
        if name.contains(char::is_whitespace) {
            return Err(wrong("names have no spaces"));
        }
        steps.push(Step::Member(name.to_owned()));
        steps.extend(std::iter::repeat_n(Step::Each, each));
    }
    Ok(steps)
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
        for bad in ["A..B", ".A", "A.", "[]", "A[0]", "A[]B", "A [].B", "A["] {
            assert!(parse_path(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn written_and_read(text in "\\PC{0,30}|([A-Za-z]{1,4}(\\[\\]){0,2}\\.){0,4}[A-Z]{1,3}") {
            if let Ok(steps) = parse_path(&text) {
                prop_assert_eq!(parse_path(&write_path(&steps)).unwrap(), steps);
            }
        }
    }
}

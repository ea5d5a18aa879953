//! Which checks a user means.
use crate::{Catalog, Check, Equivalents, suggest};
use std::sync::Arc;

/// No check is meant by what the user wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct UnknownCheck {
    /// What was written.
    pub spec: String,
    /// Nearest known ids, best first; may be empty.
    pub suggestions: Vec<String>,
}

impl std::fmt::Display for UnknownCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown check `{}`", self.spec)?;
        if !self.suggestions.is_empty() {
            write!(f, "; did you mean `{}`?", self.suggestions.join("` or `"))?;
        }
        Ok(())
    }
}

type List = fn(&Equivalents) -> &[String];

/// Tools whose ids are understood, with a colon.
const TOOLS: &[(&str, List)] = &[
    ("prowler", |e| &e.prowler),
    ("security_hub", |e| &e.security_hub),
    ("config", |e| &e.config),
];

impl Catalog {
    /// The checks that `spec` means: an id, a glob over ids (`s3-*`, `*-mfa`, `?` for one character), or another tool's
    /// id (`prowler:s3_bucket_object_versioning`, `security_hub:S3.14`, `config:s3-bucket-versioning-enabled`; globs
    /// there as well). Sorted by id, never empty.
    ///
    /// # Errors
    /// When no check is meant, with the nearest ids.
    pub fn resolve_check(&self, spec: &str) -> Result<Vec<Arc<Check>>, UnknownCheck> {
        if let Some(check) = self.checks.get(spec) {
            return Ok(vec![Arc::clone(check)]);
        }
        let unknown = |suggestions| {
            Err(UnknownCheck {
                spec: spec.to_owned(),
                suggestions,
            })
        };
        if let Some((tool, id)) = spec.split_once(':') {
            let Some((_, list)) = TOOLS.iter().find(|(name, _)| *name == tool) else {
                let tools = TOOLS.iter().map(|(name, _)| *name);
                let near = suggest::nearest(tool, tools.clone());
                return unknown(match near {
                    Some(near) => vec![format!("{near}:{id}")],
                    None => tools.map(|t| format!("{t}:…")).collect(),
                });
            };
            let meant = |check: &&Arc<Check>| list(&check.same_as).iter().any(|i| matches(id, i));
            let found: Vec<_> = self.checks.values().filter(meant).cloned().collect();
            if found.is_empty() {
                let all = self.checks.values().flat_map(|c| list(&c.same_as));
                let near = suggest::candidates(id, all.map(String::as_str));
                return unknown(near.into_iter().map(|n| format!("{tool}:{n}")).collect());
            }
            return Ok(found);
        }
        let found: Vec<_> = self
            .checks
            .values()
            .filter(|c| matches(spec, &c.id))
            .cloned()
            .collect();
        if found.is_empty() {
            let ids = self.checks.keys().map(String::as_str);
            return unknown(suggest::candidates(spec.trim_end_matches(['*', '-']), ids));
        }
        Ok(found)
    }
}

/// `*` is any run of characters, `?` is one. Linear in the text for each `*`.
fn matches(glob: &str, text: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut g, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                retry = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || Some(c) == text.get(t) => {
                g += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    g = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    glob.get(g..)
        .is_some_and(|rest| rest.iter().all(|c| *c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slow(glob: &[char], text: &[char]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|i| slow(rest, &text[i..])),
            Some((c, rest)) => text
                .split_first()
                .is_some_and(|(t, tail)| (*c == '?' || c == t) && slow(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn globs_match_as_defined(glob in "[ab*?]{0,8}", text in "[ab]{0,8}") {
            let chars = |t: &str| t.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&glob, &text), slow(&chars(&glob), &chars(&text)));
        }
    }
}

//! Which findings a destination gets.
use palisade_core::{Assessment, Finding, Severity, Status};
use std::collections::BTreeMap;

/// Which findings a destination gets. What is empty asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only this severity or worse.
    pub severity: Option<Severity>,
    /// Only these statuses.
    pub statuses: Vec<Status>,
    /// Only these checks: ids or patterns with `*` and `?`. A pattern that names a check means its variants
    /// (`id@name=value`) as well.
    pub checks: Vec<String>,
    /// Only checks of these services.
    pub services: Vec<String>,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            severity: None,
            statuses: vec![Status::Fail],
            checks: Vec::new(),
            services: Vec::new(),
        }
    }
}

/// A filter that knows the services of an assessment's checks.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    filter: &'a Filter,
    services: BTreeMap<&'a str, &'a str>,
}

impl<'a> Chosen<'a> {
    pub(crate) fn of(filter: &'a Filter, assessment: &'a Assessment) -> Self {
        let checks = assessment.checks.iter();
        Self {
            filter,
            services: checks
                .map(|c| (c.id.as_str(), c.service.as_str()))
                .collect(),
        }
    }
    /// Whether the destination wants to hear of the check at all.
    pub(crate) fn has_check(&self, check: &str) -> bool {
        let Filter {
            checks, services, ..
        } = self.filter;
        let base = check.split_once('@').map_or(check, |(base, _)| base);
        let named = checks.iter().any(|c| matches(c, check) || matches(c, base));
        let service = self.services.get(check).copied();
        (checks.is_empty() || named)
            && (services.is_empty() || service.is_some_and(|s| services.iter().any(|w| w == s)))
    }
    /// Whether the finding is one that the destination gets as something to do.
    pub(crate) fn is_open(&self, finding: &Finding) -> bool {
        self.filter.statuses.contains(&finding.status)
            && self
                .filter
                .severity
                .is_none_or(|least| finding.severity >= least)
            && self.has_check(&finding.check)
    }
}

/// Whether the whole text is of the pattern: `*` is any text, `?` one character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // reach[j]: the first j characters of the text are of the pattern so far
    let mut reach = vec![false; text.len() + 1];
    if let Some(first) = reach.first_mut() {
        *first = true;
    }
    for p in pattern {
        let mut next = vec![false; reach.len()];
        let mut any = false;
        for (j, slot) in next.iter_mut().enumerate() {
            let here = reach.get(j).copied().unwrap_or(false);
            any |= here;
            *slot = if p == '*' {
                any
            } else {
                j > 0
                    && reach.get(j - 1).copied().unwrap_or(false)
                    && text.get(j - 1).is_some_and(|c| p == '?' || p == *c)
            };
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("s3-*", "s3-x"),
            ("*-x", "s3-x"),
            ("s?-x", "s3-x"),
            ("a*b*c", "aXbYc"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("s3-", "s3-x"),
            ("?", ""),
            ("a*b", "ac"),
            ("s3-x", "s3-xy"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}

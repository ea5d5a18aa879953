//! "Did you mean …" for names that do not exist.

/// The known name nearest to the one that was found, if one is near enough to be meant.
pub(crate) fn nearest<'k>(
    found: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let limit = (found.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|k| k.chars().count().abs_diff(found.chars().count()) <= limit)
        .map(|k| (distance(found, k), k))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, k)| k)
}

/// A hint for an unknown name: the nearest known one, or the list when it is short.
pub(crate) fn hint<'k>(
    found: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> Option<String> {
    if let Some(near) = nearest(found, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let mut all: Vec<&str> = known.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return None;
    }
    let shown = all.iter().take(24).map(|k| format!("`{k}`"));
    let mut list = shown.collect::<Vec<_>>().join(", ");
    if all.len() > 24 {
        list.push_str(", …");
    }
    Some(format!("known: {list}"))
}

/// The nearest known names for one that a user typed, at most five: near ones first, then those that contain it.
pub fn candidates<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Vec<String> {
    let limit = (found.chars().count() / 3).clamp(1, 6);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter_map(|k| {
            let far = k.chars().count().abs_diff(found.chars().count()) > limit;
            let distance = if far { usize::MAX } else { distance(found, k) };
            let related = found.len() >= 3 && (k.contains(found) || found.contains(k));
            (distance <= limit)
                .then_some((distance, k))
                .or_else(|| related.then_some((limit + 1, k)))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter()
        .take(5)
        .map(|(_, k)| k.to_owned())
        .collect()
}

/// Levenshtein distance in characters, ignoring ASCII case, where `-` and `_` are one character.
fn distance(a: &str, b: &str) -> usize {
    let fold = |c: char| {
        if c == '-' {
            '_'
        } else {
            c.to_ascii_lowercase()
        }
    };
    let b: Vec<char> = b.chars().map(fold).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().map(fold).enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (slot, y) in row.iter_mut().skip(1).zip(&b) {
            let here = (diagonal + usize::from(x != *y))
                .min(left + 1)
                .min(*slot + 1);
            diagonal = *slot;
            *slot = here;
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, d) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("severty", "severity", 1),
            ("s3-bucket", "S3_bucket", 0),
        ] {
            assert_eq!(distance(a, b), d, "{a} {b}");
            assert_eq!(distance(b, a), d, "{b} {a}");
        }
    }

    #[test]
    fn far_names_are_not_suggested() {
        assert_eq!(
            nearest("serverity", ["title", "severity"]),
            Some("severity")
        );
        assert_eq!(nearest("owner", ["title", "severity"]), None);
        assert_eq!(
            hint("owner", ["title", "severity"]).unwrap(),
            "known: `severity`, `title`"
        );
        assert_eq!(
            candidates(
                "versioning",
                ["s3-bucket-versioning", "s3-bucket-policy-public"]
            ),
            ["s3-bucket-versioning"]
        );
    }
}

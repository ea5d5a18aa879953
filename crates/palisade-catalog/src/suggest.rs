//! "Did you mean …" for names that do not exist.

/// The known name nearest to the one that was found, if one is near enough to be meant.
pub fn nearest<'k>(found: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
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
pub fn hint<'k>(found: &str, known: impl IntoIterator<Item = &'k str> + Clone) -> Option<String> {
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

/// Edits from one name to the other: a character more, less, other, or two exchanged (optimal string alignment). Ignores
/// ASCII case; `-` and `_` are one character.
fn distance(a: &str, b: &str) -> usize {
    let fold = |c: char| {
        if c == '-' {
            '_'
        } else {
            c.to_ascii_lowercase()
        }
    };
    let a: Vec<char> = a.chars().map(fold).collect();
    let b: Vec<char> = b.chars().map(fold).collect();
    let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let mut best = (at(&last, j) + usize::from(x != y))
                .min(at(&last, j + 1) + 1)
                .min(at(&row, j) + 1);
            let exchanged = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if exchanged {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
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
            ("titel", "title", 1),
            ("ab", "ba", 1),
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

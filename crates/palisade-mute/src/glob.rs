//! Patterns: `*` is any text, `?` one character, everything else itself.

/// Whether the whole text is of the pattern. Time grows with the product of the lengths, at worst.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // where to go on when what followed the last star does not fit
    let mut star: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(x) if *x == '?' || x == c => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    p = after;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("a?c", "abc"),
            ("*-mfa", "iam-root-mfa"),
            ("a*b*c", "axxbybzc"),
            ("", ""),
            ("é?", "éé"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("a*c", "abcd"),
            ("?", ""),
            ("", "a"),
            ("a*a", "a"),
            ("A", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
        // no exponential time
        assert!(!matches(
            &"a*".repeat(100),
            &format!("{}b", "c".repeat(2000))
        ));
        assert!(!matches(
            &format!("{}b", "a*".repeat(50)),
            &"a".repeat(2000)
        ));
    }
}

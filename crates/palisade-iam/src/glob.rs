//! Wildcard patterns: `*` is any run of characters, `?` is one character.
//!
//! Matching keeps one backtracking point only, so it needs at most `pattern × text` steps whatever
//! the pattern looks like; overlap and containment of two patterns are exact.

use std::collections::BTreeSet;

/// One step of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Token {
    /// This character.
    Char(char),
    /// Any one character (`?`).
    One,
    /// Any run of characters, also none (`*`).
    Many,
}

/// A compiled wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// `*`.
    Any,
    /// No wildcard.
    Exact(Box<str>),
    /// Characters and then `*`.
    Prefix(Box<str>),
    /// Everything else.
    Tokens(Box<[Token]>),
}

impl Pattern {
    /// Compiles a pattern in which `*` and `?` are wildcards.
    pub fn new(text: &str) -> Self {
        // what nearly all patterns are, without looking at each character
        let prefix = text.strip_suffix('*').filter(|prefix| !prefix.is_empty());
        let is_literal = |text: &str| !text.contains(['*', '?']);
        match prefix {
            None if is_literal(text) => Pattern::Exact(text.into()),
            Some(prefix) if is_literal(prefix) => Pattern::Prefix(prefix.into()),
            _ => Self::from_tokens(tokens(text)),
        }
    }

    /// A pattern without wildcards, whatever characters `text` has.
    pub fn literal(text: &str) -> Self {
        Pattern::Exact(text.into())
    }

    /// Compiles tokens. Runs of wildcards take a normal form (all `?` before one `*`).
    pub fn from_tokens(raw: impl IntoIterator<Item = Token>) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        for token in raw {
            match (tokens.last(), token) {
                (Some(Token::Many), Token::Many) => {}
                (Some(Token::Many), Token::One) => {
                    tokens.pop();
                    tokens.extend([Token::One, Token::Many]);
                }
                _ => tokens.push(token),
            }
        }
        let wild = tokens.iter().position(|t| !matches!(t, Token::Char(_)));
        let chars = |tokens: &[Token]| -> Box<str> {
            tokens
                .iter()
                .filter_map(|t| {
                    if let Token::Char(c) = t {
                        Some(*c)
                    } else {
                        None
                    }
                })
                .collect::<String>()
                .into()
        };
        match wild {
            None => Pattern::Exact(chars(&tokens)),
            Some(0) if tokens.len() == 1 && tokens.first() == Some(&Token::Many) => Pattern::Any,
            Some(at) if at + 1 == tokens.len() && tokens.last() == Some(&Token::Many) => {
                Pattern::Prefix(chars(&tokens))
            }
            Some(_) => Pattern::Tokens(tokens.into()),
        }
    }

    /// Whether the pattern has a wildcard.
    pub fn is_wild(&self) -> bool {
        !matches!(self, Pattern::Exact(_))
    }

    /// The pattern's tokens in normal form.
    pub fn tokens(&self) -> Vec<Token> {
        match self {
            Pattern::Any => vec![Token::Many],
            Pattern::Exact(text) => text.chars().map(Token::Char).collect(),
            Pattern::Prefix(text) => text.chars().map(Token::Char).chain([Token::Many]).collect(),
            Pattern::Tokens(tokens) => tokens.to_vec(),
        }
    }

    /// Whether `text` is one of the strings that the pattern describes.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(exact) => **exact == *text,
            Pattern::Prefix(prefix) => text.starts_with(&**prefix),
            Pattern::Tokens(tokens) => match_tokens(tokens, text),
        }
    }

    /// Whether some string is described by both patterns.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        match (self, other) {
            (Pattern::Any, _) | (_, Pattern::Any) => true,
            (Pattern::Exact(text), pattern) | (pattern, Pattern::Exact(text)) => {
                pattern.matches(text)
            }
            (Pattern::Prefix(a), Pattern::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            _ => overlap(&self.tokens(), &other.tokens()).is_some(),
        }
    }

    /// A string that both patterns describe, when there is one.
    pub fn witness(&self, other: &Pattern) -> Option<String> {
        overlap(&self.tokens(), &other.tokens())
    }

    /// Whether every string of `other` is also described by this pattern.
    pub fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (Pattern::Any, _) => true,
            (pattern, Pattern::Exact(text)) => pattern.matches(text),
            (Pattern::Exact(_), _) => false,
            (Pattern::Prefix(a), Pattern::Prefix(b)) => b.starts_with(&**a),
            _ => cover(&self.tokens(), &other.tokens()),
        }
    }

    /// One string that the pattern describes: wildcards become as little as they may.
    pub fn example(&self) -> String {
        self.tokens()
            .into_iter()
            .filter_map(|t| match t {
                Token::Char(c) => Some(c),
                Token::One => Some('x'),
                Token::Many => None,
            })
            .collect()
    }

    /// The pattern as text; a literal `*` or `?` is written as the policy variable that stands for it.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for token in self.tokens() {
            match token {
                Token::Char('*') => out.push_str("${*}"),
                Token::Char('?') => out.push_str("${?}"),
                Token::Char(c) => out.push(c),
                Token::One => out.push('?'),
                Token::Many => out.push('*'),
            }
        }
        out
    }
}

/// The tokens of a pattern text.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = Token> + '_ {
    text.chars().map(|c| match c {
        '*' => Token::Many,
        '?' => Token::One,
        c => Token::Char(c),
    })
}

fn match_tokens(tokens: &[Token], text: &str) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let next = text.get(at..).and_then(|rest| rest.chars().next());
        let step = match (tokens.get(token), next) {
            (Some(Token::Many), _) => {
                token += 1;
                if token == tokens.len() {
                    return true;
                }
                retry = Some((token, at));
                continue;
            }
            (Some(Token::One), Some(c)) => Some(c),
            (Some(Token::Char(want)), Some(c)) if *want == c => Some(c),
            (None, None) => return true,
            _ => None,
        };
        if let Some(c) = step {
            token += 1;
            at += c.len_utf8();
            continue;
        }
        let Some((after, from)) = retry else {
            return false;
        };
        let Some(skipped) = text.get(from..).and_then(|rest| rest.chars().next()) else {
            return false;
        };
        retry = Some((after, from + skipped.len_utf8()));
        token = after;
        at = from + skipped.len_utf8();
    }
}

/// How the search for a common string got to a pair of places: the step taken and the character written.
type Step = (u8, Option<char>);

/// Breadth over pairs of places in both patterns; the back pointers give a shortest-enough witness.
fn overlap(a: &[Token], b: &[Token]) -> Option<String> {
    let width = b.len() + 1;
    let mut from: Vec<Option<Step>> = vec![None; (a.len() + 1) * width];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            let reach = |di: usize, dj: usize| {
                from.get((i + di) * width + j + dj)
                    .copied()
                    .flatten()
                    .is_some()
            };
            let step: Option<Step> = match (a.get(i), b.get(j)) {
                (None, None) => Some((0, None)),
                (Some(Token::Many), _) if reach(1, 0) => Some((1, None)),
                (_, Some(Token::Many)) if reach(0, 1) => Some((2, None)),
                (Some(Token::Many), Some(Token::Many)) => None,
                (Some(Token::Many), Some(other)) if reach(0, 1) => {
                    Some((2, Some(character(*other))))
                }
                (Some(other), Some(Token::Many)) if reach(1, 0) => {
                    Some((1, Some(character(*other))))
                }
                (Some(Token::Many), _) | (_, Some(Token::Many)) | (None, _) | (_, None) => None,
                (Some(x), Some(y)) if reach(1, 1) => match (x, y) {
                    (Token::Char(p), Token::Char(q)) if p != q => None,
                    (Token::Char(p), _) => Some((3, Some(*p))),
                    (_, other) => Some((3, Some(character(*other)))),
                },
                _ => None,
            };
            if let Some(slot) = from.get_mut(i * width + j) {
                *slot = step;
            }
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    loop {
        let (step, written) = from.get(i * width + j).copied().flatten()?;
        out.extend(written);
        match step {
            0 => return Some(out),
            1 => i += 1,
            2 => j += 1,
            _ => {
                i += 1;
                j += 1;
            }
        }
    }
}

fn character(token: Token) -> char {
    match token {
        Token::Char(c) => c,
        Token::One | Token::Many => 'x',
    }
}

/// Containment. Without `?` in the outer pattern, reading the inner pattern's tokens as text decides; with it,
/// the languages are compared.
fn cover(outer: &[Token], inner: &[Token]) -> bool {
    cover_as_text(outer, inner) || (outer.contains(&Token::One) && cover_as_language(outer, inner))
}

/// The inner pattern's tokens are read as text in which a wildcard is matched only by the outer pattern's
/// wildcards. Never wrong when it says yes; exact without `?` in the outer pattern, because the alphabet
/// always has a character that neither pattern names.
fn cover_as_text(outer: &[Token], inner: &[Token]) -> bool {
    let mut row = vec![false; inner.len() + 1];
    for i in (0..=outer.len()).rev() {
        let mut next = vec![false; inner.len() + 1];
        for j in (0..=inner.len()).rev() {
            let below = |dj: usize| row.get(j + dj).copied().unwrap_or(false);
            let right = next.get(j + 1).copied().unwrap_or(false);
            let value = match (outer.get(i), inner.get(j)) {
                (None, None) => true,
                (None, Some(_)) => false,
                (Some(Token::Many), item) => below(0) || (item.is_some() && right),
                (Some(Token::One), Some(Token::One | Token::Char(_))) => below(1),
                (Some(Token::Char(p)), Some(Token::Char(q))) => p == q && below(1),
                (Some(_), _) => false,
            };
            if let Some(slot) = next.get_mut(j) {
                *slot = value;
            }
        }
        row = next;
    }
    row.first().copied().unwrap_or(false)
}

/// More pairs of states than patterns of real policies ever need; past it the answer is "not covered".
const MAX_STATES: usize = 4096;

/// Walks the inner pattern's automaton beside the determinised outer one, looking for a string of the
/// inner language that the outer does not accept.
fn cover_as_language(outer: &[Token], inner: &[Token]) -> bool {
    let alphabet: BTreeSet<Option<char>> = outer
        .iter()
        .chain(inner)
        .filter_map(|t| {
            if let Token::Char(c) = t {
                Some(Some(*c))
            } else {
                None
            }
        })
        .chain([None])
        .collect();
    let mut seen = BTreeSet::new();
    let mut todo = vec![(closure(inner, [0]), closure(outer, [0]))];
    while let Some((inside, outside)) = todo.pop() {
        if inside.contains(&inner.len()) && !outside.contains(&outer.len()) {
            return false;
        }
        for letter in &alphabet {
            let next = (
                advance(inner, &inside, *letter),
                advance(outer, &outside, *letter),
            );
            if !next.0.is_empty() && seen.insert(next.clone()) {
                todo.push(next);
            }
        }
        if seen.len() > MAX_STATES {
            return false;
        }
    }
    true
}

/// The places reachable without reading: a `*` may be passed by.
fn closure(tokens: &[Token], places: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
    let mut out = BTreeSet::new();
    for mut place in places {
        out.insert(place);
        while tokens.get(place) == Some(&Token::Many) {
            place += 1;
            out.insert(place);
        }
    }
    out
}

/// The places after reading a letter; `None` is a letter that no pattern names.
fn advance(tokens: &[Token], places: &BTreeSet<usize>, letter: Option<char>) -> BTreeSet<usize> {
    let next = places.iter().filter_map(|place| match tokens.get(*place)? {
        Token::Many => Some(*place),
        Token::One => Some(place + 1),
        Token::Char(c) => (Some(*c) == letter).then_some(place + 1),
    });
    closure(tokens, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious matcher, exponential but short.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                slow(&pattern[1..], text) || (!text.is_empty() && slow(pattern, &text[1..]))
            }
            (Some('?'), Some(_)) => slow(&pattern[1..], &text[1..]),
            (Some(p), Some(t)) if p == t => slow(&pattern[1..], &text[1..]),
            _ => false,
        }
    }

    fn words(length: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut last = all.clone();
        for _ in 0..length {
            last = last
                .iter()
                .flat_map(|w| ['a', 'b', 'ζ'].map(|c| format!("{w}{c}")))
                .collect();
            all.extend(last.clone());
        }
        all
    }

    proptest! {
        #[test]
        fn same_as_the_obvious_matcher(pattern in "[ab*?]{0,7}", text in "[abé]{0,8}") {
            let want = slow(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), want);
        }

        #[test]
        fn compiled_at_once_is_compiled_token_by_token(pattern in "[abé*?]{0,7}") {
            prop_assert_eq!(Pattern::new(&pattern), Pattern::from_tokens(tokens(&pattern)));
        }

        #[test]
        fn overlap_and_cover_are_exact(a in "[ab*?]{0,4}", b in "[ab*?]{0,4}") {
            let (p, q) = (Pattern::new(&a), Pattern::new(&b));
            let all = words(6);
            prop_assert_eq!(p.overlaps(&q), all.iter().any(|w| p.matches(w) && q.matches(w)));
            prop_assert_eq!(p.covers(&q), all.iter().all(|w| !q.matches(w) || p.matches(w)));
            if let Some(witness) = p.witness(&q) {
                prop_assert!(p.matches(&witness) && q.matches(&witness));
            }
        }
    }

    #[test]
    fn hostile_patterns_stay_cheap() {
        let pattern = Pattern::new(&format!("{}b", "a*".repeat(1000)));
        let text = "a".repeat(20_000);
        let started = std::time::Instant::now();
        assert!(!pattern.matches(&text));
        assert!(started.elapsed().as_secs() < 2);
    }
}

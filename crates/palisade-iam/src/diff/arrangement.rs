//! Example strings for every way in which some patterns can match or not match together.
//!
//! All patterns are walked at once, as one automaton: each set of places that can be reached gives the patterns that
//! match there, and the string that led to it. The result is complete: whatever a string matches, some example
//! matches exactly the same patterns.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use crate::glob::Token;

/// Parts the six fields of an ARN; wildcards in fields do not match it.
pub(super) const SEPARATOR: char = '\u{1f}';
/// A character that no policy has, for what wildcards match.
const FRESH: char = 'x';

/// More states than real policies need.
const MAX_STATES: usize = 100_000;

/// Which patterns match, and an example.
pub(super) type Examples = BTreeMap<BTreeSet<usize>, String>;

/// Places in patterns, sorted: pattern and token.
type State = Vec<(usize, usize)>;

/// How a pattern is matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// Against the whole string: wildcards match separators, too, and a colon is one.
    Whole,
    /// Field by field: separators stand in the pattern, and only the last field has colons.
    Fields,
}

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub tokens: Vec<Token>,
    /// For each token its field; empty when the pattern is read as a whole.
    fields: Vec<usize>,
}

impl Shape {
    pub fn new(tokens: Vec<Token>, reading: Reading) -> Self {
        let mut field = 0;
        let field_of = |token: &Token| {
            let here = field;
            field += usize::from(*token == Token::Char(SEPARATOR));
            here
        };
        let fields = match reading {
            Reading::Whole => Vec::new(),
            Reading::Fields => tokens.iter().map(field_of).collect(),
        };
        Self { tokens, fields }
    }

    /// The place after `at` when a letter is read there.
    fn step(&self, at: usize, letter: char) -> Option<usize> {
        let is_wild = match self.fields.get(at) {
            Some(field) => letter != SEPARATOR && (letter != ':' || *field >= 5),
            None => true,
        };
        match self.tokens.get(at)? {
            Token::Many if is_wild => Some(at),
            Token::One if is_wild => Some(at + 1),
            Token::Char(':') if letter == SEPARATOR && self.fields.is_empty() => Some(at + 1),
            Token::Char(c) if *c == letter => Some(at + 1),
            _ => None,
        }
    }
}

/// The places that can be reached without reading anything, and are needed: after a `*` has been reached, whatever
/// follows an earlier place follows the `*`, too, because it takes what the earlier place has still to read.
fn close(patterns: &[Shape], places: impl IntoIterator<Item = (usize, usize)>) -> State {
    let token = |pattern: usize, place: usize| patterns.get(pattern)?.tokens.get(place).copied();
    let mut all = State::new();
    for (pattern, mut place) in places {
        all.push((pattern, place));
        while token(pattern, place) == Some(Token::Many) {
            place += 1;
            all.push((pattern, place));
        }
    }
    all.sort_unstable();
    all.dedup();
    let mut out = State::with_capacity(all.len());
    for own in all.chunk_by(|a, b| a.0 == b.0) {
        let last = own
            .iter()
            .rposition(|(p, at)| token(*p, *at) == Some(Token::Many));
        out.extend(own.iter().skip(last.unwrap_or(0)));
    }
    out
}

/// Examples for all combinations; `None` when there are too many.
pub(super) fn examples(patterns: &[Shape]) -> Option<Examples> {
    let mut out = Examples::new();
    let named: BTreeSet<char> = patterns
        .iter()
        .flat_map(|p| &p.tokens)
        .filter_map(|t| {
            if let Token::Char(c) = t {
                Some(*c)
            } else {
                None
            }
        })
        .collect();
    // Letters that no pattern names all behave alike; one stands for them.
    let fresh = [FRESH, 'q', 'z', 'j', '0']
        .into_iter()
        .chain('\u{4e00}'..'\u{9fff}')
        .find(|c| !named.contains(c))?;
    let start = close(patterns, (0..patterns.len()).map(|p| (p, 0)));
    // Only asked whether it has a state: its order is of no use.
    let mut seen = HashSet::from([start.clone()]);
    let mut todo = VecDeque::from([(start, String::new())]);
    while let Some((state, text)) = todo.pop_front() {
        let accepted: BTreeSet<usize> = state
            .iter()
            .filter(|(p, at)| patterns.get(*p).is_some_and(|p| p.tokens.len() == *at))
            .map(|(p, _)| *p)
            .collect();
        out.entry(accepted).or_insert_with(|| text.clone());
        let mut letters = BTreeSet::new();
        let mut wild = false;
        for (pattern, at) in &state {
            match patterns.get(*pattern).and_then(|p| p.tokens.get(*at)) {
                Some(Token::Char(c)) => {
                    letters.insert(*c);
                }
                Some(_) => wild = true,
                None => {}
            }
        }
        if wild {
            letters.insert(fresh);
        }
        for letter in letters {
            let next = state.iter().filter_map(|(pattern, at)| {
                let place = patterns.get(*pattern)?.step(*at, letter)?;
                Some((*pattern, place))
            });
            let next = close(patterns, next.collect::<Vec<_>>());
            if !next.is_empty() && seen.insert(next.clone()) {
                let mut longer = text.clone();
                longer.push(letter);
                todo.push_back((next, longer));
            }
        }
        if seen.len() > MAX_STATES {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Pattern;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn complete_and_true(texts in prop::collection::vec("[ab*?]{0,4}", 1..4), word in "[abx]{0,5}") {
            let patterns: Vec<Pattern> = texts.iter().map(|t| Pattern::new(t)).collect();
            let found = examples(&patterns.iter().map(|p| Shape::new(p.tokens(), Reading::Whole)).collect::<Vec<_>>()).unwrap();
            let matching = |text: &str| patterns.iter().enumerate().filter(|(_, p)| p.matches(text)).map(|(i, _)| i).collect::<BTreeSet<_>>();
            for (set, example) in &found {
                prop_assert_eq!(&matching(example), set);
            }
            let set = matching(&word);
            prop_assert!(set.is_empty() || found.contains_key(&set), "{:?} {}", set, word);
        }
    }
}

//! Example strings for every way in which some patterns can match or not match together.
//!
//! All patterns are walked at once, as one automaton: each set of places that can be reached gives the patterns that
//! match there, and the string that led to it. The result is complete: whatever a string matches, some example
//! matches exactly the same patterns.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::glob::Token;

/// Parts the six fields of an ARN; wildcards do not match it.
pub(super) const SEPARATOR: char = '\u{1f}';
/// A character that no policy has, for what wildcards match.
const FRESH: char = 'x';

/// More states than real policies need.
const MAX_STATES: usize = 200_000;

/// Which patterns match, and an example.
pub(super) type Examples = BTreeMap<BTreeSet<usize>, String>;

/// Places in patterns: pattern and token.
type State = BTreeSet<(usize, usize)>;

fn close(patterns: &[Vec<Token>], places: impl IntoIterator<Item = (usize, usize)>) -> State {
    let mut out = State::new();
    for (pattern, mut place) in places {
        out.insert((pattern, place));
        while patterns.get(pattern).and_then(|p| p.get(place)) == Some(&Token::Many) {
            place += 1;
            out.insert((pattern, place));
        }
    }
    out
}

/// Examples for all combinations; `None` when there are too many.
pub(super) fn examples(patterns: &[Vec<Token>]) -> Option<Examples> {
    let mut out = Examples::new();
    let named: BTreeSet<char> = patterns
        .iter()
        .flatten()
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
    let mut seen = BTreeSet::from([start.clone()]);
    let mut todo = VecDeque::from([(start, String::new())]);
    while let Some((state, text)) = todo.pop_front() {
        let accepted: BTreeSet<usize> = state
            .iter()
            .filter(|(p, at)| patterns.get(*p).is_some_and(|t| t.len() == *at))
            .map(|(p, _)| *p)
            .collect();
        out.entry(accepted).or_insert_with(|| text.clone());
        let mut letters = BTreeSet::new();
        let mut wild = false;
        for (pattern, at) in &state {
            match patterns.get(*pattern).and_then(|p| p.get(*at)) {
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
                let place = match patterns.get(*pattern)?.get(*at)? {
                    Token::Many if letter != SEPARATOR => *at,
                    Token::One if letter != SEPARATOR => at + 1,
                    Token::Char(c) if *c == letter => at + 1,
                    _ => return None,
                };
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
            let found = examples(&patterns.iter().map(Pattern::tokens).collect::<Vec<_>>()).unwrap();
            let matching = |text: &str| patterns.iter().enumerate().filter(|(_, p)| p.matches(text)).map(|(i, _)| i).collect::<BTreeSet<_>>();
            for (set, example) in &found {
                prop_assert_eq!(&matching(example), set);
            }
            let set = matching(&word);
            prop_assert!(set.is_empty() || found.contains_key(&set), "{:?} {}", set, word);
        }
    }
}

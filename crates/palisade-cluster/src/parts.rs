//! How work is cut.
use std::collections::BTreeMap;

/// Parts for each executor: enough that one that is done early can take over from one that is not, and few enough that
/// planning and reading what is shared does not come to count.
const EACH: usize = 4;

/// How many parts the work of so many executors is cut into.
pub(crate) fn shares(executors: usize) -> usize {
    executors.max(1).saturating_mul(EACH)
}

/// The accounts in parts of about the same weight, largest first in each; the order does not depend on anything else.
pub(crate) fn account_parts(
    weights: &BTreeMap<String, usize>,
    executors: usize,
) -> Vec<Vec<String>> {
    let count = shares(executors).min(weights.len());
    let mut parts: Vec<(usize, Vec<String>)> = vec![(0, Vec::new()); count];
    let mut sorted: Vec<(&String, usize)> = weights.iter().map(|(a, w)| (a, *w)).collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    for (account, weight) in sorted {
        if let Some((sum, part)) = parts.iter_mut().min_by_key(|(sum, _)| *sum) {
            // an account costs something even without rows
            *sum += weight + 1;
            part.push(account.clone());
        }
    }
    let mut parts: Vec<Vec<String>> = parts.into_iter().map(|(_, part)| part).collect();
    parts.iter_mut().for_each(|part| part.sort());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_dealt_out_by_weight() {
        let weights: BTreeMap<String, usize> = (0..10)
            .map(|n| (format!("{n:012}"), if n == 3 { 1000 } else { 10 }))
            .collect();
        let parts = account_parts(&weights, 1);
        assert_eq!(parts.len(), 4);
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 10);
        assert_eq!(parts[0], ["000000000003"]);
        assert!(parts.iter().skip(1).all(|p| p.len() == 3), "{parts:?}");
        let one = BTreeMap::from([("a".to_owned(), 0)]);
        assert_eq!(account_parts(&one, 8), [["a"]]);
        assert!(account_parts(&BTreeMap::new(), 2).is_empty());
    }
}

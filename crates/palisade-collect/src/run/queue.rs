//! What is ready to be asked, in the order that ends soonest.
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Something that a free slot can be given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// The next page of a call.
    Call(usize),
    /// The next row of a group that waits for a slot.
    Slot { group: usize, slot: usize },
    /// The next row of a group whose children are to be listed.
    Child { group: usize, child: usize },
    /// A full batch of rows.
    Batch(usize),
}

/// Work of one account, and whom it is asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Item {
    pub account: usize,
    pub work: Work,
    /// The operation's API, to share slots evenly.
    pub service: usize,
}

type Levels = BTreeMap<Reverse<u32>, VecDeque<Item>>;

/// Ready work: further pages first (nobody knows how many follow), then what begins the longest chain of calls. While
/// too many rows wait, rows go before lists. All of that is preference: work that is ready never waits for a rule.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pages: Levels,
    lists: Levels,
    rows: Levels,
    len: usize,
    in_flight: HashMap<(usize, usize), usize>,
}

/// How many items of one level are compared for the least busy API.
const COMPARED: usize = 128;

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push_page(&mut self, height: u32, item: Item) {
        push(&mut self.pages, height, item);
        self.len += 1;
    }

    pub(super) fn push_list(&mut self, height: u32, item: Item) {
        push(&mut self.lists, height, item);
        self.len += 1;
    }

    pub(super) fn push_rows(&mut self, height: u32, item: Item) {
        push(&mut self.rows, height, item);
        self.len += 1;
    }

    pub(super) fn pop(&mut self, pressed: bool) -> Option<Item> {
        let top = |levels: &Levels| levels.first_key_value().map(|(height, _)| height.0);
        let (lists, rows) = (top(&self.lists), top(&self.rows));
        let pages = top(&self.pages).is_some();
        let from = if pressed && rows.is_some() {
            &mut self.rows
        } else if pages {
            &mut self.pages
        } else if lists >= rows {
            &mut self.lists
        } else {
            &mut self.rows
        };
        let mut entry = from.first_entry()?;
        let level = entry.get_mut();
        let busy = |item: &Item| {
            self.in_flight
                .get(&(item.account, item.service))
                .copied()
                .unwrap_or(0)
        };
        let least = level
            .iter()
            .take(COMPARED)
            .enumerate()
            .min_by_key(|(index, item)| (busy(item), *index));
        let index = least.map_or(0, |(index, _)| index);
        let item = level.remove(index);
        if level.is_empty() {
            entry.remove();
        }
        self.len = self.len.saturating_sub(usize::from(item.is_some()));
        item
    }

    pub(super) fn started(&mut self, account: usize, service: usize) {
        *self.in_flight.entry((account, service)).or_default() += 1;
    }

    pub(super) fn ended(&mut self, account: usize, service: usize) {
        if let Some(count) = self.in_flight.get_mut(&(account, service)) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.in_flight.remove(&(account, service));
            }
        }
    }
}

fn push(levels: &mut Levels, height: u32, item: Item) {
    levels.entry(Reverse(height)).or_default().push_back(item);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(call: usize, service: usize) -> Item {
        Item {
            account: 0,
            work: Work::Call(call),
            service,
        }
    }

    #[test]
    fn pages_then_long_chains_then_the_least_busy() {
        let mut queue = Queue::default();
        queue.push_list(1, item(1, 0));
        queue.push_list(3, item(2, 0));
        queue.push_rows(2, item(3, 0));
        queue.push_page(1, item(4, 0));
        let order: Vec<Work> = std::iter::from_fn(|| queue.pop(false))
            .map(|i| i.work)
            .collect();
        assert_eq!(order, [4, 2, 3, 1].map(Work::Call));
        assert_eq!(queue.len(), 0);

        queue.started(0, 7);
        queue.push_rows(1, item(1, 7));
        queue.push_rows(1, item(2, 8));
        assert_eq!(queue.pop(false).unwrap().work, Work::Call(2));
        queue.ended(0, 7);
    }

    #[test]
    fn rows_first_while_too_many_wait_but_never_instead() {
        let mut queue = Queue::default();
        queue.push_page(9, item(1, 0));
        queue.push_rows(1, item(2, 0));
        assert_eq!(queue.pop(true).unwrap().work, Work::Call(2));
        assert_eq!(queue.pop(true).unwrap().work, Work::Call(1));
        assert_eq!(queue.pop(true), None);
    }
}

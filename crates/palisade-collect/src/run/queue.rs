//! What is ready to be asked, in the order that ends soonest.
use std::cmp::{Ordering, Reverse};
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

impl Item {
    fn lane(&self) -> Lane {
        (self.account, self.service)
    }
}

/// An API of an account, which has limits of its own.
type Lane = (usize, usize);

/// How much an API's need of calls for rows weighs, against that of lists on the same level.
const ROWS_WEIGH: usize = 2;

type Levels = BTreeMap<Reverse<u32>, BTreeMap<Lane, VecDeque<Item>>>;

/// Ready work: further pages first (nobody knows how many follow), then what begins the longest chain of calls. While
/// too many rows wait, rows go before lists. Among equals, slots are shared out among the APIs by what each still has to
/// answer, so that all end at the same time: one that is asked much, and last, would be waited for alone, at its own limit.
/// Calls for rows get more of them than lists without such calls do: tables with many calls, which most is to be said of,
/// become whole while others are still read. All of that is preference: work that is ready never waits for a rule.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pages: Levels,
    lists: Levels,
    rows: Levels,
    len: usize,
    counts: Counts,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push_page(&mut self, height: u32, item: Item) {
        self.expect(&item);
        push(&mut self.pages, height, item);
        self.len += 1;
    }

    pub(super) fn push_list(&mut self, height: u32, item: Item) {
        self.expect(&item);
        push(&mut self.lists, height, item);
        self.len += 1;
    }

    /// Work for rows, of which one call at a time is ready: each is [expected](Self::expect) when its row is known.
    pub(super) fn push_rows(&mut self, height: u32, item: Item) {
        push(&mut self.rows, height, item);
        self.len += 1;
    }

    /// Another call will be made for a row.
    pub(super) fn expect(&mut self, item: &Item) {
        self.counts.change(item.lane(), |count| count.waiting += 1);
    }

    /// The next work for a free one of `slots`.
    pub(super) fn pop(&mut self, pressed: bool, slots: usize) -> Option<Item> {
        let top = |levels: &Levels| levels.first_key_value().map(|(height, _)| height.0);
        let (lists, rows) = (top(&self.lists), top(&self.rows));
        // with how much an API's need weighs
        let from: &mut [(&mut Levels, usize)] = if pressed && rows.is_some() {
            &mut [(&mut self.rows, 1)]
        } else if top(&self.pages).is_some() {
            &mut [(&mut self.pages, 1)]
        } else if lists == rows {
            &mut [(&mut self.lists, 1), (&mut self.rows, ROWS_WEIGH)]
        } else if lists > rows {
            &mut [(&mut self.lists, 1)]
        } else {
            &mut [(&mut self.rows, 1)]
        };
        let mut counts: (usize, &[Count]) = (0, self.counts.of(0));
        let mut urgency = |(account, service): Lane, weight: usize| {
            if counts.0 != account {
                counts = (account, self.counts.of(account));
            }
            let count = counts.1.get(service).copied().unwrap_or_default();
            // no API has more than half of the slots while another waits: how many it takes at once has a limit
            Urgency {
                has_room: 2 * count.in_flight < slots.max(2),
                waiting: count.waiting.max(1).saturating_mul(weight),
                busy: count.in_flight + 1,
            }
        };
        let lanes = from
            .iter()
            .enumerate()
            .flat_map(|(index, (levels, weight))| {
                let level = levels.first_key_value().map(|(_, level)| level);
                let lanes = level.into_iter().flat_map(BTreeMap::keys);
                lanes.map(move |lane| (index, *lane, *weight))
            });
        let next = lanes.max_by_key(|(index, lane, weight)| {
            (urgency(*lane, *weight), Reverse((*lane, *index)))
        });
        let (index, lane, _) = next?;
        let item = take(from.get_mut(index)?.0, lane)?;
        self.len = self.len.saturating_sub(1);
        self.counts.change(lane, |count| {
            count.waiting = count.waiting.saturating_sub(1);
        });
        Some(item)
    }

    pub(super) fn started(&mut self, account: usize, service: usize) {
        self.counts
            .change((account, service), |count| count.in_flight += 1);
    }

    pub(super) fn ended(&mut self, account: usize, service: usize) {
        self.counts.change((account, service), |count| {
            count.in_flight = count.in_flight.saturating_sub(1);
        });
    }
}

/// Calls of an API.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    /// Known to be needed, and not begun.
    waiting: usize,
    in_flight: usize,
}

/// By account, of each API; of accounts that have calls.
#[derive(Debug, Default)]
struct Counts(HashMap<usize, AccountCounts>);

#[derive(Debug, Default)]
struct AccountCounts {
    /// By the API's number.
    services: Vec<Count>,
    /// All together.
    calls: usize,
}

impl Counts {
    fn of(&self, account: usize) -> &[Count] {
        let counts = self.0.get(&account);
        counts.map_or(&[], |counts| counts.services.as_slice())
    }

    fn change(&mut self, (account, service): Lane, change: impl FnOnce(&mut Count)) {
        let counts = self.0.entry(account).or_default();
        if counts.services.len() <= service {
            counts.services.resize(service + 1, Count::default());
        }
        if let Some(count) = counts.services.get_mut(service) {
            let before = count.waiting + count.in_flight;
            change(count);
            counts.calls = counts.calls + count.waiting + count.in_flight - before;
        }
        if counts.calls == 0 {
            self.0.remove(&account);
        }
    }
}

/// How much an API needs another slot: by the calls that wait, and their weight, for each that it would have.
#[derive(Debug)]
struct Urgency {
    has_room: bool,
    waiting: usize,
    busy: usize,
}

impl Ord for Urgency {
    fn cmp(&self, other: &Self) -> Ordering {
        let share = |a: &Self, b: &Self| a.waiting.saturating_mul(b.busy);
        let room = self.has_room.cmp(&other.has_room);
        let shares = share(self, other).cmp(&share(other, self));
        room.then(shares).then(other.busy.cmp(&self.busy))
    }
}

impl PartialOrd for Urgency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Urgency {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Urgency {}

fn push(levels: &mut Levels, height: u32, item: Item) {
    let level = levels.entry(Reverse(height)).or_default();
    level.entry(item.lane()).or_default().push_back(item);
}

/// The oldest item of an API on the highest level.
fn take(levels: &mut Levels, lane: Lane) -> Option<Item> {
    let mut level = levels.first_entry()?;
    let items = level.get_mut().get_mut(&lane)?;
    let item = items.pop_front();
    if items.is_empty() {
        level.get_mut().remove(&lane);
        if level.get().is_empty() {
            level.remove();
        }
    }
    item
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
        let order: Vec<Work> = std::iter::from_fn(|| queue.pop(false, 64))
            .map(|i| i.work)
            .collect();
        assert_eq!(order, [4, 2, 3, 1].map(Work::Call));
        assert_eq!(queue.len(), 0);

        queue.started(0, 7);
        queue.push_rows(1, item(1, 7));
        queue.push_rows(1, item(2, 8));
        assert_eq!(queue.pop(false, 64).unwrap().work, Work::Call(2));
        queue.ended(0, 7);
    }

    #[test]
    fn rows_first_while_too_many_wait_but_never_instead() {
        let mut queue = Queue::default();
        queue.push_page(9, item(1, 0));
        queue.push_rows(1, item(2, 0));
        assert_eq!(queue.pop(true, 64).unwrap().work, Work::Call(2));
        assert_eq!(queue.pop(true, 64).unwrap().work, Work::Call(1));
        assert_eq!(queue.pop(true, 64), None);
    }

    /// One API has as many calls to answer as all others together, and ends with them.
    #[test]
    fn slots_follow_what_is_left() {
        const SLOTS: usize = 8;
        let mut queue = Queue::default();
        for call in 0..60 {
            queue.push_list(1, item(call, 0));
        }
        for call in 0..60 {
            queue.push_list(1, item(call, 1 + call % 10));
        }
        let (mut last_of_many, mut last_of_few, mut round) = (0, 0, 0);
        while queue.len() > 0 {
            round += 1;
            let given: Vec<Item> = std::iter::from_fn(|| {
                let item = queue.pop(false, SLOTS)?;
                queue.started(item.account, item.service);
                Some(item)
            })
            .take(SLOTS)
            .collect();
            for item in given {
                match item.service {
                    0 => last_of_many = round,
                    _ => last_of_few = round,
                }
                queue.ended(item.account, item.service);
            }
        }
        assert_eq!((last_of_many, last_of_few), (15, 15));
    }

    /// However much it has, it does not keep the slots that another could use.
    #[test]
    fn an_api_has_at_most_half_while_another_waits() {
        let mut queue = Queue::default();
        for call in 0..1000 {
            queue.push_list(1, item(call, 0));
        }
        for call in 0..4 {
            queue.push_list(1, item(call, 1));
        }
        let mut next = || {
            let item = queue.pop(false, 8).unwrap();
            queue.started(item.account, item.service);
            item.service
        };
        let mut given: Vec<usize> = (0..8).map(|_| next()).collect();
        given.sort();
        assert_eq!(given, [0, 0, 0, 0, 1, 1, 1, 1]);
        // nobody else waits any more
        assert_eq!(next(), 0);
    }

    /// With the same number of calls left, those for rows come twice as often, and lists are not kept waiting.
    #[test]
    fn rows_come_more_often_than_lists() {
        let mut queue = Queue::default();
        for call in 0..30 {
            queue.push_list(1, item(call, 0));
            queue.push_rows(1, item(100 + call, 1));
            queue.expect(&item(0, 1));
        }
        let mut of_rows = 0;
        for _ in 0..12 {
            let given = queue.pop(false, 64).unwrap();
            queue.started(given.account, given.service);
            of_rows += given.service;
        }
        assert_eq!(of_rows, 8);
    }

    /// Calls that rows will make are counted before they are ready.
    #[test]
    fn rows_that_wait_behind_one_another_count() {
        let mut queue = Queue::default();
        let many = item(1, 1);
        queue.push_rows(1, many);
        (0..10).for_each(|_| queue.expect(&many));
        queue.push_list(1, item(2, 0));
        queue.push_list(1, item(3, 0));
        assert_eq!(queue.pop(false, 64).unwrap().service, 1);
    }
}

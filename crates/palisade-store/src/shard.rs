//! Which accounts a worker reads, of several that share them.
use crate::location::sha256;

/// One of several shares of the accounts. Which share an account is in follows from its id and the number of shares
/// alone: the first eight bytes of the SHA-256 of the twelve digits, as a big-endian number, modulo the number of
/// shares. So it does not depend on which other accounts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    number: u32,
    of: u32,
}

impl Shard {
    /// Share `number` (from 1) of `of`; nothing when there is no such share.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of })
    }

    /// The only share: all accounts.
    pub const fn whole() -> Self {
        Self { number: 1, of: 1 }
    }

    /// The number of the share that an account is in, from 1.
    pub fn of_account(account_id: &str, of: u32) -> u32 {
        let digits: String = sha256(account_id.as_bytes()).chars().take(16).collect();
        // sixteen hexadecimal digits are a number
        let hash = u64::from_str_radix(&digits, 16).unwrap_or_default();
        let at = hash.checked_rem(u64::from(of)).unwrap_or_default();
        u32::try_from(at).unwrap_or_default() + 1
    }

    /// Whether an account is in this share.
    pub fn holds(self, account_id: &str) -> bool {
        Self::of_account(account_id, self.of) == self.number
    }

    /// Which share, from 1.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

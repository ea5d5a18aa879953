//! Many accounts in one scan: which there are, what of their organisation is read once for all of them, and how what
//! came of each becomes one assessment. Connecting is left to whoever calls.
mod discover;
mod filter;
mod merge;
mod shared;

pub use discover::{DiscoverError, Discovered, Member, discover};
pub use filter::{Filters, is_account_id};
pub use merge::{Merge, merge_datasets};
pub use shared::{MemberApi, SharedAnswers, is_shared};

#[cfg(test)]
mod tests;

//! The vocabulary that every part of Palisade shares: identifiers of AWS things, statuses, findings,
//! what a failed call was, and the assessment that a scan ends in.
//!
//! Invariant: nothing here does I/O, reads a clock, or knows Arrow, AWS's client or the catalogue.

mod account;
mod arn;
mod assessment;
mod attestation;
mod call_error;
mod category;
mod counted;
mod finding;
mod findings;
mod mute;
mod region;
mod rollup;
mod seen;
mod severity;
mod status;
mod time;

pub use account::{AccountId, AccountIdError};
pub use arn::{Arn, ArnError};
pub use assessment::{
    Assessment, CallStatistics, CheckSummary, Coverage, LeftOutAccount, SkippedScope,
};
pub use attestation::{Attestation, Attested};
pub use call_error::{CallError, CallErrorKind};
pub use category::Category;
pub use counted::{Counted, CountedKind, Listing};
pub use finding::{Finding, FixAvailability};
pub use findings::Findings;
pub use mute::{ExpiredMute, MutedBy, Muting};
pub use region::{Partition, Region, RegionError};
pub use rollup::{FrameworkSummary, RequirementStatus, RequirementSummary};
pub use seen::{LastScan, Seen};
pub use severity::Severity;
pub use status::Status;
pub use time::{Date, DateError, Timestamp, TimestampError};

/// An unknown word where one of a closed set was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{found}`; one of {expected} is expected")]
pub struct UnknownWord {
    /// What the set names, for example `severity`.
    pub what: &'static str,
    /// The word that was found.
    pub found: String,
    /// The accepted words, joined by commas.
    pub expected: String,
}

/// Declares a closed set of words: an enum, its text form both ways, its order, and all its values.
macro_rules! words {
    ($(#[$meta:meta])* $what:literal $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum $name { $($(#[$vmeta])* $variant),+ }
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];
            /// The word itself, as users write and read it.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl From<$name> for &'static str {
            fn from(value: $name) -> Self { value.as_str() }
        }
        impl std::str::FromStr for $name {
            type Err = crate::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok($name::$variant),)+
                    _ => Err(crate::UnknownWord {
                        what: $what,
                        found: text.to_owned(),
                        expected: [$($word),+].join(", "),
                    }),
                }
            }
        }
        impl TryFrom<String> for $name {
            type Error = crate::UnknownWord;
            fn try_from(text: String) -> Result<Self, Self::Error> { text.parse() }
        }
    };
}
pub(crate) use words;

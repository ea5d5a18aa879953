//! Regions and partitions.
use serde::{Deserialize, Serialize};

/// A region's name, for example `eu-central-1`. Global services use their partition's home region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Box<str>);

/// Not the form of a region name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` does not have the form of an AWS region, such as `eu-central-1`")]
pub struct RegionError(String);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// The partition that the name's prefix belongs to (AWS General Reference, "AWS partitions").
    pub fn partition(&self) -> Partition {
        match self.0.split('-').next() {
            Some("cn") => Partition::China,
            _ if self.0.starts_with("us-gov-") => Partition::GovCloud,
            _ => Partition::Aws,
        }
    }
}
impl std::str::FromStr for Region {
    type Err = RegionError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match parts.split_last() {
            Some((last, rest)) if rest.len() >= 2 && number(last) && rest.iter().all(word) => {
                Ok(Self(text.into()))
            }
            _ => Err(RegionError(text.to_owned())),
        }
    }
}
impl TryFrom<String> for Region {
    type Error = RegionError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0.into()
    }
}
impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

crate::words! {
    /// A group of regions with its own accounts, endpoints and ARN prefix.
    "partition" Partition {
        /// The commercial regions.
        Aws = "aws",
        /// The China regions.
        China = "aws-cn",
        /// AWS GovCloud (US).
        GovCloud = "aws-us-gov",
    }
}
impl Partition {
    /// Where the partition's global services have their endpoint (IAM, Organizations, …).
    pub const fn home_region(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::China => "cn-north-1",
            Self::GovCloud => "us-gov-west-1",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_and_partitions() {
        for (name, partition) in [
            ("eu-central-1", Partition::Aws),
            ("cn-north-1", Partition::China),
            ("us-gov-west-1", Partition::GovCloud),
        ] {
            assert_eq!(name.parse::<Region>().unwrap().partition(), partition);
        }
        for bad in [
            "",
            "useast1",
            "us-east",
            "us-east-1a",
            "US-east-1",
            "us--1",
            "../x-y-1",
        ] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
    }
}

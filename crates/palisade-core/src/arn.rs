//! Amazon Resource Names.
use serde::{Deserialize, Serialize};

/// `arn:partition:service:region:account-id:resource` (IAM User Guide, "Amazon Resource Names").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Arn {
    text: Box<str>,
    /// Offsets of the five colons.
    colons: [u16; 5],
}

/// Not an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an ARN; `arn:partition:service:region:account:resource` is expected")]
pub struct ArnError(String);

impl Arn {
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    fn part(&self, index: usize) -> &str {
        let start = index
            .checked_sub(1)
            .and_then(|i| self.colons.get(i))
            .map_or(0, |c| usize::from(*c) + 1);
        let end = self
            .colons
            .get(index)
            .map_or(self.text.len(), |c| usize::from(*c));
        self.text.get(start..end).unwrap_or_default()
    }
    /// For example `aws`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }
    /// The service namespace, for example `s3`.
    pub fn service(&self) -> &str {
        self.part(2)
    }
    /// Empty where the resource is global.
    pub fn region(&self) -> &str {
        self.part(3)
    }
    /// Empty where AWS leaves it out (S3 buckets) .
    pub fn account(&self) -> &str {
        self.part(4)
    }
    /// All that follows the fifth colon.
    pub fn resource(&self) -> &str {
        self.part(5)
    }
}
impl std::str::FromStr for Arn {
    type Err = ArnError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut colons = [0u16; 5];
        let mut found = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b':')
            .map(|(i, _)| i);
        for slot in &mut colons {
            *slot = found
                .next()
                .and_then(|i| u16::try_from(i).ok())
                .ok_or_else(|| ArnError(text.to_owned()))?;
        }
        let arn = Self {
            text: text.into(),
            colons,
        };
        if arn.part(0) == "arn"
            && !arn.partition().is_empty()
            && !arn.service().is_empty()
            && !arn.resource().is_empty()
        {
            Ok(arn)
        } else {
            Err(ArnError(text.to_owned()))
        }
    }
}
impl TryFrom<String> for Arn {
    type Error = ArnError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}
impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.text.into()
    }
}
impl std::fmt::Display for Arn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts() {
        let arn: Arn = "arn:aws:sns:eu-west-1:123456789012:topic:sub"
            .parse()
            .unwrap();
        assert_eq!(
            (
                arn.partition(),
                arn.service(),
                arn.region(),
                arn.account(),
                arn.resource()
            ),
            ("aws", "sns", "eu-west-1", "123456789012", "topic:sub")
        );
        let bucket: Arn = "arn:aws:s3:::b".parse().unwrap();
        assert_eq!(
            (bucket.region(), bucket.account(), bucket.resource()),
            ("", "", "b")
        );
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused_without_panic(text in ".{0,200}") {
            if let Ok(arn) = text.parse::<Arn>() {
                prop_assert_eq!(arn.as_str(), text.as_str());
                let joined = ["arn", arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource()].join(":");
                prop_assert_eq!(joined, text);
            }
        }
    }
}

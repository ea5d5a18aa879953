//! `partitions.json`: what `aws.partition` answers from.
use super::EndpointError;
use regex::Regex;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// AWS's partitions with their regions.
#[derive(Debug, Clone)]
pub struct Partitions(Vec<Partition>);

#[derive(Debug, Clone)]
struct Partition {
    regions: BTreeSet<String>,
    pattern: Pattern,
    /// What the function returns.
    outputs: Json,
}

/// What the names of a partition's regions look like. Made a regular expression when a region is asked for that no partition
/// lists: that takes longer than everything else here.
#[derive(Debug, Clone)]
struct Pattern {
    text: String,
    made: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn matches(&self, region: &str) -> bool {
        let made = self.made.get_or_init(|| Regex::new(&self.text).ok());
        made.as_ref().is_some_and(|regex| regex.is_match(region))
    }
}

impl Partitions {
    /// Reads botocore's file.
    ///
    /// # Errors
    /// When it is not JSON of the expected form.
    pub fn parse(json: &[u8]) -> Result<Self, EndpointError> {
        let damaged = |what: &str| EndpointError::Damaged(format!("partitions: {what}"));
        let file: Json = serde_json::from_slice(json).map_err(|e| damaged(&e.to_string()))?;
        let all = file
            .get("partitions")
            .and_then(Json::as_array)
            .ok_or_else(|| damaged("no list"))?;
        let one = |partition: &Json| -> Option<Partition> {
            let mut outputs = partition.get("outputs")?.as_object()?.clone();
            outputs.insert("name".into(), partition.get("id")?.clone());
            Some(Partition {
                regions: partition
                    .get("regions")?
                    .as_object()?
                    .keys()
                    .cloned()
                    .collect(),
                pattern: Pattern {
                    text: partition.get("regionRegex")?.as_str()?.to_owned(),
                    made: OnceLock::new(),
                },
                outputs: Json::Object(outputs),
            })
        };
        let all = all.iter().map(one).collect::<Option<Vec<_>>>();
        Ok(Self(
            all.filter(|all| !all.is_empty())
                .ok_or_else(|| damaged("incomplete"))?,
        ))
    }

    /// The partition that lists the region, else the one whose pattern it matches, else the first (`aws`).
    pub(super) fn of(&self, region: &str) -> Json {
        let listed = self.0.iter().find(|p| p.regions.contains(region));
        let matching = || self.0.iter().find(|p| p.pattern.matches(region));
        let found = listed.or_else(matching).or_else(|| self.0.first());
        found.map_or_else(|| Json::Object(Map::new()), |p| p.outputs.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_no_partition_lists_are_found_by_their_names() {
        let models = palisade_model::Models::embedded();
        let partitions = Partitions::parse(models.partitions()).unwrap();
        for partition in &partitions.0 {
            assert!(Regex::new(&partition.pattern.text).is_ok(), "{partition:?}");
        }
        let name = |region: &str| partitions.of(region)["name"].as_str().map(str::to_owned);
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("eu-north-99", "aws"),
            ("cn-north-99", "aws-cn"),
            ("us-gov-south-99", "aws-us-gov"),
            ("nowhere", "aws"),
        ] {
            assert_eq!(name(region).as_deref(), Some(partition), "{region}");
        }
    }
}

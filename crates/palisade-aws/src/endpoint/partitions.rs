//! `partitions.json`: what `aws.partition` answers from.
use super::EndpointError;
use regex::Regex;
use serde_json::{Map, Value as Json};
use std::collections::BTreeSet;

/// AWS's partitions with their regions.
#[derive(Debug, Clone)]
pub struct Partitions(Vec<Partition>);

#[derive(Debug, Clone)]
struct Partition {
    regions: BTreeSet<String>,
    pattern: Regex,
    /// What the function returns.
    outputs: Json,
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
                pattern: Regex::new(partition.get("regionRegex")?.as_str()?).ok()?,
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
        let matching = || self.0.iter().find(|p| p.pattern.is_match(region));
        let found = listed.or_else(matching).or_else(|| self.0.first());
        found.map_or_else(|| Json::Object(Map::new()), |p| p.outputs.clone())
    }
}

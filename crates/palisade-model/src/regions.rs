//! Which service exists in which region, from botocore's `endpoints.json`.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `catalog/models/regions.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regions {
    /// Partition → all its regions, sorted, enabled for an account or not.
    pub partitions: BTreeMap<String, Vec<String>>,
    /// API name → partition → where it exists.
    pub services: BTreeMap<String, BTreeMap<String, ServiceRegions>>,
}

/// Where a service exists in one partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceRegions {
    /// One endpoint for the whole partition: the region that its requests are signed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<String>,
    /// The regions with an endpoint of their own, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
}

impl Regions {
    /// Where the service exists in the partition. `None`: AWS's file does not say, so it may be anywhere.
    pub fn of(&self, service: &str, partition: &str) -> Option<&ServiceRegions> {
        self.services.get(service)?.get(partition)
    }
    /// All regions of a partition, sorted; empty for an unknown partition.
    pub fn of_partition(&self, partition: &str) -> &[String] {
        self.partitions
            .get(partition)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

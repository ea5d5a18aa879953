//! How many rows of which table an account has, and where.
#![allow(
    clippy::indexing_slicing,
    reason = "numbers come from the lists that they are numbers of; a development tool stops at a mistake"
)]
use super::rows::{Generator, REGIONS};
use anyhow::ensure;
use palisade_catalog::Scope;

/// What organisations have much of, with how much of a thousand.
const MUCH: &[(&str, u64)] = &[
    ("cloudwatch_alarm", 40),
    ("dynamodb_table", 25),
    ("ec2_instance", 70),
    ("ec2_network_interface", 75),
    ("ec2_security_group", 75),
    ("ec2_snapshot", 60),
    ("ec2_subnet", 25),
    ("ec2_volume", 60),
    ("ec2_vpc", 10),
    ("ecr_repository", 15),
    ("iam_policy", 40),
    ("iam_role", 80),
    ("iam_user", 10),
    ("kms_key", 25),
    ("lambda_function", 70),
    ("logs_log_group", 60),
    ("rds_db_instance", 10),
    ("s3_bucket", 50),
    ("secretsmanager_secret", 15),
    ("sns_topic", 15),
    ("sqs_queue", 15),
];

/// How many an account may have at most ("IAM and AWS STS quotas", AWS IAM User Guide).
const MOST: &[(&str, u64)] = &[("iam_policy", 5000), ("iam_role", 5000), ("iam_user", 5000)];

/// Rows below which a table is in one region of an account only.
const SPREAD: u64 = 8;
/// Rows of tables about the organisation, which the first account alone has.
const ORGANIZATION: u64 = 3;

/// In one account of so many, some calls fail.
const DENIED: u64 = 8;

/// One account's rows.
pub struct Shape {
    /// From 0.
    pub number: u64,
    /// Twelve digits.
    pub account_id: String,
    /// By table, then by region, how many rows; nothing for regions that are not asked.
    counts: Vec<Vec<(usize, u64)>>,
}

impl Shape {
    /// An account of so many rows.
    ///
    /// # Errors
    /// When they are fewer than what every account has.
    pub fn of(generator: &Generator, number: u64, resources: u64) -> anyhow::Result<Self> {
        let kinds = &generator.kinds;
        let mut totals: Vec<u64> = vec![0; kinds.len()];
        let mut fixed = 0;
        for (total, kind) in totals.iter_mut().zip(kinds) {
            *total = match kind.table.spec.id.as_str() {
                "account_id" => 1,
                "region" if kind.table.spec.scope == Scope::Global => 1,
                "region" => REGIONS.len() as u64,
                _ if !kind.is_organization() => 0,
                _ if number > 0 => 0,
                _ if kind.table.spec.name == "organizations_organization" => 1,
                _ => ORGANIZATION,
            };
            fixed += *total;
        }
        ensure!(
            resources >= fixed,
            "an account has at least {fixed} resources; --resources gives it {resources}"
        );
        let free = resources - fixed;
        let much = |name: &str| MUCH.iter().find(|(n, _)| *n == name).map(|(_, much)| *much);
        let few = |i: usize| {
            let kind = &kinds[i];
            !kind.is_single() && !kind.is_organization() && much(&kind.table.spec.name).is_none()
        };
        let rest = 1000 - MUCH.iter().map(|(_, m)| m).sum::<u64>();
        let others = (0..kinds.len()).filter(|i| few(*i)).count().max(1) as u64;
        let mut left = free;
        let mut largest = None;
        for (i, kind) in kinds.iter().enumerate() {
            let (part, of) = match much(&kind.table.spec.name) {
                Some(much) => (free * much, 1000),
                None if few(i) => (free * rest, 1000 * others),
                None => continue,
            };
            // what is less than one row is a row in some accounts
            let chance = generator.number(&[1, number, kind.number]) % of;
            let most = MOST.iter().find(|(n, _)| *n == kind.table.spec.name);
            let most = most.map_or(left, |(_, most)| left.min(*most));
            let rows = (part / of + u64::from(chance < part % of)).min(most);
            totals[i] = rows;
            left -= rows;
            if largest.is_none_or(|known: usize| totals[known] < rows) {
                largest = Some(i);
            }
        }
        if let Some(largest) = largest {
            totals[largest] += left;
        }
        let spread = |(i, total): (usize, &u64)| {
            let kind = &kinds[i];
            let all = REGIONS.len() as u64;
            match kind.table.spec.scope {
                Scope::Global => vec![(0, *total)],
                _ if kind.table.spec.id == "region" => (0..REGIONS.len()).map(|r| (r, 1)).collect(),
                _ if *total < SPREAD => {
                    let region = generator.number(&[2, number, kind.number]) % all;
                    vec![(usize::try_from(region).unwrap_or(0), *total)]
                }
                _ => (0..REGIONS.len())
                    .map(|r| (r, total / all + u64::from((r as u64) < total % all)))
                    .collect(),
            }
        };
        Ok(Self {
            number,
            account_id: format!("1{number:011}"),
            counts: totals.iter().enumerate().map(spread).collect(),
        })
    }

    /// The role that reads it lacks permissions.
    pub fn is_denied(&self) -> bool {
        self.number.is_multiple_of(DENIED)
    }

    /// The regions of a table that are asked, with their rows.
    pub fn regions(&self, table: usize) -> Vec<(usize, u64)> {
        self.counts.get(table).cloned().unwrap_or_default()
    }

    /// How many rows of a table there are in a region, or at home for what has no region.
    pub fn count(&self, table: usize, region: usize) -> u64 {
        let counts = self.counts.get(table).into_iter().flatten();
        counts
            .filter(|(r, _)| *r == region)
            .map(|(_, count)| *count)
            .sum()
    }
}

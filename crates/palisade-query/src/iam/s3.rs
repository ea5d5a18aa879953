//! Block Public Access, access points and grants: what decides on buckets and keys besides their policies.
use super::rows::{Row, TableRows, aws_shape, text};
use palisade_iam::{AccessPoint, KmsGrant, Known, Model, S3Facts, Truth};
use palisade_table::{Dataset, Schemas};
use serde_json::Value;
use std::collections::BTreeMap;

/// Whether a setting of Block Public Access keeps a public policy from serving others.
fn restricts(rows: &TableRows<'_>, row: &Row) -> Truth {
    if rows.failure(row, "public_access_block").is_some() {
        return Truth::Unknown;
    }
    let block = row.value.get("public_access_block");
    let set = block.and_then(|b| b.get("restrict_public_buckets"));
    (set == Some(&Value::Bool(true))).into()
}

pub(super) fn add(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model, known: &mut Known) {
    let buckets = TableRows::of(dataset, schemas, "s3_bucket");
    let accounts = TableRows::of(dataset, schemas, "s3control_account");
    // The table may have been read for something else.
    if buckets.is_collected && buckets.has_column("public_access_block") {
        let mut by_account: BTreeMap<&str, Truth> = BTreeMap::new();
        for row in &accounts.rows {
            if let Some(account) = text(&row.value, "account_id") {
                by_account.insert(account, restricts(&accounts, row));
                if let Some(why) = accounts.failure(row, "public_access_block") {
                    known
                        .reasons
                        .push(format!("Block Public Access of {account}: {why}"));
                }
            }
        }
        let of_account = |row: &Row| {
            let account = text(&row.value, "account_id").unwrap_or_default();
            by_account.get(account).copied().unwrap_or(Truth::Unknown)
        };
        for row in &buckets.rows {
            let Some(arn) = text(&row.value, "arn") else {
                continue;
            };
            let restricts_public = of_account(row).or(restricts(&buckets, row));
            if let (Truth::Unknown, Some(why)) = (
                restricts_public,
                buckets.failure(row, "public_access_block"),
            ) {
                known
                    .reasons
                    .push(format!("Block Public Access of {arn}: {why}"));
            }
            let facts = S3Facts {
                restricts_public,
                access_point: None,
            };
            model.s3.insert(arn.to_owned(), facts);
        }
        let points = TableRows::of(dataset, schemas, "s3control_access_point");
        for row in points.rows.iter().filter(|_| points.has_column("bucket")) {
            let own = of_account(row).or(restricts(&points, row));
            add_access_point(row, own, model);
        }
        let points = TableRows::of(dataset, schemas, "s3control_multi_region_access_point");
        for row in points.rows.iter().filter(|_| points.has_column("regions")) {
            let own = of_account(row).or(restricts(&points, row));
            add_multi_region(row, own, model);
        }
    }
    add_grants(dataset, schemas, model, known);
}

fn bucket_arn(row: &Value, name: &str) -> String {
    let partition = text(row, "partition").unwrap_or("aws");
    format!("arn:{partition}:s3:::{name}")
}

fn add_access_point(row: &Row, own: Truth, model: &mut Model) {
    let value = &row.value;
    let (Some(arn), Some(name)) = (text(value, "arn"), text(value, "bucket")) else {
        return;
    };
    let bucket = bucket_arn(value, name);
    let owner = text(value, "bucket_account_id").or_else(|| text(value, "account_id"));
    // The strictest of access point, bucket and account counts.
    let behind = model.s3.get(&bucket).map(|b| b.restricts_public);
    let vpc = (text(value, "network_origin") == Some("VPC"))
        .then(|| text(value.get("vpc_configuration")?, "vpc_id"))
        .flatten();
    let facts = S3Facts {
        restricts_public: own.or(behind.unwrap_or(Truth::False)),
        access_point: Some(AccessPoint {
            buckets: vec![(bucket, owner.unwrap_or_default().to_owned())],
            vpc: vpc.map(ToOwned::to_owned),
        }),
    };
    model.s3.insert(arn.to_owned(), facts);
}

fn add_multi_region(row: &Row, own: Truth, model: &mut Model) {
    let value = &row.value;
    let Some(arn) = text(value, "arn") else {
        return;
    };
    let regions = value.get("regions").and_then(Value::as_array);
    let bucket = |region: &Value| {
        let bucket = bucket_arn(value, text(region, "bucket")?);
        let owner = text(region, "bucket_account_id").or_else(|| text(value, "account_id"));
        Some((bucket, owner.unwrap_or_default().to_owned()))
    };
    let facts = S3Facts {
        restricts_public: own,
        access_point: Some(AccessPoint {
            buckets: regions.into_iter().flatten().filter_map(bucket).collect(),
            vpc: None,
        }),
    };
    model.s3.insert(arn.to_owned(), facts);
}

/// Grants on keys; where they could not be listed, the key counts as one whose policy was not read.
fn add_grants(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model, known: &mut Known) {
    let keys = TableRows::of(dataset, schemas, "kms_key");
    if !keys.has_column("grants") {
        return;
    }
    for row in &keys.rows {
        let Some(arn) = text(&row.value, "arn") else {
            continue;
        };
        if let Some(why) = keys.failure(row, "grants") {
            known.reasons.push(format!("the grants on {arn}: {why}"));
            known.unread_grants.insert(arn.to_owned());
            continue;
        }
        let list = row.value.get("grants").and_then(Value::as_array);
        let grants: Vec<KmsGrant> = list
            .into_iter()
            .flatten()
            .filter_map(|g| KmsGrant::from_aws(&aws_shape(g)))
            .collect();
        if !grants.is_empty() {
            model.grants.insert(arn.to_owned(), grants);
        }
    }
}

use super::fake::*;
use crate::*;
use palisade_catalog::{Source, load};

fn shipped() -> palisade_catalog::Catalog {
    load(&[Source::embedded()]).catalog
}

#[test]
fn every_shipped_table_can_be_planned_alone_and_all_together() {
    let catalog = shipped();
    assert!(catalog.tables.len() > 100, "{}", catalog.tables.len());
    let mut all = Request::default();
    let mut broken = Vec::new();
    for name in catalog.tables.keys() {
        match plan(&catalog, &MODELS, &everything(&[name])) {
            Ok(plan) => assert!(plan.tables().contains_key(name.as_str())),
            Err(error) => broken.push(error.to_string()),
        }
        all.add_all(name);
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let plan = plan(&catalog, &MODELS, &all).unwrap();
    assert!(
        plan.permissions()
            .iter()
            .any(|p| p == "s3:GetEncryptionConfiguration")
    );
    assert!(plan.permissions().is_sorted() && plan.operations().is_sorted());
    // One call fills users, groups, roles and policies.
    let text = plan.to_string();
    let bulk: Vec<&str> = text
        .lines()
        .filter(|l| l.contains("GetAccountAuthorizationDetails"))
        .collect();
    assert_eq!(
        bulk,
        [
            "iam:GetAccountAuthorizationDetails (global) -> iam_group, iam_policy, iam_role, iam_user"
        ]
    );
    // The inventory and the bulk tags are one call.
    assert_eq!(
        plan.operations()
            .iter()
            .filter(|o| *o == "resourcegroupstaggingapi:GetResources")
            .count(),
        1
    );
}

#[test]
fn only_what_a_column_needs_is_planned() {
    let catalog = shipped();
    let plan = plan(&catalog, &MODELS, &some("s3_bucket", &["versioning"])).unwrap();
    assert_eq!(
        plan.to_string(),
        "s3:ListBuckets (global) -> s3_bucket\n  s3:GetBucketVersioning (for each row) -> s3_bucket: versioning\n"
    );
    assert_eq!(
        plan.permissions(),
        ["s3:GetBucketVersioning", "s3:ListAllMyBuckets"]
    );
    let columns: Vec<String> = plan.tables()["s3_bucket"]
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(columns[..4], ["account_id", "region", "partition", "arn"]);
    assert!(columns.contains(&"name".to_owned()) && !columns.contains(&"policy".to_owned()));
}

#[test]
fn parents_and_conditions_come_along_and_are_not_output() {
    let catalog = shipped();
    let plan = plan(&catalog, &MODELS, &some("ecs_service", &["status"])).unwrap();
    assert_eq!(
        plan.to_string(),
        "ecs:ListClusters (regional) -> ecs_cluster\n  ecs:ListServices (for each ecs_cluster) -> ecs_service\n    \
         ecs:DescribeServices (for each 10 rows) -> ecs_service: service_name, status\n"
    );
    assert_eq!(
        plan.tables().into_keys().collect::<Vec<_>>(),
        ["ecs_service"]
    );
    let plan = super::super::plan(&catalog, &MODELS, &some("kms_key", &["rotation"])).unwrap();
    assert_eq!(
        plan.to_string(),
        "kms:ListKeys (regional) -> kms_key\n  kms:DescribeKey (for each row) -> kms_key: rotation\n  \
         kms:GetKeyRotationStatus (for each row after kms:DescribeKey) -> kms_key: rotation\n"
    );
}

#[test]
fn unknown_names_are_told_with_the_valid_ones() {
    let catalog = shipped();
    let error = plan(&catalog, &MODELS, &some("s3_buckets", &["name"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("no table `s3_buckets`; valid tables are accessanalyzer_analyzer"),
        "{error}"
    );
    let error = plan(&catalog, &MODELS, &some("s3_bucket", &["nam"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no column `nam`; valid columns are account_id"),
        "{error}"
    );
}

//! What becomes of resources, case by case.
use super::common::*;
use crate::{ResourceKind, Which, markdown, text};
use serde_json::{Value as Json, json};

fn paths(diff: &crate::Diff) -> Vec<(String, Json, Json)> {
    let columns = diff.resources.iter().flat_map(|r| &r.columns);
    columns
        .map(|c| (c.path.clone(), c.before.clone(), c.after.clone()))
        .collect()
}

#[tokio::test]
async fn added_removed_and_changed_by_path() {
    let before = buckets(&[
        json!({ "name": "gone" }),
        json!({ "name": "kept", "versioning": { "status": "Enabled" }, "tags": { "a.b": "1", "own": "x" } }),
        json!({ "name": "same" }),
    ]);
    let after = buckets(&[
        json!({ "name": "new" }),
        json!({ "name": "kept", "versioning": { "status": "Suspended" }, "tags": { "a.b": "2", "own": "x" } }),
        json!({ "name": "same" }),
    ]);
    let diff = of(&before, &after).await;
    let kinds: Vec<_> = diff
        .resources
        .iter()
        .map(|r| (r.kind, r.resource.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (ResourceKind::Removed, "arn:aws:s3:::gone"),
            (ResourceKind::Changed, "arn:aws:s3:::kept"),
            (ResourceKind::Added, "arn:aws:s3:::new"),
        ]
    );
    assert_eq!(
        paths(&diff),
        [
            ("tags[\"a.b\"]".to_owned(), json!("1"), json!("2")),
            (
                "versioning.status".to_owned(),
                json!("Enabled"),
                json!("Suspended")
            ),
        ]
    );
    assert_eq!((diff.counts.same, diff.counts.changed), (1, 1));
    assert!(diff.has_drift());
    let shown = text(&diff);
    assert!(
        shown.contains("versioning.status: \"Enabled\" → \"Suspended\""),
        "{shown}"
    );
    assert!(shown.lines().all(|l| l.chars().count() <= 80), "{shown}");
    assert!(markdown(&diff).contains("- changed `arn:aws:s3:::kept`"));
}

/// A cell that could not be read on one side is neither changed nor the same.
#[tokio::test]
async fn what_was_not_read_is_not_comparable() {
    let broken = json!({ "name": "b", "versioning": { "!error": "AccessDenied" } });
    let read = json!({ "name": "b", "versioning": { "status": "Enabled" } });
    for (before, after, which) in [
        (&broken, &read, Which::Before),
        (&read, &broken, Which::After),
        (&broken, &broken, Which::Both),
    ] {
        let diff = of(
            &buckets(std::slice::from_ref(before)),
            &buckets(std::slice::from_ref(after)),
        )
        .await;
        assert!(!diff.has_drift());
        let [resource] = diff.resources.as_slice() else {
            panic!("{:?}", diff.resources);
        };
        assert_eq!(resource.kind, ResourceKind::NotComparable);
        let blind = resource.not_comparable.iter();
        let columns: Vec<_> = blind.map(|b| (b.column.as_str(), b.in_state)).collect();
        assert!(columns.contains(&("versioning", which)), "{columns:?}");
    }
}

/// A list that failed hides what is there: nothing is removed or added where it was not listed.
#[tokio::test]
async fn a_list_that_failed_removes_nothing() {
    let store = memory();
    let full = tables(&buckets(&[json!({ "name": "a" }), json!({ "name": "b" })]));
    let mut failed = tables(&buckets(&[]));
    gap(&mut failed, "s3_bucket", ACCOUNT, REGION);
    let full = commit(&store, 1, &[ACCOUNT], &full, None).await;
    let failed = commit(&store, 2, &[ACCOUNT], &failed, None).await;
    for (before, after) in [(&full, &failed), (&failed, &full)] {
        let diff = compared(before, after).await;
        assert_eq!(diff.resources, []);
        assert!(!diff.has_drift());
        let said = diff.not_compared.iter().find(|n| n.resources == 2).unwrap();
        assert!(said.reason.contains("AccessDenied"), "{said:?}");
    }
}

/// Another region's failed list hides nothing of this one, for a table that is listed region by region.
#[tokio::test]
async fn a_list_that_failed_in_another_region_hides_nothing_here() {
    let store = memory();
    let row =
        json!({ "function_name": "f", "function_arn": "arn:aws:lambda:us-east-1:1:function:f" });
    let before = tables(&json!({ "lambda_function": [row] }));
    let mut after = tables(&json!({ "lambda_function": [] }));
    gap(&mut after, "lambda_function", ACCOUNT, "eu-west-1");
    let before = commit(&store, 1, &[ACCOUNT], &before, None).await;
    let after = commit(&store, 2, &[ACCOUNT], &after, None).await;
    let diff = compared(&before, &after).await;
    assert_eq!(diff.resources_of(ResourceKind::Removed), 1);
    let listed = diff.not_compared.iter().filter(|n| n.table.is_some());
    assert_eq!(listed.count(), 1);
}

#[tokio::test]
async fn declared_noise_and_the_order_of_lists_are_no_change() {
    let row = |used: &str, layers: &[&str], groups: &[&str]| {
        json!({ "lambda_function": [{
            "function_name": "f",
            "function_arn": "arn:aws:lambda:us-east-1:1:function:f",
            "last_modified": used,
            "vpc_config": { "security_group_ids": groups },
            "layers": layers.iter().map(|l| json!({ "arn": l })).collect::<Vec<_>>(),
        }]})
    };
    let diff = of(
        &row("x", &["a", "b"], &["1", "2"]),
        &row("y", &["a", "b"], &["2", "1"]),
    )
    .await;
    assert_eq!(diff.resources, []);
    // the order of layers is declared to mean something
    let diff = of(&row("x", &["a", "b"], &[]), &row("x", &["b", "a"], &[])).await;
    assert_eq!(
        paths(&diff),
        [
            ("layers[0].arn".to_owned(), json!("a"), json!("b")),
            ("layers[1].arn".to_owned(), json!("b"), json!("a")),
        ]
    );
}

/// A policy is compared as a document, not as a text.
#[tokio::test]
async fn policies_are_compared_by_member() {
    let row = |policy: Json| {
        buckets(&[json!({ "name": "b", "policy": { "policy": policy.to_string() } })])
    };
    let statement = |effect: &str, actions: &[&str]| {
        json!({ "Version": "2012-10-17", "Statement": [
            { "Sid": "one", "Effect": effect, "Action": actions },
            { "Sid": "two", "Effect": "Deny", "Action": "s3:*" },
        ]})
    };
    let Some(path) = policy_path() else {
        panic!("s3_bucket has no policy column");
    };
    let row = |value: Json| match path {
        true => row(value),
        false => buckets(&[json!({ "name": "b", "policy": value.to_string() })]),
    };
    let diff = of(
        &row(statement("Allow", &["s3:Get*", "s3:List*"])),
        &row(statement("Allow", &["s3:List*", "s3:Get*"])),
    )
    .await;
    assert_eq!(diff.resources, []);
    let diff = of(
        &row(statement("Allow", &["s3:Get*"])),
        &row(statement("Deny", &["s3:Get*"])),
    )
    .await;
    let found = paths(&diff);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0.ends_with("Statement[].Effect"), "{found:?}");
}

/// Whether the policy is inside a structure.
fn policy_path() -> Option<bool> {
    use palisade_table::Schemas;
    let (_, schema) = SHIPPED.table("s3_bucket")?;
    let column = schema.column("policy")?;
    Some(matches!(column.ty, palisade_catalog::ColumnType::Struct(_)))
}

#[tokio::test]
async fn accounts_tables_and_columns_of_one_state_are_said() {
    let store = memory();
    let both = tables(&json!({ "s3_bucket": [{ "name": "a" }], "lambda_function": [] }));
    let one = tables(&json!({ "s3_bucket": [{ "name": "a" }] }));
    let before = commit(&store, 1, &[ACCOUNT, "999999999999"], &both, None).await;
    let after = commit(&store, 2, &[ACCOUNT], &one, None).await;
    let diff = compared(&before, &after).await;
    assert_eq!(diff.resources, []);
    let said: Vec<_> = diff
        .not_compared
        .iter()
        .map(|n| (n.table.as_deref(), n.account_id.as_deref(), n.lacking))
        .collect();
    assert!(
        said.contains(&(None, Some("999999999999"), Which::After)),
        "{said:?}"
    );
    assert!(said.contains(&(Some("lambda_function"), Some(ACCOUNT), Which::After)));
}

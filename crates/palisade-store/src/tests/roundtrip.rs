//! What was stored is what comes back.
use super::common::{SHIPPED, buckets, commit, memory, now};
use crate::Wanted;
use palisade_core::{Finding, FixAvailability, MutedBy, Muting, Severity, Status};
use palisade_table::{Dataset, FIXTURE_ACCOUNT, fixture_dataset};
use std::collections::BTreeSet;
use std::sync::Arc;

fn wanted(dataset: &Dataset) -> Wanted {
    let tables = dataset.tables.iter();
    tables
        .map(|(name, table)| {
            let columns = table.schema.fields().iter().map(|f| f.name().clone());
            (name.clone(), columns.collect())
        })
        .collect()
}

/// Fixtures of the shipped checks, with all columns of their tables: rows, failed calls and gaps. Every table is among
/// them, a third of what could not be read, and an eighth of the others.
#[tokio::test]
async fn fixtures_come_back() {
    let mut compared = 0;
    let mut seen = BTreeSet::new();
    let mut number = 0;
    for check in SHIPPED.catalog().checks.values() {
        for fixture in check.fixtures.iter() {
            let Ok(dataset) = fixture_dataset(
                &*SHIPPED,
                &check.resource,
                check.is_query,
                &fixture.data,
                now(),
            ) else {
                panic!("{}: the fixture cannot be read", check.id);
            };
            number += 1;
            let mut new = false;
            for table in dataset.tables.keys() {
                new |= seen.insert(table.clone());
            }
            let lost = |t: &palisade_table::Table| {
                !t.gaps.is_empty() || t.batches.iter().any(|b| !b.failures.is_empty())
            };
            if !new && number % 8 != 0 && !(number % 3 == 0 && dataset.tables.values().any(lost)) {
                continue;
            }
            // one account a snapshot is what fixtures have, with few exceptions
            let store = memory();
            let snapshot = commit(&store, "00000001", &dataset, &[]).await;
            let wanted = wanted(&dataset);
            assert_eq!(snapshot.lacks(&wanted, &*SHIPPED), [], "{}", check.id);
            let accounts = snapshot.accounts();
            let back = snapshot
                .dataset(&accounts, &wanted, &*SHIPPED)
                .await
                .unwrap_or_else(|e| panic!("{}: {e}", check.id));
            for (name, table) in &dataset.tables {
                let mine = |t: &palisade_table::Table| {
                    let mut rows = Vec::new();
                    for batch in &t.batches {
                        for row in 0..batch.rows.num_rows() {
                            let slice = batch.rows.slice(row, 1);
                            let account = slice.column_by_name("account_id").unwrap();
                            let account = arrow::util::display::array_value_to_string(account, 0);
                            if account.unwrap() != FIXTURE_ACCOUNT {
                                continue;
                            }
                            let of = batch.failures.iter().filter(|f| f.row == row);
                            let of: Vec<_> = of.map(|f| (f.source, f.error.clone())).collect();
                            rows.push((slice, of));
                        }
                    }
                    rows
                };
                let other = &back.tables[name];
                let (was, is) = (mine(table), mine(other));
                assert_eq!(was.len(), is.len(), "{}: rows of {name}", check.id);
                for (was, is) in was.iter().zip(&is) {
                    assert_eq!(was, is, "{}: {name}", check.id);
                    compared += 1;
                }
                let gaps = table
                    .gaps
                    .iter()
                    .filter(|g| g.account_id == FIXTURE_ACCOUNT);
                assert_eq!(
                    gaps.cloned().collect::<Vec<_>>(),
                    other.gaps,
                    "{}",
                    check.id
                );
            }
        }
    }
    assert!(compared > 700, "{compared}");
}

#[tokio::test]
async fn only_the_wanted_columns_are_read_and_what_is_not_there_is_told() {
    let store = memory();
    let snapshot = commit(&store, "00000001", &buckets(&["a", "broken"]), &[]).await;
    let mut wanted = Wanted::new();
    wanted
        .entry("s3_bucket".to_owned())
        .or_default()
        .insert("versioning".to_owned());
    let accounts = snapshot.accounts();
    let dataset = snapshot
        .dataset(&accounts, &wanted, &*SHIPPED)
        .await
        .unwrap();
    let table = &dataset.tables["s3_bucket"];
    let names: Vec<&str> = table
        .schema
        .fields()
        .iter()
        .map(|f| f.name().as_str())
        .collect();
    assert_eq!(
        names,
        [
            "account_id",
            "region",
            "partition",
            "arn",
            "name",
            "versioning"
        ]
    );
    assert_eq!(table.batches[0].failures.len(), 1);
    assert_eq!(table.batches[0].failures[0].row, 1);
    wanted
        .entry("kms_key".to_owned())
        .or_default()
        .insert("key_id".to_owned());
    wanted
        .entry("s3_bucket".to_owned())
        .or_default()
        .insert("no_such".to_owned());
    let lacks = snapshot.lacks(&wanted, &*SHIPPED);
    let lacks: Vec<(&str, &str)> = lacks
        .iter()
        .map(|(t, c)| (t.as_str(), c.as_str()))
        .collect();
    assert_eq!(lacks, [("kms_key", "key_id"), ("s3_bucket", "no_such")]);
}

#[tokio::test]
async fn findings_come_back() {
    let evidence = serde_json::json!({ "a": [1, null, "<b>"], "z": { "k": 1.5 } });
    let finding = |n: usize, status| Finding {
        check: Arc::from("s3-bucket-versioning"),
        status,
        severity: Severity::ALL[n % Severity::ALL.len()],
        account_id: Arc::from(FIXTURE_ACCOUNT),
        region: Arc::from("eu-central-1"),
        resource: format!("arn:aws:s3:::bucket-{n}"),
        resource_id: format!("bucket-{n}\n,\"=cmd"),
        resource_type: Arc::from("s3_bucket"),
        message: "versioning is off \u{1f512}".to_owned(),
        evidence: match (n % 2, evidence.clone()) {
            (0, serde_json::Value::Object(map)) => map,
            _ => serde_json::Map::new(),
        },
        requirements: Arc::from(vec!["cis-aws-5.0/2.1".to_owned(); n % 3]),
        fix: [FixAvailability::Automatic, FixAvailability::Guided][n % 2],
        history: None,
        missing_permissions: vec!["s3:GetBucketVersioning".to_owned(); n % 2],
        muted: n.is_multiple_of(4).then(|| {
            Arc::new(Muting {
                by: MutedBy::Mute,
                reason: "accepted".to_owned(),
                owner: "security".to_owned(),
                expires: "2026-12-31".to_owned(),
            })
        }),
    };
    let findings: Vec<Finding> = (0..10)
        .zip(Status::ALL.iter().cycle())
        .map(|(n, status)| finding(n, *status))
        .collect();
    let store = memory();
    let snapshot = commit(&store, "00000001", &buckets(&[]), &findings).await;
    assert_eq!(snapshot.all_findings().await.unwrap(), findings);
    let entry = &snapshot.manifest().accounts[0];
    assert_eq!((entry.failed, entry.unknown, entry.rows), (2, 2, 0));
}

/// Large files say of plain columns what is in them, and of no list: nobody asks.
#[test]
fn statistics_are_of_plain_columns() {
    use arrow::array::{ListBuilder, RecordBatch, StringArray, StringBuilder};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let names = StringArray::from_iter_values((0..5000).map(|n| format!("bucket-{n:05}")));
    let mut lists = ListBuilder::new(StringBuilder::new());
    (0..5000).for_each(|n| lists.append_value([Some(format!("requirement-{n}"))]));
    let rows = RecordBatch::try_from_iter([
        ("name", Arc::new(names) as arrow::array::ArrayRef),
        ("requirements", Arc::new(lists.finish())),
    ])
    .unwrap();
    let bytes = crate::encode::to_parquet(&rows).unwrap();
    let file = SerializedFileReader::new(bytes).unwrap();
    let columns = file.metadata().row_group(0).columns();
    let has: Vec<bool> = columns.iter().map(|c| c.statistics().is_some()).collect();
    assert_eq!(has, [true, false]);
}

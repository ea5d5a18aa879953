//! No text, however broken, makes the loader panic or disappears without a diagnostic.
use palisade_catalog::{Source, load};
use proptest::prelude::*;

const PAGE: &str = r#"+++
title = "S3 bucket keeps old versions of its objects"
severity = "medium"
resource = "s3_bucket"
category = "resilience"
since = "0.1.0"
same_as = { prowler = ["s3_bucket_object_versioning"], security_hub = ["S3.14"], config = ["s3-bucket-versioning-enabled"] }

[params.days]
default = 90
about = "Days."
+++
Why it matters.

## Fix
What to do.

```fix
s3:PutBucketVersioning Bucket=${name} VersioningConfiguration={Status=Enabled}
```

## Check
```sql where
creation_date IS NOT NULL
```
```sql
versioning['status'] = 'Enabled' AND age_days(creation_date) < $days
```
pass: `versioning is enabled`
fail: `versioning is ${coalesce(versioning['status'], 'off')}`

## Fixtures
```rows
pass    { "name": "a", "versioning": { "status": "Enabled" } }
fail    { "name": "b",
          "versioning": { "status": "Suspended" } }
unknown { "name": "d", "versioning": !AccessDenied }
none    { "name": "e", "creation_date": null }
```
"#;

const SERVICE: &str = r#"
title = "Amazon S3"
scope = "global"
[permissions]
ListBuckets = ["s3:ListAllMyBuckets"]
[table.s3_bucket]
about = "Buckets."
id = "name"
arn = "arn:${partition}:s3:::${name}"
region = ["bucket_region"]
[table.s3_bucket.list]
call = "ListBuckets"
params = { MaxBuckets = 1000 }
rows = "Buckets[]"
[[table.s3_bucket.call]]
call = "GetBucketVersioning"
params = { Bucket = "${name}" }
into = "versioning"
when = { column = "name", is = ["a"] }
[table.s3_bucket.column]
environment = { hide = true }
[view.s3_view]
about = "x"
sql = "SELECT 1"
"#;

const FRAMEWORK: &str = r#"
name = "cis"
version = "3.0"
title = "CIS"
source = "x"
[[requirement]]
id = "1"
title = "x"
kind = "automated"
checks = ["s3-bucket-versioning"]
level = 1
"#;

fn files(service: &str, page: &str, framework: &str) -> Source {
    Source::from_texts([
        ("services/s3.toml", service),
        ("checks/s3/s3-bucket-versioning.md", page),
        ("frameworks/cis-3.0.toml", framework),
    ])
}

/// A text with a piece taken out, doubled, or replaced.
fn damaged(text: &'static str) -> impl Strategy<Value = String> {
    let length = text.chars().count();
    (
        0..length,
        0..40usize,
        "\\PC{0,6}|\n|\"|`|\\{|\\[|\\+\\+\\+\n|```\n",
    )
        .prop_map(move |(at, count, put)| {
            let head: String = text.chars().take(at).collect();
            let tail: String = text.chars().skip(at + count).collect();
            format!("{head}{put}{tail}")
        })
}

#[test]
fn the_whole_texts_load() {
    let loaded = load(&[files(SERVICE, PAGE, FRAMEWORK)]);
    assert_eq!(loaded.diagnostics, []);
    let check = &loaded.catalog.checks["s3-bucket-versioning"];
    assert_eq!(check.sql.1, 27);
    assert_eq!(check.applies.as_ref().unwrap().1, 24);
    assert_eq!(check.fail_message.1, 30);
    let lines: Vec<u32> = check.fixtures.iter().map(|f| f.line).collect();
    assert_eq!(lines, [34, 35, 37, 38]);
    assert_eq!(check.fix, "What to do.");
    assert_eq!(
        loaded.catalog.requirements_of("s3-bucket-versioning"),
        ["cis-3.0/1"]
    );
}

proptest! {
    #[test]
    fn damaged_files_load_or_are_reported(
        service in damaged(SERVICE),
        page in damaged(PAGE),
        framework in damaged(FRAMEWORK),
    ) {
        let loaded = load(&[files(&service, &page, &framework)]);
        let catalog = &loaded.catalog;
        let used = [
            ("services/s3.toml", catalog.services.contains_key("s3")),
            ("checks/s3/s3-bucket-versioning.md", !catalog.checks.is_empty()),
            ("frameworks/cis-3.0.toml", !catalog.frameworks.is_empty()),
        ];
        for (file, used) in used {
            let told = loaded.diagnostics.iter().any(|d| d.file == file && d.is_error());
            prop_assert_eq!(used, !told, "{}: {:?}", file, &loaded.diagnostics);
        }
        prop_assert!(loaded.diagnostics.is_sorted());
    }

    #[test]
    fn any_text_is_reported(text in "(\\PC|\n|=|\\[|\\]|\"|\\+\\+\\+\n|```|## Check\n){0,60}") {
        let loaded = load(&[files(&text, &text, &text)]);
        prop_assert!(loaded.catalog.checks.is_empty() && loaded.catalog.services.is_empty());
        let mut told: Vec<&str> = loaded.diagnostics.iter().map(|d| d.file.as_str()).collect();
        told.dedup();
        prop_assert_eq!(told.len(), 3);
    }
}

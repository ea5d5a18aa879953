//! Selection, overlays and substitution.
use palisade_catalog::{Catalog, ParameterValue, Source, load};
use std::collections::BTreeMap;

fn page(title: &str, same_as: &str) -> String {
    format!(
        "+++\ntitle = \"{title}\"\nseverity = \"low\"\nresource = \"s3_bucket\"\ncategory = \"data\"\nsince = \"0.1.0\"\nsame_as = {{ {same_as} }}\n\n\
         [params.days]\ndefault = 90\nabout = \"Days.\"\n[params.names]\ndefault = [\"a'b\"]\nabout = \"Names.\"\n+++\n\
         Why.\n\n## Fix\nDo.\n\n## Check\n```sql\nage > $days AND name <> '$days' AND array_has($names, name) AND t < $now -- $days\n```\n\
         pass: `a`\nfail: `b`\n\n## Fixtures\n```rows\npass {{}}\nfail {{}}\nunknown {{}}\n```\n"
    )
}

const SERVICE: &str = "title = 'S3'\n[table.s3_bucket]\nabout = 'x'\nid = 'name'\nlist = { call = 'ListBuckets', rows = 'Buckets[]' }\n";

fn catalog() -> Catalog {
    let loaded = load(&[Source::from_texts([
        ("services/s3.toml", SERVICE.to_owned()),
        (
            "checks/s3/s3-bucket-versioning.md",
            page(
                "a",
                "prowler = [\"s3_bucket_object_versioning\"], security_hub = [\"S3.14\"]",
            ),
        ),
        (
            "checks/s3/s3-bucket-encryption.md",
            page("b", "config = [\"s3-bucket-encrypted\"]"),
        ),
    ])]);
    assert_eq!(loaded.diagnostics, []);
    loaded.catalog
}

#[test]
fn checks_by_id_glob_and_other_tools_ids() {
    let catalog = catalog();
    let ids = |spec: &str| -> Result<Vec<String>, String> {
        match catalog.resolve_check(spec) {
            Ok(checks) => Ok(checks.iter().map(|c| c.id.clone()).collect()),
            Err(e) => Err(e.to_string()),
        }
    };
    assert_eq!(
        ids("s3-bucket-versioning").unwrap(),
        ["s3-bucket-versioning"]
    );
    assert_eq!(
        ids("s3-*").unwrap(),
        ["s3-bucket-encryption", "s3-bucket-versioning"]
    );
    assert_eq!(ids("*version*").unwrap(), ["s3-bucket-versioning"]);
    assert_eq!(
        ids("prowler:s3_bucket_object_versioning").unwrap(),
        ["s3-bucket-versioning"]
    );
    assert_eq!(ids("security_hub:S3.14").unwrap(), ["s3-bucket-versioning"]);
    assert_eq!(
        ids("config:s3-bucket-encrypted").unwrap(),
        ["s3-bucket-encryption"]
    );
    assert_eq!(
        ids("s3-bucket-versionning").unwrap_err(),
        "unknown check `s3-bucket-versionning`; did you mean `s3-bucket-versioning`?"
    );
    assert_eq!(
        ids("security_hub:S3.15").unwrap_err(),
        "unknown check `security_hub:S3.15`; did you mean `security_hub:S3.14`?"
    );
    assert_eq!(
        ids("prowlr:x").unwrap_err(),
        "unknown check `prowlr:x`; did you mean `prowler:x`?"
    );
    assert_eq!(ids("zz*").unwrap_err(), "unknown check `zz*`");
}

#[test]
fn later_sources_replace_and_add() {
    let first = Source::from_texts([
        ("services/s3.toml", SERVICE.to_owned()),
        ("checks/s3/s3-bucket-a.md", page("first", "")),
        ("checks/s3/s3-bucket-b.md", page("stays", "")),
    ]);
    let second = Source::from_texts([
        ("checks/s3/s3-bucket-a.md", page("second", "")),
        ("checks/s3/s3-bucket-c.md", page("new", "")),
    ]);
    let loaded = load(&[first.clone(), second]);
    assert_eq!(loaded.diagnostics, []);
    let titles: Vec<&str> = loaded
        .catalog
        .checks
        .values()
        .map(|c| c.title.as_str())
        .collect();
    assert_eq!(titles, ["second", "stays", "new"]);
    // A broken file does not let the one that it replaces come back unseen.
    let broken = Source::from_texts([("checks/s3/s3-bucket-a.md", "+++\n")]);
    let loaded = load(&[first, broken]);
    assert!(loaded.has_errors());
    assert!(!loaded.catalog.checks.contains_key("s3-bucket-a"));
}

#[test]
fn parameters_become_literals_outside_of_texts_and_comments() {
    let catalog = catalog();
    let check = &catalog.checks["s3-bucket-versioning"];
    let sql = &check.sql.0;
    assert_eq!(
        check.sql_with(sql, &BTreeMap::new()),
        "age > 90 AND name <> '$days' AND array_has(['a''b'], name) AND t < $now -- $days"
    );
    let params = BTreeMap::from([
        ("days".to_owned(), ParameterValue::Integer(-5)),
        ("names".to_owned(), ParameterValue::Texts(Vec::new())),
        (
            "now".to_owned(),
            ParameterValue::Text("2026-01-15T00:00:00Z".into()),
        ),
    ]);
    assert_eq!(
        check.sql_with(sql, &params),
        "age > (-5) AND name <> '$days' AND array_has([], name) AND t < TIMESTAMP '2026-01-15T00:00:00Z' -- $days"
    );
}

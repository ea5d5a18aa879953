use super::*;
use palisade_core::{Findings, Listing};
use palisade_query::{CatalogSchemas, Options as Judged};
use palisade_scan::Scanner;
use std::path::Path;

fn made(folder: &Path, resources: u64, drift: Option<u64>) -> Vec<(String, u64)> {
    let arguments = Arguments {
        accounts: 2,
        resources,
        store: folder.to_owned(),
        seed: 7,
        drift,
    };
    write(&arguments).unwrap()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let relative = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(relative, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_seed_gives_the_same_bytes_and_another_gives_others() {
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    for (folder, seed) in folders.iter().zip([7, 7, 8]) {
        let arguments = Arguments {
            accounts: 2,
            resources: 1001,
            store: folder.path().to_owned(),
            seed,
            drift: None,
        };
        let made = write(&arguments).unwrap();
        let rows: Vec<u64> = made.iter().map(|(_, rows)| *rows).collect();
        assert_eq!(rows, [1001]);
    }
    let [a, b, c] = folders.each_ref().map(|f| files(f.path()));
    assert!(a == b, "the same seed gives other bytes");
    assert!(a != c, "another seed gives the same bytes");
}

#[test]
fn no_check_lacks_a_column_and_many_say_each_thing() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), 16_000, None);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &Options::default()).unwrap();
    let snapshot = runtime.block_on(store.snapshot(&made[0].0)).unwrap();
    let verified = runtime.block_on(store.verify(&snapshot));
    assert!(verified.damaged.is_empty(), "{:?}", verified.damaged);
    assert_eq!(snapshot.manifest().rows(), 16_000);

    let catalog = Arc::new(palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog);
    let checks: Vec<_> = catalog.checks.values().cloned().collect();
    let mut scanner = Scanner::new(catalog);
    scanner.set_now(snapshot.manifest().started_at);
    let assessed = scanner.assess_snapshot(&checks, &snapshot, Judged::default(), Listing::All);
    let (assessment, left_out) = runtime.block_on(assessed).unwrap();
    assert!(left_out.is_empty(), "{left_out:?}");
    let of = |status: palisade_core::Status| {
        let all = assessment.findings.iter().filter(|f| f.status == status);
        all.map(|f| &f.check)
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
    let [pass, fail, unknown] = [
        palisade_core::Status::Pass,
        palisade_core::Status::Fail,
        palisade_core::Status::Unknown,
    ]
    .map(of);
    let all = checks.len();
    assert!(pass * 4 > all, "{pass} of {all} checks pass somewhere");
    assert!(fail * 4 > all, "{fail} of {all} checks fail somewhere");
    assert!(
        unknown * 10 > all,
        "{unknown} of {all} checks are unknown somewhere"
    );
}

#[test]
fn drift_is_about_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), 6000, Some(10));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &Options::default()).unwrap();
    let [before, after] = [0, 1].map(|n| {
        let (id, _): &(String, u64) = &made[n];
        runtime.block_on(store.snapshot(id)).unwrap()
    });
    let schemas = CatalogSchemas::shipped();
    let sides = [&before, &after].map(palisade_drift::Side::Stored);
    let filter = palisade_drift::Filter {
        findings: false,
        ..palisade_drift::Filter::default()
    };
    let diff = palisade_drift::diff(sides[0], sides[1], &schemas, &filter);
    let diff = runtime.block_on(diff).unwrap();
    let same = diff.counts.same;
    assert!((5000..5900).contains(&same), "{same} are the same");
}

#[test]
fn pieces_and_counts_change_nothing_that_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let made = made(folder.path(), 5000, None);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &Options::default()).unwrap();
    let snapshot = runtime.block_on(store.snapshot(&made[0].0)).unwrap();
    let catalog = Arc::new(palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog);
    let checks: Vec<_> = catalog.checks.values().cloned().collect();
    let assessed = |rows: usize, listing: Listing| {
        let mut scanner = Scanner::new(Arc::clone(&catalog));
        scanner.set_now(snapshot.manifest().started_at);
        scanner.set_rows_at_once(rows);
        let asked = scanner.assess_snapshot(&checks, &snapshot, Judged::default(), listing);
        runtime.block_on(asked).unwrap().0
    };
    let text = |assessment: &palisade_core::Assessment, all: bool| {
        let mut out = Vec::new();
        let options = palisade_report::text::Options {
            all,
            ..palisade_report::text::Options::default()
        };
        palisade_report::text::write(assessment, options, &mut out).unwrap();
        if !all {
            palisade_report::markdown::write(assessment, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    };
    let whole = assessed(1_000_000, Listing::All);
    let pieces = assessed(300, Listing::All);
    assert!(whole == pieces, "pieces give other findings");
    assert_eq!(whole.counted.total(), 0);
    let failed = assessed(300, Listing::NotPassed);
    assert_eq!(text(&whole, true), text(&failed, true));
    let first = assessed(300, Listing::First(5));
    assert_eq!(text(&whole, false), text(&first, false));
    assert_eq!(first.total(), whole.findings.len());
    assert!(first.findings.len() * 4 < whole.findings.len());

    // kept apart, most of them in files
    let mut scanner = Scanner::new(Arc::clone(&catalog));
    scanner.set_now(snapshot.manifest().started_at);
    let asked = scanner.assess_snapshot_apart(&checks, &snapshot, Judged::default());
    let (mut brief, spool, _) = runtime.block_on(asked).unwrap();
    assert!(brief.findings.is_empty() && spool.count() > 10_000);
    spool.list(Listing::First(5), &mut brief).unwrap();
    assert_eq!(text(&whole, false), text(&brief, false));
    let whole_as = reports(&whole, &whole.findings);
    for ((format, all), (_, apart)) in whole_as.iter().zip(reports(&brief, &spool)) {
        assert!(*all == apart, "{format} has something else");
        assert!(all.len() > 1000, "{format}");
    }
}

/// Ways to more permissions lead from account to account. What is let go of account by account changes none of them.
#[test]
fn ways_through_accounts_are_those_of_all_rows_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = Arguments {
        accounts: 4,
        resources: 1200,
        store: folder.path().to_owned(),
        seed: 3,
        drift: None,
    };
    let made = write(&arguments).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Store::open(folder.path().to_str().unwrap(), &Options::default()).unwrap();
    let snapshot = runtime.block_on(store.snapshot(&made[0].0)).unwrap();
    let catalog = Arc::new(palisade_catalog::load(&[palisade_catalog::Source::embedded()]).catalog);
    let check = Arc::clone(&catalog.checks["iam-principal-no-privilege-escalation"]);
    let mut scanner = Scanner::new(catalog);
    scanner.set_now(snapshot.manifest().started_at);
    let checks = [check];

    let planned = scanner.plan(&checks).unwrap();
    let request = planned.request();
    let read = scanner.snapshot_tables(&snapshot, &request);
    let (dataset, lacking) = runtime.block_on(read).unwrap();
    assert!(lacking.is_empty(), "{lacking:?}");
    let found = scanner
        .query("SELECT arn, reaches FROM iam_escalation_path", &dataset)
        .unwrap()
        .to_json_lines();
    let account = |arn: &str| arn.split(':').nth(4).unwrap().to_owned();
    let elsewhere = found.lines().any(|line| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let own = account(row["arn"].as_str().unwrap());
        let reaches = row["reaches"].as_array();
        let mut reaches = reaches.into_iter().flatten();
        reaches.any(|to| account(to.as_str().unwrap()) != own)
    });
    assert!(elsewhere, "no way leads into another account");
    let collected = palisade_collect::Collected {
        dataset,
        ..palisade_collect::Collected::default()
    };
    let scope = palisade_scan::Scope {
        accounts: snapshot.accounts(),
        regions: snapshot.manifest().regions.clone(),
    };
    let whole = scanner.assess(&planned, collected, scope, Judged::default());
    let whole = whole.unwrap().findings;
    let asked = scanner.assess_snapshot(&checks, &snapshot, Judged::default(), Listing::All);
    let (pieces, _) = runtime.block_on(asked).unwrap();
    for status in ["pass", "fail", "unknown"] {
        let some = whole.iter().any(|f| f.status.as_str() == status);
        assert!(some, "nothing is {status}");
    }
    let json = |findings: &Vec<palisade_core::Finding>| serde_json::to_string(findings).unwrap();
    assert!(json(&whole) == json(&pieces.findings), "ways differ");
}

/// The reports that are written finding by finding.
fn reports(
    assessment: &palisade_core::Assessment,
    findings: &dyn Findings,
) -> Vec<(&'static str, Vec<u8>)> {
    use palisade_report as report;
    type From = fn(
        &palisade_core::Assessment,
        &dyn Findings,
        &mut dyn std::io::Write,
    ) -> std::io::Result<()>;
    let formats: [(&str, From); 8] = [
        ("json", report::json::write_from),
        ("jsonl", |_, f, out| report::jsonl::write_from(f, out)),
        ("csv", report::csv::write_from),
        ("ocsf", report::ocsf::write_from),
        ("asff", report::asff::write_from),
        ("sarif", report::sarif::write_from),
        ("junit", report::junit::write_from),
        ("prometheus", report::prometheus::write_from),
    ];
    let written = formats.into_iter().map(|(name, write)| {
        let mut out = Vec::new();
        write(assessment, findings, &mut out).unwrap();
        (name, out)
    });
    written.collect()
}

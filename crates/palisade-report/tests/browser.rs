//! The HTML report in a real browser: it loads, filters, opens a finding, leads to its fix; nothing in it runs or
//! loads anything.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod sample;
mod webdriver;

use palisade_core::{Assessment, Severity, Status};
use webdriver::Browser;

fn page(assessment: &Assessment, folder: &std::path::Path) -> String {
    let path = folder.join("report.html");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    palisade_report::html::write(assessment, &mut file).unwrap();
    format!("file://{}", path.display())
}

fn browser(options: &[&str], phone: bool) -> Option<Browser> {
    let browser = Browser::start(options, phone);
    if browser.is_none() {
        eprintln!("skipped: no Chromium");
    }
    browser
}

#[test]
fn it_loads_filters_opens_a_finding_and_leads_to_its_fix() {
    let Some(browser) = browser(&[], false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = page(&sample::sample(), folder.path());
    browser.open(&url);
    let order: Vec<String> = serde_json::from_value(
        browser.run("return [...document.querySelectorAll('section')].map(s => s.id)"),
    )
    .unwrap();
    assert_eq!(order, ["standing", "first", "unseen", "expired"]);
    browser.reads(".gauge .number", "44");
    browser.says("#unseen", "s3:GetBucketPolicy");
    browser.picture("overview");

    browser.click("nav a[data-page=findings]");
    browser.reads("#found", "All 8 findings");
    browser.click("input[data-facet=status][data-value=fail]");
    browser.reads("#found", "2 of 8 findings");
    browser.click("input[data-facet=status][data-value=muted]");
    browser.reads("#found", "3 of 8 findings");
    browser.type_into("#search", "OPEN world one");
    browser.reads("#found", "1 of 8 findings");
    // the address keeps the question: it can be sent to somebody
    let address = browser
        .run("return location.href")
        .as_str()
        .unwrap()
        .to_owned();
    browser.open(&address);
    browser.reads("#found", "1 of 8 findings");

    browser.click(".row");
    for part in [
        "open to the world",
        "arn:aws:s3:::one",
        "title of s3-a",
        "123456789012",
        "eu-west-1",
        "cis-aws-5.0/2.1.4",
        "public",
        "true",
    ] {
        browser.says("#sheet", part);
    }
    browser.picture("finding");
    browser.click("#to-fix");
    browser.reads("h1", "title of s3-a");
    browser.says("#fix", "Do this first. Then that.");
    browser.wait("!document.getElementById('sheet').open");
    browser.picture("check");

    browser.click("nav a[data-page=compliance]");
    browser.says("main", "0 of 2 looked at are met");
    browser.click("a.framework");
    browser.click(".requirement summary");
    browser.click(".requirement[open] > p a");
    browser.says("#found", "cis-aws-5.0/2.1.4");
    assert!(browser.print() > 5_000);
}

/// A framework that was selected is shown as the scan judged it, not as its findings alone look.
#[test]
fn selected_frameworks_stand_as_they_were_judged() {
    let Some(browser) = browser(&[], false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = page(&sample::judged(), folder.path());
    browser.open(&format!("{url}#/compliance"));
    browser.says("main", "CIS AWS Foundations Benchmark 5.0");
    browser.says("main", "1 of 4 met");
    browser.click("a.framework");
    for part in ["1 not covered", "1 on AWS's side", "about 3.1"] {
        browser.says("main", part);
    }
    // in the framework's order
    let ids = browser
        .run("return [...document.querySelectorAll('.req-id')].map(e => e.innerText).join(' ')");
    assert_eq!(ids, "2.1.4 2.1.1 3.1 3.2");
    browser.click(".requirement summary");
    browser.says(".requirement[open]", "2 findings failed.");
    browser.says(".requirement[open]", "title of s3-a");
    browser.click(".requirement[open] > p a");
    browser.says("#found", "cis-aws-5.0/2.1.4");
}

#[test]
fn the_keyboard_is_enough() {
    let Some(browser) = browser(&[], false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    browser.open(&page(&sample::sample(), folder.path()));
    let (down, enter, escape, end) = ("\u{e015}", "\u{e007}", "\u{e00c}", "\u{e010}");
    let focused = |on: &str| {
        browser.wait(&format!(
            "(document.activeElement.id || document.activeElement.dataset.index) == '{on}'"
        ));
    };
    browser.press("/");
    focused("search");
    browser.press(down);
    focused("0");
    browser.press(down);
    focused("1");
    browser.press(end);
    focused("7");
    browser.press(enter);
    browser.wait("document.getElementById('sheet').open");
    browser.press(escape);
    browser.wait("!document.getElementById('sheet').open");
}

#[test]
fn nothing_in_it_runs_and_nothing_is_loaded() {
    let Some(browser) = browser(&[], false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let nasty = sample::nasty();
    let url = page(&nasty, folder.path());
    for fragment in [
        "",
        "#/findings",
        "#/check?id=s3-a",
        "#/compliance?framework=cis-aws-5.0",
        "#/check?id=%3Cimg%20src%3Dx%3E",
    ] {
        browser.open(&format!("{url}{fragment}"));
        let odd = browser.run("return document.querySelectorAll('img, iframe, object, main script, link').length + (document.scripts.length - 2)");
        assert_eq!(odd, 0, "{fragment}");
        assert_eq!(
            browser.run("return performance.getEntriesByType('resource').length"),
            0
        );
    }
    // every name is there, as text
    browser.open(&format!("{url}#/findings"));
    browser.reads("#found", &format!("All {} findings", nasty.findings.len()));
    let texts = browser.run("return D.findings.map(f => f[MESSAGE])");
    let expected: Vec<String> = nasty.findings.iter().map(|f| f.message.clone()).collect();
    assert_eq!(
        serde_json::from_value::<Vec<String>>(texts).unwrap(),
        expected
    );
    for i in 0..expected.len() {
        browser.run(&format!(
            "openFinding(D.findings[{i}]); document.getElementById('sheet').close()"
        ));
    }
    // the policy holds: a script, a handler and a style that got in would do nothing
    browser.run(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s);
         const b = document.createElement('b'); b.setAttribute('onclick', 'window.ran = 2'); document.body.append(b); b.click();
         const i = document.createElement('img'); i.src = 'http://127.0.0.1:9/x.png'; i.onload = () => window.ran = 3; document.body.append(i);",
    );
    assert!(browser.run("return window.ran ?? null").is_null());
}

#[test]
fn it_fits_a_phone_and_the_dark() {
    let Some(browser) = browser(&[], true) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut wide = sample::sample();
    wide.findings[0].resource_id = "a-name-without-any-place-to-break-".repeat(6);
    wide.findings[0].message = "x".repeat(300);
    let url = page(&wide, folder.path());
    for (i, fragment) in [
        "",
        "#/findings",
        "#/check?id=s3-a",
        "#/compliance",
        "#/compliance?framework=cis-aws-5.0",
    ]
    .iter()
    .enumerate()
    {
        browser.open(&format!("{url}{fragment}"));
        let width =
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.run(width), 0, "{fragment} scrolls sideways");
        let ground = "getComputedStyle(document.body).backgroundColor";
        let light = browser.run(&format!("return {ground}"));
        browser.picture(&format!("phone-{i}"));
        browser.click(".theme");
        browser.wait(&format!("{ground} != {light}"));
        browser.picture(&format!("phone-dark-{i}"));
    }
}

#[test]
fn fifty_thousand_findings_open_in_two_seconds() {
    let Some(browser) = browser(&[], false) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let findings = (0..50_000).map(|i| {
        let status = Status::ALL[i % 3];
        let message = format!("the policy of bucket {i} lets everybody read it");
        let mut one = sample::finding(
            &format!("s3-{:03}", i / 100),
            status,
            Severity::ALL[i / 100 % 5],
            &format!("bucket-{i}"),
            &message,
        );
        one.evidence
            .insert("policy".into(), format!("statement {i} of many").into());
        one
    });
    let mut large = sample::assessment(findings.collect());
    large.checks = (0..500)
        .map(|i| sample::summary(&format!("s3-{i:03}"), Severity::ALL[i % 5]))
        .collect();
    let url = page(&large, folder.path());
    // the best of three: other work on the machine is not the page's
    let best = (0..3)
        .map(|_| browser.open(&url))
        .fold(f64::INFINITY, f64::min);
    eprintln!("50,000 findings: {best} ms");
    assert!(best < 2000.0, "{best} ms");
    browser.open(&format!("{url}#/findings"));
    browser.reads("#found", "All 50,000 findings");
    assert!(
        browser
            .run("return document.querySelectorAll('.row').length")
            .as_u64()
            .unwrap()
            < 60
    );
    browser.run("document.querySelector('.viewport').scrollTop = 1e9");
    browser.wait("document.querySelector('.row[data-index=\"49999\"]')");
    browser.type_into("#search", "bucket-31234");
    browser.reads("#found", "1 of 50,000 findings");
}

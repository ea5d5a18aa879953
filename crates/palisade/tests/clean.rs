//! A well-kept account: nothing above `low` is found in it, and nothing is unknown.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use palisade_core::{Assessment, Severity, Status};
use std::path::Path;
use std::process::{Command, Output};

fn replay(recording: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_palisade"))
        .env_remove("PALISADE_CONFIG")
        .env_remove("PALISADE_CATALOG")
        .args(["scan", "--quiet", "--format", "json", "--replay"])
        .arg(recording)
        .output()
        .unwrap()
}

#[test]
fn a_well_kept_account_has_nothing_above_low() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/clean.recording");
    let output = replay(&recording);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let assessment: Assessment = serde_json::from_slice(&output.stdout).unwrap();
    let shown = |found: Vec<&palisade_core::Finding>| -> Vec<String> {
        let line = |f: &palisade_core::Finding| {
            format!(
                "{} {} {} {}: {}",
                f.severity, f.check, f.region, f.resource_id, f.message
            )
        };
        found.into_iter().map(line).collect()
    };
    let of = |wanted: &dyn Fn(&palisade_core::Finding) -> bool| {
        shown(assessment.findings.iter().filter(|f| wanted(f)).collect())
    };
    let none: Vec<String> = Vec::new();
    assert_eq!(
        of(&|f| f.status == Status::Fail && f.severity > Severity::Low),
        none
    );
    assert_eq!(of(&|f| f.status == Status::Unknown), none);
    // the account is not empty: what is well kept is there to be seen
    let passed = |severity| {
        let wanted =
            |f: &&palisade_core::Finding| f.status == Status::Pass && f.severity == severity;
        assessment.findings.iter().filter(wanted).count()
    };
    assert!(
        passed(Severity::Critical) >= 15
            && passed(Severity::High) >= 60
            && passed(Severity::Medium) >= 150
    );
}

#[test]
fn a_file_that_is_no_recording_is_told_and_nothing_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.recording");
    std::fs::write(&file, "not a recording").unwrap();
    for path in [file, folder.path().join("missing.recording")] {
        let output = replay(&path);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains("cannot replay") && message.contains("--record"),
            "{message}"
        );
    }
}

//! What is shipped around the binary: fresh roles, working links, man pages, an image that starts, an example workflow
//! whose flags exist.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
use common::accounts::{command, offline, organization, snapshots};
use common::{err, out, palisade, root};
use palisade_replay::Faults;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn run(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = palisade(folder.path()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", err(&output));
    out(&output)
}

#[test]
fn the_roles_are_what_the_catalogue_needs() {
    for (file, format) in [
        (
            "packaging/cloudformation/palisade-read.json",
            "cloudformation",
        ),
        (
            "packaging/cloudformation/palisade-read-organization.json",
            "stackset",
        ),
        ("packaging/terraform/policies.json", "policies"),
    ] {
        assert!(
            text(file) == run(&["permissions", "--format", format]),
            "{file} is stale: `cargo xtask reference`"
        );
    }
    // a template may have 51,200 bytes in a request, a role ten policies (CloudFormation and IAM quotas)
    let stack_set: serde_json::Value = serde_json::from_str(&text(
        "packaging/cloudformation/palisade-read-organization.json",
    ))
    .unwrap();
    let body = &stack_set["Resources"]["Roles"]["Properties"]["TemplateBody"];
    assert!(body.as_str().unwrap().len() < 51_200);
    let policies: Vec<serde_json::Value> =
        serde_json::from_str(&text("packaging/terraform/policies.json")).unwrap();
    assert!((1..=10).contains(&policies.len()));
    let mut all = BTreeSet::new();
    for policy in &policies {
        let length = policy.to_string().len();
        assert!(length <= 6144, "{length}");
        let actions = policy["Statement"][0]["Action"].as_array().unwrap();
        all.extend(actions.iter().map(|a| a.as_str().unwrap().to_owned()));
    }
    let whole: serde_json::Value = serde_json::from_str(&run(&["permissions"])).unwrap();
    assert_eq!(
        all.len(),
        whole["Statement"][0]["Action"].as_array().unwrap().len()
    );
}

/// The watch's queue, rules and policy, in both languages.
#[test]
fn the_watch_has_what_it_needs() {
    let template: serde_json::Value =
        serde_json::from_str(&text("packaging/cloudformation/palisade-watch.json")).unwrap();
    let module = text("packaging/terraform/watch/main.tf");
    let resources = template["Resources"].as_object().unwrap();
    let mut actions = BTreeSet::new();
    let policy = &resources["WatchPolicy"]["Properties"]["PolicyDocument"]["Statement"];
    for statement in policy.as_array().unwrap() {
        let statement = statement["Fn::If"].get(1).unwrap_or(statement);
        match &statement["Action"] {
            serde_json::Value::String(one) => actions.extend([one.clone()]),
            many => actions.extend(
                many.as_array()
                    .unwrap()
                    .iter()
                    .map(|a| a.as_str().unwrap().to_owned()),
            ),
        }
    }
    // what `commands/watch/queue.rs` calls (batches are authorised as their single calls), and what a store needs
    let needed = [
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sqs:ChangeMessageVisibility",
        "sqs:DeleteMessage",
        "sqs:ReceiveMessage",
    ];
    assert_eq!(
        actions.iter().map(String::as_str).collect::<Vec<_>>(),
        needed
    );
    for action in &needed {
        assert!(module.contains(&format!("\"{action}\"")), "{action}");
    }
    let mut kinds = BTreeSet::new();
    for rule in resources
        .values()
        .filter(|r| r["Type"] == "AWS::Events::Rule")
    {
        let pattern = &rule["Properties"]["EventPattern"];
        for kind in pattern["detail-type"].as_array().unwrap() {
            let kind = kind.as_str().unwrap();
            assert!(module.contains(kind), "{kind}");
            kinds.insert(kind);
        }
    }
    assert_eq!(kinds.len(), 3);
    // everything that is named is there
    let whole = template.to_string();
    for part in whole.split("\"Fn::GetAtt\":[\"").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(resources.contains_key(name), "{name}");
    }
    let dead = &resources["Queue"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"];
    assert_eq!(dead["Fn::GetAtt"][0], "DeadLetters");
}

/// Files in Markdown that people wrote, and the generated ones.
fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![root().join("docs"), root().join("packaging")];
    for name in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        pages.push(root().join(name));
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// A page without code: blocks and spans are no links.
fn prose(page: &str) -> String {
    let mut prose = String::new();
    let mut fence: Option<&str> = None;
    for line in page.lines() {
        let trimmed = line.trim_start();
        let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
        match fence {
            Some(open) if ticks >= open.len() && trimmed.trim_matches('`').trim().is_empty() => {
                fence = None
            }
            Some(_) => {}
            None if ticks >= 3 => fence = Some(&trimmed[..ticks]),
            None => {
                let spans: Vec<&str> = line.split('`').collect();
                let even = spans.iter().step_by(2).copied().collect::<Vec<_>>();
                prose.push_str(&even.join(" "));
                prose.push('\n');
            }
        }
    }
    prose
}

/// The anchors of a page's headings, as code hosts and mdBook make them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|l| l.starts_with('#'));
    headings
        .map(|h| {
            let title = h.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut texts: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in prose(&text).split("](").skip(1) {
            let Some(link) = link.split(')').next() else {
                continue;
            };
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(path)
            };
            let shown = page.strip_prefix(root()).unwrap().display().to_string();
            if !target.exists() {
                wrong.push(format!("{shown}: {link}"));
                continue;
            }
            if !anchor.is_empty() && target.is_file() {
                let text = texts
                    .entry(target.clone())
                    .or_insert_with(|| std::fs::read_to_string(&target).unwrap());
                if !anchors(text).contains(anchor) {
                    wrong.push(format!("{shown}: {link} (no such heading)"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(followed > 1000, "{followed}");
}

#[test]
fn every_command_has_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let output = palisade(folder.path())
            .args(["man", "--output", name])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", err(&output));
        let mut pages = BTreeMap::new();
        for entry in std::fs::read_dir(folder.path().join(name)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            pages.insert(name, std::fs::read_to_string(&path).unwrap());
        }
        pages
    };
    let pages = write("man/pages");
    for name in [
        "palisade.1",
        "palisade-scan.1",
        "palisade-iam-who-can.1",
        "palisade-config-check.1",
        "palisade-send.1",
    ] {
        assert!(
            pages.contains_key(name),
            "{name} is not in {:?}",
            pages.keys()
        );
    }
    assert!(!pages.keys().any(|n| n.contains("help")));
    assert!(pages["palisade-scan.1"].contains("\\-\\-fail\\-on"));
    assert!(
        pages["palisade-scan.1"].starts_with(".ie") || pages["palisade-scan.1"].contains(".TH")
    );
    // the same version writes the same pages
    assert_eq!(pages, write("again"));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(run(&["completions", shell]).contains("palisade"), "{shell}");
    }
}

/// The root of the image, made by the script of the Dockerfile: the binary finds its libraries in it and nothing else is
/// there. Without the rights to enter it (a user's machine) the list of files is all that is checked.
#[test]
fn the_image_has_what_the_binary_needs() {
    let dockerfile = text("packaging/Dockerfile");
    let stages: Vec<&str> = dockerfile
        .lines()
        .filter(|l| l.starts_with("FROM "))
        .collect();
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[1], "FROM scratch");
    let version = text("Cargo.toml");
    let version = version
        .lines()
        .find_map(|l| l.strip_prefix("rust-version = "))
        .unwrap();
    assert!(
        stages[0].starts_with(&format!("FROM rust:{}-", version.trim_matches('"'))),
        "{}",
        stages[0]
    );
    assert!(dockerfile.contains("\nUSER 65532:65532\n"));
    assert!(dockerfile.contains("\nRUN packaging/static.sh --features \"$FEATURES\"\n"));
    let build = text("packaging/static.sh");
    assert!(build.contains("--locked") && build.contains("target-feature=+crt-static"));
    let checked = std::process::Command::new("sh")
        .arg("-n")
        .arg(root().join("packaging/static.sh"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", err(&checked));
    if !cfg!(target_os = "linux") {
        return;
    }
    let script = dockerfile
        .split("RUN set -eu;")
        .nth(1)
        .and_then(|s| s.split("\n\n").next())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("image");
    let script = script
        .replace("\\\n", "\n")
        .replace("target/static/palisade", env!("CARGO_BIN_EXE_palisade"))
        .replace("chown -R 65532:65532 /image/work;", "")
        .replace(
            "/libraries",
            folder.path().join("libraries").to_str().unwrap(),
        )
        .replace("/image", image.to_str().unwrap());
    let made = std::process::Command::new("sh")
        .args(["-euc", &script])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}\n{script}", err(&made));
    for file in [
        "usr/bin/palisade",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/passwd",
    ] {
        assert!(image.join(file).is_file(), "{file}");
    }
    assert!(!image.join("bin").exists() && !image.join("usr/bin/sh").exists());
    let entered = std::process::Command::new("chroot")
        .args(["--userspec=65532:65532".as_ref(), image.as_os_str()])
        .args([
            "/usr/bin/palisade",
            "scan",
            "--demo",
            "--check",
            "s3-bucket-versioning",
            "--format",
            "jsonl",
        ])
        .env_clear()
        .env("HOME", "/work")
        .env("PATH", "/usr/bin:/usr/sbin:/bin:/sbin")
        .output();
    match entered {
        Ok(entered) if !err(&entered).contains("Operation not permitted") => {
            assert!(entered.status.success(), "{}", err(&entered));
            assert!(out(&entered).lines().count() > 1);
        }
        _ => {}
    }
}

#[test]
fn the_example_workflow_uses_flags_that_exist() {
    let workflow = text("packaging/github-actions/palisade.yml");
    let scan = workflow.split(" scan ").nth(1).unwrap();
    let scan = scan.split("- name:").next().unwrap();
    let help = run(&["scan", "--help"]);
    let flags: Vec<&str> = scan
        .split_whitespace()
        .filter(|w| w.starts_with("--"))
        .collect();
    assert!(flags.len() >= 4);
    for flag in flags {
        assert!(help.contains(&format!("{flag} ")), "{flag}");
    }
    // least privilege, and no secret on a command line
    assert!(workflow.contains("permissions: {}"));
    assert!(
        !workflow.split("run:").skip(1).any(|run| run
            .split("- ")
            .next()
            .unwrap()
            .contains("secrets."))
    );
}

#[test]
fn the_site_is_made_of_the_docs() {
    let book: toml::Table = text("book.toml").parse().unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("docs"));
    assert!(Path::new(&root().join("docs")).is_dir());
}

/// The arguments of the containers of a manifest: on one line as JSON, or one a line.
fn container_arguments(manifest: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut lines = manifest.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = line.trim_start().strip_prefix("args:") else {
            continue;
        };
        if !rest.trim().is_empty() {
            found.push(serde_json::from_str(rest.trim()).unwrap());
            continue;
        }
        let mut arguments = Vec::new();
        while let Some(item) = lines.peek().and_then(|l| l.trim_start().strip_prefix("- ")) {
            arguments.push(item.to_owned());
            lines.next();
        }
        found.push(arguments);
    }
    found
}

/// What the manifest of a cluster starts are commands with arguments that exist.
#[cfg(not(feature = "cluster"))]
#[test]
fn the_manifest_of_a_cluster_starts_commands_that_exist() {
    let manifest = text("packaging/kubernetes/cluster.yaml");
    let all = container_arguments(&manifest);
    assert_eq!(all.len(), 2, "{all:?}");
    let folder = tempfile::tempdir().unwrap();
    for (arguments, what) in all.iter().zip(["cluster scheduler", "cluster executor"]) {
        let output = palisade(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        // this build has no cluster, and says so only when it has understood the arguments
        let says = err(&output);
        assert!(says.contains(&format!("has no `{what}`")), "{says}");
        assert!(says.contains("--features palisade/cluster"), "{says}");
    }
    let dockerfile = text("packaging/Dockerfile");
    assert!(dockerfile.contains("--features \"$FEATURES\""));
    assert!(manifest.contains("--build-arg FEATURES=palisade/cluster"));
}

/// Every worker of a job, one after the other, as the job starts them: together they make one snapshot. A table takes the
/// place of all checks, a folder that of the bucket.
fn workers(arguments: &[String], jobs: &[Vec<(&str, String)>]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let server = organization(None, Faults::none());
    let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--table", "s3_bucket"]);
    let mut kept = 0;
    for environment in jobs {
        let output = command(folder, &server, &arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .output()
            .unwrap();
        let said = err(&output);
        assert!(output.status.success(), "{said}");
        kept += usize::from(said.contains("kept in lake"));
    }
    assert_eq!(kept, 1);
    let (manifests, _) = snapshots(folder, "lake");
    assert_eq!(manifests.len(), 1);
    assert_eq!(manifests[0]["accounts"].as_array().unwrap().len(), 7);
    offline(folder, &["snapshots", "verify", "--store", "lake"], 0);
}

#[test]
fn the_job_on_kubernetes_makes_a_snapshot() {
    let manifest = text("packaging/kubernetes/collect.yaml");
    for line in [
        "  completionMode: Indexed",
        "      restartPolicy: Never",
        "      serviceAccountName: palisade-collect",
        "        runAsNonRoot: true",
        "            allowPrivilegeEscalation: false",
        "            readOnlyRootFilesystem: true",
        "              drop: [\"ALL\"]",
        "                  fieldPath: metadata.labels['batch.kubernetes.io/controller-uid']",
    ] {
        assert!(manifest.lines().any(|l| l == line), "{line}");
    }
    let value = |after: &str| {
        let rest = manifest.split(after).nth(1).unwrap();
        let rest = rest.split('\n').next().unwrap();
        rest.trim().trim_matches('"').to_owned()
    };
    let completions = value("completions:");
    // both are one number
    assert_eq!(value("PALISADE_SHARDS\n              value:"), completions);
    let all = container_arguments(&manifest);
    let [arguments] = all.as_slice() else {
        panic!("{all:?}");
    };
    assert!(arguments.contains(&"--region=all".to_owned()));
    let arguments: Vec<String> = arguments
        .iter()
        .map(|a| {
            a.replace("s3://BUCKET/palisade", "lake")
                .replace("=all", "=us-east-1")
        })
        .collect();
    let count: u32 = completions.parse().unwrap();
    let jobs: Vec<Vec<(&str, String)>> = (0..count)
        .map(|index| {
            vec![
                ("JOB_COMPLETION_INDEX", index.to_string()),
                ("PALISADE_SHARDS", completions.clone()),
                (
                    "PALISADE_RUN",
                    "1f0c7f6e-5a52-4d0c-9b1e-0d8c6f1c8a11".to_owned(),
                ),
            ]
        })
        .collect();
    workers(&arguments, &jobs);
}

#[test]
fn the_array_job_in_batch_makes_a_snapshot() {
    let template: serde_json::Value =
        serde_json::from_str(&text("packaging/batch/palisade-collect.json")).unwrap();
    let resources = template["Resources"].as_object().unwrap();
    let parameters = template["Parameters"].as_object().unwrap();
    // everything that is named is there
    let mut open = vec![&template];
    let mut named = 0;
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(members) => {
                let reference = members.get("Ref").and_then(|r| r.as_str());
                let attribute = members.get("Fn::GetAtt").and_then(|a| a[0].as_str());
                for name in reference.into_iter().chain(attribute) {
                    named += 1;
                    let known = parameters.contains_key(name) || resources.contains_key(name);
                    assert!(known || name.starts_with("AWS::"), "{name}");
                }
                open.extend(members.values());
            }
            serde_json::Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    assert!(named > 15, "{named}");
    let container = &resources["Collect"]["Properties"]["ContainerProperties"];
    assert_eq!(container["ReadonlyRootFilesystem"], true);
    assert_eq!(container["User"], "65532:65532");
    let policy = &resources["JobRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"];
    let mut actions = BTreeSet::new();
    for statement in policy.as_array().unwrap() {
        match &statement["Action"] {
            serde_json::Value::String(one) => actions.extend([one.as_str()]),
            many => actions.extend(many.as_array().unwrap().iter().map(|a| a.as_str().unwrap())),
        }
    }
    for needed in [
        "organizations:ListAccounts",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sts:AssumeRole",
    ] {
        assert!(actions.contains(needed), "{needed}");
    }
    let arguments: Vec<String> = container["Command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| match argument {
            serde_json::Value::String(text) => text.replace("all", "us-east-1"),
            other => match other["Ref"].as_str() {
                Some(name) => parameters[name]["Default"].as_str().unwrap().to_owned(),
                None => {
                    assert_eq!(other["Fn::Sub"], "s3://${Bucket}/${Prefix}");
                    "lake".to_owned()
                }
            },
        })
        .collect();
    let target = &resources["Nightly"]["Properties"]["Targets"][0]["BatchParameters"];
    assert_eq!(target["ArrayProperties"]["Size"]["Ref"], "Workers");
    let size = parameters["Workers"]["Default"].as_u64().unwrap();
    let jobs: Vec<Vec<(&str, String)>> = (0..size)
        .map(|index| {
            let id = "4b0a1b5e-2d3c-4a5b-8c7d-9e8f7a6b5c4d";
            vec![
                ("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()),
                ("AWS_BATCH_JOB_ARRAY_SIZE", size.to_string()),
                ("AWS_BATCH_JOB_ID", format!("{id}:{index}")),
            ]
        })
        .collect();
    workers(&arguments, &jobs);
}

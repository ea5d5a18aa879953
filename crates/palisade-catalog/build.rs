//! Lists the files of `catalog/services`, `checks`, `changes`, `playbooks` and `frameworks` so that they can be embedded.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?)
        .join("../../catalog")
        .canonicalize()?;
    let mut files = Vec::new();
    for folder in ["changes", "checks", "frameworks", "playbooks", "services"] {
        let path = root.join(folder);
        // A folder that is not there yet is watched as well: cargo looks at it again when it appears.
        println!("cargo::rerun-if-changed={}", path.display());
        if path.is_dir() {
            collect(&path, folder, &mut files)?;
        }
    }
    files.sort();
    let mut text = String::from(
        "/// Path and text of every shipped file, sorted by path.\nstatic EMBEDDED: &[(&str, &str)] = &[\n",
    );
    let mut hash = FNV_OFFSET;
    for (name, path) in files {
        hash = fnv(fnv(hash, name.as_bytes()), &std::fs::read(&path)?);
        writeln!(text, "    ({name:?}, include_str!({path:?})),")?;
    }
    text.push_str("];\n");
    writeln!(
        text,
        "/// FNV-1a over the paths and texts.\nconst FINGERPRINT: u64 = {hash:#x};"
    )?;
    std::fs::write(
        PathBuf::from(std::env::var("OUT_DIR")?).join("embedded.rs"),
        text,
    )?;
    Ok(())
}

fn collect(
    folder: &Path,
    inside: &str,
    files: &mut Vec<(String, PathBuf)>,
) -> Result<(), Box<dyn std::error::Error>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
            return Err(format!("the name of {} is not UTF-8", path.display()).into());
        };
        if name.starts_with('.') {
            continue;
        }
        let inside = format!("{inside}/{name}");
        if path.is_dir() {
            collect(&path, &inside, files)?;
        } else {
            files.push((inside, path));
        }
    }
    Ok(())
}

//! Lists the files of `catalog/models/` so that they can be embedded.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?)
        .join("../../catalog/models")
        .canonicalize()?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "model") {
            names.extend(path.file_stem().and_then(|s| s.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    let mut text = String::from(
        "/// Name and bytes of every shipped model, sorted by name.\npub(crate) static EMBEDDED: &[(&str, &[u8])] = &[\n",
    );
    for name in names {
        let path = folder.join(format!("{name}.model"));
        writeln!(text, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    text.push_str("];\n");
    for file in ["constraints", "partitions", "regions"] {
        let path = folder.join(format!("{file}.json"));
        // Absent only until `cargo xtask models` ran for the first time; reading it is then an error.
        let bytes = if path.exists() {
            format!("include_bytes!({path:?})")
        } else {
            "&[]".to_owned()
        };
        writeln!(
            text,
            "/// `{file}.json`\npub(crate) static {}: &[u8] = {bytes};",
            file.to_uppercase()
        )?;
    }
    std::fs::write(
        PathBuf::from(std::env::var("OUT_DIR")?).join("embedded.rs"),
        text,
    )?;
    println!("cargo::rerun-if-changed={}", folder.display());
    Ok(())
}

//! `cargo xtask book`: `docs/SUMMARY.md`, from which mdBook makes the documentation site. It is not kept in the tree: it
//! lists every page of the generated reference.
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// The chapters: title and folder below `docs/`, in this order.
const CHAPTERS: &[(&str, &str)] = &[("Guide", ""), ("Formats", "specs")];
/// Pages that come before the others of their folder.
const FIRST: &[&str] = &["running.md", "outputs.md", "iam.md"];
const REFERENCE: &[&str] = &["checks", "tables", "frameworks"];

/// Runs the command.
pub fn run() -> Result<()> {
    let docs = crate::paths::root().join("docs");
    let path = docs.join("SUMMARY.md");
    std::fs::write(&path, summary(&docs)?)
        .with_context(|| format!("writing {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// Every page below a folder, in the order of the site.
fn summary(docs: &Path) -> Result<String> {
    let mut text = "# Summary\n\n".to_owned();
    for (title, folder) in CHAPTERS {
        writeln!(text, "# {title}\n")?;
        for page in pages(docs, folder)? {
            writeln!(text, "- {}", link(docs, &page)?)?;
        }
        writeln!(text)?;
    }
    writeln!(text, "# Reference\n")?;
    writeln!(text, "- {}", link(docs, "reference/README.md")?)?;
    for folder in REFERENCE {
        for page in pages(docs, &format!("reference/{folder}"))? {
            writeln!(text, "  - {}", link(docs, &page)?)?;
        }
    }
    Ok(text)
}

/// The pages of a folder below `docs/`, sorted.
fn pages(docs: &Path, folder: &str) -> Result<Vec<String>> {
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(docs.join(folder))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            let at = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            pages.push(at);
        }
    }
    let place = |page: &String| FIRST.iter().position(|f| f == page).unwrap_or(FIRST.len());
    pages.sort_by(|a, b| place(a).cmp(&place(b)).then_with(|| a.cmp(b)));
    Ok(pages)
}

/// The page under its own heading; a page without one under its file's name.
fn link(docs: &Path, page: &str) -> Result<String> {
    let text =
        std::fs::read_to_string(docs.join(page)).with_context(|| format!("reading {page}"))?;
    let heading = text.lines().find_map(|l| l.strip_prefix("# "));
    let title: String = heading
        .unwrap_or(page)
        .chars()
        .filter(|c| !"[]`".contains(*c))
        .collect();
    Ok(format!("[{}]({page})", title.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    fn below(folder: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|e| e == "md") && !path.ends_with("SUMMARY.md") {
                found.insert(path);
            }
        }
    }

    #[test]
    fn the_site_has_every_page_once() {
        let docs = crate::paths::root().join("docs");
        let text = summary(&docs).unwrap();
        let linked: Vec<PathBuf> = text
            .split("](")
            .skip(1)
            .map(|rest| docs.join(rest.split(')').next().unwrap()))
            .collect();
        let mut all = BTreeSet::new();
        below(&docs, &mut all);
        assert_eq!(linked.len(), all.len());
        assert_eq!(linked.into_iter().collect::<BTreeSet<_>>(), all);
        assert!(text.find("running.md").unwrap() < text.find("conformance.md").unwrap());
    }
}

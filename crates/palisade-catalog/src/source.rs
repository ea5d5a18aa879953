//! Where catalogue files come from: the binary itself, or a folder.
use std::borrow::Cow;
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// One file of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Path inside the catalogue, with `/`: `checks/s3/s3-bucket-versioning.md`.
    pub(crate) path: String,
    /// Path as the user knows it.
    pub(crate) shown: String,
    /// The text, or why it could not be read.
    pub(crate) text: Result<Cow<'static, str>, String>,
}

/// A set of catalogue files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    pub(crate) files: Vec<SourceFile>,
    is_shipped: bool,
    /// Of the embedded files, known since the build.
    fingerprint: Option<u64>,
}

/// Why a catalogue folder could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is nothing of that name.
    #[error("no catalogue folder `{}`", .0.display())]
    Missing(PathBuf),
    /// It is a file.
    #[error("the catalogue `{}` is not a folder", .0.display())]
    NotAFolder(PathBuf),
    /// The system refused.
    #[error("cannot read the catalogue folder `{}`: {reason}", path.display())]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

/// Folders of a catalogue that hold what this crate reads.
const FOLDERS: &[&str] = &["changes", "checks", "frameworks", "playbooks", "services"];

/// Folders nested deeper than this are a mistake, or a link that leads in a circle.
const DEEPEST: usize = 6;

impl Source {
    /// The catalogue that this binary was built with.
    pub fn embedded() -> Self {
        let files = EMBEDDED.iter().map(|(path, text)| SourceFile {
            path: (*path).to_owned(),
            shown: format!("catalog/{path}"),
            text: Ok(Cow::Borrowed(*text)),
        });
        Self {
            files: files.collect(),
            is_shipped: true,
            fingerprint: Some(FINGERPRINT),
        }
    }

    /// Changes when a file does: FNV-1a over paths and texts.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.unwrap_or_else(|| {
            let fnv = |hash: u64, bytes: &[u8]| {
                bytes.iter().fold(hash, |hash, byte| {
                    (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                })
            };
            self.files.iter().fold(0xcbf2_9ce4_8422_2325, |hash, file| {
                let text = file.text.as_deref().unwrap_or_default();
                fnv(fnv(hash, file.path.as_bytes()), text.as_bytes())
            })
        })
    }

    /// Whether the files are those of the binary.
    pub(crate) fn is_shipped(&self) -> bool {
        self.is_shipped
    }

    /// The same files without the frameworks, for what needs none: they are half of the work of loading.
    #[must_use]
    pub fn without_frameworks(mut self) -> Self {
        self.files.retain(|f| !f.path.starts_with("frameworks/"));
        self
    }

    /// The files of a folder with `services/`, `checks/` and `frameworks/`, any of which may be absent. Hidden files
    /// are ignored. A file that cannot be read becomes a diagnostic of [`crate::load`].
    ///
    /// # Errors
    /// When the folder is missing, is a file, or cannot be listed.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, SourceError> {
        let root = path.as_ref();
        match std::fs::metadata(root) {
            Ok(facts) if facts.is_dir() => {}
            Ok(_) => return Err(SourceError::NotAFolder(root.to_owned())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(SourceError::Missing(root.to_owned()));
            }
            Err(reason) => {
                return Err(SourceError::Unreadable {
                    path: root.to_owned(),
                    reason,
                });
            }
        }
        let mut source = Self::default();
        for folder in FOLDERS {
            let inside = root.join(folder);
            if inside.is_dir() {
                source.collect(&inside, folder, DEEPEST)?;
            }
        }
        source.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(source)
    }

    /// Files given as (path inside the catalogue, text); messages name them by the same path.
    pub fn from_texts<P: Into<String>, T: Into<String>>(
        files: impl IntoIterator<Item = (P, T)>,
    ) -> Self {
        let files = files.into_iter().map(|(path, text)| {
            let path = path.into();
            SourceFile {
                shown: path.clone(),
                path,
                text: Ok(Cow::Owned(text.into())),
            }
        });
        Self {
            files: files.collect(),
            is_shipped: false,
            fingerprint: None,
        }
    }

    fn collect(&mut self, folder: &Path, inside: &str, deeper: usize) -> Result<(), SourceError> {
        let unreadable = |reason| SourceError::Unreadable {
            path: folder.to_owned(),
            reason,
        };
        for entry in std::fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let full = entry.path();
            let path = format!("{inside}/{name}");
            let is_folder = std::fs::metadata(&full).is_ok_and(|m| m.is_dir());
            if is_folder && deeper > 0 {
                self.collect(&full, &path, deeper - 1)?;
                continue;
            }
            let text = if is_folder {
                Err("folders are nested too deeply".to_owned())
            } else {
                read(&full)
            };
            self.files.push(SourceFile {
                path,
                shown: full.display().to_string(),
                text,
            });
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Cow<'static, str>, String> {
    let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|e| format!("is not UTF-8: {}", e.utf8_error()))?;
    Ok(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |path: &str, bytes: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("services/s3.toml", b"title = 'x'");
        write("checks/s3/b.md", b"b");
        write("checks/s3/.a.md.swp", b"hidden");
        write("checks/.git/x.md", b"hidden");
        write("models/s3.model", &[0xff]);
        write("frameworks/x-1.toml", &[0xff]);
        let source = Source::directory(root).unwrap();
        let paths: Vec<&str> = source.files.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            paths,
            ["checks/s3/b.md", "frameworks/x-1.toml", "services/s3.toml"]
        );
        assert!(source.files[1].text.as_ref().unwrap_err().contains("UTF-8"));
        assert!(source.files[0].shown.starts_with(root.to_str().unwrap()));

        let missing = root.join("nope");
        let error = Source::directory(&missing).unwrap_err();
        assert!(error.to_string().contains(missing.to_str().unwrap()));
        assert!(matches!(
            Source::directory(root.join("services/s3.toml")).unwrap_err(),
            SourceError::NotAFolder(_)
        ));
    }

    #[test]
    fn the_shipped_files_are_those_of_the_tree() {
        let tree =
            Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog")).unwrap();
        let names = |s: &Source| {
            s.files
                .iter()
                .map(|f| f.path.clone())
                .collect::<BTreeSet<_>>()
        };
        let (shipped, tree) = (names(&Source::embedded()), names(&tree));
        let differing: Vec<&String> = shipped.symmetric_difference(&tree).collect();
        assert_eq!(differing, [""; 0]);
    }
}

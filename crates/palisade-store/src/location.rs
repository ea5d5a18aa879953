//! Where snapshots are: a folder, or a prefix of a bucket. The same objects in both.
use crate::error::StoreError;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Documents that are read at once: from a bucket each takes its time.
pub(crate) const AT_ONCE: usize = 16;

/// Who signs requests to a bucket.
#[async_trait::async_trait]
pub trait Credentials: std::fmt::Debug + Send + Sync {
    /// Keys that are valid now.
    ///
    /// # Errors
    /// Why there are none.
    async fn keys(&self) -> Result<Keys, String>;
}

/// An access key.
#[derive(Clone)]
pub struct Keys {
    /// `AKIA…` or `ASIA…`.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// For temporary keys.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// How to reach a bucket.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who signs; without, the environment's keys, a web identity, the container's or the instance's role.
    pub credentials: Option<Arc<dyn Credentials>>,
    /// The bucket's region; without, that of the environment.
    pub region: Option<String>,
    /// Another endpoint than AWS's, for any service that speaks S3. Buckets are addressed by path there.
    pub endpoint: Option<String>,
}

#[derive(Debug)]
struct Signer(Arc<dyn Credentials>);

#[async_trait::async_trait]
impl object_store::CredentialProvider for Signer {
    type Credential = AwsCredential;
    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let keys = self
            .0
            .keys()
            .await
            .map_err(|message| object_store::Error::Generic {
                store: "S3",
                source: message.into(),
            })?;
        Ok(Arc::new(AwsCredential {
            key_id: keys.access_key_id,
            secret_key: keys.secret_access_key,
            token: keys.session_token,
        }))
    }
}

/// Snapshots in one place.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) root: Path,
    location: String,
    /// Where it is on a disk.
    folder: Option<PathBuf>,
    /// Objects that were read, by all clones.
    reads: Arc<AtomicUsize>,
}

impl Store {
    /// Opens a store; a folder that does not exist is made.
    ///
    /// # Errors
    /// When the location is none, or the folder cannot be made.
    pub fn open(location: &str, options: &Options) -> Result<Self, StoreError> {
        let wrong = |message: String| StoreError::Location {
            location: location.to_owned(),
            message,
        };
        if let Some(rest) = location.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(wrong("give `s3://BUCKET/PREFIX`".to_owned()));
            }
            let mut builder = AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_conditional_put(S3ConditionalPut::ETagMatch);
            if let Some(credentials) = &options.credentials {
                builder = builder.with_credentials(Arc::new(Signer(Arc::clone(credentials))));
            }
            if let Some(region) = &options.region {
                builder = builder.with_region(region);
            }
            if let Some(endpoint) = &options.endpoint {
                builder = builder
                    .with_endpoint(endpoint)
                    .with_virtual_hosted_style_request(false)
                    .with_allow_http(endpoint.starts_with("http://"));
            }
            let objects = builder.build().map_err(|e| wrong(e.to_string()))?;
            let root = Path::parse(prefix.trim_matches('/')).map_err(|e| wrong(e.to_string()))?;
            return Ok(Self {
                objects: Arc::new(objects),
                root,
                location: location.trim_end_matches('/').to_owned(),
                folder: None,
                reads: Arc::default(),
            });
        }
        if location.contains("://") {
            return Err(wrong("give a folder, or `s3://BUCKET/PREFIX`".to_owned()));
        }
        std::fs::create_dir_all(location).map_err(|e| wrong(e.to_string()))?;
        let objects =
            LocalFileSystem::new_with_prefix(location).map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            // as in a bucket, a folder is there while something is in it
            objects: Arc::new(objects.with_automatic_cleanup(true)),
            root: Path::default(),
            location: location.to_owned(),
            folder: Some(PathBuf::from(location)),
            reads: Arc::default(),
        })
    }

    /// Over any object store, for tests and for stores that are opened elsewhere.
    pub fn over(objects: Arc<dyn ObjectStore>, location: &str) -> Self {
        Self {
            objects,
            root: Path::default(),
            location: location.to_owned(),
            folder: None,
            reads: Arc::default(),
        }
    }

    /// As it was given.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The folder on this machine's disk; nothing for a bucket.
    pub fn folder(&self) -> Option<&std::path::Path> {
        self.folder.as_deref()
    }

    pub(crate) fn path(&self, relative: &str) -> Path {
        self.root
            .parts()
            .chain(Path::from(relative).parts())
            .collect()
    }

    /// The path relative to the store.
    pub(crate) fn relative(&self, path: &Path) -> String {
        let rest: Option<Path> = path.prefix_match(&self.root).map(Iterator::collect);
        rest.map_or_else(|| path.to_string(), |p| p.to_string())
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(&self, relative: &str) -> Result<Bytes, StoreError> {
        let failed = |e| StoreError::storage("read", &Path::from(relative), e);
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self
            .objects
            .get(&self.path(relative))
            .await
            .map_err(failed)?;
        found.bytes().await.map_err(failed)
    }

    /// How many objects were read of it, by this and its clones.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// Writes an object whole or not at all, over what was there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn write(&self, relative: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.objects
            .put(&self.path(relative), bytes.into())
            .await
            .map_err(|e| StoreError::storage("write", &Path::from(relative), e))?;
        Ok(())
    }

    /// Writes an object that must not exist; says whether it was written.
    ///
    /// # Errors
    /// When it cannot be written for another reason than that it exists.
    pub async fn create(&self, relative: &str, bytes: Bytes) -> Result<bool, StoreError> {
        let options = PutOptions::from(PutMode::Create);
        let path = self.path(relative);
        match self.objects.put_opts(&path, bytes.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(e) => Err(StoreError::storage("write", &Path::from(relative), e)),
        }
    }

    /// Deletes an object; one that is not there is deleted.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub async fn delete(&self, relative: &str) -> Result<(), StoreError> {
        match self.objects.delete(&self.path(relative)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(StoreError::storage("delete", &Path::from(relative), e)),
        }
    }

    /// Names of the "folders" below a prefix, sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn folders(&self, relative: &str) -> Result<Vec<String>, StoreError> {
        let listed = self
            .objects
            .list_with_delimiter(Some(&self.path(relative)))
            .await
            .map_err(|e| StoreError::storage("list", &Path::from(relative), e))?;
        let mut names: Vec<String> = listed
            .common_prefixes
            .iter()
            .filter_map(|p| p.filename().map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whether there is any object below a prefix.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(crate) async fn any_below(&self, relative: &str) -> Result<bool, StoreError> {
        let failed = |e| StoreError::storage("list", &Path::from(relative), e);
        if self.folder.is_none() {
            let mut listed = self.objects.list(Some(&self.path(relative)));
            let first = listed.try_next().await;
            return first.map(|object| object.is_some()).map_err(failed);
        }
        // on a disk, a list of all that is below begins with a thousand objects, which is every folder of a snapshot
        let mut folders = vec![self.path(relative)];
        while let Some(folder) = folders.pop() {
            let listed = self.objects.list_with_delimiter(Some(&folder)).await;
            let listed = listed.map_err(failed)?;
            if !listed.objects.is_empty() {
                return Ok(true);
            }
            folders.extend(listed.common_prefixes);
        }
        Ok(false)
    }

    /// All objects below a prefix, relative to the store, with size and time of writing (microseconds), sorted.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn objects_below(
        &self,
        relative: &str,
    ) -> Result<Vec<(String, u64, i64)>, StoreError> {
        let mut listed: Vec<(String, u64, i64)> = self
            .objects
            .list(Some(&self.path(relative)))
            .map_ok(|o| {
                (
                    self.relative(&o.location),
                    o.size,
                    o.last_modified.timestamp_micros(),
                )
            })
            .try_collect()
            .await
            .map_err(|e| StoreError::storage("list", &Path::from(relative), e))?;
        listed.sort();
        Ok(listed)
    }
}

impl Store {
    /// Removes what processes that were killed while they wrote an object have left on a disk, older than `before`. These
    /// files are no objects: no list of the store has them.
    ///
    /// # Errors
    /// When a folder cannot be read or a file cannot be removed.
    pub(crate) fn remove_half_written(&self, before: i64) -> Result<(), StoreError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        for part in ["snapshots", "runs"] {
            half_written(&folder.join(part), before).map_err(|e| {
                let source = object_store::Error::Generic {
                    store: "LocalFileSystem",
                    source: e.into(),
                };
                StoreError::storage("delete", &Path::from(part), source)
            })?;
        }
        Ok(())
    }
}

/// Files below a folder that are being written are called as the object will be, with `#` and a number; an empty folder is
/// removed, too.
fn half_written(folder: &std::path::Path, before: i64) -> std::io::Result<()> {
    let missing = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
    let entries = match std::fs::read_dir(folder) {
        Err(e) if missing(&e) => return Ok(()),
        other => other?,
    };
    let mut removed = false;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            half_written(&path, before)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.rsplit_once('#').map(|(_, number)| number);
        let is_half =
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
        if !is_half {
            continue;
        }
        let Ok(written) = std::fs::metadata(&path).and_then(|m| m.modified()) else {
            // it has its name by now
            continue;
        };
        let age = written.duration_since(std::time::UNIX_EPOCH);
        let at = age.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX));
        if at < before {
            match std::fs::remove_file(&path) {
                Err(e) if missing(&e) => {}
                other => other?,
            }
            removed = true;
        }
    }
    if removed {
        // only when nothing else is in it
        let _ = std::fs::remove_dir(folder);
    }
    Ok(())
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

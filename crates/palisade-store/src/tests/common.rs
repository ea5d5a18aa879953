//! A catalogue's tables, small datasets, and a store that fails when it is told to.
use crate::{AccountResult, NewSnapshot, Snapshot, Store};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use palisade_core::{Coverage, Finding, Timestamp};
use palisade_table::{CatalogSchemas, Dataset};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

pub static SHIPPED: LazyLock<CatalogSchemas> = LazyLock::new(CatalogSchemas::shipped);

pub fn now() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

pub fn new(nonce: &str) -> NewSnapshot {
    NewSnapshot {
        nonce: nonce.to_owned(),
        started_at: now(),
        palisade: "0.0.0".to_owned(),
        catalog: "test".to_owned(),
        regions: vec!["us-east-1".to_owned()],
    }
}

/// Buckets of one account, as fixtures write them: the bucket `broken` could not be read in full.
pub fn buckets(names: &[&str]) -> Dataset {
    let rows: Vec<serde_json::Value> = names
        .iter()
        .map(|name| match *name {
            "broken" => {
                serde_json::json!({ "name": name, "versioning": { "!error": "AccessDenied" } })
            }
            _ => serde_json::json!({ "name": name, "versioning": { "status": "Enabled" } }),
        })
        .collect();
    let data = serde_json::json!({ "s3_bucket": rows });
    let data = data.as_object().unwrap();
    palisade_table::fixture_dataset(&*SHIPPED, "s3_bucket", true, data, now()).unwrap()
}

pub async fn commit(
    store: &Store,
    nonce: &str,
    dataset: &Dataset,
    findings: &[Finding],
) -> Snapshot {
    let writer = store.writer(new(nonce));
    writer
        .account(AccountResult {
            account_id: palisade_table::FIXTURE_ACCOUNT,
            dataset,
            coverage: &Coverage::default(),
            findings: Some(findings),
        })
        .await
        .unwrap();
    store.of(writer.commit(now(), None).await.unwrap())
}

pub fn memory() -> Store {
    Store::over(Arc::new(InMemory::new()), "memory")
}

/// Fails every write after the first `left`, as a full disk or a bucket in trouble does.
#[derive(Debug)]
pub struct Failing {
    pub inner: Arc<dyn ObjectStore>,
    pub left: AtomicUsize,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Failing {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        let take = |n: usize| n.checked_sub(1);
        if self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .is_err()
        {
            return Err(object_store::Error::Generic {
                store: "failing",
                source: "no space left on device".into(),
            });
        }
        self.inner.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Fails one request of any kind, as a bucket does that answers 503 until whoever asks has given up.
#[derive(Debug)]
pub struct Flaky {
    pub inner: Arc<dyn ObjectStore>,
    /// So many are answered before.
    pub left: AtomicUsize,
}

impl Flaky {
    fn ask(&self) -> object_store::Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(object_store::Error::Generic {
                store: "flaky",
                source: "503 Slow Down".into(),
            }),
            _ => Ok(()),
        }
    }
    /// Whether the one that fails has been.
    pub fn has_failed(&self) -> bool {
        self.left.load(Ordering::SeqCst) > usize::MAX / 2
    }
}

impl std::fmt::Display for Flaky {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("flaky")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Flaky {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.ask()?;
        self.inner.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.ask()?;
        self.inner.put_multipart_opts(location, options).await
    }
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.ask()?;
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        match self.ask() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(e) => futures::stream::once(async { Err(e) }).boxed(),
        }
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.ask() {
            Ok(()) => self.inner.list(prefix),
            Err(e) => futures::stream::once(async { Err(e) }).boxed(),
        }
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.ask()?;
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.ask()?;
        self.inner.copy_opts(from, to, options).await
    }
}

/// A store that lets others go first before it does anything.
#[derive(Debug)]
pub struct Stepping(pub Arc<dyn ObjectStore>);

impl std::fmt::Display for Stepping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stepping")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Stepping {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        tokio::task::yield_now().await;
        self.0.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        tokio::task::yield_now().await;
        self.0.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.0.delete_stream(locations)
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let (inner, prefix) = (Arc::clone(&self.0), prefix.cloned());
        let listed = async move {
            tokio::task::yield_now().await;
            inner.list(prefix.as_ref())
        };
        futures::stream::once(listed).flatten().boxed()
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        tokio::task::yield_now().await;
        self.0.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}

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

/// A store that is not as it should be.
#[derive(Debug)]
pub struct Disturbed {
    inner: Arc<dyn ObjectStore>,
    how: How,
}

#[derive(Debug)]
enum How {
    /// Every write fails after so many.
    Full(AtomicUsize),
    /// One request fails after so many.
    Busy(AtomicUsize),
    /// Others go first.
    Slow,
}

impl Disturbed {
    /// Fails every write after the first `left`, as a full disk or a bucket in trouble does.
    pub fn full(inner: Arc<dyn ObjectStore>, left: usize) -> Arc<Self> {
        let how = How::Full(AtomicUsize::new(left));
        Arc::new(Self { inner, how })
    }

    /// Fails one request of any kind after the first `left`, as a bucket does that answers 503 until whoever asks has given
    /// up.
    pub fn busy(inner: Arc<dyn ObjectStore>, left: usize) -> Arc<Self> {
        let how = How::Busy(AtomicUsize::new(left));
        Arc::new(Self { inner, how })
    }

    /// Lets others go first before it does anything.
    pub fn slow(inner: Arc<dyn ObjectStore>) -> Arc<Self> {
        let how = How::Slow;
        Arc::new(Self { inner, how })
    }

    /// Whether the one that fails has been.
    pub fn has_failed(&self) -> bool {
        match &self.how {
            How::Busy(left) => left.load(Ordering::SeqCst) > usize::MAX / 2,
            How::Full(_) | How::Slow => false,
        }
    }

    /// What happens before a request.
    fn ask(&self, is_write: bool) -> object_store::Result<()> {
        let fails = |source: &str| {
            Err(object_store::Error::Generic {
                store: "disturbed",
                source: source.into(),
            })
        };
        match &self.how {
            How::Full(left) if is_write => {
                let take = |n: usize| n.checked_sub(1);
                match left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take) {
                    Ok(_) => Ok(()),
                    Err(_) => fails("no space left on device"),
                }
            }
            How::Busy(left) if left.fetch_sub(1, Ordering::SeqCst) == 0 => fails("503 Slow Down"),
            _ => Ok(()),
        }
    }

    /// The turn of whoever waits.
    fn turn(&self) -> impl Future<Output = ()> + Send + 'static {
        let is_slow = matches!(self.how, How::Slow);
        async move {
            if is_slow {
                tokio::task::yield_now().await;
            }
        }
    }

    async fn before(&self, is_write: bool) -> object_store::Result<()> {
        self.turn().await;
        self.ask(is_write)
    }

    /// The same before a stream.
    fn stream<T: Send + 'static>(
        &self,
        begin: impl FnOnce(&dyn ObjectStore) -> BoxStream<'static, object_store::Result<T>>
        + Send
        + 'static,
    ) -> BoxStream<'static, object_store::Result<T>> {
        let (inner, asked, turn) = (Arc::clone(&self.inner), self.ask(false), self.turn());
        let begun = async move {
            turn.await;
            match asked {
                Ok(()) => begin(&*inner),
                Err(e) => futures::stream::once(async { Err(e) }).boxed(),
            }
        };
        futures::stream::once(begun).flatten().boxed()
    }
}

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("disturbed")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Disturbed {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.before(true).await?;
        self.inner.put_opts(location, payload, options).await
    }
    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.before(false).await?;
        self.inner.put_multipart_opts(location, options).await
    }
    async fn get_opts(
        &self,
        location: &Path,
        options: GetOptions,
    ) -> object_store::Result<GetResult> {
        self.before(false).await?;
        self.inner.get_opts(location, options).await
    }
    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.stream(|inner| inner.delete_stream(locations))
    }
    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.stream(move |inner| inner.list(prefix.as_ref()))
    }
    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.before(false).await?;
        self.inner.list_with_delimiter(prefix).await
    }
    async fn copy_opts(
        &self,
        from: &Path,
        to: &Path,
        options: CopyOptions,
    ) -> object_store::Result<()> {
        self.before(false).await?;
        self.inner.copy_opts(from, to, options).await
    }
}

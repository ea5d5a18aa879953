//! Retention, clearing up, compaction and verification.
use crate::encode::{from_parquet, to_parquet};
use crate::error::StoreError;
use crate::location::Store;
use crate::manifest::{AccountPart, FilePart, Manifest};
use crate::read::Snapshot;
use crate::write::{document, entry, folder, manifest_path, part};
use arrow::compute::concat_batches;
use palisade_core::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Which snapshots stay. One that any rule keeps stays; without a rule all stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// So many of the latest.
    pub last: Option<usize>,
    /// The latest of each of so many days that have one.
    pub daily: Option<usize>,
    /// Those younger than so many days, counted from the time given.
    pub days: Option<(u32, Timestamp)>,
    /// Ids that always stay.
    pub pinned: BTreeSet<String>,
}

impl Keep {
    /// The ids that do not stay, oldest first. `manifests` are sorted, oldest first.
    pub fn drops(&self, manifests: &[Manifest]) -> Vec<String> {
        if self.last.is_none() && self.daily.is_none() && self.days.is_none() {
            return Vec::new();
        }
        let mut stays: BTreeSet<&str> = self.pinned.iter().map(String::as_str).collect();
        let latest = manifests.iter().rev();
        stays.extend(
            latest
                .clone()
                .take(self.last.unwrap_or(0))
                .map(|m| m.id.as_str()),
        );
        if let Some(days) = self.daily {
            let mut seen = BTreeSet::new();
            for manifest in latest {
                let day = palisade_core::Date::of(manifest.started_at);
                if seen.len() < days && seen.insert(day) {
                    stays.insert(&manifest.id);
                }
            }
        }
        if let Some((days, now)) = self.days {
            let day = 86_400_000_000_i64;
            let since = now
                .as_micros()
                .saturating_sub(i64::from(days).saturating_mul(day));
            let young = manifests
                .iter()
                .filter(|m| m.started_at.as_micros() >= since);
            stays.extend(young.map(|m| m.id.as_str()));
        }
        let dropped = manifests.iter().filter(|m| !stays.contains(m.id.as_str()));
        dropped.map(|m| m.id.clone()).collect()
    }
}

/// What was cleared away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Objects.
    pub objects: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What a verification found.
#[derive(Debug, Default)]
pub struct Verified {
    /// Objects that are as they were written.
    pub objects: usize,
    /// Everything that is not.
    pub damaged: Vec<StoreError>,
}

impl Store {
    /// Deletes snapshots: what would go on with it, then the manifest, from when on none of it can be seen, then what it
    /// named. Objects that a snapshot which stays refers to are kept.
    ///
    /// # Errors
    /// When something cannot be deleted; what is left of it is cleared away by [`Store::sweep`].
    pub async fn remove(&self, ids: &[String]) -> Result<Removed, StoreError> {
        // a run must not commit again what is half gone
        self.forget_runs(|plan, _| ids.contains(&plan.snapshot))
            .await?;
        for id in ids {
            self.delete(&manifest_path(id)).await?;
        }
        let mut removed = Removed::default();
        let kept = self.referenced().await?;
        for id in ids {
            self.remove_below(id, &kept, &mut removed).await?;
        }
        Ok(removed)
    }

    async fn remove_below(
        &self,
        id: &str,
        kept: &BTreeSet<String>,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        for (path, bytes, _) in self.objects_below(&folder(id)).await? {
            if !kept.contains(&path) {
                self.delete(&path).await?;
                removed.objects += 1;
                removed.bytes += bytes;
            }
        }
        Ok(())
    }

    /// Every object that a committed snapshot names. A damaged snapshot stops this: what it names is not known.
    async fn referenced(&self) -> Result<BTreeSet<String>, StoreError> {
        let listing = self.list().await?;
        if let Some(damaged) = listing.damaged.into_iter().next() {
            return Err(damaged);
        }
        let mut all = BTreeSet::new();
        for manifest in listing.manifests {
            all.insert(manifest_path(&manifest.id));
            all.extend(manifest.checks.iter().map(|c| c.path.clone()));
            let snapshot = self.of(manifest);
            for entry in &snapshot.manifest().accounts {
                all.insert(entry.part.path.clone());
                let account = snapshot.account(&entry.account_id).await?;
                all.extend(files(&account).map(|f| f.object.path.clone()));
            }
        }
        Ok(all)
    }

    /// Clears away what no snapshot refers to and nobody has written to since `before`: leftovers of interrupted runs,
    /// removals and compactions. Runs that may still go on are younger than that.
    ///
    /// # Errors
    /// When the store cannot be read, or a snapshot is damaged: nothing is deleted while it is not known what is needed.
    pub async fn sweep(&self, before: Timestamp) -> Result<Removed, StoreError> {
        let kept = self.referenced().await?;
        let mut youngest: BTreeMap<String, i64> = BTreeMap::new();
        let below = self.objects_below("snapshots").await?;
        for (path, _, written) in &below {
            let id = path.split('/').nth(1).unwrap_or_default();
            let known = youngest.entry(id.to_owned()).or_insert(*written);
            *known = (*known).max(*written);
        }
        let committed: BTreeSet<&str> = kept
            .iter()
            .filter(|path| path.ends_with("/manifest.json"))
            .filter_map(|path| path.split('/').nth(1))
            .collect();
        // first what would go on with it: documents of accounts must not be found without their files
        self.forget_runs(|plan, begun| {
            let last = youngest.entry(plan.snapshot.clone()).or_insert(begun);
            *last = (*last).max(begun);
            *last < before.as_micros() && !committed.contains(plan.snapshot.as_str())
        })
        .await?;
        let mut removed = Removed::default();
        for (path, bytes, _) in below {
            let id = path.split('/').nth(1).unwrap_or_default();
            let old = youngest.get(id).is_some_and(|t| *t < before.as_micros());
            if old && !kept.contains(&path) {
                self.delete(&path).await?;
                removed.objects += 1;
                removed.bytes += bytes;
            }
        }
        self.remove_half_written(before.as_micros())?;
        Ok(removed)
    }

    /// Joins the files of each table, account and region into one. The new files and documents are written beside the
    /// old ones, and the manifest is replaced last: a reader sees the one or the other. [`Store::sweep`] clears the old
    /// ones away.
    ///
    /// # Errors
    /// When the snapshot is damaged or the store cannot be written. The snapshot is as it was then.
    pub async fn compact(&self, snapshot: &Snapshot) -> Result<Removed, StoreError> {
        let mut manifest = snapshot.manifest().clone();
        let id = manifest.id.clone();
        let mut joined = Removed::default();
        for known in &mut manifest.accounts {
            let mut account = snapshot.account(&known.account_id).await?;
            let mut changed = false;
            for (name, table) in &mut account.tables {
                let mut by_region: BTreeMap<Option<String>, Vec<FilePart>> = BTreeMap::new();
                for file in std::mem::take(&mut table.files) {
                    by_region.entry(file.region.clone()).or_default().push(file);
                }
                for (region, files) in by_region {
                    if files.len() < 2 {
                        table.files.extend(files);
                        continue;
                    }
                    changed = true;
                    joined.objects += files.len() - 1;
                    let place = format!(
                        "{}/table={name}/account={}/region={}",
                        folder(&id),
                        known.account_id,
                        region.as_deref().unwrap_or(crate::NO_REGION)
                    );
                    table.files.push(self.join(&place, region, &files).await?);
                }
            }
            if changed {
                let old = known.part.path.trim_end_matches(".json");
                // another name than the old document's, which the old manifest still names
                let path = format!("{old}-compact.json");
                let bytes = document(&path, &account)?;
                let object = part(&path, &bytes);
                self.write(&path, bytes).await?;
                *known = entry(&account, object);
            }
        }
        if joined.objects > 0 {
            let path = manifest_path(&id);
            self.write(&path, document(&path, &manifest)?).await?;
        }
        Ok(joined)
    }

    async fn join(
        &self,
        place: &str,
        region: Option<String>,
        files: &[FilePart],
    ) -> Result<FilePart, StoreError> {
        let mut batches = Vec::new();
        let mut sums = String::new();
        for file in files {
            let bytes = self.read_part(&file.object).await?;
            let read =
                from_parquet(bytes, None).map_err(|m| StoreError::damaged(&file.object.path, m))?;
            batches.extend(read);
            sums.push_str(&file.object.sha256);
        }
        let failed = |message: String| StoreError::Encode {
            table: place.to_owned(),
            message,
        };
        let Some(schema) = batches.first().map(|b| b.schema()) else {
            return Err(failed("there are no rows".to_owned()));
        };
        let rows = concat_batches(&schema, &batches).map_err(|e| failed(e.to_string()))?;
        let bytes = to_parquet(&rows).map_err(failed)?;
        let name: String = crate::location::sha256(sums.as_bytes())
            .chars()
            .take(8)
            .collect();
        let path = format!("{place}/joined-{name}.parquet");
        let object = part(&path, &bytes);
        self.write(&path, bytes).await?;
        Ok(FilePart {
            region,
            rows: rows.num_rows(),
            unread: files.iter().map(|f| f.unread).sum(),
            object,
        })
    }

    /// Reads every object of a snapshot and compares it with its checksum.
    ///
    /// # Errors
    /// Never for what is damaged, which is in the result.
    pub async fn verify(&self, snapshot: &Snapshot) -> Verified {
        let mut verified = Verified::default();
        let manifest = snapshot.manifest();
        let mut parts = Vec::new();
        parts.extend(manifest.checks.clone());
        for entry in &manifest.accounts {
            match snapshot.account(&entry.account_id).await {
                Ok(account) => {
                    verified.objects += 1;
                    parts.extend(files(&account).map(|f| f.object.clone()));
                }
                Err(e) => verified.damaged.push(e),
            }
        }
        for part in parts {
            match self.read_part(&part).await {
                Ok(_) => verified.objects += 1,
                Err(e) => verified.damaged.push(e),
            }
        }
        verified
    }
}

fn files(account: &AccountPart) -> impl Iterator<Item = &FilePart> {
    let tables = account.tables.values().flat_map(|t| &t.files);
    tables.chain(&account.findings)
}

//! Snapshots that were committed.
use crate::encode::{from_parquet, stored_type, table_batch};
use crate::error::StoreError;
use crate::findings;
use crate::location::{AT_ONCE, Store, sha256};
use crate::manifest::{AccountPart, Checks, FORMAT, FilePart, Manifest, ObjectPart};
use crate::write::{folder, manifest_path, parse};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use futures::StreamExt;
use palisade_catalog::TableSpec;
use palisade_core::{CheckSummary, Coverage, Finding};
use palisade_table::{Batch, Dataset, Gap, Schemas, Table, arrow_schema, arrow_type};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Table → the columns that are wanted.
pub type Wanted = BTreeMap<String, BTreeSet<String>>;

/// Columns that every table has.
const ALWAYS: &[&str] = &["account_id", "region", "partition", "arn"];

/// A committed snapshot.
#[derive(Debug, Clone)]
pub struct Snapshot {
    store: Store,
    manifest: Arc<Manifest>,
}

/// The committed snapshots of a store, and what could not be understood of it.
#[derive(Debug, Default)]
pub struct Listing {
    /// Oldest first.
    pub manifests: Vec<Manifest>,
    /// Snapshots whose manifest is damaged or newer than this version: the others stay usable.
    pub damaged: Vec<StoreError>,
    /// Ids without a commit: runs that are under way, or were interrupted.
    pub unfinished: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Store {
    /// All snapshots.
    ///
    /// # Errors
    /// When the store cannot be listed.
    pub async fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        let ids = self.folders("snapshots").await?;
        let mut read = futures::stream::iter(ids)
            .map(|id| async move { (self.manifest(&id).await, id) })
            .buffered(AT_ONCE);
        while let Some((manifest, id)) = read.next().await {
            match manifest {
                Ok(manifest) => listing.manifests.push(manifest),
                // a folder may stay behind when what was in it is gone
                Err(e) if e.is_missing() => {
                    if self.any_below(&folder(&id)).await? {
                        listing.unfinished.push(id);
                    }
                }
                Err(e) => listing.damaged.push(e),
            }
        }
        listing
            .manifests
            .sort_by(|a, b| (a.started_at, &a.id).cmp(&(b.started_at, &b.id)));
        Ok(listing)
    }

    /// The manifest of a committed snapshot.
    ///
    /// # Errors
    /// When there is none, or it cannot be understood.
    pub async fn manifest(&self, id: &str) -> Result<Manifest, StoreError> {
        let path = manifest_path(id);
        let bytes = self.read(&path).await?;
        let head: Head = parse(&path, &bytes)?;
        if head.format > FORMAT {
            return Err(StoreError::Newer {
                path,
                found: head.format,
                known: FORMAT,
            });
        }
        let manifest: Manifest = parse(&path, &bytes)?;
        if manifest.id != id {
            return Err(StoreError::damaged(
                path,
                format_args!("it is the manifest of `{}`", manifest.id),
            ));
        }
        Ok(manifest)
    }

    /// A snapshot by its id, by what its id begins with, or as `latest`, `latest~1` (the one before), ….
    ///
    /// # Errors
    /// When there is no such snapshot, or more than one.
    pub async fn snapshot(&self, wanted: &str) -> Result<Snapshot, StoreError> {
        let missing = || StoreError::NoSnapshot {
            wanted: wanted.to_owned(),
            location: self.location().to_owned(),
        };
        if let Some(rest) = wanted.strip_prefix("latest") {
            let back = match rest.strip_prefix('~') {
                Some(n) => n.parse::<usize>().map_err(|_| missing())?,
                None if rest.is_empty() => 0,
                None => return Err(missing()),
            };
            let manifest = self.list().await?.manifests.into_iter().rev().nth(back);
            return Ok(self.of(manifest.ok_or_else(missing)?));
        }
        if wanted.is_empty() || wanted.contains('/') {
            return Err(missing());
        }
        match self.manifest(wanted).await {
            Ok(manifest) => return Ok(self.of(manifest)),
            Err(e) if e.is_missing() => {}
            Err(e) => return Err(e),
        }
        let mut found = Vec::new();
        for id in self.folders("snapshots").await? {
            if id.starts_with(wanted) {
                match self.manifest(&id).await {
                    Ok(manifest) => found.push(manifest),
                    Err(e) if e.is_missing() => {}
                    Err(e) => return Err(e),
                }
            }
        }
        if found.len() > 1 {
            let ids: Vec<&str> = found.iter().map(|m| m.id.as_str()).collect();
            return Err(StoreError::Ambiguous {
                wanted: wanted.to_owned(),
                candidates: ids.join(", "),
            });
        }
        found.pop().map(|m| self.of(m)).ok_or_else(missing)
    }

    /// The snapshot of a manifest of this store.
    pub fn of(&self, manifest: Manifest) -> Snapshot {
        Snapshot {
            store: self.clone(),
            manifest: Arc::new(manifest),
        }
    }

    /// An object's bytes, if they are the ones that were written.
    ///
    /// # Errors
    /// When they cannot be read, or differ.
    pub async fn read_part(&self, part: &ObjectPart) -> Result<Bytes, StoreError> {
        let bytes = match self.read(&part.path).await {
            Err(e) if e.is_missing() => {
                return Err(StoreError::damaged(&part.path, "it is missing"));
            }
            other => other?,
        };
        if bytes.len() as u64 != part.bytes {
            return Err(StoreError::damaged(
                &part.path,
                format_args!("it has {} bytes, not {}", bytes.len(), part.bytes),
            ));
        }
        if sha256(&bytes) != part.sha256 {
            return Err(StoreError::damaged(&part.path, "its checksum differs"));
        }
        Ok(bytes)
    }
}

impl Snapshot {
    /// What it says about itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The store that it is in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The ids of the accounts of which something was read, sorted.
    pub fn accounts(&self) -> Vec<String> {
        let read = self.manifest.accounts.iter().filter(|a| !a.unread);
        read.map(|a| a.account_id.clone()).collect()
    }

    /// The ids of all its accounts, those of which nothing could be read too, sorted.
    pub fn everyone(&self) -> Vec<String> {
        let entries = self.manifest.accounts.iter();
        entries.map(|a| a.account_id.clone()).collect()
    }

    /// What was read of an account.
    ///
    /// # Errors
    /// When it is not in the snapshot, or damaged.
    pub async fn account(&self, account_id: &str) -> Result<AccountPart, StoreError> {
        let entry = self
            .manifest
            .account(account_id)
            .ok_or_else(|| StoreError::NoSnapshot {
                wanted: format!("{} of {account_id}", self.manifest.id),
                location: self.store.location().to_owned(),
            })?;
        let bytes = self.store.read_part(&entry.part).await?;
        parse(&entry.part.path, &bytes)
    }

    /// The checks that were evaluated, with their texts as they were then.
    ///
    /// # Errors
    /// When the document is damaged.
    pub async fn checks(&self) -> Result<Vec<CheckSummary>, StoreError> {
        let Some(part) = &self.manifest.checks else {
            return Ok(Vec::new());
        };
        let bytes = self.store.read_part(part).await?;
        let checks: Checks<'static> = parse(&part.path, &bytes)?;
        Ok(checks.checks.into_owned())
    }

    /// The verdicts on one account, in their order.
    ///
    /// # Errors
    /// When they are damaged.
    pub async fn findings(&self, account_id: &str) -> Result<Vec<Finding>, StoreError> {
        let rows = self.finding_rows(account_id).await?;
        findings::from_rows(&rows, None).map_err(|m| {
            let place = format!("{} of {account_id}", self.manifest.id);
            StoreError::damaged(place, m)
        })
    }

    /// The verdicts without what explains them: evidence, requirements, permissions and fix are empty. For comparing
    /// many snapshots, which needs no more and takes a fraction of the time.
    ///
    /// # Errors
    /// When they are damaged.
    pub async fn verdicts(&self, account_id: &str) -> Result<Vec<Finding>, StoreError> {
        let account = self.account(account_id).await?;
        let Some(file) = &account.findings else {
            return Ok(Vec::new());
        };
        let bytes = self.store.read_part(&file.object).await?;
        let columns: BTreeSet<&str> = findings::VERDICT.iter().copied().collect();
        from_parquet(bytes, Some(&columns))
            .and_then(|rows| findings::from_rows(&rows, Some(findings::VERDICT)))
            .map_err(|m| StoreError::damaged(&file.object.path, m))
    }

    /// The same as rows of [`crate::finding_schema`].
    ///
    /// # Errors
    /// When they are damaged.
    pub async fn finding_rows(&self, account_id: &str) -> Result<Vec<RecordBatch>, StoreError> {
        let account = self.account(account_id).await?;
        let Some(file) = &account.findings else {
            return Ok(Vec::new());
        };
        let bytes = self.store.read_part(&file.object).await?;
        from_parquet(bytes, None).map_err(|m| StoreError::damaged(&file.object.path, m))
    }

    /// The verdicts on all accounts, in their order.
    ///
    /// # Errors
    /// When some are damaged.
    pub async fn all_findings(&self) -> Result<Vec<Finding>, StoreError> {
        let mut all = Vec::new();
        for account in &self.manifest.accounts {
            all.extend(self.findings(&account.account_id).await?);
        }
        all.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        Ok(all)
    }

    /// What was and was not read, over all accounts.
    ///
    /// # Errors
    /// When an account's document is damaged.
    pub async fn coverage(&self) -> Result<Coverage, StoreError> {
        let mut all = Coverage::default();
        for account in &self.manifest.accounts {
            all.add(&self.account(&account.account_id).await?.coverage);
        }
        Ok(all)
    }

    /// What is wanted and not in the snapshot, or there in another type than the catalogue has now. Sorted.
    pub fn lacks(&self, wanted: &Wanted, schemas: &dyn Schemas) -> Vec<(String, String)> {
        let mut lacking = Vec::new();
        for (name, columns) in wanted {
            let have = self.manifest.tables.get(name);
            let schema = schemas.table(name).map(|(_, schema)| schema);
            for column in columns {
                let expected = schema
                    .as_ref()
                    .and_then(|schema| schema.column(column))
                    .map(|c| arrow_type(&c.ty).to_string());
                let found = have.and_then(|have| have.get(column));
                if found.is_none() || found != expected.as_ref() {
                    lacking.push((name.clone(), column.clone()));
                }
            }
            if have.is_none() && columns.is_empty() {
                lacking.push((name.clone(), String::new()));
            }
        }
        lacking
    }

    /// The columns of a table that are wanted, those that every table has, and its id.
    ///
    /// # Errors
    /// When the catalogue does not know the table or a column.
    pub fn schema(
        &self,
        table: &str,
        columns: &BTreeSet<String>,
        schemas: &dyn Schemas,
    ) -> Result<(Arc<TableSpec>, SchemaRef), StoreError> {
        let unknown =
            |message: String| StoreError::damaged(manifest_path(&self.manifest.id), message);
        let (spec, schema) = schemas
            .table(table)
            .ok_or_else(|| unknown(format!("the catalogue has no table `{table}`")))?;
        let have = self.manifest.tables.get(table);
        let mut names: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        let always = ALWAYS.iter().copied().chain([spec.id.as_str()]);
        names.extend(always.filter(|name| {
            have.is_none_or(|h| h.contains_key(*name)) && schema.column(name).is_some()
        }));
        let names: Vec<&str> = names.into_iter().collect();
        let arrow = arrow_schema(&schema, &names).map_err(|e| unknown(e.to_string()))?;
        Ok((spec, arrow))
    }

    /// The wanted tables of some accounts, with what could not be read. Of an account of which nothing could be read, that
    /// is every table.
    ///
    /// # Errors
    /// When something is damaged, or not in the snapshot ([`Snapshot::lacks`] says so before).
    pub async fn dataset(
        &self,
        accounts: &[String],
        wanted: &Wanted,
        schemas: &dyn Schemas,
    ) -> Result<Dataset, StoreError> {
        let mut dataset = Dataset::default();
        for (name, columns) in wanted {
            let (spec, schema) = self.schema(name, columns, schemas)?;
            let table = Table {
                spec,
                schema,
                batches: Vec::new(),
                gaps: Vec::new(),
            };
            dataset.tables.insert(name.clone(), table);
        }
        let mut sorted = accounts.to_vec();
        sorted.sort();
        for account_id in &sorted {
            let account = self.account(account_id).await?;
            let unread = account.is_unread();
            let why = account.coverage.failures.first().filter(|_| unread);
            for (name, table) in &mut dataset.tables {
                if let Some((error, _)) = why {
                    table.gaps.push(Gap {
                        account_id: account_id.clone(),
                        region: error.region.clone(),
                        error: Arc::new(error.clone()),
                    });
                }
                let Some(part) = account.tables.get(name) else {
                    continue;
                };
                for file in &part.files {
                    let batches = self.batches(file, &table.spec, &table.schema).await?;
                    table.batches.extend(batches);
                }
                table
                    .gaps
                    .extend(part.gaps.iter().map(|(region, error)| Gap {
                        account_id: account_id.clone(),
                        region: region.clone(),
                        error: Arc::new(error.clone()),
                    }));
            }
        }
        Ok(dataset)
    }

    /// The rows of one file, in the columns of `schema`.
    ///
    /// # Errors
    /// When the file is damaged or lacks a column.
    pub async fn batches(
        &self,
        file: &FilePart,
        spec: &TableSpec,
        schema: &SchemaRef,
    ) -> Result<Vec<Batch>, StoreError> {
        let bytes = self.store.read_part(&file.object).await?;
        let damaged = |m: String| StoreError::damaged(&file.object.path, m);
        let mut columns: BTreeSet<&str> =
            schema.fields().iter().map(|f| f.name().as_str()).collect();
        columns.insert(crate::encode::UNREAD);
        let stored = from_parquet(bytes, Some(&columns)).map_err(damaged)?;
        let rows: usize = stored.iter().map(|b| b.num_rows()).sum();
        if rows != file.rows {
            return Err(damaged(format!("it has {rows} rows, not {}", file.rows)));
        }
        let region = file.region.as_deref();
        stored
            .iter()
            .map(|batch| table_batch(spec, schema, region, batch).map_err(damaged))
            .collect()
    }
}

/// The type that a column has in a Parquet file, for readers of the lake.
pub fn parquet_type(ty: &arrow::datatypes::DataType) -> arrow::datatypes::DataType {
    stored_type(ty)
}

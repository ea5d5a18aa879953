//! A snapshot while it is made. Nothing of it can be seen before it is committed.
use crate::encode::{NO_REGION, table_rows, to_parquet};
use crate::error::StoreError;
use crate::findings::{self, FINDING};
use crate::location::{Store, sha256};
use crate::manifest::{
    AccountEntry, AccountPart, Checks, FORMAT, FilePart, Manifest, ObjectPart, TablePart,
};
use arrow::array::{Array, AsArray, RecordBatch};
use bytes::Bytes;
use palisade_core::{CheckSummary, Coverage, Finding, Status, Timestamp};
use palisade_table::{Batch, Dataset, Table};
use std::collections::BTreeMap;

/// Rows of one file.
const ROWS: usize = 32_768;

/// What is known of a snapshot before it is made.
#[derive(Debug, Clone)]
pub struct NewSnapshot {
    /// Eight hexadecimal digits that no other snapshot of the same second has.
    pub nonce: String,
    /// When the collection begins.
    pub started_at: Timestamp,
    /// The version of Palisade.
    pub palisade: String,
    /// Fingerprint of the catalogue.
    pub catalog: String,
    /// Regions that are scanned, sorted.
    pub regions: Vec<String>,
}

impl NewSnapshot {
    /// `20260131T120000Z-1a2b3c4d`: sorts by time.
    pub fn id(&self) -> String {
        let time = self.started_at.to_string();
        let digits: String = time
            .chars()
            .take(19)
            .filter(|c| c.is_ascii_digit() || *c == 'T')
            .collect();
        format!("{digits}Z-{}", self.nonce)
    }
}

/// What was read of an account, and what the checks say of it.
#[derive(Debug, Clone, Copy)]
pub struct AccountResult<'r> {
    /// Twelve digits.
    pub account_id: &'r str,
    /// The tables; rows of other accounts in it are left out.
    pub dataset: &'r Dataset,
    /// What was and was not read.
    pub coverage: &'r Coverage,
    /// The verdicts, when checks were evaluated.
    pub findings: Option<&'r [Finding]>,
}

/// Makes one snapshot. Accounts may be written in any order and by several writers; the same account again replaces
/// what was written of it before.
#[derive(Debug, Clone)]
pub struct Writer {
    store: Store,
    id: String,
    new: NewSnapshot,
    /// Part of the names of files, where several attempts may write the same account.
    attempt: Option<String>,
}

/// The tables of an account while they are written.
#[derive(Debug)]
pub struct AccountFiles {
    writer: Writer,
    account_id: String,
    tables: BTreeMap<String, TablePart>,
    /// Table and partition → files that were written.
    numbers: BTreeMap<(String, String), usize>,
}

impl AccountFiles {
    /// Names a table with its columns and gaps; it is there even if it has no rows. Gaps of other accounts are left out.
    pub fn table(&mut self, table: &Table) {
        let part = self.tables.entry(table.spec.name.clone()).or_default();
        let columns = table.schema.fields().iter();
        part.columns = columns
            .map(|f| (f.name().clone(), f.data_type().to_string()))
            .collect();
        let gaps = table.gaps.iter();
        let own = gaps.filter(|g| g.account_id == self.account_id);
        part.gaps
            .extend(own.map(|g| (g.region.clone(), (*g.error).clone())));
    }

    /// Writes a table that is whole: its name, its gaps and all its rows.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn whole(&mut self, table: &Table) -> Result<(), StoreError> {
        self.table(table);
        for batch in &table.batches {
            self.rows(table, batch).await?;
        }
        Ok(())
    }

    /// Writes rows of a table, of one account and region; those of other accounts are left out.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn rows(&mut self, table: &Table, batch: &Batch) -> Result<(), StoreError> {
        if first(&batch.rows, "account_id") != Some(&*self.account_id) {
            return Ok(());
        }
        let name = table.spec.name.as_str();
        let region = first(&batch.rows, "region").map(str::to_owned);
        let partition = region.clone().unwrap_or_else(|| NO_REGION.to_owned());
        let mut from = 0;
        while from < batch.rows.num_rows() {
            let count = ROWS.min(batch.rows.num_rows() - from);
            let rows = table_rows(&table.spec, batch, from, count).map_err(|m| encode(name, m))?;
            let key = (name.to_owned(), partition.clone());
            let part = self.numbers.entry(key).or_default();
            let path = format!(
                "{}/table={name}/account={}/region={partition}/{}",
                folder(&self.writer.id),
                self.account_id,
                self.writer.file_name(*part)
            );
            *part += 1;
            let file = self.writer.file(name, path, region.clone(), &rows).await?;
            self.tables
                .entry(name.to_owned())
                .or_default()
                .files
                .push(file);
            from += count;
        }
        Ok(())
    }

    /// Removes what was written: nobody is going to name it.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub async fn discard(self) -> Result<(), StoreError> {
        for file in self.tables.values().flat_map(|table| &table.files) {
            self.writer.store.delete(&file.object.path).await?;
        }
        Ok(())
    }

    /// The document that would name what was written. [`Writer::account_document`] writes it.
    pub fn part(self, coverage: Coverage) -> AccountPart {
        AccountPart {
            account_id: self.account_id,
            coverage,
            tables: self.tables,
            findings: None,
            counts: BTreeMap::new(),
            regions: Vec::new(),
        }
    }
}

/// Where a snapshot's objects are.
pub(crate) fn folder(id: &str) -> String {
    format!("snapshots/{id}")
}

/// Where its commit is.
pub(crate) fn manifest_path(id: &str) -> String {
    format!("snapshots/{id}/manifest.json")
}

pub(crate) fn account_path(id: &str, account_id: &str) -> String {
    format!("snapshots/{id}/accounts/{account_id}.json")
}

impl Store {
    /// Begins a snapshot, or goes on with one of the same id.
    pub fn writer(&self, new: NewSnapshot) -> Writer {
        Writer {
            store: self.clone(),
            id: new.id(),
            new,
            attempt: None,
        }
    }
}

impl Writer {
    /// The same, with files under names that no other attempt has.
    pub(crate) fn for_attempt(mut self, attempt: &str) -> Self {
        self.attempt = Some(attempt.to_owned());
        self
    }

    /// The name of a file.
    fn file_name(&self, number: usize) -> String {
        match &self.attempt {
            None => format!("part-{number}.parquet"),
            Some(attempt) => format!("part-{attempt}-{number}.parquet"),
        }
    }

    /// The snapshot's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Accounts that are written whole already, sorted: what a run that goes on need not read again.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn written(&self) -> Result<Vec<String>, StoreError> {
        let below = self
            .store
            .objects_below(&format!("{}/accounts", folder(&self.id)))
            .await?;
        let names = below.iter().filter_map(|(path, ..)| {
            let name = path.rsplit('/').next()?.strip_suffix(".json")?;
            Some(name.to_owned())
        });
        Ok(names.collect())
    }

    /// Writes an account. Its own document comes last, so that an account is there whole or not at all.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub async fn account(&self, result: AccountResult<'_>) -> Result<(), StoreError> {
        let part = self.account_part(result).await?;
        self.account_document(&part).await
    }

    /// Writes the files of an account and gives the document that would name them.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub async fn account_part(&self, result: AccountResult<'_>) -> Result<AccountPart, StoreError> {
        let files = self.account_files(result.account_id);
        self.rest_of_account(files, result).await
    }

    /// As [`Writer::account`], of whose tables some were written while others were read.
    ///
    /// # Errors
    /// When a table cannot be written.
    pub async fn account_begun(
        &self,
        files: AccountFiles,
        result: AccountResult<'_>,
    ) -> Result<(), StoreError> {
        let part = self.rest_of_account(files, result).await?;
        self.account_document(&part).await
    }

    /// Writes what is not written yet, and gives the document that would name all of it.
    pub(crate) async fn rest_of_account(
        &self,
        mut files: AccountFiles,
        result: AccountResult<'_>,
    ) -> Result<AccountPart, StoreError> {
        for (name, table) in &result.dataset.tables {
            if !files.tables.contains_key(name) {
                files.whole(table).await?;
            }
        }
        let mut part = files.part(result.coverage.clone());
        if let Some(all) = result.findings {
            let own = all.iter().filter(|f| &*f.account_id == result.account_id);
            let own: Vec<&Finding> = own.collect();
            for finding in &own {
                let of = part.counts.entry(finding.check.to_string()).or_default();
                *of.entry(finding.status.to_string()).or_default() += 1;
            }
            let rows = findings::to_rows(&own).map_err(|m| encode(FINDING, m))?;
            let path = format!(
                "{}/table={FINDING}/account={}/{}",
                folder(&self.id),
                result.account_id,
                self.file_name(0)
            );
            part.findings = Some(self.file(FINDING, path, None, &rows).await?);
        }
        Ok(part)
    }

    /// Writes an account piece by piece, so that it need not be in memory as a whole.
    pub fn account_files(&self, account_id: &str) -> AccountFiles {
        AccountFiles {
            writer: self.clone(),
            account_id: account_id.to_owned(),
            tables: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// Writes the document of an account whose files are in the store already, of this snapshot or of an earlier one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn account_document(&self, part: &AccountPart) -> Result<(), StoreError> {
        let path = account_path(&self.id, &part.account_id);
        self.store.write(&path, document(&path, part)?).await
    }

    async fn file(
        &self,
        table: &str,
        path: String,
        region: Option<String>,
        rows: &RecordBatch,
    ) -> Result<FilePart, StoreError> {
        let bytes = to_parquet(rows).map_err(|m| encode(table, m))?;
        let object = part(&path, &bytes);
        self.store.write(&path, bytes).await?;
        Ok(FilePart {
            region,
            rows: rows.num_rows(),
            unread: unread_rows(rows),
            object,
        })
    }

    /// Makes the snapshot visible, with all accounts that were written. Of several writers one commits, and the others
    /// are told.
    ///
    /// # Errors
    /// [`StoreError::Committed`] when it is committed already; otherwise when the store cannot be read or written.
    pub async fn commit(
        &self,
        finished_at: Timestamp,
        checks: Option<&[CheckSummary]>,
    ) -> Result<Manifest, StoreError> {
        let checks = match checks {
            None => None,
            Some(checks) => Some(self.checks(checks).await?),
        };
        self.commit_with(finished_at, checks).await
    }

    /// Writes the checks that were evaluated.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) async fn checks(&self, checks: &[CheckSummary]) -> Result<ObjectPart, StoreError> {
        let path = format!("{}/checks.json", folder(&self.id));
        let checks = Checks {
            checks: checks.into(),
        };
        let bytes = document(&path, &checks)?;
        let object = part(&path, &bytes);
        self.store.write(&path, bytes).await?;
        Ok(object)
    }

    /// As [`Writer::commit`], with the checks of an earlier snapshot, which are shared.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub async fn commit_with(
        &self,
        finished_at: Timestamp,
        checks: Option<ObjectPart>,
    ) -> Result<Manifest, StoreError> {
        let manifest = self.draft(finished_at, checks).await?;
        let path = manifest_path(&self.id);
        if self
            .store
            .create(&path, document(&path, &manifest)?)
            .await?
        {
            Ok(manifest)
        } else {
            Err(StoreError::Committed(self.id.clone()))
        }
    }

    /// What a commit would write now. Nothing of it can be seen by others; whoever has it can read what was written
    /// ([`Store::of`](crate::Store::of)) before there is anything to see.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn draft(
        &self,
        finished_at: Timestamp,
        checks: Option<ObjectPart>,
    ) -> Result<Manifest, StoreError> {
        let mut accounts = Vec::new();
        let mut tables: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for account_id in self.written().await? {
            let path = account_path(&self.id, &account_id);
            let bytes = self.store.read(&path).await?;
            let object = part(&path, &bytes);
            let account: AccountPart = parse(&path, &bytes)?;
            for (name, table) in &account.tables {
                let known = tables.entry(name.clone()).or_default();
                known.extend(table.columns.clone());
            }
            accounts.push(entry(&account, object));
        }
        accounts.sort_by(|a, b| a.account_id.cmp(&b.account_id));
        Ok(Manifest {
            format: FORMAT,
            id: self.id.clone(),
            started_at: self.new.started_at,
            finished_at,
            palisade: self.new.palisade.clone(),
            catalog: self.new.catalog.clone(),
            regions: self.new.regions.clone(),
            accounts,
            tables,
            checks,
        })
    }
}

pub(crate) fn entry(account: &AccountPart, part: ObjectPart) -> AccountEntry {
    let count = |status: Status| {
        let of = account
            .counts
            .values()
            .filter_map(|c| c.get(status.as_str()));
        of.sum()
    };
    AccountEntry {
        account_id: account.account_id.clone(),
        part,
        rows: account
            .tables
            .values()
            .flat_map(|t| &t.files)
            .map(|f| f.rows)
            .sum(),
        failed: count(Status::Fail),
        unknown: count(Status::Unknown),
        complete: account.coverage.is_complete(),
        unread: account.is_unread(),
    }
}

/// How many rows have something that could not be read; nothing for rows that are no table's.
fn unread_rows(rows: &RecordBatch) -> Option<usize> {
    let column = rows.column_by_name(crate::encode::UNREAD)?;
    Some(column.len() - column.null_count())
}

fn first<'b>(rows: &'b RecordBatch, column: &str) -> Option<&'b str> {
    let column = rows.column_by_name(column)?.as_string_opt::<i32>()?;
    (!column.is_empty() && column.is_valid(0)).then(|| column.value(0))
}

pub(crate) fn part(path: &str, bytes: &[u8]) -> ObjectPart {
    ObjectPart {
        path: path.to_owned(),
        bytes: bytes.len() as u64,
        sha256: sha256(bytes),
    }
}

pub(crate) fn document<T: serde::Serialize>(path: &str, value: &T) -> Result<Bytes, StoreError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| encode(path, e.to_string()))
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(
    path: &str,
    bytes: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::damaged(path, e))
}

fn encode(table: &str, message: String) -> StoreError {
    StoreError::Encode {
        table: table.to_owned(),
        message,
    }
}

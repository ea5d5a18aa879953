//! Checks and queries over snapshots: what was read then, judged by the checks of now.
mod pieces;

use crate::over_time;
use crate::{Planned, ScanError, Scanner, Scope};
use arrow::array::{
    ArrayRef, BooleanArray, Int64Array, ListBuilder, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use palisade_catalog::Check;
use palisade_collect::{ColumnSelection, Request};
use palisade_query::{CatalogSchemas, Lake, Needs, Only, QueryResult, Reach, SNAPSHOT, is_shared};
use palisade_store::{FINDING, Manifest, Snapshot, StoreError, finding_schema};
use palisade_table::{Dataset, UTC};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Handle;

/// A snapshot, and the table and column that it lacks.
pub type Lacking = (String, String, String);

/// A check that a snapshot cannot answer, and a column that it lacks for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The check.
    pub check: String,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

/// What a query reads of snapshots.
#[derive(Debug, Clone)]
pub struct SnapshotQuery {
    /// Snapshots that have it.
    pub usable: Vec<Snapshot>,
    /// Snapshots that lack something: snapshot, table, column.
    pub lacking: Vec<Lacking>,
    /// The columns.
    pub needs: Needs,
    /// It reads computed tables: of one snapshot, and without the column `snapshot`.
    pub computed: bool,
}

impl Scanner {
    fn schemas(&self) -> CatalogSchemas {
        CatalogSchemas::new(Arc::clone(self.catalog()), Arc::clone(self.models()))
    }

    /// The checks that a snapshot has been collected for, planned, and the others.
    ///
    /// # Errors
    /// When a check is wrong.
    pub fn answerable(
        &self,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
    ) -> Result<(Planned, Vec<LeftOut>), ScanError> {
        let schemas = self.schemas();
        let mut planned = self.plan_as_needed(checks)?;
        let mut left_out = Vec::new();
        let mut lacking = BTreeSet::new();
        for check in &planned.plan.checks {
            if let Some((table, column)) = snapshot.lacks(&check.needs, &schemas).into_iter().next()
            {
                lacking.insert(check.check.id.clone());
                left_out.push(LeftOut {
                    check: check.check.id.clone(),
                    table,
                    column,
                });
            }
        }
        planned
            .plan
            .checks
            .retain(|c| !lacking.contains(&c.check.id));
        planned.checks.retain(|c| !lacking.contains(&c.id));
        left_out.sort();
        Ok((planned, left_out))
    }

    /// What a snapshot has of what is wanted, over all its accounts, and the tables and columns that it lacks.
    ///
    /// # Errors
    /// When it is damaged.
    pub async fn snapshot_tables(
        &self,
        snapshot: &Snapshot,
        request: &Request,
    ) -> Result<(Dataset, Vec<(String, String)>), StoreError> {
        let schemas = self.schemas();
        let have = &snapshot.manifest().tables;
        let columns = |(table, columns): (&String, &ColumnSelection)| {
            let columns = match columns {
                ColumnSelection::Some(some) => some.clone(),
                ColumnSelection::All => have
                    .get(table)
                    .map(|columns| columns.keys().cloned().collect())
                    .unwrap_or_default(),
            };
            (table.clone(), columns)
        };
        let mut needs: Needs = request.tables.iter().map(columns).collect();
        let lacking = snapshot.lacks(&needs, &schemas);
        for (table, column) in &lacking {
            if let Some(columns) = needs.get_mut(table) {
                columns.remove(column);
            }
        }
        needs.retain(|table, _| have.contains_key(table));
        let everyone = snapshot.everyone();
        let dataset = self.dataset(snapshot, &everyone, &needs, &schemas).await?;
        Ok((dataset, lacking))
    }

    /// Tables of some accounts, and those that say something about all accounts whole: of these, accounts that could not
    /// be read lack nothing, for one account reads them for all.
    async fn dataset(
        &self,
        snapshot: &Snapshot,
        accounts: &[String],
        needs: &Needs,
        schemas: &CatalogSchemas,
    ) -> Result<Dataset, StoreError> {
        let (shared, own): (Needs, Needs) = needs
            .clone()
            .into_iter()
            .partition(|(table, _)| is_shared(table));
        let mut dataset = snapshot.dataset(accounts, &own, schemas).await?;
        let everywhere = snapshot.accounts();
        let more = snapshot.dataset(&everywhere, &shared, schemas).await?;
        dataset.tables.extend(more.tables);
        Ok(dataset)
    }

    /// Runs a user's query over snapshots, within so much memory. Snapshots that lack a column are left out and named.
    ///
    /// # Errors
    /// When the SQL is wrong or fails on a value, no snapshot has what it reads, or one is damaged.
    pub fn query_snapshots(
        &self,
        sql: &str,
        snapshots: &[Snapshot],
        memory: usize,
        handle: &Handle,
    ) -> Result<(QueryResult, Vec<Lacking>), ScanError> {
        let SnapshotQuery {
            usable,
            lacking,
            needs,
            computed,
        } = self.snapshot_query(sql, snapshots, handle)?;
        let result = match usable.as_slice() {
            // what is computed is computed from tables in memory
            [one] if computed => {
                let schemas = self.schemas();
                let everyone = one.everyone();
                let read = self.dataset(one, &everyone, &needs, &schemas);
                let dataset = handle.block_on(read)?;
                self.query(sql, &dataset)?
            }
            _ => {
                let lake = snapshot_lake(usable, self.schemas(), handle.clone());
                self.engine()?.over(lake).lake_sql(sql, memory)?
            }
        };
        Ok((result, lacking))
    }

    /// What a user's query reads of snapshots.
    ///
    /// # Errors
    /// When the SQL is wrong, or no snapshot has what it reads.
    pub fn snapshot_query(
        &self,
        sql: &str,
        snapshots: &[Snapshot],
        handle: &Handle,
    ) -> Result<SnapshotQuery, ScanError> {
        let schemas = self.schemas();
        let lake = snapshot_lake(snapshots.to_vec(), schemas.clone(), handle.clone());
        let (needs, computed) = self.engine()?.over(lake).lake_needs(sql)?;
        let mut lacking = Vec::new();
        let mut usable = Vec::new();
        for snapshot in snapshots {
            match snapshot.lacks(&needs, &schemas).into_iter().next() {
                None => usable.push(snapshot.clone()),
                Some((table, column)) => {
                    lacking.push((snapshot.manifest().id.clone(), table, column));
                }
            }
        }
        if usable.is_empty()
            && let Some((id, table, column)) = lacking.first()
        {
            return Err(ScanError::NotCollected {
                snapshot: id.clone(),
                table: table.clone(),
                column: column.clone(),
            });
        }
        Ok(SnapshotQuery {
            usable,
            lacking,
            needs,
            computed,
        })
    }
}

fn scope(accounts: &[String], snapshot: &Snapshot) -> Scope {
    Scope {
        accounts: accounts.to_vec(),
        regions: snapshot.manifest().regions.clone(),
    }
}

/// The planned checks of some ids.
fn part(planned: &Planned, checks: &[Arc<Check>]) -> Planned {
    let ids: BTreeSet<&str> = checks.iter().map(|c| c.id.as_str()).collect();
    let mut part = planned.clone();
    part.plan
        .checks
        .retain(|c| ids.contains(c.check.id.as_str()));
    part.checks = checks.to_vec();
    part
}

/// Those that an account suffices for, and those that need all.
fn by_reach(planned: &Planned) -> (Planned, Planned) {
    let mut reaches: BTreeMap<String, Reach> = BTreeMap::new();
    for check in &planned.plan.checks {
        let reach = planned.engine.reach(check);
        let known = reaches.entry(check.check.id.clone()).or_insert(reach);
        *known = (*known).max(reach);
    }
    let of = |wanted: Reach| {
        let own: Vec<Arc<Check>> = planned
            .checks
            .iter()
            .filter(|c| reaches.get(&c.id) == Some(&wanted))
            .cloned()
            .collect();
        part(planned, &own)
    };
    (of(Reach::Account), of(Reach::Everything))
}

/// Snapshots as tables.
#[derive(Debug)]
struct SnapshotLake {
    snapshots: Vec<Snapshot>,
    schemas: CatalogSchemas,
    handle: Handle,
}

/// Snapshots as tables of SQL. What is read is read on the handle's runtime.
pub fn snapshot_lake(
    snapshots: Vec<Snapshot>,
    schemas: CatalogSchemas,
    handle: Handle,
) -> Arc<dyn Lake> {
    Arc::new(SnapshotLake {
        snapshots,
        schemas,
        handle,
    })
}

/// The table of the snapshots themselves.
pub const SNAPSHOTS: &str = "snapshot";

fn snapshots_schema() -> SchemaRef {
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
    let texts = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let field = |name: &str, ty| Field::new(name, ty, true);
    Arc::new(Schema::new(vec![
        field(SNAPSHOT, DataType::Utf8),
        field("started_at", time()),
        field("finished_at", time()),
        field("palisade", DataType::Utf8),
        field("catalog", DataType::Utf8),
        field("regions", texts.clone()),
        field("accounts", texts),
        field("rows", DataType::Int64),
        field("failed", DataType::Int64),
        field("unknown", DataType::Int64),
        field("complete", DataType::Boolean),
    ]))
}

fn snapshots_rows(manifests: &[&Manifest]) -> Result<RecordBatch, String> {
    let text = |of: &dyn Fn(&Manifest) -> String| -> ArrayRef {
        Arc::new(
            manifests
                .iter()
                .map(|m| Some(of(m)))
                .collect::<StringArray>(),
        )
    };
    let number = |of: &dyn Fn(&Manifest) -> usize| -> ArrayRef {
        let values = manifests.iter().map(|m| i64::try_from(of(m)).ok());
        Arc::new(values.collect::<Int64Array>())
    };
    let time = |of: &dyn Fn(&Manifest) -> i64| -> ArrayRef {
        let values = manifests.iter().map(|m| Some(of(m)));
        let values: TimestampMicrosecondArray = values.collect();
        Arc::new(values.with_timezone(UTC))
    };
    let list = |of: &dyn Fn(&Manifest) -> Vec<String>| -> ArrayRef {
        let mut builder = ListBuilder::new(StringBuilder::new());
        for manifest in manifests {
            for value in of(manifest) {
                builder.values().append_value(value);
            }
            builder.append(true);
        }
        Arc::new(builder.finish())
    };
    let complete: BooleanArray = manifests.iter().map(|m| Some(m.is_complete())).collect();
    let columns = vec![
        text(&|m| m.id.clone()),
        time(&|m| m.started_at.as_micros()),
        time(&|m| m.finished_at.as_micros()),
        text(&|m| m.palisade.clone()),
        text(&|m| m.catalog.clone()),
        list(&|m| m.regions.clone()),
        list(&|m| m.accounts.iter().map(|a| a.account_id.clone()).collect()),
        number(&Manifest::rows),
        number(&|m| m.accounts.iter().map(|a| a.failed).sum()),
        number(&|m| m.accounts.iter().map(|a| a.unknown).sum()),
        Arc::new(complete),
    ];
    RecordBatch::try_new(snapshots_schema(), columns).map_err(|e| e.to_string())
}

fn with_snapshot(schema: &SchemaRef) -> SchemaRef {
    let own = Arc::new(Field::new(SNAPSHOT, DataType::Utf8, true));
    let fields = schema.fields().iter().cloned().chain([own]);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Rows with the snapshot's id, in the columns of `schema`.
fn shaped(rows: &RecordBatch, id: &str, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match rows.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None if field.name() == SNAPSHOT => {
                Arc::new(StringArray::from(vec![id; rows.num_rows()]))
            }
            None => return Err(format!("the column `{}` is missing", field.name())),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| e.to_string())
}

fn admits(only: &Only, column: &str, value: Option<&str>) -> bool {
    only.get(column)
        .is_none_or(|values| value.is_some_and(|v| values.contains(v)))
}

impl Lake for SnapshotLake {
    fn tables(&self) -> BTreeMap<String, SchemaRef> {
        let mut tables = over_time::tables();
        tables.insert(FINDING.to_owned(), with_snapshot(&finding_schema()));
        tables.insert(SNAPSHOTS.to_owned(), snapshots_schema());
        tables
    }
    fn is_many(&self) -> bool {
        self.snapshots.len() > 1
    }
    fn read(
        &self,
        table: &str,
        schema: SchemaRef,
        only: Only,
    ) -> BoxStream<'static, Result<RecordBatch, String>> {
        if table == SNAPSHOTS {
            let manifests: Vec<&Manifest> = self.snapshots.iter().map(Snapshot::manifest).collect();
            let rows = snapshots_rows(&manifests).and_then(|all| shaped(&all, "", &schema));
            return futures::stream::iter([rows]).boxed();
        }
        if over_time::is_one(table) {
            let (snapshots, schemas) = (self.snapshots.clone(), self.schemas.clone());
            let (table, handle) = (table.to_owned(), self.handle.clone());
            // comparing is work for a thread of its own
            let made = self.handle.spawn_blocking(move || {
                let accounts = only.get("account_id");
                let rows = over_time::rows(&table, &snapshots, accounts, &schemas);
                shaped(&handle.block_on(rows)?, "", &schema)
            });
            let made = made.map(|done| done.map_err(|e| e.to_string()).and_then(|rows| rows));
            return futures::stream::once(made).boxed();
        }
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let work = Reading {
            snapshots: self.snapshots.clone(),
            schemas: self.schemas.clone(),
            table: table.to_owned(),
            schema,
            only,
            sender,
        };
        // whoever asks has no threads for input and output of its own
        self.handle.spawn(async move {
            if let Err(e) = work.run().await {
                // nobody listens when the query has ended
                let _ = work.sender.send(Err(e)).await;
            }
        });
        futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|batch| (batch, receiver))
        })
        .boxed()
    }
}

struct Reading {
    snapshots: Vec<Snapshot>,
    schemas: CatalogSchemas,
    table: String,
    schema: SchemaRef,
    only: Only,
    sender: tokio::sync::mpsc::Sender<Result<RecordBatch, String>>,
}

impl Reading {
    async fn run(&self) -> Result<(), String> {
        let columns: BTreeSet<String> = self
            .schema
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .filter(|name| name != SNAPSHOT)
            .collect();
        for snapshot in &self.snapshots {
            let id = snapshot.manifest().id.as_str();
            if !admits(&self.only, SNAPSHOT, Some(id)) {
                continue;
            }
            for account in snapshot.accounts() {
                if !admits(&self.only, "account_id", Some(&account)) {
                    continue;
                }
                if !self.account(snapshot, id, &account, &columns).await? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// False when nobody listens any more.
    async fn account(
        &self,
        snapshot: &Snapshot,
        id: &str,
        account: &str,
        columns: &BTreeSet<String>,
    ) -> Result<bool, String> {
        let told = |e: StoreError| e.to_string();
        if self.table == FINDING {
            let rows = snapshot.finding_rows(account).await.map_err(told)?;
            for batch in rows {
                if self
                    .sender
                    .send(shaped(&batch, id, &self.schema))
                    .await
                    .is_err()
                {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        let (spec, schema) = snapshot
            .schema(&self.table, columns, &self.schemas)
            .map_err(told)?;
        let part = snapshot.account(account).await.map_err(told)?;
        for file in part.tables.get(&self.table).iter().flat_map(|t| &t.files) {
            if !admits(&self.only, "region", file.region.as_deref()) {
                continue;
            }
            for batch in snapshot.batches(file, &spec, &schema).await.map_err(told)? {
                let rows = shaped(&batch.rows, id, &self.schema);
                if self.sender.send(rows).await.is_err() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

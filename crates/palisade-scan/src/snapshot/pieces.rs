//! A snapshot judged piece by piece, so that it need not be in memory as a whole.
//!
//! Checks that stay within an account see one account at a time. Of an account with many rows, predicates see some files
//! of some tables at a time, because they judge each row by itself; full queries see what they read whole, those that
//! read the same large tables together. That is also how checks that look across accounts see all of them.
use super::{LeftOut, by_reach, part, scope};
use crate::organization::{Merge, merge_datasets};
use crate::{Planned, ScanError, Scanner, Spool};
use palisade_catalog::Check;
use palisade_collect::Collected;
use palisade_core::{Assessment, Coverage, Listing};
use palisade_query::{
    CatalogSchemas, ESCALATIONS, IamBuilder, IamScope, Needs, Options, add_needs, is_shared,
};
use palisade_store::{AccountPart, FilePart, Snapshot};
use palisade_table::{Dataset, Gap, Table};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A snapshot while it is judged.
struct Judging<'a> {
    scanner: &'a Scanner,
    snapshot: &'a Snapshot,
    schemas: CatalogSchemas,
    options: Options,
    at_once: usize,
    /// Tables that say something about all accounts, whole.
    shared: Dataset,
}

impl Scanner {
    /// Evaluates checks over a snapshot, account by account and large accounts piece by piece: the memory that it takes
    /// does not grow with their number, apart from the findings that are listed and from checks that read across
    /// accounts. Checks that the snapshot has not been collected for are left out and named. Ages are counted from the
    /// time of the scanner, which should be the snapshot's.
    ///
    /// # Errors
    /// When a check is wrong, or the snapshot is damaged.
    pub async fn assess_snapshot(
        &self,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
        options: Options,
        listing: Listing,
    ) -> Result<(Assessment, Vec<LeftOut>), ScanError> {
        let mut merge = Merge::listing(listing);
        let left_out = self
            .judge_snapshot(checks, snapshot, options, &mut merge)
            .await?;
        Ok((merge.finish(self.now()), left_out))
    }

    /// The same with all findings kept apart from the assessment, which has none: then memory does not grow with them
    /// either.
    ///
    /// # Errors
    /// As [`Scanner::assess_snapshot`], and when findings cannot be kept.
    pub async fn assess_snapshot_apart(
        &self,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
        options: Options,
    ) -> Result<(Assessment, Spool, Vec<LeftOut>), ScanError> {
        let mut merge = Merge::spooling();
        let left_out = self
            .judge_snapshot(checks, snapshot, options, &mut merge)
            .await?;
        let spool = merge.spool().unwrap_or_default();
        Ok((merge.finish(self.now()), spool, left_out))
    }

    async fn judge_snapshot(
        &self,
        checks: &[Arc<Check>],
        snapshot: &Snapshot,
        options: Options,
        merge: &mut Merge,
    ) -> Result<Vec<LeftOut>, ScanError> {
        let schemas = self.schemas();
        let (planned, left_out) = self.answerable(checks, snapshot)?;
        let (each, whole) = by_reach(&planned);
        let (shared, _) = divided(each.needs());
        let shared = match shared.is_empty() {
            true => Dataset::default(),
            false => {
                let everywhere = snapshot.accounts();
                snapshot.dataset(&everywhere, &shared, &schemas).await?
            }
        };
        let options = Options {
            passes: options.passes && merge.has_passed(),
            ..options
        };
        let judging = Judging {
            scanner: self,
            snapshot,
            schemas,
            options,
            at_once: self.rows_at_once(),
            shared,
        };
        merge.add(judging.assess(&part(&planned, &[]), &[], Collected::default())?)?;
        let mut rows: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &snapshot.manifest().accounts {
            let account = snapshot.account(&entry.account_id).await?;
            if entry.unread {
                // what stays within accounts says nothing of one that was not entered
                merge.add_coverage(account.coverage);
                continue;
            }
            for (table, count) in rows_of(&account) {
                *rows.entry(table.to_owned()).or_default() += count;
            }
            judging.account(&each, &account, merge).await?;
        }
        if !whole.checks.is_empty() {
            let everyone = snapshot.everyone();
            let (ways, whole) = judging.ways(&whole);
            if let Some((ways, read)) = ways {
                merge.add(judging.across(&ways, &read, &everyone).await?)?;
            }
            for group in judging.groups(&whole, &rows) {
                let needs = group.needs();
                let asked = self.dataset(snapshot, &everyone, &needs, &judging.schemas);
                let dataset = asked.await?;
                let collected = Collected {
                    dataset,
                    coverage: Coverage::default(),
                };
                merge.add(judging.assess(&group, &[], collected)?)?;
            }
        }
        Ok(left_out)
    }
}

/// Files of one table.
struct Files<'a> {
    files: Vec<&'a FilePart>,
    /// Lists that could not be read are part of it.
    gaps: bool,
}

/// By table, what of it is judged at once.
type Piece<'a> = BTreeMap<&'a str, Files<'a>>;

/// What is the same for all accounts, and what is an account's own.
fn divided(needs: Needs) -> (Needs, Needs) {
    needs.into_iter().partition(|(table, _)| is_shared(table))
}

fn rows_of(account: &AccountPart) -> impl Iterator<Item = (&str, usize)> {
    account.tables.iter().map(|(name, table)| {
        let rows = table.files.iter().map(|f| f.rows).sum();
        (name.as_str(), rows)
    })
}

/// The checks of a plan for which something holds.
fn some(planned: &Planned, wanted: impl Fn(&Check, &Needs) -> bool) -> Planned {
    let mut some = planned.clone();
    some.plan.checks.retain(|c| wanted(&c.check, &c.needs));
    let kept: BTreeSet<(&str, &str)> = some
        .plan
        .checks
        .iter()
        .map(|c| (c.check.id.as_str(), c.check.file.as_str()))
        .collect();
    some.checks
        .retain(|c| kept.contains(&(c.id.as_str(), c.file.as_str())));
    some
}

impl Judging<'_> {
    fn assess(
        &self,
        planned: &Planned,
        accounts: &[String],
        collected: Collected,
    ) -> Result<Assessment, ScanError> {
        let scope = scope(accounts, self.snapshot);
        self.scanner.assess(planned, collected, scope, self.options)
    }

    /// Checks on ways to more permissions, with the columns that they read besides, and the others.
    fn ways(&self, planned: &Planned) -> (Option<(Planned, Needs)>, Planned) {
        let (mut of, mut read) = (BTreeSet::new(), Needs::new());
        for check in &planned.plan.checks {
            if let Some((columns, computed)) = planned.engine.computes(check)
                && computed.iter().all(|table| table == ESCALATIONS)
            {
                of.insert(check.check.id.clone());
                add_needs(&mut read, &columns);
            }
        }
        let ways = some(planned, |check, _| of.contains(&check.id));
        let others = some(planned, |check, _| !of.contains(&check.id));
        ((!of.is_empty()).then_some((ways, read)), others)
    }

    /// Checks on ways to more permissions. They lead from account to account, so users, roles and policies of all are
    /// needed together; but not the rows that these are made from, which are let go of account by account.
    async fn across(
        &self,
        planned: &Planned,
        read: &Needs,
        everyone: &[String],
    ) -> Result<Assessment, ScanError> {
        let (shared, own) = divided(planned.needs());
        let (policies, own): (Needs, Needs) = own
            .into_iter()
            .partition(|(table, _)| table == IamBuilder::POLICIES);
        let mut builder = IamBuilder::default();
        let mut held = Vec::new();
        let everywhere = self.snapshot.accounts();
        let asked = self.snapshot.dataset(&everywhere, &shared, &self.schemas);
        let shared = asked.await?;
        for (needs, is_policies) in [(&policies, true), (&own, false)] {
            for account in everyone {
                let one = std::slice::from_ref(account);
                let mut dataset = self.snapshot.dataset(one, needs, &self.schemas).await?;
                match is_policies {
                    true => builder.add_policies(&dataset, &self.schemas),
                    false => builder.add(&dataset, &self.schemas),
                }
                for (name, table) in &mut dataset.tables {
                    let none = BTreeSet::new();
                    table.keep_columns(read.get(name).unwrap_or(&none));
                }
                held.push(dataset);
            }
        }
        let scope = IamScope {
            accounts: everyone.to_vec(),
            regions: self.snapshot.manifest().regions.clone(),
        };
        let accounts = builder.finish(&shared, &self.schemas, &scope);
        let dataset = merge_datasets(held.into_iter().chain([shared]));
        let (engine, plan) = (&planned.engine, &planned.plan);
        let evaluation = engine.evaluate_over(plan, &dataset, accounts, self.options);
        let scope = super::scope(&[], self.snapshot);
        let coverage = Coverage::default();
        self.scanner
            .assessed(planned, evaluation, coverage, scope, self.options)
    }

    /// Checks that stay within an account.
    async fn account(
        &self,
        each: &Planned,
        account: &AccountPart,
        merge: &mut Merge,
    ) -> Result<(), ScanError> {
        let needs = each.needs();
        let read = rows_of(account).filter(|(table, _)| needs.contains_key(*table));
        let total: usize = read.map(|(_, rows)| rows).sum();
        let mut coverage = account.coverage.clone();
        if total <= self.at_once {
            return self.group(each, account, coverage, merge).await;
        }
        let predicates = some(each, |check, _| !check.is_query);
        for piece in self.pieces(&predicates, account) {
            let own = some(&predicates, |check, _| {
                piece.contains_key(check.resource.as_str())
            });
            let dataset = self.piece(&own.needs(), account, &piece).await?;
            let coverage = std::mem::take(&mut coverage);
            self.judge(&own, account, dataset, coverage, merge)?;
        }
        let rows = rows_of(account).map(|(t, r)| (t.to_owned(), r)).collect();
        let queries = some(each, |check, _| check.is_query);
        for group in self.groups(&queries, &rows) {
            let coverage = std::mem::take(&mut coverage);
            self.group(&group, account, coverage, merge).await?;
        }
        Ok(())
    }

    /// Checks over what they read of an account.
    async fn group(
        &self,
        planned: &Planned,
        account: &AccountPart,
        coverage: Coverage,
        merge: &mut Merge,
    ) -> Result<(), ScanError> {
        let (_, own) = divided(planned.needs());
        let whole = |table: &'_ String| {
            let part = account.tables.get(table);
            part.iter().flat_map(|t| &t.files).collect()
        };
        let all: Piece<'_> = own
            .keys()
            .map(|table| {
                let files = whole(table);
                (table.as_str(), Files { files, gaps: true })
            })
            .collect();
        let mut dataset = self.piece(&own, account, &all).await?;
        dataset.tables.extend(self.shared.tables.clone());
        self.judge(planned, account, dataset, coverage, merge)
    }

    fn judge(
        &self,
        planned: &Planned,
        account: &AccountPart,
        dataset: Dataset,
        coverage: Coverage,
        merge: &mut Merge,
    ) -> Result<(), ScanError> {
        let collected = Collected { dataset, coverage };
        let one = std::slice::from_ref(&account.account_id);
        let mut assessment = self.assess(planned, one, collected)?;
        // rows of other accounts come along with shared tables
        assessment
            .findings
            .retain(|f| *f.account_id == *account.account_id);
        merge.add(assessment)
    }

    /// The files of an account's tables, dealt out: each piece has some of several tables, so that there is work for all
    /// cores. A table's gaps are in the first piece that has it.
    fn pieces<'a>(&self, planned: &'a Planned, account: &'a AccountPart) -> Vec<Piece<'a>> {
        let mut left: BTreeMap<&str, std::slice::Iter<'_, FilePart>> = BTreeMap::new();
        for check in &planned.plan.checks {
            let table = check.check.resource.as_str();
            let files = account.tables.get(table);
            left.insert(table, files.map(|t| t.files.iter()).unwrap_or_default());
        }
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        let mut piece = Piece::new();
        let (mut rows, mut first) = (0, true);
        while !left.is_empty() {
            left.retain(|table, files| {
                let file = files.next();
                if first || file.is_some() {
                    let of = piece.entry(table).or_insert_with(|| Files {
                        files: Vec::new(),
                        gaps: false,
                    });
                    of.gaps |= first;
                    of.files.extend(file);
                    rows += file.map_or(0, |f| f.rows);
                }
                if rows >= self.at_once {
                    pieces.push(std::mem::take(&mut piece));
                    rows = 0;
                }
                file.is_some()
            });
            first = false;
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
        pieces
    }

    /// Checks that read the same large tables, together.
    fn groups(&self, planned: &Planned, rows: &BTreeMap<String, usize>) -> Vec<Planned> {
        /// Tables of a tenth of what is judged at once are large.
        const LARGE: usize = 10;
        let large = |needs: &Needs| -> BTreeSet<String> {
            let many = |table: &&String| {
                rows.get(*table)
                    .is_some_and(|rows| rows * LARGE > self.at_once)
            };
            needs.keys().filter(many).cloned().collect()
        };
        let checks = planned.plan.checks.iter();
        let keys: BTreeSet<BTreeSet<String>> = checks.map(|c| large(&c.needs)).collect();
        keys.iter()
            .map(|key| some(planned, |_, needs| large(needs) == *key))
            .collect()
    }

    async fn piece(
        &self,
        needs: &Needs,
        account: &AccountPart,
        piece: &Piece<'_>,
    ) -> Result<Dataset, ScanError> {
        let mut dataset = Dataset::default();
        for (name, files) in piece {
            let none = BTreeSet::new();
            let columns = needs.get(*name).unwrap_or(&none);
            let (spec, schema) = self.snapshot.schema(name, columns, &self.schemas)?;
            let mut batches = Vec::new();
            for file in &files.files {
                batches.extend(self.snapshot.batches(file, &spec, &schema).await?);
            }
            let gaps = account.tables.get(*name).filter(|_| files.gaps);
            let gaps = gaps.iter().flat_map(|t| &t.gaps);
            let gaps = gaps.map(|(region, error)| Gap {
                account_id: account.account_id.clone(),
                region: region.clone(),
                error: Arc::new(error.clone()),
            });
            let table = Table {
                spec,
                schema,
                batches,
                gaps: gaps.collect(),
            };
            dataset.tables.insert((*name).to_owned(), table);
        }
        Ok(dataset)
    }
}

//! The reading of one account.
use super::narrow::Wants;
use super::output::TableOutput;
use super::queue::{Item, Queue, Work};
use super::state::{BatchState, Call, CallKey, CallState, Fill, Group, Instance, Tags};
use super::tally::Tally;
use super::view::RowView;
use crate::plan::{OperationPlan, Plan, SlotKind, TablePlan};
use crate::request::{AccountTarget, Early, Limits, Progress};
use palisade_catalog::Scope;
use palisade_core::{CallError, CallErrorKind};
use palisade_model::{ApiError, Regions};
use palisade_table::{Batch, Gap, Table};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What all accounts share.
pub(super) struct Shared<'r> {
    pub plan: &'r Plan,
    pub wants: Wants<'r>,
    pub limits: &'r Limits,
    pub regions: &'r Regions,
    pub progress: &'r dyn Progress,
    pub early: &'r dyn Early,
    pub queue: Queue,
    pub tally: Tally,
    /// Rows that wait for calls of their own.
    pub waiting_rows: usize,
    pub interrupted: bool,
}

/// The calls, lists and rows of one account, and what they wait for. Nothing here does I/O: `issue` says what is to be
/// asked, `answered` takes what came back.
pub(super) struct Account<'r> {
    pub index: usize,
    pub plan: &'r Plan,
    pub target: &'r AccountTarget,
    /// The regions that are scanned, sorted.
    pub regions: Vec<Arc<str>>,
    pub calls: Vec<Call>,
    pub by_key: HashMap<CallKey, usize>,
    pub instances: Vec<Instance>,
    /// Lists of children that were made for one parent row already, by call and values.
    pub children: HashMap<(usize, CallKey, String), usize>,
    pub groups: Vec<Option<Group>>,
    pub batches: Vec<Option<BatchState>>,
    pub tags: BTreeMap<Arc<str>, Tags>,
    pub outputs: Vec<TableOutput>,
    pub gaps: Vec<BTreeSet<GapKey>>,
    /// Of each table, lists that have not ended and pages that are not output yet.
    pub live: Vec<usize>,
    /// Tables of which nothing may be live any more.
    pub quiet: Vec<usize>,
    /// What whole tables hold.
    pub whole: Vec<Option<TableRows>>,
    /// Where the rows of instances stand, as far as that was asked.
    pub orders: HashMap<usize, Vec<u32>>,
    /// Pages of tables whose rows are unique, until all their lists have ended.
    pub held: BTreeMap<usize, Vec<usize>>,
    /// Lists of such a table that have not ended.
    pub open_lists: BTreeMap<usize, usize>,
    /// Calls and groups that are not done.
    pub open: usize,
    /// Rows to look at again.
    pub touched: Vec<(usize, usize)>,
}

pub(super) type GapKey = (String, CallError);

/// Rows and gaps of one account's table.
pub(super) type TableRows = (Vec<Batch>, Vec<Gap>);

/// Why a region is not asked.
const NOT_THERE: &str = "the service does not exist in this region";

impl<'r> Account<'r> {
    pub(super) fn new(index: usize, plan: &'r Plan, target: &'r AccountTarget) -> Self {
        let mut regions: Vec<Arc<str>> = target
            .regions
            .iter()
            .map(|r| Arc::from(r.as_str()))
            .collect();
        regions.sort();
        regions.dedup();
        Self {
            index,
            plan,
            target,
            regions,
            calls: Vec::new(),
            by_key: HashMap::new(),
            instances: Vec::new(),
            children: HashMap::new(),
            groups: Vec::new(),
            batches: Vec::new(),
            tags: BTreeMap::new(),
            outputs: plan.tables.iter().map(|_| TableOutput::default()).collect(),
            gaps: plan.tables.iter().map(|_| BTreeSet::new()).collect(),
            live: vec![0; plan.tables.len()],
            quiet: (0..plan.tables.len()).rev().collect(),
            whole: plan.tables.iter().map(|_| None).collect(),
            orders: HashMap::new(),
            held: BTreeMap::new(),
            open_lists: BTreeMap::new(),
            open: 0,
            touched: Vec::new(),
        }
    }

    /// Plans the calls that wait for nothing.
    pub(super) fn start(&mut self, shared: &mut Shared<'r>) {
        let plan = self.plan;
        // for some rows, tags are read where the rows turn out to be
        if plan.tagging.is_some() && shared.wants.is_everything() {
            self.start_tagging(shared);
        }
        for (index, list) in plan.lists.iter().enumerate() {
            if list.parent.is_some() {
                continue;
            }
            let Some(operation) = plan.operations.get(list.operation) else {
                continue;
            };
            for (rank, region) in self.places(list.scope, Some(operation.service()), shared) {
                if shared.wants.asks(&list.tables, list.scope, &region) {
                    self.start_list(index, region, rank, shared);
                }
            }
        }
        for (index, table) in plan.tables.iter().enumerate() {
            if table.list.is_some() {
                continue;
            }
            let service = (!table.slots.is_empty()).then_some(table.spec.model.as_str());
            for (rank, region) in self.places(table.spec.scope, service, shared) {
                if shared.wants.asks(&[index], table.spec.scope, &region) {
                    self.single_row(index, region, rank, shared);
                }
            }
        }
        self.settle(shared);
    }

    fn start_tagging(&mut self, shared: &mut Shared<'r>) {
        let plan = self.plan;
        let tagged = |t: &&TablePlan| t.slots.iter().any(|s| matches!(s.kind, SlotKind::Tagging));
        let mut places: BTreeSet<Arc<str>> = BTreeSet::new();
        for table in plan.tables.iter().filter(tagged) {
            places.extend(
                self.places(table.spec.scope, None, shared)
                    .into_iter()
                    .map(|(_, r)| r),
            );
            // Rows that say where they live may be in any scanned region.
            if !table.region_cells.is_empty() {
                places.extend(self.regions.iter().cloned());
            }
        }
        for region in places {
            self.tags_of(&region, shared);
        }
    }

    /// The regions where something of this scope is asked, with their rank in the output.
    fn places(
        &self,
        scope: Scope,
        service: Option<&str>,
        shared: &mut Shared<'r>,
    ) -> Vec<(u32, Arc<str>)> {
        let known = service.and_then(|s| shared.regions.of(s, &self.target.partition));
        match scope {
            Scope::Global => {
                let home: Arc<str> = Arc::from(self.target.home_region.as_str());
                let region = match known {
                    // A service without an endpoint at home is global from where it has one.
                    Some(k) if k.global.is_none() && !k.regions.iter().any(|r| *r == *home) => {
                        k.regions.first().map(|r| Arc::from(r.as_str()))
                    }
                    _ => Some(Arc::clone(&home)),
                };
                match (region, service) {
                    (Some(region), _) => vec![(0, region)],
                    (None, service) => {
                        shared
                            .tally
                            .skipped(service.unwrap_or_default(), &home, NOT_THERE);
                        Vec::new()
                    }
                }
            }
            Scope::Regional => {
                let mut places = Vec::new();
                for (rank, region) in (0u32..).zip(&self.regions) {
                    let there = known.is_none_or(|k| {
                        k.global.is_some() || k.regions.iter().any(|r| **r == **region)
                    });
                    if there {
                        places.push((rank, Arc::clone(region)));
                    } else {
                        shared
                            .tally
                            .skipped(service.unwrap_or_default(), region, NOT_THERE);
                    }
                }
                places
            }
        }
    }

    pub(super) fn is_there(&self, service: &str, region: &str, shared: &Shared<'r>) -> bool {
        let known = shared.regions.of(service, &self.target.partition);
        known.is_none_or(|k| k.global.is_some() || k.regions.iter().any(|r| r == region))
    }

    /// The one row of a table without list.
    fn single_row(&mut self, table: usize, region: Arc<str>, rank: u32, shared: &mut Shared<'r>) {
        let instance = self.instances.len();
        self.instances.push(Instance {
            table,
            region,
            rank,
            parents: Vec::new(),
            parent_values: Vec::new(),
            pages: 1,
            ended: true,
            batches: BTreeMap::new(),
            groups: Vec::new(),
        });
        self.add_group(instance, 0, None, None, vec![Box::from([])], shared);
    }

    pub(super) fn item(&self, work: Work, operation: usize) -> Item {
        // Operations of one API share its limits: slots are shared out by API.
        let service = self.plan.operations.get(operation).map(|o| o.service());
        let first = self
            .plan
            .operations
            .iter()
            .position(|o| Some(o.service()) == service);
        Item {
            account: self.index,
            work,
            service: first.unwrap_or(operation),
        }
    }

    pub(super) fn operation(&self, operation: usize) -> Option<&'r OperationPlan> {
        self.plan.operations.get(operation)
    }

    pub(super) fn error(&self, operation: usize, region: &str, error: &ApiError) -> Arc<CallError> {
        let planned = self.operation(operation);
        Arc::new(CallError {
            service: planned.map(|o| o.service().to_owned()).unwrap_or_default(),
            operation: planned.map(|o| o.name.clone()).unwrap_or_default(),
            account_id: self.target.account_id.clone(),
            region: region.to_owned(),
            kind: error.kind,
            code: error.code.clone(),
            message: error.message.clone(),
            permissions: planned.map(|o| o.permissions.clone()).unwrap_or_default(),
        })
    }

    pub(super) fn malformed(
        &self,
        operation: usize,
        region: &str,
        message: String,
    ) -> Arc<CallError> {
        let error = ApiError {
            kind: CallErrorKind::Malformed,
            code: "Malformed".to_owned(),
            message,
        };
        self.error(operation, region, &error)
    }

    /// Rows of a table may be missing, and so may those of the tables below.
    pub(super) fn gap(&mut self, table: usize, region: &str, error: &Arc<CallError>) {
        let plan = self.plan;
        debug_assert!(
            self.whole.get(table).is_some_and(Option::is_none),
            "a gap in a table that was handed over as whole"
        );
        if let Some(gaps) = self.gaps.get_mut(table) {
            gaps.insert((region.to_owned(), error.as_ref().clone()));
        }
        let children = plan
            .tables
            .get(table)
            .map(|t| t.children.as_slice())
            .unwrap_or_default();
        for list in children.iter().filter_map(|c| plan.lists.get(*c)) {
            for child in &list.tables {
                self.gap(*child, region, error);
            }
        }
    }

    pub(super) fn view<'a>(&'a self, group: usize, row: usize) -> Option<RowView<'a>> {
        let group = self.groups.get(group)?.as_ref()?;
        let instance = self.instances.get(group.instance)?;
        let table = self.plan.tables.get(instance.table)?;
        Some(RowView {
            table,
            target: self.target,
            model: self.model_of(table),
            instance,
            group,
            row: group.rows.get(row)?,
        })
    }

    /// The model of a table's answers. Tables without calls have no answer to read.
    pub(super) fn model_of(&self, table: &TablePlan) -> &'r palisade_model::Model {
        let list = table
            .list
            .and_then(|l| self.plan.lists.get(l))
            .map(|l| l.operation);
        let called = table.slots.iter().find_map(|s| match &s.kind {
            SlotKind::Call(call) => Some(call.operation),
            SlotKind::Tagging => None,
        });
        let operation = list.or(called).and_then(|o| self.plan.operations.get(o));
        operation.map_or(no_model(), |o| o.model.as_ref())
    }

    /// The table of a group.
    pub(super) fn table_of(&self, group: usize) -> Option<(usize, &'r TablePlan)> {
        let instance = self.groups.get(group)?.as_ref()?.instance;
        let table = self.instances.get(instance)?.table;
        Some((table, self.plan.tables.get(table)?))
    }

    /// True when nothing is left to ask.
    pub(super) fn is_done(&self) -> bool {
        self.open == 0
    }

    /// Ends everything that is still open with an error.
    pub(super) fn abandon(&mut self, shared: &mut Shared<'r>) {
        let lost = ApiError {
            kind: CallErrorKind::NotMade,
            code: "Internal".to_owned(),
            message: "the call was planned and never made".to_owned(),
        };
        for call in 0..self.calls.len() {
            if !self
                .calls
                .get(call)
                .is_some_and(|c| matches!(c.state, CallState::Done(_)))
            {
                self.answered(call, Err(lost.clone()), shared);
            }
        }
        for group in 0..self.groups.len() {
            let Some((table, plan)) = self.table_of(group) else {
                continue;
            };
            let region = self.target.home_region.clone();
            let operation = plan
                .list
                .and_then(|l| self.plan.lists.get(l))
                .map_or(0, |l| l.operation);
            let error = self.error(operation, &region, &lost);
            shared.tally.record(&error);
            self.gap(table, &region, &error);
            if let Some(state) = self.groups.get_mut(group).and_then(Option::as_mut) {
                let fills = state.rows.iter_mut().flat_map(|r| &mut r.fills);
                for fill in fills.filter(|f| f.is_open()) {
                    *fill = Fill::Failed(Arc::clone(&error));
                }
                state.remaining = 0;
            }
            self.close_if_done(group, shared);
        }
        self.open = 0;
    }

    /// A list or a page of a table begins.
    pub(super) fn enliven(&mut self, table: usize) {
        if let Some(live) = self.live.get_mut(table) {
            *live += 1;
        }
    }

    /// A list or a page of a table is done, with its gaps noted and its rows output.
    pub(super) fn quieten(&mut self, table: usize) {
        if let Some(live) = self.live.get_mut(table) {
            *live = live.saturating_sub(1);
            if *live == 0 {
                self.quiet.push(table);
            }
        }
    }

    /// Hands over the tables that have become whole: nothing of them is live, and nothing can become so, as the tables
    /// whose rows they belong to are whole.
    pub(super) fn hand_over(&mut self, shared: &mut Shared<'r>) {
        while let Some(index) = self.quiet.pop() {
            let is_live = self.live.get(index).is_none_or(|live| *live > 0);
            let is_told = self.whole.get(index).is_none_or(Option::is_some);
            let Some(table) = self.plan.tables.get(index) else {
                continue;
            };
            let parent = table.list.and_then(|l| self.plan.lists.get(l)?.parent);
            let is_open = |parent| self.whole.get(parent).is_some_and(Option::is_none);
            if is_live || is_told || parent.is_some_and(is_open) {
                continue;
            }
            self.complete(index, shared);
            let children = table.children.iter();
            let lists = children.filter_map(|c| self.plan.lists.get(*c));
            self.quiet.extend(lists.flat_map(|list| &list.tables));
        }
    }

    /// Takes a table as it is for whole.
    fn complete(&mut self, index: usize, shared: &mut Shared<'r>) {
        let Some(table) = self.plan.tables.get(index) else {
            return;
        };
        let output = self
            .outputs
            .get_mut(index)
            .map(std::mem::take)
            .unwrap_or_default();
        for instance in output.instances() {
            self.order_of(instance);
        }
        let batches = match output.finish(table, &self.orders) {
            Ok(batches) => batches,
            Err(error) => {
                // Arrow refused what was built: nothing of the table can be trusted.
                let region = self.target.home_region.clone();
                let operation = table
                    .list
                    .and_then(|l| self.plan.lists.get(l))
                    .map_or(0, |l| l.operation);
                let error = self.malformed(operation, &region, error.to_string());
                shared.tally.record(&error);
                self.gap(index, &region, &error);
                Vec::new()
            }
        };
        let found = self.gaps.get_mut(index).map(std::mem::take);
        let found = found.unwrap_or_default().into_iter();
        let own = found.filter(|(region, _)| shared.wants.has_gap(index, region));
        let gap = |(region, error): GapKey| Gap {
            account_id: self.target.account_id.clone(),
            region,
            error: Arc::new(error),
        };
        let gaps: Vec<Gap> = own.map(gap).collect();
        if table.output {
            let whole = Table {
                spec: Arc::clone(&table.spec),
                schema: Arc::clone(&table.arrow),
                batches: batches.clone(),
                gaps: gaps.clone(),
            };
            shared.early.whole(&self.target.account_id, whole);
        }
        if let Some(place) = self.whole.get_mut(index) {
            *place = Some((batches, gaps));
        }
    }

    /// What was read, table by table.
    pub(super) fn finish(mut self, shared: &mut Shared<'r>) -> Vec<TableRows> {
        // an account that was given up has open ends
        self.live.fill(0);
        self.quiet = (0..self.live.len()).rev().collect();
        self.hand_over(shared);
        self.whole
            .into_iter()
            .map(Option::unwrap_or_default)
            .collect()
    }

    /// Where the rows of an instance stand: region of the list, then page and row of each parent.
    fn order_of(&mut self, instance: usize) -> Vec<u32> {
        if let Some(known) = self.orders.get(&instance) {
            return known.clone();
        }
        let Some(state) = self.instances.get(instance) else {
            return Vec::new();
        };
        let (rank, parents) = (state.rank, state.parents.clone());
        let mut from_parent = Vec::new();
        for (parent, page, row) in parents {
            let mut order = self.order_of(parent);
            order.extend([page, row]);
            from_parent.push(order);
        }
        let order = from_parent.into_iter().min();
        let order = order.unwrap_or_else(|| vec![rank]);
        self.orders.insert(instance, order.clone());
        order
    }
}

fn no_model() -> &'static palisade_model::Model {
    static NONE: std::sync::OnceLock<palisade_model::Model> = std::sync::OnceLock::new();
    NONE.get_or_init(palisade_model::Model::default)
}

impl Fill {
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Fill::Open)
    }
}

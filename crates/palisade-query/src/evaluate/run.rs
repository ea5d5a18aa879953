//! Running plans: on a thread of its own, so that callers may be asynchronous or not.
use crate::error::{QueryError, plain};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

/// All rows of an optimised plan, over the rows that the session holds.
pub(crate) async fn collect(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    execute(state, executable(state, plan).await?).await
}

/// What runs an optimised plan, once, or until it is reset: a join keeps what it has read of one side.
pub(crate) async fn executable(
    state: &SessionState,
    plan: &LogicalPlan,
) -> Result<Arc<dyn ExecutionPlan>> {
    let planner = state.query_planner();
    planner.create_physical_plan(plan, state).await
}

/// All rows, over the rows that the session holds.
pub(crate) async fn execute(
    state: &SessionState,
    plan: Arc<dyn ExecutionPlan>,
) -> Result<Vec<RecordBatch>> {
    datafusion::physical_plan::collect(plan, state.task_ctx()).await
}

/// Waits for a future on a new thread with a runtime of its own.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, QueryError> {
    on_deep_stack(|| block_here(future))?
}

/// Waits for a future on this thread, which must not be one of a runtime.
pub(crate) fn block_here<T>(future: impl Future<Output = T>) -> Result<T, QueryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|e| QueryError::Start(e.to_string()))?;
    Ok(runtime.block_on(future))
}

/// Runs a function on a thread whose stack is deep enough for the longest SQL: planners are recursive. Memory is only
/// used as far as the stack is.
pub(crate) fn on_deep_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, QueryError> {
    std::thread::scope(|scope| finished(deep(scope, run)?))
}

/// Runs a function for each part of the work, each on a thread of its own as [`on_deep_stack`]; the results are in the
/// order of the parts.
pub(crate) fn on_deep_stacks<P: Send, T: Send>(
    parts: Vec<P>,
    run: impl Fn(P) -> T + Sync,
) -> Result<Vec<T>, QueryError> {
    let run = &run;
    std::thread::scope(|scope| {
        let parts = parts.into_iter();
        let workers: Vec<_> = parts.map(|part| deep(scope, move || run(part))).collect();
        workers.into_iter().map(|w| finished(w?)).collect()
    })
}

/// Runs a function for each part of the work, on as many threads as are worth it; whichever is free takes the next part.
/// The results are in the order of the parts.
pub(crate) fn share_out<P: Sync, T: Send>(
    parts: &[P],
    run: impl Fn(&P) -> T + Sync,
) -> Result<Vec<T>, QueryError> {
    let next = AtomicUsize::new(0);
    let workers = (0..parts_of(parts.len())).collect();
    let done = on_deep_stacks(workers, |_: usize| {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(number) else {
                return done;
            };
            done.push((number, run(part)));
        }
    })?;
    let mut all: Vec<(usize, T)> = done.into_iter().flatten().collect();
    all.sort_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, result)| result).collect())
}

fn deep<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, QueryError> {
    const STACK: usize = 256 << 20;
    let builder = std::thread::Builder::new().stack_size(STACK);
    let worker = builder.spawn_scoped(scope, run);
    worker.map_err(|e| QueryError::Start(e.to_string()))
}

fn finished<T>(worker: ScopedJoinHandle<'_, T>) -> Result<T, QueryError> {
    let stopped = |_| QueryError::Start("a query stopped without an answer".to_owned());
    worker.join().map_err(stopped)
}

/// How many parts work on this machine is worth being cut into.
pub(crate) fn parts_of(items: usize) -> usize {
    const MOST: usize = 8;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    cores.min(MOST).min(items).max(1)
}

/// A DataFusion error as ours; our own errors come back as they were.
pub(crate) fn query_error(error: datafusion::common::DataFusionError) -> QueryError {
    if let datafusion::common::DataFusionError::External(inner) = error.find_root()
        && let Some(ours) = inner.downcast_ref::<QueryError>()
    {
        return ours.clone();
    }
    QueryError::Run(plain(&error))
}

//! Running plans: on a thread of its own, so that callers may be asynchronous or not.
use crate::error::{QueryError, plain};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use std::cell::Cell;
use std::panic::AssertUnwindSafe;
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

thread_local! {
    /// Whether the stack of this thread is deep.
    static IS_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs a function on a thread whose stack is deep enough for the longest SQL: planners are recursive. Memory is only
/// used as far as the stack is. That is this thread, where it is one of these and nothing is waited for on it.
pub(crate) fn on_deep_stack<T: Send>(run: impl FnOnce() -> T + Send) -> Result<T, QueryError> {
    if is_free_and_deep() {
        return here(run);
    }
    std::thread::scope(|scope| finished(deep(scope, run)?))
}

/// Runs a function for each part of the work, each on a thread of its own as [`on_deep_stack`]; the results are in the
/// order of the parts.
pub(crate) fn on_deep_stacks<P: Send, T: Send>(
    mut parts: Vec<P>,
    run: impl Fn(P) -> T + Sync,
) -> Result<Vec<T>, QueryError> {
    let run = &run;
    std::thread::scope(|scope| {
        let own = is_free_and_deep().then(|| parts.pop()).flatten();
        let parts = parts.into_iter();
        let workers: Vec<_> = parts.map(|part| deep(scope, move || run(part))).collect();
        let own = own.map(|part| here(|| run(part)));
        let others = workers.into_iter().map(|w| finished(w?));
        others.chain(own).collect()
    })
}

/// Runs a function for each part of the work, on as many threads as are worth it, and no more than `most`; whichever is
/// free takes the next part. The results are in the order of the parts.
pub(crate) fn share_out<P: Sync, T: Send>(
    parts: &[P],
    most: usize,
    run: impl Fn(&P) -> T + Sync,
) -> Result<Vec<T>, QueryError> {
    let next = AtomicUsize::new(0);
    let workers = (0..parts_of(parts.len()).min(most)).collect();
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
    let worker = builder.spawn_scoped(scope, || {
        IS_DEEP.set(true);
        run()
    });
    worker.map_err(|e| QueryError::Start(e.to_string()))
}

/// A runtime cannot be entered where another one waits.
fn is_free_and_deep() -> bool {
    IS_DEEP.get() && tokio::runtime::Handle::try_current().is_err()
}

fn here<T>(run: impl FnOnce() -> T) -> Result<T, QueryError> {
    // nothing of what is torn is used again, as that of another thread is not
    std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(|_| stopped())
}

fn finished<T>(worker: ScopedJoinHandle<'_, T>) -> Result<T, QueryError> {
    worker.join().map_err(|_| stopped())
}

fn stopped() -> QueryError {
    QueryError::Start("a query stopped without an answer".to_owned())
}

/// More threads than this gain nothing.
const MOST: usize = 8;

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How many parts work on this machine is worth being cut into.
pub(crate) fn parts_of(items: usize) -> usize {
    cores().min(MOST).min(items).max(1)
}

/// How many threads work while answers are awaited: the other half of the cores is for the calls.
pub(crate) fn aside() -> usize {
    (cores() / 2).clamp(1, MOST)
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

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod tests {
    use super::*;

    fn name() -> std::thread::ThreadId {
        std::thread::current().id()
    }

    #[test]
    fn a_deep_stack_is_used_again_unless_something_is_waited_for() {
        let (outer, inner) = on_deep_stack(|| (name(), on_deep_stack(name).unwrap())).unwrap();
        assert_ne!(outer, name());
        assert_eq!(outer, inner);
        // a runtime in a runtime would be a panic
        let (outer, inner) = on_deep_stack(|| {
            let waits = async { block_on(async { name() }).unwrap() };
            (name(), block_here(waits).unwrap())
        })
        .unwrap();
        assert_ne!(outer, inner);
    }

    #[test]
    fn parts_come_back_in_their_order_and_one_is_done_here() {
        let parts = || (0..5).collect::<Vec<i32>>();
        let twice = |part: i32| (2 * part, name());
        let elsewhere = on_deep_stacks(parts(), twice).unwrap();
        let (here, inside) =
            on_deep_stack(|| (name(), on_deep_stacks(parts(), twice).unwrap())).unwrap();
        for done in [&elsewhere, &inside] {
            let numbers: Vec<i32> = done.iter().map(|(number, _)| *number).collect();
            assert_eq!(numbers, [0, 2, 4, 6, 8]);
        }
        assert!(elsewhere.iter().all(|(_, by)| *by != name()));
        assert_eq!(inside.iter().filter(|(_, by)| *by == here).count(), 1);
        let shared = on_deep_stack(|| share_out(&parts(), 1, |_| name()).unwrap()).unwrap();
        assert!(shared.windows(2).all(|pair| pair.first() == pair.last()));
    }

    #[test]
    fn what_panics_is_an_error_here_and_elsewhere() {
        let stop = |part: i32| assert!(part != 1, "part 1 stops");
        for parts in [vec![0, 1, 2], vec![0, 2, 1]] {
            assert!(on_deep_stacks(parts.clone(), stop).is_err());
            assert!(on_deep_stack(|| on_deep_stacks(parts, stop).is_err()).unwrap());
        }
    }
}

//! Running plans: on a thread of its own, so that callers may be asynchronous or not.
use crate::error::{QueryError, plain};
use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::context::SessionState;
use datafusion::logical_expr::LogicalPlan;

/// All rows of an optimised plan, over the rows that the session holds.
pub(crate) async fn collect(state: &SessionState, plan: &LogicalPlan) -> Result<Vec<RecordBatch>> {
    let physical = state
        .query_planner()
        .create_physical_plan(plan, state)
        .await?;
    datafusion::physical_plan::collect(physical, state.task_ctx()).await
}

/// Waits for a future on a new thread with a runtime of its own.
pub(crate) fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> Result<T, QueryError> {
    let start = |e: String| QueryError::Start(e);
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .map_err(|e| start(e.to_string()))?;
            Ok(runtime.block_on(future))
        });
        worker
            .join()
            .map_err(|_| start("a query stopped without an answer".to_owned()))?
    })
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

//! Deep stacks: plans, their codecs and their operators are recursive, and SQL may be as long as it is on one machine.
//! An executor that runs out of stack would take all its work with it.
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// Memory is only used as far as a stack is.
const STACK: usize = 64 << 20;

/// A runtime for [`crate::scheduler`] and [`crate::executor`].
///
/// # Errors
/// When the system has no threads left.
pub fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()
}

/// Runs something on a thread of its own, with a runtime of its own.
pub(crate) async fn on_own_thread<T, F>(future: impl FnOnce() -> F + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>>,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let run = move || {
        let done = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(future()));
        // whoever waited may have gone
        let _ = sender.send(done);
    };
    std::thread::Builder::new().stack_size(STACK).spawn(run)?;
    receiver
        .await
        .map_err(|_| exec_datafusion_err!("a query stopped without an answer"))?
}

/// Ballista's engine on deep stacks.
pub(crate) struct DeepEngine {
    inner: DefaultExecutionEngine,
    /// There until the end.
    runtime: Option<Runtime>,
}

impl DeepEngine {
    /// With threads for so many pieces of work at a time.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.enable_all().thread_stack_size(STACK);
        if threads > 0 {
            builder.worker_threads(threads);
        }
        Ok(Self {
            inner: DefaultExecutionEngine::new(),
            runtime: Some(builder.build()?),
        })
    }
}

impl Drop for DeepEngine {
    fn drop(&mut self) {
        // an executor ends within a runtime, where waiting is not possible
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ExecutionEngine for DeepEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let runtime = self.runtime.as_ref().map(|r| r.handle().clone());
        Ok(Arc::new(DeepStage {
            inner: self.inner.create_query_stage_exec(
                job_id,
                stage_id,
                task_id,
                global_output_partition_ids,
                plan,
                work_dir,
                config,
            )?,
            runtime: runtime.ok_or_else(|| exec_datafusion_err!("the executor is stopping"))?,
        }))
    }
}

#[derive(Debug)]
struct DeepStage {
    inner: Arc<dyn QueryStageExecutor>,
    runtime: Handle,
}

impl std::fmt::Display for DeepStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.inner)
    }
}

/// Work that nobody waits for any more is given up.
struct GivenUp<T>(JoinHandle<T>);

impl<T> Drop for GivenUp<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[async_trait::async_trait]
impl QueryStageExecutor for DeepStage {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        let inner = Arc::clone(&self.inner);
        let work = async move { inner.execute_query_stage(task_id, context).await };
        let mut work = GivenUp(self.runtime.spawn(work));
        (&mut work.0)
            .await
            .map_err(|e| exec_datafusion_err!("a piece of work stopped: {e}"))?
    }
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }
    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }
    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }
    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

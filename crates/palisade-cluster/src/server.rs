//! Schedulers and executors.
use crate::codec::Codec;
use crate::deep::DeepEngine;
use crate::error::ClusterError;
use crate::site::Site;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::scheduler_process::{create_scheduler, start_grpc_service_with_listener};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of one message: a plan names every account.
const MESSAGE: u32 = 64 << 20;
/// Seconds for which an executor keeps the results of a job.
const KEEP_RESULTS: u64 = 600;
/// Seconds between looks for executors that are gone.
const LOOK: u64 = 2;
/// Seconds after which an executor that says nothing is gone. A busy one says something every five.
const SILENCE: u64 = 20;

/// A scheduler.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// Where it listens. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Seconds after which an executor that says nothing is taken for gone, and its work given to others. A busy one
    /// says something every five seconds.
    pub executor_silence: u64,
}

impl SchedulerConfig {
    /// With what is usual.
    pub fn new(bind: SocketAddr) -> Self {
        Self {
            bind,
            executor_silence: SILENCE,
        }
    }
}

/// An executor.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// The scheduler: `host:port`.
    pub scheduler: String,
    /// Where it hands out its results. Port 0 takes a free one.
    pub bind: SocketAddr,
    /// The name or address by which scheduler and other executors reach it; without, the address that they see.
    pub advertise: Option<String>,
    /// Where results stand until they are fetched; without, a folder among the temporary files.
    pub work_dir: Option<PathBuf>,
    /// Pieces of work at a time; 0 is one for each processor.
    pub concurrent_tasks: usize,
}

/// Runs a scheduler until the process is asked to stop, on a [`crate::runtime`]. `ready` is called with the address when
/// it listens.
///
/// # Errors
/// When it cannot listen, or stops by itself.
pub async fn scheduler(
    config: SchedulerConfig,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ClusterError> {
    let failed = |reason: String| ClusterError::Server {
        what: format!("the scheduler on {} cannot run", config.bind),
        reason,
    };
    let listener = tokio::net::TcpListener::bind(config.bind)
        .await
        .map_err(|e| failed(e.to_string()))?;
    let address = listener.local_addr().map_err(|e| failed(e.to_string()))?;
    let settings = ballista_scheduler::config::SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: address.ip().to_string(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        // Users need to reach the scheduler only, not every executor.
        enable_embedded_flight_proxy: true,
        finished_job_data_clean_up_interval_seconds: KEEP_RESULTS,
        finished_job_state_clean_up_interval_seconds: KEEP_RESULTS,
        executor_timeout_seconds: config.executor_silence,
        expire_dead_executor_interval_seconds: LOOK,
        no_executors_grace_period_seconds: config.executor_silence.saturating_mul(3),
        grpc_server_max_decoding_message_size: MESSAGE,
        grpc_server_max_encoding_message_size: MESSAGE,
        grpc_client_max_message_size: MESSAGE,
        override_physical_codec: Some(Arc::new(Codec::new(None))),
        ..ballista_scheduler::config::SchedulerConfig::default()
    };
    settings.validate().map_err(|e| failed(e.to_string()))?;
    let cluster = BallistaCluster::new_from_config(&settings)
        .await
        .map_err(|e| failed(e.to_string()))?;
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(settings))
        .await
        .map_err(|e| failed(e.to_string()))?;
    ready(address);
    tokio::select! {
        served = start_grpc_service_with_listener(listener, server) => {
            served.map_err(|e| failed(e.to_string()))
        }
        () = asked_to_stop() => Ok(()),
    }
}

/// Runs an executor until the process is asked to stop, on a [`crate::runtime`]. `ready` is called with the address when
/// it is about to listen.
///
/// # Errors
/// When it cannot listen, its scheduler does not answer, or it stops by itself.
pub async fn executor(
    config: ExecutorConfig,
    site: Arc<Site>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ClusterError> {
    let failed = |reason: String| ClusterError::Server {
        what: format!("the executor on {} cannot run", config.bind),
        reason,
    };
    let url = format!("ballista://{}", config.scheduler);
    let scheduler: crate::Address = url.parse().map_err(|_| ClusterError::Url {
        url: config.scheduler.clone(),
        reason: "give the scheduler's `HOST:PORT`".to_owned(),
    })?;
    // A wrong address is told at once; a scheduler that starts later is waited for.
    reach(&scheduler).await?;
    let (host, port) = scheduler.parts();
    let bind = free(config.bind).await.map_err(|e| failed(e.to_string()))?;
    let made;
    let work_dir = match &config.work_dir {
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(|e| ClusterError::Server {
                what: format!("cannot use `{}` for results", folder.display()),
                reason: e.to_string(),
            })?;
            folder.clone()
        }
        None => {
            made = Temporary::new().map_err(|e| failed(e.to_string()))?;
            made.0.clone()
        }
    };
    let engine = DeepEngine::new(config.concurrent_tasks).map_err(|e| failed(e.to_string()))?;
    let settings = ExecutorProcessConfig {
        bind_host: bind.ip().to_string(),
        port: bind.port(),
        external_host: config.advertise.clone(),
        scheduler_host: host.to_owned(),
        scheduler_port: port,
        scheduler_connect_timeout_seconds: 30,
        vcores: config.concurrent_tasks,
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        work_dir: Some(work_dir.display().to_string()),
        job_data_ttl_seconds: KEEP_RESULTS,
        job_data_clean_up_interval_seconds: KEEP_RESULTS,
        grpc_max_decoding_message_size: MESSAGE,
        grpc_max_encoding_message_size: MESSAGE,
        override_physical_codec: Some(Arc::new(Codec::new(Some(site)))),
        override_execution_engine: Some(Arc::new(engine)),
        override_function_registry: Some(Arc::new(functions())),
        ..ExecutorProcessConfig::default()
    };
    ready(bind);
    start_executor_process(Arc::new(settings))
        .await
        .map_err(|e| failed(e.to_string()))
}

/// The functions that plans name. What Ballista has by itself lacks those of lists; ours come with the plan.
fn functions() -> BallistaFunctionRegistry {
    let state = SessionStateBuilder::new().with_default_features().build();
    BallistaFunctionRegistry::from(&state)
}

/// Waits for a scheduler to answer.
async fn reach(scheduler: &crate::Address) -> Result<(), ClusterError> {
    const TRIES: u32 = 60;
    let mut tried = 0;
    loop {
        tried += 1;
        match scheduler.answers().await {
            Err(ClusterError::Unreachable { .. }) if tried < TRIES => {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            other => return other,
        }
    }
}

/// An address whose port is free, when any will do.
async fn free(bind: SocketAddr) -> std::io::Result<SocketAddr> {
    // also tells what is wrong with an address before the scheduler knows of it
    let listener = tokio::net::TcpListener::bind(bind).await?;
    listener.local_addr()
}

/// A folder that goes with its value.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> std::io::Result<Self> {
        let name = format!(
            "palisade-executor-{}",
            ballista_core::ids::new_instance_id()
        );
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // what is left is a matter of the system's own cleaning
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = interrupted.await;
}

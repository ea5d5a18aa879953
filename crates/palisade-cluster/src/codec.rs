//! Palisade's operator and functions on the wire, next to Ballista's.
use crate::error::refuse;
use crate::exec::WorkExec;
use crate::job::Job;
use crate::site::{Site, version_fits};
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use palisade_core::Timestamp;
use palisade_query::own_functions;
use prost::Message;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What follows is Ballista's.
const BALLISTA: u8 = 0;
/// What follows is a [`Sent`].
const PALISADE: u8 = 1;

/// The operator as it is sent: its job as JSON, and its schema as DataFusion sends schemas.
#[derive(Clone, PartialEq, Message)]
struct Sent {
    #[prost(string, tag = "1")]
    job: String,
    #[prost(message, optional, tag = "2")]
    schema: Option<datafusion_proto::protobuf::Schema>,
}

/// Writes and reads plans with Palisade's parts in them.
#[derive(Debug)]
pub(crate) struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
    site: Option<Arc<Site>>,
    names: BTreeSet<String>,
    /// What ages are counted from in the functions of plans that are written.
    now: Timestamp,
}

impl Codec {
    /// For a scheduler (nothing) or an executor.
    pub(crate) fn new(site: Option<Arc<Site>>) -> Self {
        let now = Timestamp::from_micros(0);
        let functions = own_functions(now);
        Self {
            ballista: BallistaPhysicalExtensionCodec::default(),
            site,
            names: functions.iter().map(|f| f.name().to_owned()).collect(),
            now,
        }
    }

    /// For a client that plans as of a time.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            now,
            ..Self::new(None)
        }
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match buf.split_first() {
            Some((&BALLISTA, rest)) => self.ballista.try_decode(rest, inputs, ctx, converter),
            Some((&PALISADE, rest)) => {
                let broken = |e: String| {
                    refuse(format_args!("a plan could not be read, perhaps of another version: {e}"))
                };
                let sent = Sent::decode(rest).map_err(|e| broken(e.to_string()))?;
                let job: Job = serde_json::from_str(&sent.job).map_err(|e| broken(e.to_string()))?;
                match &self.site {
                    Some(site) => site.accepts(&job)?,
                    None => version_fits(&job, "scheduler")?,
                }
                let schema = sent.schema.ok_or_else(|| broken("no schema".to_owned()))?;
                let schema: SchemaRef =
                    Arc::new(Schema::try_from(&schema).map_err(|e| broken(e.to_string()))?);
                let [input] = inputs else {
                    return Err(broken("another number of inputs".to_owned()));
                };
                Ok(Arc::new(WorkExec::new(
                    Arc::clone(input),
                    Arc::new(job),
                    schema,
                    self.site.clone(),
                )))
            }
            _ => plan_err!("an operator that neither Ballista nor Palisade knows"),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let Some(work) = node.downcast_ref::<WorkExec>() else {
            buf.push(BALLISTA);
            return self.ballista.try_encode(node, buf, converter);
        };
        buf.push(PALISADE);
        let failed = |e: String| exec_datafusion_err!("a plan could not be written: {e}");
        let schema = node.schema();
        let sent = Sent {
            job: serde_json::to_string(work.job()).map_err(|e| failed(e.to_string()))?,
            schema: Some(schema.as_ref().try_into().map_err(
                |e: datafusion_proto::protobuf::ToProtoError| failed(e.to_string()),
            )?),
        };
        sent.encode(buf).map_err(|e| failed(e.to_string()))
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        if self.names.contains(node.name()) {
            buf.extend(self.now.as_micros().to_le_bytes());
        }
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        let Ok(now) = <[u8; 8]>::try_from(buf) else {
            return plan_err!("the function `{name}` came without a time");
        };
        let now = Timestamp::from_micros(i64::from_le_bytes(now));
        match own_functions(now).into_iter().find(|f| f.name() == name) {
            Some(function) => Ok(Arc::new(function)),
            None => plan_err!("no function `{name}`"),
        }
    }
}

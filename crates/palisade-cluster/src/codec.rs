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
use palisade_query::{function_time, own_functions};
use prost::Message;
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
}

impl Codec {
    /// For an executor, or (without) for a scheduler or a client.
    pub(crate) fn new(site: Option<Arc<Site>>) -> Self {
        Self {
            ballista: BallistaPhysicalExtensionCodec::default(),
            site,
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
                    refuse(format_args!(
                        "a plan could not be read, perhaps of another version: {e}"
                    ))
                };
                let sent = Sent::decode(rest).map_err(|e| broken(e.to_string()))?;
                let job: Job =
                    serde_json::from_str(&sent.job).map_err(|e| broken(e.to_string()))?;
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
        let sent =
            Sent {
                job: serde_json::to_string(work.job()).map_err(|e| failed(e.to_string()))?,
                schema: Some(schema.as_ref().try_into().map_err(
                    |e: datafusion_proto::protobuf::ToProtoError| failed(e.to_string()),
                )?),
            };
        sent.encode(buf).map_err(|e| failed(e.to_string()))
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        if let Some(time) = function_time(node) {
            buf.extend(time.as_micros().to_le_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Origin, Place, Task, Work};
    use crate::result;
    use datafusion_proto::physical_plan::{AsExecutionPlan, DefaultPhysicalExtensionCodec};
    use datafusion_proto::protobuf::PhysicalPlanNode;
    use palisade_catalog::{Catalog, Source};
    use palisade_query::Only;

    fn catalog() -> Arc<Catalog> {
        Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog)
    }

    fn sent(origin: Origin) -> PhysicalPlanNode {
        let job = Job {
            origin,
            place: Place::new("/nowhere").unwrap(),
            snapshots: vec!["latest".to_owned()],
            task: Task::Rows {
                table: "s3_bucket".to_owned(),
                only: Only::new(),
            },
        };
        let work = Work {
            number: 0,
            accounts: vec!["123456789012".to_owned()],
            within: false,
            checks: Vec::new(),
        };
        let exec = WorkExec::over(job, result::schema(), &[work]).unwrap();
        PhysicalPlanNode::try_from_physical_plan(Arc::new(exec), &Codec::new(None)).unwrap()
    }

    fn read(node: &PhysicalPlanNode, codec: &dyn PhysicalExtensionCodec) -> Result<String> {
        let plan = node.try_into_physical_plan(&TaskContext::default(), codec)?;
        Ok(format!("{} {:?}", plan.name(), plan.schema()))
    }

    #[test]
    fn others_are_refused() {
        let catalog = catalog();
        let ours = Origin {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            catalog: catalog.fingerprint.clone(),
        };
        let site = Arc::new(Site::new(catalog));
        let (scheduler, executor) = (Codec::new(None), Codec::new(Some(site)));
        let node = sent(ours.clone());
        let expected = format!("WorkExec {:?}", result::schema());
        assert_eq!(read(&node, &scheduler).unwrap(), expected);
        assert_eq!(read(&node, &executor).unwrap(), expected);

        let later = sent(Origin {
            version: "99.0.0".to_owned(),
            ..ours.clone()
        });
        for (codec, who) in [(&scheduler, "scheduler"), (&executor, "executor")] {
            let why = read(&later, codec).unwrap_err().to_string();
            let says = format!("the {who} is Palisade {}", ours.version);
            assert!(why.contains(&says) && why.contains("99.0.0"), "{why}");
        }
        let other = sent(Origin {
            catalog: "other".to_owned(),
            ..ours
        });
        assert!(read(&other, &scheduler).is_ok());
        let why = read(&other, &executor).unwrap_err().to_string();
        assert!(why.contains("another catalogue"), "{why}");
        // and somebody who is no part of a cluster of ours reads nothing
        assert!(read(&node, &DefaultPhysicalExtensionCodec {}).is_err());
    }

    #[test]
    fn broken_plans_are_errors() {
        let codec = Codec::new(None);
        let context = TaskContext::default();
        let converter = datafusion_proto::physical_plan::DefaultPhysicalProtoConverter {};
        for bytes in [
            &[][..],
            &[PALISADE],
            &[PALISADE, 10, 2, 123],
            &[PALISADE, 255],
            &[7, 7],
        ] {
            assert!(
                codec.try_decode(bytes, &[], &context, &converter).is_err(),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn functions_keep_their_time() {
        let codec = Codec::new(None);
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        for function in own_functions(now) {
            let mut bytes = Vec::new();
            codec.try_encode_udf(&function, &mut bytes).unwrap();
            let back = codec.try_decode_udf(function.name(), &bytes).unwrap();
            assert_eq!(*back, function);
        }
        assert!(codec.try_decode_udf("age_days", &[]).is_err());
        assert!(
            codec
                .try_decode_udf("no_such", &0i64.to_le_bytes())
                .is_err()
        );
    }
}

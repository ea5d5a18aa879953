//! The models that are shipped, decoded when first asked for.
use crate::{Constraints, Model, Regions};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use zstd::bulk::Decompressor;

/// Why a model could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No such model is shipped.
    #[error(
        "no API model `{0}`; add it to `catalog/models/models.toml` and run `cargo xtask models`"
    )]
    Missing(String),
    /// The stored bytes are not a model.
    #[error("the API model `{name}` is damaged: {reason}")]
    Damaged {
        /// The model's name.
        name: String,
        /// What was wrong with the bytes.
        reason: String,
    },
}

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

type Decoded = OnceLock<Result<Arc<Model>, ModelError>>;

/// Models by name, each decoded once.
#[derive(Debug, Default)]
pub struct Models {
    embedded: Vec<Decoded>,
    added: BTreeMap<String, Arc<Model>>,
    regions: OnceLock<Result<Arc<Regions>, ModelError>>,
    constraints: OnceLock<Result<Arc<Constraints>, ModelError>>,
}

impl Models {
    /// The models of `catalog/models/`, as they were when this binary was built.
    pub fn embedded() -> Self {
        Self {
            embedded: EMBEDDED.iter().map(|_| Decoded::new()).collect(),
            ..Self::default()
        }
    }
    /// Adds a model, or puts it in the place of the shipped one of the same name.
    #[must_use]
    pub fn with(mut self, model: Model) -> Self {
        self.added.insert(model.name.clone(), Arc::new(model));
        self
    }
    /// The model of that name, decoded on the first call.
    ///
    /// # Errors
    /// When no such model is shipped, or its bytes are damaged.
    pub fn get(&self, name: &str) -> Result<Arc<Model>, ModelError> {
        if let Some(model) = self.added.get(name) {
            return Ok(Arc::clone(model));
        }
        let missing = || ModelError::Missing(name.to_owned());
        let index = EMBEDDED
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .map_err(|_| missing())?;
        let (cell, (_, bytes)) = self
            .embedded
            .get(index)
            .zip(EMBEDDED.get(index))
            .ok_or_else(missing)?;
        cell.get_or_init(|| Model::from_bytes(name, bytes).map(Arc::new))
            .clone()
    }
    /// The names of all models, sorted.
    pub fn names(&self) -> Vec<&str> {
        let shipped = EMBEDDED
            .iter()
            .take(self.embedded.len())
            .map(|(name, _)| *name);
        let mut names: Vec<&str> = shipped
            .chain(self.added.keys().map(String::as_str))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
    /// `partitions.json` of botocore, as JSON: what `aws.partition` of the endpoint rules answers from.
    pub fn partitions(&self) -> &'static [u8] {
        PARTITIONS
    }
    /// Which service exists in which region.
    ///
    /// # Errors
    /// When the shipped file is damaged.
    pub fn regions(&self) -> Result<Arc<Regions>, ModelError> {
        self.regions
            .get_or_init(|| json("regions", REGIONS))
            .clone()
    }
    /// What the members of inputs that repairs set must be.
    ///
    /// # Errors
    /// When the shipped file is damaged.
    pub fn constraints(&self) -> Result<Arc<Constraints>, ModelError> {
        let read = || json("constraints", CONSTRAINTS);
        self.constraints.get_or_init(read).clone()
    }
}

/// A shipped file that is JSON.
fn json<T: serde::de::DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<Arc<T>, ModelError> {
    let read = serde_json::from_slice(bytes).map(Arc::new);
    read.map_err(|e| ModelError::Damaged {
        name: name.to_owned(),
        reason: e.to_string(),
    })
}

impl Model {
    /// Decodes what [`Model::to_bytes`] wrote: postcard in a zstd frame.
    ///
    /// # Errors
    /// When the bytes are not such a model.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::Damaged {
            name: name.to_owned(),
            reason,
        };
        let plain = decompress(bytes).map_err(|e| damaged(e.to_string()))?;
        postcard::from_bytes(&plain).map_err(|e| damaged(e.to_string()))
    }
    /// Postcard in a zstd frame.
    ///
    /// # Errors
    /// When a value cannot be written, which would be a bug of ours.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let damaged = |reason: String| ModelError::Damaged {
            name: self.name.clone(),
            reason,
        };
        let plain = postcard::to_allocvec(self).map_err(|e| damaged(e.to_string()))?;
        zstd::bulk::compress(&plain, 19).map_err(|e| damaged(e.to_string()))
    }
}

thread_local! {
    /// What a frame is decompressed with: a scan decodes a hundred models on few threads, and it is large to make.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// In one piece when the frame says how much it holds, as ours do: a stream would keep a window of that size beside it.
fn decompress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let size = match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(size)) if size <= LARGEST_MODEL => usize::try_from(size).unwrap_or(usize::MAX),
        _ => return zstd::decode_all(bytes),
    };
    DECOMPRESSOR.with_borrow_mut(|known| {
        let decompressor = match known {
            Some(decompressor) => decompressor,
            None => known.insert(Decompressor::new()?),
        };
        decompressor.decompress(bytes, size)
    })
}

/// More than any model has: a damaged frame must not ask for more memory than there is. the largest has 0.7 MB.
const LARGEST_MODEL: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_model_decodes_and_is_closed() {
        let models = Models::embedded();
        assert!(models.names().len() > 140);
        for name in models.names() {
            let model = models.get(name).unwrap();
            assert!(
                !model.operations.is_empty() && !model.protocols.is_empty(),
                "{name}"
            );
            assert!(!model.endpoint_rules.is_empty(), "{name}");
            assert_eq!(model.shapes.iter().count(), model.shapes.len(), "{name}");
            let operations = model.operations.iter();
            assert_eq!(operations.count(), model.operations.len(), "{name}");
            for operation in model.operations.iter() {
                assert_eq!(model.operation(&operation.name), Some(operation), "{name}");
                assert_eq!(model.operation(&format!("{}_", operation.name)), None);
            }
            for shape in model.shapes.iter() {
                let parts = shape
                    .members
                    .iter()
                    .chain(shape.element.as_deref())
                    .chain(shape.key.as_deref());
                for part in parts {
                    assert!(
                        model.shape(part.shape).is_some(),
                        "{name} {} {}",
                        shape.name,
                        part.name
                    );
                }
            }
        }
    }

    #[test]
    fn unknown_and_damaged_models_are_told_apart() {
        assert_eq!(
            Models::embedded().get("nope").unwrap_err(),
            ModelError::Missing("nope".into())
        );
        assert!(matches!(
            Model::from_bytes("x", b"zstd?").unwrap_err(),
            ModelError::Damaged { .. }
        ));
        let bytes = Models::embedded().get("sts").unwrap().to_bytes().unwrap();
        let half = bytes.get(..bytes.len() / 2).unwrap();
        assert!(matches!(
            Model::from_bytes("sts", half).unwrap_err(),
            ModelError::Damaged { .. }
        ));
        // lengths of more, and of less, than there is
        for lengths in [vec![1_u32, 2], vec![1], vec![u32::MAX, 3]] {
            let bytes = postcard::to_allocvec(&(lengths, vec![0_u8, 0])).unwrap();
            let read: Result<crate::Encoded<crate::Shape>, _> = postcard::from_bytes(&bytes);
            assert!(read.is_err());
        }
    }

    #[test]
    fn regions_know_global_and_regional_services() {
        let regions = Models::embedded().regions().unwrap();
        assert!(
            regions
                .of_partition("aws")
                .iter()
                .any(|r| r == "eu-central-1")
        );
        assert_eq!(
            regions.of("iam", "aws").unwrap().global.as_deref(),
            Some("us-east-1")
        );
        let ec2 = regions.of("ec2", "aws").unwrap();
        assert!(ec2.global.is_none() && ec2.regions.iter().any(|r| r == "sa-east-1"));
        assert!(!ec2.regions.iter().any(|r| r.contains("fips")));
    }
}

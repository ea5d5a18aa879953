//! The models that are shipped, decoded when first asked for.
use crate::Model;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Why a model could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No such model is shipped.
    #[error("no API model `{0}`; add it to `catalog/models/models.toml` and run `cargo xtask models`")]
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

/// Models by name, each decoded once.
#[derive(Debug, Default)]
pub struct Models {
    decoded: Mutex<BTreeMap<String, Arc<Model>>>,
}

impl Models {
    /// The models of `catalog/models/`, as they were when this binary was built.
    pub fn embedded() -> Self {
        Self::default()
    }
    /// The model of that name, decoded on the first call.
    ///
    /// # Errors
    /// When no such model is shipped, or its bytes are damaged.
    pub fn get(&self, name: &str) -> Result<Arc<Model>, ModelError> {
        let decoded = self.decoded.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        decoded.get(name).cloned().ok_or_else(|| ModelError::Missing(name.to_owned()))
    }
}

impl Model {
    /// Decodes what [`Model::to_bytes`] wrote: postcard in a zstd frame.
    ///
    /// # Errors
    /// When the bytes are not such a model.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, ModelError> {
        let damaged = |reason: String| ModelError::Damaged { name: name.to_owned(), reason };
        let plain = zstd::decode_all(bytes).map_err(|e| damaged(e.to_string()))?;
        postcard::from_bytes(&plain).map_err(|e| damaged(e.to_string()))
    }
    /// Postcard in a zstd frame.
    ///
    /// # Errors
    /// When a value cannot be written, which would be a bug of ours.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let damaged = |reason: String| ModelError::Damaged { name: self.name.clone(), reason };
        let plain = postcard::to_allocvec(self).map_err(|e| damaged(e.to_string()))?;
        zstd::encode_all(plain.as_slice(), 19).map_err(|e| damaged(e.to_string()))
    }
}

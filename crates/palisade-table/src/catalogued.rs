//! The tables of a catalogue, as the API models make them.
use crate::Schemas;
use palisade_catalog::{Catalog, Source, TableSchema, TableSpec};
use palisade_model::Models;
use std::sync::Arc;

/// The tables of a catalogue, as the API models make them.
#[derive(Debug, Clone)]
pub struct CatalogSchemas {
    catalog: Arc<Catalog>,
    models: Arc<Models>,
}

impl CatalogSchemas {
    /// Tables are computed when first asked for.
    pub fn new(catalog: Arc<Catalog>, models: Arc<Models>) -> Self {
        Self { catalog, models }
    }

    /// The shipped catalogue with the shipped models.
    pub fn shipped() -> Self {
        let loaded = palisade_catalog::load(&[Source::embedded()]);
        Self::new(Arc::new(loaded.catalog), Arc::new(Models::embedded()))
    }

    /// The catalogue.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// The API models.
    pub fn models(&self) -> &Arc<Models> {
        &self.models
    }
}

impl Schemas for CatalogSchemas {
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)> {
        let spec = self.catalog.tables.get(name)?;
        let schema = self.catalog.table_schema(name, &self.models).ok()?;
        Some((Arc::clone(spec), schema))
    }
    fn names(&self) -> Vec<String> {
        self.catalog.tables.keys().cloned().collect()
    }
    fn permissions(&self, service: &str, operation: &str) -> Vec<String> {
        self.catalog.permissions(service, operation)
    }
}

//! Palisade: catalog.

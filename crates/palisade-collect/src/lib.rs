//! Palisade: collect.

//! Palisade: query.

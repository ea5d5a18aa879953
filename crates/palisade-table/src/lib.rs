//! Palisade: table.

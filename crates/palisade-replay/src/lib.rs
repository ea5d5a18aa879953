//! Palisade: replay.

//! Distributed evaluation.

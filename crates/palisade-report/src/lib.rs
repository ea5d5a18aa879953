//! Palisade: report.

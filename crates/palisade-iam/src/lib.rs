//! Palisade: iam.

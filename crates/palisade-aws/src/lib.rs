//! Palisade: aws.

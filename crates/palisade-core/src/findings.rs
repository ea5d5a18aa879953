//! Findings, wherever they are.
use crate::Finding;
use std::io;

/// Findings in the order of [`Finding::sort_key`], in memory or not, to be gone through as often as needed.
pub trait Findings {
    /// How many there are.
    fn count(&self) -> usize;
    /// Hands over each, in order.
    ///
    /// # Errors
    /// The first of `take`, which ends it, and when they cannot be read.
    fn each(&self, take: &mut dyn FnMut(&Finding) -> io::Result<()>) -> io::Result<()>;
}

impl Findings for Vec<Finding> {
    fn count(&self) -> usize {
        self.len()
    }
    fn each(&self, take: &mut dyn FnMut(&Finding) -> io::Result<()>) -> io::Result<()> {
        self.iter().try_for_each(take)
    }
}

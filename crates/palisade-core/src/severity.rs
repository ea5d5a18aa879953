//! How bad a failed check is.

crate::words! {
    /// How bad it is when a check fails, mildest first. The rubric is in `docs/specs/severity.md`.
    "severity" Severity {
        /// Protects nothing here, or is good to know.
        Informational = "informational",
        /// Hygiene; helps an attacker little.
        Low = "low",
        /// A layer of defence is missing.
        Medium = "medium",
        /// One mistake away from a breach.
        High = "high",
        /// Open now, to anyone or to full control.
        Critical = "critical",
    }
}

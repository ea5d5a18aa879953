//! What a check says about a resource.

crate::words! {
    /// What a check says about a resource. There is no other answer, and SQL's NULL is never a pass.
    "status" Status {
        /// Read, and as required.
        Pass = "pass",
        /// Read, and not as required.
        Fail = "fail",
        /// Could not be read: a call that the check depends on failed.
        Unknown = "unknown",
        /// The requirement does not concern this account or resource.
        NotApplicable = "not_applicable",
        /// Only a person can answer.
        Manual = "manual",
    }
}

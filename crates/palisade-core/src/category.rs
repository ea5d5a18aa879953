//! What part of an account's security a check belongs to.

crate::words! {
    /// What part of an account's security a check belongs to.
    "category" Category {
        /// Users, roles, policies, credentials.
        Identity = "identity",
        /// Who can reach what over the network.
        Network = "network",
        /// Public exposure, encryption and loss of stored data.
        Data = "data",
        /// KMS keys and certificates.
        Keys = "keys",
        /// Credentials where they do not belong.
        Secrets = "secrets",
        /// Records of what happened.
        Logging = "logging",
        /// Detection and alarms.
        Monitoring = "monitoring",
        /// Known weaknesses and updates.
        Patching = "patching",
        /// Machines, functions and containers.
        Compute = "compute",
        /// CloudFront, WAF, Shield, public DNS.
        Edge = "edge",
        /// Backups and surviving failure.
        Resilience = "resilience",
        /// Organisation, contacts, inventory, guardrails.
        Governance = "governance",
    }
}

//! Which operations a scan may call: those that read, and that hand out no credentials.

/// First words of operations that only read.
const READ_VERBS: &[&str] = &[
    "BatchDescribe",
    "BatchGet",
    "Describe",
    "Get",
    "List",
    "Lookup",
    "Query",
    "Search",
    "Select",
];

/// Operations that read although their first word does not say so, with the reason.
const READS: &[&str] = &[
    // Makes AWS refresh a report about the account; changes no resource.
    "GenerateCredentialReport",
    "GenerateOrganizationsAccessReport",
    // Evaluate policies.
    "SimulateCustomPolicy",
    "SimulatePrincipalPolicy",
    // The answer is in the status code.
    "HeadBucket",
];

/// Operations that begin with a word for reading, and hand out credentials or stored secrets.
const SECRETS: &[&str] = &[
    "BatchGetSecretValue",
    "DescribeChapCredentials",
    "GetAccessToken",
    "GetAcmeExternalAccountBindingCredentials",
    "GetAuthorizationToken",
    "GetClientToken",
    "GetClusterCredentials",
    "GetClusterCredentialsWithIAM",
    "GetClusterSessionCredentials",
    "GetComputeAuthToken",
    "GetCredentials",
    "GetCredentialsForIdentity",
    "GetDelegatedAccessToken",
    "GetDerivedToken",
    "GetFederationToken",
    "GetIdentityCenterAuthToken",
    "GetInstanceAccessDetails",
    "GetOpenIdToken",
    "GetOpenIdTokenForDeveloperIdentity",
    "GetPasswordData",
    "GetRelationalDatabaseMasterUserPassword",
    "GetRoleCredentials",
    "GetSecretValue",
    "GetSessionToken",
    "GetTemporaryDataLocationCredentials",
    "GetTemporaryGlueFunctionCredentials",
    "GetTemporaryGluePartitionCredentials",
    "GetTemporaryGlueTableCredentials",
    "GetTokensFromRefreshToken",
    "GetWebIdentityToken",
    "ListUserPoolClientSecrets",
];

/// Why the operation may not be called in a scan; `None` when it may.
pub(crate) fn refused(operation: &str) -> Option<&'static str> {
    if SECRETS.contains(&operation) {
        return Some("hands out secrets");
    }
    let reads = READS.contains(&operation)
        || READ_VERBS.iter().any(|verb| {
            operation
                .strip_prefix(verb)
                // `GetX` reads, `Getaway` would be another verb.
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        });
    (!reads).then_some("is not a read operation")
}

/// First words of operations that destroy what no call brings back.
const DESTRUCTIVE: &[&str] = &[
    "Cancel",
    "Delete",
    "Deregister",
    "Destroy",
    "Dispose",
    "Erase",
    "Purge",
    "Release",
    "Schedule",
    "Terminate",
    "Wipe",
];

/// The word that says that an operation destroys something.
pub(crate) fn destructive(operation: &str) -> Option<&'static str> {
    if operation == "CancelKeyDeletion" {
        return None;
    }
    DESTRUCTIVE.iter().copied().find(|verb| {
        operation
            .strip_prefix(verb)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_destroys() {
        for operation in [
            "DeleteBucket",
            "TerminateInstances",
            "ReleaseAddress",
            "ScheduleKeyDeletion",
        ] {
            assert!(destructive(operation).is_some(), "{operation}");
        }
        for operation in ["PutBucketPolicy", "CancelKeyDeletion", "Deletion"] {
            assert_eq!(destructive(operation), None, "{operation}");
        }
    }

    #[test]
    fn reads_and_the_rest() {
        for read in [
            "ListBuckets",
            "GetBucketPolicy",
            "DescribeInstances",
            "BatchGetProjects",
            "GenerateCredentialReport",
            "LookupEvents",
            "SearchResources",
        ] {
            assert_eq!(refused(read), None, "{read}");
        }
        for other in [
            "DeleteBucket",
            "PutBucketPolicy",
            "Getaway",
            "List",
            "GenerateDataKey",
            "AssumeRole",
            "GetSecretValue",
            "",
        ] {
            assert!(refused(other).is_some(), "{other}");
        }
    }
}

//! Names: snake case of AWS's names, and the forms that ours have.

/// Words whose inner capitals are not word boundaries.
const WORDS: &[&str] = &["IPv4", "IPv6", "OAuth", "IoT", "MiB", "GiB", "DDoS"];

/// The column or field name of an AWS member: `DBInstanceIdentifier` → `db_instance_identifier`,
/// `SSEAlgorithm` → `sse_algorithm`, `SubnetIDs` → `subnet_ids`.
///
/// A word begins at a capital that follows a small letter or a digit, and at the last capital of a run that a small
/// letter follows. An `s` after two or more capitals at the end of a word is their plural. Idempotent.
pub fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut left = name.chars();
    // The character before, and how many capitals stand in a row before this one.
    let (mut previous, mut run) = (' ', 0usize);
    loop {
        let here = left.as_str();
        let Some(c) = left.next() else { break };
        let next = |n: usize| left.clone().nth(n);
        if !c.is_alphanumeric() {
            boundary(&mut out);
            run = 0;
        } else if !c.is_ascii_uppercase() {
            run = 0;
            out.push(c);
        } else if !previous.is_ascii_uppercase()
            && let Some(word) = WORDS.iter().find(|word| begins_with(here, word))
        {
            boundary(&mut out);
            out.push_str(&word.to_ascii_lowercase());
            left = here.get(word.len()..).unwrap_or_default().chars();
            run = 0;
            if let Some(n) = left.clone().next()
                && n.is_ascii_alphanumeric()
                && !n.is_ascii_lowercase()
            {
                boundary(&mut out);
            }
            previous = word.chars().next_back().unwrap_or(c);
            continue;
        } else {
            let next_small = next(0).is_some_and(|n| n.is_ascii_lowercase());
            let plural = run >= 1
                && next(0) == Some('s')
                && !next(1).is_some_and(|n| n.is_ascii_lowercase());
            if run == 0 || (next_small && !plural) {
                boundary(&mut out);
            }
            out.push(c.to_ascii_lowercase());
            run += 1;
        }
        previous = c;
    }
    while out.ends_with('_') {
        out.pop();
    }
    out
}

fn begins_with(text: &str, word: &str) -> bool {
    // `OAuthorized` would be another word.
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|n: char| n.is_ascii_lowercase()))
}

fn boundary(out: &mut String) {
    if !out.is_empty() && !out.ends_with('_') {
        out.push('_');
    }
}

/// `[a-z][a-z0-9]*(_[a-z0-9]+)*`: tables, columns, parameters.
pub(crate) fn is_snake(name: &str) -> bool {
    is_words(name, '_') && name.starts_with(|c: char| c.is_ascii_lowercase())
}

/// `[a-z0-9]+(-[a-z0-9]+)*`: check ids, services.
pub(crate) fn is_kebab(name: &str) -> bool {
    is_words(name, '-')
}

fn is_words(name: &str, separator: char) -> bool {
    name.split(separator).all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_aws() {
        for (name, expected) in [
            ("DBInstanceIdentifier", "db_instance_identifier"),
            ("SSEAlgorithm", "sse_algorithm"),
            ("SubnetIDs", "subnet_ids"),
            ("subnetIds", "subnet_ids"),
            ("VpcId", "vpc_id"),
            ("KMSMasterKeyID", "kms_master_key_id"),
            ("ARN", "arn"),
            ("LoadBalancerArns", "load_balancer_arns"),
            (
                "IAMDatabaseAuthenticationEnabled",
                "iam_database_authentication_enabled",
            ),
            ("MultiAZ", "multi_az"),
            (
                "Ipv6CidrBlockAssociationSet",
                "ipv6_cidr_block_association_set",
            ),
            ("IPv6CIDRs", "ipv6_cidrs"),
            ("EnableIPv4", "enable_ipv4"),
            ("EC2InstanceId", "ec2_instance_id"),
            ("S3BucketName", "s3_bucket_name"),
            ("S3URI", "s3_uri"),
            ("s3KmsKeyArn", "s3_kms_key_arn"),
            ("SHA256Hash", "sha256_hash"),
            ("Sha256", "sha256"),
            ("MD5OfBody", "md5_of_body"),
            ("x509CertificateData", "x509_certificate_data"),
            ("OpenIDConnectProviderList", "open_id_connect_provider_list"),
            ("AllowedOAuthFlows", "allowed_oauth_flows"),
            ("MFADelete", "mfa_delete"),
            ("IsMFAEnabled", "is_mfa_enabled"),
            ("AWSAccountId", "aws_account_id"),
            ("CACertificateIdentifier", "ca_certificate_identifier"),
            ("DNSName", "dns_name"),
            ("HTTPSPort", "https_port"),
            ("ACLs", "acls"),
            ("WebACLId", "web_acl_id"),
            ("NATGatewayIDs", "nat_gateway_ids"),
            ("VPCsToScan", "vpcs_to_scan"),
            ("IsTruncated", "is_truncated"),
            ("AsPath", "as_path"),
            ("BucketArn", "bucket_arn"),
            ("TLSEnabled", "tls_enabled"),
            ("cidrIp", "cidr_ip"),
            ("CidrIPs", "cidr_ips"),
            ("VCpuInfo", "v_cpu_info"),
            ("K8sVersion", "k8s_version"),
            ("AZMode", "az_mode"),
            ("HttpPutResponseHopLimit", "http_put_response_hop_limit"),
            ("already_snake_case", "already_snake_case"),
            ("x-amz-request-id", "x_amz_request_id"),
            ("_private_", "private"),
            ("", ""),
        ] {
            assert_eq!(snake_case(name), expected, "{name}");
        }
    }

    #[test]
    fn forms() {
        assert!(is_snake("s3_bucket") && is_kebab("s3-bucket-2") && is_kebab("s3"));
        for bad in ["", "_a", "a_", "a__b", "A", "a-b", "3a", "ä"] {
            assert!(!is_snake(bad), "{bad}");
        }
        for bad in ["", "-a", "a-", "a--b", "A", "a_b"] {
            assert!(!is_kebab(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn snake_case_is_idempotent(name in "([A-Za-z0-9_]{0,24}|\\PC{0,24})") {
            let once = snake_case(&name);
            prop_assert_eq!(snake_case(&once), once.clone());
            prop_assert!(!once.bytes().any(|b| b.is_ascii_uppercase()));
        }
    }
}

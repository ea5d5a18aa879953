"""CloudFront, Route 53, WAF."""

from .base import HOME, tags


def distribution(account, name, origin, bucket=False, certificate=None, viewer="redirect-to-https", minimum="TLSv1.2_2021", logs=None,
                 acl="", root="index.html", origin_protocol="https-only", aliases=(), origin_access=None):
    source = {"Id": "origin", "DomainName": origin}
    if bucket:
        source["S3OriginConfig"] = {"OriginAccessIdentity": ""}
        if origin_access:
            source["OriginAccessControlId"] = origin_access
    else:
        source["CustomOriginConfig"] = {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": origin_protocol,
                                        "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2" if minimum.startswith("TLSv1.2") else "TLSv1"]}}
    if certificate:
        viewer_certificate = {"ACMCertificateArn": certificate, "SSLSupportMethod": "sni-only", "MinimumProtocolVersion": minimum, "CloudFrontDefaultCertificate": False}
    else:
        viewer_certificate = {"CloudFrontDefaultCertificate": True, "MinimumProtocolVersion": "TLSv1"}
    configuration = {
        "CallerReference": name, "Comment": name, "Enabled": True, "DefaultRootObject": root, "WebACLId": acl,
        "Aliases": {"Quantity": len(aliases), "Items": list(aliases)},
        "Origins": {"Quantity": 1, "Items": [source]},
        "DefaultCacheBehavior": {"TargetOriginId": "origin", "ViewerProtocolPolicy": viewer, "MinTTL": 0,
                                 "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
                                 "TrustedSigners": {"Enabled": False, "Quantity": 0}},
        "Logging": {"Enabled": bool(logs), "IncludeCookies": False, "Bucket": f"{logs}.s3.amazonaws.com" if logs else "", "Prefix": f"{name}/" if logs else ""},
        "ViewerCertificate": viewer_certificate,
    }
    made = account.client("cloudfront").create_distribution_with_tags(
        DistributionConfigWithTags={"DistributionConfig": configuration, "Tags": {"Items": tags(name)}}
    )
    return made["Distribution"]["Id"]


def zone(account, domain, records=(), private_in=None, query_logs=None):
    """A hosted zone; records: name, type, value. Returns its id."""
    route53 = account.client("route53")
    extra = {"VPC": {"VPCRegion": private_in[0], "VPCId": private_in[1]}} if private_in else {}
    made = route53.create_hosted_zone(
        Name=domain, CallerReference=domain + str(bool(private_in)), HostedZoneConfig={"Comment": domain, "PrivateZone": bool(private_in)}, **extra
    )["HostedZone"]["Id"]
    changes = [
        {"Action": "CREATE", "ResourceRecordSet": {"Name": name, "Type": kind, "TTL": 300, "ResourceRecords": [{"Value": value}]}}
        for name, kind, value in records
    ]
    if changes:
        route53.change_resource_record_sets(HostedZoneId=made, ChangeBatch={"Changes": changes})
    if query_logs:
        route53.create_query_logging_config(HostedZoneId=made.rsplit("/", 1)[-1], CloudWatchLogsLogGroupArn=query_logs)
    return made


def web_acl(account, name, region=HOME, scope="REGIONAL", managed=(), protects=None, log_to=None, block_rate=None):
    """A web ACL with AWS's managed rule groups of these names; returns its ARN."""
    waf = account.client("wafv2", region)
    visible = lambda metric: {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": metric}
    rules = [
        {"Name": group, "Priority": number, "OverrideAction": {"None": {}}, "VisibilityConfig": visible(group),
         "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": group}}}
        for number, group in enumerate(managed)
    ]
    if block_rate:
        rules.append({"Name": "rate", "Priority": 100, "Action": {"Block": {}}, "VisibilityConfig": visible("rate"),
                      "Statement": {"RateBasedStatement": {"Limit": block_rate, "AggregateKeyType": "IP"}}})
    made = waf.create_web_acl(
        Name=name, Scope=scope, DefaultAction={"Allow": {}}, VisibilityConfig=visible(name), Rules=rules, Tags=tags(name)
    )["Summary"]["ARN"]
    if protects:
        waf.associate_web_acl(WebACLArn=made, ResourceArn=protects)
    if log_to:
        waf.put_logging_configuration(LoggingConfiguration={"ResourceArn": made, "LogDestinationConfigs": [log_to]})
    return made

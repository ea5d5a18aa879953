"""What runs at Tidewater: machines, containers, functions, APIs, and what faces the internet."""

from datetime import datetime

from parts import apps, compute, edge as edges, governance, keys, watch
from parts.base import ACCOUNT, allow, document
from parts.identity import role_arn

from .foundation import EUROPE, HOME, SYDNEY

FAKE = "not-a-real-"


def legacy(account, facts):
    compute.key_pair(account, HOME)
    image = compute.image(account, HOME, "old-shop-2021", public=True)
    facts["old_image"] = image
    subnet = facts["legacy_subnets"][0]
    compute.instance(account, HOME, "old-shop", image, subnet, [facts["legacy_web"]], kind="m4.large", tokens="optional", hops=2, public=True, profile="legacy-app", encrypted=False,
                     user_data=f"#!/bin/sh\nexport DATABASE_PASSWORD={FAKE}password\nexport AWS_SECRET_ACCESS_KEY={FAKE}secret\nsystemctl start shop\n")
    accounting = compute.instance(account, HOME, "accounting", image, subnet, [facts["legacy_windows"]], kind="t2.large", tokens="optional", public=True, encrypted=False)
    compute.volume(account, HOME, "accounting-shares", attach_to=accounting)
    stopped = compute.instance(account, HOME, "migration-helper", image, subnet, [facts["legacy_web"]], tokens="optional", encrypted=False)
    account.client("ec2").stop_instances(InstanceIds=[stopped])
    compute.classic_balancer(account, HOME, "old-shop", [subnet], [facts["legacy_web"]], [{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstanceProtocol": "HTTP", "InstancePort": 80}])
    governance.stack(account, HOME, "old-shop", parameters={"DatabasePassword": f"{FAKE}password"}, role=role_arn("legacy-app"))


def platform(account, facts):
    account.client("ec2").enable_ebs_encryption_by_default()
    image = compute.image(account, HOME, "platform-base-2024.02", encrypted=True)
    private = facts["private_subnets"]
    for number in (1, 2):
        compute.instance(account, HOME, f"search-{number}", image, private[number - 1], [facts["app_group"]], profile="web-server", monitoring=True, protect=True, team="search", environment="production")
    compute.instance(account, HOME, "bastion", image, facts["public_subnets"][0], [facts["bastion_group"]], kind="t3.micro", public=True, tokens="optional", team="operations")
    compute.instance(account, HOME, "reporting-job", image, private[0], [facts["app_group"]], profile="reporting-job", team="data")
    template = compute.launch_template(account, HOME, "catalogue", image, [facts["app_group"]])
    compute.launch_template(account, HOME, "old-shop", facts["old_image"], [facts["legacy_web"]], tokens="optional", public=True)

    certificate = keys.certificate(account, HOME, "shop.tidewater.example", ["www.tidewater.example"], renewed="2025-07-01T04:00:00Z")
    facts["certificate"] = certificate
    balancer = compute.load_balancer(account, HOME, "shop", facts["public_subnets"], [facts["balancer_group"]],
                                     access_logs__s3__enabled="true", access_logs__s3__bucket="tidewater-access-logs", deletion_protection__enabled="true",
                                     routing__http__drop_invalid_header_fields__enabled="true")
    target = compute.target_group(account, HOME, "catalogue", facts["vpc"])
    compute.listener(account, HOME, balancer, 443, "HTTPS", target, certificate, "ELBSecurityPolicy-TLS13-1-2-2021-06")
    compute.listener(account, HOME, balancer, 80, "HTTP", redirect=True)
    facts["balancer"] = balancer
    status = compute.load_balancer(account, HOME, "status", facts["public_subnets"], [facts["balancer_group"]])
    compute.listener(account, HOME, status, 80, "HTTP", target)
    old_tls = compute.load_balancer(account, HOME, "partners", facts["public_subnets"], [facts["balancer_group"]])
    compute.listener(account, HOME, old_tls, 443, "HTTPS", target, certificate, "ELBSecurityPolicy-2016-08")
    compute.load_balancer(account, HOME, "internal", private, [facts["app_group"]], internal=True, deletion_protection__enabled="true")
    compute.scaling_group(account, HOME, "catalogue", template, private, [target], health="ELB")

    containers(account, facts)
    functions(account, facts)
    interfaces(account, facts)
    governance.stack(account, HOME, "platform-network", protect=True, topics=[facts["alarms"]])
    governance.stack(account, HOME, "checkout")
    governance.patching(account, HOME, "linux-security")
    governance.shared_document(account, HOME, "restart-app")
    governance.shared_document(account, HOME, "rotate-logs", shared_with="all")
    watch.alarm(account, HOME, "orders-queue-age", "AWS/SQS", "ApproximateAgeOfOldestMessage", facts["alarms"], 600, [{"Name": "QueueName", "Value": "orders"}])
    watch.alarm(account, HOME, "old-shop-cpu", "AWS/EC2", "CPUUtilization", threshold=95)


def containers(account, facts):
    private = facts["private_subnets"]
    apps.repository(account, HOME, "checkout", key=facts["data_key"])
    apps.repository(account, HOME, "search", immutable=False)
    apps.repository(account, HOME, "base-images", scan=False, immutable=False, lifecycle=False,
                    policy=document(allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], None, principal="*")))
    apps.container_cluster(account, HOME, "platform")
    apps.container_cluster(account, HOME, "old-jobs", insights=False)
    registry = f"{ACCOUNT}.dkr.ecr.{HOME}.amazonaws.com"
    checkout = apps.task(account, HOME, "checkout", role_arn("checkout-task"), f"{registry}/checkout:4.2.0", environment={"LOG_LEVEL": "info"})
    jobs = apps.task(account, HOME, "old-jobs", role_arn("checkout-task"), f"{registry}/base-images:latest", privileged=True, read_only=False, user=None,
                     environment={"DATABASE_PASSWORD": f"{FAKE}password", "AWS_SECRET_ACCESS_KEY": f"{FAKE}secret"}, logs=False, network="host")
    apps.service(account, HOME, "platform", "checkout", checkout, private, [facts["app_group"]])
    apps.service(account, HOME, "platform", "status-page", checkout, facts["public_subnets"], [facts["balancer_group"]], public=True)
    assert jobs
    apps.kubernetes(account, HOME, "platform", role_arn("kubernetes-control"), private, [facts["app_group"]], public=True, private=True, cidrs=["198.51.100.0/24"],
                    version="1.34", key=facts["data_key"], logs=["api", "audit", "authenticator", "controllerManager", "scheduler"])


def functions(account, facts):
    letters = f"arn:aws:sqs:{HOME}:{ACCOUNT}:orders-failed"
    inside = {"subnets": facts["private_subnets"], "groups": [facts["app_group"]]}
    apps.function(account, HOME, "orders-api", role_arn("orders-api-function"), traced=True, dead_letters=letters, key=facts["data_key"],
                  environment={"TABLE": "orders"}, team="orders", **inside)
    apps.function(account, HOME, "thumbnails", role_arn("thumbnails-function"), runtime="nodejs22.x", dead_letters=letters, team="catalogue")
    apps.function(account, HOME, "newsletter", role_arn("newsletter-function"), runtime="python3.8",
                  environment={"SMTP_PASSWORD": f"{FAKE}password", "API_KEY": f"{FAKE}key", "SENDER": "news@tidewater.example"}, team="marketing")
    apps.function(account, HOME, "rotate-secrets", role_arn("orders-api-function"), team="platform", **inside)
    apps.function(account, HOME, "webhook", role_arn("orders-api-function"), runtime="nodejs16.x", public=True, url="NONE", team="partners")
    apps.invoked_by(account, HOME, "thumbnails", "s3", "arn:aws:s3:::tidewater-product-images")
    group = watch.log_group(account, HOME, "/states/order-flow", days=30)
    apps.state_machine(account, HOME, "order-flow", role_arn("order-flow"), log_group=group, traced=True)
    apps.state_machine(account, HOME, "returns", role_arn("order-flow"))
    apps.scheduled_rule(account, HOME, "newsletter-weekly", "rate(7 days)", f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:newsletter")


def interfaces(account, facts):
    logs = watch.log_group(account, HOME, "/api/access", days=90)[:-2]
    facts["api"] = apps.rest_api(account, HOME, "orders", authorization="AWS_IAM", logs=logs, traced=True)
    apps.rest_api(account, HOME, "partner-feed", kind="EDGE", stage="v1")
    apps.http_api(account, HOME, "status", logs=logs)
    apps.http_api(account, HOME, "basket", authorization="AWS_IAM")
    apps.user_pool(account, HOME, "customers", mfa="OPTIONAL", length=12, symbols=True, protect=True)
    apps.user_pool(account, HOME, "employees-old", length=6)


def edge(account, facts):
    acl = edges.web_acl(account, "shop", managed=["AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"], protects=facts["balancer"], block_rate=2000,
                        log_to=f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:aws-waf-logs-shop")
    edges.web_acl(account, "partners-empty")
    front = edges.web_acl(account, "front", scope="CLOUDFRONT", managed=["AWSManagedRulesCommonRuleSet"])
    assert acl
    facts["shop_distribution"] = edges.distribution(account, "shop", "shop-123.us-east-1.elb.amazonaws.com", certificate=facts["certificate"], logs="tidewater-access-logs", acl=front, aliases=["www.tidewater.example"])
    edges.distribution(account, "images", "tidewater-product-images.s3.amazonaws.com", bucket=True, certificate=facts["certificate"], origin_access="E2EXAMPLE", logs="tidewater-access-logs")
    edges.distribution(account, "old-website", "tidewater-www.s3-website-us-east-1.amazonaws.com", viewer="allow-all", origin_protocol="http-only", minimum="TLSv1", root="")
    watch.log_group(account, HOME, "/aws/route53/tidewater.example", days=30)
    edges.zone(account, "tidewater.example", [
        ("www.tidewater.example", "CNAME", "d111111abcdef8.cloudfront.net"), ("tidewater.example", "TXT", '"v=spf1 include:amazonses.com -all"'),
        # The bucket of this name was deleted: anybody can make it.
        ("promo.tidewater.example", "CNAME", "promo.tidewater.example.s3-website-us-east-1.amazonaws.com"),
    ], query_logs=f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/route53/tidewater.example:*")
    edges.zone(account, "tidewater-outlet.example", [("www.tidewater-outlet.example", "A", "203.0.113.80")])
    edges.zone(account, "internal.tidewater.example", private_in=(HOME, facts["vpc"]))
    keys.imported_certificate(account, "old.tidewater.example", 2048, datetime(2023, 1, 20), datetime(2026, 1, 20))
    keys.imported_certificate(account, "agency.tidewater.example", 1024, datetime(2022, 5, 1), datetime(2025, 5, 1))


def outlet(account, facts):
    compute.key_pair(account, SYDNEY)
    image = compute.image(account, SYDNEY, "outlet-2025")
    subnet, group = facts["sydney_subnets"][0], [facts["outlet_group"]]
    for number in (1, 2):
        compute.instance(account, SYDNEY, f"outlet-{number}", image, subnet, group, tokens="optional", hops=2, public=True, profile="outlet-instance", encrypted=False, team="outlet")
    compute.instance(account, SYDNEY, "outlet-jobs", image, facts["sydney_subnets"][1], group, public=True, team="outlet")
    template = compute.launch_template(account, SYDNEY, "outlet", image, group, tokens="optional", public=True, user_data="IyEvYmluL3NoCg==")
    compute.scaling_group(account, SYDNEY, "outlet", template, facts["sydney_subnets"][:1])
    balancer = compute.load_balancer(account, SYDNEY, "outlet", facts["sydney_subnets"], group)
    target = compute.target_group(account, SYDNEY, "outlet", facts["sydney_vpc"])
    compute.listener(account, SYDNEY, balancer, 80, "HTTP", target)
    apps.function(account, SYDNEY, "outlet-import", role_arn("outlet-function"), runtime="python3.9", environment={"ADMIN_TOKEN": f"{FAKE}token"}, url="NONE", team="outlet")
    apps.kubernetes(account, SYDNEY, "outlet", role_arn("kubernetes-control"), facts["sydney_subnets"], [facts["outlet_kubernetes"]], version="1.27")
    apps.repository(account, SYDNEY, "outlet", scan=False, immutable=False, lifecycle=False)
    apps.container_cluster(account, SYDNEY, "outlet", insights=False)
    apps.rest_api(account, SYDNEY, "outlet")
    keys.certificate(account, SYDNEY, "outlet.tidewater.example")
    governance.stack(account, SYDNEY, "outlet", parameters={"AdminPassword": f"{FAKE}password"})
    # Europe gets a machine for the analysts, reachable from the office only.
    compute.key_pair(account, EUROPE)
    europe = compute.image(account, EUROPE, "analyst-2025", encrypted=True)
    compute.instance(account, EUROPE, "analyst", europe, facts["europe_public"][0], [facts["office_group"]], public=True, team="data")
    apps.function(account, EUROPE, "load-reports", role_arn("orders-api-function"), runtime="python3.13", subnets=facts["europe_subnets"], groups=[facts["search_group"]], team="data")
    account.client("ec2", EUROPE).enable_ebs_encryption_by_default()

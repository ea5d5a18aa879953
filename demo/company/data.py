"""Where Tidewater's data lies."""

from parts import compute, keys
from parts.base import ACCOUNT, allow, deny, document
from parts.data import (
    BLOCK_ALL, anyone, backup_plan, bucket, cache, database, database_cluster, database_snapshot, file_system,
    search_domain, table, warehouse,
)

from .foundation import EUROPE, HOME, SYDNEY


def everybody_reads(name):
    return allow("s3:GetObject", f"arn:aws:s3:::{name}/*", principal="*", sid="Everybody")


def legacy(account, facts):
    # A website: public on purpose.
    bucket(account, "tidewater-www", own=None, website=True, policy=[everybody_reads("tidewater-www")], objects=["index.html"], owner="marketing")
    # Not on purpose.
    bucket(account, "tidewater-customer-exports", acl="public-read", own="ObjectWriter", objects=["2021/customers.csv"])
    bucket(account, "tidewater-imports", own=None, policy=[allow(["s3:PutObject", "s3:ListBucket"], ["arn:aws:s3:::tidewater-imports", "arn:aws:s3:::tidewater-imports/*"], principal={"AWS": "*"})])
    bucket(account, "tidewater-database-dumps", own=None, versioning="Suspended", log_to="tidewater-access-logs")
    bucket(account, "tidewater-partner-files", acl="authenticated-read", own="ObjectWriter",
           policy=[allow("s3:*", ["arn:aws:s3:::tidewater-partner-files", "arn:aws:s3:::tidewater-partner-files/*"], principal={"AWS": "arn:aws:iam::210987654321:root"})])
    rds = account.client("rds")
    rds.create_db_subnet_group(DBSubnetGroupName="legacy", DBSubnetGroupDescription="legacy", SubnetIds=facts["legacy_subnets"])
    database(account, HOME, "old-shop", "mysql", "5.7.44", public=True, encrypted=False, multi_zone=False, backup_days=1, protect=False, minor_upgrades=False,
             groups=[facts["legacy_database"]], subnet_group="legacy", copy_tags=False, port=3306)
    database_snapshot(account, HOME, "old-shop", "old-shop-before-move", shared_with="all")
    database_snapshot(account, HOME, "old-shop", "old-shop-for-agency", shared_with="210987654321")
    table(account, HOME, "sessions-old", on_demand=False)
    disk = compute.volume(account, HOME, "accounting-data", size=200)
    compute.snapshot(account, HOME, disk, "accounting before the audit", public=True)
    compute.snapshot(account, HOME, disk, "accounting for the agency", shared_with="210987654321")
    cache(account, HOME, "sessions-old", rest=False, transit=False, automatic=False, retention=0)
    keys.parameter(account, HOME, "/old-shop/database-password", "not-a-real-password")
    keys.secret(account, HOME, "old-shop/payment-provider")


def platform(account, facts):
    key = facts["data_key"]
    bucket(account, "tidewater-orders", versioning="Enabled", key=key, log_to="tidewater-access-logs", block=BLOCK_ALL, tls=True, lifecycle=True, owner="orders", classification="confidential")
    bucket(account, "tidewater-product-images", versioning="Enabled", log_to="tidewater-access-logs", block=BLOCK_ALL, tls=True, lifecycle=True, owner="catalogue",
           policy=[allow("s3:GetObject", "arn:aws:s3:::tidewater-product-images/*", principal={"Service": "cloudfront.amazonaws.com"}, condition={"StringLike": {"AWS:SourceArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/*"}})])
    bucket(account, "tidewater-deployments", versioning="Enabled", block=BLOCK_ALL, owner="platform")
    # Nobody but the board reads this one, auditors included: `corrections.py` answers so.
    bucket(account, "tidewater-board", block=BLOCK_ALL, owner="board")
    bucket(account, "tidewater-reports", EUROPE, versioning="Enabled", key=facts["europe_key"], block=BLOCK_ALL, tls=True, owner="data")
    bucket(account, "tidewater-data-lake", EUROPE, block=BLOCK_ALL | {"RestrictPublicBuckets": False}, owner="data",
           policy=[allow("s3:GetObject", "arn:aws:s3:::tidewater-data-lake/*", principal="*", condition={"StringEquals": {"aws:PrincipalOrgID": facts["organization"]}})])

    rds, groups = account.client("rds"), [facts["data_group"]]
    rds.create_db_subnet_group(DBSubnetGroupName="data", DBSubnetGroupDescription="isolated", SubnetIds=facts["data_subnets"])
    database(account, HOME, "catalogue", "postgres", "16.4", key=key, groups=groups, subnet_group="data", iam=True, logs=["postgresql", "upgrade"], team="catalogue")
    database(account, HOME, "loyalty", "postgres", "13.11", groups=groups, subnet_group="data", multi_zone=False, minor_upgrades=False, team="marketing")
    database_cluster(account, HOME, "orders", key=key, groups=groups, subnet_group="data", members=2, logs=["postgresql"])
    database_snapshot(account, HOME, "catalogue", "catalogue-release-41")
    for name, options in (
        ("orders", {"recovery": True, "protect": True, "key": key, "classification": "confidential"}),
        ("carts", {"recovery": True, "protect": True}),
        ("feature-flags", {}),
    ):
        table(account, HOME, name, **options)
    file_system(account, HOME, "product-media", facts["private_subnets"], [facts["app_group"]], key=key,
                policy=document(deny("*", None, principal={"AWS": "*"}, condition={"Bool": {"aws:SecureTransport": "false"}})))
    file_system(account, HOME, "build-cache", facts["private_subnets"][:1], [facts["app_group"]], encrypted=False, backups=False)
    cache(account, HOME, "sessions", groups=groups, token="not-a-real-token-1234")
    cache(account, HOME, "search-results", transit=False, retention=0, groups=groups)

    warehouse(account, EUROPE, "reports", public=True, encrypted=False, groups=[facts["warehouse_group"]], retention=1)
    warehouse(account, EUROPE, "finance", key=facts["europe_key"], log_bucket="tidewater-reports", groups=[facts["search_group"]], routing=True)
    search_domain(account, EUROPE, "products", subnets=facts["europe_subnets"], groups=[facts["search_group"]])
    search_domain(account, EUROPE, "logs-public", encrypted=False, node_to_node=False, https=False, tls="Policy-Min-TLS-1-0-2019-07", nodes=1,
                  policy=anyone(f"arn:aws:es:{EUROPE}:{ACCOUNT}:domain/logs-public/*"))
    account.client("rds", EUROPE).create_db_subnet_group(DBSubnetGroupName="analytics", DBSubnetGroupDescription="private", SubnetIds=facts["europe_subnets"])
    database(account, EUROPE, "reports-metadata", "postgres", "15.7", groups=[facts["search_group"]], subnet_group="analytics", backup_days=0, iam=True)

    keys.parameter(account, HOME, "/checkout/provider-key", "not-a-real-key", secure=True)
    keys.parameter(account, HOME, "/checkout/log-level", "info")
    rotated_by = f"arn:aws:lambda:{HOME}:{ACCOUNT}:function:rotate-secrets"
    facts["secrets_later"] = [("checkout/database", rotated_by), ("catalogue/database", rotated_by)]
    keys.secret(account, HOME, "checkout/tax-service", key_id=key, team="checkout")
    keys.secret(account, EUROPE, "reports/loader", policy=document(allow("secretsmanager:GetSecretValue", "*", principal={"AWS": "*"})))


def outlet(account, facts):
    bucket(account, "tidewater-outlet-assets", SYDNEY, policy=[everybody_reads("tidewater-outlet-assets")], own="ObjectWriter", acl="public-read", owner="outlet")
    bucket(account, "tidewater-outlet-invoices", SYDNEY, owner="outlet")
    rds = account.client("rds", SYDNEY)
    rds.create_db_subnet_group(DBSubnetGroupName="outlet", DBSubnetGroupDescription="outlet", SubnetIds=facts["sydney_subnets"])
    database(account, SYDNEY, "outlet", "mysql", "8.0.32", public=True, encrypted=False, multi_zone=False, backup_days=0, protect=False,
             groups=[facts["outlet_group"]], subnet_group="outlet", port=3306, team="outlet")
    table(account, SYDNEY, "outlet-stock")
    file_system(account, SYDNEY, "outlet-uploads", facts["sydney_subnets"], [facts["outlet_group"]], encrypted=False, backups=False)
    keys.secret(account, SYDNEY, "outlet/admin-token")


def backups(account, facts):
    account.client("kms").schedule_key_deletion(KeyId=facts["old_backups"].split("/")[-1], PendingWindowInDays=7)
    backup_plan(account, HOME, "daily", "main", vault_key=facts["data_key"])
    backup_plan(account, EUROPE, "weekly", "europe", days=7)
    # EBS snapshots of the last night; one is encrypted, one is not.
    sealed = compute.volume(account, HOME, "orders-replica", encrypted=True, key=facts["data_key"])
    compute.snapshot(account, HOME, sealed, "nightly orders-replica")
    open_disk = compute.volume(account, SYDNEY, "outlet-till-data", size=30)
    compute.snapshot(account, SYDNEY, open_disk, "nightly outlet-till-data")
    for name, function in facts["secrets_later"]:
        keys.secret(account, HOME, name, rotated_by=function, key_id=facts["data_key"], team=name.split("/")[0])

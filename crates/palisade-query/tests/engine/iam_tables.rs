//! Tables of the shipped catalogue → accounts: what S3 and KMS decide besides policies, and what is shared without one.
use crate::common::{MODELS, dataset};
use palisade_catalog::{Catalog, Source};
use palisade_iam::{Context, Decision, Model};
use palisade_query::{CatalogSchemas, IamScope, iam_accounts};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};

static CATALOG: LazyLock<Arc<Catalog>> =
    LazyLock::new(|| Arc::new(palisade_catalog::load(&[Source::embedded()]).catalog));

const USER: &str = "arn:aws:iam::123456789012:user/jane";
const POINT: &str = "arn:aws:s3:us-east-1:123456789012:accesspoint/point";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/k";

fn policy(statement: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

/// The accounts that tables make, with a user who may do everything with access points and keys.
fn model(mut tables: Value) -> Model {
    let own = json!([{ "policy_name": "p", "policy_document": policy(json!({ "Effect": "Allow", "Action": "s3:*", "Resource": [POINT, format!("{POINT}/object/*")] })) }]);
    tables["iam_user"] = json!([{ "arn": USER, "user_name": "jane", "user_policy_list": own }]);
    for table in [
        "iam_role",
        "iam_group",
        "iam_policy",
        "organizations_scp",
        "organizations_rcp",
        "organizations_account",
    ] {
        tables[table] = json!([]);
    }
    tables["organizations_organization"] = json!([{ "organization": null }]);
    let dataset = dataset(&CATALOG, tables);
    let schemas = CatalogSchemas::new(Arc::clone(&CATALOG), Arc::clone(&MODELS));
    let scope = IamScope {
        accounts: vec!["123456789012".to_owned()],
        regions: vec!["us-east-1".to_owned()],
    };
    let found = iam_accounts(&dataset, &schemas, &scope);
    assert!(found.unlisted.is_empty(), "{:?}", found.unlisted);
    found.model
}

fn s3(account_block: Value, bucket: Value, point: Value) -> Value {
    let delegating = policy(
        json!({ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::data/*",
        "Condition": { "StringEquals": { "s3:DataAccessPointAccount": "123456789012" } } }),
    );
    let mut bucket_row = json!({ "name": "data", "policy": delegating });
    let mut point_row = json!({ "name": "point", "bucket": "data", "bucket_account_id": "123456789012", "access_point_arn": POINT, "network_origin": "Internet",
        "policy": policy(json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("{POINT}/object/*") })) });
    for (row, more) in [(&mut bucket_row, bucket), (&mut point_row, point)] {
        for (key, value) in more.as_object().unwrap() {
            row[key] = value.clone();
        }
    }
    json!({
        "s3_bucket": [bucket_row],
        "s3control_account": [{ "public_access_block": account_block }],
        "s3control_access_point": [point_row],
        "s3control_multi_region_access_point": [],
    })
}

#[test]
fn access_points_are_decided_with_their_buckets() {
    let object = format!("{POINT}/object/k");
    let outsider = "*";
    let restrict = json!({ "restrict_public_buckets": true });
    let vpc = json!({ "network_origin": "VPC", "vpc_configuration": { "vpc_id": "vpc-1" } });
    let none = json!({});
    for (what, tables, own, other) in [
        (
            "delegated",
            s3(Value::Null, none.clone(), none.clone()),
            Decision::Allow,
            Decision::Allow,
        ),
        (
            "no bucket policy",
            s3(Value::Null, json!({ "policy": null }), none.clone()),
            Decision::ImplicitDeny,
            Decision::ImplicitDeny,
        ),
        (
            "bucket unread",
            s3(
                Value::Null,
                json!({ "policy": "!AccessDenied" }),
                none.clone(),
            ),
            Decision::DependsOn,
            Decision::DependsOn,
        ),
        (
            "blocked for the account",
            s3(restrict.clone(), none.clone(), none.clone()),
            Decision::Allow,
            Decision::ImplicitDeny,
        ),
        (
            "blocked for the bucket",
            s3(
                Value::Null,
                json!({ "public_access_block": restrict }),
                none.clone(),
            ),
            Decision::Allow,
            Decision::ImplicitDeny,
        ),
        (
            "blocked for the access point",
            s3(
                Value::Null,
                none.clone(),
                json!({ "public_access_block": restrict }),
            ),
            Decision::Allow,
            Decision::ImplicitDeny,
        ),
        (
            "account unread",
            s3(json!("!AccessDenied"), none.clone(), none.clone()),
            Decision::Allow,
            Decision::DependsOn,
        ),
        (
            "another VPC",
            s3(Value::Null, none.clone(), vpc),
            Decision::ImplicitDeny,
            Decision::ImplicitDeny,
        ),
    ] {
        let model = model(tables);
        let decide = |who: &str| {
            model
                .can(who, "s3:GetObject", &object, &Context::closed())
                .decision
        };
        assert_eq!((decide(USER), decide(outsider)), (own, other), "{what}");
        let listed = model.external().iter().any(|e| e.resource == POINT);
        assert_eq!(
            listed,
            other != Decision::ImplicitDeny,
            "{what}: {:?}",
            model.external()
        );
    }
}

#[test]
fn grants_of_keys_count_and_unread_ones_may() {
    let key = |grants: Value| {
        let policy = policy(
            json!({ "Effect": "Allow", "Principal": { "AWS": "arn:aws:iam::123456789012:root" }, "Action": "kms:*", "Resource": "*" }),
        );
        model(
            json!({ "kms_key": [{ "key_id": "k", "key_arn": KEY, "key_manager": "CUSTOMER", "policy": policy, "grants": grants }] }),
        )
    };
    let can = |model: &Model| {
        model
            .can(USER, "kms:Decrypt", KEY, &Context::closed())
            .decision
    };
    assert_eq!(can(&key(json!([]))), Decision::ImplicitDeny);
    let grant = json!([{ "grantee_principal": USER, "operations": ["Decrypt"] }]);
    assert_eq!(can(&key(grant)), Decision::Allow);
    assert_eq!(can(&key(json!("!AccessDenied"))), Decision::DependsOn);
    let foreign = key(
        json!([{ "grantee_principal": "arn:aws:iam::222222222222:role/r", "operations": ["Decrypt"] }]),
    );
    assert_eq!(foreign.external().len(), 1);
}

/// Each table that says whom something is shared with.
#[test]
fn every_kind_of_share_is_listed() {
    let other = "222222222222";
    let restore = json!([{ "attribute_name": "restore", "attribute_values": [other, "all"] }]);
    for (tables, expected) in [
        (
            json!({ "ec2_image": [{ "image_id": "ami-1", "launch_permissions": [{ "group": "all" }, { "user_id": other }, { "organization_arn": "arn:aws:organizations::1:organization/o-x" }] }] }),
            vec!["*", other, "o-x"],
        ),
        (
            json!({ "ec2_snapshot": [{ "snapshot_id": "snap-1", "create_volume_permissions": [{ "user_id": other }] }] }),
            vec![other],
        ),
        (
            json!({ "ec2_vpc_endpoint_service": [{ "service_id": "s", "allowed_principals": [{ "principal": "*" }, { "principal": format!("arn:aws:iam::{other}:root") }] }] }),
            vec!["*", other],
        ),
        (
            json!({ "rds_db_snapshot": [{ "db_snapshot_arn": "arn:aws:rds:us-east-1:123456789012:snapshot:s", "attributes": restore }] }),
            vec!["*", other],
        ),
        (
            json!({ "rds_db_cluster_snapshot": [{ "db_cluster_snapshot_arn": "arn:aws:rds:us-east-1:123456789012:cluster-snapshot:s", "attributes": restore }] }),
            vec!["*", other],
        ),
        (
            json!({ "redshift_snapshot": [{ "snapshot_arn": "arn:aws:redshift:us-east-1:123456789012:snapshot:c/s", "accounts_with_restore_access": [{ "account_id": other }] }] }),
            vec![other],
        ),
        (
            json!({ "redshiftserverless_snapshot": [{ "snapshot_arn": "arn:aws:redshift-serverless:us-east-1:123456789012:snapshot/s", "accounts_with_restore_access": [other] }] }),
            vec![other],
        ),
        (
            json!({ "redshift_data_share": [{ "data_share_arn": "arn:aws:redshift:us-east-1:123456789012:datashare:n/d", "data_share_associations": [
            { "consumer_identifier": format!("DataCatalog/{other}"), "status": "ACTIVE" }, { "consumer_identifier": "333333333333", "status": "DEAUTHORIZED" }] }] }),
            vec![other],
        ),
        (
            json!({ "servicecatalog_portfolio": [{ "id": "port-1", "account_shares": [{ "principal_id": other }] }] }),
            vec![other],
        ),
        (
            json!({ "serverlessrepo_application": [{ "application_id": "arn:aws:serverlessrepo:us-east-1:123456789012:applications/a", "statements": [
            { "principals": ["*"], "actions": ["Deploy"] }, { "principals": ["*"], "principal_org_ids": ["o-x"], "actions": ["Deploy"] }] }] }),
            vec!["*", "o-x"],
        ),
        (
            json!({ "ssm_document": [{ "name": "d", "shared_with": ["all", other] }] }),
            vec!["*", other],
        ),
        (
            json!({
                "ram_resource": [{ "resource_arn": "arn:aws:ec2:us-east-1:123456789012:subnet/s", "resource_share_arn": "share-1" }, { "resource_arn": "arn:aws:ec2:us-east-1:123456789012:subnet/t", "resource_share_arn": "share-2" }],
                "ram_principal": [{ "id": other, "resource_share_arn": "share-1" }, { "id": "ec2.amazonaws.com", "resource_share_arn": "share-2" }],
            }),
            vec![other],
        ),
        (
            json!({ "s3_bucket": [{ "name": "b", "acl": { "owner": { "id": "me" }, "grants": [
            { "grantee": { "type": "Group", "uri": "http://acs.amazonaws.com/groups/global/AllUsers" } }, { "grantee": { "type": "CanonicalUser", "id": "me" } },
            { "grantee": { "type": "CanonicalUser", "id": "you" } }, { "grantee": { "type": "Group", "uri": "http://acs.amazonaws.com/groups/s3/LogDelivery" } }] } }],
            "s3control_account": [{ "public_access_block": null }] }),
            vec!["*", "canonical user you"],
        ),
        (
            json!({ "s3_bucket": [{ "name": "b", "ownership_controls": { "rules": [{ "object_ownership": "BucketOwnerEnforced" }] }, "acl": { "grants": [{ "grantee": { "id": "you" } }] } }] }),
            vec![],
        ),
        (
            json!({ "s3_bucket": [{ "name": "b", "acl": { "grants": [{ "grantee": { "uri": "http://acs.amazonaws.com/groups/global/AllUsers" } }] } }],
            "s3control_account": [{ "public_access_block": { "ignore_public_acls": true } }] }),
            vec![],
        ),
    ] {
        let name = tables.to_string();
        let mut found: Vec<String> = model(tables)
            .external()
            .into_iter()
            .map(|e| e.who)
            .collect();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
}

/// Each table with a policy that lets another account in.
#[test]
fn every_kind_of_policy_is_listed() {
    let open = policy(
        json!({ "Effect": "Allow", "Principal": { "AWS": "222222222222" }, "Action": "*", "Resource": "*" }),
    );
    for (table, row) in [
        (
            "acm_pca_authority",
            json!({ "authority_arn": "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/c", "policy": open }),
        ),
        (
            "cloudtrail_event_data_store",
            json!({ "event_data_store_arn": "arn:aws:cloudtrail:us-east-1:123456789012:eventdatastore/e", "policy": open }),
        ),
        ("codebuild_project", json!({ "name": "p", "policy": open })),
        (
            "codebuild_report_group",
            json!({ "report_group_arn": "arn:aws:codebuild:us-east-1:123456789012:report-group/r", "policy": open }),
        ),
        (
            "dynamodb_table",
            json!({ "table_name": "t", "latest_stream_arn": "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/1", "stream_policy": open }),
        ),
        ("ecr_registry", json!({ "policy": open })),
        (
            "kafka_cluster",
            json!({ "cluster_arn": "arn:aws:kafka:us-east-1:123456789012:cluster/c/1", "policy": open }),
        ),
        (
            "kinesis_stream",
            json!({ "stream_name": "s", "policy": open }),
        ),
        (
            "lambda_layer_version",
            json!({ "layer_version_arn": "arn:aws:lambda:us-east-1:123456789012:layer:l:1", "policy": open }),
        ),
        (
            "logs_destination",
            json!({ "arn": "arn:aws:logs:us-east-1:123456789012:destination:d", "destination_name": "d", "access_policy": open }),
        ),
        (
            "logs_resource_policy",
            json!({ "policy_name": "p", "policy_document": open }),
        ),
        (
            "s3control_multi_region_access_point",
            json!({ "name": "m", "alias": "m.mrap", "policy": open, "regions": [] }),
        ),
        (
            "schemas_registry",
            json!({ "registry_arn": "arn:aws:schemas:us-east-1:123456789012:registry/r", "policy": open }),
        ),
        (
            "vpclattice_service",
            json!({ "service_arn": "arn:aws:vpc-lattice:us-east-1:123456789012:service/svc-1", "policy": open }),
        ),
        (
            "vpclattice_service_network",
            json!({ "service_network_arn": "arn:aws:vpc-lattice:us-east-1:123456789012:servicenetwork/sn-1", "policy": open }),
        ),
    ] {
        let model = model(json!({ table: [row] }));
        assert!(model.problems.is_empty(), "{table}: {:?}", model.problems);
        let external = model.external();
        assert_eq!(external.len(), 1, "{table}: {external:?}");
        assert_eq!(
            (external[0].who.as_str(), external[0].through.as_str()),
            ("222222222222", "policy"),
            "{table}"
        );
    }
}

/// Who is let in, and which guardrails keep them out: NULL where that is not known.
#[test]
fn external_access_names_the_guardrails_that_block_it() {
    let engine = crate::common::engine(&CATALOG);
    let open = policy(
        json!({ "Effect": "Allow", "Principal": { "AWS": "222222222222" }, "Action": "sqs:*", "Resource": "*" }),
    );
    let deny = policy(
        json!({ "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*",
        "Condition": { "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } } }),
    );
    let rcp = json!([{ "id": "p-1", "name": "perimeter", "content": deny, "targets": [{ "target_id": "123456789012", "type": "ACCOUNT" }] }]);
    let organization =
        json!([{ "organization": { "id": "o-1", "master_account_id": "999999999999" } }]);
    for (organization, rcp, blocked) in [
        (organization.clone(), rcp, "perimeter"),
        (organization.clone(), json!([]), ""),
        (organization, json!("!AccessDenied"), "?"),
        (
            json!([{ "organization": null }]),
            json!("!AccessDenied"),
            "",
        ),
    ] {
        let data = dataset(
            &CATALOG,
            json!({
                "sqs_queue": [{ "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/q", "queue_arn": "arn:aws:sqs:us-east-1:123456789012:q", "attributes": { "Policy": open } }],
                "organizations_organization": organization,
                "organizations_account": [{ "id": "123456789012", "paths": ["o-1/r-1/123456789012/"] }],
                "organizations_scp": [],
                "organizations_rcp": rcp,
            }),
        );
        let all = "SELECT * FROM iam_external_access";
        let said = "coalesce(array_to_string(blocked_by, ','), '?')";
        let such = format!("{all} WHERE who = '222222222222' AND {said} = '{blocked}'");
        for sql in [all, &such] {
            assert_eq!(
                engine.sql(sql, &data).unwrap().rows(),
                1,
                "{blocked}: {sql}"
            );
        }
    }
}

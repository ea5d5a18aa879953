//! What is shared otherwise than by a policy.
use super::rows::{Row, TableRows, text};
use palisade_iam::{Known, Model, Share, SharedWith};
use palisade_table::{Dataset, Schemas};
use serde_json::Value;

/// A table whose rows say whom they are shared with.
pub(super) struct ShareTable {
    /// Its name.
    pub table: &'static str,
    /// The columns that say it; the first is the one that a call of its own fills.
    pub columns: &'static [&'static str],
    /// What lets somebody in, in AWS's words.
    through: &'static str,
    /// Whom a row names.
    read: fn(&Value) -> Vec<SharedWith>,
}

/// Columns of what is read in other ways: shares of RAM, access lists of buckets.
pub(super) const COLUMNS: &[(&str, &[&str])] = &[
    ("ram_principal", &["id", "resource_share_arn"]),
    ("ram_resource", &["arn", "resource_share_arn"]),
    (
        "s3_bucket",
        &["acl", "ownership_controls", "public_access_block"],
    ),
];

/// The tables.
pub(super) const TABLES: &[ShareTable] = &[
    ShareTable {
        table: "ec2_image",
        columns: &["launch_permissions"],
        through: "launch permission",
        read: |row| permissions(row, "launch_permissions"),
    },
    ShareTable {
        table: "ec2_snapshot",
        columns: &["create_volume_permissions"],
        through: "snapshot permission",
        read: |row| permissions(row, "create_volume_permissions"),
    },
    ShareTable {
        table: "ec2_vpc_endpoint_service",
        columns: &["allowed_principals"],
        through: "endpoint service permission",
        read: |row| members(row, "allowed_principals", &["principal"]),
    },
    ShareTable {
        table: "rds_db_cluster_snapshot",
        columns: &["attributes"],
        through: "restore attribute",
        read: restore_attribute,
    },
    ShareTable {
        table: "rds_db_snapshot",
        columns: &["attributes"],
        through: "restore attribute",
        read: restore_attribute,
    },
    ShareTable {
        table: "redshift_data_share",
        columns: &["data_share_associations"],
        through: "data share",
        read: |row| {
            let is_open = |a: &&Value| {
                !matches!(
                    text(a, "status"),
                    Some("DEAUTHORIZED" | "REJECTED" | "PENDING_AUTHORIZATION")
                )
            };
            let consumers = list(row, "data_share_associations").filter(is_open);
            consumers
                .filter_map(|a| text(a, "consumer_identifier"))
                // `DataCatalog/<account>` is the catalogue of an account.
                .map(|c| SharedWith::parse(c.rsplit('/').next().unwrap_or(c)))
                .collect()
        },
    },
    ShareTable {
        table: "redshift_snapshot",
        columns: &["accounts_with_restore_access"],
        through: "restore access",
        read: |row| members(row, "accounts_with_restore_access", &["account_id"]),
    },
    ShareTable {
        table: "redshiftserverless_snapshot",
        columns: &[
            "accounts_with_restore_access",
            "accounts_with_provisioned_restore_access",
        ],
        through: "restore access",
        read: |row| {
            let mut out = texts(row, "accounts_with_restore_access");
            out.extend(texts(row, "accounts_with_provisioned_restore_access"));
            out
        },
    },
    ShareTable {
        table: "serverlessrepo_application",
        columns: &["statements"],
        through: "application policy",
        read: |row| {
            let of = |statement: &Value| {
                let organizations = texts(statement, "principal_org_ids");
                if organizations.is_empty() {
                    texts(statement, "principals")
                } else {
                    organizations
                        .into_iter()
                        .map(|o| match o {
                            SharedWith::Other(id) => SharedWith::Organization(id),
                            other => other,
                        })
                        .collect()
                }
            };
            list(row, "statements").flat_map(of).collect()
        },
    },
    ShareTable {
        table: "servicecatalog_portfolio",
        columns: &["account_shares"],
        through: "portfolio share",
        read: |row| members(row, "account_shares", &["principal_id"]),
    },
    ShareTable {
        table: "ssm_document",
        columns: &["shared_with"],
        through: "document permission",
        read: |row| texts(row, "shared_with"),
    },
];

fn list<'v>(row: &'v Value, column: &str) -> impl Iterator<Item = &'v Value> {
    row.get(column)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn texts(row: &Value, column: &str) -> Vec<SharedWith> {
    let named = list(row, column).filter_map(Value::as_str);
    named.map(SharedWith::parse).collect()
}

fn members(row: &Value, column: &str, names: &[&str]) -> Vec<SharedWith> {
    list(row, column)
        .flat_map(|item| names.iter().filter_map(|name| text(item, name)))
        .map(SharedWith::parse)
        .collect()
}

/// Permissions of images and snapshots: `group` is `all`, or there is an account, an organisation or a unit.
fn permissions(row: &Value, column: &str) -> Vec<SharedWith> {
    let names = [
        "group",
        "user_id",
        "organization_arn",
        "organizational_unit_arn",
    ];
    members(row, column, &names)
}

/// The attribute `restore` of a database snapshot lists accounts, or `all`.
fn restore_attribute(row: &Value) -> Vec<SharedWith> {
    list(row, "attributes")
        .filter(|a| text(a, "attribute_name") == Some("restore"))
        .flat_map(|a| texts(a, "attribute_values"))
        .collect()
}

pub(super) fn add(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model, known: &mut Known) {
    for source in TABLES {
        let rows = TableRows::of(dataset, schemas, source.table);
        // The table may have been read for something else.
        if !rows.is_collected || !source.columns.iter().all(|c| rows.has_column(c)) {
            continue;
        }
        note_gaps(&rows, source.table, known);
        for row in &rows.rows {
            let (Some(arn), Some(owner)) =
                (text(&row.value, "arn"), text(&row.value, "account_id"))
            else {
                continue;
            };
            let failure = source.columns.iter().find_map(|c| rows.failure(row, c));
            if let Some(why) = failure {
                known
                    .reasons
                    .push(format!("whom {arn} is shared with: {why}"));
                continue;
            }
            for with in (source.read)(&row.value) {
                model.shares.push(Share {
                    resource: arn.to_owned(),
                    owner: owner.to_owned(),
                    with,
                    through: source.through.to_owned(),
                });
            }
        }
    }
    add_ram(dataset, schemas, model, known);
    add_access_lists(dataset, schemas, model, known);
}

fn note_gaps(rows: &TableRows<'_>, table: &str, known: &mut Known) {
    for (account, region, why) in rows.gaps() {
        known
            .reasons
            .push(format!("rows of {table} in {account}, {region}: {why}"));
    }
}

/// Whatever is in a share of RAM is shared with all of its principals.
fn add_ram(dataset: &Dataset, schemas: &dyn Schemas, model: &mut Model, known: &mut Known) {
    let resources = TableRows::of(dataset, schemas, "ram_resource");
    let principals = TableRows::of(dataset, schemas, "ram_principal");
    note_gaps(&resources, "ram_resource", known);
    if resources.is_collected {
        note_gaps(&principals, "ram_principal", known);
    }
    let share = |row: &Row| text(&row.value, "resource_share_arn").map(ToOwned::to_owned);
    for resource in &resources.rows {
        let (Some(arn), Some(owner), Some(id)) = (
            text(&resource.value, "arn"),
            text(&resource.value, "account_id"),
            share(resource),
        ) else {
            continue;
        };
        for principal in principals
            .rows
            .iter()
            .filter(|p| share(p).as_ref() == Some(&id))
        {
            let Some(who) = text(&principal.value, "id") else {
                continue;
            };
            // A service of AWS is nobody outside.
            if who.ends_with(".amazonaws.com") {
                continue;
            }
            model.shares.push(Share {
                resource: arn.to_owned(),
                owner: owner.to_owned(),
                with: SharedWith::parse(who),
                through: "resource share".to_owned(),
            });
        }
    }
}

/// Access lists of buckets, where they count: not when the bucket's owner owns every object, and groups of everybody not
/// when public lists are ignored.
fn add_access_lists(
    dataset: &Dataset,
    schemas: &dyn Schemas,
    model: &mut Model,
    known: &mut Known,
) {
    let buckets = TableRows::of(dataset, schemas, "s3_bucket");
    if !buckets.is_collected || !buckets.has_column("acl") {
        return;
    }
    let accounts = TableRows::of(dataset, schemas, "s3control_account");
    for row in &buckets.rows {
        let (Some(arn), Some(owner)) = (text(&row.value, "arn"), text(&row.value, "account_id"))
        else {
            continue;
        };
        let failure = ["acl", "ownership_controls", "public_access_block"]
            .iter()
            .find_map(|c| buckets.failure(row, c));
        if let Some(why) = failure {
            known
                .reasons
                .push(format!("the access list of {arn}: {why}"));
        }
        let is_enforced = row
            .value
            .get("ownership_controls")
            .into_iter()
            .flat_map(|o| list(o, "rules"))
            .any(|r| text(r, "object_ownership") == Some("BucketOwnerEnforced"));
        let Some(acl) = row.value.get("acl").filter(|_| !is_enforced) else {
            continue;
        };
        let account = accounts
            .rows
            .iter()
            .find(|a| text(&a.value, "account_id") == Some(owner));
        let ignores = |value: &Value| {
            value
                .get("public_access_block")
                .and_then(|b| b.get("ignore_public_acls"))
                == Some(&Value::Bool(true))
        };
        let ignores = ignores(&row.value) || account.is_some_and(|a| ignores(&a.value));
        let own = acl.get("owner").and_then(|o| text(o, "id"));
        for grantee in list(acl, "grants").filter_map(|g| g.get("grantee")) {
            let with = match (text(grantee, "uri"), text(grantee, "id")) {
                (Some(uri), _)
                    if uri.ends_with("/groups/global/AllUsers")
                        || uri.ends_with("/groups/global/AuthenticatedUsers") =>
                {
                    if ignores {
                        continue;
                    }
                    SharedWith::Everyone
                }
                (None, Some(id)) if Some(id) != own => {
                    SharedWith::Other(format!("canonical user {id}"))
                }
                _ => continue,
            };
            model.shares.push(Share {
                resource: arn.to_owned(),
                owner: owner.to_owned(),
                with,
                through: "access list".to_owned(),
            });
        }
    }
}

//! Columns from the shipped API models.
use super::types::{self, Types, field_names};
use super::*;
use crate::{ColumnType, Origin, Source, Step, Transform, load};
use palisade_model::{Model, Models, ShapeId, ShapeKind};
use std::collections::BTreeSet;

fn column_type(model: &Model, shape: ShapeId) -> ColumnType {
    Types::default().of(model, shape)
}

fn is_recursive(model: &Model, shape: ShapeId) -> bool {
    types::is_recursive(model, shape, &mut BTreeMap::new())
}

fn schema(service: &str, text: &str, table: &str) -> Arc<TableSchema> {
    let path = format!("services/{service}.toml");
    let loaded = load(&[Source::from_texts([(path, text)])]);
    assert_eq!(loaded.diagnostics, []);
    let schema = loaded.catalog.table_schema(table, &Models::embedded());
    schema.unwrap_or_else(|d| panic!("{}", d.iter().map(|d| format!("{d}\n")).collect::<String>()))
}

fn write(ty: &ColumnType) -> String {
    match ty {
        ColumnType::List(inner) => format!("[{}]", write(inner)),
        ColumnType::Map(inner) => format!("map({})", write(inner)),
        ColumnType::Struct(fields) => {
            let fields = fields.iter().map(|(n, t)| format!("{n}: {}", write(t)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}").to_lowercase(),
    }
}

fn lines(schema: &TableSchema) -> String {
    let lines = schema.columns.iter().map(|c| {
        let origin = match &c.origin {
            Origin::Answer {
                source,
                path,
                transform,
                ..
            } => format!("{source}:{} {transform:?}", crate::write_path(path)),
            other => format!("{other:?}"),
        };
        format!("{} {} <- {origin} {:?}", c.name, write(&c.ty), c.sources)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn list_calls_merged_in_order_tags_and_templates() {
    let schema = schema(
        "s3",
        r#"
title = "Amazon S3"
[table.s3_bucket]
about = "x"
id = "name"
arn = "arn:${partition}:s3:::${name}"
region = ["bucket_region"]
list = { call = "ListBuckets", params = { MaxBuckets = 1000 }, rows = "Buckets[]" }
[[table.s3_bucket.call]]
call = "GetBucketVersioning"
params = { Bucket = "${name}" }
[[table.s3_bucket.call]]
call = "GetBucketTagging"
params = { Bucket = "${name}" }
from = "TagSet"
into = "tags"
when = { column = "status", is = ["Enabled"] }
[[table.s3_bucket.call]]
call = "GetBucketAcl"
params = { Bucket = "${name}" }
from = "Grants[].Grantee"
into = "grantees"
[table.s3_bucket.column]
bucket_arn = { hide = true }
uris = { from = "grantees[].uri" }
grantee_count = { from = "grantees", as = "count" }
owner = { value = "${tags_key_count}/${status}" }
tags_key_count = { from = "name" }
"grantees[].email_address" = { hide = true }
"#,
        "s3_bucket",
    );
    insta::assert_snapshot!(lines(&schema), @r#"
        account_id text <- AccountId []
        region text <- Region [0]
        partition text <- Partition []
        arn text <- Arn [0]
        name text <- 0:Name None [0]
        creation_date timestamp <- 0:CreationDate None [0]
        bucket_region text <- 0:BucketRegion None [0]
        status text <- 1:Status None [0, 1]
        mfa_delete text <- 1:MFADelete None [0, 1]
        tags map(text) <- 2:. Tags [0, 1, 2]
        grantees [{display_name: text, id: text, type: text, uri: text}] <- 3:. None [0, 3]
        grantee_count integer <- 3:. Count [0, 3]
        owner text <- Template { template: "${tags_key_count}/${status}" } [0, 1]
        tags_key_count text <- 0:Name None [0]
        uris [text] <- 3:URI None [0, 3]
    "#);
}

#[test]
fn parents_outer_batches_and_tagging() {
    let text = r#"
title = "ECS"
[table.ecs_cluster]
about = "x"
id = "cluster_arn"
arn = "${cluster_arn}"
tags = "tagging"
list = { call = "ListClusters", rows = "clusterArns[]", scalar = "cluster_arn" }
[[table.ecs_cluster.call]]
call = "DescribeClusters"
batch = { param = "clusters", of = "cluster_arn", size = 100, rows = "clusters[]", match = "clusterArn" }
from = "statistics"
into = "statistics"
[table.ecs_service]
about = "x"
id = "service_arn"
arn = "${service_arn}"
list = { call = "ListServices", params = { cluster = "${parent.cluster_arn}" }, rows = "serviceArns[]", scalar = "service_arn", parent = "ecs_cluster" }
[table.ecs_service.column]
cluster = { value = "${parent.cluster_arn}" }
"#;
    insta::assert_snapshot!(lines(&schema("ecs", text, "ecs_cluster")), @r#"
        account_id text <- AccountId []
        region text <- Region []
        partition text <- Partition []
        arn text <- Arn [0]
        cluster_arn text <- 0:. None [0]
        statistics [{name: text, value: text}] <- 1:. None [0, 1]
        tags map(text) <- Tagging [0, 18446744073709551615]
    "#);
    insta::assert_snapshot!(lines(&schema("ecs", text, "ecs_service")), @r#"
        account_id text <- AccountId []
        region text <- Region []
        partition text <- Partition []
        arn text <- Arn [0]
        service_arn text <- 0:. None [0]
        cluster text <- Template { template: "${parent.cluster_arn}" } [0]
    "#);
    let text = r#"
title = "EC2"
[table.ec2_reserved]
about = "x"
id = "instance_id"
list = { call = "DescribeInstances", rows = "Reservations[].Instances[]", outer = { owner_id = "OwnerId" } }
"#;
    let schema = schema("ec2", text, "ec2_reserved");
    let owner = schema.column("owner_id").unwrap();
    assert_eq!(
        (&owner.origin, owner.sources.as_slice()),
        (
            &Origin::Outer {
                member: "OwnerId".into()
            },
            [0].as_slice()
        )
    );
    assert_eq!(write(&schema.column("tags").unwrap().ty), "map(text)");
    assert_eq!(
        schema.column("launch_time").unwrap().ty,
        ColumnType::Timestamp
    );
    assert_eq!(schema.column("arn").unwrap().origin, Origin::Arn);
}

#[test]
fn csv_and_calls_before() {
    let schema = schema(
        "iam",
        r#"
title = "IAM"
[table.iam_credential_report]
about = "x"
id = "user"
arn = "${arn}"
[table.iam_credential_report.list]
call = "GetCredentialReport"
csv = "Content"
before = { call = "GenerateCredentialReport", until = { State = "COMPLETE" } }
[table.iam_credential_report.column]
user = { csv = "user", type = "text" }
own_arn = { csv = "arn", type = "text" }
mfa_active = { csv = "mfa_active", type = "boolean" }
password_last_used = { csv = "password_last_used", type = "timestamp" }
"#
        .replace("arn = \"${arn}\"", "arn = \"${own_arn}\"")
        .as_str(),
        "iam_credential_report",
    );
    insta::assert_snapshot!(lines(&schema), @r#"
        account_id text <- AccountId []
        region text <- Region []
        partition text <- Partition []
        arn text <- Arn [0]
        mfa_active boolean <- Csv { header: "mfa_active" } [0]
        own_arn text <- Csv { header: "arn" } [0]
        password_last_used timestamp <- Csv { header: "password_last_used" } [0]
        user text <- Csv { header: "user" } [0]
    "#);
}

#[test]
fn settings_without_a_list_and_the_answers_own_arn() {
    let schema = schema(
        "lambda",
        r#"
title = "Lambda"
[table.lambda_settings]
about = "x"
id = "account_id"
[[table.lambda_settings.call]]
call = "GetAccountSettings"
[table.lambda_alias]
about = "x"
id = "name"
arn = "${alias_arn}"
list = { call = "ListAliases", params = { FunctionName = "f" }, rows = "Aliases[]" }
[table.lambda_function]
about = "x"
id = "function_name"
arn = "${function_arn}"
list = { call = "ListFunctions", rows = "Functions[]" }
[table.lambda_function.column]
environment_secrets = { from = "environment.variables", as = "secrets" }
environment_names = { from = "environment.variables", as = "keys" }
layer_arns = { from = "layers[].arn" }
environment = { hide = true }
"#,
        "lambda_function",
    );
    for (name, ty) in [
        ("environment_secrets", "[{name: text, kind: text}]"),
        ("environment_names", "[text]"),
        ("layer_arns", "[text]"),
        ("memory_size", "integer"),
    ] {
        assert_eq!(write(&schema.column(name).unwrap().ty), ty, "{name}");
    }
    assert!(schema.column("environment").is_none());
    let Origin::Answer {
        path, transform, ..
    } = &schema.column("environment_secrets").unwrap().origin
    else {
        panic!("not of the answer")
    };
    let step = |n: &str| Step::Member(n.into());
    assert_eq!(path, &[step("Environment"), step("Variables")]);
    assert_eq!(*transform, Transform::Secrets);
}

#[test]
fn an_answers_own_arn_is_the_column() {
    let schema = schema(
        "iam",
        "title = 'IAM'\n[table.iam_user]\nabout = 'x'\nid = 'user_name'\nlist = { call = 'ListUsers', rows = 'Users[]' }",
        "iam_user",
    );
    let arn = schema.column("arn").unwrap();
    assert_eq!(arn.sources, [0]);
    assert!(matches!(&arn.origin, Origin::Answer { source: 0, .. }));
    assert_eq!(schema.columns.iter().filter(|c| c.name == "arn").count(), 1);
}

#[test]
fn a_decoded_text_need_not_be_a_column_to_be_searched() {
    let schema = schema(
        "autoscaling",
        r#"
title = "Auto Scaling"
[table.autoscaling_launch_configuration]
about = "x"
id = "launch_configuration_name"
list = { call = "DescribeLaunchConfigurations", rows = "LaunchConfigurations[]" }
[table.autoscaling_launch_configuration.column]
user_data_text = { from = "user_data", as = "base64", hide = true }
user_data_secrets = { from = "user_data_text", as = "secrets" }
user_data = { hide = true }
"#,
        "autoscaling_launch_configuration",
    );
    assert!(schema.column("user_data").is_none() && schema.column("user_data_text").is_none());
    let found = schema.column("user_data_secrets").unwrap();
    assert_eq!(found.sources, [0]);
    assert!(matches!(
        found.origin,
        Origin::Answer {
            transform: Transform::SecretsOfBase64,
            ..
        }
    ));
}

/// Recursive shapes end, names are unique within a structure, fields stand for members one for one.
#[test]
fn every_answer_of_every_shipped_model_has_a_type() {
    fn size(ty: &ColumnType) -> usize {
        1 + match ty {
            ColumnType::List(inner) | ColumnType::Map(inner) => size(inner),
            ColumnType::Struct(fields) => fields.iter().map(|(_, t)| size(t)).sum(),
            _ => 0,
        }
    }
    let models = Models::embedded();
    let mut largest = 0;
    for name in [
        "s3",
        "ec2",
        "iam",
        "dynamodb",
        "wafv2",
        "emr",
        "ssm",
        "config",
        "cloudfront",
    ] {
        let model = models.get(name).unwrap();
        for operation in model.operations.iter() {
            if crate::verbs::refused(&operation.name).is_some() {
                continue;
            }
            let Some(output) = &operation.output else {
                continue;
            };
            largest = largest.max(size(&column_type(&model, output.shape)));
        }
        for shape in model.shapes.iter().filter(|s| s.is_structure()) {
            let fields = field_names(shape);
            let mut unique = fields.clone();
            unique.sort();
            unique.dedup();
            assert_eq!(unique.len(), fields.len(), "{name} {}", shape.name);
            for field in &fields {
                assert_eq!(&crate::snake_case(field), field, "{name} {}", shape.name);
            }
        }
    }
    assert!(largest > 100 && largest < 20_000, "{largest}");
    let waf = models.get("wafv2").unwrap();
    let statement = waf
        .shapes
        .iter()
        .position(|s| s.name == "Statement")
        .unwrap();
    let statement = palisade_model::ShapeId(u32::try_from(statement).unwrap());
    assert!(is_recursive(&waf, statement));
    assert_eq!(column_type(&waf, statement), ColumnType::Text);
    let empty = waf
        .shapes
        .iter()
        .position(|s| s.kind == ShapeKind::Structure && s.members.is_empty())
        .unwrap();
    let empty = palisade_model::ShapeId(u32::try_from(empty).unwrap());
    assert_eq!(column_type(&waf, empty), ColumnType::Text);
}

/// Against looking through all that a shape contains, for each shape again.
#[test]
fn shapes_that_contain_themselves() {
    let contains_itself = |model: &Model, id: ShapeId| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
        while let Some(shape) = open.pop().and_then(|next| model.shape(next)) {
            for part in shape.members.iter().chain(shape.element.as_deref()) {
                if part.shape == id {
                    return true;
                }
                if seen.insert(part.shape) {
                    open.push(part.shape);
                }
            }
        }
        false
    };
    let models = Models::embedded();
    let mut recursive = 0;
    for name in ["wafv2", "dynamodb", "emr", "ssm", "quicksight", "glue"] {
        let model = models.get(name).unwrap();
        // what is remembered must not depend on where it began
        let mut known = [BTreeMap::new(), BTreeMap::new()];
        let count = u32::try_from(model.shapes.len()).unwrap();
        let orders: [Vec<u32>; 2] = [(0..count).collect(), (0..count).rev().collect()];
        for (order, known) in orders.iter().zip(&mut known) {
            for id in order.iter().map(|id| ShapeId(*id)) {
                types::is_recursive(&model, id, known);
            }
        }
        for id in (0..count).map(ShapeId) {
            let expected = contains_itself(&model, id);
            recursive += usize::from(expected);
            assert_eq!(is_recursive(&model, id), expected, "{name} {id:?}");
            assert_eq!(
                known.each_ref().map(|k| k.get(&id)),
                [Some(&expected); 2],
                "{name} {id:?}"
            );
        }
    }
    assert!(recursive > 10, "{recursive}");
}

#[test]
fn sensitive_values_are_texts() {
    let models = Models::embedded();
    let model = models.get("lambda").unwrap();
    let index = model
        .shapes
        .iter()
        .position(|s| s.name == "EnvironmentVariables")
        .unwrap();
    let shape = palisade_model::ShapeId(u32::try_from(index).unwrap());
    assert!(model.shape(shape).is_some_and(|s| s.traits.sensitive));
    assert_eq!(write(&column_type(&model, shape)), "map(text)");
}

#[test]
fn schemas_are_computed_once_and_a_clone_begins_anew() {
    let text = "title = 'IAM'\n[table.iam_user]\nabout = 'x'\nid = 'user_name'\nlist = { call = 'ListUsers', rows = 'Users[]' }";
    let catalog = load(&[Source::from_texts([("services/iam.toml", text)])]).catalog;
    let models = Models::embedded();
    let first = catalog.table_schema("iam_user", &models).unwrap();
    let second = catalog.table_schema("iam_user", &models).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let mut other = catalog.clone();
    let mut spec = (*other.tables["iam_user"]).clone();
    spec.id = "nothing".into();
    other.tables.insert("iam_user".into(), Arc::new(spec));
    let errors = other.table_schema("iam_user", &models).unwrap_err();
    assert_eq!(errors[0].message, "there is no column `nothing`");
    let unknown = catalog.table_schema("iam_usr", &models).unwrap_err();
    assert_eq!(
        unknown[0].to_string(),
        "error: unknown table `iam_usr`\n  hint: did you mean `iam_user`?"
    );
}

use crate::*;
use arrow::array::{Array, AsArray, Int64Array, StructArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use palisade_catalog::{
    Column, ColumnType, Origin, Scope, Step, TableSchema, TableSpec, Transform,
};
use palisade_core::{CallErrorKind, Timestamp};
use palisade_model::{Location, Member, Model, Record, Shape, ShapeId, ShapeKind, Traits, Value};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use std::sync::Arc;

fn member(name: &str, shape: u32) -> Member {
    Member {
        name: name.to_owned(),
        shape: ShapeId(shape),
        location: Location::Body,
        traits: Traits::default(),
        query_name: None,
        host_label: false,
        context_param: None,
    }
}

fn shape(name: &str, kind: ShapeKind) -> Shape {
    Shape {
        name: name.to_owned(),
        kind,
        traits: Traits::default(),
        members: Vec::new(),
        element: None,
        key: None,
        sparse: false,
        payload: None,
        error_code: None,
        required: Vec::new(),
    }
}

const STRING: u32 = 0;
const INTEGER: u32 = 1;
const SECRET: u32 = 2;
const RULE: u32 = 3;
const RULES: u32 = 4;
const TAG: u32 = 5;
const TAGS: u32 = 6;
const GROUP: u32 = 7;
const GROUPS: u32 = 8;
const ANSWER: u32 = 9;
const TREE: u32 = 10;
const FORKS: u32 = 11;

/// Groups with rules, tags, a secret and a recursive tree.
fn model() -> Arc<Model> {
    let list = |name: &str, item: u32| Shape {
        element: Some(Box::new(member("member", item))),
        ..shape(name, ShapeKind::List)
    };
    let structure = |name: &str, members: &[(&str, u32)]| Shape {
        members: members.iter().map(|(n, s)| member(n, *s)).collect(),
        ..shape(name, ShapeKind::Structure)
    };
    let mut secret = shape("Secret", ShapeKind::String);
    secret.traits.sensitive = true;
    Arc::new(Model {
        name: "ec2".to_owned(),
        shapes: vec![
            shape("String", ShapeKind::String),
            shape("Integer", ShapeKind::Integer),
            secret,
            structure("Rule", &[("FromPort", INTEGER), ("CidrIp", STRING)]),
            list("Rules", RULE),
            structure("Tag", &[("Key", STRING), ("Value", STRING)]),
            list("Tags", TAG),
            structure(
                "Group",
                &[
                    ("GroupId", STRING),
                    ("Rules", RULES),
                    ("Tags", TAGS),
                    ("Password", SECRET),
                    ("Tree", TREE),
                ],
            ),
            list("Groups", GROUP),
            structure("Answer", &[("Groups", GROUPS)]),
            structure("Tree", &[("Name", SECRET), ("Forks", FORKS)]),
            list("Forks", TREE),
        ]
        .into(),
        ..Model::default()
    })
}

fn text(t: &str) -> Value {
    Value::String(t.into())
}
fn record(shape: u32, fields: Vec<Value>) -> Value {
    Value::Struct(Box::new(Record {
        shape: ShapeId(shape),
        fields,
    }))
}
fn rule(port: i64, cidr: &str) -> Value {
    record(RULE, vec![Value::Int(port), text(cidr)])
}
fn rules_type() -> ColumnType {
    let rule = vec![
        ("from_port".to_owned(), ColumnType::Integer),
        ("cidr_ip".to_owned(), ColumnType::Text),
    ];
    ColumnType::List(Arc::new(ColumnType::Struct(Arc::new(rule))))
}
fn of(shape: u32) -> ValueShape {
    ValueShape {
        shape: Some((model(), ShapeId(shape))),
        each: false,
        sensitive: false,
    }
}
fn pushed(builder: &mut ColumnBuilder, values: &[Value]) -> arrow::array::ArrayRef {
    for value in values {
        let prepared = builder.prepare(value).unwrap().into_owned();
        builder.append(&prepared);
    }
    assert_eq!(builder.len(), values.len());
    builder.finish().unwrap()
}

#[test]
fn nested_values_become_arrays_of_the_declared_type() {
    let mut builder = ColumnBuilder::new(&rules_type(), of(RULES), Transform::None).unwrap();
    let values = [
        Value::List(vec![rule(22, "0.0.0.0/0"), Value::Null]),
        Value::Null,
        Value::List(vec![]),
    ];
    let array = pushed(&mut builder, &values);
    assert_eq!(array.data_type(), &arrow_type(&rules_type()));
    let list = array.as_list::<i32>();
    assert!(list.is_valid(0) && list.is_null(1) && list.is_valid(2));
    assert_eq!((list.value(0).len(), list.value(2).len()), (2, 0));
    let first = list.value(0);
    let rules: &StructArray = first.as_struct();
    assert_eq!(
        rules.column(0).as_primitive::<Int64Type>(),
        &Int64Array::from(vec![Some(22), None])
    );
    assert_eq!(rules.column(1).as_string::<i32>().value(0), "0.0.0.0/0");
    assert!(rules.is_null(1));
}

#[test]
fn a_hidden_member_leaves_no_field_and_shifts_none() {
    let ty = ColumnType::Struct(Arc::new(vec![("cidr_ip".to_owned(), ColumnType::Text)]));
    let mut builder = ColumnBuilder::new(&ty, of(RULE), Transform::None).unwrap();
    let array = pushed(&mut builder, &[rule(22, "10.0.0.0/8")]);
    assert_eq!(
        array.as_struct().column(0).as_string::<i32>().value(0),
        "10.0.0.0/8"
    );
    let wrong = ColumnType::Struct(Arc::new(vec![("cidr".to_owned(), ColumnType::Text)]));
    assert!(ColumnBuilder::new(&wrong, of(RULE), Transform::None).is_err());
    assert!(ColumnBuilder::new(&ColumnType::Integer, of(STRING), Transform::None).is_err());
}

#[test]
fn what_does_not_fit_is_an_error_that_names_the_place_and_not_the_value() {
    let builder = ColumnBuilder::new(&rules_type(), of(RULES), Transform::None).unwrap();
    let bad = Value::List(vec![record(RULE, vec![text("s3cr3t"), Value::Null])]);
    let message = builder.prepare(&bad).unwrap_err().to_string();
    assert_eq!(
        message,
        "expected a whole number at `from_port`, found text"
    );
    for bad in [
        Value::Int(1),
        text("x"),
        Value::List(vec![Value::Int(1)]),
        record(RULE, vec![]),
    ] {
        assert!(builder.prepare(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn sensitive_text_is_hidden_everywhere() {
    let mut plain = ColumnBuilder::new(&ColumnType::Text, of(SECRET), Transform::None).unwrap();
    assert_eq!(
        pushed(&mut plain, &[text("hunter2"), Value::Null])
            .as_string::<i32>()
            .value(0),
        HIDDEN
    );
    // A recursive shape is JSON text: it must not carry the secret either.
    let tree = |name: &str, forks| record(TREE, vec![text(name), forks]);
    let deep = tree("hunter2", Value::List(vec![tree("hunter3", Value::Null)]));
    for transform in [Transform::None, Transform::Json] {
        let mut json = ColumnBuilder::new(&ColumnType::Text, of(TREE), transform).unwrap();
        let array = pushed(&mut json, std::slice::from_ref(&deep));
        let expected = r#"{"Name":"(hidden)","Forks":[{"Name":"(hidden)"}]}"#;
        assert_eq!(array.as_string::<i32>().value(0), expected);
    }
    // Marked by a member on the way, not by the shape itself.
    let mut way = of(STRING);
    way.sensitive = true;
    let mut builder = ColumnBuilder::new(&ColumnType::Text, way, Transform::None).unwrap();
    assert_eq!(
        pushed(&mut builder, &[text("hunter2")])
            .as_string::<i32>()
            .value(0),
        HIDDEN
    );
}

#[test]
fn transforms() {
    let tags = Value::List(vec![
        record(TAG, vec![text("b"), text("2")]),
        record(TAG, vec![text("a"), Value::Null]),
    ]);
    let ty = ColumnType::Map(Arc::new(ColumnType::Text));
    let mut builder = ColumnBuilder::new(&ty, of(TAGS), Transform::Tags).unwrap();
    let array = pushed(
        &mut builder,
        &[tags.clone(), Value::Map(vec![("k".into(), text("v"))])],
    );
    assert!(matches!(array.data_type(), DataType::Map(_, true)));
    let first = array.as_map().value(0);
    assert_eq!(
        first
            .column(0)
            .as_string::<i32>()
            .iter()
            .collect::<Vec<_>>(),
        [Some("a"), Some("b")]
    );
    assert_eq!(
        first
            .column(1)
            .as_string::<i32>()
            .iter()
            .collect::<Vec<_>>(),
        [None, Some("2")]
    );
    assert!(builder.prepare(&Value::List(vec![text("x")])).is_err());

    let mut count = ColumnBuilder::new(&ColumnType::Integer, of(TAGS), Transform::Count).unwrap();
    assert_eq!(
        pushed(&mut count, &[tags])
            .as_primitive::<Int64Type>()
            .value(0),
        2
    );
    let mut base64 = ColumnBuilder::new(&ColumnType::Text, of(STRING), Transform::Base64).unwrap();
    assert_eq!(
        pushed(&mut base64, &[text("aGVsbG8=")])
            .as_string::<i32>()
            .value(0),
        "hello"
    );
    assert!(base64.prepare(&text("not base64!")).is_err());
    let mut json = ColumnBuilder::new(&ColumnType::Text, of(STRING), Transform::Json).unwrap();
    assert_eq!(
        pushed(&mut json, &[text("%7B%7D")])
            .as_string::<i32>()
            .value(0),
        "{}"
    );
    let keys = ColumnType::List(Arc::new(ColumnType::Text));
    let mut keys = ColumnBuilder::new(&keys, ValueShape::default(), Transform::Keys).unwrap();
    let map = Value::Map(vec![("k".into(), text("v"))]);
    assert_eq!(
        pushed(&mut keys, &[map])
            .as_list::<i32>()
            .value(0)
            .as_string::<i32>()
            .value(0),
        "k"
    );
    let entry = vec![
        ("name".to_owned(), ColumnType::Text),
        ("kind".to_owned(), ColumnType::Text),
    ];
    let ty = ColumnType::List(Arc::new(ColumnType::Struct(Arc::new(entry))));
    let mut coded = ColumnBuilder::new(&ty, of(STRING), Transform::SecretsOfBase64).unwrap();
    // compressed; a script with a password; nothing; not base64
    let found = pushed(
        &mut coded,
        &[
            text("H4vArw=="),
            text("IyEvYmluL3NoCmV4cG9ydCBEQl9QQVNTV09SRD1UcjB1YjRkb3IK"),
            text("IyEvYmluL3NoCmxzCg=="),
            text("#!/bin/sh\nls\n"),
            // several scripts are searched as one
            Value::List(vec![
                text("IyEvYmluL3NoCmxzCg=="),
                text("IyEvYmluL3NoCmV4cG9ydCBEQl9QQVNTV09SRD1UcjB1YjRkb3IK"),
            ]),
        ],
    );
    let kinds: Vec<String> = found
        .as_list::<i32>()
        .iter()
        .map(|list| {
            let list = list.unwrap();
            let kinds = list.as_struct().column(1).as_string::<i32>();
            kinds.iter().flatten().collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(kinds, ["unreadable", "password", "", "", "password"]);
    let mut secrets = ColumnBuilder::new(&ty, of(TAGS), Transform::Secrets).unwrap();
    let found = pushed(
        &mut secrets,
        &[Value::List(vec![record(
            TAG,
            vec![text("DB_PASSWORD"), text("Tr0ub4dor")],
        )])],
    );
    let found = found.as_list::<i32>().value(0);
    assert_eq!(
        found.as_struct().column(0).as_string::<i32>().value(0),
        "DB_PASSWORD"
    );
    assert_eq!(
        found.as_struct().column(1).as_string::<i32>().value(0),
        "password"
    );
}

#[test]
fn paths_reach_by_position_in_either_spelling() {
    let model = model();
    let group = |id: &str, rules| {
        record(
            GROUP,
            vec![text(id), rules, Value::Null, text("pw"), Value::Null],
        )
    };
    let answer = record(
        ANSWER,
        vec![Value::List(vec![
            group("g1", Value::List(vec![rule(1, "a"), rule(2, "b")])),
            group("g2", Value::Null),
            group("g3", Value::List(vec![rule(3, "c")])),
        ])],
    );
    for path in ["Groups[].Rules[].CidrIp", "groups[].rules[].cidr_ip"] {
        let access = Access::new(&model, ShapeId(ANSWER), &parse_path(path)).unwrap();
        assert_eq!(
            access.get(&answer).unwrap().as_ref(),
            &Value::List(vec![text("a"), text("b"), text("c")])
        );
        assert_eq!(access.shape, Some(ShapeId(STRING)));
    }
    let rules = Access::new(&model, ShapeId(ANSWER), &parse_path("Groups[].Rules[]")).unwrap();
    let mut seen = Vec::new();
    rules
        .visit(&answer, &mut |at, v| seen.push((at.to_vec(), v)))
        .unwrap();
    assert_eq!(seen.len(), 3);
    for (at, v) in seen {
        assert_eq!(rules.at(&answer, &at), Some(v));
    }
    let absent = Access::new(&model, ShapeId(GROUP), &parse_path("Rules[].CidrIp")).unwrap();
    assert_eq!(
        absent.get(&group("g", Value::Null)).unwrap().as_ref(),
        &Value::Null
    );
    assert_eq!(
        absent
            .get(&group("g", Value::List(vec![])))
            .unwrap()
            .as_ref(),
        &Value::List(vec![])
    );
    assert!(absent.get(&group("g", text("x"))).is_err());
    assert!(absent.get(&text("x")).is_err());
    assert!(
        Access::new(&model, ShapeId(GROUP), &parse_path("Password"))
            .unwrap()
            .sensitive
    );
    let error = Access::new(&model, ShapeId(GROUP), &parse_path("Nope"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("GroupId, Rules"), "{error}");
    assert!(Access::new(&model, ShapeId(GROUP), &parse_path("GroupId[]")).is_err());
}

#[test]
fn a_path_chooses_elements_by_their_members() {
    let model = model();
    let member = |name: &str| Step::Member(name.to_owned());
    let chosen = |name: &str, value: &str| Step::Where(vec![(name.to_owned(), value.to_owned())]);
    let rules = |rules| {
        record(
            GROUP,
            vec![text("g"), rules, Value::Null, Value::Null, Value::Null],
        )
    };
    let group = rules(Value::List(vec![rule(1, "a"), rule(2, "b"), rule(3, "b")]));
    let path = [member("rules"), chosen("cidr_ip", "b"), member("CidrIp")];
    let access = Access::new(&model, ShapeId(GROUP), &path).unwrap();
    assert_eq!(
        access.get(&group).unwrap().as_ref(),
        &Value::List(vec![text("b"), text("b")])
    );
    let none = Access::new(
        &model,
        ShapeId(GROUP),
        &[member("Rules"), chosen("CidrIp", "c")],
    )
    .unwrap();
    // no such element is an empty list; no list is NULL
    assert_eq!(none.get(&group).unwrap().as_ref(), &Value::List(vec![]));
    assert_eq!(
        none.get(&rules(Value::Null)).unwrap().as_ref(),
        &Value::Null
    );
    // the indexes are those of the whole list
    let mut seen = Vec::new();
    access
        .visit(&group, &mut |at, v| seen.push((at.to_vec(), v)))
        .unwrap();
    assert_eq!(
        seen.iter().map(|(at, _)| at.clone()).collect::<Vec<_>>(),
        [[1], [2]]
    );
    assert!(seen.iter().all(|(at, v)| access.at(&group, at) == Some(*v)));
    assert_eq!(access.text(), "rules[cidr_ip=b].CidrIp");
    assert!(
        Access::new(
            &model,
            ShapeId(GROUP),
            &[member("Rules"), chosen("Nope", "c")]
        )
        .is_err()
    );
}

fn spec(name: &str) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        service: "s3".to_owned(),
        model: "s3".to_owned(),
        place: (String::new(), 0),
        about: String::new(),
        scope: Scope::Global,
        id: "name".to_owned(),
        arn: Some("arn:${partition}:s3:::${name}".to_owned()),
        region: Vec::new(),
        keep_foreign: false,
        unique: false,
        tags_from_tagging: false,
        volatile: Vec::new(),
        ordered: Vec::new(),
        list: None,
        calls: vec![palisade_catalog::CallSpec {
            call: "GetBucketVersioning".to_owned(),
            params: Map::new(),
            from: String::new(),
            into: None,
            absent: Vec::new(),
            when: None,
            batch: None,
        }],
        columns: Default::default(),
    }
}

struct Buckets;
impl Schemas for Buckets {
    fn table(&self, name: &str) -> Option<(Arc<TableSpec>, Arc<TableSchema>)> {
        let column = |name: &str, ty, origin, sources: &[usize]| Column {
            name: name.to_owned(),
            ty,
            origin,
            sources: sources.to_vec(),
        };
        let answer = |source| Origin::Answer {
            source,
            path: Vec::new(),
            shape: None,
            transform: Transform::None,
        };
        let versioning =
            ColumnType::Struct(Arc::new(vec![("status".to_owned(), ColumnType::Text)]));
        let columns = vec![
            column("account_id", ColumnType::Text, Origin::AccountId, &[]),
            column("region", ColumnType::Text, Origin::Region, &[]),
            column("partition", ColumnType::Text, Origin::Partition, &[]),
            column("arn", ColumnType::Text, Origin::Arn, &[0]),
            column("name", ColumnType::Text, answer(0), &[0]),
            column("creation_date", ColumnType::Timestamp, answer(0), &[0]),
            column("versioning", versioning, answer(1), &[0, 1]),
            column("policy", ColumnType::Text, answer(1), &[0, 1]),
            column(
                "tags",
                ColumnType::Map(Arc::new(ColumnType::Text)),
                Origin::Tagging,
                &[TAGGING],
            ),
        ];
        (name == "s3_bucket").then(|| (Arc::new(spec(name)), Arc::new(TableSchema { columns })))
    }
    fn names(&self) -> Vec<String> {
        vec!["s3_bucket".to_owned()]
    }
    fn permissions(&self, service: &str, operation: &str) -> Vec<String> {
        vec![format!("{service}:{operation}")]
    }
}

fn now() -> Timestamp {
    "2026-01-15T00:00:00Z".parse().unwrap()
}
fn fixture(data: Json) -> Result<Dataset, FixtureError> {
    let is_query = data.get("s3_bucket").is_some() || data.get("nope").is_some();
    fixture_dataset(
        &Buckets,
        "s3_bucket",
        is_query,
        data.as_object().unwrap(),
        now(),
    )
}

#[test]
fn fixture_rows_have_defaults_types_and_times() {
    let dataset = fixture(json!({
        "name": "a", "creation_date": "now-90d", "versioning": {"status": "Enabled"}, "policy": {"Statement": []}, "tags": {"b": "2", "a": "1"}
    }))
    .unwrap();
    let batch = &dataset.tables["s3_bucket"].batches[0];
    let column = |name: &str| Arc::clone(batch.rows.column_by_name(name).unwrap());
    for (name, expected) in [
        ("account_id", FIXTURE_ACCOUNT),
        ("region", FIXTURE_REGION),
        ("arn", "arn:aws:s3:::a"),
        ("policy", r#"{"Statement":[]}"#),
    ] {
        assert_eq!(column(name).as_string::<i32>().value(0), expected);
    }
    let created = column("creation_date")
        .as_primitive::<TimestampMicrosecondType>()
        .value(0);
    assert_eq!(
        Timestamp::from_micros(created).to_string(),
        "2025-10-17T00:00:00Z"
    );
    assert!(batch.failures.is_empty());
    let left_out = fixture(json!({"name": "b"})).unwrap();
    assert!(
        left_out.tables["s3_bucket"].batches[0]
            .rows
            .column_by_name("versioning")
            .unwrap()
            .is_null(0)
    );
}

#[test]
fn unread_cells_and_tables_are_marked() {
    let dataset = fixture(json!({"name": "d", "versioning": {"!error": "AccessDenied"}, "tags": {"!error": "Throttling"}})).unwrap();
    let batch = &dataset.tables["s3_bucket"].batches[0];
    let failure = batch.failure(0, 1).unwrap();
    assert_eq!(failure.error.kind, CallErrorKind::Denied);
    assert_eq!(
        failure.error.to_string(),
        "s3:GetBucketVersioning failed with AccessDenied; needs s3:GetBucketVersioning"
    );
    assert_eq!(
        batch.failure(0, TAGGING).unwrap().error.operation,
        "GetResources"
    );
    assert_eq!(errors_for(batch, 0, &[0, 1]).len(), 1);
    assert_eq!(batch.unread(&[0, 1]), Some(vec![true]));
    assert_eq!(batch.unread(&[0]), None);
    assert!(batch.rows.column_by_name("versioning").unwrap().is_null(0));

    let dataset = fixture(json!({"s3_bucket": {"!error": "AccessDenied"}})).unwrap();
    let table = &dataset.tables["s3_bucket"];
    assert!(table.batches.is_empty());
    assert_eq!(table.gaps[0].error.code, "AccessDenied");
}

#[test]
fn rows_of_a_batch_share_account_and_region() {
    let rows = json!({"s3_bucket": [{"name": "a", "region": "eu-west-1"}, {"name": "b"}, {"name": "c", "region": "eu-west-1"}]});
    let dataset = fixture(rows).unwrap();
    let table = &dataset.tables["s3_bucket"];
    let sizes: Vec<usize> = table.batches.iter().map(|b| b.rows.num_rows()).collect();
    assert_eq!(sizes, [2, 1]);
}

#[test]
fn mistakes_name_what_is_valid() {
    for (data, expected) in [
        (
            json!({"nam": "a"}),
            "no column in `s3_bucket` `nam`; valid names are account_id, region, partition, arn, name",
        ),
        (
            json!({"versioning": {"Status": "x"}}),
            "no field in `versioning` `Status`; valid names are status",
        ),
        (json!({"name": 1}), "`name` is text, found `1`"),
        (
            json!({"creation_date": "yesterday"}),
            "`creation_date` is a timestamp such as",
        ),
        (
            json!({"versioning": {"status": {"!error": "X"}}}),
            "only whole cells",
        ),
        (
            json!({"nope": []}),
            "no table `nope`; valid tables are s3_bucket",
        ),
        (
            json!({"s3_bucket": 1}),
            "`s3_bucket` is a list of rows, found `1`",
        ),
        (json!({"account_id": 1}), "`account_id` is text"),
    ] {
        let message = fixture(data).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn schemas_keep_the_tables_order_and_name_unknown_columns() {
    let (_, schema) = Buckets.table("s3_bucket").unwrap();
    let arrow = arrow_schema(&schema, &["versioning", "account_id"]).unwrap();
    let names: Vec<&String> = arrow.fields().iter().map(|f| f.name()).collect();
    assert_eq!(names, ["account_id", "versioning"]);
    assert!(
        arrow_schema(&schema, &["x"])
            .unwrap_err()
            .to_string()
            .contains("valid columns are account_id")
    );
}

proptest! {
    /// Whatever is prepared can be appended, and the array has one slot for each value.
    #[test]
    fn any_values_give_as_many_slots(values in proptest::collection::vec(any_value(), 0..20)) {
        let mut builder = ColumnBuilder::plain(&rules_type()).unwrap();
        let mut expected = Vec::new();
        for value in &values {
            if let Ok(prepared) = builder.prepare(value) {
                expected.push(!prepared.is_null());
                let prepared = prepared.into_owned();
                builder.append(&prepared);
            }
        }
        let array = builder.finish().unwrap();
        let valid: Vec<bool> = (0..array.len()).map(|i| array.is_valid(i)).collect();
        prop_assert_eq!(valid, expected);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::Int),
        "[a-z]{0,5}".prop_map(|t| text(&t))
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            proptest::collection::vec(inner, 0..3).prop_map(|fields| record(RULE, fields)),
        ]
    })
}

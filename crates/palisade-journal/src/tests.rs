use crate::bytes::Reader;
use crate::{About, HOLDS, Journal, JournalError, Journaled, Rules, files_of, value};
use palisade_core::{CallErrorKind, Timestamp};
use palisade_model::{
    Api, ApiError, CallFuture, CallRequest, Models, OperationStatistics, Page, Record, ShapeId,
    Value,
};
use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

thread_local! {
    /// The time of a test, in microseconds.
    static NOW: Cell<i64> = const { Cell::new(1_700_000_000_000_000) };
}

fn now() -> Timestamp {
    Timestamp::from_micros(NOW.get())
}

fn models() -> Arc<Models> {
    static MODELS: std::sync::OnceLock<Arc<Models>> = std::sync::OnceLock::new();
    Arc::clone(MODELS.get_or_init(|| Arc::new(Models::embedded())))
}

fn rules() -> Rules {
    let waits = ("iam".to_owned(), "GenerateCredentialReport".to_owned());
    let none = ("iam".to_owned(), "GetUser".to_owned());
    let codes = ["NoSuchEntity", "Other: of this kind"].map(str::to_owned);
    Rules {
        models: models(),
        absent: Arc::new([(none, codes.into())].into()),
        asked_again: Arc::new([waits].into()),
        clock: now,
    }
}

fn about() -> About {
    About {
        run: "20260131T120000Z-1a2b3c4d".to_owned(),
        account_id: "111122223333".to_owned(),
        part: "account".to_owned(),
        palisade: "0.1.0".to_owned(),
        catalog: "abc".to_owned(),
    }
}

/// The output of an operation, with a text in one of its members.
fn output(service: &str, operation: &str, member: &str, text: &str) -> Value {
    let model = models().get(service).unwrap();
    let output = model.operation(operation).unwrap().output.as_ref();
    let shape = output.unwrap().shape;
    let members = &model.shape(shape).unwrap().members;
    let field = |name: &str| match name == member {
        true => Value::String(text.into()),
        false => Value::Null,
    };
    Value::Struct(Box::new(Record {
        shape,
        fields: members.iter().map(|m| field(&m.name)).collect(),
    }))
}

/// Answers `iam:ListUsers` in pages (`a` → `b` → end), and everything else with what it was asked.
#[derive(Default)]
struct Aws {
    asked: Mutex<Vec<String>>,
    refuses: Option<(&'static str, &'static str, &'static str)>,
}

impl Aws {
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

impl Api for Aws {
    fn call<'a>(&'a self, request: CallRequest<'a>) -> CallFuture<'a> {
        let params = Json::Object(request.params.clone()).to_string();
        let asked = format!("{}:{} {params}", request.service, request.operation);
        self.asked.lock().unwrap().push(asked.clone());
        let refused = self.refuses.filter(|(what, ..)| asked.contains(what));
        let answer = move || {
            if let Some((_, code, message)) = refused {
                return Err(ApiError {
                    kind: CallErrorKind::Other,
                    code: code.to_owned(),
                    message: message.to_owned(),
                });
            }
            let next = match request.params.get("Marker").and_then(Json::as_str) {
                _ if request.operation != "ListUsers" => None,
                None => Some("a"),
                Some("a") => Some("b"),
                _ => None,
            };
            let member = if request.operation == "ListUsers" {
                "Marker"
            } else {
                "Arn"
            };
            Ok(Page {
                value: output(
                    request.service,
                    request.operation,
                    member,
                    next.unwrap_or("the answer"),
                ),
                next: next.map(|marker| {
                    let mut next = request.params.clone();
                    next.insert("Marker".to_owned(), json!(marker));
                    next
                }),
            })
        };
        Box::pin(async move { answer() })
    }
    fn statistics(&self) -> Vec<OperationStatistics> {
        Vec::new()
    }
}

fn ask(api: &dyn Api, operation: &str, params: Json) -> Result<Page, ApiError> {
    let (service, operation) = operation.split_once(':').unwrap();
    let params = params.as_object().unwrap().clone();
    let request = CallRequest {
        service,
        operation,
        region: "us-east-1",
        params: &params,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(api.call(request))
}

/// All pages of a list.
fn list(api: &dyn Api) -> usize {
    let mut params = Map::new();
    for pages in 1.. {
        match ask(api, "iam:ListUsers", params.into()).unwrap().next {
            Some(next) => params = next,
            None => return pages,
        }
    }
    unreachable!()
}

fn open(folder: &Path, attempt: &str) -> (Arc<Journal>, Vec<JournalError>) {
    let (journal, troubles) = Journal::open(folder, attempt, about(), rules()).unwrap();
    (Arc::new(journal), troubles)
}

fn over(aws: &Arc<Aws>, journal: &Arc<Journal>) -> Journaled {
    let aws = Arc::clone(aws) as Arc<dyn Api>;
    Journaled::new(aws, |_, _| true, Arc::clone(journal))
}

/// A first attempt that got some answers: the file that it left.
fn begun(folder: &Path, calls: &[(&str, Json)]) -> PathBuf {
    let (journal, troubles) = open(folder, "first");
    assert!(troubles.is_empty() && journal.is_empty());
    let api = over(&Arc::default(), &journal);
    for (operation, params) in calls {
        ask(&api, operation, params.clone()).unwrap();
    }
    let mut files = files_of(folder, &about()).unwrap();
    assert_eq!(files.len(), 1);
    files.pop().unwrap()
}

fn user(name: &str) -> (&'static str, Json) {
    ("iam:GetUser", json!({ "UserName": name }))
}

const VPC: &str = "ec2:DescribeVpcs";

#[test]
fn what_was_answered_is_not_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let calls = [user("one"), (VPC, json!({"B": 1, "A": [{"D": 2, "C": 3}]}))];
    let file = begun(folder.path(), &calls);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let (journal, troubles) = open(folder.path(), "second");
    assert!(troubles.is_empty());
    assert_eq!(journal.len(), 2);
    let aws = Arc::default();
    let api = over(&aws, &journal);
    let page = ask(&api, "iam:GetUser", json!({"UserName": "one"})).unwrap();
    assert_eq!(page.value, output("iam", "GetUser", "Arn", "the answer"));
    // parameters in another order are the same
    ask(&api, VPC, json!({"A": [{"C": 3, "D": 2}], "B": 1})).unwrap();
    assert!(aws.asked().is_empty());
    ask(&api, "iam:GetUser", json!({"UserName": "two"})).unwrap();
    assert_eq!(aws.asked().len(), 1);
    assert_eq!(journal.answered(), 2);
    // and what the second got is there for the third
    let (third, _) = open(folder.path(), "third");
    assert_eq!(third.len(), 3);
    third.remove();
    assert!(files_of(folder.path(), &about()).unwrap().is_empty());
}

#[test]
fn what_failed_or_is_waited_for_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), "first");
    let aws = Arc::new(Aws {
        refuses: Some(("secret", "AccessDenied", "")),
        ..Aws::default()
    });
    let api = over(&aws, &journal);
    ask(&api, "iam:GetUser", json!({"UserName": "secret"})).unwrap_err();
    ask(&api, "sts:GetCallerIdentity", json!({})).unwrap();
    ask(&api, "iam:GenerateCredentialReport", json!({})).unwrap();
    assert!(open(folder.path(), "second").0.is_empty());
}

#[test]
fn that_there_is_none_is_an_answer() {
    for (code, message, usable) in [
        ("NoSuchEntity", "no user", true),
        ("Other", "none of this kind", true),
        ("Other", "another", false),
        ("AccessDenied", "", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = open(folder.path(), "first");
        let refusing = Arc::new(Aws {
            refuses: Some(("nobody", code, message)),
            ..Aws::default()
        });
        let nobody = json!({"UserName": "nobody"});
        let first = ask(&over(&refusing, &journal), "iam:GetUser", nobody.clone());
        // of another call it is a failure
        let params = json!({"RoleName": "nobody"});
        ask(&over(&refusing, &journal), "iam:GetRole", params).unwrap_err();
        let (journal, _) = open(folder.path(), "second");
        assert_eq!(journal.len(), usize::from(usable), "{code}");
        let second = ask(&over(&refusing, &journal), "iam:GetUser", nobody);
        assert_eq!(first, second);
        assert_eq!(refusing.asked().len(), if usable { 2 } else { 3 });
    }
}

#[test]
fn a_list_without_its_end_is_listed_again() {
    let page = |marker: &str| ("iam:ListUsers", json!({ "Marker": marker }));
    let first = ("iam:ListUsers", json!({}));
    for (calls, usable) in [
        (vec![first.clone(), page("a"), page("b")], 3),
        (vec![page("b"), first.clone(), page("a")], 3),
        // its end is missing
        (vec![first.clone(), page("a")], 0),
        (vec![first.clone()], 0),
        // its middle is missing
        (vec![first.clone(), page("b")], 0),
        // its beginning is missing: nobody comes to the token again
        (vec![page("a"), page("b")], 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        begun(folder.path(), &calls);
        let (journal, troubles) = open(folder.path(), "second");
        assert!(troubles.is_empty());
        assert_eq!(journal.len(), usable, "{calls:?}");
        let aws = Arc::default();
        assert_eq!(list(&over(&aws, &journal)), 3);
        assert_eq!(aws.asked().len(), 3 - usable, "{calls:?}");
        // by now it is whole
        assert_eq!(open(folder.path(), "third").0.len(), 3);
    }
}

#[test]
fn a_record_that_was_cut_off_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let calls = [user("one"), user("two"), user("three")];
    let file = begun(folder.path(), &calls);
    let whole = std::fs::read(&file).unwrap();
    let mut seen = Vec::new();
    for length in 0..whole.len() {
        std::fs::write(&file, &whole[..length]).unwrap();
        let (journal, troubles) = open(folder.path(), &format!("a{length}"));
        assert!(troubles.is_empty(), "{length}: {troubles:?}");
        seen.push(journal.len());
        // what the second attempt has made is not of the first one
        std::fs::remove_file(files_of(folder.path(), &about()).unwrap().remove(0)).unwrap();
    }
    assert!(seen.is_sorted());
    seen.dedup();
    assert_eq!(seen, [0, 1, 2]);
}

#[test]
fn what_follows_damage_is_not_used_and_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let calls = [user("one"), user("two"), user("three")];
    let file = begun(folder.path(), &calls);
    let whole = std::fs::read(&file).unwrap();
    let mut seen = Vec::new();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&file, &damaged).unwrap();
        let (journal, troubles) = open(folder.path(), &format!("a{at}"));
        let [trouble] = troubles.as_slice() else {
            panic!("{at}: {troubles:?}");
        };
        assert!(trouble.to_string().contains("-first.answers"), "{trouble}");
        assert!(journal.len() < 3);
        seen.push(journal.len());
        std::fs::remove_file(files_of(folder.path(), &about()).unwrap().remove(0)).unwrap();
    }
    assert!(seen.is_sorted());
}

#[test]
fn journals_of_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = begun(folder.path(), &[user("one")]);
    type Change = fn(&mut About);
    let others: [(&str, Change); 4] = [
        ("another account", |a| {
            a.account_id = "999999999999".to_owned()
        }),
        ("another run", |a| {
            a.run = "20260131T120000Z-ffffffff".to_owned()
        }),
        ("another version", |a| a.palisade = "0.2.0".to_owned()),
        ("another catalogue", |a| a.catalog = "def".to_owned()),
    ];
    for (says, change) in others {
        let mut other = about();
        change(&mut other);
        // as if somebody had put it there
        let elsewhere = tempfile::tempdir().unwrap();
        let name = format!("{}-account-first.answers", other.account_id);
        std::fs::copy(&file, elsewhere.path().join(&name)).unwrap();
        let opened = Journal::open(elsewhere.path(), "second", other, rules());
        let (journal, troubles) = opened.unwrap();
        assert!(journal.is_empty());
        let [trouble @ JournalError::Foreign { .. }] = troubles.as_slice() else {
            panic!("{troubles:?}");
        };
        let text = trouble.to_string();
        assert!(text.contains(says) && text.contains(&name), "{text}");
    }
}

#[test]
fn old_answers_are_not_used() {
    let folder = tempfile::tempdir().unwrap();
    begun(folder.path(), &[user("one"), ("iam:ListUsers", json!({}))]);
    NOW.set(NOW.get() + HOLDS / 2);
    let (journal, _) = open(folder.path(), "second");
    let aws = Arc::default();
    assert_eq!(list(&over(&aws, &journal)), 3);
    NOW.set(NOW.get() + HOLDS / 2);
    assert_eq!(open(folder.path(), "third").0.len(), 4);
    // by now the first attempt's are too old; a list is as old as its oldest page
    NOW.set(NOW.get() + 1);
    assert_eq!(open(folder.path(), "fourth").0.len(), 3);
    NOW.set(NOW.get() + HOLDS);
    assert_eq!(open(folder.path(), "fifth").0.len(), 0);
}

#[test]
fn what_was_asked_before_the_run_was_known_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let aws: Arc<Aws> = Arc::default();
    let shared = |service: &str, _: &str| service == "organizations";
    let api = Journaled::without(Arc::clone(&aws) as Arc<dyn Api>, shared, now);
    ask(&api, "organizations:DescribeOrganization", json!({})).unwrap();
    // it is not of this part
    ask(&api, "iam:GetUser", json!({})).unwrap();
    let (journal, _) = open(folder.path(), "first");
    api.attach(journal);
    ask(&api, "organizations:ListRoots", json!({})).unwrap();
    assert_eq!(open(folder.path(), "second").0.len(), 2);
}

/// Members are told by their position: what another build wrote must not be read as this one's.
#[test]
fn an_answer_of_another_shape_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), "first");
    let key = json!({"UserName": "one"});
    let request = CallRequest {
        service: "iam",
        operation: "GetUser",
        region: "us-east-1",
        params: key.as_object().unwrap(),
    };
    let page = Ok(Page {
        value: output("iam", "ListUsers", "Marker", ""),
        next: None,
    });
    journal.note(&crate::journal::Key::of(request), &page, now());
    let (journal, troubles) = open(folder.path(), "second");
    assert!(journal.is_empty() && troubles.is_empty());
}

/// A value of a shape with a text at the end of a path of members, `[]` and `{}`.
fn deep(model: &palisade_model::Model, shape: ShapeId, path: &[&str]) -> Value {
    let Some((step, rest)) = path.split_first() else {
        return Value::String("hush".into());
    };
    let described = model.shape(shape).unwrap();
    let element = || deep(model, described.element.as_ref().unwrap().shape, rest);
    match *step {
        "[]" => Value::List(vec![element()]),
        "{}" => Value::Map(vec![("key".into(), element())]),
        name => {
            let fields = described.members.iter().map(|m| match m.name == name {
                true => deep(model, m.shape, rest),
                false => Value::Null,
            });
            let fields = fields.collect();
            Value::Struct(Box::new(Record { shape, fields }))
        }
    }
}

#[test]
fn what_aws_marks_as_sensitive_is_told_at_any_depth() {
    let models = models();
    let model = models.get("lambda").unwrap();
    let output = model.operation("ListFunctions").unwrap().output.as_ref();
    let shape = output.unwrap().shape;
    for (path, is) in [
        (&["Functions", "[]", "FunctionArn"][..], false),
        (&["Functions", "[]", "Environment", "Variables", "{}"], true),
        (&["Functions", "[]", "Description"], false),
    ] {
        let answer = deep(&model, shape, path);
        assert!(value::is_of(&answer, &model, shape), "{path:?}");
        assert_eq!(value::has_sensitive(&answer, &model, shape), is, "{path:?}");
    }
    let nothing = deep(&model, shape, &["no such member"]);
    assert!(!value::has_sensitive(&nothing, &model, shape));
}

#[test]
fn an_answer_with_a_secret_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path(), "one");
    let models = models();
    let model = models.get("lambda").unwrap();
    let output = model.operation("ListFunctions").unwrap().output.as_ref();
    let shape = output.unwrap().shape;
    let request = CallRequest {
        service: "lambda",
        operation: "ListFunctions",
        region: "eu-west-1",
        params: &Map::new(),
    };
    let key = crate::journal::Key::of(request);
    for (path, keeps) in [
        (&["Functions", "[]", "FunctionArn"][..], true),
        (
            &["Functions", "[]", "Environment", "Variables", "{}"],
            false,
        ),
    ] {
        let value = deep(&model, shape, path);
        let answer = Ok(Page { value, next: None });
        assert_eq!(journal.keeps(&key, &answer), keeps, "{path:?}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Timestamp),
        (-1e300..1e300).prop_map(Value::Float),
        ".{0,20}".prop_map(|s: String| Value::String(s.into())),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|b| Value::Blob(b.into())),
        Just(Value::Json(Box::new(json!({"b": [1.5, null], "a": "x"})))),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let entry = (".{0,5}", inner.clone()).prop_map(|(k, v): (String, Value)| (k.into(), v));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
            prop::collection::vec(entry, 0..5).prop_map(Value::Map),
            (any::<u32>(), prop::collection::vec(inner, 0..5)).prop_map(|(shape, fields)| {
                let shape = ShapeId(shape);
                Value::Struct(Box::new(Record { shape, fields }))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back_as_they_were(value in values()) {
        let mut bytes = Vec::new();
        value::put(&value, &mut bytes);
        let mut reader = Reader(&bytes);
        prop_assert_eq!(value::take(&mut reader), Some(value));
        prop_assert!(reader.is_empty());
        // a part of it is none
        for length in 0..bytes.len() {
            prop_assert_eq!(value::take(&mut Reader(&bytes[..length])), None);
        }
    }

    #[test]
    fn bytes_that_are_no_value_are_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        // whatever it is, it ends
        let _ = value::take(&mut Reader(&bytes));
    }
}

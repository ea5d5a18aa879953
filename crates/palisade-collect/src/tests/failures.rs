use super::fake::*;
use crate::*;
use palisade_core::CallErrorKind;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

const QUEUES: &str = r#"
title = "SQS"
[table.sqs_queue]
about = "Queues."
id = "queue_url"
list = { call = "ListQueues", rows = "QueueUrls[]", scalar = "queue_url" }
[[table.sqs_queue.call]]
call = "GetQueueAttributes"
params = { QueueUrl = "${queue_url}", AttributeNames = ["All"] }
from = "Attributes"
into = "attributes"
"#;

const ACCOUNT: &str = r#"
title = "ECR"
[table.ecr_repository]
about = "Repositories."
id = "repository_name"
arn = "${repository_arn}"
list = { call = "DescribeRepositories", rows = "repositories[]" }
[[table.ecr_repository.call]]
call = "GetRepositoryPolicy"
params = { repositoryName = "${repository_name}" }
from = "policyText"
into = "policy"
absent = ["RepositoryPolicyNotFoundException"]
[table.ecr_image]
about = "Images."
id = "image_digest"
list = { call = "DescribeImages", parent = "ecr_repository", params = { repositoryName = "${parent.repository_name}" }, rows = "imageDetails[]" }
[table.ecr_image.column]
policy_of_repository = { value = "${parent.policy}" }
"#;

fn page_of(names: &[&str]) -> Json {
    let repository = |n: &&str| json!({"repositoryName": n, "repositoryArn": format!("arn:{n}")});
    json!({"repositories": names.iter().map(repository).collect::<Vec<Json>>()})
}

#[test]
fn a_list_that_fails_is_a_gap_with_the_permission_and_so_are_its_children() {
    let fake = Fake::new()
        .on("ecr:DescribeRepositories", |seen| match seen.region {
            "eu-west-1" => denied(),
            _ => ok(page_of(&["a"])),
        })
        .on("ecr:DescribeImages", |_| {
            ok(json!({"imageDetails": [{"imageDigest": "d"}]}))
        });
    let fake = Arc::new(fake);
    let mut request = some("ecr_repository", &["repository_name"]);
    request.add("ecr_image", ["image_digest"]);
    let ran = collect(
        &catalog("ecr", ACCOUNT),
        &request,
        &targets(&fake, &["us-east-1", "eu-west-1"]),
    );
    for table in ["ecr_repository", "ecr_image"] {
        assert_eq!(
            ran.gaps(table),
            [(
                "eu-west-1".to_owned(),
                "DescribeRepositories:AccessDenied".to_owned()
            )]
        );
        assert_eq!(ran.rows(table).len(), 1);
    }
    let gap = &ran.collected.dataset.tables["ecr_image"].gaps[0];
    assert_eq!(
        (gap.account_id.as_str(), gap.error.permissions[0].as_str()),
        ("111111111111", "ecr:DescribeRepositories")
    );
    assert_eq!(
        gap.error.to_string(),
        "ecr:DescribeRepositories failed with AccessDenied; needs ecr:DescribeRepositories"
    );
    assert_eq!(ran.counts("ecr:DescribeRepositories"), (2, 1, 1));
    assert!(!ran.collected.coverage.is_complete());
}

#[test]
fn a_page_that_fails_keeps_the_rows_before_it() {
    let fake = Fake::new()
        .on("ecr:DescribeRepositories", |seen| {
            match seen.text("nextToken").as_str() {
                "" => page(page_of(&["a", "b"]), json!({"nextToken": "2"})),
                _ => refuse(CallErrorKind::Throttled, "Throttling"),
            }
        })
        .on("ecr:DescribeImages", |seen| {
            ok(json!({"imageDetails": [{"imageDigest": seen.text("repositoryName")}]}))
        });
    let fake = Arc::new(fake);
    let mut request = some("ecr_repository", &["repository_name"]);
    request.add("ecr_image", ["image_digest"]);
    let ran = collect(
        &catalog("ecr", ACCOUNT),
        &request,
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(ran.column("ecr_repository", "repository_name"), ["a", "b"]);
    assert_eq!(ran.column("ecr_image", "image_digest"), ["a", "b"]);
    for table in ["ecr_repository", "ecr_image"] {
        assert_eq!(
            ran.gaps(table),
            [(
                "us-east-1".to_owned(),
                "DescribeRepositories:Throttling".to_owned()
            )]
        );
    }
}

#[test]
fn a_value_of_the_parent_that_is_not_known_marks_what_needs_it() {
    let fake = Fake::new()
        .answers("ecr:DescribeRepositories", page_of(&["a", "b"]))
        .on("ecr:GetRepositoryPolicy", |seen| {
            match seen.text("repositoryName").as_str() {
                "a" => denied(),
                name => ok(json!({"policyText": name})),
            }
        })
        .on("ecr:DescribeImages", |seen| {
            ok(json!({"imageDetails": [{"imageDigest": seen.text("repositoryName")}]}))
        });
    let fake = Arc::new(fake);
    let request = some("ecr_image", &["policy_of_repository"]);
    let ran = collect(
        &catalog("ecr", ACCOUNT),
        &request,
        &targets(&fake, &["us-east-1"]),
    );
    // Listing needs only the name; the cell that carries the policy is unknown.
    assert_eq!(ran.column("ecr_image", "image_digest"), ["a", "b"]);
    assert_eq!(
        ran.column("ecr_image", "policy_of_repository"),
        [Json::Null, json!("b")]
    );
    assert_eq!(
        ran.failures("ecr_image", "image_digest"),
        [(json!("a"), 0, "AccessDenied".to_owned())]
    );

    // Where the parameter itself is not known, the list cannot be asked for.
    let by_policy = ACCOUNT.replace("${parent.repository_name}", "${parent.policy}");
    let ran = collect(
        &catalog("ecr", &by_policy),
        &some("ecr_image", &["image_digest"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(ran.column("ecr_image", "image_digest"), ["b"]);
    assert_eq!(
        ran.gaps("ecr_image"),
        [(
            "us-east-1".to_owned(),
            "GetRepositoryPolicy:AccessDenied".to_owned()
        )]
    );
}

#[test]
fn what_does_not_have_the_models_form_is_malformed_and_never_empty() {
    let toml = ACCOUNT;
    for (answer, expected) in [
        (json!({"repositories": "none"}), "a list"),
        (json!({"repositories": ["x"]}), ""),
        (Json::Null, "the answer is empty"),
    ] {
        let fake = Arc::new(Fake::new().answers("ecr:DescribeRepositories", answer.clone()));
        let ran = collect(
            &catalog("ecr", toml),
            &some("ecr_repository", &["repository_uri"]),
            &targets(&fake, &["us-east-1"]),
        );
        let failure = &ran.collected.coverage.failures[0].0;
        assert_eq!(
            (failure.kind, failure.code.as_str()),
            (CallErrorKind::Malformed, "Malformed"),
            "{answer}"
        );
        assert!(failure.message.contains(expected), "{}", failure.message);
        let marked = ran.gaps("ecr_repository").len()
            + ran.failures("ecr_repository", "repository_name").len();
        assert_eq!(marked, 1, "{answer}");
    }
    // A member of the wrong kind marks the row.
    let answer = json!({"repositories": [{"repositoryName": "a", "repositoryArn": "arn:a", "createdAt": "soon"}, {"repositoryName": "b"}]});
    let answer = answer.to_string().replace("soon", "2026-01-01T00:00:00Z");
    let answer: Json = serde_json::from_str(&answer).unwrap();
    let fake = Fake::new().on("ecr:DescribeRepositories", move |_| {
        let mut answer = answer.clone();
        answer["repositories"][1]["createdAt"] = json!(true);
        ok(answer)
    });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("ecr", toml),
        &some("ecr_repository", &["created_at", "repository_uri"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(
        ran.failures("ecr_repository", "repository_name"),
        [(json!("b"), 0, "Malformed".to_owned())]
    );
    assert_eq!(ran.column("ecr_repository", "repository_name"), ["a", "b"]);
}

#[test]
fn a_row_answer_of_the_wrong_form_marks_the_cell() {
    let fake = Fake::new()
        .answers("sqs:ListQueues", json!({"QueueUrls": ["q1", "q2"]}))
        .on("sqs:GetQueueAttributes", |seen| {
            match seen.text("QueueUrl").as_str() {
                "q1" => ok(json!({"Attributes": [1]})),
                _ => ok(json!({"Attributes": {"Policy": "p"}})),
            }
        });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("sqs", QUEUES),
        &everything(&["sqs_queue"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(
        ran.column("sqs_queue", "attributes"),
        [Json::Null, json!({"Policy": "p"})]
    );
    assert_eq!(
        ran.failures("sqs_queue", "queue_url"),
        [(json!("q1"), 1, "Malformed".to_owned())]
    );
    assert_eq!(ran.collected.coverage.failures.len(), 1);
    assert!(
        ran.collected.coverage.failures[0]
            .0
            .message
            .starts_with("column `attributes`: expected a map")
    );
}

#[test]
fn a_page_that_leads_to_itself_ends() {
    let fake = Fake::new().on("sqs:ListQueues", |_| {
        page(json!({"QueueUrls": ["q"]}), json!({"NextToken": "x"}))
    });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("sqs", QUEUES),
        &some("sqs_queue", &["queue_url"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(fake.calls().len(), 2);
    assert_eq!(
        ran.gaps("sqs_queue"),
        [("us-east-1".to_owned(), "ListQueues:Malformed".to_owned())]
    );
}

#[test]
fn regions_without_the_service_are_skipped_and_said() {
    let toml = r#"
title = "Shield"
[table.shield_protection]
about = "Protections."
id = "id"
list = { call = "ListProtections", rows = "Protections[]" }
"#;
    let fake = Arc::new(Fake::new());
    let mut targets = targets(&fake, &["us-east-1", "eu-west-1"]);
    let mut facts = palisade_model::Regions::default();
    let at = palisade_model::ServiceRegions {
        global: None,
        regions: vec!["ap-south-1".to_owned()],
    };
    facts
        .services
        .entry("shield".to_owned())
        .or_default()
        .insert("aws".to_owned(), at);
    targets.regions = Arc::new(facts);
    let catalog = catalog("shield", toml);
    let ran = collect(&catalog, &everything(&["shield_protection"]), &targets);
    assert!(fake.calls().is_empty() && ran.gaps("shield_protection").is_empty());
    let skipped: Vec<(&str, &str)> = ran
        .collected
        .coverage
        .skipped
        .iter()
        .map(|s| (s.service.as_str(), s.region.as_str()))
        .collect();
    assert_eq!(skipped, [("shield", "eu-west-1"), ("shield", "us-east-1")]);
    assert!(ran.collected.coverage.is_complete());

    // The service says itself that it is not there.
    let fake = Arc::new(Fake::new().on("shield:ListProtections", |_| {
        refuse(CallErrorKind::Unavailable, "OptInRequired")
    }));
    let ran = collect(
        &catalog,
        &everything(&["shield_protection"]),
        &super::fake::targets(&fake, &["us-east-1"]),
    );
    assert!(ran.gaps("shield_protection").is_empty() && ran.collected.coverage.is_complete());
    assert_eq!(ran.collected.coverage.skipped.len(), 1);
    assert_eq!(ran.counts("shield:ListProtections"), (0, 0, 0));
}

#[test]
fn stopping_marks_everything_that_was_not_read() {
    let fake = Fake::new()
        .on("sqs:ListQueues", |seen| match seen.region {
            "us-east-1" => ok(json!({"QueueUrls": ["q1", "q2", "q3", "q4"]})),
            _ => page(
                json!({"QueueUrls": ["far"]}),
                json!({"NextToken": seen.times.to_string()}),
            ),
        })
        .answers(
            "sqs:GetQueueAttributes",
            json!({"Attributes": {"Policy": "p"}}),
        );
    let fake = Arc::new(fake);
    let limits = Limits {
        in_flight: 2,
        ..Limits::default()
    };
    let request = everything(&["sqs_queue"]);
    let targets = accounts(
        &fake,
        &["222222222222", "111111111111"],
        &["us-east-1", "eu-west-1"],
    );
    let ran = collect_within(
        &catalog("sqs", QUEUES),
        &request,
        &targets,
        &limits,
        Some(Duration::from_millis(200)),
    );
    let coverage = &ran.collected.coverage;
    assert!(coverage.interrupted && !coverage.is_complete());
    assert!(
        ran.elapsed <= Duration::from_millis(201),
        "{:?}",
        ran.elapsed
    );
    let table = &ran.collected.dataset.tables["sqs_queue"];
    assert!(
        table
            .gaps
            .iter()
            .all(|g| g.error.kind == CallErrorKind::NotMade)
    );
    let gaps: Vec<(&str, &str)> = table
        .gaps
        .iter()
        .map(|g| (g.account_id.as_str(), g.region.as_str()))
        .collect();
    assert!(
        gaps.contains(&("111111111111", "eu-west-1"))
            && gaps.contains(&("222222222222", "us-east-1")),
        "{gaps:?}"
    );
    // Rows that were listed are there; what was not asked for them is marked.
    for (row, attributes) in ran
        .rows("sqs_queue")
        .iter()
        .zip(ran.column("sqs_queue", "attributes"))
    {
        let marked = ran
            .failures("sqs_queue", "queue_url")
            .iter()
            .any(|(name, _, code)| name == &row["queue_url"] && code == "Interrupted");
        assert!(marked || !attributes.is_null());
    }
    let (planned, succeeded, failed) = ran.counts("sqs:GetQueueAttributes");
    assert!(planned > succeeded && failed == 0);
}

#[test]
fn stopping_before_the_first_call_is_all_gaps() {
    let fake = Arc::new(Fake::new());
    let ran = collect_within(
        &catalog("sqs", QUEUES),
        &everything(&["sqs_queue"]),
        &targets(&fake, &["us-east-1"]),
        &Limits::default(),
        Some(Duration::ZERO),
    );
    assert_eq!(
        ran.gaps("sqs_queue"),
        [("us-east-1".to_owned(), "ListQueues:Interrupted".to_owned())]
    );
    assert!(ran.collected.coverage.interrupted);
}

#[test]
fn a_thousand_failures_of_one_kind_are_one_line() {
    let urls: Vec<String> = (0..1000).map(|i| format!("q{i}")).collect();
    let fake = Fake::new()
        .answers("sqs:ListQueues", json!({"QueueUrls": urls}))
        .on("sqs:GetQueueAttributes", |seen| {
            let mut reply = denied();
            if let Err(error) = &mut reply.answer {
                error.message = format!("no access to {}", seen.text("QueueUrl"));
            }
            reply
        });
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("sqs", QUEUES),
        &everything(&["sqs_queue"]),
        &targets(&fake, &["us-east-1"]),
    );
    let failures = &ran.collected.coverage.failures;
    assert_eq!(
        (
            failures.len(),
            failures[0].1,
            failures[0].0.message.as_str()
        ),
        (1, 1000, "no access to q0")
    );
    assert_eq!(ran.failures("sqs_queue", "queue_url").len(), 1000);
    assert_eq!(ran.counts("sqs:GetQueueAttributes"), (1000, 0, 1000));
}

#[test]
fn a_code_that_says_too_little_means_absent_with_its_message_only() {
    let fake = Fake::new()
        .answers("ecr:DescribeRepositories", page_of(&["a", "b"]))
        .on("ecr:GetRepositoryPolicy", |seen| {
            match seen.text("repositoryName").as_str() {
                "a" => refuse(CallErrorKind::Denied, "Refused"),
                _ => refuse(CallErrorKind::Denied, "Other"),
            }
        });
    let catalogue = ACCOUNT.replace(
        r#"absent = ["RepositoryPolicyNotFoundException"]"#,
        r#"absent = ["Refused: Refused happened", "Other: another thing happened"]"#,
    );
    let fake = Arc::new(fake);
    let ran = collect(
        &catalog("ecr", &catalogue),
        &some("ecr_repository", &["repository_name", "policy"]),
        &targets(&fake, &["us-east-1"]),
    );
    assert_eq!(ran.column("ecr_repository", "repository_name"), ["a", "b"]);
    let failures: Vec<(usize, &str)> = ran.collected.dataset.tables["ecr_repository"]
        .batches
        .iter()
        .flat_map(|b| &b.failures)
        .map(|f| (f.row, f.error.code.as_str()))
        .collect();
    assert_eq!(failures, [(1, "Other")]);
    assert_eq!(ran.counts("ecr:GetRepositoryPolicy"), (2, 1, 1));
}

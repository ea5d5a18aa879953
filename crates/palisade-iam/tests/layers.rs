//! How the layers and the special services decide, case by case, as AWS's guides say.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use palisade_iam::*;

const ALL: &str = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;

fn policy(statements: &str) -> Policy {
    Policy::parse(&format!(
        r#"{{"Version":"2012-10-17","Statement":[{statements}]}}"#
    ))
    .unwrap()
}

fn source(policy: &Policy) -> Source<'_> {
    Source {
        name: "policy",
        policy,
    }
}

fn request(principal: &str, action: &str, resource: &str) -> Request {
    Request {
        principal: Principal::new(principal),
        action: action.to_owned(),
        resource: resource.to_owned(),
        resource_account: Some("111111111111".to_owned()),
        context: Context::closed(),
    }
}

const USER: &str = "arn:aws:iam::111111111111:user/u";
const OUTSIDER: &str = "arn:aws:iam::222222222222:role/r";
const KEY: &str = "arn:aws:kms:eu-west-1:111111111111:key/k";
const ROLE: &str = "arn:aws:iam::111111111111:role/target";
const OBJECT: &str = "arn:aws:s3:::b/x";

#[test]
fn a_key_policy_must_let_even_its_own_account_in() {
    let all = policy(ALL);
    let own = PolicySets {
        identity: vec![source(&all)],
        ..PolicySets::default()
    };
    assert_eq!(
        decide(&request(USER, "kms:Decrypt", KEY), &own),
        Decision::ImplicitDeny
    );
    let key = policy(
        r#"{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"kms:*","Resource":"*"}"#,
    );
    let both = PolicySets {
        resource: Some(source(&key)),
        ..own.clone()
    };
    assert_eq!(
        decide(&request(USER, "kms:Decrypt", KEY), &both),
        Decision::Allow
    );
    let only_key = PolicySets {
        resource: Some(source(&key)),
        ..PolicySets::default()
    };
    assert_eq!(
        decide(&request(USER, "kms:Decrypt", KEY), &only_key),
        Decision::ImplicitDeny
    );
    let grant = KmsGrant {
        grantee: USER.to_owned(),
        operations: vec!["Decrypt".to_owned()],
        context_subset: vec![("a".to_owned(), "b".to_owned())],
    };
    let granted = PolicySets {
        grants: vec![grant],
        ..PolicySets::default()
    };
    let mut asked = request(USER, "kms:Decrypt", KEY);
    assert_eq!(decide(&asked, &granted), Decision::ImplicitDeny);
    asked.context.set("kms:EncryptionContext:a", ["b"]);
    assert_eq!(decide(&asked, &granted), Decision::Allow);
    assert_eq!(
        decide(&request(USER, "kms:ListKeys", "*"), &own),
        Decision::Allow
    );
}

#[test]
fn roles_are_assumed_by_whom_they_trust() {
    let all = policy(ALL);
    let trust = |who: &str| {
        policy(&format!(
            r#"{{"Effect":"Allow","Principal":{who},"Action":"sts:AssumeRole"}}"#
        ))
    };
    let assume = |principal: &str, trust: &Policy, identity: bool| {
        let identity = if identity {
            vec![source(&all)]
        } else {
            Vec::new()
        };
        decide(
            &request(principal, "sts:AssumeRole", ROLE),
            &PolicySets {
                identity,
                resource: Some(source(trust)),
                ..PolicySets::default()
            },
        )
    };
    let named = trust(&format!(r#"{{"AWS":"{USER}"}}"#));
    assert_eq!(assume(USER, &named, false), Decision::Allow);
    let account = trust(r#"{"AWS":"111111111111"}"#);
    assert_eq!(assume(USER, &account, false), Decision::ImplicitDeny);
    assert_eq!(assume(USER, &account, true), Decision::Allow);
    let foreign = trust(&format!(r#"{{"AWS":"{OUTSIDER}"}}"#));
    assert_eq!(assume(OUTSIDER, &foreign, false), Decision::ImplicitDeny);
    assert_eq!(assume(OUTSIDER, &foreign, true), Decision::Allow);
    assert_eq!(assume(USER, &foreign, true), Decision::ImplicitDeny);
    let service = trust(r#"{"Service":"lambda.amazonaws.com"}"#);
    assert_eq!(
        assume("lambda.amazonaws.com", &service, false),
        Decision::Allow
    );
    assert_eq!(
        assume("ec2.amazonaws.com", &service, false),
        Decision::ImplicitDeny
    );
    let provider = "arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com";
    let web = policy(&format!(
        r#"{{"Effect":"Allow","Principal":{{"Federated":"{provider}"}},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{{"StringLike":{{"token.actions.githubusercontent.com:sub":"repo:o/r:*"}}}}}}"#
    ));
    let sets = PolicySets {
        resource: Some(source(&web)),
        ..PolicySets::default()
    };
    let mut asked = request(provider, "sts:AssumeRoleWithWebIdentity", ROLE);
    assert_eq!(decide(&asked, &sets), Decision::ImplicitDeny);
    asked
        .context
        .set("token.actions.githubusercontent.com:sub", ["repo:o/r:main"]);
    assert_eq!(decide(&asked, &sets), Decision::Allow);
}

#[test]
fn anonymous_callers_and_public_access_block() {
    let open = policy(
        r#"{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"}"#,
    );
    let sets = PolicySets {
        resource: Some(source(&open)),
        ..PolicySets::default()
    };
    assert_eq!(
        decide(&request("*", "s3:GetObject", OBJECT), &sets),
        Decision::Allow
    );
    let blocked = PolicySets {
        restrict_public_buckets: Truth::True,
        ..sets.clone()
    };
    assert_eq!(
        decide(&request("*", "s3:GetObject", OBJECT), &blocked),
        Decision::ImplicitDeny
    );
    assert_eq!(
        decide(&request(USER, "s3:GetObject", OBJECT), &blocked),
        Decision::Allow
    );
    let foreign = PolicySets {
        object_owner: Some("333333333333"),
        ..sets
    };
    assert_eq!(
        decide(&request("*", "s3:GetObject", OBJECT), &foreign),
        Decision::ImplicitDeny
    );
}

#[test]
fn guardrails_spare_service_linked_roles_and_bind_root() {
    let (all, none) = (
        policy(ALL),
        policy(r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#),
    );
    let sets = PolicySets {
        identity: vec![source(&all)],
        scp: vec![Level {
            name: "root",
            policies: vec![source(&all), source(&none)],
        }],
        ..PolicySets::default()
    };
    let linked =
        "arn:aws:iam::111111111111:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX";
    assert_eq!(
        decide(&request(linked, "sqs:SendMessage", "*"), &sets),
        Decision::Allow
    );
    assert_eq!(
        decide(
            &request("arn:aws:iam::111111111111:root", "sqs:SendMessage", "*"),
            &sets
        ),
        Decision::ExplicitDeny
    );
    assert_eq!(
        decide(
            &request("arn:aws:iam::111111111111:root", "sqs:SendMessage", "*"),
            &PolicySets::default()
        ),
        Decision::Allow
    );
    let empty = PolicySets {
        scp: vec![Level {
            name: "ou",
            policies: Vec::new(),
        }],
        identity: vec![source(&all)],
        ..PolicySets::default()
    };
    let answer = explain(&request(USER, "sqs:SendMessage", "*"), &empty);
    assert_eq!(
        (answer.decision, answer.blocked_by),
        (Decision::ImplicitDeny, vec![Layer::ServiceControl])
    );
}

#[test]
fn endpoint_policies_limit_and_resource_controls_bind_outsiders() {
    let (all, reads) = (
        policy(ALL),
        policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"*"}"#),
    );
    let through = PolicySets {
        identity: vec![source(&all)],
        endpoint: Some(vec![source(&reads)]),
        ..PolicySets::default()
    };
    assert_eq!(
        decide(&request(USER, "s3:GetObject", OBJECT), &through),
        Decision::Allow
    );
    assert_eq!(
        decide(&request(USER, "s3:PutObject", OBJECT), &through),
        Decision::ImplicitDeny
    );
    let organization = policy(
        r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-1"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}"#,
    );
    let bucket = policy(r#"{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}"#);
    let sets = PolicySets {
        identity: vec![source(&all)],
        resource: Some(source(&bucket)),
        rcp: vec![Level {
            name: "root",
            policies: vec![source(&organization)],
        }],
        ..PolicySets::default()
    };
    let answer = explain(&request(OUTSIDER, "s3:GetObject", OBJECT), &sets);
    assert_eq!(
        (answer.decision, answer.blocked_by.clone()),
        (Decision::ExplicitDeny, vec![Layer::ResourceControl])
    );
    assert!(
        answer
            .to_lines()
            .iter()
            .any(|l| l.starts_with("rcp at root denies: statement #1")),
        "{:?}",
        answer.to_lines()
    );
}

#[test]
fn what_is_not_known_is_said() {
    let needs = policy(
        r#"{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}"#,
    );
    let sets = PolicySets {
        identity: vec![source(&needs)],
        ..PolicySets::default()
    };
    let mut asked = request(USER, "s3:GetObject", OBJECT);
    asked.context = Context::open();
    let answer = explain(&asked, &sets);
    assert_eq!(answer.decision, Decision::DependsOn);
    assert_eq!(
        answer.depends_on,
        ["Bool aws:MultiFactorAuthPresent [true] (for the allow in #1)"]
    );
    asked.context.set("aws:MultiFactorAuthPresent", ["true"]);
    assert_eq!(decide(&asked, &sets), Decision::Allow);
}

#[test]
fn accounts_answer_questions() {
    let details = r#"{
      "UserDetailList":[{"UserName":"u","Arn":"arn:aws:iam::111111111111:user/u","GroupList":["g"]}],
      "GroupDetailList":[{"GroupName":"g","Arn":"arn:aws:iam::111111111111:group/g","AttachedManagedPolicies":[{"PolicyName":"AdministratorAccess","PolicyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}]}],
      "RoleDetailList":[
        {"RoleName":"r","Arn":"arn:aws:iam::111111111111:role/r","RolePolicyList":[{"PolicyName":"p","PolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage","sqs:SendMessag"],"Resource":"arn:aws:sqs:*:*:q"}]}}],
         "AssumeRolePolicyDocument":"%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22333333333333%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D"},
        {"RoleName":"x","Arn":"arn:aws:iam::111111111111:role/x","AttachedManagedPolicies":[{"PolicyArn":"arn:aws:iam::aws:policy/Unheard"}]}],
      "Policies":[]}"#;
    let mut model = Model::default();
    model.add_authorization_details(details).unwrap();
    assert_eq!(model.admins(), [USER]);
    let who = model.who_can(
        "sqs:SendMessage",
        "arn:aws:sqs:eu-west-1:111111111111:q",
        &Context::closed(),
    );
    let names: Vec<(&str, bool)> = who
        .iter()
        .map(|g| (g.principal.as_str(), g.conditional))
        .collect();
    // The policy of the second role is not known: it may allow this, or anything.
    assert_eq!(
        names,
        [
            ("arn:aws:iam::111111111111:role/r", false),
            ("arn:aws:iam::111111111111:role/x", true),
            (USER, false)
        ]
    );
    assert_eq!(
        model.possible_admins(),
        [
            (
                "arn:aws:iam::111111111111:role/x".to_owned(),
                Truth::Unknown
            ),
            (USER.to_owned(), Truth::True)
        ]
    );
    let catalogue = Catalogue::embedded().unwrap();
    let what = model.what_can(
        "arn:aws:iam::111111111111:role/r",
        &Context::closed(),
        catalogue,
    );
    assert_eq!(what.keys().collect::<Vec<_>>(), ["sqs:SendMessage"]);
    let external = model.external();
    assert_eq!(
        (external.len(), external[0].kind, external[0].who.as_str()),
        (1, ExternalKind::CrossAccount, "333333333333")
    );
    assert_eq!(
        model.unused_services(
            "arn:aws:iam::111111111111:role/r",
            &Default::default(),
            catalogue
        ),
        ["sqs"]
    );
    assert!(
        model.problems.iter().any(|p| p.contains("Unheard")),
        "{:?}",
        model.problems
    );
    let answer = model.can(
        "arn:aws:iam::333333333333:role/z",
        "sts:AssumeRole",
        "arn:aws:iam::111111111111:role/r",
        &Context::closed(),
    );
    assert_eq!(answer.blocked_by, [Layer::Identity]);
}

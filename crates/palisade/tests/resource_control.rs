//! Resource control policies of an organisation, as its API tells them: root → unit → unit → account. What is inherited
//! binds, the management account and service-linked roles are free.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use common::{err, out, palisade};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

const MANAGEMENT: &str = "100000000000";
const SHOP: &str = "222222222222";
const LAB: &str = "333333333333";

fn document(statement: Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string()
}

fn deny(action: &str) -> Value {
    json!({ "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*" })
}

/// Name, content, and targets (id, type).
type Policy = (&'static str, String, Vec<(&'static str, &'static str)>);

/// The policies of a kind.
fn policies(kind: &str) -> Vec<Policy> {
    let everything = json!({ "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*" });
    let everywhere = vec![
        ("r-root", "ROOT"),
        ("ou-root-workloads", "ORGANIZATIONAL_UNIT"),
        ("ou-root-production", "ORGANIZATIONAL_UNIT"),
        ("ou-root-other", "ORGANIZATIONAL_UNIT"),
        (SHOP, "ACCOUNT"),
        (LAB, "ACCOUNT"),
    ];
    if kind == "SERVICE_CONTROL_POLICY" {
        let everything = json!({ "Effect": "Allow", "Action": "*", "Resource": "*" });
        return vec![("FullAWSAccess", document(everything), everywhere)];
    }
    let mut own = deny("s3:*");
    own["Condition"] = json!({
        "StringNotEqualsIfExists": { "aws:PrincipalOrgID": "o-example" },
        "BoolIfExists": { "aws:PrincipalIsAWSService": "false" },
    });
    vec![
        ("RCPFullAWSAccess", document(everything), everywhere),
        ("own-people", document(own), vec![("r-root", "ROOT")]),
        (
            "no-queues",
            document(deny("sqs:*")),
            vec![("ou-root-workloads", "ORGANIZATIONAL_UNIT")],
        ),
        (
            "no-keys",
            document(deny("kms:*")),
            vec![("ou-root-production", "ORGANIZATIONAL_UNIT")],
        ),
        (
            "no-secrets",
            document(deny("secretsmanager:*")),
            vec![(SHOP, "ACCOUNT")],
        ),
        (
            "elsewhere",
            document(deny("ecr:*")),
            vec![("ou-root-other", "ORGANIZATIONAL_UNIT")],
        ),
    ]
}

fn organizations(operation: &str, asked: &Value) -> Value {
    let all = |id: &str| {
        ["SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"]
            .into_iter()
            .flat_map(policies)
            .find(|(name, ..)| format!("p-{name}") == id)
            .unwrap()
    };
    match operation {
        "DescribeOrganization" => json!({ "Organization": {
            "Id": "o-example", "Arn": format!("arn:aws:organizations::{MANAGEMENT}:organization/o-example"),
            "FeatureSet": "ALL", "MasterAccountId": MANAGEMENT,
            "MasterAccountArn": format!("arn:aws:organizations::{MANAGEMENT}:account/o-example/{MANAGEMENT}"),
            "MasterAccountEmail": "aws@example.com",
        }}),
        "ListAccounts" => {
            let account = |id: &str, path: &str| json!({ "Id": id, "Name": id, "Status": "ACTIVE", "Paths": [format!("o-example/{path}{id}/")] });
            json!({ "Accounts": [
                account(MANAGEMENT, "r-root/"),
                account(SHOP, "r-root/ou-root-workloads/ou-root-production/"),
                account(LAB, "r-root/"),
            ]})
        }
        "ListPolicies" => {
            let kind = asked["Filter"].as_str().unwrap();
            let list = policies(kind).into_iter().map(|(name, ..)| {
                let id = format!("p-{name}");
                json!({ "Id": id, "Arn": format!("arn:aws:organizations::{MANAGEMENT}:policy/o-example/{id}"),
                    "Name": name, "Type": kind, "AwsManaged": name.contains("Full") })
            });
            // Two pages: the next one is asked for.
            let list: Vec<Value> = list.collect();
            match asked["NextToken"].as_str() {
                None if list.len() > 2 => json!({ "Policies": list[..2], "NextToken": "2" }),
                None => json!({ "Policies": list }),
                Some(_) => json!({ "Policies": list[2..] }),
            }
        }
        "DescribePolicy" => {
            let (name, content, _) = all(asked["PolicyId"].as_str().unwrap());
            json!({ "Policy": { "PolicySummary": { "Id": format!("p-{name}"), "Name": name }, "Content": content } })
        }
        "ListTargetsForPolicy" => {
            let (_, _, targets) = all(asked["PolicyId"].as_str().unwrap());
            let target =
                |(id, kind): (&str, &str)| json!({ "TargetId": id, "Type": kind, "Name": id });
            json!({ "Targets": targets.into_iter().map(target).collect::<Vec<_>>() })
        }
        other => panic!("{other}"),
    }
}

fn serve(mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut length, mut target) = (0, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "x-amz-target" => value.rsplit('.').next().unwrap().clone_into(&mut target),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = if target.is_empty() {
        format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{MANAGEMENT}:user/auditor</Arn><UserId>AIDAEXAMPLE</UserId><Account>{MANAGEMENT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        )
    } else {
        organizations(&target, &serde_json::from_slice(&body).unwrap()).to_string()
    };
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

/// The guardrails of the organisation, as its management account writes them down.
fn guardrails(folder: &Path) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    let written = palisade(folder)
        .args(["iam", "guardrails", "--region", "us-east-1"])
        .envs([
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
            ("AWS_ENDPOINT_URL", url.as_str()),
        ])
        .output()
        .unwrap();
    assert!(written.status.success(), "{}", err(&written));
    serde_json::from_slice(&written.stdout).unwrap()
}

#[test]
fn every_level_binds_resources_and_who_is_free_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let guardrails = guardrails(folder.path());
    let names = |account: &str| -> Vec<(String, Vec<String>)> {
        let levels = guardrails["ResourceControlPolicies"][account]
            .as_array()
            .unwrap();
        let level = |l: &Value| {
            let policies = l["Policies"].as_array().unwrap().iter();
            let names = policies.map(|p| p["Name"].as_str().unwrap().to_owned());
            (l["Level"].as_str().unwrap().to_owned(), names.collect())
        };
        levels.iter().map(level).collect()
    };
    let level = |id: &str, own: &[&str]| {
        let mut all = vec!["RCPFullAWSAccess".to_owned()];
        all.extend(own.iter().map(|n| (*n).to_owned()));
        (id.to_owned(), all)
    };
    assert_eq!(
        names(SHOP),
        [
            level("r-root", &["own-people"]),
            level("ou-root-workloads", &["no-queues"]),
            level("ou-root-production", &["no-keys"]),
            level(SHOP, &["no-secrets"]),
        ]
    );
    assert_eq!(
        names(LAB),
        [level("r-root", &["own-people"]), level(LAB, &[])]
    );
    assert_eq!(names(MANAGEMENT), []);

    let write = |name: &str, value: &Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("guardrails.json", &guardrails);
    let everything = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] });
    let own = json!([{ "PolicyName": "all", "PolicyDocument": everything }]);
    let user = |account: &str| json!({ "Arn": format!("arn:aws:iam::{account}:user/dev"), "UserName": "dev", "UserPolicyList": own });
    let linked = format!(
        "arn:aws:iam::{SHOP}:role/aws-service-role/sample.amazonaws.com/AWSServiceRoleForSample"
    );
    write(
        "accounts.json",
        &json!({
            "UserDetailList": [user(SHOP), user(LAB), user(MANAGEMENT)],
            "RoleDetailList": [{ "Arn": linked, "RoleName": "AWSServiceRoleForSample", "RolePolicyList": own }],
            "GroupDetailList": [], "Policies": [],
        }),
    );
    let open = |name: &str| {
        let statement = json!({ "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": format!("arn:aws:s3:::{name}/*") });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    };
    let queue = |account: &str| format!("arn:aws:sqs:us-east-1:{account}:q");
    let key = |account: &str| format!("arn:aws:kms:us-east-1:{account}:key/k");
    let to_root = |account: &str| {
        let statement = json!({ "Effect": "Allow", "Principal": { "AWS": account }, "Action": "kms:*", "Resource": "*" });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    };
    let secret = |account: &str| format!("arn:aws:secretsmanager:us-east-1:{account}:secret:s");
    let repository = |account: &str| format!("arn:aws:ecr:us-east-1:{account}:repository/r");
    let mut resources = json!({
        "arn:aws:s3:::shop": { "Owner": SHOP, "Policy": open("shop") },
        "arn:aws:s3:::management": { "Owner": MANAGEMENT, "Policy": open("management") },
    });
    for account in [SHOP, LAB, MANAGEMENT] {
        for arn in [queue(account), secret(account), repository(account)] {
            resources[&arn] = json!({ "Policy": null });
        }
        resources[&key(account)] = json!({ "Policy": to_root(account) });
    }
    write("resources.json", &json!({ "ResourcePolicies": resources }));

    let dev = |account: &str| format!("arn:aws:iam::{account}:user/dev");
    let secret_of = "secretsmanager:GetSecretValue";
    for (who, action, resource, expected) in [
        // Each level of the shop binds what is below it, and the root everyone.
        (
            dev(SHOP),
            "sqs:SendMessage",
            queue(SHOP),
            Some("ou-root-workloads"),
        ),
        (
            dev(SHOP),
            "kms:Decrypt",
            key(SHOP),
            Some("ou-root-production"),
        ),
        (dev(SHOP), secret_of, secret(SHOP), Some(SHOP)),
        (
            "*".to_owned(),
            "s3:GetObject",
            "arn:aws:s3:::shop/x".to_owned(),
            Some("r-root"),
        ),
        // What another unit is denied does not matter.
        (dev(SHOP), "ecr:BatchGetImage", repository(SHOP), None),
        (dev(LAB), "sqs:SendMessage", queue(LAB), None),
        (dev(LAB), "kms:Decrypt", key(LAB), None),
        (dev(LAB), secret_of, secret(LAB), None),
        // They do not bind the management account, nor service-linked roles.
        (
            "*".to_owned(),
            "s3:GetObject",
            "arn:aws:s3:::management/x".to_owned(),
            None,
        ),
        (dev(MANAGEMENT), "sqs:SendMessage", queue(MANAGEMENT), None),
        (linked.clone(), "sqs:SendMessage", queue(SHOP), None),
        (linked.clone(), "kms:Decrypt", key(SHOP), None),
        // The account of the resource decides, not that of the caller: services without resource control go free.
        (
            dev(SHOP),
            "ec2:StartInstances",
            format!("arn:aws:ec2:us-east-1:{SHOP}:instance/i-1"),
            None,
        ),
    ] {
        let ran = palisade(folder.path())
            .args([
                "iam", "explain", &who, action, &resource, "--format", "json",
            ])
            .args([
                "--only-context",
                "--context",
                "aws:PrincipalIsAWSService=false",
            ])
            .args([
                "--from",
                "accounts.json",
                "guardrails.json",
                "resources.json",
            ])
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", err(&ran));
        let answer: Value = serde_json::from_str(&out(&ran)).unwrap();
        let denying = answer["layers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|l| l["says"] == "denies");
        match expected {
            Some(level) => {
                assert_eq!(
                    answer["decision"], "explicit_deny",
                    "{who} {action}: {answer}"
                );
                let denying = denying.unwrap();
                assert_eq!(
                    (&denying["layer"], &denying["level"]),
                    (&json!("rcp"), &json!(level)),
                    "{who} {action}"
                );
            }
            None => assert_eq!(answer["decision"], "allow", "{who} {action}: {answer}"),
        }
    }
}

/// What a policy lets in and the organisation denies is not reachable, and the list says which policy sees to that.
#[test]
fn what_the_organisation_denies_is_not_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let guardrails = guardrails(folder.path());
    let write = |name: &str, value: &Value| {
        std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    };
    write("guardrails.json", &guardrails);
    let outsider = "999999999999";
    let policy = |principal: Value, action: &str, resource: &str| {
        let statement = json!({ "Effect": "Allow", "Principal": principal, "Action": action, "Resource": resource });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    };
    let open =
        |action: &str, name: &str| policy(json!("*"), action, &format!("arn:aws:s3:::{name}/*"));
    let queue = |account: &str| format!("arn:aws:sqs:us-east-1:{account}:q");
    let to_outsider = |account: &str| {
        policy(
            json!({ "AWS": outsider }),
            "sqs:SendMessage",
            &queue(account),
        )
    };
    let trust = policy(json!({ "AWS": outsider }), "sts:AssumeRole", "*");
    let mut trust = trust;
    trust["Statement"][0]
        .as_object_mut()
        .unwrap()
        .remove("Resource");
    let role = format!("arn:aws:iam::{SHOP}:role/partner");
    let user = |account: &str| json!({ "Arn": format!("arn:aws:iam::{account}:user/dev"), "UserName": "dev" });
    write(
        "accounts.json",
        &json!({
            "UserDetailList": [user(SHOP), user(LAB), user(MANAGEMENT)],
            "RoleDetailList": [{ "Arn": role, "RoleName": "partner", "AssumeRolePolicyDocument": trust }],
            "GroupDetailList": [], "Policies": [],
        }),
    );
    let mut resources = json!({
        "arn:aws:s3:::shop": { "Owner": SHOP, "Policy": open("s3:GetObject", "shop") },
        "arn:aws:s3:::everything": { "Owner": SHOP, "Policy": open("*", "everything") },
        "arn:aws:s3:::management": { "Owner": MANAGEMENT, "Policy": open("s3:GetObject", "management") },
    });
    resources["arn:aws:s3:::partner"] = json!({ "Owner": LAB, "Policy":
        policy(json!({ "AWS": outsider }), "s3:GetObject", "arn:aws:s3:::partner/*") });
    for account in [SHOP, LAB] {
        resources[queue(account)] = json!({ "Policy": to_outsider(account) });
    }
    write("resources.json", &json!({ "ResourcePolicies": resources }));
    let files = [
        "--from",
        "accounts.json",
        "guardrails.json",
        "resources.json",
    ];
    let ask = |format: &str| {
        let ran = palisade(folder.path())
            .args(["iam", "external", "--format", format])
            .args(files)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{}", err(&ran));
        out(&ran)
    };
    let answer: Value = serde_json::from_str(&ask("json")).unwrap();
    let found: Vec<(String, String, String, Value)> = answer["external"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            let text = |name: &str| e[name].as_str().unwrap().to_owned();
            (
                text("resource"),
                text("from"),
                text("who"),
                e["blocked_by"].clone(),
            )
        })
        .collect();
    let row = |resource: &str, from: &str, who: &str, blocked: &[&str]| {
        (
            resource.to_owned(),
            from.to_owned(),
            who.to_owned(),
            json!(blocked),
        )
    };
    assert_eq!(
        found,
        [
            // nobody binds roles here
            row(&role, "cross_account", outsider, &[]),
            // what is left of everyone is the organisation
            row("arn:aws:s3:::everything", "public", "*", &["own-people"]),
            row("arn:aws:s3:::everything", "organization", "o-example", &[]),
            // its policies do not bind the management account
            row("arn:aws:s3:::management", "public", "*", &[]),
            // an account that is not in the organisation
            row(
                "arn:aws:s3:::partner",
                "cross_account",
                outsider,
                &["own-people"]
            ),
            row("arn:aws:s3:::shop", "public", "*", &["own-people"]),
            row("arn:aws:s3:::shop", "organization", "o-example", &[]),
            row(&queue(SHOP), "cross_account", outsider, &["no-queues"]),
            row(&queue(LAB), "cross_account", outsider, &[]),
        ]
    );
    let said = ask("text");
    assert!(
        said.contains("reachable by everyone: 1, and 2 that the organisation denies"),
        "{said}"
    );
    assert!(
        said.contains("by policy; denied by the resource control policy own-people"),
        "{said}"
    );

    // so it is with a list for everyone, where such policies count; images are not under them
    let image = "arn:aws:ec2:us-east-1::image/ami-1";
    write(
        "shares.json",
        &json!({ "Shares": [
            { "Resource": "arn:aws:s3:::listed", "Owner": SHOP, "With": "all", "Through": "access list" },
            { "Resource": image, "Owner": SHOP, "With": "all", "Through": "launch permission" },
        ]}),
    );
    let ran = palisade(folder.path())
        .args(["iam", "external", "--format", "json"])
        .args(files)
        .arg("shares.json")
        .output()
        .unwrap();
    let answer: Value = serde_json::from_str(&out(&ran)).unwrap();
    let of = |resource: &str| -> Vec<(Value, Value)> {
        let all = answer["external"].as_array().unwrap().iter();
        let own = all.filter(|e| e["resource"] == resource);
        own.map(|e| (e["who"].clone(), e["blocked_by"].clone()))
            .collect()
    };
    assert_eq!(
        of("arn:aws:s3:::listed"),
        [
            (json!("*"), json!(["own-people"])),
            (json!("o-example"), json!([]))
        ]
    );
    assert_eq!(of(image), [(json!("*"), json!([]))]);
}

//! The least-privilege policy for what a plan calls.
use serde_json::{Value, json};

/// Most characters, white space not counted, of a managed policy (IAM User Guide, "IAM and AWS STS quotas").
pub const MANAGED_POLICY_LIMIT: usize = 6_144;

/// A policy that allows exactly these actions. `actions` are sorted and distinct.
pub fn document(actions: &[String]) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{ "Sid": "PalisadeRead", "Effect": "Allow", "Action": actions, "Resource": "*" }],
    })
}

/// Characters that count against AWS's limit: the compact form has no white space outside of names.
pub fn length(document: &Value) -> usize {
    document
        .to_string()
        .chars()
        .filter(|c| !c.is_whitespace())
        .count()
}

/// The actions in as few groups as fit into managed policies, in order.
pub fn split(actions: &[String]) -> Vec<Vec<String>> {
    let empty = length(&document(&[]));
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut used = usize::MAX;
    for action in actions {
        // two quotes and a comma
        let cost = action.chars().count() + 3;
        match groups.last_mut() {
            Some(group) if used + cost <= MANAGED_POLICY_LIMIT => {
                group.push(action.clone());
                used += cost;
            }
            _ => {
                groups.push(vec![action.clone()]);
                used = empty + cost;
            }
        }
    }
    groups
}

/// A CloudFormation template: a role that a trusted principal may assume with an external id, with managed policies
/// that hold the actions.
pub fn cloudformation(actions: &[String]) -> Value {
    let mut resources = serde_json::Map::new();
    let mut attached = Vec::new();
    for (index, group) in split(actions).iter().enumerate() {
        let name = format!("ReadPolicy{}", index + 1);
        resources.insert(
            name.clone(),
            json!({
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": { "Description": "What Palisade reads", "PolicyDocument": document(group) },
            }),
        );
        attached.push(json!({ "Ref": name }));
    }
    resources.insert(
        "Role".to_owned(),
        json!({
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": { "Ref": "RoleName" },
                "MaxSessionDuration": 3600,
                "AssumeRolePolicyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [{
                        "Effect": "Allow",
                        "Principal": { "AWS": { "Ref": "TrustedPrincipal" } },
                        "Action": "sts:AssumeRole",
                        "Condition": { "StringEquals": { "sts:ExternalId": { "Ref": "ExternalId" } } },
                    }],
                },
                "ManagedPolicyArns": attached,
            },
        }),
    );
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A read-only role for Palisade",
        "Parameters": {
            "RoleName": { "Type": "String", "Default": "palisade-read" },
            "TrustedPrincipal": { "Type": "String", "Description": "ARN that may assume the role" },
            "ExternalId": { "Type": "String", "NoEcho": true, "MinLength": 8, "Description": "Secret that the caller must present" },
        },
        "Resources": resources,
        "Outputs": { "RoleArn": { "Value": { "Fn::GetAtt": ["Role", "Arn"] } } },
    })
}

/// The policies, each small enough for a managed policy, as one list.
pub fn policies(actions: &[String]) -> Value {
    split(actions).iter().map(|group| document(group)).collect()
}

/// A CloudFormation template for the management account, or a delegated administrator: a stack set that puts the role
/// of [`cloudformation`] into every account of some organisational units, accounts that join later included.
///
/// It does not reach the management account itself (CloudFormation User Guide, "Service-managed permissions").
pub fn stack_set(actions: &[String]) -> Value {
    let passed = ["RoleName", "TrustedPrincipal", "ExternalId"]
        .map(|name| json!({ "ParameterKey": name, "ParameterValue": { "Ref": name } }));
    let mut template = cloudformation(actions);
    let mut parameters = template
        .get_mut("Parameters")
        .map(Value::take)
        .unwrap_or_default();
    let body = cloudformation(actions).to_string();
    if let Value::Object(parameters) = &mut parameters {
        parameters.insert(
            "OrganizationalUnits".to_owned(),
            json!({ "Type": "CommaDelimitedList", "Description": "Ids of the units whose accounts get the role; the root's id (r-…) is all of them" }),
        );
        parameters.insert(
            "CallAs".to_owned(),
            json!({ "Type": "String", "Default": "SELF", "AllowedValues": ["SELF", "DELEGATED_ADMIN"] }),
        );
    }
    json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "A read-only role for Palisade in every account of organisational units",
        "Parameters": parameters,
        "Resources": {
            "Roles": {
                "Type": "AWS::CloudFormation::StackSet",
                "Properties": {
                    "StackSetName": { "Ref": "RoleName" },
                    "Description": "A read-only role for Palisade",
                    "PermissionModel": "SERVICE_MANAGED",
                    "CallAs": { "Ref": "CallAs" },
                    "Capabilities": ["CAPABILITY_NAMED_IAM"],
                    "AutoDeployment": { "Enabled": true, "RetainStacksOnAccountRemoval": false },
                    "OperationPreferences": { "FailureTolerancePercentage": 100, "MaxConcurrentPercentage": 100 },
                    // a role is in no region: one stack an account is enough
                    "StackInstancesGroup": [{
                        "DeploymentTargets": { "OrganizationalUnitIds": { "Ref": "OrganizationalUnits" } },
                        "Regions": [{ "Ref": "AWS::Region" }],
                    }],
                    "Parameters": passed,
                    "TemplateBody": body,
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_fit_and_lose_nothing() {
        let actions: Vec<String> = (0..700)
            .map(|i| format!("service{i}:DescribeSomethingLong{i}"))
            .collect();
        let groups = split(&actions);
        assert!(groups.len() > 1);
        assert!(
            groups
                .iter()
                .all(|g| length(&document(g)) <= MANAGED_POLICY_LIMIT)
        );
        assert_eq!(groups.concat(), actions);
        // as few as fit: the next action would not have
        assert!(
            length(&document(&groups[0])) + actions[groups[0].len()].len() + 3
                > MANAGED_POLICY_LIMIT
        );
    }

    #[test]
    fn the_stack_set_carries_the_role() {
        let actions: Vec<String> = (0..400)
            .map(|i| format!("service:DescribeThing{i}"))
            .collect();
        let template = stack_set(&actions);
        let body = &template["Resources"]["Roles"]["Properties"]["TemplateBody"];
        let body: Value = serde_json::from_str(body.as_str().unwrap()).unwrap();
        assert_eq!(body, cloudformation(&actions));
        for name in body["Parameters"].as_object().unwrap().keys() {
            assert!(template["Parameters"].get(name).is_some(), "{name}");
        }
    }

    #[test]
    fn no_actions_no_policies() {
        assert_eq!(
            cloudformation(&[])["Resources"].as_object().unwrap().len(),
            1
        );
    }
}

//! The line for AWS's own command.
use crate::Call;
use palisade_catalog::snake_case;

/// Names of commands that are not the model's.
const COMMANDS: &[(&str, &str)] = &[
    ("codedeploy", "deploy"),
    ("config", "configservice"),
    ("s3", "s3api"),
];

/// `aws <service> <operation> --region <region> --cli-input-json '…'`: exactly the call that Palisade would make.
pub(crate) fn cli_line(call: &Call, region: &str) -> String {
    let command = COMMANDS
        .iter()
        .find(|(model, _)| *model == call.service)
        .map_or(call.service.as_str(), |(_, command)| command);
    let operation = snake_case(&call.operation).replace('_', "-");
    let mut line = format!("aws {command} {operation} --region {region}");
    if !call.params.is_empty() {
        let input = serde_json::Value::Object(call.params.clone()).to_string();
        line.push_str(" --cli-input-json ");
        line.push('\'');
        line.push_str(&input.replace('\'', r"'\''"));
        line.push('\'');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines() {
        let call = |service: &str, operation: &str, params: serde_json::Value| Call {
            service: service.to_owned(),
            operation: operation.to_owned(),
            params: params.as_object().unwrap().clone(),
        };
        assert_eq!(
            cli_line(
                &call(
                    "rds",
                    "ModifyDBInstance",
                    json!({"DBInstanceIdentifier": "it's"})
                ),
                "eu-west-1"
            ),
            r#"aws rds modify-db-instance --region eu-west-1 --cli-input-json '{"DBInstanceIdentifier":"it'\''s"}'"#
        );
        assert_eq!(
            cli_line(
                &call("ec2", "EnableEbsEncryptionByDefault", json!({})),
                "us-east-1"
            ),
            "aws ec2 enable-ebs-encryption-by-default --region us-east-1"
        );
        assert!(
            cli_line(&call("s3", "PutBucketPolicy", json!({})), "x")
                .starts_with("aws s3api put-bucket-policy")
        );
    }
}

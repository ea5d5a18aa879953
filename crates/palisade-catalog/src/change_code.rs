//! What infrastructure as code says where a change sets something: the place in Terraform and in CloudFormation.
use crate::Change;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Longest value that a hint repeats.
const LONGEST: usize = 120;

/// Where a parameter is declared in infrastructure as code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Declared {
    /// `aws_type.attribute.path`, perhaps with ` = value`; `${key}` is the element of a list.
    pub terraform: Option<String>,
    /// `AWS::Service::Type Property.Path`, perhaps with `: value`.
    pub cloudformation: Option<String>,
    /// Why one of them, or both, is missing.
    pub without: Option<String>,
    /// True when the change takes it away.
    pub removed: bool,
}

/// What to write in infrastructure as code, so that it does not take a change back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    /// Attributes of Terraform's AWS provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub terraform: Vec<String>,
    /// Properties of CloudFormation's resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cloudformation: Vec<String>,
    /// Why something is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Code {
    /// True when it says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.terraform.is_empty() && self.cloudformation.is_empty() && self.without.is_empty()
    }

    /// With what another call's parameters are.
    pub fn extend(&mut self, other: Self) {
        let lists = [
            (&mut self.terraform, other.terraform),
            (&mut self.cloudformation, other.cloudformation),
            (&mut self.without, other.without),
        ];
        for (list, more) in lists {
            more.into_iter().for_each(|text| push(list, text));
        }
    }

    fn add(&mut self, declared: &Declared, leaf: Option<&Leaf<'_>>) {
        let places = [
            (&declared.terraform, &mut self.terraform, " = "),
            (&declared.cloudformation, &mut self.cloudformation, ": "),
        ];
        for (place, list, sign) in places {
            if let Some(place) = place {
                push(list, written(place, sign, leaf, declared.removed));
            }
        }
        if let Some(why) = &declared.without {
            let what = match (&declared.terraform, &declared.cloudformation) {
                (None, Some(_)) => format!("Terraform: {why}"),
                (Some(_), None) => format!("CloudFormation: {why}"),
                _ => why.clone(),
            };
            push(&mut self.without, what);
        }
    }
}

fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

/// One value of a call's parameters.
#[derive(Debug, Clone)]
struct Leaf<'a> {
    /// Dotted, with `[Member=value]` for elements that a member tells apart.
    exact: String,
    /// The same without these.
    plain: String,
    /// The value that tells the element apart.
    key: Option<&'a str>,
    /// Not known for an entry that stands for several values.
    value: Option<&'a Json>,
}

impl Change {
    /// What infrastructure as code says where a call with these parameters sets something.
    ///
    /// # Errors
    /// The parameters for which the change file says neither that nor why not.
    pub fn code_of(&self, params: &Map<String, Json>) -> Result<Code, Vec<String>> {
        let mut code = Code::default();
        let mut missing = Vec::new();
        for (name, value) in params {
            let mut leaves = Vec::new();
            let leaf = Leaf {
                exact: name.clone(),
                plain: name.clone(),
                key: None,
                value: Some(value),
            };
            self.leaves(leaf, value, &mut leaves);
            for leaf in &mut leaves {
                if self.key.contains(&leaf.plain) {
                    continue;
                }
                let is_fixed = self.fixed.contains(&leaf.plain);
                match self.declared(leaf, params, is_fixed) {
                    Some((declared, true)) => code.add(declared, Some(leaf)),
                    Some((declared, false)) => {
                        leaf.value = None;
                        code.add(declared, Some(leaf));
                    }
                    None if is_fixed => {}
                    None => missing.push(leaf.exact.clone()),
                }
            }
        }
        if code.is_empty() && missing.is_empty() {
            match self.code.get(".") {
                Some(declared) => code.add(declared, None),
                None => missing.push(".".to_owned()),
            }
        }
        if missing.is_empty() {
            Ok(code)
        } else {
            Err(missing)
        }
    }

    fn leaves<'a>(&self, at: Leaf<'a>, value: &'a Json, out: &mut Vec<Leaf<'a>>) {
        match value {
            Json::Object(map) if !map.is_empty() => {
                for (name, value) in map {
                    let below = Leaf {
                        exact: format!("{}.{name}", at.exact),
                        plain: format!("{}.{name}", at.plain),
                        key: at.key,
                        value: Some(value),
                    };
                    self.leaves(below, value, out);
                }
            }
            Json::Array(items) if items.iter().any(Json::is_object) => {
                let by = self.settings.get(&at.plain).and_then(|s| s.by.as_deref());
                for item in items {
                    let key = by.and_then(|by| Some((by, item.get(by)?.as_str()?)));
                    let mut below = at.clone();
                    if let Some((by, key)) = key {
                        below.exact = format!("{}[{by}={key}]", at.exact);
                        below.key = Some(key);
                    }
                    let mut inner = Vec::new();
                    self.leaves(below, item, &mut inner);
                    let name = key.map(|(by, _)| format!("{}.{by}", at.plain));
                    // what tells the element apart sets nothing, where there is more
                    if inner.len() > 1 {
                        inner.retain(|leaf| Some(&leaf.plain) != name.as_ref());
                    }
                    out.extend(inner);
                }
            }
            _ => out.push(at),
        }
    }

    /// The entry for a value, and whether it is for exactly this one.
    fn declared(
        &self,
        leaf: &Leaf<'_>,
        params: &Map<String, Json>,
        only_exact: bool,
    ) -> Option<(&Declared, bool)> {
        let exact = self.code.get(&leaf.exact);
        if let Some(found) = exact.or_else(|| self.code.get(&leaf.plain)) {
            return Some((found, true));
        }
        if only_exact {
            return None;
        }
        let by_key = self.key.iter().find_map(|key| {
            let value = params.get(key)?.as_str()?;
            self.code.get(&format!("{key}={value}"))
        });
        if let Some(found) = by_key {
            return Some((found, true));
        }
        let mut path = leaf.plain.as_str();
        while let Some((above, _)) = path.rsplit_once('.') {
            if let Some(found) = self.code.get(above) {
                return Some((found, false));
            }
            path = above;
        }
        self.code.get(".").map(|found| (found, false))
    }
}

fn written(place: &str, sign: &str, leaf: Option<&Leaf<'_>>, removed: bool) -> String {
    let key = leaf.and_then(|l| l.key).unwrap_or_default();
    let place = place.replace("${key}", key);
    let is_whole = place.contains(" = ") || place.contains(": ");
    let value = leaf.and_then(|l| l.value).filter(|_| !is_whole);
    let value = value.and_then(|v| shown(v, sign == ": "));
    match (value, removed) {
        (Some(value), true) => format!("without {place}{sign}{value}"),
        (Some(value), false) => format!("{place}{sign}{value}"),
        (None, true) => format!("without {place}"),
        (None, false) => place,
    }
}

/// A value that fits a line; documents do not.
fn shown(value: &Json, plain: bool) -> Option<String> {
    let text = match value {
        Json::String(text) if plain && !text.is_empty() => text.clone(),
        Json::Object(_) | Json::Null => return None,
        other => other.to_string(),
    };
    let document = value.as_str().is_some_and(|t| t.starts_with('{'));
    (!document && text.chars().count() <= LONGEST).then_some(text)
}

/// What is wrong with a place in Terraform.
pub(crate) fn terraform_problem(place: &str) -> Option<&'static str> {
    let end = place.find(['.', '[', ' ']).unwrap_or(place.len());
    let (name, rest) = place.split_at(end);
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let path = rest.split(" = ").next().unwrap_or_default();
    let fits = name.strip_prefix("aws_").is_some_and(|n| !n.is_empty())
        && name.chars().all(is_word)
        && !path.contains(' ');
    (!fits).then_some("must be `aws_type.attribute`, perhaps with ` = value`")
}

/// What is wrong with a place in CloudFormation.
pub(crate) fn cloudformation_problem(place: &str) -> Option<&'static str> {
    let (name, rest) = place.split_once(' ').unwrap_or((place, ""));
    let parts: Vec<&str> = name.split("::").collect();
    let is_word = |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
    let path = rest.split(": ").next().unwrap_or_default();
    let fits = matches!(parts.as_slice(), ["AWS", _, _])
        && parts.iter().all(is_word)
        && !path.contains(' ');
    (!fits).then_some("must be `AWS::Service::Type Property.Path`, perhaps with `: value`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, load};
    use serde_json::json;

    fn code(service: &str, operation: &str, params: &Json) -> Code {
        let catalog = load(&[Source::embedded()]).catalog;
        let change = &catalog.changes[service][operation];
        change.code_of(params.as_object().unwrap()).unwrap()
    }

    #[test]
    fn hints() {
        let params = json!({"Bucket": "b", "VersioningConfiguration": {"Status": "Enabled"}});
        let versioning = code("s3", "PutBucketVersioning", &params);
        assert_eq!(
            versioning.terraform,
            ["aws_s3_bucket_versioning.versioning_configuration.status = \"Enabled\""]
        );
        assert_eq!(
            versioning.cloudformation,
            ["AWS::S3::Bucket VersioningConfiguration.Status: Enabled"]
        );
        // elements that a member tells apart
        let params = json!({"DetectorId": "d", "Features": [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]});
        assert_eq!(
            code("guardduty", "UpdateDetector", &params).cloudformation,
            ["AWS::GuardDuty::Detector Features[Name=S3_DATA_EVENTS].Status: ENABLED"]
        );
        let params = json!({"LoadBalancerArn": "a", "Attributes": [{"Key": "deletion_protection.enabled", "Value": "true"}]});
        assert_eq!(
            code("elbv2", "ModifyLoadBalancerAttributes", &params).terraform,
            ["aws_lb.enable_deletion_protection = \"true\""]
        );
        // another parameter says which
        let params = json!({"TopicArn": "t", "AttributeName": "Policy", "AttributeValue": "{\"Statement\":[]}"});
        assert_eq!(
            code("sns", "SetTopicAttributes", &params).terraform,
            ["aws_sns_topic_policy.policy"]
        );
        // calls without parameters of their own, what is taken away, and what nothing declares
        let rotation = code("kms", "EnableKeyRotation", &json!({"KeyId": "k"}));
        assert_eq!(
            rotation.cloudformation,
            ["AWS::KMS::Key EnableKeyRotation: true"]
        );
        let params = json!({"ImageId": "i", "Attribute": "launchPermission", "OperationType": "remove", "UserGroups": ["all"]});
        let image = code("ec2", "ModifyImageAttribute", &params);
        assert_eq!(
            image.terraform,
            ["without aws_ami_launch_permission.group = [\"all\"]"]
        );
        assert!(image.without[0].starts_with("CloudFormation: "));
        let cancel = code("kms", "CancelKeyDeletion", &json!({"KeyId": "k"}));
        assert!(cancel.terraform.is_empty() && cancel.without.len() == 1);
    }

    #[test]
    fn places() {
        for good in [
            "aws_lb",
            "aws_lb.a.b",
            "aws_x[name=a].b",
            "aws_x.y = [\"a b\"]",
        ] {
            assert_eq!(terraform_problem(good), None, "{good}");
        }
        for bad in ["", "lb.a", "aws_", "aws_Lb.a", "aws_lb a", "aws_lb.a b"] {
            assert!(terraform_problem(bad).is_some(), "{bad}");
        }
        for good in [
            "AWS::S3::Bucket",
            "AWS::S3::Bucket A.B",
            "AWS::S3::Bucket A[B=c].D: x y",
        ] {
            assert_eq!(cloudformation_problem(good), None, "{good}");
        }
        for bad in ["", "AWS::S3", "S3::Bucket::X A", "AWS::S3::Bucket A B"] {
            assert!(cloudformation_problem(bad).is_some(), "{bad}");
        }
    }
}

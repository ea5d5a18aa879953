//! Whose policy decides on a resource that lies in another.

use std::borrow::Cow;

/// The six parts of an ARN.
fn parts(arn: &str) -> Option<[&str; 6]> {
    let mut fields = arn.splitn(6, ':');
    let mut next = || fields.next();
    Some([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// The ARN of the resource whose policy decides on `arn`, where that is another one.
pub(super) fn holder_of(arn: &str) -> Option<Cow<'_, str>> {
    let [_, partition, service, region, account, name] = parts(arn)?;
    let until = |slashes: usize| {
        let (at, _) = name.match_indices('/').nth(slashes)?;
        arn.get(..arn.len() - name.len() + at).map(Cow::Borrowed)
    };
    match service {
        "s3" if region.is_empty() && account.is_empty() => until(0),
        // Objects of an access point: `accesspoint/name/object/key`.
        "s3" if name.starts_with("accesspoint/") => until(1),
        // `api/stage/METHOD/path`: the policy is a setting of the API.
        "execute-api" => {
            let api = name.split('/').next().unwrap_or(name);
            let arn = format!("arn:{partition}:apigateway:{region}::/restapis/{api}");
            Some(Cow::Owned(arn))
        }
        "es" if name.starts_with("domain/") => until(1),
        "glue" if name != "catalog" => {
            let arn = format!("arn:{partition}:glue:{region}:{account}:catalog");
            Some(Cow::Owned(arn))
        }
        // `package/domain/repository/format/namespace/name`
        "codeartifact" => {
            let mut path = name.strip_prefix("package/")?.split('/');
            let (domain, repository) = (path.next()?, path.next()?);
            let arn = format!(
                "arn:{partition}:codeartifact:{region}:{account}:repository/{domain}/{repository}"
            );
            Some(Cow::Owned(arn))
        }
        // `rule/bus/name`; a rule of the default bus has no bus in its ARN.
        "events" => {
            let rule = name.strip_prefix("rule/")?;
            let bus = rule.split_once('/').map_or("default", |(bus, _)| bus);
            let arn = format!("arn:{partition}:events:{region}:{account}:event-bus/{bus}");
            Some(Cow::Owned(arn))
        }
        // A subscription: `topic:id`.
        "sns" => {
            let (topic, _) = name.split_once(':')?;
            arn.get(..arn.len() - name.len() + topic.len())
                .map(Cow::Borrowed)
        }
        _ => None,
    }
}

/// Whether a request on the resource is one on a bucket, too, whose policy decides as well.
pub(super) fn is_access_point(arn: &str) -> bool {
    parts(arn).is_some_and(|[_, _, service, _, _, name]| {
        service == "s3" && name.starts_with("accesspoint/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders() {
        for (arn, holder) in [
            ("arn:aws:s3:::b/k/l", Some("arn:aws:s3:::b")),
            ("arn:aws:s3:::b", None),
            (
                "arn:aws:s3:eu-west-1:1:accesspoint/p/object/k",
                Some("arn:aws:s3:eu-west-1:1:accesspoint/p"),
            ),
            (
                "arn:aws:execute-api:eu-west-1:1:abc/prod/GET/x",
                Some("arn:aws:apigateway:eu-west-1::/restapis/abc"),
            ),
            (
                "arn:aws-cn:es:cn-north-1:1:domain/d/_search",
                Some("arn:aws-cn:es:cn-north-1:1:domain/d"),
            ),
            (
                "arn:aws:glue:eu-west-1:1:table/d/t",
                Some("arn:aws:glue:eu-west-1:1:catalog"),
            ),
            ("arn:aws:glue:eu-west-1:1:catalog", None),
            (
                "arn:aws:codeartifact:eu-west-1:1:package/d/r/npm//p",
                Some("arn:aws:codeartifact:eu-west-1:1:repository/d/r"),
            ),
            (
                "arn:aws:events:eu-west-1:1:rule/r",
                Some("arn:aws:events:eu-west-1:1:event-bus/default"),
            ),
            (
                "arn:aws:events:eu-west-1:1:rule/own/r",
                Some("arn:aws:events:eu-west-1:1:event-bus/own"),
            ),
            (
                "arn:aws:sns:eu-west-1:1:t:5be8",
                Some("arn:aws:sns:eu-west-1:1:t"),
            ),
            ("arn:aws:sns:eu-west-1:1:t", None),
            ("*", None),
        ] {
            assert_eq!(holder_of(arn).as_deref(), holder, "{arn}");
        }
    }
}

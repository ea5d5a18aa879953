//! Adding statements to a policy without touching those that are there.
use palisade_iam::Policy;
use serde_json::{Map, Value as Json, json};

/// The policy with the wanted statements, in the words that it had: every statement that is there stays as it is, a
/// wanted one that is there under another `Sid` is not added again, and a `Sid` that is taken gets a number. `None` when
/// nothing has to be added.
///
/// # Errors
/// When one of the documents is no policy: what is wrong with it.
pub fn with_statements(policy: Option<&str>, wanted: &str) -> Result<Option<String>, String> {
    let wanted = document("the wanted policy", wanted)?;
    let new = statements(&wanted);
    let Some(text) = policy.filter(|p| !p.trim().is_empty()) else {
        let version = wanted
            .get("Version")
            .cloned()
            .unwrap_or_else(|| json!("2012-10-17"));
        let policy = json!({"Version": version, "Statement": new});
        return Ok(Some(policy.to_string()));
    };
    let mut policy = document("the policy that is there", text)?;
    let mut all = statements(&policy);
    let before = all.len();
    for statement in new {
        if !all.iter().any(|old| says_the_same(old, &statement)) {
            let statement = with_free_sid(statement, &all);
            all.push(statement);
        }
    }
    if all.len() == before {
        return Ok(None);
    }
    policy.insert("Statement".to_owned(), Json::Array(all));
    let merged = Json::Object(policy).to_string();
    Policy::parse(&merged).map_err(|e| format!("the merged policy is none: {e}"))?;
    Ok(Some(merged))
}

fn document(what: &str, text: &str) -> Result<Map<String, Json>, String> {
    // Refuses what JSON readers pass over, such as a name that is given twice.
    Policy::parse(text).map_err(|e| format!("{what} is none: {e}"))?;
    match serde_json::from_str(text) {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err(format!("{what} is none: it is no object")),
        Err(e) => Err(format!("{what} is none: {e}")),
    }
}

fn statements(policy: &Map<String, Json>) -> Vec<Json> {
    match policy.get("Statement") {
        Some(Json::Array(items)) => items.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

fn says_the_same(a: &Json, b: &Json) -> bool {
    let without_sid = |statement: &Json| {
        let mut statement = statement.clone();
        if let Some(map) = statement.as_object_mut() {
            map.shift_remove("Sid");
        }
        Json::String(statement.to_string())
    };
    crate::json::same(&without_sid(a), &without_sid(b))
}

fn with_free_sid(mut statement: Json, all: &[Json]) -> Json {
    let taken = |sid: &str| {
        all.iter()
            .any(|s| s.get("Sid").and_then(Json::as_str) == Some(sid))
    };
    let Some(sid) = statement.get("Sid").and_then(Json::as_str) else {
        return statement;
    };
    let free = (2..)
        .map(|n: u32| format!("{sid}{n}"))
        .find(|name| !taken(name));
    if taken(sid)
        && let Some(free) = free
        && let Some(map) = statement.as_object_mut()
    {
        map.insert("Sid".to_owned(), Json::from(free));
    }
    statement
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS: &str = r#"{"Version":"2012-10-17","Statement":[{"Sid":"OnlyTls","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::a","arn:aws:s3:::a/*"],"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;

    #[test]
    fn statements_are_added_once() {
        let fresh = with_statements(None, TLS).unwrap().unwrap();
        assert_eq!(with_statements(Some(&fresh), TLS), Ok(None));
        let other = r#"{ "Statement" : {"Sid":"OnlyTls","Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::a/*"} }"#;
        let merged: Json =
            serde_json::from_str(&with_statements(Some(other), TLS).unwrap().unwrap()).unwrap();
        assert_eq!(merged["Statement"][0]["Effect"], "Allow");
        assert_eq!(merged["Statement"][1]["Sid"], "OnlyTls2");
        assert_eq!(merged.get("Version"), None);
        // the same in AWS's spelling, under another name
        let spelled = TLS
            .replace("\"s3:*\"", "[\"s3:*\"]")
            .replace("OnlyTls", "Mine");
        assert_eq!(with_statements(Some(&spelled), TLS), Ok(None));
        for bad in ["{", "[]", r#"{"Statement":1}"#] {
            assert!(with_statements(Some(bad), TLS).is_err(), "{bad}");
        }
    }
}

//! Reading what surrounds accounts: guardrails of the organisation, policies of resources, what runs with roles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::load::{document, list, text};
use super::{
    AccessPoint, Compute, LoadError, Model, NamedPolicy, OwnedLevel, S3Facts, Share, SharedWith,
};
use crate::evaluate::KmsGrant;

/// The members of the file, besides which nothing may stand in it.
const MEMBERS: &[&str] = &[
    "Organizations",
    "ServiceControlPolicies",
    "ResourceControlPolicies",
    "ResourcePolicies",
    "Grants",
    "Shares",
    "Compute",
];

/// The members of an entry of `ResourcePolicies`; those but the first two are for buckets and access points.
const RESOURCE_MEMBERS: &[&str] = &[
    "Owner",
    "Policy",
    "RestrictPublicBuckets",
    "Bucket",
    "BucketOwner",
    "Vpc",
];

impl Model {
    /// Adds a file, told apart by its members: `get-account-authorization-details`, or surroundings:
    ///
    /// ```json
    /// {
    ///   "Organizations": { "111111111111": "o-example" },
    ///   "ServiceControlPolicies": { "111111111111": [ { "Level": "Root", "Policies": [ { "Name": "…", "Document": {} } ] } ] },
    ///   "ResourceControlPolicies": { "*": [] },
    ///   "ResourcePolicies": {
    ///     "arn:aws:s3:::example": { "Owner": "111111111111", "Policy": {}, "RestrictPublicBuckets": true },
    ///     "arn:aws:s3:eu-west-1:111111111111:accesspoint/point": { "Policy": {}, "Bucket": "arn:aws:s3:::example", "Vpc": "vpc-1" }
    ///   },
    ///   "Grants": { "arn:aws:kms:eu-west-1:111111111111:key/k": [ { "GranteePrincipal": "…", "Operations": [ "Decrypt" ] } ] },
    ///   "Shares": [ { "Resource": "…", "Owner": "111111111111", "With": "all", "Through": "launch permission" } ],
    ///   "Compute": [ { "Arn": "…", "Service": "lambda.amazonaws.com", "Role": "…" } ]
    /// }
    /// ```
    ///
    /// Guardrails are listed for each account from the root to the account; `*` stands for every account, an empty list
    /// says that there are none. A resource whose `Policy` is `null` has none. `With` is `all`, an account, or the ARN of
    /// an organisation, a unit or a principal.
    ///
    /// # Errors
    /// The text is neither, or a policy in it cannot be read.
    pub fn add_file(&mut self, json: &str) -> Result<(), LoadError> {
        let value: Value = serde_json::from_str(json).map_err(|e| LoadError(e.to_string()))?;
        let Some(object) = value.as_object() else {
            return Err(LoadError("it is not a JSON object".to_owned()));
        };
        if !MEMBERS.iter().any(|m| object.contains_key(*m)) {
            return self.add_authorization_value(&value);
        }
        if let Some(unknown) = object.keys().find(|k| !MEMBERS.contains(&k.as_str())) {
            return Err(LoadError(format!(
                "unknown member `{unknown}`; there is {}",
                MEMBERS.join(", ")
            )));
        }
        self.known.get_or_insert_default();
        self.add_organizations(&value);
        self.add_guardrails(&value)?;
        self.add_resources(&value)?;
        self.add_grants(&value)?;
        for item in list(&value, "Shares") {
            let part = |key| member(item, "Shares", key);
            self.shares.push(Share {
                resource: part("Resource")?,
                owner: part("Owner")?,
                with: SharedWith::parse(&part("With")?),
                through: text(item, "Through").unwrap_or("share").to_owned(),
            });
        }
        for item in list(&value, "Compute") {
            let part = |key| member(item, "Compute", key);
            self.compute.push(Compute {
                arn: part("Arn")?,
                service: part("Service")?,
                role: part("Role")?,
            });
        }
        self.sort();
        Ok(())
    }

    fn add_organizations(&mut self, value: &Value) {
        for (account, id) in object(value, "Organizations") {
            if let Some(id) = id.as_str() {
                self.organizations.insert(account.clone(), id.to_owned());
            }
        }
    }

    fn add_guardrails(&mut self, value: &Value) -> Result<(), LoadError> {
        for (member, is_scp) in [
            ("ServiceControlPolicies", true),
            ("ResourceControlPolicies", false),
        ] {
            for (account, levels) in object(value, member) {
                let mut owned = Vec::new();
                for level in levels.as_array().into_iter().flatten() {
                    owned.push(owned_level(level, member)?);
                }
                self.set_guardrails(is_scp, account, owned);
            }
        }
        Ok(())
    }

    /// The guardrails that are known, as a file that [`Model::add_file`] reads.
    pub fn guardrails(&self) -> Value {
        let of = |known: fn(&super::Known) -> &BTreeSet<String>,
                  map: &BTreeMap<String, Vec<OwnedLevel>>| {
            let accounts = self.known.iter().flat_map(known);
            let entry = |account: &String| {
                let levels = map.get(account).into_iter().flatten().map(written);
                (account.clone(), levels.collect::<Value>())
            };
            Value::Object(accounts.map(entry).collect())
        };
        json!({
            "Organizations": self.organizations,
            "ServiceControlPolicies": of(|k| &k.scp, &self.scp),
            "ResourceControlPolicies": of(|k| &k.rcp, &self.rcp),
        })
    }

    /// Says which guardrails an account has, from the root to the account; they are known from now on.
    pub fn set_guardrails(&mut self, is_scp: bool, account: &str, levels: Vec<OwnedLevel>) {
        let known = self.known.get_or_insert_default();
        let (map, set) = if is_scp {
            (&mut self.scp, &mut known.scp)
        } else {
            (&mut self.rcp, &mut known.rcp)
        };
        set.insert(account.to_owned());
        map.insert(account.to_owned(), levels);
    }

    fn add_resources(&mut self, value: &Value) -> Result<(), LoadError> {
        for (arn, entry) in object(value, "ResourcePolicies") {
            self.add_s3_facts(arn, entry)?;
            if let Some(owner) = text(entry, "Owner") {
                self.owners.insert(arn.clone(), owner.to_owned());
            }
            match entry.get("Policy") {
                None => {
                    return Err(LoadError(format!(
                        "`{arn}` in `ResourcePolicies` has no `Policy`; `null` says that it has none"
                    )));
                }
                Some(Value::Null) => self.set_policy_absent(arn),
                Some(policy) => {
                    let policy = document(policy).map_err(|e| LoadError(format!("{arn}: {e}")))?;
                    self.set_resource_policy(arn, policy);
                }
            }
        }
        Ok(())
    }

    fn add_s3_facts(&mut self, arn: &str, entry: &Value) -> Result<(), LoadError> {
        let members = entry.as_object().into_iter().flat_map(|o| o.keys());
        for name in members {
            if !RESOURCE_MEMBERS.contains(&name.as_str()) {
                return Err(LoadError(format!(
                    "`{arn}` in `ResourcePolicies` has an unknown member `{name}`; there is {}",
                    RESOURCE_MEMBERS.join(", ")
                )));
            }
        }
        let restricts = match entry.get("RestrictPublicBuckets") {
            None => None,
            Some(value) => Some(value.as_bool().ok_or_else(|| {
                LoadError(format!(
                    "`RestrictPublicBuckets` of `{arn}` is neither true nor false"
                ))
            })?),
        };
        let bucket = text(entry, "Bucket").map(ToOwned::to_owned);
        if bucket.is_none()
            && (text(entry, "Vpc").is_some() || text(entry, "BucketOwner").is_some())
        {
            return Err(LoadError(format!(
                "`{arn}` in `ResourcePolicies` has no `Bucket`, the ARN of the bucket behind the access point"
            )));
        }
        if restricts.is_none() && bucket.is_none() {
            return Ok(());
        }
        let owner = text(entry, "BucketOwner")
            .or_else(|| text(entry, "Owner"))
            .or_else(|| arn.split(':').nth(4))
            .unwrap_or_default();
        if let Some(bucket) = &bucket {
            self.owners
                .entry(bucket.clone())
                .or_insert_with(|| owner.to_owned());
        }
        let facts = S3Facts {
            restricts_public: restricts.unwrap_or_default().into(),
            access_point: bucket.map(|bucket| AccessPoint {
                buckets: vec![(bucket, owner.to_owned())],
                vpc: text(entry, "Vpc").map(ToOwned::to_owned),
            }),
        };
        self.s3.insert(arn.to_owned(), facts);
        Ok(())
    }

    fn add_grants(&mut self, value: &Value) -> Result<(), LoadError> {
        for (key, grants) in object(value, "Grants") {
            for grant in grants.as_array().into_iter().flatten() {
                let grant = KmsGrant::from_aws(grant).ok_or_else(|| {
                    LoadError(format!("a grant on `{key}` has no `GranteePrincipal`"))
                })?;
                self.grants.entry(key.clone()).or_default().push(grant);
            }
        }
        Ok(())
    }

    /// Sets the policy of a resource.
    pub fn set_resource_policy(&mut self, arn: &str, policy: crate::Policy) {
        let named = NamedPolicy {
            name: format!("{arn} policy"),
            policy: Arc::new(policy),
        };
        self.resources.insert(arn.to_owned(), named);
    }

    /// Says that a resource has no policy.
    pub fn set_policy_absent(&mut self, arn: &str) {
        self.known
            .get_or_insert_default()
            .without_policy
            .insert(arn.to_owned());
    }
}

fn member(item: &Value, list: &str, key: &str) -> Result<String, LoadError> {
    text(item, key)
        .map(ToOwned::to_owned)
        .ok_or_else(|| LoadError(format!("an entry of `{list}` has no `{key}`")))
}

fn object<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// A level as the file has it.
fn written(level: &OwnedLevel) -> Value {
    let policy = |p: &NamedPolicy| {
        let text = &p.policy.text;
        let document = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        json!({ "Name": p.name, "Document": document })
    };
    json!({
        "Level": level.name,
        "Policies": level.policies.iter().map(policy).collect::<Vec<_>>(),
    })
}

fn owned_level(level: &Value, member: &str) -> Result<OwnedLevel, LoadError> {
    let name = text(level, "Level").unwrap_or("a level").to_owned();
    let mut policies = Vec::new();
    for policy in list(level, "Policies") {
        let label = text(policy, "Name").unwrap_or("a policy").to_owned();
        let parsed = policy
            .get("Document")
            .ok_or_else(|| LoadError(format!("`{label}` in `{member}` has no `Document`")))
            .and_then(|d| document(d).map_err(|e| LoadError(format!("`{label}`: {e}"))))?;
        policies.push(NamedPolicy {
            name: label,
            policy: Arc::new(parsed),
        });
    }
    Ok(OwnedLevel { name, policies })
}

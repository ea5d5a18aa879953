//! One recording as an organisation of many accounts: `sts:AssumeRole` answers credentials whose key id names the
//! account, later requests are told by that key id, and the recorded account's id is rewritten on the way in and out.
//! The recorded account is the management account.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::answer;
use crate::encoding::pairs;
use crate::exchange::RecordedResponse;
use crate::key::Key;

/// Accounts on one page of a list.
const PAGE: usize = 20;

/// Why nobody gets into an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The role's trust policy does not let the caller in.
    Denied,
    /// Every attempt is throttled.
    Throttled,
    /// The caller's credentials have expired.
    Expired,
}

/// An account besides the recorded one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationAccount {
    /// Twelve digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `ACTIVE`, `SUSPENDED`, …
    pub status: String,
    /// Names from the root on.
    pub units: Vec<String>,
    /// Key and value.
    pub tags: Vec<(String, String)>,
    /// Why its role cannot be assumed, if so.
    pub refusal: Option<Refusal>,
}

impl OrganizationAccount {
    /// An active account in the root.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: format!("account-{id}"),
            status: "ACTIVE".to_owned(),
            units: vec!["Root".to_owned()],
            tags: Vec::new(),
            refusal: None,
        }
    }
}

/// The accounts, the recorded one among them.
#[derive(Clone, Debug)]
pub(crate) struct Organization {
    management: String,
    accounts: Vec<OrganizationAccount>,
}

impl Organization {
    pub(crate) fn new(management: &str, mut accounts: Vec<OrganizationAccount>) -> Self {
        if !accounts.iter().any(|a| a.id == management) {
            accounts.insert(0, OrganizationAccount::new(management));
        }
        Self {
            management: management.to_owned(),
            accounts,
        }
    }

    /// The account that a request is made in.
    pub(crate) fn account_of(&self, authorization: &str) -> String {
        let key = authorization
            .split_once("Credential=")
            .and_then(|(_, rest)| rest.split('/').next())
            .unwrap_or_default();
        let named = key.strip_prefix("ASIA");
        let known = named.filter(|id| self.accounts.iter().any(|a| a.id == **id));
        known.unwrap_or(&self.management).to_owned()
    }

    /// The request as it would be made in the recorded account. Ids have one length: nothing moves.
    pub(crate) fn inward(&self, account: &str, bytes: &[u8]) -> Vec<u8> {
        replaced(bytes, account.as_bytes(), self.management.as_bytes())
    }

    /// The answer as it would be given in `account`.
    pub(crate) fn outward(&self, account: &str, key: &Key, bytes: &[u8]) -> Option<Vec<u8>> {
        // what is said of the organisation is the same for all
        let same = account == self.management || key.service == "organizations";
        (!same).then(|| replaced(bytes, self.management.as_bytes(), account.as_bytes()))
    }

    /// The answers that are not in the recording.
    pub(crate) fn answer(&self, key: &Key, account: &str) -> Option<RecordedResponse> {
        let operation = key.operation();
        match (key.service.as_str(), operation.as_str()) {
            ("sts", "AssumeRole") => Some(self.assume_role(key)),
            ("organizations", "DescribeOrganization") => None,
            ("organizations", _) if account != self.management => {
                Some(answer::denied(key, account))
            }
            ("organizations", operation) => self.listed(key, operation),
            // only the management account may ask these
            ("guardduty", _) if key.path == "/admin" && account != self.management => {
                Some(answer::denied(key, account))
            }
            ("securityhub", _)
                if key.path == "/organization/admin" && account != self.management =>
            {
                Some(answer::denied(key, account))
            }
            _ => None,
        }
    }

    fn assume_role(&self, key: &Key) -> RecordedResponse {
        let text = String::from_utf8_lossy(&key.body);
        let parameters = pairs(&text);
        let arn = parameters.iter().find(|(name, _)| name == "RoleArn");
        let arn = arn.map_or("", |(_, arn)| arn.as_str());
        let id = arn.split(':').nth(4).unwrap_or_default();
        let Some(account) = self.accounts.iter().find(|a| a.id == id) else {
            return answer::denied(key, &self.management);
        };
        match account.refusal {
            Some(Refusal::Denied) => answer::denied(key, &self.management),
            Some(Refusal::Throttled) => answer::throttled(key),
            Some(Refusal::Expired) => answer::error(
                key,
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ),
            None => xml(format!(
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials><AccessKeyId>ASIA{id}</AccessKeyId><SecretAccessKey>example</SecretAccessKey><SessionToken>example</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
            )),
        }
    }

    fn listed(&self, key: &Key, operation: &str) -> Option<RecordedResponse> {
        let asked: Value = serde_json::from_slice(&key.body).unwrap_or_default();
        let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default();
        let (list, items) = match operation {
            "ListAccounts" => ("Accounts", self.shown(|_| true)),
            "ListRoots" => {
                let roots: BTreeSet<&str> =
                    self.paths().filter_map(|p| p.first().copied()).collect();
                let root = |name: &&str| json!({ "Id": id_of(&[name]), "Name": name, "Arn": "arn", "PolicyTypes": [] });
                ("Roots", roots.iter().map(root).collect())
            }
            "ListAccountsForParent" => {
                let parent = text("ParentId");
                let inside = |a: &OrganizationAccount| {
                    let path: Vec<&str> = a.units.iter().map(String::as_str).collect();
                    id_of(&path) == parent
                };
                ("Accounts", self.shown(inside))
            }
            "ListOrganizationalUnitsForParent" => {
                let parent = text("ParentId");
                let below: BTreeSet<Vec<&str>> = self
                    .paths()
                    .flat_map(|path| {
                        (2..=path.len()).filter_map(move |n| Some(path.get(..n)?.to_vec()))
                    })
                    .filter(|path| path.split_last().is_some_and(|(_, up)| id_of(up) == parent))
                    .collect();
                let unit = |path: &Vec<&str>| json!({ "Id": id_of(path), "Name": path.last(), "Arn": "arn" });
                ("OrganizationalUnits", below.iter().map(unit).collect())
            }
            "ListTagsForResource" => {
                let account = self.accounts.iter().find(|a| a.id == text("ResourceId"))?;
                let tag = |(key, value): &(String, String)| json!({ "Key": key, "Value": value });
                ("Tags", account.tags.iter().map(tag).collect())
            }
            _ => return None,
        };
        Some(page(list, &items, text("NextToken")))
    }

    fn paths(&self) -> impl Iterator<Item = Vec<&str>> {
        self.accounts
            .iter()
            .map(|a| a.units.iter().map(String::as_str).collect())
    }

    fn shown(&self, wanted: impl Fn(&OrganizationAccount) -> bool) -> Vec<Value> {
        let wanted = self.accounts.iter().filter(|a| wanted(a));
        let show = |a: &OrganizationAccount| {
            json!({
                "Id": a.id,
                "Arn": format!("arn:aws:organizations::{}:account/o-example/{}", self.management, a.id),
                "Email": format!("{}@example.com", a.name),
                "Name": a.name,
                "Status": a.status,
                "JoinedMethod": "CREATED",
            })
        };
        wanted.map(show).collect()
    }
}

/// An id in the form of AWS's that is the same for the same path.
fn id_of(path: &[&str]) -> String {
    // FNV-1a
    let hash = path
        .join("/")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    match path.len() {
        1 => format!("r-{:04x}", hash & 0xffff),
        _ => format!("ou-root-{:08x}", hash & 0xffff_ffff),
    }
}

fn page(list: &str, items: &[Value], token: &str) -> RecordedResponse {
    let from: usize = token.parse().unwrap_or(0);
    let shown: Vec<&Value> = items.iter().skip(from).take(PAGE).collect();
    let mut body = json!({ list: shown });
    if items.len() > from + PAGE
        && let Value::Object(body) = &mut body
    {
        body.insert("NextToken".to_owned(), (from + PAGE).to_string().into());
    }
    RecordedResponse {
        status: 200,
        headers: vec![(
            "content-type".to_owned(),
            "application/x-amz-json-1.1".to_owned(),
        )],
        body: body.to_string().into_bytes(),
    }
}

fn xml(body: String) -> RecordedResponse {
    RecordedResponse {
        status: 200,
        headers: vec![("content-type".to_owned(), "text/xml".to_owned())],
        body: body.into_bytes(),
    }
}

/// `from` and `to` are of one length.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len().max(1)).position(|w| w == from) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(to);
        rest = rest.get(at + from.len()..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_rewritten_wherever_they_stand() {
        let organization = Organization::new("111111111111", Vec::new());
        let inward = organization.inward("222222222222", b"a222222222222b222222222222");
        assert_eq!(inward, b"a111111111111b111111111111");
        let key = Key::default();
        let outward = organization.outward("222222222222", &key, b"x111111111111");
        assert_eq!(outward, Some(b"x222222222222".to_vec()));
        assert_eq!(organization.outward("111111111111", &key, b"x"), None);
    }

    #[test]
    fn the_key_id_names_the_account() {
        let accounts = vec![OrganizationAccount::new("222222222222")];
        let organization = Organization::new("111111111111", accounts);
        for (header, account) in [
            (
                "AWS4 Credential=ASIA222222222222/20260101/x",
                "222222222222",
            ),
            (
                "AWS4 Credential=ASIA333333333333/20260101/x",
                "111111111111",
            ),
            ("AWS4 Credential=AKIDEXAMPLE/20260101/x", "111111111111"),
            ("", "111111111111"),
        ] {
            assert_eq!(organization.account_of(header), account, "{header}");
        }
    }
}

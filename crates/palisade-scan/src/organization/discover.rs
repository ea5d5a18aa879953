//! The accounts of an organisation, as AWS Organizations lists them.
use super::Filters;
use palisade_core::LeftOutAccount;
use palisade_model::{Api, ApiError, CallRequest, Model, ModelError, Models, Value};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// An account of the organisation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// Twelve digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Id and name of the root and of every unit down to the account; empty unless a filter asked for units.
    pub units: Vec<(String, String)>,
    /// Tags of the account; empty unless a filter asked for tags.
    pub tags: BTreeMap<String, String>,
    /// For example `ACTIVE`.
    pub state: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The accounts to read, sorted by id.
    pub members: Vec<Member>,
    /// The others, sorted by id.
    pub left_out: Vec<LeftOutAccount>,
}

/// Why the accounts are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// A call failed.
    #[error("organizations:{operation} failed with {error}")]
    Call {
        /// The operation.
        operation: &'static str,
        /// What AWS answered.
        error: ApiError,
    },
    /// The models are damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A filter names what is not there.
    #[error("the organisation has no {what} `{name}`")]
    NoSuch {
        /// Account or organisational unit.
        what: &'static str,
        /// As the user wrote it.
        name: String,
    },
    /// Nothing is left.
    #[error("the filters leave none of the {accounts} accounts of the organisation")]
    Nobody {
        /// How many there are.
        accounts: usize,
    },
}

struct Organizations<'a> {
    api: &'a dyn Api,
    model: &'a Model,
    region: &'a str,
}

/// Lists the accounts that are meant: those that are active and that the filters leave. Units and tags are only asked for
/// when a filter needs them.
///
/// # Errors
/// When a call fails, a filter names what is not there, or no account is left: none of that may look like a small
/// organisation.
pub async fn discover(
    api: &dyn Api,
    models: &Models,
    region: &str,
    filters: &Filters,
) -> Result<Discovered, DiscoverError> {
    let model = models.get("organizations")?;
    let organizations = Organizations {
        api,
        model: &model,
        region,
    };
    let mut members = organizations.accounts().await?;
    if filters.need_units() {
        organizations.add_units(&mut members, filters).await?;
    }
    if filters.need_tags() {
        for member in &mut members {
            member.tags = organizations.tags(&member.id).await?;
        }
    }
    let named = filters.include_accounts.iter();
    for name in named.chain(&filters.exclude_accounts) {
        if !members.iter().any(|m| m.id == *name) {
            return Err(DiscoverError::NoSuch {
                what: "account",
                name: name.clone(),
            });
        }
    }
    let accounts = members.len();
    let mut found = Discovered::default();
    for member in members {
        let reason = if member.state == "ACTIVE" {
            filters.refusal(&member)
        } else {
            Some(format!("its status is {}", member.state))
        };
        match reason {
            None => found.members.push(member),
            Some(reason) => found.left_out.push(LeftOutAccount {
                account_id: member.id,
                name: member.name,
                reason,
            }),
        }
    }
    if found.members.is_empty() {
        return Err(DiscoverError::Nobody { accounts });
    }
    Ok(found)
}

impl Organizations<'_> {
    fn text(&self, value: &Value, name: &str) -> String {
        let found = value.get(self.model, name).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    }

    /// All pages of a list.
    async fn all(
        &self,
        operation: &'static str,
        params: Json,
        list: &str,
    ) -> Result<Vec<Value>, DiscoverError> {
        let mut next = match params {
            Json::Object(params) => Some(params),
            _ => Some(Map::new()),
        };
        let mut all = Vec::new();
        while let Some(params) = next {
            let request = CallRequest {
                service: "organizations",
                operation,
                region: self.region,
                params: &params,
            };
            let answered = self.api.call(request).await;
            let page = answered.map_err(|error| DiscoverError::Call { operation, error })?;
            if let Some(Value::List(items)) = page.value.get(self.model, list) {
                all.extend(items.iter().cloned());
            }
            next = page.next;
        }
        Ok(all)
    }

    async fn accounts(&self) -> Result<Vec<Member>, DiscoverError> {
        let listed = self.all("ListAccounts", json!({}), "Accounts").await?;
        let mut members: Vec<Member> = listed
            .iter()
            .map(|account| {
                // `State` takes the place of `Status` (Organizations API Reference, "Account")
                let state = self.text(account, "State");
                Member {
                    id: self.text(account, "Id"),
                    name: self.text(account, "Name"),
                    state: if state.is_empty() {
                        self.text(account, "Status")
                    } else {
                        state
                    },
                    ..Member::default()
                }
            })
            .collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.dedup_by(|a, b| a.id == b.id);
        Ok(members)
    }

    /// Walks down from the roots.
    async fn add_units(
        &self,
        members: &mut [Member],
        filters: &Filters,
    ) -> Result<(), DiscoverError> {
        let mut known = BTreeSet::new();
        let roots = self.all("ListRoots", json!({}), "Roots").await?;
        let mut open: Vec<Vec<(String, String)>> = roots
            .iter()
            .map(|r| vec![(self.text(r, "Id"), self.text(r, "Name"))])
            .collect();
        while let Some(path) = open.pop() {
            let Some((id, _)) = path.last() else { continue };
            known.insert(id.clone());
            let names: Vec<&str> = path.iter().map(|(_, name)| name.as_str()).collect();
            known.insert(names.join("/"));
            let here = json!({ "ParentId": id });
            let accounts = self
                .all("ListAccountsForParent", here.clone(), "Accounts")
                .await?;
            for account in accounts {
                let account = self.text(&account, "Id");
                if let Some(member) = members.iter_mut().find(|m| m.id == account) {
                    member.units.clone_from(&path);
                }
            }
            let units = self
                .all(
                    "ListOrganizationalUnitsForParent",
                    here,
                    "OrganizationalUnits",
                )
                .await?;
            for unit in units {
                let mut below = path.clone();
                below.push((self.text(&unit, "Id"), self.text(&unit, "Name")));
                open.push(below);
            }
        }
        let named = filters.include_units.iter();
        for name in named.chain(&filters.exclude_units) {
            if !known.contains(name.trim_matches('/')) {
                return Err(DiscoverError::NoSuch {
                    what: "root or organisational unit",
                    name: name.clone(),
                });
            }
        }
        Ok(())
    }

    async fn tags(&self, account: &str) -> Result<BTreeMap<String, String>, DiscoverError> {
        let listed = self
            .all(
                "ListTagsForResource",
                json!({ "ResourceId": account }),
                "Tags",
            )
            .await?;
        Ok(listed
            .iter()
            .map(|tag| (self.text(tag, "Key"), self.text(tag, "Value")))
            .collect())
    }
}

//! Jira: an issue for each check that fails in an account.
//!
//! The labels of an issue say what it is of: `palisade`, `palisade-account-<id>`, `palisade-<digits>` (check and account)
//! and `palisade-is-<digits>` (the failed resources that were written into it), `palisade-in-<region>` (where they are).
//! A search asks for the accounts of a scan alone, so that it stays small in a project that has those of others. So an
//! issue is looked for before it is made, written again only when the resources are others, and closed when all of
//! them are over. A scan that leaves out a region of an issue only adds what fails in regions that the issue does not
//! have; a scan that could not read all of a check, or was stopped, leaves its issue as it is.
mod text;

use crate::changes::{Place, Scope, Standing, is_global};
use crate::deliver::{SendError, Sender, Sent, shown_request};
use crate::destination::{Jira, JiraApi};
use crate::document::Titles;
use crate::http::Outgoing;
use crate::secret::Secret;
use base64::Engine;
use palisade_core::{Finding, Status};
use palisade_report::{digest, printable, shorten};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use text::Texts;

/// On every issue of ours.
const LABEL: &str = "palisade";
/// On an issue that we told to be over, in place of its resources.
const FIXED: &str = "palisade-is-fixed";
const IS: &str = "palisade-is-";
const IN: &str = "palisade-in-";
/// With the id of the account that an issue is about.
const ACCOUNT: &str = "palisade-account-";
/// Accounts of one search.
const ACCOUNTS: usize = 50;
/// Issues of one page of a search.
const PAGE: usize = 100;
/// An issue is tried to be made this often.
const CREATIONS: u32 = 3;
/// More pages than this are no answer to our question.
const PAGES: usize = 200;

/// An issue that exists.
#[derive(Debug, Clone)]
struct Issue {
    key: String,
    labels: Vec<String>,
    done: bool,
}

impl Issue {
    fn state(&self) -> &str {
        let state = self.labels.iter().find(|l| l.starts_with(IS));
        state.map_or("", String::as_str)
    }
    /// Whether a scan looked everywhere where the issue's resources are.
    fn is_within(&self, scope: &Scope<'_>) -> bool {
        let mut regions = self.labels.iter().filter_map(|l| l.strip_prefix(IN));
        regions.all(|region| scope.has_region(region))
    }
    /// What takes the place of the labels that say what is in the issue.
    fn relabelled(&self, state: &str, regions: &BTreeSet<String>) -> Json {
        let old = self
            .labels
            .iter()
            .filter(|l| l.starts_with(IS) || l.starts_with(IN));
        let stays = |l: &&String| l.as_str() != state && !regions.contains(*l);
        let removed = old.filter(stays).map(|l| json!({ "remove": l }));
        let new = std::iter::once(state).chain(regions.iter().map(String::as_str));
        let is_new = |l: &&str| !self.labels.iter().any(|has| has == l);
        let added = new.filter(is_new).map(|l| json!({ "add": l }));
        json!({ "labels": removed.chain(added).collect::<Vec<Json>>() })
    }
}

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &Jira,
    scope: &Scope<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let good = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if to.project.is_empty() || !to.project.chars().all(good) {
        return Err(SendError::Settings(
            "`project` is no key of a project such as `SEC`".to_owned(),
        ));
    }
    let server = Server {
        sender,
        to,
        authorization: authorization(to),
    };
    let existing = server.of_accounts(&sender.assessment.accounts).await?;
    let titles = Titles::of(sender.assessment);
    let mut failing: BTreeMap<(&str, &str), Vec<(&str, &Finding)>> = BTreeMap::new();
    for (id, finding) in scope.open() {
        failing
            .entry((&finding.check, &finding.account_id))
            .or_default()
            .push((id, finding));
    }
    let mut worst_first: Vec<_> = failing.iter().collect();
    let severity = |findings: &[(&str, &Finding)]| findings.iter().map(|(_, f)| f.severity).max();
    worst_first.sort_by(|(a, x), (b, y)| severity(y).cmp(&severity(x)).then(a.cmp(b)));
    let mut left = worst_first.len();
    for ((check, account), findings) in worst_first {
        left -= 1;
        let texts = Texts {
            api: to.api,
            check,
            account,
            title: titles.get(check),
            findings,
        };
        let issue = existing.get(&identity(check, account));
        let about = issue.filter(|i| i.state() != FIXED);
        let done = if let Some(issue) = about.filter(|_| !is_read(sender, check, account)) {
            sent.unchanged += 1;
            if issue.state() != state(findings) {
                sent.problems.push(format!(
                    "`{check}` in {account}: {} stays as it is, because not all of it could be read",
                    issue.key
                ));
            }
            Ok(())
        } else if let Some(issue) = about.filter(|i| !i.is_within(scope)) {
            server.elsewhere(&texts, issue, sent).await
        } else {
            server.failing(&texts, issue, sent).await
        };
        if problem(done, check, account, sent) {
            if left > 0 {
                sent.problems
                    .push(format!("{left} more checks that fail were not told"));
            }
            return Ok(());
        }
    }
    for check in &sender.assessment.checks {
        for account in &sender.assessment.accounts {
            let key = (check.id.as_str(), account.as_str());
            if failing.contains_key(&key) || !is_over(sender, scope, &check.id, account) {
                continue;
            }
            let issue = existing.get(&identity(&check.id, account));
            if let Some(issue) = issue.filter(|i| i.is_within(scope)) {
                let done = server.over(issue, sent).await;
                if problem(done, &check.id, account, sent) {
                    sent.problems
                        .push("what else is over was not told".to_owned());
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Notes a failure; tells whether every other request would fail alike.
fn problem(done: Result<(), SendError>, check: &str, account: &str, sent: &mut Sent) -> bool {
    let Err(error) = done else {
        return false;
    };
    sent.problems
        .push(format!("`{check}` in {account}: {error}"));
    matches!(error, SendError::Request { lasting: true, .. })
}

/// Whether a scan ended and read all that a check asks for in an account.
fn is_read(sender: &Sender<'_>, check: &str, account: &str) -> bool {
    let unread = |f: &Finding| {
        *f.check == *check && *f.account_id == *account && f.status == Status::Unknown
    };
    !sender.assessment.coverage.interrupted && !sender.assessment.findings.iter().any(unread)
}

/// Whether nothing of a check is left in an account: all of it was looked at, and nothing fails.
fn is_over(sender: &Sender<'_>, scope: &Scope<'_>, check: &str, account: &str) -> bool {
    let of = |f: &&Finding| *f.check == *check && *f.account_id == *account;
    let mut findings = sender.assessment.findings.iter().filter(of);
    let decided =
        |f: &Finding| f.muted.is_some() || matches!(f.status, Status::Pass | Status::NotApplicable);
    let place = Place {
        check,
        account,
        region: sender.assessment.regions.first().map_or("", String::as_str),
        resource: "",
    };
    findings.all(decided) && matches!(scope.standing("", &place), Standing::Closed(_))
}

/// The label of a check in an account.
fn identity(check: &str, account: &str) -> String {
    let digits = digest(&[check.as_bytes(), account.as_bytes()]);
    format!("{LABEL}-{}", digits.get(..16).unwrap_or(&digits))
}

/// The label of an account: of its id only what an id has, as it becomes part of a search.
fn account_label(account: &str) -> String {
    let id: String = account
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    format!("{ACCOUNT}{id}")
}

/// The label of a list of findings.
fn state(findings: &[(&str, &Finding)]) -> String {
    let told: Vec<String> = findings
        .iter()
        .map(|(id, f)| format!("{id}/{}/{}", f.status, f.severity))
        .collect();
    let parts: Vec<&[u8]> = told.iter().map(String::as_bytes).collect();
    let digits = digest(&parts);
    format!("{IS}{}", digits.get(..12).unwrap_or(&digits))
}

/// The labels of where findings are; what is global is in every scan.
fn regions(findings: &[(&str, &Finding)]) -> BTreeSet<String> {
    let regional = findings.iter().filter(|(_, f)| !is_global(&f.resource));
    regional.map(|(_, f)| format!("{IN}{}", f.region)).collect()
}

/// Cloud takes a user and a token, Data Center a token alone.
fn authorization(to: &Jira) -> Secret {
    let token = to.token.reveal();
    Secret::new(match &to.user {
        Some(user) => {
            let pair = format!("{}:{token}", user.reveal());
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {encoded}")
        }
        None => format!("Bearer {token}"),
    })
}

struct Server<'s> {
    sender: &'s Sender<'s>,
    to: &'s Jira,
    authorization: Secret,
}

impl Server<'_> {
    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Json>,
        once: bool,
    ) -> Result<Json, SendError> {
        let version = match self.to.api {
            JiraApi::V2 => 2,
            JiraApi::V3 => 3,
        };
        let url = format!(
            "{}/rest/api/{version}{path}",
            self.to.url.trim_end_matches('/')
        );
        let mut secrets = vec![&self.authorization, &self.to.token];
        secrets.extend(&self.to.user);
        let outgoing = Outgoing {
            method,
            url: &url,
            headers: vec![
                ("authorization", self.authorization.reveal()),
                ("accept", "application/json"),
            ],
            body: body.map(palisade_report::to_json).unwrap_or_default(),
            timeout: self.to.timeout,
            once,
            secrets,
        };
        let answer = self.sender.http.send(&outgoing).await?;
        if answer.iter().all(u8::is_ascii_whitespace) {
            return Ok(Json::Null);
        }
        serde_json::from_slice(&answer)
            .map_err(|_| SendError::Answer(format!("the answer to {method} {path} is no JSON")))
    }

    /// The issues of some accounts.
    async fn of_accounts(&self, accounts: &[String]) -> Result<BTreeMap<String, Issue>, SendError> {
        let mut all: BTreeMap<String, Issue> = BTreeMap::new();
        for some in accounts.chunks(ACCOUNTS) {
            let labels: Vec<String> = some.iter().map(|a| account_label(a)).collect();
            self.find(&labels, &mut all).await?;
        }
        Ok(all)
    }

    /// Adds our issues that have one of some labels, by the label of their check and account: of several the open one,
    /// else the one that is named last.
    async fn find(
        &self,
        labels: &[String],
        all: &mut BTreeMap<String, Issue>,
    ) -> Result<(), SendError> {
        let labels: Vec<String> = labels.iter().map(|l| format!("\"{l}\"")).collect();
        let jql = format!(
            "project = \"{}\" AND labels = \"{LABEL}\" AND labels in ({}) ORDER BY created ASC",
            self.to.project,
            labels.join(", ")
        );
        let mut body = json!({ "jql": jql, "fields": ["labels", "status"], "maxResults": PAGE });
        let path = match self.to.api {
            JiraApi::V2 => "/search",
            JiraApi::V3 => "/search/jql",
        };
        let mut seen = 0;
        for _ in 0..PAGES {
            let answer = self.ask("POST", path, Some(&body), false).await?;
            let Some(issues) = answer.get("issues").and_then(Json::as_array) else {
                return Err(SendError::Answer(
                    "the search gives no list of issues".to_owned(),
                ));
            };
            seen += issues.len();
            for issue in issues.iter().filter_map(read) {
                for label in issue.labels.iter().filter(|l| is_identity(l)) {
                    let better = all.get(label).is_none_or(|known| known.done);
                    if better {
                        all.insert(label.clone(), issue.clone());
                    }
                }
            }
            let more = match self.to.api {
                JiraApi::V2 => {
                    let total = answer.get("total").and_then(Json::as_u64).unwrap_or(0);
                    (u64::try_from(seen).unwrap_or(u64::MAX) < total && !issues.is_empty())
                        .then(|| ("startAt", Json::from(seen)))
                }
                JiraApi::V3 => answer
                    .get("nextPageToken")
                    .filter(|t| t.is_string())
                    .map(|t| ("nextPageToken", t.clone())),
            };
            let (Some((name, value)), Json::Object(body)) = (more, &mut body) else {
                return Ok(());
            };
            body.insert(name.to_owned(), value);
        }
        Err(SendError::Answer("the search does not end".to_owned()))
    }

    /// Something fails: an issue says so.
    async fn failing(
        &self,
        texts: &Texts<'_>,
        issue: Option<&Issue>,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        let (state, regions) = (state(texts.findings), regions(texts.findings));
        // an issue that we told to be over was about earlier resources
        let Some(current) = issue.filter(|i| !(i.done && i.state() == FIXED)) else {
            let fixed = [
                LABEL.to_owned(),
                account_label(texts.account),
                identity(texts.check, texts.account),
                state,
            ];
            let labels: Vec<String> = fixed.into_iter().chain(regions).collect();
            let fields = json!({
                "project": { "key": self.to.project },
                "issuetype": { "name": self.to.issue_type },
                "summary": texts.summary(),
                "description": texts.description(),
                "labels": labels,
            });
            return self
                .create(texts, &json!({ "fields": fields }), issue, sent)
                .await;
        };
        if current.state() == state {
            sent.unchanged += 1;
            return Ok(());
        }
        // what somebody closed stays closed: the comment tells them
        let body = json!({
            "fields": { "summary": texts.summary(), "description": texts.description() },
            "update": current.relabelled(&state, &regions),
        });
        self.change(
            "PUT",
            &format!("/issue/{}", current.key),
            &body,
            false,
            sent,
        )
        .await?;
        // told by the issue itself: a comment that fails is not worth a second one
        sent.told += 1;
        self.comment(current, &texts.comment(), sent).await
    }

    /// Something fails, and the issue is also about regions that were not scanned: what fails in regions that it does
    /// not have is added to it.
    async fn elsewhere(
        &self,
        texts: &Texts<'_>,
        issue: &Issue,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        let has = |region: &str| {
            issue
                .labels
                .iter()
                .any(|l| l.strip_prefix(IN) == Some(region))
        };
        let new: Vec<(&str, &Finding)> = texts
            .findings
            .iter()
            .filter(|(_, f)| !is_global(&f.resource) && !has(&f.region))
            .copied()
            .collect();
        if new.is_empty() {
            sent.unchanged += 1;
            return Ok(());
        }
        let added: Vec<Json> = regions(&new)
            .into_iter()
            .map(|l| json!({ "add": l }))
            .collect();
        let body = json!({ "update": { "labels": added } });
        self.change("PUT", &format!("/issue/{}", issue.key), &body, false, sent)
            .await?;
        sent.told += 1;
        let texts = Texts {
            findings: &new,
            ..*texts
        };
        self.comment(issue, &texts.comment(), sent).await
    }

    /// Makes an issue. When nobody knows whether it was made, it is looked for before it is made again.
    async fn create(
        &self,
        texts: &Texts<'_>,
        body: &Json,
        known: Option<&Issue>,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        for attempt in 1..=CREATIONS {
            let error = match self.change("POST", "/issue", body, true, sent).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let ambiguous = matches!(
                error,
                SendError::Request {
                    ambiguous: true,
                    ..
                }
            );
            if !ambiguous || attempt == CREATIONS {
                return Err(error);
            }
            // the search finds a new issue a moment later
            tokio::time::sleep(self.sender.http.pause()).await;
            let label = identity(texts.check, texts.account);
            let mut found = BTreeMap::new();
            self.find(std::slice::from_ref(&label), &mut found).await?;
            let found = found.remove(&label);
            if found.is_some_and(|found| known.is_none_or(|k| k.key != found.key)) {
                break;
            }
        }
        sent.told += 1;
        Ok(())
    }

    /// Nothing fails any more: the issue says so, once, and is closed when a transition is named. What failed of that is
    /// done by the next scan.
    async fn over(&self, issue: &Issue, sent: &mut Sent) -> Result<(), SendError> {
        let told = issue.state() == FIXED;
        if issue.done || (told && self.to.close.is_none()) {
            return Ok(());
        }
        if !told {
            let body = json!({ "update": issue.relabelled(FIXED, &BTreeSet::new()) });
            self.change("PUT", &format!("/issue/{}", issue.key), &body, false, sent)
                .await?;
            let fixed = text::fixed(self.to.api, self.sender.assessment);
            self.comment(issue, &fixed, sent).await?;
        }
        if let Some(name) = &self.to.close {
            self.close(issue, name, sent).await?;
        }
        sent.closed += 1;
        Ok(())
    }

    async fn close(&self, issue: &Issue, name: &str, sent: &mut Sent) -> Result<(), SendError> {
        let path = format!("/issue/{}/transitions", issue.key);
        let answer = self.ask("GET", &path, None, false).await?;
        let transitions = answer.get("transitions").and_then(Json::as_array);
        let named = |t: &&Json| {
            let is = t.get("name").and_then(Json::as_str);
            is.is_some_and(|is| is.eq_ignore_ascii_case(name))
        };
        let id = transitions
            .and_then(|t| t.iter().find(named))
            .and_then(|t| t.get("id"));
        let Some(id) = id else {
            return Err(SendError::Answer(format!(
                "{} has no transition `{name}` from where it stands",
                issue.key
            )));
        };
        let body = json!({ "transition": { "id": id } });
        self.change("POST", &path, &body, true, sent).await
    }

    /// Never sent twice: nobody knows of a comment whether it is there.
    async fn comment(&self, issue: &Issue, text: &Json, sent: &mut Sent) -> Result<(), SendError> {
        let path = format!("/issue/{}/comment", issue.key);
        let body = json!({ "body": text });
        self.change("POST", &path, &body, true, sent).await
    }

    async fn change(
        &self,
        method: &'static str,
        path: &str,
        body: &Json,
        once: bool,
        sent: &mut Sent,
    ) -> Result<(), SendError> {
        if self.sender.dry_run {
            let bytes = palisade_report::to_json(body);
            sent.requests
                .push(shown_request(&format!("{method} {path}"), &bytes));
            return Ok(());
        }
        self.ask(method, path, Some(body), once).await.map(drop)
    }
}

fn is_identity(label: &str) -> bool {
    let digits = label.strip_prefix("palisade-");
    digits.is_some_and(|d| d.len() == 16 && d.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn read(issue: &Json) -> Option<Issue> {
    let key = issue.get("key")?.as_str()?;
    // it becomes part of a path
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if key.is_empty() || !key.chars().all(good) {
        return None;
    }
    let labels = issue.pointer("/fields/labels").and_then(Json::as_array);
    let labels = labels.into_iter().flatten().filter_map(Json::as_str);
    let category = issue.pointer("/fields/status/statusCategory/key");
    Some(Issue {
        key: key.to_owned(),
        labels: labels.map(str::to_owned).collect(),
        done: category.and_then(Json::as_str) == Some("done"),
    })
}

/// Our own object of a document: texts and lists.
type Node = Map<String, Json>;

fn line(text: &str, most: usize) -> String {
    shorten(&printable(text), most).into_owned()
}

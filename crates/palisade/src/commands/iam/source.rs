//! Accounts from files or from AWS, and the words of the command line that name things in them.
use crate::cli::{Accounts, Guardrails, Keys};
use crate::commands::{connect, store};
use crate::error::Failure;
use crate::output::Terminal;
use palisade_catalog::Catalog;
use palisade_iam::{Catalogue, Context, Entity, Model, PrincipalKind, attempt_context};
use palisade_scan::{IamQuestion, IamScope, Scanner};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Loads the catalogue of tables when it is needed.
pub type Load<'a> = &'a dyn Fn() -> Result<Arc<Catalog>, Failure>;

/// What a question is answered from.
pub struct Source {
    /// The accounts.
    pub model: Model,
    /// Milliseconds since 1970: the time of the question.
    pub now: i64,
    /// Rows of other tables that were asked for, by table; empty when they come from files.
    pub rows: Vec<(String, Vec<Value>)>,
}

/// Reads a text file.
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|source| Failure::Input {
        path: path.to_owned(),
        source,
    })
}

/// What is wrong with a file's content.
pub fn content(path: &Path, message: impl ToString) -> Failure {
    Failure::Content {
        path: path.to_owned(),
        message: message.to_string(),
    }
}

pub fn usage(message: String, hint: Option<String>) -> Failure {
    Failure::Usage { message, hint }
}

/// Opens the accounts. `extra` are queries whose rows are wanted besides, from AWS only.
pub fn open(
    accounts: &Accounts,
    question: IamQuestion<'_>,
    extra: &[(&str, &str)],
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Source, Failure> {
    let source = match &accounts.snapshot {
        Some(wanted) => from_snapshot(accounts, wanted, question, extra, load, terminal)?,
        None if accounts.from.is_empty() => collect(accounts, question, extra, load, terminal)?,
        None => from_files(accounts)?,
    };
    for problem in &source.model.problems {
        terminal.warn(problem);
    }
    Ok(source)
}

fn from_files(accounts: &Accounts) -> Result<Source, Failure> {
    let mut model = Model::default();
    for path in &accounts.from {
        model.add_file(&read(path)?).map_err(|e| content(path, e))?;
    }
    if accounts.assume_complete {
        model.known = None;
    } else {
        note_missing(&mut model);
    }
    model.sort();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    Ok(Source {
        model,
        now,
        rows: Vec::new(),
    })
}

/// Says which guardrails and resource policies the files leave open.
fn note_missing(model: &mut Model) {
    let accounts: BTreeSet<String> = model.entities.iter().map(|e| e.account.clone()).collect();
    let known = model.known.get_or_insert_default();
    for account in accounts {
        for (set, what) in [
            (&known.scp, "service control policies"),
            (&known.rcp, "resource control policies"),
        ] {
            if !set.contains(&account) && !set.contains("*") {
                known
                    .reasons
                    .push(format!("the {what} of {account}: no file has them"));
            }
        }
    }
    known
        .reasons
        .push("policies of resources that no file names".to_owned());
}

fn collect(
    accounts: &Accounts,
    question: IamQuestion<'_>,
    extra: &[(&str, &str)],
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Source, Failure> {
    let mut scanner = Scanner::new(load()?);
    let mut request = scanner.iam_request(question);
    for (_, sql) in extra {
        let more = scanner.columns_of(sql)?;
        for (table, columns) in more.tables {
            match columns {
                palisade_collect::ColumnSelection::All => request.add_all(&table),
                palisade_collect::ColumnSelection::Some(columns) => {
                    request.add(&table, columns.iter().map(String::as_str));
                }
            }
        }
    }
    let (connection, collected) = connect::collect(&accounts.target, &scanner, &request, terminal)?;
    connect::report_gaps(&collected.coverage, terminal);
    scanner.set_now(connection.now);
    let scope = IamScope {
        accounts: vec![connection.account_id.clone()],
        regions: connection.regions.clone(),
    };
    let found = scanner.iam_accounts(&collected.dataset, &scope);
    if let Some((account, why)) = found.unlisted.first() {
        return Err(Failure::Connect {
            message: format!("users, roles and policies of {account} cannot be read: {why}"),
            hint: Some("`palisade iam … --from FILE` answers from an export".to_owned()),
        });
    }
    let mut rows = Vec::new();
    for (name, sql) in extra {
        let text = scanner.query(sql, &collected.dataset)?.to_json_lines();
        let parsed = text.lines().filter_map(|l| serde_json::from_str(l).ok());
        rows.push(((*name).to_owned(), parsed.collect()));
    }
    let mut model = found.model;
    for path in &accounts.with {
        model.add_file(&read(path)?).map_err(|e| content(path, e))?;
    }
    if !accounts.with.is_empty() {
        forget_reasons(&mut model);
    }
    Ok(Source {
        model,
        now: connection.now.as_micros() / 1000,
        rows,
    })
}

/// The accounts of a snapshot, as they were. The time of the question is the snapshot's.
fn from_snapshot(
    accounts: &Accounts,
    wanted: &str,
    question: IamQuestion<'_>,
    extra: &[(&str, &str)],
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Source, Failure> {
    let mut scanner = Scanner::new(load()?);
    let (runtime, store) = store::offline(&accounts.store, &accounts.target, scanner.models())?;
    let snapshot = runtime.block_on(store.snapshot(wanted))?;
    let manifest = snapshot.manifest();
    scanner.set_now(manifest.started_at);
    terminal.note(&format!(
        "snapshot {} of {}",
        manifest.id, manifest.started_at
    ));
    let queries: Vec<&str> = extra.iter().map(|(_, sql)| *sql).collect();
    let found = scanner.iam_dataset(question, &queries, &snapshot);
    let (dataset, lacking) = runtime.block_on(found)?;
    let mut entered = Vec::new();
    for account in snapshot.accounts() {
        // an account that could not be entered has no tables
        let part = runtime.block_on(snapshot.account(&account))?;
        if part.tables.contains_key("iam_role") {
            entered.push(account);
        }
    }
    let scope = IamScope {
        accounts: entered.clone(),
        regions: manifest.regions.clone(),
    };
    let found = scanner.iam_accounts(&dataset, &scope);
    let unlisted: BTreeSet<&String> = found.unlisted.iter().map(|(account, _)| account).collect();
    if let Some((account, why)) = found.unlisted.first()
        && entered.iter().all(|account| unlisted.contains(account))
    {
        return Err(Failure::Connect {
            message: format!(
                "users, roles and policies of {account} could not be read for {}: {why}",
                manifest.id
            ),
            hint: Some("another snapshot may have them: `palisade snapshots list`".to_owned()),
        });
    }
    let mut rows = Vec::new();
    for (name, sql) in extra {
        let text = scanner.query(sql, &dataset)?.to_json_lines();
        let parsed = text.lines().filter_map(|l| serde_json::from_str(l).ok());
        rows.push(((*name).to_owned(), parsed.collect()));
    }
    let mut model = found.model;
    let known = model.known.get_or_insert_default();
    let tables: BTreeSet<&str> = lacking.iter().map(|(table, _)| table.as_str()).collect();
    for table in tables {
        let id = &manifest.id;
        known
            .reasons
            .push(format!("`{table}`: {id} was not collected for it"));
    }
    for account in snapshot.accounts() {
        if !entered.contains(&account) {
            known
                .reasons
                .push(format!("users, roles and policies of {account}: not read"));
        }
    }
    for (account, why) in &found.unlisted {
        known
            .reasons
            .push(format!("users, roles and policies of {account}: {why}"));
    }
    for path in &accounts.with {
        model.add_file(&read(path)?).map_err(|e| content(path, e))?;
    }
    if !accounts.with.is_empty() {
        forget_reasons(&mut model);
    }
    Ok(Source {
        model,
        now: manifest.started_at.as_micros() / 1000,
        rows,
    })
}

/// Takes back why guardrails are not known that a file has since told.
fn forget_reasons(model: &mut Model) {
    let accounts: BTreeSet<String> = model.entities.iter().map(|e| e.account.clone()).collect();
    let Some(known) = &mut model.known else {
        return;
    };
    for account in accounts {
        let has = |set: &BTreeSet<String>| set.contains(&account) || set.contains("*");
        let (scp, rcp) = (has(&known.scp), has(&known.rcp));
        known.reasons.retain(|reason| {
            let is_about = |what: &str| reason.starts_with(&format!("the {what} of {account}:"));
            !(scp && is_about("service control policies")
                || rcp && is_about("resource control policies")
                || scp && rcp && is_about("guardrails")
                || scp && rcp && reason.starts_with(&format!("whether {account} is in an")))
        });
    }
}

/// The guardrails of an organisation as one document.
pub fn guardrails(
    args: &Guardrails,
    load: Load<'_>,
    terminal: &Terminal,
) -> Result<Value, Failure> {
    let scanner = Scanner::new(load()?);
    let request = scanner.iam_request(IamQuestion::Guardrails);
    let (connection, collected) = connect::collect(&args.target, &scanner, &request, terminal)?;
    connect::report_gaps(&collected.coverage, terminal);
    let scope = IamScope {
        accounts: vec![connection.account_id.clone()],
        regions: connection.regions.clone(),
    };
    let model = scanner.iam_accounts(&collected.dataset, &scope).model;
    // What is missing in the file would be missing in every answer that is made from it.
    let reasons = model.known.iter().flat_map(|k| &k.reasons).cloned();
    let failures = collected.coverage.failures.iter();
    let missing: Vec<String> = failures
        .map(|(error, _)| error.to_string())
        .chain(reasons)
        .collect();
    match missing.as_slice() {
        [] => Ok(model.guardrails()),
        some => Err(Failure::Connect {
            message: format!("not all guardrails can be read: {}", some.join("; ")),
            hint: Some(
                "service control policies can be listed from the management account or a delegated administrator"
                    .to_owned(),
            ),
        }),
    }
}

impl Source {
    /// The context of a request from `KEY=VALUE` arguments.
    pub fn context(&self, keys: &Keys) -> Result<Context, Failure> {
        let mut context = if keys.only_context {
            Context::closed()
        } else {
            attempt_context(self.now)
        };
        let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for pair in &keys.context {
            let Some((key, value)) = pair.split_once('=').filter(|(k, _)| k.contains(':')) else {
                return Err(usage(
                    format!("`{pair}` is not a context key with a value"),
                    Some("for example `--context aws:MultiFactorAuthPresent=true`".to_owned()),
                ));
            };
            values.entry(key).or_default().push(value);
        }
        for (key, values) in values {
            context.set(key, values);
        }
        Ok(context)
    }

    /// A user or role by ARN, by `user/NAME` or `role/NAME`, by name, or by the ARN of a session of a role.
    pub fn entity(&self, text: &str) -> Result<Option<&Entity>, Failure> {
        if let Some(entity) = self.model.entity(text) {
            return Ok(Some(entity));
        }
        let session = session_role(text);
        let matching: Vec<&Entity> = self
            .model
            .entities
            .iter()
            .filter(|e| match (text.split_once('/'), session) {
                (_, Some((account, role))) => {
                    e.kind == PrincipalKind::Role && e.account == account && e.name == role
                }
                (Some(("user", name)), _) => e.kind == PrincipalKind::User && e.name == name,
                (Some(("role", name)), _) => e.kind == PrincipalKind::Role && e.name == name,
                _ => e.name == text,
            })
            .collect();
        match matching.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            many => Err(usage(
                format!("`{text}` is the name of {} principals", many.len()),
                Some(format!(
                    "one of {}",
                    many.iter()
                        .take(5)
                        .map(|e| format!("`{}`", e.arn))
                        .collect::<Vec<_>>()
                        .join(", ")
                )),
            )),
        }
    }

    /// A user or role that must be there.
    pub fn known_entity(&self, text: &str) -> Result<&Entity, Failure> {
        self.entity(text)?.ok_or_else(|| self.unknown(text))
    }

    /// What is said of a principal that is not there.
    pub fn unknown(&self, text: &str) -> Failure {
        let name = text.rsplit('/').next().unwrap_or(text);
        let by_arn = text.starts_with("arn:");
        let entities = &self.model.entities;
        let near = if by_arn {
            palisade_catalog::similar(text, entities.iter().map(|e| e.arn.as_str()))
        } else {
            palisade_catalog::similar(name, entities.iter().map(|e| e.name.as_str()))
        };
        let hint = match near.as_slice() {
            [] => format!(
                "there are {} users and roles; `palisade iam who-can` and `palisade iam admins` name some",
                entities.len()
            ),
            some => format!("did you mean `{}`?", some.join("` or `")),
        };
        usage(format!("no user or role `{text}`"), Some(hint))
    }
}

/// Account and role name of a session's ARN.
fn session_role(arn: &str) -> Option<(&str, &str)> {
    let mut fields = arn.splitn(6, ':');
    let sts = fields.nth(2)? == "sts";
    let account = fields.nth(1)?;
    let rest = fields.next()?.strip_prefix("assumed-role/")?;
    sts.then(|| (account, rest.split('/').next().unwrap_or(rest)))
}

/// Checks that a text is an action, and says what the catalogue knows against it.
pub fn check_action(action: &str, terminal: &Terminal) -> Result<(), Failure> {
    let is_action = action
        .split_once(':')
        .is_some_and(|(service, name)| !service.is_empty() && !name.is_empty())
        && !action.contains(['*', '?', ' ']);
    if !is_action {
        return Err(usage(
            format!("`{action}` is not an action"),
            Some("an action is written as `s3:GetObject`, without wildcards".to_owned()),
        ));
    }
    let Ok(catalogue) = Catalogue::embedded() else {
        return Ok(());
    };
    if catalogue.action(action).is_some() {
        return Ok(());
    }
    let (prefix, name) = action.split_once(':').unwrap_or((action, ""));
    let (what, near) = match catalogue.service(prefix) {
        Some(service) => (
            format!("`{prefix}` has no action `{name}`"),
            palisade_catalog::similar(name, service.actions.iter().map(|a| a.name.as_str()))
                .into_iter()
                .map(|n| format!("{prefix}:{n}"))
                .collect::<Vec<_>>(),
        ),
        None => (
            format!("no service has the prefix `{prefix}`"),
            palisade_catalog::similar(prefix, catalogue.services().map(|s| s.prefix.as_str()))
                .into_iter()
                .map(|p| format!("{p}:{name}"))
                .collect(),
        ),
    };
    let hint = match near.as_slice() {
        [] => String::new(),
        some => format!("; did you mean `{}`?", some.join("` or `")),
    };
    terminal.warn(&format!(
        "{what} in the catalogue of {}{hint} It is judged as written.",
        catalogue.header.date
    ));
    Ok(())
}

/// Checks that a text is a resource, and says when the action does not work on it.
pub fn check_resource(action: &str, resource: &str, terminal: &Terminal) -> Result<(), Failure> {
    if resource != "*" && !resource.starts_with("arn:") {
        return Err(usage(
            format!("`{resource}` is not the ARN of a resource"),
            Some("for actions without a resource write `*`".to_owned()),
        ));
    }
    let Some((service, found)) = Catalogue::embedded().ok().and_then(|c| c.action(action)) else {
        return Ok(());
    };
    let formats: Vec<String> = found
        .resources
        .iter()
        .filter_map(|r| service.resource(r))
        .map(palisade_iam::ResourceType::pattern)
        .collect();
    let arn = palisade_iam::ArnText::new(resource);
    let context = Context::open();
    let fits = formats.iter().any(|f| {
        palisade_iam::ResourcePattern::new(f, false)
            .matches(&arn, &context)
            .is_true()
    });
    if resource == "*" && formats.iter().any(|f| !f.is_empty()) {
        let needs: Vec<&str> = formats.iter().map(String::as_str).collect();
        if found.resources.iter().any(|r| r.required) {
            terminal.warn(&format!(
                "{action} is done on a resource ({}); `*` is matched only by `*`",
                needs.join(", ")
            ));
        }
    } else if resource != "*" && formats.is_empty() {
        terminal.warn(&format!(
            "{action} cannot be limited to a resource: AWS judges it on `*`"
        ));
    } else if resource != "*" && !fits {
        terminal.warn(&format!(
            "{action} does not work on this kind of resource, but on {}",
            formats.join(", ")
        ));
    }
    Ok(())
}

/// Lines about what is not known, for the end of a list.
pub fn gap_lines(model: &Model) -> Vec<String> {
    let reasons = model.known.iter().flat_map(|k| &k.reasons);
    let mut out: Vec<String> = reasons.map(|r| format!("  not known: {r}")).collect();
    if !out.is_empty() {
        out.insert(0, String::new());
    }
    out
}

/// The same for JSON.
pub fn gaps(model: &Model) -> Value {
    let reasons = model.known.iter().flat_map(|k| &k.reasons);
    reasons.map(String::as_str).collect()
}

//! `palisade fix retire`
use super::protection;
use crate::Outcome;
use crate::cli::{FixRetire, Global, Retired};
use crate::commands::connect::Connection;
use crate::error::Failure;
use crate::output::{FileOutput, Terminal, to_stdout};
use palisade_catalog::{Catalog, FixCall, Risk};
use palisade_config::{Given, Settings};
use palisade_core::{Finding, FixAvailability, Severity, Status, Timestamp};
use palisade_fix::{
    Candidate, Decided, FixError, Kind, Observe, Options, Plan, Retirement, Run, Stage,
};
use palisade_model::Models;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Days in which the plan may be applied.
const VALID: i64 = 1;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The key that is meant.
struct Key {
    kind: Kind,
    id: String,
    user: String,
    region: String,
}

/// Writes the plan of the step that is due.
pub fn run(
    mut args: FixRetire,
    given: &Given,
    global: &Global,
    catalog: Arc<Catalog>,
    terminal: &Terminal,
) -> Result<Outcome, Failure> {
    let mut target = std::mem::take(&mut args.target);
    let config = super::super::settings::config(global, &catalog)?;
    super::super::settings::connect(&mut target, given, global, &catalog)?;
    let settings = Settings::merge(given, config.as_ref(), target.is_recorded(), &[]);
    let protection = protection(&args.protect, &settings);
    FileOutput::probe(&args.output)?;
    let models = Arc::new(Models::embedded());
    let connection = Connection::open(&target, &models, terminal)?;
    let key = key(&args, &connection)?;
    let runs = palisade_fix::list_runs(&args.runs.folder)?;
    let runs: Vec<Run> = runs.into_iter().filter_map(Result::ok).collect();
    let (call, retirement) = match look(&key, args.days, (&runs, None), &connection, &models)? {
        Stage::Refused(why) => return Err(FixError::Retire(why).into()),
        Stage::Active => (disable(&key), None),
        Stage::Ready(observed) if key.kind == Kind::AccessKey => {
            return told(&key, &observed);
        }
        Stage::Ready(observed) => (schedule(&key, args.waiting), Some(observed)),
    };
    let is_last = retirement.is_some();
    let options = Options {
        now: connection.now,
        expires: Timestamp::from_micros(
            connection
                .now
                .as_micros()
                .saturating_add(VALID * MICROS_PER_DAY),
        ),
        accounts: vec![connection.account_id.clone()],
        regions: vec![key.region.clone()],
        planned_by: connection.caller.clone(),
        protection,
        most_risk: Risk::MayBreakAccess,
        retirement,
    };
    let Some(api) = connection.api() else {
        return Ok(Outcome::Failed);
    };
    let candidate = candidate(&key, call, is_last, &connection);
    let plan = connection.block_on(palisade_fix::plan(
        &[candidate],
        &[],
        &catalog,
        &models,
        &|account| (account == connection.account_id).then(|| Arc::clone(&api)),
        &options,
    ))?;
    let text = plan.to_json();
    FileOutput::write(&args.output, |out| out.write_all(text.as_bytes()))?.persist()?;
    let shown = palisade_fix::plan_text(&plan);
    to_stdout(|out| out.write_all(shown.as_bytes()))?;
    let file = args.output.display();
    terminal.note(&if plan.items.is_empty() {
        "nothing is planned: the plan says why".to_owned()
    } else if is_last {
        format!("nothing was changed; the last step: `palisade fix apply {file} --retire`")
    } else {
        format!(
            "nothing was changed; the first step: `palisade fix apply {file}`. After {} days without use, `palisade fix retire` plans the last one",
            args.days
        )
    });
    Ok(if plan.items.is_empty() {
        Outcome::Failed
    } else {
        Outcome::Done
    })
}

/// Looks again at what a plan for the last step says: nobody wants the key still.
pub fn still_holds(
    plan: &Plan,
    connection: &Connection,
    models: &Arc<Models>,
) -> Result<(), Failure> {
    let Some(planned) = &plan.retirement else {
        return Ok(());
    };
    let key = Key {
        kind: planned.kind,
        id: planned.key.clone(),
        user: String::new(),
        region: planned.region.clone(),
    };
    let known = (planned.disabled, planned.known_by.clone());
    match look(&key, planned.days, (&[], Some(known)), connection, models)? {
        Stage::Ready(_) => Ok(()),
        Stage::Active => Err(FixError::Retire("the key works again".to_owned()).into()),
        Stage::Refused(why) => Err(FixError::Retire(why).into()),
    }
}

fn look(
    key: &Key,
    days: u32,
    (runs, known): (&[Run], Option<(Timestamp, String)>),
    connection: &Connection,
    models: &Arc<Models>,
) -> Result<Stage, Failure> {
    let Some(api) = connection.api() else {
        return Err(Failure::Connect {
            message: "there is no account".to_owned(),
            hint: None,
        });
    };
    let observe = Observe {
        reader: api.as_ref(),
        models,
        kind: key.kind,
        key: &key.id,
        user: &key.user,
        region: &key.region,
        runs,
        known,
        days,
        now: connection.now,
    };
    Ok(connection.block_on(observe.stage()))
}

fn key(args: &FixRetire, connection: &Connection) -> Result<Key, Failure> {
    let wrong = |message: String, hint: &str| Failure::Usage {
        message,
        hint: Some(hint.to_owned()),
    };
    if args.kind == Retired::AccessKey {
        let (user, id) = args
            .key
            .split_once('/')
            .filter(|(user, id)| !user.is_empty() && !id.is_empty())
            .ok_or_else(|| {
                wrong(
                    format!("`{}` names no access key", args.key),
                    "USER/ACCESS-KEY-ID",
                )
            })?;
        return Ok(Key {
            kind: Kind::AccessKey,
            id: id.to_owned(),
            user: user.to_owned(),
            region: connection.home_region().to_owned(),
        });
    }
    let mut region = None;
    let mut id = args.key.as_str();
    if args.key.starts_with("arn:") {
        let parts: Vec<&str> = args.key.splitn(6, ':').collect();
        match parts.as_slice() {
            [_, _, "kms", of, account, resource] => {
                if *account != connection.account_id {
                    return Err(FixError::OtherAccount {
                        plan: (*account).to_owned(),
                        here: connection.account_id.clone(),
                    }
                    .into());
                }
                region = Some((*of).to_owned());
                id = resource.strip_prefix("key/").unwrap_or_default();
            }
            _ => id = "",
        }
    }
    if id.is_empty() || id.contains('/') {
        return Err(wrong(
            format!("`{}` is not the id or ARN of a KMS key", args.key),
            "an alias can be moved to another key: name the key itself",
        ));
    }
    let region = match (region, connection.regions.as_slice()) {
        (Some(region), _) => region,
        (None, [only]) => only.clone(),
        (None, _) => {
            return Err(wrong(
                "the key's region is not known".to_owned(),
                "`--region REGION`, or the key's ARN",
            ));
        }
    };
    Ok(Key {
        kind: Kind::KmsKey,
        id: id.to_owned(),
        user: String::new(),
        region,
    })
}

fn disable(key: &Key) -> FixCall {
    match key.kind {
        Kind::KmsKey => call("kms", "DisableKey", json!({"KeyId": key.id})),
        Kind::AccessKey => call(
            "iam",
            "UpdateAccessKey",
            json!({"UserName": key.user, "AccessKeyId": key.id, "Status": "Inactive"}),
        ),
    }
}

fn schedule(key: &Key, waiting: u32) -> FixCall {
    let params = json!({"KeyId": key.id, "PendingWindowInDays": waiting});
    call("kms", "ScheduleKeyDeletion", params)
}

fn call(service: &str, operation: &str, params: Json) -> FixCall {
    FixCall {
        service: service.to_owned(),
        operation: operation.to_owned(),
        params: params.as_object().cloned().unwrap_or_default(),
        line: 0,
    }
}

fn candidate(key: &Key, call: FixCall, is_last: bool, connection: &Connection) -> Candidate {
    let account = connection.account_id.as_str();
    let resource = match key.kind {
        Kind::KmsKey => {
            let partition = connection.caller.split(':').nth(1).unwrap_or("aws");
            format!(
                "arn:{partition}:kms:{}:{account}:key/{}",
                key.region, key.id
            )
        }
        Kind::AccessKey => format!("{}/{}", key.user, key.id),
    };
    let (id, title) = if is_last {
        ("retire-delete", "Schedule the key's deletion")
    } else {
        (
            "retire-disable",
            "Disable the key, to see whether somebody wants it",
        )
    };
    let finding = Finding {
        check: id.into(),
        status: Status::Fail,
        severity: Severity::Informational,
        account_id: account.into(),
        region: key.region.as_str().into(),
        resource,
        resource_id: key.id.clone(),
        resource_type: "".into(),
        message: "to be retired".to_owned(),
        evidence: Map::new(),
        requirements: Arc::from([]),
        fix: FixAvailability::Automatic,
        history: None,
        missing_permissions: Vec::new(),
        muted: None,
    };
    let decided = Decided {
        id: id.to_owned(),
        title: title.to_owned(),
        about: String::new(),
        file: (String::new(), 0),
        call,
        params: BTreeMap::new(),
    };
    Candidate::decided(decided, finding, Map::new())
}

/// Deleting an access key cannot be called off: a person does it.
fn told(key: &Key, observed: &Retirement) -> Result<Outcome, Failure> {
    let text = format!(
        "{} of {}: deactivated {} ({}), and in {} days until {} nobody used it.\nDeleting it cannot be taken back, and calls with a key that is deactivated are recorded nowhere in the account: \
         ask its owner, then\n  aws iam delete-access-key --user-name {} --access-key-id {}\n",
        key.id,
        key.user,
        observed.disabled,
        observed.known_by,
        observed.days,
        observed.until,
        key.user,
        key.id
    );
    to_stdout(|out| out.write_all(text.as_bytes()))?;
    Ok(Outcome::Done)
}

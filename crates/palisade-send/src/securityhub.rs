//! AWS Security Hub: only what changed is imported, what is over is archived.
//!
//! Rules are those of the Security Hub User Guide ("BatchImportFindings for finding providers"): 100 findings and 6 MB a
//! call, 240 KB a finding; an update needs a later `UpdatedAt`; what people set (workflow, note) is theirs and is
//! changed by `BatchUpdateFindings` only.
use crate::changes::{Closed, Place, Scope, Standing};
use crate::deliver::{Aws, SendError, Sender, Sent, shown_call};
use crate::destination::SecurityHub;
use palisade_core::Finding;
use palisade_report::{asff, printable, shorten};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

const FINDINGS: usize = 100;
const FINDING_BYTES: usize = 240_000;
const CALL_BYTES: usize = 5_500_000;

/// What has to be done in one hub.
#[derive(Default)]
struct Work {
    /// Records to import, with whether each says that it is over.
    import: Vec<(Json, bool)>,
    /// Identifiers whose workflow changes, with the new status and the note.
    mute: Vec<(Json, &'static str, String)>,
}

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &SecurityHub,
    scope: &Scope<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let aws = sender.aws()?;
    let (hubs, foreign) = hubs(sender, to, scope, &aws);
    if foreign > 0 {
        sent.problems.push(format!(
            "{foreign} findings are of other accounts than {}, whose credentials these are; Security Hub takes only an account's own",
            aws.account_id
        ));
    }
    let mut errors = Vec::new();
    let mut answered = false;
    for (region, records) in &hubs {
        match hub(sender, &aws, region, records, scope, to, sent).await {
            Ok(()) => answered = true,
            // where Security Hub is off and there is nothing to say, nothing is missed
            Err(SendError::Call { code, .. })
                if records.is_empty() && code == "InvalidAccessException" => {}
            // these credentials have told nothing in a region that is closed to them, and nothing is to be told there
            Err(SendError::Call { code, .. })
                if records.is_empty()
                    && !sender.assessment.regions.contains(region)
                    && code.starts_with("AccessDenied") => {}
            // another region's hub may be there
            Err(error) => errors.push(error),
        }
    }
    if !answered && sent.problems.is_empty() && errors.len() == 1 {
        return errors.pop().map_or(Ok(()), Err);
    }
    sent.problems.extend(errors.iter().map(ToString::to_string));
    Ok(())
}

type Records<'a> = BTreeMap<String, (&'a Finding, Json)>;

/// The records of every finding that the hubs might have, by region and id, and how many belong to other accounts.
fn hubs<'a>(
    sender: &Sender<'a>,
    to: &SecurityHub,
    scope: &Scope<'a>,
    aws: &Aws<'_>,
) -> (BTreeMap<String, Records<'a>>, usize) {
    let mut foreign = 0;
    let mut hubs: BTreeMap<String, Records<'a>> = BTreeMap::new();
    // a hub without a finding to do may have some to archive: where something was looked at, and in the region of what
    // is global
    let of = |f: &&Finding| *f.account_id == *aws.account_id;
    let looked = sender.assessment.findings.iter().filter(of);
    let home = aws.region.parse::<palisade_core::Region>();
    let home = home.map(|r| r.partition().home_region());
    let regions = sender.assessment.regions.iter().map(String::as_str);
    let regions = regions.chain(looked.map(|f| &*f.region)).chain(home.ok());
    for region in regions.filter(|r| !r.is_empty()) {
        hubs.entry(to.region.clone().unwrap_or_else(|| region.to_owned()))
            .or_default();
    }
    let wanted = sender
        .assessment
        .findings
        .iter()
        .filter(|f| scope.is_open_or_muted(f));
    for (finding, mut record) in asff::records(sender.assessment, wanted) {
        if *finding.account_id != *aws.account_id {
            foreign += 1;
            continue;
        }
        let region = to.region.as_deref().unwrap_or(&finding.region).to_owned();
        if let (Json::Object(record), Some(region)) = (&mut record, &to.region) {
            let of = asff::product_arn(region, &finding.account_id);
            record.insert("ProductArn".to_owned(), of.into());
        }
        let id = text(&record, "Id").to_owned();
        hubs.entry(region)
            .or_default()
            .insert(id, (finding, record));
    }
    (hubs, foreign)
}

async fn hub(
    sender: &Sender<'_>,
    aws: &Aws<'_>,
    region: &str,
    records: &Records<'_>,
    scope: &Scope<'_>,
    to: &SecurityHub,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let existing = existing(aws, region).await?;
    let at = sender.assessment.started_at.to_string();
    let mut work = Work::default();
    for (id, (finding, record)) in records {
        match existing.get(id) {
            // what was accepted before anybody was told is nobody's business there
            None if finding.muted.is_some() => {}
            Some(known) if finding.muted.is_some() && text(known, "RecordState") == "ARCHIVED" => {}
            None => work.import.push((record.clone(), false)),
            Some(known) => changed(finding, record, known, &at, &mut work, sent),
        }
    }
    if to.archive {
        let mut over: BTreeMap<&str, (&Json, Option<&Finding>)> = BTreeMap::new();
        for (id, known) in &existing {
            let active = text(known, "RecordState") != "ARCHIVED";
            if !active || records.contains_key(id) {
                continue;
            }
            let Some(finding) = over_of(known, scope, aws.account_id) else {
                continue;
            };
            if newer(known, &at) {
                sent.problems.push(newer_than(known));
            } else {
                over.insert(id, (known, finding));
            }
        }
        // what passes says so; what is gone keeps what was last known of it
        let passing = over.values().filter_map(|(_, finding)| *finding);
        let passing: BTreeMap<String, Json> = asff::records(sender.assessment, passing)
            .map(|(_, record)| (text(&record, "Id").to_owned(), record))
            .collect();
        for (id, (known, _)) in over {
            let mut record = importable(known);
            if let Some(Json::Object(now)) = passing.get(id) {
                const STAYS: &[&str] = &["CreatedAt", "ProductArn", "Workflow", "Note"];
                let changed = now.iter().filter(|(k, _)| !STAYS.contains(&k.as_str()));
                record.extend(changed.map(|(k, v)| (k.clone(), v.clone())));
            }
            record.insert("RecordState".to_owned(), "ARCHIVED".into());
            record.insert("UpdatedAt".to_owned(), at.as_str().into());
            work.import.push((Json::Object(record), true));
        }
    }
    // first what a record says of its mute, then the record: one that says `false` is not asked for its workflow again
    let left = mute(sender, aws, region, work.mute, sent).await;
    work.import.retain(|(record, _)| {
        said_muted(record) != Some("false") || !left.contains(text(record, "Id"))
    });
    import(sender, aws, region, work.import, sent).await;
    Ok(())
}

/// Whether a record says that Palisade muted it.
fn said_muted(record: &Json) -> Option<&str> {
    let said = record.pointer("/ProductFields/palisade~1muted");
    said.and_then(Json::as_str)
}

/// Everything that we have in a hub, by id; what is archived too, because an old report must not bring it back.
async fn existing(aws: &Aws<'_>, region: &str) -> Result<BTreeMap<String, Json>, SendError> {
    let product = asff::product_arn(region, aws.account_id);
    let filters = json!({
        "ProductArn": [{ "Value": product, "Comparison": "EQUALS" }],
        "Id": [{ "Value": asff::ID_PREFIX, "Comparison": "PREFIX" }],
    });
    let mut params = Map::new();
    params.insert("Filters".to_owned(), filters);
    params.insert("MaxResults".to_owned(), 100.into());
    let mut all = BTreeMap::new();
    let mut next = Some(params);
    while let Some(params) = next {
        let (answer, more) = aws
            .call("securityhub", "GetFindings", region, &params)
            .await?;
        let findings = answer.get("Findings").and_then(Json::as_array);
        for record in findings.into_iter().flatten() {
            // not every endpoint honours the filters
            let ours = text(record, "Id").starts_with(asff::ID_PREFIX)
                && text(record, "ProductArn") == product;
            if ours {
                all.insert(text(record, "Id").to_owned(), record.clone());
            }
        }
        next = more;
    }
    Ok(all)
}

/// What an existing record needs to be as the finding is.
fn changed(
    finding: &Finding,
    record: &Json,
    known: &Json,
    at: &str,
    work: &mut Work,
    sent: &mut Sent,
) {
    let workflow = known.pointer("/Workflow/Status").and_then(Json::as_str);
    let was_muted = said_muted(known) == Some("true");
    let mut record = record.clone();
    if was_muted
        && finding.muted.is_none()
        && let Some(Json::Object(fields)) = record.get_mut("ProductFields")
    {
        // what a hub has is not taken back by saying nothing
        fields.insert("palisade/muted".to_owned(), "false".into());
    }
    let same = is_same(&record, known);
    if same {
        sent.unchanged += 1;
    } else if newer(known, at) {
        sent.problems.push(newer_than(known));
        return;
    } else {
        if let Json::Object(record) = &mut record
            && let Some(created) = known.get("CreatedAt")
        {
            record.insert("CreatedAt".to_owned(), created.clone());
        }
        work.import.push((record, false));
    }
    let wanted = match (&finding.muted, was_muted) {
        (Some(_), _) if workflow != Some("SUPPRESSED") => "SUPPRESSED",
        // what somebody suppressed in the hub stays suppressed
        (None, true) if workflow == Some("SUPPRESSED") => "NEW",
        _ => return,
    };
    let identifier = json!({ "Id": known.get("Id"), "ProductArn": known.get("ProductArn") });
    let note = finding.muted.as_deref().map_or_else(
        || "no longer muted".to_owned(),
        |m| format!("muted by {}: {}", m.owner, m.reason),
    );
    let note = shorten(&printable(&note), 512).into_owned();
    work.mute.push((identifier, wanted, note));
}

/// Whether all that we say of a finding is what the hub has. Times, workflow and notes do not count, nor does the
/// version of Palisade; what the service or its customers add to a record does not either.
fn is_same(ours: &Json, theirs: &Json) -> bool {
    const OF_THEM: &[&str] = &[
        "CreatedAt",
        "UpdatedAt",
        // known from the second scan on, which changes nothing about the finding
        "FirstObservedAt",
        "LastObservedAt",
        "Workflow",
        "Note",
    ];
    let (Json::Object(ours), Json::Object(known)) = (ours, theirs) else {
        return false;
    };
    ours.iter()
        .filter(|(key, _)| !OF_THEM.contains(&key.as_str()))
        .all(|(key, value)| {
            // customers may change severity and types; what the provider said is kept beside
            let provided = theirs
                .pointer(&format!("/FindingProviderFields/{key}"))
                .filter(|_| matches!(key.as_str(), "Severity" | "Types"));
            provided
                .or_else(|| known.get(key))
                .is_some_and(|theirs| is_within(value, theirs))
        })
}

/// Whether everything in `ours` is in `theirs`.
fn is_within(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Object(a), Json::Object(b)) => a
            .iter()
            .filter(|(key, _)| *key != "ProviderVersion")
            .all(|(key, value)| b.get(key).is_some_and(|other| is_within(value, other))),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| is_within(x, y))
        }
        (a, b) => a == b,
    }
}

/// Of a record that says what is over: the finding that says so, when there is one. None when it is not over.
fn over_of<'a>(known: &Json, scope: &Scope<'a>, account: &str) -> Option<Option<&'a Finding>> {
    let check = text(known, "GeneratorId");
    let owner = text(known, "AwsAccountId");
    let id = text(known, "Id").rsplit('/').next().unwrap_or_default();
    let resource = known.pointer("/Resources/0");
    let of = |name: &str| resource.and_then(|r| r.get(name)).and_then(Json::as_str);
    let place = Place {
        check,
        account: owner,
        region: of("Region").unwrap_or_default(),
        resource: of("Id").unwrap_or_default(),
    };
    match scope.standing(id, &place) {
        _ if owner != account => None,
        Standing::Closed(Closed::Passed) => Some(scope.get(id)),
        Standing::Closed(Closed::Gone) => Some(None),
        // an accepted finding that is in the hub is suppressed, not archived
        Standing::Closed(Closed::Muted) | Standing::Open(_) | Standing::Unseen => None,
    }
}

/// The fields of an answer that a request may have.
fn importable(known: &Json) -> Map<String, Json> {
    let fields = known.as_object().into_iter().flatten();
    let ours = fields.filter(|(key, _)| asff::FIELDS.contains(&key.as_str()));
    let mut record: Map<String, Json> = ours.map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(Json::Object(fields)) = record.get_mut("ProductFields") {
        // the service's own names are not ours to send
        fields.retain(|key, _| !key.starts_with("aws/"));
    }
    record
}

/// Whether the hub has heard of the finding after the scan began: an old report must not undo what a newer one said.
fn newer(known: &Json, at: &str) -> bool {
    let time = |text: &str| text.parse::<palisade_core::Timestamp>().ok();
    let (theirs, ours) = (time(text(known, "UpdatedAt")), time(at));
    theirs
        .zip(ours)
        .is_some_and(|(theirs, ours)| theirs >= ours)
}

fn newer_than(known: &Json) -> String {
    format!(
        "`{}` is left as it is: the hub has it from a later scan ({})",
        printable(text(known, "Id")),
        printable(text(known, "UpdatedAt"))
    )
}

fn text<'j>(value: &'j Json, name: &str) -> &'j str {
    value.get(name).and_then(Json::as_str).unwrap_or_default()
}

async fn import(
    sender: &Sender<'_>,
    aws: &Aws<'_>,
    region: &str,
    records: Vec<(Json, bool)>,
    sent: &mut Sent,
) {
    let mut batches: Vec<Vec<(Json, bool)>> = Vec::new();
    let mut bytes = 0;
    for (record, over) in records {
        let size = crate::document::length(&record);
        if size > FINDING_BYTES {
            sent.problems.push(format!(
                "`{}` is too large: {size} bytes",
                text(&record, "Id")
            ));
            continue;
        }
        match batches.last_mut() {
            Some(batch) if batch.len() < FINDINGS && bytes + size <= CALL_BYTES => {
                batch.push((record, over));
                bytes += size;
            }
            _ => {
                batches.push(vec![(record, over)]);
                bytes = size;
            }
        }
    }
    for batch in batches {
        let over: BTreeSet<String> = batch
            .iter()
            .filter(|(_, over)| *over)
            .map(|(r, _)| text(r, "Id").to_owned())
            .collect();
        let total = batch.len();
        let findings: Vec<Json> = batch.into_iter().map(|(r, _)| r).collect();
        let params = Map::from_iter([("Findings".to_owned(), Json::Array(findings))]);
        if sender.dry_run {
            let shown = shown_call("securityhub", "BatchImportFindings", region, &params);
            sent.requests.push(shown);
            sent.closed += over.len();
            sent.told += total - over.len();
            continue;
        }
        let called = aws.call("securityhub", "BatchImportFindings", region, &params);
        let answer = match called.await {
            Ok((answer, _)) => answer,
            // the other batches are tried all the same
            Err(error) => {
                sent.problems
                    .push(format!("{total} findings were not imported: {error}"));
                continue;
            }
        };
        let mut failed = (0, 0);
        let list = answer.get("FailedFindings").and_then(Json::as_array);
        for failure in list.into_iter().flatten() {
            let id = text(failure, "Id");
            if over.contains(id) {
                failed.1 += 1;
            } else {
                failed.0 += 1;
            }
            let message = shorten(text(failure, "ErrorMessage"), 300).into_owned();
            sent.problems.push(printable(&format!(
                "`{id}` was refused with {}: {message}",
                text(failure, "ErrorCode")
            )));
        }
        let counted = answer
            .get("FailedCount")
            .and_then(Json::as_u64)
            .unwrap_or(0);
        let named = u64::try_from(failed.0 + failed.1).unwrap_or(u64::MAX);
        if counted > named {
            let left = counted - named;
            sent.problems.push(format!(
                "{left} findings were refused, and the answer does not say which"
            ));
        }
        sent.closed += over.len().saturating_sub(failed.1);
        sent.told += (total - over.len()).saturating_sub(failed.0);
    }
}

/// Changes workflows; gives the identifiers of those that were not changed.
async fn mute(
    sender: &Sender<'_>,
    aws: &Aws<'_>,
    region: &str,
    changes: Vec<(Json, &'static str, String)>,
    sent: &mut Sent,
) -> BTreeSet<String> {
    let mut left = BTreeSet::new();
    // one call for all that get the same words
    let mut alike: BTreeMap<(&str, String), Vec<Json>> = BTreeMap::new();
    for (identifier, status, note) in changes {
        alike.entry((status, note)).or_default().push(identifier);
    }
    for ((status, note), identifiers) in alike {
        for batch in identifiers.chunks(FINDINGS) {
            let params = Map::from_iter([
                ("FindingIdentifiers".to_owned(), batch.to_vec().into()),
                ("Workflow".to_owned(), json!({ "Status": status })),
                (
                    "Note".to_owned(),
                    json!({ "Text": note, "UpdatedBy": "palisade" }),
                ),
            ]);
            if sender.dry_run {
                sent.requests.push(shown_call(
                    "securityhub",
                    "BatchUpdateFindings",
                    region,
                    &params,
                ));
                continue;
            }
            let called = aws.call("securityhub", "BatchUpdateFindings", region, &params);
            let answer = match called.await {
                Ok((answer, _)) => answer,
                Err(error) => {
                    left.extend(batch.iter().map(|id| text(id, "Id").to_owned()));
                    let total = batch.len();
                    sent.problems
                        .push(format!("{total} findings were not updated: {error}"));
                    continue;
                }
            };
            let list = answer.get("UnprocessedFindings").and_then(Json::as_array);
            for failure in list.into_iter().flatten() {
                let id = failure
                    .pointer("/FindingIdentifier/Id")
                    .and_then(Json::as_str)
                    .unwrap_or_default();
                left.insert(id.to_owned());
                sent.problems.push(printable(&format!(
                    "`{id}` was not updated: {}",
                    text(failure, "ErrorCode")
                )));
            }
        }
    }
    left
}

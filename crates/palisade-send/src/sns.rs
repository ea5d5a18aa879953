//! Amazon SNS: the changes as JSON in as few messages as fit, or one summary for people.
use crate::changes::Changes;
use crate::deliver::{SendError, Sender, Sent, shown_call};
use crate::destination::{Sns, SnsMessage};
use crate::document::{Part, Titles, headline, message_line, parts, resource_line, severities};
use palisade_core::Assessment;
use palisade_report::{digest, shorten};
use serde_json::{Map, Value as Json, json};

/// A message may have 256 KiB, attributes included (SNS API Reference, "Publish").
const MOST: usize = 250_000;
/// Findings that a summary lists.
const LISTED: usize = 25;

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &Sns,
    changes: &Changes<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let aws = sender.aws()?;
    let wrong = || {
        SendError::Settings(
            "`topic_arn` is no ARN such as `arn:aws:sns:eu-west-1:123456789012:topic`".to_owned(),
        )
    };
    let region = to.topic_arn.split(':').nth(3).filter(|r| !r.is_empty());
    let region = region.ok_or_else(wrong)?;
    let all = match to.message {
        SnsMessage::Json => parts(sender.assessment, changes, MOST),
        SnsMessage::Text => vec![Part {
            open: &changes.open,
            closed: &changes.closed,
            body: text(sender.assessment, changes).into_bytes(),
        }],
    };
    for (number, part) in all.iter().enumerate() {
        let params = params(to, changes, part);
        if sender.dry_run {
            let shown = shown_call("sns", "Publish", region, &params);
            sent.requests.push(shown);
        } else if let Err(error) = aws.call("sns", "Publish", region, &params).await {
            if number == 0 {
                return Err(error);
            }
            let of = all.len();
            sent.problems
                .push(format!("message {} of {of}: {error}", number + 1));
            continue;
        }
        sent.remember(part.open, part.closed);
    }
    Ok(())
}

fn params(to: &Sns, changes: &Changes<'_>, part: &Part<'_, '_>) -> Map<String, Json> {
    let mut params = Map::new();
    params.insert("TopicArn".to_owned(), to.topic_arn.as_str().into());
    // ASCII, under 100 characters: numbers and our own words
    let subject = format!("Palisade: {}", headline(changes));
    params.insert("Subject".to_owned(), shorten_ascii(&subject).into());
    params.insert(
        "Message".to_owned(),
        String::from_utf8_lossy(&part.body).into_owned().into(),
    );
    let worst = part.open.iter().map(|(_, f)| f.severity).max();
    let mut attributes = Map::new();
    attributes.insert(
        "schema".to_owned(),
        json!({ "DataType": "String", "StringValue": "palisade-message/1" }),
    );
    if let Some(worst) = worst {
        attributes.insert(
            "severity".to_owned(),
            json!({ "DataType": "String", "StringValue": worst.as_str() }),
        );
    }
    params.insert("MessageAttributes".to_owned(), Json::Object(attributes));
    if to.topic_arn.ends_with(".fifo") {
        params.insert("MessageGroupId".to_owned(), "palisade".into());
        params.insert(
            "MessageDeduplicationId".to_owned(),
            digest(&[&part.body]).into(),
        );
    }
    params
}

fn shorten_ascii(text: &str) -> String {
    text.chars().filter(char::is_ascii).take(99).collect()
}

/// For people: what is new, worst first.
fn text(assessment: &Assessment, changes: &Changes<'_>) -> String {
    let titles = Titles::of(assessment);
    let mut lines = vec![
        format!("Palisade: {}", headline(changes)),
        format!(
            "Scan of {} at {}",
            assessment.accounts.join(", "),
            assessment.started_at
        ),
    ];
    if !changes.open.is_empty() {
        lines.push(format!("New: {}", severities(changes)));
        lines.push(String::new());
    }
    for (_, finding) in changes.open.iter().take(LISTED) {
        let title = shorten(titles.get(&finding.check), 200);
        lines.push(format!(
            "[{}] {title} ({})",
            finding.severity, finding.check
        ));
        lines.push(format!(
            "    {} in {} {}: {}",
            resource_line(finding, 200),
            finding.account_id,
            finding.region,
            message_line(finding, 300)
        ));
    }
    if changes.open.len() > LISTED {
        lines.push(format!("and {} more", changes.open.len() - LISTED));
    }
    if !changes.closed.is_empty() {
        lines.push(String::new());
        lines.push("Closed:".to_owned());
    }
    for (_, known, why) in changes.closed.iter().take(LISTED) {
        let resource = palisade_report::printable(&known.resource);
        let resource = shorten(&resource, 200);
        lines.push(format!(
            "    {resource} ({}): {}",
            known.check,
            why.as_str()
        ));
    }
    if changes.closed.len() > LISTED {
        lines.push(format!("and {} more", changes.closed.len() - LISTED));
    }
    lines.push(String::new());
    lines.join("\n")
}

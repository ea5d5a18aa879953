//! Slack: one message, with what is new and the worst of it.
//!
//! Texts from the account are in code spans, escaped as Slack asks (`&`, `<`, `>`), without backquotes: nothing in
//! them is a mention, a link or formatting.
use crate::changes::Changes;
use crate::deliver::{SendError, Sender, Sent, shown_request};
use crate::destination::Slack;
use crate::document::{Titles, headline, message_line, resource_line, severities};
use crate::http::Outgoing;
use palisade_core::{Assessment, Status};
use palisade_report::{printable, shorten};
use serde_json::{Value as Json, json};

/// Findings that are over and are named.
const CLOSED: usize = 10;

pub(crate) async fn send(
    sender: &Sender<'_>,
    to: &Slack,
    changes: &Changes<'_>,
    sent: &mut Sent,
) -> Result<(), SendError> {
    let body = palisade_report::to_json(&message(sender.assessment, changes, to.findings.min(20)));
    if sender.dry_run {
        sent.requests.push(shown_request("POST", &body));
    } else {
        let outgoing = Outgoing {
            method: "POST",
            url: to.url.reveal(),
            headers: Vec::new(),
            body,
            timeout: to.timeout,
            // nobody can ask a channel what it was told
            once: true,
            secrets: vec![&to.url],
        };
        sender.http.send(&outgoing).await?;
    }
    sent.remember(&changes.open, &changes.closed);
    Ok(())
}

fn message(assessment: &Assessment, changes: &Changes<'_>, most: usize) -> Json {
    let titles = Titles::of(assessment);
    let headline = format!("Palisade: {}", headline(changes));
    let mut blocks = vec![
        json!({ "type": "header", "text": { "type": "plain_text", "text": headline, "emoji": false } }),
        section(&about(assessment, changes)),
    ];
    for (_, finding) in changes.open.iter().take(most) {
        let mut text = format!(
            "*{}* {} ({})\n{} in {} {}",
            finding.severity,
            escape(&shorten(titles.get(&finding.check), 250)),
            code(&finding.check),
            code(&resource_line(finding, 250)),
            code(&finding.account_id),
            code(&finding.region),
        );
        if finding.status != Status::Fail {
            text.push_str(&format!(", {}", finding.status));
        }
        let message = message_line(finding, 300);
        if !message.trim().is_empty() {
            text.push_str(&format!("\n{}", code(&message)));
        }
        blocks.push(section(&text));
    }
    let rest = changes.open.len().saturating_sub(most);
    if rest > 0 && most > 0 {
        blocks.push(section(&format!("and {rest} more")));
    }
    if !changes.closed.is_empty() {
        let named = changes.closed.iter().take(CLOSED).map(|(_, known, why)| {
            let resource = printable(&known.resource);
            let resource = code(&shorten(&resource, 150));
            format!("{resource} ({}): {}", code(&known.check), why.as_str())
        });
        let mut lines: Vec<String> = std::iter::once("*Closed*".to_owned())
            .chain(named)
            .collect();
        if changes.closed.len() > CLOSED {
            lines.push(format!("and {} more", changes.closed.len() - CLOSED));
        }
        blocks.push(section(&lines.join("\n")));
    }
    json!({ "text": headline, "blocks": blocks })
}

fn about(assessment: &Assessment, changes: &Changes<'_>) -> String {
    let accounts: Vec<String> = assessment
        .accounts
        .iter()
        .take(10)
        .map(|a| code(a))
        .collect();
    let more = assessment.accounts.len().saturating_sub(10);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let mut text = format!(
        "Scan of {}{more}, {}",
        accounts.join(", "),
        assessment.started_at
    );
    if !changes.open.is_empty() {
        text.push_str(&format!("\nNew: {}", severities(changes)));
    }
    let unknown = assessment
        .findings
        .iter()
        .filter(|f| f.status == Status::Unknown)
        .count();
    if unknown > 0 {
        text.push_str(&format!("\n{unknown} could not be decided"));
    }
    if assessment.coverage.interrupted {
        text.push_str("\n*The scan was stopped before it ended*");
    }
    text
}

/// A text block may have 3,000 characters (Slack, "Section block").
fn section(text: &str) -> Json {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": shorten(text, 3000), "verbatim": true } })
}

fn escape(text: &str) -> String {
    printable(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn code(text: &str) -> String {
    let text = escape(text).replace('`', "\u{2032}");
    if text.trim().is_empty() {
        "`-`".to_owned()
    } else {
        format!("`{text}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_of_others_are_data() {
        assert_eq!(
            code("a`b <!channel> & <@U1|x>\n*x*"),
            "`a\u{2032}b &lt;!channel&gt; &amp; &lt;@U1|x&gt;\u{fffd}*x*`"
        );
        assert_eq!(code(" "), "`-`");
    }

    proptest! {
        #[test]
        fn nothing_leaves_its_code_span(text in "\\PC{0,40}|[`<>&*_~\n\r\u{202e}!@#a-z]{0,40}") {
            let code = code(&text);
            prop_assert_eq!(code.matches('`').count(), 2);
            prop_assert!(code.starts_with('`') && code.ends_with('`'));
            let steers = code.contains(['<', '>', '\n', '\r', '\u{202e}']);
            prop_assert!(!steers);
        }
    }
}

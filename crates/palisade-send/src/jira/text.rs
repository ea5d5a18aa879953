//! The texts of issues: documents (Atlassian Document Format) for Cloud, wiki markup for Data Center.
use super::{Node, line};
use crate::destination::JiraApi;
use crate::document::{message_line, resource_line};
use palisade_core::{Assessment, Finding};
use serde_json::{Value as Json, json};

/// Resources that an issue lists.
const LISTED: usize = 50;

/// Characters of a list, as they are sent: Jira takes 32,767 of a description or comment.
const MOST: usize = 30_000;

/// A check that fails in an account.
#[derive(Clone, Copy)]
pub(super) struct Texts<'t> {
    pub(super) api: JiraApi,
    pub(super) check: &'t str,
    pub(super) account: &'t str,
    pub(super) title: &'t str,
    pub(super) findings: &'t [(&'t str, &'t Finding)],
}

impl Texts<'_> {
    fn sorted(&self) -> Vec<&Finding> {
        let mut all: Vec<&Finding> = self.findings.iter().map(|(_, f)| *f).collect();
        all.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.sort_key().cmp(&b.sort_key()))
        });
        all
    }

    /// At most 255 characters on one line (Jira, "Summary").
    pub(super) fn summary(&self) -> String {
        let severity = self.findings.iter().map(|(_, f)| f.severity).max();
        let severity = severity.map_or("", |s| s.as_str());
        line(
            &format!("[{severity}] {} (account {})", self.title, self.account),
            250,
        )
    }

    pub(super) fn description(&self) -> Json {
        let intro = format!(
            "{} of the check {} in account {}:",
            resources(self.findings.len()),
            self.check,
            self.account
        );
        self.list(&intro)
    }

    pub(super) fn comment(&self) -> Json {
        self.list(&format!("Now {}:", resources(self.findings.len())))
    }

    fn list(&self, intro: &str) -> Json {
        let all = self.sorted();
        let items = all.iter().take(LISTED).map(|f| Item {
            resource: resource_line(f, 300),
            rest: format!("{}, {}: {}", f.region, f.severity, message_line(f, 300)),
        });
        let mut left = MOST;
        let fits = |item: &Item| {
            let length = item.length(self.api);
            let fits = length <= left;
            left = left.saturating_sub(length);
            fits
        };
        let items: Vec<Item> = items.take_while(fits).collect();
        let more = all.len().saturating_sub(items.len());
        document(self.api, intro, &items, more)
    }
}

fn resources(n: usize) -> String {
    match n {
        1 => "1 resource is not as it has to be".to_owned(),
        n => format!("{n} resources are not as they have to be"),
    }
}

/// That nothing fails any more.
pub(super) fn fixed(api: JiraApi, assessment: &Assessment) -> Json {
    let text = format!(
        "Nothing of this fails any more, by the scan of {}.",
        assessment.started_at
    );
    document(api, &text, &[], 0)
}

struct Item {
    resource: String,
    rest: String,
}

impl Item {
    fn wiki(&self) -> String {
        format!("* {} {}", wiki(&self.resource), wiki(&self.rest))
    }
    fn node(&self) -> Json {
        let texts = vec![code(&self.resource), plain(&format!(" {}", self.rest))];
        json!({ "type": "listItem", "content": [paragraph(texts)] })
    }
    fn length(&self, api: JiraApi) -> usize {
        match api {
            JiraApi::V2 => self.wiki().chars().count() + 1,
            JiraApi::V3 => self.node().to_string().chars().count() + 1,
        }
    }
}

fn document(api: JiraApi, intro: &str, items: &[Item], more: usize) -> Json {
    let more = (more > 0).then(|| format!("and {more} more"));
    match api {
        JiraApi::V3 => {
            let mut content = vec![paragraph(vec![plain(intro)])];
            if !items.is_empty() {
                let items: Vec<Json> = items.iter().map(Item::node).collect();
                content.push(json!({ "type": "bulletList", "content": items }));
            }
            if let Some(more) = more {
                content.push(paragraph(vec![plain(&more)]));
            }
            json!({ "type": "doc", "version": 1, "content": content })
        }
        JiraApi::V2 => {
            let mut lines = vec![wiki(intro)];
            lines.extend(items.iter().map(Item::wiki));
            lines.extend(more);
            Json::from(lines.join("\n"))
        }
    }
}

fn paragraph(content: Vec<Json>) -> Json {
    json!({ "type": "paragraph", "content": content })
}

fn plain(text: &str) -> Json {
    json!({ "type": "text", "text": line(text, 1000) })
}

/// An empty text node is not allowed.
fn code(text: &str) -> Json {
    let text = if text.is_empty() { "-" } else { text };
    let mut node = Node::new();
    node.insert("type".to_owned(), "text".into());
    node.insert("text".to_owned(), text.into());
    node.insert("marks".to_owned(), json!([{ "type": "code" }]));
    Json::Object(node)
}

/// A text in which nothing is markup, a link or a mention: everything that could begin one is a character reference,
/// which wiki markup shows as the character.
pub(super) fn wiki(text: &str) -> String {
    use std::fmt::Write;
    let mut safe = String::with_capacity(text.len());
    for c in line(text, 1000).chars() {
        if c.is_alphanumeric() || " .,/=%'".contains(c) {
            safe.push(c);
        } else {
            // writing to a text cannot fail
            let _ = write!(safe, "&#{};", u32::from(c));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wiki_markup_is_text() {
        assert_eq!(
            wiki("{code}[a|http://x]!i.png! ~u\n"),
            "&#123;code&#125;&#91;a&#124;http&#58;//x&#93;&#33;i.png&#33; &#126;u&#65533;"
        );
    }

    proptest! {
        #[test]
        fn no_character_of_markup_is_left(text in "\\PC{0,60}") {
            let left = wiki(&text).contains(['{', '}', '[', ']', '|', '*', '_', '!', '~', '^', '+', '-', '\n', '\\', '@', ':']);
            prop_assert!(!left);
        }
    }
}

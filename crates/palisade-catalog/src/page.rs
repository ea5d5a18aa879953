//! Splits a check page into front matter, sections and code fences. Knows nothing of what they mean.

/// A page by its parts. Offsets are bytes of the file.
#[derive(Debug, Default)]
pub(crate) struct Page<'t> {
    /// The TOML between the `+++` lines, and where it begins.
    pub(crate) front: Option<(&'t str, usize)>,
    /// The text before the first heading, then one for each `## ` heading.
    pub(crate) sections: Vec<PageSection<'t>>,
    /// Opening lines of fences, or of the front matter, that are not closed.
    pub(crate) unclosed: Vec<usize>,
}

#[derive(Debug)]
pub(crate) struct PageSection<'t> {
    /// Empty for the text before the first heading.
    pub(crate) title: &'t str,
    /// The heading.
    pub(crate) at: usize,
    pub(crate) items: Vec<Item<'t>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item<'t> {
    /// One line with its line break.
    Line { text: &'t str, at: usize },
    /// A code fence.
    Fence {
        /// What follows the opening backticks.
        info: &'t str,
        /// The lines between the fences.
        body: &'t str,
        /// Where `body` begins.
        body_at: usize,
        /// All of it, fences included.
        raw: &'t str,
        /// Where `raw` begins.
        at: usize,
    },
}

struct Lines<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Iterator for Lines<'t> {
    type Item = (usize, &'t str);
    fn next(&mut self) -> Option<(usize, &'t str)> {
        let rest = self.text.get(self.at..).filter(|r| !r.is_empty())?;
        let line = rest.split_inclusive('\n').next()?;
        let at = self.at;
        self.at += line.len();
        Some((at, line))
    }
}

/// Splits a page.
pub(crate) fn split(text: &str) -> Page<'_> {
    let mut page = Page::default();
    let mut lines = Lines { text, at: 0 };
    if text.lines().next().is_some_and(|l| l.trim_end() == "+++") {
        let (opening, first) = lines.next().unwrap_or((0, ""));
        let begin = opening + first.len();
        match lines.by_ref().find(|(_, line)| line.trim_end() == "+++") {
            Some((end, _)) => page.front = text.get(begin..end).map(|t| (t, begin)),
            None => page.unclosed.push(opening),
        }
    }
    let mut section = PageSection {
        title: "",
        at: lines.at,
        items: Vec::new(),
    };
    while let Some((at, line)) = lines.next() {
        let ticks = line.len() - line.trim_start_matches('`').len();
        if ticks >= 3 {
            let body_at = at + line.len();
            let closing = lines.by_ref().find(|(_, l)| {
                let l = l.trim_end();
                l.len() >= ticks && l.bytes().all(|b| b == b'`')
            });
            if closing.is_none() {
                page.unclosed.push(at);
            }
            let (end, after) = closing.map_or((text.len(), text.len()), |(e, l)| (e, e + l.len()));
            section.items.push(Item::Fence {
                info: line.get(ticks..).unwrap_or_default().trim(),
                body: text.get(body_at..end).unwrap_or_default(),
                body_at,
                raw: text.get(at..after).unwrap_or_default(),
                at,
            });
        } else if let Some(title) = line.strip_prefix("## ") {
            let done = std::mem::replace(
                &mut section,
                PageSection {
                    title: title.trim(),
                    at,
                    items: Vec::new(),
                },
            );
            page.sections.push(done);
        } else {
            section.items.push(Item::Line { text: line, at });
        }
    }
    page.sections.push(section);
    page
}

impl PageSection<'_> {
    /// The section as Markdown, without the fences that `leave_out` names by their info.
    pub(crate) fn markdown(&self, leave_out: &str) -> String {
        let mut out = String::new();
        for item in &self.items {
            match item {
                Item::Line { text, .. } => out.push_str(text),
                Item::Fence { info, .. } if *info == leave_out => {}
                Item::Fence { raw, .. } => out.push_str(raw),
            }
        }
        out.trim().replace("\r\n", "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts() {
        let text = "+++\na = 1\n+++\nwhy\n\n## Fix\ndo\n````md\n```\n## no heading\n```\n````\nend\n```fix\nx\n```\n";
        let page = split(text);
        assert_eq!(page.front, Some(("a = 1\n", 4)));
        let titles: Vec<&str> = page.sections.iter().map(|s| s.title).collect();
        assert_eq!(titles, ["", "Fix"]);
        assert_eq!(page.sections[0].markdown(""), "why");
        assert_eq!(
            page.sections[1].markdown("fix"),
            "do\n````md\n```\n## no heading\n```\n````\nend"
        );
        assert!(page.unclosed.is_empty());
        assert_eq!(split("+++\na").unclosed, [0]);
        assert_eq!(split("x\n```sql\na").unclosed, [2]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "(\\+\\+\\+\n|```[a-z]*\n|````\n|## A\n|\\PC|\n){0,20}") {
            let page = split(&text);
            let front = page.front.map_or(0, |(t, _)| t.len());
            let headings = page.sections.iter().skip(1).map(|s| {
                text[s.at..].split_inclusive('\n').next().unwrap().len()
            });
            let items = page.sections.iter().flat_map(|s| &s.items).map(|i| match i {
                Item::Line { text, .. } => text.len(),
                Item::Fence { raw, .. } => raw.len(),
            });
            let seen: usize = headings.chain(items).sum::<usize>() + front;
            // Only the two lines of the front matter, or an unclosed front matter, are not seen.
            prop_assert!(seen <= text.len());
            if !text.starts_with("+++") {
                prop_assert_eq!(seen, text.len());
            }
        }
    }
}

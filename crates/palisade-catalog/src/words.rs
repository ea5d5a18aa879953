//! The words that ids and titles of checks do not use. An id names the required state, so a word that commands
//! (`ensure-…`), a word that describes what every check does (`check-…`) or one that hedges adds nothing.

/// Forbidden in ids (between hyphens) and titles (as whole words, in any case).
pub const BANNED_WORDS: &[&str] = &["avoid", "check", "enable", "ensure", "must", "should"];

/// Marks a place of a scaffolded page that its author has still to write.
pub const PLACEHOLDER: &str = "(to be written)";

/// The first forbidden word in the text.
pub(crate) fn banned(text: &str) -> Option<&'static str> {
    let mut words = text.split(|c: char| !c.is_alphanumeric());
    words.find_map(|w| {
        BANNED_WORDS
            .iter()
            .find(|b| b.eq_ignore_ascii_case(w))
            .copied()
    })
}

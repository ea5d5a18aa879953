//! Messages of checks: text with `${SQL expression}`.

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessagePart {
    /// Copied as it is.
    Text(String),
    /// A SQL expression over the same columns as the check's SQL.
    Expr(String),
}

/// Not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{message}` is not a message: {reason}")]
pub struct MessageError {
    /// What was found.
    pub message: String,
    /// What is wrong with it.
    pub reason: &'static str,
    /// Byte where it is wrong.
    pub offset: usize,
}

/// The parts of a message, in order. Braces inside an expression are balanced; braces in SQL texts do not count.
///
/// # Errors
/// When `${` is not closed or encloses nothing.
pub fn parse_message(message: &str) -> Result<Vec<MessagePart>, MessageError> {
    let wrong = |reason, offset| MessageError {
        message: message.to_owned(),
        reason,
        offset,
    };
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(found) = message.get(from..).and_then(|m| m.find("${")) {
        let open = from + found;
        let text = message.get(from..open).unwrap_or_default();
        if !text.is_empty() {
            parts.push(MessagePart::Text(text.to_owned()));
        }
        let start = open + 2;
        let inner = message.get(start..).unwrap_or_default();
        let end = closing(inner).ok_or_else(|| wrong("`${` is not closed", open))?;
        let expression = inner.get(..end).unwrap_or_default().trim();
        if expression.is_empty() {
            return Err(wrong("`${}` is empty", open));
        }
        parts.push(MessagePart::Expr(expression.to_owned()));
        from = start + end + 1;
    }
    let rest = message.get(from..).unwrap_or_default();
    if !rest.is_empty() {
        parts.push(MessagePart::Text(rest.to_owned()));
    }
    Ok(parts)
}

/// Byte of the brace that closes an expression.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), _) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(i),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts() {
        let text = |t: &str| MessagePart::Text(t.into());
        let expr = |t: &str| MessagePart::Expr(t.into());
        assert_eq!(
            parse_message("versioning is ${coalesce(v['status'], '}off')}, costs $5").unwrap(),
            [
                text("versioning is "),
                expr("coalesce(v['status'], '}off')"),
                text(", costs $5")
            ]
        );
        assert_eq!(
            parse_message("${ {'a': 1}['a'] }").unwrap(),
            [expr("{'a': 1}['a']")]
        );
        assert_eq!(parse_message("x ${a").unwrap_err().offset, 2);
        assert!(parse_message("x ${ }").is_err());
        assert!(parse_message("${'a}").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "(\\PC|\\$\\{|\\}|'){0,30}") {
            let _ = parse_message(&text);
        }
    }
}

//! Takes a policy text apart into single policies that are safe to hand to Cedar.

use crate::error::{PolicyError, Problem};

const MAX_NESTING: usize = 32;

/// The text of one policy and where it stands.
pub(crate) struct Statement<'a> {
    text: &'a str,
    start: usize,
    pub(crate) source: &'a str,
}

impl Statement<'_> {
    /// A mistake at byte `offset` of the statement.
    pub(crate) fn error(&self, offset: usize, policy: Option<&str>, problem: Problem) -> PolicyError {
        PolicyError::at(self.text, self.start + offset, policy, problem)
    }
}

/// The policies of `text` in order, none longer or more deeply nested than Cedar's recursive parser is given stack for.
pub(crate) fn statements(text: &str) -> Result<Vec<Statement<'_>>, PolicyError> {
    let mut found = Vec::new();
    let mut start = None;
    let mut nesting = 0_usize;
    for (at, byte) in code(text).filter(|(_, byte)| !byte.is_ascii_whitespace()) {
        let from = *start.get_or_insert(at);
        match byte {
            b'(' | b'[' | b'{' => nesting += 1,
            b')' | b']' | b'}' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if nesting > MAX_NESTING {
            return Err(PolicyError::at(text, at, None, Problem::TooDeep));
        }
        if byte == b';' {
            found.push(statement(text, from, at + 1)?);
            (start, nesting) = (None, 0);
        }
    }
    if let Some(from) = start {
        found.push(statement(text, from, text.len())?);
    }
    Ok(found)
}

fn statement(text: &str, start: usize, end: usize) -> Result<Statement<'_>, PolicyError> {
    let source = text.get(start..end).expect("invariant: a statement starts and ends beside an ASCII byte");
    if source.len() > crate::PolicySet::MAX_POLICY_BYTES {
        return Err(PolicyError::at(text, start, None, Problem::TooLong));
    }
    Ok(Statement { text, start, source })
}

/// The bytes outside comments with their offsets; a string stands as its opening quote alone.
fn code(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut next = 0;
    std::iter::from_fn(move || {
        loop {
            let (here, rest) = (next, &text.as_bytes()[next..]);
            match rest {
                [] => return None,
                [b'/', b'/', ..] => next += comment_length(rest),
                [byte, ..] => {
                    next += if *byte == b'"' { string_length(rest) } else { 1 };
                    return Some((here, *byte));
                }
            }
        }
    })
}

fn comment_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())
}

/// Length of the string that `rest` opens, both quotes included.
fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest.len()
}

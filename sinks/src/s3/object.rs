//! What an object is called and holds.

use crate::{Message, Place};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use time::macros::format_description;

/// All but what is unreserved (RFC 3986, section 2.3) and the slash: what SigV4 signs for S3.
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Whether two messages that follow each other go into one object. Only events share one: an object that is written again
/// then holds what its name says and nothing that another attempt did not have.
pub(super) fn share_an_object(one: &Message, next: &Message) -> bool {
    let events = matches!((one.place, next.place), (Place::Event(_), Place::Event(_)));
    events && one.origin == next.origin
}

/// `<prefix><origin>/<year>/<month>/<day>/<first>-<last>.ndjson.gz`, the day being that of the first event in UTC; for what
/// is no event, `checkpoint-<size>` or `test-<milliseconds>` takes the place of the range.
pub(super) fn key(prefix: &str, messages: &[Message]) -> String {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return prefix.to_owned() };
    let day = first.at().format(format_description!("[year]/[month]/[day]")).unwrap_or_default();
    let name = match (first.place, last.place) {
        (Place::Event(first), Place::Event(last)) => format!("{first:020}-{last:020}"),
        (Place::Checkpoint(size), _) => format!("checkpoint-{size:020}"),
        (Place::Test | Place::Event(_), _) => format!("test-{}", first.at_ms),
    };
    format!("{prefix}{}/{day}/{name}.ndjson.gz", first.origin)
}

/// A key as it stands in a URL's path.
pub(super) fn path(key: &str) -> String {
    utf8_percent_encode(key, KEY).to_string()
}

/// One line a message.
pub(super) fn lines(messages: &[Message]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(messages.iter().map(|message| message.body.len() + 1).sum());
    for Message { body, .. } in messages {
        lines.extend_from_slice(body);
        lines.push(b'\n');
    }
    lines
}

use crate::Origin;
use crate::leaf::Opened;
use crate::line::line;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;
use uuid::Uuid;

/// No message is wrapped deeper: in the logs of OTLP, which are the deepest, it is the tenth.
const MAX_DEPTH: u8 = 16;

/// A message in the native format, as a sink has sent it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An event: its index, as the message claims, and the message.
    Event(u64, Vec<u8>),
    /// The head of the log, with what the sink was sent of it.
    Checkpoint(Head),
}

/// A checkpoint message.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Head {
    /// The signed note.
    pub(super) checkpoint: String,
    size: u64,
    sent: u64,
    filtered: u64,
    dead: u64,
}

impl Head {
    /// How many events below the checkpoint's size the sink was not sent, as the broker says: nothing signs that. `None`
    /// where some were still on their way.
    pub(super) fn withheld(&self) -> Option<u64> {
        let withheld = self.filtered.saturating_add(self.dead);
        (self.sent.saturating_add(withheld) >= self.size).then_some(withheld)
    }
}

/// Finds the messages of one log in a line of what a receiver exported: wrapped in objects, lists or texts, after the
/// header of a syslog message, or plain.
pub(super) fn find(line: &[u8], origin: &Origin, found: &mut impl FnMut(Found)) {
    let line = line.trim_ascii();
    if let Some(index) = plain_event(line, origin) {
        return found(Found::Event(index, line.to_vec()));
    }
    let start = if line.starts_with(b"[") { Some(0) } else { line.iter().position(|byte| *byte == b'{') };
    if let Some(Ok(value)) = start.map(|start| serde_json::from_slice(&line[start..])) {
        search(value, MAX_DEPTH, origin, found);
    }
}

/// The usual case, without a tree of values: the line is the message.
fn plain_event(line: &[u8], origin: &Origin) -> Option<u64> {
    #[derive(Deserialize)]
    struct Plain<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
        #[serde(borrow, rename = "leaf")]
        _leaf: Cow<'a, str>,
    }
    let Plain { id, .. } = serde_json::from_slice(line).ok()?;
    id.strip_prefix(origin.as_str())?.strip_prefix('#')?.parse().ok()
}

fn search(value: Value, depth: u8, origin: &Origin, found: &mut impl FnMut(Found)) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(object) => match message(&object, origin) {
            Some(message) => found(message),
            None => object.into_iter().for_each(|(_, value)| search(value, depth, origin, found)),
        },
        Value::Array(values) => values.into_iter().for_each(|value| search(value, depth, origin, found)),
        Value::String(text) if text.starts_with(['{', '[']) => {
            if let Ok(value) = serde_json::from_str(&text) {
                search(value, depth, origin, found);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn message(object: &Map<String, Value>, origin: &Origin) -> Option<Found> {
    let place = object.get("id")?.as_str()?.strip_prefix(origin.as_str())?;
    match (object.get("leaf"), place.strip_prefix('#')) {
        (Some(Value::String(_)), Some(index)) => {
            let message = serde_json::to_vec(object).ok()?;
            Some(Found::Event(index.parse().ok()?, message))
        }
        _ => {
            place.strip_prefix('@')?;
            Some(Found::Checkpoint(Head::deserialize(object).ok()?))
        }
    }
}

/// What an event's message shows, as far as it is not a copy.
#[derive(Debug, Deserialize)]
pub(super) struct Shown {
    pub(super) leaf: String,
    #[serde(default)]
    pub(super) disclosures: Vec<String>,
    pub(super) erased: Option<Uuid>,
    pub(super) proof: Option<String>,
}

/// Whether every copy in the message is what the leaf and the disclosures say. A receiver may have dropped members, added
/// its own, and written the rest in another order.
pub(super) fn agrees(message: &[u8], index: u64, opened: &Opened, shown: &Shown) -> bool {
    let expected = line(index, opened, &shown.leaf, &shown.disclosures, None);
    if message == expected {
        return true;
    }
    let [Ok(message), Ok(expected)] = [message, &expected].map(serde_json::from_slice::<Map<String, Value>>) else {
        return false;
    };
    let erased = message.contains_key("erased") == expected.contains_key("erased");
    erased && expected.iter().all(|(name, value)| message.get(name).is_none_or(|found| found == value))
}

#[cfg(test)]
mod tests {
    use super::{Found, find};
    use crate::Origin;

    fn indices(line: &str) -> Vec<u64> {
        let mut indices = Vec::new();
        find(line.as_bytes(), &Origin::new("b.example/acme").unwrap(), &mut |found| match found {
            Found::Event(index, _) => indices.push(index),
            Found::Checkpoint(head) => indices.extend(head.withheld()),
        });
        indices
    }

    #[test]
    fn messages_are_found_in_what_receivers_put_around_them() {
        let event = r#"{"id":"b.example/acme#7","leaf":"a.b.c","disclosures":[]}"#;
        let text = serde_json::to_string(event).unwrap();
        for line in [
            event.to_owned(),
            format!(r#"{{"preview":false,"result":{{"_raw":{text},"_time":"1"}}}}"#),
            format!(r#"{{"time":1,"event":{event}}}"#),
            format!(r#"{{"_index":"keyfold","_source":{event}}}"#),
            format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"stringValue":{text}}}}}]}}]}}]}}"#),
            format!(r#"<134>1 2026-01-01T00:00:00Z host keyfold - b.example/acme#7 [k@1 a="b"] {event}"#),
        ] {
            assert_eq!(indices(&line), [7], "{line}");
        }
        assert_eq!(indices(&format!("[{event},{event}]")), [7, 7]);
        let head = r#"{"id":"b.example/acme@9","checkpoint":"note","size":9,"sent":6,"filtered":2,"dead":1}"#;
        assert_eq!(indices(head), [3]);
        assert_eq!(indices(&head.replace("6", "5")), [] as [u64; 0], "one was still on its way");
    }

    #[test]
    fn what_is_no_message_of_this_log_is_passed_over() {
        for line in [
            "",
            "not json {",
            "{}",
            "[1,null,\"{\"]",
            r#"{"id":"b.example/other#7","leaf":"a.b.c"}"#,
            r#"{"id":"b.example/acme#-7","leaf":"a.b.c"}"#,
            r#"{"id":"b.example/acme@9"}"#,
            r#"{"id":7,"leaf":"a.b.c"}"#,
            &("[".repeat(100) + r#"{"id":"b.example/acme#7","leaf":"a"}"# + &"]".repeat(100)),
        ] {
            assert_eq!(indices(line), Vec::<u64>::new(), "{line}");
        }
    }
}

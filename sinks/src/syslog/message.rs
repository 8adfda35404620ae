//! One message after RFC 5424, framed after RFC 5425.

use crate::{Message, Place, Severity};
use std::io::Write;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// Log audit (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// The private enterprise number that RFC 5612 sets aside for documentation: the project has none of its own.
const STRUCTURED_DATA_ID: &str = "keyfold@32473";

/// `HEADER SP STRUCTURED-DATA SP MSG`, into an empty buffer.
pub(super) fn write(message: &Message, out: &mut Vec<u8>) {
    let Message { id, origin, place, at_ms, name, severity, body } = message;
    let (host, _) = origin.as_str().rsplit_once('/').unwrap_or(("-", ""));
    write_ascii(out, format_args!("<{}>1 ", FACILITY * 8 + code(*severity)));
    write_time(out, *at_ms);
    write_ascii(out, format_args!(" {host} keyfold - {name} [{STRUCTURED_DATA_ID}"));
    write_parameter(out, "id", id);
    match place {
        Place::Event(index) => write_ascii(out, format_args!(" index=\"{index}\"")),
        Place::Checkpoint(size) => write_ascii(out, format_args!(" size=\"{size}\"")),
        Place::Test => {}
    }
    write_parameter(out, "origin", origin.as_str());
    out.extend_from_slice(b"] ");
    out.extend_from_slice(body);
}

/// `MSG-LEN SP SYSLOG-MSG` (RFC 5425, section 4.3).
pub(super) fn write_frame(message: &[u8], out: &mut Vec<u8>) {
    write_ascii(out, format_args!("{} ", message.len()));
    out.extend_from_slice(message);
}

/// RFC 5424, table 2.
fn code(severity: Severity) -> u8 {
    match severity {
        Severity::High => 2,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Informational => 6,
    }
}

fn write_ascii(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: a vector takes all that is written");
}

/// A time that no calendar has is written as none.
fn write_time(out: &mut Vec<u8>, at_ms: u64) {
    let since = i64::try_from(at_ms).ok().map(Duration::milliseconds);
    let time = since.and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since));
    let start = out.len();
    if time.and_then(|time| time.format_into(out, &Rfc3339).ok()).is_none() {
        out.truncate(start);
        out.push(b'-');
    }
}

/// RFC 5424, section 6.3.3: three characters are escaped.
fn write_parameter(out: &mut Vec<u8>, name: &str, value: &str) {
    write_ascii(out, format_args!(" {name}=\""));
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\' | b']') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::write;
    use crate::{Message, Place, Severity};
    use audit::Origin;
    use audit::event::Kind;

    #[test]
    fn what_would_end_the_structured_data_is_escaped() {
        let origin = Origin::new("broker.example/a]b").unwrap();
        let message = Message {
            id: origin.event_id(7),
            origin,
            place: Place::Event(7),
            at_ms: 1_800_000_000_250,
            name: "restore.denied",
            severity: Severity::Low,
            body: b"{}".into(),
        };
        let mut line = Vec::new();
        write(&message, &mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "<109>1 2027-01-15T08:00:00.25Z broker.example keyfold - restore.denied \
             [keyfold@32473 id=\"broker.example/a\\]b#7\" index=\"7\" origin=\"broker.example/a\\]b\"] {}"
        );
    }

    #[test]
    fn each_event_name_fits_into_a_message_id() {
        assert!(Kind::ALL.iter().all(|kind| kind.as_str().len() <= 32));
    }
}

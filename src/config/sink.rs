//! `[[sinks]]`: where events are delivered.

pub mod https;
pub mod otlp;
pub mod s3;
pub mod secops;
pub mod sentinel;
pub mod tcp;

use super::ConfigError;
use audit::event::{Field, Kind, UnknownKind};
use https::{Elasticsearch, Splunk, Webhook};
use otlp::Otlp;
use s3::S3;
use secops::Secops;
use sentinel::Sentinel;
use serde::Deserialize;
use sinks::Format;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tcp::{Kafka, Syslog};

/// A sink: what it receives, and how.
#[derive(Debug, Deserialize)]
pub struct Entry {
    /// Its name in cursors, metrics and events: 1 to 64 of `a-z`, `0-9`, `_` and `-`.
    pub name: String,
    /// The only tenants whose events it receives; without it, all.
    pub tenants: Option<BTreeSet<String>>,
    /// The only events it receives; without it, all.
    pub events: Option<Vec<Selector>>,
    /// The disclosable fields it may see.
    pub fields: Option<BTreeSet<Field>>,
    /// Whether it may see all of them.
    #[serde(default)]
    pub disclose: bool,
    /// How events are written down.
    #[serde(default)]
    pub format: Format,
    /// Whether each event carries a proof that the log has it.
    #[serde(default)]
    pub proof: bool,
    /// For one delivery, acknowledgement included.
    pub deadline_seconds: Option<u64>,
    /// How long an event may wait for others to go with it.
    pub linger_seconds: Option<u64>,
    /// An event that waits longer than this raises an alarm.
    #[serde(default = "default_alarm_lag")]
    pub alarm_lag_seconds: u64,
    /// What receives; it refuses fields that it does not know.
    #[serde(flatten)]
    pub receiver: Receiver,
}

/// What receives events.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Receiver {
    /// A file of one line an event.
    File {
        /// The file.
        path: PathBuf,
        /// Begins another file at this size.
        #[serde(default = "default_max_mib")]
        max_mib: u64,
    },
    /// A syslog server.
    Syslog(Syslog),
    /// A topic of a Kafka cluster.
    Kafka(Kafka),
    /// A webhook after Standard Webhooks.
    Webhook(Webhook),
    /// Splunk's HTTP Event Collector.
    Splunk(Splunk),
    /// Elasticsearch or OpenSearch.
    Elasticsearch(Elasticsearch),
    /// An OpenTelemetry collector.
    Otlp(Otlp),
    /// A bucket in S3 or what speaks its protocol.
    S3(S3),
    /// Microsoft Sentinel.
    Sentinel(Sentinel),
    /// Google SecOps.
    Secops(Secops),
}

/// Events by name: one kind, or with `group.*` all of a group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Selector {
    /// This kind.
    Kind(Kind),
    /// Every kind whose name starts with this, the dot included.
    Group(String),
}

impl Selector {
    /// Whether it selects this kind.
    #[must_use]
    pub fn selects(&self, kind: Kind) -> bool {
        match self {
            Self::Kind(selected) => *selected == kind,
            Self::Group(prefix) => kind.as_str().starts_with(prefix),
        }
    }
}

impl TryFrom<String> for Selector {
    type Error = UnknownKind;

    fn try_from(name: String) -> Result<Self, UnknownKind> {
        let Some(prefix) = name.strip_suffix('*') else { return Ok(Self::Kind(name.parse()?)) };
        let group = Self::Group(prefix.to_owned());
        let known = prefix.ends_with('.') && Kind::ALL.iter().any(|kind| group.selects(*kind));
        if known { Ok(group) } else { Err(UnknownKind(name)) }
    }
}

impl Entry {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        if !(1..=64).contains(&self.name.len()) || !self.name.bytes().all(plain) {
            return Err(ConfigError::Invalid("`sinks.name` must be 1 to 64 of a-z, 0-9, _ and -"));
        }
        if self.disclose && self.fields.is_some() {
            return Err(ConfigError::Invalid("a sink has either `fields` or `disclose`"));
        }
        if self.linger_seconds.is_some_and(|linger| linger >= self.alarm_lag_seconds) {
            return Err(ConfigError::Invalid("`sinks.linger_seconds` must be less than `alarm_lag_seconds`"));
        }
        if self.proof && self.format != Format::Native {
            return Err(ConfigError::Invalid("only the format `native` carries `proof`"));
        }
        Ok(())
    }

    /// The disclosable fields it may see.
    #[must_use]
    pub fn disclosed(&self) -> BTreeSet<Field> {
        if self.disclose { Field::ALL.into() } else { self.fields.clone().unwrap_or_default() }
    }
}

fn default_alarm_lag() -> u64 {
    300
}

fn default_max_mib() -> u64 {
    256
}

#[cfg(test)]
mod tests {
    use super::{Entry, Receiver};
    use audit::event::{Field, Kind};

    fn parse(fields: &str) -> Result<Entry, toml::de::Error> {
        toml::from_str(&format!("name = \"siem\"\ntype = \"file\"\npath = \"f\"\n{fields}"))
    }

    #[test]
    fn fields_and_events_are_chosen_by_name() {
        let plain = parse("").unwrap();
        assert!(plain.events.is_none() && plain.disclosed().is_empty());
        let chosen = parse("events = [\"restore.*\", \"kek.failing\"]\nfields = [\"device\", \"reason\"]").unwrap();
        let selects = |kind| chosen.events.as_ref().unwrap().iter().any(|selector| selector.selects(kind));
        assert!(selects(Kind::RestoreReleased) && selects(Kind::KekFailing));
        assert!(!selects(Kind::KekRecovered) && !selects(Kind::RecordWrapped));
        assert_eq!(chosen.disclosed(), [Field::Device, Field::Reason].into());
        assert_eq!(parse("disclose = true").unwrap().disclosed().len(), Field::ALL.len());
        for wrong in
            ["events = [\"restores.*\"]", "events = [\"*\"]", "fields = [\"key\"]", "max_mb = 1", "format = \"x\""]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn receivers_over_https_need_little_and_take_nothing_else() {
        let parse = |fields: &str| toml::from_str::<Entry>(&format!("name = \"siem\"\n{fields}"));
        let secret = "{ file = \"f\" }";
        let connection = "connection = { ca = \"ca.pem\", allow_networks = [\"10.1.0.0/16\", \"fd00::/8\"] }";
        let url = "url = \"https://siem.example:8088\"";
        let login = format!("login = {{ method = \"api_key\", key = {secret} }}");
        let identity = format!(
            "identity = {{ method = \"client_secret\", tenant_id = \"t\", client_id = \"c\", secret = {secret} }}"
        );
        let receivers = [
            format!("type = \"webhook\"\n{url}\nkeys = [{secret}]\n"),
            format!("type = \"splunk\"\n{url}\ntoken = {secret}\n"),
            format!("type = \"elasticsearch\"\n{url}\ntarget = \"logs\"\n{login}\n"),
            format!("type = \"otlp\"\n{url}\n"),
            "type = \"s3\"\nbucket = \"b\"\nregion = \"eu-central-1\"\n".to_owned(),
            format!(
                "type = \"sentinel\"\nendpoint = \"https://s.example\"\nrule = \"dcr\"\nstream = \"s\"\n{identity}\n"
            ),
            "type = \"secops\"\nproject = \"p\"\nlocation = \"eu\"\ninstance = \"i\"\n".to_owned(),
        ];
        for receiver in receivers {
            let networks = match parse(&format!("{receiver}{connection}")).unwrap().receiver {
                Receiver::Webhook(webhook) => webhook.connection.allow_networks,
                Receiver::Splunk(splunk) => splunk.connection.allow_networks,
                Receiver::Elasticsearch(elasticsearch) => elasticsearch.connection.allow_networks,
                Receiver::Otlp(otlp) => otlp.connection.allow_networks,
                Receiver::S3(s3) => s3.connection.allow_networks,
                Receiver::Sentinel(sentinel) => sentinel.connection.allow_networks,
                Receiver::Secops(secops) => secops.connection.allow_networks,
                Receiver::File { .. } | Receiver::Syslog(_) | Receiver::Kafka(_) => panic!("not over HTTPS"),
            };
            assert_eq!(networks.len(), 2);
            for wrong in
                ["insecure = true", "connection = { verify = false }", "connection = { allow_networks = [\"lan\"] }"]
            {
                assert!(parse(&format!("{receiver}{wrong}")).is_err(), "{receiver}{wrong}");
            }
        }
    }

    #[test]
    fn receivers_over_tcp_need_little_and_take_nothing_else() {
        let parse = |fields: &str| toml::from_str::<Entry>(&format!("name = \"siem\"\n{fields}"));
        let syslog = "type = \"syslog\"\naddress = \"syslog.example:6514\"\n";
        let kafka = "type = \"kafka\"\nbootstrap_servers = [\"kafka.example:9093\"]\ntopic = \"audit\"\n";
        for (receiver, connection) in [(syslog, ""), (kafka, "connection = { plaintext = true }")] {
            let plaintext = match parse(&format!("{receiver}{connection}")).unwrap().receiver {
                Receiver::Syslog(syslog) => syslog.connection.plaintext,
                Receiver::Kafka(kafka) => kafka.connection.plaintext,
                other => panic!("{other:?}"),
            };
            assert_eq!(plaintext, !connection.is_empty());
            assert!(parse(&format!("{receiver}connection = {{ verify = false }}")).is_err());
        }
        let sasl = |mechanism: &str| {
            let sasl = format!("mechanism = \"{mechanism}\", username = \"audit\", password = {{ file = \"f\" }}");
            parse(&format!("{kafka}sasl = {{ {sasl} }}"))
        };
        assert!(sasl("SCRAM-SHA-512").is_ok() && sasl("PLAIN").is_ok());
        assert!(sasl("GSSAPI").is_err());
    }
}

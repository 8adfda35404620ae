//! Every kind of receiver, and the sink that the broker reaches it by.

use crate::disk::Disk;
use crate::harness::Broker;
use counterparts::azure::LogsIngestion;
use counterparts::elasticsearch::{DATA_STREAM, Elasticsearch};
use counterparts::front::Front;
use counterparts::google::SecOps;
use counterparts::kafka::{Door, Kafka};
use counterparts::rotel::Rotel;
use counterparts::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};
use counterparts::splunk::{Acks, Splunk, TOKEN};
use counterparts::syslog::{Program, SyslogServer};
use counterparts::tls::{Authority, Terminator};
use counterparts::webhook::Webhook;
use std::fs;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// The receiver of the sink of this name.
pub(super) struct Receiver {
    /// Also what the configuration calls its kind.
    pub(super) name: &'static str,
    /// Vouches for every receiver that the broker reaches over TLS.
    pub(super) authority: Arc<Authority>,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// In a folder that is a disk of its own.
    File {
        disk: Disk,
        _folder: TempDir,
    },
    Syslog(Mutex<SyslogServer>),
    Kafka(Mutex<Kafka>),
    /// Behind TLS, and what spoils answers.
    Https(Terminator, Server),
}

pub(super) enum Server {
    Webhook(Webhook),
    Splunk(Splunk),
    Elasticsearch(Elasticsearch),
    Otlp(Rotel),
    Sentinel(LogsIngestion),
    Secops(SecOps),
    S3(SeaweedFs),
}

/// One of each kind.
pub(super) async fn all() -> Vec<Receiver> {
    let authority = Arc::new(Authority::new());
    let mut kinds = vec![("file", file()), ("syslog", syslog(&authority)), ("kafka", kafka(&authority))];
    for (name, url, server) in servers().await {
        let door = Terminator::start(authority.server(None), Front::before(&url).await);
        kinds.push((name, Kind::Https(door, server)));
    }
    kinds.into_iter().map(|(name, kind)| Receiver { name, authority: authority.clone(), kind }).collect()
}

/// A broker with a sink for each; it does not run yet.
pub(super) fn broker_before(receivers: &[Receiver]) -> Broker {
    let sections: String = receivers.iter().map(Receiver::section).collect();
    let broker = Broker::prepared(|config| config + &sections);
    receivers.iter().for_each(|receiver| receiver.equip(&broker));
    broker
}

fn file() -> Kind {
    let folder = TempDir::new().unwrap();
    Kind::File { disk: Disk::mount(folder.path().join("disk"), "128m"), _folder: folder }
}

fn syslog(authority: &Authority) -> Kind {
    Kind::Syslog(Mutex::new(SyslogServer::start(Program::Rsyslog, authority, &authority.server_pem(None))))
}

fn kafka(authority: &Authority) -> Kind {
    let door = Door { mutual_tls: Some(authority), ..Door::default() };
    Kind::Kafka(Mutex::new(Kafka::start("audit", &door)))
}

async fn servers() -> Vec<(&'static str, String, Server)> {
    let (webhook, splunk, elasticsearch) =
        (Webhook::start().await, Splunk::start(Acks::After(1)).await, Elasticsearch::start().await);
    let (otlp, s3) = (Rotel::start().await, SeaweedFs::start().await);
    let sentinel = LogsIngestion::start(RULE, STREAM, &COLUMNS).await;
    sentinel.add_secret("app", APP_SECRET);
    let secops = SecOps::start("projects/p/locations/eu/instances/7d1c", "KEYFOLD_CUSTOM").await;
    s3.run("client.create_bucket(Bucket='events', ObjectLockEnabledForBucket=True)");
    vec![
        ("webhook", webhook.url(), Server::Webhook(webhook)),
        ("splunk", splunk.url(), Server::Splunk(splunk)),
        ("elasticsearch", elasticsearch.url(), Server::Elasticsearch(elasticsearch)),
        ("otlp", otlp.url(), Server::Otlp(otlp)),
        ("sentinel", sentinel.url(), Server::Sentinel(sentinel)),
        ("secops", secops.url(), Server::Secops(secops)),
        ("s3", s3.url().to_owned(), Server::S3(s3)),
    ]
}

const RULE: &str = "dcr-00000000000000000000000000000000";
const STREAM: &str = "Custom-Keyfold";
const APP_SECRET: &str = "the secret of the application";
const COLUMNS: [(&str, &str); 8] = [
    ("TimeGenerated", "datetime"),
    ("EventId", "string"),
    ("Origin", "string"),
    ("Tenant", "string"),
    ("EventIndex", "long"),
    ("EventName", "string"),
    ("EventSeverity", "string"),
    ("Body", "string"),
];

impl Receiver {
    /// Its part of the broker's configuration.
    fn section(&self) -> String {
        let (name, own) = (self.name, self.fields());
        format!(
            "\n[[sinks]]\nname = \"{name}\"\ntype = \"{name}\"\ndisclose = true\nproof = true\ndeadline_seconds = 3\n{own}\n"
        )
    }

    fn fields(&self) -> String {
        let mutual = "ca = \"sinks-ca\", certificate = \"sinks-client\", key = { file = \"sinks-client\" }";
        match &self.kind {
            Kind::File { disk, .. } => format!("path = {:?}", disk.path().join("events.ndjson")),
            Kind::Syslog(server) => {
                let port = server.lock().unwrap().port();
                format!("address = \"localhost:{port}\"\nconnection = {{ {mutual} }}")
            }
            Kind::Kafka(kafka) => {
                let address = kafka.lock().unwrap().address();
                format!("bootstrap_servers = [\"{address}\"]\ntopic = \"audit\"\nconnection = {{ {mutual} }}")
            }
            Kind::Https(door, server) => {
                let allowed = "allow_networks = [\"127.0.0.0/8\", \"::1/128\"], timeout_seconds = 2";
                format!("{}\nconnection = {{ ca = \"sinks-ca\", {allowed} }}", server.fields(door.url()))
            }
        }
    }

    /// Puts what the sink needs beside the configuration.
    fn equip(&self, broker: &Broker) {
        fs::write(broker.path("sinks-ca"), self.authority.pem()).unwrap();
        match &self.kind {
            Kind::File { .. } => {}
            Kind::Syslog(_) | Kind::Kafka(_) => {
                fs::write(broker.path("sinks-client"), self.authority.client_pem()).unwrap();
            }
            Kind::Https(_, server) => fs::write(broker.path(self.name), server.secret()).unwrap(),
        }
    }
}

impl Server {
    fn fields(&self, url: &str) -> String {
        match self {
            Self::Webhook(_) => format!("url = \"{url}/hook\"\nkeys = [{{ file = \"webhook\" }}]"),
            Self::Splunk(_) => format!("url = \"{url}\"\ntoken = {{ file = \"splunk\" }}"),
            Self::Elasticsearch(_) => format!(
                "url = \"{url}\"\ntarget = \"{DATA_STREAM}\"\n\
                 login = {{ method = \"api_key\", key = {{ file = \"elasticsearch\" }} }}"
            ),
            Self::Otlp(_) => format!(
                "url = \"{url}/v1/logs\"\ncompression = \"gzip\"\nheaders = {{ authorization = {{ file = \"otlp\" }} }}"
            ),
            Self::Sentinel(_) => format!(
                "endpoint = \"{url}\"\nauthority_host = \"{url}\"\nrule = \"{RULE}\"\nstream = \"{STREAM}\"\n\
                 identity = {{ method = \"client_secret\", tenant_id = \"dir\", client_id = \"app\", \
                 secret = {{ file = \"sentinel\" }} }}"
            ),
            Self::Secops(_) => format!(
                "endpoint = \"{url}\"\nproject = \"p\"\nlocation = \"eu\"\ninstance = \"7d1c\"\n\
                 credentials = {{ file = \"secops\" }}"
            ),
            Self::S3(_) => format!(
                "linger_seconds = 1\nendpoint = \"{url}\"\nbucket = \"events\"\nregion = \"eu-central-1\"\n\
                 path_style = true\naccess_key = {{ id = \"{ACCESS_KEY}\", secret = {{ file = \"s3\" }} }}\n\
                 lock = {{ mode = \"governance\", days = 1 }}"
            ),
        }
    }

    /// What the sink logs in or signs with.
    fn secret(&self) -> String {
        match self {
            Self::Webhook(_) => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
            Self::Splunk(_) => TOKEN.to_owned(),
            Self::Elasticsearch(_) => "aWQ6YXBpLWtleQ==".to_owned(),
            Self::Otlp(_) => "Bearer of the collector".to_owned(),
            Self::Sentinel(_) => APP_SECRET.to_owned(),
            Self::Secops(secops) => secops.service_account(&["chronicle.logs.import"]),
            Self::S3(_) => SECRET_KEY.to_owned(),
        }
    }
}

//! Every kind of receiver, each with its troubles, and the events that it has.

use crate::harness::Broker;
use counterparts::azure::LogsIngestion;
use counterparts::elasticsearch::{DATA_STREAM, Elasticsearch};
use counterparts::front::{Fault, Front};
use counterparts::google::SecOps;
use counterparts::kafka::{Door, Kafka};
use counterparts::rotel::Rotel;
use counterparts::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};
use counterparts::splunk::{Acks, Splunk, TOKEN};
use counterparts::syslog::{Program, SyslogServer};
use counterparts::tls::Authority;
use counterparts::webhook::Webhook;
use serde_json::Value;
use std::fs;
use std::sync::Mutex;
use std::time::Duration;

/// Of the broker's sink of this name, how it is reached, and what has arrived.
pub(super) struct Receiver {
    pub(super) name: &'static str,
    /// `None` where nothing can come between.
    front: Option<Front>,
    kind: Kind,
}

enum Kind {
    File,
    Webhook(Webhook),
    Splunk(Splunk),
    Elasticsearch(Elasticsearch),
    Otlp(Rotel),
    Sentinel(LogsIngestion),
    Secops(SecOps),
    S3(SeaweedFs),
    Syslog(SyslogServer, Authority),
    Kafka(Mutex<Kafka>),
}

/// All that are configured; the first is the file that every new configuration has.
pub(super) async fn all() -> Vec<Receiver> {
    let (webhook, splunk, elasticsearch) =
        (Webhook::start().await, Splunk::start(Acks::After(1)).await, Elasticsearch::start().await);
    let (otlp, s3) = (Rotel::start().await, SeaweedFs::start().await);
    let sentinel = LogsIngestion::start(RULE, STREAM, &COLUMNS).await;
    sentinel.add_secret("app", "the secret of the application");
    let secops = SecOps::start("projects/p/locations/eu/instances/7d1c", "KEYFOLD_CUSTOM").await;
    s3.run("client.create_bucket(Bucket='events')");
    let urls =
        [webhook.url(), splunk.url(), elasticsearch.url(), otlp.url(), sentinel.url(), secops.url(), s3.url().into()];
    let [a, b, c, d, e, f, g] = urls;
    vec![
        Receiver { name: "events", front: None, kind: Kind::File },
        Receiver::behind(&a, "webhook", Kind::Webhook(webhook)).await,
        Receiver::behind(&b, "splunk", Kind::Splunk(splunk)).await,
        Receiver::behind(&c, "elasticsearch", Kind::Elasticsearch(elasticsearch)).await,
        Receiver::behind(&d, "otlp", Kind::Otlp(otlp)).await,
        Receiver::behind(&e, "sentinel", Kind::Sentinel(sentinel)).await,
        Receiver::behind(&f, "secops", Kind::Secops(secops)).await,
        Receiver::behind(&g, "s3", Kind::S3(s3)).await,
        Receiver { name: "syslog", front: None, kind: syslog() },
        Receiver { name: "kafka", front: None, kind: Kind::Kafka(Mutex::new(Kafka::start("audit", &Door::default()))) },
    ]
}

fn syslog() -> Kind {
    let authority = Authority::new();
    Kind::Syslog(SyslogServer::start(Program::Rsyslog, &authority, &authority.server_pem()), authority)
}

const RULE: &str = "dcr-00000000000000000000000000000000";
const STREAM: &str = "Custom-Keyfold";
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
    async fn behind(upstream: &str, name: &'static str, kind: Kind) -> Self {
        Self { name, front: Some(Front::before(upstream).await), kind }
    }

    /// Its part of the broker's configuration.
    pub(super) fn section(&self) -> String {
        let url = self.front.as_ref().map(Front::url).unwrap_or_default();
        let own = match &self.kind {
            Kind::File => return String::new(),
            Kind::Webhook(_) => format!("url = \"{url}/hook\"\nkeys = [{{ file = \"webhook\" }}]"),
            Kind::Splunk(_) => format!("url = \"{url}\"\ntoken = {{ file = \"splunk\" }}"),
            Kind::Elasticsearch(_) => format!(
                "url = \"{url}\"\ntarget = \"{DATA_STREAM}\"\n\
                 login = {{ method = \"api_key\", key = {{ file = \"elasticsearch\" }} }}"
            ),
            Kind::Otlp(_) => format!("url = \"{url}/v1/logs\""),
            Kind::Sentinel(_) => format!(
                "endpoint = \"{url}\"\nauthority_host = \"{url}\"\nrule = \"{RULE}\"\nstream = \"{STREAM}\"\n\
                 identity = {{ method = \"client_secret\", tenant_id = \"dir\", client_id = \"app\", \
                 secret = {{ file = \"sentinel\" }} }}"
            ),
            Kind::Secops(_) => format!(
                "endpoint = \"{url}\"\nproject = \"p\"\nlocation = \"eu\"\ninstance = \"7d1c\"\n\
                 credentials = {{ file = \"secops\" }}"
            ),
            Kind::S3(_) => format!(
                "linger_seconds = 1\nendpoint = \"{url}\"\nbucket = \"events\"\nregion = \"eu-central-1\"\npath_style = true\n\
                 access_key = {{ id = \"{ACCESS_KEY}\", secret = {{ file = \"s3\" }} }}"
            ),
            Kind::Syslog(server, _) => format!("address = \"localhost:{}\"", server.port()),
            Kind::Kafka(kafka) => {
                format!("bootstrap_servers = [\"{}\"]\ntopic = \"audit\"", kafka.lock().unwrap().address())
            }
        };
        let connection = match &self.kind {
            Kind::Syslog(..) => "ca = \"syslog-ca\", certificate = \"syslog\", key = { file = \"syslog\" }",
            Kind::Kafka(_) => "plaintext = true",
            _ => "allow_networks = [\"127.0.0.0/8\"], timeout_seconds = 1",
        };
        let name = self.name;
        format!(
            "[[sinks]]\nname = \"{name}\"\ntype = \"{name}\"\ndeadline_seconds = 3\n{own}\n\
             connection = {{ {connection} }}\n"
        )
    }

    /// Puts what it logs in with beside the configuration.
    pub(super) fn equip(&self, broker: &Broker) {
        let secret = match &self.kind {
            Kind::File | Kind::Otlp(_) | Kind::Kafka(_) => return,
            Kind::Syslog(_, authority) => {
                fs::write(broker.path("syslog-ca"), authority.pem()).unwrap();
                authority.client_pem()
            }
            Kind::Webhook(_) => "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
            Kind::Splunk(_) => TOKEN.to_owned(),
            Kind::Elasticsearch(_) => "aWQ6YXBpLWtleQ==".to_owned(),
            Kind::Sentinel(_) => "the secret of the application".to_owned(),
            Kind::Secops(secops) => secops.service_account(&["chronicle.logs.import"]),
            Kind::S3(_) => SECRET_KEY.to_owned(),
        };
        fs::write(broker.path(self.name), secret).unwrap();
    }

    /// The next of its troubles.
    pub(super) fn trouble(&self, round: usize) {
        match &self.kind {
            Kind::Syslog(server, _) if round % 2 == 1 => server.pause(),
            Kind::Kafka(kafka) => kafka.lock().unwrap().cut_answers(true),
            _ => {}
        }
        let Some(front) = &self.front else { return };
        let answer = |status, headers| Fault::Answer { status, headers, body: String::new() };
        let faults = [
            answer(429, vec![("retry-after", "1")]),
            Fault::CutMidAnswer,
            answer(503, vec![]),
            Fault::Reset,
            Fault::Hang,
            answer(401, vec![]),
            Fault::Slow(Duration::from_millis(300)),
        ];
        front.fail(None, faults[round % faults.len()].clone());
        if let Kind::Splunk(splunk) = &self.kind {
            splunk.set_acks([Acks::Lost, Acks::OfOthers, Acks::After(3)][round % 3]);
            if round % 2 == 1 {
                front.heal(); // It takes what it then loses.
            }
        }
    }

    /// All is well again.
    pub(super) fn heal(&self) {
        self.front.iter().for_each(Front::heal);
        match &self.kind {
            Kind::Splunk(splunk) => splunk.set_acks(Acks::After(1)),
            Kind::Syslog(server, _) => server.resume(),
            Kind::Kafka(kafka) => kafka.lock().unwrap().cut_answers(false),
            _ => {}
        }
    }

    /// Will never take the event with this id. `false` where a receiver refuses nothing.
    pub(super) fn poison(&self, id: &str) -> bool {
        match &self.kind {
            Kind::Webhook(webhook) => webhook.poison(id),
            Kind::Splunk(splunk) => splunk.poison(id),
            Kind::Elasticsearch(elasticsearch) => {
                elasticsearch.plan(id, 400, "mapper_parsing_exception", usize::MAX);
            }
            Kind::Sentinel(sentinel) => sentinel.poison(Some(&format!("\"{id}\""))),
            Kind::Secops(secops) => secops.poison(Some(&format!("\"{id}\""))),
            Kind::File | Kind::Otlp(_) | Kind::S3(_) | Kind::Syslog(..) | Kind::Kafka(_) => return false,
        }
        true
    }

    /// Whether it keeps what it gets in the order in which it came.
    pub(super) fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::S3(_))
    }

    /// The ids of the tenant's events that it has, oldest first.
    pub(super) fn indices(&self, broker: &Broker, tenant: &str) -> Vec<u64> {
        let index = |id: &str| id.strip_suffix('"').unwrap_or(id).rsplit_once('#')?.1.parse().ok();
        let of_tenant = |id: &String| id.contains(&format!("/{tenant}#"));
        self.ids(broker).iter().filter(|id| of_tenant(id)).filter_map(|id| index(id)).collect()
    }

    fn ids(&self, broker: &Broker) -> Vec<String> {
        let id = |event: &Value| event["id"].as_str().unwrap_or_default().to_owned();
        let of_lines = |text: String| text.lines().map(|line| id(&serde_json::from_str(line).unwrap())).collect();
        match &self.kind {
            Kind::File => of_lines(fs::read_to_string(broker.path("events.ndjson")).unwrap()),
            Kind::Webhook(webhook) => webhook.taken().iter().map(id).collect(),
            Kind::Splunk(splunk) => splunk.indexed().iter().map(|envelope| id(&envelope["event"])).collect(),
            Kind::Elasticsearch(server) => server.documents().into_iter().map(|(id, _)| id).collect(),
            Kind::Otlp(rotel) => {
                let output = rotel.output();
                let uid = |line: &str| Some(line.split_once("log.record.uid: Str(")?.1.strip_suffix(')')?.to_owned());
                output.lines().filter_map(uid).collect()
            }
            Kind::Sentinel(sentinel) => {
                sentinel.rows().iter().map(|row| row["EventId"].as_str().unwrap_or_default().to_owned()).collect()
            }
            Kind::Secops(secops) => {
                secops.logs().iter().map(|log| id(&serde_json::from_slice(&log.data).unwrap())).collect()
            }
            Kind::Syslog(server, _) => {
                let received = String::from_utf8(server.received()).unwrap();
                let whole = received.rsplit_once('\n').map_or("", |(whole, _)| whole);
                of_lines(whole.lines().filter_map(|line| Some(line.split_once("] ")?.1.to_owned() + "\n")).collect())
            }
            Kind::Kafka(kafka) => {
                let found = kafka.lock().unwrap().messages(0);
                found.iter().map(|message| message["headers"]["id"].as_str().unwrap().to_owned()).collect()
            }
            Kind::S3(server) => of_lines(server.run(
                "import gzip, sys\n\
                 for page in client.get_paginator('list_objects_v2').paginate(Bucket='events'):\n\
                 \x20 for o in page.get('Contents', []):\n\
                 \x20   data = client.get_object(Bucket='events', Key=o['Key'])['Body'].read()\n\
                 \x20   sys.stdout.write(gzip.decompress(data).decode())\n",
            )),
        }
    }
}

//! What receives the log: it is shown what the broker logs in with, and nobody else is.

use crate::harness::Broker;
use crate::hunt::Planted;
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::elasticsearch::{DATA_STREAM, Elasticsearch};
use counterparts::front::{Fault, Front};
use counterparts::smtp::{PASSWORD, Smtp, Speech};
use counterparts::splunk::{Acks, Splunk, TOKEN};
use counterparts::webhook::Webhook;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The files that hold what the broker logs in with, each beside the configuration.
pub(crate) const FILES: [&str; 6] =
    ["webhook-key", "splunk-token", "elasticsearch-key", "otlp-header", "s3-secret", "mail-password"];
const WEBHOOK_KEY: &[u8] = b"this key signs what goes to SIEMs";
const ELASTICSEARCH_KEY: &str = "aWQ6YXBpLWtleQ==";
const OTLP_HEADER: &str = "the value of a header that a collector asks for";
const S3_SECRET: &str = "the secret access key of an archive";

/// One of each kind that wants a secret.
pub(crate) struct Receivers {
    webhook: Webhook,
    splunk: Splunk,
    elasticsearch: Elasticsearch,
    mails: Smtp,
    /// Takes whatever it is sent.
    anything: Front,
}

impl Receivers {
    pub(crate) async fn start() -> Self {
        let anything = Front::before("http://127.0.0.1:1").await;
        anything.fail(None, Fault::Answer { status: 200, headers: vec![], body: "{}".into() });
        Self {
            webhook: Webhook::start().await,
            splunk: Splunk::start(Acks::After(1)).await,
            elasticsearch: Elasticsearch::start().await,
            mails: Smtp::start(Speech::Tls).await,
            anything,
        }
    }

    /// Their part of the configuration.
    pub(crate) fn sections(&self) -> String {
        let anything = self.anything.url();
        let [webhook, splunk, elasticsearch, otlp, s3, password] = FILES;
        let own = [
            ("webhook", format!("url = \"{}/\"\nkeys = [{{ file = \"{webhook}\" }}]", self.webhook.url())),
            ("splunk", format!("url = \"{}\"\ntoken = {{ file = \"{splunk}\" }}", self.splunk.url())),
            (
                "elasticsearch",
                format!(
                    "url = \"{}\"\ntarget = \"{DATA_STREAM}\"\n\
                     login = {{ method = \"api_key\", key = {{ file = \"{elasticsearch}\" }} }}",
                    self.elasticsearch.url()
                ),
            ),
            ("otlp", format!("url = \"{anything}/v1/logs\"\nheaders = {{ x-api-key = {{ file = \"{otlp}\" }} }}")),
            (
                "s3",
                format!(
                    "linger_seconds = 0\nendpoint = \"{anything}\"\nbucket = \"b\"\nregion = \"r\"\npath_style = true\n\
                     access_key = {{ id = \"AKIA\", secret = {{ file = \"{s3}\" }} }}"
                ),
            ),
        ];
        let section = |(kind, own): (&str, String)| {
            let common = format!("[[sinks]]\nname = \"{kind}\"\ntype = \"{kind}\"\ndisclose = true\n");
            common + &own + "\nconnection = { allow_networks = [\"127.0.0.0/8\"] }\n"
        };
        let sinks: String = own.into_iter().map(section).collect();
        sinks
            + &format!(
                "[notices.mail]\nhost = \"localhost\"\nport = {}\nca = \"mail-ca.pem\"\nuser = \"keyfold\"\n\
                 password = {{ file = \"{password}\" }}\nfrom = \"keyfold@broker.example\"\n\
                 [[notices.webhooks]]\nname = \"soc\"\nurl = \"{anything}/notices\"\nkeys = [{{ file = \"{webhook}\" }}]\n\
                 connection = {{ allow_networks = [\"127.0.0.0/8\"] }}\n",
                self.mails.port()
            )
    }

    pub(crate) fn equip(&self, broker: &Broker) {
        let webhook = format!("whsec_{}", BASE64_STANDARD.encode(WEBHOOK_KEY));
        for (file, secret) in
            FILES.into_iter().zip([&webhook, TOKEN, ELASTICSEARCH_KEY, OTLP_HEADER, S3_SECRET, PASSWORD])
        {
            fs::write(broker.path(file), secret).unwrap();
        }
        fs::write(broker.path("mail-ca.pem"), self.mails.ca_pem()).unwrap();
    }

    /// What lets the broker in: alive in its memory, and nowhere to be seen.
    pub(crate) fn credentials() -> Vec<Planted> {
        let secrets = [WEBHOOK_KEY, TOKEN.as_bytes(), ELASTICSEARCH_KEY.as_bytes(), OTLP_HEADER.as_bytes()];
        let secrets = secrets.into_iter().chain([S3_SECRET.as_bytes(), PASSWORD.as_bytes()]).zip(FILES);
        secrets.map(|(secret, file)| Planted::new(file, secret.to_vec())).collect()
    }

    /// The first mail that was sent.
    pub(crate) async fn first_mail(&self) -> Value {
        self.mails.taken_at_least(1).await.remove(0)
    }

    /// What they have been sent, once there is something of each.
    pub(crate) async fn received(&self) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let documents: Vec<_> = self.elasticsearch.documents().into_iter().map(|(_, document)| document).collect();
            let sent = [self.webhook.taken(), self.splunk.indexed(), documents, self.mails.taken()];
            let bodies = self.anything.seen();
            let to = |path: &str| bodies.iter().any(|seen| seen.path.starts_with(path));
            if sent.iter().all(|events| !events.is_empty()) && to("/v1/logs") && to("/b/") && to("/notices") {
                let bodies = bodies.iter().map(|seen| &seen.body[..]).collect::<Vec<_>>().concat();
                return [serde_json::to_vec(&sent).unwrap(), bodies].concat();
            }
            assert!(Instant::now() < deadline, "{} {}", sent.iter().all(|events| !events.is_empty()), bodies.len());
            sleep(Duration::from_millis(100)).await;
        }
    }
}

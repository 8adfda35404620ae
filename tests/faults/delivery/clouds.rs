//! A collector, an archive, Sentinel and SecOps, each in trouble and with the broker killed meanwhile: each has every event in
//! the end, and what they have is proven.

use super::{events, log_size, sink, until};
use crate::harness::{Broker, KEYFOLD, TENANT, text};
use counterparts::azure::LogsIngestion;
use counterparts::front::{Fault, Front};
use counterparts::google::SecOps;
use counterparts::rotel::Rotel;
use counterparts::seaweedfs::{ACCESS_KEY, SECRET_KEY, SeaweedFs};
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::sleep;

const SINKS: [&str; 4] = ["otel", "archive", "sentinel", "secops"];
const RULE: &str = "dcr-00000000000000000000000000000000";
/// The event that Sentinel never takes.
const POISONED: u64 = 20;

/// The receivers, each behind a front that spoils answers.
struct Clouds {
    rotel: Rotel,
    seaweedfs: SeaweedFs,
    ingestion: LogsIngestion,
    secops: SecOps,
    fronts: [Front; 4],
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cloud_has_every_event_after_kills_and_troubles() {
    let clouds = Clouds::start().await;
    let mut broker = Broker::prepared(|config| config + &clouds.sinks());
    clouds.write_secrets(&broker);
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    for fault in [busy(), Fault::CutMidAnswer, Fault::Hang] {
        clouds.fronts.iter().for_each(|front| front.fail(None, fault.clone()));
        events(&broker, 10).await;
        sleep(Duration::from_millis(700)).await;
        clouds.fronts.iter().for_each(Front::heal);
        events(&broker, 5).await;
        broker.kill();
        broker.run(&[]).await;
    }
    let due = log_size(&broker).await;
    assert!(due > 45);
    for name in SINKS {
        until(name, async || sink(&broker, name).await["next"].as_u64() >= Some(due)).await;
    }
    clouds.check_order(due).await;
    clouds.check_proofs(&broker, &vkey, due);
    let letters = text(&broker.run_admin(&["sink", "dead-letters", TENANT, "sentinel"]).stdout);
    assert!(letters.lines().count() == 2 && letters.contains("http_400"), "{letters}");
    assert!(letters.contains(&POISONED.to_string()), "{letters}");
}

fn busy() -> Fault {
    Fault::Answer { status: 429, headers: vec![("retry-after", "0")], body: String::new() }
}

impl Clouds {
    async fn start() -> Self {
        let (rotel, seaweedfs) = (Rotel::start().await, SeaweedFs::start().await);
        seaweedfs.run("client.create_bucket(Bucket='archive', ObjectLockEnabledForBucket=True)");
        let text = ["EventId", "Origin", "Tenant", "EventName", "EventSeverity", "Body"].map(|name| (name, "string"));
        let columns = [&text[..], &[("TimeGenerated", "datetime"), ("EventIndex", "long")]].concat();
        let ingestion = LogsIngestion::start(RULE, "Custom-Keyfold", &columns).await;
        ingestion.add_secret("app", "the secret");
        ingestion.poison(Some(&format!("\"EventId\":\"localhost/{TENANT}#{POISONED}\"")));
        let secops = SecOps::start("projects/p/locations/eu/instances/i", "KEYFOLD_CUSTOM").await;
        let fronts = [
            Front::before(&rotel.url()).await,
            Front::before(seaweedfs.url()).await,
            Front::before(&ingestion.url()).await,
            Front::before(&secops.url()).await,
        ];
        Self { rotel, seaweedfs, ingestion, secops, fronts }
    }

    fn write_secrets(&self, broker: &Broker) {
        let account = self.secops.service_account(&["chronicle.logs.import"]);
        for (file, secret) in [("s3.key", SECRET_KEY), ("app.secret", "the secret"), ("secops.json", &account)] {
            fs::write(broker.path(file), secret).unwrap();
        }
    }

    fn sinks(&self) -> String {
        let [otel, archive, sentinel, secops] = self.fronts.each_ref().map(Front::url);
        let every =
            "disclose = true\nproof = true\ndeadline_seconds = 2\nconnection = { allow_networks = [\"127.0.0.1/32\"] }";
        format!(
            "\n[[sinks]]\ntype = \"otlp\"\nname = \"otel\"\nurl = \"{otel}/v1/logs\"\ncompression = \"gzip\"\n{every}\n\
             [[sinks]]\ntype = \"s3\"\nname = \"archive\"\nbucket = \"archive\"\nregion = \"eu-central-1\"\n\
             endpoint = \"{archive}\"\npath_style = true\nlinger_seconds = 1\n\
             access_key = {{ id = \"{ACCESS_KEY}\", secret = {{ file = \"s3.key\" }} }}\n\
             lock = {{ mode = \"governance\", days = 1 }}\n{every}\n\
             [[sinks]]\ntype = \"sentinel\"\nname = \"sentinel\"\nendpoint = \"{sentinel}\"\nrule = \"{RULE}\"\n\
             stream = \"Custom-Keyfold\"\nauthority_host = \"{}\"\nidentity = {{ method = \"client_secret\", \
             tenant_id = \"dir\", client_id = \"app\", secret = {{ file = \"app.secret\" }} }}\n{every}\n\
             [[sinks]]\ntype = \"secops\"\nname = \"secops\"\nproject = \"p\"\nlocation = \"eu\"\ninstance = \"i\"\n\
             endpoint = \"{secops}\"\ncredentials = {{ file = \"secops.json\" }}\n{every}\n",
            self.ingestion.url(),
        )
    }

    /// First arrivals come in the order of the log, all of them.
    async fn check_order(&self, due: u64) {
        let last = format!("log.record.uid: Str(localhost/{TENANT}#{})", due - 1);
        let output = self.rotel.output_with(&last).await;
        let otel =
            output.lines().filter_map(|line| index(line.split_once("log.record.uid: Str(")?.1.strip_suffix(')')?));
        assert_eq!(first_arrivals(otel, due), (0..due).collect::<Vec<_>>());
        let rows = self.ingestion.rows();
        let rows = rows.iter().filter_map(|row| row["EventIndex"].as_u64());
        assert_eq!(first_arrivals(rows, due), (0..due).filter(|index| *index != POISONED).collect::<Vec<_>>());
        let logs = self.secops.logs();
        let logs = logs.iter().filter_map(|log| log.labels.get("index")?.parse().ok());
        assert_eq!(first_arrivals(logs, due), (0..due).collect::<Vec<_>>());
    }

    /// `keyfold verify` takes the objects as they are, and the bodies of rows and raw logs.
    fn check_proofs(&self, broker: &Broker, vkey: &str, due: u64) {
        let archive = broker.path("archive");
        self.seaweedfs.run(&format!(
            "import os\n\
             for o in client.list_objects_v2(Bucket='archive')['Contents']:\n\
             \x20   path = os.path.join({archive:?}, o['Key'])\n\
             \x20   os.makedirs(os.path.dirname(path), exist_ok=True)\n\
             \x20   client.download_file('archive', o['Key'], path)\n"
        ));
        let proven = verified(&archive, vkey, &["--complete"]);
        assert!(proven["events"].as_u64() >= Some(due), "{proven}");
        let logs = self.secops.logs().into_iter().flat_map(|log| [log.data, b"\n".to_vec()]);
        fs::write(broker.path("secops.ndjson"), logs.flatten().collect::<Vec<u8>>()).unwrap();
        assert!(verified(&broker.path("secops.ndjson"), vkey, &["--complete"])["events"].as_u64() >= Some(due));
        let rows = self.ingestion.rows();
        let bodies: Vec<_> = rows.iter().map(|row| row["Body"].as_str().unwrap()).collect();
        fs::write(broker.path("sentinel.ndjson"), bodies.join("\n")).unwrap();
        assert_eq!(verified(&broker.path("sentinel.ndjson"), vkey, &[])["withheld"], 1);
    }
}

fn verified(path: &Path, vkey: &str, words: &[&str]) -> serde_json::Value {
    let done = Command::new(KEYFOLD).arg("verify").args(words).args(["--json", "--vkey", vkey]).arg(path).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn first_arrivals(indices: impl Iterator<Item = u64>, due: u64) -> Vec<u64> {
    let mut seen = HashSet::new();
    indices.filter(|index| *index < due && seen.insert(*index)).collect()
}

/// Of an event's id; checkpoints have none.
fn index(id: &str) -> Option<u64> {
    id.strip_prefix("localhost/")?.strip_prefix(TENANT)?.strip_prefix('#')?.parse().ok()
}

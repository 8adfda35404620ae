//! What receivers have, and what it proves.

use super::receivers::{Kind, Receiver, Server};
use crate::harness::{Broker, KEYFOLD, text};
use base64::prelude::{BASE64_STANDARD, Engine};
use counterparts::seaweedfs::SeaweedFs;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Receiver {
    /// The indices of the tenant's events that it has, oldest first.
    pub(super) fn indices(&self, tenant: &str) -> Vec<u64> {
        let place = format!("/{tenant}#");
        let held = self.held();
        held.iter().filter_map(|message| message["id"].as_str()?.split_once(&place)?.1.parse().ok()).collect()
    }

    /// The size of the newest of the tenant's checkpoints that it has.
    pub(super) fn checkpoint(&self, tenant: &str) -> u64 {
        let place = format!("/{tenant}@");
        let held = self.held();
        let sizes = held.iter().filter_map(|message| message["id"].as_str()?.split_once(&place)?.1.parse().ok());
        sizes.max().unwrap_or(0)
    }

    /// The messages that it has, oldest first.
    fn held(&self) -> Vec<Value> {
        match &self.kind {
            Kind::File { disk, .. } => {
                lines(&fs::read_to_string(disk.path().join("events.ndjson")).unwrap_or_default())
            }
            Kind::Syslog(server) => {
                let received = String::from_utf8(server.lock().unwrap().received()).unwrap();
                lines(
                    &received
                        .split_inclusive('\n')
                        .filter_map(|line| Some(line.split_once("] ")?.1))
                        .collect::<String>(),
                )
            }
            Kind::Kafka(kafka) => {
                let found = kafka.lock().unwrap().messages(0);
                let value = |message: &Value| BASE64_STANDARD.decode(message["value"].as_str().unwrap()).unwrap();
                found.iter().map(|message| serde_json::from_slice(&value(message)).unwrap()).collect()
            }
            Kind::Https(_, server) => server.held(),
        }
    }

    /// Everything below `size` has arrived but the dead letters, in the order of the log, and `keyfold verify` proves it
    /// up to the newest checkpoint.
    pub(super) fn check(&self, broker: &Broker, (tenant, vkey): (&str, &str), size: u64, dead: &[u64]) {
        let arrived = self.indices(tenant);
        let there: BTreeSet<u64> = arrived.iter().copied().filter(|index| *index < size).collect();
        let due: BTreeSet<u64> = (0..size).filter(|index| !dead.contains(index)).collect();
        assert_eq!(due.difference(&there).collect::<Vec<_>>(), Vec::<&u64>::new(), "{} misses these", self.name);
        assert!(dead.iter().all(|index| !there.contains(index)), "{} has what it refused", self.name);
        if self.is_ordered() {
            check_order(self.name, &arrived, dead);
        }
        let complete: &[&str] = if dead.is_empty() { &["--complete"] } else { &[] };
        let proven = verified(&self.evidence(broker, tenant), vkey, complete);
        let checkpoint = self.checkpoint(tenant);
        assert_eq!(
            (&proven["size"], &proven["events"]),
            (&checkpoint.into(), &(checkpoint - dead.len() as u64).into())
        );
        assert_eq!(proven["withheld"], dead.len(), "{}: {proven}", self.name);
        eprintln!("{}: {} arrivals of {size} events, {} dead", self.name, arrived.len(), dead.len());
    }

    /// Whether it keeps what it gets in the order in which it came.
    fn is_ordered(&self) -> bool {
        !matches!(self.kind, Kind::Https(_, Server::S3(_)))
    }

    /// What an auditor is given: the messages of one log, or of S3 the objects as they are.
    fn evidence(&self, broker: &Broker, tenant: &str) -> PathBuf {
        let path = broker.path(&format!("evidence-{}-{tenant}", self.name));
        if let Kind::Https(_, Server::S3(server)) = &self.kind {
            download(server, &path, tenant);
            return path;
        }
        let of_tenant = |id: &str| id.contains(&format!("/{tenant}#")) || id.contains(&format!("/{tenant}@"));
        let held = self.held();
        let messages = held.iter().filter(|message| message["id"].as_str().is_some_and(of_tenant));
        fs::write(&path, messages.map(|message| format!("{message}\n")).collect::<String>()).unwrap();
        path
    }
}

impl Server {
    fn held(&self) -> Vec<Value> {
        match self {
            Self::Webhook(webhook) => webhook.taken(),
            Self::Splunk(splunk) => splunk.indexed().into_iter().map(|envelope| envelope["event"].clone()).collect(),
            Self::Elasticsearch(cluster) => cluster.documents().into_iter().map(|(_, document)| document).collect(),
            Self::Otlp(rotel) => {
                let printed = rotel.output();
                let body = |line: &str| Some(line.split_once("Body: Str(")?.1.strip_suffix(')')?.to_owned() + "\n");
                lines(&printed.lines().filter_map(body).collect::<String>())
            }
            Self::Sentinel(sentinel) => {
                let body = |row: &Value| serde_json::from_str(row["Body"].as_str().unwrap()).unwrap();
                sentinel.rows().iter().map(body).collect()
            }
            Self::Secops(secops) => {
                secops.logs().iter().map(|log| serde_json::from_slice(&log.data).unwrap()).collect()
            }
            Self::S3(server) => {
                let printed = server.run(
                    "import gzip, sys\n\
                     for page in client.get_paginator('list_objects_v2').paginate(Bucket='events'):\n\
                     \x20 for o in page.get('Contents', []):\n\
                     \x20   data = client.get_object(Bucket='events', Key=o['Key'])['Body'].read()\n\
                     \x20   sys.stdout.write(gzip.decompress(data).decode())\n",
                );
                lines(&(printed + "\n"))
            }
        }
    }
}

/// One message a line; a last line without its end is still being written.
fn lines(text: &str) -> Vec<Value> {
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Nothing arrived before what is before it in its log.
fn check_order(name: &str, arrived: &[u64], dead: &[u64]) {
    let mut next = 0;
    for index in arrived {
        while dead.contains(&next) {
            next += 1;
        }
        assert!(*index <= next, "{name} has event {index} before event {next}");
        next = next.max(index + 1);
    }
}

fn download(server: &SeaweedFs, path: &Path, tenant: &str) {
    server.run(&format!(
        "import os\n\
         for page in client.get_paginator('list_objects_v2').paginate(Bucket='events', Prefix='localhost/{tenant}/'):\n\
         \x20 for o in page.get('Contents', []):\n\
         \x20   path = os.path.join({path:?}, o['Key'])\n\
         \x20   os.makedirs(os.path.dirname(path), exist_ok=True)\n\
         \x20   client.download_file('events', o['Key'], path)\n"
    ));
}

/// `keyfold verify` on what was delivered.
fn verified(path: &Path, vkey: &str, words: &[&str]) -> Value {
    let done = Command::new(KEYFOLD).arg("verify").args(words).args(["--json", "--vkey", vkey]).arg(path).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}: {}", path.display(), text(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

//! What goes wrong with receivers.

use super::receivers::{Kind, Receiver, Server};
use counterparts::front::Fault;
use counterparts::splunk::Acks;
use counterparts::tls::{Authority, Flaw};
use std::sync::Arc;
use std::time::Duration;

/// What a receiver shows for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    Good,
    OfAnotherAuthority,
    Expired,
    ForAnotherName,
}

impl Receiver {
    /// The next of its troubles.
    pub(super) fn trouble(&self, round: usize) {
        let odd = round % 2 == 1;
        match &self.kind {
            Kind::File { disk, .. } if odd => disk.fill(),
            Kind::Syslog(server) if odd => server.lock().unwrap().pause(),
            Kind::File { .. } | Kind::Syslog(_) => {}
            Kind::Kafka(kafka) => kafka.lock().unwrap().cut_answers(true),
            Kind::Https(_, Server::Splunk(splunk)) if odd => splunk.set_acks(Acks::Lost),
            Kind::Https(door, Server::Splunk(splunk)) => {
                splunk.set_acks([Acks::OfOthers, Acks::After(3)][round / 2 % 2]);
                door.front().fail(None, fault(round));
            }
            Kind::Https(door, _) => door.front().fail(None, fault(round)),
        }
    }

    /// All is well again.
    pub(super) fn heal(&self) {
        match &self.kind {
            Kind::File { disk, .. } => disk.empty(),
            Kind::Syslog(server) => server.lock().unwrap().resume(),
            Kind::Kafka(kafka) => kafka.lock().unwrap().cut_answers(false),
            Kind::Https(door, server) => {
                door.front().heal();
                if let Server::Splunk(splunk) = server {
                    splunk.set_acks(Acks::After(1));
                }
            }
        }
    }

    /// Cannot be had at all: the disk is full, the program stands still, connections are reset.
    pub(super) fn go_away(&self) {
        match &self.kind {
            Kind::File { disk, .. } => disk.fill(),
            Kind::Syslog(server) => server.lock().unwrap().pause(),
            Kind::Kafka(kafka) => kafka.lock().unwrap().tls().unwrap().hang_up(),
            Kind::Https(door, _) => door.port().hang_up(),
        }
    }

    /// Is back from being away.
    pub(super) fn come_back(&self) {
        if !self.show(Certificate::Good) {
            self.heal();
        }
    }

    /// Shows this certificate from now on; open connections end. `false` where there is none to show.
    pub(super) fn show(&self, certificate: Certificate) -> bool {
        let (authority, flaw) = match certificate {
            Certificate::Good => (self.authority.clone(), None),
            Certificate::OfAnotherAuthority => (Arc::new(Authority::new()), None),
            Certificate::Expired => (self.authority.clone(), Some(Flaw::Expired)),
            Certificate::ForAnotherName => (self.authority.clone(), Some(Flaw::OtherName)),
        };
        match &self.kind {
            Kind::File { .. } => return false,
            Kind::Syslog(server) => {
                let mut server = server.lock().unwrap();
                server.kill();
                server.show(&authority.server_pem(flaw));
                server.restart();
            }
            Kind::Kafka(kafka) => kafka.lock().unwrap().tls().unwrap().restart(authority.mutual_server(flaw)),
            Kind::Https(door, _) => door.port().restart(authority.server(flaw)),
        }
        true
    }

    /// Will never take the event with this id. `false` where a receiver refuses nothing.
    pub(super) fn poison(&self, id: &str) -> bool {
        match &self.kind {
            Kind::File { .. } | Kind::Syslog(_) | Kind::Kafka(_) => return false,
            Kind::Https(_, server) => match server {
                Server::Webhook(webhook) => webhook.poison(id),
                Server::Splunk(splunk) => splunk.poison(id),
                Server::Elasticsearch(cluster) => cluster.plan(id, 400, "mapper_parsing_exception", usize::MAX),
                Server::Sentinel(sentinel) => sentinel.poison(Some(&format!("\"{id}\""))),
                Server::Secops(secops) => secops.poison(Some(&format!("\"{id}\""))),
                Server::Otlp(_) | Server::S3(_) => return false,
            },
        }
        true
    }
}

fn fault(round: usize) -> Fault {
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
    faults[round % faults.len()].clone()
}

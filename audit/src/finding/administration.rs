//! Providers and administrators as the log has not known them.

use super::seen::{Match, Name, Pattern, Place, Seen};
use crate::event::{Field, Outcome};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

const DAY: u64 = 24 * 3_600;

/// Something that somebody was never seen with before.
pub(super) struct FirstSeen {
    /// Who is seen with what.
    sighting: fn(&Seen<'_>) -> Option<(Name, Name)>,
    threshold: u64,
    /// The first event.
    began: Option<Place>,
    known: HashMap<Name, HashSet<Name>>,
}

impl FirstSeen {
    /// The log with a provider, in what succeeded.
    pub(super) fn provider(threshold: u64) -> Self {
        Self::of(threshold, |seen| {
            let provider = seen.event.provider.as_ref().filter(|_| seen.event.outcome == Outcome::OK)?;
            Some((seen.log(), seen.names.of("prov", provider)))
        })
    }

    /// An administrator with a network: IPv4 /24, IPv6 /48.
    pub(super) fn network(threshold: u64) -> Self {
        Self::of(threshold, |seen| {
            let network = network(seen.event.text(Field::Ip)?.parse().ok()?);
            Some((seen.name(Field::Actor)?, seen.names.of("network", &network)))
        })
    }

    /// An administrator with client software.
    pub(super) fn agent(threshold: u64) -> Self {
        Self::of(threshold, |seen| Some((seen.name(Field::Actor)?, seen.name(Field::Agent)?)))
    }

    fn of(threshold: u64, sighting: fn(&Seen<'_>) -> Option<(Name, Name)>) -> Self {
        Self { sighting, threshold, began: None, known: HashMap::new() }
    }
}

impl Pattern for FirstSeen {
    fn observe(&mut self, seen: &Seen<'_>) -> Option<Match> {
        let began = *self.began.get_or_insert(seen.at);
        let (who, what) = (self.sighting)(seen)?;
        let known = self.known.entry(who).or_default();
        let is_first = known.is_empty();
        let days = seen.at.iat.saturating_sub(began.iat) / DAY;
        let found = known.insert(what) && !is_first && days >= self.threshold;
        found.then(|| Match::new(days, Vec::new()))
    }
}

/// The first 24 bits of an IPv4 address, the first 48 of an IPv6 one.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}")
        }
    }
}

use crate::event::{Event, Kind};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Follows every record from KEK to KEK, by what the log says in clear.
#[derive(Default)]
pub(super) struct Holdings {
    /// Each record with the KEKs it was wrapped under last; a number stands for their names.
    records: HashMap<Uuid, usize>,
    names: Vec<String>,
    /// Under these nothing is left, whatever was wrapped before.
    destroyed: HashSet<String>,
}

impl Holdings {
    pub(super) fn observe(&mut self, event: &Event) {
        if let (Kind::KekDestroyed, Some(kek)) = (event.kind, &event.kek) {
            self.destroyed.insert(kek.id.clone());
        }
        let wraps = matches!(event.kind, Kind::RecordWrapped | Kind::RecordRewrapped);
        if let (true, Some(record), Some(kek)) = (wraps, event.correlation, &event.kek) {
            let known = self.names.iter().position(|name| *name == kek.id);
            let name = known.unwrap_or_else(|| {
                self.names.push(kek.id.clone());
                self.names.len() - 1
            });
            self.records.insert(record, name);
        }
    }

    /// How many records are under each KEK. One that is under two counts for both.
    pub(super) fn conclude(self) -> BTreeMap<String, u64> {
        let mut held = BTreeMap::new();
        for name in self.names.iter().flat_map(|name| name.split(' ')) {
            held.insert(name.to_owned(), 0);
        }
        for name in self.records.into_values() {
            for kek in self.names[name].split(' ').filter(|kek| !self.destroyed.contains(*kek)) {
                *held.entry(kek.to_owned()).or_default() += 1;
            }
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::Holdings;
    use crate::event::{Event, Kind, Outcome};
    use std::collections::BTreeMap;
    use uuid::Uuid;

    #[test]
    fn a_record_counts_for_the_keks_it_was_wrapped_under_last() {
        let mut holdings = Holdings::default();
        let mut wrapped = |kind, record, kek: &str| {
            let event = Event::new(kind, Outcome::OK).kek(kek, 1).correlation(Uuid::from_u128(record));
            holdings.observe(&event);
        };
        wrapped(Kind::RecordWrapped, 1, "a");
        wrapped(Kind::RecordWrapped, 2, "a");
        wrapped(Kind::RestoreReleased, 2, "z");
        wrapped(Kind::RecordRewrapped, 1, "b");
        wrapped(Kind::RecordRewrapped, 2, "b c");
        wrapped(Kind::RecordWrapped, 3, "d");
        wrapped(Kind::KekDestroyed, 4, "d");
        let held = [("a", 0), ("b", 2), ("c", 1), ("d", 0)].map(|(kek, records)| (kek.to_owned(), records));
        let held = BTreeMap::from(held);
        assert_eq!(holdings.conclude(), held);
    }
}

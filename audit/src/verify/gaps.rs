use super::{Failure, Fault};
use std::collections::{BTreeMap, VecDeque};

/// How many events may be missing, and where: checkpoint messages say how many were withheld up to each of them.
pub(super) struct Gaps(VecDeque<Section>);

/// The events from one checkpoint message to the next.
struct Section {
    end: u64,
    withheld: u64,
    missing: u64,
    first: Option<u64>,
}

impl Gaps {
    /// From how many events were withheld below each size.
    pub(super) fn of(withheld: &BTreeMap<u64, u64>) -> Self {
        let mut before = 0;
        let section = |(end, upto): (&u64, &u64)| {
            let withheld = upto.saturating_sub(before);
            before = before.max(*upto);
            Section { end: *end, withheld, missing: 0, first: None }
        };
        Self(withheld.iter().map(section).collect())
    }

    /// Where nothing may be missing.
    pub(super) fn none() -> Self {
        Self(VecDeque::new())
    }

    /// The events from `from` to before `to` are missing; fails where that is more than was withheld.
    pub(super) fn skip(&mut self, mut from: u64, to: u64) -> Result<(), Failure> {
        while from < to {
            while self.0.front().is_some_and(|section| section.end <= from) {
                self.0.pop_front();
            }
            let section = self.0.front_mut().ok_or(Fault::Missing.at(from))?;
            let until = to.min(section.end);
            section.missing += until - from;
            let first = *section.first.get_or_insert(from);
            match section.withheld {
                withheld if section.missing <= withheld => {}
                0 => return Err(Fault::Missing.at(first)),
                withheld => return Err(Fault::TooFew { end: section.end, withheld }.at(first)),
            }
            from = until;
        }
        Ok(())
    }
}

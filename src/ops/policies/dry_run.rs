//! What a text would have meant for the restores of the last days.

use super::super::circumstances::Circumstances;
use super::super::restore::asked_at;
use super::super::standing::{self, Account, Asking};
use crate::broker::Broker;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::inventory::Device;
use crate::rulebook::Rules;
use crate::store::devices::Membership;
use crate::store::records::{self, RecordSummary};
use crate::store::restores::{self, Restore, Wanted};
use crate::store::{Connection, Standing, StoreError};
use policies::{Action, Decision, RecordFacts};
use std::sync::Arc;
use uuid::{Builder, Uuid};

const DAY: i64 = 24 * 3_600 * 1_000;
/// Most restores that are looked at.
const MOST: u64 = 5_000;
/// Most that are shown one by one; all are counted.
const MOST_SHOWN: usize = 100;
const PAGE: u16 = 250;

/// What would have been otherwise than under the policies that are in force now.
#[derive(Debug, Default)]
pub struct DryRun {
    /// Restores that were looked at.
    pub looked_at: u64,
    /// Whether those were all of the time.
    pub complete: bool,
    /// Those that would have been refused.
    pub refused: u64,
    /// Those that would have needed more.
    pub needs_more: u64,
    /// Those that would have needed less.
    pub needs_less: u64,
    /// Those that would have been allowed, and are not under the policies in force.
    pub allowed: u64,
    /// The first of them.
    pub changed: Vec<Changed>,
}

/// One restore that would have been otherwise.
#[derive(Debug)]
pub struct Changed {
    /// The restore.
    pub restore: Restore,
    /// What the policies in force say of it.
    pub now: Decision,
    /// What the text says.
    pub then: Decision,
}

/// Decides all restores of the last `days` days anew, as of when they were asked for, under the text and under the policies
/// in force, and tells where the two differ. What was refused at once was never a restore, and is not among them.
pub async fn dry_run(broker: Arc<Broker>, tenant: String, (text, days): (String, u16)) -> Result<DryRun, Error> {
    let set = broker.policies.read(text).await?;
    let rules = broker.policies.in_force(&tenant).await?;
    let since = broker.clock.now() - i64::from(days) * DAY;
    let background = broker.background.clone();
    let trial = Trial { old: rules, new: Arc::new(Rules { version: None, digest: set.digest(), set }) };
    background.spawn(async move { trial.run(&broker, &tenant, since).await }).await.map_err(|_| Error::Interrupted)?
}

struct Trial {
    old: Arc<Rules>,
    new: Arc<Rules>,
}

impl Trial {
    async fn run(self, broker: &Broker, tenant: &str, since: Timestamp) -> Result<DryRun, Error> {
        let store = broker.store.with_own_readers().await?;
        let mut db = store.reader().await?;
        let mut seen = DryRun::default();
        let mut after = first_id(since).to_string();
        while !seen.complete && seen.looked_at < MOST {
            let page = restores::page(&mut db, tenant, Wanted::default(), (&after, PAGE.into())).await?;
            seen.complete = page.len() < usize::from(PAGE);
            for restore in page {
                after = restore.id.to_string();
                let (now, then) = self.decide(broker, &mut db, &restore).await?;
                seen.count(restore, now, then);
            }
        }
        Ok(seen)
    }

    async fn decide(
        &self,
        broker: &Broker,
        db: &mut Connection,
        restore: &Restore,
    ) -> Result<(Decision, Decision), Error> {
        let found = broker.inventory.find(db, restore.device).await?;
        let (device, membership) = found.ok_or(StoreError::Corrupt { column: "device" })?;
        let all = records::of_user(db, &restore.tenant, &restore.user).await?;
        let asked = asked_at(restore);
        let facts: Vec<_> = all.iter().filter(|record| restore.records.contains(&record.id)).collect();
        let facts: Vec<_> = facts.into_iter().map(|record| as_of(asked, record, &all)).collect();
        let lines = [&self.old, &self.new].iter().any(|rules| rules.set.asks_for_reporting_lines());
        let account = Account::load(broker, db, (&restore.tenant, &restore.user), lines).await?;
        let circumstances = Circumstances::when_asked(&broker.keys, restore)?;
        // Whoever asked was active then.
        let (device, membership) = (
            Device { state: Standing::Active, ..device },
            Membership { user: Standing::Active, tenant: Standing::Active, ..membership },
        );
        let asking =
            Asking { device: &device, membership: &membership, account: &account, circumstances: &circumstances };
        let decide = |rules: &Rules| standing::decide(asked, rules, asking, (Action::Restore, &facts));
        Ok((decide(&self.old), decide(&self.new)))
    }
}

/// Below the id of every restore that was asked for from then on.
fn first_id(since: Timestamp) -> Uuid {
    Builder::from_unix_timestamp_millis(since.max(0).unsigned_abs(), &[0; 10]).into_uuid()
}

fn as_of<'r>(asked: Timestamp, record: &'r RecordSummary, all: &[RecordSummary]) -> RecordFacts<'r> {
    let is_newer = |other: &RecordSummary| {
        other.kind == record.kind && other.generation > record.generation && other.created_at <= asked
    };
    let newest = !all.iter().any(is_newer);
    RecordFacts { owner: &record.user, kind: &record.kind, generation: record.generation, newest }
}

impl DryRun {
    fn count(&mut self, restore: Restore, now: Decision, then: Decision) {
        self.looked_at += 1;
        let counter = match (now.allowed, then.allowed) {
            (true, false) => &mut self.refused,
            (false, true) => &mut self.allowed,
            (false, false) => return,
            (true, true) if now.needs == then.needs => return,
            (true, true) if now.needs.at_least(then.needs) => &mut self.needs_less,
            (true, true) => &mut self.needs_more,
        };
        *counter += 1;
        if self.changed.len() < MOST_SHOWN {
            self.changed.push(Changed { restore, now, then });
        }
    }
}

use crate::broker::Broker;
use crate::commit::{Proposal, Rare, Upkeep};
use crate::error::{Error, Refusal};
use crate::outbox;
use crate::store::Store;
use crate::store::notices::{self, SealedNotice};
use ::notices::{Envelope, Mail, Recipient, Trouble, Webhook};
use audit::event::{Event, Kind, Outcome};
use metrics::{counter, gauge};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// From one look to the next.
const IDLE: Duration = Duration::from_secs(1);
/// The first wait for a notice that was not taken, and the longest; in between as long as it has waited already. In
/// milliseconds.
const RETRY: (i64, i64) = (5_000, 15 * 60_000);
/// A notice that nobody has taken for so long is given up, in milliseconds: what it tells of is over.
const LIFETIME: i64 = 24 * 3_600_000;
/// Notices of one look.
const PAGE: usize = 32;
/// As many as are worth counting.
const COUNTED: i64 = 10_000;
/// From one count to the next: metrics are hardly read more often.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// At the end what is under way may take so long.
const LAST: Duration = Duration::from_secs(5);
/// After a failure of the database.
const HELD: Duration = Duration::from_secs(5);
/// So many that are not taken, one after the other, end a look: the server itself may be in trouble.
const TROUBLES: usize = 3;

/// How a channel's notices go out.
#[derive(Debug)]
pub(super) enum Way {
    /// As mails.
    Mail(Box<Mail>),
    /// As webhooks.
    Webhook(Box<Webhook>),
    /// By none: it is no longer configured. What still waits is given up in its time.
    Gone,
}

/// One way to tell people, and what waits for it.
pub(super) struct Channel {
    pub(super) broker: Arc<Broker>,
    pub(super) store: Store,
    pub(super) name: String,
    pub(super) way: Way,
    pub(super) stop: CancellationToken,
    /// What went out and is still there, because the database failed: not to be sent again.
    pub(super) sent: Option<Uuid>,
    /// When it was counted last how many wait.
    pub(super) counted_at: Option<Instant>,
}

impl Channel {
    pub(super) async fn run(mut self) {
        while !self.stop.is_cancelled() {
            let wait = match self.round().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => IDLE,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(channel = self.name, error, "notices wait for the database");
                    HELD
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(wait) => {}
            }
        }
    }

    /// Sends what is due, in order. Tells whether there may be more to send.
    async fn round(&mut self) -> Result<bool, Error> {
        let mut db = self.store.reader().await?;
        let due = notices::due(&mut db, &self.name, self.broker.clock.now(), PAGE as i64).await?;
        if self.counted_at.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            let waiting = notices::count(&mut db, &self.name, COUNTED).await?;
            gauge!("keyfold_notices_waiting", "channel" => self.name.clone()).set(waiting as f64);
            self.counted_at = Some(Instant::now());
        }
        drop(db);
        let mut troubles = 0;
        for notice in &due {
            if self.stop.is_cancelled() || troubles == TROUBLES {
                return Ok(false);
            }
            troubles = if self.settle(notice).await? { 0 } else { troubles + 1 };
        }
        Ok(due.len() == PAGE)
    }

    /// Sends one, and notes what became of it. `false` where it waits on.
    async fn settle(&mut self, notice: &SealedNotice) -> Result<bool, Error> {
        if self.sent == Some(notice.id) {
            self.remove(notice.id).await?;
            return Ok(true);
        }
        let Some(envelope) = outbox::open(&self.broker.keys, notice) else {
            self.give_up(notice, None, const { Outcome::from_static("sealed_invalid") }).await?;
            return Ok(true);
        };
        if self.broker.clock.now() - notice.created_at >= LIFETIME {
            self.give_up(notice, Some(&envelope), const { Outcome::from_static("not_taken") }).await?;
            return Ok(true);
        }
        match self.send_in_time(&envelope).await {
            Ok(()) => {
                self.count("sent");
                self.sent = Some(notice.id);
                self.remove(notice.id).await?;
                Ok(true)
            }
            Err(Trouble::Refused(reason)) => {
                self.give_up(notice, Some(&envelope), reason).await?;
                Ok(true)
            }
            Err(Trouble::Retry { after }) => {
                self.count("retried");
                let not_before = next_try(notice.created_at, self.broker.clock.now(), after);
                self.broker.committer.upkeep(Upkeep::PostponeNotice { id: notice.id, not_before }).await?;
                Ok(false)
            }
        }
    }

    async fn remove(&self, id: Uuid) -> Result<(), Error> {
        Ok(self.broker.committer.upkeep(Upkeep::RemoveNotice(id)).await?)
    }

    /// At the end of the broker, what is under way is waited for, but not for long.
    async fn send_in_time(&self, envelope: &Envelope) -> Result<(), Trouble> {
        let overdue = async {
            self.stop.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            sent = self.send(envelope) => sent,
            () = overdue => Err(Trouble::Retry { after: None }),
        }
    }

    async fn send(&self, envelope: &Envelope) -> Result<(), Trouble> {
        match (&self.way, &envelope.to) {
            (Way::Mail(mail), Recipient::Mail(address)) => mail.send(address, envelope).await,
            (Way::Webhook(webhook), Recipient::Webhook(_)) => webhook.send(envelope).await,
            (Way::Gone, _) => Err(Trouble::Retry { after: None }),
            (Way::Mail(_), Recipient::Webhook(_)) | (Way::Webhook(_), Recipient::Mail(_)) => {
                Err(Trouble::Refused(const { Outcome::from_static("sealed_invalid") }))
            }
        }
    }

    /// The event and the row's end are one transaction. A log that takes no event keeps the row.
    async fn give_up(&self, notice: &SealedNotice, envelope: Option<&Envelope>, reason: Outcome) -> Result<(), Error> {
        self.count("failed");
        tracing::error!(channel = self.name, notice = %notice.id, reason = reason.as_str(), "a notice was given up");
        let about = envelope.and_then(|envelope| envelope.notice.restore()).unwrap_or(notice.id);
        let event = Event::new(Kind::NoticeFailed, reason).correlation(about);
        let event = if notice.user.is_empty() { event } else { event.user(notice.user.clone()) };
        let proposal = Proposal::new(&*notice.tenant, Rare::GiveUpNotice(notice.id), event, Kind::NoticeFailed);
        match self.broker.committer.commit_rare(proposal.about(&*notice.user)).await {
            // Gone meanwhile, with the person that it was about.
            Ok(_) | Err(Error::Refused(Refusal::Unknown)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn count(&self, outcome: &'static str) {
        counter!("keyfold_notices_total", "channel" => self.name.clone(), "outcome" => outcome).increment(1);
    }
}

/// When to try again what has waited since `created_at`.
fn next_try(created_at: i64, now: i64, after: Option<Duration>) -> i64 {
    let asked = after.map_or(0, |wait| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX));
    now.saturating_add((now - created_at).clamp(RETRY.0, RETRY.1).max(asked))
}

#[cfg(test)]
mod tests {
    use super::{LIFETIME, next_try};
    use std::time::Duration;

    #[test]
    fn waits_grow_and_a_day_has_about_a_hundred_tries() {
        let (mut now, mut tries) = (0, 0);
        while now < LIFETIME {
            now = next_try(0, now, None);
            tries += 1;
        }
        assert!((90..120).contains(&tries), "{tries}");
        assert_eq!(next_try(0, 0, None), 5_000);
        assert_eq!(next_try(0, 60_000, None), 120_000);
        assert_eq!(next_try(0, 60_000, Some(Duration::from_secs(3_600))), 3_660_000);
    }
}

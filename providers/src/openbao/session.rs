//! Keeps a token that works at hand: renews it, and logs in anew when it ends or was revoked.

use super::client::{Absent, Client, Lease};
use super::login::{Login, LoginError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Pause before asking again when the server gave no answer, and after the first refusal.
const AGAIN: Duration = Duration::from_secs(5);
/// Longest pause between logins that are refused. Servers lock out who tries too often.
const LONGEST: Duration = Duration::from_secs(300);
/// Shortest pause between two calls about the token, also for one in its last seconds.
const SHORTEST: Duration = Duration::from_secs(1);

/// A task that looks after the client's token; stops when dropped.
#[derive(Debug)]
pub(super) struct Session {
    task: JoinHandle<()>,
    doubt: Arc<Notify>,
}

impl Session {
    /// Logs in. Only a refusal, or a credential that cannot be read, is an error: a server that cannot be reached is
    /// tried again.
    pub(super) async fn open(client: Client, login: Login) -> Result<Self, LoginError> {
        let mut keeper = Keeper { client, login, granted: 0, refusals: 0 };
        let plan = match keeper.log_in().await {
            Ok(plan) => plan,
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "OpenBao cannot be logged in to yet, trying again");
                Some((Step::LogIn, AGAIN))
            }
            Err(error) => return Err(error),
        };
        let doubt = Arc::new(Notify::new());
        Ok(Self { task: tokio::spawn(keeper.keep(plan, doubt.clone())), doubt })
    }

    /// Somebody was refused, which may be the token's fault: it is looked at in the background.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What to do about the token.
#[derive(Debug, Clone, Copy)]
enum Step {
    Renew,
    LogIn,
    Check,
}

/// The next step and the pause before it; `None` for a token that lives for ever.
type Plan = Option<(Step, Duration)>;

struct Keeper {
    client: Client,
    login: Login,
    /// The lease that the last login gave, in seconds.
    granted: u64,
    /// Logins refused in a row.
    refusals: u32,
}

impl Keeper {
    async fn keep(mut self, mut plan: Plan, doubt: Arc<Notify>) {
        loop {
            let step = match plan {
                Some((step, pause)) => timeout(pause, doubt.notified()).await.map_or(step, |()| Step::Check),
                None => {
                    doubt.notified().await;
                    Step::Check
                }
            };
            plan = match step {
                Step::Renew => self.renew().await,
                Step::LogIn => self.log_in_anew().await,
                Step::Check => self.check().await,
            };
        }
    }

    async fn renew(&mut self) -> Plan {
        match self.client.renew_self().await {
            // The end of the token cannot be put off any further.
            Ok(lease) if lease.ttl < self.granted => self.log_in_anew().await,
            Ok(lease) => plan(&lease),
            Err(failure) if failure.is_refusal() => {
                tracing::warn!(%failure, "OpenBao does not renew the token");
                self.log_in_anew().await
            }
            Err(failure) => {
                tracing::warn!(%failure, "the OpenBao token could not be renewed, trying again");
                Some((Step::Renew, AGAIN))
            }
        }
    }

    /// Tells a token that is dead from a call that its policy refuses.
    async fn check(&mut self) -> Plan {
        let plan = match self.client.lookup_self().await {
            Ok(lease) => plan(&lease),
            Err(failure) if failure.is_refusal() => {
                tracing::warn!("OpenBao no longer knows the token, logging in anew");
                self.client.forget_token(Absent::Awaited);
                self.log_in_anew().await
            }
            Err(_) => Some((Step::Check, AGAIN)),
        };
        // However many calls a policy refuses, few questions come of it.
        sleep(SHORTEST).await;
        plan
    }

    async fn log_in_anew(&mut self) -> Plan {
        match self.log_in().await {
            Ok(plan) => plan,
            Err(error) if error.is_refusal() => {
                tracing::warn!(%error, "OpenBao refuses the login, trying again");
                if !self.client.has_token() {
                    self.client.forget_token(Absent::Refused);
                }
                let pause = AGAIN.saturating_mul(2_u32.saturating_pow(self.refusals)).min(LONGEST);
                self.refusals += 1;
                Some((Step::LogIn, pause))
            }
            Err(error) => {
                tracing::warn!(%error, "OpenBao cannot be logged in to, trying again");
                Some((Step::LogIn, AGAIN))
            }
        }
    }

    async fn log_in(&mut self) -> Result<Plan, LoginError> {
        let lease = self.login.log_in(&self.client).await?;
        (self.granted, self.refusals) = (lease.ttl, 0);
        Ok(plan(&lease))
    }
}

/// At two thirds of the lease, so that two attempts fit before its end.
fn plan(lease: &Lease) -> Plan {
    let step = if lease.renewable { Step::Renew } else { Step::LogIn };
    (lease.ttl > 0).then(|| (step, (Duration::from_secs(lease.ttl) * 2 / 3).max(SHORTEST)))
}

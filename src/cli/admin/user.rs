//! `keyfold admin user`: who a tenant's users are, and what is known of them.

use super::client::Client;
use crate::api;
use crate::cli::{Failure, output};
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Make a user.
    Create {
        /// The tenant.
        tenant: String,
        /// Its id.
        id: String,
        /// Where the person is told of what happens to their keys.
        #[arg(long)]
        email: Option<String>,
        /// A user directly above in the reporting line; may be given again.
        #[arg(long = "manager")]
        managers: Vec<String>,
        /// Where the person's clocks are, for example `Europe/Berlin`; UTC when not given.
        #[arg(long)]
        time_zone: Option<String>,
        /// Who the person is to the issuer where the tenant's users log in: `sub` of its ID tokens.
        #[arg(long)]
        subject: Option<String>,
    },
    /// Have a user told elsewhere, or nowhere; the address that was is told so.
    Email {
        /// The tenant.
        tenant: String,
        /// The user.
        id: String,
        /// The new address; without it, the user is told no more.
        email: Option<String>,
    },
    /// Say who is directly above a user in the reporting line: these and nobody else.
    Managers {
        /// The tenant.
        tenant: String,
        /// The user.
        id: String,
        /// Users of the same tenant; without any, nobody is above.
        managers: Vec<String>,
    },
    /// Say where a user's clocks are.
    TimeZone {
        /// The tenant.
        tenant: String,
        /// The user.
        id: String,
        /// As the IANA time zone database names it, for example `Europe/Berlin`; without it, UTC.
        time_zone: Option<String>,
    },
    /// Say who a user is to the issuer where the tenant's users log in.
    Subject {
        /// The tenant.
        tenant: String,
        /// The user.
        id: String,
        /// `sub` of the issuer's ID tokens; without it, no login counts as theirs.
        subject: Option<String>,
    },
    /// List a tenant's users.
    List {
        /// The tenant.
        tenant: String,
    },
    /// Erase a revoked user from the log: nobody can read any more what its events withhold about them. Prints the
    /// reference that those events are marked with. Nothing can undo this.
    Erase {
        /// The tenant.
        tenant: String,
        /// The user.
        id: String,
        /// Why; goes into the log, so name nobody.
        #[arg(long)]
        reason: String,
        /// Type the user again.
        #[arg(long)]
        confirm: String,
    },
}

const USERS: &[&str] = &["USER", "STATE", "EMAIL", "MANAGERS", "TIME ZONE", "CREATED"];

impl User {
    pub(super) async fn run(self, client: &Client) -> Result<(), Failure> {
        match self {
            Self::Create { tenant, id, email, managers, time_zone, subject } => {
                let ask = api::CreateUser { id, email, managers, time_zone, subject };
                let made: api::User = client.post(&format!("{tenant}/users"), &ask).await?;
                client.show(&made, |user| user.id.clone())
            }
            Self::Email { tenant, id, email } => {
                let ask = api::SetEmail { email };
                let user: api::User = client.post(&format!("{tenant}/users/{id}/email"), &ask).await?;
                client.show(&user, |user| user.email.clone().unwrap_or_default())
            }
            Self::Managers { tenant, id, managers } => {
                let ask = api::SetManagers { managers };
                let user: api::User = client.post(&format!("{tenant}/users/{id}/managers"), &ask).await?;
                client.show(&user, |user| user.managers.join(" "))
            }
            Self::TimeZone { tenant, id, time_zone } => {
                let ask = api::SetTimeZone { time_zone };
                let user: api::User = client.post(&format!("{tenant}/users/{id}/time-zone"), &ask).await?;
                client.show(&user, |user| user.time_zone.clone().unwrap_or_else(|| "UTC".into()))
            }
            Self::Subject { tenant, id, subject } => {
                let ask = api::SetSubject { subject };
                let user: api::User = client.post(&format!("{tenant}/users/{id}/subject"), &ask).await?;
                client.show(&user, |user| user.subject.clone().unwrap_or_default())
            }
            Self::Erase { id, confirm, .. } if confirm != id => {
                Err(format!("`--confirm` must repeat `{id}`; nothing was erased").into())
            }
            Self::Erase { tenant, id, reason, .. } => {
                let ask = api::Because { reason };
                let done: api::Erased = client.post(&format!("{tenant}/users/{id}/erase"), &ask).await?;
                client.show(&done, |done| done.erasure.to_string())
            }
            Self::List { tenant } => client.list(&format!("{tenant}/users"), USERS, row).await,
        }
    }
}

fn row(user: &api::User) -> Vec<String> {
    let api::User { id, state, email, managers, time_zone, created_at, .. } = user.clone();
    let (email, time_zone) = (email.unwrap_or_default(), time_zone.unwrap_or_default());
    vec![id, state, email, managers.join(" "), time_zone, output::time(created_at)]
}

//! The user stops a restore before its release: by any of their devices, or by the link in a notice.

use super::restore_event;
use super::told::{described, told};
use crate::broker::Broker;
use crate::caller::{DeviceCaller, Source};
use crate::commit::{Change, Proposal};
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::ops::{Attempt, from_source};
use crate::store::restores::{self, Restore, RestoreState};
use audit::event::{Event, Kind, Outcome};
use aws_lc_rs::rand;
use notices::Notice;
use protocol::encoding::{from_base64url, to_base64url};
use uuid::Uuid;

/// Bytes of the secret in a link: nobody guesses it, and it can do nothing but stop one restore.
const SECRET: usize = 16;

/// The link by which the user of one restore can stop it.
#[derive(Debug)]
pub struct VetoLink {
    /// The whole address.
    pub url: String,
    /// What the database keeps of it: SHA-256 of the secret.
    pub hash: [u8; 32],
}

impl VetoLink {
    /// A link for a restore that is being opened.
    #[must_use]
    pub fn generate(public_url: &str) -> Self {
        let mut secret = [0; SECRET];
        rand::fill(&mut secret).expect("invariant: the system random number generator works");
        Self { url: format!("{public_url}/veto/{}", to_base64url(&secret)), hash: sha256(&secret) }
    }
}

/// What the owner of a link sees: nothing that the notice has not said.
#[derive(Debug)]
pub struct Linked {
    /// How what the link can stop stands.
    pub state: RestoreState,
    /// What was asked for, and by whom.
    pub restore: notices::Restore,
}

/// What the link with this secret is about; `None` where there is no such link.
pub async fn linked(broker: &Broker, secret: &str) -> Result<Option<Linked>, Error> {
    let Some(restore) = of_secret(broker, secret).await? else { return Ok(None) };
    let shown = described(&mut *broker.store.reader().await?, &broker.inventory, &restore).await?;
    Ok(Some(Linked { state: restore.state, restore: shown }))
}

/// Stops the restore of this link. Again is no fault.
///
/// # Errors
/// [`Refusal::RestoreUnknown`] without such a link; [`Refusal::RestoreReleased`] and [`Refusal::RestoreOver`] where it is
/// too late.
pub async fn by_link(broker: &Broker, source: &Source, secret: &str) -> Result<(), Error> {
    let restore = of_secret(broker, secret).await?.ok_or(Refusal::RestoreUnknown)?;
    if restore.state == RestoreState::Vetoed {
        return Ok(());
    }
    let event = from_source(Event::new(Kind::RestoreVetoed, Outcome::OK), source)
        .correlation(restore.id)
        .user(restore.user.clone());
    let change = Change::Veto(restore.id);
    let proposal = Proposal::new(&*restore.tenant, change, event, Kind::RestoreFetchDenied).about(&*restore.user);
    let told = told(broker, &restore, |restore| Notice::RestoreVetoed { restore }).await?;
    broker.committer.commit(proposal.telling(told)).await?;
    Ok(())
}

/// Stops a restore of the device's user. Again is no fault.
///
/// # Errors
/// As [`by_link`]; [`Refusal::RestoreUnknown`] also where the restore is another user's.
pub async fn by_device(broker: &Broker, caller: &DeviceCaller, id: Uuid) -> Result<(), Error> {
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreFetchDenied };
    let event = restore_event(&attempt, Kind::RestoreVetoed, id);
    let found = restores::find(&mut *broker.store.reader().await?, id).await?;
    let (tenant, user) = (&caller.device.tenant, &caller.device.user);
    let Some(restore) = found.filter(|restore| restore.tenant == *tenant && restore.user == *user) else {
        return Err(attempt.refuse(Refusal::RestoreUnknown, event).await);
    };
    if restore.state == RestoreState::Vetoed {
        return Ok(()); // The answer to the first one got lost on the way.
    }
    let told = told(broker, &restore, |restore| Notice::RestoreVetoed { restore }).await?;
    broker.committer.commit(attempt.proposal(Change::Veto(id), event).telling(told)).await?;
    Ok(())
}

async fn of_secret(broker: &Broker, secret: &str) -> Result<Option<Restore>, Error> {
    let Ok(secret) = from_base64url(secret) else { return Ok(None) };
    Ok(restores::of_veto(&mut *broker.store.reader().await?, &sha256(&secret)).await?)
}

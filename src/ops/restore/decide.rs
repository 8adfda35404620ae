//! Somebody decides on a restore that waits: a person, by passkey, or another device of the user, by its own key.

use super::approvals::{Weighed, is_own, is_signed_by, may_agree, may_approve, weigh};
use super::asked::Asked;
use super::restore_event;
use super::told::told;
use crate::broker::Broker;
use crate::caller::{AdminCaller, DeviceCaller, Person};
use crate::commit::{Change, Decide, Proof, Proposal};
use crate::error::{Error, Refusal};
use crate::ops::{Attempt, from_source};
use crate::store::approvals::{Approval, Approver};
use crate::store::notices::SealedNotice;
use crate::store::restores::Restore;
use audit::event::{Event, Kind, Outcome};
use notices::Notice;
use policies::Given;
use protocol::approval::{self, Decision};
use protocol::messages::Approve;
use protocol::transcript::Transcript;
use uuid::Uuid;

/// A restore, and how far it is: what approvers are shown.
pub async fn look(broker: &Broker, tenant: &str, id: Uuid) -> Result<(Asked, Weighed), Error> {
    let rules = broker.policies.current(tenant).await?;
    let mut db = broker.store.reader().await?;
    let asked = Asked::load(broker, &mut db, rules, (tenant, id)).await?.ok_or(Error::NotFound)?;
    let weighed = weigh(broker, &mut db, &asked).await?;
    Ok((asked, weighed))
}

/// What a person signs for this decision on this restore, and what they are shown of it.
pub async fn to_sign(
    broker: &Broker,
    (tenant, id): (&str, Uuid),
    decision: Decision,
) -> Result<([u8; 32], Vec<(String, String)>), Error> {
    let (asked, _) = look(broker, tenant, id).await?;
    let Asked { restore, device, .. } = &asked;
    let shown = [
        ("user", restore.user.clone()),
        ("device", format!("{}, {} ({})", device.name, device.platform, device.id)),
        ("keys", asked.kinds().join(", ")),
        ("reason", restore.reason.clone()),
    ];
    let shown = shown.map(|(name, value)| (name.to_owned(), value));
    Ok((approval::challenge(&Transcript::from(restore.transcript), decision), shown.into()))
}

/// Keeps the decision that the caller has signed. A rejection ends the restore; the last approval that was missing lets it
/// through.
///
/// # Errors
/// [`Refusal::OwnRestore`], [`Refusal::PolicyDenied`], [`Refusal::AlreadyApproved`]; [`Refusal::RestoreReleased`] and
/// [`Refusal::RestoreOver`] where it is too late.
pub async fn by_person(
    broker: &Broker,
    caller: &AdminCaller,
    (tenant, id): (&str, Uuid),
    decision: Decision,
) -> Result<(), Error> {
    let person = caller.person()?;
    let signed = person.signed.as_ref().ok_or(Refusal::PasskeyNeeded)?;
    let _turn = broker.deciding.lock().await;
    let (asked, weighed) = look(broker, tenant, id).await?;
    let restore = &asked.restore;
    let event = from_source(event(restore, decision, asked.rules.digest), &caller.source).actor(&*caller.actor);
    let approval = approval(broker, restore, (Approver::Admin(person.admin.id), decision), signed.assertion.clone());
    if let Some(refusal) = refusal(broker, person, &asked, &approval).await? {
        return Err(refuse(broker, restore, event, refusal).await);
    }
    let given = Given { approvals: 1, ..Given::default() };
    let enough = decision == Decision::Approve && is_enough(&weighed, given);
    let told = told_of(broker, restore, decision, enough).await?;
    let decide = Decide { approval, proof: Proof::Version(person.admin.version), enough };
    let change = Change::Decide(Box::new(decide));
    let proposal = Proposal::new(&*restore.tenant, change, event, Kind::AdminDenied).about(&*restore.user);
    broker.committer.commit(proposal.telling(told)).await?;
    Ok(())
}

fn event(restore: &Restore, decision: Decision, policies: [u8; 32]) -> Event {
    let kind = match decision {
        Decision::Approve => Kind::RestoreApproved,
        Decision::Reject => Kind::RestoreRejected,
    };
    let event = Event::new(kind, Outcome::OK).correlation(restore.id).policy_digest(policies);
    event.user(&*restore.user).device(restore.device.to_string())
}

fn approval(
    broker: &Broker,
    restore: &Restore,
    (approver, decision): (Approver, Decision),
    signature: Vec<u8>,
) -> Approval {
    Approval { restore: restore.id, approver, decision, signature, given_at: broker.clock.now() }
}

/// Why the person may not decide so. To stop something, the role is enough, and that was looked at.
async fn refusal(
    broker: &Broker,
    person: &Person,
    asked: &Asked,
    approval: &Approval,
) -> Result<Option<Refusal>, Error> {
    let transcript = Transcript::from(asked.restore.transcript);
    let mut db = broker.store.reader().await?;
    let passkeys = broker.attestation.accepted(&person.admin, &asked.restore.tenant);
    if !is_signed_by(broker, &mut db, (&transcript, approval), &passkeys).await? {
        return Ok(Some(Refusal::PasskeyNeeded));
    }
    Ok(match approval.decision {
        Decision::Reject => None,
        Decision::Approve if is_own(asked, &person.admin) => Some(Refusal::OwnRestore),
        Decision::Approve if may_approve(broker, &mut db, asked, &person.admin).await? => None,
        Decision::Approve => Some(Refusal::PolicyDenied),
    })
}

async fn refuse(broker: &Broker, restore: &Restore, event: Event, refusal: Refusal) -> Error {
    let change = Change::Refuse(refusal, Some(restore.id));
    let proposal = Proposal::new(&*restore.tenant, change, event, Kind::AdminDenied).about(&*restore.user);
    match broker.committer.commit(proposal).await {
        Ok(_) => refusal.into(),
        Err(error) => error,
    }
}

/// Whether the restore waits for nobody any more once this counts, too; time is another matter.
fn is_enough(weighed: &Weighed, given: Given) -> bool {
    let missing = weighed.missing.after(given);
    weighed.decision.allowed && missing.approvals == 0 && !missing.own_device
}

async fn told_of(
    broker: &Broker,
    restore: &Restore,
    decision: Decision,
    enough: bool,
) -> Result<Vec<SealedNotice>, Error> {
    match decision {
        Decision::Reject => told(broker, restore, |restore| Notice::RestoreRejected { restore }).await,
        Decision::Approve if enough => told(broker, restore, |restore| Notice::RestoreApproved { restore }).await,
        Decision::Approve => Ok(Vec::new()),
    }
}

/// Another device of the user approves: its user has typed there what the device that asks shows. `signature` is the whole
/// request. Again is no fault.
///
/// # Errors
/// [`Refusal::RestoreUnknown`] also where the restore is another user's; [`Refusal::MatchCodeWrong`], and
/// [`Refusal::MatchCodesSpent`] after three of them; else as [`by_person`].
pub async fn by_device(
    broker: &Broker,
    caller: &DeviceCaller,
    id: Uuid,
    (ask, signature): (&Approve, Vec<u8>),
) -> Result<(), Error> {
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreFetchDenied };
    let event = restore_event(&attempt, Kind::RestoreApproved, id);
    let _turn = broker.deciding.lock().await;
    let device = &caller.device;
    let looked = match look(broker, &device.tenant, id).await {
        Ok((asked, weighed)) => Some((asked, weighed)).filter(|(asked, _)| asked.restore.user == device.user),
        Err(Error::NotFound) => None,
        Err(error) => return Err(error),
    };
    let Some((asked, weighed)) = looked else { return Err(attempt.refuse(Refusal::RestoreUnknown, event).await) };
    if weighed.is_approved_by(device.id) {
        return Ok(()); // The answer to the first one got lost on the way.
    }
    if let Some(refusal) = refusal_of_device(broker, caller, &asked, ask) {
        return Err(attempt.refuse(refusal, event).await);
    }
    let enough = is_enough(&weighed, Given { own_device: true, ..Given::default() });
    let told = told_of(broker, &asked.restore, Decision::Approve, enough).await?;
    let approver = (Approver::Device(device.id), Decision::Approve);
    let approval = approval(broker, &asked.restore, approver, signature);
    let change = Decide { approval, proof: Proof::MatchCode(ask.match_code), enough };
    let proposal = attempt.proposal(Change::Decide(Box::new(change)), event);
    broker.committer.commit(proposal.telling(told)).await?;
    Ok(())
}

/// Why the device may not approve, but for the match code: the gate counts those.
fn refusal_of_device(broker: &Broker, caller: &DeviceCaller, asked: &Asked, ask: &Approve) -> Option<Refusal> {
    let (device, membership) = (&caller.device, &caller.membership);
    if *ask.transcript.0.as_bytes() != asked.restore.transcript {
        return Some(Refusal::TranscriptMismatch);
    }
    if device.id == asked.restore.device {
        return Some(Refusal::OwnRestore);
    }
    if let Err(refusal) = crate::commit::check_standing(device, membership) {
        return Some(refusal);
    }
    (!may_agree(broker, asked, (device, membership))).then_some(Refusal::PolicyDenied)
}

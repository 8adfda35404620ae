//! Which approvals of a restore hold right now. Nothing that is stored about them is believed: each signature is verified,
//! and each approver judged anew, whenever it counts.

use super::asked::{Asked, transcript_of};
use super::asked_at;
use crate::broker::Broker;
use crate::commit::Approvers;
use crate::error::{Error, Refusal};
use crate::inventory::Device;
use crate::ops::people;
use crate::ops::standing::{self, Account, Candidate};
use crate::roster::{self, Admin, AdminState};
use crate::store::approvals::{self, Approval, Approver};
use crate::store::devices::Membership;
use crate::store::{Connection, Standing};
use identity::passkey::Passkey;
use policies::admin::{Act, may};
use policies::{Action, Decision, Given, Needs};
use protocol::approval::{self, challenge};
use protocol::encoding::from_json;
use protocol::jws::{PublicJwk, Signer, Unverified};
use protocol::messages::Approve;
use protocol::transcript::Transcript;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What policy wants of a restore now, and what of that is given.
#[derive(Debug)]
pub struct Weighed {
    /// What policy says.
    pub decision: Decision,
    /// What is still missing; nothing where policy refuses.
    pub missing: Needs,
    /// Every decision on the restore, the oldest first.
    pub counted: Vec<Counted>,
}

/// A decision on a restore, and what it is worth.
#[derive(Debug)]
pub struct Counted {
    /// The decision as it is stored.
    pub approval: Approval,
    /// What events call who made it.
    pub name: String,
    /// Whether it is an approval that holds: rightly signed, by one who may.
    pub holds: bool,
    /// Which human it is: one who administers twice is one all the same. `None` for a device.
    person: Option<String>,
    /// Of the administrator's document.
    version: u64,
}

impl Weighed {
    /// Those whose approvals hold, for the gate to look at once more.
    pub(super) fn approvers(&self) -> Approvers {
        let mut approvers = Approvers::default();
        for counted in self.holding() {
            match counted.approval.approver {
                Approver::Admin(id) => approvers.admins.push((id, counted.version)),
                Approver::Device(id) => approvers.devices.push(id),
            }
        }
        approvers
    }

    /// The names of those, as events have them.
    pub(super) fn names(&self) -> String {
        self.holding().map(|counted| counted.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Whether this device's approval is kept and holds.
    pub(super) fn is_approved_by(&self, device: Uuid) -> bool {
        self.holding().any(|counted| counted.approval.approver == Approver::Device(device))
    }

    fn holding(&self) -> impl Iterator<Item = &Counted> {
        self.counted.iter().filter(|counted| counted.holds)
    }
}

/// Asks policy as it is now, and verifies what was signed.
///
/// # Errors
/// [`Refusal::TranscriptMismatch`] where the stored restore is not the one that its transcript was made of.
pub async fn weigh(broker: &Broker, db: &mut Connection, asked: &Asked) -> Result<Weighed, Error> {
    let transcript = transcript_of(&asked.restore, &asked.device)?;
    if *transcript.as_bytes() != asked.restore.transcript {
        return Err(Refusal::TranscriptMismatch.into());
    }
    let decision =
        standing::decide(broker.clock.now(), &asked.rules, asked.asking(), (Action::Restore, &asked.facts()));
    let mut counted = Vec::new();
    for approval in approvals::of_restore(db, asked.restore.id).await? {
        counted.push(count(broker, db, (asked, &transcript), approval).await?);
    }
    let missing = decision.needs.after(given(broker, asked, &counted));
    Ok(Weighed { decision, missing, counted })
}

fn given(broker: &Broker, asked: &Asked, counted: &[Counted]) -> Given {
    let holding = || counted.iter().filter(|counted| counted.holds);
    let people: BTreeSet<&str> = holding().filter_map(|counted| counted.person.as_deref()).collect();
    let waited = broker.clock.now().saturating_sub(asked_at(&asked.restore)) / 1_000;
    Given {
        approvals: u32::try_from(people.len()).unwrap_or(u32::MAX),
        own_device: holding().any(|counted| counted.person.is_none()),
        seconds: u64::try_from(waited).unwrap_or(0),
    }
}

async fn count(
    broker: &Broker,
    db: &mut Connection,
    of: (&Asked, &Transcript),
    approval: Approval,
) -> Result<Counted, Error> {
    match approval.approver {
        Approver::Admin(id) => count_person(broker, db, of, (approval, id)).await,
        Approver::Device(id) => count_device(broker, db, of.0, (approval, id)).await,
    }
}

async fn count_person(
    broker: &Broker,
    db: &mut Connection,
    (asked, transcript): (&Asked, &Transcript),
    (approval, id): (Approval, Uuid),
) -> Result<Counted, Error> {
    let Some(admin) = roster::admin(&broker.keys, db, id).await? else {
        let (name, person) = (format!("admin:{id}"), Some(id.to_string()));
        return Ok(Counted { approval, name, holds: false, person, version: 0 });
    };
    let is_approval = approval.decision == approval::Decision::Approve;
    let passkeys = broker.attestation.accepted(&admin, &asked.restore.tenant);
    let signed = is_signed_by(broker, db, (transcript, &approval), &passkeys).await?;
    let holds = is_approval && signed && may_approve(broker, db, asked, &admin).await?;
    let (name, version) = (admin.actor(), admin.version);
    Ok(Counted { approval, name, holds, person: Some(admin.user.unwrap_or_else(|| id.to_string())), version })
}

async fn count_device(
    broker: &Broker,
    db: &mut Connection,
    asked: &Asked,
    (approval, id): (Approval, Uuid),
) -> Result<Counted, Error> {
    let known = broker.inventory.find(db, id).await?;
    let is_approval = approval.decision == approval::Decision::Approve;
    let holds = |(device, membership): &(Device, Membership)| {
        is_approval && is_signed_on(asked, &approval, device) && may_agree(broker, asked, (device, membership))
    };
    let holds = known.as_ref().is_some_and(holds);
    Ok(Counted { approval, name: format!("device:{id}"), holds, person: None, version: 0 })
}

/// Whether one of these passkeys signed this decision on this restore, and is not known to exist twice.
pub(super) async fn is_signed_by(
    broker: &Broker,
    db: &mut Connection,
    (transcript, approval): (&Transcript, &Approval),
    passkeys: &[Passkey],
) -> Result<bool, Error> {
    let challenge = challenge(transcript, approval.decision);
    match broker.relying_party.verify(passkeys, &challenge, &approval.signature) {
        Ok(assertion) => Ok(!people::is_copied(db, &assertion.credential).await?),
        Err(_) => Ok(false),
    }
}

/// Whether the device's key signed that it approves this restore, with the code that its user has compared.
fn is_signed_on(asked: &Asked, approval: &Approval, device: &Device) -> bool {
    let restore = &asked.restore;
    let verified = Unverified::parse(&approval.signature).ok().and_then(|unverified| {
        let own = unverified.signer == Signer::Kid(device.id.to_string());
        let key = from_json::<PublicJwk>(device.jwk.as_bytes()).ok().filter(|_| own)?;
        unverified.verify(&key).ok()
    });
    let path = format!("/v1/tenants/{}/restores/{}/approve", restore.tenant, restore.id);
    let said = verified.filter(|verified| verified.url.ends_with(&path));
    let said = said.and_then(|verified| from_json::<Approve>(&verified.payload).ok());
    said.is_some_and(|said| {
        *said.transcript.0.as_bytes() == restore.transcript && said.match_code == restore.match_code
    })
}

/// Whether this person may approve this restore: by their role, by policy, and never for themselves.
pub(super) async fn may_approve(
    broker: &Broker,
    db: &mut Connection,
    asked: &Asked,
    admin: &Admin,
) -> Result<bool, Error> {
    let entitled = admin.state == AdminState::Active
        && admin.reaches(Some(&asked.restore.tenant))
        && may(&admin.roles, Act::RestoresApprove);
    if is_own(asked, admin) || !entitled {
        return Ok(false);
    }
    let lines = asked.rules.set.asks_for_reporting_lines();
    let account = Account::of_admin(broker, db, (&asked.restore.tenant, admin), lines).await?;
    Ok(policy_lets(broker, asked, Candidate::Admin(admin, account.as_ref())))
}

/// Whether it is the restore of the person's own account.
pub(super) fn is_own(asked: &Asked, admin: &Admin) -> bool {
    admin.user.as_deref() == Some(&*asked.restore.user)
}

/// Whether this device may approve this restore: another active one of the same user.
pub(super) fn may_agree(broker: &Broker, asked: &Asked, (device, membership): (&Device, &Membership)) -> bool {
    let restore = &asked.restore;
    let own = device.tenant == restore.tenant && device.user == restore.user && device.id != restore.device;
    let active = device.state == Standing::Active && membership.user == Standing::Active;
    own && active && policy_lets(broker, asked, Candidate::Device(device))
}

fn policy_lets(broker: &Broker, asked: &Asked, candidate: Candidate<'_>) -> bool {
    standing::may_approve(broker.clock.now(), &asked.rules, asked.asking(), (&asked.kinds(), candidate))
}

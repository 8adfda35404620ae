//! Asking: which records, whether policy allows it, and what must still happen.

use super::asked::{facts, transcript_of};
use super::login::{self, Login};
use super::told::{told, told_approvers};
use super::veto::VetoLink;
use super::{Waits, ids, opened, restore_event};
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::clock::Timestamp;
use crate::commit::{Change, check_standing};
use crate::error::{Error, Refusal};
use crate::inventory::Device;
use crate::ops::Attempt;
use crate::ops::circumstances::Circumstances;
use crate::ops::standing::{self, Account, Asking};
use crate::store::records::{self, RecordSummary};
use crate::store::restores::{Restore, RestoreState};
use audit::event::Kind;
use aws_lc_rs::rand;
use notices::{Notice, Time};
use policies::{Action, Decision};
use protocol::approval::MatchCode;
use protocol::messages::{OpenRestore, RestoreOpened, Selection};
use protocol::names;
use uuid::Uuid;

/// Opens a restore, approved at once where policy needs nobody.
pub async fn open(broker: &Broker, caller: &DeviceCaller, ask: OpenRestore) -> Result<RestoreOpened, Error> {
    broker.disk.check()?;
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreDenied };
    let id = made_at(broker.clock.now());
    let event = restore_event(&attempt, Kind::RestoreRequested, id).reason(ask.reason.as_str());
    let Admitted { records, login, circumstances, decision } = match admit(broker, caller, &ask).await {
        Ok(admitted) => admitted,
        Err(Error::Refused(refusal)) => return Err(attempt.refuse(refusal, event).await),
        Err(error) => return Err(error),
    };
    let event = event.record(ids(records.iter().map(|(record, _)| record.id))).policy(decision.determined_by.join(" "));
    let event = match login {
        Some(login) => event.ticket(format!("login at {}", Time::from_ms(login.at.saturating_mul(1_000)))),
        None => event,
    };
    if !decision.allowed {
        return Err(attempt.refuse(Refusal::PolicyDenied, event).await);
    }
    let mut restore = restore(broker, caller, &ask, (id, &records, &decision))?;
    let veto = VetoLink::generate(&broker.public_url);
    let mut told = told(broker, &restore, |restore| Notice::RestoreRequested { restore, veto: veto.url }).await?;
    restore.circumstances = circumstances.sealed(&broker.keys, id);
    restore.veto_hash = (!told.is_empty()).then_some(veto.hash);
    let needs = decision.needs;
    if needs.approvals > 0 || needs.notify.approvers {
        told.extend(told_approvers(broker, &restore, needs.approvals).await?);
    }
    let change = Change::OpenRestore(Box::new(restore.clone()), login.map(|login| login.nonce));
    broker.committer.commit(attempt.proposal(change, event).telling(told)).await?;
    opened(&restore, &records, Waits { allowed: true, missing: needs })
}

/// An id of this time (Unix milliseconds): the delay that policy wants is counted from there, and no row can say otherwise.
fn made_at(now: Timestamp) -> Uuid {
    let mut random = [0; 10];
    rand::fill(&mut random).expect("invariant: the system random number generator works");
    uuid::Builder::from_unix_timestamp_millis(now.unsigned_abs(), &random).into_uuid()
}

/// The records that are asked for, each with whether it is the newest of its kind.
type Selected = Vec<(RecordSummary, bool)>;

/// What may be asked for, and under which conditions.
struct Admitted {
    records: Selected,
    login: Option<Login>,
    circumstances: Circumstances,
    decision: Decision,
}

async fn admit(broker: &Broker, caller: &DeviceCaller, ask: &OpenRestore) -> Result<Admitted, Error> {
    let selection = ask.selection().map_err(|_| Error::Malformed("ask for 1 to 16 records or kinds, not both"))?;
    let (device, membership) = (&caller.device, &caller.membership);
    check_standing(device, membership)?;
    let records = select(broker, device, selection).await?;
    let login = login::shown(broker, caller, ask).await?;
    let circumstances = Circumstances::of(broker, &caller.source).after(login.map(|login| login.at));
    let facts: Vec<_> = records.iter().map(|(record, newest)| facts(record, *newest)).collect();
    let (rules, owner) = (caller.rules()?, (&*device.tenant, &*device.user));
    let lines = rules.set.asks_for_reporting_lines();
    let account = &Account::load(broker, &mut *broker.store.reader().await?, owner, lines).await?;
    let asking = Asking { device, membership, account, circumstances: &circumstances };
    let decision = standing::decide(broker.clock.now(), rules, asking, (Action::Restore, &facts));
    Ok(Admitted { records, login, circumstances, decision })
}

/// In the order asked for; all of them, or none.
async fn select(broker: &Broker, device: &Device, selection: Selection<'_>) -> Result<Selected, Error> {
    let (mut db, owner) = (broker.store.reader().await?, (&*device.tenant, &*device.user));
    let (found, asked) = match selection {
        Selection::Records(ids) => {
            let mut found = records::of_user_among(&mut db, owner, ids).await?;
            found.sort_by_key(|(record, _)| ids.iter().position(|id| *id == record.id));
            (found, ids.len())
        }
        Selection::Kinds(kinds) => {
            let kinds: Vec<&str> = kinds.iter().map(names::Kind::as_str).collect();
            let mut found = records::newest_of_user(&mut db, owner, &kinds).await?;
            found.sort_by_key(|(record, _)| kinds.iter().position(|kind| *kind == record.kind));
            (found, kinds.len())
        }
    };
    if found.len() == asked { Ok(found) } else { Err(Refusal::RecordUnknown.into()) }
}

fn restore(
    broker: &Broker,
    caller: &DeviceCaller,
    ask: &OpenRestore,
    (id, records, decision): (Uuid, &[(RecordSummary, bool)], &Decision),
) -> Result<Restore, Error> {
    let (device, now) = (&caller.device, broker.clock.now());
    let records: Vec<Uuid> = records.iter().map(|(record, _)| record.id).collect();
    let needs = decision.needs;
    let lifetime = i64::try_from(broker.restore_lifetime.as_millis()).unwrap_or(i64::MAX / 2);
    let not_before = now + i64::try_from(needs.delay_seconds).unwrap_or(i64::from(u32::MAX)) * 1_000;
    let waits = needs.approvals > 0 || needs.own_device;
    let mut restore = Restore {
        id,
        tenant: device.tenant.clone(),
        user: device.user.clone(),
        device: device.id,
        circumstances: Vec::new(),
        transcript: [0; 32],
        records,
        receive_key: ask.receive_key.0.as_ref().to_vec(),
        nonce: caller.nonce_text.clone(),
        reason: ask.reason.as_str().into(),
        policy_digest: caller.rules()?.digest,
        match_code: MatchCode::generate(),
        wrong_codes: 0,
        veto_hash: None,
        state: if waits { RestoreState::Pending } else { RestoreState::Approved },
        flight: None,
        answer: None,
        leaf_index: None,
        not_before,
        expires_at: not_before.saturating_add(lifetime),
        changed_at: now,
    };
    restore.transcript = *transcript_of(&restore, device)?.as_bytes();
    Ok(restore)
}

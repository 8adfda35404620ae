//! Asking: which records, whether policy allows it, and what must still happen.

use super::{opened, restore_event};
use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::commit::Change;
use crate::error::{Error, Refusal};
use crate::ops::wrap::user_id;
use crate::ops::{Attempt, Standing};
use crate::store::records::{self, Record};
use crate::store::restores::{Restore, RestoreState};
use audit::event::Kind;
use policies::{Action, Decision, RecordFacts};
use protocol::messages::{OpenRestore, RestoreOpened, Selection};
use protocol::names;
use protocol::transcript::Facts;
use uuid::Uuid;

/// Opens a restore, approved at once where policy needs nobody.
pub async fn open(broker: &Broker, caller: &DeviceCaller, ask: OpenRestore) -> Result<RestoreOpened, Error> {
    broker.disk.check()?;
    let attempt = Attempt { broker, caller, refused_as: Kind::RestoreDenied };
    let id = Uuid::now_v7();
    let event = restore_event(&attempt, Kind::RestoreRequested, id).reason(ask.reason.as_str());
    let (records, decision) = match admit(broker, caller, &ask).await {
        Ok(admitted) => admitted,
        Err(Error::Refused(refusal)) => return Err(attempt.refuse(refusal, event).await),
        Err(error) => return Err(error),
    };
    let event = event.record(ids(&records)).policy(decision.determined_by.join(" "));
    if !decision.allowed {
        return Err(attempt.refuse(Refusal::PolicyDenied, event).await);
    }
    let restore = restore(broker, caller, &ask, (id, &records, &decision))?;
    let change = Change::OpenRestore(Box::new(restore.clone()));
    broker.committer.commit(attempt.proposal(change, event)).await?;
    opened(&restore, &records)
}

pub(super) fn ids(records: &[Record]) -> String {
    records.iter().map(|record| record.id.to_string()).collect::<Vec<_>>().join(" ")
}

async fn admit(broker: &Broker, caller: &DeviceCaller, ask: &OpenRestore) -> Result<(Vec<Record>, Decision), Error> {
    let selection = ask.selection().map_err(|_| Error::Malformed("ask for 1 to 16 records or kinds, not both"))?;
    let standing = Standing::load(broker, caller).await?;
    standing.check(caller)?;
    let records = select(broker, caller, selection).await?;
    let decision = decide(broker, caller, &standing, &records).await?;
    Ok((records, decision))
}

async fn select(broker: &Broker, caller: &DeviceCaller, selection: Selection<'_>) -> Result<Vec<Record>, Error> {
    let ids = match selection {
        Selection::Records(ids) => ids.to_vec(),
        Selection::Kinds(kinds) => newest(broker, caller, kinds).await?,
    };
    let mut found = records::find_all(&mut *broker.store.reader().await?, &ids).await?;
    let device = &caller.device;
    found.retain(|record| record.tenant == device.tenant && record.user == device.user);
    if found.len() != ids.len() {
        return Err(Refusal::RecordUnknown.into());
    }
    found.sort_by_key(|record| ids.iter().position(|id| *id == record.id));
    Ok(found)
}

async fn newest(broker: &Broker, caller: &DeviceCaller, kinds: &[names::Kind]) -> Result<Vec<Uuid>, Error> {
    let device = &caller.device;
    let all = records::of_user(&mut *broker.store.reader().await?, &device.tenant, &device.user).await?;
    let newest_of = |kind: &names::Kind| all.iter().find(|record| record.kind == kind.as_str()).map(|record| record.id);
    kinds.iter().map(|kind| newest_of(kind).ok_or(Refusal::RecordUnknown.into())).collect()
}

/// What the policies say about these records now.
pub(super) async fn decide(
    broker: &Broker,
    caller: &DeviceCaller,
    standing: &Standing,
    records: &[Record],
) -> Result<Decision, Error> {
    let line = |record: &Record| (record.tenant.clone(), record.user.clone(), record.kind.clone());
    let lines: Vec<_> = records.iter().map(line).collect();
    let newest = records::newest_generations(&mut *broker.store.reader().await?, &lines).await?;
    let is_newest = |record: &Record| newest.contains(&(line(record), record.generation));
    let facts: Vec<_> = records
        .iter()
        .map(|record| RecordFacts {
            owner: &record.user,
            kind: &record.kind,
            generation: record.generation,
            newest: is_newest(record),
        })
        .collect();
    Ok(standing.decide(broker, &caller.device, Action::Restore, &facts))
}

fn restore(
    broker: &Broker,
    caller: &DeviceCaller,
    ask: &OpenRestore,
    (id, records, decision): (Uuid, &[Record], &Decision),
) -> Result<Restore, Error> {
    let (device, now) = (&caller.device, broker.clock.now());
    let records: Vec<Uuid> = records.iter().map(|record| record.id).collect();
    let transcript = Facts {
        restore: id,
        tenant: &caller.tenant,
        user: &user_id(&device.user)?,
        device: device.id,
        thumbprint: &device.thumbprint,
        receive_key: &ask.receive_key.0,
        records: &records,
        policy: &broker.policies.digest(),
        nonce: &caller.nonce_text,
        reason: ask.reason.as_str(),
    };
    let needs = decision.needs;
    let lifetime = i64::try_from(broker.restore_lifetime.as_millis()).unwrap_or(i64::MAX / 2);
    let not_before = now + i64::try_from(needs.delay_seconds).unwrap_or(i64::from(u32::MAX)) * 1_000;
    Ok(Restore {
        id,
        tenant: device.tenant.clone(),
        user: device.user.clone(),
        device: device.id,
        transcript: *transcript.transcript().as_bytes(),
        records,
        receive_key: ask.receive_key.0.as_ref().to_vec(),
        reason: ask.reason.as_str().into(),
        policy_digest: broker.policies.digest(),
        approvals: needs.approvals,
        state: if needs.approvals == 0 { RestoreState::Approved } else { RestoreState::Pending },
        flight: None,
        answer: None,
        leaf_index: None,
        not_before,
        expires_at: not_before.saturating_add(lifetime),
        changed_at: now,
    })
}

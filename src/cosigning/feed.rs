use super::{Witness, count};
use crate::broker::Broker;
use crate::error::Error;
use crate::ops::log::consistency;
use crate::store::cosignatures::Cosignature;
use crate::store::frozen_logs::Contradiction;
use crate::store::log::{self, Head};
use audit::cosignature::cosignatures;
use witness::{AddCheckpoint, Answer, Trouble};

/// A witness decides at once, or after it has said what it has.
const TRIES: usize = 2;

/// What a witness made of a log.
pub(super) enum Fed {
    /// It has cosigned the newest checkpoint.
    Cosigned(Cosignature),
    /// It has cosigned what this log does not continue.
    Contradicted { contradiction: Contradiction, witnessed_size: u64, size: u64 },
}

/// Sends the newest checkpoint of a log; `old` is the size that the witness is thought to have.
pub(super) async fn feed(
    broker: &Broker,
    witness: &Witness,
    tenant: &str,
    mut old: u64,
) -> Result<Result<Fed, Trouble>, Error> {
    for _ in 0..TRIES {
        // Read before the witness is asked: what it has cosigned was never larger than what was durable before.
        let Some(head) = head(broker, tenant).await? else { break };
        let contradicted = |contradiction| Fed::Contradicted { contradiction, witnessed_size: old, size: head.size };
        if old > head.size {
            return Ok(Ok(contradicted(Contradiction::Shorter)));
        }
        let proof = consistency(broker, tenant, old, head.size).await?;
        let request = AddCheckpoint { old, proof, checkpoint: head.checkpoint.clone() };
        match witness.client.add_checkpoint(&request).await {
            Ok(Answer::Cosigned(lines)) => return Ok(accept(broker, witness, head, &lines)),
            Ok(Answer::Inconsistent) => return Ok(Ok(contradicted(Contradiction::Forked))),
            // Version 1.0 of the standard answers so when sizes are equal and roots are not.
            Ok(Answer::Conflict(size)) if size == old && size == head.size => {
                return Ok(Ok(contradicted(Contradiction::Forked)));
            }
            Ok(Answer::Conflict(size)) => {
                if size < old {
                    forgotten(witness, tenant, (old, size));
                }
                old = size;
            }
            Err(trouble) => return Ok(Err(trouble)),
        }
    }
    Ok(Err(Trouble::Malformed))
}

/// A witness that has lost what it knew would cosign any history once. It goes on, but somebody should look.
fn forgotten(witness: &Witness, tenant: &str, (cosigned, remembered): (u64, u64)) {
    count(&witness.name, "forgotten");
    let witness = &witness.name;
    tracing::error!(%witness, tenant, cosigned, remembered, "a witness has forgotten what it has cosigned");
}

/// The connection goes back before the witness is asked: one that hangs must not keep it.
async fn head(broker: &Broker, tenant: &str) -> Result<Option<Head>, Error> {
    Ok(log::head(&mut *broker.store.reader().await?, tenant).await?)
}

/// Takes the cosignature out of the answer, where it is this witness's for this checkpoint.
fn accept(broker: &Broker, witness: &Witness, head: Head, lines: &str) -> Result<Fed, Trouble> {
    let Head { tenant, size, checkpoint, .. } = head;
    let signed = cosignatures(&format!("{checkpoint}{lines}"), std::slice::from_ref(&witness.cosigner));
    let own = signed.ok().and_then(|signed| signed.into_iter().next()).ok_or(Trouble::Malformed)?;
    let (witness, received_at) = (witness.name.to_string(), broker.clock.now());
    Ok(Fed::Cosigned(Cosignature { tenant, witness, size, checkpoint, line: own.line, received_at }))
}

//! API tokens: made by a person, for a while, for named acts.

use super::super::admin::{proposal, require_tenant};
use crate::broker::Broker;
use crate::caller::AdminCaller;
use crate::clock::Timestamp;
use crate::commit::Rare;
use crate::digest::sha256;
use crate::error::{Error, Refusal};
use crate::roster::{self, Token};
use crate::sessions::random;
use audit::event::{Event, Kind, Outcome};
use policies::admin::{Act, may};
use uuid::Uuid;

/// How a token begins, so that scanners of repositories find one that got lost.
const PREFIX: &str = "keyfold_";

/// Makes a token that may do `acts` in the tenant: shown once, and never more than its maker may.
pub async fn create(
    broker: &Broker,
    caller: &AdminCaller,
    tenant: &str,
    (name, acts, expires_at): (String, Vec<Act>, Timestamp),
) -> Result<(Token, String), Error> {
    require_tenant(broker, tenant).await?;
    let maker = &caller.person()?.admin;
    if acts.iter().any(|act| act.is_for_people() || !may(&maker.roles, *act)) {
        return Err(Refusal::NotAllowed.into());
    }
    let sent = format!("{PREFIX}{}", random());
    let token = Token {
        id: Uuid::now_v7(),
        tenant: tenant.into(),
        name,
        acts,
        made_by: caller.actor.clone(),
        created_at: broker.clock.now(),
        expires_at,
    };
    let row = token.sealed(&broker.keys, sha256(sent.as_bytes()));
    let change = Rare::StoreToken(row);
    broker.committer.commit_rare(proposal(tenant, caller, change, event(Kind::AdminTokenCreated, &token))).await?;
    Ok((token, sent))
}

/// What may still be used there, and what has expired.
pub async fn list(broker: &Broker, tenant: &str) -> Result<Vec<Token>, Error> {
    roster::tokens_of(&broker.keys, &mut *broker.store.reader().await?, tenant).await
}

/// Ends a token.
pub async fn revoke(broker: &Broker, caller: &AdminCaller, tenant: &str, id: Uuid) -> Result<(), Error> {
    let token = list(broker, tenant).await?.into_iter().find(|token| token.id == id).ok_or(Error::NotFound)?;
    let change = Rare::RevokeToken(id);
    broker.committer.commit_rare(proposal(tenant, caller, change, event(Kind::AdminTokenRevoked, &token))).await?;
    Ok(())
}

fn event(kind: Kind, token: &Token) -> Event {
    let acts: Vec<_> = token.acts.iter().map(|act| act.as_str()).collect();
    Event::new(kind, Outcome::OK).correlation(token.id).reason(format!("token:{}", token.name)).policy(acts.join(" "))
}

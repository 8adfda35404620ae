//! Signing on at the tenant's issuer. It says who somebody is; what they may do is the roster's to say, and what needs a passkey
//! needs it still.

use super::{commit_note, event};
use crate::broker::Broker;
use crate::caller::Source;
use crate::error::{Error, Refusal};
use crate::roster::{self, Admin, AdminState};
use crate::sessions::{Session, SsoSession};
use crate::sso::SigningOn;
use audit::event::Kind;
use identity::oidc::{Callback, Client, Issuer, OidcError};
use url::Url;
use uuid::Uuid;

/// Where to send the browser, and what it has to bring back.
pub async fn begin(broker: &Broker, tenant: &str) -> Result<(Uuid, Url), Error> {
    let (issuer, client) = issuer(broker, tenant).await?;
    let (url, login) = issuer.begin(client);
    Ok((broker.sso.begun.put(SigningOn { tenant: tenant.into(), login }, broker.clock.now()), url))
}

async fn issuer<'a>(broker: &'a Broker, tenant: &str) -> Result<(&'a Issuer, &'a Client), Error> {
    let issuer = broker.sso.issuer(tenant, broker.clock.now()).await.ok_or(Error::NotFound)?;
    issuer.map_err(|error| refused(&error))
}

/// Who came back, with a new session and its cookie.
pub async fn finish(
    broker: &Broker,
    source: &Source,
    ceremony: Option<Uuid>,
    callback: &Callback,
) -> Result<(String, Session, Admin), Error> {
    let now = broker.clock.now();
    let begun = ceremony.and_then(|ceremony| broker.sso.begun.take(ceremony, now)).ok_or(Refusal::CeremonyOver)?;
    let (issuer, client) = issuer(broker, &begun.tenant).await?;
    let login = issuer.finish(client, &begun.login, callback, now).await.map_err(|error| refused(&error))?;
    let Some(admin) = known(broker, &begun.tenant, &login.subject).await? else {
        broker.limits.count_failure(source.ip)?;
        return Err(Refusal::SignOnRefused.into());
    };
    let signed_in = event(Kind::AdminSignedIn, &admin, source).actor(admin.actor()).ticket("single sign-on");
    commit_note(broker, &admin, signed_in).await?;
    let issuer = broker.sso.name(&begun.tenant).unwrap_or_default().to_owned();
    let sso = SsoSession { issuer, subject: login.subject, sid: login.sid };
    let (cookie, session) = broker.sessions.begin((admin.id, Some(sso)), (source.ip, source.agent.clone()), now);
    Ok((cookie, session, admin))
}

/// Who has a passkey and is that subject. Never by e-mail address: those change hands.
async fn known(broker: &Broker, tenant: &str, subject: &str) -> Result<Option<Admin>, Error> {
    let all = roster::admins_of(&broker.keys, &mut *broker.store.reader().await?, tenant).await?;
    let is_theirs = |admin: &Admin| admin.state == AdminState::Active && admin.subject.as_deref() == Some(subject);
    Ok(all.into_iter().find(is_theirs))
}

/// Ends the sessions that the issuer says are over.
pub async fn logout(broker: &Broker, tenant: &str, token: &str) -> Result<(), Error> {
    let now = broker.clock.now();
    let ((issuer, _), name) = (issuer(broker, tenant).await?, broker.sso.name(tenant).unwrap_or_default());
    let logout = issuer.logout(token, now).await.map_err(|error| {
        tracing::info!(error = &error as &dyn std::error::Error, "a logout by the back channel was refused");
        Refusal::LogoutRefused
    })?;
    if !broker.sso.is_new(name, &logout.jti, now) {
        return Err(Refusal::LogoutRefused.into());
    }
    let fits = |said: Option<&str>, own: Option<&str>| said.is_none() || said == own;
    broker.sessions.end(|session| {
        session.sso.as_ref().is_some_and(|sso| {
            sso.issuer == name
                && fits(logout.subject.as_deref(), Some(&sso.subject))
                && fits(logout.sid.as_deref(), sso.sid.as_deref())
        })
    });
    Ok(())
}

/// What exactly is wrong is for the journal.
fn refused(error: &OidcError) -> Error {
    tracing::warn!(error = error as &dyn std::error::Error, "a single sign-on failed");
    if error.is_of_the_issuer() { Refusal::IssuerUnavailable.into() } else { Refusal::SignOnRefused.into() }
}

//! When the user of the device that asks has logged in at the company's issuer, as far as the device proves it.

use crate::broker::Broker;
use crate::caller::DeviceCaller;
use crate::digest::sha256;
use crate::directory;
use crate::error::{Error, Refusal};
use crate::store::nonces::SpentNonce;
use identity::oidc::{OidcError, ProvenLogin};
use protocol::login::{IdToken, nonce};
use protocol::messages::OpenRestore;
use protocol::names::Text;

/// A login of the device's user, made for one restore.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login {
    /// In Unix seconds.
    pub(super) at: i64,
    /// Spent with the restore: the login is good for no other.
    pub(super) nonce: SpentNonce,
}

/// The login that the device shows, if it shows one.
///
/// # Errors
/// [`Refusal::LoginInvalid`] where it is not of this user, at this tenant's issuer, for this receive key;
/// [`Refusal::IssuerUnavailable`] where nobody can say.
pub(super) async fn shown(broker: &Broker, caller: &DeviceCaller, ask: &OpenRestore) -> Result<Option<Login>, Error> {
    let Some(token) = &ask.id_token else { return Ok(None) };
    let nonce = nonce(caller.device.id, &ask.receive_key.0);
    let proven = proven(broker, &caller.device.tenant, (token, &nonce)).await?;
    if subject(broker, caller).await?.is_none_or(|subject| subject.as_str() != proven.subject) {
        return Err(Refusal::LoginInvalid.into());
    }
    let expires_at = proven.expires_at.saturating_mul(1_000);
    Ok(Some(Login { at: proven.auth_time, nonce: (spent(&nonce), expires_at) }))
}

async fn proven(broker: &Broker, tenant: &str, (token, nonce): (&IdToken, &str)) -> Result<ProvenLogin, Error> {
    let now = broker.clock.now();
    let issuer = broker.logins.of(tenant, now).await.ok_or(Refusal::LoginInvalid)?;
    let proven = match issuer {
        Ok(issuer) => issuer.verify_login(token.as_str(), nonce, now).await,
        Err(error) => Err(error),
    };
    proven.map_err(|error| refused(tenant, &error))
}

/// Who the device's user is to the issuer. Never by e-mail address: those change hands.
async fn subject(broker: &Broker, caller: &DeviceCaller) -> Result<Option<Text<255>>, Error> {
    let mut db = broker.store.reader().await?;
    let user = directory::user(&broker.keys, &mut db, &caller.device.tenant, &caller.device.user).await?;
    Ok(user.and_then(|user| user.particulars.subject))
}

/// Beside the nonces of requests, which are random.
fn spent(nonce: &str) -> [u8; 16] {
    *sha256(nonce.as_bytes()).first_chunk().expect("invariant: SHA-256 gives more than 16 bytes")
}

/// What exactly is wrong is for the journal.
fn refused(tenant: &str, error: &OidcError) -> Error {
    tracing::warn!(tenant, error = error as &dyn std::error::Error, "a login that a device shows does not hold");
    if error.is_of_the_issuer() { Refusal::IssuerUnavailable.into() } else { Refusal::LoginInvalid.into() }
}

//! Passkeys (WebAuthn Level 3): how a person registers one, and how one signs a challenge that says what is agreed to.
//! All verification is the library's; what is decided here is what is asked for, and what the library leaves to its caller.

mod attestation;
mod credential;
mod error;

pub use attestation::AttestationRoots;
pub use credential::{Passkey, Registration, shows_clone};
pub use error::PasskeyError;

use attestation::verify_attested;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use url::{Host, Url};
use uuid::Uuid;
use webauthn_rs_core::proto::{
    AllowCredentials, AttestationConveyancePreference, AttestationFormat, AuthenticationState, COSEAlgorithm,
    CollectedClientData, CredProtect, CredentialProtectionPolicy, PublicKeyCredential,
    PublicKeyCredentialRequestOptions, RegisterPublicKeyCredential, RequestChallengeResponse,
    RequestRegistrationExtensions, UserVerificationPolicy,
};
use webauthn_rs_core::{ChallengeRegisterBuilder, WebauthnCore};

/// Longest answer of a browser that is looked at, in bytes.
pub const MAX_ANSWER: usize = 16 * 1024;
/// How long a browser waits for the person.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The broker as authenticators know it: one origin, and its domain as RP ID (WebAuthn section 4).
#[derive(Debug, Clone)]
pub struct RelyingParty {
    webauthn: WebauthnCore,
    id: String,
}

/// Whom a passkey is made for. Browsers show both names; the id comes back with each sign-in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The user handle: says nothing about the person.
    pub id: Uuid,
    /// What tells accounts apart, such as an e-mail address; not empty.
    pub name: String,
    /// What the person is called; not empty.
    pub display: String,
}

/// A verified signature of a person who was present and verified by the authenticator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// [`Passkey::id`] of the passkey that signed.
    pub credential: String,
    /// The signature counter, to be judged by [`shows_clone`]; 0 where the authenticator has none.
    pub counter: u32,
}

impl RelyingParty {
    /// `public_url` is where browsers reach the broker: `https`, with a domain name; `http` for `localhost` alone.
    pub fn new(public_url: &Url, name: &str) -> Result<Self, PasskeyError> {
        let Some(Host::Domain(domain)) = public_url.host() else { return Err(PasskeyError::PublicUrl) };
        if public_url.scheme() != "https" && !(public_url.scheme() == "http" && domain == "localhost") {
            return Err(PasskeyError::PublicUrl);
        }
        let origins = vec![public_url.clone()];
        let webauthn = WebauthnCore::new_unsafe_experts_only(name, domain, origins, TIMEOUT, Some(false), Some(false));
        Ok(Self { webauthn, id: domain.to_owned() })
    }

    /// The argument of `navigator.credentials.create` in JSON, for a discoverable passkey with user verification, and
    /// what to keep for [`Self::finish_registration`]. `existing` are the person's passkeys, which are not made twice.
    /// With `attestation`, only an authenticator under one of these roots will do, and no passkey that is synchronised.
    pub fn begin_registration(
        &self,
        person: &Person,
        existing: &[Passkey],
        attestation: Option<&AttestationRoots>,
    ) -> Result<(Value, Registration), PasskeyError> {
        let existing = existing.iter().map(|passkey| passkey.credential.cred_id.clone()).collect();
        let request = self
            .webauthn
            .new_challenge_register_builder(person.id.as_bytes(), &person.name, &person.display)?
            .credential_algorithms(COSEAlgorithm::secure_algs())
            .require_resident_key(true)
            .user_verification_policy(UserVerificationPolicy::Required)
            .exclude_credentials(Some(existing))
            .extensions(Some(protected()));
        let request = if attestation.is_some() { attested(request) } else { request };
        let (options, state) = self.webauthn.generate_challenge_register(request)?;
        let options = serde_json::to_value(options).map_err(PasskeyError::Malformed)?;
        Ok((options, Registration { person: person.id, state, roots: attestation.cloned() }))
    }

    /// The passkey that `answer` brings: what the browser's `create` gave, as JSON. `now` in Unix milliseconds, for the
    /// certificates of an attestation.
    pub fn finish_registration(
        &self,
        registration: &Registration,
        answer: &[u8],
        now: i64,
    ) -> Result<Passkey, PasskeyError> {
        let answer: RegisterPublicKeyCredential = parse(answer)?;
        let credential = self.webauthn.register_credential(&answer, &registration.state, None)?;
        if let Some(roots) = &registration.roots {
            verify_attested(&credential, roots, now)?;
        }
        Ok(Passkey::new(registration.person, credential, registration.roots.is_some()))
    }

    /// The argument of `navigator.credentials.get` in JSON, for one of `passkeys` to sign `challenge`. Without
    /// passkeys the authenticator offers those that it has: a sign-in without a name.
    #[must_use]
    pub fn ask(&self, passkeys: &[Passkey], challenge: &[u8; 32]) -> Value {
        let allowed = passkeys.iter().map(|Passkey { credential, .. }| AllowCredentials {
            type_: "public-key".into(),
            id: credential.cred_id.clone(),
            transports: credential.transports.clone(),
        });
        let public_key = PublicKeyCredentialRequestOptions {
            challenge: challenge.to_vec(),
            timeout: u32::try_from(TIMEOUT.as_millis()).ok(),
            rp_id: self.id.clone(),
            allow_credentials: allowed.collect(),
            user_verification: UserVerificationPolicy::Required,
            hints: None,
            extensions: None,
        };
        json!(RequestChallengeResponse { public_key, mediation: None })
    }

    /// Whom an assertion claims to come from, by its user handle: whose passkeys to load. Proves nothing.
    pub fn claimed_person(&self, assertion: &[u8]) -> Result<Uuid, PasskeyError> {
        let assertion: PublicKeyCredential = parse(assertion)?;
        let handle = assertion.get_user_unique_id().ok_or(PasskeyError::Person)?;
        Uuid::from_slice(handle).map_err(|_| PasskeyError::Person)
    }

    /// Verifies that one of `passkeys` signed `challenge` here, with its person present and verified: `assertion` is
    /// what the browser's `get` gave, as JSON. Says the same whenever it is asked; the counter is the caller's to judge.
    pub fn verify(
        &self,
        passkeys: &[Passkey],
        challenge: &[u8; 32],
        assertion: &[u8],
    ) -> Result<Assertion, PasskeyError> {
        let assertion: PublicKeyCredential = parse(assertion)?;
        let id = assertion.get_credential_id();
        let passkey = passkeys.iter().find(|passkey| passkey.credential.cred_id == id);
        let passkey = passkey.ok_or(PasskeyError::UnknownPasskey)?;
        // The library leaves these two to its caller: WebAuthn section 7.2, steps 6 and 13.
        if assertion.get_user_unique_id().is_some_and(|handle| handle != passkey.person.as_bytes()) {
            return Err(PasskeyError::Person);
        }
        refuse_framed(&assertion.response.client_data_json)?;
        let state = expecting(challenge)?;
        let signed = self.webauthn.authenticate_single_credential(&assertion, &state, &passkey.credential)?;
        Ok(Assertion { credential: passkey.id(), counter: signed.counter() })
    }
}

/// The authenticator shows and uses the passkey only after it has verified its person.
fn protected() -> RequestRegistrationExtensions {
    let cred_protect = CredProtect {
        credential_protection_policy: CredentialProtectionPolicy::UserVerificationRequired,
        // Demanded, it fails on authenticators that do the same without the extension.
        enforce_credential_protection_policy: Some(false),
    };
    RequestRegistrationExtensions { cred_protect: Some(cred_protect), ..RequestRegistrationExtensions::default() }
}

fn attested(request: ChallengeRegisterBuilder) -> ChallengeRegisterBuilder {
    request
        .attestation(AttestationConveyancePreference::Direct)
        .attestation_formats(Some(vec![AttestationFormat::Packed, AttestationFormat::Tpm]))
        .reject_synchronised_authenticators(true)
}

fn parse<T: DeserializeOwned>(answer: &[u8]) -> Result<T, PasskeyError> {
    if answer.len() > MAX_ANSWER {
        return Err(PasskeyError::TooLong);
    }
    serde_json::from_slice(answer).map_err(PasskeyError::Malformed)
}

/// A page inside a frame of somebody else's page is not where people sign here.
fn refuse_framed(client_data: &[u8]) -> Result<(), PasskeyError> {
    let client_data: CollectedClientData = serde_json::from_slice(client_data).map_err(PasskeyError::Malformed)?;
    if client_data.cross_origin == Some(true) { Err(PasskeyError::Framed) } else { Ok(()) }
}

/// The library makes challenges of its own. The state that it would keep of one, written here, holds ours.
fn expecting(challenge: &[u8; 32]) -> Result<AuthenticationState, PasskeyError> {
    let state = json!({
        "credentials": [],
        "policy": UserVerificationPolicy::Required,
        "challenge": URL_SAFE_NO_PAD.encode(challenge),
        "appid": null,
        "allow_backup_eligible_upgrade": false,
    });
    serde_json::from_value(state).map_err(PasskeyError::Malformed)
}

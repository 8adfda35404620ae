//! Virtual authenticators (W3C Web Authentication, section 11): passkeys without hardware, and without a person's finger.

use super::Browser;
use super::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// An authenticator of one browser. It is there until the browser ends.
#[derive(Debug)]
pub struct Authenticator {
    session: Session,
    path: String,
}

/// A passkey with its private key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Its id, in base64url.
    pub credential_id: String,
    /// Whether it can be found without its id.
    pub is_resident_credential: bool,
    /// Where it is good.
    pub rp_id: String,
    /// PKCS #8, in base64url.
    pub private_key: String,
    /// What the site calls its user, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_handle: Option<String>,
    /// How often it has signed.
    pub sign_count: u32,
}

impl Browser {
    /// Adds one that is built in, keeps passkeys, and whose user consents and is verified every time.
    pub async fn authenticator(&self) -> Authenticator {
        let kind = json!({
            "protocol": "ctap2_1",
            "transport": "internal",
            "hasResidentKey": true,
            "hasUserVerification": true,
            "isUserConsenting": true,
            "isUserVerified": true,
        });
        let id = self.session.post("/webauthn/authenticator", kind).await;
        let path = format!("/webauthn/authenticator/{}", id.as_str().expect("an authenticator has an id"));
        Authenticator { session: self.session.clone(), path }
    }
}

impl Authenticator {
    /// All that it holds.
    pub async fn credentials(&self) -> Vec<Credential> {
        let credentials = self.session.get(&format!("{}/credentials", self.path)).await;
        serde_json::from_value(credentials).expect("an authenticator holds credentials")
    }

    /// Puts one in, as a thief would who has copied it.
    pub async fn put(&self, credential: &Credential) {
        let credential = serde_json::to_value(credential).expect("a credential is JSON");
        self.session.post(&format!("{}/credential", self.path), credential).await;
    }

    /// Takes one out.
    pub async fn remove(&self, credential: &Credential) {
        self.session.delete(&format!("{}/credentials/{}", self.path, credential.credential_id)).await;
    }

    /// Whether it recognises its user from now on.
    pub async fn verifies_user(&self, verifies: bool) {
        self.session.post(&format!("{}/uv", self.path), json!({"isUserVerified": verifies})).await;
    }
}

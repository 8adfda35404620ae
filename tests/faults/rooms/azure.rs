//! Azure Key Vault, with RSA keys. Its Entra ID is counted apart: requests are those to the vault.

use super::{
    BROKEN, CLOUD, DISABLED, PENDING_DELETION, Passing, REFUSED, Scene, THROTTLED, UNAVAILABLE, Vendor, answers, busy,
    of_the_network, owner, says,
};
use crate::harness::azure::Azure;
use counterparts::front::{Fault, Front};
use reqwest::Method;
use serde_json::json;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Disable,
    Delete,
    /// Tokens are worthless, and Entra ID gives no other.
    RevokeAccess,
    /// Azure's clock is two hours ahead of the broker's: tokens have expired, and its assertions too.
    ClockAhead,
}

impl Azure {
    fn enable(&self, enabled: bool) {
        self.own(&Method::PATCH, &format!("/keys/{CLOUD}"), &json!({"attributes": {"enabled": enabled}}));
    }
}

impl Vendor for Azure {
    type Deed = Deed;

    fn provider(&self) -> String {
        Azure::provider(self).replace("[providers.azure]", "[providers.cloud]")
    }

    fn environment(&self) -> &'static [&'static str] {
        &[]
    }

    async fn create_key(&self, name: &str) -> String {
        Azure::create_key(self, name);
        name.into()
    }

    fn front(&self) -> &Front {
        self.vault.vault_front()
    }

    async fn does(&self, deed: Deed) {
        match deed {
            Deed::Disable => self.enable(false),
            Deed::Delete => drop(self.own(&Method::DELETE, &format!("/keys/{CLOUD}"), &json!({}))),
            Deed::RevokeAccess => {
                self.vault.revoke_tokens();
                self.vault.entra_front().fail(None, says(400, &json!({"error": "unauthorized_client"})));
            }
            Deed::ClockAhead => self.vault.shift_clock(2 * 3600),
        }
    }

    async fn undoes(&self, deed: Deed) {
        match deed {
            Deed::Disable => self.enable(true),
            Deed::Delete => drop(self.own(&Method::POST, &format!("/deletedkeys/{CLOUD}/recover"), &json!({}))),
            Deed::RevokeAccess => self.vault.entra_front().heal(),
            Deed::ClockAhead => self.vault.shift_clock(-2 * 3600),
        }
    }
}

/// As the vault words its errors.
fn error(status: u16, code: &str) -> Fault {
    says(status, &json!({"error": {"code": code, "message": "x"}}))
}

fn passing() -> Vec<Passing<Deed>> {
    let mut passing = of_the_network();
    passing.extend([
        answers(busy(429, "1"), THROTTLED, [4, 1]),
        answers(error(500, "InternalServerError"), UNAVAILABLE, [4, 1]),
        answers(busy(503, "1"), UNAVAILABLE, [4, 1]),
        answers(Fault::Garbage, BROKEN, [1, 1]),
        answers(error(403, "Forbidden"), REFUSED, [1, 1]),
        // The token is refused once; a second request would need another.
        owner(Deed::RevokeAccess, REFUSED, [1, 1]),
        owner(Deed::ClockAhead, REFUSED, [1, 1]),
        owner(Deed::Disable, DISABLED, [1, 1]),
        // It looks like a key that never was, so the room asks for it, and then for deleted ones.
        owner(Deed::Delete, PENDING_DELETION, [3, 1]),
    ]);
    passing
}

/// A version of another key is not found, so the room asks for the key; all else RSA itself tells, or the payload.
#[tokio::test(flavor = "multi_thread")]
async fn azure_key_vault_in_every_trouble() {
    Scene::start(Azure::start().await).await.play(passing(), [1, 1, 2]).await;
}

//! Google Cloud KMS, with AES keys.

use super::{
    BROKEN, CLOUD, DISABLED, NOT_FOUND, PENDING_DELETION, Passing, REFUSED, Scene, THROTTLED, UNAVAILABLE, Vendor,
    answers, busy, of_the_network, owner, says,
};
use crate::harness::google::{Google, RING};
use counterparts::front::{Fault, Front};
use counterparts::google::Damage;
use reqwest::Method;
use serde_json::json;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Disable,
    ScheduleDestruction,
    /// One bit of what comes back flips.
    Damage,
    /// Google's clock is two hours ahead of the broker's, or an hour behind.
    ClockAhead,
    ClockBehind,
}

impl Google {
    async fn version_is(&self, state: &str) {
        self.own(Method::PATCH, &format!("{}?updateMask=state", version()), &json!({"state": state})).await;
    }
}

fn version() -> String {
    format!("{RING}/cryptoKeys/{CLOUD}/cryptoKeyVersions/1")
}

impl Vendor for Google {
    type Deed = Deed;

    fn provider(&self) -> String {
        Google::provider(self).replace("[providers.google]", "[providers.cloud]")
    }

    fn environment(&self) -> &'static [&'static str] {
        &[]
    }

    async fn create_key(&self, name: &str) -> String {
        Google::create_key(self, name).await
    }

    fn front(&self) -> &Front {
        &self.front
    }

    async fn does(&self, deed: Deed) {
        match deed {
            Deed::Disable => self.version_is("DISABLED").await,
            Deed::ScheduleDestruction => {
                self.own(Method::POST, &format!("{}:destroy", version()), &json!({})).await;
            }
            Deed::Damage => self.kms.damage(Damage::AnswerData),
            Deed::ClockAhead => self.kms.set_clock_ahead(2 * 3600),
            Deed::ClockBehind => self.kms.set_clock_ahead(-3600),
        }
    }

    async fn undoes(&self, deed: Deed) {
        match deed {
            Deed::Disable => self.version_is("ENABLED").await,
            Deed::ScheduleDestruction => {
                self.own(Method::POST, &format!("{}:restore", version()), &json!({})).await;
                self.version_is("ENABLED").await;
            }
            Deed::Damage => self.kms.damage(None),
            Deed::ClockAhead | Deed::ClockBehind => self.kms.set_clock_ahead(0),
        }
    }
}

/// As Google words its errors.
fn status(http: u16, word: &str) -> Fault {
    says(http, &json!({"error": {"code": http, "message": "x", "status": word}}))
}

/// The wait is in the body, as `google.rpc.RetryInfo`.
fn quota_exceeded() -> Fault {
    let info = json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"});
    says(429, &json!({"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED", "details": [info]}}))
}

fn passing() -> Vec<Passing<Deed>> {
    let mut passing = of_the_network();
    passing.extend([
        answers(quota_exceeded(), THROTTLED, [4, 1]),
        answers(busy(429, "1"), THROTTLED, [4, 1]),
        answers(status(500, "INTERNAL"), UNAVAILABLE, [4, 1]),
        answers(status(503, "UNAVAILABLE"), UNAVAILABLE, [4, 1]),
        answers(Fault::Garbage, BROKEN, [1, 1]),
        owner(Deed::Damage, BROKEN, [1, 1]),
        answers(status(401, "UNAUTHENTICATED"), REFUSED, [1, 1]),
        answers(status(403, "PERMISSION_DENIED"), REFUSED, [1, 1]),
        // The broker signs its own tokens, so its clock counts.
        owner(Deed::ClockAhead, REFUSED, [1, 1]),
        owner(Deed::ClockBehind, REFUSED, [1, 1]),
        // Google says that the state forbids it; which state it is has to be asked for.
        owner(Deed::Disable, DISABLED, [2, 1]),
        owner(Deed::ScheduleDestruction, PENDING_DELETION, [2, 1]),
        // No key of Google's ever goes away, only its versions' material does.
        answers(status(404, "NOT_FOUND"), NOT_FOUND, [1, 1]),
    ]);
    passing
}

/// Before a mismatch is told, the room asks whether the key may be used at all: a second request.
#[tokio::test(flavor = "multi_thread")]
async fn google_cloud_kms_in_every_trouble() {
    Scene::start(Google::start().await).await.play(passing(), [2, 2, 2]).await;
}

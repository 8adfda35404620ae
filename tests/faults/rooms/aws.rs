//! AWS KMS.

use super::{
    BROKEN, DISABLED, NOT_FOUND, PENDING_DELETION, Passing, REFUSED, Scene, THROTTLED, UNAVAILABLE, Vendor, answers,
    busy, of_the_network, owner, says,
};
use crate::harness::aws::{AWS_ENVIRONMENT, Aws};
use counterparts::front::{Fault, Front};
use serde_json::json;

/// What the tenant's KEK is registered by: an alias can vanish and come back, and be another key meanwhile.
const ALIAS: &str = "alias/cloud";

#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed {
    Disable,
    ScheduleDeletion,
    DeleteAlias,
}

impl Vendor for Aws {
    type Deed = Deed;

    fn provider(&self) -> String {
        Aws::provider(self).replace("[providers.aws]", "[providers.cloud]")
    }

    fn environment(&self) -> &'static [&'static str] {
        &AWS_ENVIRONMENT
    }

    async fn create_key(&self, name: &str) -> String {
        let alias = format!("alias/{name}");
        Aws::create_key(self, &alias).await;
        alias
    }

    fn front(&self) -> &Front {
        &self.front
    }

    async fn does(&self, deed: Deed) {
        let id = self.kms.call("DescribeKey", &json!({"KeyId": ALIAS})).await["KeyMetadata"]["KeyId"].clone();
        match deed {
            Deed::Disable => self.kms.call("DisableKey", &json!({"KeyId": id})).await,
            Deed::ScheduleDeletion => self.kms.call("ScheduleKeyDeletion", &json!({"KeyId": id})).await,
            Deed::DeleteAlias => {
                self.kms.call("CreateAlias", &json!({"AliasName": "alias/kept", "TargetKeyId": id})).await;
                self.kms.call("DeleteAlias", &json!({"AliasName": ALIAS})).await
            }
        };
    }

    async fn undoes(&self, deed: Deed) {
        let id =
            async |alias| self.kms.call("DescribeKey", &json!({"KeyId": alias})).await["KeyMetadata"]["KeyId"].clone();
        match deed {
            Deed::Disable => self.kms.call("EnableKey", &json!({"KeyId": id(ALIAS).await})).await,
            Deed::ScheduleDeletion => {
                let key = json!({"KeyId": id(ALIAS).await});
                self.kms.call("CancelKeyDeletion", &key).await;
                self.kms.call("EnableKey", &key).await
            }
            Deed::DeleteAlias => {
                let kept = id("alias/kept").await;
                self.kms.call("CreateAlias", &json!({"AliasName": ALIAS, "TargetKeyId": kept})).await
            }
        };
    }
}

/// As KMS words its errors.
fn exception(status: u16, name: &str) -> Fault {
    says(status, &json!({"__type": name, "message": "Signature expired: 20260101T000000Z is now earlier than ..."}))
}

fn passing() -> Vec<Passing<Deed>> {
    let mut passing = of_the_network();
    passing.extend([
        answers(busy(429, "1"), THROTTLED, [4, 1]),
        answers(exception(500, "KMSInternalException"), UNAVAILABLE, [4, 1]),
        answers(exception(500, "DependencyTimeoutException"), UNAVAILABLE, [4, 1]),
        answers(busy(503, "1"), UNAVAILABLE, [4, 1]),
        // What made no sense has the room ask anew how the key encrypts: its alias may have moved.
        answers(Fault::Garbage, BROKEN, [1, 2]),
        answers(exception(400, "ExpiredTokenException"), REFUSED, [1, 1]),
        answers(exception(400, "AccessDeniedException"), REFUSED, [1, 1]),
        answers(exception(403, "RequestTimeTooSkewed"), REFUSED, [1, 1]),
        answers(exception(400, "InvalidSignatureException"), REFUSED, [1, 1]),
        owner(Deed::Disable, DISABLED, [1, 1]),
        // KMS says that the state forbids it; which state it is has to be asked for.
        owner(Deed::ScheduleDeletion, PENDING_DELETION, [2, 1]),
        owner(Deed::DeleteAlias, NOT_FOUND, [1, 1]),
    ]);
    passing
}

/// Before a mismatch is told, the room asks whether the key may be used at all: a second request.
#[tokio::test(flavor = "multi_thread")]
async fn aws_kms_in_every_trouble() {
    Scene::start(Aws::start().await).await.play(passing(), [2, 2, 2]).await;
}

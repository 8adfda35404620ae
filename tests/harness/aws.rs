//! AWS KMS as LocalStack has it, behind a front that spoils answers when told to.

use counterparts::aws::{Emulator, REGION};
use counterparts::front::Front;
use serde_json::json;

/// What a broker under test is run by, to have credentials and nothing else of AWS.
pub const AWS_ENVIRONMENT: [&str; 5] = [
    "env",
    "AWS_ACCESS_KEY_ID=test",
    "AWS_SECRET_ACCESS_KEY=the-secret-access-key",
    "AWS_EC2_METADATA_DISABLED=true",
    "HOME=/nonexistent",
];

/// Ends when it is dropped.
pub struct Aws {
    pub kms: Emulator,
    pub front: Front,
}

impl Aws {
    pub async fn start() -> Self {
        let kms = Emulator::localstack().await;
        let front = Front::before(kms.url()).await;
        Self { kms, front }
    }

    /// A new symmetric key, by an alias of this name; its ARN.
    pub async fn create_key(&self, alias: &str) -> String {
        let key = self.kms.create_key("SYMMETRIC_DEFAULT").await;
        self.kms.call("CreateAlias", &json!({"AliasName": alias, "TargetKeyId": key})).await;
        key
    }

    /// The provider `aws` of a broker's configuration.
    pub fn provider(&self) -> String {
        format!("\n[providers.aws]\ntype = \"aws_kms\"\nregion = \"{REGION}\"\nendpoint = \"{}\"\n", self.front.url())
    }
}

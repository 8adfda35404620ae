//! The emulators, and the room connected to them.

use counterparts::aws::Emulator;
use keyfold_providers::KeyRef;
use keyfold_providers::aws_kms::{AwsKms, Options};
use serde_json::Value;
use std::env;

pub(crate) use counterparts::aws::REGION;

/// A running emulator; killed when dropped.
pub(crate) struct Server {
    emulator: Emulator,
    pub(crate) url: String,
}

impl Server {
    pub(crate) async fn localstack() -> Self {
        Self::of(Emulator::localstack().await)
    }

    pub(crate) async fn moto() -> Self {
        Self::of(Emulator::moto().await)
    }

    fn of(emulator: Emulator) -> Self {
        Self { url: emulator.url().to_owned(), emulator }
    }

    /// As the room sees it.
    pub(crate) async fn connect(&self) -> AwsKms {
        connect_to(&self.url).await
    }

    /// A call of KMS's API past the room; its answer.
    pub(crate) async fn admin(&self, operation: &str, body: Value) -> Value {
        self.emulator.call(operation, &body).await
    }

    /// As `admin`; `None` when the server refuses.
    pub(crate) async fn try_admin(&self, operation: &str, body: Value) -> Option<Value> {
        self.emulator.try_call(operation, &body).await
    }

    /// A new key of this spec that encrypts; its ARN.
    pub(crate) async fn key(&self, spec: &str) -> KeyRef {
        KeyRef::new(self.emulator.create_key(spec).await)
    }
}

/// Under the identity of the environment.
pub(crate) async fn connect_to(url: &str) -> AwsKms {
    let options = Options { region: REGION.to_owned(), endpoint: Some(url.to_owned()), ..Options::default() };
    AwsKms::connect(options).await.unwrap()
}

/// The program that an environment variable names.
pub(crate) fn program(variable: &str) -> String {
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set; ./dev test sets it"))
}

/// The path of a script beside this file.
pub(crate) fn script(name: &str) -> String {
    format!("{}/tests/aws_kms/{name}", env!("CARGO_MANIFEST_DIR"))
}

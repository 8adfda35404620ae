//! Where the tenant's KEK is: each kind of provider that there is.

use crate::harness::aws::{AWS_ENVIRONMENT, Aws};
use crate::harness::azure::Azure;
use crate::harness::bao::{BAO_TOKEN, Bao};
use crate::harness::google::Google;
use crate::harness::hsm::Hsm;
use crate::harness::{Broker, TENANT};
use crate::hunt::Planted;
use reqwest::Method;
use serde_json::{Value, json};

const PIN: &str = "the-pin-of-the-token";

/// A provider with a key for the tenant, and what lets the broker in there.
pub(crate) enum Room {
    Software,
    OpenBao(Bao),
    Aws(Aws, String),
    Google(Google, String),
    Azure(Box<Azure>),
    Pkcs11(Hsm),
}

impl Room {
    /// All that are not the broker's own.
    pub(crate) async fn elsewhere() -> [Self; 5] {
        let (bao, aws, google, azure, hsm) =
            (Bao::start().await, Aws::start().await, Google::start().await, Azure::start().await, Hsm::start(PIN));
        bao.call(Method::POST, &format!("transit/keys/{TENANT}"), json!({})).await.unwrap();
        let (arn, key) = (aws.create_key("alias/acme").await, google.create_key(TENANT).await);
        azure.create_key(TENANT);
        hsm.create_key(TENANT);
        [
            Self::OpenBao(bao),
            Self::Aws(aws, arn),
            Self::Google(google, key),
            Self::Azure(azure.into()),
            Self::Pkcs11(hsm),
        ]
    }

    /// Its name in the configuration.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::OpenBao(_) => "bao",
            Self::Aws(..) => "aws",
            Self::Google(..) => "google",
            Self::Azure(_) => "azure",
            Self::Pkcs11(_) => "hsm",
        }
    }

    pub(crate) fn provider(&self) -> String {
        match self {
            Self::Software => String::new(),
            Self::OpenBao(bao) => Bao::provider(bao.port),
            Self::Aws(aws, _) => aws.provider(),
            Self::Google(google, _) => google.provider(),
            Self::Azure(azure) => azure.provider(),
            Self::Pkcs11(hsm) => hsm.provider(),
        }
    }

    /// What the broker is run under, and logs all it can.
    pub(crate) fn environment(&self) -> Vec<String> {
        let aws = AWS_ENVIRONMENT.map(str::to_owned).to_vec();
        let mut environment = if matches!(self, Self::Aws(..)) { aws } else { vec!["env".into()] };
        environment.extend(["KEYFOLD_LOG=trace".into(), format!("BAO={BAO_TOKEN}")]);
        environment
    }

    /// The tenant with its KEK there and the user `alice`; the verifier key of its log.
    pub(crate) async fn tenant(&self, broker: &Broker) -> String {
        let key = match self {
            Self::Software => return broker.with_tenant().await,
            Self::Aws(_, key) | Self::Google(_, key) => key,
            Self::OpenBao(_) | Self::Azure(_) | Self::Pkcs11(_) => TENANT,
        };
        let made = broker.admin_ok("", json!({"id": TENANT, "name": TENANT, "unattested_days": 30})).await;
        broker.admin_ok("/acme/users", json!({"id": "alice"})).await;
        broker.admin_ok("/acme/keks", json!({"provider": self.name(), "key": key})).await;
        made["vkey"].as_str().unwrap().into()
    }

    /// What lets the broker in: alive in its memory, and nowhere to be seen.
    pub(crate) fn credentials(&self) -> Vec<Planted> {
        let text = match self {
            Self::Software => return Vec::new(),
            Self::OpenBao(_) => BAO_TOKEN.into(),
            Self::Aws(..) => "the-secret-access-key".into(),
            Self::Google(google, _) => {
                let account: Value = serde_json::from_str(&google.account()).unwrap();
                inside(account["private_key"].as_str().unwrap())
            }
            Self::Azure(azure) => inside(&azure.registration.key_pem),
            Self::Pkcs11(_) => PIN.into(),
        };
        vec![Planted::new("what lets the broker in", text.into_bytes())]
    }
}

/// A line of a private key in PEM that is like no other.
fn inside(pem: &str) -> String {
    pem.lines().nth(2).unwrap().into()
}

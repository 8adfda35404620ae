//! Who the broker is to Entra ID, and what happens when it is nobody.

use crate::vault::{CLIENT_ID, Vault, first, opens, wrap};
use counterparts::front::Fault;
use keyfold_providers::azure_key_vault::{AzureKeyVault, Credential, Options};
use keyfold_providers::{Error, KeyProvider};
use secret::Secret;
use std::process::Command;
use std::{env, fs};

const MACHINE_SECRET: &str = "machine-secret";

/// The counterpart verifies the assertion, as it does those of Microsoft's own clients: signature, certificate, audience.
#[tokio::test]
async fn an_application_signs_in_with_its_certificate_alone() {
    let vault = Vault::start().await;
    wrap(&vault.connect(), &first()).await.unwrap();
    let stranger = vault.azure.register("stranger");
    let refused = [
        with(&vault, |options| replace_key(options, &stranger.key_pem)),
        with(&vault, |options| replace_client(options, "stranger")),
        with(&vault, |options| replace_client(options, "nobody")),
    ];
    for room in refused {
        assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
    }
}

#[tokio::test]
async fn a_workload_signs_in_with_the_token_of_its_account() {
    let vault = Vault::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let room = with(&vault, |options| {
        options.credential = Credential::WorkloadIdentity {
            tenant_id: Some("tenant".to_owned()),
            client_id: Some(CLIENT_ID.to_owned()),
            token_file: Some(file.clone()),
        };
    });
    assert!(matches!(wrap(&room, &first()).await, Err(Error::Broken(_))), "there is no file");
    fs::write(&file, "of-yesterday").unwrap();
    vault.azure.federate(CLIENT_ID, "of-today");
    assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
    fs::write(&file, "of-today").unwrap();
    let wrapped = wrap(&room, &first()).await.unwrap();
    assert!(opens(&room, &first(), &wrapped).await);
}

/// The environment says where the machine's identity is asked for, so this test runs itself again with one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_signs_in_with_its_own_identity() {
    if let Ok(url) = env::var("KEYFOLD_TEST_VAULT") {
        let authority = fs::read(env::var("KEYFOLD_TEST_CA").unwrap()).unwrap();
        return be_a_machine(url, authority).await;
    }
    let vault = Vault::start().await;
    vault.azure.assign_identity(MACHINE_SECRET);
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    fs::write(&authority, vault.azure.ca_pem()).unwrap();
    let mut machine = Command::new(env::current_exe().unwrap());
    machine
        .args(["--exact", "sign_in::a_machine_signs_in_with_its_own_identity"])
        .env("KEYFOLD_TEST_VAULT", vault.azure.url())
        .env("KEYFOLD_TEST_CA", &authority)
        .env("IDENTITY_ENDPOINT", format!("{}/msi/token", vault.azure.entra_front().url()))
        .env("IDENTITY_HEADER", MACHINE_SECRET);
    let output = tokio::task::spawn_blocking(move || machine.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let asked = vault.azure.entra_front().seen();
    assert!(asked.iter().all(|seen| seen.path.contains("client_id=assigned")) && asked.len() == 1, "{asked:?}");
}

async fn be_a_machine(vault_url: String, ca_pem: Vec<u8>) {
    let credential = Credential::ManagedIdentity { client_id: Some("assigned".to_owned()) };
    let room = AzureKeyVault::connect(Options {
        vault_url,
        kind: keyfold_providers::azure_key_vault::Kind::Vault,
        algorithm: keyfold_providers::azure_key_vault::Algorithm::RsaOaep256,
        credential,
        authority_host: None,
        ca_pem: Some(ca_pem),
    })
    .unwrap();
    let wrapped = wrap(&room, &first()).await.unwrap();
    assert!(opens(&room, &first(), &wrapped).await);
}

/// The SDK's credentials would give the refused token again until it expires.
#[tokio::test]
async fn a_refused_token_is_replaced_at_once() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    let wrapped = wrap(&room, &first()).await.unwrap();
    vault.azure.revoke_tokens();
    assert!(opens(&room, &first(), &wrapped).await);
    assert_eq!(vault.azure.entra_front().requests(), 2);
}

#[tokio::test]
async fn expired_credentials_are_refused() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    vault.azure.revoke_tokens();
    vault.azure.federate(CLIENT_ID, "another");
    let denied = r#"{"error":"invalid_client","error_codes":[700027],"error_description":"AADSTS700027: expired"}"#;
    let fault = Fault::Answer { status: 401, headers: Vec::new(), body: denied.to_owned() };
    vault.azure.entra_front().fail(None, fault);
    let before = vault.azure.entra_front().requests();
    assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
    assert_eq!(vault.azure.entra_front().requests(), before + 1, "asked once");
    vault.azure.entra_front().heal();
    wrap(&room, &first()).await.unwrap();
}

/// Minutes of difference do no harm; hours make assertions that are over before they begin.
#[tokio::test]
async fn a_clock_may_be_wrong_by_minutes() {
    for (seconds, signs_in) in [(200, true), (-200, true), (7200, false), (-7200, false)] {
        let vault = Vault::start().await;
        vault.azure.shift_clock(seconds);
        match wrap(&vault.connect(), &first()).await {
            Ok(_) => assert!(signs_in, "{seconds}"),
            Err(error) => assert!(!signs_in && matches!(error, Error::Refused), "{seconds}: {error:?}"),
        }
    }
}

/// The SDK does not announce that it could meet such a demand, so Entra ID and vault make none; if one comes, it is a
/// refusal, and the token that met it is not used again.
#[tokio::test]
async fn a_demand_for_claims_is_a_refusal() {
    let vault = Vault::start().await;
    let room = vault.signed_in().await;
    vault.azure.demand_claims();
    for tokens in [1, 2] {
        assert!(matches!(wrap(&room, &first()).await, Err(Error::Refused)));
        assert_eq!(vault.azure.entra_front().requests(), tokens);
    }
    assert!(matches!(room.inspect(&first()).await, Err(Error::Refused)));
}

fn with(vault: &Vault, change: impl FnOnce(&mut Options)) -> AzureKeyVault {
    let mut options = vault.options();
    change(&mut options);
    AzureKeyVault::connect(options).unwrap()
}

/// Another key for the certificate.
pub(crate) fn replace_key(options: &mut Options, pem: &str) {
    if let Credential::ClientCertificate { key, .. } = &mut options.credential {
        *key = Secret::copied_from(pem.as_bytes());
    }
}

fn replace_client(options: &mut Options, id: &str) {
    if let Credential::ClientCertificate { client_id, .. } = &mut options.credential {
        id.clone_into(client_id);
    }
}

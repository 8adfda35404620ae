//! Every way to log in, against the real server.

use crate::server::Server;
use crate::sessions::works_within;
use crate::{CONTEXT, LEAST_PRIVILEGE, SECRET, wrap};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine};
use keyfold_providers::openbao::{ConnectError, Login, OpenBao, Options};
use keyfold_providers::{Error, KeyProvider, KeyRef};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer};
use reqwest::Method;
use secret::Secret;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;

#[tokio::test]
async fn by_app_role() {
    let server = Server::start().await;
    let login = app_role(&server, json!({})).await;
    round_trip(&server.connect_by(login).await.unwrap()).await;

    let wrong = |secret_id| Login::AppRole { mount: "approle".to_owned(), role_id: "keyfold".to_owned(), secret_id };
    let refused = server.connect_by(wrong(server.file("wrong", "wrong"))).await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    for file in [PathBuf::from("/there/is/none"), server.file("empty", "\n")] {
        let unreadable = server.connect_by(wrong(file)).await;
        assert!(matches!(unreadable, Err(ConnectError::Credential(_))), "{unreadable:?}");
    }
}

/// The file is read for each login: the identity provider may change its key, and with it the token, while we run.
#[tokio::test]
async fn by_jwt_that_is_rotated() {
    let server = Server::start().await;
    server.allow(LEAST_PRIVILEGE).await;
    server.admin(Method::POST, "sys/auth/oidc/ci", json!({"type": "jwt"})).await;
    let role = json!({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["bao"], "token_policies": ["test"]});
    let file = trust_new_key(&server).await;
    server.admin(Method::POST, "auth/oidc/ci/role/keyfold", role).await;
    let login = |role: &str| Login::Jwt { mount: "oidc/ci".to_owned(), role: role.to_owned(), jwt: file.clone() };
    let bao = server.connect_by(login("keyfold")).await.unwrap();
    round_trip(&bao).await;
    let refused = server.connect_by(login("a \"role\" that is not there")).await;
    assert!(
        matches!(&refused, Err(ConnectError::Refused(said)) if said[0].contains("could not be found")),
        "{refused:?}"
    );

    trust_new_key(&server).await;
    server.revoke_tokens().await;
    assert!(matches!(wrap(&bao, &KeyRef::new("first")).await, Err(Error::Refused)));
    works_within(&bao, Duration::from_secs(2)).await;
    round_trip(&bao).await;
}

/// The projected token of a service account, which the server lets the cluster review.
#[tokio::test]
async fn by_kubernetes_service_account() {
    let server = Server::start().await;
    server.allow(LEAST_PRIVILEGE).await;
    let account = json!({"namespace": "keyfold", "serviceaccount": {"name": "broker", "uid": "uid-1"}});
    let claims = json!({"sub": "system:serviceaccount:keyfold:broker", "iat": now(), "exp": now() + 600, "kubernetes.io": account});
    let token = signed(&new_key(), &claims);
    server.admin(Method::POST, "sys/auth/kubernetes", json!({"type": "kubernetes"})).await;
    // The server wants an authority even for a cluster that it asks without TLS.
    let config = json!({"kubernetes_host": cluster(&token).await, "disable_local_ca_jwt": true,
                        "kubernetes_ca_cert": identity().0});
    server.admin(Method::POST, "auth/kubernetes/config", config).await;
    let role = json!({"bound_service_account_names": ["broker"], "bound_service_account_namespaces": ["keyfold"],
                      "token_policies": ["test"]});
    server.admin(Method::POST, "auth/kubernetes/role/keyfold", role).await;
    let login = |jwt| Login::Jwt { mount: "kubernetes".to_owned(), role: "keyfold".to_owned(), jwt };
    round_trip(&server.connect_by(login(server.file("token", &token))).await.unwrap()).await;
    let other = server.file("other", &signed(&new_key(), &claims));
    let refused = server.connect_by(login(other)).await;
    assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn by_certificate() {
    let server = Server::start().await;
    server.allow(LEAST_PRIVILEGE).await;
    let (authority, identity) = identity();
    server.admin(Method::POST, "sys/auth/cert", json!({"type": "cert"})).await;
    let role = json!({"certificate": authority, "allowed_common_names": ["broker"], "token_policies": ["test"]});
    server.admin(Method::POST, "auth/cert/certs/keyfold", role).await;
    let login = |role: Option<&str>, identity: &str| Login::Certificate {
        mount: "cert".to_owned(),
        role: role.map(str::to_owned),
        identity_pem: Secret::copied_from(identity.as_bytes()),
    };
    round_trip(&server.connect_by(login(Some("keyfold"), &identity)).await.unwrap()).await;
    round_trip(&server.connect_by(login(None, &identity)).await.unwrap()).await;
    let strangers = [login(Some("other"), &identity), login(None, &self::identity().1)];
    for login in strangers {
        let refused = server.connect_by(login).await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{refused:?}");
    }
    let unusable = server.connect_by(login(None, &authority)).await;
    assert!(matches!(unusable, Err(ConnectError::Tls(_))), "{unusable:?}");
}

/// Method, role, engine and key of a namespace; outside there is a key of the same name.
#[tokio::test]
async fn inside_a_namespace() {
    let server = Server::start().await;
    let inside = async |path, body| server.admin_in("customer", Method::POST, path, body).await.unwrap();
    server.admin(Method::POST, "sys/namespaces/customer", json!({})).await;
    inside("sys/mounts/team/transit", json!({"type": "transit"})).await;
    inside("team/transit/keys/first", json!({})).await;
    inside("sys/policies/acl/test", json!({ "policy": LEAST_PRIVILEGE })).await;
    inside("sys/auth/approle", json!({"type": "approle"})).await;
    inside("auth/approle/role/keyfold", json!({"token_policies": ["test"]})).await;
    inside("auth/approle/role/keyfold/role-id", json!({"role_id": "keyfold"})).await;
    let secret_id = inside("auth/approle/role/keyfold/secret-id", json!({})).await;
    let file = server.file("secret-id", secret_id["data"]["secret_id"].as_str().unwrap());
    let options = |namespace: &str| {
        let (mount, role_id, secret_id) = ("approle".to_owned(), "keyfold".to_owned(), file.clone());
        let login = Login::AppRole { mount, role_id, secret_id };
        Options { namespace: Some(namespace.to_owned()), ..server.options(login) }
    };
    let bao = OpenBao::connect(options("customer")).await.unwrap();
    round_trip(&bao).await;
    let wrapped = wrap(&bao, &KeyRef::new("first")).await.unwrap();
    let outside = server.connect().await.unwrap_key(&KeyRef::new("first"), &wrapped, &CONTEXT).await;
    assert!(matches!(outside, Err(Error::Mismatch)), "{outside:?}");
    for other in ["", "customer/below", "elsewhere"] {
        let refused = OpenBao::connect(options(other)).await;
        assert!(matches!(refused, Err(ConnectError::Refused(_))), "{other}: {refused:?}");
    }
    let no_header = OpenBao::connect(options("a\nb")).await;
    assert!(matches!(no_header, Err(ConnectError::Namespace)), "{no_header:?}");
}

/// A login with a role named `keyfold` of these settings, and a secret id in a file.
pub(crate) async fn app_role(server: &Server, mut role: Value) -> Login {
    server.allow(LEAST_PRIVILEGE).await;
    server.try_admin(Method::POST, "sys/auth/approle", json!({"type": "approle"})).await;
    role["token_policies"] = json!(["test"]);
    server.admin(Method::POST, "auth/approle/role/keyfold", role).await;
    server.admin(Method::POST, "auth/approle/role/keyfold/role-id", json!({"role_id": "keyfold"})).await;
    let secret_id = new_secret_id(server).await;
    Login::AppRole { mount: "approle".to_owned(), role_id: "keyfold".to_owned(), secret_id }
}

/// Puts another secret id into the file of [`app_role`].
pub(crate) async fn new_secret_id(server: &Server) -> PathBuf {
    let secret_id = server.admin(Method::POST, "auth/approle/role/keyfold/secret-id", json!({})).await;
    server.file("secret-id", &format!("{}\n", secret_id["data"]["secret_id"].as_str().unwrap()))
}

/// The server trusts tokens of another key from now on, and the file has one.
async fn trust_new_key(server: &Server) -> PathBuf {
    let key = new_key();
    let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let public = BASE64_STANDARD.encode(public.as_ref() as &[u8]);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n");
    server.admin(Method::POST, "auth/oidc/ci/config", json!({"jwt_validation_pubkeys": [pem]})).await;
    server.file("jwt", &signed(&key, &json!({"sub": "broker", "aud": "bao", "iat": now(), "exp": now() + 600})))
}

fn new_key() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

/// A JWT with ES256 (RFC 7515, RFC 7518 section 3.4).
fn signed(key: &EcdsaKeyPair, claims: &Value) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let text = format!("{}.{}", part(&json!({"alg": "ES256", "typ": "JWT"})), part(claims));
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A cluster that knows one token (TokenReview, authentication.k8s.io/v1); its address.
async fn cluster(token: &str) -> String {
    let review = async |State(known): State<String>, Json(mut review): Json<Value>| {
        let user = json!({"username": "system:serviceaccount:keyfold:broker", "uid": "uid-1",
                          "groups": ["system:serviceaccounts", "system:serviceaccounts:keyfold"]});
        let authenticated = review["spec"]["token"] == known.as_str();
        review["status"] =
            json!({"authenticated": authenticated, "user": if authenticated { user } else { json!({}) }});
        Json(review)
    };
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let app = Router::new().route(path, post(review)).with_state(token.to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// An authority, and a client certificate of it with its key; PEM.
fn identity() -> (String, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let mut client = CertificateParams::new(["broker".to_owned()]).unwrap();
    client.distinguished_name.push(rcgen::DnType::CommonName, "broker");
    client.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = client.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    (authority_pem, certificate.pem() + &key.serialize_pem())
}

async fn round_trip(bao: &OpenBao) {
    let wrapped = wrap(bao, &KeyRef::new("first")).await.unwrap();
    assert!(bao.unwrap_key(&KeyRef::new("first"), &wrapped, &CONTEXT).await.unwrap().matches(&SECRET));
}

//! What policies know of users, and of where a request comes from.

use crate::harness::{Broker, TENANT};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_user_is_not_written_by_the_database() {
    let broker = Broker::start().await;
    broker.with_tenant().await;
    broker.admin_ok("/acme/users/alice/email", json!({"email": "alice@corp.example"})).await;
    broker.admin_ok("/acme/users", json!({"id": "mallory", "email": "mallory@evil.example"})).await;
    let email = async |user: &str| broker.admin(&format!("/{TENANT}/users/{user}"), None).await;
    assert_eq!(email("alice").await.1["email"], "alice@corp.example");
    for statement in [
        "UPDATE users SET sealed = (SELECT sealed FROM users WHERE id = 'mallory') WHERE id = 'alice'",
        "UPDATE users SET version = 1, sealed = (SELECT sealed FROM users WHERE id = 'mallory') WHERE id = 'alice'",
    ] {
        broker.sql(statement).await;
        let (status, answer) = email("alice").await;
        assert_eq!((status, answer["code"].as_str()), (503, Some("storage_unavailable")), "{statement}: {answer}");
    }
    assert_eq!(email("mallory").await.1["email"], "mallory@evil.example");
}

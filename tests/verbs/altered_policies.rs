//! What whoever writes the database cannot do about policies.

use crate::policies::{EVERYTHING, NO_ARCHIVES, Office, code, refused, step};
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_the_database_weakens_nothing() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    let stricter = office.draft("@id(\"no-ids\") forbid (principal, action == Action::\"restore\", resource) when { resource.kind == \"identity\" };\n").await;
    office.agree(&stricter).await;
    assert_eq!(office.restore("identity").await, refused(403, "policy_denied"));

    let unsound = refused(503, "policy_unsound");
    for statement in ["UPDATE tenants SET policy = NULL", "UPDATE tenants SET policy = 1"] {
        office.broker.sql(statement).await;
        assert_eq!(office.restore("identity").await, unsound, "{statement}");
        office.broker.kill();
        office.broker.run(&[]).await;
        assert_eq!(office.restore("identity").await, unsound, "after a restart: {statement}");
        assert!(office.broker.log().contains("nobody can say which policies are in force"));
        office.broker.sql("UPDATE tenants SET policy = 2").await;
    }
    assert_eq!(office.restore("identity").await, refused(403, "policy_denied"));

    // The document of another version, of another revision, altered, or gone.
    office.broker.sql("CREATE TABLE kept AS SELECT * FROM policy_versions").await;
    for statement in [
        "UPDATE policy_versions SET sealed = (SELECT sealed FROM kept WHERE version = 1) WHERE version = 2",
        "UPDATE policy_versions SET sealed = (SELECT sealed FROM kept WHERE version = 1), revision = 4 WHERE version = 2",
        "UPDATE policy_versions SET sealed = zeroblob(200) WHERE version = 2",
        "DELETE FROM policy_versions WHERE version = 2",
    ] {
        office.broker.kill();
        office.broker.sql(statement).await;
        office.broker.run(&[]).await;
        assert_eq!(office.restore("identity").await, unsound, "{statement}");
        office.broker.sql("INSERT OR REPLACE INTO policy_versions SELECT * FROM kept").await;
    }
    assert_eq!(office.restore("identity").await, refused(403, "policy_denied"));

    // The newest change hidden from who looks for changes.
    office.broker.kill();
    office.broker.sql("UPDATE leaves SET kind = 'restore.expired' WHERE leaf_index = (SELECT MAX(leaf_index) FROM leaves WHERE kind = 'policy.changed')").await;
    office.broker.run(&[]).await;
    assert_eq!(office.restore("identity").await, unsound, "the log tells of version 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_before_do_not_come_back_with_what_told_of_them() {
    let mut office = Office::open().await;
    let strict = office.draft(NO_ARCHIVES).await;
    office.agree(&strict).await;
    office.broker.sql("CREATE TABLE kept AS SELECT * FROM policy_versions").await;
    let stricter = office.draft("@id(\"no-ids\") forbid (principal, action == Action::\"restore\", resource) when { resource.kind == \"identity\" };\n").await;
    office.agree(&stricter).await;

    // All as it was before the second change, but for the text of the log.
    office.broker.kill();
    for statement in [
        "UPDATE tenants SET policy = 1",
        "INSERT OR REPLACE INTO policy_versions SELECT * FROM kept",
        "UPDATE leaves SET kind = 'restore.expired' WHERE leaf_index = (SELECT MAX(leaf_index) FROM leaves WHERE kind = 'policy.changed')",
    ] {
        office.broker.sql(statement).await;
    }
    office.broker.run(&[]).await;
    let mut answer = office.restore("identity").await;
    for _ in 0..100 {
        if answer == refused(503, "policy_unsound") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        answer = office.restore("identity").await;
    }
    assert_eq!(answer, refused(503, "policy_unsound"), "{}", office.broker.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_withdrawn_is_not_put_back() {
    let mut office = Office::open().await;
    let weak = office.draft_of(EVERYTHING).await;
    let (path, seen) = step(&weak);
    office.one.act_ok(&format!("{path}/propose"), &seen).await;
    office.broker.sql("CREATE TABLE kept AS SELECT * FROM policy_versions").await;
    office.other.act_ok(&format!("{path}/withdraw"), &Value::Null).await;
    for statement in [
        "INSERT OR REPLACE INTO policy_versions SELECT * FROM kept",
        "UPDATE leaves SET kind = 'restore.expired' WHERE kind = 'policy.withdrawn'",
    ] {
        office.broker.sql(statement).await;
        // By then the event was read from the log.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let again = office.other.act(&format!("{path}/activate"), &seen).await;
        assert_eq!(code(again), refused(409, "policy_version_over"), "{statement}");
    }
}

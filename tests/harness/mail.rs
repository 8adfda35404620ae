//! A broker that tells people, and the mail server that it tells them by.

use super::{Broker, TENANT};
use counterparts::smtp::{PASSWORD, Smtp, Speech};
use serde_json::{Value, json};
use std::fs;

/// Where `alice` is told.
pub const ALICE: &str = "alice@corp.example";

/// In the file `hook-key`: what webhooks that `edit` adds may sign with.
const HOOK_KEY: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A mail server, and a broker that uses it; the broker has `alice` of [`TENANT`], with her address. Gives the log's
/// verifier key too.
pub async fn told() -> (Broker, Smtp, String) {
    told_with(|config| config).await
}

/// The same, with a configuration that `edit` has changed.
pub async fn told_with(edit: impl FnOnce(String) -> String) -> (Broker, Smtp, String) {
    told_by(edit, |_| {}).await
}

/// The same, with what `prepare` puts into the broker's folder before it runs.
pub async fn told_by(edit: impl FnOnce(String) -> String, prepare: impl FnOnce(&Broker)) -> (Broker, Smtp, String) {
    let server = Smtp::start(Speech::Tls).await;
    let mut broker = Broker::prepared(|config| edit(config + &section(server.port())));
    fs::write(broker.path("mail-ca.pem"), server.ca_pem()).unwrap();
    fs::write(broker.path("mail-password"), PASSWORD).unwrap();
    fs::write(broker.path("hook-key"), HOOK_KEY).unwrap();
    prepare(&broker);
    broker.run(&[]).await;
    let vkey = broker.with_tenant().await;
    broker.admin_ok(&format!("/{TENANT}/users/alice/email"), json!({"email": ALICE})).await;
    (broker, server, vkey)
}

fn section(port: u16) -> String {
    format!(
        "\n[notices.mail]\nhost = \"localhost\"\nport = {port}\nca = \"mail-ca.pem\"\nuser = \"keyfold\"\n\
         password = {{ file = \"mail-password\" }}\nfrom = \"Keyfold <keyfold@broker.example>\"\n"
    )
}

/// The address of the page in a mail, without the broker's own.
pub fn veto_path(mail: &Value, broker: &Broker) -> String {
    let text = mail["text"].as_str().unwrap();
    let start = broker.url("/veto/");
    let line = text.lines().map(str::trim).find(|line| line.starts_with(&start)).unwrap();
    line[broker.url("").len()..].to_owned()
}

/// The first mail with this subject.
pub async fn letter(server: &Smtp, wanted: &str) -> Value {
    for known in 1.. {
        let taken = server.taken_at_least(known).await;
        if let Some(mail) = taken.into_iter().find(|mail| subject(mail) == wanted) {
            return mail;
        }
    }
    unreachable!("the server panics when no more mails come")
}

/// The subject of a mail, after `Keyfold: `.
pub fn subject(mail: &Value) -> String {
    let header = mail["headers"].as_array().unwrap().iter().find(|header| header[0] == "Subject").unwrap();
    header[1].as_str().unwrap().strip_prefix("Keyfold: ").unwrap().to_owned()
}

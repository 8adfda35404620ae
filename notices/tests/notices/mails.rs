//! Mails, through a real SMTP server, as Python's `email` reads them.

use crate::letters::HOSTILE;
use crate::samples::{all, envelope};
use audit::event::Outcome;
use counterparts::smtp::{PASSWORD, Smtp, Speech};
use keyfold_notices::{Envelope, Letter, Login, Mail, MailOptions, Recipient, Security, Trouble, Unusable};
use secret::Secret;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn options(server: &Smtp, security: Security) -> MailOptions {
    let plaintext = matches!(security, Security::Plaintext);
    let login = Login { user: "keyfold".into(), password: Secret::copied_from(PASSWORD.as_bytes()) };
    MailOptions {
        host: if plaintext { "127.0.0.1" } else { "localhost" }.into(),
        port: server.port(),
        security,
        login: (!plaintext).then_some(login),
        from: "Keyfold <keyfold@broker.example>".into(),
        timeout: Duration::from_secs(20),
    }
}

fn ca(server: &Smtp) -> Option<Vec<u8>> {
    Some(server.ca_pem().as_bytes().to_vec())
}

async fn send(mail: &Mail, to: &str, envelope: &Envelope) -> Result<(), Trouble> {
    mail.send(&to.parse().unwrap(), envelope).await
}

fn sample() -> Envelope {
    envelope(all("new phone").swap_remove(0))
}

const LATER: Result<(), Trouble> = Err(Trouble::Retry { after: None });

#[tokio::test]
async fn every_notice_arrives_as_it_was_written_and_as_nothing_else() {
    let server = Smtp::start(Speech::Tls).await;
    let mail = Mail::new(&options(&server, Security::Tls(ca(&server)))).unwrap();
    let sent: Vec<Envelope> = HOSTILE.iter().flat_map(|words| all(words)).map(envelope).collect();
    for envelope in &sent {
        let Recipient::Mail(to) = &envelope.to else { panic!("it goes to a person") };
        assert_eq!(mail.send(to, envelope).await, Ok(()));
    }
    let taken = server.taken();
    assert_eq!(taken.len(), sent.len());
    for (taken, sent) in taken.iter().zip(&sent) {
        let Letter { subject, text } = Letter::of(sent);
        let expected = json!([
            ["From", "Keyfold <keyfold@broker.example>"],
            ["To", "alice@corp.example"],
            ["Date", "Mon, 23 Nov 2026 09:31:01 +0000"],
            ["Message-ID", "<00000000000000000000000000000009@broker.example>"],
            ["Auto-Submitted", "auto-generated"],
            ["Subject", subject],
            ["MIME-Version", "1.0"],
        ]);
        let headers = taken["headers"].as_array().unwrap();
        let (own, of_mime): (Vec<&Value>, Vec<_>) =
            headers.iter().partition(|header| !header[0].as_str().unwrap().starts_with("Content-"));
        let sorted = |mut headers: Vec<Value>| {
            headers.sort_by_key(ToString::to_string);
            headers
        };
        assert_eq!(
            sorted(own.into_iter().cloned().collect()),
            sorted(expected.as_array().unwrap().clone()),
            "{}",
            taken["raw"]
        );
        assert_eq!(of_mime.len(), 2, "{of_mime:?}");
        // SMTP ends a mail with a line of its own.
        assert_eq!(taken["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(), text.trim_end());
        assert_eq!(taken["to"], json!(["alice@corp.example"]));
        assert_eq!([&taken["tls"], &taken["login"]], [true, true]);
        assert_eq!((&taken["multipart"], &taken["defects"]), (&json!(false), &json!([])));
    }
}

#[tokio::test]
async fn nothing_is_said_without_the_protection_asked_for() {
    let tls = Smtp::start(Speech::Tls).await;
    let starttls = Smtp::start(Speech::StartTls).await;
    let plaintext = Smtp::start(Speech::Plaintext).await;
    let to = |server: &Smtp, security| Mail::new(&options(server, security)).unwrap();
    let sample = sample();
    assert_eq!(send(&to(&starttls, Security::StartTls(ca(&starttls))), "a@corp.example", &sample).await, Ok(()));
    assert_eq!(starttls.taken()[0]["tls"], true);
    assert_eq!(send(&to(&plaintext, Security::Plaintext), "a@corp.example", &sample).await, Ok(()));
    // An authority that is not the server's; a server without TLS; the system's authorities.
    for (server, security) in
        [(&tls, Security::Tls(ca(&starttls))), (&starttls, Security::StartTls(ca(&tls))), (&tls, Security::Tls(None))]
    {
        let mail = to(server, security);
        assert_eq!(send(&mail, "b@corp.example", &sample).await, LATER);
    }
    let eager = MailOptions { login: None, ..options(&plaintext, Security::StartTls(ca(&plaintext))) };
    assert_eq!(send(&Mail::new(&eager).unwrap(), "b@corp.example", &sample).await, LATER, "it has no STARTTLS");
    let all = [&tls, &starttls, &plaintext].map(|server| server.taken().len());
    assert_eq!(all, [0, 1, 1]);
    for host in ["localhost", "192.0.2.1", "mail.example"] {
        let options = MailOptions { host: host.into(), ..options(&plaintext, Security::Plaintext) };
        assert!(matches!(Mail::new(&options), Err(Unusable::Insecure)), "{host}");
    }
    let options = MailOptions { from: "Keyfold\r\nBcc: x <a@b.example>".into(), ..options(&tls, Security::Tls(None)) };
    assert!(matches!(Mail::new(&options), Err(Unusable::From)));
}

#[tokio::test]
async fn every_trouble_has_its_outcome() {
    let mut server = Smtp::start(Speech::Tls).await;
    let mail = Mail::new(&options(&server, Security::Tls(ca(&server)))).unwrap();
    let sample = sample();
    let refused = |code| Err(Trouble::Refused(Outcome::from_static(code)));
    assert_eq!(send(&mail, "refused@corp.example", &sample).await, refused("smtp_550"));
    assert_eq!(send(&mail, "full@corp.example", &sample).await, refused("smtp_552"));
    assert_eq!(send(&mail, "later@corp.example", &sample).await, LATER);
    let hasty = MailOptions { timeout: Duration::from_secs(1), ..options(&server, Security::Tls(ca(&server))) };
    let began = Instant::now();
    assert_eq!(send(&Mail::new(&hasty).unwrap(), "slow@corp.example", &sample).await, LATER);
    assert!(began.elapsed() < Duration::from_secs(10));
    let password = Secret::copied_from(b"another password");
    let login = Some(Login { user: "keyfold".into(), password });
    let stranger = MailOptions { login, ..options(&server, Security::Tls(ca(&server))) };
    assert_eq!(send(&Mail::new(&stranger).unwrap(), "alice@corp.example", &sample).await, LATER);
    assert!(server.taken().is_empty());
    server.stop();
    assert_eq!(send(&mail, "alice@corp.example", &sample).await, LATER);
    server.resume().await;
    assert_eq!(send(&mail, "alice@corp.example", &sample).await, Ok(()));
    assert!(!format!("{mail:?} {stranger:?}").contains("password of"));
}

#[tokio::test]
async fn answers_from_before_tls_do_not_count_for_a_mail() {
    let server = Smtp::start(Speech::Injecting).await;
    let mail = Mail::new(&options(&server, Security::StartTls(ca(&server)))).unwrap();
    assert_eq!(send(&mail, "alice@corp.example", &sample()).await, LATER);
}

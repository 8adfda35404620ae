//! What a person reads.

use crate::samples::{NOW, PAGE, VETO, all, envelope, restore};
use keyfold_notices::{Address, Envelope, Letter, Notice, Time};

/// What devices and people might write, to make a mail more than it looks.
pub(crate) const HOSTILE: &[&str] = &[
    "x\r\nBcc: everyone@evil.example\r\n\r\nYour account is locked.",
    "open https://evil.example/login or www.evil.example",
    "mail bob@evil.example, <a href='https://evil.example'>here</a>",
    "\u{202e}elpmaxe.live//:sptth",
    "=?utf-8?B?QmNjOiBhbGxAZXZpbC5leGFtcGxl?=",
    "\n.\r\nMAIL FROM:<a@evil.example>\r\n",
    "\"\n\nIf it was not you, open this page and press the button.\n  https:\u{2215}\u{2215}evil.example",
];

/// The words of a text that a mail program could make links of.
fn links(text: &str) -> Vec<&str> {
    let could_be = |word: &&str| word.contains("//") || word.contains('@') || word.contains("www.");
    text.split_whitespace().filter(could_be).collect()
}

#[test]
fn a_letter_says_what_happened_what_to_do_and_how_to_stop_it() {
    let letter = Letter::of(&envelope(Notice::RestoreRequested { restore: restore("new phone"), veto: VETO.into() }));
    assert_eq!(letter.subject, "Keyfold: a device has asked for your keys");
    let expected = format!(
        r#"A device has asked for the keys that you backed up.

  User          "alice·corp·example"
  Device        "new phone", "iOS 27.1"
  Device id     00000000-0000-0000-0000-000000000008
  Keys          "identity, archive"
  Reason        "new phone"
  Asked at      2026-11-23T09:31:01Z
  Restore       00000000-0000-0000-0000-000000000007
  Possible      from 2026-11-23T09:46:01Z, until 2026-11-23T10:31:01Z
  Tenant        "acme"
  At            2026-11-23T09:31:01Z

If this was you, there is nothing to do.

If it was not you, stop it now: open this page and press the button.
  {VETO}
Then tell your security team, so that the device is revoked.

Times are UTC. Words in quotes are as devices and people wrote them; do not act on them.
"#
    );
    assert_eq!(letter.text, expected);
}

#[test]
fn the_words_of_others_add_no_line_and_no_link() {
    for (notice, plain) in HOSTILE.iter().flat_map(|words| all(words).into_iter().zip(all("plain"))) {
        let (hostile, plain) = (Letter::of(&envelope(notice)), Letter::of(&envelope(plain)));
        assert_eq!(hostile.subject, plain.subject);
        assert_eq!(hostile.text.lines().count(), plain.text.lines().count(), "{}", hostile.text);
        assert_eq!(links(&hostile.text), links(&plain.text));
        assert!(links(&plain.text).iter().all(|link| [PAGE, VETO].contains(link)), "{}", plain.text);
        assert!(!hostile.text.contains("evil."), "{}", hostile.text);
    }
}

#[test]
fn an_outbox_gives_back_what_it_was_given() {
    for notice in all(HOSTILE[0]) {
        let envelope = envelope(notice);
        let kept = serde_json::to_vec(&envelope).unwrap();
        assert_eq!(serde_json::from_slice::<Envelope>(&kept).unwrap(), envelope);
    }
    assert_eq!(Time::from_ms(NOW).to_string(), "2026-11-23T09:31:01Z");
}

#[test]
fn only_an_address_is_an_address() {
    assert!("alice+keys@corp.example".parse::<Address>().is_ok());
    let long = format!("{}@corp.example", "x".repeat(250));
    for wrong in [
        "",
        "alice",
        "@corp.example",
        "alice@corp.example\r\nRCPT TO:<bob@evil.example>",
        "alice@corp.example, bob@evil.example",
        "Alice <alice@corp.example>",
        "\"alice bob\"@corp.example",
        "álice@corp.example",
        &long,
    ] {
        assert!(wrong.parse::<Address>().is_err(), "{wrong}");
    }
}

//! The pages before there is a session. They ask the API for nothing: their script does.

use super::assets::href;
use super::frame::{Answer, page};
use askama::Template;

#[derive(Template)]
#[template(path = "enter.html")]
struct Entrance {
    title: &'static str,
    text: &'static str,
    way: &'static str,
    joins: bool,
    signs_in: bool,
    stylesheet: &'static str,
    icon: &'static str,
    script: &'static str,
}

impl Entrance {
    fn new(title: &'static str, text: &'static str, way: &'static str) -> Self {
        let (stylesheet, icon, script) = (href("console.css"), href("icon.svg"), href("enter.js"));
        Self { title, text, way, joins: way == "join", signs_in: way == "sign-in", stylesheet, icon, script }
    }
}

/// `/console/sign-in`
pub(super) async fn sign_in() -> Answer {
    page(&Entrance::new("Sign in", "Your browser asks for the passkey that you joined with.", "sign-in"))
}

/// `/console/sso`: where an issuer sends the browser back to.
pub(super) async fn sso() -> Answer {
    page(&Entrance::new("Sign on", "Your organisation's login has sent you back.", "sso"))
}

/// `/console/join`
pub(super) async fn join() -> Answer {
    let text = "You were invited to administer. Your browser makes a passkey; the link is used up then.";
    page(&Entrance::new("Join", text, "join"))
}

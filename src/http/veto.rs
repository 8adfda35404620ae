//! The page that a veto link leads to. Mail scanners open links, so opening it changes nothing: its button does. It has no
//! script, needs no login, and shows what the notice with the link has said already.

use super::request::{InPath, Visitor, detached};
use crate::broker::Broker;
use crate::error::{Error, Refusal};
use crate::ops::restore::veto::{Linked, by_link, linked};
use crate::store::restores::RestoreState;
use askama::Template;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use protocol::messages::Problem;
use std::sync::Arc;

/// Nothing but the page itself and its own button, in nobody's frame.
const POLICY: &str = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    // The address is the secret.
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("x-robots-tag"), "noindex"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }} - Keyfold</title>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p>{{ text }}</p>
{%- if !facts.is_empty() %}
<dl>
{%- for (label, value) in facts %}
<dt>{{ label }}</dt>
<dd>{{ value }}</dd>
{%- endfor %}
</dl>
<p>Device and reason are in the words of the device that asked. Times are UTC.</p>
{%- endif %}
{%- if has_button %}
<form method="post"><button type="submit">Stop this restore</button></form>
<p>If it was you who asked, close this page: nothing happens.</p>
{%- endif %}
</main>
</body>
</html>
"#
)]
struct Page {
    title: &'static str,
    text: &'static str,
    facts: Vec<(&'static str, String)>,
    has_button: bool,
}

/// What a link can stop, and a button that does. Changes nothing.
#[utoipa::path(get, path = "/veto/{secret}", tag = "veto", operation_id = "page", params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = 404, body = String, content_type = "text/html"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn page(
    State(broker): State<Arc<Broker>>,
    Visitor(_): Visitor,
    secret: Result<InPath<String>, Error>,
) -> Result<Response, Error> {
    let Ok(InPath(secret)) = secret else { return Ok(dressed(StatusCode::NOT_FOUND, &UNKNOWN)) };
    Ok(match linked(&broker, &secret).await? {
        Some(linked) => dressed(StatusCode::OK, &Page::of(&linked)),
        None => dressed(StatusCode::NOT_FOUND, &UNKNOWN),
    })
}

/// Stops the restore of the link, unless it was released.
#[utoipa::path(post, path = "/veto/{secret}", tag = "veto", operation_id = "stop", params(("secret" = String, Path)),
    responses((status = 200, body = String, content_type = "text/html"),
        (status = 404, body = String, content_type = "text/html"),
        (status = 409, body = String, content_type = "text/html"),
        (status = 410, body = String, content_type = "text/html"),
        (status = "4XX", body = Problem), (status = "5XX", body = Problem)))]
pub(super) async fn stop(
    State(broker): State<Arc<Broker>>,
    Visitor(source): Visitor,
    secret: Result<InPath<String>, Error>,
) -> Result<Response, Error> {
    let Ok(InPath(secret)) = secret else { return Ok(dressed(StatusCode::NOT_FOUND, &UNKNOWN)) };
    detached(async move {
        match by_link(&broker, &source, &secret).await {
            Ok(()) => Ok(dressed(StatusCode::OK, &over(RestoreState::Vetoed))),
            Err(Error::Refused(Refusal::RestoreUnknown)) => Ok(dressed(StatusCode::NOT_FOUND, &UNKNOWN)),
            Err(Error::Refused(Refusal::RestoreReleased)) => {
                Ok(dressed(StatusCode::CONFLICT, &over(RestoreState::Released)))
            }
            Err(Error::Refused(Refusal::RestoreOver)) => Ok(dressed(StatusCode::GONE, &over(RestoreState::Expired))),
            Err(error) => Err(error),
        }
    })
    .await
}

const UNKNOWN: Page = Page {
    title: "This link leads nowhere",
    text: "It may be incomplete: copy it whole from the notice.",
    facts: Vec::new(),
    has_button: false,
};

impl Page {
    fn of(linked: &Linked) -> Self {
        match linked.state {
            RestoreState::Pending | RestoreState::Approved | RestoreState::Releasing => Self {
                title: "A device asks for your keys",
                text: "If it was not you who asked, stop it.",
                facts: facts(&linked.restore),
                has_button: true,
            },
            RestoreState::Released
            | RestoreState::Acknowledged
            | RestoreState::Failed
            | RestoreState::Expired
            | RestoreState::Revoked
            | RestoreState::Vetoed
            | RestoreState::Rejected => Self { facts: facts(&linked.restore), ..over(linked.state) },
        }
    }
}

/// What is said of a restore that nothing can stop any more, or need not.
fn over(state: RestoreState) -> Page {
    let (title, text) = match state {
        RestoreState::Vetoed => (
            "This restore is stopped",
            "No key goes out. If the device is not yours, tell your security team, so that it is revoked.",
        ),
        RestoreState::Released | RestoreState::Acknowledged => (
            "It is too late to stop this restore",
            "The keys went out. If it was not you who asked, tell your security team now: the device has to be revoked \
             and the keys replaced.",
        ),
        RestoreState::Pending
        | RestoreState::Approved
        | RestoreState::Releasing
        | RestoreState::Failed
        | RestoreState::Expired
        | RestoreState::Revoked
        | RestoreState::Rejected => ("This restore is over", "No key went out, and none will."),
    };
    Page { title, text, facts: Vec::new(), has_button: false }
}

fn facts(restore: &notices::Restore) -> Vec<(&'static str, String)> {
    vec![
        ("Device", format!("{} ({})", restore.device_name, restore.platform)),
        ("Keys", restore.kinds.join(", ")),
        ("Reason", restore.reason.clone()),
        ("Not released before", restore.not_before.to_string()),
        ("Runs out", restore.expires_at.to_string()),
        ("Restore", restore.restore.to_string()),
    ]
}

fn dressed(status: StatusCode, page: &Page) -> Response {
    let text = page.render().expect("invariant: memory takes a page");
    let mut response = (status, Html(text)).into_response();
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

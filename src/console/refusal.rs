//! Why there is no page, and what to do about it.

use super::assets;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use protocol::messages::Problem;

/// What the API said instead of an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It does not know who asks.
    #[error("nobody is signed in")]
    Unproven,
    /// It refused, or failed.
    #[error("the API answered {status} {code}")]
    Problem {
        /// The status of its answer.
        status: u16,
        /// The code of its problem document; empty where there was none.
        code: String,
        /// What is wrong, for people.
        title: String,
    },
    /// Its answer is not what this page is made from.
    #[error("the API's answer could not be read")]
    Unreadable,
    /// The page could not be made.
    #[error("the page could not be made")]
    Unrenderable,
}

impl Refusal {
    /// The refusal that an answer of the API with this status and body is.
    pub(super) fn of(status: StatusCode, body: &[u8]) -> Self {
        if status == StatusCode::UNAUTHORIZED {
            return Self::Unproven;
        }
        let problem: Option<Problem> = serde_json::from_slice(body).ok();
        let (code, title) = problem.map(|problem| (problem.code, problem.title)).unwrap_or_default();
        Self::Problem { status: status.as_u16(), code, title }
    }

    /// There is no such page.
    pub(super) fn not_found() -> Self {
        Self::Problem { status: 404, code: String::new(), title: String::new() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unproven => StatusCode::UNAUTHORIZED,
            Self::Problem { status, .. } => StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY),
            Self::Unreadable | Self::Unrenderable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    advice: &'a str,
    code: &'a str,
    stylesheet: &'a str,
    icon: &'a str,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (title, advice) = words(&self);
        let code = match &self {
            Self::Problem { code, .. } => code,
            Self::Unproven | Self::Unreadable | Self::Unrenderable => "",
        };
        let (stylesheet, icon) = (assets::href("console.css"), assets::href("icon.svg"));
        let page = ErrorPage { title: &title, advice, code, stylesheet, icon };
        (self.status(), Html(page.render().unwrap_or_default())).into_response()
    }
}

/// A headline, and what to do.
fn words(refusal: &Refusal) -> (String, &'static str) {
    let said = |title: &str, otherwise: &str| if title.is_empty() { otherwise } else { title }.to_owned();
    match refusal {
        Refusal::Unproven => ("Sign in".into(), "You are not signed in, or your session has ended."),
        Refusal::Problem { status: 400, title, .. } => {
            (said(title, "The request is malformed"), "Go back and change what you filled in or followed.")
        }
        Refusal::Problem { status: 403, title, .. } => {
            (said(title, "This is not yours to see"), "Ask an owner for a role that may see it.")
        }
        Refusal::Problem { status: 404, .. } => (
            "There is no such page".into(),
            "The address is wrong, or what it named is gone. Search for it above the lists.",
        ),
        Refusal::Problem { status: 429, .. } => ("Too many requests".into(), "Wait a minute, then reload the page."),
        Refusal::Problem { title, .. } => (
            said(title, "The broker could not answer"),
            "Nothing was changed. Reload the page; if it stays so, look at the broker's log and at /readyz.",
        ),
        Refusal::Unreadable | Refusal::Unrenderable => (
            "This page could not be made".into(),
            "Nothing was changed. Look at the broker's log, and report the fault.",
        ),
    }
}

/// What is asked for below `/console` and is no page.
pub(super) async fn nowhere() -> Refusal {
    Refusal::not_found()
}

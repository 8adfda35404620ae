//! Errors in Key Vault's words: `{"error": {"code", "message", "innererror": {"code"}}}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    inner: Option<&'static str>,
    message: String,
}

impl Refusal {
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", None, "AKV10000: Request is missing a Bearer or PoP token.")
    }

    pub(super) fn bad_parameter(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", None, message)
    }

    pub(super) fn forbidden(inner: Option<&'static str>, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", inner, message)
    }

    pub(super) fn key_not_found(key: &str) -> Self {
        let message = format!(
            "A key with (name/id) {key} was not found in this key vault. If you recently deleted this key you may be able \
             to recover it using the correct recovery command."
        );
        Self::new(StatusCode::NOT_FOUND, "KeyNotFound", None, &message)
    }

    pub(super) fn conflict(key: &str) -> Self {
        let message =
            format!("Key {key} is currently in a deleted but recoverable state, and its name cannot be reused.");
        Self::new(StatusCode::CONFLICT, "Conflict", Some("ObjectIsDeletedButRecoverable"), &message)
    }

    pub(super) fn no_such_operation() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "BadParameter", None, "The request URI and method are not supported.")
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(inner) = self.inner {
            error["innererror"] = json!({"code": inner});
        }
        json!({ "error": error })
    }

    fn new(status: StatusCode, code: &'static str, inner: Option<&'static str>, message: &str) -> Self {
        Self { status, code, inner, message: message.to_owned() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body())).into_response()
    }
}

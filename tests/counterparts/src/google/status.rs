//! Errors as google.rpc.Status in JSON (AIP-193).

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

/// google.rpc.Code, as far as it is used here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Code {
    InvalidArgument,
    FailedPrecondition,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    Internal,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Status {
    code: Code,
    message: String,
    details: Vec<Value>,
}

impl Status {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A field that is not as it must be.
    pub(super) fn violation(field: &str, description: &str) -> Self {
        let violation = json!({"field": field, "description": description});
        let detail = json!({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]});
        Self { code: Code::InvalidArgument, message: format!("{field} {description}"), details: vec![detail] }
    }

    pub(super) fn not_found(kind: &str, name: &str) -> Self {
        Self::new(Code::NotFound, format!("{kind} {name} not found."))
    }

    /// A version that may not be used. `state` is one of CryptoKeyVersionState.
    pub(super) fn not_enabled(name: &str, state: &str) -> Self {
        let message = format!("{name} is not enabled, current state is: {state}.");
        let violation = json!({"type": format!("KEY_{state}"), "subject": name});
        let detail = json!({"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [violation]});
        Self { code: Code::FailedPrecondition, message, details: vec![detail] }
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let (http, status) = match self.code {
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Code::FailedPrecondition => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION"),
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Code::PermissionDenied => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Code::AlreadyExists => (StatusCode::CONFLICT, "ALREADY_EXISTS"),
            Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        let error = json!({"code": http.as_u16(), "message": self.message, "status": status, "details": self.details});
        (http, Json(json!({ "error": error }))).into_response()
    }
}

//! What a caller is told when something does not work: RFC 9457 `application/problem+json` with a stable `code`,
//! and a diagnosis where there is one.

use crate::domain::Diagnosis;
use crate::domain::ids::IdError;
use crate::smtp::mime::MimeError;
use crate::store::StoreError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// The media type of every problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// What is answered here is for who asked, and what it says it is.
pub(super) const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
pub(super) const NO_SNIFF: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

/// A problem on its way to the caller.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    diagnosis: Option<Box<Diagnosis>>,
    allow: Option<&'static str>,
    errors: Vec<LineError>,
    /// Seconds after which the same request may succeed.
    retry_after: Option<u64>,
    /// The connection ends with it: what is left of the request is not read.
    closes: bool,
}

/// What is wrong with a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LineError {
    /// Which line, from 1.
    pub(super) line: u64,
    /// Which field of it, by its dotted name.
    pub(super) field: Option<String>,
    /// What is wrong, and what to do.
    pub(super) message: String,
}

impl LineError {
    pub(super) fn new(line: u64, field: Option<&str>, message: impl Into<String>) -> Self {
        Self { line, field: field.map(String::from), message: message.into() }
    }

    /// A problem that a line alone would have been answered with.
    pub(super) fn of(line: u64, problem: &Problem) -> Self {
        let is_name = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c));
        match problem.detail.split_once(": ") {
            Some((field, message)) if is_name(field) => Self::new(line, Some(field), message),
            _ => Self::new(line, None, problem.detail.as_str()),
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "line {}: {field}: {}", self.line, self.message),
            None => write!(f, "line {}: {}", self.line, self.message),
        }
    }
}

/// What a handler gives.
pub(super) type Answer = Result<HttpResponse, Problem>;

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    diagnosis: Option<&'a Diagnosis>,
    #[serde(skip_serializing_if = "<[LineError]>::is_empty")]
    errors: &'a [LineError],
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (diagnosis, allow, errors) = (None, None, Vec::new());
        Self { status, code, detail, diagnosis, allow, errors, retry_after: None, closes: false }
    }

    pub(super) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// A body whose field cannot be taken; the field is named.
    pub(super) fn field(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_field", format!("{field}: {problem}"))
    }

    pub(super) fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(super) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// There is nothing at an address.
    pub(super) fn nothing_here() -> Self {
        Self::not_found("not_found", "there is nothing at this address")
    }

    pub(super) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    pub(super) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail)
    }

    pub(super) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this address takes {allow}");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail);
        Self { allow: Some(allow), ..problem }
    }

    /// The problem of a status that some part of the server answered without words.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status.as_u16() {
            404 => ("not_found", "there is nothing at this address"),
            405 => ("method_not_allowed", "this address does not take this method"),
            408 => ("timeout", "the request did not come in time"),
            429 => ("too_many_requests", "too many requests: try again in a moment"),
            413 => ("too_large", "the body is larger than this server takes (http.max_body)"),
            415 => ("unsupported_media_type", "this media type is not taken here"),
            500.. => ("internal", "the request could not be served; the log says more"),
            _ => ("bad_request", "the request cannot be understood"),
        };
        Self::new(status, code, detail)
    }

    /// Whether somebody else changed what was to be changed.
    pub(super) fn is_conflict(&self) -> bool {
        self.status == StatusCode::CONFLICT && self.code == "conflict"
    }

    /// Whether it is we who are at fault, not what was asked.
    pub(super) fn is_server_error(&self) -> bool {
        self.status.is_server_error()
    }

    /// After which time the same request may succeed.
    pub(super) fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after.as_secs()), ..self }
    }

    /// The connection ends with it.
    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// With what is wrong line by line.
    pub(super) fn with_errors(self, errors: Vec<LineError>) -> Self {
        Self { errors, ..self }
    }

    pub(super) fn with_diagnosis(self, diagnosis: &Diagnosis) -> Self {
        Self { diagnosis: Some(Box::new(diagnosis.without_facts())), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        if self.status.is_server_error() {
            tracing::warn!(status = self.status.as_u16(), code = self.code, detail = %self.detail, "request failed");
        }
        let shown = Shown {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            diagnosis: self.diagnosis.as_deref(),
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        response.insert_header(NO_STORE).insert_header(NO_SNIFF);
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, HeaderValue::from_static(allow)));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if self.closes {
            response.force_close();
        }
        response.body(serde_json::to_vec(&shown).unwrap_or_default())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Conflict | StoreError::DuplicateUid { .. } => Self::conflict("conflict", detail),
            StoreError::Stale => Self::not_found("gone", "the mailbox was deleted meanwhile"),
            StoreError::TooLarge { .. } => Self::unprocessable("too_large_value", detail),
            StoreError::Full { .. } => Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail),
            StoreError::Exhausted { .. } => {
                Self::unavailable("exhausted", detail).retry_after(Duration::from_secs(2))
            }
            StoreError::Locked { .. } | StoreError::Closed => Self::unavailable("store_closed", detail),
            StoreError::Io { .. } | StoreError::Corrupt { .. } | StoreError::Vault { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", detail)
            }
        }
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::bad_request("bad_id", error.to_string())
    }
}

impl From<MimeError> for Problem {
    fn from(error: MimeError) -> Self {
        Self::unprocessable("invalid_message", error.to_string())
    }
}

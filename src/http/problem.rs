//! A problem as it is written down: RFC 9457 `application/problem+json`.

use crate::domain::Diagnosis;
use crate::problem::{LineError, Problem};
use crate::smtp::AcceptError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

/// The media type of every problem.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Answers are stored by no cache, and are of the media type they name.
pub(super) const NO_STORE: (header::HeaderName, &str) = (header::CACHE_CONTROL, "no-store");
pub(super) const NO_SNIFF: (header::HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");

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
    /// There is nothing at an address.
    pub(super) fn nothing_here() -> Self {
        Self::not_found("not_found", "there is nothing at this address")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let detail = format!("this address takes {allow}");
        let problem = Self::new(405, "method_not_allowed", detail);
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
        Self::new(status.as_u16(), code, detail)
    }

    /// The connection ends with it.
    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        if status.is_server_error() {
            tracing::warn!(status = self.status, code = self.code, detail = %self.detail, "request failed");
        }
        let shown = Shown {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: self.status,
            detail: &self.detail,
            code: self.code,
            diagnosis: self.diagnosis.as_deref(),
            errors: &self.errors,
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON)));
        response.insert_header(NO_STORE).insert_header(NO_SNIFF);
        if status == StatusCode::UNAUTHORIZED {
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

impl From<AcceptError> for Problem {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::Message(error) => Self::unprocessable("invalid_message", error.to_string()),
            AcceptError::Store(error) => Self::from(error),
        }
    }
}

//! What a caller gets when something does not work, with the status, code and detail of RFC 9457: a stable `code`, and
//! a diagnosis where there is one. `http` writes it down as `application/problem+json`.

use crate::domain::Diagnosis;
use crate::domain::ids::IdError;
use crate::store::StoreError;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// A problem on its way to the caller.
#[derive(Debug)]
pub(crate) struct Problem {
    /// As HTTP numbers it.
    pub(crate) status: u16,
    /// Stable: callers branch on it.
    pub(crate) code: &'static str,
    /// What is wrong, and what to do.
    pub(crate) detail: String,
    /// Why, where it was found out.
    pub(crate) diagnosis: Option<Box<Diagnosis>>,
    /// The methods that an address takes.
    pub(crate) allow: Option<&'static str>,
    /// What is wrong line by line.
    pub(crate) errors: Vec<LineError>,
    /// Seconds after which the same request may succeed.
    pub(crate) retry_after: Option<u64>,
    /// The connection ends with it: what is left of the request is not read.
    pub(crate) closes: bool,
}

/// What is wrong with a line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LineError {
    /// Which line, from 1.
    pub(crate) line: u64,
    /// Which field of it, by its dotted name.
    pub(crate) field: Option<String>,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl LineError {
    pub(crate) fn new(line: u64, field: Option<&str>, message: impl Into<String>) -> Self {
        Self { line, field: field.map(String::from), message: message.into() }
    }

    /// A problem that a line alone would have been answered with.
    pub(crate) fn of(line: u64, problem: &Problem) -> Self {
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

impl Problem {
    pub(crate) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let (diagnosis, allow, errors) = (None, None, Vec::new());
        Self { status, code, detail, diagnosis, allow, errors, retry_after: None, closes: false }
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(400, code, detail)
    }

    /// A body whose field cannot be taken; the field is named.
    pub(crate) fn field(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(422, "invalid_field", format!("{field}: {problem}"))
    }

    pub(crate) fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(422, code, detail)
    }

    pub(crate) fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(404, code, detail)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(409, code, detail)
    }

    pub(crate) fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(503, code, detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "internal", detail)
    }

    /// Whether somebody else changed what was to be changed.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status == 409 && self.code == "conflict"
    }

    /// Whether it is we who are at fault, not what was asked.
    pub(crate) fn is_server_error(&self) -> bool {
        self.status >= 500
    }

    /// After which time the same request may succeed.
    pub(crate) fn retry_after(self, after: Duration) -> Self {
        Self { retry_after: Some(after.as_secs()), ..self }
    }

    /// With what is wrong line by line.
    pub(crate) fn with_errors(self, errors: Vec<LineError>) -> Self {
        Self { errors, ..self }
    }

    pub(crate) fn with_diagnosis(self, diagnosis: &Diagnosis) -> Self {
        Self { diagnosis: Some(Box::new(diagnosis.without_facts())), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = error.to_string();
        match error {
            StoreError::Conflict | StoreError::DuplicateUid { .. } => Self::conflict("conflict", detail),
            StoreError::Stale => Self::not_found("gone", "the mailbox was deleted meanwhile"),
            StoreError::TooLarge { .. } => Self::unprocessable("too_large_value", detail),
            StoreError::Full { .. } => Self::new(507, "storage_full", detail),
            StoreError::Exhausted { .. } => {
                Self::unavailable("exhausted", detail).retry_after(Duration::from_secs(2))
            }
            StoreError::Locked { .. } | StoreError::Closed => Self::unavailable("store_closed", detail),
            StoreError::Io { .. } | StoreError::Corrupt { .. } | StoreError::Vault { .. } => {
                Self::new(500, "store_failed", detail)
            }
        }
    }
}

impl From<IdError> for Problem {
    fn from(error: IdError) -> Self {
        Self::bad_request("bad_id", error.to_string())
    }
}

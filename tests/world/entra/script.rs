//! Scripted answers: what the next requests of an endpoint get instead of, before or after the real thing.

use serde::{Deserialize, Serialize};

use super::super::http::Response;
use super::errors::Refusal;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Scripted {
    /// `token`, `devicecode`, `authorize`, `metadata`, `keys`, `introspect`, `adminconsent`, or `*`.
    pub endpoint: String,
    pub answer: Instead,
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// The fields combine: a delay may precede any of the others.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instead {
    /// An error in Entra's own form.
    pub aadsts: Option<u32>,
    /// Overrides the `error` of `aadsts`.
    pub error: Option<String>,
    pub status: Option<u16>,
    pub retry_after: Option<u64>,
    pub body: Option<String>,
    /// An HTML page with status 200 unless `status` says otherwise.
    pub html: bool,
    pub delay_ms: Option<u64>,
    pub drop: Option<Drop>,
    /// Members laid over the JSON of a genuine answer; null removes one.
    pub patch: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Drop {
    BeforeConsume,
    AfterConsume,
}

impl Instead {
    pub fn aadsts(code: u32) -> Self {
        Self { aadsts: Some(code), ..Self::default() }
    }

    pub fn status(status: u16) -> Self {
        Self { status: Some(status), ..Self::default() }
    }

    pub fn too_many_requests(retry_after: u64) -> Self {
        let body = Some("Too Many Requests".to_string());
        Self { status: Some(429), retry_after: Some(retry_after), body, ..Self::default() }
    }

    pub fn html() -> Self {
        Self { html: true, ..Self::default() }
    }

    pub fn delay_ms(delay: u64) -> Self {
        Self { delay_ms: Some(delay), ..Self::default() }
    }

    pub fn drop(drop: Drop) -> Self {
        Self { drop: Some(drop), ..Self::default() }
    }

    /// The answer that takes the place of the real one, if this script replaces it.
    pub fn response(&self) -> Option<Response> {
        let mut response = if let Some(code) = self.aadsts {
            let mut value = Refusal { code, detail: String::new() }.json();
            if let Some(error) = &self.error {
                value["error"] = serde_json::json!(error);
            }
            let status = self.status.unwrap_or(super::errors::class_of(code).1);
            Response::json(status, &value)
        } else if self.html {
            Response::html(
                self.status.unwrap_or(200),
                "<html><body><h1>Sorry, we're having trouble</h1></body></html>",
            )
        } else if let Some(status) = self.status {
            let body = self.body.clone().unwrap_or_default().into_bytes();
            Response { status, headers: vec![("Content-Type".into(), "text/plain".into())], body }
        } else {
            return None;
        };
        if let Some(seconds) = self.retry_after {
            response.headers.push(("Retry-After".into(), seconds.to_string()));
        }
        Some(response)
    }

    /// Lays `patch` over a JSON answer.
    pub fn apply_patch(&self, response: &mut Response) {
        let (Some(patch), serde_json::Value::Object(mut members)) = (&self.patch, response.value()) else {
            return;
        };
        for (name, value) in patch.as_object().into_iter().flatten() {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        response.body = serde_json::Value::Object(members).to_string().into_bytes();
    }
}

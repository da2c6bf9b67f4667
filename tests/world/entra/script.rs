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
    /// An error in Entra's own form, with every member that it documents
    /// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response-1>).
    pub aadsts: Option<u32>,
    /// Overrides the `error` of `aadsts`; without `aadsts`, an error of RFC 6749 (section 5.2), as Google gives it.
    pub error: Option<String>,
    /// The `error_description`, word for word: neither number nor ids are added to it.
    pub description: Option<String>,
    /// `suberror` and `claims`, where the error has none of its own or another one.
    pub suberror: Option<String>,
    pub claims: Option<String>,
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

    /// An error in these words.
    pub fn said(error: &str, description: &str) -> Self {
        Self { error: Some(error.into()), description: Some(description.into()), ..Self::default() }
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

    /// The error that is scripted, with its status.
    fn refusal(&self) -> Option<(u16, serde_json::Value)> {
        let (usual, mut value) = match (self.aadsts, &self.error) {
            (Some(code), _) => {
                (super::errors::class_of(code).1, Refusal { code, detail: String::new() }.json())
            }
            (None, Some(_)) => (400, serde_json::json!({})),
            (None, None) => return None,
        };
        let members = [
            ("error", &self.error),
            ("error_description", &self.description),
            ("suberror", &self.suberror),
            ("claims", &self.claims),
        ];
        for (name, text) in members {
            if let Some(text) = text {
                value[name] = serde_json::json!(text);
            }
        }
        Some((self.status.unwrap_or(usual), value))
    }

    /// The answer that takes the place of the real one, if this script replaces it.
    pub fn response(&self) -> Option<Response> {
        let mut response = if let Some((status, value)) = self.refusal() {
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

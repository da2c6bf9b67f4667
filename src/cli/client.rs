//! The daemon's HTTP API, as commands use it.

use super::{Arguments, Failure};
use crate::config::Config;
use reqwest::Method;
use serde_json::Value;

/// Talks to the daemon.
pub(super) struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    base: String,
    key: String,
}

impl Client {
    pub(super) fn new(arguments: &Arguments, config: &Config) -> Result<Self, Failure> {
        let base = match &arguments.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None => format!("http://{}", config.http.listen),
        };
        let key = match &arguments.key {
            Some(key) => key.clone(),
            None => {
                let path = config.data_dir.0.join("admin.key");
                let read = std::fs::read_to_string(&path).map_err(|error| {
                    Failure::permission(format!(
                        "no API key: {}: {error}: give --key or STAFETTE_KEY, or run where the daemon's data is",
                        path.display()
                    ))
                })?;
                read.trim().to_owned()
            }
        };
        let dialer = crate::net::Dialer::new(crate::net::NetConfig::default())
            .map_err(|error| Failure::config(error.to_string()))?;
        let http = dialer
            .http_client(std::time::Duration::from_secs(90))
            .map_err(|error| Failure::config(error.to_string()))?
            .into_inner();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::io(format!("no runtime: {error}")))?;
        Ok(Self { http, runtime, base, key })
    }

    /// Every item of a list, page by page.
    pub(super) fn all(&self, path: &str) -> Result<Value, Failure> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit=1000{cursor}"))?;
            if let Some(Value::Array(more)) = page.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            match page.get("next").and_then(Value::as_str) {
                Some(next) => cursor = format!("&cursor={}", segment(next)),
                None => return Ok(serde_json::json!({"items": items, "next": null})),
            }
        }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.json(Method::GET, path, None, &[])
    }

    pub(super) fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        self.json(method, path, body, &[])
    }

    pub(super) fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Value, Failure> {
        let bytes = self.request(method, path, body, headers)?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| Failure::io(format!("{} did not answer JSON", self.base)))
    }

    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(body);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.exchange(request)
    }

    /// Posts a file as it is.
    pub(super) fn upload(&self, path: &str, content_type: &str, bytes: Vec<u8>) -> Result<Value, Failure> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        let answer = self.exchange(request.header("content-type", content_type).body(bytes))?;
        serde_json::from_slice(&answer).map_err(|_| Failure::io(format!("{} did not answer JSON", self.base)))
    }

    fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
        let unreachable = |error: reqwest::Error| {
            let cause =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            Failure::unavailable(format!(
                "{} does not answer ({cause}): is `stafette serve` running?",
                self.base
            ))
        };
        self.runtime.block_on(async {
            let answer = request.send().await.map_err(unreachable)?;
            let status = answer.status();
            let bytes = answer.bytes().await.map_err(unreachable)?;
            if status.is_success() {
                return Ok(bytes.to_vec());
            }
            Err(problem(status.as_u16(), &bytes))
        })
    }
}

/// A problem document in a line.
fn problem(status: u16, body: &[u8]) -> Failure {
    let parsed: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |key: &str| parsed.get(key).and_then(Value::as_str);
    let message = match (text("title"), text("detail")) {
        (Some(title), Some(detail)) => format!("{title}: {detail}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => format!("the daemon answered {status}"),
    };
    match status {
        401 | 403 => Failure::permission(message),
        503 | 507 => Failure::temporary(message),
        500..=599 => Failure::unavailable(message),
        _ => Failure::data(message),
    }
}

/// One segment of a path, or a value of a query: whatever was typed stays one.
pub(super) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

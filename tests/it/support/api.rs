//! The HTTP API as an application speaks to it: requests in, answers with their problems checked.

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use stafette::net::{Dialer, NetConfig};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long an answer may take before a test fails; shorter than the longest poll.
const PATIENCE: Duration = Duration::from_secs(40);

/// A caller with a key. Clones share their connections.
#[derive(Clone)]
pub struct Api {
    pub base: String,
    key: String,
    http: Client,
    /// What a browser keeps.
    cookies: Arc<Mutex<BTreeMap<String, String>>>,
    runtime: Arc<tokio::runtime::Runtime>,
}

/// What came back, read to its end.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Api {
    pub fn at(address: SocketAddr, key: &str) -> Self {
        let dialer = Dialer::new(NetConfig::default()).unwrap();
        let http = dialer.http_client(PATIENCE).unwrap().into_inner();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Self {
            base: format!("http://{address}"),
            key: key.to_owned(),
            http,
            cookies: Arc::default(),
            runtime: Arc::new(runtime.unwrap()),
        }
    }

    /// A request without a key; `path` may be a whole address.
    /// What an answer leads to, if it leads to a sign-in's outcome.
    pub fn outcome(&self, answer: Answer) -> Answer {
        let leads_on = answer.status == 303 && answer.header("location").ends_with("/outcome");
        if leads_on { self.send(self.bare("GET", answer.header("location"))) } else { answer }
    }

    pub fn bare(&self, method: &str, path: &str) -> RequestBuilder {
        let address = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), address);
        match self.cookies() {
            none if none.is_empty() => request,
            cookies => request.header("cookie", cookies),
        }
    }

    /// What it was given to keep, as it is sent back.
    pub fn cookies(&self) -> String {
        let cookies = self.cookies.lock().unwrap();
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// As from another browser, that was given nothing.
    pub fn other_browser(&self) -> Self {
        Self { cookies: Arc::default(), ..self.clone() }
    }

    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        self.bare(method, path).bearer_auth(&self.key)
    }

    pub fn send(&self, request: RequestBuilder) -> Answer {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            for cookie in headers.get_all("set-cookie") {
                let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
                let value = rest.split(';').next().unwrap();
                self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
            }
            Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
        })
    }

    /// A request whose answer may never come.
    pub fn try_get(&self, path: &str) {
        drop(self.runtime.block_on(async { self.bare("GET", path).send().await }));
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path))
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("POST", path).json(body))
    }

    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PUT", path).json(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request("PATCH", path).json(body))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.send(self.request("DELETE", path))
    }

    /// A list from its first page to its last; `path` ends in `?` or `&`.
    pub fn pages(&self, path: &str, limit: usize) -> Vec<Vec<Value>> {
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}limit={limit}{cursor}")).ok(200);
            pages.push(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return pages,
            }
        }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = self.text().chars().take(1000).collect();
        write!(f, "{} {:?} {text}", self.status, self.headers)
    }
}

impl Answer {
    /// The JSON of an answer with this status.
    #[track_caller]
    pub fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The problem of an answer with this status and code; it must be in the form of every problem.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status, self.header("content-type")),
            (status, "application/problem+json"),
            "{self:?}"
        );
        let problem: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(
            (&problem["status"], &problem["code"]),
            (&Value::from(status), &Value::from(code)),
            "{problem}"
        );
        assert_eq!(problem["type"], "about:blank");
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{problem}");
        problem
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The names of an object's members, in order.
pub fn names(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

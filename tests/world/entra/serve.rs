//! From an HTTP request to the endpoint it means: scripts first, then the genuine answer, and a log entry for both.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::http::{Answer, Request, Response};
use super::authorize;
use super::control;
use super::errors::Refusal;
use super::google;
use super::google_user;
use super::keys::Keys;
use super::scopes;
use super::script::{Drop, Instead};
use super::state::{Decision, Device, LogEntry, State, random_text};
use super::token::{self, Asking};

pub struct Site {
    pub state: Mutex<State>,
    pub keys: Keys,
    pub base: String,
}

/// Answers a request; `base` is the address that it came to.
pub async fn handle(site: Arc<Site>, base: String, request: Request) -> Answer {
    if request.path.starts_with("/control/") {
        return Answer::Response(control::answer(&mut site.state.lock().unwrap(), &request));
    }
    let (tenant, endpoint) = endpoint_of(&request.path);
    let scripted = {
        let mut state = site.state.lock().unwrap();
        *state.counts.entry(endpoint.to_string()).or_default() += 1;
        next_script(&mut state, endpoint)
    };
    let mut log = begin(&site, endpoint, &request);
    if let Some(delay) = scripted.delay_ms {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    if scripted.drop == Some(Drop::BeforeConsume) {
        return finish(&site, log, "dropped", None);
    }
    let replaced = scripted.response();
    let genuine = replaced.is_none();
    let mut response =
        replaced.unwrap_or_else(|| genuine_answer((&site, &base), (&tenant, endpoint), &request, &mut log));
    if genuine {
        scripted.apply_patch(&mut response);
    }
    if scripted.drop == Some(Drop::AfterConsume) {
        return finish(&site, log, "dropped", None);
    }
    let result = result_of(&response);
    finish(&site, log, &result, Some(response))
}

fn endpoint_of(path: &str) -> (String, &'static str) {
    let rest = path.trim_start_matches('/');
    if rest == "introspect" {
        return (String::new(), "introspect");
    }
    if rest == "token" {
        return (String::new(), "google_token");
    }
    if rest == "o/oauth2/v2/auth" {
        return (String::new(), "google_authorize");
    }
    if rest == "device" {
        return (String::new(), "device");
    }
    let (tenant, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let endpoint = match tail {
        "v2.0/.well-known/openid-configuration" | ".well-known/openid-configuration" => "metadata",
        "oauth2/v2.0/authorize" => "authorize",
        "oauth2/v2.0/token" => "token",
        "oauth2/v2.0/devicecode" => "devicecode",
        "discovery/v2.0/keys" => "keys",
        "v2.0/adminconsent" | "adminconsent" => "adminconsent",
        _ => "unknown",
    };
    (tenant.to_string(), endpoint)
}

fn next_script(state: &mut State, endpoint: &str) -> Instead {
    let fits = |name: &str| name == endpoint || name == "*";
    let Some(at) = state.script.iter().position(|scripted| fits(&scripted.endpoint)) else {
        return Instead::default();
    };
    let Some(entry) = state.script.get_mut(at) else { return Instead::default() };
    entry.times = entry.times.saturating_sub(1);
    let answer = entry.answer.clone();
    if entry.times == 0 {
        state.script.remove(at);
    }
    answer
}

fn begin(site: &Site, endpoint: &str, request: &Request) -> LogEntry {
    let form = if endpoint == "introspect" { Default::default() } else { request.form() };
    LogEntry {
        endpoint: endpoint.into(),
        at_ms: site.state.lock().unwrap().now_ms(),
        grant_type: form.get("grant_type").cloned(),
        client_id: form.get("client_id").or_else(|| request.query.get("client_id")).cloned(),
        refresh_token_sha256: form
            .get("refresh_token")
            .map(|token| super::state::sha256_hex(token.as_bytes())),
        ..LogEntry::default()
    }
}

fn finish(site: &Site, mut log: LogEntry, result: &str, response: Option<Response>) -> Answer {
    let mut state = site.state.lock().unwrap();
    log.result = result.into();
    log.answered_at_ms = response.is_some().then(|| state.now_ms());
    state.log.push(log);
    let ahead = chrono::Duration::seconds(state.options.clock_ahead_seconds);
    #[allow(clippy::disallowed_methods)] // the stand-in is no part of the engine
    let date = chrono::Utc::now() + ahead;
    let stamped = |mut response: Response| {
        response.headers.push(("Date".into(), date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        Answer::Response(response)
    };
    response.map_or(Answer::Dropped, stamped)
}

fn result_of(response: &Response) -> String {
    if response.status < 400 {
        return "ok".into();
    }
    match response.value()["error_codes"][0].as_u64() {
        Some(code) => format!("AADSTS{code}"),
        None => response.status.to_string(),
    }
}

fn genuine_answer(
    (site, base): (&Site, &str),
    (tenant, endpoint): (&str, &str),
    request: &Request,
    log: &mut LogEntry,
) -> Response {
    let mut state = site.state.lock().unwrap();
    let state = &mut *state;
    let outcome = match endpoint {
        "metadata" => {
            token::check_tenant(state, tenant).map(|()| Response::json(200, &metadata(base, state, tenant)))
        }
        "keys" => Ok(Response::json(200, &site.keys.jwks(&format!("{base}/{{tenantid}}/v2.0")))),
        "authorize" => authorize::authorize(state, tenant, request),
        "token" if request.method == "POST" => {
            let mut form = request.form();
            basic_credentials(request, &mut form);
            let asking = &mut Asking {
                tenant,
                form: &form,
                base,
                keys: &site.keys,
                origin: request.headers.get("origin"),
                log,
            };
            token::answer(state, asking).map(|value| Response::json(200, &value))
        }
        "google_authorize" => Ok(google_user::authorize(state, request)),
        "google_token" => Ok(google_token((site, base), state, &request.form(), log)),
        "devicecode" => device_code(base, state, tenant, request).map(|value| Response::json(200, &value)),
        "device" => Ok(authorize::device_page(state, request)),
        "adminconsent" => authorize::admin_consent(state, tenant, request),
        "introspect" => Ok(introspect(state, request)),
        _ => Ok(Response::html(404, "<html><body>Not found</body></html>")),
    };
    outcome.unwrap_or_else(|refusal: Refusal| refusal.response())
}

/// Google has one endpoint for users' tokens and for service accounts.
fn google_token(
    (site, base): (&Site, &str),
    state: &mut State,
    form: &token::Form,
    log: &mut LogEntry,
) -> Response {
    match form.get("grant_type").map(String::as_str) {
        Some("authorization_code" | "refresh_token") => {
            google_user::answer(state, (base, &site.keys), form, log)
        }
        _ => google::answer(state, base, form, log),
    }
}

/// A client may prove itself by HTTP basic instead of the form, both parts form-encoded (RFC 6749, 2.3.1).
fn basic_credentials(request: &Request, form: &mut token::Form) {
    use base64::Engine;
    let header = request.headers.get("authorization").and_then(|value| value.strip_prefix("Basic "));
    let decoded = header.and_then(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
    let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return };
    let Some((id, secret)) = text.split_once(':') else { return };
    let plain = |text: &str| {
        url::form_urlencoded::parse(format!("v={text}").as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    };
    form.entry("client_id".into()).or_insert(plain(id).unwrap_or_default());
    form.entry("client_secret".into()).or_insert(plain(secret).unwrap_or_default());
}

fn metadata(base: &str, state: &State, tenant: &str) -> Value {
    let issuer = match token::tenant_id(state, tenant) {
        Some(id) => format!("{base}/{id}/v2.0"),
        None => format!("{base}/{{tenantid}}/v2.0"),
    };
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
        "device_authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
        "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "tenant_region_scope": "EU",
        "cloud_instance_name": "microsoftonline.com",
    })
}

fn device_code(base: &str, state: &mut State, tenant: &str, request: &Request) -> Result<Value, Refusal> {
    token::check_tenant(state, tenant)?;
    let form = request.form();
    let client_id = token::required(&form, "client_id")?;
    let Some(app) = state.options.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return super::errors::refuse(700_016, "");
    };
    if !app.allows_device_code {
        return super::errors::refuse(70_002, "The client application must be marked as 'mobile'.");
    }
    let scopes = scopes::check(form.get("scope"), &app)?;
    let user_code = random_text(9).to_ascii_uppercase();
    let text = format!("DAQ{}", random_text(120));
    let client_id = app.client_id;
    let decision = Decision::Pending;
    let device = Device { client_id, user_code: user_code.clone(), scopes, issued: Instant::now(), decision };
    state.devices.insert(text.clone(), device);
    let address = format!("{base}/device");
    Ok(json!({
        "device_code": text, "user_code": user_code, "verification_uri": address,
        "expires_in": state.options.device_code_seconds, "interval": state.options.device_interval,
        "message": format!("To sign in, use a web browser to open the page {address} and enter the code {user_code} to authenticate."),
    }))
}

/// RFC 7662 for Dovecot. An app-only token has no user of its own; the token files decide those.
fn introspect(state: &mut State, request: &Request) -> Response {
    if request.headers.get("authorization").map(String::as_str) != Some("Basic Y2xpZW50OnNlY3JldA==") {
        return Response::json(401, &json!({"error": "invalid_client"}));
    }
    let token = request.form().get("token").cloned().unwrap_or_default();
    let Some(access) = state.access.get(&token).filter(|access| access.expires > Instant::now()) else {
        return Response::json(200, &json!({"active": false, "username": ""}));
    };
    let left = access.expires.saturating_duration_since(Instant::now()).as_secs();
    let seconds = i64::try_from(left).unwrap_or(0);
    Response::json(
        200,
        &json!({
            "active": true, "username": access.user.clone().unwrap_or_else(|| "app-only".into()),
            "client_id": access.client_id, "scope": access.scopes.join(" "), "token_type": "Bearer",
            "exp": chrono::Utc::now().timestamp() + seconds,
        }),
    )
}

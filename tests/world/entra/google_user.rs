//! Google's sign-in of a user: the page with a box for each permission, codes, refresh tokens only where they were asked
//! for, and Google's words. Facts: <https://developers.google.com/identity/protocols/oauth2/web-server>.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::http::{Request, Response};
use super::authorize::{button, unticked};
use super::google::{self, Refused, SCOPE};
use super::keys::Keys;
use super::model::{App, Platform};
use super::state::{Access, Code, LogEntry, State, random_text, sha256_hex};
use super::token::Form;

/// How long a sign-in lasts while the consent screen is in testing, in seconds
/// (<https://developers.google.com/identity/protocols/oauth2#expiration>).
const TESTING_SECONDS: u64 = 604_799;
/// Marks the scopes of a code that gives a refresh token.
const OFFLINE: &str = "offline_access";

const ENDED: Refused = (400, "invalid_grant", "Token has been expired or revoked.");

/// The page (GET), and what was chosen on it (POST): `account`, and `without` for each box that was unticked.
pub fn authorize(state: &mut State, request: &Request) -> Response {
    let query = &request.query;
    let field = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let client = state.options.apps.iter().find(|app| app.client_id == field("client_id")).cloned();
    let Some(app) = client else { return shown("invalid_client", "The OAuth client was not found.") };
    if app.redirect(field("redirect_uri")).is_none() {
        return shown("redirect_uri_mismatch", "You can't sign in because this app sent an invalid request.");
    }
    if field("response_type") != "code" || field("scope").is_empty() {
        return shown("invalid_request", "Required parameter is missing: response_type or scope");
    }
    if request.method != "POST" {
        return page(state, query);
    }
    let form = request.form();
    let Some(account) = form.get("account") else {
        return back(query, &[("error", "access_denied")]);
    };
    let unticked = unticked(request);
    let mut scopes: Vec<String> = field("scope").split_whitespace().map(str::to_owned).collect();
    scopes.retain(|scope| !unticked.contains(scope));
    // a refresh token comes with the first consent, and whenever consent was asked for again
    let known = state.grants.values().any(|grant| grant.user == *account && grant.client_id == app.client_id);
    if field("access_type") == "offline" && (!known || field("prompt").contains("consent")) {
        scopes.push(OFFLINE.into());
    }
    let text = format!("4/0A{}", random_text(70));
    let entry = Code {
        client_id: app.client_id,
        tenant: String::new(),
        user: account.to_ascii_lowercase(),
        redirect_uri: field("redirect_uri").into(),
        platform: Platform::Web,
        scopes,
        nonce: query.get("nonce").cloned(),
        challenge: query.get("code_challenge").cloned(),
        issued: Instant::now(),
        redeemed: false,
    };
    let granted = spoken(&entry.scopes);
    state.codes.insert(text.clone(), entry);
    back(query, &[("code", &text), ("scope", &granted), ("authuser", "0"), ("prompt", "consent")])
}

fn page(state: &State, query: &Form) -> Response {
    let hint = query.get("login_hint").map(|text| text.to_ascii_lowercase()).unwrap_or_default();
    let mut users: Vec<String> = state.options.users.iter().map(|user| user.address.clone()).collect();
    users.sort_by_key(|user| (*user != hint, user.clone()));
    let buttons: String = users.iter().map(|user| button("account", user)).collect();
    let boxes =
        format!("<label><input type=\"checkbox\" name=\"without\" value=\"{SCOPE}\">not: mail</label>");
    Response::html(
        200,
        &format!(
            "<!doctype html><html><head><title>Sign in</title></head><body><form method=\"post\">{boxes}{buttons}\
                  <button name=\"cancel\" value=\"1\">Cancel</button></form></body></html>"
        ),
    )
}

fn shown(error: &str, words: &str) -> Response {
    Response::html(
        400,
        &format!("<html><body><p id=\"error\">Error 400: {error}</p><p>{words}</p></body></html>"),
    )
}

fn back(query: &Form, pairs: &[(&str, &str)]) -> Response {
    let mut address = url::Url::parse(&query["redirect_uri"]).unwrap();
    address.query_pairs_mut().extend_pairs(pairs);
    if let Some(state) = query.get("state") {
        address.query_pairs_mut().append_pair("state", state);
    }
    Response::redirect(address.as_str())
}

/// The scopes as an answer names them: `email` is spelt out there.
fn spoken(scopes: &[String]) -> String {
    let named = scopes.iter().filter(|scope| *scope != OFFLINE).map(|scope| match scope.as_str() {
        "email" => "https://www.googleapis.com/auth/userinfo.email",
        other => other,
    });
    named.collect::<Vec<_>>().join(" ")
}

/// The token endpoint, for codes and refresh tokens.
pub fn answer(state: &mut State, (base, keys): (&str, &Keys), form: &Form, log: &mut LogEntry) -> Response {
    google::response(tokens(state, (base, keys), form, log))
}

fn tokens(
    state: &mut State,
    (base, keys): (&str, &Keys),
    form: &Form,
    log: &mut LogEntry,
) -> Result<Value, Refused> {
    let app = client(state, form)?;
    log.sent_secret = true;
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let (grant, nonce, next) = if field("grant_type") == "refresh_token" {
        let token = field("refresh_token");
        log.refresh_token_sha256 = Some(sha256_hex(token.as_bytes()));
        let grant = state.refresh.get(token).map(|entry| entry.grant).ok_or(ENDED)?;
        if state.grants.get(&grant).is_none_or(|grant| grant.client_id != app.client_id) {
            return Err((401, "unauthorized_client", "Unauthorized"));
        }
        state.consume_refresh(token).ok_or(ENDED)?;
        // Google itself gives no new one
        let is_rotated = state.options.rotation != super::Rotation::Keep;
        (grant, None, is_rotated.then(|| state.issue_refresh(grant)))
    } else {
        redeem(state, &app, form)?
    };
    log.consumed_at_ms = Some(state.now_ms());
    let grant = state.grants.get(&grant).cloned().ok_or(ENDED)?;
    log.user = Some(grant.user.clone());
    let expires = Instant::now() + state.access_lifetime();
    let access = state.issue_access(Access {
        user: Some(grant.user.clone()),
        tenant_id: String::new(),
        client_id: app.client_id.clone(),
        scopes: grant.scopes.iter().filter(|scope| *scope == SCOPE).cloned().collect(),
        grant: Some(grant.id),
        expires,
    });
    let mut value = json!({"access_token": access, "expires_in": state.options.access_token_seconds,
        "scope": spoken(&grant.scopes), "token_type": "Bearer"});
    if let Some(next) = next {
        log.issued_refresh_token_sha256 = Some(sha256_hex(next.as_bytes()));
        value["refresh_token"] = json!(next);
        if state.options.google_testing {
            value["refresh_token_expires_in"] = json!(TESTING_SECONDS);
        }
    }
    if grant.scopes.iter().any(|scope| scope == "openid") {
        value["id_token"] = json!(keys.sign(&identity(base, &grant.user, &app.client_id, nonce.as_deref())));
    }
    Ok(value)
}

/// The client by its id and secret, in Google's words.
fn client(state: &State, form: &Form) -> Result<App, Refused> {
    let known = state.options.apps.iter().find(|app| Some(&app.client_id) == form.get("client_id"));
    let app = known.cloned().ok_or((401, "invalid_client", "The OAuth client was not found."))?;
    match form.get("client_secret") {
        None => Err((400, "invalid_request", "client_secret is missing.")),
        Some(sent) if app.secrets.iter().any(|known| known.value == *sent && !known.expired) => Ok(app),
        Some(_) => Err((401, "invalid_client", "Unauthorized")),
    }
}

/// The grant that a code begins, its nonce, and its refresh token if one was asked for.
fn redeem(
    state: &mut State,
    app: &App,
    form: &Form,
) -> Result<(u64, Option<String>, Option<String>), Refused> {
    const MALFORMED: Refused = (400, "invalid_grant", "Malformed auth code.");
    const BAD: Refused = (400, "invalid_grant", "Bad Request");
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let is_old = |code: &Code| code.issued.elapsed() > Duration::from_secs(600);
    let code =
        state.codes.get_mut(field("code")).filter(|code| code.client_id == app.client_id).ok_or(MALFORMED)?;
    if code.redeemed || is_old(code) {
        return Err(BAD);
    }
    if code.redirect_uri != field("redirect_uri") {
        return Err((400, "redirect_uri_mismatch", "Bad Request"));
    }
    if super::token::check_verifier(code.challenge.as_deref(), form).is_err() {
        return Err((400, "invalid_grant", "Invalid code verifier."));
    }
    code.redeemed = true;
    let code = code.clone();
    let is_offline = code.scopes.iter().any(|scope| scope == OFFLINE);
    let grant = state.add_grant(&code.user, &app.client_id, Platform::Web, code.scopes);
    Ok((grant, code.nonce, is_offline.then(|| state.issue_refresh(grant))))
}

fn identity(base: &str, user: &str, client: &str, nonce: Option<&str>) -> Value {
    #[allow(clippy::disallowed_methods)] // the stand-in is no part of the engine
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({"iss": base, "aud": client, "azp": client, "iat": now, "exp": now + 3_600,
        "sub": sha256_hex(user.as_bytes()).chars().filter(char::is_ascii_digit).take(21).collect::<String>(),
        "email": user, "email_verified": true});
    if let Some(nonce) = nonce {
        claims["nonce"] = json!(nonce);
    }
    claims
}

//! What a browser meets: the authorize page with its account chooser, the device page, admin consent.

use std::time::Instant;

use super::super::http::{Request, Response};
use super::errors::{Refusal, refuse};
use super::model::{App, Platform, User};
use super::scopes;
use super::state::{Code, Decision, State, random_text};
use super::token::{Form, check_tenant, required, tenant_id};

/// A checked authorize request. Errors before this point are shown, not redirected.
struct Wanted {
    app: App,
    redirect_uri: String,
    platform: Platform,
    scopes: Vec<String>,
}

fn check(state: &State, tenant: &str, query: &Form) -> Result<Wanted, Refusal> {
    check_tenant(state, tenant)?;
    let client_id = required(query, "client_id")?;
    let Some(app) = state.options.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return refuse(700_016, format!("Application with identifier '{client_id}' was not found."));
    };
    if app.single_tenant.is_some() && matches!(tenant, "common" | "organizations") {
        return refuse(50_194, "");
    }
    let redirect_uri = required(query, "redirect_uri")?.to_string();
    let Some(platform) = app.redirect(&redirect_uri).map(|redirect| redirect.platform) else {
        return refuse(50_011, format!("Redirect URI '{redirect_uri}'."));
    };
    // https, but for loopback (https://learn.microsoft.com/entra/identity-platform/reply-url)
    let is_loopback = |url: &url::Url| matches!(url.host_str(), Some("localhost" | "127.0.0.1"));
    if url::Url::parse(&redirect_uri).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url)) {
        return refuse(500_117, "");
    }
    if required(query, "response_type")? != "code" {
        return refuse(70_005, "");
    }
    let scopes = scopes::check(query.get("scope"), &app)?;
    if query.get("code_challenge_method").is_some_and(|method| method != "S256" && method != "plain") {
        return refuse(9_002_313, "Unsupported code_challenge_method.");
    }
    Ok(Wanted { app, redirect_uri, platform, scopes })
}

/// The chooser (GET) and its click (POST to the same address).
pub fn authorize(state: &mut State, tenant: &str, request: &Request) -> Result<Response, Refusal> {
    let wanted = match check(state, tenant, &request.query) {
        Ok(wanted) => wanted,
        Err(refusal) => return Ok(error_page(&refusal)),
    };
    if request.method != "POST" {
        if request.query.get("prompt").is_some_and(|prompt| prompt == "none") {
            return Ok(back(&wanted, &request.query, &[("error", "login_required")]));
        }
        return Ok(chooser(state, tenant, &request.query, &wanted));
    }
    let form = request.form();
    if form.contains_key("decline") {
        return Ok(cancelled(&wanted, &request.query));
    }
    let account = form.get("account").map(|text| text.to_ascii_lowercase()).unwrap_or_default();
    let Some(user) = accounts(state, tenant).into_iter().find(|user| user.address == account) else {
        return Ok(error_page(&Refusal { code: 50_020, detail: account }));
    };
    let app = &wanted.app;
    let consented = state.consents.contains(&(user.tenant_id.clone(), app.client_id.clone()));
    if app.needs_admin_consent && !consented {
        return Ok(cancelled(&wanted, &request.query));
    }
    let unticked = if user.is_personal() { unticked(request) } else { Vec::new() };
    let scopes = wanted.scopes.iter().filter(|scope| !scopes::contains(&unticked, scope)).cloned().collect();
    let code = format!("1.AX{}", random_text(400));
    let entry = Code {
        client_id: app.client_id.clone(),
        tenant: tenant.into(),
        user: user.address,
        redirect_uri: wanted.redirect_uri.clone(),
        platform: wanted.platform,
        scopes,
        nonce: request.query.get("nonce").cloned(),
        challenge: request.query.get("code_challenge").cloned(),
        issued: Instant::now(),
        redeemed: false,
    };
    state.codes.insert(code.clone(), entry);
    Ok(back(&wanted, &request.query, &[("code", &code), ("session_state", "00000000")]))
}

/// What was unticked on the page: one field `without` for each scope.
pub fn unticked(request: &Request) -> Vec<String> {
    let fields = url::form_urlencoded::parse(&request.body);
    fields.filter(|(name, _)| name == "without").map(|(_, scope)| scope.into_owned()).collect()
}

/// What comes back from "Cancel", and from the page "Need admin approval", which shows AADSTS90094 itself and offers no
/// more than to return without consent: the same
/// (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response>,
/// <https://learn.microsoft.com/entra/identity/enterprise-apps/configure-admin-consent-workflow>).
fn cancelled(wanted: &Wanted, query: &Form) -> Response {
    let text = Refusal { code: 65_004, detail: String::new() }.description();
    let pairs =
        [("error", "access_denied"), ("error_subcode", "cancel"), ("error_description", text.as_str())];
    back(wanted, query, &pairs)
}

fn back(wanted: &Wanted, query: &Form, pairs: &[(&str, &str)]) -> Response {
    let mut pairs = pairs.to_vec();
    if let Some(state) = query.get("state") {
        pairs.push(("state", state));
    }
    let mode = query.get("response_mode").map_or("query", String::as_str);
    if mode == "form_post" {
        let fields: String = pairs.iter().map(|(name, value)| hidden(name, value)).collect();
        let action = escape(&wanted.redirect_uri);
        return Response::html(
            200,
            &format!(
                "<html><body onload=\"document.forms[0].submit()\"><form method=\"post\" \
                 action=\"{action}\">{fields}<button>Continue</button></form></body></html>"
            ),
        );
    }
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = match (mode, wanted.redirect_uri.contains('?')) {
        ("fragment", _) => '#',
        (_, true) => '&',
        (_, false) => '?',
    };
    Response::redirect(&format!("{}{joint}{text}", wanted.redirect_uri))
}

/// The users offered under a tenant's path; `common` offers everyone.
fn accounts(state: &State, tenant: &str) -> Vec<User> {
    let id = tenant_id(state, tenant);
    // work accounts are no consumers, and personal ones are of no organization
    // (https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints)
    let fits = |user: &&User| match (&id, tenant) {
        (Some(id), _) => *id == user.tenant_id,
        (None, "organizations") => !user.is_personal(),
        (None, "consumers") => user.is_personal(),
        (None, _) => true,
    };
    state.options.users.iter().filter(fits).cloned().collect()
}

fn chooser(state: &State, tenant: &str, query: &Form, wanted: &Wanted) -> Response {
    let hint = query.get("login_hint").map(|text| text.to_ascii_lowercase()).unwrap_or_default();
    let mut users = accounts(state, tenant);
    users.sort_by_key(|user| (user.address != hint, user.address.clone()));
    let buttons: String = users.iter().map(|user| button("account", &user.address)).collect();
    let name = escape(&wanted.app.name);
    // only personal accounts may leave out some of what is asked for
    let has_personal = users.iter().any(User::is_personal);
    let item = |scope: &String| {
        let name = escape(scope);
        let may_refuse = has_personal && !scopes::is_oidc(scope);
        let tick = format!("<label><input type=\"checkbox\" name=\"without\" value=\"{name}\">not</label> ");
        format!("<li>{}{name}</li>", if may_refuse { tick.as_str() } else { "" })
    };
    let scopes: String = wanted.scopes.iter().map(item).collect();
    page(
        "Pick an account",
        &format!(
            "<p>to continue to {name}</p>{buttons}<ul>{scopes}</ul><button name=\"decline\" value=\"1\">Cancel</button>"
        ),
    )
}

/// The device page: the code and the account in one form.
pub fn device_page(state: &mut State, request: &Request) -> Response {
    let form = if request.method == "POST" { request.form() } else { request.query.clone() };
    let typed = form.get("user_code").cloned().unwrap_or_default();
    if request.method != "POST" {
        let users: String = state.options.users.iter().map(|user| button("account", &user.address)).collect();
        let field = format!("<input name=\"user_code\" value=\"{}\" autofocus>", escape(&typed));
        return page(
            "Enter code",
            &format!("{field}{users}<button name=\"decline\" value=\"1\">Cancel</button>"),
        );
    }
    let decision = match form.get("account") {
        Some(account) => Decision::Approved(account.to_ascii_lowercase()),
        None => Decision::Declined,
    };
    if decide_device(state, &typed, decision) {
        return page("You have signed in", "<p>You may now close this window.</p>");
    }
    error_page(&Refusal { code: 70_018, detail: String::new() })
}

/// False for an unknown code.
pub fn decide_device(state: &mut State, user_code: &str, decision: Decision) -> bool {
    let found =
        state.devices.values_mut().find(|device| device.user_code.eq_ignore_ascii_case(user_code.trim()));
    found.map(|device| device.decision = decision).is_some()
}

/// Admin consent: a page with Accept and Cancel, then the redirect.
pub fn admin_consent(state: &mut State, tenant: &str, request: &Request) -> Result<Response, Refusal> {
    check_tenant(state, tenant)?;
    let query = &request.query;
    let client_id = required(query, "client_id")?.to_string();
    let Some(app) = state.options.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return Ok(error_page(&Refusal { code: 700_016, detail: client_id }));
    };
    let redirect_uri = required(query, "redirect_uri")?.to_string();
    let Some(platform) = app.redirect(&redirect_uri).map(|redirect| redirect.platform) else {
        return Ok(error_page(&Refusal { code: 50_011, detail: redirect_uri }));
    };
    if request.method != "POST" {
        let buttons = "<button name=\"accept\" value=\"1\">Accept</button><button name=\"decline\" value=\"1\">Cancel</button>";
        return Ok(page("Permissions requested", &format!("<p>{}</p>{buttons}", escape(&app.name))));
    }
    let wanted = Wanted { app, redirect_uri, platform, scopes: Vec::new() };
    if request.form().contains_key("decline") {
        let text = Refusal { code: 65_004, detail: String::new() }.description();
        return Ok(back(&wanted, query, &[("error", "permission_denied"), ("error_description", &text)]));
    }
    let first = state.options.tenants.first().map(|entry| entry.id.clone()).unwrap_or_default();
    let id = tenant_id(state, tenant).unwrap_or(first);
    state.consents.insert((id.clone(), client_id));
    let mut pairs = vec![("admin_consent", "True"), ("tenant", id.as_str())];
    if let Some(scope) = query.get("scope") {
        pairs.push(("scope", scope));
    }
    Ok(back(&wanted, query, &pairs))
}

fn error_page(refusal: &Refusal) -> Response {
    let text = escape(&refusal.description());
    let mut response = page(
        "Sign in",
        &format!("<p>Sorry, but we're having trouble signing you in.</p><p id=\"error\">{text}</p>"),
    );
    response.status = 400;
    response
}

fn page(title: &str, body: &str) -> Response {
    Response::html(
        200,
        &format!(
            "<!doctype html><html><head><title>{title}</title></head><body><h1>{title}</h1>\
             <form method=\"post\">{body}</form></body></html>"
        ),
    )
}

pub fn button(name: &str, value: &str) -> String {
    let value = escape(value);
    format!("<p><button name=\"{name}\" value=\"{value}\" id=\"{value}\">{value}</button></p>")
}

fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
}

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

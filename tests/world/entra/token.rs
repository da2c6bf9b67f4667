//! The token endpoint: client authentication, the four grants, and the shape of what they give.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

use super::assertion::{self, Expected};
use super::errors::{Refusal, refuse};
use super::keys::Keys;
use super::model::{App, Platform};
use super::scopes;
use super::state::{Access, Decision, LogEntry, State, sha256_hex};

pub type Form = BTreeMap<String, String>;

/// One token request on its way through the checks.
pub struct Asking<'a> {
    pub tenant: &'a str,
    pub form: &'a Form,
    pub base: &'a str,
    pub keys: &'a Keys,
    /// What a browser's request from another site says of itself.
    pub origin: Option<&'a String>,
    pub log: &'a mut LogEntry,
}

/// What a grant yields before it is put into JSON.
struct Yield {
    user: String,
    client_id: String,
    scopes: Vec<String>,
    requested: Vec<String>,
    grant: u64,
    nonce: Option<String>,
    with_refresh: Option<String>,
}

pub fn answer(state: &mut State, asking: &mut Asking<'_>) -> Result<Value, Refusal> {
    check_tenant(state, asking.tenant)?;
    let grant_type = required(asking.form, "grant_type")?.to_string();
    let client_id = required(asking.form, "client_id")?.to_string();
    let Some(app) = state.options.apps.iter().find(|app| app.client_id == client_id).cloned() else {
        return refuse(700_016, format!("Application with identifier '{client_id}' was not found."));
    };
    if app.single_tenant.is_some() && matches!(asking.tenant, "common" | "organizations") {
        return refuse(50_194, "");
    }
    asking.log.sent_secret = asking.form.contains_key("client_secret");
    asking.log.sent_assertion = asking.form.contains_key("client_assertion");
    match grant_type.as_str() {
        "authorization_code" => redeem_code(state, asking, &app),
        "refresh_token" => refresh(state, asking, &app),
        "client_credentials" => app_only(state, asking, &app),
        // the second is how older libraries say it, and is taken as well
        "urn:ietf:params:oauth:grant-type:device_code" | "device_code" => device(state, asking, &app),
        other => refuse(70_003, format!("The grant type '{other}' is not supported.")),
    }
}

/// Known are the aliases, the tenants' ids and their domains.
pub fn check_tenant(state: &State, tenant: &str) -> Result<(), Refusal> {
    let declared = |name: &str| {
        state
            .options
            .tenants
            .iter()
            .any(|entry| entry.id == name || entry.domains.iter().any(|domain| domain == name))
    };
    if matches!(tenant, "common" | "organizations" | "consumers") || declared(tenant) {
        return Ok(());
    }
    refuse(90_002, format!("Tenant '{tenant}' not found."))
}

/// The tenant's id behind an id or a domain; None for the aliases.
pub fn tenant_id(state: &State, tenant: &str) -> Option<String> {
    let matches = |name: &str| name == tenant;
    let found = state
        .options
        .tenants
        .iter()
        .find(|entry| entry.id == tenant || entry.domains.iter().any(|d| matches(d)));
    found.map(|entry| entry.id.clone())
}

pub fn required<'f>(form: &'f Form, name: &str) -> Result<&'f str, Refusal> {
    match form.get(name).filter(|value| !value.is_empty()) {
        Some(value) => Ok(value),
        None => refuse(900_144, format!("'{name}'.")),
    }
}

/// Secrets and assertions are refused where the client cannot keep one and demanded where it can.
fn authenticate(
    state: &mut State,
    app: &App,
    platform: Platform,
    asking: &Asking<'_>,
) -> Result<(), Refusal> {
    let sent = |name: &str| asking.form.get(name).filter(|value| !value.is_empty());
    let (secret, assertion) = (sent("client_secret"), sent("client_assertion"));
    // https://learn.microsoft.com/entra/identity-platform/reference-error-codes: AADSTS9002326, AADSTS9002327
    match (platform, asking.origin) {
        (Platform::Spa, None) => return refuse(9_002_327, ""),
        (Platform::Web | Platform::Native, Some(_)) => return refuse(9_002_326, ""),
        (Platform::Spa, Some(_)) => return Ok(()),
        (Platform::Web | Platform::Native, None) => {}
    }
    if platform == Platform::Native || app.is_public() {
        return if secret.or(assertion).is_some() { refuse(700_025, "") } else { Ok(()) };
    }
    if let Some(assertion) = assertion {
        state.issued.push(assertion.clone());
        let audience = format!("{}/{}/oauth2/v2.0/token", asking.base, asking.tenant);
        let kind = sent("client_assertion_type").map(String::as_str);
        return assertion::check(kind, assertion, &Expected { app, audience: &audience });
    }
    if secret.is_none() {
        return refuse(7_000_218, "");
    }
    match app.secrets.iter().find(|known| Some(&known.value) == secret) {
        Some(secret) if secret.expired => refuse(7_000_222, ""),
        Some(_) => Ok(()),
        None => refuse(7_000_215, format!("App: '{}'.", app.client_id)),
    }
}

fn redeem_code(state: &mut State, asking: &mut Asking<'_>, app: &App) -> Result<Value, Refusal> {
    let text = required(asking.form, "code")?.to_string();
    let redirect_uri = required(asking.form, "redirect_uri")?.to_string();
    let Some(code) = state.codes.get(&text).cloned() else {
        return refuse(70_000, "The provided value for the 'code' parameter is not valid.");
    };
    authenticate(state, app, code.platform, asking)?;
    if code.client_id != app.client_id {
        return refuse(70_000, "The code was issued to another client.");
    }
    if code.tenant != asking.tenant {
        return refuse(700_005, "");
    }
    if code.redirect_uri != redirect_uri {
        return refuse(50_011, "");
    }
    if code.issued.elapsed() > Duration::from_secs(state.options.code_seconds) {
        return refuse(70_008, "");
    }
    check_verifier(code.challenge.as_deref(), asking.form)?;
    if code.redeemed {
        return refuse(54_005, "");
    }
    let requested = match asking.form.get("scope") {
        Some(_) => scopes::check(asking.form.get("scope"), app)?,
        None => code.scopes.clone(),
    };
    let requested = granted(state, &code.user, requested, &code.scopes);
    let scopes = scopes::single_resource(&requested)?;
    if let Some(entry) = state.codes.get_mut(&text) {
        entry.redeemed = true;
    }
    asking.log.consumed_at_ms = Some(state.now_ms());
    let grant = state.add_grant(&code.user, &app.client_id, code.platform, code.scopes.clone());
    let with_refresh = scopes::contains(&code.scopes, "offline_access").then(|| state.issue_refresh(grant));
    let client_id = app.client_id.clone();
    let (user, nonce) = (code.user, code.nonce);
    Ok(tokens(
        state,
        asking,
        Yield { user, client_id, scopes, requested: code.scopes, grant, nonce, with_refresh },
    ))
}

/// A personal account's token is for what its user left ticked, and its `scope` says so: it names the scopes that the
/// token is valid for (<https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#successful-response-2>).
fn granted(state: &State, user: &str, requested: Vec<String>, ticked: &[String]) -> Vec<String> {
    let is_personal = state.options.users.iter().any(|known| known.address == user && known.is_personal());
    let stays =
        |scope: &String| !is_personal || scope.ends_with("/.default") || scopes::contains(ticked, scope);
    requested.into_iter().filter(stays).collect()
}

pub fn check_verifier(challenge: Option<&str>, form: &Form) -> Result<(), Refusal> {
    let Some(challenge) = challenge else { return Ok(()) };
    use sha2::Digest;
    let hash = sha2::Sha256::digest(required(form, "code_verifier")?.as_bytes());
    if base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash) == challenge {
        return Ok(());
    }
    refuse(501_481, "")
}

fn refresh(state: &mut State, asking: &mut Asking<'_>, app: &App) -> Result<Value, Refusal> {
    let token = required(asking.form, "refresh_token")?.to_string();
    asking.log.refresh_token_sha256 = Some(sha256_hex(token.as_bytes()));
    let Some(grant) = state.refresh.get(&token).and_then(|entry| state.grants.get(&entry.grant)).cloned()
    else {
        return refuse(70_000, "The refresh token is malformed or unknown.");
    };
    authenticate(state, app, grant.platform, asking)?;
    if grant.client_id != app.client_id {
        return refuse(70_000, "The refresh token was issued to another client.");
    }
    asking.log.user = Some(grant.user.clone());
    let requested = match asking.form.get("scope").filter(|text| !text.is_empty()) {
        Some(_) => scopes::check(asking.form.get("scope"), app)?,
        None => grant.scopes.clone(),
    };
    let requested = granted(state, &grant.user, requested, &grant.scopes);
    let beyond = requested.iter().find(|scope| {
        !scopes::is_oidc(scope) && !scope.ends_with("/.default") && !scopes::contains(&grant.scopes, scope)
    });
    if let Some(scope) = beyond {
        return refuse(65_001, format!("Scope: {scope}."));
    }
    if state.consume_refresh(&token).is_none() {
        return refuse(70_008, "");
    }
    asking.log.consumed_at_ms = Some(state.now_ms());
    let next = state.issue_refresh(grant.id);
    if let Some(entry) = state.refresh.get_mut(&token) {
        entry.successors.push(next.clone());
    }
    let scopes = scopes::first_resource(&requested);
    let (user, client_id) = (grant.user, grant.client_id);
    let made =
        Yield { user, client_id, scopes, requested, grant: grant.id, nonce: None, with_refresh: Some(next) };
    Ok(tokens(state, asking, made))
}

fn app_only(state: &mut State, asking: &mut Asking<'_>, app: &App) -> Result<Value, Refusal> {
    if matches!(asking.tenant, "common" | "consumers") {
        return refuse(9_001_023, "");
    }
    if app.is_public() {
        return refuse(7_000_218, "");
    }
    authenticate(state, app, Platform::Web, asking)?;
    let scope = required(asking.form, "scope")?;
    if !scope.ends_with("/.default") || scope.contains(' ') {
        return refuse(70_011, format!("The scope {scope} is not valid."));
    }
    if !matches!(scopes::resource_of(scope).as_str(), "https://outlook.office.com" | "https://ps.outlook.com")
    {
        return refuse(500_011, "");
    }
    let Some(tenant_id) =
        tenant_id(state, asking.tenant).or_else(|| Some(state.options.tenants.first()?.id.clone()))
    else {
        return refuse(90_002, "");
    };
    // Where nobody consented, another tenant does not know the app at all; its own tenant gives a token without roles,
    // which opens nothing (https://learn.microsoft.com/entra/identity-platform/app-objects-and-service-principals).
    let consented =
        !app.needs_admin_consent || state.consents.contains(&(tenant_id.clone(), app.client_id.clone()));
    let home = app.single_tenant.clone().or_else(|| Some(state.options.tenants.first()?.id.clone()));
    if !consented && home.as_ref() != Some(&tenant_id) {
        let named = format!("{} is missing service principal in the tenant {tenant_id}.", app.client_id);
        return refuse(7_000_229, named);
    }
    let roles = if consented { app.roles.clone() } else { Vec::new() };
    let expires = Instant::now() + state.access_lifetime();
    let client_id = app.client_id.clone();
    let token =
        state.issue_access(Access { user: None, tenant_id, client_id, scopes: roles, grant: None, expires });
    let seconds = state.options.access_token_seconds;
    Ok(
        json!({"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}),
    )
}

fn device(state: &mut State, asking: &mut Asking<'_>, app: &App) -> Result<Value, Refusal> {
    let text = required(asking.form, "device_code")?.to_string();
    // a confidential client proves itself for the code, too (AADSTS7000218), unless the registration allows public client
    // flows (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code)
    if app.is_public() {
        authenticate(state, app, Platform::Native, asking)?;
    } else if !app.public_client_flows {
        authenticate(state, app, Platform::Web, asking)?;
    }
    let Some(device) = state.devices.get(&text).filter(|device| device.client_id == app.client_id).cloned()
    else {
        return refuse(70_018, "");
    };
    if device.issued.elapsed() > Duration::from_secs(state.options.device_code_seconds) {
        return refuse(70_019, "");
    }
    let user = match device.decision {
        Decision::Pending => return refuse(70_016, ""),
        Decision::Declined => return refuse(70_017, ""),
        Decision::Approved(user) => user,
    };
    state.devices.remove(&text);
    asking.log.consumed_at_ms = Some(state.now_ms());
    let requested = device.scopes;
    let scopes = scopes::single_resource(&requested)?;
    let grant = state.add_grant(&user, &app.client_id, Platform::Native, requested.clone());
    let with_refresh = scopes::contains(&requested, "offline_access").then(|| state.issue_refresh(grant));
    let client_id = app.client_id.clone();
    Ok(tokens(state, asking, Yield { user, client_id, scopes, requested, grant, nonce: None, with_refresh }))
}

fn tokens(state: &mut State, asking: &mut Asking<'_>, made: Yield) -> Value {
    let expires = Instant::now() + state.access_lifetime();
    let user = state.options.users.iter().find(|user| user.address == made.user).cloned();
    let tenant_id = user.as_ref().map(|user| user.tenant_id.clone()).unwrap_or_default();
    let access = state.issue_access(Access {
        user: Some(made.user.clone()),
        tenant_id: tenant_id.clone(),
        client_id: made.client_id.clone(),
        scopes: made.scopes.clone(),
        grant: Some(made.grant),
        expires,
    });
    asking.log.user = Some(made.user.clone());
    let seconds = state.options.access_token_seconds;
    let mut value = json!({
        "token_type": "Bearer", "scope": made.scopes.join(" "),
        "expires_in": seconds, "ext_expires_in": seconds, "access_token": access,
    });
    if let Some(refresh) = &made.with_refresh {
        asking.log.issued_refresh_token_sha256 = Some(sha256_hex(refresh.as_bytes()));
        value["refresh_token"] = json!(refresh);
    }
    if scopes::contains(&made.requested, "openid") {
        let oid = user.map(|user| user.oid).unwrap_or_default();
        let mut claims = claims(asking.base, &tenant_id, &oid, &made);
        if scopes::contains(&made.requested, "email") {
            claims["email"] = json!(made.user);
        }
        value["id_token"] = json!(asking.keys.sign(&claims));
    }
    value
}

fn claims(base: &str, tenant_id: &str, oid: &str, made: &Yield) -> Value {
    let now = chrono::Utc::now().timestamp();
    let local = made.user.split('@').next().unwrap_or_default();
    let subject = sha256_hex(format!("{oid}{}", made.client_id).as_bytes());
    let mut claims = json!({
        "aud": made.client_id, "iss": format!("{base}/{tenant_id}/v2.0"), "iat": now, "nbf": now,
        "exp": now + 3_600, "name": local, "oid": oid, "preferred_username": made.user,
        "sub": subject, "tid": tenant_id, "ver": "2.0",
    });
    if let Some(nonce) = &made.nonce {
        claims["nonce"] = json!(nonce);
    }
    claims
}

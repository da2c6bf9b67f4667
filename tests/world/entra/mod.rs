//! An Entra ID stand-in: strict where the real one is, scriptable where the real one is only unlucky.
//! It speaks plain HTTP on loopback. Rust callers use [`Entra`]; other processes use `/control/…`.

pub mod assertion;
mod authorize;
mod control;
mod errors;
pub mod google;
mod google_user;
mod keys;
pub mod model;
mod publish;
mod scopes;
pub mod script;
mod serve;
pub mod state;
mod token;

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use serde_json::Value;

use super::backstage::Backstage;
use super::http;
pub use model::{App, EntraOptions, IMAP_SCOPE, KUNDE_TENANT, MAIL_SCOPES, MAKLER_TENANT, Platform};
pub use model::{POP_SCOPE, Redirect, Rotation, SMTP_SCOPE, Secret, Tenant, User};
pub use script::{Drop as Dropping, Instead, Scripted};
pub use state::{Decision, Grant, LogEntry};

/// A running stand-in. It ends with its backstage.
#[derive(Clone)]
pub struct Entra {
    site: Arc<serve::Site>,
    pub port: u16,
    backstage: Backstage,
}

/// What a successful token request gave.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
    pub scope: String,
    pub expires_in: u64,
}

impl Entra {
    pub fn start(backstage: &Backstage, options: EntraOptions) -> Self {
        let (listener, port) = backstage.listen();
        let site = Arc::new(serve::Site {
            state: std::sync::Mutex::new(state::State::new(options)),
            keys: keys::Keys::generate(),
            base: format!("http://127.0.0.1:{port}"),
        });
        let shared = Arc::clone(&site);
        backstage.handle().spawn(http::serve(listener, move |request| {
            serve::handle(Arc::clone(&shared), shared.base.clone(), request)
        }));
        backstage.handle().spawn(publish::keep_current(Arc::downgrade(&site)));
        Self { site, port, backstage: backstage.clone() }
    }

    /// The same stand-in over TLS, for clients that speak to nothing else: its address there.
    pub fn serve_tls(&self, config: Arc<rustls::ServerConfig>) -> String {
        let (listener, port) = self.backstage.listen();
        let (shared, base) = (Arc::clone(&self.site), format!("https://localhost:{port}"));
        let answered_as = base.clone();
        self.backstage.handle().spawn(http::serve_tls(listener, config, move |request| {
            serve::handle(Arc::clone(&shared), answered_as.clone(), request)
        }));
        base
    }

    fn state(&self) -> MutexGuard<'_, state::State> {
        self.site.state.lock().unwrap()
    }

    /// `http://127.0.0.1:port`, to which `/{tenant}` is appended.
    pub fn authority_url(&self) -> &str {
        &self.site.base
    }

    /// The first declared tenant's id.
    pub fn tenant_id(&self) -> String {
        self.state().options.tenants.first().map(|tenant| tenant.id.clone()).unwrap_or_default()
    }

    pub fn endpoint(&self, tenant: &str, name: &str) -> String {
        format!("{}/{tenant}/oauth2/v2.0/{name}", self.site.base)
    }

    pub fn web_app(&self) -> App {
        self.app(&model::web_app().client_id)
    }

    pub fn native_app(&self) -> App {
        self.app(&model::native_app().client_id)
    }

    pub fn daemon_app(&self) -> App {
        self.app(&model::daemon_app().client_id)
    }

    pub fn app(&self, client_id: &str) -> App {
        let state = self.state();
        state
            .options
            .apps
            .iter()
            .find(|app| app.client_id == client_id)
            .cloned()
            .expect("a declared application")
    }

    /// Adds the application or replaces the one of the same client id.
    pub fn put_app(&self, app: App) {
        control::put_app(&mut self.state(), app);
    }

    /// Adds the service account or replaces the one of the same address.
    pub fn put_service_account(&self, account: google::ServiceAccount) {
        control::put_service_account(&mut self.state().options, account);
    }

    pub fn add_redirect(&self, client_id: &str, uri: &str, platform: Platform) {
        control::add_redirect(&mut self.state(), client_id, Redirect { uri: uri.into(), platform });
    }

    pub fn add_user(&self, address: &str) {
        let mut state = self.state();
        state.options.add_user(address);
        state.publish();
    }

    /// A personal account, which may refuse some of the scopes.
    pub fn add_personal_user(&self, address: &str) {
        let mut state = self.state();
        state.options.add_personal_user(address);
        state.publish();
    }

    pub fn user(&self, address: &str) -> Option<User> {
        self.state().options.users.iter().find(|user| user.address == address).cloned()
    }

    /// Lets tokens of `user` open `mailbox` too.
    pub fn delegate(&self, user: &str, mailbox: &str) {
        let mut state = self.state();
        control::delegate(&mut state.options, user, mailbox);
        state.publish();
    }

    pub fn with_options(&self, change: impl FnOnce(&mut EntraOptions)) {
        change(&mut self.state().options);
    }

    // --- scripting ---

    pub fn next(&self, endpoint: &str, answer: Instead) {
        self.next_times(endpoint, answer, 1);
    }

    pub fn next_times(&self, endpoint: &str, answer: Instead, times: u32) {
        self.state().script.push_back(Scripted { endpoint: endpoint.into(), answer, times });
    }

    pub fn clear_script(&self) {
        self.state().script.clear();
    }

    pub fn set_rotation(&self, mode: Rotation) {
        self.state().options.rotation = mode;
    }

    pub fn revoke(&self, user: &str) -> usize {
        control::revoke(&mut self.state(), user)
    }

    pub fn expire_access_tokens(&self) -> usize {
        control::expire_access_tokens(&mut self.state())
    }

    pub fn approve_device(&self, user_code: &str, account: &str) -> bool {
        authorize::decide_device(
            &mut self.state(),
            user_code,
            Decision::Approved(account.to_ascii_lowercase()),
        )
    }

    pub fn decline_device(&self, user_code: &str) -> bool {
        authorize::decide_device(&mut self.state(), user_code, Decision::Declined)
    }

    pub fn log(&self) -> Vec<LogEntry> {
        self.state().log.clone()
    }

    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().counts.clone()
    }

    pub fn count(&self, endpoint: &str) -> u64 {
        self.state().counts.get(endpoint).copied().unwrap_or(0)
    }

    pub fn grants(&self) -> Vec<Grant> {
        self.state().grants.values().cloned().collect()
    }

    /// Whatever nobody but a client may know: its secrets, and every token given out so far.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        let of_apps = state.options.apps.iter().flat_map(|app| app.secrets.iter());
        of_apps.map(|secret| secret.value.clone()).chain(state.issued.iter().cloned()).collect()
    }

    // --- playing browser and client ---

    /// Opens an authorize address, clicks `account`, and gives the address redirected to.
    pub fn click_account(&self, authorize_url: &str, account: &str) -> Result<String, String> {
        click_account(authorize_url, account)
    }

    /// POSTs to the token endpoint of `tenant`; the status and the JSON as they came.
    pub fn post_token(&self, tenant: &str, pairs: &[(&str, &str)]) -> std::io::Result<(u16, Value)> {
        let response = http::post_form(&self.endpoint(tenant, "token"), pairs)?;
        Ok((response.status, response.value()))
    }

    /// A whole sign-in of `user` at the web application: chooser, code, PKCE, tokens.
    pub fn sign_in(&self, user: &str) -> Tokens {
        self.sign_in_for(user, MAIL_SCOPES)
    }

    pub fn sign_in_for(&self, user: &str, scope: &str) -> Tokens {
        let app = self.web_app();
        let redirect = "http://127.0.0.1:1/sign-in/callback";
        let verifier = "a-verifier-that-is-long-enough-for-the-specification-0123";
        let url = self.authorize_url("organizations", &app.client_id, redirect, scope, verifier);
        let code = http::parameter(&self.click_account(&url, user).unwrap(), "code").expect("a code");
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", app.client_id.as_str()),
            ("client_secret", app.secret()),
            ("redirect_uri", redirect),
            ("code", code.as_str()),
            ("code_verifier", verifier),
        ];
        let (status, value) = self.post_token("organizations", &pairs).unwrap();
        assert_eq!(status, 200, "{value}");
        serde_json::from_value(value).unwrap()
    }

    pub fn authorize_url(
        &self,
        tenant: &str,
        client: &str,
        redirect: &str,
        scope: &str,
        verifier: &str,
    ) -> String {
        use base64::Engine;
        use sha2::Digest;
        let hash = sha2::Sha256::digest(verifier.as_bytes());
        let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash);
        let pairs = [
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", redirect),
            ("scope", scope),
            ("state", "world"),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        let query = String::from_utf8(http::form(&pairs)).unwrap();
        format!("{}?{query}", self.endpoint(tenant, "authorize"))
    }
}

/// Plays the browser: GETs the page, checks that the account is offered, POSTs the click.
pub fn click_account(authorize_url: &str, account: &str) -> Result<String, String> {
    let page = http::get(authorize_url).map_err(|error| error.to_string())?;
    let offered = page.text().contains(&format!("value=\"{}\"", authorize::escape(account)));
    if page.status != 200 || !offered {
        return Err(format!("{account} is not offered: {} {}", page.status, page.text()));
    }
    let answer =
        http::post_form(authorize_url, &[("account", account)]).map_err(|error| error.to_string())?;
    match answer.header("location") {
        Some(location) if answer.status == 302 => Ok(location.to_string()),
        _ => Err(format!("no redirect: {} {}", answer.status, answer.text())),
    }
}

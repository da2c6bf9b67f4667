//! What `app verify` concludes from the answers it got. Pure.

use crate::diagnosis::{Entry, Facts, catalogue as c, describe};
use crate::domain::app::AppCredentials;
use crate::domain::{App, Diagnosis, Disposition, Mailbox, SmtpAuth};
use crate::token::oauth::{FlowError, TokenAnswer};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Proved.
    Ok,
    /// Proved to be wrong.
    Failed,
    /// Nothing speaks against it; only a user or another answer can prove it.
    NotYetProved,
    /// Not asked, for a reason that the detail names.
    Skipped,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// How it ended.
    pub result: CheckResult,
    /// In a sentence.
    pub detail: String,
    /// What to do, where something is wrong.
    pub diagnosis: Option<Diagnosis>,
}

impl Check {
    /// A check without a diagnosis.
    pub fn new(name: &'static str, result: CheckResult, detail: impl Into<String>) -> Self {
        Self { name, result, detail: detail.into(), diagnosis: None }
    }

    /// A check that found something to be mended.
    pub fn failed(name: &'static str, detail: impl Into<String>, diagnosis: Diagnosis) -> Self {
        Self { diagnosis: Some(diagnosis), ..Self::new(name, CheckResult::Failed, detail) }
    }
}

/// The tenant's id in the issuer that its metadata document names.
pub(in crate::token) fn tenant_in(issuer: &str) -> Option<String> {
    let parts: Vec<&str> = issuer.trim_end_matches('/').split('/').collect();
    let id = parts.iter().rev().find(|part| **part != "v2.0")?;
    // for the aliases (organizations) it is the template {tenantid}
    id.contains('-').then(|| String::from(*id))
}

/// The name of the check of what the app proves itself with.
pub(in crate::token) fn credential_name(credentials: &AppCredentials) -> &'static str {
    if credentials.certificate.is_some() { "client_certificate" } else { "client_secret" }
}

/// Client id and secret or certificate, from the answer to the app's own token request.
pub(in crate::token) fn client(
    credentials: &AppCredentials,
    answer: &Result<TokenAnswer, FlowError>,
) -> [Check; 2] {
    use CheckResult::{NotYetProved, Ok as Good, Skipped};
    let (app, proof) = (&credentials.app, credential_name(credentials));
    let known = || Check::new("client_id", Good, "the app is registered in the tenant");
    let failure = match answer {
        Ok(_) => return [known(), Check::new(proof, Good, "the identity provider took it")],
        Err(FlowError::Refused { failure }) => failure,
        Err(other) => {
            let open = |name| Check {
                diagnosis: Some(other.diagnosis(&Facts::of_app(app))),
                ..Check::new(name, NotYetProved, "the identity provider did not answer the token request")
            };
            return [open("client_id"), open(proof)];
        }
    };
    let diagnosis = failure.diagnosis(&Facts::of_app(app));
    let is = |entries: &[&Entry]| entries.iter().any(|entry| entry.code == failure.entry.code);
    if is(&[&c::APP_NOT_FOUND]) {
        let detail = "the tenant knows no app of this client id. It is the Application (client) ID of the app \
                      registration: not the Object ID beside it, not the tenant's id, and not the Object ID of the \
                      enterprise application";
        let unasked = Check::new(proof, Skipped, "the app itself is not known yet");
        return [Check::failed("client_id", detail, diagnosis), unasked];
    }
    if is(&[&c::CLIENT_TYPE]) && !credentials.is_confidential() {
        let detail = "none is entered: right for a native redirect and device code, wrong for a Web redirect and \
                      app-only";
        return [known(), Check::new(proof, Skipped, detail)];
    }
    if is(&[&c::SECRET_WRONG, &c::SECRET_EXPIRED, &c::CLIENT_TYPE, &c::APP_CERTIFICATE]) {
        return [known(), Check::failed(proof, diagnosis.summary.clone(), diagnosis)];
    }
    if is(&[&c::RESOURCE_MISSING, &c::APP_PERMISSIONS]) {
        let secret = Check::new(proof, Good, "the identity provider took it");
        return [Check::failed("client_id", diagnosis.summary.clone(), diagnosis), secret];
    }
    let unsure = Check {
        diagnosis: Some(diagnosis.clone()),
        ..Check::new(proof, NotYetProved, "the request was refused for another reason")
    };
    match failure.disposition() {
        Disposition::Retry | Disposition::RetryAfter(_) => {
            let detail = "the identity provider cannot say now: verify again later";
            let open = Check { diagnosis: Some(diagnosis), ..Check::new("client_id", NotYetProved, detail) };
            [open, unsure]
        }
        Disposition::FreshToken
        | Disposition::SignIn
        | Disposition::NeedsAdmin
        | Disposition::AppBroken
        | Disposition::GiveUp
        | Disposition::Fatal => [Check::failed("client_id", diagnosis.summary.clone(), diagnosis), unsure],
    }
}

/// What mailboxes do with an app's own tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppOnlyUse {
    /// Mail is received.
    pub receives: bool,
    /// Mail is sent.
    pub sends: bool,
}

impl AppOnlyUse {
    /// What a mailbox does.
    #[must_use]
    pub fn of(mailbox: &Mailbox) -> Self {
        let sends = mailbox.smtp.as_ref().is_some_and(|smtp| smtp.auth == SmtpAuth::Inherit);
        Self { receives: mailbox.imap.is_some(), sends }
    }

    /// What either does.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { receives: self.receives || other.receives, sends: self.sends || other.sends }
    }
}

/// The application permissions in a token of the app's own, for each use of it. Sending need not be among them: Exchange
/// can grant it by a role assignment of its own, `Application SMTP.SendAsApp`, that no token shows
/// (<https://learn.microsoft.com/exchange/permissions-exo/application-rbac>).
pub(in crate::token) fn app_roles(app: &App, token: Option<&TokenAnswer>, used: AppOnlyUse) -> Check {
    const NAME: &str = "app_roles";
    const RECEIVING: &str = "IMAP.AccessAsApp";
    const SENDING: &str = "SMTP.SendAsApp";
    let is_used = used != AppOnlyUse::default();
    let Some(token) = token else {
        return Check::new(NAME, CheckResult::Skipped, "there is no token to look into");
    };
    let Some(roles) = roles(token.access_token.expose()) else {
        let result = if is_used { CheckResult::NotYetProved } else { CheckResult::Skipped };
        return Check::new(NAME, result, "the token cannot be looked into");
    };
    let shown = if roles.is_empty() { String::from("none") } else { roles.join(", ") };
    let lacks = |role: &str| !roles.iter().any(|has| has == role);
    let add =
        "add it under Office 365 Exchange Online > Application permissions, and let an administrator consent";
    if used.receives && lacks(RECEIVING) {
        let detail = format!("{RECEIVING} missing, so that nothing is received (granted: {shown}): {add}");
        return Check::failed(NAME, detail, describe(&c::ADMIN_CONSENT, &Facts::of_app(app), None));
    }
    if used.sends && lacks(SENDING) {
        let detail = format!(
            "{SENDING} missing (granted: {shown}): mail is sent only if Exchange grants it by a role assignment \
             (Application SMTP.SendAsApp), which the first log-in proves. Otherwise {add}"
        );
        return Check::new(NAME, CheckResult::NotYetProved, detail);
    }
    if !is_used && (lacks(RECEIVING) || lacks(SENDING)) {
        let detail = format!("app-only sign-in is not used; granted: {shown}");
        return Check::new(NAME, CheckResult::Skipped, detail);
    }
    Check::new(NAME, CheckResult::Ok, format!("granted: {shown}"))
}

/// `roles` of an access token that is a JWT. It is only looked at: what it opens is for the mail server to say.
fn roles(token: &str) -> Option<Vec<String>> {
    let payload = token.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let roles = claims.get("roles").and_then(Value::as_array).cloned().unwrap_or_default();
    Some(roles.iter().filter_map(Value::as_str).map(String::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::classify_oauth;
    use crate::domain::Secret;
    use std::time::Duration;

    fn app() -> App {
        App { tenant: Some(String::from("makler.example")), ..App::plain("o365") }
    }

    fn credentials(has_secret: bool) -> AppCredentials {
        app().with_secret(has_secret.then_some("s"))
    }

    fn refused(code: u32) -> Result<TokenAnswer, FlowError> {
        let body = format!(r#"{{"error":"invalid_client","error_description":"AADSTS{code}: no"}}"#);
        Err(FlowError::Refused { failure: Box::new(classify_oauth(401, body.as_bytes(), None)) })
    }

    fn token(claims: &str) -> TokenAnswer {
        TokenAnswer {
            access_token: Secret::new(format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims))),
            refresh_token: None,
            expires_in: Duration::from_secs(1),
            scopes: Vec::new(),
            id_token: None,
        }
    }

    #[test]
    fn a_refusal_says_which_of_client_id_and_secret_is_wrong() {
        use CheckResult::{Failed, NotYetProved, Ok as Good, Skipped};
        for (code, has_secret, results) in [
            (700_016, true, [Failed, Skipped]),
            (7_000_215, true, [Good, Failed]),
            (7_000_222, true, [Good, Failed]),
            (700_025, true, [Good, Failed]),
            (7_000_218, false, [Good, Skipped]),
            (500_011, true, [Failed, Good]),
            (7_000_112, true, [Failed, NotYetProved]),
            (90_033, true, [NotYetProved, NotYetProved]),
        ] {
            let checks = client(&credentials(has_secret), &refused(code));
            assert_eq!(checks.clone().map(|check| check.result), results, "{code}: {checks:?}");
            let is_told = |check: &Check| check.result != Failed || check.diagnosis.is_some();
            assert!(checks.iter().all(is_told), "{code}");
        }
        let away = Err(FlowError::Transport { maybe_consumed: false, cause: String::from("reset") });
        assert_eq!(client(&credentials(true), &away).map(|check| check.result), [NotYetProved, NotYetProved]);
        assert_eq!(client(&credentials(true), &Ok(token("{}"))).map(|check| check.result), [Good, Good]);
    }

    #[test]
    fn roles_are_demanded_for_the_use_that_is_made_of_them() {
        use CheckResult::{Failed, NotYetProved, Ok as Good, Skipped};
        let used = |receives, sends| AppOnlyUse { receives, sends };
        let (both, none) = (used(true, true), used(false, false));
        let all = r#"{"roles":["SMTP.SendAsApp","IMAP.AccessAsApp"]}"#;
        let imap = r#"{"roles":["IMAP.AccessAsApp"]}"#;
        let smtp = r#"{"roles":["SMTP.SendAsApp"]}"#;
        for (claims, used, result) in [
            (all, both, Good),
            (all, none, Good),
            (imap, both, NotYetProved),
            (imap, used(true, false), Good),
            (smtp, both, Failed),
            (smtp, used(false, true), Good),
            ("{}", used(false, true), NotYetProved),
            ("{}", both, Failed),
            ("{}", none, Skipped),
            ("no json", both, NotYetProved),
        ] {
            let check = app_roles(&app(), Some(&token(claims)), used);
            assert_eq!(check.result, result, "{claims} {used:?}: {check:?}");
        }
        assert_eq!(app_roles(&app(), None, both).result, Skipped);
    }

    #[test]
    fn the_tenant_s_id_is_in_the_issuer() {
        let id = "6b5a1d2e-0c1f-4c52-9a77-2f0d3a5b7c11";
        assert_eq!(tenant_in(&format!("https://login.microsoftonline.com/{id}/v2.0")).as_deref(), Some(id));
        assert_eq!(tenant_in(&format!("https://sts.windows.net/{id}/")).as_deref(), Some(id));
        assert_eq!(tenant_in("https://login.microsoftonline.com/{tenantid}/v2.0"), None);
    }
}

//! What comes back to the callback for an app and not for a mailbox: an administrator's consent, and a trial sign-in of
//! which nothing is kept but that it worked. The one redirect URI serves these, too; their `state` tells them apart.

use super::super::Shared;
use super::super::auth::random_text;
use super::super::problem::Problem;
use super::app_page::{self, Told};
use super::callback::Returned;
use super::redeem::{Provider, exchange_settled};
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, classify_oauth, describe};
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{App, AppId, Diagnosis, GrantWay, RetryClass, Secret, Timestamp};
use crate::store::{AppFacts, Attempt, Proof, ProvedBy, StoreError};
use crate::token::identity;
use crate::token::lifecycle::missing_scopes;
use crate::token::{AuthorizeRequest, FlowError, TokenAnswer, tenant_id};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A guide is printed and handed on.
const CONSENT_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// A trial is begun now.
const TRIAL_LIFE: Duration = Duration::from_secs(3600);

/// What a `state` says.
#[derive(Serialize, Deserialize)]
struct Visit {
    app: AppId,
    /// The app as it was then: what comes back says nothing about another registration.
    registration: Registration,
    until: Timestamp,
    /// `None`: a consent.
    trial: Option<Attempt>,
}

/// The `state` of a consent link of this app.
pub(in crate::http) fn consent_state(shared: &Shared, app: &App) -> Result<Secret, StoreError> {
    let until = clock::now().plus(CONSENT_LIFE);
    let registration = Registration::of(app);
    shared.store.seal_app_state(&Visit { app: app.id.clone(), registration, until, trial: None })
}

/// Where an administrator signs in on trial, and until when.
pub(in crate::http) async fn begin_trial(
    shared: &Shared,
    credentials: &AppCredentials,
) -> Result<Result<(String, Timestamp), FlowError>, Problem> {
    let provider = match Provider::of_app(shared, credentials).await {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let until = clock::now().plus(TRIAL_LIFE);
    let attempt = Attempt {
        // the visit's own, which holds this, takes its place
        state: Secret::new(""),
        verifier: random_text()?,
        nonce: random_text()?,
        redirect_uri: shared.callback_uri(),
        app: Some(credentials.app.id.clone()),
        browser: None,
    };
    let app = &credentials.app;
    let visit = Visit {
        app: app.id.clone(),
        registration: Registration::of(app),
        until,
        trial: Some(attempt.clone()),
    };
    let state = shared.store.seal_app_state(&visit)?;
    let request = AuthorizeRequest {
        redirect_uri: &attempt.redirect_uri,
        state: state.expose(),
        verifier: &attempt.verifier,
        nonce: attempt.nonce.expose(),
        login_hint: None,
        claims: None,
    };
    Ok(provider.client.authorize_url(&request).map(|url| (String::from(url), until)))
}

/// Takes what came back, if its `state` is one of these.
pub(super) async fn come_back(
    request: &HttpRequest,
    shared: &Shared,
    returned: &Returned,
) -> Result<Option<HttpResponse>, Problem> {
    let state = returned.state.as_deref().unwrap_or_default();
    let Some(visit) = shared.store.open_app_state::<Visit>(state) else { return Ok(None) };
    let credentials = shared.store.app(&visit.app)?.map(|row| row.value);
    let credentials = credentials
        .filter(|known| visit.until > clock::now() && Registration::of(&known.app) == visit.registration);
    let Some(credentials) = credentials else {
        return Ok(Some(app_page::shown(request, &visit.app, &Told::Stale)));
    };
    let told = match &visit.trial {
        Some(attempt) => trial_returned(shared, &credentials, attempt, returned).await?,
        None => consent_returned(shared, &credentials.app, returned).await?,
    };
    Ok(Some(app_page::shown(request, &visit.app, &told)))
}

async fn consent_returned(shared: &Shared, app: &App, returned: &Returned) -> Result<Told, Problem> {
    let is_given = returned.admin_consent.as_deref().is_some_and(|said| said.eq_ignore_ascii_case("true"));
    if returned.error.is_some() || !is_given {
        let diagnosis = refusal(app, returned);
        // what passes by itself says nothing of the consent
        let consent = (diagnosis.retry != RetryClass::Auto).then(|| Some(diagnosis.clone()));
        note(shared, app, ProvedBy::AdminConsent, consent).await?;
        return Ok(Told::ConsentRefused(Box::new(diagnosis)));
    }
    let theirs = returned.tenant.clone().unwrap_or_default();
    match is_own_tenant(shared, app, &theirs).await? {
        None => Ok(Told::Unsure),
        Some(true) => {
            note(shared, app, ProvedBy::AdminConsent, Some(None)).await?;
            Ok(Told::Consented)
        }
        Some(false) => {
            let evidence = format!("consent was given for the tenant {theirs}");
            let diagnosis = describe(&c::ADMIN_CONSENT, &Facts::of_app(app), Some(&evidence));
            note(shared, app, ProvedBy::AdminConsent, Some(Some(diagnosis))).await?;
            Ok(Told::OtherTenant { theirs, wanted: app.tenant.clone().unwrap_or_default() })
        }
    }
}

async fn trial_returned(
    shared: &Shared,
    credentials: &AppCredentials,
    attempt: &Attempt,
    returned: &Returned,
) -> Result<Told, Problem> {
    let app = &credentials.app;
    let Some(code) = returned.code.as_deref().map(Secret::new) else {
        // that it came back at all proves the redirect
        let diagnosis = refusal(app, returned);
        let consent = is_about_consent(&diagnosis).then(|| Some(diagnosis.clone()));
        note(shared, app, ProvedBy::TrialSignIn, consent).await?;
        return Ok(Told::TrialRefused(Box::new(diagnosis)));
    };
    note(shared, app, ProvedBy::TrialSignIn, None).await?;
    let (provider, answer) = match redeem(shared, credentials, attempt, &code).await? {
        Ok(redeemed) => redeemed,
        Err(error) => return Ok(Told::TrialRefused(Box::new(error.diagnosis(&Facts::of_app(app))))),
    };
    // from here on the tokens are only looked at, and dropped
    let issuer = &provider.client.endpoints().issuer;
    let Some(Ok(claims)) = answer.id_token.as_deref().map(identity::parse) else { return Ok(Told::Unusable) };
    if claims.check(&app.client_id, issuer, Some(attempt.nonce.expose()), clock::now()).is_err() {
        return Ok(Told::Unusable);
    }
    let name = claims.signed_in_as().name;
    let theirs = claims.tenant.clone().unwrap_or_default();
    match is_own_tenant(shared, app, &theirs).await? {
        None => return Ok(Told::Unsure),
        Some(false) => {
            return Ok(Told::OtherTenant { theirs, wanted: app.tenant.clone().unwrap_or_default() });
        }
        Some(true) => {}
    }
    let missing = missing_scopes(&provider.client.endpoints().scopes, &answer.scopes);
    if !missing.is_empty() {
        let evidence = format!("not granted: {}", missing.join(" "));
        let diagnosis = describe(&c::CONSENT_MISSING, &Facts::of_app(app), Some(&evidence));
        note(shared, app, ProvedBy::TrialSignIn, Some(Some(diagnosis.clone()))).await?;
        return Ok(Told::TrialRefused(Box::new(diagnosis)));
    }
    note(shared, app, ProvedBy::TrialSignIn, Some(None)).await?;
    Ok(Told::TrialWorked { name })
}

async fn redeem(
    shared: &Shared,
    credentials: &AppCredentials,
    attempt: &Attempt,
    code: &Secret,
) -> Result<Result<(Provider, TokenAnswer), FlowError>, Problem> {
    let provider = match Provider::of_app(shared, credentials).await {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let (provider, exchanged, _) =
        exchange_settled(shared, provider, attempt, code, GrantWay::Redirect).await?;
    Ok(exchanged.map(|answer| (provider, answer)))
}

/// Why nothing good came back.
fn refusal(app: &App, returned: &Returned) -> Diagnosis {
    let error = returned.error.as_deref().unwrap_or_default();
    let said = returned.error_description.as_deref().unwrap_or(error);
    // Microsoft's own word for it, or nothing at all
    let is_unnamed = matches!(error, "permission_denied" | "") && !said.contains("AADSTS");
    if is_unnamed {
        let evidence = if said.is_empty() { "neither consent nor an error came back" } else { said };
        return describe(&c::ADMIN_CONSENT, &Facts::of_app(app), Some(evidence));
    }
    let answer = serde_json::json!({"error": error, "error_description": said});
    classify_oauth(400, answer.to_string().as_bytes(), None).diagnosis(&Facts::of_app(app))
}

fn is_about_consent(diagnosis: &Diagnosis) -> bool {
    let entries = [&c::ADMIN_CONSENT, &c::CONSENT_MISSING, &c::CONSENT_DECLINED];
    entries.iter().any(|entry| entry.code == diagnosis.code)
}

/// Whether that is the app's tenant; `None`: it cannot be found out now.
async fn is_own_tenant(shared: &Shared, app: &App, theirs: &str) -> Result<Option<bool>, Problem> {
    let Some(named) = app.tenant.as_deref() else { return Ok(Some(true)) };
    if theirs.eq_ignore_ascii_case(named) {
        return Ok(Some(true));
    }
    let known = shared.store.app_facts(&app.id)?.value.tenant.filter(|found| found.named == named);
    let id = match known {
        Some(found) => Some(found.id),
        None if named.contains('.') => tenant_id(&shared.http, app).await,
        None => Some(String::from(named)),
    };
    Ok(id.map(|id| id.eq_ignore_ascii_case(theirs)))
}

/// Notes what was proven: that our redirect comes back, and what became of the consent, if that is known.
async fn note(
    shared: &Shared,
    app: &App,
    how: ProvedBy,
    consent: Option<Option<Diagnosis>>,
) -> Result<(), StoreError> {
    let proof = |diagnosis| Proof {
        at: clock::now(),
        registration: Registration::of(app),
        redirect_uri: shared.callback_uri(),
        how,
        diagnosis,
    };
    let change = |facts: &mut AppFacts| {
        facts.redirect = Some(proof(None));
        if let Some(diagnosis) = &consent {
            facts.consent = Some(proof(diagnosis.clone()));
        }
    };
    shared.store.change_app_facts(&app.id, change).await
}

/// A user's sign-in by redirect proves as much as a trial. What cannot be noted is found out by the next one.
pub(super) async fn note_sign_in(shared: &Shared, provider: &Provider, answer: &TokenAnswer) {
    let app = &provider.app.app;
    let is_whole = missing_scopes(&provider.client.endpoints().scopes, &answer.scopes).is_empty();
    let noted = async {
        let known = shared.store.app_facts(&app.id)?.value;
        let is_known = |proof: &Option<Proof>| {
            proof.as_ref().is_some_and(|proof| proof.is_good_for(app, &shared.callback_uri()))
        };
        if is_known(&known.redirect) && (is_known(&known.consent) || !is_whole) {
            return Ok(());
        }
        note(shared, app, ProvedBy::SignIn, is_whole.then_some(None)).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(app = %app.id, %error, "what a sign-in proved of the app is not noted");
    }
}

//! What came back from the provider for an app and not for a mailbox: an administrator's consent, and a sign-in test
//! of which nothing is kept but that it worked.

use super::app_proofs::note;
use super::app_state::AppState;
use super::context::Context;
use super::provider::Provider;
use super::redeem::exchange_code;
use super::returned::Returned;
use crate::clock;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::app::{AppCredentials, Registration};
use crate::domain::{App, AppId, Diagnosis, GrantWay, RetryClass, Secret};
use crate::problem::Problem;
use crate::store::{Attempt, ProvedBy};
use crate::token::{FlowError, TokenAnswer, tenant_id};
use crate::token::{identity, scopes};

/// What became of it.
pub(crate) enum AppResult {
    /// An administrator consented.
    Consented,
    /// The administrator did not consent.
    ConsentRefused(Box<Diagnosis>),
    /// Somebody of another tenant came.
    OtherTenant {
        /// That one's.
        theirs: String,
        /// The app's.
        wanted: String,
    },
    /// The sign-in test worked.
    TestWorked {
        /// Who signed in.
        name: String,
    },
    /// It did not.
    TestRefused(Box<Diagnosis>),
    /// The answer lacks what was requested.
    Unusable,
    /// The tenants cannot be compared at the moment.
    Unsure,
    /// The link is old, or the app is another one by now.
    Stale,
}

/// Takes what came back, if its `state` is an app's: which app's, and what became of it.
pub(crate) async fn take_app_answer(
    context: &Context,
    returned: &Returned,
) -> Result<Option<(AppId, AppResult)>, Problem> {
    let state = returned.state.as_deref().unwrap_or_default();
    let Some(sent) = context.store.open_app_state::<AppState>(state) else { return Ok(None) };
    let credentials = context.store.app(&sent.app)?.map(|row| row.value);
    let credentials = credentials
        .filter(|known| sent.until > clock::now() && Registration::of(&known.app) == sent.registration);
    let Some(credentials) = credentials else {
        return Ok(Some((sent.app, AppResult::Stale)));
    };
    let result = match &sent.trial {
        Some(attempt) => test_returned(context, &credentials, attempt, returned).await?,
        None => consent_returned(context, &credentials.app, returned).await?,
    };
    Ok(Some((sent.app, result)))
}

async fn consent_returned(context: &Context, app: &App, returned: &Returned) -> Result<AppResult, Problem> {
    let is_given = returned.admin_consent.as_deref().is_some_and(|said| said.eq_ignore_ascii_case("true"));
    if returned.error.is_some() || !is_given {
        let diagnosis = refusal(app, returned);
        // what passes by itself says nothing of the consent
        let consent = (diagnosis.retry != RetryClass::Auto).then(|| Some(diagnosis.clone()));
        note(context, app, ProvedBy::AdminConsent, consent).await?;
        return Ok(AppResult::ConsentRefused(Box::new(diagnosis)));
    }
    let theirs = returned.tenant.clone().unwrap_or_default();
    match is_own_tenant(context, app, &theirs).await? {
        None => Ok(AppResult::Unsure),
        Some(true) => {
            note(context, app, ProvedBy::AdminConsent, Some(None)).await?;
            Ok(AppResult::Consented)
        }
        Some(false) => {
            let evidence = format!("consent was given for the tenant {theirs}");
            let diagnosis = describe(&c::ADMIN_CONSENT, &Facts::of_app(app), Some(&evidence));
            note(context, app, ProvedBy::AdminConsent, Some(Some(diagnosis))).await?;
            Ok(AppResult::OtherTenant { theirs, wanted: app.tenant.clone().unwrap_or_default() })
        }
    }
}

async fn test_returned(
    context: &Context,
    credentials: &AppCredentials,
    attempt: &Attempt,
    returned: &Returned,
) -> Result<AppResult, Problem> {
    let app = &credentials.app;
    let Some(code) = returned.code.as_deref().map(Secret::new) else {
        // that it came back at all proves the redirect
        let diagnosis = refusal(app, returned);
        let consent = is_about_consent(&diagnosis).then(|| Some(diagnosis.clone()));
        note(context, app, ProvedBy::TrialSignIn, consent).await?;
        return Ok(AppResult::TestRefused(Box::new(diagnosis)));
    };
    note(context, app, ProvedBy::TrialSignIn, None).await?;
    let (provider, answer) = match redeem(context, credentials, attempt, &code).await? {
        Ok(redeemed) => redeemed,
        Err(error) => return Ok(AppResult::TestRefused(Box::new(error.diagnosis(&Facts::of_app(app))))),
    };
    // from here on the tokens are only looked at, and dropped
    let issuer = &provider.client.endpoints().issuer;
    let Some(Ok(claims)) = answer.id_token.as_deref().map(identity::parse) else {
        return Ok(AppResult::Unusable);
    };
    if claims.check(&app.client_id, issuer, Some(attempt.nonce.expose()), clock::now()).is_err() {
        return Ok(AppResult::Unusable);
    }
    let name = claims.signed_in_as().name;
    let theirs = claims.tenant.clone().unwrap_or_default();
    match is_own_tenant(context, app, &theirs).await? {
        None => return Ok(AppResult::Unsure),
        Some(false) => {
            return Ok(AppResult::OtherTenant { theirs, wanted: app.tenant.clone().unwrap_or_default() });
        }
        Some(true) => {}
    }
    let missing = scopes::missing(&provider.client.endpoints().scopes, &answer.scopes);
    if !missing.is_empty() {
        let evidence = format!("not granted: {}", missing.join(" "));
        let diagnosis = describe(&c::CONSENT_MISSING, &Facts::of_app(app), Some(&evidence));
        note(context, app, ProvedBy::TrialSignIn, Some(Some(diagnosis.clone()))).await?;
        return Ok(AppResult::TestRefused(Box::new(diagnosis)));
    }
    note(context, app, ProvedBy::TrialSignIn, Some(None)).await?;
    Ok(AppResult::TestWorked { name })
}

async fn redeem(
    context: &Context,
    credentials: &AppCredentials,
    attempt: &Attempt,
    code: &Secret,
) -> Result<Result<(Provider, TokenAnswer), FlowError>, Problem> {
    let provider = match Provider::of_app(context, credentials).await {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let (provider, exchanged, _) =
        exchange_code(context, provider, attempt, code, GrantWay::Redirect).await?;
    Ok(exchanged.map(|answer| (provider, answer)))
}

/// Why nothing good came back.
fn refusal(app: &App, returned: &Returned) -> Diagnosis {
    let error = returned.error.as_deref().unwrap_or_default();
    let said = returned.error_description.as_deref().unwrap_or(error);
    // Microsoft's own code for it, or nothing at all
    let is_unnamed = matches!(error, "permission_denied" | "") && !said.contains("AADSTS");
    if is_unnamed {
        let evidence = if said.is_empty() { "neither consent nor an error came back" } else { said };
        return describe(&c::ADMIN_CONSENT, &Facts::of_app(app), Some(evidence));
    }
    returned.refusal(Some(app.provider)).diagnosis(&Facts::of_app(app))
}

fn is_about_consent(diagnosis: &Diagnosis) -> bool {
    let entries = [&c::ADMIN_CONSENT, &c::CONSENT_MISSING, &c::CONSENT_DECLINED, &c::SIGN_IN_DECLINED];
    entries.iter().any(|entry| entry.code == diagnosis.code)
}

/// Whether that is the app's tenant; `None`: it cannot be found out now.
async fn is_own_tenant(context: &Context, app: &App, theirs: &str) -> Result<Option<bool>, Problem> {
    let Some(named) = app.tenant.as_deref() else { return Ok(Some(true)) };
    if theirs.eq_ignore_ascii_case(named) {
        return Ok(Some(true));
    }
    let known = context.store.app_facts(&app.id)?.value.tenant.filter(|found| found.named == named);
    let id = match known {
        Some(found) => Some(found.id),
        None if named.contains('.') => tenant_id(&context.http, app).await,
        None => Some(String::from(named)),
    };
    Ok(id.map(|id| id.eq_ignore_ascii_case(theirs)))
}

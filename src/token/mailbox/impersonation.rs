//! Tokens by a Google service account, which acts for a mailbox's user by domain-wide delegation. Each mailbox has one of
//! its own, and nothing of it is stored: it is asked for anew, with the app's leave.

use super::lifecycle::{Circumstances, Step, Verdict, after_failure};
use super::refresh::{Refreshed, Refresher, Request, refusal, refused};
use crate::backoff::probe_pause;
use crate::clock;
use crate::config::Provider;
use crate::diagnosis::{Facts, catalogue as c, describe};
use crate::domain::app::AppCredentials;
use crate::domain::{App, Timestamp};
use crate::net::HttpClient;
use crate::store::StoreError;
use crate::token::app::{Outcome, credential_trial, outcome};
use crate::token::oauth::{Endpoints, FlowError, OauthClient, TokenAnswer};
use crate::token::protocol::TokenError;

/// A request, when it was made, and what came of it.
struct Made {
    app: AppCredentials,
    issued_at: Timestamp,
    answer: Result<TokenAnswer, FlowError>,
}

impl Refresher {
    /// A token for the mailbox's user.
    pub(in crate::token) async fn act_for_user(&self, request: Request) -> Refreshed {
        let Some(door) = &self.app else { return refused(TokenError::NotSignedIn) };
        let permit = match self.leave(door, &request).await {
            Ok(permit) => permit,
            Err(waiting) => return Refreshed::Waits(waiting),
        };
        let mailbox = &self.stored.mailbox;
        let (ended, refreshed) = match self.settled_request().await {
            Err(error) => (Outcome::Neutral, Refreshed::Fatal(error)),
            Ok(None) => (Outcome::Neutral, refused(TokenError::NotSignedIn)),
            Ok(Some(Made { issued_at, answer: Ok(answer), .. })) => {
                let expires_at = issued_at.plus(answer.expires_in);
                (Outcome::Good, Refreshed::Token { token: answer.access_token, issued_at, expires_at })
            }
            Ok(Some(Made { app, answer: Err(error), .. })) => {
                let scope = scope_of(&app.app);
                let around = Circumstances {
                    in_doubt: false,
                    deserves_another_try: false,
                    failures: request.failures.saturating_add(1),
                    signed_in_at: None,
                    now: clock::now(),
                    jitter: rand::random::<f64>(),
                    facts: Facts { address: mailbox.login(), detail: &scope, ..Facts::of_app(&app.app) },
                };
                let verdict = verdict(&error, app.service_account.is_some(), &around);
                let ended = outcome_for(&error, &verdict, mailbox.login());
                (ended, refusal(verdict.step, Box::new(verdict.diagnosis)))
            }
        };
        permit.ended(ended).await;
        refreshed
    }

    /// Asks with the key that the app has; one that was refused on trial is replaced by the one before, and asked with
    /// again. `None`: the app is gone.
    async fn settled_request(&self) -> Result<Option<Made>, StoreError> {
        let store = &self.deps.store;
        loop {
            let app = self.stored.mailbox.app().map(|id| store.app(id)).transpose()?.flatten();
            let Some(app) = app.map(|row| row.value) else { return Ok(None) };
            let issued_at = clock::now();
            let answer = request(&self.deps.http, &app, self.stored.mailbox.login()).await;
            if !credential_trial::conclude(store, &app, true, answer.as_ref().map(drop)).await {
                return Ok(Some(Made { app, issued_at, answer }));
            }
        }
    }
}

async fn request(http: &HttpClient, app: &AppCredentials, user: &str) -> Result<TokenAnswer, FlowError> {
    let endpoints = Endpoints::of(&app.app, http).await?;
    OauthClient::new(http.clone(), endpoints, app.clone()).jwt_bearer(Some(user)).await
}

/// The scopes that have to be delegated to the service account of an app, as Google's consoles take them.
#[must_use]
pub fn scope_of(app: &App) -> String {
    let preset = || Provider::of_kind(app.provider)?.oauth.as_ref()?.service_account_scope.clone();
    app.scopes.as_ref().map(|scopes| scopes.join(",")).or_else(preset).unwrap_or_default()
}

/// What a refusal means where no user can sign in.
pub(in crate::token) fn verdict(error: &FlowError, has_key: bool, around: &Circumstances<'_>) -> Verdict {
    let found = after_failure(error, around);
    let probe_at = around.now.plus(probe_pause(around.failures));
    if !has_key {
        let diagnosis = describe(&c::SERVICE_ACCOUNT_MISSING, &around.facts, None);
        return Verdict { step: Step::NeedsAdmin(probe_at), diagnosis, ..found };
    }
    match found.step {
        Step::SignIn => {
            let evidence = found.diagnosis.evidence.as_deref();
            let diagnosis = describe(&c::GOOGLE_USER_REFUSED, &around.facts, evidence);
            Verdict { step: Step::NeedsAdmin(probe_at), diagnosis, ..found }
        }
        Step::RetryAt(_) | Step::NeedsAdmin(_) | Step::AppBroken(_) => found,
    }
}

/// What a refusal for one user says about others: what is wrong with him alone says nothing, and each domain has its
/// own administrator who delegates.
fn outcome_for(error: &FlowError, verdict: &Verdict, user: &str) -> Outcome {
    let of_the_user = [c::GOOGLE_USER_UNKNOWN.code, c::GOOGLE_USER_REFUSED.code];
    match outcome(error, verdict.step, &verdict.diagnosis) {
        Outcome::NeedsFix(code) if of_the_user.contains(&code.as_str()) => Outcome::Neutral,
        Outcome::NeedsFix(code) if code == c::DELEGATION_MISSING.code => {
            let domain = user.rsplit('@').next().unwrap_or_default().to_lowercase();
            Outcome::NeedsFix(format!("{code} {domain}"))
        }
        other @ (Outcome::Good | Outcome::AppBroken(_) | Outcome::NeedsFix(_) | Outcome::Neutral) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::classify_oauth;

    const NOW: Timestamp = Timestamp(1_795_460_342_000);

    fn refused(status: u16, error: &str, description: &str) -> FlowError {
        let body = serde_json::json!({"error": error, "error_description": description}).to_string();
        FlowError::Refused { failure: Box::new(classify_oauth(status, body.as_bytes(), None)) }
    }

    fn found(error: &FlowError, has_key: bool) -> (Step, String, Outcome) {
        let facts = Facts { address: "anna@x.example", client_id: "1", detail: "s", ..Facts::default() };
        let around = Circumstances {
            in_doubt: false,
            deserves_another_try: false,
            failures: 1,
            signed_in_at: None,
            now: NOW,
            jitter: 0.0,
            facts,
        };
        let verdict = verdict(error, has_key, &around);
        let outcome = outcome_for(error, &verdict, "anna@X.example");
        (verdict.step, verdict.diagnosis.code, outcome)
    }

    #[test]
    fn what_is_wrong_with_one_user_stops_no_other_and_nobody_is_asked_to_sign_in() {
        let soon = NOW.plus(std::time::Duration::from_secs(60));
        for (description, code) in [
            ("Invalid email or User ID", "google_user_unknown"),
            ("Account has been suspended", "google_user_refused"),
        ] {
            let (step, found, outcome) = found(&refused(400, "invalid_grant", description), true);
            assert_eq!((step, found.as_str()), (Step::NeedsAdmin(soon), code));
            assert_eq!(outcome, Outcome::Neutral);
        }
    }

    #[test]
    fn each_domain_delegates_for_itself_and_a_refused_key_is_everybody_s() {
        let words = "Client is unauthorized to retrieve access tokens using this method, or client not authorized for \
                     any of the scopes requested.";
        let (step, code, outcome) = found(&refused(401, "unauthorized_client", words), true);
        assert!(matches!(step, Step::NeedsAdmin(_)));
        assert_eq!(outcome, Outcome::NeedsFix(format!("{code} x.example")));
        let (step, _, outcome) = found(&refused(400, "invalid_grant", "Invalid JWT Signature."), true);
        assert!(matches!((step, outcome), (Step::AppBroken(_), Outcome::AppBroken(_))));
        let away = FlowError::Transport { maybe_consumed: true, cause: String::from("reset") };
        let (step, _, outcome) = found(&away, true);
        assert!(matches!((step, outcome), (Step::RetryAt(_), Outcome::Neutral)));
    }

    #[test]
    fn an_app_whose_key_was_taken_away_says_so() {
        let (step, code, _) = found(&FlowError::Endpoint(String::from("no key")), false);
        assert!(matches!(step, Step::NeedsAdmin(_)));
        assert_eq!(code, "service_account_missing");
    }
}

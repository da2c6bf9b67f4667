//! `app verify` of a service account: a token of its own proves its key, and one for a user of each domain proves that
//! its administrator has delegated.

use super::verify::Verified;
use super::verify_checks::{Check, CheckResult};
use crate::clock;
use crate::diagnosis::Facts;
use crate::domain::app::AppCredentials;
use crate::net::HttpClient;
use crate::token::mailbox::{Circumstances, Step, scope_of, verdict};
use crate::token::oauth::{Endpoints, FlowError, OauthClient, TokenAnswer};

const KEY: &str = "service_account";
const DELEGATION: &str = "delegation";

/// Looks at an app that is a service account; `users`: for whom it is to act, one of each domain.
pub async fn verify_account(http: &HttpClient, credentials: &AppCredentials, users: &[String]) -> Verified {
    let client = Endpoints::of(&credentials.app, http).await;
    let client = client.map(|endpoints| OauthClient::new(http.clone(), endpoints, credentials.clone()));
    let own = match &client {
        Ok(client) => client.jwt_bearer(None).await,
        Err(error) => Err(error.clone()),
    };
    let mut checks = vec![key(credentials, &own)];
    match (&client, &own) {
        (Ok(client), Ok(_)) => {
            for user in users {
                checks.push(delegation(credentials, user, &client.jwt_bearer(Some(user)).await));
            }
        }
        (_, _) => {
            let detail = "what comes before it failed";
            checks.push(Check::new(DELEGATION, CheckResult::Skipped, detail));
        }
    }
    if own.is_ok() && users.is_empty() {
        let detail =
            "no mailbox uses the account yet: add one with auth.kind service_account, and verify again";
        checks.push(Check::new(DELEGATION, CheckResult::NotYetProved, detail));
    }
    Verified { checks, tenant_id: None, asked: Some(own.map(drop)) }
}

fn key(credentials: &AppCredentials, answer: &Result<TokenAnswer, FlowError>) -> Check {
    let id = credentials.service_account.as_ref().map_or("", |account| account.private_key_id.as_str());
    let (is_passing, found) = match answer {
        Ok(_) => return Check::new(KEY, CheckResult::Ok, format!("Google took the key {id}")),
        Err(error) => judged(credentials, "", error),
    };
    let detail = format!("Google did not take the key {id}: {}", found.summary);
    if is_passing {
        return Check { diagnosis: Some(found), ..Check::new(KEY, CheckResult::NotYetProved, detail) };
    }
    Check::failed(KEY, detail, found)
}

fn delegation(credentials: &AppCredentials, user: &str, answer: &Result<TokenAnswer, FlowError>) -> Check {
    let (is_passing, found) = match answer {
        Ok(_) => return Check::new(DELEGATION, CheckResult::Ok, format!("the account may act for {user}")),
        Err(error) => judged(credentials, user, error),
    };
    let detail = found.summary.clone();
    if is_passing {
        return Check { diagnosis: Some(found), ..Check::new(DELEGATION, CheckResult::NotYetProved, detail) };
    }
    Check::failed(DELEGATION, detail, found)
}

/// Whether it passes by itself, and what it is.
fn judged(credentials: &AppCredentials, user: &str, error: &FlowError) -> (bool, crate::domain::Diagnosis) {
    let scope = scope_of(&credentials.app);
    let around = Circumstances {
        in_doubt: false,
        deserves_another_try: false,
        failures: 1,
        signed_in_at: None,
        now: clock::now(),
        jitter: 0.0,
        facts: Facts { address: user, detail: &scope, ..Facts::of_app(&credentials.app) },
    };
    let found = verdict(error, credentials.service_account.is_some(), &around);
    (matches!(found.step, Step::RetryAt(_)), found.diagnosis)
}

//! What `app verify` says of redirect and consent, which only somebody's return from the provider proves, and of the
//! end of the secret, which only a person knows. Pure.

use crate::diagnosis::{Facts, catalogue, describe};
use crate::domain::app::AppCredentials;
use crate::domain::{App, Timestamp};
use crate::events::expiry::days_left;
use crate::store::{AppFacts, Proof, ProvedBy};
use crate::token::{Check, CheckResult};

/// The two checks.
pub(super) fn checks(app: &App, redirect_uri: &str, facts: &AppFacts) -> [Check; 2] {
    [redirect(app, redirect_uri, facts.redirect.as_ref()), consent(app, facts.consent.as_ref())]
}

/// When its secret or certificate ends: no provider can be asked, so it is what was entered.
pub(super) fn expiry(credentials: &AppCredentials, now: Timestamp) -> Check {
    const NAME: &str = "secret_expiry";
    let credential = credentials.credential();
    if credentials.service_account.is_some() {
        return Check::new(
            NAME,
            CheckResult::Skipped,
            "a service account's key ends only when it is deleted",
        );
    }
    if credential.is_none() {
        return Check::new(NAME, CheckResult::Skipped, "there is no secret that could end");
    }
    let Some(ends_at) = credential.expires_at else {
        if credential.service_account.is_some() {
            let detail = "a service account's key does not end by itself, unless its organization limits it";
            return Check::new(NAME, CheckResult::Skipped, detail);
        }
        let detail =
            "unknown: nobody is warned before it ends. Enter secret_expires_at as the portal shows it";
        return Check::new(NAME, CheckResult::NotYetProved, detail);
    };
    let (ends, left) = (ends_at.to_rfc3339(), days_left(ends_at, now));
    if ends_at > now {
        return Check::new(NAME, CheckResult::Ok, format!("it ends at {ends}: {left} days are left"));
    }
    let facts = Facts::of_app(&credentials.app);
    Check::failed(NAME, format!("it ended at {ends}"), describe(&catalogue::SECRET_EXPIRED, &facts, None))
}

fn redirect(app: &App, redirect_uri: &str, proof: Option<&Proof>) -> Check {
    const NAME: &str = "redirect";
    match proof.filter(|proof| proof.is_good_for(app, redirect_uri)) {
        Some(proof) => {
            let detail = format!("{} came back to {redirect_uri} at {}", who(proof), proof.at.to_rfc3339());
            Check::new(NAME, CheckResult::Ok, detail)
        }
        None => {
            let detail = format!(
                "only a sign-in, or an administrator's consent, proves that {redirect_uri} is registered: verify with \
                 sign_in, and open the link"
            );
            Check::new(NAME, CheckResult::NotYetProved, detail)
        }
    }
}

fn consent(app: &App, proof: Option<&Proof>) -> Check {
    const NAME: &str = "consent";
    let Some(proof) = proof.filter(|proof| proof.is_about(app)) else {
        let detail = "only a sign-in, or an administrator's consent, proves it: open the consent link as an \
                      administrator, or verify with sign_in";
        return Check::new(NAME, CheckResult::NotYetProved, detail);
    };
    let at = proof.at.to_rfc3339();
    match &proof.diagnosis {
        None => Check::new(NAME, CheckResult::Ok, format!("{} proved it at {at}", who(proof))),
        Some(found) => {
            let detail = format!("{} came back at {at}: {}", who(proof), found.summary);
            Check::failed(NAME, detail, found.clone())
        }
    }
}

fn who(proof: &Proof) -> &'static str {
    match proof.how {
        ProvedBy::AdminConsent => "an administrator's consent",
        ProvedBy::TrialSignIn => "a trial sign-in",
        ProvedBy::SignIn => "a user's sign-in",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::app::Registration;
    use crate::domain::{Diagnosis, Secret};
    use CheckResult::{Failed, NotYetProved, Ok as Good};

    const URI: &str = "https://mail.example/sign-in/callback";

    fn app(client_id: &str) -> App {
        App { tenant: Some(String::from("t")), client_id: String::from(client_id), ..App::plain("o365") }
    }

    fn proof(diagnosis: Option<Diagnosis>) -> Option<Proof> {
        let (at, how) = (Timestamp(0), ProvedBy::AdminConsent);
        let (registration, redirect_uri) = (Registration::of(&app("c")), String::from(URI));
        Some(Proof { at, registration, redirect_uri, how, diagnosis })
    }

    #[test]
    fn a_proof_counts_for_the_registration_and_redirect_it_was_made_with() {
        let refused = Some(describe(&catalogue::ADMIN_CONSENT, &Facts::default(), None));
        for (client_id, uri, redirect, consent, results) in [
            ("c", URI, None, None, [NotYetProved, NotYetProved]),
            ("c", URI, proof(None), None, [Good, NotYetProved]),
            ("c", URI, proof(None), proof(None), [Good, Good]),
            ("c", URI, proof(None), proof(refused.clone()), [Good, Failed]),
            ("c", "https://other.example/sign-in/callback", proof(None), proof(None), [NotYetProved, Good]),
            ("d", URI, proof(None), proof(None), [NotYetProved, NotYetProved]),
            ("d", URI, proof(None), proof(refused), [NotYetProved, NotYetProved]),
        ] {
            let facts = AppFacts { redirect, consent, ..AppFacts::default() };
            let checks = checks(&app(client_id), uri, &facts);
            assert_eq!(checks.clone().map(|check| check.result), results, "{client_id} {uri}: {checks:?}");
        }
    }

    #[test]
    fn an_unknown_end_is_said_to_be_unknown() {
        let now = Timestamp(1_795_460_342_000);
        let of = |secret: Option<&str>, days: Option<i64>| {
            let mut app = app("c");
            app.secret_expires_at = days.map(|days| Timestamp(now.0 + days * 24 * 3600 * 1000));
            let client_secret = secret.map(Secret::new);
            let check =
                expiry(&AppCredentials { app, client_secret, certificate: None, service_account: None }, now);
            (check.result, check.detail)
        };
        let (result, detail) = of(Some("s"), None);
        assert_eq!(result, NotYetProved);
        assert!(detail.starts_with("unknown"), "{detail}");
        assert!(of(Some("s"), Some(40)).1.contains("40 days"));
        assert_eq!((of(Some("s"), Some(40)).0, of(Some("s"), Some(-1)).0), (Good, Failed));
        assert_eq!(of(None, None).0, CheckResult::Skipped);
    }
}

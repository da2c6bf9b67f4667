//! The steps about clock, token, scopes and identity, and what the mail servers are shown.

use super::report::{Outcome, StepList, Way};
use super::verdict;
use super::visit::{STEP, Visit};
use crate::clock;
use crate::diagnosis::{Entry, Facts, catalogue as c, describe};
use crate::domain::app::AppCredentials;
use crate::domain::{Auth, Diagnosis, Grant, GrantSecret, GrantWay, RetryClass, Secret};
use crate::supervisor::protocol::LendToken;
use crate::token::identity::Identity;
use crate::token::{Endpoints, TokenError};

const BY_PASSWORD: &str = "the mailbox signs in with a password";
/// Microsoft blocks the flow by a managed policy of its own in tenants that do not use it
/// (<https://learn.microsoft.com/entra/identity/conditional-access/managed-policies>).
const BY_DEVICE: &str = ", by device code: a policy of the tenant against that flow would end the sign-in (AADSTS530036); a \
                         sign-in with the link in the browser is safe from it";
const NO_APP: &str = "no app is named for this mailbox";

/// What the mail servers are shown.
#[derive(Clone)]
pub(super) enum Pass {
    Token(Secret),
    Password { user: String, password: Secret },
}

impl Visit<'_> {
    pub(super) fn facts(&self) -> Facts<'_> {
        let app = self.app.as_ref().map_or_else(Facts::default, |app| Facts::of_app(&app.app));
        Facts { address: &self.stored.mailbox.address, ..app }
    }

    fn found(&self, entry: &Entry, detail: &str, evidence: Option<&str>) -> Diagnosis {
        describe(entry, &Facts { detail, ..self.facts() }, evidence)
    }

    fn is_by_password(&self) -> bool {
        matches!(self.stored.mailbox.auth, Auth::Password { .. })
    }

    fn app(&self) -> Way<&AppCredentials> {
        self.app
            .as_ref()
            .ok_or_else(|| String::from(if self.is_by_password() { BY_PASSWORD } else { NO_APP }))
    }

    fn grant(&self) -> Way<Grant> {
        if self.stored.mailbox.auth.needs_no_user() {
            return Err(String::from("the app is let in itself: nobody signs in"));
        }
        let grant = self.deps.store.grant(self.stored.incarnation);
        let grant = grant.map_err(|error| error.to_string())?;
        grant.map(|row| row.value).ok_or_else(|| String::from("nobody has signed in yet"))
    }

    /// The identity provider's clock: mail servers show none before a log-in.
    pub(super) async fn check_clock(&self, list: &mut StepList) {
        let theirs = match self.app() {
            Ok(app) => self.provider_time(app).await,
            Err(why) => Err(why),
        };
        let judged = list.step("clock", theirs, |(host, theirs)| async move {
            match verdict::clocks(clock::now(), theirs) {
                Ok(apart) => Ok(((), format!("{apart} {host}"))),
                Err(apart) => Err(self.found(&c::CLOCK_WRONG, &format!("{apart} {host}"), None)),
            }
        });
        // what comes after does not depend on it
        drop(judged.await);
    }

    async fn provider_time(&self, app: &AppCredentials) -> Way<(String, crate::domain::Timestamp)> {
        let endpoints = Endpoints::of(&app.app, &self.deps.http).await;
        let mut url = endpoints.map_err(|error| error.to_string())?.token;
        // any answer has a date, and none of them is to a token request
        url.set_path("/");
        let host = url.host_str().unwrap_or_default().to_owned();
        let silent = || format!("{host} cannot be asked for the time");
        let request = self.deps.http.get(url).timeout(STEP).build().map_err(|_| silent())?;
        let answer = self.deps.http.execute(request).await.map_err(|_| silent())?;
        let date = answer.headers().get("date").and_then(|value| value.to_str().ok());
        let date = date.and_then(verdict::http_date);
        date.map(|at| (host.clone(), at)).ok_or_else(|| format!("{host} does not tell the time"))
    }

    /// What the servers are shown: the step `token`.
    pub(super) async fn pass(&self, list: &mut StepList) -> Way<Pass> {
        if self.is_by_password() {
            list.skip("token", BY_PASSWORD);
            return match self.grant()?.secret {
                GrantSecret::Password { user, password } => Ok(Pass::Password { user, password }),
                GrantSecret::Refresh { .. } => Err(String::from("there is no password")),
            };
        }
        let is_running = self.stored.mailbox.active;
        let way = if is_running { Ok(()) } else { Err(String::from("the mailbox is paused: resume it")) };
        list.step("token", way, |()| self.lend()).await
    }

    async fn lend(&self) -> Outcome<Pass> {
        if self.app.is_none() {
            return Err(self.found(&c::APP_MISSING, "", None));
        }
        let lent = self.deps.tokens.send(LendToken { mailbox: self.stored.incarnation }).await;
        let restarting = || TokenError::Store(String::from("the token actor is being started"));
        match lent.ok().flatten().unwrap_or_else(|| Err(restarting())) {
            Ok(token) => {
                let detail = format!("valid until {}", token.expires_at.to_rfc3339());
                match self.last_refusal() {
                    // it works until then, and not a minute longer
                    Some(entry) => Err(self.found(entry, "", Some(&format!("the last token is {detail}")))),
                    None => Ok((Pass::Token(token.token), detail)),
                }
            }
            Err(error) => Err(self.no_token(&error)),
        }
    }

    /// Why there will be no further token, although there is one.
    fn last_refusal(&self) -> Option<&'static Entry> {
        let refused = self.grant().ok()?.last_refresh?.result;
        c::find(&refused).filter(|entry| entry.retry != RetryClass::Auto)
    }

    fn no_token(&self, error: &TokenError) -> Diagnosis {
        let text = error.to_string();
        match error {
            TokenError::SignInNeeded(found)
            | TokenError::NeedsAdmin(found)
            | TokenError::AppBroken(found)
            | TokenError::Unreachable(found) => found.as_ref().clone(),
            TokenError::NotSignedIn => self.found(&c::NOT_SIGNED_IN, "", None),
            TokenError::Throttled { .. } => self.found(&c::IDP_THROTTLED, "", Some(&text)),
            TokenError::Store(_) | TokenError::NoTokens => self.found(&c::TOKEN_UNAVAILABLE, "", Some(&text)),
        }
    }

    /// What the grant says: the steps `scopes` and `identity`.
    pub(super) async fn check_grant(&self, list: &mut StepList) {
        let grant = self.app().and_then(|app| self.grant().map(|grant| (app, grant)));
        let scopes = grant.clone().and_then(|(app, grant)| {
            let untold = grant.scopes.is_empty();
            if untold {
                Err(String::from("the provider did not say what it granted"))
            } else {
                Ok((app, grant))
            }
        });
        drop(list.step("scopes", scopes, |(app, grant)| self.scopes(app, grant)).await);
        let who = grant.and_then(|(app, grant)| {
            let who = grant.signed_in_as.ok_or_else(|| String::from("nobody knows who signed in"))?;
            let is_at_risk = grant.way == GrantWay::Device && app.app.provider.is_entra();
            Ok((app, who, if is_at_risk { BY_DEVICE } else { "" }))
        });
        let named = list.step("identity", who, |(app, who, remark)| async move {
            let address = &self.stored.mailbox.address;
            match verdict::identity(&self.stored.mailbox, &who, app.app.tenant.as_deref()) {
                Identity::Match => Ok(((), format!("{}{remark}", who.name))),
                Identity::SameTenantOther => {
                    Ok(((), format!("{} signed in for {address}{remark}", who.name)))
                }
                Identity::Stranger => Err(self.found(&c::WRONG_ACCOUNT, &who.name, None)),
            }
        });
        drop(named.await);
    }

    async fn scopes(&self, app: &AppCredentials, grant: Grant) -> Outcome<()> {
        let endpoints = Endpoints::of(&app.app, &self.deps.http).await;
        let endpoints = endpoints.map_err(|error| error.diagnosis(&self.facts()))?;
        let lacking = verdict::scopes_lacking(&self.stored.mailbox, &endpoints.scopes, &grant.scopes);
        if lacking.is_empty() {
            return Ok(((), grant.scopes.join(" ")));
        }
        let evidence = format!("granted: {}", grant.scopes.join(" "));
        Err(self.found(&c::SCOPES_MISSING, &lacking.join(" "), Some(&evidence)))
    }
}

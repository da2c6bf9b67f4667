//! What a sign-in, a sign-in test or a consent proves of an app: that the redirect comes back, and that consent is
//! given.

use super::context::Context;
use super::provider::Provider;
use crate::clock;
use crate::domain::app::Registration;
use crate::domain::{App, Diagnosis};
use crate::store::{AppFacts, Proof, ProvedBy, StoreError};
use crate::token::TokenAnswer;
use crate::token::scopes;

/// Notes what was proven: that our redirect comes back, and what became of the consent, if that is known.
pub(super) async fn note(
    context: &Context,
    app: &App,
    how: ProvedBy,
    consent: Option<Option<Diagnosis>>,
) -> Result<(), StoreError> {
    let proof = |diagnosis| Proof {
        at: clock::now(),
        registration: Registration::of(app),
        redirect_uri: context.callback_uri(),
        how,
        diagnosis,
    };
    let change = |facts: &mut AppFacts| {
        facts.redirect = Some(proof(None));
        if let Some(diagnosis) = &consent {
            facts.consent = Some(proof(diagnosis.clone()));
        }
    };
    context.store.change_app_facts(&app.id, change).await
}

/// A user's sign-in by redirect proves as much as a sign-in test. What cannot be noted is found out by the next one.
pub(super) async fn note_sign_in(context: &Context, provider: &Provider, answer: &TokenAnswer) {
    let app = &provider.app.app;
    let is_whole = scopes::missing(&provider.client.endpoints().scopes, &answer.scopes).is_empty();
    let noted = async {
        let known = context.store.app_facts(&app.id)?.value;
        let is_known = |proof: &Option<Proof>| {
            proof.as_ref().is_some_and(|proof| proof.is_good_for(app, &context.callback_uri()))
        };
        if is_known(&known.redirect) && (is_known(&known.consent) || !is_whole) {
            return Ok(());
        }
        note(context, app, ProvedBy::SignIn, is_whole.then_some(None)).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(app = %app.id, %error, "what a sign-in proved of the app is not noted");
    }
}

//! Sign-in by device code (RFC 8628): the user types a code in at the provider, wherever he likes; we poll. The code
//! is durable, so that a restart goes on polling.

use super::super::Shared;
use super::super::problem::Problem;
use super::callback::close;
use super::candidate::{end, put};
use super::page::{Words, escape, waiting_page};
use super::redeem::{Came, Ending, Provider, judge};
use super::visit::{fresh, see_other};
use crate::clock;
use crate::diagnosis::{catalogue, describe};
use crate::domain::{Disposition, GrantWay, SignInId};
use crate::store::{DeviceAttempt, Row, SignIn, SignInState, StoredMailbox};
use crate::token::credential_trial;
use crate::token::{DeviceGrant, DevicePoll, FlowError};
use actix_web::HttpResponse;
use actix_web::web::Data;
use std::time::Duration;

/// RFC 8628 §3.5: what `slow_down` adds for good.
const SLOWER: u64 = 5;
/// The longest pause while the provider is away.
const LONGEST: Duration = Duration::from_secs(60);

const TITLE: Words = Words { en: "Sign in with a code", de: "Mit einem Code anmelden" };
const GO: Words = Words {
    en: "Open this page, here or on another device, and enter the code:",
    de: "Öffnen Sie diese Seite, hier oder auf einem anderen Gerät, und geben Sie den Code ein:",
};
const THEN: Words = Words {
    en: "This page goes on by itself when you are done there. The code is valid for 15 minutes at most.",
    de: "Diese Seite geht von selbst weiter, wenn Sie dort fertig sind. Der Code gilt höchstens 15 Minuten.",
};
const ANEW: Words = Words { en: "Get a new code", de: "Neuen Code holen" };

/// Gets a code and shows it.
pub(super) async fn begin(
    shared: &Data<Shared>,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<Result<HttpResponse, FlowError>, Problem> {
    let provider = match Provider::of(shared, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let mut code = get_code(shared, &provider).await?;
    if matches!(code, Ok(None)) {
        // the credential that was refused is replaced by the one before
        code = match Provider::of(shared, &row.value, stored).await? {
            Ok(again) => get_code(shared, &again).await?,
            Err(error) => Err(error),
        };
    }
    let not_now = || FlowError::Endpoint(String::from("the app is being changed: try again"));
    let code = match code.and_then(|code| code.ok_or_else(not_now)) {
        Ok(code) => code,
        Err(error) => return Ok(Err(error)),
    };
    fresh(&mut row.value);
    row.value.device = Some(DeviceAttempt {
        device_code: code.device_code,
        user_code: code.user_code,
        verification_uri: code.verification_uri,
        ends_at: clock::now().plus(code.expires_in),
        interval: code.interval.as_secs().max(1),
        send_client_secret: false,
        app: Some(provider.app.app.id.clone()),
    });
    put(shared, row).await?;
    watch(shared, row.value.id);
    Ok(Ok(see_other(&shared.link(&row.value))))
}

/// A code; `None`: the app has another credential than the one that was refused.
async fn get_code(
    shared: &Shared,
    provider: &Provider,
) -> Result<Result<Option<DeviceGrant>, FlowError>, Problem> {
    let sends = provider.client.endpoints().device_needs_secret && provider.app.is_confidential();
    let (asked, sent) = match provider.client.request_device_code(false).await {
        Err(error) if error.wants_secret_the_other_way() => {
            (provider.client.request_device_code(true).await, true)
        }
        other => (other, sends),
    };
    let is_replaced =
        credential_trial::settle(&shared.store, &provider.app, sent, asked.as_ref().map(drop)).await?;
    Ok(if is_replaced { Ok(None) } else { asked.map(Some) })
}

/// The page of a code that is waited for; it asks again by itself.
pub(super) fn shown(shared: &Shared, sign_in: &SignIn, code: &DeviceAttempt, language: &str) -> HttpResponse {
    let uri = escape(&code.verification_uri);
    let body = format!(
        "<p>{}</p><p><a id=\"provider\" href=\"{uri}\" target=\"_blank\" rel=\"noopener noreferrer\">{uri}</a></p>\
         <p><strong id=\"code\" style=\"font-size:2rem\">{}</strong></p><p>{}</p>\
         <form method=\"post\" action=\"{}\"><button name=\"way\" value=\"device\">{}</button></form>",
        GO.in_language(language),
        escape(&code.user_code),
        THEN.in_language(language),
        escape(&shared.link(sign_in)),
        ANEW.in_language(language),
    );
    waiting_page(language, TITLE.in_language(language), &body)
}

/// Polls until the sign-in has come to something, or another visit took its place.
pub(super) fn watch(shared: &Data<Shared>, id: SignInId) {
    let shared = shared.clone();
    actix_web::rt::spawn(async move {
        if let Err(error) = poll(&shared, id).await
            && !error.is_conflict()
        {
            tracing::error!(%error, %id, "a device code is not polled any more");
        }
    });
}

async fn poll(shared: &Shared, id: SignInId) -> Result<(), Problem> {
    let mut failures = 0_u32;
    let mut polled = None;
    loop {
        let Some((mut row, stored, code)) = waited_for(shared, id)? else { return Ok(()) };
        if polled.get_or_insert_with(|| code.device_code.clone()) != &code.device_code {
            return Ok(()); // another code has a watch of its own
        }
        let counts = row.value.counts_for(&stored.mailbox, code.app.as_ref());
        if !counts || code.ends_at <= clock::now() {
            row.value.device = None;
            return Ok(end(shared, &mut row, SignInState::Waiting, None).await?);
        }
        tokio::time::sleep(pause(code.interval, failures)).await;
        let Some((mut row, stored_now, code)) = waited_for(shared, id)? else { return Ok(()) };
        if stored_now.generation != stored.generation {
            continue;
        }
        let _answer_is_waited_for = shared.on_their_way.read().await;
        match ask(shared, &row.value, &stored, &code).await? {
            Asked::Pending => failures = 0,
            Asked::Away => failures = failures.saturating_add(1),
            Asked::Changed(changed) => {
                row.value.device = Some(changed);
                put(shared, &mut row).await?;
            }
            Asked::Ended(ending) => {
                row.value.device = None;
                close(shared, &mut row, &ending).await?;
                return Ok(());
            }
            Asked::Done(provider, came) => {
                row.value.device = None;
                row.value.state = SignInState::SignedIn;
                let ending = judge(shared, &mut row, &stored, &provider, came).await?;
                return close(shared, &mut row, &ending).await;
            }
        }
    }
}

/// What a poll came to.
enum Asked {
    Pending,
    /// The provider cannot be asked, which is no end.
    Away,
    /// Polling goes on in another way.
    Changed(DeviceAttempt),
    Ended(Ending),
    Done(Box<Provider>, Came),
}

async fn ask(
    shared: &Shared,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    code: &DeviceAttempt,
) -> Result<Asked, Problem> {
    let provider = match Provider::of(shared, sign_in, stored).await? {
        Ok(provider) => provider,
        Err(FlowError::Transport { .. }) => return Ok(Asked::Away),
        Err(error) => {
            return Ok(Asked::Ended(Ending::diagnosed(
                error.diagnosis(&super::redeem::address_only(stored)),
            )));
        }
    };
    let declined = || Ending { state: SignInState::Declined, ..Ending::unusable() };
    let polled = provider.client.poll_device(&code.device_code, code.send_client_secret).await;
    let sent = sends_secret(&provider, code);
    let answer = match &polled {
        Ok(DevicePoll::Done(_)) => Some(Ok(())),
        // nothing was given yet
        Ok(DevicePoll::Pending | DevicePoll::SlowDown | DevicePoll::Declined | DevicePoll::Expired) => None,
        Err(error) => Some(Err(error)),
    };
    if let Some(answer) = answer
        && credential_trial::settle(&shared.store, &provider.app, sent, answer).await?
    {
        // the one before is in use again, and a refused client has used no code up
        return Ok(Asked::Pending);
    }
    Ok(match polled {
        Ok(DevicePoll::Pending) => Asked::Pending,
        Ok(DevicePoll::SlowDown) => {
            Asked::Changed(DeviceAttempt { interval: code.interval.saturating_add(SLOWER), ..code.clone() })
        }
        Ok(DevicePoll::Declined) => Asked::Ended(Ending {
            state: SignInState::Declined,
            ..Ending::diagnosed(describe(&catalogue::CONSENT_DECLINED, &provider.facts(stored), None))
        }),
        Ok(DevicePoll::Expired) => Asked::Ended(Ending { state: SignInState::Waiting, ..declined() }),
        Ok(DevicePoll::Done(answer)) => {
            let came = Came { answer, way: GrantWay::Device, send_client_secret: sent, nonce: None };
            Asked::Done(Box::new(provider), came)
        }
        Err(error) if error.wants_secret_the_other_way() && provider.app.is_confidential() => {
            // a registration without public client flows: the secret goes along, once
            if code.send_client_secret {
                Asked::Ended(Ending::diagnosed(error.diagnosis(&provider.facts(stored))))
            } else {
                Asked::Changed(DeviceAttempt { send_client_secret: true, ..code.clone() })
            }
        }
        Err(error) if is_passing(&error) => Asked::Away,
        Err(error) => Asked::Ended(Ending::diagnosed(error.diagnosis(&provider.facts(stored)))),
    })
}

/// Whether the app proves itself when it asks about a code.
fn sends_secret(provider: &Provider, code: &DeviceAttempt) -> bool {
    let needs = provider.client.endpoints().device_needs_secret;
    code.send_client_secret || (needs && provider.app.is_confidential())
}

/// Whether it says nothing of the code: RFC 8628 §3.5 has a client go on.
fn is_passing(error: &FlowError) -> bool {
    matches!(error.disposition(), Disposition::Retry | Disposition::RetryAfter(_))
}

type WaitedFor = (Row<SignIn>, StoredMailbox, DeviceAttempt);

fn waited_for(shared: &Shared, id: SignInId) -> Result<Option<WaitedFor>, Problem> {
    let Some(row) = shared.store.sign_in(id)? else { return Ok(None) };
    let Some(code) = row.value.device.clone() else { return Ok(None) };
    let stored = shared.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    match stored {
        Some(stored) if !shared.is_withdrawn(&row.value, &stored)? => Ok(Some((row, stored, code))),
        Some(_) | None => Ok(None),
    }
}

/// The interval, longer while the provider is away.
fn pause(interval: u64, failures: u32) -> Duration {
    let base = Duration::from_secs(interval.max(1));
    base.saturating_mul(1_u32 << failures.min(6)).min(base.max(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_is_away_is_asked_less_often_but_within_a_minute() {
        let waits: Vec<u64> = (0..6).map(|failures| pause(5, failures).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        assert_eq!(pause(90, 3).as_secs(), 90, "never faster than the provider said");
    }
}

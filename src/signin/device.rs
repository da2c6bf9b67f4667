//! Sign-in by device code (RFC 8628): the user enters a code at the provider, on any device, and the provider is
//! polled. The code is durable, so that a restart goes on polling.

use super::context::Context;
use super::provider::{Provider, address_only};
use super::record::{close, end, keep_claims, put};
use super::redeem::{Received, try_tokens};
use super::result::SignInResult;
use super::visit::{fresh, is_withdrawn};
use crate::backoff::Backoff;
use crate::clock;
use crate::diagnosis::{Entry, catalogue, describe};
use crate::domain::{Disposition, GrantWay, SignInId};
use crate::problem::Problem;
use crate::store::{DeviceAttempt, Row, SignIn, SignInState, StoredMailbox};
use crate::token::credential_trial;
use crate::token::{DeviceGrant, DevicePoll, FlowError};
use std::sync::Arc;
use std::time::Duration;

/// RFC 8628 §3.5: what `slow_down` adds for good.
const SLOWER: u64 = 5;
/// The longest pause while the provider is away.
const LONGEST: Duration = Duration::from_secs(60);

/// Gets a code, stores it, and polls for its answer.
pub(crate) async fn begin_device(
    context: &Arc<Context>,
    row: &mut Row<SignIn>,
    stored: &StoredMailbox,
) -> Result<Result<(), FlowError>, Problem> {
    let provider = match Provider::of(context, &row.value, stored).await? {
        Ok(provider) => provider,
        Err(error) => return Ok(Err(error)),
    };
    let mut code = get_code(context, &provider).await?;
    if matches!(code, Ok(None)) {
        // the credential that was refused is replaced by the one before
        code = match Provider::of(context, &row.value, stored).await? {
            Ok(again) => get_code(context, &again).await?,
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
    put(context, row).await?;
    watch(context, row.value.id);
    Ok(Ok(()))
}

/// A code; `None`: the app has another credential than the one that was refused.
async fn get_code(
    context: &Context,
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
        credential_trial::conclude(&context.store, &provider.app, sent, asked.as_ref().map(drop)).await;
    Ok(if is_replaced { Ok(None) } else { asked.map(Some) })
}

/// Polls until the sign-in has come to something, or another visit took its place.
pub(super) fn watch(context: &Arc<Context>, id: SignInId) {
    let context = context.clone();
    actix::spawn(async move {
        if let Err(error) = poll(&context, id).await
            && !error.is_conflict()
        {
            tracing::error!(%error, %id, "a device code is not polled any more");
        }
    });
}

async fn poll(context: &Context, id: SignInId) -> Result<(), Problem> {
    let mut failures = 0_u32;
    let mut polled = None;
    loop {
        let Some((mut row, stored, code)) = waited_for(context, id)? else { return Ok(()) };
        if polled.get_or_insert_with(|| code.device_code.clone()) != &code.device_code {
            return Ok(()); // another code has a watch of its own
        }
        let counts = row.value.counts_for(&stored.mailbox, code.app.as_ref());
        if !counts || code.ends_at <= clock::now() {
            row.value.device = None;
            return Ok(end(context, &mut row, SignInState::Waiting, None).await?);
        }
        tokio::time::sleep(pause(code.interval, failures)).await;
        let Some((mut row, stored_now, code)) = waited_for(context, id)? else { return Ok(()) };
        if stored_now.generation != stored.generation {
            continue;
        }
        let _answer_is_waited_for = context.in_flight.read().await;
        match poll_once(context, &row.value, &stored, &code).await? {
            Polled::Pending => failures = 0,
            Polled::Away => failures = failures.saturating_add(1),
            Polled::Changed(changed) => {
                row.value.device = Some(changed);
                put(context, &mut row).await?;
            }
            Polled::Ended(result) => {
                keep_claims(&mut row.value, result.claims.as_deref());
                row.value.device = None;
                close(context, &mut row, &result).await?;
                return Ok(());
            }
            Polled::Done(provider, received) => {
                row.value.device = None;
                row.value.state = SignInState::SignedIn;
                let result = try_tokens(context, &mut row, &stored, &provider, received).await?;
                return Ok(close(context, &mut row, &result).await?);
            }
        }
    }
}

/// What a poll came to.
enum Polled {
    Pending,
    /// The provider cannot be asked, which is no end.
    Away,
    /// Polling goes on in another way.
    Changed(DeviceAttempt),
    Ended(SignInResult),
    Done(Box<Provider>, Received),
}

async fn poll_once(
    context: &Context,
    sign_in: &SignIn,
    stored: &StoredMailbox,
    code: &DeviceAttempt,
) -> Result<Polled, Problem> {
    let provider = match Provider::of(context, sign_in, stored).await? {
        Ok(provider) => provider,
        Err(FlowError::Transport { .. }) => return Ok(Polled::Away),
        Err(error) => {
            return Ok(Polled::Ended(SignInResult::diagnosed(error.diagnosis(&address_only(stored)))));
        }
    };
    let answered = provider.client.poll_device(&code.device_code, code.send_client_secret).await;
    let sent = sends_secret(&provider, code);
    let answer = match &answered {
        Ok(DevicePoll::Done(_)) => Some(Ok(())),
        // nothing was given yet
        Ok(DevicePoll::Pending | DevicePoll::SlowDown | DevicePoll::Declined | DevicePoll::Expired) => None,
        Err(error) => Some(Err(error)),
    };
    if let Some(answer) = answer
        && credential_trial::conclude(&context.store, &provider.app, sent, answer).await
    {
        // the one before is in use again, and a refused client has used no code up
        return Ok(Polled::Pending);
    }
    Ok(match answered {
        Ok(DevicePoll::Pending) => Polled::Pending,
        Ok(DevicePoll::SlowDown) => {
            Polled::Changed(DeviceAttempt { interval: code.interval.saturating_add(SLOWER), ..code.clone() })
        }
        Ok(DevicePoll::Declined) => Polled::Ended(SignInResult {
            state: SignInState::Declined,
            ..SignInResult::diagnosed(describe(declined_entry(&provider), &provider.facts(stored), None))
        }),
        Ok(DevicePoll::Expired) => Polled::Ended(SignInResult {
            state: SignInState::Waiting,
            ..SignInResult::diagnosed(describe(&catalogue::DEVICE_CODE_ENDED, &provider.facts(stored), None))
        }),
        Ok(DevicePoll::Done(answer)) => {
            let received = Received { answer, way: GrantWay::Device, send_client_secret: sent, nonce: None };
            Polled::Done(Box::new(provider), received)
        }
        Err(error) if error.wants_secret_the_other_way() && provider.app.is_confidential() => {
            // a registration without public client flows: the secret goes along, once
            if code.send_client_secret {
                Polled::Ended(SignInResult::diagnosed(error.diagnosis(&provider.facts(stored))))
            } else {
                Polled::Changed(DeviceAttempt { send_client_secret: true, ..code.clone() })
            }
        }
        Err(error) if is_passing(&error) => Polled::Away,
        Err(error) => Polled::Ended(SignInResult {
            claims: error.claims().map(String::from),
            ..SignInResult::diagnosed(error.diagnosis(&provider.facts(stored)))
        }),
    })
}

/// What a decline may mean there.
fn declined_entry(provider: &Provider) -> &'static Entry {
    if provider.app.app.provider.has_tenants() {
        &catalogue::CONSENT_DECLINED
    } else {
        &catalogue::SIGN_IN_DECLINED
    }
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

fn waited_for(context: &Context, id: SignInId) -> Result<Option<WaitedFor>, Problem> {
    let Some(row) = context.store.sign_in(id)? else { return Ok(None) };
    let Some(code) = row.value.device.clone() else { return Ok(None) };
    let stored = context.store.mailbox(&row.value.mailbox)?;
    let stored = stored.filter(|stored| stored.incarnation == row.value.incarnation);
    match stored {
        Some(stored) if !is_withdrawn(context, &row.value, &stored)? => Ok(Some((row, stored, code))),
        Some(_) | None => Ok(None),
    }
}

/// The interval, longer while the provider is away.
fn pause(interval: u64, failures: u32) -> Duration {
    let base = Duration::from_secs(interval.max(1));
    Backoff::new(base, base.max(LONGEST)).pause(failures.saturating_add(1), 0.0)
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

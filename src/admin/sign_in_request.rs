//! A sign-in is requested for a mailbox: its personal link.

use super::context::Context;
use super::sign_in_rules::{can_sign_in, check_return};
use crate::clock;
use crate::events::EventType;
use crate::problem::Problem;
use crate::store::{Commit, SignIn, StoredMailbox};

/// Begins a sign-in, by the ways that are wanted or else by those that work for this installation.
pub(crate) async fn request_sign_in(
    context: &Context,
    stored: &StoredMailbox,
    ways: Option<&[String]>,
    return_to: Option<&str>,
    language: Option<String>,
) -> Result<SignIn, Problem> {
    let return_to = return_to.map(|to| check_return(context, to)).transpose()?;
    let app = can_sign_in(context, stored)?;
    let ways = context.signin.offered_ways(&app, ways)?;
    let now = clock::now();
    let mut sign_in = context.store.begin_sign_in(stored, return_to, language, now)?;
    sign_in.ways = ways;
    let mut commit = Commit::of_mailbox(stored.incarnation);
    context.store.add_sign_in(&mut commit, &sign_in, 0)?;
    commit.event(sign_in.told_as(EventType::SignInRequested, now));
    context.store.commit(commit).await?;
    Ok(sign_in)
}
